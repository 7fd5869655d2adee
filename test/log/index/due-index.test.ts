// Due times on disk in use: what is found is what a sorted array has, whatever the order of
// completions; memory and files stay within their bounds; and a crash, a failure or a removal at
// any moment leaves a file that is right, or one that is made again from its segment.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Failure } from '../../../src/core/ports/basics.ts';
import { type DueEntry, emptyDueEntry } from '../../../src/core/records/due.ts';
import { DUE_PAGE_ENTRIES, DUE_TEMPORARY, dueName } from '../../../src/log/index/due-file.ts';
import { DUE_HANDLES_MAX } from '../../../src/log/index/due-open.ts';
import {
  anyFate,
  type Doubt,
  type Fate,
  loseAll,
  MemoryFiles,
} from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import {
  BASE,
  columnsOf,
  DueWorld,
  dueEntries,
  IDENTITY,
  inDueOrder,
  NOW,
} from '../due-harness.ts';

const random = new Random(seedOf('log/index/due-index.test'));
const NAME = dueName(BASE);
const KIB = 1024;

test('from any time on, what a sorted array has', () => {
  for (const [count, span] of [
    [1, 10],
    [102, 50],
    [103, 1],
    [2000, 300],
    [2000, 3_600_000],
  ] as const) {
    const entries = dueEntries(random, count, span);
    const ordered = inDueOrder(entries);
    const world = new DueWorld().write(entries);
    for (let i = 0; i < 40; i++) {
      const { when, sequence } = ordered[random.below(count)]!;
      const [time, from] = [when + random.below(3) - 1, sequence + random.below(3) - 1];
      const wanted = ordered.filter(
        (one) => one.when > time || (one.when === time && one.sequence >= from),
      );
      const { failure, entries: found } = world.all(time, from);
      assert.equal(failure, undefined);
      assert.deepEqual(found, wanted);
    }
    const before = world.files.count('read');
    assert.deepEqual(world.all(NOW + span).entries, []);
    assert.equal(world.files.count('read'), before, 'all is past: the header says so');
  }
});

test('entries are read ahead of where they are read', () => {
  const entries = dueEntries(random, 102 * 40, 1000);
  const world = new DueWorld().write(entries);
  const { place, end } = world.seek(0, 0);
  const entry = emptyDueEntry();
  let missed = 0;
  for (let at = place; at < end; at++) {
    if (!world.index.read(BASE, at, entry)) {
      missed++;
      world.ask<[Failure]>((done) => world.index.load(BASE, at, done));
    }
    world.settle();
  }
  assert.equal(missed, 0);
  assert.ok(world.files.count('read') <= 2 + 40 / 8, `${world.files.count('read')} reads`);
});

test('no memory is taken before the first page', () => {
  assert.equal(new DueWorld().index.pages.bytes, 0);
});

test('loads at the same time are one read, and all are answered', () => {
  const world = new DueWorld().write(dueEntries(random, 5000, 1000));
  const { place } = world.seek(0, 0);
  const before = world.files.count('read');
  const answers = [2000, 2001, 2100, 2300].map((entry) =>
    world.begin<[Failure]>((done) => world.index.load(BASE, place + entry, done)),
  );
  world.settle(random);
  assert.deepEqual(answers, [[[undefined]], [[undefined]], [[undefined]], [[undefined]]]);
  assert.ok(world.files.count('read') - before <= 3);
});

test('a file that is missing, damaged or stale is made again from its segment, once', () => {
  const entries = dueEntries(random, 300, 1000);
  const ordered = inDueOrder(entries);
  const ways: [string, (world: DueWorld) => unknown][] = [
    ['missing', (world) => world.ask((done) => world.files.remove(NAME, done))],
    ['damaged header', (world) => world.files.image(NAME).fill(7, 20, 21)],
    ['damaged page', (world) => world.files.image(NAME).fill(201, 4800, 4808)],
    ['stale', (world) => world.identities.set(BASE, IDENTITY + 1)],
  ];
  for (const [what, harm] of ways) {
    const files = new DueWorld().write(entries).files;
    const world = new DueWorld(files);
    world.segments.set(BASE, entries);
    world.identities.set(BASE, IDENTITY);
    harm(world);
    world.open();
    const both = [0, 1].map(() =>
      world.begin<[Failure, number, number]>((done) => world.index.seek(BASE, 0, 0, done)),
    );
    world.settle(random);
    for (const [answer] of both) assert.equal(answer![0], undefined, what);
    assert.equal(world.notes.length, 1, what);
    assert.deepEqual(world.all(), { failure: undefined, entries: ordered });
    assert.equal(world.check(), true);
  }
});

test('a segment that is replaced while it is read gets no file of what it was', () => {
  const [old, entries] = [dueEntries(random, 200, 1000), dueEntries(random, 100, 1000)];
  const world = new DueWorld().open();
  world.identities.set(BASE, IDENTITY);
  world.segments.set(BASE, old);
  const seeking = world.begin<[Failure, number, number]>((done) =>
    world.index.seek(BASE, 0, 0, done),
  );
  world.step();
  world.segments.set(BASE, entries);
  world.write(entries, BASE, IDENTITY + 1);
  assert.match(seeking[0]![0]!.message, /is not there/);
  assert.deepEqual(world.all(), { failure: undefined, entries: inDueOrder(entries) });
  assert.equal(world.notes.length, 1);
});

test('many searches at a time, in more files than may be open', () => {
  const world = new DueWorld();
  const bases = Array.from({ length: 60 }, (_, i) => BASE + i * 2 ** 26);
  const entries = dueEntries(random, 102 * 40, 1000);
  const ordered = inDueOrder(entries);
  for (const base of bases) world.write(entries, base);
  for (let round = 0; round < 5; round++) {
    const wanted = bases.map(() => random.below(ordered.length));
    const answers = bases.map((base, i) => {
      const { when, sequence } = ordered[wanted[i]!]!;
      return world.begin<[Failure, number, number]>((done) =>
        world.index.seek(base, when, sequence, done),
      );
    });
    world.settle(random);
    for (const [i, [answer]] of answers.entries()) {
      assert.equal(answer![0], undefined);
      const found = ordered[ordered.length - (answer![2] - answer![1])]!;
      const { when, sequence } = ordered[wanted[i]!]!;
      assert.deepEqual([found.when, found.sequence], [when, sequence]);
    }
    assert.ok(world.handlesMost <= 2 * DUE_HANDLES_MAX, `${world.handlesMost} files open`);
  }
});

test('no descriptor is left of a file that was replaced, or was not believed', () => {
  const entries = dueEntries(random, 300, 1000);
  const world = new DueWorld().write(entries);
  world.all();
  assert.equal(world.files.openHandles, 1);
  world.write(entries);
  assert.equal(world.files.openHandles, 0);
  world.files.image(NAME).fill(7, 20, 21);
  for (let i = 0; i < 3; i++) assert.equal(world.check(), false);
  assert.equal(world.files.openHandles, 0);
});

test('a page that turns out damaged later fails its load, and the next seek makes the file again', () => {
  const entries = dueEntries(random, 102 * 60, 1000);
  const world = new DueWorld().write(entries);
  world.segments.set(BASE, entries);
  const { place } = world.seek(0, 0);
  world.files.image(NAME)[30 * 4096 + 999]! ^= 4;
  const at = place + 102 * 29;
  const [failure] = world.ask<[Failure]>((done) => world.index.load(BASE, at, done));
  assert.match(failure!.message, /page 30 .* does not match/);
  assert.equal(world.index.read(BASE, place, emptyDueEntry()), false);
  const ordered = inDueOrder(entries);
  const wanted = ordered[102 * 29]!;
  const found = world.all(wanted.when, wanted.sequence);
  assert.deepEqual(found.entries[0], wanted);
  assert.equal(world.notes.length, 1);
  // The place of the old file means nothing in the new one.
  assert.equal(world.index.read(BASE, at, emptyDueEntry()), false);
  const [old] = world.ask<[Failure]>((done) => world.index.load(BASE, at, done));
  assert.match(old!.message, /is not there, or of another state/);
});

test('what the system refuses is told, and asked for again when it is wanted again', () => {
  const entries = dueEntries(random, 300, 1000);
  const world = new DueWorld().write(entries);
  world.files.fail({ op: 'open', nth: 1, code: 'EMFILE' });
  assert.match(world.seek(0, 0).failure!.message, /EMFILE/);
  assert.deepEqual(world.notes, []);
  assert.deepEqual(world.all().entries, inDueOrder(entries));
  // After a read that fails the file is made again; if the segment cannot be read, that is told.
  const other = new DueWorld(world.files);
  other.identities.set(BASE, IDENTITY);
  other.open();
  other.files.fail({ op: 'read', nth: 1, code: 'EIO' });
  assert.match(other.seek(0, 0).failure!.message, /the segment cannot be read/);
  assert.match(other.notes[0]!, /EIO/);
  other.segments.set(BASE, entries);
  assert.deepEqual(other.all().entries, inDueOrder(entries));
});

test('short reads and short writes are gone on with', () => {
  const entries = dueEntries(random, 1500, 1000);
  const world = new DueWorld();
  world.files.fail({ op: 'write', nth: 1, times: 50, short: 1234 });
  world.write(entries);
  world.files.fail({ op: 'read', nth: 1, times: Number.POSITIVE_INFINITY, short: 777 });
  assert.deepEqual(world.all().entries, inDueOrder(entries));
});

test('a write that fails at any call leaves the old file, and no other', () => {
  const old = dueEntries(random, 150, 1000);
  const entries = dueEntries(random, 7000, 1000);
  for (const op of ['open', 'write', 'close', 'rename'] as const)
    for (let nth = 1; nth <= (op === 'write' ? 3 : 1); nth++) {
      const world = new DueWorld().write(old);
      world.segments.set(BASE, old);
      world.files.fail({ op, nth, code: 'ENOSPC' });
      const failure = world.tryWrite(entries);
      assert.match(failure!.message, /ENOSPC/, op);
      assert.deepEqual(world.files.names(), [NAME], op);
      assert.deepEqual(world.all().entries, inDueOrder(old), op);
    }
});

test('a crash at any moment of a write leaves a right file, or one that is noticed', () => {
  const [old, entries] = [dueEntries(random, 250, 1000), dueEntries(random, 350, 1000)];
  // These files are not synced: of one that has its name and its length any page may be lost.
  const later = Math.ceil(350 / DUE_PAGE_ENTRIES) - 1;
  const laterLost = (doubt: Doubt): Fate =>
    doubt.kind === 'page' && doubt.page === later ? 'lose' : 'keep';
  let late = 0;
  for (const fate of [loseAll, laterLost, anyFate(random), anyFate(random)]) {
    for (let steps = 0; ; steps++) {
      const world = new DueWorld().write(old);
      world.identities.set(BASE, IDENTITY + 1);
      const answer = world.begin<[Failure]>((done) => {
        world.index.write(BASE, IDENTITY + 1, columnsOf(entries), done);
      });
      for (let i = 0; i < steps; i++) world.step();
      const after = new DueWorld(world.files.crash(fate));
      after.identities.set(BASE, IDENTITY + 1);
      after.segments.set(BASE, entries);
      after.open();
      assert.ok(!after.files.names().includes(DUE_TEMPORARY));
      let found = after.all();
      // A torn page behind the first ones is met later, and the next seek makes the file again.
      if (found.failure !== undefined) {
        late++;
        found = after.all();
      }
      assert.deepEqual(found, { failure: undefined, entries: inDueOrder(entries) });
      if (answer.length > 0) break;
    }
  }
  assert.ok(late > 0, 'no page was lost that is met later');
});

test('a drop forgets at once, and gives up a write that is under way', () => {
  const world = new DueWorld().write(dueEntries(random, 300, 1000));
  world.identities.set(BASE, IDENTITY);
  const writing = world.begin<[Failure]>((done) =>
    world.index.write(BASE, IDENTITY, columnsOf(dueEntries(random, 900, 1000)), done),
  );
  const seeking = world.begin<[Failure, number, number]>((done) =>
    world.index.seek(BASE, NOW + 500, 0, done),
  );
  const dropping = world.begin<[Failure]>((done) => world.index.drop(BASE, done));
  world.identities.delete(BASE);
  assert.deepEqual(world.index.bases, []);
  world.settle(random);
  assert.match(writing[0]![0]!.message, /not needed/);
  assert.ok(seeking[0]![0] instanceof Error);
  assert.deepEqual(dropping, [[undefined]]);
  assert.deepEqual(world.files.names(), []);
  assert.equal(world.files.openHandles, 0);
});

test('a segment that takes the place of another: who seeks waits for its file, not for the log', () => {
  for (let steps = 0; steps < 40; steps++) {
    const world = new DueWorld().write(dueEntries(random, 500, 1000));
    const [older, newer] = [300, 400].map((count) => dueEntries(random, count, 1000)) as [
      DueEntry[],
      DueEntry[],
    ];
    world.identities.set(BASE, 2);
    world.index.replace(BASE, 2, columnsOf(older));
    const begun = world.begin((done) => world.index.seek(BASE, 0, 0, done));
    for (let i = 0; i < steps; i++) world.step(random);
    world.identities.set(BASE, 3);
    world.index.replace(BASE, 3, columnsOf(newer));
    const got = world.all();
    assert.equal(begun.length, 1);
    assert.deepEqual([got.failure, got.entries, world.notes], [undefined, inDueOrder(newer), []]);
  }
});

test('what cannot be written is read in memory, until there is room', () => {
  for (const way of ['replaced', 'made again']) {
    const world = new DueWorld();
    const entries = dueEntries(random, 2500, 1000);
    world.identities.set(BASE, IDENTITY);
    world.segments.set(BASE, entries);
    const times = Number.POSITIVE_INFINITY;
    const full = world.files.fail({ op: 'write', nth: 1, code: 'ENOSPC', times });
    if (way === 'replaced') world.index.replace(BASE, IDENTITY, columnsOf(entries));
    assert.deepEqual(world.all(), { failure: undefined, entries: inDueOrder(entries) }, way);
    const middle = inDueOrder(entries)[1000]!;
    const { place, end } = world.seek(middle.when, middle.sequence);
    assert.ok(world.index.lacks && full.fired > 0);
    assert.match(world.notes.at(-1)!, /stays in memory until it can be/);
    world.index.retry();
    world.settle(random);
    assert.ok(world.index.lacks);
    full.times = full.fired;
    world.index.retry();
    world.settle(random);
    assert.ok(!world.index.lacks && world.check());
    const entry = emptyDueEntry();
    assert.equal(world.index.read(BASE, place, entry), false, 'of what was in memory');
    assert.ok(world.ask<[Failure]>((done) => world.index.load(BASE, place, done))[0] !== undefined);
    const again = world.seek(middle.when, middle.sequence);
    assert.equal(again.end - again.place, end - place);
    assert.deepEqual(world.all(), { failure: undefined, entries: inDueOrder(entries) }, way);
  }
});

test('closing ends everything, and comes after every other completion', () => {
  for (let steps = 0; steps < 30; steps++) {
    const world = new DueWorld().write(dueEntries(random, 3000, 1000));
    const entries: DueEntry[] = dueEntries(random, 900, 1000);
    const begun = [
      world.begin((done) => world.index.seek(BASE, NOW + 300, 0, done)),
      world.begin((done) => world.index.write(BASE + 4096, 1, columnsOf(entries), done)),
      world.begin((done) => world.index.check(BASE, done)),
    ];
    for (let i = 0; i < steps; i++) world.step(random);
    let closed = false;
    world.index.close(() => {
      closed = true;
      for (const answers of begun) assert.equal(answers.length, 1);
    });
    world.settle(random);
    assert.ok(closed);
    assert.equal(world.files.openHandles, 0);
    assert.ok(world.seek(0, 0).failure instanceof Error);
  }
});

test('random lives against sorted arrays', () => {
  for (let life = 0; life < 30; life++) {
    const world = new DueWorld(new MemoryFiles(), { pageBytesMax: 256 * KIB });
    const bases = [0, 1, 2, 3].map((i) => BASE + i * 2 ** 26);
    for (let step = 0; step < 25; step++) {
      const base = bases[random.below(bases.length)]!;
      const known = world.segments.get(base);
      const what = random.below(5);
      if (known === undefined || what === 0) {
        const entries = dueEntries(random, random.below(1200), 1 + random.below(2000));
        world.segments.set(base, entries);
        world.write(entries, base, random.next());
      } else if (what === 1) {
        world.identities.delete(base);
        world.segments.delete(base);
        assert.equal(world.ask<[Failure]>((done) => world.index.drop(base, done))[0], undefined);
        assert.ok(world.seek(0, 0, base).failure instanceof Error);
      } else {
        const { when, sequence } = known[random.below(known.length)] ?? { when: 0, sequence: 0 };
        const wanted = inDueOrder(known).filter(
          (one) => one.when > when || (one.when === when && one.sequence >= sequence),
        );
        assert.deepEqual(world.all(when, sequence, base), { failure: undefined, entries: wanted });
      }
    }
  }
});
