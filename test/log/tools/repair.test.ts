// `log repair` as a function: whatever is done to a small log, everything whose record is intact is
// in the new one, nothing else is, and the old one is only read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RECORD_BODY_BYTES_AT,
  RECORD_COMMIT,
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RECORD_SETTLED,
  RECORD_START,
  RECORD_TRIM,
  RECORD_TYPE_AT,
  SEGMENT_DATA_AT,
  SEGMENT_HEADER_BYTES,
  SEGMENT_VERSION_AT,
} from '../../../assembly/layout.ts';
import { LogError } from '../../../src/log/files/errors.ts';
import { encodeHeader, segmentName } from '../../../src/log/segments/segment.ts';
import { type RepairReport, repairLog } from '../../../src/log/tools/repair.ts';
import { verifyLog } from '../../../src/log/tools/verify.ts';
import { sharedEngine } from '../../support/engine.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import {
  type BatchPlan,
  type Built,
  buildSegment,
  codec,
  filesOf,
  LOG_ID,
  recoverFrom,
  TIME_MS,
  World,
} from '../harness.ts';

const SMALL = 8 * 1024;
const reader = sharedEngine('it only scans, and names the key first');
const random = new Random(seedOf('log/tools/repair.test'));

const FIRST: BatchPlan[] = [
  { control: [[RECORD_START, 1, 1000]] },
  {
    messages: [
      { bucket: 1, body: 'one' },
      { bucket: 1, body: 'two' },
      { bucket: 2, body: 'x' },
    ],
  },
  { messages: [{ bucket: 2, body: 'y' }], settled: [{ sequence: 2, count: 1 }] },
  { messages: [{ bucket: 1, body: 'end' }], returned: [{ sequence: 3, count: 2, attempts: 7 }] },
  { last: true },
];
const SECOND: BatchPlan[] = [
  { messages: [{ bucket: 1, body: 'six' }] },
  { messages: [{ bucket: 3, body: 'seven' }], settled: [{ sequence: 1, count: 1 }] },
];
const ALL = new Map([
  [1, '1:one'],
  [2, '1:two'],
  [3, '2:x'],
  [4, '2:y'],
  [5, '1:end'],
  [6, '1:six'],
  [7, '3:seven'],
]);

// A third batch of the second segment proves the one before it.
function segments(second: BatchPlan[] = [...SECOND, {}]): [Built, Built] {
  const first = buildSegment({ bytes: SMALL }, FIRST);
  const at = { bytes: SMALL, base: SMALL, epoch: 1, sequence: first.sequence };
  return [first, buildSegment(at, second)];
}

interface Repaired {
  report: RepairReport;
  /** `bucket:body` by sequence, in the order of the new log. */
  saved: Map<number, string>;
  attempts: Map<number, number>;
  into: MemoryFiles;
}

async function repair(files: MemoryFiles): Promise<Repaired> {
  const before = new Map(files.names().map((name) => [name, files.image(name).slice()]));
  const into = new MemoryFiles();
  const target = { files: into, codec, newLogId: 99n, wallMs: () => TIME_MS };
  const report = await repairLog(files, reader, target, () => {});
  assert.equal(files.changes, 0, 'the old log was changed');
  assert.deepEqual(new Map(files.names().map((name) => [name, files.image(name)])), before);
  assert.equal(files.openHandles + into.openHandles, 0, 'files were left open');
  const { got } = await recoverFrom(into.clone());
  assert.equal(got.settled.size, 0);
  assert.equal(report.saved.messages, got.messages.size);
  return { report, saved: got.messages, attempts: got.attempts, into };
}

function without(...sequences: number[]): Map<number, string> {
  return new Map([...ALL].filter(([sequence]) => !sequences.includes(sequence)));
}

// --- what was written, read by hand -------------------------------------------------------------

interface Rec {
  from: number;
  to: number;
  /** Where its padding begins, which no checksum covers. */
  end: number;
  type: number;
}

function recordsOf({ image, offsets }: Built): Rec[] {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const records: Rec[] = [];
  for (let from = SEGMENT_DATA_AT; from < offsets.at(-1)!; ) {
    const bytes = view.getUint32(from + RECORD_BODY_BYTES_AT, true);
    const end = from + RECORD_HEADER_BYTES + bytes;
    const to = from + RECORD_HEADER_BYTES + Math.ceil(bytes / 8) * 8;
    records.push({ from, to, end, type: image[from + RECORD_TYPE_AT]! });
    from = to;
  }
  return records;
}

// Which sequences stand in each record of messages, and which each mark settles.
const CONTENTS = [[1, 2], [3], [4], [5], [6], [7]];
const SETTLES = [2, 1];

test('a whole log: what is not settled, with its sequences, order and attempts', async () => {
  const { report, saved, attempts, into } = await repair(filesOf(...segments()));
  assert.deepEqual([...saved], [...without(1, 2)]);
  assert.deepEqual(
    [...attempts],
    [
      [3, 7],
      [4, 7],
    ],
  );
  assert.deepEqual(
    [report.verdict, report.settled, report.saved, report.lost, report.missing],
    ['clean', 2, { messages: 5, bytes: 13 }, [], []],
  );
  assert.deepEqual([report.doubtful, report.torn, report.problems], [[], null, []]);
  const verified = await verifyLog(into, codec, () => {});
  assert.equal(verified.verdict, 'clean');
  assert.ok(verified.bad.length === 0 && verified.leftovers.length === 0);
  const { recovered } = await recoverFrom(into);
  assert.equal(recovered.logId, LOG_ID);
  assert.equal(recovered.resume.sequence, 8, 'a sequence would be given out twice');
  assert.ok(recovered.resume.epoch > 1);
  assert.ok(recovered.segments[0]!.base > 2 * SMALL, 'it begins within the old log');
});

test('a sequence that was given out is not given out again, saved or not', async () => {
  const done = { settled: [{ sequence: 5, count: 3 }] };
  const { saved, into } = await repair(filesOf(...segments([...SECOND, done, {}])));
  assert.deepEqual([...saved.keys()], [3, 4]);
  assert.equal((await recoverFrom(into)).recovered.resume.sequence, 8);
});

test('a dry run finds the same and writes nothing', async () => {
  const bent = segments();
  bent[0].image[bent[0].offsets[1]! + 60]! ^= 1;
  const steps: string[] = [];
  const dry = await repairLog(filesOf(...bent), reader, undefined, (done, total) =>
    steps.push(`${done}/${total}`),
  );
  const { report } = await repair(filesOf(...bent));
  assert.deepEqual(steps, ['1/4', '2/4', '3/4', '4/4']);
  assert.deepEqual(dry, { ...report, written: null });
});

test('every flipped bit: every message whose record is intact, and nothing else', async () => {
  const built = segments(SECOND);
  const records = built.map(recordsOf);
  const of = (type: number) => records.flat().filter((record) => record.type === type);
  const last = records[1]!.at(-1)!;
  const seen = new Map<number, number>();
  for (const [which, one] of built.entries()) {
    for (let offset = 0; offset < one.offsets.at(-1)! + 64; offset++) {
      if (offset === SEGMENT_HEADER_BYTES) offset = SEGMENT_DATA_AT - 8;
      const hit = records[which]!.find(({ from, end }) => from <= offset && offset < end);
      let expected = without(1, 2);
      if (hit?.type === RECORD_MESSAGES)
        for (const sequence of CONTENTS[of(RECORD_MESSAGES).indexOf(hit)]!)
          expected.delete(sequence);
      const back = hit?.type === RECORD_SETTLED ? SETTLES[of(RECORD_SETTLED).indexOf(hit)] : 0;
      // The last commit is all that tells its batch from one that was never acked.
      if (hit === last) expected = without(2, 7);
      for (let bit = 0; bit < 8; bit++) {
        const image = one.image.slice();
        image[offset]! ^= 1 << bit;
        const bent = built.map((each, i) => (i === which ? { ...each, image } : each));
        const { saved, report } = await repair(filesOf(...bent));
        const want = back ? without(...[1, 2].filter((sequence) => sequence !== back)) : expected;
        assert.deepEqual([...saved], [...want], `${one.name} offset ${offset} bit ${bit}`);
        const lost = report.lost.some(
          (range) => range.segment === one.name && range.offset <= offset,
        );
        assert.equal(
          lost,
          hit !== undefined && hit !== last,
          `${one.name} ${offset}: told as lost`,
        );
      }
      seen.set(hit?.type ?? 0, (seen.get(hit?.type ?? 0) ?? 0) + 1);
    }
  }
  for (const type of [0, RECORD_MESSAGES, RECORD_SETTLED, RECORD_COMMIT, RECORD_START])
    assert.ok(seen.get(type)! > 0, `no record of type ${type} was hit`);
});

test('every truncation: cut files give all that is whole, torn tails what was acked', async () => {
  const [first, second] = segments(SECOND);
  const records = recordsOf(second);
  const seen = new Set<number>();
  for (let end = 0; end <= second.offsets.at(-1)!; end += end < SEGMENT_DATA_AT ? 512 : 1) {
    const shorter = second.image.slice(0, end);
    const cut = await repair(filesOf(first, { ...second, image: shorter }));
    const whole = records.filter((record) => record.to <= end).length;
    const left = without(...(whole > 3 ? [1, 2] : [2]));
    if (whole < 1) left.delete(6);
    if (whole < 3) left.delete(7);
    assert.deepEqual([...cut.saved], [...left], `cut at ${end}`);
    assert.equal(cut.report.torn, null);

    // The same bytes gone, but not the file's end: a batch without its commit was never acked.
    const image = second.image.slice().fill(0, Math.max(end, SEGMENT_DATA_AT));
    const same = records.filter(
      (record) =>
        Buffer.compare(
          image.subarray(record.from, record.end),
          second.image.subarray(record.from, record.end),
        ) === 0,
    ).length;
    const torn = await repair(filesOf(first, { ...second, image }));
    const acked = without(...(same >= 5 ? [1, 2] : [2]));
    if (same < 2) acked.delete(6);
    if (same < 5) acked.delete(7);
    assert.deepEqual([...torn.saved], [...acked], `torn at ${end}`);
    assert.equal(torn.report.torn?.messages ?? 0, [0, 1, 0, 1, 1, 0][same], `torn at ${end}`);
    assert.deepEqual(torn.report.lost, []);
    seen.add(same);
  }
  assert.deepEqual([...seen], [0, 1, 2, 3, 4, 5]);
});

function chain(count: number): Built[] {
  return Array.from({ length: count }, (_, n) =>
    buildSegment({ bytes: SMALL, base: n * SMALL, sequence: 1 + 2 * n }, [
      {
        messages: [
          { bucket: 1, body: `a${n}` },
          { bucket: 2, body: `b${n}` },
        ],
        ...(n === 2 ? { settled: [{ sequence: 1, count: 1 }] } : {}),
        last: n < count - 1,
      },
    ]),
  );
}

test('missing segments: what the others hold, and which sequences are gone', async () => {
  const [a, b, c] = chain(3) as [Built, Built, Built];
  const middle = await repair(filesOf(a, c));
  assert.deepEqual([...middle.saved.keys()], [2, 5, 6]);
  assert.deepEqual(middle.report.missing, [
    { from: '8192', to: '16384', fromSequence: '3', toSequence: '5', unsettled: 2 },
  ]);
  const oldest = await repair(filesOf(b, c));
  assert.deepEqual([...oldest.saved.keys()], [3, 4, 5, 6]);
  assert.deepEqual(oldest.report.missing, [
    { from: '0', to: '8192', fromSequence: null, toSequence: '3', unsettled: null },
  ]);
  const newest = await repair(filesOf(a, b));
  assert.deepEqual([...newest.saved.keys()], [1, 2, 3, 4]); // the mark was in the last one
  assert.deepEqual(newest.report.missing, [
    { from: '16384', to: null, fromSequence: '5', toSequence: null, unsettled: null },
  ]);
});

test('damaged headers: the other segments, or else the records, tell key and base', async () => {
  const ruin: [string, (image: Uint8Array) => unknown][] = [
    ['id', (image) => image.fill(7, 32, 40)],
    ['everything but the id', (image) => image.fill(7, 0, 32).fill(7, 40, 4096)],
    ['everything', (image) => image.fill(0, 0, 4096)],
    ['everything and the first record', (image) => image.fill(0, 0, 4100)],
  ];
  for (const [what, bend] of ruin) {
    const one = segments();
    bend(one[0].image);
    const half = await repair(filesOf(...one));
    assert.deepEqual([...half.saved], [...without(1, 2)], `${what}, of one`);
    assert.equal(half.report.problems.length, 1);
    bend(one[1].image.fill(0, 0, 0));
    const both = segments();
    for (const { image } of both) bend(image);
    const none = await repair(filesOf(...both));
    const firstGone = what.includes('first record');
    assert.deepEqual([...none.saved], [...(firstGone ? without(1, 2, 6) : without(1, 2))], what);
    const id = what === 'everything but the id' ? LOG_ID : 99n;
    assert.equal(none.report.written!.logId, id.toString(16).padStart(16, '0'));
  }
});

test('renamed, copied and foreign files', async () => {
  const [first, second] = segments();
  const renamed = await repair(filesOf(first, { ...second, name: segmentName(5 * SMALL) }));
  assert.deepEqual([...renamed.saved], [...without(1, 2)]);
  assert.deepEqual(renamed.report.missing, []);
  assert.match(renamed.report.problems[0]!.text, /renamed or copied/);

  const copied = await repair(filesOf(first, second, { ...first, name: segmentName(5 * SMALL) }));
  assert.deepEqual([...copied.saved], [...without(1, 2)]);
  assert.match(copied.report.problems[1]!.text, /another copy of 0{20}.log, which was read/);

  const image = first.image.slice().fill(9, 20, 21);
  const odd = { ...first, image, name: segmentName(5 * SMALL) };
  assert.deepEqual([...(await repair(filesOf(first, second, odd))).saved], [...without(1, 2)]);

  const stray = buildSegment({ bytes: SMALL, base: 5 * SMALL, logId: 5n }, [
    { messages: [{ bucket: 9, body: 'not ours' }] },
  ]);
  const foreign = await repair(filesOf(first, second, stray));
  assert.deepEqual([...foreign.saved], [...without(1, 2)]);
  assert.match(foreign.report.problems[0]!.text, /another log/);
  const older = { ...stray, ...buildSegment({ bytes: SMALL, logId: 5n }, [{}]) };
  const behind = segments().map((_, n) => chain(3)[n + 1]!);
  assert.deepEqual([...(await repair(filesOf(older, ...behind))).saved.keys()], [3, 4, 5, 6]);
});

test('what was given back does not come back', async () => {
  const [a, , c] = chain(3) as [Built, Built, Built];
  const at = { base: c.base, bytes: SMALL, onto: c.image, offset: c.offsets.at(-1)!, sequence: 7 };
  const trim = { control: [[RECORD_TRIM, 2 * SMALL, 0]] as [number, number, number][] };
  const trimmed = buildSegment(at, [trim]);
  const { report, saved } = await repair(filesOf(a, trimmed));
  assert.deepEqual([...saved.keys()], [5, 6]);
  assert.deepEqual([report.missing, report.unneeded], [[], [a.name]]);
  const torn = buildSegment(at, [{ ...trim, unfinished: true }]);
  assert.deepEqual([...(await repair(filesOf(a, torn))).saved.keys()], [2, 5, 6]);
});

test('what is left of segments that a copy made one, on both sides of a trim, comes back', async () => {
  const [a, , c] = chain(3) as [Built, Built, Built];
  const header = { base: 0, bytes: SMALL, start: 0, logId: LOG_ID, timeMs: TIME_MS, epoch: 1 };
  a.image.set(encodeHeader({ ...header, end: 2 * SMALL }).subarray(0, 64));
  const at = { base: c.base, bytes: SMALL, onto: c.image, offset: c.offsets.at(-1)!, sequence: 7 };
  const trim = { control: [[RECORD_TRIM, SMALL, 0]] as [number, number, number][] };
  const { report, saved } = await repair(filesOf(a, buildSegment(at, [trim])));
  assert.deepEqual([...saved.keys()], [2, 5, 6]);
  assert.deepEqual([report.missing, report.unneeded], [[], []]);
});

test('a batch that lost its commit is saved and called doubtful', async () => {
  const built = segments();
  const commit = recordsOf(built[1])[1]!;
  built[1].image[commit.from + 1]! ^= 4;
  const { report, saved } = await repair(filesOf(...built));
  assert.deepEqual([...saved], [...without(1, 2)]);
  assert.deepEqual(report.doubtful, [
    {
      segment: built[1].name,
      offset: SEGMENT_DATA_AT,
      position: String(SMALL + SEGMENT_DATA_AT),
      fromSequence: '6',
      toSequence: '7',
      messages: 1,
    },
  ]);
  assert.deepEqual(
    report.lost.map(({ offset, bytes, unsettled }) => [offset, bytes, unsettled]),
    [[commit.from, commit.to - commit.from, 0]],
  );
});

test('weak sync modes: what overtook a lost batch is saved', async () => {
  const first = buildSegment({ bytes: SMALL }, FIRST.slice(0, -1));
  const at = { bytes: SMALL, base: SMALL, sequence: first.sequence };
  const late = buildSegment(at, [{ messages: [{ bucket: 9, body: 'late' }], proof: false }]);
  const { saved, report } = await repair(filesOf(first, late));
  assert.deepEqual([...saved], [...[...without(2, 6, 7)], [6, '9:late']]);
  assert.deepEqual(
    report.lost.map(({ segment }) => segment),
    [first.name],
  );
});

test('unreadable blocks cost what is in them and no more', async () => {
  const files = filesOf(...segments());
  // Blocks that hold the first segment's records, and the second one's header.
  const bad = [
    { name: segmentName(0), block: 1 },
    { name: segmentName(SMALL), block: 0 },
  ];
  let fired = 0;
  const names: string[] = [];
  const { open, read } = files;
  files.open = (name, create, done) =>
    open.call(files, name, create, (failure, handle, bytes) => {
      names[handle] = name;
      done(failure, handle, bytes);
    });
  files.read = (handle, into, at, done) => {
    const touches = bad.some(
      ({ name, block }) =>
        name === names[handle] && at < (block + 1) * 4096 && at + into.length > block * 4096,
    );
    if (touches) fired++;
    if (!touches) read.call(files, handle, into, at, done);
    else queueMicrotask(() => done(Object.assign(new Error('EIO'), { code: 'EIO' }), 0));
  };
  const { report, saved } = await repair(files);
  assert.equal(fired, 2, 'a bad block was asked for again');
  assert.deepEqual(
    [...saved],
    [
      [6, '1:six'],
      [7, '3:seven'],
    ],
  );
  assert.deepEqual(report.unreadable, [
    { segment: segmentName(0), offset: 4096, bytes: 4096 },
    { segment: segmentName(SMALL), offset: 0, bytes: 4096 },
  ]);
});

test('what another release wrote, or a person can put right, is refused', async () => {
  const refused = async (files: MemoryFiles, code: string, text: RegExp) => {
    const into = new MemoryFiles();
    const target = { files: into, codec, newLogId: 99n, wallMs: () => TIME_MS };
    await assert.rejects(
      repairLog(files, reader, target, () => {}),
      (error) => {
        assert.ok(error instanceof LogError);
        assert.equal(error.code, code);
        assert.match(error.message, text);
        return true;
      },
    );
    assert.equal(files.changes + into.changes, 0, 'something was written');
  };
  const [first, second] = segments();
  const newer = second.image.slice();
  newer[SEGMENT_VERSION_AT] = 9;
  newer.fill(0, SEGMENT_DATA_AT);
  await refused(filesOf(first, { ...second, image: newer }), 'version', /no other release ever/);
  await refused(filesOf({ ...first, image: new Uint8Array(SMALL) }), 'missing', /nothing to save/);
  await refused(new MemoryFiles(), 'missing', /no segment/);
  const closed = filesOf(first, second);
  closed.fail({ op: 'open', nth: 2, code: 'EACCES' });
  await refused(closed, 'io', /8192.log cannot be opened: EACCES/);
  const failing = filesOf(first, second);
  failing.fail({ op: 'read', nth: 4, code: 'EISDIR' });
  await refused(failing, 'io', /cannot be read: EISDIR/);
});

test('a target that fails, at any step, fails the repair; a full one says so', async () => {
  for (const op of ['open', 'write', 'sync', 'rename', 'syncDirectory'] as const) {
    for (let nth = 1; ; nth++) {
      const into = new MemoryFiles();
      const fault = into.fail({ op, nth, code: 'EIO', times: 1e9 });
      const target = { files: into, codec, newLogId: 99n, wallMs: () => TIME_MS };
      const done = repairLog(filesOf(...segments()), reader, target, () => {});
      const failed = await done.then(
        () => false,
        () => true,
      );
      assert.equal(failed, fault.fired > 0, `${op} ${nth}`);
      if (fault.fired === 0) {
        assert.ok(nth > 1);
        break;
      }
    }
  }
  const full = new MemoryFiles();
  full.capacity = 3 * SMALL;
  const target = { files: full, codec, newLogId: 99n, wallMs: () => TIME_MS };
  const many = buildSegment({ bytes: 4 * SMALL }, [
    { messages: [{ bucket: 1, body: new Uint8Array(20_000).fill(1) }] },
    {},
  ]);
  await assert.rejects(
    repairLog(filesOf(many), reader, target, () => {}),
    /ENOSPC|no space/,
  );
});

test("a broker's log with holes: a broker delivers the rest in order, attempts kept", async () => {
  const world = await World.open(new MemoryFiles());
  const published = new Map<number, string[]>();
  for (let i = 0; i < 400; i++) {
    const bucket = random.below(4);
    const body = `${i}:`.padEnd(4 + random.below(i % 50 === 0 ? 4000 : 600), 'x');
    world.publish([{ bucket, body }]);
    published.set(bucket, [...(published.get(bucket) ?? []), body]);
    if (i % 7 === 0) await world.settle();
  }
  await world.settle();
  const { link, consumer } = world.consume(0, 5);
  await world.settle();
  assert.ok(link.received.length > 0);
  consumer.receive(Uint8Array.from([1, 0, 1, 0, 0])); // two acked, three come back
  await world.settle();
  consumer.gone();
  await world.advance(1000);
  const files = await world.close();
  const logs = files.names().filter((name) => name.endsWith('.log'));
  assert.ok(logs.length > 3, `only ${logs.length} segments`);
  const whole = await repair(files.clone());
  assert.equal(whole.report.saved.messages, 398);
  // Less than before: it is written without the marks about what is gone.
  assert.ok(whole.report.written!.segments > 3);
  assert.ok(whole.attempts.size >= 3);
  const { got } = await recoverFrom(files.clone());
  for (const [sequence, attempts] of whole.attempts)
    assert.equal(attempts, got.attempts.get(sequence));
  const after = await World.open(whole.into);
  for (const [bucket, bodies] of published) {
    const left = bucket === 0 ? bodies.filter((_, at) => at !== 0 && at !== 2) : bodies;
    assert.deepEqual(await after.drain(bucket), left);
  }
  await after.close();

  for (let round = 0; round < 30; round++) {
    const bent = files.clone();
    for (let holes = 1 + random.below(5); holes > 0; holes--) {
      const image = bent.image(logs[random.below(logs.length)]!);
      const from = random.below(image.length);
      image.fill(random.below(256), from, from + random.below(3000));
    }
    const holed = await repair(bent);
    const next = await World.open(holed.into);
    let count = 0;
    for (const [bucket, bodies] of published) {
      const delivered = await next.drain(bucket);
      const places = delivered.map((body) => bodies.indexOf(body));
      assert.ok(!places.includes(-1), 'a message was invented');
      assert.deepEqual(
        places,
        [...new Set(places)].sort((a, b) => a - b),
        'out of order or twice',
      );
      count += delivered.length;
    }
    assert.equal(count, holed.report.saved.messages);
    await next.close();
  }
});
