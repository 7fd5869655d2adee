// Windows of the log read back from disk: whatever they hand out was verified, one bad record does
// not take its neighbours with it, and a window being read is never taken away.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_HEADER_BYTES, SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import { IDLE } from '../../../src/log/files/throttle.ts';
import { ReadCache } from '../../../src/log/read-cache/read-cache.ts';
import { Segments } from '../../../src/log/segments/segments.ts';
import type { MemoryFiles } from '../../support/memory-files.ts';
import { paceOf } from '../../support/pace.ts';
import { Random, seedOf } from '../../support/random.ts';
import { buildSegment, codec, filesOf, LOG_ID } from '../harness.ts';

const MIB = 1024 * 1024;
const SEGMENT = 40 * MIB;
const random = new Random(seedOf('log/read-cache/read-cache.test'));

interface Place {
  position: number;
  bytes: number; // header and body, without padding
  body: string;
}

interface Setup {
  files: MemoryFiles;
  segments: Segments;
  cold: ReadCache;
  records: Place[];
  foreground: { lightTraffic: boolean };
}

interface Turns {
  /** Without a second segment. */
  only: boolean;
  areaBytes: number;
  soon: (call: () => void) => void;
  later: (call: () => void) => void;
  pause: (call: () => void) => void;
}

/** A segment of records with bodies of these sizes, and a second segment behind it. */
async function setUp(
  sizes: number[],
  bytes = SEGMENT,
  {
    areaBytes,
    only = false,
    soon = setImmediate,
    later = setImmediate,
    pause = setImmediate,
  }: Partial<Turns> = {},
): Promise<Setup> {
  const bodies = sizes.map((size, i) => `${i}:`.padEnd(size, String.fromCharCode(97 + (i % 26))));
  const built = buildSegment(
    { bytes },
    bodies.map((body, i) => ({ messages: [{ bucket: i, body }] })),
  );
  const next = buildSegment({ bytes, base: bytes }, [{ messages: [{ bucket: 1, body: 'next' }] }]);
  const files = filesOf(built, next);
  const list = [];
  for (const { name, base } of only ? [built] : [built, next]) {
    const handle = await new Promise<number>((resolve) =>
      files.open(name, false, (_failure, opened) => resolve(opened)),
    );
    list.push({ base, bytes, end: base + bytes, handle, identity: 1, reads: 0, retired: false });
  }
  const segments = new Segments(
    {
      files,
      zeros: new Uint8Array(4096),
      pace: paceOf(setImmediate),
      segmentBytes: bytes,
      spareBytes: 0,
      logId: LOG_ID,
      epoch: () => 1,
      now: () => 0,
      wallMs: () => 0,
      changed: () => {},
      trouble: () => {},
    },
    list,
    undefined,
  );
  const records = bodies.map((body, i) => ({
    position: built.offsets[i]!,
    bytes: RECORD_HEADER_BYTES + 4 + body.length,
    body,
  }));
  const foreground = { ...IDLE };
  return {
    files,
    segments,
    foreground,
    cold: new ReadCache(
      codec,
      files,
      () => segments,
      { soon, later, idleDelay: pause },
      foreground,
      areaBytes,
    ),
    records,
  };
}

interface Outcome {
  calls: number;
  failure: Error | undefined;
}

function load({ cold }: Setup, { position, bytes }: Place): Outcome {
  const outcome: Outcome = { calls: 0, failure: undefined };
  cold.load(position, bytes, (failure) => {
    outcome.calls++;
    outcome.failure = failure;
  });
  assert.equal(outcome.calls, 0, 'called back within the call');
  return outcome;
}

function body({ cold }: Setup, { position, bytes }: Place): string | undefined {
  const place = cold.resident(position, bytes);
  if (place < 0) return undefined;
  const from = place + RECORD_HEADER_BYTES + 4;
  return Buffer.from(codec.memory.subarray(from, place + bytes)).toString();
}

test('a window brings a record and what stands behind it, once', async () => {
  const setup = await setUp([100, 200, 300]);
  const { cold, records, files } = setup;
  assert.deepEqual(
    records.map((record) => body(setup, record)),
    [undefined, undefined, undefined],
  );
  const outcomes = records.map((record) => load(setup, record));
  await files.settle();
  assert.deepEqual(outcomes, Array(3).fill({ calls: 1, failure: undefined }));
  assert.deepEqual(
    records.map((record) => body(setup, record)),
    records.map((record) => record.body),
  );
  assert.equal(files.count('read'), 1);
  assert.deepEqual([cold.reads, cold.readBytes], [1, 80 * 1024]);
  assert.equal(setup.segments.list[0]!.reads, 0);
});

test('a record that straddles the end of a window, and one larger than a window', async () => {
  const setup = await setUp([MIB - 300, 5000, 3 * MIB, 50]);
  const { records, files } = setup;
  const outcomes = records.map((record) => load(setup, record));
  await files.settle();
  assert.deepEqual(outcomes, Array(4).fill({ calls: 1, failure: undefined }));
  for (const record of records) assert.equal(body(setup, record), record.body);
  assert.equal(files.count('read'), 4);
});

test('what is read while its segment is replaced is not believed, and asked for again', async () => {
  const setup = await setUp([400, 400]);
  const { cold, files, records } = setup;
  files.auto = false;
  const outcome = load(setup, records[0]!);
  cold.forget(0, SEGMENT);
  await files.settle();
  // It may stand elsewhere by now: whoever waits finds nothing, without a failure.
  assert.deepEqual(outcome, { calls: 1, failure: undefined });
  assert.equal(body(setup, records[0]!), undefined);
  const again = load(setup, records[0]!);
  await files.settle();
  assert.deepEqual(again, { calls: 1, failure: undefined });
  assert.equal(body(setup, records[0]!), records[0]!.body);
  assert.equal(files.count('read'), 2);
});

test('who waits for a read to begin while a segment is replaced is not told of damage', async () => {
  const turns: (() => void)[] = [];
  const setup = await setUp(Array(10).fill(900_000), SEGMENT, { soon: (call) => turns.push(call) });
  const { cold, files, records } = setup;
  files.auto = false;
  const outcomes = records.map((record) => load(setup, record));
  assert.ok(files.pending.length < outcomes.length, 'nobody waits');
  cold.forget(0, SEGMENT);
  // Other bytes stand at all those places now.
  files.image('00000000000000000000.log').fill(0x5a, SEGMENT_DATA_AT);
  assert.ok(
    outcomes.every(({ calls }) => calls === 0),
    'told within the call',
  );
  for (const turn of turns.splice(0)) turn();
  await files.settle();
  assert.deepEqual(outcomes, Array(10).fill({ calls: 1, failure: undefined }));
  for (const record of records) assert.equal(body(setup, record), undefined);
});

test('a damaged record is refused, and its neighbours are had all the same', async () => {
  // In its body, and in its header, without which a window begins behind it.
  for (const [bad, at] of [0, 1, 2].flatMap((i) => [
    [i, 200],
    [i, 20],
  ]) as [number, number][]) {
    const setup = await setUp([400, 400, 400, 400]);
    const { records, files } = setup;
    files.image('00000000000000000000.log')[records[bad]!.position + at]! ^= 1;
    const outcomes = records.map((record) => load(setup, record));
    await files.settle();
    outcomes.forEach(({ calls, failure }, i) => {
      assert.equal(calls, 1);
      if (i === bad) assert.match(failure!.message, /does not verify/);
      else assert.equal(failure, undefined, `record ${i} with record ${bad} damaged`);
    });
    records.forEach((record, i) => {
      assert.equal(body(setup, record), i === bad ? undefined : record.body);
    });
  }
});

test('a window that cannot be read is no verdict on its records: each is read for itself', async () => {
  const setup = await setUp([100, 100]);
  const fault = setup.files.fail({ op: 'read', nth: 1, code: 'EIO' });
  const outcomes = setup.records.map((record) => load(setup, record));
  await setup.files.settle();
  assert.equal(fault.fired, 1);
  assert.deepEqual(outcomes, Array(2).fill({ calls: 1, failure: undefined }));
  for (const record of setup.records) assert.equal(body(setup, record), record.body);
});

test('a read that fails is told, and the next one may succeed', async () => {
  const setup = await setUp([100, 100]);
  const faults = [1, 2].map((nth) => setup.files.fail({ op: 'read', nth, code: 'EIO' }));
  const first = load(setup, setup.records[0]!);
  await setup.files.settle();
  assert.deepEqual(
    faults.map(({ fired }) => fired),
    [1, 1],
  );
  assert.equal((first.failure as NodeJS.ErrnoException).code, 'EIO');
  assert.equal(body(setup, setup.records[0]!), undefined);
  const again = load(setup, setup.records[0]!);
  await setup.files.settle();
  assert.equal(again.failure, undefined);
  assert.equal(setup.segments.list[0]!.reads, 0);
});

test('a short read is no damage: the rest is fetched', async () => {
  const setup = await setUp([100_000, 100]);
  const fault = setup.files.fail({ op: 'read', nth: 1, short: 5000 });
  const outcome = load(setup, setup.records[0]!);
  await setup.files.settle();
  assert.equal(fault.fired, 1);
  assert.deepEqual(outcome, { calls: 1, failure: undefined });
  assert.equal(body(setup, setup.records[0]!), setup.records[0]!.body);
});

test('a position that is not on disk is told', async () => {
  const setup = await setUp([100]);
  const outcome = load(setup, { position: 10 * SEGMENT, bytes: 100, body: '' });
  await setup.files.settle();
  await null;
  assert.equal(outcome.calls, 1);
  assert.match(outcome.failure!.message, /is not on disk/);
});

test('a window never reaches into the next segment', async () => {
  const setup = await setUp([100], 64 * 1024);
  const outcome = load(setup, setup.records[0]!);
  await setup.files.settle();
  assert.equal(outcome.failure, undefined);
  assert.equal(setup.cold.readBytes, 64 * 1024);
});

test('what is resident is right, whatever was evicted, loaded late or loaded together', async () => {
  const setup = await setUp(
    Array.from({ length: 76 }, (_, i) => (i % 7 === 3 ? 1_700_000 : 900_000)),
    128 * MIB,
  );
  const { files, records } = setup;
  files.auto = false;
  const asked = new Map<Place, Outcome>();
  let evicted = 0;
  for (let round = 0; round < 1600; round++) {
    const record = records[random.below(records.length)]!;
    // Bursts, so that more is asked for than there is room for at once.
    if (round % 160 < 100 || random.below(2) === 0) {
      if (body(setup, record) === undefined && !asked.has(record))
        asked.set(record, load(setup, record));
    } else if (files.pending.length > 0) files.step(random.below(files.pending.length));
    for (const [place, outcome] of asked) {
      assert.equal(outcome.failure, undefined);
      if (outcome.calls > 0) asked.delete(place);
    }
    for (let looks = 0; looks < 4; looks++) {
      const each = records[random.below(records.length)]!;
      const found = body(setup, each);
      if (found !== undefined)
        assert.ok(found === each.body, `record at ${each.position} is not itself`);
      else evicted++;
    }
  }
  await files.settle();
  for (const outcome of asked.values()) assert.deepEqual(outcome, { calls: 1, failure: undefined });
  assert.ok(evicted > 0 && files.count('read') > records.length);
  assert.equal(setup.segments.list[0]!.reads, 0);
});

test('a segment given back while it is read serves the read; its windows are forgotten', async () => {
  const setup = await setUp([100, 100]);
  const { files, cold, segments, records } = setup;
  files.auto = false;
  const outcome = load(setup, records[0]!);
  cold.trim(SEGMENT);
  segments.trim(SEGMENT);
  assert.deepEqual(
    files.pending.map(({ op }) => op),
    ['read'],
  );
  files.step();
  assert.deepEqual(outcome, { calls: 1, failure: undefined });
  await files.settle();
  assert.ok(files.names().includes('spare-0.tmp'));
  cold.trim(SEGMENT);
  assert.equal(body(setup, records[0]!), undefined);
});

test('a crowd is served from one sweep, a few a turn, and gathers before the next', async () => {
  const turns: (() => void)[] = [];
  const moments: (() => void)[] = [];
  const setup = await setUp(Array(1600).fill(15_000), SEGMENT, {
    areaBytes: 16 * MIB,
    soon: (call) => void turns.push(call),
    later: (call) => void moments.push(call),
  });
  const { cold, files } = setup;
  const records = setup.records.filter((_, i) => i % 4 === 0);
  let served = 0;
  const ask = (place: Place) =>
    cold.load(place.position, place.bytes, (failure) => {
      assert.equal(failure, undefined);
      assert.equal(body(setup, place), place.body, 'who is served finds it in memory');
      served++;
    });
  for (let i = 0; i < 200; i++) ask(records[i]!);
  await files.settle();
  // More than a sweep's share of the area is not read ahead of those who wait.
  const begun = cold.readBytes;
  assert.ok(begun >= 12 * MIB && begun <= 16 * MIB, `${begun} bytes were read`);
  assert.equal(served, 64, 'the first few are served, the others in later turns');
  // Who comes now waits until all of them are.
  ask(records[399]!);
  await files.settle();
  assert.deepEqual([served, cold.readBytes], [64, begun]);
  while (turns.length > 0) turns.shift()!();
  await files.settle();
  assert.equal(served, 200);
  // The next sweep begins when half as many wait again, or a moment later.
  assert.equal(cold.readBytes, begun);
  for (let i = 300; i < 398; i++) ask(records[i]!);
  await files.settle();
  assert.equal(cold.readBytes, begun, 'too few to begin');
  ask(records[398]!);
  await files.settle();
  while (turns.length > 0) turns.shift()!();
  assert.equal(served, 300);
  assert.ok(cold.readBytes > begun);
  // The moment of the first crowd is over; that of the second lets a single one through.
  ask(records[200]!);
  moments.shift()!();
  await files.settle();
  assert.equal(served, 300);
  moments.shift()!();
  await files.settle();
  assert.equal(served, 301);
  assert.equal(setup.segments.list[0]!.reads, 0);
});

// Consumers who ask for one record after the other, near each other or far apart, while segments
// are replaced under them; each is served everything, whatever the order.
for (const { areaBytes, seed } of [
  { areaBytes: 2 * MIB, seed: 1 },
  { areaBytes: 16 * MIB, seed: 2 },
])
  test(`crowds, and others apart from them, all get what they ask for in ${areaBytes} bytes`, async () => {
    const sizes = Array.from({ length: 1500 }, (_, i) => (i % 150 === 149 ? 700_000 : 14_000));
    const setup = await setUp(sizes, 32 * MIB - 4096, {
      areaBytes,
      soon: (call) => void turns.push(call),
      later: (call) => void turns.push(call),
    });
    const { cold, files, records, segments } = setup;
    const turns: (() => void)[] = [];
    const order = new Random(seed);
    files.auto = false;
    let left = 0;
    let again = 0;
    let asking = 0;
    const ask = (places: Place[]): void => {
      const missing = places.findIndex((place) => body(setup, place) !== place.body);
      const place = places[missing];
      if (place === undefined) {
        left--;
        return;
      }
      asking++;
      cold.load(place.position, place.bytes, (failure) => {
        assert.deepEqual([asking, failure], [0, undefined], 'somebody was answered within a call');
        if (body(setup, place) === undefined) again++;
        else assert.equal(body(setup, place), place.body);
        ask(places.slice(missing));
      });
      asking--;
    };
    for (let consumer = 0; consumer < 300; consumer++) {
      left++;
      const from = consumer < 200 ? consumer * 3 : order.below(1500);
      ask(Array.from({ length: 4 }, (_, i) => records[(from + i * 601) % 1500]!));
    }
    for (let round = 0; left > 0; round++) {
      assert.ok(round < 100_000, `${left} consumers are never served`);
      if (files.pending.length > 0) files.step(order.below(files.pending.length));
      if (turns.length > 0) turns.splice(order.below(turns.length), 1)[0]!();
      if (round % 20 === 0) {
        const at = order.below(31) * MIB;
        cold.forget(at, at + order.below(4) * MIB);
      }
      await null;
    }
    await files.settle();
    assert.ok(again > 0, 'nobody had to ask again');
    assert.equal(segments.list[0]!.reads, 0);
  });

test('who asks for the next record when the last read of a pass ends is not answered within', async () => {
  const turns: (() => void)[] = [];
  const setup = await setUp([700_000, ...Array(1600).fill(15_000)], SEGMENT, {
    soon: (call) => void turns.push(call),
    later: (call) => void turns.push(call),
  });
  const { cold, files, records } = setup;
  files.auto = false;
  let asking = 0;
  let served = 0;
  const ask = (place: Place, then = () => {}) => {
    asking++;
    cold.load(place.position, place.bytes, (failure) => {
      assert.deepEqual([asking, failure], [0, undefined], 'somebody was answered within a call');
      assert.equal(body(setup, place), place.body);
      served++;
      then();
    });
    asking--;
  };
  const far = records.slice(-80);
  // One is large, and read by itself; a crowd waits for records far away.
  ask(records[0]!, () => ask(far[79]!));
  for (const at of [1, 11, 21]) ask(records[at]!);
  for (const place of far.slice(0, 79)) ask(place);
  assert.deepEqual([files.pending.length, served], [4, 0]);
  // The answers of the others are held back, until the large one is there, too.
  for (let left = 4; left > 1; left--) files.step(left - 1);
  assert.deepEqual([files.pending.length, served], [1, 0]);
  files.step(0);
  assert.equal(served, 4);
  files.auto = true;
  for (await files.settle(); turns.length > 0; await files.settle()) turns.shift()!();
  assert.equal(served, 84);
});

test('who reads to the end of what is there finds nothing to read ahead', async () => {
  const ends: [bytes: number, only: boolean][] = [
    [4 * MIB, false],
    [4 * MIB + 4096, false],
    [4 * MIB, true],
  ];
  for (const [bytes, only] of ends) {
    const setup = await setUp(Array(250).fill(15_000), bytes, { only, soon: (call) => call() });
    const outcomes = setup.records.slice(100).map((record) => load(setup, record));
    await setup.files.settle();
    assert.deepEqual(outcomes, Array(150).fill({ calls: 1, failure: undefined }));
    assert.ok(setup.cold.readBytes < bytes, 'nothing of the open segment is read');
  }
});

test('a crowd reads ahead from behind the windows that are there', async () => {
  const setup = await setUp(Array(1600).fill(15_000), SEGMENT, { soon: (call) => call() });
  const { cold, files, records } = setup;
  setup.foreground.lightTraffic = true;
  // One who reads in order has been here, with windows that grew.
  for (const { position, bytes } of records.slice(700, 1100))
    if (cold.resident(position, bytes) < 0) {
      cold.load(position, bytes, () => {});
      await files.settle();
    }
  const before = cold.reads;
  const outcomes = records.slice(500, 700).map((record) => load(setup, record));
  await files.settle();
  assert.deepEqual(outcomes, Array(200).fill({ calls: 1, failure: undefined }));
  assert.ok(cold.reads > before);
  for (const record of records.slice(500, 1200)) assert.equal(body(setup, record), record.body);
});

test('a window that grows over one that is being read leaves that its place', async () => {
  const setup = await setUp(Array(40).fill(15_000));
  const { files, records } = setup;
  const inUnit = (unit: number) =>
    records.find(({ position }) => position >= unit * 64 * 1024) as Place;
  load(setup, inUnit(2));
  await files.settle();
  files.auto = false;
  const places = [inUnit(4), inUnit(3)];
  const outcomes = places.map((place) => load(setup, place));
  // The second one, which reaches over the first, ends first; who waits for that is not forgotten.
  files.step(1);
  const waits = load(setup, records[records.indexOf(places[0]!) + 1]!);
  assert.equal(files.pending.length, 1);
  await files.settle();
  assert.deepEqual([...outcomes, waits], Array(3).fill({ calls: 1, failure: undefined }));
  for (const place of places) assert.equal(body(setup, place), place.body);
});

test('a file that ends before the record does is told as damage', async () => {
  const setup = await setUp([1000]);
  const name = '00000000000000000000.log';
  setup.files.put(name, setup.files.image(name).slice(0, 30));
  const handle = await new Promise<number>((resolve) =>
    setup.files.open(name, false, (_failure, opened) => resolve(opened)),
  );
  (setup.segments.list[0] as { handle: number }).handle = handle;
  const outcome = load(setup, setup.records[0]!);
  await setup.files.settle();
  assert.match(outcome.failure!.message, /does not verify/);
});

test('a window of very many small records is verified to its end', async () => {
  const setup = await setUp(Array(40_000).fill(1));
  const { cold, records, files } = setup;
  // Windows grow for who reads in order.
  for (const record of records)
    if (body(setup, record) === undefined) {
      assert.equal(load(setup, record).failure, undefined);
      await files.settle();
      assert.equal(body(setup, record), record.body);
    }
  assert.ok(cold.reads < 12, `${cold.reads} windows`);
});

interface Read {
  bytes: number;
  once: boolean;
  into: Uint8Array;
}

/** Keeps account of all reads, and of those under way. */
function watchReads({ files }: Setup): { all: Read[]; underWay: Set<Read> } {
  const all: Read[] = [];
  const underWay = new Set<Read>();
  const real = files.read.bind(files);
  files.read = (handle, into, at, done, once = false) => {
    const read = { bytes: into.length, once, into };
    all.push(read);
    underWay.add(read);
    real(handle, into, at, (failure, bytes) => {
      underWay.delete(read);
      done(failure, bytes);
    });
  };
  return { all, underWay };
}

/** Reads in order until a window has come that nobody asked for; gives the next record. */
async function untilReadAhead(setup: Setup, all: readonly Read[]): Promise<number> {
  const { cold, files, records } = setup;
  let at = 0;
  for (let waits = 0; all.length === waits; at++) {
    if (cold.resident(records[at]!.position, records[at]!.bytes) >= 0) continue;
    waits++;
    load(setup, records[at]!);
    await files.settle();
  }
  return at;
}

/** Reads all records in order, each when it is had; gives how often it had to wait. */
async function readAll(setup: Setup): Promise<number> {
  const { cold, files, records } = setup;
  let waits = 0;
  for (const record of records) {
    if (body(setup, record) === undefined) {
      waits++;
      cold.load(record.position, record.bytes, (failure) => assert.equal(failure, undefined));
      await files.settle();
    }
    assert.equal(body(setup, record), record.body);
    await files.settle(); // what is read ahead has time
  }
  return waits;
}

// Small ones, and such as reach over the end of every window.
for (const [recordBytes, waitsMax] of [
  [15_000, 4],
  [40_000, 3],
  [104_000, 2],
] as const)
  test(`who reads records of ${recordBytes} bytes in order has the next window read meanwhile`, async () => {
    const count = Math.floor((38 * MIB) / recordBytes);
    const setup = await setUp(Array(count).fill(recordBytes));
    const reads = watchReads(setup);
    const waits = await readAll(setup);
    assert.ok(waits <= waitsMax, `waited ${waits} times: windows double until they are long`);
    assert.ok(reads.all.some(({ bytes }) => bytes > 2 * MIB));
    for (const { bytes, once } of reads.all) assert.equal(once, bytes > 512 * 1024, `${bytes}`);
    const most = 1.15 * count * recordBytes; // what reaches over an end is read twice
    assert.ok(setup.cold.readBytes < most, `${setup.cold.readBytes} of ${most} bytes`);
    assert.equal(setup.segments.list[0]!.reads, 0);
  });

test('who reads in order to the end of what may be read finds nothing to read ahead', async () => {
  const bytes = 8 * MIB - 64 * 1024; // windows that double, and three long ones, end with it
  const count = Math.floor((bytes - SEGMENT_DATA_AT) / (15_000 + 200));
  for (const only of [true, false]) {
    const setup = await setUp(Array(count).fill(15_000), bytes, { only });
    const { all } = watchReads(setup);
    // Nothing of the open segment is read ahead: it is being written.
    assert.equal(await readAll(setup), only ? 8 : 4);
    assert.ok(bytes - setup.records.at(-1)!.position < 512 * 1024, 'the segment is full');
    const inAll = all.reduce((sum, read) => sum + read.bytes, 0);
    assert.ok(inAll < 1.1 * bytes, `${inAll} bytes were read`);
  }
});

test('nothing is read ahead while there are reads enough', async () => {
  const setup = await setUp(Array(2400).fill(15_000));
  const { all, underWay } = watchReads(setup);
  const { cold, files, records } = setup;
  const at = await untilReadAhead(setup, all);
  files.auto = false;
  for (const other of [1200, 1500, 1800, 2100]) load(setup, records[other]!);
  assert.equal(underWay.size, 4);
  const end = records.findIndex(
    (record, i) => i > at && cold.resident(record.position, record.bytes) < 0,
  );
  assert.ok(end > at, 'the window that was read ahead was used, to its end');
  assert.equal(underWay.size, 4);
  files.auto = true;
  await files.settle();
});

test('who reads ahead is no part of a crowd far away, and leaves it the disk', async () => {
  const turns: (() => void)[] = [];
  const setup = await setUp(Array(2400).fill(15_000), SEGMENT, {
    soon: (call) => void turns.push(call),
  });
  const { all } = watchReads(setup);
  const { cold, files, records } = setup;
  let at = 0;
  const goOn = () => {
    while (cold.resident(records[at]!.position, records[at]!.bytes) >= 0) at++;
  };
  // One who reads in order, until nothing makes him wait.
  for (let waits = 0; all.length === waits; waits++) {
    load(setup, records[at]!);
    await files.settle();
    goOn();
  }
  const crowd = records.slice(1600, 1800);
  const outcomes = crowd.map((record) => load(setup, record));
  await files.settle();
  // The stretch of the crowd alone is dense enough to read on behind it.
  assert.equal(body(setup, records[2100]!), records[2100]!.body);
  assert.ok(turns.length > 0, 'some wait for their answers');
  const before = all.length;
  goOn();
  assert.equal(all.length, before, 'nothing is read ahead meanwhile');
  while (turns.length > 0) turns.shift()!();
  await files.settle();
  assert.deepEqual(outcomes, Array(200).fill({ calls: 1, failure: undefined }));
});

test('while others publish, windows are shorter and nothing is read ahead', async () => {
  const setup = await setUp(Array(250).fill(120_000));
  const reads = watchReads(setup);
  setup.foreground.lightTraffic = true;
  const waits = await readAll(setup);
  assert.equal(reads.all.length, waits);
  for (const { bytes } of reads.all) assert.ok(bytes <= 576 * 1024, `${bytes}`);
  assert.ok(reads.all.some(({ once }) => once));
});

test('while others publish, who reads in order pauses after each long window', async () => {
  const pauses: (() => void)[] = [];
  const setup = await setUp(Array(250).fill(104_000), SEGMENT, {
    pause: (call) => void pauses.push(call),
  });
  const { cold, files, records } = setup;
  let served = 0;
  setup.foreground.lightTraffic = true;
  const next = (): void => {
    while (served < records.length && body(setup, records[served]!) !== undefined) served++;
    const record = records[served];
    if (record !== undefined) cold.load(record.position, record.bytes, next);
  };
  next();
  for (let windows = 1; windows < 5; windows++) {
    await files.settle();
    const before = cold.reads;
    await files.settle();
    assert.equal(cold.reads, before, 'nothing is read during a pause');
    assert.equal(pauses.length, 1);
    pauses.shift()!();
    assert.equal(cold.reads, before + 1);
  }
  setup.foreground.lightTraffic = false; // nobody publishes any more
  await files.settle();
  while (pauses.length > 0) {
    pauses.shift()!();
    await files.settle();
  }
  assert.equal(served, records.length);
});

test('what is read ahead stays within its share, and never takes a place that is used', async () => {
  const setup = await setUp(Array(2400).fill(15_000), SEGMENT, { areaBytes: 9 * MIB });
  const { cold, files, records } = setup;
  const { underWay } = watchReads(setup);
  files.auto = false;
  const readers = [0, 600, 1200, 1800].map((from) => ({ at: from, end: from + 590, waits: false }));
  let ahead = 0;
  for (let round = 0; readers.some(({ at, end }) => at < end); round++) {
    assert.ok(round < 100_000, 'somebody is never served');
    const reader = readers[random.below(readers.length)]!;
    const record = records[reader.at]!;
    if (reader.at < reader.end && !reader.waits) {
      const place = cold.resident(record.position, record.bytes);
      if (place >= 0) {
        reader.at++;
        const bytes = codec.memory.subarray(place, place + record.bytes);
        for (const { into } of underWay)
          assert.ok(!overlap(into, bytes), 'a read is under way into what was just handed out');
      } else {
        reader.waits = true;
        cold.load(record.position, record.bytes, (failure) => {
          assert.equal(failure, undefined);
          reader.waits = false;
        });
      }
    }
    const asked = readers.filter(({ waits }) => waits).length;
    ahead = Math.max(ahead, underWay.size - asked);
    if (files.pending.length > 0 && random.below(8) === 0)
      files.step(random.below(files.pending.length));
    await null;
  }
  assert.equal(ahead, 1, 'a quarter of the area is one window');
  files.auto = true;
  await files.settle();
});

test('a window that was read ahead keeps its place when it is used, however long that took', async () => {
  let used = 0;
  for (let others = 0; others < 16; others++) {
    const sizes = [...Array(500).fill(15_000), ...Array(16).fill(700_000)];
    const setup = await setUp(sizes, SEGMENT, { areaBytes: 9 * MIB });
    const { all, underWay } = watchReads(setup);
    const { cold, files, records } = setup;
    const at = await untilReadAhead(setup, all);
    for (const large of records.slice(500, 500 + others)) {
      load(setup, large);
      await files.settle();
    }
    files.auto = false;
    for (const record of records.slice(at, 500)) {
      const place = cold.resident(record.position, record.bytes);
      if (place < 0) continue;
      const bytes = codec.memory.subarray(place, place + record.bytes);
      if (underWay.size === 0) continue;
      used++;
      for (const { into } of underWay)
        assert.ok(!overlap(into, bytes), `after ${others} others, a read into what was handed out`);
      break;
    }
    files.auto = true;
    await files.settle();
  }
  assert.ok(used > 3, `only ${used} times something was read ahead`);
});

function overlap(one: Uint8Array, other: Uint8Array): boolean {
  const [from, to] = [other.byteOffset, other.byteOffset + other.length];
  return one.byteOffset < to && from < one.byteOffset + one.length;
}
