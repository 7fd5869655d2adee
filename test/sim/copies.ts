// The model's part about copies: a message is in its bucket and in each that gets copies of it, or
// in none of them, whatever is cut short. Each copy is a message of its own from then on.

import assert from 'node:assert/strict';
import { HEAD_BYTES, KIND_LIVE, REASON_COPIED } from '../../assembly/layout-placed.ts';
import { recordBytes } from '../../src/core/commit/cost.ts';
import type { Random } from '../support/random.ts';
import type { BatchMessage } from './batch.ts';
import { judgePublished } from './delays.ts';
import type { Tally } from './faults.ts';
import { type Expected, type Message, name, newMessage } from './model.ts';
import type { SimRules } from './rules.ts';

/**
 * Which buckets get copies of which, of a few. None has two messages of one body: what dies in
 * these buckets stays there, and is given back to them.
 */
export function drawCopies(random: Random, buckets: readonly number[]): Map<number, number[]> {
  const drawn = new Map<number, number[]>();
  const few = buckets.slice(0, 12).slice(random.chance(0.2) ? -8 : -4);
  if (few.length < 2) return drawn;
  for (let sources = 1 + random.below(3); sources > 0; sources--) {
    const source = few[random.below(few.length)]!;
    const share = [0.3, 0.6, 1][random.below(3)]!;
    const targets = few.filter((each) => each !== source && random.chance(share));
    if (targets.length > 0) drawn.set(source, targets);
  }
  return drawn;
}

/** Whether no segment may hold a message with its copies: a half of what messages may use. */
export function isTooLarge(length: number, copies: number, segmentBytes: number): boolean {
  return (1 + copies) * recordBytes(1, length, HEAD_BYTES) > segmentBytes / 2;
}

/** The parts of the model that it works with. */
export interface CopiesParts {
  readonly rules: SimRules | undefined;
  readonly expected: Expected;
  readonly tally: Tally;
  readonly messages: Map<number, Message>;
}

export class Copies {
  readonly #parts: CopiesParts;
  readonly #all = new Set<Message>();
  readonly #byBucket = new Map<string, Message>();

  constructor(parts: CopiesParts) {
    this.#parts = parts;
  }

  /** The copy of a message in a bucket, if it is one that was copied there. */
  find(id: number, bucket: number): Message | undefined {
    return this.#byBucket.get(`${id} ${bucket}`);
  }

  /** Whether a record of a batch holds copies. */
  static isCopy({ move }: BatchMessage): boolean {
    return move?.reason === REASON_COPIED;
  }

  /** A batch holds a copy of a message; gives what the model knows of it from now on. */
  judge(original: Message | undefined, each: BatchMessage): Message {
    const bucket = Number(each.bucket);
    assert.ok(original !== undefined, 'a copy of what nobody published');
    const said = `${name(original)} is copied to bucket ${bucket}`;
    const { rules, messages } = this.#parts;
    assert.ok(rules?.of(original.bucket).copy_to.includes(bucket), `${said}: nobody asked for it`);
    assert.equal(original.state, 'appended', `${said} in another batch`);
    // What was lost with a life may be published again.
    const before = this.find(original.id, bucket)?.state ?? 'gone';
    assert.equal(before, 'gone', `${said} twice`);
    const { kind, attempts, settles, from, fromBucket, fromAttempts, fromKind, hops } = each.move!;
    assert.deepEqual(
      [kind, attempts, settles, from, Number(fromBucket), fromAttempts, fromKind, hops],
      [KIND_LIVE, 0, false, original.sequence, original.bucket, 0, KIND_LIVE, 0],
      said,
    );
    const { id, length, sentMs } = original;
    const { sequence, position, dueMs } = each;
    const copy = newMessage(id, bucket, length);
    copy.sentMs = { ...sentMs };
    judgePublished(copy, dueMs, rules!.of(bucket).delay);
    copy.delays.dueMs = dueMs;
    const { storedMs } = original;
    Object.assign(copy, { state: 'appended', sequence, position, storedMs });
    this.#all.add(copy);
    this.#byBucket.set(`${id} ${bucket}`, copy);
    messages.set(-this.#all.size, copy);
    return copy;
  }

  /** A batch holds these messages, and no others that were not in the log before. */
  judgeBatch(messages: readonly Message[]): void {
    for (const message of messages) {
      if (this.#all.has(message)) continue;
      for (const bucket of this.#parts.rules?.of(message.bucket).copy_to ?? []) {
        const state = this.find(message.id, bucket)?.state;
        assert.equal(state, 'appended', `the copy of ${name(message)} in bucket ${bucket}`);
      }
    }
  }

  /** That batch is durable. */
  stored(messages: readonly Message[]): void {
    const { expected, tally } = this.#parts;
    const copies = messages.filter((each) => this.#all.has(each)).length;
    expected.copied += copies;
    expected.published += messages.length - copies;
    tally.add('copies', copies);
  }
}
