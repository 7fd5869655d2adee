// The model's part about messages that failed or were given back: which of them are to be ready at
// once and which at a time, what the log may say of it, and what a start may make of that.
//
//   held ──byte──► answered ──defer──► pending ──durable──► waiting ──► ready
//                     └────── at once ────────────────────────────────────▲

import assert from 'node:assert/strict';
import type { Outcomes } from '../../src/core/collections/outcomes.ts';
import type { Deferral } from '../../src/core/records/placed.ts';
import type { BatchDeferral } from './batch.ts';
import { type Message, name } from './model.ts';

/** Due times may be so much later than was asked for. */
const GRAIN_MS = 8;

/** A message is in the log with a time, 0: none, and its rule says `delay` ms. */
export function judgePublished(message: Message, dueMs: number, delay: number): void {
  const { least, most } = message.sentMs;
  const said = `${name(message)} is due at ${dueMs}, sent at ${least} to ${most}`;
  if (delay === 0) assert.equal(dueMs, 0, `${said}, and is to be ready at once`);
  else assert.ok(dueMs >= least + delay && dueMs < most + delay + GRAIN_MS, `${said} for ${delay}`);
}

/** The broker puts a message off. */
export function judgeDeferral(message: Message, deferral: Deferral): void {
  const { dueMs, turn, bucket } = deferral;
  const said = `${name(message)} is put off`;
  assert.equal(message.state, 'answered', `${said} and is ${message.state}`);
  const { least, most, atMs } = message.delays.asked!;
  const ms = dueMs - atMs;
  assert.ok(ms >= least - 1e-3 && ms < most + GRAIN_MS, `${said} for ${ms}: ${least} to ${most}`);
  assert.ok(most > 0, `${said} and is to be ready at once`);
  assert.equal(turn, message.delays.turn + 1, `${said}: its turn`);
  assert.equal(Number(bucket), message.bucket, `${said} in another bucket`);
}

/** The log is told of it. */
export function judgeMark(message: Message, mark: BatchDeferral): void {
  const said = `${name(message)} is put off in the log`;
  assert.equal(message.state, 'pending', `${said} and is ${message.state}`);
  const { turn, dueMs } = message.delays;
  assert.deepEqual([mark.turn, mark.dueMs], [turn + 1, dueMs], said);
  assert.equal(Number(mark.bucket), message.bucket, `${said} in another bucket`);
  assert.equal(mark.attempts, message.low, `${said}: attempts`);
}

/** A message is ready again, by the wall clock at `wallMs`; `isExpired`: for nobody. */
export function judgeFiring(message: Message, wallMs: number, isExpired: boolean): void {
  const said = `${name(message)} is ready again`;
  assert.equal(message.state, 'waiting', `${said} and is ${message.state}`);
  const early = message.delays.durableDueMs - wallMs;
  assert.ok(early <= 0 || isExpired, `${said} ${early} ms early`);
}

/** Whether a message waits after a start that knows `fates`. */
export function waitsAfterStart(message: Message, { waiting, turns }: Outcomes): boolean {
  const { sequence, delays } = message;
  const { turn, durableDueMs, fired } = delays;
  const waits = waiting.has(sequence);
  const knows = `${name(message)} after a start`;
  assert.equal(turns.get(sequence), turn, `${knows}: its turn`);
  if (waits) assert.ok(durableDueMs > 0, `${knows} waits, and the log never said so`);
  else assert.ok(durableDueMs === 0 || fired, `${knows} does not wait for ${durableDueMs}`);
  return waits;
}

/** What the wall clock shows, as long as a message is on its way into the log. */
export function sawClock({ sentMs }: Message, wallMs: number): void {
  sentMs.least = Math.min(sentMs.least, wallMs);
  sentMs.most = Math.max(sentMs.most, wallMs);
}

/** Whether a delayed message was with a consumer before. */
export function wasGiven({ state, delays }: Message): boolean {
  return state === 'pending' || delays.turn > 0;
}
