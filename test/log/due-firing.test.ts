// Firing from files of due times, both together: in order over all segments, with memory and files
// within their bounds, and on through damage and removal midway.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DueTimes, FIRE_MAX } from '../../src/core/delivery/due-times.ts';
import type { DueEntry } from '../../src/core/records/due.ts';
import { dueName } from '../../src/log/index/due-file.ts';
import { DUE_HANDLES_MAX } from '../../src/log/index/due-open.ts';
import { MemoryFiles } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { BASE, DueWorld, dueEntries, IDENTITY, NOW } from './due-harness.ts';

const random = new Random(seedOf('log/due-firing.test'));
const KIB = 1024;
const HOUR = 3_600_000;

function timesOver(world: DueWorld): DueTimes {
  const failed = (_base: number, failure: Error) => assert.fail(failure);
  return new DueTimes({ store: world.index, wake: () => {}, failed });
}

// Fires all that is due, with the disk answering between the turns; gives the most of one turn.
function fireAll(world: DueWorld, due: DueTimes, now: number, take: (entry: DueEntry) => void) {
  let most = 0;
  for (;;) {
    most = Math.max(most, due.fire(now, FIRE_MAX, take));
    const waits = world.turns.length + world.files.pending.length > 0;
    if (!waits && due.nextMs() > now) return most;
    world.settle(random);
  }
}

test('a million entries in 16 segments: in order, each once, memory and reads within bounds', () => {
  const bytes = 512 * KIB;
  const world = new DueWorld(new MemoryFiles(), { pageBytesMax: bytes });
  const per = 62_500;
  const bases = Array.from({ length: 16 }, (_, i) => BASE + i * 2 ** 26);
  const entries = dueEntries(random, per, HOUR);
  for (const base of bases) world.write(entries, base);
  const due = timesOver(world);
  for (const base of bases) due.indexed(base);
  world.settle(random);
  const before = world.files.count('read');
  let fired = 0;
  let last = 0;
  let late = 0;
  for (let now = NOW; fired < 16 * per; now += 1 + random.below(60_000)) {
    const most = fireAll(world, due, now, ({ when }) => {
      if (when < last || when > now) late++;
      last = when;
      fired++;
    });
    assert.ok(most <= FIRE_MAX);
    assert.ok(world.index.pages.size <= bytes / 4096);
    assert.ok(world.index.pages.bytes <= bytes);
  }
  assert.deepEqual([fired, late, due.segments, due.memoryEntries], [16 * per, 0, 0, 0]);
  assert.equal(due.nextMs(), Number.POSITIVE_INFINITY);
  assert.ok(world.handlesMost <= DUE_HANDLES_MAX + 1, `${world.handlesMost} files open`);
  const [reads, pages] = [world.files.count('read') - before, 16 * Math.ceil(per / 102)];
  assert.ok(reads <= pages * 1.1, `${reads} reads for ${pages} pages`);
});

test('more segments than pages in memory: each entry once, in order', () => {
  const world = new DueWorld(new MemoryFiles(), { pageBytesMax: 256 * KIB });
  const due = timesOver(world);
  const segments = 150;
  for (let i = 0; i < segments; i++) {
    const base = BASE + i * 2 ** 26;
    world.write(dueEntries(random, 250, HOUR), base, random.next());
    due.indexed(base);
  }
  world.settle();
  let fired = 0;
  let last = 0;
  for (let now = NOW; due.segments > 0; now += random.below(100_000))
    fireAll(world, due, now, ({ when }) => {
      assert.ok(when >= last && when <= now);
      last = when;
      fired++;
    });
  assert.equal(fired, segments * 250);
  assert.ok(world.index.pages.size <= 64);
});

test('a page that is damaged midway, a file that goes, a segment that vanishes', () => {
  for (let life = 0; life < 10; life++) {
    const world = new DueWorld();
    const due = timesOver(world);
    const bases = [0, 1, 2].map((i) => BASE + i * 2 ** 26);
    for (const base of bases) {
      const entries = dueEntries(random, 102 * 60, HOUR);
      world.segments.set(base, entries);
      world.write(entries, base);
      due.indexed(base);
    }
    const [damaged, missing, dropped] = bases as [number, number, number];
    const owners = new Map<string, number>();
    const name = ({ low, high, when }: DueEntry) => `${low} ${high} ${when}`;
    for (const base of bases)
      for (const entry of world.segments.get(base)!) owners.set(name(entry), base);
    const seen = new Map(bases.map((base) => [base, new Set<string>()]));
    const take = (entry: DueEntry) => seen.get(owners.get(name(entry))!)!.add(name(entry));
    world.settle(random);
    fireAll(world, due, NOW + HOUR / 10, take);
    world.files.flip(dueName(damaged), 4096 * 40 + 1234, 8);
    world.index.drop(missing);
    due.drop(dropped);
    const had = seen.get(dropped)!.size;
    fireAll(world, due, NOW + HOUR, take);
    assert.equal(seen.get(damaged)!.size, 102 * 60);
    assert.equal(seen.get(missing)!.size, 102 * 60);
    assert.equal(seen.get(dropped)!.size, had);
    assert.ok(world.notes.length >= 1 && world.notes.length <= 2, world.notes.join('\n'));
  }
});

test('from memory to disk and on, with a file that is written meanwhile', () => {
  const world = new DueWorld();
  const due = timesOver(world);
  const entries = dueEntries(random, 3000, 10_000);
  const taken: number[] = [];
  const take = ({ when }: DueEntry) => taken.push(when);
  for (const entry of entries) due.add(BASE, entry);
  fireAll(world, due, NOW + 3000, take);
  world.identities.set(BASE, IDENTITY);
  const columns = due.entriesOf(BASE)!;
  world.index.write(BASE, IDENTITY, columns, (failure) => {
    assert.equal(failure, undefined);
    due.indexed(BASE);
  });
  for (let now = NOW + 3000; now <= NOW + 10_000; now += 50) {
    due.fire(now, FIRE_MAX, take);
    world.step();
  }
  fireAll(world, due, NOW + 10_000, take);
  assert.deepEqual(
    taken,
    entries.map(({ when }) => when).sort((a, b) => a - b),
  );
  assert.equal(due.memoryEntries, 0);
});
