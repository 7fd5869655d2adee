// The simulator in the test suite: a fixed number of worlds, new ones each time. A failure prints
// the command that runs it again, made as small as it gets. `main.ts` runs more of them.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Engine } from '../../src/wasm/engine.ts';
import { seedOf } from '../support/random.ts';
import { smallPlainCodec } from '../support/twins.ts';
import { FAULT_KINDS, Tally } from './faults.ts';
import { ALL_FAULTS, commandOf, DEFAULT_STEPS, describe, minimise, run } from './run.ts';

const WORLDS = 90;

const first = seedOf('sim/sim.test');
const codec = new Engine();
const sideCodec = new Engine();
const optionsOf = (seed: number) => ({
  seed: seed >>> 0,
  steps: DEFAULT_STEPS,
  faults: ALL_FAULTS,
  codec,
  sideCodec,
});

test(`${WORLDS} worlds of crashes and faults: every promise holds in each`, async () => {
  const total = new Tally();
  for (let i = 0; i < WORLDS; i++) {
    const verdict = await run(optionsOf(first + i));
    if (verdict.failure !== undefined) assert.fail(describe(await minimise(verdict)));
    total.addAll(verdict.tally);
  }
  const said = JSON.stringify(total.counts);
  for (const kind of FAULT_KINDS) assert.ok(total.get(kind) > 0, `no ${kind} struck: ${said}`);
  const least: [string, number][] = [
    ['compactions', 100],
    ['compactions under held messages', 50],
    ['redelivered after a move', 50],
    ['checkpoints used', 20],
    ['torn tails', 5],
    ['damage refused', 3],
    ['logs failed', 10],
    ['orderly stops', 50],
    ['acks', 20_000],
    ['consumed', 20_000],
  ];
  for (const [what, times] of least)
    assert.ok(total.get(what) >= times, `${total.get(what)} ${what}, not ${times}: ${said}`);
});

test('a seed gives the same world each time, and with the plain codec, too', async () => {
  const plain = { codec: smallPlainCodec(), sideCodec: smallPlainCodec() };
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
