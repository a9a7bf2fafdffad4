// What is down, since when, why, what Sentinel did, what happens next; then everything else, the worst first.

import {signal, useComputed} from '@preact/signals';
import {useEffect, useRef} from 'preact/hooks';
import {Graph} from './graph';
import {LongList, type Row} from './list';
import {At, Badge, Empty, For, In, Shape, Tabs, to} from './parts';
import {Sparkline} from './spark';
import {connection, counts, engines, groups, incidents, openIncidents, pools, recent, services, type Group} from './store';
import type {Incident, Line, Service} from './types';
import {failing, plural, sentence, states, subjectName} from './words';

const words = signal('');
const only = signal('');
const shape = signal<'list' | 'graph'>('list');

function matches(service: Service, wanted: string[]): boolean {
  if (only.value && (states.includes(only.value as Service['state']) ? service.state !== only.value
    : !service.overlays.includes(only.value))) return false;
  if (wanted.length === 0) return true;
  const text = `${service.full_name} ${service.name} ${service.state} ${service.reason} ${service.image ?? ''} ${service.container_name ?? ''} ${service.overlays.join(' ')}`.toLowerCase();
  return wanted.every((word) => text.includes(word));
}

export function Overview() {
  const found = useComputed<Group[]>(() => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    return groups.value.map((group) => ({...group, services: group.services.filter((one) => matches(one, wanted))}))
      .filter((group) => group.services.length > 0);
  });
  return (
    <>
      <Headline />
      <Problems />
      <Search found={found.value.reduce((sum, group) => sum + group.services.length, 0)} />
      {shape.value === 'graph' ? <Graph services={found.value.flatMap((group) => group.services)} /> : <List groups={found.value} />}
    </>
  );
}

function Headline() {
  const all = services.value.size;
  const count = (state: string) => counts.value[state] ?? 0;
  const down = [...services.value.values()].filter((one) => failing(one.state) && !one.overlays.includes('maintenance')).length;
  const healing = count('recovering');
  const broken = pools.value.filter((pool) => pool.state === 'down');
  const engine = engines.value.find((one) => !one.up);
  const blind = engines.value.some((one) => one.blind);
  const storm = engines.value.some((one) => one.storm_hold);
  let tone = 'ok';
  let text = all === 0 ? 'Nothing is watched yet' : 'Everything works';
  if (count('degraded') > 0) [tone, text] = ['warn', `${plural(count('degraded'), 'service')} degraded`];
  if (down > 0) [tone, text] = ['bad', `${plural(down, 'service')} ${down === 1 ? 'does' : 'do'} not work`];
  if (broken.length > 0) [tone, text] = ['bad', `Pool ${broken.map((pool) => pool.name).join(', ')} is down${down ? `, and ${plural(down, 'service')}` : ''}`];
  if (engine) [tone, text] = ['bad', 'The Engine does not answer'];
  const notes: string[] = [];
  if (engine) notes.push(engine.reason || 'what its containers do is not known');
  if (blind) notes.push('our own network seems to be down: nothing is judged until it is back');
  if (storm) notes.push('many fail at once: Sentinel waits a moment before it heals');
  if (healing > 0) notes.push(`${healing} being healed`);
  if (count('quarantined') > 0) notes.push(`${count('quarantined')} quarantined: somebody has to look`);
  const maintenance = [...services.value.values()].filter((one) => one.overlays.includes('maintenance')).length;
  if (maintenance > 0) notes.push(`${maintenance} in maintenance`);
  const word = {ok: 'healthy', warn: 'degraded', bad: 'unhealthy'}[tone]!;
  return (
    <section class={`headline h-${tone}`} aria-label="In short">
      <Shape of={word} size={34} />
      <div>
        <h1>{text}</h1>
        <p>{all === 0 ? 'Label containers with sentinel.enable: "true", or name targets in the file.'
          : `${plural(all, 'service')} watched${notes.length ? `; ${notes.join('; ')}` : ''}`}
        {connection.value.state === 'live' ? null : ' (not up to date)'}</p>
      </div>
    </section>
  );
}

interface Trouble { service: Service | null; incident: Incident | null }

function troubles(): Trouble[] {
  const list: Trouble[] = openIncidents.value.map((incident) => ({
    incident, service: incident.service ? services.value.get(incident.service) ?? null : null,
  }));
  const covered = new Set(openIncidents.value.flatMap((one) =>
    [one.subject, ...one.members.map((member) => member.subject)]));
  for (const group of groups.value) {
    for (const one of group.services) {
      if (failing(one.state) && !covered.has(`service:${one.full_name}`)) {
        list.push({service: one, incident: one.incident ? incidents.value.get(one.incident) ?? null : null});
      }
    }
  }
  return list;
}

const SHOWN = 6;

function Problems() {
  const all = troubles();
  if (all.length === 0) return null;
  return (
    <section aria-label="What is wrong">
      <ul class="troubles">
        {all.slice(0, SHOWN).map((one) => (
          <li key={one.incident?.id ?? one.service!.full_name}><Card {...one} /></li>
        ))}
      </ul>
      {all.length > SHOWN ? <p class="more"><a href="#incidents">{all.length - SHOWN} more</a></p> : null}
    </section>
  );
}

/** What Sentinel did last: lines with a result are its own actions. */
export function lastAction(incident: Incident): Line | undefined {
  return incident.lines.findLast((line) => line.result !== '');
}

/** Where there is no incident to tell it: the latest that was told of the service and is no change of state. */
export function lastTold(service: Service): Line | undefined {
  const entry = recent.value.findLast((one) => one.service === service.full_name && one.kind !== 'transition');
  return entry && {...entry, result: ''};
}

function Card({service, incident}: Trouble) {
  const state = service?.state ?? (incident!.severity === 'critical' ? 'unhealthy' : 'degraded');
  const since = incident?.began ?? service!.since;
  const title = service ? service.full_name : subjectName(incident!.subject);
  const why = incident?.text || service?.reason || '';
  const did = incident ? lastAction(incident) : lastTold(service!);
  const others = incident ? incident.members.filter((one) => !one.recovered).length + incident.more_members : 0;
  return (
    <article class={`trouble h-${state === 'recovering' ? 'heal' : state === 'quarantined' ? 'quar' : state === 'degraded' ? 'warn' : state === 'healthy' ? 'ok' : 'bad'}`}>
      <header>
        <Shape of={state} size={22} />
        <h2><a href={service ? to('service', service.full_name) : to('incident', incident!.id)}>{shortName(title)}</a></h2>
        <span class="word">{state}</span>
        {service?.overlays.map((one) => <Badge key={one} text={one} />)}
        <span class="since">since <At time={since} /> · <strong><For since={since} /></strong></span>
      </header>
      <dl>
        <dt>Why</dt><dd>{sentence(why) || 'Not known yet'}</dd>
        {others > 0 ? <><dt>Also</dt><dd>{plural(others, 'other')} failing because of it: {incident!.members.filter((one) => !one.recovered).slice(0, 4).map((one) => subjectName(one.subject)).join(', ')}{others > 4 ? ', …' : ''}</dd></> : null}
        <dt>Done</dt><dd>{did ? <>{sentence(did.text)}{did.result && did.result !== 'done' ? `: ${did.result}` : ''} <span class="when">at <At time={did.time} /></span></> : incident ? 'Nothing yet' : 'Not known'}</dd>
        <dt>Next</dt><dd>{service ? <Next service={service} /> : sentence(incident!.labels['next'] ?? 'It is told when it works again')}</dd>
      </dl>
      {incident ? <a class="detail" href={to('incident', incident.id)} aria-label={`What happened to ${title}`}>What happened</a> : null}
    </article>
  );
}

export const shortName = (name: string) => (name.endsWith('/1') && name.split('/').length === 3 ? name.slice(0, -2) : name);

export function Next({service}: {service: Service}) {
  return (
    <>{sentence(service.decision) || 'Nothing is to be done'}
      {service.next_attempt ? <> · <strong><In time={service.next_attempt} /></strong></> : null}</>
  );
}

function Search({found}: {found: number}) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        input.current?.focus();
      }
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, []);
  const overlays = ['maintenance', 'flapping'].map((name) =>
    [name, [...services.value.values()].filter((one) => one.overlays.includes(name)).length] as const);
  const chips = [...states.map((state) => [state, counts.value[state] ?? 0] as const), ...overlays]
    .filter(([name, count]) => count > 0 || name === only.value);
  return (
    <div class="search" role="search">
      <input ref={input} type="search" value={words.value} placeholder="Search services ( / )" aria-label="Search services"
        onInput={(event) => (words.value = event.currentTarget.value)} />
      <div class="chips" role="group" aria-label="Only one state">
        {chips.map(([name, count]) => (
          <button type="button" key={name} class="chip" aria-pressed={only.value === name}
            onClick={() => (only.value = only.value === name ? '' : name)}>
            <Shape of={name} size={13} />{name} <b>{count}</b>
          </button>
        ))}
      </div>
      <span class="sr" role="status">{words.value || only.value ? plural(found, 'service') : ''}</span>
      <Tabs label="Shown as" value={shape.value} options={[['list', 'List'], ['graph', 'Dependencies']]}
        onChange={(value) => (shape.value = value)} />
    </div>
  );
}

function List({groups: list}: {groups: Group[]}) {
  if (list.length === 0) return <Empty>{services.value.size === 0 ? 'No service yet.' : 'No service matches.'}</Empty>;
  const narrow = matchMedia('(max-width: 700px)').matches;
  const rows: Row[] = [];
  for (const group of list) {
    rows.push({key: `project ${group.project}`, height: 46, render: () => <Project group={group} />});
    for (const one of group.services) {
      rows.push({key: one.full_name, height: narrow ? 68 : 50, render: () => <ServiceRow key={one.full_name} service={one} />});
    }
  }
  return <LongList rows={rows} label="Services, the worst first" />;
}

function Project({group}: {group: Group}) {
  const bad = group.services.filter((one) => failing(one.state)).length;
  return (
    <div class="project">
      <h2>{group.project || 'Without a project'}</h2>
      <span>{plural(group.services.length, 'service')}{bad ? `, ${bad} failing` : ''}</span>
    </div>
  );
}

function ServiceRow({service}: {service: Service}) {
  const name = service.project ? shortName(service.full_name).slice(service.project.length + 1) : service.full_name;
  const fine = service.state === 'healthy';
  return (
    <a class={`row${fine ? '' : ' odd'}`} href={to('service', service.full_name)}>
      <Shape of={service.state} size={18} />
      <span class="name">{name}{service.target ? <Badge text="target" /> : null}
        {service.overlays.map((one) => <Badge key={one} text={one} kind={one === 'flapping' ? 'warn' : 'idle'} />)}</span>
      <span class="state"><b class={fine ? '' : 'strong'}>{service.state}</b> <For since={service.since} most={1} /></span>
      <span class="why">{fine ? '' : sentence(service.reason)}</span>
      <Sparkline service={service.full_name} />
    </a>
  );
}

