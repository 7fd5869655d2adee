// What another table changes, bucket by bucket.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Changes } from '../../../src/core/rules/changes.ts';
import { compileRules } from '../../../src/core/rules/compile.ts';
import { highOf, lowOf } from '../../../src/core/rules/match.ts';
import type { Rule } from '../../../src/core/rules/rule.ts';
import { Random, seedOf } from '../../support/random.ts';
import { idsAt, PLACES, randomRule, rulesOf, WORLDS, walk } from './world.ts';

const seed = seedOf('core/rules/changes.test');

function lookAll(before: Rule[], after: Rule[], ids: readonly bigint[], most = 100): Changes {
  const changes = new Changes(compileRules(before), compileRules(after), most);
  for (const id of ids) changes.look(lowOf(id), highOf(id));
  return changes;
}

test('are listed with the keys, what was and what will be', () => {
  const found = lookAll(
    rulesOf('a * lease=1s', 'b 5 retry=1s'),
    rulesOf('a * lease=1s', 'b 5 retry=2s,3s max_deliveries=4', 'v 7 sources=6'),
    [1n, 5n, 6n, 7n, 2n ** 63n],
  );
  assert.deepEqual(found.listed, [
    {
      bucket: 5n,
      changes: [
        { key: 'retry', before: '1s', after: '2s,3s' },
        { key: 'max_deliveries', before: '0', after: '4' },
      ],
    },
    { bucket: 6n, changes: [{ key: 'virtual_parent', before: 'none', after: '7' }] },
    {
      bucket: 7n,
      changes: [
        { key: 'sources', before: 'none', after: '6' },
        { key: 'virtual_parent', before: 'none', after: '7' },
      ],
    },
  ]);
  assert.deepEqual([found.looked, found.changed], [5, 3]);
  assert.deepEqual(
    [...found.byKey],
    [
      ['retry', 1],
      ['max_deliveries', 1],
      ['virtual_parent', 2],
      ['sources', 1],
    ],
  );
});

test('are counted beyond those that are listed', () => {
  const ids = Array.from({ length: 1000 }, (_, i) => BigInt(i));
  const found = lookAll([], rulesOf('a 100-199 lease=1s'), ids, 10);
  assert.deepEqual([found.changed, found.listed.length, found.listed[0]!.bucket], [100, 10, 100n]);
});

test('are none where other rules say the same', () => {
  const found = lookAll(rulesOf('a * lease=1s'), rulesOf('b 0/0 lease=1000ms', 'c 7 rate=0'), [
    0n,
    7n,
    8n,
  ]);
  assert.equal(found.changed, 0);
});

test('a bucket that becomes the dead letter of all keeps what it keeps', () => {
  const found = lookAll([], rulesOf('a * dead_letter=9'), [8n, 9n, 10n]);
  assert.deepEqual(
    found.listed.map(({ bucket }) => bucket),
    [8n, 10n],
  );
});

test(`are those of a walk over all rules (seed ${seed})`, () => {
  let changed = 0;
  for (let round = 0; round < 400; round++) {
    const random = new Random(seed + round);
    const world = WORLDS[round % WORLDS.length]!;
    const rules = Array.from({ length: 4 }, (_, i) => randomRule(random, world, `r${i}`));
    const [before, after] = [rules.slice(0, 3), rules.slice(1)];
    try {
      compileRules(before);
      compileRules(after);
    } catch {
      continue;
    }
    const ids = Array.from({ length: PLACES / 8 }, (_, i) => idsAt(world, i * 8)[1]);
    const found = lookAll(before, after, ids, PLACES);
    const wanted = ids.flatMap((id) => {
      const [old, next] = [walk(before, id), walk(after, id)];
      const count = old.filter(([value], i) => value !== next[i]![0]).length;
      return count === 0 ? [] : [[id, count]];
    });
    assert.deepEqual(
      found.listed.map(({ bucket, changes }) => [bucket, changes.length]),
      wanted,
    );
    changed += found.changed;
  }
  assert.ok(changed > 100, `${changed}`);
});
