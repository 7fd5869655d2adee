// The command of proof: npm run prove -- [--budget 60s] [--seed S] [--only PART,…] [--case N]
// [--planted]. First line: seed and commit; then a table; last a line of JSON. Ends with 1 if
// anything failed, with the command that runs it again; with 2 for wrong usage.

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { PlantedBugs } from './others.ts';
import { PART_NAMES, type PartName, type ProveOptions, prove, tableOf } from './prove.ts';

const UNITS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000 };

function wrong(text: string): never {
  process.stderr.write(`prove: ${text}\n`);
  process.exit(2);
}

function whole(name: string, text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value >= 2 ** 32)
    wrong(`--${name} ${text} is no whole number below 2^32: give digits, as in --${name} 7`);
  return value;
}

function partsOf(text: string | undefined): PartName[] {
  if (text === undefined) return PART_NAMES;
  for (const name of text.split(','))
    if (!PART_NAMES.includes(name as PartName))
      wrong(`there is no part ${name}: give some of ${PART_NAMES.join(',')}`);
  return PART_NAMES.filter((name) => text.split(',').includes(name));
}

function optionsOf(): ProveOptions {
  const options = {
    budget: { type: 'string', default: '60s' },
    seed: { type: 'string' },
    only: { type: 'string' },
    case: { type: 'string' },
    planted: { type: 'boolean' },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    wrong((error as Error).message);
  }
  const [, number, unit] = /^(\d+)([smh])$/.exec(values.budget) ?? [];
  if (number === undefined)
    wrong(`--budget ${values.budget} is no time: give a number and s, m or h, as in --budget 60s`);
  const drawn = String(Math.floor(Math.random() * 2 ** 32));
  const seed = whole('seed', values.seed ?? drawn);
  const index = values.case === undefined ? undefined : whole('case', values.case);
  const only = partsOf(values.planted ? 'planted' : values.only);
  if (index !== undefined && only.length !== 1) wrong('--case needs one part: --only PART');
  const budgetMs = values.planted ? Number.POSITIVE_INFINITY : Number(number) * UNITS[unit!]!;
  return { seed, budgetMs, only, index };
}

const options = optionsOf();
const git = spawnSync('git', ['rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' });
const commit = git.status === 0 ? git.stdout.trim() : null;
process.stdout.write(
  `seed ${options.seed}, commit ${commit ?? 'unknown: this is no git clone'}\n\n`,
);

if (options.only.includes('planted'))
  options.made = {
    planted: new PlantedBugs(({ plant, caught, note, ms }) => {
      const by = caught ? `${plant.test}: ${plant.caughtBy}` : `NOT CAUGHT: ${note}`;
      const late = caught && note !== '' ? ` (${note})` : '';
      process.stdout.write(`${plant.name.padEnd(54)} ${`${ms} ms`.padStart(9)}  ${by}${late}\n`);
    }),
  };
const results = await prove(options);
process.stdout.write(`\n${tableOf(results)}\n`);
const failures = results.flatMap(({ failure }) => failure ?? []);
for (const { text, replay } of failures)
  process.stdout.write(`\n${text}\nrun it again: ${replay}\n`);
const summary = { seed: options.seed, commit, failures: failures.length, parts: results };
process.stdout.write(`${JSON.stringify(summary)}\n`);
process.exit(failures.length > 0 ? 1 : 0);
