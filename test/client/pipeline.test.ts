// Order and window of a producer without any socket: random publications, acks, losses and
// abandonments against a plain model, bounds checked after every step.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ThrustError } from '../../src/client/errors.ts';
import { Pipeline, type PipelineLimits } from '../../src/client/pipeline.ts';
import { EncodedBatch, Publication, toColumns } from '../../src/client/publication.ts';
import { BatchDecoder, WireError } from '../../src/codec/wire.ts';

const seed = Number(process.env.THRUSTMQ_TEST_SEED ?? Date.now() % 2_147_483_647);
console.log(`pipeline.test seed ${seed} (THRUSTMQ_TEST_SEED=${seed} repeats it)`);

const lost = new ThrustError('CONNECTION', 'lost');

type Step =
  | { kind: 'add'; sizes: number[]; encoded: boolean }
  | { kind: 'send' }
  | { kind: 'answer'; share: number }
  | { kind: 'lose' }
  | { kind: 'abandon'; which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('add' as const),
    sizes: fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 12 }),
    encoded: fc.boolean(),
  }),
  fc.constant({ kind: 'send' as const }),
  fc.record({ kind: fc.constant('answer' as const), share: fc.double({ min: 0, max: 1 }) }),
  fc.record({ kind: fc.constant('abandon' as const), which: fc.nat(50) }),
  fc.constant({ kind: 'lose' as const }),
);

/** A pipeline, what the broker saw of it, and how each publication ended. */
class World {
  readonly pipeline: Pipeline;
  readonly publications: Publication[] = [];
  readonly ends: string[] = [];
  /** Bodies on the current connection, each starting with its number, and batch sizes. */
  unanswered: string[] = [];
  frames: { bytes: number; count: number }[] = [];
  readonly stored: string[] = [];
  readonly #limits: PipelineLimits;
  readonly #retry: boolean;
  #next = 0;

  constructor(limits: PipelineLimits, retry: boolean) {
    this.#limits = limits;
    this.#retry = retry;
    this.pipeline = new Pipeline('u64', limits);
  }

  add(sizes: number[], encoded: boolean): void {
    const messages = sizes.map((size) => ({
      bucket: 1,
      body: `${this.#next++} `.padEnd(size, '.'),
    }));
    const index = this.publications.length;
    const publication = new Publication(
      encoded ? new EncodedBatch(messages) : toColumns(messages, 'u64', 1e9),
      (acks) => {
        assert.ok(acks.every((ack) => ack === 1));
        this.ends[index] = 'stored';
      },
      (error) => {
        this.ends[index] = (error as ThrustError).code;
      },
    );
    this.publications.push(publication);
    this.ends.push('open');
    this.pipeline.add(publication);
  }

  /** One batch; false when there is none. */
  send(): boolean {
    const before = this.frames.reduce((sum, { bytes }) => sum + bytes, 0);
    const batch = this.pipeline.nextBatch();
    if (batch === undefined) return false;
    const [messages] = new BatchDecoder('u64').push(batch);
    const { maxInFlight, maxInFlightBytes, batchMessagesMax, batchBytesMax } = this.#limits;
    if (this.frames.length > 0) {
      assert.ok(this.unanswered.length + messages.length <= maxInFlight);
      assert.ok(before + batch.length <= maxInFlightBytes);
    }
    const encoded = this.publications.some((one) => one.encoded?.bytes === batch);
    assert.ok(encoded || messages.length <= batchMessagesMax);
    assert.ok(encoded || messages.length === 1 || batch.length <= batchBytesMax);
    this.frames.push({ bytes: batch.length, count: messages.length });
    this.unanswered.push(...messages.map(({ body }) => Buffer.from(body).toString()));
    return true;
  }

  answer(count: number): void {
    this.stored.push(...this.unanswered.splice(0, count));
    let left = count;
    while (left > 0 && left >= this.frames[0].count) left -= this.frames.shift()!.count;
    if (left > 0) this.frames[0].count -= left;
    this.pipeline.answer(new Uint8Array(count).fill(1));
  }

  lose(): void {
    this.unanswered = [];
    this.frames = [];
    this.pipeline.lost(lost, this.#retry);
  }

  run(one: Step): void {
    if (one.kind === 'add') this.add(one.sizes, one.encoded);
    else if (one.kind === 'send') this.send();
    else if (one.kind === 'answer') this.answer(Math.floor(one.share * this.unanswered.length));
    else if (one.kind === 'lose') this.lose();
    else if (one.which < this.publications.length)
      this.pipeline.abandon(this.publications[one.which], new ThrustError('ABORTED', 'x'));
    assert.equal(this.pipeline.inFlight, this.unanswered.length);
    const open = this.publications.filter(({ settled }) => !settled);
    const waiting = open.reduce((sum, { count, sent }) => sum + count - sent, 0);
    assert.equal(this.pipeline.waiting, waiting);
  }

  finish(): void {
    while (this.send() || this.unanswered.length > 0) this.answer(this.unanswered.length);
  }
}

const limits = fc.record({
  maxInFlight: fc.integer({ min: 1, max: 30 }),
  maxInFlightBytes: fc.integer({ min: 1, max: 3000 }),
  batchMessagesMax: fc.integer({ min: 1, max: 10 }),
  batchBytesMax: fc.integer({ min: 1, max: 1500 }),
});

describe('pipeline', () => {
  for (const retry of [false, true])
    test(`property: bounds, order and endings, retry ${retry}`, () => {
      const property = fc.property(limits, fc.array(step, { maxLength: 60 }), (bounds, steps) => {
        const world = new World(bounds, retry);
        for (const one of steps) world.run(one);
        world.finish();
        const { pipeline, ends, stored } = world;
        assert.deepEqual([pipeline.inFlight, pipeline.waiting], [0, 0]);
        assert.equal(pipeline.left, pipeline.taken);
        const possible = retry ? ['stored', 'ABORTED'] : ['stored', 'ABORTED', 'UNKNOWN_OUTCOME'];
        for (const end of ends) assert.ok(possible.includes(end), end);
        const first = [...new Set(stored.map((body) => Number.parseInt(body, 10)))];
        assert.deepEqual(
          first,
          [...first].sort((a, b) => a - b),
        );
        if (!retry) assert.equal(first.length, stored.length);
      });
      fc.assert(property, { seed, numRuns: 500 });
    });

  test('a full window is free again once answered, in messages and in bytes', () => {
    const size = 4 + 10 * 116;
    const world = new World(
      { maxInFlight: 10, maxInFlightBytes: size, batchMessagesMax: 10, batchBytesMax: size },
      false,
    );
    for (let round = 0; round < 5; round++) {
      world.add(new Array(10).fill(100), false);
      assert.equal(world.send(), true);
      world.add([1], false);
      assert.equal(world.send(), false);
      world.answer(9);
      assert.equal(world.send(), false); // bytes are given back batch by batch
      world.answer(1);
      assert.equal(world.send(), true);
      world.answer(1);
    }
    assert.deepEqual(new Set(world.ends), new Set(['stored']));
  });

  test('acks that belong to nothing are an error', () => {
    const world = new World(
      { maxInFlight: 2, maxInFlightBytes: 999, batchMessagesMax: 2, batchBytesMax: 999 },
      false,
    );
    assert.throws(() => world.pipeline.answer(Uint8Array.of(1)), WireError);
    world.add([1, 1, 1], false);
    world.send();
    assert.throws(() => world.pipeline.answer(Uint8Array.of(1, 1, 1)), /1 ack bytes/);
  });

  test('failAll tells what was never sent from what may be stored', () => {
    const world = new World(
      { maxInFlight: 2, maxInFlightBytes: 999, batchMessagesMax: 2, batchBytesMax: 999 },
      true,
    );
    world.add([1], false);
    world.add([1], false);
    world.add([1], false);
    world.send();
    world.lose();
    world.pipeline.failAll(() => new ThrustError('CLOSED', 'over'));
    assert.deepEqual(world.ends, ['UNKNOWN_OUTCOME', 'UNKNOWN_OUTCOME', 'CLOSED']);
    assert.equal(world.pipeline.waiting, 0);
  });
});
