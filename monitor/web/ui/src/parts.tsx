// Small parts that all views share. A state is always told by shape and word, its colour only helps.

import type {ComponentChildren} from 'preact';
import {useEffect, useRef, useState} from 'preact/hooks';
import {call, Problem} from './api';
import {now} from './store';
import {clock, duration, fullClock, seconds, tone} from './words';

// One shape for each tone, drawn in a box of 16.
const SHAPES: Record<string, string> = {
  ok: 'M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2Zm3.4 5L7.3 10.6a.8.8 0 0 1-1.1 0L4.4 8.7l1.1-1.1 1.2 1.3 3.6-3.8 1.1 1.1Z',
  warn: 'M8 1.3c.3 0 .6.2.8.5l6.3 11a.9.9 0 0 1-.8 1.4H1.7a.9.9 0 0 1-.8-1.4l6.3-11c.2-.3.5-.5.8-.5Zm-.8 4v4.2h1.6V5.3H7.2Zm0 5.4v1.6h1.6v-1.6H7.2Z',
  bad: 'M5.3 1h5.4L15 5.3v5.4L10.7 15H5.3L1 10.7V5.3L5.3 1Zm.2 3.4L4.4 5.5 6.9 8l-2.5 2.5 1.1 1.1L8 9.1l2.5 2.5 1.1-1.1L9.1 8l2.5-2.5-1.1-1.1L8 6.9 5.5 4.4Z',
  heal: 'M8 1.5a6.5 6.5 0 0 1 5.2 2.6V1.8H15v5.4H9.6V5.4h2.3A4.7 4.7 0 1 0 12.6 9h1.8A6.5 6.5 0 1 1 8 1.5Z',
  quar: 'M8 .6 15.4 8 8 15.4.6 8 8 .6ZM5.8 5v6h1.5V5H5.8Zm2.9 0v6h1.5V5H8.7Z',
  idle: 'M8 1.2a6.8 6.8 0 1 1 0 13.6A6.8 6.8 0 0 1 8 1.2ZM8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3ZM4.8 7.2h6.4v1.6H4.8V7.2Z',
};

export function Shape({of, size = 16}: {of: string; size?: number}) {
  const kind = tone(of);
  return (
    <svg class={`shape t-${kind}`} width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path fill="currentColor" fill-rule="evenodd" d={SHAPES[kind]} />
    </svg>
  );
}

/** Shape and word. */
export function Mark({state, word}: {state: string; word?: string}) {
  return <span class={`mark t-${tone(state)}`}><Shape of={state} />{word ?? state}</span>;
}

export function Badge({text, kind = 'idle', title}: {text: string; kind?: string; title?: string}) {
  return <span class={`badge b-${kind}`} title={title}>{text}</span>;
}

/** For how long, running. */
export const For = ({since, most}: {since: string; most?: number}) =>
  <time dateTime={since} title={fullClock(since)}>{duration(now.value - seconds(since), most)}</time>;

export const At = ({time}: {time: string}) =>
  <time dateTime={time} title={fullClock(time)}>{clock(time, now.value)}</time>;

/** "in 12 s", or "now" when it is due. */
export function In({time}: {time: string}) {
  const left = seconds(time) - now.value;
  return <time dateTime={time} title={fullClock(time)}>{left > 0 ? `in ${duration(left)}` : 'now'}</time>;
}

export function Panel({title, children, side, label}: {
  title?: string; children: ComponentChildren; side?: ComponentChildren; label?: string;
}) {
  return (
    <section class="panel" aria-label={label ?? title}>
      {title ? <header><h2>{title}</h2>{side}</header> : null}
      {children}
    </section>
  );
}

export const Empty = ({children}: {children: ComponentChildren}) => <p class="empty">{children}</p>;

/** Output of something else: text as it is, with its own place to scroll. */
export const Output = ({text, label}: {text: string; label: string}) =>
  <pre class="output" tabIndex={0} role="region" aria-label={label}>{text}</pre>;

export interface Fetched<T> { data: T | null; problem: string; loading: boolean; again: () => void }

/** Fetches when `path` or `key` changes; null: nothing. What was there stays until the new answer is here. */
export function useFetched<T>(path: string | null, key: unknown = 0): Fetched<T> {
  const [state, setState] = useState<{data: T | null; problem: string; loading: boolean}>(
    {data: null, problem: '', loading: path !== null});
  const [turn, setTurn] = useState(0);
  const shown = useRef('');
  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    const fresh = shown.current !== path;
    setState((old) => ({data: fresh ? null : old.data, problem: '', loading: true}));
    call<T>(path, {signal: abort.signal}).then(
      (data) => {
        shown.current = path;
        setState({data, problem: '', loading: false});
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        setState((old) => ({...old, problem: error instanceof Problem ? error.message : String(error), loading: false}));
      });
    return () => abort.abort();
  }, [path, key, turn]);
  return {...state, again: () => setTurn(turn + 1)};
}

/** What is fetched, or why it is not there. */
export function Shown<T>({of, children, empty}: {
  of: Fetched<T>; children: (data: T) => ComponentChildren; empty?: string;
}) {
  if (of.problem) {
    return <p class="empty" role="status">{of.problem} <button type="button" class="link" onClick={of.again}>Try again</button></p>;
  }
  if (of.data === null) return of.loading ? <p class="empty" aria-busy="true">Loading…</p> : <Empty>{empty ?? 'Nothing.'}</Empty>;
  return <>{children(of.data)}</>;
}

/** A hash of the page. Names hold slashes, which stay. */
export const to = (view: string, name = '') => `#${view}${name ? `/${encodeURI(name)}` : ''}`;

export function Tabs<T extends string>({label, value, options, onChange}: {
  label: string; value: T; options: readonly (readonly [T, string])[]; onChange: (value: T) => void;
}) {
  return (
    <div class="tabs" role="group" aria-label={label}>
      {options.map(([one, text]) => (
        <button type="button" key={one} aria-pressed={one === value} onClick={() => onChange(one)}>{text}</button>
      ))}
    </div>
  );
}
