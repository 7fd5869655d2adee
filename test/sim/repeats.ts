// Messages that are published again, and the part of the model that judges them: within the window
// of its bucket's rule a message is in the log once, whoever sent it how often, in whatever life;
// whoever is told that it is stored is told so when it is; and its id stands in the same batch.

import assert from 'node:assert/strict';
import type { Random } from '../support/random.ts';
import type { BatchRead } from './batch.ts';
import { sawClock } from './delays.ts';
import type { Tally } from './faults.ts';
import type { Message } from './model.ts';
import type { SimRules } from './rules.ts';

/** No clock goes so far in a world. */
export const FOR_EVER_MS = 30 * 24 * 3_600_000;

// Of those that were sent last rather than long ago.
const LAST = 40;

export class Repeats {
  readonly #random: Random;
  readonly #rules: SimRules;
  readonly #tally: Tally;
  readonly #known: { message: Message; bucket: number }[] = [];
  readonly #again = new Set<Message>();

  constructor(random: Random, rules: SimRules, tally: Tally) {
    this.#random = random;
    this.#rules = rules;
    this.#tally = tally;
  }

  /** A message is sent that nobody has seen. */
  sent(message: Message): void {
    const { bucket } = message;
    if (this.#rules.of(bucket).dedup >= FOR_EVER_MS) this.#known.push({ message, bucket });
  }

  /** One that is to be sent again, and to which bucket; undefined: none. */
  pick(): { message: Message; bucket: number } | undefined {
    const { length } = this.#known;
    if (length === 0 || !this.#random.chance(0.3)) return undefined;
    const isLate = this.#random.chance(0.7);
    const from = isLate ? Math.max(0, length - LAST) : 0;
    return this.#known[from + this.#random.below(length - from)]!;
  }

  /** It is sent again. */
  sentAgain(message: Message, wallMs: number): void {
    this.#tally.add('published again');
    this.#again.add(message);
    // What was refused, or was lost with a life, is as good as new.
    if (message.state === 'refused' || message.state === 'gone') message.state = 'sent';
    sawClock(message, wallMs);
  }

  /** Whether it was sent more than once: who of those came first is open. */
  has(message: Message): boolean {
    return this.#again.has(message);
  }

  /** A batch is written. */
  judge({ messages, ids }: BatchRead): void {
    const published = new Map<number, number>();
    const count = (bucket: number, by: number) =>
      published.set(bucket, (published.get(bucket) ?? 0) + by);
    for (const { bucket, move } of messages)
      if (move === undefined && this.#rules.of(Number(bucket)).dedup > 0) count(Number(bucket), 1);
    for (const { bucket, count: some, windowS } of ids) {
      const { dedup } = this.#rules.of(Number(bucket));
      assert.equal(windowS, Math.ceil(dedup / 1000), `ids of bucket ${bucket} in a window`);
      count(Number(bucket), -some);
    }
    for (const [bucket, left] of published)
      assert.equal(left, 0, `bucket ${bucket} has ${left} messages without an id in their batch`);
  }
}
