// What the scripted API tells: a small household with some trouble, or a thousand services.

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
let counter = 0;

export function ulid(ms = Date.now()) {
  let text = '';
  for (let i = 0, left = ms; i < 10; ++i, left = Math.floor(left / 32)) text = ALPHABET[left % 32] + text;
  let rest = String(++counter).padStart(16, '0');
  return text + rest;
}

export const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();

const DECISIONS = {
  healthy: 'nothing is to be done', stopped: 'stopped on purpose: it is left alone', starting: 'it has 48 s to become healthy',
};

export function service(project, name, state = 'healthy', more = {}) {
  const replica = more.replica ?? 1;
  const since = more.since ?? 86400 * 3 + 4000;
  return {
    name: `${name}${replica > 1 ? `/${replica}` : ''}`, full_name: project ? `${project}/${name}/${replica}` : name, project, service: name, replica, state,
    since: ago(since), for_seconds: since, reason: state === 'healthy' ? 'all checks pass' : '', overlays: [], maintenance: '', target: false,
    decision: DECISIONS[state] ?? '', phase: 'none', next_attempt: null, budget_remaining: 5, restarts: 0, incident: null, depends_on: [],
    container: 'ab12'.repeat(16), container_name: `${project}-${name}-${replica}`, image: `example/${name}:2.4.1`, ...more,
    ...(more.since !== undefined ? {since: ago(since)} : {}),
  };
}

export function incident(subject, text, more = {}) {
  const began = more.beganAgo ?? 200;
  const parts = subject.split(':')[1].split('/');
  delete more.beganAgo;
  return {
    id: ulid(Date.now() - began * 1000), subject, service: subject.startsWith('service:') ? subject.slice(8) : null, title: parts.at(-2) ?? parts[0],
    severity: 'critical', cause: 'unhealthy', text, container: 'ab12'.repeat(16), began: ago(began), ended: null, end_text: '', gone: false,
    sequence: 1, members: [], more_members: 0, lines: [], health_output: '', log_tail: '', flapping: false, merged_into: null, told: [],
    labels: {kind: subject.split(':')[0], project: parts[0], service: parts[1] ?? '', severity: 'critical', cause: 'unhealthy'}, ...more,
  };
}

const HEALTH = '{"status":"fail","checks":{"db:connections":[{"observedValue":100,"observedUnit":"connections",\n  "output":"pool exhausted <b>not bold</b> & waiting"}]}}';
const LOG = `2026-01-01T10:02:11Z pool exhausted: 100 of 100 connections in use
2026-01-01T10:02:12Z GET /orders 500 30012 ms
2026-01-01T10:02:13Z <script>alert("a container wrote this")</script>
2026-01-01T10:02:14Z GET /health 503 2 ms`;

const line = (seconds, text, result = '') => ({time: ago(seconds), text, result});

export function household() {
  const api = incident('service:shop/api/1', 'expected 2xx, got 503: connection pool exhausted', {
    beganAgo: 194, health_output: HEALTH, log_tail: LOG,
    members: [
      {subject: 'service:shop/web/1', title: 'web', text: 'needs shop/api', joined: ago(188), recovered: null},
      {subject: 'service:shop/worker/2', title: 'worker/2', text: 'needs shop/api', joined: ago(150), recovered: ago(60)},
    ],
    lines: [
      line(194, 'api is unhealthy: expected 2xx, got 503'), line(190, 'restarting api because: expected 2xx, got 503 (restart 1 of 5)', 'failed'),
      line(188, 'web fails as well: it needs api'), line(110, 'api did not become healthy within 1 min: next rung'),
      line(41, 'killed and started api, attempt 2 of 5', 'done'),
    ],
    told: [{receiver: 'ops-slack', severity: 'critical', ended: false, time: ago(184)}, {receiver: 'on-call', severity: 'critical', ended: false, time: ago(183)}],
  });
  const backup = incident('service:infra/backup/1', 'exit status 1 after every start: cannot open /var/backup/repo: permission denied', {
    beganAgo: 7900, cause: 'quarantined',
    lines: [line(7900, 'backup is unhealthy: it exited with status 1'), line(7400, 'restarted, attempt 5 of 5', 'failed'), line(7390, 'backup is quarantined: its budget of 5/15m is used up'), line(700, 'trial restart', 'failed')],
    told: [{receiver: 'ops-slack', severity: 'critical', ended: false, time: ago(7890)}],
  });
  const ended = [
    incident('service:mail/imap/1', 'no answer within 2 s', {beganAgo: 90000, ended: ago(89870), end_text: 'healthy again after 2 min 10 s, restarted once',
      lines: [line(90000, 'imap unreachable: no answer within 2 s'), line(89980, 'restarted, attempt 1 of 5', 'healthy')]}),
    incident('service:shop/cache/1', 'connection refused', {beganAgo: 200000, severity: 'warning', ended: ago(199950), end_text: 'healthy again after 50 s, restarted once',
      lines: [line(200000, 'cache unreachable: connection refused'), line(199990, 'restarted, attempt 1 of 5', 'healthy')]}),
  ];
  const next = new Date(Date.now() + 42_000).toISOString();
  const services = [
    service('shop', 'api', 'recovering', {since: 41, reason: 'expected 2xx, got 503: connection pool exhausted', decision: 'it has 60 s to become healthy, then it is restarted once more', next_attempt: next, budget_remaining: 3, restarts: 2, incident: api.id, depends_on: ['shop/db/1', 'shop/cache/1']}),
    service('shop', 'web', 'unhealthy', {since: 188, reason: 'its upstream answers 502', decision: 'waits for shop/api, which it needs', incident: api.id, depends_on: ['shop/api/1']}),
    service('shop', 'db'), service('shop', 'cache'),
    service('shop', 'worker', 'healthy', {depends_on: ['shop/db/1', 'shop/api/1']}), service('shop', 'worker', 'healthy', {replica: 2, depends_on: ['shop/db/1', 'shop/api/1'], since: 60}),
    service('mail', 'smtp', 'healthy', {overlays: ['maintenance'], maintenance: 'asked for, 12 min left', maintenance_until: ago(-720), depends_on: ['mail/spam/1', 'infra/dns/1']}),
    service('mail', 'imap', 'healthy', {overlays: ['flapping'], restarts: 4}), service('mail', 'spam', 'degraded', {since: 1260, reason: 'answers within 2.4 s, slower than 1 s', decision: 'degraded services are not restarted: heal.on', depends_on: ['infra/dns/1']}),
    service('infra', 'dns'), service('infra', 'proxy', 'healthy', {depends_on: ['infra/dns/1']}), service('infra', 'metrics'),
    service('infra', 'backup', 'quarantined', {since: 7390, reason: 'exit status 1 after every start: cannot open /var/backup/repo', decision: 'quarantined: one trial restart each hour', next_attempt: new Date(Date.now() + 2_900_000).toISOString(), budget_remaining: 0, restarts: 6, incident: backup.id}),
    service('infra', 'registry', 'starting', {since: 12, reason: 'its start period is not over'}),
    service('web', 'example.org', 'healthy', {target: true, container: null, container_name: '', image: ''}),
    service('web', 'partner-api', 'healthy', {target: true, container: null, container_name: '', image: ''}),
    service('', 'legacy-cron', 'stopped', {since: 500000}),
  ];
  return {services, incidents: [api, backup, ...ended], ...rest()};
}

function rest() {
  const server = (pool, name, more = {}) => ({
    name, pool, state: 'up', reason: '', since: ago(260000), for_seconds: 260000, in_use: true, kept: false, addresses: ['10.8.0.11', '2001:db8::11'],
    port: null, weight: 1, role: 'active', share: 1, slots: 153, flows: 412, hold_down_seconds: 0, drain: null, ...more,
  });
  return {
    receivers: [
      {name: 'ops-slack', type: 'slack', pending: 0, dead: 0, oldest_pending: null, last_error: '', last_accepted: ago(183), held_for_digest: 0},
      {name: 'on-call', type: 'webhook', pending: 1, dead: 0, oldest_pending: ago(95), last_error: 'the answer was 503', last_accepted: ago(4000), held_for_digest: 0},
      {name: 'archive', type: 'email', pending: 0, dead: 1, oldest_pending: null, last_error: '550 no such mailbox', last_accepted: null, held_for_digest: 0},
    ],
    deliveries: [
      {id: 41, receiver: 'archive', kind: 'firing', text: 'infra/backup is quarantined', incidents: [], attempts: 14, created: ago(7890), dead: ago(3600), error: '550 no such mailbox'},
      {id: 57, receiver: 'on-call', kind: 'firing', text: 'shop/api is unhealthy, and 1 other', incidents: [], attempts: 3, created: ago(95), dead: null, error: 'the answer was 503'},
    ],
    silences: [{id: ulid(), match: [{label: 'project', op: 'equal', value: 'mail'}, {label: 'service', op: 'like', value: 'sp*'}], by: 'dashboard', comment: 'known: the rules are being rebuilt', begins: ago(1200), ends: new Date(Date.now() + 6_000_000).toISOString()}],
    engines: [{name: 'engine', endpoint: 'unix:///var/run/docker.sock', up: true, reason: '', version: '26.1.5', api_version: '1.45', synchronised: true, services: 15, in_flight: 1, max_concurrent: 3, storm_hold: false, blind: false}],
    failover: {configured: true, up: true, reason: ''},
    pools: [
      {name: 'web', state: 'degraded', listen: [{address: '203.0.113.10', protocol: 'tcp', port: 443}, {address: '2001:db8:f::10', protocol: 'tcp', port: 443}], schedule: 'round-robin', slots: 307,
        servers: [server('web', 'alpha'), server('web', 'beta', {addresses: ['10.8.0.12'], slots: 154, flows: 398}),
          server('web', 'gamma', {addresses: ['10.8.0.13'], state: 'failed', in_use: false, slots: 0, flows: 0, since: ago(122), reason: 'connection refused on port 443'})]},
      {name: 'mail', state: 'up', listen: [{address: '203.0.113.10', protocol: 'tcp', port: 25}], schedule: 'source-hash', slots: 61,
        servers: [server('mail', 'alpha', {slots: 61, flows: 31}), server('mail', 'beta', {addresses: ['10.8.0.12'], state: 'draining', in_use: false, slots: 0, flows: 7, since: ago(300), drain: {by: 'root', since: ago(300), until: new Date(Date.now() + 1_500_000).toISOString(), deadline: null, finished: false}})]},
    ],
    title: 'Example services',
  };
}

const STATES = ['unhealthy', 'degraded', 'quarantined', 'recovering', 'starting'];

/** `count` services of 25 projects; a few of each state. */
export function fleet(count) {
  const services = [];
  for (let i = 0; i < count; ++i) {
    const state = i % 97 === 0 ? STATES[(i / 97) % STATES.length] : 'healthy';
    services.push(service(`project-${String(i % 25).padStart(2, '0')}`, `service-${String(i).padStart(4, '0')}`, state,
      {reason: state === 'healthy' ? 'all checks pass' : 'expected 2xx, got 503', depends_on: i % 40 === 25 ? [`project-${String((i - 25) % 25).padStart(2, '0')}/service-${String(i - 25).padStart(4, '0')}/1`] : []}));
  }
  return {services, incidents: [], ...rest(), pools: [], receivers: [], deliveries: [], silences: []};
}

/** Points of a probe: a daily rhythm, some noise, the same each time. */
export function latency(full, from, to, hours) {
  const step = hours ? 3600 : 60;
  const points = [];
  let seed = [...full].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 100003, 7);
  const base = 4 + (seed % 40);
  for (let at = Math.ceil(from / step) * step; at < to && points.length < 1500; at += step) {
    seed = (seed * 1103 + 12345) % 100003;
    const mean = base * (1 + 0.25 * Math.sin(at / 700)) + (seed % 9);
    points.push({begins: new Date(at * 1000).toISOString(), count: 12, failures: seed % 37 === 0 ? 1 : 0, min_ms: mean * 0.7, mean_ms: mean, max_ms: mean * 2.4, p95_ms: mean * 1.6 + (seed % 5)});
  }
  return points;
}
