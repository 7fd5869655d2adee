// Format version 3 in a log: when it begins, that an earlier release refuses it, that a message
// that is moved is in one place after any crash, and what compaction, tools and repair make of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RECORD_HEADER_BYTES,
  RECORD_PLACED,
  SEGMENT_HEADER_BYTES,
  SEGMENT_VERSION_PLACED,
} from '../../assembly/layout.ts';
import {
  CAUSE_FAILED,
  KIND_DEAD,
  KIND_LIVE,
  REASON_DELIVERIES,
} from '../../assembly/layout-placed.ts';
import { type Move, place } from '../../src/core/commit/placing.ts';
import { type Deferral, NO_HEAD } from '../../src/core/records/placed.ts';
import { type CompactOptions, compact } from '../../src/log/compaction/compact.ts';
import { removeReplaced, swap } from '../../src/log/compaction/swap.ts';
import { open } from '../../src/log/files/promises.ts';
import { baseOf, decodeHeader, encodeHeader, segmentName } from '../../src/log/segments/segment.ts';
import { type DumpEntry, dumpLog, lineOf } from '../../src/log/tools/dump.ts';
import { repairLog } from '../../src/log/tools/repair.ts';
import { statLog } from '../../src/log/tools/stat.ts';
import { verifyLog } from '../../src/log/tools/verify.ts';
import { freshEngine } from '../support/engine.ts';
import { anyFate, loseAll, MemoryFiles } from '../support/memory-files.ts';
import { paceOf } from '../support/pace.ts';
import { Random, seedOf } from '../support/random.ts';
import { refusalOf01 } from './frozen-header.ts';
import {
  buildSegment,
  codec,
  filesOf,
  LOG_ID,
  recoverFrom,
  SEGMENT_BYTES,
  TIME_MS,
  World,
} from './harness.ts';

const seed = seedOf('log/places.test');
const VERSION = SEGMENT_VERSION_PLACED;
const SECOND = segmentName(SEGMENT_BYTES);

const MOVE: Move = {
  first: 1,
  count: 1,
  low: 9,
  high: 0,
  kind: 0,
  head: { ...NO_HEAD, from: 2, fromBucket: 1n, movedMs: TIME_MS, reason: REASON_DELIVERIES },
  settles: true,
  attempts: 0,
};
const DEFERRAL: Deferral = {
  sequence: 1,
  count: 1,
  turn: 1,
  dueMs: TIME_MS + 60_000,
  bucket: 1n,
  attempts: 1,
  kind: 0,
  level: 0,
  cause: CAUSE_FAILED,
};

/** Three messages in bucket 1, and where their record is. */
async function published(files = new MemoryFiles()): Promise<{ world: World; body: number }> {
  const world = await World.open(files);
  const messages = ['one', 'two', 'three'].map((body) => ({ bucket: 1, body }));
  const position = world.broker.commit.endPosition;
  world.publish(messages);
  await world.settle();
  return { world, body: world.broker.commit.hot(position) + RECORD_HEADER_BYTES };
}

const BODY_BYTES = 3 * 4 + 'onetwothree'.length;

function headersOf(files: MemoryFiles): number[] {
  const names = files.names().filter((name) => baseOf(name) !== undefined);
  return names
    .sort()
    .map((name) => new DataView(files.image(name).slice().buffer).getUint32(8, true));
}

/** What waits, as a start finds it: `bucket:body` by sequence. */
async function waiting(files: MemoryFiles): Promise<[number, string][]> {
  const { got } = await recoverFrom(files);
  return [...got.messages].filter(([sequence]) => !got.settled.has(sequence));
}

test('the payload of a moved message is its bytes: live, counted anew, and after a start', async () => {
  const { world, body } = await published();
  const payloadOf = ({ broker }: World) => broker.buckets.payload.of(broker.buckets.find(9, 0));
  world.broker.buckets.countPayload();
  while (!place(world.broker.commit, codec, body, BODY_BYTES, MOVE)) await world.settle();
  world.broker.flushSoon();
  await world.settle();
  assert.equal(payloadOf(world), 'two'.length);
  world.broker.buckets.countPayload();
  assert.equal(payloadOf(world), 'two'.length);
  const next = await World.open(world.files.crash(loseAll));
  next.broker.buckets.countPayload();
  assert.equal(payloadOf(next), 'two'.length);
  next.publish([{ bucket: 9, body: 'four' }]);
  await next.settle();
  assert.equal(payloadOf(next), 'twofour'.length);
});

test('version 3 begins with the first record that needs it, in a segment of its own', async () => {
  const { world, body } = await published();
  assert.deepEqual(headersOf(world.files), [1, 1]);
  const ask = () => place(world.broker.commit, codec, body, BODY_BYTES, MOVE);
  assert.equal(ask(), false, 'the header of the next segment has to be raised first');
  await world.settle();
  assert.deepEqual(headersOf(world.files), [1, 3]);
  assert.equal(ask(), false, 'what closes the segment before is in the way until it is on disk');
  await world.settle();
  assert.equal(ask(), true);
  world.broker.flushSoon();
  await world.settle();
  assert.deepEqual(headersOf(world.files), [1, 3, 3]);
  const files = world.files.crash(loseAll);
  assert.deepEqual(await waiting(files.clone()), [
    [1, '1:one'],
    [3, '1:three'],
    [4, '9:two'],
  ]);
  // A broker goes on in it, and delivers it as any other.
  const next = await World.open(files);
  assert.deepEqual(await next.drain(9), ['two']);
  assert.deepEqual(await next.drain(1), ['one', 'three']);
  const body2 = next.broker.commit.endPosition;
  next.publish([{ bucket: 1, body: 'four' }]);
  await next.settle();
  assert.ok(body2 > SEGMENT_BYTES);
  assert.equal(next.broker.commit.mayPlace(), true, 'the open segment is one of version 3');
});

test('a raised header whose sync failed is on disk before the next start goes on to it', async () => {
  const { world } = await published();
  world.files.fail({ op: 'sync', nth: 1, code: 'EIO' });
  world.files.fail({ op: 'remove', nth: 1, code: 'EIO' });
  world.broker.commit.mayPlace();
  await world.settle();
  assert.deepEqual(headersOf(world.files.fork().crash(loseAll)), [1, 1]);
  const left = world.files.kill();
  assert.deepEqual(headersOf(left), [1, 3], 'the system shows it');
  const next = await World.open(left);
  assert.equal(next.broker.commit.mayPlace(), true);
  assert.deepEqual(headersOf(next.files.fork().crash(loseAll)), [1, 3]);
});

test('deferrals wait for such a segment, and are folded live as by a start', async () => {
  const { world } = await published();
  // As if a consumer had held them.
  const { delayed } = world.broker.buckets;
  delayed.pending += DEFERRAL.count + DEFERRAL.count;
  delayed.count += DEFERRAL.count + DEFERRAL.count;
  world.broker.commit.defer(DEFERRAL);
  world.broker.commit.defer({ ...DEFERRAL, sequence: 2 });
  const { waiting: waits, turns } = world.broker.buckets.outcomes;
  await world.settle();
  await world.advance(1000);
  await world.advance(1000);
  assert.deepEqual(
    [1, 2, 3].map((each) => [waits.has(each), turns.get(each)]),
    [
      [true, 1],
      [true, 1],
      [false, 0],
    ],
  );
  const files = await world.close();
  const { got } = await recoverFrom(files.clone());
  assert.deepEqual(
    [...got.deferred],
    [
      [1, [1, 0, DEFERRAL.dueMs]],
      [2, [1, 0, DEFERRAL.dueMs]],
    ],
  );
  const next = await World.open(files);
  const again = next.broker.buckets.outcomes;
  assert.deepEqual(
    [1, 2, 3].map((each) => again.waiting.has(each)),
    [true, true, false],
  );
  assert.equal(again.attempts.get(2), 1);
});

test('release 0.1 refuses every header that says 3, in its own words', () => {
  const header = { base: 0, bytes: 8192, start: 0, logId: LOG_ID, timeMs: TIME_MS, epoch: 1 };
  const text =
    'x has format version 3; this program reads versions 1 and 2. Nothing was changed. Use the release that wrote it';
  for (const more of [{}, { end: 65_536 }]) {
    const bytes = encodeHeader({ ...header, ...more, version: VERSION });
    assert.equal(refusalOf01(bytes, 'x'), text);
    assert.equal(refusalOf01(encodeHeader({ ...header, ...more }), 'x'), undefined);
    assert.deepEqual(decodeHeader(bytes, 'x'), { ...header, ...more, version: VERSION });
  }
});

// The first segment may not say that the log goes on before the header that it goes on to is
// raised: an earlier release would believe both, and meet a record that it does not know.
function checkOrder(files: MemoryFiles, why: string): void {
  const names = files.names().filter((name) => baseOf(name) !== undefined);
  for (const name of names) {
    const image = files.image(name).slice();
    if (refusalOf01(image.subarray(0, SEGMENT_HEADER_BYTES), name) !== undefined) continue;
    codec.memory.set(image.subarray(4096), 0);
    const rows: number[] = [];
    codec.scan(0, image.length - 4096, baseOf(name)! + 4096);
    const words = codec.rows;
    for (let at = 0; at < codec.result[2]! * 12; at += 12) rows.push(words[at]!, words[at + 1]!);
    for (let i = 0; i < rows.length; i += 2) {
      assert.ok(rows[i]! < RECORD_PLACED, `${why}: ${name} holds a record that 0.1 does not know`);
      if ((rows[i + 1]! & 2) === 0) continue;
      const next = image.length + baseOf(name)!;
      assert.ok(names.includes(segmentName(next)), `${why}: what it goes on to has no name`);
      const head = files.image(segmentName(next)).subarray(0, SEGMENT_HEADER_BYTES);
      assert.ok(refusalOf01(head, 'x') !== undefined, `${why}: 0.1 would go on`);
    }
  }
}

test('after a crash at any step of a move the message is in one place', async () => {
  const { world, body } = await published();
  const { files } = world;
  files.auto = false;
  const random = new Random(seed);
  const seen = { old: 0, moved: 0 };
  let isPlaced = false;
  world.broker.commit.mayPlace();
  for (let step = 0; step < 60; step++) {
    isPlaced ||= place(world.broker.commit, codec, body, BODY_BYTES, MOVE);
    if (isPlaced) world.broker.commit.flush();
    for (const fate of [loseAll, anyFate(random), anyFate(random)]) {
      const left = files.fork().crash(fate);
      const why = `step ${step}, THRUSTMQ_TEST_SEED=${seed}`;
      // Recovery and the live broker share the codec: what it holds is put back.
      const kept = codec.memory.slice(codec.coldBytes, codec.coldBytes + SEGMENT_BYTES);
      const at = codec.writeAt();
      checkOrder(left, why);
      const found = (await waiting(left))
        .map(([, text]) => text)
        .filter((text) => /two/.test(text));
      assert.equal(found.length, 1, `${why}: ${found}`);
      if (found[0] === '9:two') seen.moved++;
      else seen.old++;
      codec.memory.set(kept, codec.coldBytes);
      assert.equal(codec.writeAt(), at);
    }
    if (files.pending.length > 0) files.step();
    await new Promise((resolve) => setImmediate(resolve));
    world.turn();
  }
  assert.ok(seen.old > 10 && seen.moved > 10, JSON.stringify(seen));
});

/** Two closed segments and an open one: moves, deferrals, producers, ids, fields, a dead line. */
function everything(): ReturnType<typeof buildSegment>[] {
  const plain = (...bodies: string[]) => bodies.map((body) => ({ bucket: 5, body }));
  const first = buildSegment({}, [{ messages: plain('a', 'b', 'c', 'd') }, { last: true }]);
  const dead = { from: 2, fromBucket: 5n, movedMs: TIME_MS, reason: REASON_DELIVERIES };
  const second = buildSegment({ base: SEGMENT_BYTES, version: VERSION, sequence: first.sequence }, [
    {
      messages: plain('e', 'f'),
      placed: [
        { bucket: 5, bodies: ['b'], kind: KIND_DEAD, settles: true, head: dead },
        { bucket: 6, bodies: ['g', 'h', 'i'], fields: '\u0001\u0002\u0000id', attempts: 3 },
        { bucket: 6, bodies: ['late'], head: { dueMs: TIME_MS + 5, turn: 1 } },
      ],
      deferred: [DEFERRAL, { ...DEFERRAL, sequence: 3, turn: 2, level: 4 }],
      producers: [
        [7, 1],
        [8, 1],
      ],
      ids: { bucket: 5, timeMs: TIME_MS, count: 2 },
    },
    {
      // About a message that is deferred already: once an older turn, once a newer one.
      deferred: [
        { ...DEFERRAL, sequence: 3, turn: 1, level: 1 },
        { ...DEFERRAL, turn: 2, dueMs: 0, attempts: 2 },
        { ...DEFERRAL, sequence: 5, count: 2 },
      ],
      producers: [[7, 2]],
      last: true,
    },
  ]);
  const third = buildSegment(
    { base: 2 * SEGMENT_BYTES, version: VERSION, sequence: second.sequence },
    [{ messages: plain('z') }, { settled: [{ sequence: 9, count: 1 }] }],
  );
  return [first, second, third];
}

async function compactSecond(
  files: MemoryFiles,
  isSettled: (sequence: number) => boolean,
  more: Partial<CompactOptions> = {},
) {
  const { handle, bytes } = await open(files, SECOND);
  const made = await compact({
    files,
    codec: freshEngine(),
    logId: LOG_ID,
    segments: [{ base: SEGMENT_BYTES, bytes, handle }],
    isSettled,
    attemptsOf: () => 0,
    start: 0,
    oldestNeeded: 1,
    wallMs: () => TIME_MS,
    pace: paceOf((call) => void setImmediate(call)),
    turn: async () => {},
    ...more,
  });
  assert.ok(made !== undefined);
  await swap(files, made);
  await removeReplaced(files, made);
  return made;
}

async function linesOf(files: MemoryFiles): Promise<string[]> {
  const entries: DumpEntry[] = [];
  const write = async (more: DumpEntry[]) => void entries.push(...more);
  await dumpLog(files, codec, { bodies: true, write });
  return entries.map(lineOf);
}

test('a start finds the same after a compaction: a move is a mark then, the higher turn stays', async () => {
  const files = filesOf(...everything());
  const before = (await recoverFrom(files.clone())).got;
  const made = await compactSecond(files, (sequence) => sequence === 6 || sequence === 9);
  const { got } = await recoverFrom(files.clone());
  const left = (of: typeof got) => [...of.messages].filter(([each]) => !of.settled.has(each));
  const expected = left(before).filter(([sequence]) => sequence !== 6);
  assert.deepEqual(left(got), expected);
  assert.ok(!left(got).some(([, text]) => text === '5:b'), 'it is in one place');
  for (const [sequence] of left(got)) {
    assert.deepEqual(got.deferred.get(sequence), before.deferred.get(sequence), `${sequence}`);
    assert.equal(got.attempts.get(sequence) ?? 0, before.attempts.get(sequence) ?? 0);
  }
  const lines = (await linesOf(files)).join('\n');
  assert.match(lines, /stands for all up to/);
  assert.match(
    lines,
    /kind dead .*reason max-deliveries from live bucket 5 sequences 2-2 attempts 0,/,
  );
  assert.doesNotMatch(lines, /settled,/);
  assert.match(lines, /settled \[proof\] .* sequences 2-2,/);
  assert.match(lines, /producers .* id|producer 08.* number 1 .*, producer 07.* number 2 /);
  assert.equal(new DataView(files.image(SECOND).slice().buffer).getUint32(8, true), VERSION);
  // One of a dead line is there as what it is.
  const entries = Array.from({ length: made.entries.count }, (_, i) => [
    made.entries.sequence(i),
    made.entries.lines.kind(i),
  ]);
  assert.deepEqual(entries, [
    [5, KIND_LIVE],
    [7, KIND_DEAD],
    [8, KIND_LIVE],
    [10, KIND_LIVE],
    [11, KIND_LIVE],
  ]);
  assert.equal((await verifyLog(files, codec, () => {})).verdict, 'clean');
});

test('what a move settled stays settled, though the moved message itself is left out', async () => {
  const files = filesOf(...everything());
  await compactSecond(files, (sequence) => sequence === 7); // its ack may not be on disk
  const { got } = await recoverFrom(files);
  assert.ok(got.settled.has(2));
  assert.ok(![...got.messages.values()].some((text) => text.endsWith(':b') && text !== '5:b'));
});

test('a deferral of a message of an older segment stays, whatever is known of it in memory', async () => {
  const files = filesOf(...everything());
  await compactSecond(files, () => true);
  const { got } = await recoverFrom(files);
  assert.deepEqual(got.deferred.get(3), [2, 4, DEFERRAL.dueMs]);
  assert.deepEqual(got.deferred.get(1), [2, 0, 0]);
});

test('what is acked after it was copied keeps its turn, its time and its attempts', async () => {
  const plain = (...bodies: string[]) => bodies.map((body) => ({ bucket: 5, body }));
  const first = buildSegment({}, [{ messages: plain('a', 'b') }, { last: true }]);
  const at = { version: VERSION, bytes: SEGMENT_BYTES };
  const second = buildSegment({ ...at, base: SEGMENT_BYTES, sequence: first.sequence }, [
    {
      messages: plain('c', 'd', 'e', 'f'),
      placed: [{ bucket: 6, bodies: ['g', 'h'], head: { dueMs: TIME_MS + 5, turn: 1 } }],
    },
    {
      // In the segment that is compacted, and before it.
      returned: [
        { sequence: 2, count: 1, attempts: 2 },
        { sequence: 4, count: 1, attempts: 3 },
      ],
      deferred: [
        DEFERRAL,
        { ...DEFERRAL, sequence: 3, turn: 2, attempts: 5, level: 1 },
        { ...DEFERRAL, sequence: 6, count: 2, turn: 4 },
      ],
      last: true,
    },
  ]);
  const third = buildSegment({ ...at, base: 2 * SEGMENT_BYTES, sequence: second.sequence }, [{}]);
  const files = filesOf(first, second, third);
  const before = (await recoverFrom(files.clone())).got;
  // Acked from then on, and the power fails before the log says so.
  let readRecords = false;
  const isAcked = (sequence: number) => sequence === 5 || readRecords;
  await compactSecond(files, isAcked, {
    attemptsOf: (sequence) => before.attempts.get(sequence) ?? 0,
    turn: async () => {
      readRecords = true;
    },
  });
  assert.ok(readRecords, 'nothing was acked before the marks were written');
  const { got } = await recoverFrom(files);
  before.messages.delete(5);
  assert.deepEqual(got.messages, before.messages);
  assert.deepEqual(got.deferred, before.deferred);
  assert.deepEqual(got.attempts, before.attempts);
  assert.deepEqual([...got.deferred.keys()].sort(), [1, 3, 6, 7, 8]);
});

test('verify, stat and dump know every record', async () => {
  const files = filesOf(...everything());
  const report = await verifyLog(files, codec, () => {});
  assert.deepEqual([report.verdict, report.messages], ['clean', 12]);
  const stat = await statLog(files, codec, { top: 9, progress: () => {} });
  assert.equal(stat.live.messages, 10);
  assert.deepEqual(
    stat.buckets.top.map(({ bucket, messages }) => [bucket, messages]),
    [
      ['5', 6],
      ['6', 3],
    ],
  );
  const text = (await linesOf(files)).join('\n');
  assert.match(
    text,
    /deferred .* bucket 1 kind live sequences 1-1 turn 1 attempts 1 level 0 due .* failed/,
  );
  assert.match(text, /ids .* bucket 5 ids 2 time 2023/);
  assert.match(text, /8 "g"/);
  assert.equal(files.changes, 0);
});

test('a repair saves placed messages as they were, with fields, turns and due times', async () => {
  const old = filesOf(...everything());
  const before = (await recoverFrom(old.clone())).got;
  const target = new MemoryFiles();
  const into = { files: target, codec: freshEngine(), newLogId: 1n, wallMs: () => TIME_MS };
  const report = await repairLog(old, codec, into, () => {});
  assert.equal(report.saved.messages, 10);
  const { got } = await recoverFrom(target);
  const left = [...before.messages].filter(([each]) => !before.settled.has(each));
  assert.deepEqual(
    [...got.messages].sort((a, b) => a[0] - b[0]),
    left,
  );
  for (const [sequence] of left) {
    assert.deepEqual(got.deferred.get(sequence), before.deferred.get(sequence), `${sequence}`);
    assert.equal(got.attempts.get(sequence) ?? 0, before.attempts.get(sequence) ?? 0);
  }
});
