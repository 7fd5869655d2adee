// What time alone brings about: deadlines of connections, marks and proofs to write, what is begun
// or tried again beside the traffic. Does in a tick what is due, in this order, and knows when the
// next one must come. Whatever waits for a time is asked for it here.

import type { Broker } from './broker.ts';
import type { Consumer } from './connections/consumer.ts';
import type { Producer } from './connections/producer.ts';
import type { Eviction } from './memory/eviction.ts';
import type { Journal } from './ports/journal.ts';
import type { SegmentSpace } from './ports/segments.ts';
import type { Wake } from './ports/wake.ts';
import { Alarm, TICK_MS } from './timing/alarm.ts';
import { Deadlines } from './timing/deadlines.ts';

/** What it asks of the log. */
interface TickedLog {
  journal: Pick<Journal, 'startPosition'>;
  space: Pick<SegmentSpace, 'blocked'>;
}

export class Ticks {
  /** When consumers have to be looked at. */
  readonly deadlines = new Deadlines<Consumer>((consumer) => consumer.timed);
  /** Producers that the next tick looks at; the others have sent nothing since the last one. */
  readonly producers = new Set<Producer>();
  readonly #broker: Broker;
  readonly #log: TickedLog;
  readonly #eviction: Eviction;
  readonly #alarm: Alarm;

  constructor(broker: Broker, log: TickedLog, eviction: Eviction, wake: Wake) {
    this.#broker = broker;
    this.#log = log;
    this.#eviction = eviction;
    this.#alarm = new Alarm(
      () => wake.stirred(),
      (nowMs) => this.#timeIs(nowMs),
    );
  }

  /** Monotonic ms as of the last input. */
  get nowMs(): number {
    return this.#alarm.nowMs;
  }

  /** Something comes in: ticks have to go on. Gives the time. */
  stir(): number {
    return this.#alarm.stir();
  }

  /** The same to the ms, which takes a look at the clock. */
  exact(): number {
    return this.#alarm.exact();
  }

  /** It is so late; nothing is done for that. */
  at(nowMs: number): void {
    this.#alarm.at(nowMs);
  }

  #timeIs(nowMs: number): void {
    const { retention, buckets, reservations } = this.#broker;
    retention.nowMs = nowMs;
    buckets.rates.nowMs = nowMs;
    reservations.nowMs = nowMs;
  }

  /** Does what is due. Gives when it has to be called again. */
  advance(nowMs: number): number {
    const broker = this.#broker;
    const { fairShare, retention, commit } = broker;
    const { journal, space } = this.#log;
    const ms = this.#alarm.tick(nowMs);
    for (const producer of this.producers) producer.advance(nowMs);
    if (fairShare.tick(this.producers, ms)) broker.roomAgain();
    this.deadlines.advance(nowMs, (consumer) => consumer.advance(nowMs));
    broker.foreground.tick(fairShare, broker.counters.publishedBytes);
    this.#eviction.advance(nowMs);
    broker.overdue.advance(ms);
    broker.reservations.advance(nowMs);
    broker.permission.advance();
    broker.dispatcher.feed();
    broker.limitsOfRules?.advance(nowMs, (slot) => broker.dispatch(slot));
    broker.maintenance.waiting.advance(nowMs);
    broker.maintenance.windows.advance(nowMs);
    this.#sweeper?.advance(nowMs);
    broker.maintenance.search.goOn();
    const needed = retention.needed(commit.durablePosition);
    if (needed > journal.startPosition) commit.trim(needed);
    broker.compaction.advance(nowMs, space.blocked() !== undefined);
    commit.advance(nowMs);
    broker.indexing.advance(nowMs);
    broker.sendReplies();
    return this.#alarm.rest(this.#dueMs(nowMs));
  }

  // What takes out what is too old; not while nothing is taken out for anybody.
  get #sweeper() {
    const { permission, rulesInForce } = this.#broker;
    return permission.isSuspended ? undefined : rulesInForce?.sweeper;
  }

  // When something has to be done by itself; what comes in sets ticks going anyway.
  #dueMs(nowMs: number): number {
    const { budget, fairShare, foreground, overdue, reservations, dispatcher } = this.#broker;
    const { compaction, commit, indexing, limitsOfRules, maintenance } = this.#broker;
    const { waiting, windows, search } = maintenance;
    const sweeper = this.#sweeper;
    const partialMs = this.#partialDueMs();
    const isBusy = fairShare.busy || foreground.busy || reservations.busy || waiting.isBusy;
    if (sweeper?.isBusy === true || this.#broker.permission.isWaiting) return nowMs + TICK_MS;
    if (isBusy || overdue.size > 0 || budget.over || dispatcher.isStarved) return nowMs + TICK_MS;
    return Math.min(
      partialMs,
      this.deadlines.nextMs,
      compaction.dueMs,
      commit.dueMs(nowMs),
      indexing.dueMs,
      waiting.firing.dueMs,
      windows.dueMs,
      sweeper?.dueMs ?? Number.POSITIVE_INFINITY,
      search.dueMs,
      limitsOfRules?.dueMs ?? Number.POSITIVE_INFINITY,
    );
  }

  // The first message that has to end. Who is in the middle of none is left alone until it sends.
  #partialDueMs(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const producer of this.producers) {
      const dueMs = producer.partialDueMs;
      if (dueMs === undefined) this.producers.delete(producer);
      else if (dueMs < first) first = dueMs;
    }
    return first;
  }
}
