// How things are said: states, times, amounts.

import type {PublicState, State} from './types';

const RANKS: State[] = ['quarantined', 'unhealthy', 'recovering', 'degraded', 'unknown', 'starting', 'healthy', 'stopped'];

/** The worst first. */
export const rank = (state: State) => {
  const at = RANKS.indexOf(state);
  return at < 0 ? 4 : at;
};
export const states: readonly State[] = RANKS;

/** It does not do its work. */
export const failing = (state: State) => rank(state) <= 2;

/** Which of the tones of the style sheet a word has. */
export function tone(word: string): string {
  switch (word) {
    case 'healthy': case 'up': case 'pass': return 'ok';
    case 'degraded': case 'warn': case 'warning': case 'waiting': case 'backup': case 'last-known': return 'warn';
    case 'unhealthy': case 'failed': case 'fail': case 'down': case 'critical': return 'bad';
    case 'recovering': case 'starting': case 'draining': case 'pending': return 'heal';
    case 'quarantined': return 'quar';
    default: return 'idle';
  }
}

export const publicWords: Record<PublicState, string> =
  {up: 'works', degraded: 'impaired', down: 'down', maintenance: 'in maintenance', unknown: 'not known'};

const UNITS: [string, number][] = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];

/** "3 min 12 s": the two largest units, or fewer. */
export function duration(seconds: number, most = 2): string {
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  let left = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === most) break;
  }
  return parts.join(' ') || '0 s';
}

export const seconds = (time: string) => Date.parse(time) / 1000;

const clockFormat = new Intl.DateTimeFormat('en-GB', {hour: '2-digit', minute: '2-digit'});
const dayFormat = new Intl.DateTimeFormat('en-GB', {day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit'});
const fullFormat = new Intl.DateTimeFormat('en-GB',
  {weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit'});

/** "14:02", with the day unless it was within the last 18 hours. */
export function clock(time: string | number, now = Date.now() / 1000): string {
  const at = typeof time === 'number' ? time : seconds(time);
  if (!Number.isFinite(at)) return '';
  return (Math.abs(now - at) < 18 * 3600 ? clockFormat : dayFormat).format(at * 1000);
}
export const fullClock = (time: string) => (Number.isFinite(Date.parse(time)) ? fullFormat.format(Date.parse(time)) : '');

/** Never rounded up to 100 %. */
export function percent(share: number | null): string {
  if (share === null) return '–';
  if (share >= 1) return '100 %';
  const digits = share > 0.99 ? 3 : 1;
  const cut = Math.floor(share * 100 * 10 ** digits) / 10 ** digits;
  return `${cut.toFixed(digits)} %`;
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = count;
  let unit = -1;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    ++unit;
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

export const milliseconds = (ms: number) =>
  (ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

export const plural = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** A subject for people: "service:shop/web/1" as "shop/web". */
export function subjectName(subject: string): string {
  const name = subject.slice(subject.indexOf(':') + 1);
  return name.endsWith('/1') && subject.startsWith('service:') ? name.slice(0, -2) : name;
}

export function sentence(text: string): string {
  const trimmed = text.trim();
  return trimmed ? trimmed[0]!.toUpperCase() + trimmed.slice(1) : '';
}
