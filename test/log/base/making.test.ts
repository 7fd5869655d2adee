// A base at any point of a log's story, and a maker that stops between any two of its steps or goes
// on when another one owns the log: nodes that have nothing build the whole log all the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { manifestObject, segmentObject, streamTag } from '../../../src/log/base/manifest.ts';
import { Random, seedOf } from '../../support/random.ts';
import { type Recorded, record } from '../following/harness.ts';
import { assertBuilds, CREATED, Maker, MemoryObjects, RecordedStream } from './harness.ts';

const seed = seedOf('log/base/making.test');
const batches = await record(new Random(seed), 2, 110, true);

function streamOf(count: number): RecordedStream {
  const stream = new RecordedStream(batches);
  stream.carry(count);
  return stream;
}

/** Batches up to where the log has so many segments. */
function countFor(segments: number): number {
  const bases = new Set<number>();
  return batches.findIndex(({ base }) => bases.add(base).size > segments);
}

const kinds = (objects: MemoryObjects) =>
  objects.names.map((name) => name.slice(0, name.indexOf('-')));

const flush = () => new Promise<void>((resolve) => setImmediate(resolve));

test('what is built of a base, and of what came behind it, is the whole log', async () => {
  const random = new Random(seed + 1);
  let built = 0;
  for (let round = 0; round < 3; round++) {
    const count = countFor(2) + random.below(batches.length - countFor(2));
    const stream = streamOf(count);
    const maker = await Maker.after(batches, count, stream, stream.epoch);
    const objects = new MemoryObjects();
    const made = await maker.make(objects);
    if (made === undefined) continue;
    built++;
    assert.equal(stream.first, made.sequence);
    assert.equal(made.bytes, made.putBytes);
    assert.ok(made.segments < count && made.bytes < objects.bytes);
    stream.carry(Math.min(batches.length, count + random.below(60)));
    const found = await assertBuilds(batches, objects, stream, `after ${count} batches`);
    assert.equal(found?.end, made.end);
    await maker.copy.follower.close();
  }
  assert.ok(built > 1, `${built} bases`);
});

test('a segment that has not changed is put once; what a base needs no more goes', async () => {
  const stream = streamOf(countFor(4));
  const maker = await Maker.after(batches, countFor(4), stream, stream.epoch);
  const objects = new MemoryObjects();
  await maker.make(objects);
  const before = objects.names;
  const to = countFor(7);
  stream.carry(to);
  await maker.follow(batches, countFor(4), to);
  // Left by attempts of this life, an earlier and a later one; and what is of another stream.
  const tag = streamTag({ created: CREATED }, crc32c);
  const leftOf = (epoch: number, of = tag) => segmentObject(of, epoch, 0, 1);
  const left = [leftOf(0), leftOf(1), leftOf(2), leftOf(1, '00000000')];
  for (const name of left) objects.objects.set(name, new Uint8Array(9));
  objects.calls.length = 0;
  const made = (await maker.make(objects))!;
  assert.deepEqual(
    left.filter((name) => objects.objects.delete(name)),
    left.slice(2),
  );
  assert.equal(kinds(objects).filter((kind) => kind === 'segment').length, made.segments);
  assert.equal(kinds(objects).filter((kind) => kind === 'manifest').length, 1);
  assert.equal(kinds(objects).includes('intent'), false);
  const again = objects.calls.filter((call) => before.includes(call.replace('put ', '')));
  assert.deepEqual(
    again.filter((call) => call.startsWith('put')),
    [],
  );
  await assertBuilds(batches, objects, stream, 'after the second base');
  await maker.copy.follower.close();
});

/** The steps of a second base, behind a first one; `upTo`: fails when so many were begun. */
async function secondBase(upTo: number) {
  const stream = streamOf(countFor(3));
  const maker = await Maker.after(batches, countFor(3), stream, stream.epoch);
  const objects = new MemoryObjects();
  const first = (await maker.make(objects))!;
  const to = countFor(6);
  stream.carry(to);
  await maker.follow(batches, countFor(3), to);
  const steps: string[] = [];
  const step = (what: string) => {
    if (steps.length === upTo) throw new Error(`stopped before ${what}`);
    steps.push(what);
  };
  objects.before = step;
  const made = await maker.make(objects, maker.end, step).catch(() => undefined);
  objects.before = () => {};
  return { stream, maker, objects, first, made, steps };
}

test('wherever it stops, a node builds itself, and the next owner puts all in order', async () => {
  const all = await secondBase(Number.POSITIVE_INFINITY);
  assert.ok(all.made !== undefined && all.steps.length > 8);
  await all.maker.copy.follower.close();
  let older = 0;
  let cutOff = 0;
  for (let upTo = 0; upTo < all.steps.length; upTo++) {
    const why = `stopped before ${all.steps[upTo]}`;
    const { stream, maker, objects, first, made } = await secondBase(upTo);
    const cut = objects.pieces.size > 0;
    assert.equal(made, undefined, why);
    const found = await assertBuilds(batches, objects, stream, why);
    if (found?.end === first.end) older++;
    const next = await Maker.after(batches, stream.numbers.length, stream, maker.epoch + 1);
    const again = (await next.make(objects))!;
    assert.equal(stream.first, again.sequence, why);
    assert.equal(objects.names.length, again.segments + 1, why);
    assert.deepEqual([...objects.pieces.keys()], [], why);
    cutOff += cut ? 1 : 0;
    await assertBuilds(batches, objects, stream, `${why}, then put in order`);
    await Promise.all([maker, next].map(({ copy }) => copy.follower.close()));
  }
  assert.ok(older > 3 && older < all.steps.length, `${older} built of the older base`);
  assert.ok(cutOff > 3, `${cutOff} stopped in the middle of a put`);
});

test('an owner that was replaced between two steps, and goes on, does no harm', async () => {
  const { steps, maker: done } = await secondBase(Number.POSITIVE_INFINITY);
  await done.copy.follower.close();
  let refused = 0;
  for (let at = 0; at < steps.length; at++) {
    const why = `held before ${steps[at]}`;
    const { stream, maker, objects } = await secondBase(0);
    let letGo = () => {};
    let begun = 0;
    const hold = async () => {
      if (begun++ === at) await new Promise<void>((resolve) => (letGo = resolve));
    };
    objects.before = hold;
    const late = maker.make(objects, maker.end, hold).catch(() => 'refused');
    while (begun <= at) await flush();
    objects.before = () => {};
    // Another one has begun; sometimes it does not know where the newest segment begins.
    stream.epoch = maker.epoch + 1;
    const next = await Maker.after(batches, stream.numbers.length, stream, stream.epoch);
    const end = next.ends.at(at % 2 === 0 ? -1 : -2)!;
    const made = await next.make(objects, end).catch(() => undefined);
    letGo();
    if ((await late) === 'refused') refused++;
    const found = await assertBuilds(batches, objects, stream, why);
    if (made !== undefined && at % 2 === 0) assert.equal(found?.end, made.end, why);
    await Promise.all([maker, next].map(({ copy }) => copy.follower.close()));
  }
  assert.ok(refused > 3 && refused < steps.length, `${refused} of ${steps.length} refused`);
});

test('no base ends before that of an earlier owner, if that one may count', async () => {
  const count = countFor(4);
  const stream = streamOf(count);
  const maker = await Maker.after(batches, count, stream, stream.epoch + 1);
  const objects = new MemoryObjects();
  const intentOf = (epoch: number, sequence: number) => {
    const of = { stream: streamTag({ created: CREATED }, crc32c), epoch, number: 1, sequence };
    objects.objects.set(manifestObject({ kind: 'intent', ...of }), new Uint8Array(9));
  };
  const { sequence } = maker.end;
  intentOf(stream.epoch, sequence + 1);
  await assert.rejects(maker.make(objects), /earlier owner's base ends behind message/);
  assert.equal(stream.first, 1);
  objects.objects.clear();
  maker.put.clear();
  intentOf(stream.epoch, sequence);
  const made = await maker.make(objects);
  assert.equal(made?.sequence, stream.first);
  assert.equal(kinds(objects).includes('intent'), false);
  await maker.copy.follower.close();
});

test('nothing more is begun once it is over, and what was pinned is let go', async () => {
  const { stream, maker, objects } = await secondBase(0);
  maker.isOver = true;
  const { calls } = objects;
  calls.length = 0;
  const cut = await maker.cut();
  maker.cut = async () => cut;
  await assert.rejects(maker.make(objects), /owns the log no more/);
  assert.deepEqual(calls, []);
  for (const each of cut.pinned)
    await assert.rejects(each.read(new Uint8Array(8), 0), /is not held any more/);
  await assertBuilds(batches, objects, stream, 'over');
  await maker.copy.follower.close();
});

test('a base without a complete segment is none', async () => {
  const few: readonly Recorded[] = batches.slice(0, 1);
  const stream = new RecordedStream(few);
  stream.carry(1);
  const maker = await Maker.after(few, 1, stream, stream.epoch);
  const objects = new MemoryObjects();
  assert.equal(await maker.make(objects), undefined);
  assert.deepEqual(objects.calls, []);
  await maker.copy.follower.close();
});
