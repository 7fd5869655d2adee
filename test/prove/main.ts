// The command of proof: npm run prove -- [--budget 60s | --full [--share S]] [--seed S]
// [--only PART,…] [--case N] [--planted] [--jobs N], or --only PART --rounds N [--named TEXT] for
// runs with real processes. First line: seed and commit; then a table;
// last a line of JSON. Ends with 1 if anything failed, with the command that runs it again; with 2
// for wrong usage.

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { proveIn, withLines } from './jobs.ts';
import {
  PART_NAMES,
  type PartName,
  type ProveOptions,
  prove,
  type Result,
  tableOf,
} from './prove.ts';

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

function optionsOf(): { options: ProveOptions; jobs: number } {
  const options = {
    budget: { type: 'string', default: '60s' },
    seed: { type: 'string' },
    only: { type: 'string' },
    case: { type: 'string' },
    planted: { type: 'boolean' },
    full: { type: 'boolean' },
    share: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '1' },
    rounds: { type: 'string' },
    named: { type: 'string' },
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
  const share = Number(values.share);
  if (!(share > 0 && share <= 1))
    wrong(`--share ${values.share} is no share: give a number above 0, at most 1, as in 0.01`);
  const full = values.full ? share : undefined;
  const jobs = whole('jobs', values.jobs);
  if (jobs < 1 || (index !== undefined && jobs > 1))
    wrong('--jobs is a number of processes, at least 1, and one where a case is given');
  const { named } = values;
  const rounds = values.rounds === undefined ? undefined : whole('rounds', values.rounds);
  if ((rounds !== undefined || named !== undefined) && !isOneOfProcesses(only, jobs))
    wrong(`--rounds and --named need one part: --only ${WITH_PROCESSES.join(' or ')}`);
  if (rounds === 0 || (rounds !== undefined && full !== undefined))
    wrong('--rounds is a number of rounds, at least 1, and does not go with --full');
  return { options: { seed, budgetMs, only, index, full, rounds, named }, jobs };
}

const WITH_PROCESSES: readonly PartName[] = ['cluster', 'kill', 'faults'];

function isOneOfProcesses(only: readonly PartName[], jobs: number): boolean {
  return only.length === 1 && WITH_PROCESSES.includes(only[0]!) && jobs === 1;
}

async function run({ options, jobs }: ReturnType<typeof optionsOf>): Promise<Result[]> {
  try {
    return await (jobs > 1 ? proveIn(jobs, options) : prove(withLines(options)));
  } catch (error) {
    if (error instanceof RangeError) wrong(error.message);
    throw error;
  }
}

const given = optionsOf();
const { options } = given;
const git = spawnSync('git', ['rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' });
const commit = git.status === 0 ? git.stdout.trim() : null;
process.stdout.write(
  `seed ${options.seed}, commit ${commit ?? 'unknown: this is no git clone'}\n\n`,
);

const results = await run(given);
process.stdout.write(`\n${tableOf(results)}\n`);
const failures = results.flatMap(({ failure }) => failure ?? []);
for (const { text, replay } of failures)
  process.stdout.write(`\n${text}\nrun it again: ${replay}\n`);
const summary = { seed: options.seed, commit, failures: failures.length, parts: results };
process.stdout.write(`${JSON.stringify(summary)}\n`);
process.exit(failures.length > 0 ? 1 : 0);
