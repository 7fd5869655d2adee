// The stream in memory, behind the port that nodes see it through: one for each of their
// connections, with everything that a network and a few servers may do to it.

import type { Appended, ReplicatedStream, StreamMessage } from '../../../src/core/ports/stream.ts';
import type { Clock } from './clock.ts';
import { Timeouts } from './timeouts.ts';

const TIMEOUT_MS = 500;
const APPEND_TIMEOUT_MS = 3000;

/** How often something goes wrong, 0 … 1, for one request. */
export interface Weather {
  lostReply: number;
  lostRequest: number;
  late: number;
  stale: number;
  lostFollowing: number;
}

export const CALM: Weather = {
  lostReply: 0,
  lostRequest: 0,
  late: 0,
  stale: 0,
  lostFollowing: 0,
};

export class SimStream {
  readonly clock: Clock;
  readonly #messages = new Map<number, Uint8Array>();
  readonly #stored: (message: StreamMessage, sentMs: number) => void;
  weather: Weather = CALM;
  first = 1;
  last = 0;
  isLeaderless = false;
  isFull = false;
  readonly connections: Connection[] = [];
  readonly requests: Timeouts;
  readonly appends: Timeouts;
  #behind: Connection | undefined;
  #past = { first: 1, last: 0 };

  constructor(clock: Clock, stored: (message: StreamMessage, sentMs: number) => void) {
    this.clock = clock;
    this.#stored = stored;
    this.requests = new Timeouts(clock, TIMEOUT_MS);
    this.appends = new Timeouts(clock, APPEND_TIMEOUT_MS);
  }

  lead(on: boolean): void {
    this.isLeaderless = !on;
  }

  fill(on: boolean): void {
    this.isFull = on;
  }

  /** What the servers said of themselves a while ago. */
  remember(): void {
    this.#past = { first: this.first, last: this.last };
  }

  append(bytes: Uint8Array, expect: number, sentMs: number): Appended {
    if (expect !== this.last) {
      this.clock.count('another number expected');
      return { ok: false, why: 'expected' };
    }
    if (this.isFull) {
      this.clock.count('full');
      return { ok: false, why: 'full' };
    }
    this.last++;
    this.#messages.set(this.last, bytes);
    this.#stored({ sequence: this.last, bytes }, sentMs);
    for (const connection of this.connections) connection.wake();
    return { ok: true, sequence: this.last };
  }

  at(sequence: number): Uint8Array | undefined {
    return this.#messages.get(sequence);
  }

  /** The next one that is there, from a number on. */
  next(from: number): StreamMessage | undefined {
    const sequence = Math.max(from, this.first);
    const bytes = this.#messages.get(sequence);
    return bytes && { sequence, bytes };
  }

  purge(before: number): void {
    for (; this.first < before && this.first <= this.last; this.first++)
      this.#messages.delete(this.first);
  }

  /** The servers lose their last messages. */
  forget(count: number): void {
    for (let i = 0; i < count; i++) this.#messages.delete(this.last--);
  }

  /** One who asks is answered by a server that was left behind. */
  leaveBehind(on: boolean): void {
    const { first, last, connections } = this;
    if (this.#behind !== undefined) this.#behind.past = undefined;
    this.#behind = on ? connections[this.clock.random.below(connections.length)] : undefined;
    if (this.#behind !== undefined) this.#behind.past = { first, last };
  }

  state(stale: boolean) {
    const { first, last } = stale ? this.#past : this;
    if (stale && last < this.last) this.clock.count('stale states');
    return { first, last, bytes: 0, created: 'then' };
  }
}

/** What one node has of it; made anew with each life of the node. */
export class Connection implements ReplicatedStream {
  readonly #stream: SimStream;
  // Runs what comes in at the node, which may be paused, or gone.
  readonly #deliver: (what: () => void) => void;
  isCut = false;
  isOver = false;
  /** What its server knew of the stream when it was left behind. */
  past: { first: number; last: number } | undefined;
  #arrivesMs = 0;
  #waking: (() => void) | undefined;

  constructor(stream: SimStream, deliver: (what: () => void) => void) {
    this.#stream = stream;
    this.#deliver = deliver;
    stream.connections.push(this);
  }

  connected(): boolean {
    return !this.isCut;
  }

  wake(): void {
    this.#waking?.();
  }

  append(
    envelope: Uint8Array,
    body: Uint8Array | undefined,
    expect: number,
    done: (appended: Appended) => void,
  ): void {
    const { clock, weather } = this.#stream;
    const bytes = new Uint8Array(envelope.length + (body?.length ?? 0));
    bytes.set(envelope);
    if (body !== undefined) bytes.set(body, envelope.length);
    const sentMs = clock.nowMs;
    const reply = this.#once(done, { ok: false, why: 'unknown' }, this.#stream.appends);
    if (clock.chance(weather.lostRequest)) {
      clock.count('requests lost');
      return;
    }
    // Past timeouts, and past the next owner's start; what comes behind it does not wait.
    const isLate = clock.chance(weather.late);
    if (isLate) clock.count('late parts');
    const delay = isLate ? clock.between(300, 6000) : clock.between(0.2, 3);
    const arrives = Math.max(clock.nowMs + delay, isLate ? 0 : this.#arrivesMs);
    if (!isLate) this.#arrivesMs = arrives;
    this.#arrive(arrives - clock.nowMs, () => {
      const appended = this.#stream.append(bytes, expect, sentMs);
      if (clock.chance(this.#stream.weather.lostReply)) clock.count('replies lost');
      else this.#answer(() => reply(appended));
    });
  }

  // What is sent while there is no way, or nobody to take it, may still get there later, or never.
  #arrive(ms: number, what: () => void): void {
    const { clock } = this.#stream;
    clock.after(ms, () => {
      if (!this.isCut && !this.#stream.isLeaderless) what();
      else if (clock.chance(0.5)) this.#arrive(clock.between(50, 800), what);
      else clock.count(this.isCut ? 'cut off' : 'no leader');
    });
  }

  #answer(what: () => void): void {
    const { clock } = this.#stream;
    clock.after(clock.between(0.2, 3), () => {
      if (!this.isCut) this.#deliver(() => !this.isOver && what());
    });
  }

  // Calls back once: with a reply, or when it has waited for long enough.
  #once<T>(
    done: (reply: T) => void,
    late: T,
    requests = this.#stream.requests,
  ): (reply: T) => void {
    const once = (reply: T) => {
      if (request.isOver || this.isOver) return;
      request.isOver = true;
      done(reply);
    };
    const request = requests.wait(() => this.#deliver(() => once(late)));
    return once;
  }

  follow(from: number, hear: (message: StreamMessage) => boolean, lost: (why: string) => void) {
    const { clock } = this.#stream;
    let next = from;
    let on = true;
    let isPaused = false;
    let isUnderWay = false;
    const more = () => {
      if (!on || isPaused || isUnderWay || this.isOver) return;
      const message = this.#stream.next(next);
      if (message === undefined) return;
      isUnderWay = true;
      const isSlow = clock.chance(this.#stream.weather.stale);
      if (isSlow) clock.count('followers behind');
      clock.after(isSlow ? clock.between(10, 400) : clock.between(0.2, 2), () => {
        isUnderWay = false;
        if (this.isCut) return;
        if (clock.chance(this.#stream.weather.lostFollowing)) {
          clock.count('followings lost');
          on = false;
          this.#deliver(() => lost('it broke'));
          return;
        }
        this.#deliver(() => {
          if (!on || this.isOver) return;
          next = message.sequence + 1;
          isPaused = !hear(message);
          if (isPaused) clock.count('followings held');
          more();
        });
      });
    };
    this.#waking = more;
    clock.after(0, more);
    return {
      stop: () => {
        on = false;
      },
      resume: () => {
        isPaused = false;
        clock.after(0, more);
      },
    };
  }

  read(sequence: number, done: (failure: Error | undefined, message?: StreamMessage) => void) {
    const { clock, weather } = this.#stream;
    const reply = this.#once<[Error | undefined, StreamMessage | undefined]>(
      ([failure, message]) => (message === undefined ? done(failure) : done(failure, message)),
      [new Error('timed out'), undefined],
    );
    const isStale = clock.chance(weather.stale);
    clock.after(clock.between(0.2, 3), () => {
      if (this.isCut) return;
      const bytes = this.#stream.at(sequence);
      if (isStale && bytes !== undefined) clock.count('stale reads');
      const message = bytes === undefined || isStale ? undefined : { sequence, bytes };
      this.#answer(() => reply([undefined, message]));
    });
  }

  state(done: (failure: Error | undefined, state?: ReturnType<SimStream['state']>) => void) {
    const { clock, weather } = this.#stream;
    const reply = this.#once<[Error | undefined, ReturnType<SimStream['state']>?]>(
      (given) => done(...given),
      [new Error('timed out')],
    );
    const isStale = clock.chance(weather.stale);
    clock.after(clock.between(0.2, 3), () => {
      if (this.isCut) return;
      const { past } = this;
      if (past !== undefined && past.last < this.#stream.last) clock.count('left behind');
      const state = { ...this.#stream.state(isStale), ...past };
      this.#answer(() => reply([undefined, state]));
    });
  }

  purge(before: number, done: (failure: Error | undefined) => void) {
    const { clock } = this.#stream;
    const reply = this.#once<Error | undefined>(done, new Error('timed out'));
    this.#arrive(clock.between(1, 10), () => {
      clock.count('purges');
      this.#stream.purge(before);
      this.#answer(() => reply(undefined));
    });
  }

  /** The process behind it is gone; what it sent is not. */
  close(): void {
    this.isOver = true;
    this.#stream.connections.splice(this.#stream.connections.indexOf(this), 1);
  }
}
