// The broker's state machine: connections, buckets and commit put together. Inputs are calls that
// run to their end without waiting; effects go out through ports. Time comes in through `advance`.
// The only other inputs are completions of the log, which Commit turns into `durable`.

import type { BrokerOptions } from './broker-options.ts';
import type { Buckets } from './buckets/buckets.ts';
import type { Batch } from './commit/batch.ts';
import { Commit } from './commit/commit.ts';
import type { CommitEvents } from './commit/options.ts';
import { Connections } from './connections/connections.ts';
import { Consumer } from './connections/consumer.ts';
import type { ConsumerHost } from './connections/consumer-host.ts';
import { DeliveryFrames } from './connections/delivery-frames.ts';
import { Producer, type ProducerHost } from './connections/producer.ts';
import type { DeliveryLimits } from './delivery/delivery-limits.ts';
import { Dispatcher } from './delivery/dispatcher.ts';
import { Dying } from './delivery/dying.ts';
import { Mover } from './delivery/mover.ts';
import { Paused } from './delivery/paused.ts';
import { Permission } from './delivery/permission.ts';
import { Presence } from './delivery/presence.ts';
import { Settlement } from './delivery/settlement.ts';
import { FairShare } from './fairness/fair-share.ts';
import type { ForegroundTraffic } from './fairness/foreground.ts';
import { IntakeRules } from './fairness/intake-policy.ts';
import { Following } from './following/following.ts';
import { consumerHost, producerHost } from './hosts.ts';
import type { Limits } from './limits.ts';
import { Maintenance } from './maintenance.ts';
import { Budget } from './memory/budget.ts';
import { Eviction } from './memory/eviction.ts';
import { FramePool } from './memory/frame-pool.ts';
import { Reservations } from './memory/reservations.ts';
import { Counters } from './metrics/counters.ts';
import { Latency } from './metrics/latency.ts';
import { PauseChanges } from './pause-changes.ts';
import type { Position } from './ports/basics.ts';
import type { Codec } from './ports/codec.ts';
import type { Resume } from './ports/journal.ts';
import type { Link } from './ports/link.ts';
import type { Notices } from './ports/notices.ts';
import { OFFSET, ROW_WORDS } from './records/rows.ts';
import { RulesInForce } from './rules-in-force.ts';
import { Apply } from './segments/apply.ts';
import type { Compaction } from './segments/compaction.ts';
import type { Indexing } from './segments/indexing.ts';
import type { Retention } from './segments/retention.ts';
import { Ticks } from './ticks.ts';
import { Overdue } from './timing/overdue.ts';

export class Broker implements CommitEvents {
  readonly codec: Codec;
  readonly limits: Limits;
  readonly commit: Commit;
  readonly fairShare: FairShare;
  readonly foreground: ForegroundTraffic;
  readonly rules: IntakeRules | undefined;
  readonly indexing: Indexing;
  readonly compaction: Compaction;
  readonly buckets: Buckets<Consumer>;
  readonly retention: Retention;
  readonly counters = new Counters();
  readonly latency: Latency;
  readonly notices: Notices;
  readonly budget: Budget;
  readonly reservations: Reservations;
  readonly #eviction: Eviction;
  readonly frames: DeliveryFrames;
  readonly paused = new Paused();
  readonly pauses: PauseChanges;
  readonly overdue = new Overdue(() => void this.#ticks.stir());
  readonly permission: Permission;
  readonly presence: Presence;
  readonly following: Following;
  readonly dying: Dying;
  readonly settlement: Settlement;
  readonly mover: Mover;
  readonly rulesInForce: RulesInForce | undefined;
  readonly limitsOfRules: DeliveryLimits | undefined;
  readonly dispatcher: Dispatcher;
  readonly producers: ReadonlySet<Producer>;
  readonly consumers: ReadonlySet<Consumer>;
  readonly #apply: Apply;
  readonly maintenance: Maintenance;
  readonly connections: Connections;
  readonly #forProducers: ProducerHost;
  readonly #forConsumers: ConsumerHost<Consumer>;
  readonly #ticks: Ticks;
  readonly #options: BrokerOptions;
  #flushAsked = false;
  #lastBase: Position = -1;
  #replies: Producer[] = [];
  #closing = false;
  readonly #onBatch: ((batch: Batch) => void)[] = [];

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.codec = options.codec;
    this.limits = options.limits;
    this.notices = options.notices;
    this.foreground = options.foreground;
    this.connections = new Connections(this, {
      producer: (link) => new Producer(this.#forProducers, link),
      consumer: (link) => new Consumer(this.#forConsumers, link),
      ticks: () => this.#ticks,
      dialects: options.dialects,
    });
    this.producers = this.connections.producers;
    this.consumers = this.connections.consumers;
    const { bufferBytesMax, messageBytesMax } = options.limits;
    this.budget = new Budget(bufferBytesMax);
    this.reservations = new Reservations(bufferBytesMax, messageBytesMax);
    this.#eviction = new Eviction(this.budget, [this.producers, this.consumers], this.overdue);
    this.buckets = options.buckets;
    this.rulesInForce = options.ruleTable && new RulesInForce(this, options.ruleTable, options);
    this.limitsOfRules = this.rulesInForce?.limits;
    this.retention = options.retention;
    this.pauses = new PauseChanges(this, options);
    this.following = new Following(options.observer, options);
    this.#apply = new Apply(options);
    this.permission = new Permission(this, options.mayDeliver);
    this.presence = new Presence({
      soon: () => this.flushSoon(),
      dispatch: (slot) => this.dispatch(slot),
      isLate: options.isLate ?? (() => false),
    });
    const { log, times, wallMs, nowMs = () => this.#ticks.nowMs, clockMs = nowMs } = options;
    this.latency = new Latency({ clockMs });
    this.maintenance = new Maintenance(this, options);
    this.indexing = this.maintenance.indexing;
    this.compaction = this.maintenance.compaction;
    this.commit = new Commit({
      ...options.limits,
      codec: options.codec,
      journal: log.journal,
      space: log.space,
      events: this,
      following: this.following,
      wallMs,
      clockMs,
      nowMs,
      strict: options.strict,
      entriesMax: options.limits.segmentEntriesMax,
      lag: () => this.indexing.lag,
    });
    this.dying = new Dying(this);
    this.settlement = new Settlement(this, options);
    this.fairShare = new FairShare(this);
    const policy = options.policy ?? this.rulesInForce?.intake(wallMs);
    const quotas = options.policy === undefined ? this.rulesInForce?.quotas : undefined;
    this.rules = policy && new IntakeRules(options.codec, policy);
    this.mover = new Mover(this, { reader: log.reader, wallMs, quotas, times });
    this.dispatcher = new Dispatcher(this, log);
    this.frames = new DeliveryFrames(this, new FramePool(options.limits.framesMax));
    this.#ticks = new Ticks(this, log, this.#eviction, options.wake);
    this.#forProducers = producerHost(this, this.#eviction, this.#ticks, (producer) => {
      this.#replies.push(producer);
      this.flushSoon();
    });
    this.#forConsumers = consumerHost(this, this.#ticks);
  }

  /** Starts the broker's life at the end of the recovered log; `inMemory`: the segments whose entries
   * are in memory, the open one last, and where these begin. */
  resume(at: Resume, inMemory: Parameters<Maintenance['resume']>[0]): void {
    this.#lastBase = at.base;
    this.#apply.goOn(at.sequence);
    this.maintenance.resume(inMemory);
    this.commit.resume(at);
  }

  /** Observes every batch that became durable, once what it holds counts. */
  onBatch(observe: (batch: Batch) => void): void {
    this.#onBatch.push(observe);
  }

  // --- inputs -----------------------------------------------------------------------------------

  /** A producer connected; undefined if it was turned away. */
  openProducer(link: Link): Producer | undefined {
    return this.connections.openProducer(link);
  }

  /** A consumer connected; undefined if it was turned away. */
  openConsumer(link: Link): Consumer | undefined {
    return this.connections.openConsumer(link);
  }

  /** Whatever arrived together has been received: commit what is worth it. */
  flush(): void {
    this.#flushAsked = false;
    this.sendReplies();
    this.commit.flush();
    this.mover.pump();
    this.presence.turn();
    this.maintenance.turn();
  }

  /** The rest is over that the core asked for. */
  rested(): void {
    this.fairShare.cooledDown();
    this.roomAgain();
  }

  /** Monotonic time. Gives when it has to be called again at the latest: in a tick while something
   * goes on, else when something is due, or never (Infinity). Sooner does no harm. */
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

  /** Nothing may be delivered until `goOn`: consumers are closed and turned away, producers stay. */
  suspend(): void {
    this.permission.suspend();
  }

  goOn(): void {
    this.permission.goOn();
  }

  /** No new work: what is in flight may finish. */
  close(): void {
    this.#closing = true;
    this.mover.stop();
    for (const producer of this.producers) producer.stop();
  }

  /** Whether every delivered message was acked and everything accepted is on disk. */
  get quiet(): boolean {
    return this.buckets.unacked === 0 && this.commit.drained;
  }

  durable(batch: Batch): void {
    this.#ticks.stir();
    this.presence.check();
    if (batch.base > this.#lastBase) {
      this.#lastBase = batch.base;
      this.#apply.segment(batch.base);
      this.indexing.open(batch.base);
    }
    this.sendReplies();
    const restMs = batch.large ? this.fairShare.coolDown(batch.tookMs) : 0;
    if (restMs > 0) this.#options.wake.rest(restMs);
    const { messages, sinceMs, replyTo } = batch;
    if (messages > 0) this.latency.committed(this.#apply.nextSequence, sinceMs, replyTo.length);
    this.counters.stored(batch);
    this.maintenance.stored(batch);
    const { words } = batch.rows;
    let touched = 0;
    for (let i = 0; i < batch.rows.count; i++) {
      const at = i * ROW_WORDS;
      const slot = this.#apply.durable(words, at, batch.base + words[at + OFFSET]!, batch.heads, i);
      if (slot !== touched && touched !== 0) this.dispatch(touched);
      touched = slot;
    }
    if (touched !== 0) this.dispatch(touched);
    if (batch.moved > 0) this.mover.durable(batch);
    this.#apply.durableMarks(batch.deferred, batch.trim);
    this.maintenance.durable(batch);
    for (const observe of this.#onBatch) observe(batch);
  }

  roomAgain(): void {
    if (this.fairShare.roomAgain()) this.flushSoon();
    this.mover.pump();
    this.rulesInForce?.changes.goOn();
    this.pauses.goOn();
  }

  failed(failure: Error): void {
    this.#closing = true;
    for (const { link } of [...this.producers, ...this.consumers]) link.destroy();
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

  /** Something was done from outside: what comes of it is due, too. Gives the time. */
  stir(): number {
    return this.#ticks.stir();
  }

  flushSoon(): void {
    this.#ticks.stir();
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#options.wake.soon();
  }

  sendReplies(): void {
    if (this.#replies.length === 0) return;
    for (const producer of this.#replies.splice(0)) producer.sendReplies();
  }

  dispatch(slot: number): void {
    this.dispatcher.dispatch(slot);
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Sequence behind the last durable message. */
  get nextSequence(): number {
    return this.#apply.nextSequence;
  }

  /** Lets the log save what the indexed segments come to; with `now`, in any case. */
  saveCheckpoint(now = false, done = () => {}): void {
    this.maintenance.saveCheckpoint(now, done);
  }
}
