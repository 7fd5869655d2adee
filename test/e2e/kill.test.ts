// Kill -9 under load, again and again on one data folder, with an exact account: nothing acked is
// lost (P1, P2), nothing is invented or altered (P3), and what was settled on disk stays settled.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomKills } from '../faults/random-kills.ts';
import { Random, seedOf } from '../support/random.ts';

const CYCLES = Number(process.env.THRUSTMQ_TEST_KILLS ?? 20);

test(`${CYCLES} kill -9 cycles under load lose nothing that was acked`, async () => {
  const random = new Random(seedOf('kill'));
  const verdict = await randomKills({ points: CYCLES, untilMs: Number.POSITIVE_INFINITY, random });
  console.log(`kill: ${verdict.fired} kills under load: ${verdict.note}`);
  assert.deepEqual([verdict.ackedLost, verdict.altered], [0, 0], verdict.note);
});
