// Some planted bugs in each run of the tests, others each time; `npm run prove -- --planted` plants
// all. And what must hold of the list itself: each fits the code, and names a test that is there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PlantedBugs } from '../prove/others.ts';
import { Random, seedOf } from '../support/random.ts';
import { misfitOf } from './misfits.ts';
import { MUTANTS } from './mutants.ts';
import { verdictOf } from './run.ts';
import { Sources } from './sources.ts';

const seed = seedOf('planted/planted.test');
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SOME = 4;

test('every planted bug fits the code, has a test that is there, and a name of its own', () => {
  const sources = Sources.below(ROOT);
  const misfits = MUTANTS.flatMap((mutant) => misfitOf(mutant, sources, ROOT) ?? []);
  // node build/test/planted/main.js --refit mends those whose code has only moved.
  assert.equal(misfits.length, 0, `\n${misfits.join('\n')}`);
  assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  assert.ok(MUTANTS.length >= 122);
});

test('the command says that all fit', () => {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, [main], { encoding: 'utf8' });
  assert.equal(stdout, `${MUTANTS.length} planted bugs fit, 0 do not\n`);
  assert.equal(status, 0);
});

test('only the named test counts, or that it does not end', () => {
  const mutant = { ...MUTANTS[0]!, caughtBy: 'a #1 thing' };
  const verdict = (code: number, text: string, late = false) =>
    verdictOf(mutant, code, text, late).caught;
  assert.equal(verdict(0, 'ok 1 - a \\#1 thing'), false);
  assert.equal(verdict(1, '    not ok 1 - a \\#1 thing'), true);
  assert.equal(verdict(1, 'not ok 1 - another thing'), false);
  assert.equal(verdict(1, 'SyntaxError: Unexpected token'), false);
  assert.equal(verdict(1, '', true), true);
});

test(`${SOME} planted bugs are caught by the tests that are named for them`, async () => {
  const bugs = new PlantedBugs();
  const first = new Random(seed).below(MUTANTS.length);
  try {
    for (let i = 0; i < SOME; i++)
      await bugs.run({ seed, index: (first + i) % MUTANTS.length, untilMs: 0 });
  } finally {
    await bugs.close();
  }
  assert.equal(bugs.counts['bugs caught'], SOME);
});
