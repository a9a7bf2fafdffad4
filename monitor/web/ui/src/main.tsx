import './style.css';
import {effect, signal} from '@preact/signals';
import {render} from 'preact';
import {useEffect, useRef} from 'preact/hooks';
import {token} from './api';
import {Alerts} from './alerts';
import {askToken, Dialog, told} from './dialog';
import {FailoverView} from './failover';
import {IncidentPage, Incidents} from './incidents';
import {Overview} from './overview';
import {SentinelView} from './sentinel';
import {ServicePage} from './service';
import {StatusPage} from './statuspage';
import {asOf, connect, connection, counts, loaded, now, openIncidents, pools, receivers, reconnect} from './store';
import {clock, duration} from './words';

const route = signal<[string, string]>(['', '']);

function read() {
  const hash = location.hash.slice(1);
  const slash = hash.indexOf('/');
  const view = slash < 0 ? hash : hash.slice(0, slash);
  let name = slash < 0 ? '' : hash.slice(slash + 1);
  try {
    name = decodeURI(name);
  } catch { /* as it stands */ }
  route.value = [view, name];
}

type Theme = 'auto' | 'light' | 'dark';
const themes: Theme[] = ['auto', 'light', 'dark'];
const kept = localStorage.getItem('sentinel-theme') as Theme | null;
const theme = signal<Theme>(kept && themes.includes(kept) ? kept : 'auto');
effect(() => {
  document.documentElement.dataset['theme'] = theme.value;
  localStorage.setItem('sentinel-theme', theme.value);
});

export function ThemeButton() {
  const next = themes[(themes.indexOf(theme.value) + 1) % themes.length]!;
  return (
    <button type="button" class="quiet" onClick={() => (theme.value = next)} aria-label={`Theme: ${theme.value}. Change to ${next}`}>
      <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
        <path fill="currentColor" d="M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.5v11a5.5 5.5 0 0 1 0-11Z" />
      </svg>
      <span class="wide">{theme.value}</span>
    </button>
  );
}

function Link() {
  const {state} = connection.value;
  const word = state === 'live' ? 'live' : state === 'lost' ? 'reconnecting' : state === 'paused' ? 'paused' : 'connecting';
  return <span class={`conn c-${state}`} role="status"><span class="dot" aria-hidden="true" />{word}</span>;
}

function Lost() {
  const at = connection.value;
  if (at.state !== 'lost') return null;
  void now.value;  // counts
  const left = Math.ceil((at.next - Date.now()) / 1000);
  return (
    <div class="lost" role="alert">
      <strong>Connection lost, reconnecting{left > 0 ? ` in ${left} s` : ''}.</strong>{' '}
      {asOf.value
        ? <>What you see was true at {clock(asOf.value / 1000)}, {duration((Date.now() - asOf.value) / 1000)} ago. </>
        : null}
      <span class="why">({at.why})</span> <button type="button" onClick={reconnect}>Now</button>
    </div>
  );
}

const VIEWS: [string, string][] =
  [['', 'Overview'], ['incidents', 'Incidents'], ['failover', 'Failover'], ['alerts', 'Alerts'], ['sentinel', 'Sentinel']];

function Nav({view}: {view: string}) {
  const here = view === 'service' ? '' : view === 'incident' ? 'incidents' : view;
  const bad = pools.value.filter((pool) => pool.state === 'down' || pool.state === 'degraded').length;
  const dead = receivers.value.reduce((sum, one) => sum + one.dead, 0);
  const numbers: Record<string, [number, string]> =
    {incidents: [openIncidents.value.length, 'open'], failover: [bad, 'impaired'], alerts: [dead, 'undelivered']};
  return (
    <nav aria-label="Views">
      {VIEWS.map(([name, text]) => (
        <a key={name} href={`#${name}`} aria-current={here === name ? 'page' : undefined}>
          {text}
          {numbers[name]?.[0] ? <span class="count">{numbers[name]![0]}<span class="sr"> {numbers[name]![1]}</span></span> : null}
        </a>
      ))}
    </nav>
  );
}

function View({view, name}: {view: string; name: string}) {
  switch (view) {
    case 'service': return <ServicePage key={name} name={name} />;
    case 'incidents': return <Incidents />;
    case 'incident': return <IncidentPage key={name} id={name} />;
    case 'failover': return <FailoverView />;
    case 'alerts': return <Alerts />;
    case 'sentinel': return <SentinelView />;
    default: return <Overview />;
  }
}

const TITLES: Record<string, string> = Object.fromEntries(VIEWS);

function App() {
  const [view, name] = route.value;
  const main = useRef<HTMLElement>(null);
  const bad = (counts.value['unhealthy'] ?? 0) + (counts.value['quarantined'] ?? 0);
  useEffect(() => {
    const what = view === 'service' ? name : view === 'incident' ? 'Incident' : TITLES[view] ?? 'Overview';
    document.title = `${bad ? `(${bad}) ` : ''}${what} · Sentinel`;
  }, [view, name, bad]);
  const moved = useRef(false);
  useEffect(() => {
    // A reader of screens is told of the new view; the first one speaks for itself.
    if (moved.current) {
      scrollTo(0, 0);
      main.current?.focus({preventScroll: true});
    }
    moved.current = true;
  }, [view, name]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        main.current?.focus();
      }}>To the content</a>
      <header class="top">
        <a class="brand" href="#" aria-label="Sentinel, overview">
          <svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true">
            <path fill="var(--accent)" d="M16 2 4 7v9c0 7 5 12 12 14 7-2 12-7 12-14V7z" />
            <path fill="none" stroke="var(--on-accent)" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" d="M9 17h4l2-5 3 9 2-4h3" />
          </svg>
          <span>Sentinel</span>
        </a>
        <Nav view={view} />
        <div class="tools">
          <Link />
          <button type="button" class="quiet" onClick={askToken} aria-label={token.value ? 'May act: the token is entered' : 'View only: enter the token for actions'}>
            <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
              <path fill="currentColor" fill-rule="evenodd" d="M5.5 4a4 4 0 0 1 3.8 2.8H15v3h-1.5V12h-2.7V9.8H9.3A4 4 0 1 1 5.5 4Zm0 2.6a1.4 1.4 0 1 0 0 2.8 1.4 1.4 0 0 0 0-2.8Z" />
            </svg>
            <span class="wide">{token.value ? 'may act' : 'view only'}</span>
          </button>
          <ThemeButton />
        </div>
      </header>
      <Lost />
      <main id="main" ref={main} tabIndex={-1} class={connection.value.state === 'lost' ? 'stale' : ''}>
        {loaded.value ? <View view={view} name={name} /> : <p class="empty" aria-busy="true">Asking Sentinel…</p>}
      </main>
      <div class="toast" role="status" aria-live="polite">{told.value}</div>
      <Dialog />
    </>
  );
}

const root = document.getElementById('app')!;
if (/\/status\/?$/.test(location.pathname)) {
  render(<StatusPage theme={<ThemeButton />} />, root);
} else {
  read();
  addEventListener('hashchange', read);
  connect();
  render(<App />, root);
}
