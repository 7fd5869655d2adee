// The parts in processes of their own, some at a time: each is one job, the longest first. A job's
// process is this file with the options as its argument; it sends back the result of its part.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { PlantedBugs } from './others.ts';
import { PARTS, type PartName, type ProveOptions, prove, type Result } from './prove.ts';

const SELF = fileURLToPath(import.meta.url);

// Where all counts are to be full, these take longest, in this order; the others follow.
const LONGEST: readonly PartName[] = ['cluster', 'kill', 'faults', 'crash', 'planted', 'fuzz'];

/** With a line on stdout for each planted bug. */
export function withLines(options: ProveOptions): ProveOptions {
  if (!options.only.includes('planted')) return options;
  const planted = new PlantedBugs(({ mutant, caught, note, ms }) => {
    const by = caught ? `${mutant.test}: ${mutant.caughtBy}` : `NOT CAUGHT: ${note}`;
    const late = caught && note !== '' ? ` (${note})` : '';
    process.stdout.write(`${mutant.name.padEnd(54)} ${`${ms} ms`.padStart(9)}  ${by}${late}\n`);
  });
  return { ...options, made: { planted } };
}

/** As `prove`, in up to `jobs` processes at a time. */
export async function proveIn(jobs: number, options: ProveOptions): Promise<Result[]> {
  const { only, budgetMs } = options;
  const weights = only.reduce((sum, name) => sum + PARTS[name].weight, 0);
  const waiting = [...only].sort((a, b) => rank(a) - rank(b));
  const results = new Map<PartName, Result>();
  const worker = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const share = Math.min(1, (PARTS[name].weight / weights) * jobs);
      // Infinity, which JSON cannot say, is what planted bugs have if they are wanted alone.
      const ms = Math.min(budgetMs * share, Number.MAX_SAFE_INTEGER);
      results.set(name, await runJob({ ...options, only: [name], budgetMs: ms }));
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, waiting.length) }, worker));
  return only.map((name) => results.get(name)!);
}

function rank(name: PartName): number {
  return LONGEST.includes(name) ? LONGEST.indexOf(name) : LONGEST.length;
}

async function runJob(options: ProveOptions): Promise<Result> {
  const [name] = options.only as [PartName];
  const child = fork(SELF, [JSON.stringify(options)]);
  let result: Result | undefined;
  child.on('message', (message) => {
    result = message as Result;
  });
  const [code, signal] = await once(child, 'exit');
  if (result !== undefined) return result;
  const { seed, full } = options;
  const text = `the process of ${name} ended with ${signal ?? code} before it was done`;
  const replay = `npm run prove -- --only ${name} --seed ${seed}${full === undefined ? '' : ' --full'}`;
  const nothing = { ran: 0, of: null, seconds: 0, counts: {}, skipped: [], notes: [] };
  return { name, ...nothing, failure: { text, replay } };
}

if (process.argv[1] === SELF && process.send !== undefined) {
  // Nobody waits for the result when the parent has died.
  process.on('disconnect', () => process.exit(1));
  const [result] = await prove(withLines(JSON.parse(process.argv[2]!) as ProveOptions));
  process.send(result, () => process.exit());
}
