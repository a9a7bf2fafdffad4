// All that is shown, as signals, fed by the stream. Events are gathered and worked in once per frame, so that a storm of
// a thousand changes is one update of the page.

import {batch, computed, signal} from '@preact/signals';
import {base} from './api';
import {Stream, type StreamEvent} from './stream';
import {rank} from './words';
import type {
  Engine, Failover, HistoryEntry, Incident, Pool, Receiver, Service, Silence, Silences, Snapshot, Status,
} from './types';

export type Connection =
  {state: 'connecting' | 'live' | 'paused'} | {state: 'lost'; since: number; next: number; why: string};

export const connection = signal<Connection>({state: 'connecting'});
export const loaded = signal(false);
export const services = signal<ReadonlyMap<string, Service>>(new Map());
export const incidents = signal<ReadonlyMap<string, Incident>>(new Map());
export const receivers = signal<readonly Receiver[]>([]);
export const silences = signal<readonly Silence[]>([]);
export const engines = signal<readonly Engine[]>([]);
export const pools = signal<readonly Pool[]>([]);
export const failover = signal<Failover>({configured: false, up: false, reason: ''});
export const status = signal<Status | null>(null);
/** Not each monitor can do everything a person may want. */
export const can = (action: string) => status.value?.actions?.includes(action);
/** Newest entries that came over the stream, the oldest first. */
export const recent = signal<readonly HistoryEntry[]>([]);
/** When what is shown was true, by our clock. */
export const asOf = signal(0);
/** Seconds, by the server's clock. */
export const now = signal(Math.floor(Date.now() / 1000));
let offset = 0;

const KEPT = 200;
let queue: StreamEvent[] = [];
let scheduled = false;

const severity = (one: Incident) => ({critical: 2, warning: 1, info: 0})[one.severity] ?? 0;

/** The worst and then the oldest first. */
export const openIncidents = computed(() =>
  [...incidents.value.values()].filter((one) => !one.ended && !one.merged_into)
    .sort((a, b) => severity(b) - severity(a) || (a.began < b.began ? -1 : 1)));

export interface Group { project: string; services: Service[]; worst: number }

/** By project, the worst first: projects by their worst service, services by state, then by name. */
export const groups = computed<Group[]>(() => {
  const found = new Map<string, Group>();
  for (const service of services.value.values()) {
    let group = found.get(service.project);
    if (!group) found.set(service.project, group = {project: service.project, services: [], worst: 99});
    group.services.push(service);
    group.worst = Math.min(group.worst, rank(service.state));
  }
  for (const group of found.values()) {
    group.services.sort((a, b) => rank(a.state) - rank(b.state) || order(a.full_name, b.full_name));
  }
  return [...found.values()].sort((a, b) => a.worst - b.worst || order(a.project, b.project));
});

const collator = new Intl.Collator('en', {numeric: true});
const order = (a: string, b: string) => collator.compare(a, b);

export const counts = computed(() => {
  const found: Record<string, number> = {};
  for (const {state} of services.value.values()) found[state] = (found[state] ?? 0) + 1;
  return found;
});

function take<T>(list: readonly T[], one: T, same: (other: T) => boolean): T[] {
  const at = list.findIndex(same);
  return at < 0 ? [...list, one] : list.map((other, i) => (i === at ? one : other));
}

function snapshot(all: Snapshot) {
  offset = Date.parse(all.time) - Date.now();
  services.value = new Map(all.services.map((one) => [one.full_name, one]));
  incidents.value = new Map(all.incidents.map((one) => [one.id, one]));
  receivers.value = all.receivers;
  silences.value = all.silences;
  engines.value = all.engines;
  failover.value = all.failover;
  pools.value = all.pools;
  status.value = all.status;
  loaded.value = true;
  tick();
}

function flush() {
  scheduled = false;
  const events = queue;
  queue = [];
  batch(() => {
    let changed: Map<string, Service> | null = null;
    let episodes: Map<string, Incident> | null = null;
    const entries: HistoryEntry[] = [];
    for (const {event, data} of events) {
      let json: unknown;
      try {
        json = JSON.parse(data);
      } catch {
        continue;
      }
      if (event === 'snapshot') {
        snapshot(json as Snapshot);
        changed = episodes = null;
      } else if (event === 'service') {
        const one = json as Service;
        (changed ??= new Map(services.value)).set(one.full_name, one);
      } else if (event === 'gone') {
        const name = (json as {full_name: string}).full_name;
        if (name.startsWith('pool:')) pools.value = pools.value.filter((one) => `pool:${one.name}` !== name);
        else (changed ??= new Map(services.value)).delete(name);
      } else if (event === 'incident') {
        const one = json as Incident;
        (episodes ??= new Map(incidents.value)).set(one.id, one);
      } else if (event === 'history') {
        entries.push(json as HistoryEntry);
      } else if (event === 'alert') {
        const one = json as Receiver;
        receivers.value = take(receivers.value, one, (other) => other.name === one.name);
      } else if (event === 'silences') {
        silences.value = (json as Silences).silences;
      } else if (event === 'pool') {
        const one = json as Pool;
        pools.value = take(pools.value, one, (other) => other.name === one.name);
      } else if (event === 'failover') {
        failover.value = json as Failover;
      } else if (event === 'engine') {
        const one = json as Engine;
        engines.value = take(engines.value, one, (other) => other.name === one.name);
      }
    }
    if (changed) services.value = changed;
    if (episodes) {
      // Ended ones are the list's to fetch; a few stay, so that what one looks at does not vanish.
      const ended = [...episodes.values()].filter((one) => one.ended).slice(0, -50);
      for (const one of ended) episodes.delete(one.id);
      incidents.value = episodes;
    }
    if (entries.length > 0) {
      const last = recent.value.at(-1)?.sequence ?? 0;
      recent.value = [...recent.value, ...entries.filter((one) => one.sequence > last)].slice(-KEPT);
    }
    asOf.value = Date.now();
  });
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  if (document.visibilityState === 'visible') requestAnimationFrame(flush);
  else setTimeout(flush, 250);
}

const stream = new Stream(`${base}events`, {
  event: (event) => {
    queue.push(event);
    schedule();
  },
  open: () => (connection.value = {state: 'live'}),
  lost: (why, next) => {
    const before = connection.value;
    connection.value = {state: 'lost', since: before.state === 'lost' ? before.since : Date.now(), next, why};
  },
});

export const reconnect = () => stream.now();

function tick() {
  now.value = Math.floor((Date.now() + offset) / 1000);
}

const HIDDEN = 60_000;

export function connect() {
  setInterval(tick, 1000);
  stream.start();
  addEventListener('online', () => stream.now());
  // A page nobody looks at holds no connection: browsers allow few to one server, and tabs are many.
  let hidden = 0;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hidden);
    if (document.visibilityState === 'visible') {
      if (connection.value.state === 'paused') {
        connection.value = {state: 'connecting'};
        stream.start();
      } else {
        stream.now();
      }
      return;
    }
    hidden = setTimeout(() => {
      stream.stop();
      connection.value = {state: 'paused'};
    }, HIDDEN);
  });
}
