// Matches: how they are read and written, what matches, and how two stand to each other.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  highOf,
  ID_MAX,
  lowOf,
  matches,
  parseMatch,
  printMatch,
} from '../../../src/core/rules/match.ts';
import { RuleError } from '../../../src/core/rules/rule-error.ts';
import { Random, seedOf } from '../../support/random.ts';
import { agrees, idsAt, PLACES, placesOf, randomMatch, WORLDS } from './world.ts';

const seed = seedOf('core/rules/match.test');
const EDGES = [0n, 1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n - 1n, 2n ** 63n, ID_MAX - 1n, ID_MAX];

function has(text: string, id: bigint): boolean {
  const match = parseMatch(text);
  const unsigned = matches(match, lowOf(id), highOf(id));
  assert.equal(matches(match, lowOf(id) | 0, highOf(id) | 0), unsigned, 'signed words');
  return unsigned;
}

describe('a match', () => {
  test('is written in one way', () => {
    const cases: [string, string, bigint][] = [
      ['7', '7', 1n],
      [' 0x7 ', '7', 1n],
      ['007', '7', 1n],
      ['7-7', '7', 1n],
      ['100-199', '100-199', 100n],
      ['0x64-0XC7', '100-199', 100n],
      ['*', '*', 2n ** 64n],
      ['0-18446744073709551615', '*', 2n ** 64n],
      ['0/0', '*', 2n ** 64n],
      ['9/0xffffffffffffffff', '9', 1n],
      ['0x2a00000000000000/0xff00000000000000', '0x2a00000000000000/0xff00000000000000', 2n ** 56n],
      ['1/1', '0x0000000000000001/0x0000000000000001', 2n ** 63n],
      ['18446744073709551615', '18446744073709551615', 1n],
    ];
    for (const [text, written, count] of cases) {
      const match = parseMatch(text);
      assert.equal(printMatch(match), written);
      assert.equal(match.count, count, text);
      assert.deepEqual(parseMatch(written), match);
    }
  });

  test('that is none is refused, and it is said what would be right', () => {
    const cases: [string, RegExp][] = [
      ['', /matches no buckets; write an id \(7\), a range/],
      ['seven', /matches no buckets/],
      ['-', /is no id of a bucket; write 42/],
      ['-7', /"" is no id/],
      ['7-', /"" is no id/],
      ['1-2-3', /"2-3" is no id/],
      ['1/2/3', /"2\/3" is no id/],
      ['1.5', /is no id/],
      ['1e3', /is no id/],
      ['0x', /is no id/],
      ['18446744073709551616', /the largest is 18446744073709551615/],
      ['0x10000000000000000', /the largest is/],
      [`1${'0'.repeat(100_000)}`, /the largest is/],
      ['199-100', /ends before it begins; write 100-199/],
      ['3/1', /outside of the mask; write 0x0000000000000001\/0x0000000000000001/],
      ['7\u0000', /"7\\u0000" is no id/],
      ['**', /matches no buckets/],
    ];
    for (const [text, message] of cases)
      assert.throws(
        () => parseMatch(text),
        (error) =>
          error instanceof RuleError && message.test(error.message) && error.message.length < 400,
        text.slice(0, 30),
      );
  });

  test('takes the ids at the edges of words as any others', () => {
    for (const text of ['*', '0', '4294967295', '4294967296', '18446744073709551615', '1/1'])
      for (const id of EDGES) assert.equal(has(text, id), agrees(text, id), `${text} ${id}`);
    for (const first of EDGES)
      for (const last of EDGES.filter((each) => each >= first))
        for (const id of EDGES.flatMap((each) => [each, each ^ 1n]))
          assert.equal(has(`${first}-${last}`, id), id >= first && id <= last);
  });

  test(`of each kind is counted out (seed ${seed})`, () => {
    const random = new Random(seed);
    for (let round = 0; round < 800; round++) {
      const world = WORLDS[round % WORLDS.length]!;
      const text = randomMatch(random, world);
      const match = parseMatch(text);
      for (let place = 0; place < PLACES; place++)
        for (const id of idsAt(world, place)) assert.equal(has(text, id), agrees(text, id), text);
      const size = BigInt(placesOf(text, world).size) << world.bits;
      if (match.kind !== 'all') assert.equal(match.count, size, text);
    }
  });
});
