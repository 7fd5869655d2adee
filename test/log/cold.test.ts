// Windows of the log read back from disk: whatever they hand out was verified, one bad record does
// not take its neighbours with it, and a window being read is never taken away.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_HEADER_BYTES } from '../../assembly/layout.ts';
import { Cold } from '../../src/log/cold.ts';
import { Segments } from '../../src/log/segments.ts';
import type { MemoryFiles } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { buildSegment, codec, filesOf, LOG_ID } from './harness.ts';

const MIB = 1024 * 1024;
const SEGMENT = 40 * MIB;
const random = new Random(seedOf('cold.test'));

interface Place {
  position: number;
  bytes: number; // header and body, without padding
  body: string;
}

interface Setup {
  files: MemoryFiles;
  segments: Segments;
  cold: Cold;
  records: Place[];
}

/** A segment of records with bodies of these sizes, and a second segment behind it. */
async function setUp(sizes: number[], bytes = SEGMENT): Promise<Setup> {
  const bodies = sizes.map((size, i) => `${i}:`.padEnd(size, String.fromCharCode(97 + (i % 26))));
  const built = buildSegment(
    { bytes },
    bodies.map((body, i) => ({ messages: [{ bucket: i, body }] })),
  );
  const next = buildSegment({ bytes, base: bytes }, [{ messages: [{ bucket: 1, body: 'next' }] }]);
  const files = filesOf(built, next);
  const list = [];
  for (const { name, base } of [built, next]) {
    const handle = await new Promise<number>((resolve) =>
      files.open(name, false, (_failure, opened) => resolve(opened)),
    );
    list.push({ base, bytes, end: base + bytes, handle, identity: 1, reads: 0, retired: false });
  }
  const segments = new Segments(
    {
      files,
      zeros: new Uint8Array(4096),
      segmentBytes: bytes,
      spareBytes: 0,
      logId: LOG_ID,
      epoch: 1,
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
  return {
    files,
    segments,
    cold: new Cold(codec, files, () => segments, setImmediate, setImmediate),
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

test('a damaged record is refused, and its neighbours are had all the same', async () => {
  for (const bad of [0, 1, 2]) {
    const setup = await setUp([400, 400, 400, 400]);
    const { records, files } = setup;
    files.image('00000000000000000000.log')[records[bad]!.position + 200]! ^= 1;
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

test('a read that fails is told, and the next one may succeed', async () => {
  const setup = await setUp([100, 100]);
  const fault = setup.files.fail({ op: 'read', nth: 1, code: 'EIO' });
  const first = load(setup, setup.records[0]!);
  await setup.files.settle();
  assert.equal(fault.fired, 1);
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
