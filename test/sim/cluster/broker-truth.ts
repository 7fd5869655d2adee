// The truth of whole brokers: every message of the log, and what its records say of it; and what
// clients saw, judged by it.
//
//   nothing acked is lost, nothing is invented, what is settled never comes again, nothing comes
//   before its time, or to two at once; what comes first comes in the order of the log

import assert from 'node:assert/strict';
import { readBatch } from '../batch.ts';
import { DEAD, DELIVERIES_MAX, idOf, ONCE, PLAIN, RETRIED, SHAPE } from './broker-log.ts';
import type { Clock } from './clock.ts';
import { StreamTruth } from './stream-truth.ts';

interface Message {
  readonly key: string;
  readonly bucket: number;
  readonly sequence: number;
  dueMs: number;
  attempts: number;
  settled: boolean;
}

/** A delivery: by whom, and what the deliverer's clock shows. */
export interface Handing {
  node: number;
  epoch: number;
  /** Which broker. */
  life: string;
  wallMs: number;
}

export class BrokerTruth extends StreamTruth {
  readonly #bySequence = new Map<number, Message>();
  readonly #byKey = new Map<string, Message>();
  /** `bucket:id`. */
  readonly acked = new Set<string>();
  readonly sent = new Set<string>();
  readonly delivered = new Set<string>();
  // By one that did not know yet that another owns.
  readonly #deliveredBeside = new Set<string>();
  /** Of which a consumer has said so, to whichever broker. */
  readonly done = new Set<string>();
  // By broker: what its consumers hold.
  readonly #held = new Map<string, Set<string>>();
  // Sequence of the last message of a bucket that was delivered for the first time.
  readonly #firsts = new Map<number, number>();

  constructor(clock: Clock, ownMs: number) {
    super(clock, SHAPE, ownMs);
  }

  protected takes(position: number, bytes: Uint8Array): void {
    const batch = readBatch(bytes, position);
    for (const { sequence, bucket, body, move, dueMs } of batch.messages) {
      const id = idOf(body);
      assert.ok(id !== undefined, `sequence ${sequence} is a message that nobody sent`);
      const key = `${bucket}:${id}`;
      if (move === undefined) assert.ok(this.sent.has(key), `${key} was not sent`);
      else this.#moved(key, move);
      const known = this.#byKey.get(key);
      assert.ok(known === undefined, `${key} is stored twice: ${known?.sequence}, ${sequence}`);
      const attempts = move?.attempts ?? 0;
      const message = { key, bucket: Number(bucket), sequence, dueMs, attempts, settled: false };
      this.#bySequence.set(sequence, message);
      this.#byKey.set(key, message);
      if (dueMs > 0) this.clock.count('messages delayed');
    }
    for (const { sequence, count } of batch.settled)
      for (let i = 0; i < count; i++) this.#settle(sequence + i);
    for (const { sequence, count, attempts } of batch.returned)
      for (let i = 0; i < count; i++) this.#charge(sequence + i, attempts);
    for (const { sequence, count, attempts, dueMs } of batch.deferred)
      for (let i = 0; i < count; i++) {
        this.#charge(sequence + i, attempts);
        if (dueMs > 0) this.clock.count('messages put off');
        const message = this.#bySequence.get(sequence + i);
        if (message !== undefined) message.dueMs = dueMs;
      }
  }

  #moved(key: string, move: { from: number; settles: boolean }): void {
    const before = this.#bySequence.get(move.from);
    assert.ok(before !== undefined, `${key} comes from ${move.from}, which nobody knows`);
    assert.ok(move.settles && !before.settled, `${key} is in two lines`);
    assert.equal(before.bucket, RETRIED);
    this.#settle(move.from);
    this.clock.count('messages died');
  }

  #settle(sequence: number): void {
    const message = this.#bySequence.get(sequence);
    if (message === undefined) return; // a rule
    assert.ok(!message.settled, `${message.key} is settled twice`);
    message.settled = true;
  }

  #charge(sequence: number, attempts: number): void {
    const message = this.#bySequence.get(sequence);
    if (message === undefined) return;
    const isRetried = message.bucket === RETRIED;
    assert.ok(!isRetried || attempts < DELIVERIES_MAX, `${message.key}: ${attempts} attempts`);
    message.attempts = attempts;
  }

  // --- what clients see -------------------------------------------------------------------------

  ack(key: string): void {
    assert.ok(this.#byKey.has(key), `${key} is acked and does not count`);
    this.acked.add(key);
  }

  /** A message goes to a consumer of a bucket. Gives its key. */
  deliver(by: Handing, bucket: number, body: Uint8Array): string {
    const id = idOf(body);
    assert.ok(id !== undefined, `node ${by.node} delivers what nobody sent`);
    const key = `${bucket}:${id}`;
    const message = this.#byKey.get(key);
    assert.ok(message !== undefined, `node ${by.node} delivers ${key}, which does not count`);
    const isOwner = this.handsOut(by.node, by.epoch);
    const held = this.#held.get(by.life) ?? new Set();
    this.#held.set(by.life, held);
    assert.ok(!held.has(key), `${by.life} delivers ${key}, which somebody holds`);
    held.add(key);
    // What another one has written by now an owner within its window cannot know.
    if (!isOwner) {
      this.#deliveredBeside.add(key);
      return key;
    }
    assert.ok(!message.settled, `node ${by.node} delivers ${key}, which is settled`);
    const earlyMs = message.dueMs - by.wallMs;
    assert.ok(earlyMs <= 0, `node ${by.node} delivers ${key} ${earlyMs} ms before its time`);
    if (!this.delivered.has(key)) this.#first(message);
    else this.clock.count('delivered again');
    this.delivered.add(key);
    return key;
  }

  #first({ bucket, sequence, key }: Message): void {
    const before = this.#firsts.get(bucket) ?? 0;
    if (PLAIN.includes(bucket))
      assert.ok(sequence > before, `${key} (${sequence}) comes behind ${before}`);
    this.#firsts.set(bucket, sequence);
    if (bucket === DEAD) this.clock.count('dead delivered');
    if (bucket === ONCE) this.clock.count('once only');
  }

  /** Nobody holds it any more there. */
  released(life: string, key: string): void {
    this.#held.get(life)?.delete(key);
  }

  /** How many of a bucket are held there. */
  heldOf(life: string, bucket: number): number {
    const prefix = `${bucket}:`;
    return [...(this.#held.get(life) ?? [])].filter((key) => key.startsWith(prefix)).length;
  }

  /**
   * Whether all copies know the same of a message: it is not settled, and no consumer has said that
   * it is done. Who owned the log then may remember that, although the log does not say it.
   */
  isThere(sequence: number): boolean {
    const message = this.#bySequence.get(sequence);
    return message?.settled === false && !this.done.has(message.key);
  }

  /** Messages that somebody is still to have. */
  get left(): number {
    const all = [...this.#bySequence.values()];
    return all.filter(({ settled, key }) => !settled && !this.done.has(key)).length;
  }

  /** At the end, with all consumed: what was acked was delivered, there or where the dead go. */
  judge(): void {
    for (const key of this.acked) {
      const { settled } = this.#byKey.get(key)!;
      const isDone = this.done.has(key);
      // Whoever delivered it beside the owner remembers that it is done, if it owns again.
      const isDelivered = this.delivered.has(key) || (isDone && this.#deliveredBeside.has(key));
      assert.ok(isDelivered, `${key} was acked and never delivered`);
      assert.ok(settled || isDone, `${key} was acked and is still there`);
    }
    assert.equal(this.left, 0, 'something is left');
  }
}
