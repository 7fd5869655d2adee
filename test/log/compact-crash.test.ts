// Compaction that is cut off, refused or damaged: at every step of it a crash leaves a log that
// says the same, on which a broker goes on; every failure of the system leaves the log as it was;
// and no flipped bit of a compacted segment passes for something else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RECORD_ALIGN,
  RECORD_BODY_BYTES_AT,
  RECORD_HEADER_BYTES,
  SEGMENT_DATA_AT,
  SEGMENT_HEADER_BYTES,
} from '../../assembly/layout.ts';
import { compact } from '../../src/log/compaction/compact.ts';
import { abandon, type Compacted, removeReplaced, swap } from '../../src/log/compaction/swap.ts';
import { LogError } from '../../src/log/files/errors.ts';
import { COMPACT_NAME, segmentName } from '../../src/log/segments/segment.ts';
import { verifyLog } from '../../src/log/tools/verify.ts';
import {
  type Doubt,
  type Fate,
  loseAll,
  type MemoryFiles,
  type Op,
} from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { ModelLog, startOn } from './compacting.ts';
import { codec, World } from './harness.ts';

const seed = seedOf('log/compact-crash.test');
const random = new Random(seed);

/** Four closed segments, of which the second to the fourth hold little. */
function sparse(): ModelLog {
  const log = new ModelLog(new Random(seed), 5);
  log.settleMost();
  return log;
}

async function compactAll(log: ModelLog): Promise<Compacted> {
  const options = await log.options(1, 4);
  const made = await compact(options);
  await swap(log.files, made!);
  await removeReplaced(log.files, made!);
  return made!;
}

/** Lets so many calls to the disk happen, in order; whether everything is over then. */
async function steps(files: MemoryFiles, count: number, work: Promise<unknown>): Promise<boolean> {
  let over = false;
  void work.then(() => (over = true));
  for (let done = 0; done < count && !over; done++) {
    while (files.pending.length === 0 && !over)
      await new Promise((resolve) => setImmediate(resolve));
    files.step();
  }
  if (!over) await new Promise((resolve) => setImmediate(resolve));
  return over;
}

/** A broker goes on: what it publishes is there after the next crash, with everything before. */
async function goOn(log: ModelLog, files: MemoryFiles, why: string): Promise<void> {
  const world = await World.open(files);
  const link = world.publish([
    { bucket: 0, body: 'after the crash' },
    { bucket: 9, body: 'another' },
  ]);
  await world.settle();
  assert.deepEqual(link.received, [1, 1], why);
  const after = files.crash(loseAll);
  const { waiting } = await startOn(after.clone());
  const next = Math.max(...log.messages.keys()) + 1;
  const expected = log.expected;
  expected[0] = [...(expected[0] ?? []), [next, 0, 'after the crash']];
  expected[9] = [[next + 1, 0, 'another']];
  assert.deepEqual(waiting, expected, why);
  // Also what it would deliver, from disk.
  const last = await World.open(after);
  for (const [bucket, line] of Object.entries(expected))
    assert.deepEqual(
      await last.drain(Number(bucket)),
      line.map(([, , body]) => body),
      why,
    );
  await last.close();
}

const FATES: [string, () => (doubt: Doubt) => Fate][] = [
  ['everything in doubt is lost', () => loseAll],
  ['everything is kept', () => () => 'keep'],
  [
    'files are kept, names are lost',
    () =>
      ({ kind }) =>
        kind === 'page' ? 'keep' : 'lose',
  ],
  [
    'names are kept, files are lost',
    () =>
      ({ kind }) =>
        kind === 'page' ? 'lose' : 'keep',
  ],
  [
    'renames are lost, the rest is kept',
    () => (doubt) => (doubt.kind === 'entry' && doubt.change === 'rename' ? 'lose' : 'keep'),
  ],
  ...Array.from({ length: 5 }, (): [string, () => (doubt: Doubt) => Fate] => [
    'a mixture',
    () => () => (['keep', 'lose', 'tear'] as const)[random.below(3)]!,
  ]),
];

test('a crash at any step of a compaction: the same log, and a broker goes on with it', async () => {
  for (const [fate, decide] of FATES) {
    let count = 0;
    for (let over = false; !over; count++) {
      const why = `seed ${seed}, ${fate}, after ${count} steps`;
      const log = sparse();
      log.files.auto = false;
      over = await steps(log.files, count, compactAll(log));
      const after = log.files.crash(decide(), random);
      const report = await verifyLog(after.clone(), codec, () => {});
      assert.equal(report.verdict, 'clean', why);
      await log.check(why, after.clone());
      await goOn(log, after.clone(), why);
      // And if the start itself is cut off.
      const half = after.clone();
      half.auto = false;
      await steps(half, random.below(20), startOn(half));
      await log.check(`${why}, at the second start`, half.crash(decide(), random));
    }
    assert.ok(count > 15, `only ${count} steps`);
  }
});

test('a killed process leaves the same, and so does power lost during the start behind it', async () => {
  let superseded = 0;
  for (let count = 0, over = false; !over; count++) {
    for (const [fate, decide] of FATES) {
      const why = `seed ${seed}, killed after ${count} steps, then ${fate}`;
      const log = sparse();
      log.files.auto = false;
      over = await steps(log.files, count, compactAll(log));
      const killed = log.files.kill();
      if (killed.names().length > 3 && !killed.names().includes(COMPACT_NAME)) superseded++;
      killed.auto = false;
      await steps(killed, 4 + random.below(30), startOn(killed));
      await log.check(why, killed.crash(decide(), random));
    }
  }
  assert.ok(superseded > 0);
});

test('killed right after the rename, power lost at any step of the start behind it', async () => {
  for (const [fate, decide] of FATES.slice(0, 5)) {
    let count = 0;
    for (let over = false; !over; count++) {
      const log = sparse();
      const made = await compact(await log.options(1, 4));
      await swap(log.files, made!);
      const killed = log.files.kill();
      killed.auto = false;
      over = await steps(killed, count, startOn(killed));
      const why = `seed ${seed}, ${fate}, after ${count} steps of the start`;
      await log.check(why, killed.crash(decide(), random));
    }
    assert.ok(count > 15, `only ${count} steps`);
  }
});

test('a compaction of compacted segments is as safe', async () => {
  for (let count = 0, over = false; !over; count++) {
    const log = sparse();
    await log.compact(2, 4, true); // with a superseded file
    log.append();
    log.files = log.files.clone();
    log.files.auto = false;
    const again = (async () => {
      const made = await compact(await log.options(0, 3));
      await swap(log.files, made!);
      await removeReplaced(log.files, made!);
    })();
    over = await steps(log.files, count, again);
    const fate = () => (['keep', 'lose', 'tear'] as const)[random.below(3)]!;
    const after = log.files.crash(fate, random);
    await log.check(`seed ${seed}, after ${count} steps`, after.clone());
    await goOn(log, after, `seed ${seed}, after ${count} steps`);
  }
});

test('removing the replaced files in any order, as far as it gets, changes nothing', async () => {
  for (let kept = 0; kept < 4; kept++) {
    const log = sparse();
    const made = await log.compact(1, 4, true);
    made!.replaced.forEach((name, i) => {
      if ((kept & (1 << i)) === 0) log.files.take(name);
    });
    await log.check(`kept ${kept}`);
  }
});

const CALLS: [Op, string][] = [
  ['read', 'EIO'],
  ['open', 'EMFILE'],
  ['write', 'ENOSPC'],
  ['write', 'EIO'],
  ['sync', 'EIO'],
];

test('a failure of the system while it is written: reported, no file left, the log as it was', async () => {
  for (const [op, code] of CALLS) {
    let nth = 1;
    for (; ; nth++) {
      const log = sparse();
      const names = log.files.names();
      const options = await log.options(1, 4);
      const fault = log.files.fail({ op, nth, code });
      const failure = await compact(options).then(
        () => undefined,
        (error) => error as NodeJS.ErrnoException,
      );
      if (fault.fired === 0) break;
      assert.equal(failure?.code, code, `${op} ${nth}`);
      assert.deepEqual(log.files.names(), names, `${op} ${nth}`);
      assert.equal(log.files.openHandles, 3, `${op} ${nth}: a file was left open`);
      await log.check(`${op} ${nth}`);
    }
    assert.ok(nth > 1, `${op} was never called`);
  }
  const log = sparse();
  const used = log.files.names().reduce((sum, name) => sum + log.files.image(name).length, 0);
  log.files.capacity = used + 6000;
  await assert.rejects(compact(await log.options(1, 4)), { code: 'ENOSPC' });
  assert.ok(!log.files.names().includes(COMPACT_NAME));
});

test('a rename that fails leaves the log as it was; what comes later may be tried again', async () => {
  const log = sparse();
  const names = log.files.names();
  log.files.fail({ op: 'rename', nth: 1, code: 'EIO' });
  const made = await compact(await log.options(1, 4));
  await assert.rejects(swap(log.files, made!), { code: 'EIO' });
  assert.deepEqual(log.files.names(), names);
  await log.check('no rename');

  for (const [op, name] of [
    ['syncDirectory', undefined],
    ['remove', /\.log$/],
  ] as const) {
    for (const nth of [1, 2]) {
      const other = sparse();
      const again = await compact(await other.options(1, 4));
      await swap(other.files, again!);
      const fault = other.files.fail({ op, nth, code: 'EIO', ...(name ? { name } : {}) });
      await assert.rejects(removeReplaced(other.files, again!), { code: 'EIO' });
      assert.equal(fault.fired, 1);
      await other.check(`${op} ${nth}`);
      await removeReplaced(other.files, again!);
      await other.check(`${op} ${nth}, again`);
      assert.equal(other.files.names().length, names.length - 2);
    }
  }
});

test('a file that could not be removed is no obstacle, and one can be given up', async () => {
  const log = sparse();
  const names = log.files.names();
  log.files.fail({ op: 'sync', nth: 1, code: 'EIO' });
  log.files.fail({ op: 'remove', nth: 1, code: 'EIO' });
  await assert.rejects(compact(await log.options(1, 4)), { code: 'EIO' });
  assert.deepEqual(log.files.names(), [...names, COMPACT_NAME].sort());
  const made = await compact(await log.options(1, 4));
  await abandon(log.files, made!);
  assert.deepEqual(log.files.names(), names);
  await log.check('given up');
});

/** Offsets that no checksum covers: padding, and what is behind the header and the last record. */
function uncovered(image: Uint8Array): Set<number> {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const found = new Set<number>();
  for (let at = SEGMENT_HEADER_BYTES; at < SEGMENT_DATA_AT; at++) found.add(at);
  let at = SEGMENT_DATA_AT;
  while (at + RECORD_HEADER_BYTES <= image.length && image[at + 12] !== 0) {
    const end = at + RECORD_HEADER_BYTES + view.getUint32(at + RECORD_BODY_BYTES_AT, true);
    at = Math.ceil(end / RECORD_ALIGN) * RECORD_ALIGN;
    for (let i = end; i < at; i++) found.add(i);
  }
  for (; at < image.length; at++) found.add(at);
  return found;
}

test('every flipped bit is refused, with nothing changed, or in bytes that nobody reads', async () => {
  // Nothing with proof stands behind it: that it is compacted must be reason enough.
  const log = sparse();
  log.files.image(segmentName(log.base)).fill(0, SEGMENT_DATA_AT);
  const before = await startOn(log.files.clone());
  const attempts = new Map(
    Object.values(before.waiting).flatMap((line) => line.map(([s, count]) => [s, count])),
  );
  const made = await compact({
    ...(await log.options(2, 4)),
    isSettled: (sequence) => !attempts.has(sequence),
    attemptsOf: (sequence) => attempts.get(sequence)!,
  });
  await swap(log.files, made!);
  const name = segmentName(log.sealed[2]!.base);
  const image = log.files.image(name);
  assert.deepEqual((await startOn(log.files.clone())).waiting, before.waiting);
  const harmless = uncovered(image);
  const seen = { harmless: 0, refused: 0 };
  const bent = log.files.clone();
  for (let offset = 0; offset < image.length; offset++) {
    if (harmless.has(offset) && offset % 61 !== 0) continue;
    for (let bit = 0; bit < 8; bit++) {
      const why = `bit ${bit} of offset ${offset}`;
      bent.image(name)[offset]! ^= 1 << bit;
      if (harmless.has(offset)) {
        const files = bent.clone();
        bent.image(name)[offset]! ^= 1 << bit;
        assert.deepEqual((await startOn(files)).waiting, before.waiting, why);
        seen.harmless++;
        continue;
      }
      await assert.rejects(
        startOn(bent),
        (error) => error instanceof LogError && /^(damaged|version)$/.test(error.code),
        why,
      );
      assert.equal(bent.changes, 0, `${why}: something was changed`);
      seen.refused++;
      const report = bit > 0 ? undefined : await verifyLog(bent, codec, () => {});
      bent.image(name)[offset]! ^= 1 << bit;
      if (report === undefined || offset < SEGMENT_DATA_AT) continue;
      assert.equal(report.verdict, 'damaged', why);
      assert.ok(report.bad.every(({ verdict }) => verdict === 'damaged'));
    }
  }
  assert.ok(Math.min(...Object.values(seen)) > 100, JSON.stringify(seen));
});
