// The broker's state machine: connections, buckets and commit put together. Inputs are calls that
// run to their end without waiting; effects go out through ports. Time comes in through `advance`.
// The only other inputs are completions of the log, which Commit turns into `durable`.

import type { BrokerOptions } from './broker-options.ts';
import type { Buckets } from './buckets/buckets.ts';
import type { Batch } from './commit/batch.ts';
import { Commit } from './commit/commit.ts';
import type { CommitEvents } from './commit/options.ts';
import { Admission } from './connections/admission.ts';
import { Consumer } from './connections/consumer.ts';
import type { BreachKind, Context } from './connections/context.ts';
import { Producer } from './connections/producer.ts';
import { Dispatcher } from './delivery/dispatcher.ts';
import * as notices from './delivery/notices.ts';
import { Paused } from './delivery/paused.ts';
import { Presence } from './delivery/presence.ts';
import { Intake } from './fairness/fair-share.ts';
import type { ForegroundTraffic } from './fairness/foreground.ts';
import type { Limits } from './limits.ts';
import { Budget } from './memory/budget.ts';
import { Relief } from './memory/eviction.ts';
import { FramePool } from './memory/frame-pool.ts';
import { Blocks } from './memory/partial-input.ts';
import { Reservations } from './memory/reservations.ts';
import { Counters } from './metrics/counters.ts';
import { Latency } from './metrics/latency.ts';
import type { Failure, Position } from './ports/basics.ts';
import type { Codec } from './ports/codec.ts';
import type { Resume } from './ports/journal.ts';
import type { Link } from './ports/link.ts';
import type { LogPorts } from './ports/log.ts';
import type { Notices } from './ports/notices.ts';
import {
  BODY_BYTES,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  OFFSET,
  ROW_WORDS,
  recordBytesOf,
  sequenceOf,
} from './records/rows.ts';
import { Compaction } from './segments/compaction.ts';
import { Indexing } from './segments/indexing.ts';
import type { Retention } from './segments/retention.ts';
import { checkpointOf } from './segments/state.ts';
import { Ticks } from './ticks.ts';
import type { Deadlines } from './timing/deadlines.ts';
import { Overdue } from './timing/overdue.ts';

export class Broker implements Context, CommitEvents {
  readonly codec: Codec;
  readonly limits: Limits;
  readonly commit: Commit;
  readonly intake: Intake;
  readonly foreground: ForegroundTraffic;
  readonly indexing: Indexing;
  readonly compaction: Compaction;
  readonly buckets: Buckets<Consumer>;
  readonly retention: Retention;
  readonly counters = new Counters();
  readonly latency: Latency;
  readonly notices: Notices;
  readonly budget: Budget;
  readonly reservations: Reservations;
  readonly #relief: Relief;
  readonly frames: FramePool;
  readonly blocks: Blocks;
  readonly paused: Paused;
  readonly overdue = new Overdue(() => void this.#ticks.stir());
  readonly presence: Presence;
  readonly dispatcher: Dispatcher;
  readonly producers = new Set<Producer>();
  readonly consumers = new Set<Consumer>();
  readonly #ticks: Ticks;
  readonly #admission: Admission;
  readonly #log: LogPorts;
  readonly #options: BrokerOptions;
  #flushAsked = false;
  #lastBase: Position = -1;
  #nextSequence = 1;
  #replies: Producer[] = [];
  #closing = false;
  readonly #onBatch: ((batch: Batch) => void)[] = [];

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.paused = options.paused ?? new Paused();
    this.codec = options.codec;
    this.limits = options.limits;
    this.notices = options.notices;
    this.#log = options.log;
    this.foreground = options.foreground;
    this.#admission = new Admission(options.limits);
    const { bufferBytesMax, messageBytesMax } = options.limits;
    this.budget = new Budget(bufferBytesMax);
    this.reservations = new Reservations(bufferBytesMax, messageBytesMax);
    this.#relief = new Relief(this.budget, [this.producers, this.consumers], this.overdue);
    this.frames = new FramePool(options.limits.framesMax);
    this.blocks = new Blocks(bufferBytesMax);
    this.buckets = options.buckets;
    this.retention = options.retention;
    this.presence = new Presence({
      soon: () => this.flushSoon(),
      dispatch: (slot) => this.dispatch(slot),
      isLate: options.isLate ?? (() => false),
    });
    const { buckets, retention, log, wallMs, nowMs = () => this.#ticks.nowMs } = options;
    const { clockMs = nowMs } = options;
    this.latency = new Latency({ clockMs });
    this.indexing = new Indexing({
      buckets,
      retention,
      index: log.index,
      indexed: () => this.#indexed(),
      failed: (base, failure) => this.#notIndexed(base, failure),
      soon: () => this.flushSoon(),
      releaseMax: options.releaseMax,
    });
    this.compaction = new Compaction({
      buckets,
      retention,
      space: log.space,
      upkeep: log.upkeep,
      memoryFrom: () => this.indexing.memoryFrom,
      entriesMax: options.limits.segmentEntriesMax,
      moved: (base, end, where) => {
        buckets.moved(base, end, where);
        for (const consumer of this.consumers) consumer.moved(base, end, where);
      },
      ended: (failure, smaller) => this.#compacted(failure, smaller),
    });
    this.commit = new Commit({
      codec: options.codec,
      journal: log.journal,
      space: log.space,
      events: this,
      wallMs,
      clockMs,
      nowMs,
      strict: options.strict,
      reserveBytes: options.limits.reserveBytes,
      messageBytesMax,
      entriesMax: options.limits.segmentEntriesMax,
      marksMax: options.limits.marksMax,
      ackCommitMs: options.limits.ackCommitMs,
      proofMs: options.limits.proofMs,
      lag: () => this.indexing.lag,
    });
    this.intake = new Intake(this);
    this.dispatcher = new Dispatcher(this, {
      reader: log.reader,
      index: log.index,
      stir: () => this.#ticks.stir(),
      notFound: (slot, base, failure) => this.#notFound(slot, base, failure),
    });
    this.#ticks = new Ticks(this, log, this.#relief, options.wake);
  }

  /**
   * Starts the broker's life at the end of the recovered log; `inMemory`: the segments whose entries
   * are in memory, the open one last, and where these begin.
   */
  resume(at: Resume, inMemory: { base: Position; from: number }[]): void {
    this.#lastBase = at.base;
    this.#nextSequence = at.sequence;
    for (const { base, from } of inMemory) this.indexing.open(base, from);
    this.commit.resume(at);
  }

  /** Observes every batch that became durable, once what it holds counts. */
  onBatch(observe: (batch: Batch) => void): void {
    this.#onBatch.push(observe);
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
    const refusal = this.#closing ? 'closing' : this.#admission.enter(link.address);
    if (refusal === undefined) return true;
    this.counters.refusedConnections++;
    if (refusal !== 'closing') {
      const text = notices.refused(link.peer, refusal, this.limits);
      this.notices.notice('warn', `connections.${refusal}`, text);
    }
    link.destroy();
    return false;
  }

  /** Whatever arrived together has been received: commit what is worth it. */
  flush(): void {
    this.#flushAsked = false;
    this.sendReplies();
    this.commit.flush();
    this.presence.turn();
    this.indexing.step();
  }

  /** The rest is over that the core asked for. */
  rested(): void {
    this.intake.rested();
    this.roomAgain();
  }

  /**
   * Monotonic time. Gives when it has to be called again at the latest: in a tick while something
   * goes on, else when something is due, or never (Infinity). Sooner does no harm.
   */
  advance(nowMs: number): number {
    return this.#ticks.advance(nowMs);
  }

  /** It is so late, for what is about to be reported: nothing is due by that. */
  at(nowMs: number): void {
    this.#ticks.at(nowMs);
  }

  /** The next segment came to be, or it is known why not. */
  segmentChanged(): void {
    this.#ticks.stir();
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
    this.#ticks.stir();
    this.presence.check();
    if (batch.base > this.#lastBase) {
      this.#lastBase = batch.base;
      this.retention.open(batch.base, this.#nextSequence);
      this.indexing.open(batch.base);
    }
    this.sendReplies();
    const { messages, sinceMs } = batch;
    if (batch.large) {
      const restMs = this.intake.rest(batch.tookMs);
      if (restMs > 0) this.#options.wake.rest(restMs);
    }
    if (messages > 0) this.latency.committed(this.#nextSequence, sinceMs, batch.replyTo.length);
    this.counters.publishedMessages += messages;
    this.counters.publishedBytes += batch.payload;
    const { words } = batch.rows;
    let touched = 0;
    for (let i = 0; i < batch.rows.count; i++) {
      const at = i * ROW_WORDS;
      const slot = this.buckets.open(words[at + BUCKET_LOW]!, words[at + BUCKET_HIGH]!);
      const count = words[at + COUNT]!;
      const position = batch.base + words[at + OFFSET]!;
      const sequence = sequenceOf(words, at);
      this.#nextSequence = sequence + count;
      this.buckets.push(slot, position, sequence, count, words[at + BODY_BYTES]!, 0);
      this.retention.add(position, sequence, count, recordBytesOf(words, at));
      if (slot !== touched && touched !== 0) this.dispatch(touched);
      touched = slot;
    }
    if (touched !== 0) this.dispatch(touched);
    if (batch.trim > 0) this.#trimmed(batch.trim);
    for (const observe of this.#onBatch) observe(batch);
  }

  #trimmed(position: Position): void {
    this.retention.trimmed(position);
    const oldest = this.retention.segments[0]?.first ?? 0;
    this.buckets.fates.settled.forget(oldest);
    this.buckets.fates.attempts.forget(oldest);
  }

  roomAgain(): void {
    if (this.intake.roomAgain()) this.flushSoon();
  }

  failed(failure: Error): void {
    this.#closing = true;
    for (const producer of this.producers) producer.link.destroy();
    for (const consumer of this.consumers) consumer.link.destroy();
    this.#options.onFailed(failure);
  }

  // --- what sessions ask for --------------------------------------------------------------------

  nowMs(): number {
    return this.#ticks.stir();
  }

  /** Monotonic time in ms as of the last input, for reports. */
  get reportMs(): number {
    return this.#ticks.nowMs;
  }

  /** Something was done from outside: what comes of it is due, too. */
  stir(): void {
    this.#ticks.stir();
  }

  get deadlines(): Deadlines<Consumer> {
    return this.#ticks.deadlines;
  }

  lookAt(producer: Producer): void {
    this.#ticks.stir();
    this.#ticks.producers.add(producer);
  }

  flushSoon(): void {
    this.#ticks.stir();
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#options.wake.soon();
  }

  replyLater(producer: Producer): void {
    this.#replies.push(producer);
    this.flushSoon();
  }

  sendReplies(): void {
    if (this.#replies.length === 0) return;
    const replies = this.#replies;
    this.#replies = [];
    for (const producer of replies) producer.sendReplies();
  }

  dispatch(slot: number): void {
    this.dispatcher.dispatch(slot);
  }

  fetch(slot: number, position: Position, recordBytes: number): number {
    return this.dispatcher.fetch(slot, position, recordBytes);
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Sequence behind the last durable message. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  // A segment's entries are in its index only: whoever waited for that goes on.
  #indexed(): void {
    this.#ticks.stir();
    this.saveCheckpoint();
    for (const share of [...this.buckets.shares()]) {
      if (share.waiting.size > 0) this.dispatch(share.slot);
      if (share.consumers === 0) this.buckets.tidy(share.slot);
    }
    this.roomAgain();
  }

  /** Lets the log save what the indexed segments come to; with `now`, in any case. */
  saveCheckpoint(now = false, done = () => {}): void {
    const { memoryFrom } = this.indexing;
    this.#log.upkeep.checkpoint(
      memoryFrom,
      () => checkpointOf(this, this.#log.journal.startPosition, memoryFrom, this.#nextSequence),
      now,
      done,
    );
  }

  // Work beside the traffic failed; in an orderly stop it is only given up.
  #trouble(...notice: Parameters<Notices['notice']>): void {
    if (!this.#closing) this.notices.notice(...notice);
  }

  #compacted(failure: Failure, smaller: boolean): void {
    this.#ticks.stir();
    if (smaller) this.saveCheckpoint(true);
    if (failure === undefined) return;
    this.#trouble('warn', 'log.compaction', notices.notCompacted(failure));
  }

  #notIndexed(base: Position, failure: Error): void {
    this.#ticks.stir();
    const text = notices.notIndexed(base, failure);
    this.#trouble('warn', 'index.write', text, { position: base });
  }

  #notFound(slot: number, base: Position, failure: Error): void {
    const text = notices.notFound(this.buckets.idOf(slot), base, failure);
    this.#trouble('error', 'log.unreadable', text, { position: base });
  }

  breach(link: Link, side: 'intake' | 'exhaust', why: BreachKind, text: string): void {
    this.counters.protocolErrors++;
    const { peer } = link;
    this.notices.notice('warn', `${why}.${side}`, `${side} ${peer} closed: ${text}`, { peer });
    link.destroy();
  }

  closed(session: Producer | Consumer): void {
    this.#admission.leave(session.link.address);
    this.overdue.forget(session);
    const side = session instanceof Producer ? 'intake' : 'exhaust';
    this.counters.closedConnections[side][session.closedFor]++;
    this.#ticks.stir();
    if (session instanceof Producer) {
      this.producers.delete(session);
      this.#ticks.producers.delete(session);
    } else {
      this.consumers.delete(session);
      this.deadlines.delete(session);
    }
  }

  relieve(): void {
    this.#relief.relieve();
  }
}
