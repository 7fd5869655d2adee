// The log as the broker has it: what it says of itself, what it refuses, and searches that go on
// while segments are given back or become part of another one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_HEADER_BYTES, SEGMENT_DATA_AT } from '../../assembly/layout.ts';
import type { Failure, Found } from '../../src/core/ports/basics.ts';
import type { Cut } from '../../src/log/backup.ts';
import { FileLog } from '../../src/log/file-log.ts';
import { LogError, type LogErrorCode } from '../../src/log/files/errors.ts';
import { IDLE } from '../../src/log/files/throttle.ts';
import { CHECKPOINT_NAME } from '../../src/log/index/checkpoint.ts';
import { indexName } from '../../src/log/index/index-file.ts';
import { segmentName } from '../../src/log/segments/segment.ts';
import { NO_NUMBERS } from '../support/entries.ts';
import { MemoryFiles } from '../support/memory-files.ts';
import {
  Collector,
  codec,
  indexOf,
  logOptions,
  type Message,
  SEGMENT_BYTES,
  World,
} from './harness.ts';

const FEW = 3;
const MANY = 1;

/** Six segments of many messages that are consumed, with a few between them that stay. */
async function mixed(): Promise<World> {
  const world = await World.open(new MemoryFiles());
  for (let i = 0; i < 48; i++) {
    const many: Message[] = Array.from({ length: 7 }, () => ({
      bucket: MANY,
      body: ''.padEnd(600, '.'),
    }));
    world.publish([{ bucket: FEW, body: `${i}` }, ...many]);
    await world.settle();
  }
  await world.drain(MANY);
  return world;
}

const BODIES = Array.from({ length: 48 }, (_, i) => `${i}`);

/** Advances until there was a compaction. */
async function compacted(world: World): Promise<void> {
  for (let i = 0; i < 100 && world.broker.compaction.count === 0; i++) await world.advance(1000);
  assert.equal(world.broker.compaction.count, 1, world.notes.join());
}

interface Answer {
  failure: Failure;
  found: Found[];
  next: number | undefined;
}

interface Query {
  base: number;
  at?: number;
  most?: number;
}

/** Asks for the few in one segment; the answer may come only later. */
function find({ log }: World, { base, at = 0, most = 100 }: Query): { answers: Answer[] } {
  const answers: Answer[] = [];
  log.index.find(
    { base, low: FEW, high: 0, kind: 0, sequence: 0, at },
    most,
    (failure, found, next) => {
      answers.push({ failure, found, next });
    },
  );
  assert.equal(answers.length, 0, 'answered within the call');
  return { answers };
}

async function found(world: World, query: Query): Promise<Answer> {
  const { answers } = find(world, query);
  await world.settle();
  assert.equal(answers.length, 1);
  return answers[0]!;
}

function refuses(call: () => void, code: LogErrorCode, text: RegExp): void {
  assert.throws(call, (error) => {
    assert.ok(error instanceof LogError && error.code === code, String(error));
    assert.match(error.message, text);
    return true;
  });
}

test('it says what is on disk: segments, spares and indexes', async () => {
  const world = await mixed();
  const { log, files } = world;
  const sizes = () => files.names().map((name) => files.image(name).length);
  assert.equal(
    log.diskBytes,
    sizes().reduce((sum, bytes) => sum + bytes, 0),
  );
  const runs = indexOf(files)
    .names()
    .filter((name) => name.endsWith('.run'));
  assert.ok(runs.length > 2);
  assert.equal(
    log.indexBytes,
    runs.reduce((sum, name) => sum + indexOf(files).image(name).length, 0),
  );
  assert.equal(log.fileBytes(log.startPosition), SEGMENT_BYTES);
  await compacted(world);
  assert.ok(log.fileBytes(log.startPosition) < SEGMENT_BYTES);
  assert.equal(log.fileBytes(2 ** 40), 0);
  await world.close();
  await log.close(); // again, which is nothing
});

test('positions that are not in the log are a mistake of the caller, and said', async () => {
  const world = await World.open(new MemoryFiles());
  const { log, files } = world;
  await world.settle();
  const writes = files.count('write');
  const fail = () => assert.fail('it went on');
  refuses(() => log.append(2 ** 40, 64, fail), 'missing', /no segment holds 1099511627776/);
  assert.equal(files.count('write'), writes);
  const query = { base: 2 ** 40, low: 1, high: 0, kind: 0, sequence: 0, at: 0 };
  refuses(() => log.index.find(query, 1, fail), 'missing', /no segment stands for 1099511627776/);
  refuses(() => log.roll(7 * SEGMENT_BYTES), 'missing', new RegExp(`is at ${SEGMENT_BYTES}$`));
});

test('a file that ends where the log goes on is told, not taken for zeros', async () => {
  const world = await World.open(new MemoryFiles());
  world.publish([{ bucket: 1, body: 'one' }]);
  await world.settle();
  const files = await world.close();
  const options = logOptions(files, indexOf(files), {}, [], []);
  let fault = { fired: 0 };
  const progress: typeof options.progress = ({ phase }) => {
    if (phase === 'counting')
      fault = files.fail({ op: 'read', nth: 1, name: /\.log$/, short: 0, times: 9 });
  };
  await assert.rejects(FileLog.open({ ...options, progress }, new Collector()), (error) => {
    assert.ok(error instanceof LogError && error.code === 'io', String(error));
    assert.match(error.message, new RegExp(`${segmentName(0)} ended while it was read`));
    return true;
  });
  assert.equal(fault.fired, 1);
});

test('what cannot be given back is said', async () => {
  const world = await mixed();
  const fault = world.files.fail({ op: 'rename', nth: 1, code: 'EIO', name: /\d\.log$/ });
  await world.drain(FEW);
  for (let i = 0; i < 5; i++) await world.advance(1000);
  assert.equal(fault.fired, 1);
  const note = `the unneeded segment ${segmentName(0)} stays on disk: EIO`;
  assert.ok(
    world.notes.some((each) => each.startsWith(note)),
    world.notes.join(),
  );
});

test('interval: nothing is given back before the trim record is on disk; the broker hears why', async () => {
  const world = await World.open(new MemoryFiles(), { mode: 'interval' });
  for (let i = 0; i < 40; i++) {
    world.publish([{ bucket: 1, body: `${i}`.padEnd(4000, '.') }]);
    await world.settle();
  }
  const fault = world.files.fail({ op: 'sync', nth: 1, code: 'EIO', name: /\d\.log$/, times: 99 });
  const segments = () => world.files.names().filter((name) => name.endsWith('.log'));
  const before = segments();
  assert.ok(before.length > 4);
  await world.drain(1);
  for (let i = 0; i < 5; i++) await world.advance(1000);
  assert.ok(fault.fired > 0);
  assert.deepEqual(segments(), before);
  assert.equal((world.failure as NodeJS.ErrnoException).code, 'EIO');
});

test('a log to which nobody listens yet writes and syncs all the same', async () => {
  const files = new MemoryFiles();
  const options = logOptions(files, indexOf(files), { mode: 'interval' }, [], []);
  const { log, resume } = await FileLog.open(options, new Collector());
  const position = resume.base + resume.offset;
  codec.memory.fill(7, codec.coldBytes + resume.offset, codec.coldBytes + resume.offset + 64);
  const told: (string | undefined)[] = [];
  const tell = (failure: Failure) => told.push((failure as NodeJS.ErrnoException)?.code);
  log.append(position, 64, tell);
  await files.settle();
  const image = files.image(segmentName(resume.base));
  assert.deepEqual(image.slice(resume.offset, resume.offset + 64), new Uint8Array(64).fill(7));
  files.fail({ op: 'sync', nth: 1, code: 'EIO' });
  log.sync(tell);
  await files.settle();
  assert.deepEqual(told, [undefined, 'EIO']);
  await log.close();
});

test('a place in a segment that became part of another one is not looked for there', async () => {
  const world = await mixed();
  const second = world.log.bases()[1]!;
  const { next, found: part } = await found(world, { base: second, most: 1 });
  assert.ok(next !== undefined && part.length === 1);
  await compacted(world);
  assert.ok(!world.log.bases().includes(second));
  const whole = await found(world, { base: 0 });
  assert.ok(whole.found.length > 20);
  const notes = world.notes.length;
  assert.deepEqual(await found(world, { base: second, at: next }), whole);
  assert.equal(world.notes.length, notes, 'an index was made again for it');
});

test('a search during which its segment is compacted gives what stands there now', async () => {
  const world = await mixed();
  const { files, log } = world;
  const { next } = await found(world, { base: 0, most: 1 });
  assert.ok(next !== undefined);
  files.auto = false;
  const queries = [{ base: 0 }, { base: log.bases()[1]! }, { base: 0, at: next }];
  const searches = queries.map((query) => find(world, query));
  // All calls but those of the searches, until the new segment has its name and its index.
  const theirs = new Set(files.pending);
  assert.ok(theirs.size > 0);
  let nowMs = 10_000;
  const turn = async () => {
    nowMs += 1000;
    world.broker.advance(nowMs);
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      world.turn();
    }
  };
  const others = () => files.pending.findIndex((call) => !theirs.has(call));
  for (let i = 0; i < 1000 && world.broker.compaction.count === 0; i++) {
    await turn();
    if (others() >= 0) files.step(others());
  }
  assert.equal(world.broker.compaction.count, 1);
  for (let i = 0; i < 20 || others() >= 0; i++) {
    await turn();
    if (others() >= 0) files.step(others());
  }
  assert.ok(searches.every(({ answers }) => answers.length === 0));
  files.auto = true;
  while (files.step());
  await world.settle();
  const whole = await found(world, { base: 0 });
  assert.deepEqual(searches[0]!.answers, [whole]);
  assert.equal(searches[1]!.answers.length, 1);
  // A place in the index that is gone is none in the new one.
  assert.deepEqual(searches[2]!.answers, [whole]);
  assert.deepEqual(world.notes, []);
  for (const { position, bodyBytes } of whole.found) {
    const failures: Failure[] = [];
    log.load(position, RECORD_HEADER_BYTES + bodyBytes, (failure) => void failures.push(failure));
    await world.settle();
    assert.deepEqual(failures, [undefined]);
  }
  assert.deepEqual(await world.drain(FEW), BODIES);
});

test('a search during which its segment is given back is answered all the same', async () => {
  const world = await mixed();
  const { files, log } = world;
  files.auto = false;
  const { answers } = find(world, { base: 0 });
  log.trim(log.bases()[1]!);
  assert.ok(!log.bases().includes(0));
  files.auto = true;
  while (files.step());
  await world.settle();
  assert.equal(answers.length, 1);
});

test('a start counts a compacted segment again, also when its index turns out damaged', async () => {
  const world = await mixed();
  await compacted(world);
  const [base] = world.log.bases() as [number];
  // Some of its messages are done; only the records tell which of the sequences were in it.
  const { link, consumer } = world.consume(FEW, 10);
  await world.settle();
  assert.ok(link.received.length > 0);
  consumer.receive(new Uint8Array(10).fill(1));
  await world.settle();
  consumer.gone();
  const files = await world.close();
  indexOf(files).take(CHECKPOINT_NAME);
  for (const damaged of [false, true]) {
    const copy = files.clone();
    const image = indexOf(copy).image(indexName(base));
    if (damaged) image[image.length - 3]! ^= 4;
    const again = await World.open(copy);
    assert.deepEqual(again.broker.retention.live, 38, `${damaged}`);
    assert.equal(
      again.broker.retention.segments[0]!.live,
      world.broker.retention.segments[0]!.live,
    );
    assert.deepEqual(await again.drain(FEW), BODIES.slice(10));
    await again.close();
  }
});

test('a checkpoint leaves out what is not there any more, and does not hold up who asked', async () => {
  const world = await mixed();
  const { log } = world;
  const { broker } = world;
  const [first, , , fourth] = log.bases() as [number, number, number, number];
  const state = () => ({
    start: first,
    segments: [
      { base: 2 ** 40, first: 1, messages: 5, live: 5, idsUntilMs: 0 },
      { base: first, first: 1, messages: 64, live: 8, idsUntilMs: 0 },
    ],
    end: 65,
    settled: { pages: () => broker.buckets.outcomes.settled.pages(65) },
    attempts: { pages: () => broker.buckets.outcomes.attempts.pages(65) },
    numbers: NO_NUMBERS,
    stored: [],
  });
  let done = 0;
  log.upkeep.checkpoint(fourth, state, true, () => done++);
  await world.settle();
  assert.equal(done, 1);
  const image = indexOf(world.files).image(CHECKPOINT_NAME);
  assert.equal(new DataView(image.buffer, image.byteOffset).getUint32(40, true), 1);
  // Just saved: nothing is due, and nobody waits for an answer.
  log.upkeep.checkpoint(fourth, () => assert.fail('it is not due'));
  log.upkeep.checkpoint(2 ** 40, () => assert.fail('there is no such segment'));
  await world.settle();
});

// --- compactions that end otherwise -----------------------------------------------------------

interface Asked {
  bases: readonly number[];
  hurry?: () => boolean;
}

/** Asks for a compaction as the broker does. */
function compact(world: World, { bases, hurry = () => false }: Asked) {
  const { broker, log } = world;
  const { settled, attempts } = broker.buckets.outcomes;
  const outcome = { calls: 0, failure: undefined as Failure, smaller: false };
  log.upkeep.compact(
    {
      bases,
      hurry,
      isSettled: (sequence) => settled.has(sequence),
      attemptsOf: (sequence) => attempts.get(sequence),
      storedMs: () => 0,
      start: log.startPosition,
      oldestNeeded: 1,
      moved: () => {},
    },
    (failure, smaller) => {
      outcome.calls++;
      outcome.failure = failure;
      outcome.smaller = smaller;
    },
  );
  return outcome;
}

/** What a start on the files finds of the few. */
async function fewIn(files: MemoryFiles): Promise<string[]> {
  const world = await World.open(files);
  assert.deepEqual(world.notes, []);
  const bodies = await world.drain(FEW);
  await world.close();
  return bodies;
}

const isLogFile = (name: string): boolean => name.endsWith('.log');

test('asked for by bases of which the last became part of another one: nothing is done', async () => {
  const world = await mixed();
  const { log, files } = world;
  const bases = log.bases().slice(0, 2);
  await compacted(world);
  const { changes } = files;
  const outcome = compact(world, { bases });
  await world.settle();
  assert.deepEqual(outcome, { calls: 1, failure: undefined, smaller: false });
  assert.equal(files.changes, changes);
});

test('a compaction pauses between its steps, and does not when there is haste', async () => {
  for (const haste of [false, true]) {
    const files = await (await mixed()).close();
    const later: (() => void)[] = [];
    const options = logOptions(files, indexOf(files), {}, later, []);
    const paused: (() => void)[] = [];
    const pause = (call: () => void) => void paused.push(call);
    const { log } = await FileLog.open({ ...options, idleDelay: pause }, new Collector());
    const outcome: unknown[] = [];
    const bases = log.bases().slice(0, 2);
    log.upkeep.compact(
      {
        bases,
        hurry: () => haste,
        isSettled: () => true,
        attemptsOf: () => 0,
        storedMs: () => 0,
        start: 0,
        oldestNeeded: 1,
        moved: () => {},
      },
      (...answer) => outcome.push(answer),
    );
    for (let i = 0; i < 20; i++) await files.settle();
    assert.equal(paused.length, haste ? 0 : 1);
    while (outcome.length === 0) {
      for (const call of paused.splice(0)) call();
      await files.settle();
    }
    assert.deepEqual(outcome, [[undefined, true]]);
    await log.close();
  }
});

test('work beside the broker takes smaller pieces for those whom it was told to give way to', async () => {
  const files = new MemoryFiles();
  const foreground = { ...IDLE };
  const later: (() => void)[] = [];
  const options = { ...logOptions(files, indexOf(files), {}, later, []), foreground };
  const { log } = await FileLog.open(options, new Collector());
  const cuts: Cut[] = [];
  log.pin((_failure, cut) => void cuts.push(cut!));
  for (const call of later.splice(0)) call();
  await files.settle();
  const cut = cuts[0]!;
  const usual = cut.piece();
  foreground.latencySensitive = true;
  assert.ok(cut.piece() < usual);
  foreground.latencySensitive = false;
  assert.equal(cut.piece(), usual);
  for (const pinned of cut.pinned) pinned.release();
  await log.close();
});

test('closed at any moment of a compaction: it is done or given up, and nothing is left of it', async () => {
  const said = new Set<string>();
  const stopped = await (await mixed()).close();
  for (let steps = 0, over = false; !over; steps++) {
    const world = await World.open(stopped.clone());
    const { files, log } = world;
    await world.settle();
    const before = files.names().filter(isLogFile).length;
    files.auto = false;
    const outcome = compact(world, { bases: log.bases().slice(0, 3) });
    for (let i = 0; i < steps && outcome.calls === 0; i++) {
      while (files.pending.length === 0 && outcome.calls === 0)
        await new Promise((resolve) => setImmediate(resolve));
      files.step();
    }
    over = outcome.calls > 0;
    const closed = log.close();
    files.auto = true;
    while (files.step());
    await world.settle();
    await closed;
    assert.equal(outcome.calls, 1, `after ${steps} operations`);
    assert.deepEqual([files.openHandles, files.names().includes('compact.tmp')], [0, false]);
    said.add(outcome.failure?.message ?? `${outcome.smaller}`);
    const gone = before - files.names().filter(isLogFile).length;
    assert.equal(gone, outcome.smaller ? 2 : 0, `after ${steps} operations`);
    assert.deepEqual(await fewIn(files.kill()), BODIES, `after ${steps} operations`);
  }
  assert.deepEqual([...said].sort(), ['false', 'the log is being closed', 'true']);
});

test('a log is closed when it is, however often that is asked for', async () => {
  const world = await World.open(await (await mixed()).close());
  const { files, log } = world;
  await world.settle();
  files.auto = false;
  compact(world, { bases: log.bases().slice(0, 3) });
  while (files.pending.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const told: string[] = [];
  const first = log.close().then(() => told.push('first'));
  const second = log.close().then(() => told.push('second'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(told, [], 'what was read has not ended');
  files.auto = true;
  while (files.step());
  await world.settle();
  await Promise.all([first, second]);
  assert.deepEqual([files.openHandles, told], [0, ['first', 'second']]);
});

test('a compaction fails after its segment has its name: no file stays open, nothing is lost', async () => {
  const world = await mixed();
  const { files, log } = world;
  const [first, second] = log.bases() as [number, number];
  const fault = files.fail({ op: 'syncDirectory', nth: 1, code: 'EIO' });
  const outcome = compact(world, { bases: [first, second], hurry: () => true });
  await world.settle();
  assert.match(`${outcome.failure}`, /EIO/);
  assert.equal(fault.fired, 1);
  assert.deepEqual(log.bases().slice(0, 2), [first, 2 * second], 'the new segment counts');
  assert.ok(files.names().includes(segmentName(second)), 'a name was taken away too early');
  const stopped = await world.close(); // all files are closed
  const next = await World.open(stopped);
  await next.settle();
  assert.ok(!stopped.names().includes(segmentName(second)), 'it is a leftover');
  assert.deepEqual(await next.drain(FEW), BODIES);
  await next.close();
});

test('closed at any moment of a search and a read: they end before their files are closed', async () => {
  const stopped = await (await mixed()).close();
  for (let steps = 0, over = false; !over; steps++) {
    const world = await World.open(stopped.clone());
    const { files, log, notes } = world;
    await world.settle();
    files.auto = false;
    const base = log.bases()[1]!;
    const { answers } = find(world, { base });
    let reads = 0;
    log.load(base + SEGMENT_DATA_AT, RECORD_HEADER_BYTES, () => void reads++);
    for (let i = 0; i < steps; i++) {
      files.step();
      await new Promise((resolve) => setImmediate(resolve));
    }
    over = answers.length > 0 && reads > 0;
    let closed = false;
    void log.close().then(() => {
      closed = true;
    });
    // What was asked for last happens first.
    for (let turns = 0; !closed || files.pending.length > 0; turns++) {
      assert.ok(turns < 1000, 'the log is not closed');
      await new Promise((resolve) => setImmediate(resolve));
      files.step(files.pending.length - 1);
      world.turn();
    }
    assert.deepEqual([answers.length, reads, files.openHandles], [1, 1, 0], `after ${steps} steps`);
    assert.deepEqual(notes, [], `after ${steps} steps`);
  }
});

test('what is asked of a log that is being closed is not begun', async () => {
  const world = await mixed();
  const { files, log } = world;
  let pinned: Failure;
  log.pin((failure) => {
    pinned = failure;
  });
  const closed = log.close();
  const [first, second] = log.bases() as [number, number];
  const outcome = compact(world, { bases: [first, second] });
  await world.settle();
  await closed;
  assert.match(`${pinned!}`, /the log is being closed/);
  assert.match(`${outcome.failure}`, /the log is being closed/);
  const reads = files.count('read');
  const notes = [...world.notes];
  log.load(first + SEGMENT_DATA_AT, RECORD_HEADER_BYTES, () => assert.fail('it was read'));
  log.trim(second);
  log.retry();
  const { answers } = find(world, { base: first });
  await world.settle();
  assert.match(`${answers[0]!.failure}`, /the runs are closed/);
  assert.deepEqual(world.notes, notes, 'an index was made again for it');
  assert.equal(files.count('read'), reads);
  assert.equal(log.startPosition, first, 'that is left to the next start');
});

test('a segment is given back while another is read for the compaction: it is given up', async () => {
  const world = await mixed();
  const { files, log } = world;
  const [first, second] = log.bases() as [number, number];
  files.auto = false;
  const outcome = compact(world, { bases: [first, second] });
  // Up to the last step before the new name.
  const isLast = () => files.pending.some(({ op, name }) => op === 'sync' && /tmp/.test(name));
  for (let i = 0; i < 1000 && !isLast(); i++) {
    files.step();
    await new Promise((resolve) => setImmediate(resolve));
    world.turn();
  }
  assert.ok(isLast());
  log.trim(second);
  files.auto = true;
  while (files.step());
  await world.settle();
  assert.deepEqual(outcome, { calls: 1, failure: undefined, smaller: false });
  assert.equal(log.startPosition, second);
  assert.ok(!files.names().includes(segmentName(first)));
  assert.equal(log.fileBytes(second), SEGMENT_BYTES);
});

test('a log whose file is moved away fails, and nothing is acked from then on', async () => {
  const world = await World.open(new MemoryFiles());
  const { log, files } = world;
  const link = world.publish([{ bucket: 1, body: 'before' }]);
  await world.settle();
  log.look();
  await world.settle();
  files.take(segmentName(0), 'away');
  let lost: Failure;
  log.lookAgain((failure) => {
    lost = failure;
  });
  await world.settle();
  assert.ok(lost! instanceof LogError && lost.code === 'lost');
  assert.equal(world.failure, lost);
  assert.ok(link.closed, 'who publishes is told by the end of the connection');
  let appended: Failure;
  log.append(world.broker.commit.endPosition, 8, (failure) => {
    appended = failure;
  });
  await world.settle();
  assert.equal(appended!, lost);
});

test('a log that has no broker yet, and one that stands in a place that is gone', async () => {
  const files = new MemoryFiles();
  const options = {
    ...logOptions(files, indexOf(files), {}, [], []),
    places: [
      {
        name: 'the volume',
        follow: (done: (failure: Failure, leads: 'nowhere') => void) =>
          queueMicrotask(() => done(undefined, 'nowhere')),
      },
    ],
  };
  const { log } = await FileLog.open(options, new Collector());
  const failure = await new Promise<Failure>((resolve) => log.lookAgain(resolve));
  assert.match(failure!.message, /^the volume is not there any more/);
  await log.close();
});
