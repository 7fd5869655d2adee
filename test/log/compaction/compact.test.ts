// Compaction against a model: whatever is compacted, in whatever order, a start finds the same
// messages with the same attempts in the same order. What a crash makes of it is compact-crash's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MARKS_MAX,
  RECORD_ATTEMPTS_AT,
  RECORD_BODY_BYTES_AT,
  RECORD_BUCKET_AT,
  RECORD_COUNT_AT,
  RECORD_POSITION_AT,
  RECORD_SEQUENCE_AT,
  RECORD_TRIM,
  SEGMENT_CRC_AT,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import { type CompactOptions, compact } from '../../../src/log/compaction/compact.ts';
import { type Compacted, removeReplaced, swap } from '../../../src/log/compaction/swap.ts';
import { open } from '../../../src/log/files/promises.ts';
import { decodeHeader, encodeHeader, segmentName } from '../../../src/log/segments/segment.ts';
import { type DumpEntry, dumpLog, lineOf, type RecordEntry } from '../../../src/log/tools/dump.ts';
import { verifyLog } from '../../../src/log/tools/verify.ts';
import { freshEngine } from '../../support/engine.ts';
import type { MemoryFiles } from '../../support/memory-files.ts';
import { paceOf } from '../../support/pace.ts';
import { Random, seedOf } from '../../support/random.ts';
import { ModelLog, startOn } from '../compacting.ts';
import {
  type BatchPlan,
  type Built,
  buildSegment,
  codec,
  filesOf,
  LOG_ID,
  TIME_MS,
  World,
} from '../harness.ts';

const seed = seedOf('log/compaction/compact.test');

/** The entries are what stands in the file. */
function checkEntries(files: MemoryFiles, made: Compacted, log: ModelLog): void {
  const image = files.image(segmentName(made.base));
  const view = new DataView(image.buffer, image.byteOffset);
  const { entries } = made;
  let messages = 0;
  let bytes = 0;
  for (let i = 0; i < entries.count; i++) {
    const at = entries.position(i) - made.base;
    const u64 = (field: number) => Number(view.getBigUint64(at + field, true));
    assert.equal(u64(RECORD_POSITION_AT), entries.position(i));
    assert.equal(u64(RECORD_SEQUENCE_AT), entries.sequence(i));
    assert.equal(view.getUint32(at + RECORD_BUCKET_AT, true), entries.lines.bucketLow(i));
    assert.equal(view.getUint32(at + RECORD_BUCKET_AT + 4, true), entries.lines.bucketHigh(i));
    assert.equal(view.getUint32(at + RECORD_COUNT_AT, true), entries.messages(i));
    assert.equal(view.getUint32(at + RECORD_BODY_BYTES_AT, true), entries.bodyBytes(i));
    assert.equal(view.getUint32(at + RECORD_ATTEMPTS_AT, true), entries.attempts(i));
    for (let n = 0; n < entries.messages(i); n++) {
      const known = log.messages.get(entries.sequence(i) + n)!;
      assert.deepEqual([known.settled, known.attempts], [false, entries.attempts(i)]);
    }
    messages += entries.messages(i);
    bytes += entries.bodyBytes(i);
  }
  assert.deepEqual([made.liveMessages, made.liveBytes], [messages, bytes]);
  assert.equal(view.getUint32(SEGMENT_CRC_AT, true), made.identity);
  const header = decodeHeader(image.subarray(0, 64), 'it');
  assert.deepEqual(
    [header.base, header.bytes, header.end],
    [made.base, image.length, made.end],
    'the header says something else than the result',
  );
}

test('any neighbours, again and again, while messages come and go: a start finds the same', async () => {
  const seen = { compacted: 0, again: 0, refused: 0, trims: 0, stale: 0, superseded: 0 };
  for (let run = 0; run < 60; run++) {
    const random = new Random(seed + run);
    const log = new ModelLog(random, 4 + random.below(4));
    const made = new Set<number>();
    for (let step = 0; step < 14; step++) {
      const why = `seed ${seed + run}, step ${step}`;
      const choice = random.below(10);
      if (choice < 3) log.append();
      else if (choice === 3) log.settleMost();
      else if (choice < 6) {
        const stale = random.below(2) === 0;
        const trimmed = log.trim(stale);
        if (trimmed > 0) seen[stale ? 'stale' : 'trims']++;
      } else if (log.sealed.length > 0) {
        const from = random.below(log.sealed.length);
        const to = from + 1 + random.below(Math.min(3, log.sealed.length - from));
        const again = log.sealed.slice(from, to).some(({ base }) => made.has(base));
        const keep = random.below(2) === 0;
        const result = await log.compact(from, to, keep);
        if (result === undefined) seen.refused++;
        else {
          seen.compacted++;
          if (again) seen.again++;
          if (keep && to - from > 1) seen.superseded++;
          made.add(result.base);
          checkEntries(log.files, result, log);
        }
      }
      await log.check(why);
      const report = await verifyLog(log.files.clone(), codec, () => {});
      assert.deepEqual([report.verdict, report.bad, report.missing], ['clean', [], []], why);
      assert.ok(!log.files.names().includes('compact.tmp'), why);
    }
  }
  assert.ok(Math.min(...Object.values(seen)) > 5, JSON.stringify(seen));
});

test('a start on superseded files removes them, after the folder was synced', async () => {
  const log = new ModelLog(new Random(11), 5);
  log.settleMost();
  const made = await log.compact(1, 4, true);
  assert.equal(made!.replaced.length, 2);
  const report = await verifyLog(log.files.clone(), codec, () => {});
  assert.deepEqual(report.leftovers, made!.replaced);
  assert.equal(report.verdict, 'clean');
  const files = log.files.clone();
  files.auto = false;
  const ops: string[] = [];
  let over = false;
  void startOn(files).then(() => (over = true));
  while (!over) {
    await new Promise((resolve) => setImmediate(resolve));
    const [next] = files.pending;
    if (next !== undefined) ops.push(`${next.op} ${next.name}`);
    files.step();
  }
  const changes = ops.filter((op) => /^(remove|syncDirectory|rename)/.test(op));
  assert.equal(changes[0], 'syncDirectory ');
  assert.deepEqual(
    changes.filter((op) => op.startsWith('remove')),
    made!.replaced.map((name) => `remove ${name}`),
  );
});

test('nothing live: a valid segment that holds nothing, and the log goes on behind it', async () => {
  const log = new ModelLog(new Random(12), 4);
  const { first } = log.sealed.at(-1)!;
  const options = { ...(await log.options(0, 2)), isSettled: () => true };
  const made = await compact(options);
  assert.deepEqual([made!.bytes, made!.liveMessages, made!.entries.count], [8192, 0, 0]);
  await swap(log.files, made!);
  await removeReplaced(log.files, made!);
  const { waiting } = await startOn(log.files.clone());
  for (const [bucket, line] of Object.entries(waiting))
    assert.deepEqual(
      line,
      log.expected[bucket]!.filter(([sequence]) => sequence >= first),
    );
});

test('what would not become smaller stays, and no file is left', async () => {
  const built = [0, 1, 2].map((n) =>
    buildSegment({ base: n * 8192, bytes: 8192, sequence: 1 + n }, [
      { messages: [{ bucket: 1, body: 'b'.repeat(3000) }], last: n < 2 },
    ]),
  );
  const files = filesOf(...built);
  const { handle } = await open(files, segmentName(0));
  const options = {
    ...(await new ModelLog(new Random(1), 2).options(0, 1)),
    files,
    segments: [{ base: 0, bytes: 8192, handle }],
    isSettled: () => false,
    attemptsOf: () => 0,
  };
  assert.equal(await compact(options), undefined);
  assert.deepEqual(
    files.names(),
    built.map(({ name }) => name),
  );
  // A segment of messages of a byte each, every other one settled, would even grow.
  const messages = Array.from({ length: 600 }, () => ({ bucket: 1, body: 'x' }));
  const tiny = filesOf(buildSegment({ bytes: 8192 }, [{ messages, last: true }]));
  const opened = await open(tiny, segmentName(0));
  const grows = {
    ...options,
    files: tiny,
    segments: [{ base: 0, bytes: 8192, handle: opened.handle }],
    isSettled: (sequence: number) => sequence % 2 === 0,
  };
  assert.equal(await compact(grows), undefined);
  assert.deepEqual(tiny.names(), [segmentName(0)]);
});

test('segments that do not verify, or are not what they are called, are refused', async () => {
  const log = new ModelLog(new Random(13), 5);
  log.settleMost();
  const names = log.files.names();
  const refused = async (change: (options: Awaited<ReturnType<ModelLog['options']>>) => object) => {
    const options = await log.options(0, 3);
    const given = { ...options, ...change(options) };
    const error = await compact(given).then(
      () => assert.fail('it was compacted'),
      (failure) => failure as Error,
    );
    assert.deepEqual(log.files.names(), names);
    return error.message;
  };
  assert.match(await refused(() => ({ segments: [] })), /no segment was given/);
  assert.match(
    await refused(({ segments: [a, , c] }) => ({ segments: [a!, c!] })),
    /with what is before it, but that ends at 16384: only neighbours/,
  );
  assert.match(await refused(() => ({ logId: 5n })), /is not the segment that was to be compacted/);
  type Source = CompactOptions['segments'][number];
  const others: ((one: Source, next: Source) => object)[] = [
    () => ({ bytes: 8192 }),
    (_one, { handle }) => ({ handle }),
  ];
  for (const change of others)
    assert.match(
      await refused(({ segments: [a, b] }) => ({ segments: [{ ...a!, ...change(a!, b!) }, b!] })),
      /0{20}\.log is not the segment that was to be compacted/,
    );
  const image = log.files.image(names[1]!);
  image[SEGMENT_DATA_AT + 200]! ^= 4;
  assert.match(
    await refused(() => ({})),
    /00000000000000016384\.log was to be compacted, but does not verify at offset \d+/,
  );
  image[SEGMENT_DATA_AT + 200]! ^= 4;
  await log.check('afterwards');
});

test('more bytes than a segment can have are refused before anything is read of them', async () => {
  const half = 2 ** 31;
  const heads = [0, 1].map((n) => {
    const header = {
      base: n * half,
      bytes: half,
      start: 0,
      logId: LOG_ID,
      timeMs: TIME_MS,
      epoch: 1,
    };
    const image = encodeHeader(header);
    return { name: segmentName(header.base), base: header.base, image, offsets: [], sequence: 1 };
  });
  const files = filesOf(...heads);
  const segments: { base: number; bytes: number; handle: number }[] = [];
  for (const { name, base } of heads)
    segments.push({ base, bytes: half, handle: (await open(files, name)).handle });
  const options = { ...(await new ModelLog(new Random(1), 2).options(0, 1)), files, segments };
  await assert.rejects(compact(options), {
    name: 'RangeError',
    message: /the segments from 0{20}\.log on have over 4294963200 bytes: compact fewer at a time/,
  });
  assert.equal(files.changes, 0);
});

test('marks about older messages stay, merged; those about what is gone do not', async () => {
  const first = buildSegment({ bytes: 8192 }, [
    { messages: Array.from({ length: 9 }, (_, i) => ({ bucket: 1, body: `${i}` })), last: true },
  ]);
  const at = (n: number, sequence: number) => ({ base: n * 8192, bytes: 8192, sequence });
  const second = buildSegment(at(1, 10), [
    { settled: [{ sequence: 1, count: 1 }], returned: [{ sequence: 5, count: 2, attempts: 1 }] },
    { messages: [{ bucket: 1, body: 'in the second' }] },
    { settled: [{ sequence: 2, count: 2 }], control: [[RECORD_TRIM, 0, 0]], last: true },
  ]);
  const third = buildSegment(at(2, 11), [
    { returned: [{ sequence: 6, count: 1, attempts: 2 }] },
    { settled: [{ sequence: 10, count: 1 }], returned: [{ sequence: 2, count: 1, attempts: 9 }] },
    { returned: [{ sequence: 10, count: 1, attempts: 3 }], last: true },
  ]);
  const fourth = buildSegment(at(3, 11), [{}]);
  const marksOf = async (oldestNeeded: number) => {
    const files = filesOf(first, second, third, fourth);
    const before = await startOn(files.clone());
    const isSettled = (sequence: number) => sequence === 10;
    await compactThese(files, [second, third], { isSettled, oldestNeeded });
    if (oldestNeeded === 1)
      assert.deepEqual((await startOn(files.clone())).waiting, before.waiting);
    const entries = await dumped(files, second.name);
    return entries.flatMap(({ type, marks }) =>
      (marks ?? []).map(({ sequence, count, attempts }) => [type, sequence, count, attempts]),
    );
  };
  assert.deepEqual(await marksOf(1), [
    ['settled', '1', 3, undefined],
    ['returned', '5', 1, 1],
    ['returned', '6', 1, 2],
  ]);
  assert.deepEqual(await marksOf(3), [
    ['settled', '3', 1, undefined],
    ['returned', '5', 1, 1],
    ['returned', '6', 1, 2],
  ]);
  assert.deepEqual(await marksOf(10), []);
});

async function dumped(files: MemoryFiles, segment: string): Promise<RecordEntry[]> {
  const entries: DumpEntry[] = [];
  await dumpLog(files, codec, { segment, write: async (more) => void entries.push(...more) });
  assert.ok(entries.every(({ type }) => type !== 'gap'));
  return entries.filter((entry): entry is RecordEntry => entry.type !== 'segment');
}

/** Compacts these segments with nothing known but what is said. */
async function compactThese(
  files: MemoryFiles,
  built: Built[],
  more: Partial<CompactOptions>,
): Promise<Compacted> {
  const segments: { base: number; bytes: number; handle: number }[] = [];
  for (const { base, name } of built) {
    const { handle, bytes } = await open(files, name);
    segments.push({ base, bytes, handle });
  }
  const made = await compact({
    files,
    codec: freshEngine(),
    logId: LOG_ID,
    segments,
    isSettled: () => true,
    attemptsOf: () => 0,
    start: 0,
    oldestNeeded: 1,
    wallMs: () => 0,
    pace: paceOf(setImmediate),
    turn: async () => {},
    ...more,
  });
  await swap(files, made!);
  await removeReplaced(files, made!);
  return made!;
}

/** Segments of 8 KiB from this one on. */
function chain(plans: BatchPlan[][]): Built[] {
  const built: Built[] = [];
  for (const batches of plans) {
    const sequence = built.at(-1)?.sequence ?? 1;
    built.push(buildSegment({ base: built.length * 8192, bytes: 8192, sequence }, batches));
  }
  return built;
}

const ONE = [{ bucket: 1, body: 'one' }];

test('a file given back late stays out, though marks about it are gone', async () => {
  const built = chain([
    [{ messages: ONE, last: true }],
    [{ settled: [{ sequence: 1, count: 1 }], last: true }],
    [{ messages: ONE, last: true }],
    [{}],
  ]);
  const files = filesOf(...built);
  await compactThese(files, built.slice(1, 3), { start: 8192, oldestNeeded: 2 });
  assert.deepEqual((await startOn(files.clone())).waiting, {});
  const report = await verifyLog(files.clone(), codec, () => {});
  assert.deepEqual([report.verdict, report.unneeded], ['clean', [built[0]!.name]]);
  const world = await World.open(files.clone());
  const after = await world.close();
  assert.ok(!after.names().includes(built[0]!.name));
});

test('messages before a trim whose marks were lost wait again, also when the trim was compacted', async () => {
  // The batch with the trim was written and never acked; a start found it whole.
  const built = chain([
    [{ messages: ONE, last: true }],
    [{ control: [[RECORD_TRIM, 8192, 0]], last: true }],
    [{ messages: ONE, last: true }],
    [{}],
  ]);
  const files = filesOf(...built);
  await compactThese(files, built.slice(1, 3), {
    start: 0,
    oldestNeeded: 1,
    isSettled: (sequence) => sequence === 2,
  });
  assert.deepEqual((await startOn(files.clone())).waiting, { 1: [[1, 0, 'one']] });
  const world = await World.open(files.clone());
  assert.deepEqual(await world.drain(1), ['one']);
  await world.close();
});

test('the log goes on behind what is compacted with the sequence that it ended with', async () => {
  const built = chain([[{ messages: ONE }, { last: true }], [{ messages: ONE, last: true }], []]);
  const files = filesOf(...built);
  await compactThese(files, built.slice(0, 2), {});
  const { recovered } = await startOn(files);
  assert.deepEqual([recovered.resume.sequence, recovered.resume.base], [3, 2 * 8192]);
});

test('compacted again, it keeps no marks about what was dropped the first time', async () => {
  const built = chain([
    [{ messages: ONE, last: true }],
    [{ messages: [...ONE, ...ONE], last: true }],
    [{ messages: ONE, settled: [{ sequence: 1, count: 1 }], last: true }],
    [{ messages: ONE, settled: [{ sequence: 2, count: 1 }], last: true }],
    [{}],
  ]);
  const files = filesOf(...built);
  const isSettled = (sequence: number) => sequence < 3;
  await compactThese(files, built.slice(1, 3), { isSettled });
  await compactThese(files, [built[1]!, built[3]!], { isSettled });
  const marks = (await dumped(files, built[1]!.name)).flatMap((entry) => entry.marks ?? []);
  assert.deepEqual(marks, [{ sequence: '1', count: 1 }]);
});

test('compacted again after a start, a message keeps the attempts that its record carries', async () => {
  const built = chain([
    [{ messages: [...ONE, ...ONE, ...ONE], last: true }],
    [{ messages: ONE, last: true }],
    [{ messages: ONE, last: true }],
    [{}],
  ]);
  const files = filesOf(...built);
  const isSettled = (sequence: number) => sequence === 1 || sequence > 3;
  const times = (two: number, three: number) => (sequence: number) =>
    sequence === 2 ? two : sequence === 3 ? three : 0;
  await compactThese(files, built.slice(0, 2), { isSettled, attemptsOf: times(3, 4) });
  // Marks behind it may know more than a record; without them nothing else is known.
  const made = await compactThese(files, [built[0]!, built[2]!], {
    isSettled,
    attemptsOf: times(0, 5),
  });
  const { entries } = made;
  const kept = Array.from({ length: entries.count }, (_, i) => [
    entries.sequence(i),
    entries.attempts(i),
  ]);
  assert.deepEqual(kept, [
    [2, 3],
    [3, 5],
  ]);
});

test('more marks than fit a record become several', async () => {
  const count = MARKS_MAX + 100;
  const messages = Array.from({ length: MARKS_MAX }, () => ({ bucket: 1, body: 'x' }));
  const bytes = 2 * 1024 * 1024;
  const rest = { messages: messages.slice(0, 200), last: true };
  const first = buildSegment({ bytes }, [{ messages }, { messages }, rest]);
  assert.equal(first.sequence, 2 * count + 1);
  const marks = Array.from({ length: count }, (_, i) => ({ sequence: 2 * i + 1, count: 1 }));
  const at = { base: bytes, bytes, sequence: first.sequence };
  const second = buildSegment(at, [
    { settled: marks.slice(0, 1000) },
    { settled: marks.slice(1000), last: true },
  ]);
  const third = buildSegment({ base: 2 * bytes, bytes: 8192, sequence: first.sequence }, [{}]);
  const files = filesOf(first, second, third);
  const before = await startOn(files.clone());
  await compactThese(files, [second], {});
  const entries = await dumped(files, second.name);
  const counts = entries.flatMap((entry) => (entry.type === 'settled' ? [entry.count] : []));
  assert.deepEqual(counts, [MARKS_MAX, 100]);
  assert.deepEqual((await startOn(files.clone())).waiting, before.waiting);
});

test('large segments: read by the MiB with a turn between, batches of at most 4 MiB', async () => {
  const bytes = 12 * 1024 * 1024;
  const body = new Uint8Array(1000).fill(7);
  const batch = { messages: Array.from({ length: 1000 }, (_, i) => ({ bucket: i >> 7, body })) };
  const first = buildSegment({ bytes }, [...Array(10).fill(batch), { last: true }]);
  const large = { messages: [{ bucket: 1, body: new Uint8Array(5 * 1024 * 1024) }], last: true };
  const at = { base: bytes, bytes, sequence: first.sequence };
  const second = buildSegment(at, [batch, large]);
  const { sequence } = second;
  const third = buildSegment({ base: 2 * bytes, bytes: 8192, sequence }, [{}]);
  const files = filesOf(first, second, third);
  let turns = 0;
  const reads: number[] = [];
  const read = files.read.bind(files);
  files.read = (handle, into, from, done) => {
    reads.push(into.length);
    read(handle, into, from, done);
  };
  const made = await compactThese(files, [first, second], {
    isSettled: (sequence) => sequence % 2 === 0 && sequence < 11_000,
    turn: async () => void turns++,
  });
  assert.ok(turns >= 12, `only ${turns} turns`);
  assert.equal(reads.filter((size) => size > 1024 * 1024).length, 1, 'but for the large record');
  assert.equal(made.liveMessages, 5_502);
  const commits = (await dumped(files, first.name)).filter(({ type }) => type === 'commit');
  const sizes = commits.map(({ position, batch: began }) => Number(position) - Number(began));
  assert.ok(sizes.length > 3 && sizes.filter((size) => size > 4 * 1024 * 1024).length === 1);
  assert.deepEqual(
    commits.map(({ flags }) => flags.includes('last')),
    commits.map((_, i) => i === commits.length - 1),
  );
  const { recovered } = await startOn(files.clone());
  assert.equal(recovered.resume.sequence, sequence);
});

test('a broker delivers what was kept, byte for byte, from where it stands now', async () => {
  const log = new ModelLog(new Random(14), 6);
  log.settleMost();
  await log.compact(0, 2);
  await log.compact(1, 4);
  const files = log.files.clone();
  const world = await World.open(files);
  for (const [bucket, line] of Object.entries(log.expected))
    assert.deepEqual(
      await world.drain(Number(bucket)),
      line.map(([, , body]) => body),
    );
  await world.close();
});

test('a dump says that a segment is compacted, and where the next one begins', async () => {
  const log = new ModelLog(new Random(15), 4);
  log.settleMost();
  await log.compact(0, 3);
  const entries: DumpEntry[] = [];
  const write = async (more: DumpEntry[]) => void entries.push(...more);
  await dumpLog(log.files, codec, { segment: '0', write });
  const [head] = entries;
  assert.ok(head?.type === 'segment');
  assert.deepEqual([head.header?.version, head.header?.end], [2, String(log.base)]);
  assert.match(lineOf(head), new RegExp(`, compacted, stands for all up to ${log.base}$`));
});
