// The simulator by hand: node build/test/sim/main.js --seed N --seeds N --steps N --faults a,b,c
// [--trace] [--plain] [--budget 60s]. A table of what happened goes to the standard output, and one
// line of JSON last. Exit code 1 if a world failed, 2 for wrong usage.

import { parseArgs } from 'node:util';
import { freshEngine } from '../support/engine.ts';
import { smallPlainCodec } from '../support/twins.ts';
import { FAULT_KINDS, FAULTS, type FaultKind, Tally } from './faults.ts';
import { ALL_FAULTS, DEFAULT_STEPS, describe, minimise, run } from './run.ts';

function wrong(text: string): never {
  process.stderr.write(`sim: ${text}\n`);
  process.exit(2);
}

function whole(name: string, text: string | undefined, fallback: number): number {
  const value = Number(text ?? fallback);
  if (!Number.isSafeInteger(value) || value < 0)
    wrong(`--${name} ${text} is not a whole number: give digits, as in --${name} 100`);
  return value;
}

function faultsOf(text: string | undefined): ReadonlySet<FaultKind> {
  if (text === undefined) return ALL_FAULTS;
  const kinds = text === 'none' ? [] : text.split(',');
  for (const kind of kinds)
    if (!(kind in FAULTS))
      wrong(`there is no fault ${kind}: give some of ${FAULT_KINDS.join(',')}, or none`);
  return new Set(kinds as FaultKind[]);
}

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    steps: { type: 'string' },
    faults: { type: 'string' },
    budget: { type: 'string' },
    trace: { type: 'boolean' },
    plain: { type: 'boolean' },
  },
});

const seed = whole('seed', values.seed, 1);
const steps = whole('steps', values.steps, DEFAULT_STEPS);
const faults = faultsOf(values.faults);
const budget = /^(\d+)s$/.exec(values.budget ?? '0s')?.[1];
if (budget === undefined) wrong(`--budget ${values.budget} is no time: give seconds, as in 60s`);
const budgetMs = Number(budget) * 1000;
const seeds = whole('seeds', values.seeds, budgetMs > 0 ? Number.MAX_SAFE_INTEGER : 1);
const codec = values.plain === true ? smallPlainCodec : freshEngine;

const begun = performance.now();
const total = new Tally();
let ran = 0;
let stepsDone = 0;
let failures = 0;
let hash = '';
for (; ran < seeds && (budgetMs === 0 || performance.now() - begun < budgetMs); ran++) {
  const print = values.trace === true;
  const each = { seed: (seed + ran) >>> 0, steps, faults, codec, sideCodec: codec, print };
  const verdict = await run(each);
  total.addAll(verdict.tally);
  stepsDone += verdict.steps;
  hash = verdict.hash;
  if (verdict.failure === undefined) continue;
  failures++;
  process.stdout.write(`${describe(print ? verdict : await minimise(verdict))}\n\n`);
}

const names = Object.keys(total.counts).sort();
for (const name of names)
  process.stdout.write(`${name.padEnd(34)}${String(total.get(name)).padStart(10)}\n`);
const fired = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, total.get(kind)]));
const summary = {
  seeds: ran,
  steps: stepsDone,
  seconds: Math.round((performance.now() - begun) / 100) / 10,
  crashes: total.get('power cuts') + total.get('kill'),
  recoveries: total.get('recoveries'),
  faults: fired,
  compactions: total.get('compactions'),
  compactionsUnderHeldMessages: total.get('compactions under held messages'),
  checkpointsUsed: total.get('checkpoints used'),
  acksChecked: total.get('acks'),
  messages: total.get('consumed'),
  failures,
  lastHash: hash,
};
process.stdout.write(`${JSON.stringify(summary)}\n`);
process.exit(failures > 0 ? 1 : 0);
