// Starts with checkpoint and indexes: whatever is missing, damaged, stale or foreign among them,
// the state is the one that a reading of the whole log comes to. And what is done when an index
// turns out damaged while the broker serves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../../src/codec/crc32c.ts';
import type { Failure, Found } from '../../../src/core/ports/basics.ts';
import type { CheckpointSource } from '../../../src/core/ports/upkeep.ts';
import { LogError } from '../../../src/log/files/errors.ts';
import { open } from '../../../src/log/files/promises.ts';
import { CHECKPOINT_NAME, readCheckpoint } from '../../../src/log/index/checkpoint.ts';
import { INDEX_HEADER_BYTES, indexName } from '../../../src/log/index/index-file.ts';
import { IndexStore } from '../../../src/log/index/index-store.ts';
import type { Indexed } from '../../../src/log/index/indexed.ts';
import { Indexes } from '../../../src/log/index/indexes.ts';
import {
  decodeHeader,
  encodeHeader,
  keyOf,
  segmentName,
} from '../../../src/log/segments/segment.ts';
import { NO_ENTRIES, NO_NUMBERS } from '../../support/entries.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { paceOf } from '../../support/pace.ts';
import { Random } from '../../support/random.ts';
import { smallPlainCodec } from '../../support/twins.ts';
import { bodiesOf, indexOf, LOG_ID, SEGMENT_BYTES, World, type WorldOptions } from '../harness.ts';
import {
  BASE,
  bucket,
  type Entry,
  entriesOf,
  expected,
  inOrder,
  sourceOf,
} from '../run-harness.ts';

const BUCKETS = [1, 2, 3];
const MANY = Number.POSITIVE_INFINITY;

/** Publishes `batches` batches, about four to a segment, and acks and returns some of bucket 2. */
async function fill(world: World, batches: number, name: string): Promise<void> {
  for (let i = 0; i < batches; i++) {
    const body = (k: number) => `${name}-${i}-${k}-`.padEnd(900, '.');
    const messages = [1, 2, 3, 1, 2, 3, 2, 2].map((bucket, k) => ({ bucket, body: body(k) }));
    world.publish(messages);
    await world.settle();
    if (i % 3 !== 0) continue;
    const { consumer } = world.consume(2, 4);
    await world.settle();
    consumer.receive(Uint8Array.from([1, 0, 1]));
    await world.advance(1000);
    consumer.gone();
    await world.settle();
  }
}

/** A life that publishes so many batches, in which a checkpoint is saved at the end. */
async function live(
  files: MemoryFiles,
  batches: number,
  name: string,
  options: WorldOptions = {},
): Promise<MemoryFiles> {
  const world = await World.open(files, options);
  await fill(world, batches, name);
  world.broker.saveCheckpoint(true);
  await world.settle();
  return world.close();
}

/** A stopped log of about 12 segments with checkpoint and indexes of all that are complete. */
const LOG = await live(new MemoryFiles(), 48, 'a');
const FIRST = segmentsOf(LOG).slice(0, -2);

function segmentsOf(files: MemoryFiles): number[] {
  const names = files.names().filter((name) => name.endsWith('.log'));
  return names.map((name) => Number(name.slice(0, 20)));
}

interface Started {
  state: unknown;
  used: World['used'];
  notes: string[];
}

/** What a start on a copy of these files comes to, and what it took from checkpoint and indexes. */
async function start(files: MemoryFiles): Promise<Started> {
  const world = await World.open(files.clone());
  const { outcomes: fates } = world.broker.buckets;
  const { segments, live } = world.broker.retention;
  const state = {
    resume: world.recovered.resume,
    live,
    segments: segments.map(({ base, first, messages, live }) => [base, first, messages, live]),
    settled: [...fates.settled.runs(0, 1_000_000)],
    attempts: [...fates.attempts.runs(0, 1_000_000)],
    lines: [] as string[][],
  };
  for (const bucket of BUCKETS) state.lines.push(await world.drain(bucket));
  assert.equal(state.lines.flat().length, live);
  const { used, notes } = world;
  await world.close();
  return { state, used, notes };
}

function without(files: MemoryFiles): MemoryFiles {
  const copy = files.clone();
  indexOf(copy).clear();
  return copy;
}

/** Asserts that a start comes to what the log says; gives what was used. */
async function same(files: MemoryFiles, why: string): Promise<Started> {
  const found = await start(files);
  const whole = await start(without(files));
  assert.deepEqual(whole.used, { segments: [], checkpoint: false });
  assert.deepEqual(found.state, whole.state, why);
  return found;
}

function bend(files: MemoryFiles, change: (index: ReturnType<typeof indexOf>) => void) {
  const copy = files.clone();
  change(indexOf(copy));
  return copy;
}

test('with checkpoint and indexes, only the newest segments are read', async () => {
  const { used, state } = await same(LOG, 'all of it');
  assert.ok(used.checkpoint);
  assert.ok(used.segments.length >= 6, `${used.segments} were not read`);
  const { settled, attempts } = state as { settled: unknown[]; attempts: unknown[] };
  assert.ok(settled.length > 3 && attempts.length > 3, 'there is too little to be wrong about');
  const { segments } = (await same(await live(LOG.clone(), 8, 'b'), 'a life later')).used;
  assert.ok(segments.length > used.segments.length);
});

test('with a checkpoint alone, indexes alone or some of them, the state is the same', async () => {
  const runs = indexOf(LOG)
    .names()
    .filter((name) => name.endsWith('.run'));
  assert.ok(runs.length >= 8);
  const bare = bend(LOG, (index) => runs.forEach((name) => void index.take(name)));
  assert.deepEqual((await same(bare, 'no index')).used, { segments: [], checkpoint: true });
  const alone = bend(LOG, (index) => index.take(CHECKPOINT_NAME));
  assert.equal((await same(alone, 'no checkpoint')).used.checkpoint, false);
  for (const parity of [0, 1]) {
    const some = bend(LOG, (index) => {
      for (const [i, name] of runs.entries()) if (i % 2 === parity) index.take(name);
    });
    const { used } = await same(some, `every other index, ${parity}`);
    assert.ok(used.checkpoint && used.segments.length > 1, `${used.segments}`);
  }
});

test('what is damaged, empty or foreign is made again or left out', async () => {
  const run = indexName(FIRST[2]!);
  const flip = (name: string, at: number) => (index: ReturnType<typeof indexOf>) => {
    const image = index.image(name);
    image[at < 0 ? image.length + at : at]! ^= 4;
  };
  const cases: [string, (index: ReturnType<typeof indexOf>) => void][] = [
    ['the header of an index', flip(run, 30)],
    ['the tables of an index', flip(run, INDEX_HEADER_BYTES + 1)],
    ['the entries of an index', flip(run, -3)],
    ['an empty index', (index) => index.put(run, new Uint8Array(0))],
    ['half an index', (index) => index.put(run, index.image(run).slice(0, 100))],
    ['the index of another segment', (index) => index.put(run, index.image(indexName(FIRST[3]!)))],
    ['an index too many', (index) => index.put(indexName(7), index.image(run))],
    ['an index half made', (index) => index.put('run.tmp', index.image(run))],
    ['a checkpoint half made', (index) => index.put('checkpoint.tmp', Buffer.from('half'))],
    ['the checkpoint', flip(CHECKPOINT_NAME, 70)],
    ['half a checkpoint', (i) => i.put(CHECKPOINT_NAME, i.image(CHECKPOINT_NAME).slice(0, 99))],
  ];
  for (const [why, change] of cases) await same(bend(LOG, change), why);
});

test('a log of one segment is stopped: nothing is said about its checkpoint', async () => {
  const { used, notes } = await same(await live(new MemoryFiles(), 1, 'short'), 'short');
  assert.deepEqual(used, { segments: [], checkpoint: false });
  assert.deepEqual(notes, []);
});

test('checkpoint and indexes of another log are not used', async () => {
  const other = await live(new MemoryFiles(), 48, 'other');
  const mixed = bend(LOG, (index) => {
    index.clear();
    for (const name of indexOf(other).names()) index.put(name, indexOf(other).image(name));
  });
  // The same id, bases and headers: as if somebody had copied a folder and gone on with both.
  const { used, notes } = await same(mixed, 'of a twin');
  assert.deepEqual(used, { segments: [], checkpoint: false });
  assert.ok(notes.some((note) => note.includes('does not fit the log')));
});

test('an older copy of the log is put back: the checkpoint is not used, nor when it has grown', async () => {
  const older = await live(new MemoryFiles(), 30, 'a');
  const newer = await live(older.clone(), 10, 'b');
  assert.ok((await same(newer, 'newer')).used.checkpoint);
  const back = bend(older, (index) => {
    index.clear();
    for (const name of indexOf(newer).names()) index.put(name, indexOf(newer).image(name));
  });
  assert.equal((await same(back, 'put back')).used.checkpoint, false);
  const grown = await live(back, 16, 'c');
  assert.ok(segmentsOf(grown).length > segmentsOf(newer).length);
  assert.ok((await same(grown, 'with its own')).used.checkpoint);
  indexOf(grown).put(CHECKPOINT_NAME, indexOf(newer).image(CHECKPOINT_NAME));
  assert.equal((await same(grown, 'grown since')).used.checkpoint, false);
  // A spare that comes to stand behind the checkpoint proves nothing with its old records.
  const recycled = back.clone();
  const last = segmentsOf(recycled).at(-1)!;
  const image = recycled.image(segmentName(last));
  image.set(recycled.image(segmentName(0)).subarray(4096), 4096);
  assert.equal((await same(recycled, 'recycled')).used.checkpoint, false);
});

test('a segment behind the checkpoint that cannot be read there shows nothing: all is read', async () => {
  const known = (await readCheckpoint(indexOf(LOG), LOG_ID, crc32c))!.segments.at(-1)!.base;
  const behind = segmentsOf(LOG).find((base) => base > known)!;
  const files = LOG.clone();
  // After its header was read, and only then.
  const name = RegExp(segmentName(behind));
  const fault = files.fail({ op: 'read', nth: 2, name, short: 0 });
  const world = await World.open(files);
  assert.equal(fault.fired, 1);
  assert.deepEqual(world.used, { segments: [], checkpoint: false });
  assert.ok(world.notes.some((note) => note.includes('does not fit the log')));
  const { lines } = (await start(LOG)).state as { lines: string[][] };
  for (const [i, bucket] of BUCKETS.entries())
    assert.deepEqual(await world.drain(bucket), lines[i]);
});

test('a segment that was made anew at its place is read, whatever is known of the old one', async () => {
  const anew = (base: number) => {
    const files = LOG.clone();
    const image = files.image(segmentName(base));
    const header = decodeHeader(image, 'it');
    image.set(encodeHeader({ ...header, timeMs: header.timeMs + 1 }).subarray(0, 64));
    return files;
  };
  const before = (await start(LOG)).used.segments;
  const { used } = await same(anew(FIRST[2]!), 'one in the middle');
  assert.deepEqual(
    used.segments,
    before.filter((base) => base !== FIRST[2]),
  );
  const indexed = await live(anew(FIRST[2]!), 0, 'nothing');
  indexOf(indexed).put(CHECKPOINT_NAME, indexOf(LOG).image(CHECKPOINT_NAME));
  const again = (await same(indexed, 'its index is new, the checkpoint is not')).used;
  assert.ok(again.checkpoint && !again.segments.includes(FIRST[2]!));
  const known = segmentsOf(LOG).at(-3)!;
  assert.equal((await same(anew(known), 'the last one known')).used.checkpoint, false);
});

test('a segment that is missing or renamed is refused, although its index is there', async () => {
  const gap = LOG.clone();
  gap.take(segmentName(FIRST[3]!));
  const range = `no positions 0 to ${FIRST[4]! - 1}|no positions ${FIRST[3]} to ${FIRST[4]! - 1}`;
  await assert.rejects(World.open(gap), (error) => {
    assert.ok(error instanceof LogError && error.code === 'missing', String(error));
    assert.match(error.message, new RegExp(range));
    return true;
  });
  const renamed = LOG.clone();
  renamed.take(segmentName(FIRST[3]!));
  renamed.put(segmentName(FIRST[3]!), LOG.image(segmentName(FIRST[2]!)));
  await assert.rejects(World.open(renamed), { message: /renamed or copied/ });
});

test('the index of a segment that is cut goes, and those behind it', async () => {
  const files = LOG.clone();
  const cut = FIRST[5]!;
  for (const base of segmentsOf(files)) if (base > cut) files.take(segmentName(base));
  files.image(segmentName(cut)).fill(0, SEGMENT_BYTES / 2);
  assert.ok(indexOf(files).names().includes(indexName(cut)));
  const next = await live(files, 0, 'nothing');
  const runs = indexOf(next).names();
  assert.ok(runs.includes(indexName(FIRST[4]!)));
  for (const base of segmentsOf(LOG)) if (base >= cut) assert.ok(!runs.includes(indexName(base)));
  await same(await live(next, 12, 'd'), 'filled again');
});

test('indexes that cannot be written at a start: what they would hold stays in memory', async () => {
  const files = without(LOG);
  const fault = files.fail({ op: 'write', nth: 4, name: /run\.tmp/, code: 'EIO', times: 1000 });
  const world = await World.open(files);
  assert.equal(fault.fired, 1);
  assert.ok(world.notes.some((note) => /the index of .* cannot be written: EIO/.test(note)));
  const { lines } = (await start(LOG)).state as { lines: string[][] };
  for (const [i, bucket] of BUCKETS.entries())
    assert.deepEqual(await world.drain(bucket), lines[i]);
});

test('the weaker modes write no checkpoint', async () => {
  const files = await live(new MemoryFiles(), 20, 'a', { mode: 'interval' });
  const names = indexOf(files).names();
  assert.ok(names.length > 2 && !names.includes(CHECKPOINT_NAME));
  await same(files, 'interval');
});

/** An open broker all of whose indexes have a flipped bit among their entries. */
async function damaged(): Promise<{ world: World; lines: string[][] }> {
  const { lines } = (await start(LOG)).state as { lines: string[][] };
  const world = await World.open(LOG.clone());
  const index = indexOf(world.files);
  for (const name of index.names()) if (name.endsWith('.run')) index.image(name).fill(9, -28 * 30);
  return { world, lines };
}

test('indexes found damaged while serving are made again, several at a time', async () => {
  const { world, lines } = await damaged();
  // In pieces, so that one made again beside another would find its bytes in the shared codec.
  world.files.fail({ op: 'read', nth: 1, name: /\d\.log$/, short: 5000, times: MANY });
  const links = BUCKETS.map((bucket) => world.consume(bucket, 10_000));
  const got: string[][] = BUCKETS.map(() => []);
  for (let more = true; more; ) {
    await world.settle();
    more = false;
    for (const [i, { link, consumer }] of links.entries()) {
      const bodies = bodiesOf(link);
      link.received = [];
      got[i]!.push(...bodies);
      if (bodies.length > 0) consumer.receive(new Uint8Array(bodies.length).fill(1));
      more ||= bodies.length > 0;
    }
  }
  assert.deepEqual(got, lines);
  assert.ok(world.notes.some((note) => /the index of .* is made again: /.test(note)));
});

test('an index that a visit finds damaged is made again when asked for, once for all who ask', async () => {
  const { world } = await damaged();
  const { index } = world.log;
  const base = FIRST[2]!;
  const answered = async (ask: (done: (failure: Failure) => void) => void) => {
    const answers: Failure[] = [];
    ask((failure) => void answers.push(failure));
    await world.settle();
    assert.equal(answers.length, 1);
    return answers[0];
  };
  const visited = () => answered((done) => index.visit(base, () => {}, done));
  const remade = () => answered((done) => index.remake(base, done));
  assert.match(String(await visited()), /do not match their checksum/);
  const name = RegExp(segmentName(base));
  const fault = world.files.fail({ op: 'read', nth: 1, name, code: 'EIO' });
  assert.match(String(await remade()), /EIO/, 'what its segment says');
  assert.equal(fault.fired, 1);
  assert.match(String(await visited()), /do not match their checksum/);
  const notes = world.notes.length;
  assert.deepEqual(await Promise.all([remade(), remade()]), [undefined, undefined]);
  assert.equal(world.notes.length, notes + 1, world.notes.join());
  assert.equal(await visited(), undefined);
});

test('an index that is made again and finds no space is searched in memory', async () => {
  const { world, lines } = await damaged();
  const fault = world.files.fail({ op: 'write', nth: 1, name: /run/, code: 'ENOSPC', times: MANY });
  const got: string[][] = [];
  for (const bucket of BUCKETS) got.push(await world.drain(bucket));
  assert.ok(fault.fired > 3, `${fault.fired}`);
  assert.deepEqual(got, lines);
  assert.ok(
    world.notes.some((note) => /cannot be written: ENOSPC.* It stays in memory/.test(note)),
  );
});

test('a segment that cannot be read is reported; what waits elsewhere goes on', async () => {
  const { world, lines } = await damaged();
  const name = segmentName(FIRST[2]!);
  const fault = world.files.fail({
    op: 'read',
    nth: 1,
    name: RegExp(name),
    code: 'EIO',
    times: 99,
  });
  const got = await world.drain(1);
  assert.ok(fault.fired > 0);
  const note = `in the segment at log position ${FIRST[2]} cannot be found: EIO`;
  assert.ok(
    world.notes.some((each) => each.includes(note)),
    world.notes.join('\n'),
  );
  assert.ok(got.length > lines[0]!.length / 2 && got.length < lines[0]!.length);
  assert.deepEqual(
    got,
    lines[0]!.filter((body) => got.includes(body)),
  );
  assert.equal(world.failure, undefined);
});

const ENTRIES = entriesOf(new Random(1), 3000, (i) => i % 7);

/** A store over empty folders, whose segments cannot be read. */
function emptyStore(noted: () => void = () => {}) {
  const files = new MemoryFiles();
  const notes: string[] = [];
  const store: IndexStore = new IndexStore({
    files,
    segmentFiles: files,
    logId: 1n,
    hashSeed: 1,
    crc32c,
    soon: (call) => void setImmediate(call),
    pace: paceOf(setImmediate),
    sideCodec: () => assert.fail('no segment is read'),
    note: (_level, text) => {
      notes.push(text);
      noted();
    },
  });
  return { files, notes, store };
}

interface Answer {
  failure: Failure;
  found: Found[];
  next: number | undefined;
}

function find(store: IndexStore, segment: Indexed, most = 1e6, at = 0): Promise<Answer> {
  const query = { ...bucket(1), kind: 0, sequence: 0, at };
  return new Promise((resolve) =>
    store.find(segment, query, most, (failure, found, next) => resolve({ failure, found, next })),
  );
}

/** Everything of a segment, however the store has it. */
function visited(store: IndexStore, segment: Indexed): Promise<Entry[]> {
  const entries: Entry[] = [];
  return new Promise((resolve, reject) =>
    store.visit(
      segment,
      (low, high, found) => void entries.push({ low, high, ...found }),
      (failure) => (failure === undefined ? resolve(entries) : reject(failure)),
    ),
  );
}

/** The segment that this identity tells from others at its place. */
function segmentOf(identity: number): Indexed {
  const [name, bytes] = [segmentName(BASE), SEGMENT_BYTES];
  return { base: BASE, name, bytes, handle: 1, key: 1, identity };
}

/** Waits until the index of the segment is written. */
async function written(store: IndexStore, segment: Indexed): Promise<void> {
  const query = { ...bucket(1), kind: 0, sequence: 0, at: 0 };
  await new Promise((resolve) => store.find(segment, query, 1, resolve));
}

test('who visits a segment whose index is being written waits for it, as who searches does', async () => {
  const { files, notes, store } = emptyStore();
  files.auto = false;
  store.replace(segmentOf(7), sourceOf(ENTRIES));
  const seen = visited(store, segmentOf(7));
  const found = find(store, segmentOf(7));
  await new Promise((resolve) => setImmediate(resolve));
  files.auto = true;
  files.step();
  assert.equal((await seen).length, ENTRIES.length);
  assert.ok((await found).found.length > 0);
  assert.deepEqual(notes, []);
});

test('a segment given back or compacted again while its index is written: nothing is said or kept', async () => {
  let ended = 0;
  for (let steps = 0; ended < 3; steps++) {
    const { files, notes, store } = emptyStore();
    files.auto = false;
    store.replace(segmentOf(7), sourceOf(ENTRIES));
    for (let i = 0; i < steps; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      files.step();
    }
    ended += files.count('rename');
    store.replace(segmentOf(8), sourceOf(ENTRIES.slice(9)));
    store.retry();
    files.auto = true;
    files.step();
    await written(store, segmentOf(8));
    assert.ok(await store.has(segmentOf(8)), `after ${steps} steps`);
    files.auto = false;
    store.replace(segmentOf(9), sourceOf(ENTRIES.slice(99)));
    for (let i = 0; i < steps; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      files.step();
    }
    store.drop(BASE);
    store.retry();
    files.auto = true;
    while (files.step());
    await store.close();
    assert.deepEqual([files.names(), notes], [[], []], `after ${steps} steps`);
  }
});

test('an index that failed after its segment was compacted again is not written any more', async () => {
  const { files, store } = emptyStore();
  const fault = files.fail({ op: 'write', nth: 1, code: 'EIO' });
  files.auto = false;
  store.replace(segmentOf(7), sourceOf(ENTRIES));
  while (files.pending.at(-1)?.op !== 'write') {
    await new Promise((resolve) => setImmediate(resolve));
    if (files.pending.at(-1)?.op !== 'write') files.step();
  }
  store.replace(segmentOf(8), sourceOf(ENTRIES.slice(9)));
  files.auto = true;
  files.step();
  await written(store, segmentOf(8));
  assert.equal(fault.fired, 1);
  store.retry();
  const other = { ...segmentOf(1), base: BASE + SEGMENT_BYTES };
  await new Promise((resolve) => store.write(other, NO_ENTRIES, resolve)); // one after the other
  await store.close();
  const soon = setImmediate;
  const pace = paceOf(soon);
  const again = new Indexes({ files, logId: 1n, hashSeed: 1, crc32c, soon, pace });
  await new Promise((resolve) => again.open(resolve));
  assert.ok(await new Promise((resolve) => again.check(BASE, 8, resolve)));
});

test('an index without space is held, searched and visited in memory, until it is written', async () => {
  const { files, notes, store } = emptyStore();
  const fault = files.fail({ op: 'write', nth: 1, code: 'ENOSPC', times: 2 });
  store.replace(segmentOf(7), sourceOf(ENTRIES));
  const check = async (segment: Indexed, entries: Entry[], why: string) => {
    const first = await find(store, segment, 10);
    const rest = await find(store, segment, 1e6, first.next);
    const found = [...first.found, ...rest.found];
    assert.deepEqual([first.failure, rest.failure], [undefined, undefined], why);
    assert.deepEqual(found, expected(entries, 1), why);
    assert.deepEqual(inOrder(await visited(store, segment)), entries, why);
    return first.next!;
  };
  const held = await check(segmentOf(7), ENTRIES, 'held');
  assert.deepEqual([fault.fired, files.names(), store.bytes], [1, [], 0]);
  assert.match(notes.join(), /cannot be written: ENOSPC.*It stays in memory until it can be$/);
  const retried = async () => {
    store.retry();
    store.retry(); // one at a time
    const other = { ...segmentOf(1), base: BASE - SEGMENT_BYTES };
    await new Promise((resolve) => store.write(other, NO_ENTRIES, resolve));
  };
  await retried();
  await check(segmentOf(7), ENTRIES, 'it failed again');
  assert.equal(fault.fired, 2);
  const writes = files.count('write');
  await retried();
  assert.ok(store.bytes > ENTRIES.length * 20 && files.names().includes(indexName(BASE)));
  const place = await check(segmentOf(7), ENTRIES, 'on disk');
  assert.ok(held < 2 ** 32 && place > 2 ** 32, 'places tell where they are from');
  // A place in what was held means nothing there: from the start, by sequence.
  assert.deepEqual((await find(store, segmentOf(7), 1e6, held)).found, expected(ENTRIES, 1));
  const after = files.count('write');
  assert.ok(after > writes);
  await retried();
  assert.ok(files.count('write') - after < after - writes, 'it was written once more');
});

test('an index that is written late is not taken for that of the segment there by then', async () => {
  const { files, store } = emptyStore();
  const fault = files.fail({ op: 'write', nth: 1, code: 'ENOSPC', times: 2 });
  store.replace(segmentOf(7), sourceOf(ENTRIES));
  await find(store, segmentOf(7));
  files.auto = false;
  fault.times = 1;
  store.retry();
  while (!files.pending.some(({ op }) => op === 'close')) {
    await new Promise((resolve) => setImmediate(resolve));
    files.step();
  }
  // Written, and about to have its name: the segment is compacted again, and that finds no space.
  const again = files.fail({ op: 'write', nth: 1, code: 'ENOSPC' });
  const less = ENTRIES.slice(99);
  store.replace(segmentOf(8), sourceOf(less));
  files.auto = true;
  while (files.step());
  await files.settle();
  assert.deepEqual((await find(store, segmentOf(8))).found, expected(less, 1));
  assert.equal(again.fired, 1);
  store.retry();
  const other = { ...segmentOf(1), base: BASE + SEGMENT_BYTES };
  await new Promise((resolve) => store.write(other, NO_ENTRIES, resolve)); // one after the other
  assert.ok(await store.has(segmentOf(8)), 'it was dropped with the older one');
  assert.deepEqual((await find(store, segmentOf(8))).found, expected(less, 1));
});

test('what came to be held while another state of the segment was written stays held', async () => {
  // A search of the segment as it was has its index made again, beside the one that is retried.
  const segmentFiles = LOG.clone();
  const files = new MemoryFiles();
  const [base, name] = [FIRST[1]!, segmentName(FIRST[1]!)];
  const { handle, bytes } = await open(segmentFiles, name);
  const segment = { base, name, bytes, handle, key: keyOf(LOG_ID) };
  const store = new IndexStore({
    files,
    segmentFiles,
    logId: LOG_ID,
    hashSeed: 1,
    crc32c,
    soon: (call) => void setImmediate(call),
    pace: paceOf(setImmediate),
    sideCodec: smallPlainCodec,
    note: () => {},
  });
  const fault = files.fail({ op: 'write', nth: 1, code: 'ENOSPC', times: 2 });
  const now = { ...segment, identity: 7 };
  store.replace(now, NO_ENTRIES);
  assert.deepEqual((await find(store, now)).found, []);
  assert.equal(fault.fired, 1);
  const before = { ...segment, identity: 6 };
  files.auto = false;
  const remade = store.remake(before);
  while (!files.pending.some(({ op }) => op === 'write'))
    if (!files.step()) await new Promise((resolve) => setImmediate(resolve));
  store.retry(); // which comes after it
  files.auto = true;
  files.step();
  await remade;
  assert.equal(fault.fired, 2);
  const other = { ...segmentOf(1), base: BASE };
  for (let i = 0; i < 2; i++)
    await new Promise((resolve) => store.write(other, NO_ENTRIES, resolve)); // behind both
  assert.ok(await store.has(before), 'it was let go without being written');
  assert.ok((await visited(store, before)).length > 3);
});

test('entries beyond what memory may hold are not held: who searches hears that there are none', async () => {
  const { notes, store } = emptyStore();
  store.replace(segmentOf(7), { ...NO_ENTRIES, count: 5_000_000 }); // more than fit a file, too
  const { failure, found } = await find(store, segmentOf(7));
  assert.match(failure!.message, /no segment is read/);
  assert.deepEqual(found, []);
  assert.match(notes.join(), /^the index of .* is made again: .*there is none/);
});

test('who searches while an index is made again waits for that, and hears of its failure', async () => {
  const waiting: Promise<Answer>[] = [];
  const { notes, store } = emptyStore(() => void waiting.push(find(store, segmentOf(7))));
  const first = await find(store, segmentOf(7));
  const [second] = await Promise.all(waiting);
  assert.deepEqual([notes.length, waiting.length], [1, 1], 'it was tried twice');
  assert.deepEqual(second, first);
  assert.match(first.failure!.message, /no segment is read/);
});

/** A store with a segment whose first record can be read, and what a checkpoint would say. */
async function savingStore() {
  const { files, store, notes } = emptyStore();
  files.put('behind.log', LOG.image(segmentName(FIRST[1]!)));
  const { handle } = await open(files, 'behind.log');
  let asked = 0;
  const state = (): CheckpointSource => {
    asked++;
    const segments = [{ base: BASE, first: 1, messages: 5, live: 5, idsUntilMs: 0 }];
    const none = { pages: () => [] };
    const numbers = NO_NUMBERS;
    return { start: BASE, segments, end: 6, settled: none, attempts: none, numbers, stored: [] };
  };
  const save = (base: number, done: (failure: Failure) => void, now = false) =>
    store.save({ ...segmentOf(7), base, handle }, now, state, () => 7, done);
  return { files, store, notes, save, asked: () => asked };
}

const MIB = 1024 * 1024;

test('a checkpoint is due after 256 MiB of log, if nothing else is said, or when it is asked for', async () => {
  const { save, asked } = await savingStore();
  const saved = (base: number, now = false) =>
    new Promise<Failure>((resolve) => save(base, resolve, now));
  const steps: [base: number, now: boolean, count: number][] = [
    [BASE, false, 1],
    [BASE + 256 * MIB - 4096, false, 1],
    [BASE + 256 * MIB, false, 2],
    [BASE + 300 * MIB, false, 2],
    [BASE + 300 * MIB, true, 3],
    [BASE + 512 * MIB, false, 3],
    [BASE + 556 * MIB, false, 4],
  ];
  for (const [base, now, count] of steps) {
    assert.equal(await saved(base, now), undefined);
    assert.equal(asked(), count, `at ${(base - BASE) / MIB} MiB`);
  }
});

test('closed while a checkpoint is saved: that comes first, a further one is not begun', async () => {
  const { files, store, save, asked } = await savingStore();
  const order: string[] = [];
  files.auto = false;
  save(BASE, (failure) => void order.push(`saved ${failure}`));
  save(BASE, () => void order.push('not begun'), true);
  while (!files.pending.some(({ op }) => op === 'write')) {
    await new Promise((resolve) => setImmediate(resolve));
    files.step();
  }
  void store.close().then(() => order.push('closed'));
  await files.settle();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(order, ['not begun', 'saved undefined', 'closed']);
  assert.equal(asked(), 1);
  files.auto = true;
  const checkpoint = await readCheckpoint(files, 1n, crc32c);
  assert.deepEqual(
    checkpoint!.segments.map(({ base, end }) => [base, end]),
    [[BASE, 6]],
  );
  await new Promise<void>((resolve) => save(BASE, () => resolve(), true));
  assert.equal(asked(), 1, 'one was begun after the close');
});

test('an index that was held in memory is not written once the store is closed', async () => {
  const { files, notes, store } = emptyStore();
  files.fail({ op: 'write', nth: 1, code: 'ENOSPC' });
  store.replace(segmentOf(7), sourceOf(ENTRIES));
  await written(store, segmentOf(7));
  assert.ok(store.lacks, notes.join());
  await store.close();
  const calls = files.count('open') + files.count('remove');
  store.retry();
  await files.settle();
  assert.equal(files.count('open') + files.count('remove'), calls);
});
