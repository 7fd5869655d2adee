// Segment files over time: complete before they are used, given back without harm to readers, and
// never in doubt after a crash.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEGMENT_DATA_AT, SEGMENT_VERSION_PLACED } from '../../../assembly/layout.ts';
import { adopt } from '../../../src/log/recovery/folder.ts';
import { takeInventory } from '../../../src/log/recovery/recovery.ts';
import { decodeHeader, encodeHeader, segmentName } from '../../../src/log/segments/segment.ts';
import { type Segment, Segments } from '../../../src/log/segments/segments.ts';
import { Spares } from '../../../src/log/segments/spares.ts';
import { anyFate, loseAll, MemoryFiles } from '../../support/memory-files.ts';
import { paceOf } from '../../support/pace.ts';
import { Random, seedOf } from '../../support/random.ts';
import { indexOf, LOG_ID, logOptions, SEGMENT_BYTES, TIME_MS } from '../harness.ts';

const random = new Random(seedOf('log/segments/segments.test'));
const NAMES = [0, 1, 2, 3, 4, 5].map((n) => segmentName(n * SEGMENT_BYTES));

const isLog = (name: string): boolean => name.endsWith('.log');

interface Setup {
  files: MemoryFiles;
  segments: Segments;
  changes: number;
  nowMs: number;
  troubles: string[];
}

const MIB = 1024 * 1024;

/** Segments 0 … count - 1 in a directory; later ones are made `next` bytes large. */
async function setUp(
  count = 1,
  bytes = SEGMENT_BYTES,
  next = SEGMENT_BYTES,
  spareBytes = 0,
): Promise<Setup> {
  const files = new MemoryFiles();
  const list: Segment[] = [];
  for (let n = 0; n < count; n++) {
    const base = n * bytes;
    const image = new Uint8Array(bytes).fill(0xee);
    image.set(encodeHeader({ base, bytes, start: 0, logId: LOG_ID, timeMs: TIME_MS, epoch: 1 }));
    files.put(segmentName(base), image);
    const handle = await new Promise<number>((resolve) =>
      files.open(segmentName(base), false, (_failure, opened) => resolve(opened)),
    );
    list.push({ base, bytes, end: base + bytes, handle, identity: n, reads: 0, retired: false });
  }
  const setup = { files, changes: 0, nowMs: 0, troubles: [] as string[] } as unknown as Setup;
  setup.segments = new Segments(
    {
      files,
      zeros: new Uint8Array(4096),
      pace: paceOf(setImmediate),
      segmentBytes: next,
      spareBytes,
      logId: LOG_ID,
      epoch: () => 4,
      now: () => setup.nowMs,
      wallMs: () => TIME_MS,
      changed: () => void setup.changes++,
      trouble: (text) => void setup.troubles.push(text),
    },
    list,
    undefined,
  );
  return setup;
}

async function prepared(setup: Setup): Promise<void> {
  setup.segments.prepare();
  await setup.files.settle();
}

test('the next segment is made whole, and survives a power cut as soon as it is offered', async () => {
  const setup = await setUp();
  const { files, segments } = setup;
  files.auto = false;
  segments.prepare();
  let offered = false;
  while (!offered) {
    assert.ok(files.step(), 'nothing happens and nothing is offered');
    offered = segments.next !== undefined;
  }
  assert.equal(setup.changes, 1);
  const after = files.crash(loseAll);
  assert.deepEqual(after.names(), NAMES.slice(0, 2));
  const image = after.image(NAMES[1]!);
  assert.deepEqual(decodeHeader(image, 'next'), {
    base: SEGMENT_BYTES,
    bytes: SEGMENT_BYTES,
    start: 0,
    logId: LOG_ID,
    timeMs: TIME_MS,
    epoch: 4,
  });
  assert.ok(image.subarray(SEGMENT_DATA_AT).every((byte) => byte === 0));
});

test('a crash at any operation of making one leaves a directory that is taken', async () => {
  for (let steps = 0; ; steps++) {
    const { files, segments } = await setUp();
    files.auto = false;
    segments.prepare();
    for (let i = 0; i < steps; i++) files.step();
    const whole = segments.next !== undefined;
    const after = files.crash(anyFate(random), random);
    const { segments: found } = await takeInventory(after);
    if (whole) assert.equal(found.length, 2);
    else assert.ok(found.length <= 2);
    if (whole) break;
  }
});

test('positions that a compacted segment stands for, but does not hold, are found nowhere', async () => {
  const { segments } = await setUp(3);
  segments.list[0]!.bytes = 8192;
  assert.equal(segments.find(8191), segments.list[0]);
  assert.equal(segments.find(8192), undefined);
  assert.equal(segments.find(SEGMENT_BYTES - 1), undefined);
  assert.equal(segments.find(SEGMENT_BYTES), segments.list[1]);
});

/** Version in the header of the next segment, on disk at worst; undefined: there is none. */
function nextVersion({ files }: Setup, name = NAMES[1]!): number | undefined {
  const after = files.fork().crash(loseAll);
  if (!after.names().includes(name)) return undefined;
  return decodeHeader(after.image(name).slice(), name).version;
}

test('a next segment is raised on disk before it is offered again, and so are those behind it', async () => {
  const setup = await setUp();
  const { files, segments } = setup;
  await prepared(setup);
  const { identity } = segments.next!;
  files.auto = false;
  assert.equal(segments.raise(), false);
  assert.equal(segments.raise(), false, 'asked again meanwhile');
  while (segments.next === undefined) assert.ok(files.step(), 'it is never offered again');
  assert.equal(nextVersion(setup), SEGMENT_VERSION_PLACED);
  assert.notEqual(segments.next.identity, identity);
  assert.equal(segments.raise(), true);
  files.auto = true;
  segments.roll();
  assert.equal(segments.raise(), false, 'the one behind it is not there yet');
  await files.settle();
  assert.equal(segments.raise(), true);
  assert.equal(nextVersion(setup, NAMES[2]), SEGMENT_VERSION_PLACED);
});

test('one that is being made when it is asked for is offered when it is raised', async () => {
  for (let steps = 0; steps < 12; steps++) {
    const setup = await setUp();
    const { files, segments } = setup;
    files.auto = false;
    segments.prepare();
    for (let i = 0; i < steps; i++) files.step();
    segments.raise();
    while (!segments.raise()) assert.ok(files.step(), `after ${steps} steps it is never offered`);
    assert.equal(nextVersion(setup), SEGMENT_VERSION_PLACED, `after ${steps} steps`);
  }
});

test('one whose header could not be raised goes, and another one is made', async () => {
  for (const op of ['write', 'sync'] as const) {
    const setup = await setUp();
    const { files, segments } = setup;
    await prepared(setup);
    files.fail({ op, nth: 1, code: 'EIO' });
    segments.raise();
    await files.settle();
    assert.equal(segments.next, undefined);
    assert.match(segments.blocked!, /EIO/);
    segments.retry();
    await files.settle();
    assert.equal(segments.raise(), true);
    assert.equal(nextVersion(setup), SEGMENT_VERSION_PLACED);
  }
});

test('closing waits for a header that is being raised', async () => {
  const setup = await setUp();
  const { files, segments } = setup;
  await prepared(setup);
  files.auto = false;
  segments.raise();
  let closed = false;
  segments.close(() => {
    closed = true;
  });
  while (!closed) assert.ok(files.step(), 'it never closes');
  assert.equal(files.openHandles, 0);
});

test('prepare asks once, roll goes on and prepares again', async () => {
  const setup = await setUp();
  const { files, segments } = setup;
  segments.prepare();
  segments.prepare();
  await files.settle();
  assert.equal(files.count('rename'), 1);
  assert.equal(segments.find(SEGMENT_BYTES), undefined, 'it is not part of the log yet');
  segments.roll();
  assert.equal(segments.open.base, SEGMENT_BYTES);
  await files.settle();
  assert.equal(segments.next?.base, 2 * SEGMENT_BYTES);
  assert.equal(segments.diskBytes, 3 * SEGMENT_BYTES);
});

test('find: the segment of every position, and none outside', async () => {
  const { segments } = await setUp(4);
  for (const position of [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, 3 * SEGMENT_BYTES + 5])
    assert.equal(
      segments.find(position)?.base,
      Math.floor(position / SEGMENT_BYTES) * SEGMENT_BYTES,
    );
  assert.equal(segments.find(4 * SEGMENT_BYTES), undefined);
  segments.trim(2 * SEGMENT_BYTES);
  assert.equal(segments.find(2 * SEGMENT_BYTES - 1), undefined);
});

test('trim gives back what ends before the position, never the open one', async () => {
  const { files, segments, troubles } = await setUp(8);
  const places = () => segments.list.map(({ base }) => base / SEGMENT_BYTES);
  segments.trim(2 * SEGMENT_BYTES - 1);
  await files.settle();
  assert.deepEqual(places(), [1, 2, 3, 4, 5, 6, 7]);
  segments.trim(100 * SEGMENT_BYTES);
  await files.settle();
  assert.deepEqual(places(), [7]);
  // Four are kept to be used again, the others are removed, also when all come at once.
  const spares = [0, 1, 2, 3].map((n) => `spare-${n * SEGMENT_BYTES}.tmp`);
  assert.deepEqual(files.names(), [segmentName(7 * SEGMENT_BYTES), ...spares]);
  assert.deepEqual(troubles, []);
  assert.equal(segments.diskBytes, 5 * SEGMENT_BYTES);
});

test('a used file becomes the next segment without being filled again', async () => {
  const setup = await setUp(3);
  const { files, segments } = setup;
  segments.trim(2 * SEGMENT_BYTES);
  await files.settle();
  const writes = files.count('write');
  await prepared(setup);
  assert.equal(files.count('write'), writes + 1);
  assert.deepEqual(files.names(), [...NAMES.slice(2, 4), 'spare-0.tmp']);
  const after = files.crash(loseAll);
  const header = decodeHeader(after.image(NAMES[3]!), 'next');
  assert.deepEqual([header.base, header.start], [3 * SEGMENT_BYTES, 2 * SEGMENT_BYTES]);
});

test('no crash while a file is given back and used again leaves a name with a foreign header', async () => {
  for (let round = 0; round < 300; round++) {
    const setup = await setUp(3);
    const { files, segments } = setup;
    files.auto = false;
    segments.trim(SEGMENT_BYTES * (1 + random.below(2)));
    for (let i = random.below(4); i > 0; i--) files.step(random.below(files.pending.length || 1));
    segments.prepare();
    for (let i = random.below(12); i > 0; i--) files.step(random.below(files.pending.length || 1));
    await takeInventory(files.crash(anyFate(random), random));
  }
});

test('a segment that is being read is given back when the last read ends', async () => {
  const { files, segments } = await setUp(3);
  const [first, second] = segments.list as [Segment, Segment];
  first.reads = 2;
  segments.trim(2 * SEGMENT_BYTES);
  await files.settle();
  assert.ok(files.names().includes(NAMES[0]!), 'renamed under a read');
  assert.ok(!files.names().includes(NAMES[1]!));
  assert.equal(second.reads, 0);
  segments.readDone(first);
  await files.settle();
  assert.ok(files.names().includes(NAMES[0]!));
  segments.readDone(first);
  await files.settle();
  assert.ok(!files.names().includes(NAMES[0]!));
});

test('no space: said, nothing half-made stays, and a retry makes it', async () => {
  for (const [what, arm] of [
    [
      'free',
      (files: MemoryFiles) => {
        files.capacity = SEGMENT_BYTES * 2.2;
        return undefined;
      },
    ],
    ['write', (files: MemoryFiles) => files.fail({ op: 'write', nth: 1, code: 'ENOSPC' })],
    ['open', (files: MemoryFiles) => files.fail({ op: 'open', nth: 1, code: 'EMFILE' })],
  ] as const) {
    const setup = await setUp();
    const fault = arm(setup.files);
    await prepared(setup);
    assert.equal(setup.segments.blocked, 'no space left on the disk', what);
    assert.ok(!setup.segments.next);
    assert.equal(setup.changes, 1);
    assert.deepEqual(setup.files.names(), [NAMES[0]], what);
    if (fault !== undefined) assert.equal(fault.fired, 1);
    setup.files.capacity = Number.POSITIVE_INFINITY;
    const { segments } = setup;
    segments.retry();
    await setup.files.settle();
    assert.equal(segments.blocked, undefined, what);
    assert.equal(segments.next?.base, SEGMENT_BYTES);
  }
});

test('a failure at any step of making one is said with its reason and can be tried again', async () => {
  for (const op of ['sync', 'rename', 'syncDirectory', 'write', 'open', 'free'] as const) {
    for (let nth = 1; ; nth++) {
      const setup = await setUp();
      const fault = setup.files.fail({ op, nth, code: 'EIO' });
      await prepared(setup);
      if (fault.fired === 0) {
        assert.ok(nth > 1, op);
        break;
      }
      if (op === 'free') assert.equal(setup.segments.blocked, undefined);
      else assert.match(setup.segments.blocked ?? '', /EIO/, `${op} ${nth}`);
      setup.segments.retry();
      await setup.files.settle();
      assert.equal(setup.segments.next?.base, SEGMENT_BYTES, `${op} ${nth}`);
      assert.deepEqual(setup.files.names().filter(isLog), NAMES.slice(0, 2));
    }
  }
});

test('a file that could not be made a segment, nor removed, is not in the way of the next', async () => {
  const setup = await setUp();
  const { files, segments } = setup;
  const rename = files.fail({ op: 'rename', nth: 1, code: 'EIO' });
  // The first removal is of what an earlier attempt left, which is nothing.
  const remove = files.fail({ op: 'remove', nth: 2, code: 'EIO' });
  await prepared(setup);
  assert.equal(rename.fired + remove.fired, 2);
  assert.ok(files.names().includes('next.tmp'));
  segments.retry();
  await files.settle();
  assert.equal(segments.blocked, undefined);
  assert.equal(segments.next?.base, SEGMENT_BYTES);
  assert.ok(!files.names().includes('next.tmp'));
});

test('of what is given back the first file is the reserve, the next one a segment, at once', async () => {
  const setup = await setUp(3);
  const { files, segments } = setup;
  files.capacity = 3 * SEGMENT_BYTES;
  await prepared(setup);
  assert.ok(segments.blocked !== undefined);
  segments.trim(SEGMENT_BYTES);
  await files.settle();
  assert.ok(segments.blocked !== undefined, 'the reserve became a segment');
  assert.deepEqual([segments.spares, segments.next], [1, undefined]);
  segments.trim(2 * SEGMENT_BYTES);
  await files.settle();
  assert.deepEqual([segments.spares, segments.next?.base], [1, 3 * SEGMENT_BYTES]);
});

test('messages may go on to the next segment only while one more can be had', async () => {
  const setup = await setUp(1);
  const { files, segments } = setup;
  files.capacity = 4.3 * SEGMENT_BYTES;
  await prepared(setup);
  // Next and reserve are made, and there is room for one more.
  segments.retry();
  await files.settle();
  assert.deepEqual([segments.spares, segments.roomy, segments.blocked], [1, true, undefined]);
  // Somebody else uses the disk.
  files.put('other', new Uint8Array(SEGMENT_BYTES));
  const { changes } = setup;
  segments.retry();
  await files.settle();
  assert.deepEqual([segments.next?.base, segments.roomy], [SEGMENT_BYTES, false]);
  assert.match(segments.blocked ?? '', /no space/);
  assert.equal(setup.changes, changes + 1, 'nobody was told');
  // The next one is there all the same, for acks; behind it there is none, and the reserve stays.
  segments.roll();
  await files.settle();
  assert.deepEqual([segments.spares, segments.next], [1, undefined]);
  files.take('other');
  files.capacity = 5.3 * SEGMENT_BYTES;
  segments.retry();
  await files.settle();
  assert.deepEqual([segments.spares, segments.roomy, segments.blocked], [1, true, undefined]);
});

test('no further segment takes the room for a reserve that is not made yet', async () => {
  const setup = await setUp(1);
  const { files, segments } = setup;
  files.capacity = 2.9 * SEGMENT_BYTES;
  await prepared(setup);
  assert.deepEqual([segments.spares, segments.next], [0, undefined]);
  segments.retry();
  await files.settle();
  assert.equal(segments.spares, 1);
  files.capacity += SEGMENT_BYTES;
  segments.retry();
  await files.settle();
  assert.deepEqual([segments.spares, segments.next?.base], [1, SEGMENT_BYTES]);
});

test('the last spare is lent to compaction, comes back, or is replaced by what that frees', async () => {
  const setup = await setUp(4);
  const { files, segments } = setup;
  files.capacity = 5.5 * SEGMENT_BYTES;
  await prepared(setup);
  segments.retry();
  await files.settle();
  assert.deepEqual([segments.spares, segments.next], [1, undefined]);
  const lent = segments.lend()!;
  assert.equal(segments.spares, 0);
  assert.equal(segments.diskBytes, 5 * SEGMENT_BYTES);
  segments.returned(false);
  await files.settle();
  assert.equal(segments.spares, 1);
  assert.equal(segments.lend()?.name, lent.name);
  segments.returned(true);
  files.take(lent.name);
  let gone = 0;
  const [replaced] = segments.replace({ ...segments.list[1]!, handle: lent.handle });
  segments.retire(replaced!, false, () => gone++);
  await files.settle();
  assert.deepEqual([segments.spares, gone], [1, 1]);
});

test('while one is lent the reserve is on its way back: a last spare may become a segment', async () => {
  const setup = await setUp(4);
  const { files, segments } = setup;
  await prepared(setup);
  segments.trim(2 * SEGMENT_BYTES);
  await files.settle();
  assert.equal(segments.spares, 2);
  assert.ok(segments.lend() !== undefined);
  segments.roll();
  await files.settle();
  assert.deepEqual([segments.spares, segments.next?.base], [0, 5 * SEGMENT_BYTES]);
  segments.returned(false);
  await files.settle();
  assert.equal(segments.spares, 1, 'the one that came back is the reserve');
  // None is left to be lent, so the last one is no segment's.
  const opened = files.count('open');
  segments.roll();
  await files.settle();
  assert.deepEqual([segments.spares, files.count('open')], [1, opened + 1]);
});

test('what an index lacks is given up, the reserve last, and nothing else takes its room', async () => {
  const setup = await setUp(3);
  const { files, segments } = setup;
  segments.trim(2 * SEGMENT_BYTES);
  await files.settle();
  files.capacity = files.usedBytes;
  segments.giveUp();
  await files.settle();
  assert.equal(segments.spares, 1);
  segments.giveUp();
  segments.giveUp();
  await files.settle();
  assert.equal(segments.spares, 0);
  assert.equal(files.openHandles, 1);
  await prepared(setup);
  assert.equal(segments.next, undefined);
  segments.retry();
  await files.settle();
  assert.deepEqual([segments.spares, segments.next], [1, undefined], 'there is no reserve again');
});

test('a segment that cannot be given back is reported', async () => {
  for (const op of ['rename', 'syncDirectory'] as const) {
    const { files, segments, troubles } = await setUp(2);
    const fault = files.fail({ op, nth: 1, code: 'EIO' });
    segments.trim(SEGMENT_BYTES);
    await files.settle();
    assert.equal(fault.fired, 1);
    assert.equal(troubles.length, 1, op);
    assert.match(troubles[0]!, new RegExp(NAMES[0]!));
    assert.equal(files.openHandles, 1);
  }
  const odd = await setUp(2, 2 * SEGMENT_BYTES);
  odd.files.fail({ op: 'remove', nth: 1, code: 'EIO' });
  odd.segments.trim(2 * SEGMENT_BYTES);
  await odd.files.settle();
  assert.equal(odd.troubles.length, 1);
});

test('close closes everything, also what is on its way, and keeps one spare at most', async () => {
  // As many orders as it takes for what is asked last to be told last, too.
  for (let order = 0; order < 300; order++) {
    const steps = order % 6;
    const setup = await setUp(4);
    const { files, segments } = setup;
    await prepared(setup);
    files.auto = false;
    segments.trim(2 * SEGMENT_BYTES);
    for (let i = 0; i < steps; i++) files.step();
    let closed = 0;
    segments.close(() => {
      closed++;
      assert.deepEqual([files.openHandles, files.pending.length], [0, 0], `after ${steps} steps`);
    });
    await files.settle(random);
    assert.equal(closed, 1);
    assert.deepEqual(files.names().filter(isLog), NAMES.slice(2, 5));
    assert.ok(files.names().length <= 4, 'more than the reserve was kept');
  }
});

test('a stock of files is made when nothing else goes on, used first, and filled again', async () => {
  const setup = await setUp(1, SEGMENT_BYTES, SEGMENT_BYTES, 3 * SEGMENT_BYTES);
  const { files, segments } = setup;
  await prepared(setup);
  assert.equal(segments.spares, 0);
  segments.retry();
  await files.settle();
  assert.equal(segments.spares, 4);
  const created = files.count('open');
  for (let n = 1; n <= 3; n++) {
    segments.roll();
    await files.settle();
    assert.equal(segments.next?.base, (n + 1) * SEGMENT_BYTES);
  }
  assert.equal(segments.spares, 1, 'the reserve is not for segments');
  assert.equal(files.count('open'), created, 'a file was made although some were ready');
  segments.retry();
  await files.settle();
  assert.equal(segments.spares, 1, 'the stock was filled while segments are full in no time');
  setup.nowMs += 10_000;
  segments.retry();
  await files.settle();
  assert.equal(segments.spares, 4);
  assert.deepEqual(setup.troubles, []);
});

test('close waits for the stock being made, and keeps it', async () => {
  for (let steps = 0; steps < 12; steps++) {
    const setup = await setUp(1, SEGMENT_BYTES, SEGMENT_BYTES, 2 * SEGMENT_BYTES);
    const { files, segments } = setup;
    await prepared(setup);
    files.auto = false;
    segments.retry();
    for (let i = 0; i < steps; i++) files.step();
    let closed = 0;
    segments.close(() => closed++);
    await files.settle();
    assert.equal(closed, 1);
    assert.equal(files.openHandles, 0, `after ${steps} operations`);
    assert.equal(files.names().filter((name) => name.startsWith('spare-')).length, segments.spares);
  }
});

test('a file made ready never takes the name of one that is just becoming a segment', async () => {
  const files = new MemoryFiles();
  const list = [];
  for (const name of ['spare-0.tmp', 'spare-1.tmp', 'spare-3.tmp']) {
    files.put(name, new Uint8Array(SEGMENT_BYTES));
    const handle = await new Promise<number>((resolve) =>
      files.open(name, false, (_failure, opened) => resolve(opened)),
    );
    list.push({ name, handle, bytes: SEGMENT_BYTES });
  }
  const troubles: string[] = [];
  const trouble = (text: string, failure: Error) =>
    void troubles.push(`${text}: ${failure.message}`);
  const zeros = new Uint8Array(4096);
  const spareBytes = 2 * SEGMENT_BYTES;
  const pace = paceOf(setImmediate);
  const options = { files, zeros, pace, segmentBytes: SEGMENT_BYTES, spareBytes, trouble };
  const spares = new Spares(options, list);
  // It still has its name, as the rename is yet to come.
  assert.equal(spares.take()?.name, 'spare-3.tmp');
  assert.ok(spares.stockUp(() => {}));
  await files.settle();
  assert.deepEqual([troubles, spares.count], [[], 3]);
  const names = ['spare-0.tmp', 'spare-1.tmp', 'spare-3.tmp', 'spare-5.tmp'];
  assert.deepEqual(files.names(), names, 'the one that is taken was replaced');
});

test('zeros are written in pieces that suit who waits for the disk', async () => {
  const pieces = async (latencySensitive: boolean, largeWrites: boolean): Promise<number> => {
    const pace = paceOf(setImmediate, { latencySensitive, largeWrites, lightTraffic: false });
    const files = new MemoryFiles();
    const zeros = new Uint8Array(MIB);
    const options = { files, zeros, pace, segmentBytes: 2 * MIB, spareBytes: 0, trouble: () => {} };
    let made = false;
    new Spares(options, []).make('next.tmp', (failure) => {
      assert.equal(failure, undefined);
      made = true;
    });
    await files.settle();
    assert.ok(made);
    return files.count('write');
  };
  assert.equal(await pieces(false, false), 2);
  assert.equal(await pieces(false, true), 2);
  assert.equal(await pieces(true, false), 8);
  assert.equal(await pieces(true, true), 32);
});

test('a file whose sync failed and that stayed is no spare for the next start', async () => {
  const setup = await setUp(1, SEGMENT_BYTES, SEGMENT_BYTES, 2 * SEGMENT_BYTES);
  const { files, segments } = setup;
  await prepared(setup);
  const made = { name: /-\d+\.tmp$/ };
  const faults = (['sync', 'remove'] as const).map((op) =>
    files.fail({ op, nth: 1, code: 'EIO', ...made }),
  );
  for (let tries = 0; tries < 3; tries++) {
    segments.retry();
    await files.settle();
  }
  assert.deepEqual([faults.map(({ fired }) => fired), segments.spares], [[1, 1], 3]);
  assert.equal(setup.troubles.length, 1, setup.troubles.join());
  const after = files.kill();
  const { leftovers } = await takeInventory(after);
  const options = logOptions(after, indexOf(after), {}, [], []);
  const spares = await adopt({ ...options, spareBytes: 9 * SEGMENT_BYTES }, leftovers);
  assert.equal(spares.length, 3);
  for (const { name } of spares) assert.equal(after.durable(name)?.length, SEGMENT_BYTES, name);
});

test('a disk that does not say what is free is tried, also behind the next segment', async () => {
  const setup = await setUp();
  const { files, segments } = setup;
  files.capacity = SEGMENT_BYTES * 3.3;
  await prepared(setup);
  assert.deepEqual([segments.next?.base, segments.roomy], [SEGMENT_BYTES, false]);
  assert.equal(segments.blocked, 'no space left on the disk');
  const fault = files.fail({ op: 'free', nth: 1, code: 'EIO' });
  const { changes } = setup;
  segments.prepare();
  await files.settle();
  assert.equal(fault.fired, 1);
  assert.deepEqual(
    [segments.roomy, segments.blocked, setup.changes],
    [true, undefined, changes + 1],
  );
});

test('a replaced segment that is being read keeps its file until the last read ends', async () => {
  const setup = await setUp(3);
  const { files, segments } = setup;
  const held = segments.hold(SEGMENT_BYTES);
  let gone = 0;
  const [replaced] = segments.replace({ ...segments.list[1]!, handle: segments.list[0]!.handle });
  segments.retire(replaced!, false, () => gone++);
  await files.settle();
  assert.deepEqual([gone, files.openHandles, files.count('rename')], [0, 3, 0]);
  segments.readDone(held);
  await files.settle();
  assert.deepEqual([gone, segments.spares], [1, 1]);
});

test('closed while files are read, given back ones too, or one is given up: that ends first', async () => {
  const setup = await setUp(4);
  const { files, segments } = setup;
  await prepared(setup);
  const held = [1, 2].map((n) => segments.hold(n * SEGMENT_BYTES));
  segments.trim(2 * SEGMENT_BYTES);
  await files.settle();
  assert.equal(segments.spares, 1);
  files.auto = false;
  segments.giveUp();
  let closed = 0;
  segments.close(() => {
    closed++;
    assert.deepEqual([files.openHandles, files.pending.length], [0, 0]);
  });
  for (const segment of held) {
    await files.settle();
    assert.equal(closed, 0);
    segments.readDone(segment);
  }
  await files.settle();
  assert.equal(closed, 1);
});

test('closed while a file is given up: it is gone first', async () => {
  const setup = await setUp(2);
  const { files, segments } = setup;
  await prepared(setup);
  segments.trim(SEGMENT_BYTES);
  await files.settle();
  files.auto = false;
  segments.giveUp();
  let closed = 0;
  segments.close(() => {
    closed++;
    assert.deepEqual([files.openHandles, files.names()], [0, NAMES.slice(1, 3)]);
  });
  while (files.pending.length > 0) files.step(files.pending.length - 1);
  assert.equal(closed, 1);
});

test('closed before there is a next segment: every file is closed, and nothing begins any more', async () => {
  const setup = await setUp(3);
  const { files, segments } = setup;
  segments.trim(SEGMENT_BYTES);
  await files.settle();
  files.capacity = files.usedBytes;
  await prepared(setup);
  assert.equal(segments.next, undefined);
  const lent = segments.lend()!;
  let closed = 0;
  segments.close(() => closed++);
  await files.settle();
  assert.deepEqual([closed, files.openHandles], [1, 1], 'only what is lent is open');
  files.capacity = Number.POSITIVE_INFINITY;
  const asked = files.count('free');
  files.close(lent.handle, () => {});
  segments.returned(true);
  await files.settle();
  assert.deepEqual([files.openHandles, files.count('free')], [0, asked], 'a file was made');
});

test('a large file is synced every 4 MiB while it is filled, and given up where that fails', async () => {
  const setup = await setUp(1, SEGMENT_BYTES, 9 * MIB);
  const { files, segments } = setup;
  for (const nth of [1, 2, 3]) {
    const fault = files.fail({ op: 'sync', nth, code: 'EIO', name: /next/ });
    await prepared(setup);
    assert.equal(fault.fired, 1);
    assert.match(segments.blocked!, /EIO/);
    assert.deepEqual(files.names(), [NAMES[0]], `sync ${nth}`);
  }
  files.auto = false;
  segments.prepare();
  let most = 0;
  let unsynced = 0;
  while (segments.next === undefined) {
    const { op } = files.pending[0]!;
    unsynced = op === 'sync' ? 0 : unsynced + (op === 'write' ? 4096 : 0);
    most = Math.max(most, unsynced);
    files.step();
  }
  assert.equal(most, 4 * MIB);
  const after = files.crash(loseAll);
  assert.equal(after.image(NAMES[1]!).length, 9 * MIB);
});

test('a stock that cannot be made is said once for each try, and made when it can be', async () => {
  for (const [op, name] of [
    ['free', undefined],
    ['rename', /fill/],
  ] as const) {
    const setup = await setUp(1, SEGMENT_BYTES, SEGMENT_BYTES, SEGMENT_BYTES);
    const { files, segments, troubles } = setup;
    await prepared(setup);
    const { openHandles } = files;
    const fault = files.fail({ op, nth: 1, code: 'EIO', ...(name === undefined ? {} : { name }) });
    segments.retry();
    await files.settle();
    assert.deepEqual([fault.fired, segments.spares], [1, 0], op);
    assert.deepEqual(troubles, ['no further space can be held ready']);
    assert.equal(files.openHandles, openHandles);
    assert.deepEqual(files.names().filter(isLog), files.names(), 'something half-made stays');
    segments.retry();
    await files.settle();
    assert.deepEqual([segments.spares, troubles.length], [2, 1], op);
  }
});
