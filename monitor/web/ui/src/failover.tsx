import {ask, post} from './dialog';
import {At, Badge, Empty, For, Mark, Panel} from './parts';
import {failover, pools} from './store';
import type {Pool, Server} from './types';
import {plural, sentence} from './words';

export function FailoverView() {
  const {configured, up, reason, as_of} = failover.value;
  return (
    <div class="page">
      <header class="heading"><h1>Failover</h1></header>
      {!configured ? <Empty>This monitor knows of no failover on its host. <code>sentinel failover</code> spreads connections over servers that work.</Empty> : null}
      {configured && !up ? <p class="note b-warn" role="status">The failover does not answer{reason ? `: ${reason}` : ''}. Packets go on as it left them. {as_of ? <>What is shown is of <At time={as_of} />.</> : 'It was not heard of since this monitor began.'}</p> : null}
      {configured && up && pools.value.length === 0 ? <Empty>It has no pools.</Empty> : null}
      {pools.value.map((pool) => <PoolPanel key={pool.name} pool={pool} />)}
    </div>
  );
}

const POOL_WORDS: Record<Pool['state'], string> = {
  pending: 'not judged yet', up: 'all servers work', degraded: 'works, with fewer servers', backup: 'runs on its backup',
  'last-known': 'no server passes: the last ones stay in use', down: 'no server works',
};

function PoolPanel({pool}: {pool: Pool}) {
  const all = pool.servers.reduce((sum, one) => sum + one.slots, 0);
  const listens = pool.listen.map((one) => `${one.address?.includes(':') ? `[${one.address}]` : one.address ?? ''}${one.port ? `:${one.port}` : ''}${one.protocol === 'udp' ? '/udp' : ''}`);
  return (
    <Panel title={pool.name} label={`Pool ${pool.name}`} side={<><Mark state={pool.state} word={POOL_WORDS[pool.state]} /></>}>
      <p class="note">{listens.join(', ')}{pool.schedule ? ` · ${pool.schedule}` : ''} · {plural(pool.servers.filter((one) => one.in_use).length, 'server')} in use of {pool.servers.length}</p>
      <div class="wide-table">
        <table>
          <thead><tr><th scope="col">Server</th><th scope="col">State</th><th scope="col">Share of new connections</th><th scope="col" class="number">Connections</th><th scope="col"><span class="sr">Actions</span></th></tr></thead>
          <tbody>{pool.servers.map((one) => <ServerRow key={one.name} server={one} share={all > 0 && one.in_use ? one.slots / all : 0} />)}</tbody>
        </table>
      </div>
    </Panel>
  );
}

function ServerRow({server, share}: {server: Server; share: number}) {
  const draining = server.state === 'draining' || server.state === 'drained';
  return (
    <tr>
      <th scope="row">{server.name} {server.role === 'backup' ? <Badge text="backup" /> : null}{server.kept ? <Badge text="kept in use" kind="warn" /> : null}
        <small>{server.addresses.join(', ')}{server.port ? ` port ${server.port}` : ''}</small></th>
      <td data-label="State"><Mark state={server.state} /> {server.since ? <span class="when"><For since={server.since} most={1} /></span> : null}
        {server.reason && server.state !== 'up' ? <small>{sentence(server.reason)}</small> : null}
        {server.drain ? <Drain server={server} /> : null}</td>
      <td data-label="Share of new connections"><svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <rect class="track" width="100" height="8" /><rect class="fill" width={share * 100} height="8" /></svg>
        {(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %{server.share !== undefined && server.share < 1 ? <small>slow start, {Math.round(server.share * 100)} % of its weight</small> : null}</td>
      <td data-label="Connections" class="number">{server.flows ?? '–'}</td>
      <td>{draining
        ? <button type="button" aria-label={`Make ${server.name} ready`} onClick={() => ask({
            title: `Make ${server.name} ready?`, button: 'Ready', text: 'It gets new connections again, as soon as it passes its checks.',
            act: post('ready', () => ({pool: server.pool, server: server.name})), done: `${server.name} is ready.`,
          })}>Ready…</button>
        : <button type="button" aria-label={`Drain ${server.name}`} onClick={() => ask({
            title: `Drain ${server.name}?`, button: 'Drain', text: `It gets no new connections of ${server.pool}; those that are open go on.`,
            fields: [{name: 'for', label: 'For', options: [['', 'until it is made ready'], ['30m', '30 minutes'], ['2h', '2 hours'], ['1d', '1 day']]}],
            act: post('drain', (values) => ({pool: server.pool, server: server.name, ...(values['for'] ? {for: values['for']} : {})})),
            done: `${server.name} is being drained.`,
          })}>Drain…</button>}</td>
    </tr>
  );
}

function Drain({server}: {server: Server}) {
  const drain = server.drain!;
  return (
    <small>
      <strong>{server.flows === 0 || drain.finished ? 'No connection is left.' : server.flows == null ? 'Connections are being counted.' : `${plural(server.flows, 'connection')} left.`}</strong>
      {drain.by ? ` By ${drain.by}` : ''}{drain.since ? <> at <At time={drain.since} /></> : null}
      {drain.until ? <>, until <At time={drain.until} /></> : null}{drain.deadline ? <>; what is left is ended at <At time={drain.deadline} /></> : null}
    </small>
  );
}
