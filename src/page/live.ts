// The page's one connection to the dashboard: what was pushed last, and whether it still flows. An
// interruption is noticed within seconds and healed without the user; nothing here draws.

import type { BucketInfo, BucketPage } from '../contract/commands.ts';
import { SECONDS_MAX } from '../dashboard/history.ts';
import type { ClusterView } from '../dashboard/messages.ts';
import { get } from './request.ts';
import { Series } from './series.ts';
import type { Frame, Overview, Problem } from './types.ts';

export interface Follows {
  bucket?: string;
  buckets?: { sort: string; limit: number; prefix?: string; cursor?: string };
}

export interface LiveState {
  /** `connecting`: for the first time; `lost`: it was there before. */
  phase: 'connecting' | 'live' | 'lost';
  /** Attempts in a row that failed. */
  failures: number;
  /** When the phase began, by the page's clock. */
  sinceMs: number;
  /** Of the broker; a node of a cluster that does not own the log has none. */
  overview: Overview | undefined;
  /** Of a node of a cluster. */
  cluster: ClusterView | undefined;
  buckets: BucketPage | undefined;
  bucket: BucketInfo | undefined;
  /** Why there is no news although the connection stands. */
  problem: Problem | undefined;
  /** Grows with each new row of `series`. */
  rows: number;
}

const RETRY_MS = [250, 500, 1000, 1500];
/** Twice a second there is news; without any for so long the connection is dead. */
const SILENT_MS = 4000;
const PATH = 'api/v1/live';
const PROTOCOL = 'thrustmq';

export class Live {
  readonly series = new Series();
  #state: LiveState = {
    phase: 'connecting',
    failures: 0,
    sinceMs: Date.now(),
    overview: undefined,
    cluster: undefined,
    buckets: undefined,
    bucket: undefined,
    problem: undefined,
    rows: 0,
  };
  #listeners = new Set<() => void>();
  #follows: Follows = {};
  #socket: WebSocket | undefined;
  #heardMs = 0;

  constructor() {
    setInterval(() => this.#watch(), 1000);
    // Back from sleep, or on a network again: at once, not at the next attempt.
    for (const name of ['online', 'pageshow']) addEventListener(name, () => this.#watch());
    this.#connect();
  }

  get state(): LiveState {
    return this.#state;
  }

  /** Calls back on each change. Returns what ends it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What a screen wants to see beside the overview; replaces what was wanted before. */
  follow(follows: Follows): void {
    const isSame = JSON.stringify(follows) === JSON.stringify(this.#follows);
    if (isSame) return;
    this.#follows = follows;
    this.#change({ bucket: undefined, buckets: undefined, problem: undefined });
    this.#sendFollows();
  }

  #sendFollows(): void {
    if (this.#socket?.readyState === WebSocket.OPEN)
      this.#socket.send(JSON.stringify({ subscribe: this.#follows }));
  }

  #change(change: Partial<LiveState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }

  #connect(): void {
    const url = new URL(PATH, location.href);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url, [PROTOCOL]);
    this.#socket = socket;
    this.#heardMs = performance.now();
    socket.onopen = () => {
      this.#sendFollows();
      void this.#loadHistory();
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#take(JSON.parse(String(data)) as Frame);
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
  }

  #take(frame: Frame): void {
    this.#heardMs = performance.now();
    const isBack = this.#state.phase !== 'live';
    const change: Partial<LiveState> = isBack
      ? { phase: 'live', failures: 0, sinceMs: Date.now(), cluster: undefined }
      : {};
    if (frame.type === 'overview') {
      const rows = this.#state.rows + (this.series.add(frame.data) ? 1 : 0);
      Object.assign(change, { overview: frame.data, problem: undefined, rows });
    } else if (frame.type === 'cluster') {
      change.cluster = frame.data;
      if (!frame.data.serves) Object.assign(change, { overview: undefined, problem: undefined });
    } else if (frame.type === 'buckets') change.buckets = frame.data;
    else if (frame.type === 'bucket') {
      // One for the screen before may still have been under way.
      if (frame.data.id === this.#follows.bucket) change.bucket = frame.data;
    } else change.problem = frame.data;
    this.#change(change);
  }

  #lost(): void {
    this.#socket = undefined;
    const { phase, failures } = this.#state;
    const change: Partial<LiveState> =
      phase === 'live' ? { phase: 'lost', sinceMs: Date.now() } : {};
    this.#change({ ...change, failures: failures + 1 });
    const waitMs = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]!;
    setTimeout(() => {
      if (this.#socket === undefined) this.#connect();
    }, waitMs);
  }

  // A connection whose other end is gone may look open for minutes.
  #watch(): void {
    if (this.#socket === undefined || performance.now() - this.#heardMs < SILENT_MS) return;
    const silent = this.#socket;
    silent.onclose = null;
    silent.close();
    this.#lost();
  }

  async #loadHistory(): Promise<void> {
    const answer = await get<Parameters<Series['load']>[0]>(`/history?seconds=${SECONDS_MAX}`);
    if (!answer.ok) return; // the charts begin empty then
    this.series.load(answer.data);
    this.#change({ rows: this.#state.rows + 1 });
  }
}
