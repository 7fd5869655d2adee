// The simulator in the test suite: a fixed number of worlds, new ones each time. A failure prints
// the command that runs it again, made as small as it gets. `main.ts` runs more of them.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freshEngine } from '../support/engine.ts';
import { seedOf } from '../support/random.ts';
import { smallPlainCodec } from '../support/twins.ts';
import { FAULT_KINDS, Tally } from './faults.ts';
import { ALL_FAULTS, commandOf, DEFAULT_STEPS, describe, minimise, run } from './run.ts';

const WORLDS = 90;
type Floor = [what: string, times: number];
// What these worlds come to at least, all together.
const OFTEN: Floor[] = [
  ['compactions', 100],
  ['compactions under held messages', 50],
  ['checkpoints used', 20],
  ['orderly stops', 50],
  ['acks', 20_000],
  ['consumed', 20_000],
  ['observers that broke', 100],
];
// What strikes so seldom, or only in worlds whose rules are of that kind, that chance alone can
// leave it short: then further worlds follow, in which every promise has to hold, too.
const SELDOM: Floor[] = [
  ...FAULT_KINDS.map((kind): Floor => [kind, 1]),
  ['torn tails', 5],
  ['refused where a rule bounds', 500],
  ['leases over', 200],
  ['dropped: overflow', 500],
  ['dropped: expired', 300],
  ['dead of age', 1000],
  ['signs of work', 5000],
  ['dead and kept', 300],
  ['dead and moved', 100],
  ['dead in their lines', 10],
  ['given back', 300],
  ['redrives to the end', 300],
  ['acks of what was published again', 200],
  ['ids on disk', 500],
  ['dead as too much', 500],
  ['dropped: dead-keep', 50],
  ['redelivered after a move', 50],
  ['followed', 100_000],
  ['published for later', 500],
  ['copies', 200],
  ['damage refused', 3],
  ['logs failed', 10],
  ['discarded', 5],
  ['moved too often', 1],
  ['dead, and its bucket was full', 5],
  ['buckets paused', 300],
  ['buckets resumed', 300],
  ['files of pauses taken over', 5],
  ['files of pauses left', 1],
];
// The rarest of them comes in about one world of a hundred.
const WORLDS_MAX = 8 * WORLDS;

const first = seedOf('sim/sim.test');
const optionsOf = (seed: number) => ({
  seed: seed >>> 0,
  steps: DEFAULT_STEPS,
  faults: ALL_FAULTS,
  codec: freshEngine,
  sideCodec: freshEngine,
});

test(`${WORLDS} worlds of crashes and faults: every promise holds in each`, async (t) => {
  const total = new Tally();
  const short = (floors: Floor[]) => floors.filter(([what, times]) => total.get(what) < times);
  const said = () => `too few: ${JSON.stringify(total.counts)}`;
  let worlds = 0;
  for (; worlds < WORLDS || (worlds < WORLDS_MAX && short(SELDOM).length > 0); worlds++) {
    const verdict = await run(optionsOf(first + worlds));
    if (verdict.failure !== undefined) assert.fail(describe(await minimise(verdict)));
    total.addAll(verdict.tally);
    if (worlds === WORLDS - 1) assert.deepEqual(short(OFTEN), [], said());
  }
  if (worlds > WORLDS) t.diagnostic(`${worlds} worlds, until every fault had struck often enough`);
  assert.deepEqual(short(SELDOM), [], said());
});

test('a seed gives the same world each time, and with the plain codec, too', async () => {
  // As much room for what is read back as the module has: with less, reads come at other times.
  const { coldBytes } = freshEngine();
  const codec = () => smallPlainCodec(coldBytes);
  const plain = { codec, sideCodec: codec };
  for (let seed = first; seed < first + 3; seed++) {
    const once = await run(optionsOf(seed));
    const again = await run(optionsOf(seed));
    const twin = await run({ ...optionsOf(seed), ...plain });
    assert.ok(once.events > 500, `${once.events} events`);
    assert.deepEqual([again.hash, again.events], [once.hash, once.events]);
    assert.deepEqual([twin.hash, twin.events], [once.hash, once.events]);
    const other = await run(optionsOf(seed + 1));
    assert.notEqual(other.hash, once.hash);
  }
});

test('by hand: a table, a line of JSON, and a clear word about wrong usage', async () => {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const sim = (...args: string[]) =>
    spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
  const ran = sim('--seed', '7', '--steps', '50', '--faults', 'crash,tear');
  assert.equal(ran.status, 0, ran.stdout + ran.stderr);
  const summary = JSON.parse(ran.stdout.trim().split('\n').at(-1)!);
  assert.deepEqual([summary.seeds, summary.failures, summary.faults.kill], [1, 0, 0]);
  const wrong = sim('--faults', 'flood');
  assert.deepEqual([wrong.status, wrong.stdout], [2, '']);
  assert.match(wrong.stderr, /no fault flood: give some of crash,/);
  const verdict = await run({ ...optionsOf(7), steps: 50, faults: new Set(['kill']) });
  const command = 'node build/test/sim/main.js --seed 7 --steps 50 --faults kill';
  assert.equal(commandOf(verdict), command);
});
