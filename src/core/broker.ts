// The broker's state machine: connections, buckets and commit put together. Inputs are calls that
// run to their end without waiting; effects go out through ports. Time comes in through `advance`.
// The only other inputs are completions of the log, which Commit turns into `durable`.

import { assert } from './assert.ts';
import { Buckets } from './buckets.ts';
import { type Batch, Commit, type CommitEvents, type Resume } from './commit.ts';
import { Consumer } from './consumer.ts';
import { type BreachKind, Budget, type Context } from './context.ts';
import { Counters } from './counters.ts';
import { FramePool } from './frames.ts';
import type { Limits } from './limits.ts';
import type { Codec, Link, Log, Notices, Position, Wake } from './ports.ts';
import { Producer } from './producer.ts';
import { Retention } from './retention.ts';
import {
  BODY_BYTES,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  OFFSET,
  ROW_WORDS,
  sequenceOf,
} from './rows.ts';

/** What a log holds, as recovery rebuilds it before there is a broker. */
export interface State {
  buckets: Buckets<Consumer>;
  retention: Retention;
}

/** An empty state; `hashSeed` is for the bucket directory, random in production. */
export function createState(hashSeed: number): State {
  return { buckets: new Buckets<Consumer>(hashSeed), retention: new Retention() };
}

export interface BrokerOptions extends State {
  codec: Codec;
  log: Log;
  limits: Limits;
  notices: Notices;
  wake: Wake;
  wallMs: () => number;
  /** Mode commit: an append that is done is synced. */
  strict: boolean;
  /** The log failed: no ack will leave any more, the process must stop. */
  onFailed: (failure: Error) => void;
}

// A reader that takes nothing for this long is closed when its memory is needed.
const STUCK_MS = 10_000;

export class Broker implements Context, CommitEvents {
  readonly codec: Codec;
  readonly limits: Limits;
  readonly commit: Commit;
  readonly buckets: Buckets<Consumer>;
  readonly retention: Retention;
  readonly counters = new Counters();
  readonly notices: Notices;
  readonly budget: Budget;
  readonly frames = new FramePool();
  readonly producers = new Set<Producer>();
  readonly consumers = new Set<Consumer>();
  readonly #log: Log;
  readonly #options: BrokerOptions;
  #now = 0;
  #flushAsked = false;
  #lastBase: Position = -1;
  #blocked: Producer[] = [];
  #replies: Producer[] = [];
  readonly #starved = new Set<number>();
  #closing = false;
  #onBatch: ((batch: Batch) => void) | undefined;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.codec = options.codec;
    this.limits = options.limits;
    this.notices = options.notices;
    this.#log = options.log;
    this.budget = new Budget(options.limits.bufferBytesMax);
    this.buckets = options.buckets;
    this.retention = options.retention;
    this.commit = new Commit({
      codec: options.codec,
      log: options.log,
      events: this,
      wallMs: options.wallMs,
      strict: options.strict,
      reserveBytes: options.limits.reserveBytes,
      messageBytesMax: options.limits.messageBytesMax,
      ackCommitMs: options.limits.ackCommitMs,
      proofMs: options.limits.proofMs,
    });
  }

  /** Starts the broker's life at the end of the recovered log. */
  resume(at: Resume): void {
    this.#lastBase = at.base;
    this.commit.resume(at);
  }

  /** Observes every batch that became durable; for measuring. */
  onBatch(observe: (batch: Batch) => void): void {
    this.#onBatch = observe;
  }

  // --- inputs -----------------------------------------------------------------------------------

  /** A producer connected; undefined if it was turned away. */
  openProducer(link: Link): Producer | undefined {
    if (!this.#admit(link)) return undefined;
    const producer = new Producer(this, link);
    this.producers.add(producer);
    return producer;
  }

  /** A consumer connected; undefined if it was turned away. */
  openConsumer(link: Link): Consumer | undefined {
    if (!this.#admit(link)) return undefined;
    const consumer = new Consumer(this, link);
    this.consumers.add(consumer);
    return consumer;
  }

  #admit(link: Link): boolean {
    const { connectionsMax } = this.limits;
    if (!this.#closing && this.producers.size + this.consumers.size < connectionsMax) return true;
    this.counters.refusedConnections++;
    if (!this.#closing)
      this.notices.notice(
        'warn',
        'connections.full',
        `connection from ${link.peer} refused: ${connectionsMax} connections are open, the limit (--max-connections)`,
      );
    link.destroy();
    return false;
  }

  /** Whatever arrived together has been received: commit what is worth it. */
  flush(): void {
    this.#flushAsked = false;
    this.#sendReplies();
    this.commit.flush();
  }

  /** Monotonic time; to be called at least every 50 ms. */
  advance(nowMs: number): void {
    assert(nowMs >= this.#now, 'time ran backwards');
    this.#now = nowMs;
    for (const producer of this.producers) producer.advance(nowMs);
    for (const consumer of this.consumers) consumer.advance(nowMs);
    this.#relieveStuck();
    if (!this.budget.over && this.#starved.size > 0) {
      const slots = [...this.#starved];
      this.#starved.clear();
      for (const slot of slots) this.dispatch(slot);
    }
    const needed = this.retention.needed(this.commit.durablePosition);
    if (needed > this.#log.startPosition) this.commit.trim(needed);
    this.commit.advance(nowMs);
    this.#sendReplies();
  }

  /** The next segment came to be, or it is known why not. */
  segmentChanged(): void {
    this.commit.flush();
    this.roomAgain();
  }

  /** No new work: what is in flight may finish. */
  close(): void {
    this.#closing = true;
    for (const producer of this.producers) producer.stop();
  }

  /** Whether every delivered message was acked and everything accepted is on disk. */
  get quiet(): boolean {
    return this.buckets.unacked === 0 && this.commit.drained;
  }

  // --- effects of commits -----------------------------------------------------------------------

  durable(batch: Batch): void {
    if (batch.base > this.#lastBase) {
      this.#lastBase = batch.base;
      this.retention.open(batch.base);
    }
    this.#sendReplies();
    this.counters.publishedMessages += batch.messages;
    this.counters.publishedBytes += batch.payload;
    const { words } = batch.rows;
    let touched = 0;
    for (let i = 0; i < batch.rows.count; i++) {
      const at = i * ROW_WORDS;
      const slot = this.buckets.open(words[at + BUCKET_LOW]!, words[at + BUCKET_HIGH]!);
      const count = words[at + COUNT]!;
      const position = batch.base + words[at + OFFSET]!;
      this.buckets.push(slot, {
        position,
        sequence: sequenceOf(words, at),
        first: 0,
        count,
        bodyBytes: words[at + BODY_BYTES]!,
        attempts: 0,
      });
      this.retention.count(position, count);
      if (slot !== touched && touched !== 0) this.dispatch(touched);
      touched = slot;
    }
    if (touched !== 0) this.dispatch(touched);
    if (batch.trim > 0) this.retention.trimmed(batch.trim);
    this.#onBatch?.(batch);
  }

  roomAgain(): void {
    if (this.#blocked.length === 0) return;
    const blocked = this.#blocked;
    this.#blocked = [];
    for (const producer of blocked) producer.room();
    this.flushSoon();
  }

  failed(failure: Error): void {
    this.#closing = true;
    for (const producer of this.producers) producer.link.destroy();
    for (const consumer of this.consumers) consumer.link.destroy();
    this.#options.onFailed(failure);
  }

  // --- what sessions ask for --------------------------------------------------------------------

  nowMs(): number {
    return this.#now;
  }

  flushSoon(): void {
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#options.wake.soon();
  }

  waitForRoom(producer: Producer): void {
    this.#blocked.push(producer);
  }

  replyLater(producer: Producer): void {
    this.#replies.push(producer);
    this.flushSoon();
  }

  #sendReplies(): void {
    if (this.#replies.length === 0) return;
    const replies = this.#replies;
    this.#replies = [];
    for (const producer of replies) producer.sendReplies();
  }

  dispatch(slot: number): void {
    const share = this.buckets.share(slot);
    if (share === undefined || this.#closing) return;
    for (const consumer of share.waiting) {
      if (this.buckets.peek(slot) === 0) return;
      if (this.budget.over) {
        this.#starved.add(slot);
        return;
      }
      if (!consumer.deliver()) return;
      share.waiting.delete(consumer);
    }
  }

  fetch(slot: number, position: Position, recordBytes: number): number {
    const hot = this.commit.hot(position);
    if (hot >= 0) return hot;
    const cold = this.#log.resident(position, recordBytes);
    if (cold >= 0) return cold;
    const share = this.buckets.share(slot);
    assert(share !== undefined, 'a record was fetched for a bucket that nobody shares');
    if (share.loading) return -1;
    share.loading = true;
    this.#log.load(position, recordBytes, (failure) => {
      share.loading = false;
      if (failure !== undefined) this.#setAside(slot, position, failure);
      this.dispatch(slot);
      this.buckets.tidy(slot);
    });
    return -1;
  }

  // A record cannot be read back: it stays on disk, untouched and reported, and the others go on.
  #setAside(slot: number, position: Position, failure: Error): void {
    const entry = this.buckets.peek(slot);
    if (entry === 0 || this.buckets.entries.position(entry) !== position) return;
    const part = this.buckets.setAside(slot, entry);
    this.counters.unreadableMessages += part.count;
    this.notices.notice(
      'error',
      'log.unreadable',
      `${part.count} messages of bucket ${this.buckets.idOf(slot)} (sequences ${part.sequence} to ${part.sequence + part.count - 1}, log position ${position}) cannot be read: ${failure.message}. They are set aside until the next start; their bytes stay in the log. Check the disk, then run: thrustmq log verify`,
      { position, sequence: part.sequence, count: part.count },
    );
  }

  breach(link: Link, side: 'intake' | 'exhaust', why: BreachKind, text: string): void {
    this.counters.protocolErrors++;
    this.notices.notice('warn', `${why}.${side}`, `${side} ${link.peer} closed: ${text}`, {
      peer: link.peer,
    });
    link.destroy();
  }

  closed(session: Producer | Consumer): void {
    if (session instanceof Producer) this.producers.delete(session);
    else this.consumers.delete(session);
  }

  relieve(): void {
    let worst: Producer | Consumer | undefined;
    for (const session of [...this.producers, ...this.consumers]) {
      if (worst === undefined || session.heldBytes > worst.heldBytes) worst = session;
    }
    if (worst === undefined || worst.heldBytes === 0) return;
    worst.evict(`it held ${worst.heldBytes} bytes, the most, ${this.#whenOver()}`);
  }

  #relieveStuck(): void {
    if (!this.budget.over) return;
    for (const session of [...this.producers, ...this.consumers]) {
      const since = session.stuckSinceMs;
      if (since < 0 || this.#now - since < STUCK_MS) continue;
      session.evict(`it has not read what it was sent for ${STUCK_MS} ms, ${this.#whenOver()}`);
    }
  }

  #whenOver(): string {
    return `when all buffers together were over ${this.budget.bytesMax} bytes (--buffer)`;
  }
}
