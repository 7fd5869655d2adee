// The model's part about messages that wait too long: how long each may wait where it is, since when
// it does, and how much later than that the broker may notice.

import assert from 'node:assert/strict';
import { type Message, name } from './model.ts';
import type { SimRules } from './rules.ts';

/** So much later than it is a message may be taken for stored; more with each compaction. */
const LATE_MS = 250;
export const COMPACTED_LATE_MS = 10_000 + LATE_MS;
/** So long nobody may come to it: between two looks, and until it is taken out. */
const PAUSE_MIN_MS = 1000;
const TAKING_MS = 1000;

/** What the model asks. */
export interface Aged {
  readonly rules: SimRules | undefined;
  wall(): number;
}

/** How long a message is expired, in ms; negative: so long it may wait yet. */
export function expiredMs(message: Message, { rules, wall }: Aged): number {
  const { ttl = 0, dead_keep = 0 } = rules?.of(message.bucket) ?? {};
  const keptMs = message.isDead ? dead_keep : ttl;
  return keptMs === 0 ? Number.NEGATIVE_INFINITY : wall() - message.storedMs - keptMs;
}

/** Whether a message is to be moved for its age, and not dropped: that needs room on the disk. */
export function isKeptOfAge(message: Message, aged: Aged): boolean {
  const { expired, dead_letter } = aged.rules?.of(message.bucket) ?? {};
  return expired !== 'drop' && dead_letter !== 'drop' && expiredMs(message, aged) >= 0;
}

/** A message goes for its age. */
export function judgeExpired(message: Message, aged: Aged): void {
  const ms = expiredMs(message, aged);
  assert.ok(ms >= 0, `${name(message)} expires ${-ms} ms early`);
}

/** A message is given to a consumer. */
export function judgeYoung(message: Message, aged: Aged): void {
  const ms = expiredMs(message, aged);
  const late = LATE_MS + message.lateMs;
  assert.ok(ms < late, `${name(message)} was delivered ${ms} ms after it expired, ${late} at most`);
}

/** Whether a message should not be there any more, though nobody comes to it. */
export function isOverstayed(message: Message, aged: Aged): boolean {
  const pauseMs = Math.max(PAUSE_MIN_MS, (aged.rules?.leastMs ?? 0) / 4);
  return expiredMs(message, aged) > pauseMs + TAKING_MS + LATE_MS + message.lateMs;
}
