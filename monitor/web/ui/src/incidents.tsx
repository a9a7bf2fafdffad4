import {useState} from 'preact/hooks';
import {call, query} from './api';
import {ask, post} from './dialog';
import {lastAction, Next, shortName} from './overview';
import {At, Badge, Empty, For, Output, Panel, Shape, Shown, Tabs, to, useFetched} from './parts';
import {incidents, openIncidents, services} from './store';
import type {Incident} from './types';
import {duration, plural, seconds, sentence, subjectName} from './words';

type Which = 'open' | 'ended';

export function Incidents() {
  const [which, setWhich] = useState<Which>(openIncidents.value.length > 0 ? 'open' : 'ended');
  return (
    <div class="page">
      <header class="heading"><h1>Incidents</h1>
        <Tabs label="Which" value={which} options={[['open', `Open (${openIncidents.value.length})`], ['ended', 'Ended']]} onChange={setWhich} /></header>
      {which === 'open' ? <Open /> : <Ended />}
    </div>
  );
}

function Open() {
  if (openIncidents.value.length === 0) return <Empty>Nothing is wrong.</Empty>;
  return <ul class="incidents">{openIncidents.value.map((one) => <li key={one.id}><Item incident={one} /></li>)}</ul>;
}

interface Page { incidents: Incident[]; next: string | null }

function Ended() {
  const ended = [...incidents.value.values()].filter((one) => one.ended).length;
  const got = useFetched<Page>(`incidents${query({state: 'ended', limit: 50})}`, ended);
  const [more, setMore] = useState<Incident[]>([]);
  const [next, setNext] = useState<string | null | undefined>(undefined);
  const before = next === undefined ? got.data?.next : next;
  const fetchMore = async () => {
    const page = await call<Page>(`incidents${query({state: 'ended', limit: 50, before: before!})}`);
    setMore([...more, ...page.incidents]);
    setNext(page.next);
  };
  return (
    <Shown of={got}>{(data) => {
      const known = new Map([...data.incidents, ...more].map((one) => [one.id, one]));
      if (known.size === 0) return <Empty>There was none yet.</Empty>;
      return (
        <>
          <ul class="incidents">{[...known.values()].map((one) => <li key={one.id}><Item incident={one} /></li>)}</ul>
          {before ? <p class="more"><button type="button" onClick={() => void fetchMore()}>Earlier ones</button></p> : null}
        </>
      );
    }}</Shown>
  );
}

const word = (incident: Incident) =>
  (incident.ended ? 'healthy' : incident.severity === 'critical' ? 'unhealthy' : incident.severity === 'warning' ? 'degraded' : 'unknown');

function Item({incident}: {incident: Incident}) {
  return (
    <a class="incident" href={to('incident', incident.id)}>
      <Shape of={word(incident)} size={20} />
      <span class="name">{subjectName(incident.subject)} {incident.flapping ? <Badge text="flapping" kind="warn" /> : null}
        {incident.members.length > 0 ? <Badge text={`and ${plural(incident.members.length + incident.more_members, 'other')}`} /> : null}</span>
      <span class="why">{sentence(incident.ended ? incident.end_text || incident.text : incident.text)}</span>
      <span class="when"><At time={incident.began} /> · {incident.ended ? `lasted ${duration(seconds(incident.ended) - seconds(incident.began))}` : <>for <For since={incident.began} /></>}</span>
    </a>
  );
}

export function IncidentPage({id}: {id: string}) {
  const live = incidents.value.get(id);
  const got = useFetched<Incident>(live ? null : `incidents/${encodeURIComponent(id)}`);
  const incident = live ?? got.data;
  if (!incident) return <div class="page"><h1>Incident</h1><Shown of={got} empty="There is no such incident.">{() => null}</Shown></div>;
  const service = incident.service ? services.value.get(incident.service) : undefined;
  const did = lastAction(incident);
  const state = service && !incident.ended ? service.state : word(incident);
  return (
    <div class="page">
      <nav class="crumbs" aria-label="Where this is"><a href="#incidents">Incidents</a></nav>
      <section class={`head h-${incident.ended ? 'ok' : incident.severity === 'critical' ? 'bad' : 'warn'}`} aria-label="In short">
        <div class="title">
          <Shape of={state} size={30} />
          <h1>{subjectName(incident.subject)}</h1>
          <span class="word">{incident.ended ? 'ended' : state}</span>
          <Badge text={incident.severity} kind={incident.severity === 'critical' ? 'bad' : 'warn'} />
          {incident.flapping ? <Badge text="flapping" kind="warn" /> : null}
          <span class="since">{incident.ended
            ? <><At time={incident.began} /> to <At time={incident.ended} /> · <strong>{duration(seconds(incident.ended) - seconds(incident.began))}</strong></>
            : <>since <At time={incident.began} /> · <strong><For since={incident.began} /></strong></>}</span>
        </div>
        <dl>
          <dt>Why</dt><dd>{sentence(incident.text)}</dd>
          <dt>Done</dt><dd>{did ? <>{sentence(did.text)}{did.result && did.result !== 'done' ? `: ${did.result}` : ''} <span class="when">at <At time={did.time} /></span></> : 'Nothing'}</dd>
          {incident.ended ? <><dt>End</dt><dd>{sentence(incident.end_text)}</dd></>
            : <><dt>Next</dt><dd>{service ? <Next service={service} /> : 'It is told when it works again'}</dd></>}
          {incident.merged_into ? <><dt>Part of</dt><dd><a href={to('incident', incident.merged_into)}>the incident of its cause</a></dd></> : null}
        </dl>
      </section>
      <div class="actions" role="group" aria-label="Actions">
        {incident.service ? <a class="button" href={to('service', incident.service)}>{shortName(incident.service)}</a> : null}
        {incident.ended ? null : <button type="button" onClick={() => silence(incident)}>Silence…</button>}
      </div>
      <div class="columns">
        <div>
          <Panel title="What happened">
            <ol class="entries">
              {incident.lines.map((line, i) => (
                <li key={i}><span class="when"><At time={line.time} /></span><Shape of={line.result ? 'recovering' : ''} size={13} />
                  <span>{sentence(line.text)}{line.result ? <> <Badge text={line.result} kind={line.result === 'failed' ? 'bad' : line.result === 'healthy' ? 'ok' : 'idle'} /></> : null}</span></li>
              ))}
            </ol>
          </Panel>
          {incident.health_output ? <Panel title="What its health check said"><Output text={incident.health_output} label="Output of the health check" /></Panel> : null}
          {incident.log_tail ? <Panel title="Last lines of the container"><Output text={incident.log_tail} label="Lines the container wrote" /></Panel> : null}
        </div>
        <div>
          {incident.members.length > 0 ? (
            <Panel title="Failing because of it">
              <ul class="names">
                {incident.members.slice(0, 100).map((one) => (
                  <li key={one.subject}><Shape of={one.recovered ? 'healthy' : 'unhealthy'} size={13} />
                    {one.subject.startsWith('service:') ? <a href={to('service', one.subject.slice(8))}>{subjectName(one.subject)}</a> : subjectName(one.subject)}
                    <span class="when">{one.recovered ? <>works again since <At time={one.recovered} /></> : <>since <At time={one.joined} /></>}</span></li>
                ))}
              </ul>
              {incident.more_members + Math.max(0, incident.members.length - 100) > 0
                ? <p class="note">and {incident.more_members + Math.max(0, incident.members.length - 100)} more</p> : null}
            </Panel>
          ) : null}
          <Panel title="Who was told">
            {incident.told.length === 0 ? <Empty>Nobody yet.</Empty> : (
              <ul class="names">{incident.told.map((one) => <li key={one.receiver}><Shape of={one.ended ? 'healthy' : 'unhealthy'} size={13} />{one.receiver}
                <span class="when">of its {one.ended ? 'end' : 'beginning'}, <At time={one.time} /></span></li>)}</ul>
            )}
          </Panel>
          <Panel title="Labels">
            <dl class="facts">{Object.entries(incident.labels).map(([key, value]) => <div key={key}><dt>{key}</dt><dd>{value}</dd></div>)}
              <div><dt>id</dt><dd><code>{incident.id}</code></dd></div></dl>
          </Panel>
        </div>
      </div>
    </div>
  );
}

function silence(incident: Incident) {
  const match = ['kind', 'project', 'pool', 'service', 'server', 'replica'].flatMap((label) =>
    (incident.labels[label] ? [{label, op: 'equal', value: incident.labels[label]}] : []));
  ask({
    title: `Silence ${subjectName(incident.subject)}?`, button: 'Silence',
    text: 'Nobody is told of it meanwhile. Sentinel goes on watching and healing it.',
    fields: [{name: 'for', label: 'For', options: [['1h', '1 hour'], ['4h', '4 hours'], ['1d', '1 day'], ['7d', '7 days']]},
      {name: 'comment', label: 'Comment'}],
    act: post('silences', (values) => ({match, for: values['for'], by: 'dashboard', comment: values['comment']})),
    done: 'It is silenced.',
  });
}
