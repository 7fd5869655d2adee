// Why a bucket's messages are not being delivered, as one code of a closed list. The same codes
// stand in the API, the page, the command line and the metrics.

import { KIND_LIVE } from '../../../assembly/layout-placed.ts';
import type { Why, WhyCode } from '../../contract/why.ts';
import { WHY } from '../../contract/why.ts';
import type { Broker } from '../broker.ts';
import { nextInLine } from '../buckets/lookahead.ts';
import type { Consumer } from '../connections/consumer.ts';
import type { HeldBack } from '../delivery/delivery-limits.ts';
import { hasSome, isConsumed, ringOf, whyOfSource } from './explain-sources.ts';
import { type NextDue, NOT_KNOWN } from './next-due.ts';

/** A consumer that owes an answer and has said nothing for so long counts as silent. */
export const SILENT_MS = 5000;
/** A consumer that has not taken what it was sent for so long counts as not reading. */
const STUCK_MS = 1000;

/** Facts that the bucket itself does not know. */
export interface Surroundings {
  consumers: readonly Consumer[];
  isPurging: boolean;
  /** When the next messages are ready that wait for a time, as far as it is known. */
  due?: NextDue | undefined;
  /** Wall clock, in ms since 1970. */
  wallMs: number;
}

/** Why nothing, or not more, is delivered from the bucket in `slot` just now. */
export function whyOf(broker: Broker, slot: number, around: Surroundings): Why {
  const { buckets } = broker;
  const { consumers, due = NOT_KNOWN } = around;
  const ready = buckets.readyOf(slot);
  const unacked = buckets.unackedOf(slot);
  const ring = ringOf(broker, slot);
  const isVirtual = ring?.slot === slot;
  const isOwnEmpty = ready <= 0 && unacked === 0 && buckets.isCounted(slot);
  const nothingReady = isOwnEmpty && !(isVirtual && hasSome(ring));
  if (broker.closing) return say('stopping');
  if (broker.permission.isSuspended) return say('suspended');
  if (broker.rulesInForce?.sweeper.holds(slot) === true)
    return say(broker.commit.refuses ? 'dying-waits' : 'expiring');
  if (around.isPurging) return say('purging');
  // A count that does not know what is in runs may be 0 although messages wait.
  if (nothingReady && buckets.delayed.of(slot) === 0)
    return say(broker.commit.refuses ? 'storage-full' : 'empty');
  const isLive = buckets.kindOf(slot) === KIND_LIVE;
  if (isLive && broker.paused.has(buckets.idOf(slot))) return say('paused');
  if (broker.commit.refuses && broker.mover.holds(slot)) return say('dying-waits');
  if (nothingReady)
    return until(say(buckets.delayed.retriedOf(slot) > 0 ? 'in-retry' : 'delayed'), due.ms);
  const held = broker.limitsOfRules?.heldBack(slot, isVirtual ? ring.held : undefined);
  const now = broker.reportMs;
  if (consumers.length === 0) {
    if (ring === undefined || isVirtual || !isConsumed(broker, ring)) return say('no-consumer');
    return heldBack(held, around.wallMs - now, due) ?? say(whyOfSource(broker, slot, ring));
  }
  const stuck = consumers.filter((each) => isStuck(each, now));
  const since = (each: Consumer) => (isStuck(each, now) ? each.stuckSinceMs : each.heardMs);
  // Since the latest of them: before that at least one of them took messages.
  const latest = Math.max(...consumers.map(since));
  const at = new Date(around.wallMs - (now - latest)).toISOString();
  if (stuck.length === consumers.length) return say('consumer-not-reading', at);
  const share = buckets.subscription(slot);
  const suspects = share?.suspects;
  const holders = isVirtual ? ring.holders : (suspects?.holders ?? 0);
  if (consumers.every((each) => each.state !== 'waiting')) {
    if (now - latest >= SILENT_MS) return silent(at, around, now);
    if (consumers.every((each) => each.state === 'heartbeat')) return say('heartbeat-pending');
    if (held?.by === 'max_in_flight') return say('at-max-in-flight');
    return say(holders > 0 ? 'suspects-out' : 'consumers-at-limit', at);
  }
  if (ready <= 0 && buckets.isCounted(slot) && !isVirtual) return say('delivering');
  const heldWhy = heldBack(held, around.wallMs - now, due);
  if (heldWhy !== undefined) return heldWhy;
  if (broker.budget.over) return say('memory-full');
  if (share?.loading || (isVirtual && ring.count === 0 && ring.reading.size > 0))
    return say('reading');
  if ((suspects?.size ?? 0) > 0) return say('suspects-first');
  if ((nextInLine(buckets, slot)?.attempts ?? 0) > 0) return say('redelivering');
  return say('delivering');
}

// `aheadMs`: of the wall clock, compared with the monotonic one.
function heldBack(held: HeldBack | undefined, aheadMs: number, due: NextDue): Why | undefined {
  if (held === undefined) return undefined;
  if (held.by === 'max_in_flight') return say('at-max-in-flight');
  if (held.by === 'order') return until(say('in-order-hold'), due.retriedMs);
  return until(say('at-rate'), aheadMs + held.untilMs!);
}

function isStuck({ stuckSinceMs }: Consumer, now: number): boolean {
  return stuckSinceMs >= 0 && now - stuckSinceMs >= STUCK_MS;
}

// The first lease that is over ends that, where there is one.
function silent(since: string, { consumers, wallMs }: Surroundings, now: number): Why {
  const held = consumers.filter((each) => each.state === 'unacked');
  const endsMs = Math.min(...held.map((each) => each.endsMs));
  return until(say('consumer-silent', since), wallMs + endsMs - now);
}

/** Wall clock, in ms since 1970, as text. */
export function isoOf(ms: number): string {
  return new Date(Math.ceil(ms)).toISOString();
}

// Infinity: it is not known until when.
function until(why: Why, ms: number): Why {
  return ms < Number.POSITIVE_INFINITY ? { ...why, until: isoOf(ms) } : why;
}

function say(code: WhyCode, since?: string): Why {
  return { code, text: WHY[code], ...(since === undefined ? {} : { since }) };
}
