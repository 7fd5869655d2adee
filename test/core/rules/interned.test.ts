// Vectors and pairs that are kept once, against maps.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Interned, PairTable } from '../../../src/core/rules/interned.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/rules/interned.test');

test(`vectors have one number each, also after some were forgotten (seed ${seed})`, () => {
  const random = new Random(seed);
  const interned = new Interned(5);
  const numbers = new Map<string, number>();
  const read = new Uint16Array(5);
  for (let step = 0; step < 20_000; step++) {
    const vector = Uint16Array.from({ length: 5 }, () =>
      random.chance(0.7) ? 0 : random.below(9),
    );
    const wanted = numbers.get(vector.join()) ?? numbers.size;
    assert.equal(interned.numberOf(vector), wanted);
    numbers.set(vector.join(), wanted);
    interned.read(wanted, read);
    assert.deepEqual(read, vector);
    assert.equal(interned.at(wanted, 4), vector[4]);
    if (!random.chance(0.0005)) continue;
    const kept = random.below(numbers.size + 1);
    interned.truncate(kept);
    for (const [text, number] of numbers) if (number >= kept) numbers.delete(text);
  }
  assert.equal(interned.count, numbers.size);
});

test(`pairs lead where they were said to lead (seed ${seed})`, () => {
  const random = new Random(seed + 1);
  const table = new PairTable();
  const wanted = new Map<string, number>();
  for (let step = 0; step < 20_000; step++) {
    const [first, second] = [random.below(200), random.below(40)];
    const known = wanted.get(`${first} ${second}`) ?? -1;
    assert.equal(table.get(first, second), known);
    if (known < 0 && random.chance(0.5)) {
      table.add(first, second, step);
      wanted.set(`${first} ${second}`, step);
    }
    if (step === 9000) {
      assert.equal(table.count, wanted.size);
      table.clear();
      wanted.clear();
    }
  }
  assert.equal(table.count, wanted.size);
});
