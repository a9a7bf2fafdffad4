// The stream of events (server-sent events) over fetch: unlike EventSource it shows comments, so that a connection that
// has silently died is noticed, and lets us say truthfully what is going on.

export interface StreamEvent { event: string; data: string; id: string }

/** Cuts text into events. */
export class EventParser {
  private rest = '';
  private event = '';
  private data: string[] = [];
  id = '';

  constructor(private readonly on: (event: StreamEvent) => void) {}

  push(text: string) {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.line(line.endsWith('\r') ? line.slice(0, -1) : line);
  }

  private line(line: string) {
    if (line === '') {
      if (this.data.length > 0) this.on({event: this.event || 'message', data: this.data.join('\n'), id: this.id});
      this.event = '';
      this.data = [];
      return;
    }
    if (line.startsWith(':')) return;
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'event') this.event = value;
    else if (field === 'data') this.data.push(value);
    else if (field === 'id') this.id = value;
  }
}

export interface StreamHandlers {
  event(event: StreamEvent): void;
  /** The first bytes of an answer came. */
  open(): void;
  /** It ended, `why` in words; the next attempt is at `next` (ms of the clock). */
  lost(why: string, next: number): void;
}

const SILENCE = 40_000;  // the server says something each 15 s
const LONGEST_WAIT = 15_000;

/** Keeps the stream up until `stop()`: growing waits with jitter between attempts. */
export class Stream {
  private last = '';
  private tries = 0;
  private abort: AbortController | null = null;
  private timer = 0;
  private stopped = true;

  constructor(private readonly url: string, private readonly handlers: StreamHandlers) {}

  start() {
    if (!this.stopped) return;
    this.stopped = false;
    this.tries = 0;
    void this.run();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.abort?.abort();
    this.abort = null;
  }

  /** Without waiting any longer: the network is back, or somebody asked. */
  now() {
    if (this.stopped || this.abort) return;
    clearTimeout(this.timer);
    void this.run();
  }

  private async run() {
    const abort = new AbortController();
    this.abort = abort;
    let silence = 0;
    let quiet = false;
    const listen = () => {
      clearTimeout(silence);
      silence = setTimeout(() => {
        quiet = true;
        abort.abort();
      }, SILENCE);
    };
    let why = 'Sentinel ended the connection';
    try {
      listen();
      const headers: Record<string, string> = {Accept: 'text/event-stream'};
      if (this.last) headers['Last-Event-ID'] = this.last;
      const response = await fetch(this.url, {headers, cache: 'no-store', credentials: 'omit', signal: abort.signal});
      if (!response.ok || !response.body) throw new Error(`the answer was ${response.status}`);
      const parser = new EventParser((event) => {
        if (event.id) this.last = event.id;
        this.handlers.event(event);
      });
      parser.id = this.last;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let first = true;; first = false) {
        const {value, done} = await reader.read();
        if (done) break;
        listen();
        if (first) {
          this.tries = 0;
          this.handlers.open();
        }
        parser.push(value);
      }
    } catch (error) {
      if (quiet) why = 'nothing was heard for 40 s';
      else if (error instanceof Error && error.message.startsWith('the answer')) why = error.message;
      else why = 'Sentinel does not answer';
    }
    clearTimeout(silence);
    if (this.abort !== abort) return;
    this.abort = null;
    if (this.stopped) return;
    const wait = Math.min(LONGEST_WAIT, 500 * 2 ** this.tries) * (0.75 + Math.random() / 2);
    this.tries = Math.min(this.tries + 1, 10);
    this.handlers.lost(why, Date.now() + wait);
    this.timer = setTimeout(() => void this.run(), wait);
  }
}
