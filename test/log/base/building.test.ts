// What a node builds itself of, and what it refuses: a base that is damaged, not all there, or of
// another log; and how it goes on when a base is replaced while it fetches it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STREAM_BEAT } from '../../../assembly/layout-cluster.ts';
import {
  type BuildingOptions,
  type BuildProgress,
  buildLog,
} from '../../../src/log/base/building.ts';
import { findPlace } from '../../../src/log/base/finding.ts';
import { decodeManifest, encodeManifest, type Manifest } from '../../../src/log/base/manifest.ts';
import type { LogError } from '../../../src/log/files/errors.ts';
import { segmentName } from '../../../src/log/segments/segment.ts';
import type { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { record } from '../following/harness.ts';
import { LOG_ID } from '../harness.ts';
import {
  assertBuilds,
  buildingOf,
  CREATED,
  Maker,
  MemoryObjects,
  message,
  RecordedStream,
} from './harness.ts';

const seed = seedOf('log/base/building.test');
const batches = await record(new Random(seed), 1, 110, true);
const COUNT = batches.length - 5;

async function withBase(count = COUNT) {
  const stream = new RecordedStream(batches);
  stream.carry(count);
  const maker = await Maker.after(batches, count, stream, stream.epoch);
  const objects = new MemoryObjects();
  const made = (await maker.make(objects))!;
  return { stream, maker, objects, made };
}

const nameOf = (objects: MemoryObjects, kind: string) =>
  objects.names.find((name) => name.startsWith(kind))!;

/** Changes what the manifest says. */
function edit(objects: MemoryObjects, change: (manifest: Manifest) => Manifest): void {
  const name = nameOf(objects, 'manifest');
  const manifest = decodeManifest(objects.objects.get(name)!, name);
  objects.objects.set(name, encodeManifest(change(manifest)));
}

async function refuses(options: BuildingOptions, code: string, why: RegExp): Promise<void> {
  await assert.rejects(buildLog(options), (error: LogError) => {
    assert.match(error.message, why);
    assert.equal(error.code, code);
    return true;
  });
}

test('without a base a stream that begins with its first message is read from there', async () => {
  const stream = new RecordedStream(batches);
  stream.carry(30);
  assert.equal(await assertBuilds(batches, undefined, stream, 'no bucket'), undefined);
  assert.equal(await assertBuilds(batches, new MemoryObjects(), stream, 'no base'), undefined);
  assert.equal(await findPlace(buildingOf(undefined, stream)), undefined);
});

test('a stream that was trimmed is read from where it begins, base or not', async () => {
  const { stream, objects, made } = await withBase(COUNT - 40);
  const trimmed = new RecordedStream(batches);
  trimmed.carry(COUNT);
  const { position, sequence } = trimmed.places.at(-1)!;
  trimmed.purge(sequence);
  for (const there of [undefined, new MemoryObjects()]) {
    const options = buildingOf(there, trimmed);
    const found = await buildLog(options);
    assert.equal(found?.end, position);
    assert.equal(found?.logId, LOG_ID);
    assert.deepEqual(found?.place, {
      sequence: sequence - 1,
      epoch: 1,
      end: position,
      serial: undefined,
    });
    assert.deepEqual((options.into as MemoryFiles).names(), [segmentName(position - 4096)]);
  }
  stream.carry(batches.length);
  stream.purge(stream.places.at(-1)!.sequence);
  assert.ok(stream.first > made.sequence);
  const options = buildingOf(objects, stream);
  assert.equal((await buildLog(options))?.place.sequence, stream.first - 1);
  assert.equal((options.into as MemoryFiles).names().length, 1, 'nothing of the base');
});

test('a stream that begins in the middle of a segment is none that an owner has trimmed', async () => {
  const { stream, objects, made } = await withBase();
  stream.carry(batches.length);
  const begins = (number: number) => stream.places.some(({ sequence }) => sequence === number);
  stream.purge(stream.numbers.find((number) => number > made.sequence && !begins(number))!);
  for (const there of [undefined, objects])
    await refuses(
      buildingOf(there, stream),
      'damaged',
      /in the middle of a segment.* may be needed/,
    );
});

test('it tells how far it is, and finds the place alone', async () => {
  const { stream, objects, made } = await withBase();
  const told: BuildProgress[] = [];
  const found = await buildLog(
    buildingOf(objects, stream, { progress: (progress) => void told.push({ ...progress }) }),
  );
  assert.deepEqual(told.at(-1), {
    segments: made.segments - 1,
    totalSegments: made.segments,
    bytes: made.bytes,
    totalBytes: made.bytes,
  });
  assert.deepEqual(await findPlace(buildingOf(objects, stream)), found);
});

test('a base that is replaced while it is fetched is left, and what both have is kept', async () => {
  const { stream, maker, objects } = await withBase();
  const second = objects.names.filter((name) => name.startsWith('segment'))[1]!;
  const kept = objects.objects.get(second)!;
  const fetched: string[] = [];
  objects.before = async (call) => {
    if (!call.startsWith('get segment')) return;
    fetched.push(call.slice(4));
    if (fetched.length !== 2) return;
    objects.before = (later) =>
      void (later.startsWith('get segment') && fetched.push(later.slice(4)));
    stream.carry(batches.length);
    await maker.follow(batches, COUNT, batches.length);
    await maker.make(objects);
    // As if this one had been compacted meanwhile.
    const again = `${second.slice(0, -8)}00000000`;
    edit(objects, (manifest) => ({
      ...manifest,
      segments: manifest.segments.map((each) =>
        each.object === second ? { ...each, object: again } : each,
      ),
    }));
    objects.objects.delete(second);
    objects.objects.set(again, kept);
  };
  const found = await assertBuilds(batches, objects, stream, 'replaced');
  assert.equal(found?.place.sequence, stream.first - 1);
  assert.equal(fetched.filter((name) => name === fetched[0]).length, 1, 'fetched again');
  assert.ok(fetched.length > 2);
});

test('a base that is replaced before it is built: of the next one only what is new is fetched', async () => {
  const count = Math.floor(COUNT / 2); // segments behind, so that the next base ends later
  const { stream, maker, objects, made } = await withBase(count);
  const fetched: string[] = [];
  objects.before = (call) => void (call.startsWith('get segment') && fetched.push(call));
  const state = stream.state.bind(stream);
  let looks = 0;
  stream.state = (done) => {
    looks++;
    if (looks !== 2) {
      state(done);
      return;
    }
    assert.equal(fetched.length, made.segments, 'all of it is there');
    stream.carry(batches.length);
    void maker
      .follow(batches, count, batches.length)
      .then(() => maker.make(objects))
      .then(() => state(done));
  };
  const found = await assertBuilds(batches, objects, stream, 'replaced');
  assert.ok(stream.first > made.sequence, 'the stream does not reach back to the first one');
  assert.equal(found?.place.sequence, stream.first - 1);
  assert.equal(new Set(fetched).size, fetched.length, 'nothing is fetched twice');
});

test('a base that is not all there, or not what was put, is refused after some tries', async () => {
  const { stream, objects } = await withBase();
  const name = nameOf(objects, 'segment');
  const bytes = objects.objects.get(name)!;
  const bent = bytes.slice();
  bent[bent.length - 1]! ^= 1;
  const cases: [Uint8Array | undefined, string, RegExp][] = [
    [undefined, 'missing', /is not there/],
    [bent, 'damaged', /another digest/],
    [bytes.subarray(0, bytes.length - 1), 'damaged', /it is shorter/],
    [Buffer.concat([bytes, bytes]), 'damaged', /it is longer/],
  ];
  for (const [now, code, why] of cases) {
    if (now === undefined) objects.objects.delete(name);
    else objects.objects.set(name, now);
    let tries = 0;
    const rest = async () => void tries++;
    await refuses(buildingOf(objects, stream, { rest }), code, why);
    assert.equal(tries, 4);
  }
  objects.objects.set(name, bytes);
  assert.ok(await assertBuilds(batches, objects, stream, 'whole again'));
});

test('what passes is tried again', async () => {
  const { stream, objects } = await withBase();
  let failures = 3;
  objects.before = () => {
    if (failures-- > 0) throw new Error('no answer');
  };
  assert.ok(await assertBuilds(batches, objects, stream, 'no answer'));
  assert.ok(failures < 0);
});

test('a base of another log, stream, layout or release is refused at once', async () => {
  const cases: [(manifest: Manifest) => Manifest, string, RegExp][] = [
    [(manifest) => ({ ...manifest, stream: 'TMQ_else_0' }), 'other', /of stream TMQ_else_0/],
    [(manifest) => ({ ...manifest, segmentBytes: 65536 }), 'other', /segments of 65536 bytes/],
    [(manifest) => ({ ...manifest, logId: 7n }), 'other', /of log 0{15}7, not 1122334455667788/],
  ];
  for (const [change, code, why] of cases) {
    const { stream, objects } = await withBase();
    edit(objects, change);
    const rest = () => assert.fail('tried again');
    await refuses(buildingOf(objects, stream, { rest, logId: LOG_ID }), code, why);
  }
  const { stream, objects } = await withBase();
  const name = nameOf(objects, 'manifest');
  const text = Buffer.from(objects.objects.get(name)!).toString();
  objects.objects.set(name, Buffer.from(text.replace('"format":1', '"format":2')));
  await refuses(buildingOf(objects, stream), 'version', /format 2/);
});

test('a manifest that does not fit its name, its objects or the stream is refused', async () => {
  const [whole, shifted] = [await withBase(), await withBase()];
  const cases: [(manifest: Manifest) => Manifest, RegExp][] = [
    [(manifest) => ({ ...manifest, epoch: manifest.epoch + 1 }), /manifest of another base/],
    [(manifest) => ({ ...manifest, created: 'then' }), /manifest of another base/],
    [(manifest) => ({ ...manifest, end: manifest.end + 8 }), /goes on at log position/],
    [
      (manifest) => ({
        ...manifest,
        segments: manifest.segments.map((each) => ({ ...each, digest: 'x' })),
      }),
      /another digest/,
    ],
    [
      ({ segments, ...manifest }) => ({
        ...manifest,
        segments: segments.map((each, i) => ({ ...each, base: each.base + i + 1 })),
      }),
      /it is another segment/,
    ],
  ];
  const { objects, stream } = whole;
  const name = nameOf(objects, 'manifest');
  const good = objects.objects.get(name)!;
  for (const [change, why] of cases) {
    edit(objects, change);
    await refuses(buildingOf(objects, stream), 'damaged', why);
    objects.objects.set(name, good);
  }
  objects.objects.set(name, Buffer.from('no manifest'));
  await refuses(buildingOf(objects, stream), 'damaged', /says of no base/);
  const { made } = shifted;
  shifted.stream.messages.set(made.sequence, message(STREAM_BEAT, 1, 0, new Uint8Array(2)));
  await refuses(buildingOf(shifted.objects, shifted.stream), 'damaged', /begins no batch/);
  shifted.stream.messages.set(made.sequence, new Uint8Array(60));
  await refuses(buildingOf(shifted.objects, shifted.stream), 'damaged', /cannot be read \(magic\)/);
  shifted.stream.messages.delete(made.sequence);
  await refuses(buildingOf(shifted.objects, shifted.stream), 'missing', /is not there/);
});

test('a base of a stream that was there before under this name is none of it', async () => {
  const { stream, objects } = await withBase();
  const anew = new RecordedStream(batches);
  anew.carry(20);
  anew.created = `${CREATED} later`;
  assert.equal(await assertBuilds(batches, objects, anew, 'another stream'), undefined);
  assert.ok(await assertBuilds(batches, objects, stream, 'the same stream'));
});

test('what a base does not say of its end the log itself tells, where it is all there is', async () => {
  const { stream, objects } = await withBase();
  edit(objects, (manifest) => ({ ...manifest, lastEpoch: 3 }));
  const empty = { ...stream, read: () => assert.fail('asked'), state: stream.state.bind(stream) };
  const found = await buildLog(buildingOf(objects, empty as unknown as RecordedStream));
  assert.equal(found?.place.epoch, 3);
});
