import type {ComponentChildren} from 'preact';
import {query} from './api';
import {Badge, Empty, Mark, Panel, Shown, useFetched} from './parts';
import {Entries} from './service';
import {engines, now, recent, status} from './store';
import type {Engine, HistoryEntry, Status} from './types';
import {bytes, duration, plural} from './words';

export function SentinelView() {
  const got = useFetched<Status>('status', Math.floor(now.value / 15));
  const history = useFetched<{history: HistoryEntry[]}>(`history${query({limit: 40})}`);
  const all = new Map([...(history.data?.history ?? []), ...recent.value].map((one) => [one.sequence, one]));
  const list = [...all.values()].sort((a, b) => b.sequence - a.sequence).slice(0, 60);
  return (
    <div class="page">
      <header class="heading"><h1>Engines and Sentinel itself</h1></header>
      <div class="columns">
        <div>
          {engines.value.length === 0 ? <Panel title="Engine"><Empty>No Engine is watched, only targets of the file.</Empty></Panel>
            : engines.value.map((one) => <EnginePanel key={one.name} one={one} />)}
          <Own status={got.data ?? status.value} />
        </div>
        <Panel title="Lately">
          {list.length === 0 ? <Shown of={history}>{() => <Empty>Nothing happened yet.</Empty>}</Shown> : <Entries list={list} names />}
        </Panel>
      </div>
    </div>
  );
}

function Facts({list}: {list: [string, ComponentChildren][]}) {
  return <dl class="facts">{list.map(([key, value]) => (value === undefined || value === null || value === '' ? null
    : <div key={key}><dt>{key}</dt><dd>{value}</dd></div>))}</dl>;
}

function EnginePanel({one}: {one: Engine}) {
  return (
    <Panel title={`Engine ${one.name}`} side={<Mark state={one.up ? 'up' : 'down'} word={one.up ? 'answers' : 'does not answer'} />}>
      {one.up ? null : <p class="note b-bad">{one.reason || 'Nothing is known of its containers.'}</p>}
      {one.storm_hold ? <p class="note b-warn">Many services fail at once: healing waits a moment.</p> : null}
      {one.blind ? <p class="note b-warn">Our own network or resolver seems to fail: nothing is judged until it is back.</p> : null}
      <Facts list={[
        ['Endpoint', <code>{one.endpoint}</code>], ['Version', one.version ? `${one.version}, API ${one.api_version}` : ''],
        ['Services', one.services], ['Healing now', `${one.in_flight} of at most ${one.max_concurrent} at once`],
        ['List', one.synchronised ? 'worked through' : 'being worked through'],
      ]} />
    </Panel>
  );
}

function Own({status: one}: {status: Status | null}) {
  if (!one) return null;
  return (
    <Panel title="Sentinel" side={<Badge text={one.version} />}>
      {one.store.durable === false ? <p class="note b-bad">What is decided cannot be kept: {one.store.reason || 'the disk does not take it'}.</p> : null}
      {one.config.ok === false ? <p class="note b-bad">The file could not be loaded; the settings before it are in force.</p> : null}
      {one.journal?.durable === false ? <p class="note b-warn">The history is kept in memory only at the moment.</p> : null}
      <Facts list={[
        ['Runs for', duration(one.uptime_seconds)], ['Revision', one.revision ? <code>{one.revision.slice(0, 12)}</code> : ''],
        ['File', one.config.file ? <code>{one.config.file}</code> : 'none'],
        ['Targets', one.targets], ['Changes over the network', one.changes === 'token' ? 'with the token' : one.changes === 'off' ? 'off: no token is configured' : ''],
        ['Memory', one.process?.resident_bytes ? bytes(one.process.resident_bytes) : ''],
        ['Processor', one.process?.cpu_seconds !== undefined ? duration(one.process.cpu_seconds) : ''],
        ['Open files', one.process?.open_files],
        ['History', one.journal?.bytes ? `${bytes(one.journal.bytes)}${one.journal.lost ? `, ${plural(one.journal.lost, 'entry', 'entries')} lost` : ''}` : ''],
        ['Pages like this one', one.sse_clients],
        ['More', <><a href="metrics">Metrics</a> · <a href="api/v1/status">Status as JSON</a></>],
      ]} />
    </Panel>
  );
}
