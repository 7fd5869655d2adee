// The proof in the test suite: a small budget over all parts that need no copy of the build, a
// failure that is told with the command that runs it again, and what the command line refuses.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { seedOf } from '../support/random.ts';
import { type Part, spread } from './part.ts';
import { PART_NAMES, prove, tableOf } from './prove.ts';

const seed = seedOf('prove.test');
const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

function command(...args: string[]) {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
}

test('a small budget: every part runs and holds', async () => {
  // Planted bugs, kills and faults have tests of their own.
  const only = PART_NAMES.filter((name) => !['planted', 'kill', 'faults'].includes(name));
  const results = await prove({ seed, budgetMs: 12_000, only });
  console.log(tableOf(results));
  for (const { name, ran, failure } of results) {
    assert.equal(failure, undefined, `${failure?.text}\nrun it again: ${failure?.replay}`);
    assert.ok(ran > 0, `${name} did nothing`);
  }
  const counted = Object.assign({}, ...results.map(({ counts }) => counts));
  const all = ['worlds', 'states', 'truncations', 'flips', 'frames', 'frames to a broker'];
  for (const what of [...all, 'pairs of accidents', 'misplaced records', 'bent logs', 'refused'])
    assert.ok(counted[what] > 0, `no ${what}`);
});

/** A part that fails in one case. */
function failing(at: number): Part & { seen: number[] } {
  const seen: number[] = [];
  const run = async ({ index }: { index: number }) => {
    seen.push(index);
    if (index === at) throw new Error('it is broken');
  };
  const close = async () => {};
  return { name: 'flip', cases: 9, counts: {}, skipped: ['one thing'], seen, run, close };
}

test('a failure ends its part, and is told with the command that runs that case again', async () => {
  const flip = failing(3);
  const [result] = await prove({ seed: 5, budgetMs: 60_000, only: ['flip'], made: { flip } });
  assert.deepEqual([flip.seen, result!.ran, result!.of], [[0, 1, 2, 3], 3, 9]);
  assert.match(result!.failure!.text, /it is broken/);
  const replay = 'npm run prove -- --only flip --seed 5 --case 3';
  assert.equal(result!.failure!.replay, replay);
  assert.match(tableOf([result!]), /^flip {2}FAILS {2}3 of 9 cases.*\nskipped: one thing$/);
  const alone = failing(3);
  const options = { seed: 5, budgetMs: 60_000, only: ['flip'] as const, index: 3 };
  const [again] = await prove({ ...options, made: { flip: alone } });
  assert.deepEqual([alone.seen, again!.failure?.replay], [[3], replay]);
});

test('cases in their seeded order: each once', () => {
  for (const cases of [1, 2, 9, 1000, 4096])
    for (const each of [0, 1, seed]) {
      const seen = new Set(Array.from({ length: cases }, (_, i) => spread(i, cases, each)));
      assert.equal(seen.size, cases);
      assert.ok(Math.min(...seen) === 0 && Math.max(...seen) === cases - 1);
    }
});

test('the command: seed and commit first, JSON last, the same counts for the same case', () => {
  const [one, two] = [1, 2].map(() => command('--only', 'flip', '--seed', '7', '--case', '2'));
  assert.equal(one!.status, 0, one!.stderr + one!.stdout);
  const lines = one!.stdout.trim().split('\n');
  assert.match(lines[0]!, /^seed 7, commit ([0-9a-f]{12}|unknown)/);
  const summary = JSON.parse(lines.at(-1)!);
  assert.deepEqual([summary.seed, summary.failures, summary.parts[0].ran], [7, 0, 1]);
  const other = JSON.parse(two!.stdout.trim().split('\n').at(-1)!);
  assert.deepEqual(other.parts[0].counts, summary.parts[0].counts);
});

test('wrong usage is refused with what to give instead', () => {
  const cases: [string[], RegExp][] = [
    [['--only', 'flop'], /no part flop: give some of sim,crash/],
    [['--budget', 'soon'], /--budget soon is no time/],
    [['--seed', '-1x'], /seed/],
    [['--seed', '4294967296'], /no whole number below 2\^32/],
    [['--case', '3'], /--case needs one part/],
    [['--what'], /Unknown option/],
  ];
  for (const [args, text] of cases) {
    const ran = command(...args);
    assert.equal(ran.status, 2, args.join(' '));
    assert.match(ran.stderr, text);
  }
});
