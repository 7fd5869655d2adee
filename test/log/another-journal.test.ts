// Another journal over the segments of a file log: it replaces one port alone, and a broker
// publishes, consumes, gives back and recovers as before. This one has somebody else confirm every
// batch before it is written here, as a replicated log does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Failure, Position } from '../../src/core/ports/basics.ts';
import type { Journal } from '../../src/core/ports/journal.ts';
import type { FileLog } from '../../src/log/file-log.ts';
import { segmentName } from '../../src/log/segments/segment.ts';
import { loseAll, MemoryFiles } from '../support/memory-files.ts';
import { bodiesOf, codec, type Message, recoverFrom, SEGMENT_BYTES, World } from './harness.ts';

interface Batch {
  position: Position;
  bytes: Uint8Array;
}

/** Sends each batch to somebody, who confirms at once or when the test says so. */
class ConfirmedJournal implements Journal {
  readonly depth = 1;
  readonly aheadBytes = Number.POSITIVE_INFINITY;
  readonly #local: FileLog;
  readonly sent: Batch[] = [];
  readonly trims: Position[] = [];
  /** Whether confirmations wait for `answer`. */
  silent = false;
  /** What is done after the bytes are durable here, and before the broker hears of it. */
  readonly written: (batch: Batch, base: Position) => void;
  #waiting: ((refusal: Failure) => void) | undefined;

  constructor(local: FileLog, written: (batch: Batch, base: Position) => void = () => {}) {
    this.#local = local;
    this.written = written;
  }

  append(position: Position, bytes: number, done: (failure: Failure) => void): void {
    assert.equal(this.#waiting, undefined, 'two appends at once');
    const base = this.#local.bases().findLast((each) => each <= position)!;
    const at = codec.coldBytes + position - base;
    const batch = { position, bytes: codec.memory.slice(at, at + bytes) };
    this.sent.push(batch);
    this.#waiting = (refusal) => {
      this.#waiting = undefined;
      if (refusal !== undefined) {
        done(refusal);
        return;
      }
      this.#local.append(position, bytes, (failure) => {
        if (failure === undefined) this.written(batch, base);
        done(failure);
      });
    };
    if (!this.silent) queueMicrotask(() => this.answer());
  }

  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  /** Somebody confirms what waits, or refuses it. */
  answer(refusal?: Error): void {
    assert.ok(this.#waiting !== undefined, 'nothing waits to be confirmed');
    this.#waiting(refusal);
  }

  stalled(): boolean {
    return (this.silent && this.isWaiting) || this.#local.stalled();
  }

  get syncedPosition(): Position {
    return this.#local.syncedPosition;
  }

  trim(position: Position): void {
    this.trims.push(position);
    this.#local.trim(position);
  }

  get startPosition(): Position {
    return this.#local.startPosition;
  }
}

interface Setup {
  world: World;
  journal: ConfirmedJournal;
}

async function open(
  files: MemoryFiles,
  written?: (batch: Batch, base: Position) => void,
): Promise<Setup> {
  const made: ConfirmedJournal[] = [];
  const world = await World.open(files, {
    journal: (log) => {
      made.push(new ConfirmedJournal(log, written));
      return made[0]!;
    },
  });
  await world.settle();
  return { world, journal: made[0]! };
}

const message = (bucket: number, n: number): Message => ({
  bucket,
  body: `${bucket}:${n}`.padEnd(500, '.'),
});

async function publish(world: World, messages: Message[]): Promise<number[]> {
  const link = world.publish(messages);
  await world.settle();
  return link.received;
}

test('segments fill, are indexed, read back, given back and recovered through it', async () => {
  const files = new MemoryFiles();
  let compared = 0;
  const written = ({ position, bytes }: Batch, base: Position) => {
    const image = files.durable(segmentName(base))!;
    const here = image.subarray(position - base, position - base + bytes.length);
    assert.deepEqual(new Uint8Array(here), bytes, 'what was sent is not what is on disk');
    compared++;
  };
  const { world, journal } = await open(files, written);
  const count = (8 * SEGMENT_BYTES) / 500;
  const expected = new Map<number, string[]>([1, 2].map((bucket) => [bucket, []]));
  for (let n = 0; n < count; n += 8) {
    const messages = Array.from({ length: 8 }, (_, i) => message(1 + (i % 2), n + i));
    assert.deepEqual(await publish(world, messages), Array(8).fill(1));
    for (const { bucket, body } of messages) expected.get(bucket)!.push(body as string);
  }
  assert.ok(world.log.bases().length > 7, 'it never went on to another segment');
  assert.deepEqual(await world.drain(1), expected.get(1));
  assert.ok(world.log.coldReads.reads > 0, 'nothing was read back from disk');
  for (let i = 0; i < 10; i++) await world.advance(100); // acks of consumers are written
  assert.equal(compared, journal.sent.length);
  // Each begins where the one before ended, or in the next segment.
  for (let i = 1; i < journal.sent.length; i++) {
    const { position, bytes } = journal.sent[i - 1]!;
    const next = journal.sent[i]!.position;
    const rolled = next % SEGMENT_BYTES === 4096;
    assert.ok(next === position + bytes.length || rolled, `${position} to ${next}`);
  }

  const again = await open(files.crash(loseAll));
  assert.deepEqual(await again.world.drain(2), expected.get(2));
  assert.equal((await again.world.drain(1)).length, 0, 'what was acked came again');
  for (let i = 0; i < 10; i++) await again.world.advance(100);
  assert.ok(again.journal.trims.length > 0);
  assert.equal(again.journal.startPosition, again.journal.trims.at(-1));
  assert.ok(again.world.log.bases()[0]! > 0, 'no segment was given back');
  await again.world.close();
});

test('no ack and no delivery before it is confirmed, though the disk is idle', async () => {
  const { world, journal } = await open(new MemoryFiles());
  const { link: waiting } = world.consume(1, 10);
  journal.silent = true;
  const writes = world.files.count('write');
  const link = world.publish([message(1, 1)]);
  await world.settle();
  await world.advance(1000);
  assert.ok(journal.isWaiting);
  assert.equal(world.files.count('write'), writes, 'written before it was confirmed');
  assert.deepEqual([link.received, bodiesOf(waiting)], [[], []]);
  journal.answer();
  await world.settle();
  assert.deepEqual(link.received, [1]);
  assert.deepEqual(bodiesOf(waiting), [message(1, 1).body]);
});

test('while it waits for a confirmation nothing more is accepted, and then it is', async () => {
  const { world, journal } = await open(new MemoryFiles());
  journal.silent = true;
  const first = world.publish([message(1, 1)]);
  await world.settle();
  const answers: number[] = [];
  for (let n = 2; !answers.includes(0); n++) {
    assert.ok(n < SEGMENT_BYTES / 500, 'everything was accepted');
    answers.push(...(await publish(world, [message(1, n)])));
  }
  assert.deepEqual(first.received, []);
  assert.equal(world.log.blocked(), undefined, 'the disk has room');
  journal.silent = false;
  journal.answer();
  await world.settle();
  assert.deepEqual(first.received, [1]);
  assert.deepEqual(await publish(world, [message(2, 1)]), [1]);
});

test('what is refused is never acked nor written, and the broker ends', async () => {
  const { world, journal } = await open(new MemoryFiles());
  assert.deepEqual(await publish(world, [message(1, 1)]), [1]);
  journal.silent = true;
  const link = world.publish([message(1, 2)]);
  await world.settle();
  const refusal = new Error('somebody else owns the log');
  journal.answer(refusal);
  await world.settle();
  assert.equal(world.failure, refusal);
  assert.ok(link.closed);
  assert.deepEqual(link.received, []);
  const { got } = await recoverFrom(world.files.crash(loseAll));
  assert.deepEqual([...got.messages.values()], [`1:${message(1, 1).body}`]);
});
