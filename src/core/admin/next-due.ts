// When the next message of a bucket's line is ready that waits for a time: a bounded look at what
// is due next over all buckets, once for as many lines as are asked about. What is farther away
// than that look goes is not known, and nothing is said of it.

import type { Broker } from '../broker.ts';
import { DUE_READY, type DueEntry } from '../records/due.ts';

/** Entries looked at, and messages of them. */
const ENTRIES_MAX = 4096;
const MESSAGES_MAX = 65_536;

/** Times in ms since 1970; Infinity: none, or not known. */
export interface NextDue {
  /** When the first one is ready. */
  ms: number;
  /** When the first one is that a consumer had before. */
  retriedMs: number;
}

export const NOT_KNOWN: NextDue = {
  ms: Number.POSITIVE_INFINITY,
  retriedMs: Number.POSITIVE_INFINITY,
};

/** What is known of the lines in `slots`; those of which nothing is known are left out. */
export function nextDue(broker: Broker, slots: readonly number[]): Map<number, NextDue> {
  const { delayed } = broker.buckets;
  const found = new Map<number, NextDue>();
  if (delayed.count === 0) return found;
  const mayWait = (slot: number) => delayed.of(slot) > 0 || !delayed.isCounted(slot);
  const wanted = new Set(slots.filter(mayWait));
  if (wanted.size === 0) return found;
  let messages = 0;
  broker.maintenance.waiting.due.look(ENTRIES_MAX, (entry) => {
    const slot = slotOf(broker, entry);
    if (!wanted.has(slot)) return false;
    messages += entry.count;
    if (!isValid(broker, entry)) return messages >= MESSAGES_MAX;
    const known = found.get(slot) ?? { ...NOT_KNOWN };
    found.set(slot, known);
    known.ms = Math.min(known.ms, entry.when);
    if (entry.turn > 0) known.retriedMs = Math.min(known.retriedMs, entry.when);
    if (known.retriedMs < Number.POSITIVE_INFINITY || delayed.retriedOf(slot) === 0)
      wanted.delete(slot);
    return wanted.size === 0 || messages >= MESSAGES_MAX;
  });
  return found;
}

function slotOf({ buckets }: Broker, { low, high, kind }: DueEntry): number {
  return buckets.find(low, high, kind);
}

// Whether a message still waits for this entry: of those that do not, it comes again after a start.
function isValid({ buckets }: Broker, { what, sequence, count, turn }: DueEntry): boolean {
  const { settled, waiting, turns } = buckets.outcomes;
  if (what !== DUE_READY || waiting.within(sequence, count) === 0) return false;
  for (let at = sequence; at < sequence + count; at++)
    if (waiting.has(at) && turns.get(at) === turn && !settled.has(at)) return true;
  return false;
}
