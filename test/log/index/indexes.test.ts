// Index runs in use: searches find what a plain list of the entries has, whatever the order of
// completions; memory and files stay within their bounds; and a crash, a failure or a removal at
// any moment leaves a run that is right, or none.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { crc32c } from '../../../src/codec/crc32c.ts';
import type { Failure } from '../../../src/core/ports/basics.ts';
import { NodeFiles } from '../../../src/io/files.ts';
import {
  CHUNK_ENTRIES,
  INDEX_TEMPORARY,
  indexName,
  pageBitsFor,
  pageOf,
} from '../../../src/log/index/index-file.ts';
import { Indexes } from '../../../src/log/index/indexes.ts';
import { INDEX_HANDLES_MAX } from '../../../src/log/index/open-indexes.ts';
import {
  anyFate,
  type Doubt,
  loseAll,
  MemoryFiles,
  PAGE_BYTES,
} from '../../support/memory-files.ts';
import { paceOf } from '../../support/pace.ts';
import { Random, seedOf } from '../../support/random.ts';
import {
  BASE,
  bucket,
  type Entry,
  entriesOf,
  expected,
  IDENTITY,
  inOrder,
  movedTo,
  sourceOf,
  World,
} from '../run-harness.ts';

const random = new Random(seedOf('log/index/indexes.test'));
const NAME = indexName(BASE);
const EIO = { code: 'EIO' };

// Reads come in pieces from now on.
function shorten(files: MemoryFiles, bytes: number): void {
  files.fail({ op: 'read', nth: 1, times: Number.POSITIVE_INFINITY, short: bytes });
}

function assertHolds(world: World, entries: readonly Entry[], buckets: number[]): void {
  assert.equal(world.check(), true);
  for (const number of buckets) {
    const all = expected(entries, number);
    const middle = all[random.below(all.length + 1)]?.sequence ?? 0;
    for (const sequence of [0, middle, middle + 1, middle - 1, 2 ** 53 - 1]) {
      const most = random.chance(0.5) ? 1e9 : 1 + random.below(1 + (all.length >> 2));
      const { failure, found } = world.findAll(number, sequence, most);
      assert.equal(failure, undefined);
      assert.deepEqual(found, expected(entries, number, sequence), `${number} from ${sequence}`);
    }
  }
  const visited = world.visit();
  assert.equal(visited.failure, undefined);
  assert.deepEqual(inOrder(visited.entries), entries);
}

const SHAPES: [string, number[], (buckets: number) => (i: number) => number][] = [
  ['many buckets', [0, 1, 127, 128, 129, 3000, 20_000], (n) => () => random.below(n)],
  ['one bucket', [1, 128, 129, 2340, 2341, 4681, 9000], () => () => 0],
  [
    'one giant bucket among many small ones',
    [500, 6000, 20_000],
    (n) => () => (random.chance(0.7) ? 0 : random.below(n)),
  ],
  ['a bucket for each record', [300, 20_000], () => (i) => i],
];

for (const [name, counts, chooser] of SHAPES) {
  test(`${name}: searches find what a list finds`, () => {
    for (const count of counts) {
      const world = new World().open();
      const entries = entriesOf(random, count, chooser(1 + random.below((count >> 2) + 2)));
      world.write(entries);
      if (random.chance(0.5)) shorten(world.files, 1 + random.below(5000));
      const buckets = [
        0,
        1,
        2,
        2 ** 30,
        ...Array.from({ length: 9 }, () => random.below(count + 1)),
      ];
      assertHolds(world, entries, buckets);
      assert.equal(world.runs.bytes, world.files.image(NAME).length);
      world.close();
      const next = new World(world.files.clone()).open();
      assertHolds(next, entries, buckets.slice(0, 3));
      next.close();
    }
  });
}

test('sequences that do not ascend keep the order of the log', () => {
  const entries = entriesOf(random, 500, (i) => i % 3);
  const numbers = entries.map(({ sequence }) => sequence).reverse();
  const mixed = entries.map((entry, i) => ({ ...entry, sequence: numbers[i]! }));
  const world = new World().write(mixed);
  assertHolds(world, mixed, [0, 1, 2]);
});

test('a search can go on at every place it may stop at', () => {
  const picks = [0, 1, 2339, 2340, 2341, 4679, 4680, 7000, 7019, 7020];
  const entries = entriesOf(random, 7021, (i) => (picks.includes(i) ? 1 : 0));
  const world = new World().write(movedTo(BASE, entries));
  // Both in one page: one bucket more would only make it longer.
  for (const most of [1, 2, 3, 10, 11]) {
    assert.deepEqual(world.findAll(1, 0, most).found, expected(entries, 1));
    assert.deepEqual(world.findAll(0, 0, most * 700).found, expected(entries, 0));
  }
  const all = expected(entries, 0);
  for (const [from, most] of [
    [0, 2339],
    [0, 2340],
    [0, 2341],
    [2300, 40],
    [2300, 4000],
  ] as const) {
    const { sequence } = all[from]!;
    assert.deepEqual(world.findAll(0, sequence, most).found, all.slice(from));
  }
});

test('after the last entry there is no next, also if exactly as many were asked for', () => {
  const entries = entriesOf(random, 60, (i) => i % 3);
  const world = new World().write(entries);
  assert.equal(world.find(2, 0, 0, 20).next, undefined);
  assert.notEqual(world.find(2, 0, 0, 19).next, undefined);
});

test('a long stretch without the bucket is passed, at most 64 KiB at a time', () => {
  const count = 5 * CHUNK_ENTRIES;
  const entries = entriesOf(random, count, (i) => (i === 0 || i === count - 1 ? 1 : 0));
  // A seed that puts both into one page.
  let hashSeed = 0;
  const page = (number: number) => {
    const { low, high } = bucket(number);
    return pageOf(low, high, hashSeed, pageBitsFor(count));
  };
  while (page(0) !== page(1)) hashSeed++;
  const world = new World(new MemoryFiles(), { hashSeed }).write(entries);
  assert.deepEqual(world.findAll(1, 0, 1).found, expected(entries, 1));
  const sizes: number[] = [];
  const read = world.files.read.bind(world.files);
  world.files.read = (handle, into, at, done) => {
    sizes.push(into.length);
    read(handle, into, at, done);
  };
  assert.deepEqual(world.find(1, entries[1]!.sequence).found, expected(entries, 1).slice(1));
  assert.ok(sizes.length === 5 && sizes.every((size) => size <= 64 * 1024), `${sizes}`);
});

test('many searches at once, in any order of completions', () => {
  for (let round = 0; round < 5; round++) {
    const world = new World().open();
    const lists = [0, 1, 2].map(() => entriesOf(random, random.below(9000), (i) => i % 5));
    const bases = lists.map((_, i) => BASE + i * 2 ** 26);
    for (const [i, list] of lists.entries()) world.write(movedTo(bases[i]!, list), bases[i]!);
    shorten(world.files, 20_000);
    const asked = Array.from({ length: 200 }, () => {
      const run = random.below(3);
      const number = random.below(6);
      const list = movedTo(bases[run]!, lists[run]!);
      const sequence = list[random.below(list.length + 1)]?.sequence ?? 0;
      const most = 1 + random.below(2000);
      return {
        answers: world.beginFind(number, sequence, 0, most, bases[run]!),
        wanted: expected(list, number, sequence),
        most,
      };
    });
    world.settle(random);
    for (const { answers, wanted, most } of asked) {
      const [answer] = answers;
      assert.equal(answer?.failure, undefined);
      const found = answer!.found;
      assert.deepEqual(found, wanted.slice(0, found.length));
      assert.ok(found.length > 0 || wanted.length === 0);
      assert.ok(found.length <= most);
      assert.equal(found.length === wanted.length || answer!.next !== undefined, true);
    }
    world.close();
  }
});

test('two searches of one run load its tables once', () => {
  const entries = entriesOf(random, 300, () => 0);
  const { files } = new World().write(entries);
  const world = new World(files.clone()).open();
  const opened = world.files.count('open');
  const answers = [world.beginFind(0), world.beginFind(0)];
  world.settle(random);
  for (const [answer] of answers) assert.deepEqual(answer?.found, expected(entries, 0));
  assert.equal(world.files.count('open') - opened, 1);
  assert.equal(world.files.count('read'), 2 + 2);
});

test('files and tables stay within their bounds', () => {
  const entries = entriesOf(random, 300, (i) => i % 9);
  const writer = new World().open();
  const count = 150;
  for (let n = 0; n < count; n++) {
    const base = BASE + n * 2 ** 26;
    writer.write(movedTo(base, entries), base);
  }
  // Five rows of 8 bytes for each run.
  const world = new World(writer.files.clone(), { tableBytesMax: 40 * 10 + 39 }).open();
  assert.deepEqual(world.runs.bases.length, count);
  const asked = Array.from({ length: 3000 }, () => {
    const base = BASE + random.below(count) * 2 ** 26;
    const number = random.below(10);
    return { base, number, answers: world.beginFind(number, 0, 0, 1e9, base) };
  });
  let tables = 0;
  let reads = 0;
  while (world.step(random)) {
    tables = Math.max(tables, world.runs.tableBytes);
    reads = Math.max(reads, world.files.pending.filter(({ op }) => op === 'read').length);
  }
  assert.ok(reads > 8 && reads <= INDEX_HANDLES_MAX, `${reads} reads at a time`);
  for (const { base, number, answers } of asked) {
    assert.equal(answers[0]?.failure, undefined);
    assert.deepEqual(answers[0]!.found, expected(movedTo(base, entries), number));
  }
  assert.equal(world.handlesMost, INDEX_HANDLES_MAX);
  assert.equal(tables, 400);
  world.close();
  const small = new World(writer.files.clone(), { tableBytesMax: 39 }).open();
  assert.deepEqual(small.find(1).found, expected(entries, 1));
  assert.equal(small.runs.tableBytes, 0, 'tables that do not fit are not kept');
});

test('the tables kept are the ones used last', () => {
  const entries = entriesOf(random, 300, () => 0);
  const world = new World(new MemoryFiles(), { tableBytesMax: 80 });
  const bases = [0, 1, 2].map((n) => BASE + n * 2 ** 26);
  for (const base of bases) world.write(movedTo(base, entries), base);
  const reads = (base: number) => {
    const before = world.files.count('read');
    assert.equal(world.check(base), true);
    return world.files.count('read') - before;
  };
  assert.deepEqual(
    [0, 1, 0, 2, 0, 1].map((n) => reads(bases[n]!)),
    [2, 2, 0, 2, 0, 2],
  );
});

test('a run whose file was closed for others is opened again, its tables are still there', () => {
  const entries = entriesOf(random, 300, (i) => i % 9);
  const world = new World().open();
  const bases = Array.from({ length: INDEX_HANDLES_MAX + 1 }, (_, n) => BASE + n * 2 ** 26);
  for (const base of bases) world.write(movedTo(base, entries), base);
  const asked = (base: number) => {
    const before = [world.files.count('open'), world.files.count('read')] as const;
    const { found } = world.find(3, 0, 0, 1e9, base);
    assert.deepEqual(found, expected(movedTo(base, entries), 3));
    return [world.files.count('open') - before[0], world.files.count('read') - before[1]];
  };
  for (const base of bases) assert.deepEqual(asked(base), [1, 3], 'header, tables, entries');
  assert.deepEqual(asked(bases[0]!), [1, 1], 'entries alone');
  assert.deepEqual(asked(bases[0]!), [0, 1]);
});

test('a search for no entries, or for half of one, is a bug that is said', () => {
  const world = new World().open().write(entriesOf(random, 9, () => 0));
  for (const most of [0, -1, 1.5, Number.NaN])
    assert.throws(() => world.find(0, 0, 0, most), /bug: a search in a run for/);
  assert.equal(world.find(0, 0, 0, 1).found.length, 1);
});

test('a run that could not be removed still counts, and is gone for who searches', () => {
  const entries = entriesOf(random, 300, (i) => i % 9);
  const world = new World().open().write(entries);
  const { bytes } = world.runs;
  const fault = world.files.fail({ op: 'remove', nth: 1, ...EIO });
  const drop = () => world.ask<[Failure]>((done) => world.runs.drop(BASE, done))[0];
  assert.match(String(drop()), /EIO/);
  assert.equal(fault.fired, 1);
  assert.deepEqual([world.runs.bytes, world.check()], [bytes, false]);
  assert.equal(drop(), undefined);
  assert.deepEqual([world.runs.bytes, world.files.names()], [0, []]);
  assert.equal(drop(), undefined, 'there is none, which is no failure');
});

test('closed in the middle of a visit: it ends with a failure, and nothing is removed any more', () => {
  const entries = entriesOf(random, 40_000, () => 0);
  const world = new World().open().write(entries);
  let visited = 0;
  const ended: Failure[] = [];
  world.runs.visit(
    BASE,
    IDENTITY,
    () => void visited++,
    (failure) => void ended.push(failure),
  );
  while (visited === 0) world.step();
  world.runs.close(() => {});
  const dropped = world.begin<[Failure]>((done) => world.runs.drop(BASE, done));
  world.settle();
  assert.match(String(ended), /the runs are closed/);
  assert.ok(visited < entries.length);
  assert.match(String(dropped[0]?.[0]), /the runs are closed/);
  assert.deepEqual([world.files.names(), world.files.openHandles], [[NAME], 0]);
});

test('writing takes at most 16,384 entries a turn', () => {
  const entries = entriesOf(random, 70_000, (i) => i % 1000);
  const world = new World();
  const source = sourceOf(entries);
  let asked = 0;
  const position = (i: number) => {
    asked++;
    return source.position(i);
  };
  const bucketLow = (i: number) => {
    asked++;
    return source.lines.bucketLow(i);
  };
  const lines = { ...source.lines, bucketLow };
  const answers = world.begin<[Failure]>((done) =>
    world.runs.write(BASE, IDENTITY, { ...source, position, lines }, done),
  );
  let most = 0;
  do {
    most = Math.max(most, asked);
    asked = 0;
  } while (world.step());
  assert.deepEqual(answers, [[undefined]]);
  // Checked, bucket and page; the three of them in the first pass.
  assert.ok(most <= 3 * 16_384 && most > 16_384, `${most} entries in one turn`);
});

// A run is there with the old identity and entries, and is written anew; after `steps` things that
// happened the test goes on. Returns whether the write was over by then.
function rewriteFor(steps: number): { world: World; over: boolean; old: Entry[]; new_: Entry[] } {
  const old = entriesOf(new Random(1), 200, (i) => i % 3);
  const new_ = entriesOf(new Random(2), 17_000, (i) => i % 4);
  const { files } = new World().write(old, BASE, IDENTITY - 1);
  const world = new World(files.clone()).open();
  const answers = world.begin<[Failure]>((done) =>
    world.runs.write(BASE, IDENTITY, sourceOf(new_), done),
  );
  for (let i = 0; i < steps; i++) world.step();
  return { world, over: answers.length > 0, old, new_ };
}

// What is left of a rewrite after a crash: never anything but the old run, the new one, or none.
function assertLeft(files: MemoryFiles, old: Entry[], new_: Entry[]): 'old' | 'new' | 'none' {
  const world = new World(files).open();
  assert.ok(!files.names().includes(INDEX_TEMPORARY));
  const now = world.visit(BASE, IDENTITY);
  const before = world.visit(BASE, IDENTITY - 1);
  if (now.failure === undefined) assert.deepEqual(inOrder(now.entries), new_);
  if (before.failure === undefined) assert.deepEqual(inOrder(before.entries), old);
  for (const number of [0, 1, 2, 3]) {
    const { failure, found } = world.findAll(number);
    if (failure === undefined) assert.deepEqual(found, expected(new_, number));
  }
  world.close();
  if (now.failure === undefined) return 'new';
  return before.failure === undefined ? 'old' : 'none';
}

test('a crash at any moment of writing leaves the old run, the new one, or none', () => {
  for (let steps = 0, over = false; !over; steps++) {
    for (const kind of ['lose', 'any', 'die'] as const) {
      const { world, old, new_, over: ended } = rewriteFor(steps);
      over = ended;
      const { files } = world;
      const fate = kind === 'lose' ? loseAll : anyFate(random);
      const after = kind === 'die' ? files.kill() : files.crash(fate, random);
      const left = assertLeft(after, old, new_);
      if (kind === 'lose') assert.equal(left, 'old', 'nothing was synced');
      if (kind === 'die') assert.equal(left, over ? 'new' : 'old', `after ${steps} steps`);
    }
  }
});

test('a crash that keeps the name and only some of the bytes leaves none, all of them the new run', () => {
  const pages = Math.ceil((64 + 257 * 8 + 4 * 8 + 17_000 * 28) / PAGE_BYTES);
  for (let round = 0; round < 12; round++) {
    const { world, old, new_, over } = rewriteFor(1000);
    assert.ok(over);
    const lost = round < 2 ? [0, pages - 1][round] : random.below(pages + 2);
    const fate = (doubt: Doubt) => (doubt.kind === 'page' && doubt.page === lost ? 'lose' : 'keep');
    const left = assertLeft(world.files.crash(fate), old, new_);
    assert.equal(left, lost! < pages ? 'none' : 'new', `page ${lost} of ${pages}`);
  }
});

test('a failure of any call of a write is told; the old run is there or none', () => {
  const steps = ['open', 'write', 'write', 'write', 'close', 'rename'] as const;
  for (const [i, op] of steps.entries()) {
    const nth = steps.slice(0, i + 1).filter((one) => one === op).length;
    for (const short of [undefined, 100]) {
      const { world, old } = rewriteFor(0);
      const moved = short === undefined || op !== 'write' ? {} : { short };
      const fault = world.files.fail({ op, nth, ...EIO, ...moved });
      world.settle();
      assert.equal(fault.fired, 1, `no ${op} ${nth}`);
      assert.deepEqual(world.files.names(), [NAME]);
      if (op !== 'rename') assert.deepEqual(inOrder(world.visit(BASE, IDENTITY - 1).entries), old);
      assert.equal(world.check(), false);
      assert.equal(world.runs.bytes, world.files.image(NAME).length);
      const again = entriesOf(random, 100, () => 0);
      assertHolds(world.write(again), again, [0]);
      world.close();
    }
  }
  const { world } = rewriteFor(0);
  world.files.capacity = 200_000;
  world.settle();
  assert.deepEqual(world.files.names(), [NAME], 'no space: nothing of it stays');
});

test('short writes are gone on with', () => {
  const entries = entriesOf(random, 20_000, (i) => i % 50);
  const world = new World();
  world.files.fail({ op: 'write', nth: 1, times: 1000, short: 9999 });
  assertHolds(world.write(entries), entries, [0, 49]);
});

test('a temporary file that could not be removed is in no way of the next', () => {
  const world = new World();
  world.files.put(INDEX_TEMPORARY, new Uint8Array(1e6).fill(1));
  const entries = entriesOf(random, 50, () => 0);
  assertHolds(world.write(entries), entries, [0]);
});

test('a failure of opening or reading is told, and the next search tries again', () => {
  const entries = entriesOf(random, 300, (i) => i % 3);
  for (const op of ['open', 'read'] as const) {
    for (let nth = 1; nth <= (op === 'read' ? 3 : 1); nth++) {
      const world = new World().write(entries);
      const fault = world.files.fail({ op, nth, ...EIO });
      const answers = [world.beginFind(0), world.beginFind(1)];
      world.settle();
      assert.equal(fault.fired, 1);
      const failures = answers.map(([answer]) => answer!.failure !== undefined);
      assert.deepEqual(failures, op === 'read' && nth === 3 ? [true, false] : [true, true]);
      for (const number of [0, 1, 2])
        assert.deepEqual(world.find(number).found, expected(entries, number));
      world.close();
    }
  }
});

test('a run dropped at any moment of a search: right or a failure, and the file is closed', () => {
  const entries = entriesOf(random, 6000, () => 0);
  const image = new World().write(entries).files;
  let answered = 0;
  let failed = 0;
  for (let steps = 0; steps < 12; steps++) {
    for (let round = 0; round < 10; round++) {
      const world = new World(image.clone()).open();
      const answers = [world.beginFind(0), world.beginFind(0, entries[5000]!.sequence)];
      for (let i = 0; i < steps; i++) world.step(random);
      world.runs.drop(BASE);
      const late = world.beginFind(0);
      world.settle(random);
      assert.match(String(late[0]!.failure), /there is none; make it from the log/);
      for (const [i, [answer]] of answers.entries()) {
        const wanted = expected(entries, 0, i === 0 ? 0 : entries[5000]!.sequence);
        if (answer!.failure === undefined) answered++;
        else failed++;
        const { found } = answer!;
        if (answer!.failure === undefined) assert.ok(found.length > 0);
        assert.deepEqual(found, wanted.slice(0, found.length));
      }
      assert.equal(world.files.openHandles, 0);
      assert.equal(world.runs.tableBytes, 0);
      assert.deepEqual(world.files.names(), []);
      assert.equal(world.runs.bytes, 0);
    }
  }
  assert.ok(answered > 0 && failed > 0, `${answered} answered, ${failed} failed`);
});

test('a run dropped at any moment of a write does not come into being', () => {
  for (let steps = 0, over = false; !over; steps++) {
    const setup = rewriteFor(steps);
    const { world } = setup;
    over = setup.over;
    const begun = world.files.count('write');
    world.runs.drop(BASE);
    const again = entriesOf(random, 10, () => 0);
    world.settle(random);
    assert.equal(world.files.count('write'), begun, 'it is gone on with');
    assert.deepEqual(world.runs.bases, []);
    assert.deepEqual(world.files.names(), []);
    assert.equal(world.runs.bytes, 0);
    assert.equal(world.check(), false);
    assertHolds(world.write(again), again, [0]);
    world.close();
  }
});

test('dropped and written anew at once: the new run stays', () => {
  const [old, again] = [200, 300].map((count) => entriesOf(random, count, () => 0));
  for (let round = 0; round < 50; round++) {
    const world = new World().write(old!);
    const before = world.find(0, 0, 0, 5);
    const first = world.begin<[Failure]>((done) =>
      world.runs.write(BASE, IDENTITY, sourceOf(old!), done),
    );
    for (let i = random.below(8); i > 0; i--) world.step(random);
    world.runs.drop(BASE);
    const second = world.begin<[Failure]>((done) =>
      world.runs.write(BASE, IDENTITY, sourceOf(again!), done),
    );
    world.settle(random);
    if (first[0]![0] !== undefined) assert.match(String(first[0]![0]), /is not needed any more/);
    assert.deepEqual(second, [[undefined]]);
    assertHolds(world, again!, [0]);
    assert.equal(world.runs.bytes, world.files.image(NAME).length);
    const { failure } = world.find(0, 0, before.next, 5);
    assert.match(
      String(failure),
      /is no place in it/,
      'a place in the file before is none in this',
    );
    world.close();
  }
});

test('a place of another bucket or none at all is refused', () => {
  const entries = entriesOf(random, 5000, (i) => i % 20);
  const world = new World().write(entries);
  const { next } = world.find(0, 0, 0, 3);
  const places = [...Array(20).keys()].map((number) => world.find(number, 0, next, 3).failure);
  assert.equal(places[0], undefined);
  assert.ok(places.filter((failure) => failure !== undefined).length > 10);
  for (const at of [1, 2 ** 32 + 5000, 2 ** 53 - 1])
    assert.match(String(world.find(0, 0, at, 3).failure), /is no place in it/);
});

test('a run is replaced while it is searched', () => {
  const old = entriesOf(random, 6000, () => 0);
  const again = old.slice(3000);
  for (let round = 0; round < 20; round++) {
    const world = new World().write(old);
    const writing = world.begin<[Failure]>((done) =>
      world.runs.write(BASE, IDENTITY, sourceOf(again), done),
    );
    const finds = [0, 1, 2].map(() => {
      for (let i = random.below(5); i > 0; i--) world.step(random);
      return world.beginFind(0);
    });
    world.settle(random);
    assert.deepEqual(writing, [[undefined]]);
    assert.ok(world.files.openHandles <= 1, 'the old file stays open');
    for (const [answer] of finds) {
      const { failure, found } = answer!;
      if (failure !== undefined) continue;
      const wanted = found[0]!.position === old[0]!.position ? old : again;
      assert.deepEqual(found, expected(wanted, 0).slice(0, found.length));
    }
    assertHolds(world, again, [0]);
    world.close();
  }
});

// A run with 300 entries whose file was closed since and whose tables were let go, and where a
// search in it goes on.
function letGo(): { world: World; next: number } {
  const entries = entriesOf(random, 300, () => 0);
  const world = new World(new MemoryFiles(), { tableBytesMax: 40 }).write(entries);
  const { next } = world.find(0, 0, 0, 5);
  for (let n = 1; n <= INDEX_HANDLES_MAX; n++) {
    const base = BASE + n * 2 ** 26;
    assert.ok(world.write(movedTo(base, entries), base).check(base));
  }
  return { world, next: next! };
}

test('a place in a file is never taken for one in the file that has its name by now', () => {
  const again = entriesOf(random, 300, () => 0);
  const rewrite = (world: World) =>
    world.begin<[Failure]>((done) => world.runs.write(BASE, IDENTITY, sourceOf(again), done));
  {
    // The search opens the file when the other one has come.
    const { world, next } = letGo();
    const answers = world.beginFind(0, 0, next, 5);
    const written = rewrite(world);
    const opening = () => world.files.pending.findIndex(({ name }) => name === NAME);
    while (opening() < 0) world.step();
    while (written.length === 0) {
      const turn = world.turns.shift();
      if (turn !== undefined) turn();
      else world.files.step(opening() === 0 ? 1 : 0);
    }
    assert.equal(answers.length, 0);
    world.settle();
    assert.match(String(answers[0]!.failure), /it was dropped/);
    world.close();
  }
  {
    // The search comes when the name has changed and the completion of that is still to come.
    const { world, next } = letGo();
    const rename = world.files.rename.bind(world.files);
    let renamed: () => void = () => {};
    world.files.rename = (from, to, done) =>
      rename(from, to, (failure) => {
        renamed = () => done(failure);
      });
    const written = rewrite(world);
    world.settle();
    assert.match(String(world.find(0, 0, next, 5).failure), /there is none/);
    renamed();
    world.settle();
    assert.deepEqual(written, [[undefined]]);
    assert.deepEqual(world.find(0).found, expected(again, 0));
    world.close();
  }
});

test('opening removes what a write left, lists runs, and leaves other files alone', () => {
  const { files } = new World().write(entriesOf(random, 9, () => 0));
  const image = files.image(NAME);
  const folder = new MemoryFiles();
  const other = indexName(4096);
  for (const name of [NAME, other, 'notes.txt', '1.run', '99999999999999999999.run'])
    folder.put(name, image);
  folder.put(INDEX_TEMPORARY, image);
  const fault = folder.fail({ op: 'open', nth: 1, name: new RegExp(other), ...EIO });
  const world = new World(folder).open();
  assert.equal(fault.fired, 1);
  assert.ok(!folder.names().includes(INDEX_TEMPORARY));
  assert.equal(folder.names().length, 5);
  assert.deepEqual(world.runs.bases, [BASE]);
  assert.equal(world.runs.bytes, image.length);
  assert.equal(world.files.openHandles, 0);
  for (const op of ['list', 'remove'] as const) {
    const broken = new World(new MemoryFiles());
    broken.files.put(INDEX_TEMPORARY, image);
    broken.files.fail({ op, nth: 1, ...EIO });
    const [failure] = broken.ask<[Failure]>((done) => broken.runs.open(done));
    assert.match(String(failure), /EIO/);
  }
});

test('closing waits for what is under way, fails the rest, and comes last', () => {
  const entries = entriesOf(random, 6000, (i) => i % 2);
  for (let round = 0; round < 30; round++) {
    const world = new World().open();
    for (const n of [0, 1]) world.write(movedTo(BASE + n * 2 ** 26, entries), BASE + n * 2 ** 26);
    const order: string[] = [];
    const note = (what: string) => () => void order.push(what);
    for (let i = 0; i < 100; i++) {
      const base = BASE + (i % 2) * 2 ** 26;
      world.runs.find(
        base,
        IDENTITY,
        { low: 1, high: 1, kind: 0, sequence: 0, at: 0 },
        9,
        note('find'),
      );
      world.runs.check(base, IDENTITY, note('check'));
    }
    world.runs.visit(BASE, IDENTITY, () => {}, note('visit'));
    world.runs.write(BASE, IDENTITY, sourceOf(entries), note('write'));
    world.runs.drop(BASE + 2 ** 26);
    for (let i = random.below(60); i > 0; i--) world.step(random);
    world.runs.close(note('close'));
    world.settle(random);
    assert.equal(order.length, 203);
    assert.equal(order.at(-1), 'close');
    assert.equal(world.files.openHandles, 0);
    assert.ok(!world.files.names().includes(INDEX_TEMPORARY));
    assert.match(String(world.find(0).failure), /the runs are closed/);
    assert.match(String(world.tryWrite(entries)), /the runs are closed/);
  }
});

test('closing while only a write is under way: it fails first', () => {
  const world = new World();
  const order: unknown[] = [];
  const entries = entriesOf(random, 50, () => 0);
  world.runs.write(BASE, IDENTITY, sourceOf(entries), (failure) => order.push(String(failure)));
  world.runs.close(() => order.push('closed'));
  world.settle();
  assert.deepEqual(order, ['Error: the runs are closed', 'closed']);
  assert.deepEqual(world.files.names(), []);
});

test('written, found, replaced and dropped in a real folder', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'thrustmq-runs-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const entries = entriesOf(random, 40_000, (i) => i % 700);
  const make = () => {
    const options = {
      logId: 5n,
      hashSeed: 6,
      crc32c,
      soon: (call: () => void) => setImmediate(call),
      pace: paceOf(setImmediate),
    };
    return new Indexes({ files: new NodeFiles(path.join(folder, 'runs')), ...options });
  };
  const opened = async (runs: Indexes) => {
    assert.equal(await new Promise<Failure>((done) => runs.open(done)), undefined);
    return runs;
  };
  const found = (runs: Indexes, number: number) =>
    new Promise<unknown[]>((resolve) => {
      const { low, high } = bucket(number);
      const done = (failure: Failure, all: unknown[]) => resolve(failure ? [failure] : all);
      runs.find(BASE, IDENTITY, { low, high, kind: 0, sequence: 0, at: 0 }, 1000, done);
    });
  const first = await opened(make());
  for (let times = 0; times < 2; times++) {
    const written = new Promise<Failure>((done) =>
      first.write(BASE, IDENTITY, sourceOf(entries), done),
    );
    assert.equal(await written, undefined);
    assert.deepEqual(await found(first, 699), expected(entries, 699));
  }
  await new Promise<void>((done) => first.close(done));
  const second = await opened(make());
  assert.equal(second.bytes, fs.statSync(path.join(folder, 'runs', NAME)).size);
  assert.deepEqual(await found(second, 3), expected(entries, 3));
  second.drop(BASE);
  await new Promise<void>((done) => second.close(done));
  assert.deepEqual(fs.readdirSync(path.join(folder, 'runs')), []);
});
