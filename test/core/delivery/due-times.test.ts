// Firing against a naive model: a list of all entries, with clocks that jump, segments that
// complete, become one, and vanish midway, and a disk that answers late, in any order, or not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DueTimes, RETRY_MS } from '../../../src/core/delivery/due-times.ts';
import {
  DUE_READY,
  type DueEntry,
  type DuePlace,
  type DueStore,
} from '../../../src/core/records/due.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/delivery/due-times.test');
const NOW = 1_764_442_800_000;
const WORLDS = 400;

const PAGE = 8;
const FILE = 1e6;

interface File {
  serial: number;
  entries: readonly DueEntry[];
  resident: Set<number>;
}

/** Entries of complete segments; completions wait until the test takes them. */
class LateStore implements DueStore {
  readonly files = new Map<number, File>();
  readonly pending: (() => void)[] = [];
  reads = 0;
  /** Share of calls that fail. */
  failing = 0;
  /** A page was not read. */
  missed: (base: number) => void = () => {};
  readonly #random: Random;
  #serial = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  put(base: number, entries: readonly DueEntry[]): void {
    const ordered = [...entries].sort((a, b) => a.when - b.when || a.sequence - b.sequence);
    this.files.set(base, { serial: ++this.#serial, entries: ordered, resident: new Set() });
  }

  /** Memory is needed for something else. */
  evict(): void {
    for (const { resident } of this.files.values())
      for (const page of resident) if (this.#random.chance(0.5)) resident.delete(page);
  }

  seek(
    base: number,
    when: number,
    sequence: number,
    done: (failure: Error | undefined, place: DuePlace, end: DuePlace) => void,
  ): void {
    this.#later(() => {
      const file = this.files.get(base);
      if (file === undefined || this.#random.chance(this.failing))
        return done(new Error('no seek'), 0, 0);
      const found = file.entries.findIndex(
        (entry) => entry.when > when || (entry.when === when && entry.sequence >= sequence),
      );
      const entry = found < 0 ? file.entries.length : found;
      if (this.#random.chance(0.7)) file.resident.add(Math.floor(entry / PAGE));
      done(undefined, file.serial * FILE + entry, file.serial * FILE + file.entries.length);
    });
  }

  read(base: number, place: DuePlace, into: DueEntry): boolean {
    const file = this.files.get(base);
    const entry = file === undefined ? -1 : place - file.serial * FILE;
    if (file === undefined || entry < 0 || entry >= FILE) return false;
    if (!file.resident.has(Math.floor(entry / PAGE))) return false;
    Object.assign(into, file.entries[entry]!);
    return true;
  }

  load(base: number, place: DuePlace, done: (failure: Error | undefined) => void): void {
    this.#later(() => {
      const file = this.files.get(base);
      const entry = file === undefined ? -1 : place - file.serial * FILE;
      const wrong = file === undefined || entry < 0 || entry >= FILE;
      if (wrong || this.#random.chance(this.failing)) {
        this.missed(base);
        return done(new Error('no page'));
      }
      file.resident.add(Math.floor(entry / PAGE));
      done(undefined);
    });
  }

  #later(call: () => void): void {
    this.reads++;
    this.pending.push(call);
  }

  /** One completion, in any order; false if there is none. */
  step(): boolean {
    if (this.pending.length === 0) return false;
    this.pending.splice(this.#random.below(this.pending.length), 1)[0]!();
    return true;
  }
}

interface Known {
  entry: DueEntry;
  base: number;
  /** Which state of its segment it was handed out in; undefined: it was not. */
  handed: number | undefined;
}

/** The broker's side, and the model: every entry that there is, and what became of it. */
class Model {
  readonly random: Random;
  readonly store: LateStore;
  readonly due: DueTimes;
  readonly known = new Map<number, Known>(); // by number, which stands in BODY_BYTES
  readonly states = new Map<number, number>(); // of segments
  complete: number[] = [];
  open = 4096;
  now = NOW;
  woken = 0;
  failures = 0;
  again = 0;
  #numbers = 0;
  #state = 0;
  #sequence = 1;

  constructor(random: Random) {
    this.random = random;
    this.store = new LateStore(random);
    // What was handed out last may come again then.
    this.store.missed = (base) => this.#changed(base);
    this.due = new DueTimes({
      store: this.store,
      wake: () => this.woken++,
      failed: (base) => {
        this.failures++;
        this.#changed(base);
      },
    });
  }

  add(when: number): void {
    const number = ++this.#numbers;
    const count = 1 + this.random.below(3);
    const sequence = this.#sequence;
    this.#sequence += count;
    const entry: DueEntry = {
      when,
      low: this.random.next(),
      high: this.random.next(),
      sequence: this.random.chance(0.2) ? Math.max(1, sequence - 20) : sequence,
      position: this.open + number,
      turn: this.random.below(3),
      count,
      bodyBytes: number,
      kind: this.random.below(2),
      what: DUE_READY,
    };
    this.known.set(number, { entry, base: this.open, handed: undefined });
    this.due.add(this.open, entry);
  }

  of(base: number): Known[] {
    return [...this.known.values()].filter((one) => one.base === base);
  }

  #changed(base: number): void {
    this.states.set(base, ++this.#state);
  }

  /** The open segment is complete and indexed; another one is open. */
  roll(): void {
    const base = this.open;
    this.open += 4096;
    const held = this.due.entriesOf(base);
    const wanted = this.of(base).map(({ entry }) => entry);
    assert.equal(held?.count ?? 0, wanted.length);
    if (wanted.length === 0) return;
    this.store.put(base, wanted);
    this.#changed(base);
    this.complete.push(base);
    this.due.indexed(base);
  }

  /** Some neighbours become one segment, without what is settled. */
  join(): void {
    const at = this.random.below(this.complete.length);
    const bases = this.complete.splice(at, 1 + this.random.below(3));
    const base = bases[0]!;
    this.complete.splice(at, 0, base);
    for (const each of bases) {
      this.store.files.delete(each);
      for (const one of this.of(each)) {
        if (this.random.chance(0.3)) this.known.delete(one.entry.bodyBytes);
        else one.base = base;
      }
    }
    this.#changed(base);
    this.store.put(
      base,
      this.of(base).map(({ entry }) => entry),
    );
    this.due.replaced(bases, base);
  }

  vanish(): void {
    const base = this.complete.shift()!;
    for (const { entry } of this.of(base)) this.known.delete(entry.bodyBytes);
    this.store.files.delete(base);
    this.due.drop(base);
  }

  /** A file is made again, as after damage: what was known of its places is wrong. */
  renew(): void {
    const base = this.complete[this.random.below(this.complete.length)]!;
    this.#changed(base);
    this.store.put(
      base,
      this.of(base).map(({ entry }) => entry),
    );
  }

  waiting(): Known[] {
    return [...this.known.values()].filter(({ handed }) => handed === undefined);
  }

  fire(most: number): number {
    let last: DueEntry | undefined;
    const strict = this.store.failing === 0 && this.failures === 0;
    return this.due.fire(this.now, most, (entry) => {
      const one = this.known.get(entry.bodyBytes);
      assert.ok(one !== undefined, 'an entry of a segment that is gone');
      assert.deepEqual(entry, one.entry);
      assert.ok(entry.when <= this.now, 'early');
      if (last !== undefined) assert.ok(compare(last, entry) <= 0, 'out of order');
      last = { ...entry };
      const state = this.states.get(one.base) ?? 0;
      if (one.handed !== undefined) {
        assert.notEqual(one.handed, state, 'twice, and nothing had changed');
        this.again++;
      }
      one.handed = state;
      if (strict)
        for (const { entry: other } of this.waiting())
          assert.ok(compare(entry, other) <= 0, 'another one was to come before');
    });
  }

  /** What a look sees and was not handed out, until it sees all that is wanted or no more. */
  look(most: number): DueEntry[] {
    for (let before = -1; ; ) {
      const seen: DueEntry[] = [];
      let looked = 0;
      this.due.look(most, (entry) => {
        looked++;
        if (this.known.get(entry.bodyBytes)?.handed === undefined) seen.push({ ...entry });
        return false;
      });
      assert.ok(looked <= most, 'more than was wanted');
      // What it asked the disk for is there.
      while (this.store.step());
      if (looked === before) return seen;
      before = looked;
    }
  }

  /** Everything that can happen without the clock has happened. */
  settle(): void {
    do {
      while (this.store.step());
      this.woken = 0;
      while (this.fire(1000) > 0);
    } while (this.store.pending.length > 0 || this.woken > 0);
  }
}

function compare(a: DueEntry, b: DueEntry): number {
  return a.when - b.when || a.sequence - b.sequence;
}

function step(model: Model): void {
  const { random, store } = model;
  const what = random.below(20);
  if (what < 6) for (let i = random.below(9); i >= 0; i--) model.add(model.now + delay(random));
  else if (what < 9) model.fire(1 + random.below(60));
  else if (what < 12) for (let i = random.below(6); i >= 0; i--) store.step();
  else if (what === 12) model.roll();
  else if (what === 13 && model.complete.length > 2) model.join();
  else if (what === 14 && model.complete.length > 6) model.vanish();
  else if (what === 15 && model.complete.length > 0) model.renew();
  else if (what === 16) store.evict();
  else if (what === 17) model.now += random.below(10) < 8 ? random.below(300) : 86_400_000;
  else if (what === 18 && random.chance(0.2)) model.now -= random.below(86_400_000);
  else if (what === 19) model.settle();
}

// Mostly ahead, now and then past already.
function delay(random: Random): number {
  return random.below(600) - (random.chance(0.1) ? 300 : 0);
}

function assertAllFired(model: Model): void {
  model.store.failing = 0;
  for (let i = 0; i < 3; i++) {
    model.now += 30 * 86_400_000;
    model.settle();
  }
  assert.deepEqual(model.waiting(), [], 'something waits for ever');
  assert.equal(model.due.nextMs(), Number.POSITIVE_INFINITY);
}

test('every entry at its time, in order, while segments complete, join and vanish', () => {
  let again = 0;
  let looked = 0;
  for (let world = 0; world < WORLDS; world++) {
    const model = new Model(new Random(seed + world));
    for (let i = 0; i < 150; i++) {
      step(model);
      if (i % 10 !== 0) continue;
      model.settle();
      const least = Math.min(...model.waiting().map(({ entry }) => entry.when));
      assert.ok(least > model.now, 'something is due and was not handed out');
      assert.ok(model.due.nextMs() <= least && model.due.nextMs() > model.now);
      const inOrder = model.waiting().map(({ entry }) => entry);
      inOrder.sort(compare);
      const seen = model.look(40);
      const whens = (entries: DueEntry[]) => entries.map(({ when, sequence }) => [when, sequence]);
      assert.deepEqual(whens(seen), whens(inOrder.slice(0, seen.length)), 'a look out of order');
      looked += seen.length;
    }
    assertAllFired(model);
    again += model.again;
  }
  assert.ok(looked > 10 * WORLDS, `only ${looked} entries were seen by looks`);
  console.log(`${WORLDS} worlds: ${again} entries handed out again, each after a change`);
});

test('what cannot be read is late, and holds up nobody else', () => {
  let failures = 0;
  for (let world = 0; world < WORLDS; world++) {
    const model = new Model(new Random(seed + world));
    model.store.failing = 0.3;
    for (let i = 0; i < 150; i++) step(model);
    assertAllFired(model);
    failures += model.failures;
  }
  assert.ok(failures > WORLDS, `only ${failures} failures`);
});

test('nothing due: nothing is read, and the next time is known', () => {
  const model = new Model(new Random(seed));
  for (let i = 0; i < 100; i++) model.add(NOW + 1000 + i);
  model.roll();
  model.settle();
  const { reads } = model.store;
  for (let i = 0; i < 50; i++) assert.equal(model.fire(1000), 0);
  assert.equal(model.due.nextMs(), NOW + 1000);
  assert.equal(model.store.reads, reads);
  model.now = NOW + 1000;
  assert.equal(model.fire(1000), 1);
  assert.equal(model.due.nextMs(), NOW + 1001);
});

test('while it waits for the disk no timer is needed: it is woken', () => {
  const model = new Model(new Random(seed));
  for (let i = 0; i < 3; i++) model.add(NOW);
  model.roll();
  assert.equal(model.due.nextMs(), Number.POSITIVE_INFINITY);
  assert.equal(model.fire(10), 0);
  assert.equal(model.woken, 0);
  while (model.store.step());
  assert.equal(model.woken, 1);
  assert.equal(model.due.nextMs(), NOW);
  assert.equal(model.fire(2), 2);
  assert.equal(model.due.nextMs(), NOW, 'there is more');
  assert.equal(model.fire(2), 1);
});

test('of segments that became one, only what is behind the least next entry comes again', () => {
  const model = new Model(new Random(seed));
  for (let i = 0; i < 20; i++) model.add(NOW + i);
  model.roll();
  for (let i = 0; i < 20; i++) model.add(NOW + 5 + i);
  model.roll();
  model.settle();
  model.now = NOW + 10;
  model.settle();
  const [first, second] = model.complete as [number, number];
  const entries = [...model.of(first), ...model.of(second)].map(({ entry }) => entry);
  model.store.files.clear();
  model.store.put(first, entries);
  model.due.replaced([first, second], first);
  const taken: number[] = [];
  while (model.store.step());
  for (model.now = NOW + 5; model.now < NOW + 40; model.now++) {
    model.due.fire(model.now, 4096, ({ when }) => taken.push(when));
    while (model.store.step());
  }
  const wanted = entries.map(({ when }) => when).filter((when) => when > NOW + 10);
  assert.deepEqual(
    taken,
    wanted.sort((a, b) => a - b),
  );
});

test('memory is given back when a segment is found on disk, and only then', () => {
  const model = new Model(new Random(seed));
  for (let i = 0; i < 40; i++) model.add(NOW + i);
  assert.equal(model.due.memoryEntries, 40);
  model.now = NOW + 9;
  assert.equal(model.fire(100), 10);
  model.store.failing = 1;
  model.roll();
  while (model.store.step());
  assert.deepEqual([model.failures, model.due.memoryEntries], [1, 40]);
  model.store.failing = 0;
  model.now = NOW + 12;
  assert.equal(model.fire(100), 3, 'it goes on from memory');
  assert.equal(model.due.nextMs(), NOW + 13);
  model.now += RETRY_MS;
  assert.equal(model.fire(100), 0, 'it is found on disk first');
  model.settle();
  assert.deepEqual([model.again, model.due.memoryEntries, model.due.segments], [0, 0, 0]);
  assertAllFired(model);
});

test('a segment of which everything was handed out costs nothing more', () => {
  const model = new Model(new Random(seed));
  for (let i = 0; i < 40; i++) model.add(NOW - i);
  model.settle();
  model.roll();
  assert.deepEqual([model.store.reads, model.due.segments, model.due.memoryEntries], [0, 0, 0]);
  model.due.replaced([4096], 4096);
  model.due.drop(4096);
  assert.deepEqual([model.store.reads, model.due.nextMs()], [0, Number.POSITIVE_INFINITY]);
});

test('after a start it begins where it is told, and a clock that went back waits', () => {
  const model = new Model(new Random(seed));
  for (let i = 0; i < 100; i++) model.add(NOW + i);
  model.store.put(
    4096,
    model.of(4096).map(({ entry }) => entry),
  );
  const taken: number[] = [];
  const due = new DueTimes({ store: model.store, wake: () => {}, failed: assert.fail });
  due.indexed(4096, NOW + 30);
  assert.equal(
    due.fire(NOW + 50, 4096, (entry) => taken.push(entry.when)),
    0,
  );
  for (let i = 0; i < 40; i++) {
    while (model.store.step());
    due.fire(NOW + 50, 4096, (entry) => taken.push(entry.when));
  }
  assert.deepEqual(
    taken,
    Array.from({ length: 21 }, (_, i) => NOW + 30 + i),
  );
  assert.equal(
    due.fire(NOW - 86_400_000, 4096, () => assert.fail('early')),
    0,
  );
  assert.equal(due.nextMs(), NOW + 51);
});

test('a retry is not put off by a clock that goes back', () => {
  const model = new Model(new Random(seed));
  model.store.failing = 1;
  model.due.indexed(4096);
  while (model.store.step());
  model.fire(1);
  while (model.store.step());
  assert.equal(model.due.nextMs(), NOW + RETRY_MS);
  model.now -= 86_400_000;
  model.fire(1);
  assert.equal(model.store.pending.length, 1);
});

test('segments that become one by their range, and those that are not needed any more', () => {
  const model = new Model(new Random(seed));
  const { due } = model;
  const entry = { low: 1, high: 0, position: 0, turn: 1, count: 1, bodyBytes: 0, kind: 0 };
  for (const [i, base] of [100, 200, 300, 400].entries())
    due.add(base, { ...entry, when: NOW + i, sequence: i + 1, what: DUE_READY });
  due.trimmed(200);
  assert.deepEqual([due.segments, due.nextMs()], [3, NOW + 1]);
  const joined = [1, 2].map((i) => ({
    ...entry,
    when: NOW + i,
    sequence: i + 1,
    what: DUE_READY,
  }));
  model.store.put(200, joined);
  due.merged(200, 400);
  due.merged(1000, 2000);
  while (model.store.step());
  assert.equal(due.segments, 2);
  const taken: number[] = [];
  for (let i = 0; i < 10; i++) {
    due.fire(NOW + 10, 4096, ({ sequence }) => void taken.push(sequence));
    while (model.store.step());
  }
  assert.deepEqual(taken, [2, 3, 4]);
});
