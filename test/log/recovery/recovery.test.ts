// Recovery's verdict on every way a log can end or be damaged: clean, torn tail (cut), damage to
// acked data (refused, nothing changed). A log of known batches is bent in each possible place.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  FLAG_PROOF,
  RECORD_ALIGN,
  RECORD_BACK_AT,
  RECORD_BODY_BYTES_AT,
  RECORD_HEADER_BYTES,
  RECORD_POSITION_AT,
  RECORD_START,
  RECORD_TRIM,
  RECORD_TYPE_AT,
  RECORD_TYPE_MAX,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import { LogError } from '../../../src/log/files/errors.ts';
import { keyOf, segmentName } from '../../../src/log/segments/segment.ts';
import { loseAll, MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import {
  type BatchPlan,
  type Built,
  buildSegment,
  type Collector,
  filesOf,
  LOG_ID,
  recoverFrom,
  SEGMENT_BYTES,
  seal,
} from '../harness.ts';

const SMALL = 8 * 1024;
const random = new Random(seedOf('log/recovery/recovery.test'));

/** A life with every kind of record; the last batch is `last`. */
const BATCHES: BatchPlan[] = [
  { control: [[RECORD_START, 1, 1000]] },
  {
    messages: [
      { bucket: 1, body: 'one' },
      { bucket: 1, body: 'two' },
      { bucket: 2, body: 'x' },
    ],
  },
  { messages: [{ bucket: 2, body: 'y'.repeat(61) }], settled: [{ sequence: 1, count: 2 }] },
  { returned: [{ sequence: 3, count: 1, attempts: 2 }] },
  {
    messages: [
      { bucket: 3, body: 'the last batch' },
      { bucket: 1, body: 'has two records' },
    ],
  },
];
/** What is there after so many batches: messages by sequence. */
const MESSAGES = [0, 0, 3, 4, 4, 6];
const BODIES = [
  '1:one',
  '1:two',
  '2:x',
  `2:${'y'.repeat(61)}`,
  '3:the last batch',
  '1:has two records',
];

function log(batches = BATCHES): Built {
  return buildSegment({ bytes: SMALL }, batches);
}

/** Asserts that exactly the first `batches` batches are there, unaltered. */
function holds(got: Collector, batches: number, why: string): void {
  assert.equal(got.batches, batches, why);
  const expected = BODIES.slice(0, MESSAGES[batches]).map((body, i) => [i + 1, body]);
  assert.deepEqual([...got.messages], expected, why);
  assert.deepEqual([...got.settled], batches >= 3 ? [1, 2] : [], why);
  assert.deepEqual([...got.attempts], batches >= 4 ? [[3, 2]] : [], why);
}

async function damaged(
  files: MemoryFiles,
  why: string,
  text = /is damaged at offset/,
): Promise<void> {
  await assert.rejects(
    recoverFrom(files),
    (error) => {
      assert.ok(error instanceof LogError, `${why}: ${error}`);
      assert.equal(error.code, 'damaged', `${why}: ${error.message}`);
      assert.match(error.message, text, why);
      return true;
    },
    why,
  );
  assert.equal(files.changes, 0, `${why}: something was changed`);
}

test('a clean end: everything is there and nothing is cut', async () => {
  const built = log();
  const files = filesOf(built);
  const { got, recovered } = await recoverFrom(files);
  holds(got, 5, 'clean');
  assert.equal(recovered.cutBytes, 0);
  assert.deepEqual(recovered.resume, {
    base: 0,
    offset: built.offsets[5],
    segmentBytes: SMALL,
    epoch: 2,
    sequence: 7,
  });
  assert.ok(Buffer.compare(files.image(built.name), built.image) === 0);
});

test('a tail torn at any byte, with zeros behind: only whole batches before it are kept', async () => {
  const built = log();
  for (let end = SEGMENT_DATA_AT; end < built.offsets[5]!; end++) {
    const image = built.image.slice();
    image.fill(0, end);
    // Batches that are still whole; zeros that were cut off are not missed.
    const intact = (to: number) =>
      Buffer.compare(image.subarray(0, to), built.image.subarray(0, to)) === 0;
    const seen = built.offsets.findLastIndex(intact);
    const files = filesOf({ ...built, image });
    const { got, recovered } = await recoverFrom(files);
    const why = `torn at ${end}`;
    holds(got, seen, why);
    assert.equal(recovered.resume.offset, built.offsets[seen], why);
    const again = await recoverFrom(files.crash(loseAll));
    holds(again.got, seen, `${why}, again`);
    assert.equal(again.recovered.cutBytes, 0, `${why}: the cut was not synced`);
  }
});

test('a tail torn at any byte, with garbage behind', async () => {
  const built = log();
  for (let end = built.offsets[4]!; end < built.offsets[5]!; end++) {
    const image = built.image.slice();
    for (let i = end; i < SMALL; i++) image[i] = random.below(256);
    if (built.image[end] === image[end]) image[end]! ^= 0xff;
    const { got } = await recoverFrom(filesOf({ ...built, image }));
    // Only padding may differ without harm, and behind the last record there is none.
    holds(got, 4, `garbage from ${end}`);
  }
});

/** Offsets of padding between `from` and `to`: bytes that no checksum covers, never read either. */
function padding(built: Built): Set<number> {
  const view = new DataView(built.image.buffer);
  const found = new Set<number>();
  for (let at = SEGMENT_DATA_AT; at < built.offsets.at(-1)!; ) {
    const body = at + RECORD_HEADER_BYTES + view.getUint32(at + RECORD_BODY_BYTES_AT, true);
    at = Math.ceil(body / RECORD_ALIGN) * RECORD_ALIGN;
    for (let i = body; i < at; i++) found.add(i);
  }
  return found;
}

test('a flipped bit anywhere: harmless, cut from the unproved end, or damage; never another record', async () => {
  const built = log();
  const harmless = padding(built);
  const [lastAt, end] = built.offsets.slice(-2) as [number, number];
  const verdicts = { harmless: 0, cut: 0, damage: 0 };
  for (let bit = SEGMENT_DATA_AT * 8; bit < (end + 64) * 8; bit++) {
    const offset = bit >> 3;
    const image = built.image.slice();
    image[offset]! ^= 1 << (bit & 7);
    const files = filesOf({ ...built, image });
    const why = `bit ${bit & 7} of offset ${offset}`;
    if (harmless.has(offset) || offset >= end) {
      holds((await recoverFrom(files)).got, 5, why);
      verdicts.harmless++;
    } else if (offset >= lastAt) {
      const { got, recovered } = await recoverFrom(files);
      holds(got, 4, why);
      assert.equal(recovered.resume.offset, lastAt, why);
      verdicts.cut++;
    } else {
      await damaged(files, why);
      verdicts.damage++;
    }
  }
  assert.ok(Math.min(...Object.values(verdicts)) > 0, JSON.stringify(verdicts));
});

test('a proof marker behind the last batch turns every flipped bit of it into damage', async () => {
  const built = log([...BATCHES, {}]);
  const harmless = padding(built);
  const [from, to, end] = built.offsets.slice(-3) as [number, number, number];
  for (let offset = from; offset < end; offset++) {
    const image = built.image.slice();
    image[offset]! ^= 1 << random.below(8);
    const files = filesOf({ ...built, image });
    if (offset < to && !harmless.has(offset)) await damaged(files, `offset ${offset}`);
    else holds((await recoverFrom(files)).got, 5 + Number(offset < to), `offset ${offset}`);
  }
});

test('a damaged batch is proved by a commit that stands only in a later segment', async () => {
  const first = buildSegment({ bytes: SMALL }, [...BATCHES, { last: true }]);
  const second = buildSegment({ bytes: SMALL, base: SMALL, sequence: first.sequence }, [{}]);
  for (const offset of [first.offsets[1]!, first.offsets[5]! + 20]) {
    const image = first.image.slice();
    image[offset]! ^= 1;
    await damaged(filesOf({ ...first, image }, second), `offset ${offset}`);
  }
});

test('the same tail in front of an empty next segment is torn', async () => {
  const first = buildSegment({ bytes: SMALL }, [...BATCHES, { last: true }]);
  const second = buildSegment({ bytes: SMALL, base: SMALL }, []);
  const image = first.image.slice();
  image[first.offsets[5]! + 20]! ^= 1;
  const { got, recovered } = await recoverFrom(filesOf({ ...first, image }, second));
  holds(got, 5, 'torn');
  assert.equal(recovered.next?.name, second.name);
  assert.equal(recovered.resume.offset, first.offsets[5]);
});

test('torn at a roll, with two empty segments made already: cut, and the second goes', async () => {
  // The writer turns to the next segment, and has another one made, before the batch that closes
  // the full one is on disk.
  const first = buildSegment({ bytes: SMALL }, BATCHES);
  const [second, third] = [1, 2].map((n) => buildSegment({ bytes: SMALL, base: n * SMALL }, []));
  const files = filesOf(first, second!, third!);
  const { got, recovered } = await recoverFrom(files);
  holds(got, 5, 'torn at a roll');
  assert.equal(recovered.next?.name, second!.name);
  assert.deepEqual(files.crash(loseAll).names(), [first.name, second!.name]);
});

test('weak sync modes: a lost tail in front of records that prove nothing is cut, with them', async () => {
  const first = buildSegment({ bytes: SMALL }, BATCHES);
  const at = { bytes: SMALL, base: SMALL, sequence: first.sequence };
  const second = buildSegment(at, [{ messages: [{ bucket: 9, body: 'late' }], proof: false }]);
  const third = buildSegment({ bytes: SMALL, base: 2 * SMALL }, []);
  const files = filesOf(first, second, third);
  holds((await recoverFrom(files)).got, 5, 'cut');
  const after = files.crash(loseAll);
  assert.deepEqual(after.names(), [first.name], 'what was cut may not come back');
  holds((await recoverFrom(after)).got, 5, 'again');
});

test('records of an older life are not taken, wherever a shorter new life ends', async () => {
  // The older life wrote more than the newer one, at the same positions.
  const older = buildSegment({ bytes: SMALL }, [
    ...BATCHES,
    ...Array(12).fill({ messages: [{ bucket: 9, body: 'stale' }], proof: false }),
  ]);
  for (let count = 0; count < 8; count++) {
    const start: BatchPlan = { control: [[RECORD_START, 7, 0]] };
    const newer = buildSegment(
      { bytes: SMALL, onto: older.image, offset: older.offsets[5]!, epoch: 2, sequence: 7 },
      [start, ...Array(count).fill({ messages: [{ bucket: 4, body: 'new' }] })],
    );
    const { got, recovered } = await recoverFrom(filesOf(newer));
    assert.equal(got.batches, 6 + count);
    assert.ok(![...got.messages.values()].includes('9:stale'));
    assert.equal(recovered.resume.offset, newer.offsets.at(-1));
    assert.equal(recovered.resume.epoch, 3);
  }
});

test('not even where they stand exactly behind the end of the newer life', async () => {
  const older = buildSegment(
    { bytes: SMALL },
    Array(20).fill({ messages: [{ bucket: 9, body: 'older' }], proof: false }),
  );
  for (let count = 1; count < 20; count++) {
    const batches = Array(count).fill({ messages: [{ bucket: 4, body: 'newer' }] });
    const newer = buildSegment({ bytes: SMALL, onto: older.image, epoch: 2 }, batches);
    assert.equal(newer.offsets.at(-1), older.offsets[count]);
    const { got } = await recoverFrom(filesOf(newer));
    assert.deepEqual(new Set(got.messages.values()), new Set(['4:newer']));
    assert.equal(got.batches, count);
  }
});

test('the rest of a batch that another one was written over is not taken for a batch', async () => {
  // Both of one epoch, as if the epoch had failed us: what remains says where its batch began.
  const first = buildSegment({ bytes: SMALL }, [
    { control: [[RECORD_TRIM, 0, 0]], messages: [{ bucket: 9, body: 'rest' }], proof: false },
  ]);
  const over = buildSegment({ bytes: SMALL, onto: first.image }, [{ proof: false }]);
  const { got, recovered } = await recoverFrom(filesOf(over));
  assert.deepEqual([got.batches, got.messages.size], [1, 0]);
  assert.equal(recovered.resume.offset, over.offsets[1]);
});

test('a used file holds nothing, whatever it held before', async () => {
  const used = buildSegment({ bytes: SMALL }, [...BATCHES, {}, {}]);
  const fresh = buildSegment({ bytes: SMALL, base: SMALL }, []);
  const image = used.image.slice();
  image.set(fresh.image.subarray(0, SEGMENT_DATA_AT));
  const { got, recovered } = await recoverFrom(filesOf({ ...fresh, image }).clone()).catch(
    (error) => {
      // Alone it is refused, as what was before it is missing; behind a full segment it is empty.
      assert.equal(error.code, 'missing');
      const full = buildSegment({ bytes: SMALL }, [...BATCHES, { last: true }]);
      return recoverFrom(filesOf(full, { ...fresh, image }));
    },
  );
  assert.equal(got.batches, 6);
  assert.deepEqual([recovered.resume.base, recovered.resume.offset], [SMALL, SEGMENT_DATA_AT]);
});

test('a record copied to another place is not taken there', async () => {
  const built = log();
  const view = new DataView(built.image.buffer);
  const records: [number, number][] = [];
  for (let at = SEGMENT_DATA_AT; at < built.offsets[5]!; ) {
    const body = view.getUint32(at + RECORD_BODY_BYTES_AT, true);
    const next = Math.ceil((at + RECORD_HEADER_BYTES + body) / RECORD_ALIGN) * RECORD_ALIGN;
    records.push([at, next]);
    at = next;
  }
  for (const [from, to] of records) {
    // Behind the end: as if it were the next record.
    const behind = built.image.slice();
    behind.set(built.image.subarray(from, to), built.offsets[5]!);
    holds((await recoverFrom(filesOf({ ...built, image: behind }))).got, 5, `${from} behind`);
    for (const [other] of records) {
      if (other === from || other + to - from > built.offsets[4]!) continue;
      const image = built.image.slice();
      image.set(built.image.subarray(from, to), other);
      await damaged(filesOf({ ...built, image }), `${from} over ${other}`);
    }
  }
});

test('a sector or page copied over another is damage or torn tail, never a new record', async () => {
  const built = buildSegment(
    {},
    Array.from({ length: 30 }, (_, i) => ({ messages: [{ bucket: i, body: `${i}`.repeat(300) }] })),
  );
  const whole = (await recoverFrom(filesOf(built))).got.messages;
  const end = built.offsets.at(-1)!;
  for (let round = 0; round < 200; round++) {
    const size = [512, 4096][random.below(2)]!;
    const from = random.below(SEGMENT_BYTES / size) * size;
    const to = SEGMENT_DATA_AT + random.below(Math.floor((end - SEGMENT_DATA_AT) / size)) * size;
    const image = built.image.slice();
    image.copyWithin(to, from, from + size);
    const got = await recoverFrom(filesOf({ ...built, image })).then(
      (result) => result.got,
      (error) => assert.equal(error.code, 'damaged'),
    );
    for (const [sequence, body] of got?.messages ?? []) assert.equal(body, whole.get(sequence));
    if (got !== undefined && to + size <= built.offsets[29]! && from !== to)
      assert.equal(got.batches, 30, `${size} bytes from ${from} over ${to} were cut silently`);
  }
});

test('bytes in a message that look like a record of a later batch are none', async () => {
  for (const [key, verdict] of [
    [0, 'cut'], // what somebody who publishes can make
    [keyOf(LOG_ID), 'damaged'], // with the key it would pass, so this test tests something
  ] as const) {
    const last = { messages: [{ bucket: 5, body: 'f'.repeat(200) }] };
    const built = log([...BATCHES, last, {}]);
    const { image } = built;
    const [record, , end] = built.offsets.slice(-3) as [number, number, number];
    const forged = record + 2 * RECORD_HEADER_BYTES + 8;
    image.copyWithin(forged, end - RECORD_HEADER_BYTES, end); // the proof behind it
    new DataView(image.buffer).setUint32(forged + RECORD_POSITION_AT, forged, true);
    new DataView(image.buffer).setUint32(forged + RECORD_BACK_AT, 0, true);
    seal(image, forged, key);
    image.fill(0, record, record + RECORD_HEADER_BYTES); // torn: its header is not there
    image.fill(0, built.offsets.at(-2)! - RECORD_HEADER_BYTES, end);
    if (verdict === 'damaged') await damaged(filesOf(built), 'with the key');
    else holds((await recoverFrom(filesOf(built))).got, 5, 'without the key');
  }
});

test('a record of a later type is refused as another version, unchanged', async () => {
  const built = log();
  const { image } = built;
  const at = built.offsets[3]!;
  image[at + RECORD_TYPE_AT] = RECORD_TYPE_MAX + 1;
  seal(image, at);
  const files = filesOf(built);
  await assert.rejects(recoverFrom(files), { name: 'LogError', code: 'version' });
  assert.equal(files.changes, 0);
});

test('a batch without its commit never happened, however whole its records are', async () => {
  const built = log([...BATCHES, { messages: [{ bucket: 5, body: 'z' }], unfinished: true }]);
  const files = filesOf(built);
  const { got, recovered } = await recoverFrom(files);
  holds(got, 5, 'unfinished');
  assert.ok(recovered.cutBytes > 0);
  assert.ok(
    files
      .image(built.name)
      .subarray(built.offsets[5]!)
      .every((byte) => byte === 0),
  );
});

test('all states of the last batch that a torn write can leave, by sector', async () => {
  const body = 'b'.repeat(500);
  const built = buildSegment({ bytes: 2 * SMALL }, [
    ...BATCHES,
    { messages: Array.from({ length: 6 }, (_, i) => ({ bucket: i, body })) },
  ]);
  const [from, to] = built.offsets.slice(-2) as [number, number];
  const sectors: number[] = [];
  for (let at = from - (from % 512); at < to; at += 512) sectors.push(at);
  assert.ok(sectors.length <= 9);
  for (let kept = 0; kept < 1 << sectors.length; kept++) {
    const image = built.image.slice();
    sectors.forEach((at, i) => {
      if ((kept & (1 << i)) === 0) image.fill(0, Math.max(at, from), Math.min(at + 512, to));
    });
    const { got } = await recoverFrom(filesOf({ ...built, image }));
    const whole = kept === (1 << sectors.length) - 1;
    assert.equal(got.batches, whole ? 6 : 5, `sectors ${kept.toString(2)}`);
  }
});

test('a record that says it is larger than its segment is not followed', async () => {
  const built = log();
  const { image } = built;
  const at = built.offsets[4]!;
  const view = new DataView(image.buffer);
  for (const size of [SMALL, 2 ** 27, 2 ** 31, 2 ** 32 - 1]) {
    view.setUint32(at + RECORD_BODY_BYTES_AT, size, true);
    seal(image, at);
    holds((await recoverFrom(filesOf(built))).got, 4, `${size} bytes`);
  }
});

test('recovery that is cut off at any operation is done by the next one', async () => {
  const built = log([...BATCHES, { messages: [{ bucket: 5, body: 'z' }], unfinished: true }]);
  const twice = [1, 2].map((n) => buildSegment({ bytes: SMALL, base: n * SMALL }, []));
  for (let steps = 0; ; steps++) {
    const files = filesOf(built, ...twice);
    files.auto = false;
    let over = false;
    void recoverFrom(files).then(() => (over = true));
    for (let done = 0; done < steps && !over; done++) {
      while (files.pending.length === 0 && !over) await new Promise((next) => setImmediate(next));
      files.step(random.below(files.pending.length || 1));
    }
    // It is over after the last operation, not with it.
    await new Promise((next) => setImmediate(next));
    const fate = () => (['keep', 'lose', 'tear'] as const)[random.below(3)]!;
    const left = files.crash(over ? loseAll : fate, random);
    const { got, recovered } = await recoverFrom(left);
    holds(got, 5, `cut off after ${steps} operations`);
    if (!over) continue;
    assert.equal(recovered.cutBytes, 0, 'the cut was not synced');
    return assert.ok(steps > 8);
  }
});

test('a name that may be only in the cache is made durable before anything builds on it', async () => {
  const { name, image } = buildSegment({}, [{}]);
  const files = new MemoryFiles();
  files.put('next.tmp', image);
  files.rename('next.tmp', name, () => {});
  await files.settle();
  const restarted = files.kill();
  assert.equal(restarted.durable(name), undefined, 'the name is on disk: this tests nothing');
  await recoverFrom(restarted);
  assert.ok(restarted.durable(name) !== undefined, 'power loss would take what is appended now');
});

test('what may be only in the cache is written again before anything builds on it', async () => {
  // The sync of the last batch failed: the system shows the bytes, calls them clean, and the disk
  // does not have them. A sync alone changes nothing.
  const proved = log(BATCHES.slice(0, 3));
  const whole = log();
  const files = filesOf(proved);
  await writeAndFailSync(files, proved.name, whole.image, proved.offsets[3]!);
  const { got } = await recoverFrom(files.kill());
  holds(got, 5, 'in the cache');
  const restarted = files.kill();
  await recoverFrom(restarted);
  holds((await recoverFrom(restarted.crash(loseAll))).got, 5, 'after power loss');
});

test('the same in the segment before the one the log goes on in', async () => {
  const proved = log(BATCHES.slice(0, 3));
  const whole = log([...BATCHES, { last: true }]);
  const next = buildSegment({ bytes: SMALL, base: SMALL }, []);
  const files = filesOf(proved, next);
  await writeAndFailSync(files, proved.name, whole.image, proved.offsets[3]!);
  const restarted = files.kill();
  const { recovered } = await recoverFrom(restarted);
  assert.equal(recovered.resume.base, SMALL);
  assert.equal((await recoverFrom(restarted.crash(loseAll))).got.batches, 6);
});

async function writeAndFailSync(
  files: MemoryFiles,
  name: string,
  image: Uint8Array,
  from: number,
): Promise<void> {
  const fault = files.fail({ op: 'sync', nth: 1, code: 'EIO' });
  await new Promise<void>((resolve) =>
    files.open(name, false, (_failure, handle) =>
      files.write(handle, [image.subarray(from, SMALL)], from, () =>
        files.sync(handle, () => resolve()),
      ),
    ),
  );
  assert.equal(fault.fired, 1);
  assert.ok(Buffer.compare(files.image(name), image) === 0);
  assert.notEqual(Buffer.compare(files.clone().image(name), new Uint8Array(SMALL)), 0);
}

test('an empty log, and one whose oldest segments are gone', async () => {
  await assert.rejects(recoverFrom(new MemoryFiles()), { code: 'missing' });
  const [, second] = [0, 1].map((n) =>
    buildSegment({ bytes: SMALL, base: n * SMALL, start: 0 }, [{}]),
  );
  await assert.rejects(recoverFrom(filesOf(second!)), /no positions 0 to 8191/);
  const trimmed = buildSegment({ bytes: SMALL, base: SMALL, start: SMALL }, [{}]);
  assert.equal((await recoverFrom(filesOf(trimmed))).recovered.segments.length, 1);
});

test('damage before the record that says what was given back is damage, and nothing is missing', async () => {
  const message = { messages: [{ bucket: 5, body: 'a' }] };
  const batches = [message, message, { ...message, control: [[RECORD_TRIM, SMALL, 0]] }, message];
  const built = buildSegment({ bytes: SMALL, base: SMALL, start: 0 }, batches as typeof BATCHES);
  assert.equal((await recoverFrom(filesOf(built))).recovered.segments.length, 1);
  built.image[built.offsets[1]! + RECORD_HEADER_BYTES]! ^= 1;
  await damaged(filesOf(built), 'in the second batch');
});

test('a read that fails is an error of the system, not damage', async () => {
  const built = log();
  for (let nth = 1; ; nth++) {
    const files = filesOf(built);
    const fault = files.fail({ op: 'read', nth, code: 'EIO' });
    const ended = await recoverFrom(files).then(
      () => 'fine',
      (error) => error.code,
    );
    if (fault.fired === 0) return assert.ok(nth > 2);
    assert.equal(ended, 'EIO');
  }
});

test('a batch proves its predecessors only with its flag', async () => {
  const weak = BATCHES.map((batch) => ({ ...batch, proof: false }));
  const built = log(weak);
  assert.equal(built.image[built.offsets[2]! + 13]! & FLAG_PROOF, 0);
  built.image[built.offsets[2]! + 60]! ^= 1;
  holds((await recoverFrom(filesOf(built))).got, 2, 'nothing says that it was synced');
  assert.equal(segmentName(0), built.name);
});

test('a file that ends where it is written again is told, and not taken for done', async () => {
  const built = log();
  const files = filesOf(built);
  const again = built.offsets.at(-2)!; // of the last batch, which proves those before it
  const read = files.read.bind(files);
  let asked = 0;
  files.read = (handle, into, at, done) => {
    const hit = at === again;
    if (hit) asked++;
    read(handle, hit ? into.subarray(0, 0) : into, at, done);
  };
  await assert.rejects(recoverFrom(files), {
    name: 'LogError',
    code: 'io',
    message: `${built.name} ended while it was read`,
  });
  assert.equal(asked, 1);
});

test('a file that gives less than it has is no end of the log, whichever read it is', async () => {
  const built = log();
  const whole = filesOf(built);
  await recoverFrom(whole);
  const reads = whole.count('read');
  assert.ok(reads > 1);
  let refused = 0;
  for (let nth = 1; nth <= reads; nth++)
    for (const short of [0, 8, built.offsets[2]!, built.offsets[2]! + 8]) {
      const files = filesOf(built);
      const faults = [
        files.fail({ op: 'read', nth, short }),
        files.fail({ op: 'read', nth: nth + 1, short: 0 }),
      ];
      const name = files.names()[0]!;
      const before = files.image(name).slice();
      try {
        const { got } = await recoverFrom(files);
        holds(got, 5, `read ${nth} gave ${short} bytes`);
      } catch (error) {
        assert.ok(error instanceof LogError, `${error}`);
        assert.deepEqual(files.image(name), before, 'nothing is changed');
        refused++;
      }
      assert.ok(faults[0]!.fired > 0);
    }
  assert.ok(refused > 0);
});
