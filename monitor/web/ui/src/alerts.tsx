import {useState} from 'preact/hooks';
import {call} from './api';
import {ask, post} from './dialog';
import {At, Badge, Empty, For, Panel, Shape, Shown, to, useFetched} from './parts';
import {receivers, services, silences} from './store';
import type {Delivery, Matcher, Receiver, Silence} from './types';
import {duration, plural, seconds, sentence} from './words';
import {now} from './store';
import {shortName} from './overview';

export function Alerts() {
  const pending = receivers.value.map((one) => `${one.name} ${one.pending} ${one.dead}`).join();
  return (
    <div class="page">
      <header class="heading"><h1>Alerts and silences</h1></header>
      <Receivers />
      <Deliveries changed={pending} />
      <Silences />
      <Maintenance />
    </div>
  );
}

function Receivers() {
  return (
    <Panel title="Who is told">
      {receivers.value.length === 0 ? <Empty>No receiver is configured: nobody is told when something fails. See <code>alerts:</code> in the file.</Empty> : (
        <ul class="receivers">{receivers.value.map((one) => <li key={one.name}><ReceiverCard one={one} /></li>)}</ul>
      )}
    </Panel>
  );
}

function ReceiverCard({one}: {one: Receiver}) {
  const state = one.dead > 0 || one.last_error ? (one.last_accepted && !one.dead ? 'degraded' : 'unhealthy') : one.last_accepted ? 'healthy' : 'unknown';
  return (
    <div class="receiver">
      <Shape of={state} size={20} />
      <div>
        <b>{one.name}</b> {one.type ? <Badge text={one.type} /> : null}
        <p>{one.last_error ? `The latest attempt failed: ${one.last_error}` : one.last_accepted ? <>Accepted a message at <At time={one.last_accepted} /></> : 'Nothing was sent yet'}</p>
        <p class="when">{one.pending > 0 ? <>{plural(one.pending, 'message')} on the way{one.oldest_pending ? <>, the oldest for <For since={one.oldest_pending} /></> : null}. </> : null}
          {one.dead > 0 ? <strong>{plural(one.dead, 'message')} given up. </strong> : null}
          {one.held_for_digest > 0 ? `${one.held_for_digest} held for a digest: too many at once. ` : null}</p>
      </div>
      <button type="button" aria-label={`Send a test to ${one.name}`} onClick={() => ask({
        title: `Send a test to ${one.name}?`, button: 'Send', text: 'One message, marked as a test.',
        act: post('alerts/test', () => ({receiver: one.name})), done: `A test is on its way to ${one.name}.`,
      })}>Test…</button>
    </div>
  );
}

function Deliveries({changed}: {changed: string}) {
  const [turn, setTurn] = useState(0);
  const got = useFetched<{deliveries: Delivery[]; more?: number}>('alerts', `${changed} ${turn}`);
  const after = <T,>(value: T) => {
    setTurn((old) => old + 1);
    return value;
  };
  return (
    <Panel title="Messages on the way or given up">
      <Shown of={got}>{(data) => data.deliveries.length === 0 ? <Empty>None: everything was delivered.</Empty> : (
        <ul class="deliveries">
          {data.deliveries.map((one) => (
            <li key={one.id}>
              <Shape of={one.dead ? 'failed' : 'pending'} size={16} />
              <span><b>{one.receiver}</b> <Badge text={one.kind} /> {sentence(one.text)}
                <small>{one.dead ? <>given up at <At time={one.dead} /> after {plural(one.attempts, 'attempt')}</> : <>{plural(one.attempts, 'attempt')} since <At time={one.created} /></>}{one.error ? `: ${one.error}` : ''}</small></span>
              {one.dead ? (
                <span class="actions">
                  <button type="button" aria-label={`Retry message ${one.id} to ${one.receiver}`} onClick={() => ask({
                    title: 'Try this message again?', button: 'Try', text: `${one.receiver}: ${one.text}`,
                    act: async (values) => after(await post(`alerts/deliveries/${one.id}/retry`)(values)), done: 'It is tried again.',
                  })}>Retry…</button>
                  <button type="button" aria-label={`Drop message ${one.id} to ${one.receiver}`} onClick={() => ask({
                    title: 'Drop this message?', danger: true, button: 'Drop', text: `${one.receiver} will never get: ${one.text}`,
                    act: async () => after(await call(`alerts/deliveries/${one.id}`, {method: 'DELETE'})), done: 'It is dropped.',
                  })}>Drop…</button>
                </span>
              ) : null}
            </li>
          ))}
          {data.more ? <li>and {data.more} more</li> : null}
        </ul>
      )}</Shown>
    </Panel>
  );
}

const OPS: Record<Matcher['op'], string> = {equal: 'is', not_equal: 'is not', like: 'is like', not_like: 'is not like'};

function Silences() {
  const wanted = /^#alerts\/silence\/([^/]*)\/(.*)$/.exec(location.hash);
  const add = (project = '', service = '') => ask({
    title: 'Silence', button: 'Silence', text: 'Nobody is told of what matches. Sentinel goes on watching and healing it.',
    fields: [
      {name: 'project', label: 'Project', value: project, hint: '* any characters, ? one; empty: all'},
      {name: 'service', label: 'Service', value: service, hint: '* any characters, ? one; empty: all'},
      {name: 'for', label: 'For', options: [['1h', '1 hour'], ['4h', '4 hours'], ['1d', '1 day'], ['7d', '7 days']]},
      {name: 'comment', label: 'Comment'},
    ],
    act: async (values) => {
      const match: Matcher[] = ['project', 'service'].flatMap((label): Matcher[] => {
        const value = values[label];
        return value ? [{label, op: /[*?]/.test(value) ? 'like' : 'equal', value}] : [];
      });
      if (match.length === 0) throw new Error('Name a project or a service.');
      await call('silences', {method: 'POST', body: {match, for: values['for'], by: 'dashboard', comment: values['comment'] ?? ''}});
    },
    done: 'It is silenced.',
  });
  return (
    <Panel title="Silences" side={<button type="button" onClick={() => add(decodeURI(wanted?.[1] ?? ''), decodeURI(wanted?.[2] ?? ''))}>
      {wanted ? `Silence ${decodeURI(wanted[2]!)}…` : 'New…'}</button>}>
      {silences.value.length === 0 ? <Empty>Nothing is silenced.</Empty> : (
        <ul class="deliveries">{silences.value.map((one) => <SilenceRow key={one.id} one={one} />)}</ul>
      )}
    </Panel>
  );
}

function SilenceRow({one}: {one: Silence}) {
  const left = seconds(one.ends) - now.value;
  const waits = seconds(one.begins) > now.value;
  return (
    <li>
      <Shape of="" size={16} />
      <span>{one.match.map((matcher, i) => <span key={i}>{i > 0 ? ' and ' : ''}{matcher.label} {OPS[matcher.op]} <b>{matcher.value || '(empty)'}</b></span>)}
        <small>{waits ? <>from <At time={one.begins} /> </> : null}until <At time={one.ends} />{left > 0 ? ` (${duration(left)} left)` : ''}{one.by ? `, by ${one.by}` : ''}{one.comment ? `: ${one.comment}` : ''}</small></span>
      <button type="button" aria-label={`End the silence ${one.comment || one.id}`} onClick={() => ask({
        title: 'End this silence?', button: 'End it', text: 'People are told again.',
        act: () => call(`silences/${encodeURIComponent(one.id)}`, {method: 'DELETE'}), done: 'The silence has ended.',
      })}>End…</button>
    </li>
  );
}

function Maintenance() {
  const list = [...services.value.values()].filter((one) => one.overlays.includes('maintenance'));
  return (
    <Panel title="In maintenance">
      {list.length === 0 ? <Empty>No service is in maintenance.</Empty> : (
        <ul class="names">{list.map((one) => <li key={one.full_name}><Shape of={one.state} size={13} /><a href={to('service', one.full_name)}>{shortName(one.full_name)}</a> <span class="when">{one.maintenance}{one.maintenance_until ? <>, until <At time={one.maintenance_until} /></> : null}</span></li>)}</ul>
      )}
    </Panel>
  );
}
