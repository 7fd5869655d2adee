// `log verify` against recovery: the tool that only looks must come to the verdict of the code that
// decides, for every way to bend a log; and it must go on behind bad spots and say where they are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_START, RECORD_TRIM, SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import { LogError } from '../../../src/log/files/errors.ts';
import { segmentName } from '../../../src/log/segments/segment.ts';
import { type VerifyReport, verifyLog } from '../../../src/log/tools/verify.ts';
import type { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import {
  type BatchPlan,
  type Built,
  buildSegment,
  codec,
  filesOf,
  recoverFrom,
} from '../harness.ts';

const SMALL = 8 * 1024;
const random = new Random(seedOf('log/tools/verify.test'));

const BATCHES: BatchPlan[] = [
  { control: [[RECORD_START, 1, 1000]] },
  {
    messages: [
      { bucket: 1, body: 'one' },
      { bucket: 1, body: 'two' },
      { bucket: 2, body: 'x' },
    ],
  },
  { messages: [{ bucket: 2, body: 'y' }], settled: [{ sequence: 1, count: 2 }] },
  {
    messages: [
      { bucket: 3, body: 'z' },
      { bucket: 1, body: 'end' },
    ],
  },
];

function twoSegments(second: BatchPlan[] = [{ messages: [{ bucket: 5, body: 'five' }] }]): Built[] {
  const first = buildSegment({ bytes: SMALL }, [...BATCHES, { last: true }]);
  const { sequence } = first;
  return [first, buildSegment({ bytes: SMALL, base: SMALL, sequence }, second)];
}

async function verify(files: MemoryFiles): Promise<VerifyReport> {
  const report = await verifyLog(files, codec, () => {});
  assert.equal(files.changes, 0, 'something was changed');
  assert.equal(files.openHandles, 0, 'files were left open');
  return report;
}

/** What recovery makes of it, in the words of verify. */
async function recoverys(files: MemoryFiles): Promise<string> {
  try {
    return (await recoverFrom(files)).recovered.cutBytes > 0 ? 'torn' : 'clean';
  } catch (error) {
    assert.ok(error instanceof LogError);
    return error.code === 'missing' ? 'damaged' : error.code;
  }
}

test('a whole log: counts per segment, nothing bad', async () => {
  const steps: string[] = [];
  const files = filesOf(...twoSegments());
  const report = await verifyLog(files, codec, (done, total) => steps.push(`${done}/${total}`));
  assert.deepEqual(steps, ['1/2', '2/2']);
  assert.deepEqual([report.verdict, report.bad, report.missing], ['clean', [], []]);
  assert.deepEqual(
    report.segments.map(({ records, batches, messages }) => [records, batches, messages]),
    [
      [12, 5, 6],
      [2, 1, 1],
    ],
  );
  assert.deepEqual([report.records, report.batches, report.messages], [14, 6, 7]);
});

test("every flipped byte: the verdict is recovery's, and the range holds the byte", async () => {
  const segments = twoSegments([{ messages: [{ bucket: 5, body: 'five' }] }, {}]);
  const seen = { clean: 0, torn: 0, damaged: 0 };
  for (const [which, built] of segments.entries()) {
    for (let offset = SEGMENT_DATA_AT; offset < built.offsets.at(-1)! + 8; offset++) {
      const image = built.image.slice();
      image[offset]! ^= 1 << random.below(8);
      const bent = segments.map((each, i) => (i === which ? { ...each, image } : each));
      const report = await verify(filesOf(...bent));
      assert.equal(report.verdict, await recoverys(filesOf(...bent)), `${built.name} ${offset}`);
      seen[report.verdict]++;
      if (report.verdict === 'clean') continue;
      assert.equal(report.bad.length, 1);
      const [bad] = report.bad;
      assert.equal(bad!.segment, built.name);
      assert.ok(
        offset >= bad!.offset && (bad!.verdict === 'torn' || offset < bad!.offset + bad!.bytes),
      );
    }
  }
  assert.ok(seen.clean > 0 && seen.damaged > 0, JSON.stringify(seen));
});

test("every truncation of the tail: the verdict is recovery's", async () => {
  const built = buildSegment({ bytes: SMALL }, BATCHES);
  const seen = { clean: 0, torn: 0, damaged: 0 };
  for (let end = SEGMENT_DATA_AT; end < built.offsets.at(-1)!; end++) {
    const image = built.image.slice().fill(0, end);
    const report = await verify(filesOf({ ...built, image }));
    assert.equal(report.verdict, await recoverys(filesOf({ ...built, image })), `torn at ${end}`);
    seen[report.verdict]++;
  }
  assert.ok(seen.clean > 0 && seen.torn > 0 && seen.damaged === 0, JSON.stringify(seen));
});

test('it goes on behind several bad spots and says which sequences they hold', async () => {
  const segments = twoSegments();
  const [first] = segments as [Built, Built];
  first.image[first.offsets[1]! + 60]! ^= 1; // messages 1 and 2
  first.image[first.offsets[3]! + 4]! ^= 1; // message 5
  const report = await verify(filesOf(...segments));
  assert.equal(report.verdict, 'damaged');
  assert.deepEqual(
    report.bad.map(({ offset, fromSequence, toSequence, verdict }) => [
      offset,
      fromSequence,
      toSequence,
      verdict,
    ]),
    [
      [first.offsets[1], '1', '3', 'damaged'],
      [first.offsets[3], '5', '6', 'damaged'],
    ],
  );
  assert.equal(report.messages, 7 - 3);
});

test('damage and a torn tail in one log are told apart', async () => {
  const segments = twoSegments([{}, { messages: [{ bucket: 1, body: 'torn' }], unfinished: true }]);
  segments[0]!.image[segments[0]!.offsets[2]!]! ^= 1;
  const report = await verify(filesOf(...segments));
  assert.deepEqual(
    report.bad.map(({ segment, verdict }) => [segment, verdict]),
    [
      [segments[0]!.name, 'damaged'],
      [segments[1]!.name, 'torn'],
    ],
  );
});

test('weak sync modes: a lost tail and the unproved records behind it are torn', async () => {
  const first = buildSegment({ bytes: SMALL }, BATCHES);
  const at = { bytes: SMALL, base: SMALL, sequence: first.sequence };
  const second = buildSegment(at, [{ messages: [{ bucket: 9, body: 'late' }], proof: false }]);
  const report = await verify(filesOf(first, second));
  assert.equal(report.verdict, 'torn');
  assert.equal(await recoverys(filesOf(first, second)), 'torn');
  assert.deepEqual(
    report.bad.map(({ segment, offset }) => [segment, offset]),
    [[second.name, SEGMENT_DATA_AT]],
  );
});

test('missing segments are positions; what was not needed is not missing', async () => {
  const three = [0, 1, 2].map((n) =>
    buildSegment({ bytes: SMALL, base: n * SMALL, sequence: 1 + n }, [
      { messages: [{ bucket: 1, body: 'm' }], last: n < 2 },
    ]),
  ) as [Built, Built, Built];
  const [a, b, c] = three;
  for (const [files, from, to] of [
    [filesOf(b, c), 0, SMALL],
    [filesOf(a, c), SMALL, 2 * SMALL],
    [filesOf(a, b), 2 * SMALL, null],
  ] as const) {
    const report = await verify(files);
    assert.equal(report.verdict, 'damaged');
    assert.deepEqual(report.missing, [{ from: String(from), to: to === null ? null : String(to) }]);
    assert.equal(await recoverys(files.clone()), 'damaged');
  }
  const at = { base: c.base, bytes: SMALL, onto: c.image, offset: c.offsets.at(-1)!, sequence: 4 };
  const trimmed = buildSegment(at, [{ control: [[RECORD_TRIM, 2 * SMALL, 0]] }]);
  const report = await verify(filesOf(a, trimmed));
  assert.deepEqual([report.verdict, report.missing, report.unneeded], ['clean', [], [a.name]]);
  assert.equal(await recoverys(filesOf(a, trimmed)), 'clean');
});

test('files that are wrong as a whole are named, and the others are read all the same', async () => {
  const bend: [string, (files: MemoryFiles) => unknown, RegExp, number][] = [
    [
      'header',
      (files) => files.image(segmentName(0)).fill(9, 20, 21),
      /does not match its checksum/,
      7,
    ],
    [
      'short',
      (files) => files.put(segmentName(SMALL), files.image(segmentName(SMALL)).slice(0, 6000)),
      /cut short/,
      7,
    ],
    [
      'copy',
      (files) => files.put(segmentName(2 * SMALL), files.image(segmentName(0))),
      /renamed or copied/,
      7,
    ],
    [
      'foreign',
      (files) =>
        files.put(
          segmentName(2 * SMALL),
          buildSegment({ bytes: SMALL, base: 2 * SMALL, logId: 5n }, [{}]).image,
        ),
      /another log/,
      7,
    ],
  ];
  for (const [what, change, text, messages] of bend) {
    const files = filesOf(...twoSegments());
    change(files);
    const report = await verify(files);
    assert.equal(report.verdict, 'damaged', what);
    const problems = report.segments.flatMap((segment) => segment.problems);
    assert.equal(problems.length, 1, what);
    assert.match(problems[0]!.text, text);
    assert.equal(report.messages, messages, what);
  }
});

test('an unknown version or an unreadable file is not called damage', async () => {
  const newer = filesOf(...twoSegments());
  newer.image(segmentName(SMALL))[8] = 9;
  const report = await verify(newer);
  assert.deepEqual([report.unknownVersion, report.unreadable], [true, false]);
  assert.ok(report.segments[1]!.problems.every(({ code }) => code === 'version'));

  for (let nth = 1; ; nth++) {
    const files = filesOf(...twoSegments());
    const fault = files.fail({ op: 'read', nth, code: 'EIO' });
    const unreadable = await verify(files);
    if (fault.fired === 0) {
      assert.ok(nth > 3);
      break;
    }
    assert.equal(unreadable.unreadable, true, `read ${nth}`);
  }
});

test('leftovers and strangers are listed', async () => {
  const files = filesOf(...twoSegments());
  for (const name of ['next.tmp', 'notes.txt']) files.put(name, new Uint8Array(3));
  const report = await verify(files);
  assert.deepEqual([report.leftovers, report.foreign], [['next.tmp'], ['notes.txt']]);
});
