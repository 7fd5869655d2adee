// A small share of every fault run; `node build/test/faults/main.js` does the rest.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOf } from '../support/random.ts';
import { faultOf, RUNS } from './index.ts';

const random = new Random(seedOf('faults'));

for (const { name, skip, small, run } of RUNS) {
  // Files of their own run these, with more points.
  if (name === 'kill -9 at random under load') continue;
  test(name, { ...(skip === undefined ? {} : { skip }), timeout: 120_000 }, async () => {
    const untilMs = Number.POSITIVE_INFINITY;
    const verdict = await run({ points: small, untilMs, random });
    console.log(`${name}: fired ${verdict.fired} times; ${verdict.note}`);
    assert.equal(faultOf(verdict), undefined);
  });
}
