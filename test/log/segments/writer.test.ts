// The writer: one append at a time, done only after a sync that succeeded, and no success ever
// after one that did not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import type { Segment } from '../../../src/log/segments/segments.ts';
import { type SyncMode, Writer } from '../../../src/log/segments/writer.ts';
import { loseAll, MemoryFiles } from '../../support/memory-files.ts';

const BASE = 1 << 20;
const BYTES = 64 * 1024;

interface Setup {
  files: MemoryFiles;
  writer: Writer;
  segment: Segment;
  later: (() => void)[];
  failures: Error[];
  observed: number[];
}

type Confirm = (done: (failure: Error | undefined) => void) => void;

async function setUp(
  mode: SyncMode = 'commit',
  confirm: Confirm = (done) => done(undefined),
): Promise<Setup> {
  const files = new MemoryFiles();
  files.put('a', new Uint8Array(BYTES));
  const handle = await new Promise<number>((resolve) =>
    files.open('a', false, (_failure, opened) => resolve(opened)),
  );
  const later: (() => void)[] = [];
  const failures: Error[] = [];
  const observed: number[] = [];
  const writer = new Writer(
    {
      files,
      mode,
      now: () => 0,
      later: (call) => void later.push(call),
      observe: (bytes) => void observed.push(bytes),
      confirm,
      failed: (failure) => void failures.push(failure),
    },
    BASE + SEGMENT_DATA_AT,
  );
  const end = BASE + BYTES;
  const segment = { base: BASE, bytes: BYTES, end, handle, identity: 1, reads: 0, retired: false };
  files.auto = false;
  return { files, writer, segment, later, failures, observed };
}

const BATCH = new Uint8Array(1000).fill(7);

interface Outcome {
  calls: number;
  failure: Error | undefined;
}

function append({ writer, segment }: Setup, at = SEGMENT_DATA_AT, bytes = BATCH): Outcome {
  const outcome: Outcome = { calls: 0, failure: undefined };
  const end = BASE + at + bytes.length;
  writer.append({ segment, parts: [bytes], at, bytes: bytes.length, end }, (failure) => {
    outcome.calls++;
    outcome.failure = failure;
  });
  assert.equal(outcome.calls, 0, 'called back within the call');
  return outcome;
}

/** Runs calls until none is pending; `later` calls too. */
async function run({ files, later }: Setup): Promise<void> {
  do {
    for (const call of later.splice(0)) call();
    await files.settle();
  } while (later.length > 0);
}

test('commit: an append is done when its bytes are on disk, not before', async () => {
  const setup = await setUp();
  const { files, writer } = setup;
  const outcome = append(setup);
  assert.deepEqual(
    files.pending.map(({ op }) => op),
    ['write'],
  );
  files.step();
  assert.deepEqual([outcome.calls, files.pending.map(({ op }) => op)], [0, ['sync']]);
  assert.equal(writer.synced, BASE + SEGMENT_DATA_AT);
  files.step();
  assert.deepEqual(outcome, { calls: 1, failure: undefined });
  assert.equal(writer.synced, BASE + SEGMENT_DATA_AT + BATCH.length);
  assert.deepEqual(setup.observed, [BATCH.length]);
  const disk = files.crash(loseAll).image('a').subarray(SEGMENT_DATA_AT);
  assert.deepEqual(disk.subarray(0, BATCH.length), BATCH);
});

for (const mode of ['commit', 'interval', 'none'] as const)
  test(`${mode}: an append is done when it is sure that its file can be found again`, async () => {
    const asked: Parameters<Confirm>[0][] = [];
    const setup = await setUp(mode, (done) => asked.push(done));
    const outcome = append(setup);
    await run(setup);
    assert.deepEqual([asked.length, outcome.calls], [1, 0]);
    asked[0]!(undefined);
    assert.deepEqual(outcome, { calls: 1, failure: undefined });
    const lost = append(setup);
    await run(setup);
    asked[1]!(new Error('lost'));
    assert.match(lost.failure!.message, /lost/);
    const later = append(setup);
    await run(setup);
    assert.match(later.failure!.message, /lost/);

    const other = await setUp(mode);
    const underWay = append(other);
    other.writer.fail(new Error('lost meanwhile'));
    other.writer.fail(new Error('the second thing that is lost'));
    await run(other);
    assert.match(underWay.failure!.message, /lost meanwhile/);
  });

test('short writes go on where they ended', async () => {
  const setup = await setUp();
  const faults = [1, 2, 3].map((nth) => setup.files.fail({ op: 'write', nth, short: 100 * nth }));
  const bytes = Uint8Array.from({ length: 3000 }, (_, i) => i % 251);
  const outcome = append(setup, SEGMENT_DATA_AT, bytes);
  await run(setup);
  assert.ok(faults.every(({ fired }) => fired === 1));
  assert.equal(setup.files.count('write'), 4);
  assert.deepEqual(outcome, { calls: 1, failure: undefined });
  const disk = setup.files.crash(loseAll).image('a').subarray(SEGMENT_DATA_AT);
  assert.deepEqual(disk.subarray(0, bytes.length), bytes);
});

test('a write that moves nothing is a failure, not an endless loop', async () => {
  const setup = await setUp();
  const fault = setup.files.fail({ op: 'write', nth: 1, short: 0 });
  const outcome = append(setup);
  await run(setup);
  assert.equal(fault.fired, 1);
  assert.match(outcome.failure!.message, /wrote nothing/);
  // As the system's own failures: a start ends with 74 then, and does not take it for a bug.
  const { code, syscall } = outcome.failure as NodeJS.ErrnoException;
  assert.deepEqual([code, syscall], ['EIO', 'write']);
});

for (const [op, code] of [
  ['sync', 'EIO'],
  ['sync', 'ENOSPC'],
  ['write', 'EIO'],
  ['write', 'EROFS'],
] as const) {
  test(`after ${code} on ${op} no append ever succeeds again`, async () => {
    const setup = await setUp();
    const fault = setup.files.fail({ op, nth: 1, code });
    const failed = append(setup);
    await run(setup);
    assert.equal(fault.fired, 1);
    assert.equal((failed.failure as NodeJS.ErrnoException).code, code);
    const { writer, files } = setup;
    const syncs = files.count('sync');
    for (let i = 0; i < 3; i++) {
      const outcome = append(setup, SEGMENT_DATA_AT + BATCH.length);
      await run(setup);
      assert.deepEqual([outcome.calls, outcome.failure], [1, failed.failure]);
    }
    assert.equal(files.count('sync'), syncs, 'it tried again');
    assert.equal(writer.synced, BASE + SEGMENT_DATA_AT);
  });
}

test('a write without space is written again until there is room; then it counts', async () => {
  const setup = await setUp();
  const fault = setup.files.fail({ op: 'write', nth: 1, code: 'ENOSPC', times: 3, short: 300 });
  const outcome = append(setup);
  for (let tries = 1; tries <= 3; tries++) {
    await setup.files.settle();
    assert.deepEqual([fault.fired, outcome.calls, setup.writer.full], [tries, 0, true]);
    assert.equal(setup.later.length, 1);
    for (const call of setup.later.splice(0)) call();
  }
  await run(setup);
  assert.deepEqual(outcome, { calls: 1, failure: undefined });
  assert.equal(setup.writer.full, false);
  const disk = setup.files.crash(loseAll).image('a').subarray(SEGMENT_DATA_AT);
  assert.deepEqual(disk.subarray(0, BATCH.length), BATCH);
});

test('two appends at once are a bug that is said, and the first is not harmed', async () => {
  const setup = await setUp();
  const first = append(setup);
  const second = append(setup, SEGMENT_DATA_AT + BATCH.length);
  await run(setup);
  assert.equal(first.failure, undefined);
  assert.match(second.failure!.message, /two appends/);
  assert.equal(setup.files.count('write'), 1);
});

test('interval and none: an append is done when written; a sync covers what was written before it', async () => {
  for (const mode of ['interval', 'none'] as const) {
    const setup = await setUp(mode);
    const { files, writer } = setup;
    const outcome = append(setup);
    await run(setup);
    assert.deepEqual([outcome.calls, files.count('sync')], [1, 0]);
    assert.equal(writer.synced, BASE + SEGMENT_DATA_AT);
    const synced: Outcome = { calls: 0, failure: undefined };
    writer.syncNow((failure) => {
      synced.calls++;
      synced.failure = failure;
    });
    append(setup, SEGMENT_DATA_AT + BATCH.length); // not covered by the sync under way
    await run(setup);
    assert.deepEqual(synced, { calls: 1, failure: undefined });
    assert.equal(writer.synced, BASE + SEGMENT_DATA_AT + BATCH.length);
  }
});

test('a sync asked for while another is under way covers what was written in between', async () => {
  const setup = await setUp('interval');
  const { files, writer, later } = setup;
  append(setup);
  await run(setup);
  const order: string[] = [];
  writer.syncNow(() => order.push('first'));
  assert.equal(files.pending[0]!.op, 'sync');
  append(setup, SEGMENT_DATA_AT + BATCH.length);
  files.step(1); // the write overtakes the sync
  writer.syncNow(() => order.push('second'));
  for (const call of later.splice(0)) call();
  assert.deepEqual(order, [], 'done before anything was synced');
  await run(setup);
  assert.deepEqual(order, ['first', 'second']);
  assert.equal(writer.synced, BASE + SEGMENT_DATA_AT + 2 * BATCH.length);
  const disk = files.crash(loseAll).image('a').subarray(SEGMENT_DATA_AT);
  assert.deepEqual(disk.subarray(0, 2000), new Uint8Array(2000).fill(7));
});

test('interval: a sync that fails is told to the broker, and ends all appends', async () => {
  const setup = await setUp('interval');
  append(setup);
  await run(setup);
  const fault = setup.files.fail({ op: 'sync', nth: 1, code: 'EIO' });
  setup.writer.syncNow(() => {});
  await run(setup);
  assert.equal(fault.fired, 1);
  assert.equal(setup.failures.length, 1);
  const outcome = append(setup);
  await run(setup);
  assert.equal((outcome.failure as NodeJS.ErrnoException).code, 'EIO');
  assert.equal(setup.writer.synced, BASE + SEGMENT_DATA_AT);
});

test('a sync with nothing to do is done', async () => {
  const setup = await setUp('none');
  let calls = 0;
  setup.writer.syncNow(() => calls++);
  assert.equal(calls, 0);
  await run(setup);
  assert.deepEqual([calls, setup.files.count('sync')], [1, 0]);
});

test('of several failures the first one is told, whatever fails after it', async () => {
  const setup = await setUp('interval');
  const { files, writer } = setup;
  append(setup);
  await run(setup);
  // A sync fails while an append is under way, which fails, too.
  files.fail({ op: 'sync', nth: 1, code: 'EIO' });
  files.fail({ op: 'write', nth: 1, code: 'EROFS' });
  writer.syncNow(() => {});
  const outcome = append(setup, SEGMENT_DATA_AT + BATCH.length);
  assert.deepEqual(
    files.pending.map(({ op }) => op),
    ['sync', 'write'],
  );
  await run(setup);
  assert.deepEqual(outcome, { calls: 1, failure: setup.failures[0] });
  assert.equal((outcome.failure as NodeJS.ErrnoException).code, 'EIO');
});

test('a sync over two segments of which both fail is one failure, the first', async () => {
  const setup = await setUp('none');
  const { files, writer, segment } = setup;
  append(setup);
  await run(setup);
  files.put('b', new Uint8Array(BYTES));
  const handle = new Promise<number>((resolve) =>
    files.open('b', false, (_failure, opened) => resolve(opened)),
  );
  await files.settle();
  const next = { ...segment, base: BASE + BYTES, end: BASE + 2 * BYTES, handle: await handle };
  append({ ...setup, segment: next });
  await run(setup);
  const faults = [
    files.fail({ op: 'sync', nth: 1, code: 'EIO', name: /a/ }),
    files.fail({ op: 'sync', nth: 1, code: 'ENOSPC', name: /b/ }),
  ];
  const told: unknown[] = [];
  writer.syncNow((failure) => told.push((failure as NodeJS.ErrnoException).code));
  await run(setup);
  assert.deepEqual(
    faults.map(({ fired }) => fired),
    [1, 1],
  );
  assert.deepEqual(told, ['EIO']);
  assert.equal(setup.failures.length, 1);
});

test('closed: what was written is synced first, and a sync under way ends', async () => {
  const setup = await setUp('interval');
  const { files, writer } = setup;
  const order: string[] = [];
  writer.close(() => void order.push('nothing to do'));
  assert.deepEqual(order, ['nothing to do']);
  append(setup);
  await run(setup);
  writer.close(() => void order.push('synced'));
  writer.close(() => void order.push('after it'));
  assert.equal(order.length, 1);
  await run(setup);
  assert.deepEqual(order.slice(1), ['synced', 'after it']);
  assert.deepEqual(
    [files.count('sync'), writer.synced],
    [1, BASE + SEGMENT_DATA_AT + BATCH.length],
  );
});
