// When an owner makes a base by itself, what it says of it, and that it ends with its owner.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../../src/codec/crc32c.ts';
import type { Failure } from '../../../src/core/ports/basics.ts';
import { BaseKeeper, type BaseKeeperOptions } from '../../../src/log/base/base-keeper.ts';
import { Random, seedOf } from '../../support/random.ts';
import { record } from '../following/harness.ts';
import { LOG_ID, SEGMENT_BYTES } from '../harness.ts';
import { assertBuilds, CREATED, Maker, MemoryObjects, RecordedStream, STREAM } from './harness.ts';

const seed = seedOf('log/base/base-keeper.test');
const batches = await record(new Random(seed), 1, 110, true);
const COUNT = batches.length - 5;

interface Rig {
  maker: Maker;
  stream: RecordedStream;
  objects: MemoryObjects;
  keeper: BaseKeeper;
  room: { bytes: number; blockedFrom: number };
  notes: string[];
  opened: boolean[];
}

async function rig(changed: Partial<BaseKeeperOptions> = {}): Promise<Rig> {
  const stream = new RecordedStream(batches);
  stream.carry(COUNT);
  const maker = await Maker.after(batches, COUNT, stream, stream.epoch);
  const objects = new MemoryObjects();
  const room = { bytes: 0, blockedFrom: 1e9 };
  const notes: string[] = [];
  const opened: boolean[] = [];
  const { log } = maker.copy.follower;
  const keeper = new BaseKeeper({
    log: {
      pin: (done) =>
        log.pin((failure, cut) =>
          done(failure, cut && { ...cut, piece: () => 4096, turn: async () => {} }),
        ),
      bases: () => log.bases(),
      fileBytes: (base) => log.fileBytes(base),
      get syncedPosition() {
        return log.syncedPosition;
      },
    },
    ownership: {
      segments: stream.places,
      base: (json: Uint8Array, done: (failure: Failure) => void) => {
        const counts = stream.tell(maker.epoch, json);
        setImmediate(() => done(counts ? undefined : new Error('another owns the log')));
      },
      trimmed: (position: number, done?: (failure: Failure) => void) => {
        stream.purge(stream.places.find((each) => each.position === position)!.sequence);
        setImmediate(() => done?.(undefined));
      },
    },
    room,
    objects: async (make) => {
      opened.push(make);
      return make || objects.objects.size > 0 ? objects : undefined;
    },
    epoch: maker.epoch,
    crc32c,
    stream: STREAM,
    created: CREATED,
    logId: LOG_ID,
    segmentBytes: SEGMENT_BYTES,
    slackBytes: 1000,
    restMs: 60_000,
    note: (level, text) => void notes.push(`${level}: ${text}`),
    ...changed,
  });
  return { maker, stream, objects, keeper, room, notes, opened };
}

/** Time passes, and what is begun ends. */
async function advance({ keeper }: Rig, toMs: number): Promise<void> {
  keeper.advance(toMs);
  for (let i = 0; i < 400; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('a base is made when the stream is much larger than the log, and not again for a while', async () => {
  const made = await rig();
  const { stream, objects, keeper, room, notes, opened, maker } = made;
  await advance(made, 0);
  room.bytes = 1000;
  await advance(made, 2000);
  assert.deepEqual([opened, notes, objects.calls], [[false], [], []]);
  room.bytes = 1e7;
  await advance(made, 4000);
  assert.equal(notes.length, 1);
  assert.match(notes[0]!, /^info: a base of the log was made: \d+ segments, /);
  assert.equal(stream.first, keeper.last?.sequence);
  assert.deepEqual(opened, [false, true]);
  await assertBuilds(batches, objects, stream, 'made by itself');
  await advance(made, 30_000);
  assert.equal(notes.length, 1);
  await advance(made, 64_001);
  assert.equal(notes.length, 2, 'the stream is as large as before');
  await maker.copy.follower.close();
});

test('what fails is said and tried again later', async () => {
  const made = await rig();
  const { objects, room, notes, maker, stream } = made;
  await advance(made, 0);
  room.bytes = 1e7;
  objects.before = () => {
    throw new Error('no room');
  };
  await advance(made, 2000);
  assert.deepEqual(notes, ['warn: no base of the log was made: no room; trying again later']);
  objects.before = () => {};
  await advance(made, 62_001);
  assert.equal(notes.length, 2);
  await assertBuilds(batches, objects, stream, 'in the end');
  await maker.copy.follower.close();
});

test('the next one may begin after as long a time as the last one took', async () => {
  const made = await rig({ restMs: undefined });
  const { objects, room, notes, maker } = made;
  await advance(made, 0);
  room.bytes = 1e7;
  let letGo = () => {};
  objects.before = () => new Promise<void>((resolve) => (letGo = resolve));
  await advance(made, 2000);
  await advance(made, 7000);
  objects.before = () => {};
  letGo();
  await advance(made, 7050);
  assert.equal(notes.length, 1);
  await advance(made, 12_099);
  assert.equal(notes.length, 1);
  await advance(made, 12_101);
  assert.equal(notes.length, 2, 'the stream is as large as before');
  await maker.copy.follower.close();
});

test('one that failed is tried again after ten seconds', async () => {
  const made = await rig({ restMs: undefined });
  const { objects, room, notes, maker } = made;
  await advance(made, 0);
  room.bytes = 1e7;
  objects.before = () => {
    throw new Error('no room');
  };
  await advance(made, 2000);
  await advance(made, 11_999);
  assert.equal(notes.length, 1);
  await advance(made, 12_001);
  assert.equal(notes.length, 2);
  await maker.copy.follower.close();
});

test('remains of earlier lives are a reason, too, once they are known', async () => {
  const made = await rig();
  const { objects, notes, maker } = made;
  objects.objects.set('segment-of-somebody', new Uint8Array(1e7));
  let fails = true;
  objects.before = () => {
    if (fails) throw new Error('no answer');
  };
  await advance(made, 0);
  await advance(made, 2000);
  assert.deepEqual(notes, []);
  fails = false;
  await advance(made, 4000);
  await advance(made, 6000);
  assert.equal(notes.length, 1);
  await maker.copy.follower.close();
});

test('it ends with its owner: what is under way stops, and says nothing', async () => {
  const made = await rig();
  const { objects, room, keeper, notes, maker, stream } = made;
  await advance(made, 0);
  room.bytes = 1e7;
  let letGo = () => {};
  objects.before = () => new Promise<void>((resolve) => (letGo = resolve));
  await advance(made, 2000);
  assert.equal(objects.calls.length, 1);
  const ended = keeper.end();
  letGo();
  await ended;
  assert.equal(objects.calls.length, 1);
  assert.deepEqual(notes, []);
  await advance(made, 100_000);
  assert.equal(objects.calls.length, 1);
  assert.equal(stream.first, 1);
  await maker.copy.follower.close();
});

test('without a place of a segment in the stream there is no base', async () => {
  const made = await rig({
    ownership: { segments: [], base: assert.fail, trimmed: assert.fail },
  });
  await advance(made, 0);
  made.room.bytes = 1e7;
  await advance(made, 2000);
  assert.deepEqual([made.notes, made.objects.calls], [[], []]);
  await made.maker.copy.follower.close();
});
