// `log stat` as a function: its numbers against logs whose contents are known, in bounded memory.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_START, RECORD_TRIM } from '../../../assembly/layout.ts';
import { segmentName } from '../../../src/log/segments/segment.ts';
import { type StatReport, statLog } from '../../../src/log/tools/stat.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { type Built, buildSegment, codec, filesOf, TIME_MS, World } from '../harness.ts';

const SMALL = 8 * 1024;
const random = new Random(seedOf('log/tools/stat.test'));

async function stat(files: MemoryFiles, top = 10, bucketsMax?: number): Promise<StatReport> {
  const options = { top, progress: () => {}, ...(bucketsMax === undefined ? {} : { bucketsMax }) };
  const report = await statLog(files, codec, options);
  assert.equal(files.changes, 0, 'something was changed');
  assert.equal(files.openHandles, 0, 'files were left open');
  return report;
}

function twoSegments(): [Built, Built] {
  const first = buildSegment({ bytes: SMALL }, [
    { control: [[RECORD_START, 1, 1000]] },
    {
      messages: [
        { bucket: 1, body: 'one' },
        { bucket: 2, body: 'three' },
        { bucket: 2, body: 'x' },
      ],
    },
    { last: true },
  ]);
  const at = { bytes: SMALL, base: SMALL, epoch: 2, sequence: first.sequence };
  const second = buildSegment(at, [
    { control: [[RECORD_START, 4, 2000]] },
    { messages: [{ bucket: 3, body: 'late' }], settled: [{ sequence: 1, count: 1 }] },
    {},
  ]);
  return [first, second];
}

test('a log of two segments, every number', async () => {
  const files = filesOf(...twoSegments());
  files.put('next.tmp', new Uint8Array(1));
  files.put('notes.txt', new Uint8Array(1));
  const steps: string[] = [];
  const report = await statLog(files, codec, {
    top: 10,
    progress: (done, total) => steps.push(`${done}/${total}`),
  });
  assert.deepEqual(steps, ['1/4', '2/4', '3/4', '4/4']);
  const time = new Date(TIME_MS).toISOString();
  assert.deepEqual(report, {
    verdict: 'clean',
    unknownVersion: false,
    unreadable: false,
    segments: { count: 2, bytes: 2 * SMALL, oldest: '0', newest: String(2 * SMALL) },
    batches: 6,
    records: 12,
    messages: 4,
    payloadBytes: 3 + 5 + 1 + 4,
    live: { messages: 3, bytes: 10 },
    buckets: {
      live: 2,
      more: false,
      top: [
        { bucket: '2', messages: 2, bytes: 6 },
        { bucket: '3', messages: 1, bytes: 4 },
      ],
    },
    oldest: { bucket: '2', sequence: '2', position: '4272', segment: segmentName(0) },
    epochs: { first: 1, last: 2, starts: 2 },
    time: { first: '1970-01-01T00:00:01.000Z', last: time },
    unneeded: [],
    leftovers: ['next.tmp'],
    foreign: ['notes.txt'],
    moved: [],
    unjudged: [],
  });
});

test('the buckets named and the buckets counted have a bound', async () => {
  const one = await stat(filesOf(...twoSegments()), 1);
  assert.deepEqual(one.buckets.top, [{ bucket: '2', messages: 2, bytes: 6 }]);
  const capped = await stat(filesOf(...twoSegments()), 10, 1);
  assert.deepEqual(capped.buckets, {
    live: 1,
    more: true,
    top: [{ bucket: '2', messages: 2, bytes: 6 }],
  });
  assert.deepEqual(capped.live, { messages: 3, bytes: 10 });
});

test('a torn tail is not counted as live, what was given back neither', async () => {
  const [first, second] = twoSegments();
  const onto = {
    bytes: SMALL,
    base: SMALL,
    epoch: 2,
    onto: second.image,
    offset: second.offsets.at(-1)!,
    sequence: second.sequence,
  };
  const messages = [{ bucket: 9, body: 'torn' }];
  const torn = buildSegment(onto, [{ messages, unfinished: true }]);
  const report = await stat(filesOf(first, torn));
  assert.deepEqual([report.verdict, report.live.messages], ['torn', 3]);
  const trimmed = buildSegment(onto, [{ control: [[RECORD_TRIM, SMALL, 0]] }]);
  const trim = await stat(filesOf(first, trimmed));
  assert.deepEqual([trim.live.messages, trim.oldest?.bucket], [1, '3']);
});

test('damage, other versions and unreadable files are said, the rest is counted', async () => {
  const [first, second] = twoSegments();
  const bent = { ...first, image: first.image.slice() };
  bent.image[first.offsets[1]! + 60]! ^= 1;
  const damaged = await stat(filesOf(bent, second));
  assert.deepEqual([damaged.verdict, damaged.live.messages], ['damaged', 3]);
  assert.equal((await stat(filesOf(second))).verdict, 'damaged');
  const newer = { ...second, image: second.image.slice().fill(9, 8, 9) };
  const version = await stat(filesOf(first, newer));
  assert.deepEqual([version.unknownVersion, version.live.messages], [true, 3]);
  const files = filesOf(first, second);
  files.fail({ op: 'read', nth: 3, code: 'EIO', times: 1e9, name: /8192/ });
  assert.equal((await stat(files)).unreadable, true);
  const empty = await stat(new MemoryFiles());
  assert.deepEqual([empty.segments.count, empty.segments.oldest, empty.oldest], [0, null, null]);
});

test("a broker's log: the same counts as the broker that recovers it", async () => {
  const world = await World.open(new MemoryFiles());
  const ready = new Map<number, number>();
  for (let i = 0; i < 300; i++) {
    const bucket = random.below(5);
    world.publish([{ bucket, body: 'x'.repeat(1 + random.below(500)) }]);
    ready.set(bucket, (ready.get(bucket) ?? 0) + 1);
    if (i % 9 === 0) await world.settle();
  }
  await world.settle();
  const { consumer } = world.consume(2, 7);
  await world.settle();
  const taken = Math.min(7, ready.get(2)!);
  consumer.receive(new Uint8Array(taken).fill(1));
  ready.set(2, ready.get(2)! - taken);
  consumer.gone();
  const files = await world.close();
  const report = await stat(files.clone());
  assert.equal(report.live.messages, 300 - taken);
  assert.deepEqual(
    new Map(report.buckets.top.map(({ bucket, messages }) => [Number(bucket), messages])),
    new Map([...ready].filter(([, messages]) => messages > 0)),
  );
});

test('a file that cannot be opened is said, and the rest is counted', async () => {
  const files = filesOf(...twoSegments());
  const fault = files.fail({ op: 'open', nth: 1, code: 'EACCES', name: /8192/ });
  const report = await stat(files);
  assert.equal(fault.fired, 1);
  assert.deepEqual([report.unreadable, report.live.messages], [true, 3]);
});

test('buckets with as many messages each are named in the order of their numbers', async () => {
  const names = Array.from({ length: 9 }, (_, i) => i + 1);
  for (let round = 0; round < 20; round++) {
    const buckets = [...names];
    for (let i = buckets.length - 1; i > 0; i--) {
      const j = random.below(i + 1);
      [buckets[i], buckets[j]] = [buckets[j]!, buckets[i]!];
    }
    const messages = [...buckets, 7, 7, 3].map((bucket) => ({ bucket, body: 'x' }));
    const report = await stat(filesOf(buildSegment({ bytes: SMALL }, [{ messages }, {}])));
    assert.deepEqual(
      report.buckets.top.map(({ bucket, messages }) => [bucket, messages]),
      [
        ['7', 3],
        ['3', 2],
      ].concat([1, 2, 4, 5, 6, 8, 9].map((bucket) => [`${bucket}`, 1])),
    );
  }
});
