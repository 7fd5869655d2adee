// A bucket as operators see it: a row with its age, its rates and why it does not move.

import { KIND_DEAD, KIND_LIVE } from '../../../assembly/layout-placed.ts';
import type { BucketRow, ConsumerRow } from '../../contract/commands.ts';
import { WHY } from '../../contract/why.ts';
import type { Broker } from '../broker.ts';
import { oldestReady } from '../buckets/lookahead.ts';
import { idText } from '../buckets/subscription.ts';
import type { Consumer } from '../connections/consumer.ts';
import { wordsOf } from '../text/ids.ts';
import type { DeadInventory } from './dead-inventory.ts';
import { isoOf, whyOf } from './explain.ts';
import { ringOf } from './explain-sources.ts';
import { type NextDue, nextDue } from './next-due.ts';

export class BucketRows {
  readonly #broker: Broker;
  readonly #wallMs: () => number;
  readonly #startedMs: number;
  readonly #inventory: Pick<DeadInventory, 'of'>;

  constructor(broker: Broker, wallMs: () => number, inventory: Pick<DeadInventory, 'of'>) {
    this.#broker = broker;
    this.#inventory = inventory;
    this.#wallMs = wallMs;
    this.#startedMs = broker.latency.clockMs();
  }

  /** Consumers of each bucket that has any. */
  consumersBySlot(): Map<number, Consumer[]> {
    const bySlot = new Map<number, Consumer[]>();
    for (const consumer of this.#broker.consumers) {
      if (consumer.slot === 0 || consumer.state === 'closed') continue;
      const there = bySlot.get(consumer.slot);
      if (there === undefined) bySlot.set(consumer.slot, [consumer]);
      else there.push(consumer);
    }
    return bySlot;
  }

  /** The rows of lines that are known, in that order. */
  rows(slots: readonly number[]): BucketRow[] {
    const consumers = this.consumersBySlot();
    const due = nextDue(this.#broker, slots);
    return slots.map((slot) => this.row(slot, consumers.get(slot) ?? [], due.get(slot)));
  }

  /** The row of a bucket's line that is known; `consumers`: those of it that are connected. */
  row(slot: number, consumers: readonly Consumer[], due: NextDue | undefined): BucketRow {
    const broker = this.#broker;
    const { buckets } = broker;
    const id = buckets.idOf(slot);
    const isLive = buckets.kindOf(slot) === KIND_LIVE;
    return {
      id,
      ready: isLive ? Math.max(0, buckets.readyOf(slot)) : this.#deadOf(slot),
      unacked: buckets.unackedOf(slot),
      delayed: buckets.delayed.of(slot),
      nextDueAt: due === undefined || due.ms === Number.POSITIVE_INFINITY ? null : isoOf(due.ms),
      dead: this.#deadOf(slot),
      exact: buckets.isCounted(slot),
      consumers: consumers.length,
      ...this.#sources(slot),
      publishedRate: tenths(buckets.rates.publishedOf(slot)),
      settledRate: tenths(buckets.rates.settledOf(slot)),
      ...this.#age(slot),
      // A pause holds back deliveries, of which a dead line has none.
      paused: isLive && broker.paused.has(id),
      why: whyOf(broker, slot, {
        consumers,
        isPurging: broker.dispatcher.takersOf(slot) > 0,
        due,
        wallMs: this.#wallMs(),
      }),
    };
  }

  // Of the bucket of a line, whichever it is.
  #deadOf(slot: number): number {
    const { low, high } = this.#broker.buckets.placeOf(slot);
    return this.#deadIn(low, high);
  }

  #deadIn(low: number, high: number): number {
    const { buckets } = this.#broker;
    const slot = buckets.find(low, high, KIND_DEAD);
    const known = slot === 0 ? 0 : Math.max(0, buckets.readyOf(slot));
    if (slot !== 0 && buckets.isCounted(slot)) return known;
    return buckets.isPartial ? Math.max(known, this.#inventory.of(idText(low, high))) : known;
  }

  #sources(slot: number): Pick<BucketRow, 'virtual' | 'sources'> {
    const { buckets } = this.#broker;
    if (buckets.rules.table === undefined) return {};
    const { isVirtual, hasParent, parentLow, parentHigh } = buckets.rules.of(slot);
    if (!isVirtual) return hasParent ? { virtual: idText(parentLow, parentHigh) } : {};
    return { sources: ringOf(this.#broker, slot)?.count ?? 0 };
  }

  #age(slot: number): Pick<BucketRow, 'oldestAgeMs' | 'ageIs'> {
    const { buckets, retention, latency } = this.#broker;
    const now = latency.clockMs();
    const oldest = Math.max(oldestReady(buckets, slot), retention.oldestSequence);
    const known = oldestReady(buckets, slot) !== 0;
    if (!known || (buckets.readyOf(slot) <= 0 && buckets.isCounted(slot)))
      return { oldestAgeMs: null, ageIs: 'exact' };
    const at = latency.times.of(oldest);
    // Stored before this start, or so long ago that only that much is remembered.
    if (at === undefined)
      return { oldestAgeMs: Math.floor(now - this.#startedMs), ageIs: 'at-least' };
    const ageIs = buckets.headOf(slot).isOlder ? 'at-most' : 'exact';
    return { oldestAgeMs: Math.floor(now - at), ageIs };
  }

  /** A bucket that holds nothing and that nobody watches does not exist, and is shown as empty. */
  empty(id: string, kind = KIND_LIVE): BucketRow {
    const broker = this.#broker;
    const dead = this.#deadIn(...wordsOf(id));
    const ready = kind === KIND_LIVE ? 0 : dead;
    const counts = { ready, unacked: 0, delayed: 0, nextDueAt: null, dead, consumers: 0 };
    const rates = { publishedRate: 0, settledRate: 0, oldestAgeMs: null, ageIs: 'exact' } as const;
    const code = broker.commit.refuses ? 'storage-full' : 'empty';
    const why = { code, text: WHY[code] } as const;
    const paused = kind === KIND_LIVE && broker.paused.has(id);
    return { id, ...counts, exact: true, ...rates, paused, why };
  }

  consumer(consumer: Consumer): ConsumerRow {
    const { link, consumerId, state, batchSize, unacked, messages, heardMs } = consumer;
    const silentMs = Math.max(0, Math.round(this.#broker.reportMs - heardMs));
    const { id: connection, peer } = link;
    return { connection, peer, consumerId, state, batchSize, unacked, messages, silentMs };
  }
}

function tenths(rate: number): number {
  return Math.round(rate * 10) / 10;
}
