// Who takes over a log that it followed has all that waits in it and goes on as after a start; who
// owned it until then follows. Batches are published before they are written, and what others
// refused is never acked nor written.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Failure, Position } from '../../../src/core/ports/basics.ts';
import {
  type Publisher,
  ShippedJournal,
  ShippedSpace,
} from '../../../src/log/following/shipped-journal.ts';
import { verifyLog } from '../../../src/log/tools/verify.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { bodiesOf, codec, LOG_ID, SEGMENT_BYTES, TIME_MS, World } from '../harness.ts';
import { BUCKETS, Copy, filesAfter, RULES, type Recorded, record } from './harness.ts';

const seed = seedOf('log/following/taking-over.test');
const soon = (call: () => void) => void setImmediate(call);

/** What every bucket delivers until it is empty, once nothing waits for a time any more. */
async function drainAll(world: World, clock: { wallMs: number }): Promise<Record<string, string[]>> {
  for (let i = 0; i < 40; i++) {
    clock.wallMs += 100;
    await world.advance(100);
  }
  const all: Record<string, string[]> = {};
  for (const bucket of BUCKETS) all[bucket] = (await world.drain(bucket)).sort();
  return all;
}

test('who takes over has all that waits, and what it writes is followed by others', async () => {
  const random = new Random(seed);
  const batches = await record(random);
  let waited = 0;
  for (let round = 0; round < 8; round++) {
    const count = 1 + random.below(batches.length);
    const clock = { wallMs: TIME_MS };
    const plain = await World.open(filesAfter(batches, count), { rules: RULES, clock });
    const expected = await drainAll(plain, clock);
    const copy = await Copy.open(new MemoryFiles(), codec);
    for (let i = 0; i < count; i++) {
      await copy.follow(batches, i, i + 1);
      if (random.below(20) === 0) await copy.advance(2000);
    }
    const { epoch } = copy.follower;
    const later = { wallMs: TIME_MS };
    const world = await own(copy, epoch + 1, later);
    const sent = world.publish([{ bucket: 5, body: 'new' }]);
    await world.settle();
    assert.deepEqual(sent.received, [1]);
    expected[5] = [...expected[5]!, 'new'].sort();
    expected[6] = [...expected[6]!, 'new'].sort();
    assert.deepEqual(await drainAll(world, later), expected, `after ${count} batches`);
    waited += Object.values(expected).flat().length;
    assert.equal(world.failure, undefined);
    const files = await world.close();
    const report = await verifyLog(files, codec, () => {});
    assert.deepEqual([report.bad, report.missing], [[], []], `after ${count} batches`);
  }
  assert.ok(waited > 50, `${waited} messages waited`);
});

async function own(copy: Copy, epoch: number, clock: { wallMs: number }): Promise<World> {
  const begin = (await copy.takeOver(epoch))!;
  const { follower, files, state, notes } = copy;
  const parts = { files, log: follower.log, recovered: follower.recovered, state, notes };
  const options = { rules: RULES, clock };
  const world = World.takeOver(parts, [begin.resume, begin.inMemory], options);
  await world.settle();
  return world;
}

test('a log that was taken over is followed no more, and no epoch comes twice', async () => {
  const batches = await record(new Random(seed + 1), 1, 30);
  const copy = await Copy.open(new MemoryFiles(), codec);
  await copy.follow(batches, 0, 20);
  await assert.rejects(copy.takeOver(copy.follower.epoch), /no later one/);
  const { epoch } = copy.follower;
  const begin = (await copy.takeOver(epoch + 3))!;
  assert.equal(begin.resume.epoch, epoch + 3);
  assert.equal(begin.resume.places, true);
  assert.match((await copy.apply(batches[20]!))!.message, /taken over/);
  await assert.rejects(copy.takeOver(epoch + 4), /taken over/);
  await copy.follower.close();
});

test('a folder of another log, or of another layout, is refused and left as it is', async () => {
  const batches = await record(new Random(seed + 2), 1, 10);
  const copy = await Copy.open(new MemoryFiles(), codec);
  await copy.follow(batches, 0, 10);
  await copy.follower.close();
  const { files } = copy;
  const before = files.fingerprint();
  const other = Copy.open(files, codec, TIME_MS, { newLogId: LOG_ID + 1n });
  await assert.rejects(other, { code: 'other', message: /holds the log .*, not / });
  const larger = Copy.open(files, codec, TIME_MS, { segmentBytes: 2 * SEGMENT_BYTES });
  await assert.rejects(larger, { code: 'other', message: /has 32768 bytes/ });
  const lazy = Copy.open(files, codec, TIME_MS, { mode: 'interval' });
  await assert.rejects(lazy, { code: 'other', message: /--sync/ });
  assert.equal(files.fingerprint(), before);
});

/** Takes batches, and confirms them when the test says so. */
class Stream implements Publisher {
  readonly batches: Recorded[] = [];
  readonly trims: Position[] = [];
  silent = false;
  full = false;
  #waiting: ((failure: Failure) => void) | undefined;

  publish(position: Position, bytes: Uint8Array, done: (failure: Failure) => void): void {
    assert.equal(this.#waiting, undefined, 'two at once');
    const copied = bytes.slice();
    const epoch = new DataView(copied.buffer).getUint32(44, true);
    const base = Math.floor(position / SEGMENT_BYTES) * SEGMENT_BYTES;
    this.batches.push({ position, bytes: copied, epoch, base, trim: 0 });
    this.#waiting = done;
    if (!this.silent) setImmediate(() => this.answer());
  }

  answer(failure?: Error): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(failure);
  }

  get waits(): boolean {
    return this.#waiting !== undefined;
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
    log.append(at, 8, (failure) => void failures.push(failure));
    stream.answer(refusal);
    log.append(at, 8, (failure) => void failures.push(failure));
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
    await world.log.close();
    const copy = await Copy.open(world.files.kill(), codec);
    assert.equal(copy.follower.end, lost.position, 'it is not where the stream is');
    const taken = (await copy.takeOver(copy.follower.epoch + 5))!;
    assert.equal(taken.resume.offset + taken.resume.base, lost.position);
    await copy.follower.close();
  });
});
