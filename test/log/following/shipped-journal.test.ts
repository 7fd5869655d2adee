// Batches are published before they are written, and what others refused is never acked nor
// written; who owned a log until then follows it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RECORD_EPOCH_AT } from '../../../assembly/layout.ts';
import type { Failure, Position } from '../../../src/core/ports/basics.ts';
import {
  type LocalJournal,
  type Publisher,
  ShippedJournal,
  ShippedSpace,
} from '../../../src/log/following/shipped-journal.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { bodiesOf, codec, SEGMENT_BYTES, World } from '../harness.ts';
import { Copy, type Recorded } from './harness.ts';

const soon = (call: () => void) => void setImmediate(call);

/** Takes batches, and confirms them when the test says so. */
class Stream implements Publisher {
  readonly batches: Recorded[] = [];
  readonly trims: Position[] = [];
  silent = false;
  full = false;
  readonly #waiting: ((failure: Failure) => void)[] = [];

  publish(position: Position, bytes: Uint8Array, done: (failure: Failure) => void): void {
    const copied = bytes.slice();
    const epoch = new DataView(copied.buffer).getUint32(RECORD_EPOCH_AT, true);
    const base = Math.floor(position / SEGMENT_BYTES) * SEGMENT_BYTES;
    this.batches.push({ position, bytes: copied, epoch, base, trim: 0 });
    this.#waiting.push(done);
    if (!this.silent) setImmediate(() => this.answer());
  }

  answer(failure?: Error): void {
    this.#waiting.shift()?.(failure);
  }

  get waits(): boolean {
    return this.#waiting.length > 0;
  }

  stalled(): boolean {
    return this.silent && this.waits;
  }

  blocked(): string | undefined {
    return this.full ? 'the stream is full' : undefined;
  }

  trimmed(position: Position): void {
    this.trims.push(position);
  }
}

async function shipping(files = new MemoryFiles()): Promise<{ world: World; stream: Stream }> {
  const stream = new Stream();
  const world = await World.open(files, {
    journal: (log) => new ShippedJournal(log, stream, soon),
    space: (log) => new ShippedSpace(log, stream),
  });
  await world.settle();
  return { world, stream };
}

const message = (n: number, size = 500) => ({ bucket: 1, body: `${n}:`.padEnd(size, '.') });

describe('a journal that publishes first', () => {
  test('nothing is written before it is published, nor acked before it is written', async () => {
    const { world, stream } = await shipping();
    const { link: consumer } = world.consume(1, 10);
    stream.silent = true;
    const writes = world.files.count('write');
    const link = world.publish([message(1)]);
    await world.settle();
    assert.ok(stream.waits);
    assert.equal(world.files.count('write'), writes, 'written before it was published');
    const fault = world.files.fail({ op: 'write', nth: 1, code: 'EIO' });
    stream.answer();
    await world.settle();
    assert.equal(fault.fired, 1);
    assert.deepEqual([link.received, bodiesOf(consumer)], [[], []], 'told before it was written');
    assert.match(world.failure!.message, /EIO/);
  });

  test('while a batch is on its way to the disk, it says so; who waits for rest is told', async () => {
    const stream = new Stream();
    stream.silent = true;
    let written: ((failure: Failure) => void) | undefined;
    const local: LocalJournal = {
      epoch: 0,
      placeOf: () => new Uint8Array(64),
      append: (_position, _bytes, done) => {
        written = done;
      },
      stalled: () => false,
      syncedPosition: 0,
      trim: () => {},
      startPosition: 0,
    };
    const journal = new ShippedJournal(local, stream, soon);
    const told: string[] = [];
    const turn = () => new Promise(setImmediate);
    journal.append(4096, 64, () => void told.push('done'));
    assert.ok(!journal.isWriting, 'published, and not written yet');
    stream.answer();
    assert.ok(journal.isWriting);
    journal.whenRested(() => void told.push('rested'));
    await turn();
    assert.equal(told.length, 0);
    written!(undefined);
    assert.ok(!journal.isWriting);
    await turn();
    journal.whenRested(() => void told.push('again'));
    await turn();
    assert.deepEqual(told, ['done', 'rested', 'again']);
  });

  test('the next are published while one is written, and written one by one, in order', async () => {
    const stream = new Stream();
    stream.silent = true;
    const writing: ((failure: Failure) => void)[] = [];
    const local: LocalJournal = {
      epoch: 0,
      placeOf: () => new Uint8Array(64).fill(7),
      append: (_position, _bytes, done) => void writing.push(done),
      stalled: () => false,
      syncedPosition: 0,
      trim: () => {},
      startPosition: 0,
    };
    const journal = new ShippedJournal(local, stream, soon);
    const told: string[] = [];
    const append = (name: string) =>
      journal.append(4096, 64, (failure) => void told.push(failure?.message ?? name));
    assert.equal(journal.depth, 1, 'it is nobody yet, and something follows the start');
    append('start');
    stream.answer();
    writing.shift()!(undefined);
    assert.deepEqual(told.splice(0), ['start']);
    assert.ok(journal.depth > 2);
    for (const name of ['a', 'b', 'c']) append(name);
    assert.equal(stream.batches.length, 4, 'published one behind the other');
    assert.equal(writing.length, 0, 'written before it is published');
    stream.answer();
    stream.answer();
    assert.equal(writing.length, 1, 'two are written at once');
    writing.shift()!(undefined);
    assert.deepEqual(told, ['a']);
    assert.equal(writing.length, 1);
    journal.fail(new Error('deposed'));
    writing.shift()!(undefined);
    assert.deepEqual(told, ['a', 'deposed', 'deposed']);
    stream.answer();
    assert.deepEqual([told.length, writing.length], [3, 0]);
  });

  test('what was refused is neither written nor acked, and nothing is published after it', async () => {
    const { world, stream } = await shipping();
    const log = new ShippedJournal(world.log, stream, soon);
    stream.silent = true;
    const writes = world.files.count('write');
    const link = world.publish([message(1)]);
    await world.settle();
    const refusal = new Error('somebody else owns the log');
    stream.answer(refusal);
    await world.settle();
    assert.equal(world.failure, refusal);
    assert.deepEqual([link.received, link.closed], [[], true]);
    assert.equal(world.files.count('write'), writes);
    const { length } = stream.batches;
    const at = world.broker.commit.durablePosition;
    const failures: Failure[] = [];
    log.append(at, 56, (failure) => void failures.push(failure));
    stream.answer(refusal);
    log.append(at, 56, (failure) => void failures.push(failure));
    assert.equal(failures.length, 1, 'told within the call');
    await world.settle();
    assert.deepEqual(failures, [refusal, refusal]);
    assert.equal(stream.batches.length, length + 1);
  });

  test('while the stream stalls or is full, messages are refused and acks go on', async () => {
    const { world, stream } = await shipping();
    stream.silent = true;
    world.publish([message(0)]);
    await world.settle();
    const refused = world.publish([message(1, 4000)]);
    await world.settle();
    for (let n = 0; n < 20 && !refused.received.includes(0); n++) {
      world.publish([message(2, 4000)], refused);
      await world.settle();
    }
    assert.ok(refused.received.includes(0), 'all was accepted');
    stream.silent = false;
    stream.answer();
    await world.settle();
    stream.full = true;
    const answers: number[] = [];
    for (let n = 0; n < 20; n++) {
      const link = world.publish([message(n, 4000)]);
      await world.settle();
      answers.push(...link.received);
    }
    assert.equal(answers.at(-1), 0);
    assert.equal(world.broker.commit.refuses, true);
    assert.ok((await world.drain(1)).length > 0);
    stream.full = false;
    await world.advance(100);
    const again = world.publish([message(99)]);
    await world.settle();
    assert.deepEqual(again.received, [1]);
  });

  test('who owned the log follows it, with what it wrote itself and what came after', async () => {
    const { world, stream } = await shipping();
    for (let n = 0; n < 200; n++) {
      world.publish([message(n)]);
      await world.settle();
    }
    await world.drain(1);
    for (let n = 0; n < 10; n++) await world.advance(200);
    assert.ok(stream.trims.length > 0);
    assert.equal(stream.trims.at(-1), world.log.startPosition);
    // Its last batch is refused: somebody else's start came first.
    stream.silent = true;
    world.publish([message(1000)]);
    await world.settle();
    const lost = stream.batches.pop()!;
    stream.answer(new Error('deposed'));
    await world.settle();
    assert.ok(world.failure !== undefined);
    const closed = world.log.close();
    await world.settle();
    await closed;
    const copy = await Copy.open(world.files.kill(), codec);
    assert.equal(copy.follower.end, lost.position, 'it is not where the stream is');
    const taken = (await copy.takeOver(copy.follower.epoch + 5))!;
    assert.equal(taken.resume.offset + taken.resume.base, lost.position);
    await copy.follower.close();
  });
});
