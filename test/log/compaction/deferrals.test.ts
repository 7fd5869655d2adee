// Deferrals that are folded against a model: the highest turn of each message, of equals the last.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Deferral } from '../../../src/core/records/placed.ts';
import { FoldedDeferrals } from '../../../src/log/compaction/deferrals.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('log/compaction/deferrals.test');

test('random deferrals: each message keeps what a start would fold, if it is kept at all', () => {
  const random = new Random(seed);
  for (let world = 0; world < 300; world++) {
    const folded = new FoldedDeferrals();
    const model = new Map<number, Deferral>();
    const oldest = random.below(4);
    for (let i = 0; i < 12; i++) {
      const deferral: Deferral = {
        sequence: random.below(12),
        count: 1 + random.below(6),
        turn: random.below(4),
        dueMs: i,
        bucket: 1n,
        attempts: 0,
        kind: 0,
        level: 0,
        cause: 0,
      };
      folded.add(deferral, oldest);
      for (let at = deferral.sequence; at < deferral.sequence + deferral.count; at++)
        if (at >= oldest && (model.get(at)?.turn ?? 0) <= deferral.turn) model.set(at, deferral);
    }
    const kept = (sequence: number) => sequence % 5 !== world % 5;
    const left = new Map<number, number>();
    for (const { sequence, count, dueMs } of folded.left(kept))
      for (let at = sequence; at < sequence + count; at++) {
        assert.ok(!left.has(at), `${at} twice, world ${world} of ${seed}`);
        left.set(at, dueMs);
      }
    const expected = [...model].filter(([at]) => kept(at)).map(([at, { dueMs }]) => [at, dueMs]);
    assert.deepEqual(
      [...left].sort((a, b) => a[0] - b[0]),
      expected.sort((a, b) => a[0]! - b[0]!),
      `world ${world} of ${seed}`,
    );
  }
});
