import {useState} from 'preact/hooks';
import {call, query, segment} from './api';
import {LatencyPanel, States} from './charts';
import {ask, post} from './dialog';
import {lastAction, lastTold, Next, shortName} from './overview';
import {At, Badge, Empty, For, Mark, Output, Panel, Shape, Shown, to, useFetched} from './parts';
import {can, incidents, recent, services} from './store';
import type {Availability, HistoryEntry, Incident, Probe, Service, ServiceDetail} from './types';
import {duration, failing, milliseconds, percent, plural, sentence, tone} from './words';

export function ServicePage({name}: {name: string}) {
  const live = services.value.get(name);
  // Anew whenever something is told of it.
  const got = useFetched<ServiceDetail>(`services/${segment(name)}`, live);
  const service = live ?? got.data;
  if (!service) {
    return (
      <div class="page">
        <h1>{shortName(name)}</h1>
        <Shown of={got} empty="There is no such service.">{() => null}</Shown>
        <p><a href="#">All services</a></p>
      </div>
    );
  }
  const detail = got.data;
  return (
    <div class="page">
      <nav class="crumbs" aria-label="Where this is"><a href="#">Overview</a> / {service.project || 'without a project'}</nav>
      <Head service={service} />
      <Actions service={service} />
      <Uptime service={service} />
      <div class="columns">
        <div>
          <States service={service.full_name} changed={`${service.state} ${service.since}`} />
          <LatencyPanel service={service.full_name} />
          <Probes list={detail?.probes ?? []} />
          <HealthOutput detail={detail} />
          <Tail service={service} />
        </div>
        <div>
          <Decisions service={service} />
          <Needs service={service} />
          <Facts service={service} detail={detail} />
        </div>
      </div>
    </div>
  );
}

function Head({service}: {service: Service}) {
  const incident = service.incident ? incidents.value.get(service.incident) : undefined;
  const fine = service.state === 'healthy';
  const did = incident ? lastAction(incident) : fine ? undefined : lastTold(service);
  return (
    <section class={`head h-${tone(service.state)}`} aria-label="Now">
      <div class="title">
        <Shape of={service.state} size={30} />
        <h1>{shortName(service.full_name)}</h1>
        <span class="word">{service.state}</span>
        {service.overlays.map((one) => <Badge key={one} text={one} kind={one === 'flapping' ? 'warn' : 'idle'} />)}
        <span class="since">since <At time={service.since} /> · <strong><For since={service.since} /></strong></span>
      </div>
      <dl>
        <dt>{fine ? 'Now' : 'Why'}</dt><dd>{sentence(service.reason) || (fine ? 'All checks pass' : 'Not known yet')}</dd>
        {did ? <><dt>Done</dt><dd>{sentence(did.text)}{did.result && did.result !== 'done' ? `: ${did.result}` : ''} <span class="when">at <At time={did.time} /></span></dd></> : null}
        <dt>Next</dt><dd><Next service={service} /></dd>
        {service.maintenance ? <><dt>Maintenance</dt><dd>{sentence(service.maintenance)}{service.maintenance_until ? <>, until <At time={service.maintenance_until} /></> : null}</dd></> : null}
        {service.incident ? <><dt>Incident</dt><dd><a href={to('incident', service.incident)}>What happened</a></dd></> : null}
      </dl>
    </section>
  );
}

function Actions({service}: {service: Service}) {
  const name = service.full_name, shown = shortName(name);
  const path = `services/${segment(name)}`;
  const reason = {name: 'reason', label: 'Reason (for the history)'};
  const withReason = (values: Record<string, string>) => ({by: 'dashboard', ...(values['reason'] ? {reason: values['reason']} : {})});
  const kept = service.overlays.includes('maintenance');
  return (
    <div class="actions" role="group" aria-label="Actions">
      {service.target || !can('restart') ? null : (
        <button type="button" onClick={() => ask({
          title: `Restart ${shown}?`, danger: true, button: 'Restart', fields: [reason],
          text: `Its container is stopped and started once, now. It counts as one of the restarts of its budget${service.budget_remaining === undefined ? '' : ` (${service.budget_remaining} left)`} and is verified like any other.`,
          act: post(`${path}/restart`, withReason), done: `${shown} will be restarted.`,
        })}>Restart…</button>
      )}
      {service.state === 'quarantined' && can('release') ? (
        <button type="button" onClick={() => ask({
          title: `Release ${shown} from quarantine?`, button: 'Release', fields: [reason],
          text: 'Sentinel heals it again, with its whole budget.',
          act: post(`${path}/release`, withReason), done: `${shown} is released.`,
        })}>Release from quarantine…</button>
      ) : null}
      {kept ? (
        <button type="button" onClick={() => ask({
          title: `End the maintenance of ${shown}?`, button: 'End it', text: 'It is healed and told of again.',
          act: post('maintenance', () => ({service: name, end: true})), done: `The maintenance of ${shown} has ended.`,
        })}>End maintenance…</button>
      ) : (
        <button type="button" onClick={() => ask({
          title: `Maintenance of ${shown}`, button: 'Begin',
          text: 'Sentinel goes on watching it, and neither heals it nor tells anybody.',
          fields: [{name: 'for', label: 'For', options: [['30m', '30 minutes'], ['2h', '2 hours'], ['8h', '8 hours'], ['1d', '1 day'], ['7d', '7 days']]}],
          act: post('maintenance', (values) => ({service: name, for: values['for']})), done: `${shown} is in maintenance.`,
        })}>Maintenance…</button>
      )}
      <a class="button" href={to('alerts', `silence/${service.project}/${service.service}`)}>Silence…</a>
    </div>
  );
}

const WINDOW_WORDS: Record<number, string> = {86400: '24 hours', 604800: '7 days', 2592000: '30 days', 7776000: '90 days'};

function Uptime({service}: {service: Service}) {
  const got = useFetched<{windows: Availability[]}>(`services/${segment(service.full_name)}/availability`, `${service.state} ${service.since}`);
  if (!got.data) return <div class="tiles" aria-busy={got.loading}>{got.problem ? <Empty>{got.problem}</Empty> : null}</div>;
  return (
    <ul class="tiles" aria-label="How much of the time it worked">
      {got.data.windows.map((one) => (
        <li key={one.window_seconds} class="tile">
          <span>{WINDOW_WORDS[one.window_seconds] ?? duration(one.window_seconds)}</span>
          <b>{percent(one.availability)}</b>
          <small>{plural(one.outages, 'outage')}{one.mean_outage_seconds === null ? '' : `, ${duration(one.mean_outage_seconds)} each`} · {plural(one.restarts, 'restart')}</small>
        </li>
      ))}
    </ul>
  );
}

const PHASES = ['resolve', 'connect', 'tls', 'processing', 'transfer'];

function Probes({list}: {list: Probe[]}) {
  if (list.length === 0) return null;
  return (
    <Panel title="Probes">
      <ul class="probes">
        {list.map((probe) => {
          const phases = PHASES.filter((name) => (probe.phases?.[name] ?? 0) > 0).map((name) => [name, probe.phases![name]!] as const);
          const all = phases.reduce((sum, [, value]) => sum + value, 0);
          let x = 0;
          return (
            <li key={probe.name}>
              <div class="line"><Mark state={probe.result} /> <b>{probe.name}</b> <code>{probe.url}</code>
                <span class="when">{probe.last ? <><At time={probe.last} />, {duration(probe.took_seconds)}</> : 'has not run yet'}</span></div>
              {probe.text ? <p>{sentence(probe.text)}</p> : null}
              {all > 0 ? (
                <>
                  <svg class="phases" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
                    {phases.map(([name, value]) => {
                      const width = (value / all) * 100;
                      x += width;
                      return <rect key={name} class={`p-${name}`} x={x - width} width={Math.max(width - 0.4, 0.4)} height="6" />;
                    })}
                  </svg>
                  <p class="legend">{phases.map(([name, value]) => <span key={name}><i class={`p-${name}`} aria-hidden="true" />{name} {milliseconds(value * 1000)}</span>)}</p>
                </>
              ) : null}
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

function HealthOutput({detail}: {detail: ServiceDetail | null}) {
  const engine = detail?.engine;
  if (!engine?.health_output) return null;
  return (
    <Panel title="What its health check said" side={<span class="when">{engine.health}{engine.failing_streak ? `, failed ${engine.failing_streak} times in a row` : ''}</span>}>
      <Output text={engine.health_output} label="Output of the health check" />
    </Panel>
  );
}

/** Lines at the time of the latest failure, and those of now for whoever has the token. */
function Tail({service}: {service: Service}) {
  const got = useFetched<{incidents: Incident[]}>(`incidents${query({service: service.full_name, limit: 1})}`, service.incident);
  const [now, setNow] = useState<string | null>(null);
  const incident = got.data?.incidents[0];
  if (service.target) return null;
  const show = () => ask({
    title: `Logs of ${shortName(service.full_name)}`, button: 'Show', text: 'The last lines its container wrote. They may hold secrets, so they need the token.',
    act: async () => setNow((await call<{text: string}>(`logs${query({service: service.full_name, lines: 200})}`, {auth: true})).text),
  });
  return (
    <Panel title="Container log" side={can('logs') ? <button type="button" onClick={show}>{now === null ? 'Show now…' : 'Again…'}</button> : null}>
      {now !== null ? <Output text={now || '(nothing)'} label="Last lines of the container" /> : null}
      {incident?.log_tail ? (
        <>
          <p class="note">When it failed last, at <At time={incident.began} />:</p>
          <Output text={incident.log_tail} label="Last lines of the container when it failed" />
        </>
      ) : now === null ? <Empty>No lines were kept: it has not failed.</Empty> : null}
    </Panel>
  );
}


export function Decisions({service}: {service: Service}) {
  const name = service.full_name;
  const got = useFetched<{history: HistoryEntry[]; more: boolean}>(`history${query({service: name, limit: 30})}`);
  const [before, setBefore] = useState<{list: HistoryEntry[]; more: boolean}>({list: [], more: true});
  const known = new Map<number, HistoryEntry>();
  for (const one of [...before.list, ...(got.data?.history ?? []), ...recent.value.filter((entry) => entry.service === name)]) known.set(one.sequence, one);
  const list = [...known.values()].sort((a, b) => b.sequence - a.sequence);
  const more = (before.list.length > 0 ? before.more : got.data?.more) ?? false;
  const fetchMore = async () => {
    const page = await call<{history: HistoryEntry[]; more: boolean}>(`history${query({service: name, limit: 50, before: list.at(-1)!.sequence})}`);
    setBefore((old) => ({list: [...page.history, ...old.list], more: page.more}));
  };
  return (
    <Panel title="What was decided, and why">
      {list.length === 0 ? <Shown of={got}>{() => <Empty>Nothing was decided yet.</Empty>}</Shown> : <Entries list={list} />}
      {more && list.length > 0 ? <p class="more"><button type="button" class="link" onClick={() => void fetchMore()}>Earlier</button></p> : null}
    </Panel>
  );
}

export function Entries({list, names}: {list: HistoryEntry[]; names?: boolean}) {
  return (
    <ol class="entries">
      {list.map((one) => (
        <li key={one.sequence} class={`k-${one.kind}`}>
          <span class="when"><At time={one.time} /></span>
          <Shape of={one.kind === 'transition' ? one.to ?? '' : one.kind === 'action' || one.kind === 'restart' ? 'recovering' : ''} size={13} />
          <span>{sentence(one.text)}
            {names && one.service ? <> · <a href={to('service', one.service)}>{shortName(one.service)}</a></> : null}
            {one.incident && !names ? <> · <a href={to('incident', one.incident)} aria-label={`Incident of ${one.text}`}>incident</a></> : null}</span>
        </li>
      ))}
    </ol>
  );
}

function Needs({service}: {service: Service}) {
  const needs = service.depends_on ?? [];
  const needed = [...services.value.values()].filter((one) => one.depends_on?.includes(service.full_name));
  if (needs.length === 0 && needed.length === 0) return null;
  const list = (names: string[]) => (
    <ul class="names">
      {names.slice(0, 30).map((name) => {
        const other = services.value.get(name);
        return <li key={name}><Shape of={other?.state ?? ''} size={13} /><a href={to('service', name)}>{shortName(name)}</a>
          {other && failing(other.state) ? <b> {other.state}</b> : <span class="sr"> {other?.state ?? 'not known'}</span>}</li>;
      })}
      {names.length > 30 ? <li>and {names.length - 30} more</li> : null}
    </ul>
  );
  return (
    <Panel title="Dependencies">
      {needs.length > 0 ? <><h3>It needs</h3>{list(needs)}</> : null}
      {needed.length > 0 ? <><h3>It is needed by</h3>{list(needed.map((one) => one.full_name))}</> : null}
    </Panel>
  );
}

function Facts({service, detail}: {service: Service; detail: ServiceDetail | null}) {
  const facts: [string, string | number | undefined][] = [
    ['Container', service.container_name], ['Image', service.image], ['Id', service.container?.slice(0, 12)],
    ['Runs', detail?.engine?.run], ['Address', detail?.engine?.address],
    ['Exit status', detail?.engine?.run === 'exited' ? detail.engine.exit_code : undefined],
    ['Out of memory', detail?.engine?.oom_killed ? 'yes' : undefined],
    ['Restarts left', service.budget_remaining], ['Starts seen', service.restarts],
  ];
  const settings = Object.entries(detail?.settings ?? {}).filter(([, value]) => value !== null);
  return (
    <Panel title="Facts">
      <dl class="facts">
        {facts.map(([key, value]) => (value === undefined || value === '' ? null : <div key={key}><dt>{key}</dt><dd>{String(value)}</dd></div>))}
      </dl>
      {settings.length > 0 ? (
        <details><summary>Settings</summary>
          <dl class="facts">{settings.map(([key, value]) => <div key={key}><dt><code>{key}</code></dt><dd>{String(value)}</dd></div>)}</dl>
        </details>
      ) : null}
    </Panel>
  );
}
