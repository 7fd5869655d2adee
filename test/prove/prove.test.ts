// The proof in the test suite: a small budget over all parts that need no copy of the build, a
// failure that is told with the command that runs it again, and what the command line refuses.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { seedOf } from '../support/random.ts';
import { Faults } from './others.ts';
import { type Part, spread } from './part.ts';
import { PART_NAMES, prove, tableOf } from './prove.ts';

const seed = seedOf('prove/prove.test');
const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

function command(...args: string[]) {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
}

test('a small budget: every part runs and holds', async () => {
  // Planted bugs, kills, faults and clusters have tests of their own.
  const apart = ['planted', 'kill', 'faults', 'cluster'];
  const only = PART_NAMES.filter((name) => !apart.includes(name));
  const once = {
    sim: ['worlds'],
    crash: ['states', 'workloads with ids on disk'],
    truncate: ['truncations'],
    flip: ['flips'],
    directory: ['pairs of accidents', 'misplaced records', 'refused'],
    fuzz: ['frames', 'frames to a broker', 'bent logs'],
  };
  const results = await prove({ seed, budgetMs: 12_000, only, once });
  console.log(tableOf(results));
  for (const { name, ran, failure } of results) {
    assert.equal(failure, undefined, `${failure?.text}\nrun it again: ${failure?.replay}`);
    assert.ok(ran > 0, `${name} did nothing`);
  }
  for (const { name, counts } of results)
    for (const what of once[name as keyof typeof once]) assert.ok(counts[what]! > 0, `no ${what}`);
});

test('what a part has to count once is counted, also when the time is up', async () => {
  const part = failing(-1);
  const run = async ({ index }: { index: number }) => {
    part.seen.push(index);
    if (index >= 4) part.counts[`case ${index}`] = 1;
  };
  const options = { seed: 5, budgetMs: 0, only: ['flip'] as const };
  const once = { flip: ['case 4', 'case 6'] };
  const [result] = await prove({ ...options, once, made: { flip: { ...part, run } } });
  assert.deepEqual([result!.ran, part.seen.length], [7, 7]);
  assert.deepEqual(result!.counts, { 'case 4': 1, 'case 5': 1, 'case 6': 1 });
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

test('full counts: a part ends when they are reached, and one with an end does all its cases', async () => {
  const share = 1e-4;
  const options = { seed: 5, budgetMs: 0, only: ['crash', 'flip', 'fuzz'] as const, full: share };
  const [crash, flip, fuzz] = (await prove(options)).map(({ failure, counts }) => {
    assert.equal(failure, undefined, failure?.text);
    return counts;
  });
  assert.equal(crash!.states, 100);
  assert.equal(fuzz!.frames, 1000);
  assert.equal(flip!.flips, Math.ceil(16 * 1024 * 8 * share));
  const all = failing(-1);
  const [whole] = await prove({ ...options, full: 1, only: ['flip'], made: { flip: all } });
  assert.deepEqual([whole!.ran, all.seen.length], [9, 9]);
  const broken = failing(3);
  const [failed] = await prove({ ...options, full: 1, only: ['flip'], made: { flip: broken } });
  assert.equal(failed!.failure!.replay, 'npm run prove -- --only flip --seed 5 --case 3 --full');
});

test('full counts of kills and faults: each slice once, then as many runs as are wanted', async () => {
  const made: { points: number; slice?: { at: number; of: number } }[] = [];
  const run = async (given: (typeof made)[number]) => {
    made.push({ points: given.points, ...(given.slice && { slice: given.slice }) });
    return { fired: 2, ackedLost: 0, altered: 0, ackAfterFailedSync: 0, note: '' };
  };
  const runs = [
    { name: 'kill each', small: 1, full: { runs: 2, points: 7 }, run },
    {
      name: 'kill more',
      counted: 'random kills',
      small: 1,
      full: { runs: 0, points: 9, more: true },
      run,
    },
    { name: 'kill not', skip: 'no tool', small: 1, full: { runs: 1, points: 1 }, run },
  ];
  const kill = new Faults('kill', runs, { full: 1 });
  const options = { seed: 1, budgetMs: 0, only: ['kill'] as const, full: 1 };
  const [result] = await prove({ ...options, made: { kill } });
  assert.equal(result!.failure, undefined);
  assert.equal(result!.counts['random kills'], 1000);
  assert.deepEqual([result!.counts['kill each'], result!.counts.kills], [4, 1004]);
  assert.equal(made.length, 502);
  assert.deepEqual(made.slice(0, 3), [
    { points: 7, slice: { at: 0, of: 2 } },
    { points: 7, slice: { at: 1, of: 2 } },
    { points: 9 },
  ]);
  assert.deepEqual(result!.skipped, ['kill not: no tool']);
  // Where what is wanted in numbers cannot run, the rest still comes to its end.
  const less = new Faults('kill', [runs[0]!, { ...runs[1]!, skip: 'no tool' }], { full: 1 });
  const [ended] = await prove({ ...options, made: { kill: less } });
  assert.deepEqual([ended!.ran, ended!.of, ended!.skipped.length], [2, 2, 1]);
});

test('what went wrong in a run of faults is said, and counted by its name', async () => {
  const found = { fired: 1, ackedLost: 3, altered: 0, ackAfterFailedSync: 0 };
  const run = async () => ({ ...found, note: 'message 5 is gone' });
  const each = {
    name: 'power cut',
    counted: 'power cuts',
    small: 1,
    full: { runs: 1, points: 1 },
    run,
  };
  const faults = new Faults('faults', [each], { full: undefined });
  const options = { seed: 1, budgetMs: 0, only: ['faults'] as const };
  const [result] = await prove({ ...options, made: { faults } });
  assert.match(result!.failure!.text, /power cut: message 5 is gone/);
  assert.deepEqual([result!.counts['power cuts'], result!.counts['acked messages lost']], [1, 3]);
});

test('rounds: each run that is named so, once, with so many points, and what it measured', async () => {
  const seen: [string, number][] = [];
  const each = (name: string) => ({
    name,
    small: 1,
    full: { runs: 1, points: 1 },
    run: async ({ points }: { points: number }) => {
      seen.push([name, points]);
      const nothing = { ackedLost: 0, altered: 0, ackAfterFailedSync: 0 };
      return { fired: points, ...nothing, note: `median of ${points}` };
    },
  });
  const options = { seed: 1, budgetMs: 0, only: ['cluster'] as const, rounds: 7, named: 'kill' };
  const all = [each('kill one'), each('stop one'), each('kill two')];
  const faults = new Faults('cluster', all, { full: undefined, rounds: 7, named: 'kill' });
  const results = await prove({ ...options, made: { cluster: faults } });
  const whole = [
    ['kill one', 7],
    ['kill two', 7],
  ];
  assert.deepEqual(seen, whole);
  assert.match(
    tableOf(results),
    /holds.*2 of 2 cases.*\nkill one: median of 7\nkill two: median of 7$/,
  );
  const nobody = () => new Faults('cluster', all, { full: undefined, named: 'nobody' });
  assert.throws(nobody, /no run of cluster has "nobody" in its name.*kill one; stop one/);
});

test('parts in processes of their own: one table, one line of JSON, the same counts', () => {
  const args = ['--full', '--share', '0.0001', '--seed', '7', '--only', 'flip,truncate,crash'];
  const summaries = [[], ['--jobs', '2']].map((jobs) => {
    const ran = command(...args, ...jobs);
    assert.equal(ran.status, 0, ran.stderr + ran.stdout);
    assert.match(ran.stdout, /^crash .*100 states.*\ntruncate .*\nflip /m);
    return JSON.parse(ran.stdout.trim().split('\n').at(-1)!);
  });
  const [one, two] = summaries.map(({ parts }) =>
    parts.map(({ name, ran, counts }: { name: string; ran: number; counts: object }) => ({
      name,
      ran,
      counts,
    })),
  );
  assert.deepEqual(two, one);
  assert.equal(summaries[1].failures, 0);
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
    [['--full', '--share', '2'], /--share 2 is no share/],
    [['--jobs', '0'], /--jobs is a number of processes/],
    [['--jobs', '2', '--only', 'flip', '--case', '1'], /one where a case is given/],
    [['--what'], /Unknown option/],
  ];
  for (const [args, text] of cases) {
    const ran = command(...args);
    assert.equal(ran.status, 2, args.join(' '));
    assert.match(ran.stderr, text);
  }
});
