// A service's latency of the last hour as a small line. Fetched only for rows that stay in sight for a moment, two at a
// time, and kept for two minutes: a list of a thousand costs no more than what one looks at.

import {signal, type Signal} from '@preact/signals';
import {useEffect} from 'preact/hooks';
import {call, query, segment} from './api';
import type {Latency} from './types';
import {milliseconds} from './words';

interface Points { at: number; values: number[] }

const KEPT = 120_000;
const MOST = 400;
const known = new Map<string, Signal<Points | null>>();
const waiting: string[] = [];
let running = 0;

function pump() {
  while (running < 2 && waiting.length > 0) {
    const name = waiting.shift()!;
    ++running;
    const from = new Date(Date.now() - 3600_000).toISOString();
    call<Latency>(`services/${segment(name)}/latency${query({from, step: 'minute'})}`)
      .then((answer) => answer.points.map((point) => point.mean_ms), () => [])
      .then((values) => {
        const one = known.get(name);
        if (one) one.value = {at: Date.now(), values};
        --running;
        pump();
      });
  }
}

function points(name: string): Signal<Points | null> {
  let found = known.get(name);
  if (!found) {
    if (known.size >= MOST) known.delete(known.keys().next().value!);
    known.set(name, found = signal(null));
  }
  return found;
}

export function Sparkline({service}: {service: string}) {
  const here = points(service);
  useEffect(() => {
    const timer = setTimeout(() => {
      const old = here.peek();
      if (waiting.includes(service) || (old && Date.now() - old.at < KEPT)) return;
      waiting.push(service);
      pump();
    }, 400);
    return () => {
      clearTimeout(timer);
      const at = waiting.indexOf(service);
      if (at >= 0) waiting.splice(at, 1);
    };
  }, [service]);
  const values = here.value?.values ?? [];
  if (values.length < 2) return <span class="spark" />;
  const most = Math.max(...values, 1);
  const step = 100 / (values.length - 1);
  const path = values.map((value, i) => `${i ? 'L' : 'M'}${(i * step).toFixed(1)} ${(21 - (value / most) * 19).toFixed(1)}`).join('');
  return (
    <span class="spark" title={`answered within ${milliseconds(most)} in the last hour, ${milliseconds(values.at(-1)!)} last`}>
      <svg width="100" height="22" viewBox="0 0 100 22" preserveAspectRatio="none" aria-hidden="true">
        <path d={path} fill="none" stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke" />
      </svg>
      <span class="ms">{milliseconds(values.at(-1)!)}</span>
    </span>
  );
}
