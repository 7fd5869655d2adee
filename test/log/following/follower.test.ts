// A follower comes to what a start comes to that reads the same batches, after each of them; its
// segments hold the same bytes; it goes on wherever it was stopped, and whoever takes over has all
// that waits. What is no next batch is refused, and nothing has changed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLAG_LAST, RECORD_TYPE_AT, SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import { segmentName } from '../../../src/log/segments/segment.ts';
import { freshEngine, sharedEngine } from '../../support/engine.ts';
import { anyFate, loseAll, MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { SEGMENT_BYTES } from '../harness.ts';
import {
  assertHolds,
  batchesBefore,
  Copy,
  endIn,
  imagesAfter,
  record,
  segmentsOf,
  startAfter,
  tellOf,
} from './harness.ts';

const seed = seedOf('log/following/follower.test');
const codec = sharedEngine('a log that is opened begins with the key and the open segment');
const RECORDINGS_MAX = 10;
const batches = await recordAll();

/** What chance has left out of a recording; it is wanted in what tests go by. */
function missing(batches: Awaited<ReturnType<typeof record>>): string[] {
  const count = (what: (batch: (typeof batches)[number]) => number | bigint) =>
    new Set(batches.map(what)).size;
  const pauses = batches.filter(({ bytes }) => Buffer.from(bytes).includes('paused bucket='));
  const found: [string, boolean][] = [
    ['batches', batches.length > 300],
    ['segments', count(({ base }) => base) > 5],
    ['trims', count(({ trim }) => trim) > 2],
    ['epochs', count(({ epoch }) => epoch) === 2],
    ['pauses', pauses.length > 0],
  ];
  return found.flatMap(([what, isThere]) => (isThere ? [] : [what]));
}

async function recordAll() {
  for (let at = 0; ; at++) {
    const batches = await record(new Random(seed + at * 1000));
    if (at === RECORDINGS_MAX || missing(batches).length === 0) return batches;
  }
}

test('what was recorded holds a bit of everything', () => {
  assert.deepEqual(missing(batches), []);
});

test('after each batch it is what a start finds, byte for byte and message for message', async () => {
  const random = new Random(seed + 1);
  const copy = await Copy.open(new MemoryFiles(), codec);
  for (const [i, batch] of batches.entries()) {
    assert.equal(await copy.apply(batch), undefined);
    assert.equal(copy.follower.sequence, (await sequenceAfter(i)) ?? copy.follower.sequence);
    if (random.below(12) > 0 && i < batches.length - 1) continue;
    const { state, next } = await startAfter(batches, i + 1);
    assert.deepEqual(copy.tell(), tellOf(state, next), `after batch ${i}`);
    assert.deepEqual(segmentsOf(copy.state), segmentsOf(state), `after batch ${i}`);
    for (const [base, image] of imagesAfter(batches, i + 1)) {
      const here = copy.files.durable(segmentName(base));
      // A spare that is used again has old bytes behind what is written.
      const end = endIn(batches, i + 1, base);
      const data = (from: Uint8Array) => from.subarray(SEGMENT_DATA_AT, end);
      const same = here !== undefined && Buffer.compare(data(here), data(image)) === 0;
      // The one that is made ahead may not be there yet.
      if (base <= batch.base) assert.ok(same, `after batch ${i} segment ${base} differs`);
    }
  }
  assert.deepEqual(copy.notes, []);
  await copy.follower.close();
});

async function sequenceAfter(i: number): Promise<number | undefined> {
  return i % 25 === 0 ? (await startAfter(batches, i + 1)).next : undefined;
}

test('opened anew it has all of its open segment in memory, as what comes again is compared', async () => {
  const copy = await Copy.open(new MemoryFiles(), codec);
  // So far into a segment that there are whole blocks of it.
  const count = batches.findIndex(({ position, base }) => position - base > SEGMENT_BYTES / 2);
  const { base } = batches[count]!;
  await copy.follow(batches, 0, count);
  await copy.follower.close();
  codec.memory.fill(0, codec.coldBytes, codec.coldBytes + SEGMENT_BYTES);
  const again = await Copy.open(copy.files, codec);
  const open = batches.slice(0, count).filter((batch) => batch.base === base);
  assert.ok(open.length > 3, `${open.length} batches`);
  for (const { position, bytes } of open)
    assert.deepEqual(again.follower.log.placeOf(position, bytes.length).slice(), bytes);
  await again.follower.close();
});

test('wherever it is stopped it goes on', async () => {
  const random = new Random(seed + 3);
  const other = freshEngine();
  const copy = await Copy.open(new MemoryFiles(), codec);
  let stops = 0;
  let done = 0;
  for (const [i, batch] of batches.entries()) {
    copy.files.auto = false;
    const ended = copy.apply(batch).then((failure) => {
      assert.equal(failure, undefined);
      done = i + 1;
    });
    for (let turns = 0; done <= i; turns++) {
      assert.ok(turns < 10_000, `batch ${i} never ends`);
      await new Promise((resolve) => setImmediate(resolve));
      if (copy.files.pending.length === 0) continue;
      copy.files.step();
      if (random.below(30) > 0) continue;
      stops++;
      const after = copy.files.fork().crash(random.chance(0.5) ? loseAll : anyFate(random));
      await goOn(after, done, random);
    }
    await ended;
    copy.files.auto = true;
    if (random.below(10) === 0) await copy.advance(2000);
  }
  assert.ok(stops > 30, `only ${stops}`);
  await copy.follower.close();

  async function goOn(files: MemoryFiles, least: number, chance: Random): Promise<void> {
    const again = await Copy.open(files, other);
    const from = batchesBefore(batches, again.follower.end);
    assert.ok(from >= least, `${from} batches are there of ${least} that were done`);
    const to = Math.min(batches.length, from + chance.below(40));
    await again.follow(batches, from, to);
    const { state, next } = await startAfter(batches, to);
    // What marks left in doubt is counted by then.
    await again.takeOver(again.follower.epoch + 1);
    assertHolds(again.tell(), tellOf(state, next), `from batch ${from} to ${to}`);
    await again.follower.close();
  }
});

test('each batch is synced before the next one is written, and counts only then', async () => {
  const copy = await Copy.open(new MemoryFiles(), codec);
  let at = 3;
  const next = async (count: number) => (await startAfter(batches, count)).next;
  while ((await next(at)) === (await next(at + 1))) at++;
  await copy.follow(batches, 0, at);
  await copy.advance(0); // the segment ahead is made
  copy.files.auto = false;
  const batch = batches[at]!;
  const before = JSON.stringify(copy.tell());
  let ended = false;
  const first = copy.apply(batch).then(() => {
    ended = true;
  });
  const second = await copy.apply(batches[at + 1]!);
  assert.match(second!.message, /two batches at once/);
  while (copy.files.pending.some(({ op }) => op !== 'sync')) {
    copy.files.step(copy.files.pending.findIndex(({ op }) => op !== 'sync'));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(
    copy.files.pending.map(({ op }) => op),
    ['sync'],
  );
  assert.equal(ended, false, 'done before it is synced');
  assert.equal(JSON.stringify(copy.tell()), before, 'it counts before it is synced');
  copy.files.auto = true;
  copy.files.step();
  await first;
  assert.notEqual(JSON.stringify(copy.tell()), before);
  await copy.follower.close();
});

test('where the disk fails, nothing is followed any more, and a start goes on', async () => {
  const copy = await Copy.open(new MemoryFiles(), codec);
  await copy.follow(batches, 0, 10);
  // Not that of a segment which is made meanwhile.
  const name = new RegExp(segmentName(batches[10]!.base));
  const fault = copy.files.fail({ op: 'sync', nth: 1, name, code: 'EIO' });
  const failure = await copy.apply(batches[10]!);
  assert.equal(fault.fired, 1);
  assert.match(failure!.message, /EIO/);
  assert.equal(await copy.apply(batches[11]!), failure);
  const again = await Copy.open(copy.files.crash(loseAll), codec);
  assert.equal(batchesBefore(batches, again.follower.end), 10);
  await again.follow(batches, 10, 40);
  await again.follower.close();
});

test('a batch that is the last of its segment waits for the next one', async () => {
  const copy = await Copy.open(new MemoryFiles(), codec);
  const last = batches.findIndex(({ bytes }) => (bytes.at(-56 + 13)! & FLAG_LAST) !== 0);
  await copy.follow(batches, 0, last);
  const room = copy.files.capacity;
  // The one that is there is taken for it; the one behind it finds no room.
  copy.files.capacity = 0;
  await copy.follow(batches, last, last + 1);
  const second = batches.findIndex(({ base }) => base === 2 * SEGMENT_BYTES) - 1;
  await copy.follow(batches, last + 1, second);
  const { base, position } = batches[second]!;
  let ended = false;
  const waits = copy.apply(batches[second]!).then((failure) => {
    assert.equal(failure, undefined);
    ended = true;
  });
  for (let turn = 0; turn < 20; turn++) await copy.files.settle();
  assert.equal(ended, false);
  const image = copy.files.image(segmentName(base));
  assert.equal(image[position - base + RECORD_TYPE_AT], 0, 'it was written');
  copy.files.capacity = room;
  await copy.advance(2000);
  await waits;
  await copy.follow(batches, second + 1, second + 5);
  await copy.follower.close();
});
