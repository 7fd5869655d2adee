// Tables of rules against a walk over all rules: what is in force for a bucket and why, which rules
// cannot be together, and how much of everything there may be.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileRules } from '../../../src/core/rules/compile.ts';
import { KEY_NAMES, printValue, RULE_KEYS } from '../../../src/core/rules/keys.ts';
import { highOf, ID_MAX, lowOf } from '../../../src/core/rules/match.ts';
import { RULES_MAX } from '../../../src/core/rules/matchers.ts';
import type { Rule } from '../../../src/core/rules/rule.ts';
import { RuleError } from '../../../src/core/rules/rule-error.ts';
import { type RuleTable, SET_MAX } from '../../../src/core/rules/rule-table.ts';
import { Random, seedOf } from '../../support/random.ts';
import {
  agrees,
  conflictsOf,
  idsAt,
  PLACES,
  randomRule,
  rulesOf,
  textOf,
  WORLDS,
  type World,
  walk,
} from './world.ts';

const seed = seedOf('core/rules/rule-table.test');
const EDGES = [0n, 1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n - 1n, 2n ** 63n, ID_MAX - 1n, ID_MAX];

function agree(
  table: RuleTable,
  rules: readonly Rule[],
  id: bigint,
  numbers: Map<string, number>,
): void {
  const wanted = walk(rules, id);
  const explained = table.explain(id);
  assert.equal(explained.bucket, id);
  assert.deepEqual(
    explained.keys.map(({ value, rule }) => [value, rule]),
    wanted,
    `${id}: ${rules
      .slice(0, 30)
      .map(({ text }) => text)
      .join('; ')}`,
  );
  const number = table.resolve(lowOf(id), highOf(id));
  assert.equal(table.resolve(lowOf(id) | 0, highOf(id) | 0), number);
  const { values } = table.setOf(number);
  const written = KEY_NAMES.map((key) => printValue(key, values[key] as never));
  assert.deepEqual(
    written,
    wanted.map(([value]) => value),
  );
  // The same values have the same number, others have another one.
  const text = written.join(' ');
  assert.equal(numbers.get(text) ?? number, number);
  numbers.set(text, number);
}

/** A set without conflicts, after each refusal without one of the two that were named. */
function settled(random: Random, world: World, count: number): { rules: Rule[]; refusals: number } {
  let rules = Array.from({ length: count }, (_, i) => randomRule(random, world, `r${i}`));
  for (let refusals = 0; ; refusals++) {
    const conflicts = conflictsOf(rules, world);
    try {
      compileRules(rules);
      assert.deepEqual(conflicts, [], 'a conflict was not seen');
      return { rules, refusals };
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      const [a, b] = error.rules.map((name) => rules.find((rule) => rule.name === name)!);
      const pair = conflicts.filter(
        ([one, other]) => error.rules.includes(one.name) && error.rules.includes(other.name),
      );
      const key = / set (\w+);/.exec(error.message)?.[1];
      assert.ok(
        pair.some((each) => each[2] === key),
        `${error.message}: none by counting out`,
      );
      const id = BigInt(/(?:bucket|buckets,) (\d+) for one/.exec(error.message)![1]!);
      assert.ok(agrees(textOf(a!.match), id) && agrees(textOf(b!.match), id), error.message);
      const gone = random.chance(0.5) ? a : b;
      rules = rules.filter((rule) => rule !== gone);
    }
  }
}

describe('a table of rules', () => {
  test(`says what a walk over all rules says (seed ${seed})`, () => {
    let [refusals, compiled, sets] = [0, 0, 0];
    for (let round = 0; round < 160; round++) {
      const random = new Random(seed + round);
      const world = WORLDS[round % WORLDS.length]!;
      const made = settled(random, world, 2 + random.below(24));
      const table = compileRules(made.rules);
      const numbers = new Map<string, number>();
      for (let place = 0; place < PLACES; place += 1 + random.below(3))
        for (const id of idsAt(world, place)) agree(table, made.rules, id, numbers);
      for (const id of EDGES) agree(table, made.rules, id, numbers);
      assert.equal(new Set(numbers.values()).size, numbers.size);
      refusals += made.refusals;
      compiled += made.rules.length;
      sets += numbers.size;
    }
    assert.ok(refusals > 100 && compiled > 500 && sets > 500, `${refusals} ${compiled} ${sets}`);
  });

  test('without rules is all defaults, and its number is 0', () => {
    const table = compileRules([]);
    for (const id of EDGES) {
      assert.equal(table.resolve(lowOf(id), highOf(id)), 0);
      assert.deepEqual([...new Set(table.explain(id).keys.map(({ rule }) => rule))], [undefined]);
    }
    const { retryMs, deadKeepMs, batchMax, isVirtual, hasParent, beforePacking } = table.setOf(0);
    assert.deepEqual(retryMs, [0]);
    assert.deepEqual([deadKeepMs, batchMax], [Number.POSITIVE_INFINITY, 65_536]);
    assert.deepEqual([isVirtual, hasParent, beforePacking], [false, false, false]);
  });

  test('takes each key from the most specific rule that sets it', () => {
    const table = compileRules(
      rulesOf(
        'all * max_deliveries=5 retry=1s',
        'half 0x8000000000000000/0x8000000000000000 retry=2s lease=1m',
        'odd 1/1 rate=10',
        'some 100-199 retry=3s,4s',
        'one 150 retry=5s delay=1h',
        'last 18446744073709551615 max_deliveries=0',
      ),
    );
    const from = (id: bigint) =>
      table
        .explain(id)
        .keys.flatMap(({ key, value, rule }) =>
          rule === undefined ? [] : [`${key}=${value} ${rule}`],
        );
    assert.deepEqual(from(0n), ['retry=1s all', 'max_deliveries=5 all']);
    assert.deepEqual(from(101n), ['retry=3s,4s some', 'max_deliveries=5 all', 'rate=10 odd']);
    assert.deepEqual(from(150n), ['retry=5s one', 'max_deliveries=5 all', 'delay=1h one']);
    assert.deepEqual(from(2n ** 63n), ['retry=2s half', 'max_deliveries=5 all', 'lease=1m half']);
    assert.deepEqual(from(ID_MAX), [
      'retry=2s half',
      'max_deliveries=0 last',
      'lease=1m half',
      'rate=10 odd',
    ]);
  });

  test('gives what is alike one number, whatever rules it is from', () => {
    const table = compileRules(
      rulesOf('a 1 lease=1s', 'b 2 lease=1s', 'c 3 lease=2s', 'd 4 lease=0s'),
    );
    const [one, two, three, four, five] = [1, 2, 3, 4, 5].map((id) => table.resolve(id, 0));
    assert.equal(one, two);
    assert.notEqual(one, three);
    assert.deepEqual([four, five], [0, 0]);
  });
});

describe('many rules', () => {
  test('10,000 of them compile, and 1,024 of these have loose masks', (t) => {
    const lines = Array.from({ length: RULES_MAX }, (_, i) => {
      if (i < 1024) return `m${i} ${i}/0xffff00000000ffff lease=${i + 1}s`;
      if (i < 4000) return `i${i} ${2 ** 40 + 65536 * i} lease=1s retry=${i}s`;
      if (i < 7000)
        return `n${i} ${2 ** 44 + i}-${2 ** 44 + 20_000 - i} retry=${i}s max_deliveries=${i}`;
      return `r${i} ${2 ** 46 + i * 1000}-${2 ** 46 + i * 1000 + 900} delay=${i}s`;
    });
    const rules = rulesOf(...lines);
    const start = performance.now();
    const table = compileRules(rules);
    const took = performance.now() - start;
    const random = new Random(seed);
    for (let n = 0; n < 30; n++) {
      const { match } = rules[random.below(rules.length)]!;
      for (const id of [match.first, match.last, match.last + 1n])
        agree(table, rules, id, new Map());
    }
    t.diagnostic(`compiled in ${took.toFixed(0)} ms, ${(table.bytes / 2 ** 20).toFixed(1)} MiB`);
  });

  test('numbers that run out are given anew, and the values are right all the same', () => {
    // 15 bits of an id, each a rule of its own for a key of its own: 32,768 different sets.
    const keys = [
      'retry=1s',
      'retry_jitter=1',
      'max_deliveries=3',
      'dead_letter=drop',
      'dead_keep=1h',
      'isolate=false',
      'lease=1s',
      'delay=1s',
      'ttl=1s',
      'expired=drop',
      'max_messages=1',
      'max_bytes=1',
      'overflow=drop-oldest',
      'rate=1',
      'dedup=1s',
    ];
    const rules = rulesOf(...keys.map((word, bit) => `r${bit} ${2 ** bit}/${2 ** bit} ${word}`));
    const table = compileRules(rules);
    let most = 0;
    for (let id = 0; id < 2 ** 15; id++) {
      const number = table.resolve(id, 7);
      most = Math.max(most, number);
      const { values } = table.setOf(number);
      assert.equal(values.retry[0], id & 1 ? 1000 : 0);
      assert.equal(values.dedup, id >= 2 ** 14 ? 1000 : 0);
    }
    assert.equal(most, SET_MAX);
    assert.ok(table.generation > 0);
    assert.equal(table.resolve(0, 0), 0);
    for (const id of [0n, 77n, 2n ** 15n - 1n, ID_MAX]) agree(table, rules, id, new Map());
  });

  test('what was met is forgotten before it is too much, and found again', () => {
    // 17 bits again, but all values are the defaults except one: few sets of many combinations.
    const keys = KEY_NAMES.filter((key) => key !== 'sources').slice(0, 17);
    const words = keys.map((key) =>
      key === 'delay' ? 'delay=1s' : `${key}=${printValue(key, RULE_KEYS[key].fallback as never)}`,
    );
    const bit = (place: number) => `${2 ** place}/${2 ** place}`;
    const rules = rulesOf(...words.map((word, place) => `r${place} ${bit(place)} ${word}`));
    const table = compileRules(rules);
    const delaying = 2 ** keys.indexOf('delay');
    for (let id = 0; id < 2 ** 17; id++) {
      const { delayMs } = table.setOf(table.resolve(id, 0));
      assert.equal(delayMs, (id & delaying) === 0 ? 0 : 1000);
    }
    assert.ok(table.generation > 0 && table.setCount === 2, `${table.generation}`);
    assert.ok(table.bytes < 16 * 2 ** 20, `${table.bytes} bytes`);
    for (const id of [0n, 2n ** 17n - 1n, 12_345n]) agree(table, rules, id, new Map());
  });
});
