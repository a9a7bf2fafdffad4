// Who needs whom, from left to right: what is needed stands to the right of those that need it.

import {Empty, Shape, to} from './parts';
import {services} from './store';
import type {Service} from './types';
import {tone} from './words';
import {shortName} from './overview';

const MOST = 150;
const WIDTH = 190, HEIGHT = 34, GAP_X = 70, GAP_Y = 12;

interface Node { service: Service; depth: number; x: number; y: number }

/** The longest way from what nobody needs; a cycle ends where it closes. */
function layers(list: Service[]): Node[] {
  const chosen = new Map(list.map((one) => [one.full_name, one]));
  const depths = new Map<string, number>();
  const visit = (name: string, depth: number, path: Set<string>) => {
    if (path.has(name) || depth > 12 || (depths.get(name) ?? -1) >= depth) return;
    depths.set(name, depth);
    path.add(name);
    for (const need of chosen.get(name)?.depends_on ?? []) if (chosen.has(need)) visit(need, depth + 1, path);
    path.delete(name);
  };
  const needed = new Set(list.flatMap((one) => one.depends_on ?? []));
  for (const one of list) if (!needed.has(one.full_name)) visit(one.full_name, 0, new Set());
  for (const one of list) if (!depths.has(one.full_name)) visit(one.full_name, 0, new Set());
  const rows: number[] = [];
  return list.map((service) => {
    const depth = depths.get(service.full_name) ?? 0;
    const row = rows[depth] = (rows[depth] ?? -1) + 1;
    return {service, depth, x: depth * (WIDTH + GAP_X), y: row * (HEIGHT + GAP_Y)};
  });
}

export function Graph({services: list}: {services: Service[]}) {
  // Those found, what they need, and who needs them.
  const names = new Set(list.map((one) => one.full_name));
  const linked = new Set<string>();
  for (const one of services.value.values()) {
    for (const need of one.depends_on ?? []) {
      if (services.value.has(need) && (names.has(one.full_name) || names.has(need))) {
        linked.add(one.full_name);
        linked.add(need);
      }
    }
  }
  const shown = [...services.value.values()].filter((one) => linked.has(one.full_name)).slice(0, MOST);
  if (shown.length === 0) return <Empty>No dependencies are known among these services.</Empty>;
  const nodes = layers(shown);
  const at = new Map(nodes.map((node) => [node.service.full_name, node]));
  const width = Math.max(...nodes.map((node) => node.x)) + WIDTH + 2;
  const height = Math.max(...nodes.map((node) => node.y)) + HEIGHT + 2;
  const edges = nodes.flatMap((node) => (node.service.depends_on ?? []).flatMap((need) => {
    const other = at.get(need);
    return other ? [[node, other] as const] : [];
  }));
  return (
    <div class="graph panel" tabIndex={0} role="region" aria-label="Dependencies: from left to right, each service and what it needs">
      <svg width={width} height={height} role="presentation">
        {edges.map(([a, b]) => {
          const x1 = a.x + WIDTH, y1 = a.y + HEIGHT / 2, x2 = b.x, y2 = b.y + HEIGHT / 2;
          const bend = Math.max(30, (x2 - x1) / 2);
          return <path key={`${a.service.full_name} ${b.service.full_name}`} class={`edge e-${tone(b.service.state)}`}
            d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`} />;
        })}
      </svg>
      <ul>
        {nodes.map(({service, x, y}) => (
          <li key={service.full_name} style={{transform: `translate(${x}px, ${y}px)`, width: `${WIDTH}px`, height: `${HEIGHT}px`}}>
            <a class={`node n-${tone(service.state)}`} href={to('service', service.full_name)}>
              <Shape of={service.state} size={14} /><span>{shortName(service.full_name)}</span>
              <span class="sr">, {service.state}{service.depends_on?.length ? `, needs ${service.depends_on.map(shortName).join(', ')}` : ''}</span>
            </a>
          </li>
        ))}
      </ul>
      {linked.size > MOST ? <p class="empty">{linked.size - MOST} more: search for fewer.</p> : null}
    </div>
  );
}
