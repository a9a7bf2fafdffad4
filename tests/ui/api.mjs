// A scripted API: serves the built dashboard and answers as docs/openapi.yaml says; each answer is checked against it.
import {createServer} from 'node:http';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {gunzipSync} from 'node:zlib';
import {checkAnswer, checkSchema} from './contract.mjs';
import {ago, latency, service as makeService, ulid} from './world.mjs';

export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const EVENTS = {service: 'Service', gone: 'Gone', incident: 'Incident', history: 'HistoryEntry', alert: 'Receiver', silences: 'Silences', pool: 'Pool', engine: 'Engine', failover: 'Failover', snapshot: 'Snapshot'};

export class ScriptedApi {
  token = 'the right token';
  sequence = 100;
  streams = new Set();
  refusing = false;     // new streams
  calls = [];           // of changes: [method, path, body]
  lastEventIds = [];    // of each stream that was opened
  requests = [];        // every path that was asked for
  problems = [];        // answers that were not what the contract says

  constructor(world, dist) {
    Object.assign(this, world);
    this.dist = dist;
    this.history = this.services.slice(0, 6).flatMap((one, i) => [
      this.entry({kind: 'transition', service: one.full_name, text: `${one.name} is ${one.state}${one.reason ? `: ${one.reason}` : ''}`, from: 'healthy', to: one.state, time: ago(400 - i * 20)}),
      this.entry({kind: 'notice', service: one.full_name, text: `${one.name} is left alone: ${one.decision}`, time: ago(390 - i * 20)}),
    ]);
    this.server = createServer((request, response) => void this.handle(request, response).catch((error) => {
      this.problems.push(error.message);
      response.writeHead(500).end(error.message);
    }));
  }

  entry({kind = 'notice', service = null, text, from, to, time = ago(0), incident = null}) {
    return {sequence: ++this.sequence, time, kind, event: `sentinel.service.${kind}`, subject: service ? `service:${service}` : '', service, incident, text, ...(to ? {from, to} : {}), fields: null};
  }

  async start() {
    await new Promise((done) => this.server.listen(0, '127.0.0.1', done));
    this.beat = setInterval(() => this.streams.forEach((one) => one.write(': all is well\n\n')), 15_000);
    this.url = `http://127.0.0.1:${this.server.address().port}/`;
    return this;
  }

  async stop() {
    clearInterval(this.beat);
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  find(name) {
    return this.services.find((one) => one.full_name === name);
  }

  status() {
    const states = {};
    for (const {state} of this.services) states[state] = (states[state] ?? 0) + 1;
    return {
      version: '1.0.0', revision: '0123456789abcdef', uptime_seconds: 356_400, engine: {endpoint: 'unix:///var/run/docker.sock', up: true, synchronised: true, configured: true},
      store: {durable: true, reason: ''}, healing: {in_flight: 1, max_concurrent: 3, storm_hold: false}, config: {file: '/etc/sentinel/sentinel.yaml', ok: true}, targets: 2,
      services: this.services.length, states, changes: 'token', actions: ['restart', 'release', 'logs'], journal: {durable: true, bytes: 7_654_321, queued: 0, lost: 0},
      process: {resident_bytes: 9_876_543, cpu_seconds: 412.3, open_files: 41}, sse_clients: this.streams.size,
    };
  }

  snapshot() {
    return {
      time: ago(0), sequence: this.sequence, status: this.status(), services: this.services, incidents: this.incidents.filter((one) => !one.ended),
      receivers: this.receivers, silences: this.silences, engines: this.engines, failover: this.failover, pools: this.pools,
    };
  }

  write(stream, event, data, id = this.sequence) {
    checkSchema(EVENTS[event], data);
    stream.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  tell(event, data) {
    for (const stream of this.streams) this.write(stream, event, data);
  }

  /** Changes a service, as a transition would: its history and its new summary. */
  change(name, fields) {
    const one = this.find(name);
    const from = one.state;
    Object.assign(one, fields);
    if (fields.state && fields.state !== from) {
      Object.assign(one, {since: ago(0), for_seconds: 0});
      const entry = this.entry({kind: 'transition', service: name, text: `${one.name} is ${one.state}${one.reason ? `: ${one.reason}` : ''}`, from, to: one.state});
      this.history.push(entry);
      this.tell('history', entry);
    }
    this.tell('service', one);
    return one;
  }

  /** Ends all streams and, until `resume`, takes no new ones. */
  drop() {
    this.refusing = true;
    for (const stream of this.streams) stream.destroy();
    this.streams.clear();
  }

  resume() {
    this.refusing = false;
  }

  async handle(request, response) {
    const url = new URL(request.url, this.url);
    const path = decodeURIComponent(url.pathname);
    this.requests.push(path);
    let body = '';
    for await (const part of request) body += part;
    if (!path.startsWith('/api/')) return this.file(path, response);
    if (path === '/api/v1/events') return this.events(request, response);
    const problem = (status, detail) => [status, {status, title: `Problem ${status}`, detail}];
    const open = request.method === 'GET' && path !== '/api/v1/logs';
    let status, answer;
    if (!open && request.headers.authorization !== `Bearer ${this.token}`) {
      [status, answer] = problem(401, 'expected Authorization: Bearer with the configured token');
    } else if (request.method === 'POST' && request.headers['content-type'] !== 'application/json') {
      [status, answer] = problem(415, 'expected Content-Type: application/json');
    } else if (request.method === 'GET') {
      [status, answer] = this.get(path, url.searchParams) ?? problem(404, 'nothing is here');
    } else {
      this.calls.push([request.method, path, body ? JSON.parse(body) : undefined]);
      [status, answer] = this.act(request.method, path, body ? JSON.parse(body) : {}) ?? problem(404, 'nothing is here');
    }
    checkAnswer(request.method, path, status, answer);
    response.writeHead(status, {'Content-Type': status < 400 ? 'application/json' : 'application/problem+json', 'Cache-Control': 'no-store'});
    response.end(answer === undefined ? undefined : JSON.stringify(answer));
    return undefined;
  }

  file(path, response) {
    const name = path === '/' || path === '/status' ? 'index.html' : path.slice(1);
    if (!/^(index\.html|ui\/app-[0-9a-f]+\.(js|css))$/.test(name)) return response.writeHead(404).end();
    const type = name.endsWith('.js') ? 'text/javascript' : name.endsWith('.css') ? 'text/css' : 'text/html';
    response.writeHead(200, {'Content-Type': `${type}; charset=utf-8`, 'Content-Security-Policy': POLICY, 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-cache'});
    return response.end(gunzipSync(readFileSync(join(this.dist, `${name}.gz`))));
  }

  events(request, response) {
    if (this.refusing) return response.destroy();
    const last = Number(request.headers['last-event-id'] ?? 0);
    this.lastEventIds.push(last);
    response.writeHead(200, {'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no'});
    this.write(response, 'snapshot', this.snapshot());
    if (last > 0) for (const entry of this.history) if (entry.sequence > last) this.write(response, 'history', entry, entry.sequence);
    this.streams.add(response);
    response.on('close', () => this.streams.delete(response));
    return undefined;
  }

  get(path, query) {
    const parts = path.slice('/api/v1/'.length).split('/');
    if (path === '/api/v1/status') return [200, this.status()];
    if (path === '/api/v1/services') return [200, {services: this.services, next: null}];
    if (path === '/api/v1/alerts') return [200, {receivers: this.receivers, deliveries: this.deliveries}];
    if (path === '/api/v1/status-page') return [200, this.statusPage()];
    if (path === '/api/v1/history') {
      const all = this.history.filter((one) => (!query.get('service') || one.service === query.get('service')) && one.sequence < Number(query.get('before') ?? Infinity));
      const limit = Number(query.get('limit') ?? 100);
      return [200, {history: all.slice(-limit), more: all.length > limit}];
    }
    if (path === '/api/v1/incidents') {
      const name = query.get('service');
      const state = query.get('state') ?? 'all';
      const found = this.incidents.filter((one) => (state === 'all' || (state === 'open') === !one.ended)
        && (!name || one.service === name || one.members.some((member) => member.subject === `service:${name}`)));
      return [200, {incidents: found.slice(0, Number(query.get('limit') ?? 50)), next: null}];
    }
    if (parts[0] === 'incidents') {
      const one = this.incidents.find(({id}) => id === parts[1]);
      return one && [200, one];
    }
    if (path === '/api/v1/logs') return [200, {service: query.get('service'), container: 'ab12'.repeat(16), text: 'listening on :8080\n<i>GET</i> /health 200'}];
    if (parts[0] !== 'services') return undefined;
    const view = ['timeline', 'latency', 'availability'].includes(parts.at(-1)) ? parts.pop() : '';
    const one = this.find(parts.slice(1).join('/'));
    if (!one) return undefined;
    const from = Date.parse(query.get('from') ?? ago(86400)) / 1000, to = Date.parse(query.get('to') ?? ago(0)) / 1000;
    if (view === 'timeline') return [200, this.timeline(one, from, to)];
    if (view === 'latency') {
      return [200, {service: one.full_name, probe: 'http', probes: ['http', 'tcp'], step_seconds: query.get('step') === 'hour' ? 3600 : 60, points: latency(one.full_name, from, to, query.get('step') === 'hour')}];
    }
    if (view === 'availability') {
      return [200, {service: one.full_name, windows: [86400, 604800, 2592000, 7776000].map((window, i) => ({
        window_seconds: window, up_seconds: window - 210 * (i + 1), down_seconds: 210 * (i + 1), availability: 1 - (210 * (i + 1)) / window,
        outages: 2 * i + 1, mean_outage_seconds: 95, restarts: 2 * i + 1, incidents: i + 1}))}];
    }
    const {incident} = one;
    const own = this.incidents.find(({id}) => id === incident);
    return [200, {...one,
      engine: {run: 'running', health: one.state === 'healthy' ? 'healthy' : 'unhealthy', health_stale: false, health_output: own?.health_output ?? 'ok', failing_streak: one.state === 'healthy' ? 0 : 4, exit_code: 0, oom_killed: false, address: '172.20.0.4'},
      probes: [{name: 'http', url: 'http://:8080/health', result: one.state === 'healthy' ? 'pass' : 'fail', text: one.state === 'healthy' ? '200 within 14 ms' : one.reason, last: ago(2), took_seconds: 0.0142, phases: {resolve: 0.0004, connect: 0.0011, processing: 0.0119, transfer: 0.0008}},
        {name: 'tcp', url: 'tcp://:8080', result: 'pass', text: 'connected', last: ago(3), took_seconds: 0.0009, phases: {connect: 0.0009}}],
      settings: {enable: true, heal: 'restart,kill', 'heal.on': 'unhealthy,probe', 'heal.budget': '5/15m'},
      decisions: []}];
  }

  timeline(one, from, to) {
    const iso = (at) => new Date(at * 1000).toISOString();
    const intervals = [];
    let at = from;
    for (const [share, state, length] of [[0.2, 'unhealthy', 95], [0.35, 'degraded', (to - from) / 40], [0.71, 'unhealthy', (to - from) / 90]]) {
      const begins = from + (to - from) * share;
      intervals.push({state: 'healthy', begins: iso(at), ends: iso(begins)}, {state, begins: iso(begins), ends: iso(begins + length)});
      at = begins + length;
    }
    const since = Math.max(Math.min(Date.parse(one.since) / 1000, to), at);
    intervals.push({state: 'healthy', begins: iso(at), ends: iso(since)}, {state: one.state, begins: iso(since), ends: null});
    return {service: one.full_name, from: iso(from), to: iso(to), intervals};
  }

  statusPage() {
    const days = Array.from({length: 90}, (_, i) => (i < 12 ? null : i === 40 ? 0.92 : i === 71 ? 0.987 : 1));
    const services = [['Shop', 'shop/web/1'], ['Mail', 'mail/smtp/1'], ['Name service', 'infra/dns/1']].map(([name, full]) => {
      const one = this.find(full);
      const state = one?.overlays.includes('maintenance') ? 'maintenance' : {healthy: 'up', degraded: 'degraded', unhealthy: 'down', recovering: 'down', quarantined: 'down'}[one?.state] ?? 'unknown';
      return {name, state, since: one?.since ?? ago(0), availability: 0.9987, days};
    });
    return {title: this.title, time: ago(0), state: services.some((one) => one.state === 'down') ? 'down' : 'up', services,
      incidents: [{services: ['Shop'], began: ago(188), ended: null}, {services: ['Mail'], began: ago(90000), ended: ago(89870)}]};
  }

  act(method, path, body) {
    const parts = path.slice('/api/v1/'.length).split('/');
    const name = parts.slice(1, -1).join('/');
    if (parts[0] === 'services' && parts.at(-1) === 'restart') {
      this.change(name, {state: 'recovering', reason: 'restarted by hand', decision: 'it has 60 s to become healthy'});
      return [202, {text: `${name} is being restarted`}];
    }
    if (parts[0] === 'services' && parts.at(-1) === 'release') {
      this.change(name, {state: 'starting', reason: 'released from quarantine', decision: 'healed again, with its whole budget', budget_remaining: 5});
      return [202, {text: `${name} is released`}];
    }
    if (path === '/api/v1/maintenance') {
      this.change(body.service, {overlays: body.end ? [] : ['maintenance'], maintenance: body.end ? '' : `asked for, ${body.for} left`});
      return [200, {service: body.service, maintenance: !body.end, for: body.end ? null : body.for}];
    }
    if (path === '/api/v1/silences') {
      const one = {id: ulid(), match: body.match, by: body.by ?? '', comment: body.comment ?? '', begins: ago(0), ends: new Date(Date.now() + 3_600_000).toISOString()};
      this.silences = [...this.silences, one];
      this.tell('silences', {silences: this.silences});
      return [201, one];
    }
    if (parts[0] === 'silences') {
      this.silences = this.silences.filter((one) => one.id !== parts[1]);
      this.tell('silences', {silences: this.silences});
      return [204];
    }
    if (path === '/api/v1/drain' || path === '/api/v1/ready') {
      const pool = this.pools.find((one) => one.name === body.pool);
      const drain = path.endsWith('drain');
      const one = pool.servers.find((other) => other.name === body.server);
      Object.assign(one, drain ? {state: 'draining', in_use: false, slots: 0, drain: {by: 'dashboard', since: ago(0), until: null, deadline: null, finished: false}} : {state: 'up', in_use: true, slots: 100, drain: null});
      this.tell('pool', pool);
      return [200, {pool: body.pool, server: body.server}];
    }
    if (path === '/api/v1/alerts/test') return [202, {text: `a test is on its way to ${body.receiver}`}];
    if (parts[1] === 'deliveries') {
      this.deliveries = this.deliveries.filter((one) => String(one.id) !== parts[2]);
      return method === 'DELETE' ? [204] : [202, {text: 'it is tried again'}];
    }
    return undefined;
  }

  /** A service that was not there before. */
  add(project, name, state) {
    const one = makeService(project, name, state, {since: 0});
    this.services = [...this.services, one];
    this.tell('service', one);
    return one;
  }
}
