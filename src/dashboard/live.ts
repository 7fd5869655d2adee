// What pages see live: pushes the overview, and what each page asked to follow, twice a second at
// most. A page that does not read is skipped, never buffered for, and closed when that lasts.

import { type Command, isId, type Outcome } from '../contract/commands.ts';
import { cancel, every, type Timer } from '../time/timers.ts';
import { whyNoSnapshot } from './absent.ts';
import { overviewOf } from './api.ts';
import type { RunCommand } from './commander.ts';
import { createGuard, type GuardOptions } from './guard.ts';
import { type DashboardReply, type DashboardRequest, problem } from './http.ts';
import type { Answer, ClusterView, ServedBy } from './messages.ts';
import { bucketsCommand } from './queries.ts';

/** One page's socket as a transport shows it. No method throws. */
export interface LiveSocket {
  send(text: string): void;
  /** Bytes that the page has not taken yet. */
  queuedBytes(): number;
  close(code: number, reason: string): void;
}

export interface LiveOptions extends GuardOptions {
  ask: () => Promise<Answer | undefined>;
  run: RunCommand;
  servedBy?: () => ServedBy | undefined;
}

export const SOCKETS_MAX = 100;
/** One message of a page, in bytes. */
export const MESSAGE_BYTES_MAX = 4096;
/** The protocol that a page may offer; its token goes along as bearer.TOKEN. */
export const PROTOCOL = 'thrustmq';
const PERIOD_MS = 500;
const QUEUED_BYTES_MAX = 64 * 1024;
const ROWS_MAX = 100;
// So many pushes in a row a page may miss: ten seconds.
const SKIPPED_MAX = 20;
const TRY_LATER = 1013;

/** A page's side of the hub. */
export interface Follower {
  /** A text frame of the page. */
  message(text: string): void;
  closed(): void;
}

interface Page {
  socket: LiveSocket;
  follows: { type: 'bucket' | 'buckets'; command: Command }[];
  skipped: number;
}

export class Live {
  readonly #options: LiveOptions;
  readonly #guard: ReturnType<typeof createGuard>;
  readonly #pages = new Set<Page>();
  #timer: Timer | undefined;
  #pushing: Promise<void> | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#guard = createGuard(options);
  }

  /** Sockets that are open. */
  get count(): number {
    return this.#pages.size;
  }

  /** Why an upgrade is refused, or undefined. `protocols`: the header of that name. */
  refusal(request: DashboardRequest, protocols: string | undefined): DashboardReply | undefined {
    const token = /(?:^|,)\s*bearer\.([^\s,]+)/.exec(protocols ?? '')?.[1];
    const authorization = token === undefined ? request.authorization : `Bearer ${token}`;
    const asked = { ...request, method: 'GET', authorization };
    const refusal = this.#guard.refusal(asked, 'closed');
    if (refusal !== undefined) return refusal;
    if (this.#pages.size < SOCKETS_MAX) return undefined;
    return problem(503, `${SOCKETS_MAX} pages are open, the limit: close one`);
  }

  /** A page is connected. */
  open(socket: LiveSocket): Follower {
    const page: Page = { socket, follows: [], skipped: 0 };
    this.#pages.add(page);
    this.#timer ??= every(PERIOD_MS, () => void this.push()).unref();
    void this.push();
    return {
      message: (text) => this.#subscribe(page, text),
      closed: () => {
        this.#pages.delete(page);
        if (this.#pages.size > 0) return;
        cancel(this.#timer);
        this.#timer = undefined;
      },
    };
  }

  #subscribe(page: Page, text: string): void {
    try {
      page.follows = followsOf(text);
    } catch (error) {
      const detail = (error as Error).message;
      if (page.socket.queuedBytes() < QUEUED_BYTES_MAX) page.socket.send(problemFrame(400, detail));
    }
  }

  /** Pushes to every page that reads; one push at a time, joined by who comes late. */
  push(): Promise<void> {
    this.#pushing ??= this.#pushAll().finally(() => {
      this.#pushing = undefined;
    });
    return this.#pushing;
  }

  async #pushAll(): Promise<void> {
    const news = await this.#news();
    // The same list is asked for once, whoever follows it, and one list after the other: however
    // many pages there are, they cost the broker one command at a time.
    const frames = new Map<string, string>();
    for (const page of [...this.#pages]) {
      if (this.#isBehind(page)) continue;
      for (const frame of news) page.socket.send(frame);
      for (const { type, command } of page.follows) {
        const key = JSON.stringify(command);
        const frame = frames.get(key) ?? frameOf(type, await this.#options.run(command));
        frames.set(key, frame);
        if (this.#pages.has(page)) page.socket.send(frame);
      }
    }
  }

  #isBehind(page: Page): boolean {
    if (!this.#pages.has(page)) return true;
    if (page.socket.queuedBytes() < QUEUED_BYTES_MAX) {
      page.skipped = 0;
      return false;
    }
    page.skipped++;
    if (page.skipped > SKIPPED_MAX) page.socket.close(TRY_LATER, 'the page does not read');
    return true;
  }

  // Of the broker, and of its cluster if there is one; a node that follows has the latter only.
  async #news(): Promise<string[]> {
    const answer = await this.#options.ask();
    const { readOnly = false, servedBy } = this.#options;
    const { cluster, snapshot } = answer ?? {};
    const frames: string[] = [];
    if (cluster !== undefined) {
      const data: ClusterView = { ...cluster, serves: snapshot !== undefined, readOnly };
      frames.push(JSON.stringify({ type: 'cluster', data }));
    }
    if (snapshot !== undefined) {
      const data = overviewOf(snapshot, readOnly, servedBy?.());
      frames.push(JSON.stringify({ type: 'overview', data }));
    }
    return frames.length > 0 ? frames : [problemReplyFrame(whyNoSnapshot(answer))];
  }
}

// Reads what a page wants to follow. Throws an Error that says what is wrong.
function followsOf(text: string): Page['follows'] {
  let message: { subscribe?: { bucket?: unknown; buckets?: unknown } };
  try {
    message = JSON.parse(text);
  } catch {
    throw new Error('a message must be JSON');
  }
  const { subscribe } = message ?? {};
  if (typeof subscribe !== 'object' || subscribe === null)
    throw new Error('a message must be {"subscribe":{…}}');
  const follows: Page['follows'] = [];
  const { bucket, buckets } = subscribe;
  if (bucket !== undefined) {
    if (!isId(bucket)) throw new Error('bucket must be an id as decimal text');
    follows.push({ type: 'bucket', command: { kind: 'bucket', id: bucket } });
  }
  if (buckets !== undefined) {
    if (typeof buckets !== 'object' || buckets === null)
      throw new Error('buckets must be an object with sort, limit and prefix');
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(buckets)) query.set(name, String(value));
    const command = bucketsCommand(query);
    if (command.kind === 'buckets') command.limit = Math.min(command.limit, ROWS_MAX);
    follows.push({ type: 'buckets', command });
  }
  return follows;
}

function frameOf(type: string, outcome: Outcome): string {
  if (outcome.ok) return JSON.stringify({ type, data: outcome.result });
  return problemFrame(503, outcome.detail, outcome.code);
}

function problemFrame(status: number, detail: string, code?: string): string {
  return problemReplyFrame(problem(status, detail, code));
}

function problemReplyFrame({ body }: DashboardReply): string {
  return `{"type":"problem","data":${body.trim()}}`;
}
