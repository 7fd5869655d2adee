// Some planted bugs in each run of the tests, others each time; `npm run prove -- --planted` plants
// all. And what must hold of the list itself: each fits the code, and names a test that is there.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PlantedBugs } from '../prove/others.ts';
import { Random, seedOf } from '../support/random.ts';
import type { Plant } from './plant.ts';
import { PLANTS } from './plants.ts';
import { verdictOf, withFault } from './run.ts';

const seed = seedOf('planted/planted.test');
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SOME = 4;

function textOf({ file }: Plant): string {
  const name = file.startsWith('assembly/') ? file : `build/${file.replace(/\.ts$/, '.js')}`;
  return fs.readFileSync(path.join(ROOT, name), 'utf8');
}

test('every plant fits the code, changes it, and has a name of its own', () => {
  for (const plant of PLANTS) assert.notEqual(withFault(textOf(plant), plant), textOf(plant));
  assert.equal(new Set(PLANTS.map(({ name }) => name)).size, PLANTS.length);
  assert.ok(PLANTS.length >= 30);
  const [plant] = PLANTS as [Plant];
  assert.throws(() => withFault('', plant), /does not fit .* 0 times, not once/);
  assert.throws(() => withFault(plant.find.repeat(2), plant), /2 times, not once/);
});

test('only the named test counts, or that it does not end', () => {
  const plant = { ...PLANTS[0]!, caughtBy: 'a #1 thing' };
  const verdict = (code: number, text: string, late = false) =>
    verdictOf(plant, code, text, late).caught;
  assert.equal(verdict(0, 'ok 1 - a \\#1 thing'), false);
  assert.equal(verdict(1, '    not ok 1 - a \\#1 thing'), true);
  assert.equal(verdict(1, 'not ok 1 - another thing'), false);
  assert.equal(verdict(1, 'SyntaxError: Unexpected token'), false);
  assert.equal(verdict(1, '', true), true);
});

test(`${SOME} planted bugs are caught by the tests that are named for them`, async () => {
  const garden = new PlantedBugs();
  const first = new Random(seed).below(PLANTS.length);
  try {
    for (let i = 0; i < SOME; i++)
      await garden.run({ seed, index: (first + i) % PLANTS.length, untilMs: 0 });
  } finally {
    await garden.close();
  }
  assert.equal(garden.counts['bugs caught'], SOME);
});
