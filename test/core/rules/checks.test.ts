// What rules may not say together: dead letters that go round, copies to oneself, virtual buckets
// in virtual ones, two parents; also where it comes about only because a more specific rule went.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileRules } from '../../../src/core/rules/compile.ts';
import type { Rule } from '../../../src/core/rules/rule.ts';
import { RuleError } from '../../../src/core/rules/rule-error.ts';
import { Random, seedOf } from '../../support/random.ts';
import { rulesOf } from './world.ts';

const seed = seedOf('core/rules/checks.test');

function refused(rules: readonly Rule[], message: RegExp, names: readonly string[]): void {
  assert.throws(
    () => compileRules(rules),
    (error) => {
      assert.ok(error instanceof RuleError, String(error));
      assert.match(error.message, message);
      assert.deepEqual(error.rules.toSorted(), names.toSorted());
      return true;
    },
  );
}

describe('dead letters', () => {
  test('may not go round, over any number of rules', () => {
    refused(
      rulesOf('a 7 dead_letter=8', 'b 8 dead_letter=7'),
      /dead letters would go round: from bucket 8 \(rule "b"\) to 7 \(rule "a"\) to 8 again; let one of them keep/,
      ['a', 'b'],
    );
    for (const n of [2, 3, 10, 65, 1000]) {
      const ring = Array.from(
        { length: n },
        (_, i) => `r${i} ${100 + i} dead_letter=${100 + ((i + 1) % n)}`,
      );
      refused(
        rulesOf(...ring),
        /dead letters would go round/,
        ring.map((line) => line.split(' ')[0]!),
      );
      compileRules(rulesOf(...ring.slice(1)));
    }
  });

  test('may not go round through a rule for many buckets', () => {
    compileRules(rulesOf('all * dead_letter=9'));
    refused(
      rulesOf('all * dead_letter=9', 'nine 9 dead_letter=10'),
      /from bucket 9 \(rule "nine"\) to 10 \(rule "all"\) to 9 again/,
      ['all', 'nine'],
    );
    compileRules(
      rulesOf('all * dead_letter=9', 'nine 9 dead_letter=10', 'ten 10 dead_letter=drop'),
    );
    refused(rulesOf('low 0-99 dead_letter=100', 'high 100-199 dead_letter=0'), /go round/, [
      'low',
      'high',
    ]);
    refused(rulesOf('odd 1/1 dead_letter=2', 'even 2/3 dead_letter=3'), /go round/, [
      'odd',
      'even',
    ]);
  });

  test('may not come to go round when a more specific rule goes', () => {
    const rules = rulesOf(
      'all * dead_letter=9',
      'nine 9-10 dead_letter=20',
      'twenty 20 dead_letter=keep',
    );
    compileRules(rules);
    refused(rules.slice(0, 2), /from bucket 9 .* to 20 \(rule "all"\) to 9 again/, ['all', 'nine']);
  });

  test('may meet in one bucket, and go a long way', () => {
    compileRules(rulesOf('a 1 dead_letter=3', 'b 2 dead_letter=3', 'c 3 dead_letter=4'));
    compileRules(
      rulesOf(...Array.from({ length: 200 }, (_, i) => `r${i} ${i} dead_letter=${i + 1}`)),
    );
  });

  test(`are followed as by hand (seed ${seed})`, () => {
    const random = new Random(seed);
    let rings = 0;
    for (let round = 0; round < 400; round++) {
      const targets = new Map<number, number>();
      for (let n = 1 + random.below(12); n > 0; n--) {
        const [from, to] = [random.below(10), random.below(10)];
        if (from !== to) targets.set(from, to);
      }
      const rules = [...targets].map(([from, to]) => `r${from} ${from} dead_letter=${to}`);
      const goesRound = [...targets.keys()].some((start) => {
        let at: number | undefined = start;
        for (let step = 0; step < 30 && at !== undefined; step++) at = targets.get(at);
        return at !== undefined;
      });
      rings += goesRound ? 1 : 0;
      if (goesRound) assert.throws(() => compileRules(rulesOf(...rules)), /go round/);
      else compileRules(rulesOf(...rules));
    }
    assert.ok(rings > 10 && rings < 390, `${rings} rings`);
  });
});

describe('copies', () => {
  test('may not go to the bucket that they are of', () => {
    refused(
      rulesOf('all * copy_to=9'),
      /rule "all" \(\*\) would copy messages of bucket 9 to itself; give bucket 9 a rule with copy_to=none/,
      ['all'],
    );
    compileRules(rulesOf('all * copy_to=9', 'nine 9 copy_to=none'));
    compileRules(rulesOf('all * copy_to=9', 'nine 9 copy_to=10', 'ten 10 copy_to=none'));
    refused(rulesOf('some 1-10 copy_to=20,5'), /bucket 5 to itself/, ['some']);
  });

  test('may go round: copies are not copied again', () => {
    const table = compileRules(rulesOf('a 1 copy_to=2', 'b 2 copy_to=1'));
    assert.deepEqual([...table.effectiveFor(1n).copyTo], [2, 0]);
  });
});

describe('virtual buckets', () => {
  test('are given what waits in their sources, and are their own', () => {
    const table = compileRules(
      rulesOf(
        'v 7 sources=1-9,100-199,0x2a00000000000001/0xff00000000000001',
        'w 300 sources=150',
        'x 120 weight=5',
      ),
    );
    const parent = (id: bigint) => {
      const { hasParent, parentLow, isVirtual, batchMax } = table.effectiveFor(id);
      assert.equal(batchMax, isVirtual ? 32 : 65_536);
      const explained = table.explain(id).parent;
      assert.equal(explained?.bucket, hasParent ? BigInt(parentLow) : undefined);
      return explained?.rule;
    };
    for (const id of [1n, 7n, 9n, 100n, 120n, 199n, 0x2a00000000000001n, 0x2affffffffffffffn])
      assert.equal(parent(id), 'v', `${id}`);
    for (const id of [150n, 300n]) assert.equal(parent(id), 'w', `${id}`);
    for (const id of [0n, 10n, 200n, 0x2a00000000000000n]) assert.equal(parent(id), undefined);
    assert.equal(compileRules(rulesOf('v 7 sources=1 batch=100')).effectiveFor(7n).batchMax, 100);
  });

  test('are no sources, one way or round', () => {
    refused(
      rulesOf('v 7 sources=1-9', 'w 8 sources=100'),
      /rule "v": its sources 1-9 have bucket 8 among them, which rule "w" makes virtual; virtual buckets are no sources/,
      ['v', 'w'],
    );
    refused(rulesOf('v 7 sources=8', 'w 8 sources=7'), /are no sources/, ['v', 'w']);
    refused(
      rulesOf('v 7 sources=*', 'w 18446744073709551615 sources=1'),
      /bucket 18446744073709551615 among/,
      ['v', 'w'],
    );
    refused(rulesOf('v 6 sources=1/1', 'w 9 sources=2'), /bucket 9 among them/, ['v', 'w']);
    refused(rulesOf('u 1 sources=2', 'v 2 sources=3', 'w 3 sources=1'), /are no sources/, [
      'u',
      'v',
    ]);
    compileRules(rulesOf('v 7 sources=*', 'w 8 sources=none'));
    compileRules(rulesOf('v 7 sources=1-6,8-9', 'w 10 sources=11'));
  });

  test('share no source, unless one says it more specifically', () => {
    refused(
      rulesOf('v 1000 sources=100-199', 'w 2000 sources=150-250'),
      /bucket 150 would have two virtual parents: rules "v" \(100-199\) and "w" \(150-250\)/,
      ['v', 'w'],
    );
    refused(
      rulesOf('v 1000 sources=7', 'w 2000 sources=7'),
      /bucket 7 would have two virtual parents/,
      ['v', 'w'],
    );
    refused(rulesOf('v 1000 sources=1/1', 'w 2000 sources=2/2'), /bucket 3 would have two/, [
      'v',
      'w',
    ]);
    refused(
      rulesOf('v 7 sources=1', 'w 7 sources=2'),
      /match the same buckets, 7 for one, and both set sources/,
      ['v', 'w'],
    );
    compileRules(rulesOf('v 1000 sources=1/1,2/2,1-500'));
  });

  test('may have sources that match nothing now', () => {
    assert.equal(compileRules(rulesOf('v 7 sources=99')).effectiveFor(7n).isVirtual, true);
  });
});
