// What became of messages, against sets and maps.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AttemptCounts, SequenceSet } from '../../../src/core/collections/sequence-set.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/collections/sequence-set.test');
const PAGE = 65_536;
const ATTEMPTS_PAGE = 4096;

/** Ranges around the ends of pages and words, small ones and whole pages. */
function rangeOf(random: Random, page: number): [first: number, count: number] {
  const near = random.below(5) * page + random.below(3) * 32;
  const first = Math.max(0, near - random.below(70));
  const count = random.chance(0.03) ? page + random.below(page) : random.below(100);
  return [first, count];
}

function runsOf(model: ReadonlySet<number>, from: number, to: number): [number, number][] {
  const runs: [number, number][] = [];
  for (const sequence of [...model].sort((a, b) => a - b)) {
    if (sequence < from || sequence >= to) continue;
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === sequence) last[1]++;
    else runs.push([sequence, 1]);
  }
  return runs;
}

describe('a set of sequences', () => {
  test('does as a Set does', () => {
    for (let round = 0; round < 3; round++) {
      const random = new Random(seed + round);
      const set = new SequenceSet();
      const model = new Set<number>();
      for (let step = 0; step < 400; step++) {
        const [first, count] = rangeOf(random, PAGE);
        const before = model.size;
        for (let i = 0; i < count; i++) model.add(first + i);
        assert.equal(set.add(first, count), model.size - before);
        const [from, width] = rangeOf(random, PAGE);
        let within = 0;
        for (let i = 0; i < width; i++) {
          if (model.has(from + i)) within++;
          if (i < 200) assert.equal(set.has(from + i), model.has(from + i), `${from + i}`);
        }
        assert.equal(set.within(from, width), within);
        let missing = from;
        while (model.has(missing)) missing++;
        assert.equal(set.firstMissing(from), missing);
      }
      const [from, count] = rangeOf(random, PAGE);
      for (const to of [from + count, 7 * PAGE])
        assert.deepEqual([...set.runs(from, to)], runsOf(model, from, to));
    }
  });

  test('full pages cost nothing, and stay full', () => {
    const set = new SequenceSet();
    assert.equal(set.add(10, 3 * PAGE), 3 * PAGE);
    assert.equal(set.add(0, 10), 10);
    assert.equal(set.firstMissing(5), 3 * PAGE + 10);
    assert.ok(set.bytes < 2 * 8192, `${set.bytes} bytes`);
    assert.equal(set.add(0, 3 * PAGE), 0);
    assert.equal(set.add(3 * PAGE - 1, 12), 1);
    assert.deepEqual([...set.runs(5, 4 * PAGE)], [[5, 3 * PAGE + 6]]);
    assert.equal(set.add(2 ** 45, 3), 3);
    assert.deepEqual([set.has(2 ** 45 + 2), set.has(2 ** 45 + 3)], [true, false]);
  });

  test('whole pages are forgotten, and no others', () => {
    const set = new SequenceSet();
    set.add(0, 2 * PAGE + 50);
    set.forget(2 * PAGE - 1);
    assert.deepEqual([set.has(0), set.has(PAGE), set.has(2 * PAGE)], [false, true, true]);
    set.forget(2 * PAGE);
    assert.deepEqual([set.has(PAGE), set.has(2 * PAGE)], [false, true]);
  });

  test('pages of a checkpoint hold what is before its end, and nothing else', () => {
    const random = new Random(seed);
    const set = new SequenceSet();
    for (let step = 0; step < 60; step++) set.add(...rangeOf(random, PAGE));
    set.add(5 * PAGE, PAGE);
    const ends = [0, 1, 31, 32, 33, PAGE - 1, PAGE, PAGE + 64, 5 * PAGE + 7, 6 * PAGE];
    for (const end of ends) {
      const copy = new SequenceSet();
      for (const [number, bits] of set.pages(end)) copy.restore(number, bits?.slice());
      assert.equal(copy.within(0, 7 * PAGE), set.within(0, end), `before ${end}`);
      assert.deepEqual([...copy.runs(0, 7 * PAGE)], [...set.runs(0, end)], `before ${end}`);
      const added = PAGE - copy.within(2 * PAGE, PAGE);
      assert.equal(copy.add(2 * PAGE, PAGE), added, 'what was restored is not counted right');
    }
  });
});

describe('attempts', () => {
  test('do as a Map does', () => {
    for (let round = 0; round < 3; round++) {
      const random = new Random(seed + round);
      const counts = new AttemptCounts();
      const model = new Map<number, number>();
      for (let step = 0; step < 400; step++) {
        const [first, count] = rangeOf(random, ATTEMPTS_PAGE);
        const attempts = random.chance(0.05) ? 70_000 : 1 + random.below(3);
        counts.set(first, count, attempts);
        for (let i = 0; i < count; i++) model.set(first + i, Math.min(attempts, 65_535));
      }
      const end = 7 * ATTEMPTS_PAGE;
      for (let sequence = 0; sequence < end; sequence++)
        assert.equal(counts.get(sequence), model.get(sequence) ?? 0, `${sequence}`);
      const [from, to] = [100, end - 5000];
      const seen = new Map<number, number>();
      let last = from;
      for (const [first, count, attempts] of counts.runs(from, to)) {
        assert.ok(first >= last && first + count <= to && count > 0, 'runs out of order');
        last = first + count;
        for (let i = 0; i < count; i++) seen.set(first + i, attempts);
      }
      for (let sequence = from; sequence < to; sequence++)
        assert.equal(seen.get(sequence) ?? 0, model.get(sequence) ?? 0);
      for (const before of [0, 1, ATTEMPTS_PAGE - 1, ATTEMPTS_PAGE, 2 * ATTEMPTS_PAGE + 9, end]) {
        const copy = new AttemptCounts();
        for (const [number, page] of counts.pages(before)) copy.restore(number, page);
        for (let sequence = 0; sequence < end; sequence++)
          assert.equal(copy.get(sequence), sequence < before ? counts.get(sequence) : 0);
      }
    }
  });

  test('a page that says the same throughout costs nothing, until it does not', () => {
    const counts = new AttemptCounts();
    counts.set(0, 2 * ATTEMPTS_PAGE, 3);
    assert.ok(counts.bytes < 1000);
    assert.deepEqual(
      [...counts.pages(2 * ATTEMPTS_PAGE)],
      [
        [0, 3],
        [1, 3],
      ],
    );
    const [[, half]] = [...counts.pages(100)] as [[number, Uint16Array]];
    assert.deepEqual([half[99], half[100]], [3, 0]);
    counts.set(7, 1, 4);
    assert.deepEqual([counts.get(6), counts.get(7), counts.get(8)], [3, 4, 3]);
    assert.ok(counts.bytes > 8000);
    counts.set(0, ATTEMPTS_PAGE, 5);
    assert.ok(counts.bytes < 1000);
    for (let at = 0; at < ATTEMPTS_PAGE; at += 64) counts.set(at, 64, 6);
    assert.ok(counts.bytes < 1000, 'filled step by step');
    counts.forget(ATTEMPTS_PAGE);
    assert.deepEqual([counts.get(0), counts.get(ATTEMPTS_PAGE)], [0, 3]);
  });
});

test('sets of sequences and attempts give back runs, ascending, within bounds', () => {
  const random = new Random(seed);
  for (let round = 0; round < 50; round++) {
    const set = new SequenceSet();
    const counts = new AttemptCounts();
    const model = new Map<number, number>();
    const bases = [3 * 65_536 - 5, 65_536 - 40, 2 ** 40, 1];
    for (let step = 0; step < 60; step++) {
      const first = bases[random.below(bases.length)]! + random.below(120);
      const count = random.below(12);
      const attempts = 1 + random.below(2);
      set.add(first, count);
      counts.set(first, count, attempts);
      for (let i = 0; i < count; i++) model.set(first + i, attempts);
    }
    const from = [0, 60, 65_536, 3 * 65_536 + 10][random.below(4)]!;
    const to = [50, 65_536, 3 * 65_536, 2 ** 41][random.below(4)]!;
    const within = [...model].filter(([s]) => s >= from && s < to).sort(([a], [b]) => a - b);
    const runsOf = (same: (a: number, b: number) => boolean) => {
      const runs: [number, number, number][] = [];
      for (const [sequence, attempts] of within) {
        const last = runs.at(-1);
        if (last !== undefined && last[0] + last[1] === sequence && same(last[2], attempts))
          last[1]++;
        else runs.push([sequence, 1, attempts]);
      }
      return runs;
    };
    assert.deepEqual(
      [...counts.runs(from, to)],
      runsOf((a, b) => a === b),
    );
    assert.deepEqual(
      [...set.runs(from, to)],
      runsOf(() => true).map(([s, count]) => [s, count]),
    );
  }
});
