// How two matches stand to each other, against places counted out.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseMatch } from '../../../src/core/rules/match.ts';
import { commonId, isInside, relationOf } from '../../../src/core/rules/relation.ts';
import { Random, seedOf } from '../../support/random.ts';
import { idsAt, placesOf, randomMatch, WORLDS } from './world.ts';

const seed = seedOf('core/rules/relation.test');

describe('two matches', () => {
  test(`stand to each other as their places do (seed ${seed})`, () => {
    const random = new Random(seed + 1);
    const seen = new Map<string, number>();
    for (let round = 0; round < 6000; round++) {
      const world = WORLDS[round % WORLDS.length]!;
      const text = randomMatch(random, world);
      const texts = [text, random.chance(0.05) ? text : randomMatch(random, world)] as const;
      if (texts.includes('*')) continue;
      const [a, b] = [parseMatch(texts[0]), parseMatch(texts[1])];
      const [one, other] = [placesOf(texts[0], world), placesOf(texts[1], world)];
      const common = [...one].filter((place) => other.has(place));
      const relation =
        common.length === 0
          ? 'apart'
          : common.length === one.size
            ? one.size === other.size
              ? 'equal'
              : 'inside'
            : common.length === other.size
              ? 'contains'
              : 'overlap';
      const what = texts.join(' and ');
      assert.equal(relationOf(a, b), relation, what);
      assert.equal(isInside(a, b), relation === 'inside' || relation === 'equal', what);
      const id = commonId(a, b);
      if (common.length === 0) assert.equal(id, undefined, what);
      else assert.equal(id, idsAt(world, common[0]!)[0], what);
      seen.set(relation, (seen.get(relation) ?? 0) + 1);
    }
    for (const relation of ['apart', 'equal', 'inside', 'contains', 'overlap'])
      assert.ok(seen.get(relation)! > 20, `${relation}: ${seen.get(relation)}`);
  });

  test('one of which is all: the other lies inside', () => {
    const all = parseMatch('*');
    for (const text of [
      '0',
      '18446744073709551615',
      '5-9',
      '1/1',
      '0x8000000000000000/0x8000000000000000',
    ]) {
      assert.equal(relationOf(parseMatch(text), all), 'inside');
      assert.equal(relationOf(all, parseMatch(text)), 'contains');
    }
    assert.equal(relationOf(all, all), 'equal');
  });
});
