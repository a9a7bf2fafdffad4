// The public page: names and states of chosen services, nothing else. It asks every 15 s and takes no actions.

import type {ComponentChildren} from 'preact';
import {useEffect, useState} from 'preact/hooks';
import {call, Problem} from './api';
import {Empty, Shape} from './parts';
import type {PublicState, StatusPageData} from './types';
import {clock, duration, fullClock, percent, publicWords, seconds} from './words';

const EVERY = 15_000;
const WORDS: Record<PublicState, string> = {
  up: 'Everything works', degraded: 'Some services are impaired', down: 'Some services are down',
  maintenance: 'Work is being done', unknown: 'The state is not known',
};
const SHAPE: Record<PublicState, string> = {up: 'up', degraded: 'warn', down: 'down', maintenance: 'recovering', unknown: ''};
const TONE: Record<PublicState, string> = {up: 'ok', degraded: 'warn', down: 'bad', maintenance: 'heal', unknown: 'idle'};

export function StatusPage({theme}: {theme: ComponentChildren}) {
  const [data, setData] = useState<StatusPageData | null>(null);
  const [problem, setProblem] = useState('');
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    let timer = 0;
    let on = true;
    const look = async () => {
      try {
        const answer = await call<StatusPageData>('status-page');
        if (!on) return;
        setData(answer);
        setProblem('');
        setAsked(Date.now());
        document.title = `${WORDS[answer.state]} · ${answer.title}`;
      } catch (error) {
        if (on) setProblem(error instanceof Problem && error.status === 404 ? 'There is no public page here.' : 'Connection lost, trying again.');
      }
      if (on) timer = setTimeout(() => void look(), EVERY);
    };
    void look();
    return () => {
      on = false;
      clearTimeout(timer);
    };
  }, []);
  return (
    <>
      <header class="top"><span class="brand"><span>{data?.title ?? 'Status'}</span></span><div class="tools">{theme}</div></header>
      {problem && data ? <div class="lost" role="alert">{problem} What you see was true at {clock(asked / 1000)}.</div> : null}
      <main id="main" class={problem && data ? 'stale' : ''}>
        <div class="page public">
          {data ? <Shown data={data} at={asked / 1000} /> : <><h1>Status</h1><p class="empty" role="status">{problem || 'Loading…'}</p></>}
        </div>
      </main>
    </>
  );
}

function Shown({data, at}: {data: StatusPageData; at: number}) {
  return (
    <>
      <section class={`headline h-${TONE[data.state]}`} aria-label="In short">
        <Shape of={SHAPE[data.state]} size={34} />
        <div><h1>{WORDS[data.state]}</h1><p>At {clock(at)}; this page looks again every 15 s.</p></div>
      </section>
      <section class="panel" aria-label="Services">
        <header><h2>Services</h2><span class="when">of the last 90 days</span></header>
        {data.services.length === 0 ? <Empty>None was chosen.</Empty> : (
          <ul class="public-list">
            {data.services.map((one) => (
              <li key={one.name}>
                <div class="line"><Shape of={SHAPE[one.state]} /><b>{one.name}</b>
                  <span class={`word t-${TONE[one.state]}`}>{publicWords[one.state]}</span>
                  <span class="when">{percent(one.availability)}</span></div>
                {one.days?.length ? <Days days={one.days} /> : null}
              </li>
            ))}
          </ul>
        )}
      </section>
      <section class="panel" aria-label="Lately">
        <header><h2>Lately</h2></header>
        {data.incidents.length === 0 ? <Empty>Nothing happened in the last 14 days.</Empty> : (
          <ul class="names">
            {data.incidents.map((one) => (
              <li key={`${one.began} ${one.services.join()}`}><Shape of={one.ended ? 'up' : 'down'} size={13} /><b>{one.services.join(', ')}</b>
                <span class="when"><time dateTime={one.began} title={fullClock(one.began)}>{clock(one.began)}</time>
                  {one.ended ? `, for ${duration(seconds(one.ended) - seconds(one.began))}` : ', not over yet'}</span></li>
            ))}
          </ul>
        )}
      </section>
    </>
  );
}

/** One bar for each day: the lower, the worse; missing where nothing is known. */
function Days({days}: {days: (number | null)[]}) {
  const bad = days.filter((one) => one !== null && one < 0.999).length;
  return (
    <svg class="days" viewBox={`0 0 ${days.length * 4} 24`} preserveAspectRatio="none" role="img" aria-label={`${bad} of ${days.length} days with outages`}>
      {days.map((one, i) => {
        const height = one === null ? 2 : one >= 0.999 ? 24 : Math.max(6, 20 - (1 - one) * 60);
        return <rect key={i} class={one === null ? 'f-idle' : one >= 0.999 ? 'f-ok' : one >= 0.98 ? 'f-warn' : 'f-bad'} x={i * 4} width="3" y={24 - height} height={height} />;
      })}
    </svg>
  );
}
