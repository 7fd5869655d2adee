// The model's part about suspects: how far apart from others each message is to come, what the log
// may say of it, and what a start may make of that.
//
//   held ──lost with k - 1 others──► level ceil(log2 k), in deliveries of 2^(level - 1) at most
//        ──lost alone──► level 1     ──byte──► level 0

import assert from 'node:assert/strict';
import type { Outcomes } from '../../src/core/collections/outcomes.ts';
import type { Deferral } from '../../src/core/records/placed.ts';
import type { BatchDeferral } from './batch.ts';
import { type Message, name } from './model.ts';

/** From now on it comes so far apart. */
export function comesApart({ levels }: Message, level: number): void {
  if (levels.level !== level) levels.since.push(level);
  levels.level = level;
}

/** The level of messages that were lost together, so many of them. */
export function lostTogether(count: number): number {
  let level = 1;
  while (2 ** level < count) level++;
  return level;
}

/**
 * What comes in its own order among others: messages of a level, of those that come alone the ones
 * that were charged; undefined: it is open whether this one was.
 */
export function sortOf({ levels, low, high }: Message): number | undefined {
  if (levels.level !== 1 || high === 0) return levels.level;
  return low > 0 ? -1 : undefined;
}

/** These came in one delivery. */
export function judgeTogether(messages: readonly Message[]): void {
  const { level } = messages[0]!.levels;
  for (const message of messages)
    assert.equal(message.levels.level, level, `${name(message)} came with one of level ${level}`);
  const most = level === 0 ? messages.length : 2 ** (level - 1);
  assert.ok(messages.length <= most, `${messages.length} of level ${level} came together`);
}

/** The broker is to say in the log how far apart a message comes. */
export function judgeLevel(message: Message, { level, dueMs, turn }: Deferral): void {
  assert.equal(level, message.levels.level, `${name(message)} is to be of level ${level}`);
  if (dueMs > 0) return;
  assert.equal(message.state, 'ready', `${name(message)} is to come apart and is ${message.state}`);
  assert.equal(turn, message.delays.turn, `${name(message)} is to come apart: its turn`);
}

/** The log says so. */
export function judgeLevelMark(message: Message, { level, dueMs, turn }: BatchDeferral): void {
  const { levels, delays } = message;
  const known = [levels.durable, ...levels.since];
  assert.ok(known.includes(level), `${name(message)} is of level ${level} in the log: ${known}`);
  if (dueMs > 0) return;
  assert.equal(turn, delays.turn, `${name(message)} comes apart in the log: its turn`);
}

/** That is durable. */
export function levelDurable({ levels }: Message, level: number): void {
  levels.durable = level;
  levels.since.splice(0, levels.since.indexOf(level) + 1);
}

/** What a start found. */
export function levelAfterStart(message: Message, fates: Outcomes): void {
  const { levels, sequence } = message;
  const found = fates.levels.get(sequence);
  const known = [levels.durable, ...levels.since];
  const isKnown = known.includes(found) || message.unsure;
  assert.ok(isKnown, `${name(message)} is of level ${found} after a start: ${known}`);
  levels.level = found;
  if (found !== levels.durable) levels.since.push(found);
}
