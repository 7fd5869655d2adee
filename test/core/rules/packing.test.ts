// The table of buckets to be asked about before packing, looked up as the byte work does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRules } from '../../../src/core/rules/compile.ts';
import { ID_MAX } from '../../../src/core/rules/match.ts';
import { type PackingTable, packingTableOf } from '../../../src/core/rules/packing.ts';
import { RuleError } from '../../../src/core/rules/rule-error.ts';
import { Random, seedOf } from '../../support/random.ts';
import { agrees, idsAt, PLACES, randomRule, rulesOf, textOf, WORLDS } from './world.ts';

const seed = seedOf('core/rules/packing.test');
const LIMITS = { masks: 16, values: 8192, ranges: 8192 };

function isNamed({ masked, ranges }: PackingTable, id: bigint): boolean {
  return (
    masked.some(({ mask, value }) => (id & mask) === value) ||
    ranges.some(({ first, last }) => first <= id && id <= last)
  );
}

function checkForm({ masked, ranges }: PackingTable): void {
  const texts = masked.map(({ mask, value }) => `${value}/${mask}`);
  assert.equal(new Set(texts).size, texts.length, 'two are alike');
  for (const { mask, value } of masked) assert.equal(value & ~mask, 0n, 'outside of its mask');
  ranges.forEach(({ first, last }, i) => {
    assert.ok(first <= last && (i === 0 || ranges[i - 1]!.last < first), 'ranges overlap');
  });
  for (const { rule } of [...masked, ...ranges]) assert.equal(rule, 1);
}

test(`names every bucket that must be asked about, and few others (seed ${seed})`, () => {
  let [named, spared, tables] = [0, 0, 0];
  for (let round = 0; round < 1200; round++) {
    const random = new Random(seed + round);
    const world = WORLDS[round % WORLDS.length]!;
    const rules = Array.from({ length: 1 + random.below(5) }, (_, i) =>
      randomRule(random, world, `r${i}`),
    );
    let table: ReturnType<typeof compileRules>;
    try {
      table = compileRules(rules);
    } catch (error) {
      assert.ok(error instanceof RuleError);
      continue;
    }
    tables += 1;
    const packing = packingTableOf(rules, LIMITS);
    checkForm(packing);
    for (let place = 0; place < PLACES; place += 5)
      for (const id of [...idsAt(world, place), 0n, ID_MAX]) {
        const isIn = isNamed(packing, id);
        if (table.effectiveFor(id).beforePacking) {
          named += 1;
          assert.ok(isIn, `${id} is not named: ${rules.map(({ text }) => text).join('; ')}`);
        } else if (!isIn) spared += 1;
        if (isIn) assert.ok(rules.some(({ match }) => agrees(textOf(match), id)));
      }
  }
  assert.ok(tables > 200 && named > 1000 && spared > 1000, `${tables} ${named} ${spared}`);
});

test('is empty where nothing has to be decided before packing', () => {
  const none = packingTableOf(
    rulesOf(
      'a * retry=1s lease=1s ttl=1h rate=1 max_in_flight=1 dead_letter=9 sources=none',
      'b 7 max_messages=1 overflow=dead-oldest',
      'c 8 delay=0s copy_to=none',
    ),
    LIMITS,
  );
  assert.deepEqual(none, { masked: [], ranges: [] });
});

test('another rule may say that what is beyond is refused', () => {
  const rules = rulesOf('a * max_messages=10 overflow=drop-oldest', 'b 100-199 overflow=refuse');
  const table = packingTableOf(rules, LIMITS);
  assert.deepEqual(
    [isNamed(table, 99n), isNamed(table, 100n), isNamed(table, 200n)],
    [false, true, false],
  );
});

test('single ids cost a value, ids within ranges nothing, neighbours are joined', () => {
  const table = packingTableOf(
    rulesOf(
      'a 5 delay=1s',
      'b 100-199 delay=1s',
      'c 150 delay=2s',
      'd 200-299 dedup=1s',
      'e 0x300/0xffffffffffffff00 delay=1s',
    ),
    LIMITS,
  );
  assert.deepEqual(table, {
    masked: [{ mask: ID_MAX, value: 5n, rule: 1 }],
    ranges: [
      { first: 100n, last: 299n, rule: 1 },
      { first: 0x300n, last: 0x3ffn, rule: 1 },
    ],
  });
});

test('more than there is room for names all buckets', () => {
  const all = { masked: [{ mask: 0n, value: 0n, rule: 1 }], ranges: [] };
  const many = (n: number, match: (i: number) => string) =>
    rulesOf(...Array.from({ length: n }, (_, i) => `r${i} ${match(i)} delay=1s`));
  const masks = (i: number) => `${2 ** i}/${2 ** i}`;
  assert.deepEqual(packingTableOf(many(17, masks), LIMITS), all);
  assert.equal(packingTableOf(many(16, masks), LIMITS).masked.length, 16);
  const ids = (step: number) => (i: number) => `${i * step}`;
  assert.equal(packingTableOf(many(8192, ids(3)), LIMITS).masked.length, 8192);
  assert.deepEqual(packingTableOf(many(8193, ids(3)), LIMITS), all);
  // As many neighbours are one range.
  const neighbours = { masked: [], ranges: [{ first: 0n, last: 8192n, rule: 1 }] };
  assert.deepEqual(packingTableOf(many(8193, ids(1)), LIMITS), neighbours);
  const ranges = (i: number) => `${i * 10}-${i * 10 + 5}`;
  assert.equal(packingTableOf(many(8192, ranges), LIMITS).ranges.length, 8192);
  assert.deepEqual(packingTableOf(many(8193, ranges), LIMITS), all);
});
