// What the API answers with; docs/openapi.yaml says what each field means.

export type State =
  'unknown' | 'starting' | 'healthy' | 'degraded' | 'unhealthy' | 'recovering' | 'quarantined' | 'stopped';

export interface Service {
  name: string;
  full_name: string;
  project: string;
  service: string;
  replica: number;
  state: State;
  since: string;
  for_seconds: number;
  reason: string;
  overlays: string[];
  maintenance?: string;
  maintenance_until?: string | null;
  target?: boolean;
  decision: string;
  phase?: string;
  next_attempt?: string | null;
  budget_remaining?: number;
  restarts?: number;
  incident?: string | null;
  depends_on?: string[];
  container?: string | null;
  container_name?: string;
  image?: string;
}

export interface Probe {
  name: string;
  url: string;
  result: 'unknown' | 'pass' | 'warn' | 'fail';
  text: string;
  last: string | null;
  took_seconds: number;
  phases?: Record<string, number>;
}

export interface ServiceDetail extends Service {
  engine?: {
    run?: string; health?: string; health_output?: string; failing_streak?: number; exit_code?: number;
    oom_killed?: boolean; address?: string;
  };
  probes?: Probe[];
  settings?: Record<string, unknown>;
}

export interface Line { time: string; text: string; result: string }

export interface Member { subject: string; title: string; text: string; joined: string; recovered: string | null }

export type Severity = 'info' | 'warning' | 'critical';

export interface Incident {
  id: string;
  subject: string;
  service: string | null;
  title: string;
  severity: Severity;
  cause: string;
  text: string;
  container: string | null;
  began: string;
  ended: string | null;
  end_text: string;
  gone: boolean;
  sequence: number;
  members: Member[];
  more_members: number;
  lines: Line[];
  health_output: string;
  log_tail: string;
  flapping: boolean;
  merged_into: string | null;
  told: {receiver: string; severity: Severity; ended: boolean; time: string}[];
  labels: Record<string, string>;
}

export interface HistoryEntry {
  sequence: number;
  time: string;
  kind: 'transition' | 'notice' | 'action' | 'restart' | 'incident' | 'alert';
  event: string;
  subject: string;
  service?: string | null;
  incident: string | null;
  text: string;
  from?: string;
  to?: string;
}

export interface Receiver {
  name: string;
  type?: string;
  pending: number;
  dead: number;
  oldest_pending: string | null;
  last_error: string;
  last_accepted: string | null;
  held_for_digest: number;
}

export interface Delivery {
  id: number;
  receiver: string;
  kind: string;
  text: string;
  incidents: string[];
  attempts: number;
  created: string;
  dead: string | null;
  error: string;
}

export interface Matcher { label: string; op: 'equal' | 'not_equal' | 'like' | 'not_like'; value: string }

export interface Silence { id: string; match: Matcher[]; by: string; comment: string; begins: string; ends: string }

export interface Silences { silences: Silence[] }

export interface Engine {
  name: string;
  endpoint: string;
  up: boolean;
  reason: string;
  version: string;
  api_version: string;
  synchronised: boolean;
  services: number;
  in_flight: number;
  max_concurrent: number;
  storm_hold: boolean;
  blind: boolean;
}

export interface Server {
  name: string;
  pool: string;
  state: 'unknown' | 'up' | 'failed' | 'waiting' | 'draining' | 'drained';
  reason?: string;
  since: string | null;
  in_use: boolean;
  kept?: boolean;
  addresses: string[];
  port?: number | null;
  weight: number;
  role: 'active' | 'backup';
  share?: number;
  slots: number;
  flows?: number | null;
  drain?: {by?: string; since?: string | null; until?: string | null; deadline?: string | null; finished?: boolean} | null;
}

export interface Pool {
  name: string;
  state: 'pending' | 'up' | 'degraded' | 'backup' | 'last-known' | 'down';
  listen: {address?: string; protocol?: string; port?: number}[];
  schedule?: string;
  slots?: number;
  servers: Server[];
}

export interface Failover { configured: boolean; up: boolean; reason: string; as_of?: string | null }

export interface Status {
  version: string;
  revision: string;
  uptime_seconds: number;
  engine: Record<string, unknown>;
  store: {durable?: boolean; reason?: string};
  healing: {in_flight?: number; max_concurrent?: number; storm_hold?: boolean};
  config: {file?: string; ok?: boolean};
  targets?: number;
  services: number;
  states: Record<string, number>;
  changes?: 'token' | 'off';
  actions?: string[];
  journal?: {durable?: boolean; bytes?: number; queued?: number; lost?: number};
  process?: {resident_bytes?: number; cpu_seconds?: number; open_files?: number};
  sse_clients?: number;
}

export interface Snapshot {
  time: string;
  sequence: number;
  status: Status;
  services: Service[];
  incidents: Incident[];
  receivers: Receiver[];
  silences: Silence[];
  engines: Engine[];
  failover: Failover;
  pools: Pool[];
}

export interface Availability {
  window_seconds: number;
  up_seconds: number;
  down_seconds: number;
  availability: number | null;
  outages: number;
  mean_outage_seconds: number | null;
  restarts: number;
  incidents: number;
}

export interface Timeline {
  from: string;
  to: string;
  intervals: {state: State; begins: string; ends: string | null}[];
}

export interface Latency {
  probe: string | null;
  probes: string[];
  step_seconds: number;
  points: {begins: string; count: number; failures: number; mean_ms: number; max_ms: number; p95_ms: number}[];
}

export type PublicState = 'up' | 'degraded' | 'down' | 'maintenance' | 'unknown';

export interface StatusPageData {
  title: string;
  time: string;
  state: PublicState;
  services: {
    name: string; state: PublicState; since: string | null; availability: number | null; days?: (number | null)[];
  }[];
  incidents: {services: string[]; began: string; ended: string | null}[];
}
