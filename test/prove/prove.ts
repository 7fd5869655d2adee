// Divides a budget of time among the parts, or runs each until its counts are full, and says what
// was done. It knows nothing about what a part does.

import { Crashes } from './crashes.ts';
import { Fuzz } from './fuzz.ts';
import { Directory, Flips, Truncations } from './logs.ts';
import { Faults, PlantedBugs, Worlds } from './others.ts';
import type { Counts, Part, PartPlan, Targets } from './part.ts';

/** All parts, in the order in which they run, with their shares of the budget and full counts. */
export const PARTS = {
  sim: { weight: 4, full: { worlds: 2000 }, make: () => new Worlds() },
  crash: { weight: 5, full: { states: 1_000_000 }, make: () => new Crashes() },
  truncate: { weight: 3, make: () => new Truncations() },
  flip: { weight: 3, make: () => new Flips() },
  directory: { weight: 3, make: () => new Directory() },
  fuzz: { weight: 4, full: { frames: 10_000_000 }, make: () => new Fuzz() },
  kill: {
    weight: 4,
    full: { 'random kills': 1000 },
    make: (options) => Faults.of('kill', options),
  },
  faults: {
    weight: 4,
    full: { 'power cuts': 100 },
    make: (options) => Faults.of('faults', options),
  },
  cluster: { weight: 4, make: (options) => Faults.of('cluster', options) },
  planted: { weight: 5, make: () => new PlantedBugs() },
} satisfies Record<string, PartPlan>;

export type PartName = keyof typeof PARTS;
export const PART_NAMES = Object.keys(PARTS) as PartName[];

export interface ProveOptions {
  seed: number;
  budgetMs: number;
  only: readonly PartName[];
  /** Until the full counts, or this share of them, are reached; the budget does not matter then. */
  full?: number | undefined;
  /** Of runs with real processes: each once, with so many points; the budget does not matter. */
  rounds?: number | undefined;
  /** Only those of them whose name contains this. */
  named?: string | undefined;
  /** What parts have to count at least once, however much time that takes. */
  once?: Partial<Record<PartName, readonly string[]>>;
  /** One case alone, of the one part that is named. */
  index?: number | undefined;
  /** Instead of the parts above, by name. */
  made?: Partial<Record<PartName, Part>>;
}

export interface Result {
  name: PartName;
  ran: number;
  /** Cases that there are; null: as many as wanted. */
  of: number | null;
  seconds: number;
  counts: Counts;
  skipped: string[];
  /** What was measured, for people. */
  notes: string[];
  failure?: { text: string; replay: string };
}

/** Runs the parts one after the other. A part ends with its first failure, the others still run. */
export async function prove(options: ProveOptions): Promise<Result[]> {
  const results: Result[] = [];
  const { full, rounds, named } = options;
  const endMs = performance.now() + (rounds === undefined ? options.budgetMs : Infinity);
  let weights = options.only.reduce((sum, name) => sum + PARTS[name].weight, 0);
  for (const name of options.only) {
    const { weight, make }: PartPlan = PARTS[name];
    const begun = performance.now();
    const untilMs = begun + Math.max(0, ((endMs - begun) * weight) / weights);
    weights -= weight;
    const part = options.made?.[name] ?? (await make({ full, rounds, named }));
    results.push(await runPart(part, name, untilMs, options));
  }
  return results;
}

/** Whether there is more to do after `ran` cases. */
function isDone(part: Part, ran: number, untilMs: number, { full, once }: Limit): boolean {
  if (full === undefined)
    return performance.now() >= untilMs && once.every((what) => (part.counts[what] ?? 0) > 0);
  const { targets, share } = full;
  if (ran < (part.least ?? (Number.isFinite(part.cases) ? part.cases * share : 0))) return false;
  const wanted = Object.entries(targets);
  return wanted.every(([what, times]) => (part.counts[what] ?? 0) >= times * share);
}

interface Limit {
  full: { targets: Targets; share: number } | undefined;
  once: readonly string[];
}

async function runPart(
  part: Part,
  name: PartName,
  budgetEndMs: number,
  { seed, index, full, once, rounds, named }: ProveOptions,
): Promise<Result> {
  const begun = performance.now();
  const { counts, skipped, notes = [] } = part;
  const result: Result = { name, ran: 0, of: null, seconds: 0, counts, skipped, notes };
  const idle = part instanceof Faults && part.idle;
  const { full: targets = {} }: PartPlan = PARTS[name];
  const limit = {
    full: full === undefined ? undefined : { targets, share: full },
    once: once?.[name] ?? [],
  };
  const untilMs = full === undefined ? budgetEndMs : Number.POSITIVE_INFINITY;
  let at = index ?? 0;
  const chosen =
    (full === undefined ? '' : ' --full') +
    (named === undefined ? '' : ` --named "${named}"`) +
    (rounds === undefined ? '' : ` --rounds ${rounds}`);
  const replay = () => `npm run prove -- --only ${name} --seed ${seed} --case ${at}${chosen}`;
  try {
    // At least one case, however small the budget is.
    for (; !idle && at < part.cases; at = part.next?.(at + 1) ?? at + 1) {
      if (result.ran > 0 && (index !== undefined || isDone(part, result.ran, untilMs, limit)))
        break;
      await part.run({ seed, index: at, untilMs });
      result.ran++;
    }
  } catch (error) {
    result.failure = { text: textOf(error), replay: replay() };
  }
  try {
    await part.close();
  } catch (error) {
    result.failure ??= { text: textOf(error), replay: replay().replace(/ --case.*/, '') };
  }
  if (Number.isFinite(part.cases)) result.of = part.cases;
  result.seconds = Math.round((performance.now() - begun) / 100) / 10;
  return result;
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** One line for each part: cases, time, what was counted. */
export function tableOf(results: readonly Result[]): string {
  const rows = results.map(({ name, ran, of, seconds, counts, failure }) => {
    const cases = of === null ? `${ran}` : `${ran} of ${of}`;
    const counted = Object.entries(counts).map(([what, times]) => `${times} ${what}`);
    const verdict = failure === undefined ? (ran === 0 ? 'skipped' : 'holds') : 'FAILS';
    return [name, verdict, `${cases} cases`, `${seconds} s`, counted.join(', ')];
  });
  const widths = [0, 1, 2, 3].map((at) => Math.max(0, ...rows.map((row) => row[at]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .concat(results.flatMap(({ notes }) => notes))
    .concat(results.flatMap(({ skipped }) => skipped.map((why) => `skipped: ${why}`)))
    .join('\n');
}
