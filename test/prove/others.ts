// The parts whose work is done elsewhere: worlds of the simulator, kills and faults of real broker
// processes, planted bugs.

import assert from 'node:assert/strict';
import { MUTANTS } from '../planted/mutants.ts';
import { MutationRunner, type Planted } from '../planted/run.ts';
import { ALL_FAULTS, DEFAULT_STEPS, describe, minimise, run } from '../sim/run.ts';
import { freshEngine } from '../support/engine.ts';
import { Random } from '../support/random.ts';
import {
  type CaseOptions,
  type Counts,
  count,
  type Part,
  type PartOptions,
  spread,
} from './part.ts';

/** A world of the simulator for each case. */
export class Worlds implements Part {
  readonly name = 'sim';
  readonly cases = Number.POSITIVE_INFINITY;
  readonly counts: Counts = {};
  readonly skipped: string[] = [];
  readonly #codecs = { codec: freshEngine, sideCodec: freshEngine };

  async run({ seed, index }: CaseOptions): Promise<void> {
    const verdict = await run({
      seed: (seed + index) >>> 0,
      steps: DEFAULT_STEPS,
      faults: ALL_FAULTS,
      ...this.#codecs,
    });
    count(this.counts, 'worlds');
    count(this.counts, 'steps', verdict.steps);
    for (const [name, times] of [
      ['crashes', verdict.tally.get('power cuts') + verdict.tally.get('kill')],
      ['acks looked up', verdict.tally.get('acks')],
    ] as const)
      count(this.counts, name, times);
    if (verdict.failure !== undefined) throw new Error(describe(await minimise(verdict)));
  }

  async close(): Promise<void> {}
}

// Rounds after which the points of a run do not grow any more.
const ROUNDS_MAX = 10;

/** What this needs of a run of `test/faults`. */
interface FaultRun {
  name: string;
  skip?: string | undefined;
  small: number;
  /** Of `--full`: runs, points of each, and whether there are as many runs as its count asks for. */
  full: { runs: number; points: number; more?: boolean };
  /** What it counts, where that is not its name. */
  counted?: string;
  run: (options: {
    points: number;
    untilMs: number;
    random: Random;
    slice?: { at: number; of: number };
  }) => Promise<{
    fired: number;
    ackedLost: number;
    altered: number;
    ackAfterFailedSync: number;
    note: string;
  }>;
}

/** Runs of one kind with real processes: `kill -9`, all else that a system can do, a cluster. */
export class Faults implements Part {
  readonly name: string;
  readonly counts: Counts = {};
  readonly skipped: string[] = [];
  readonly notes: string[] = [];
  readonly cases: number;
  readonly least: number;
  readonly #runs: readonly FaultRun[];
  readonly #share: number | undefined;
  readonly #rounds: number | undefined;
  // Of `--full`: the run of each case, and behind them what is repeated until there is enough.
  readonly #listed: { run: FaultRun; at: number }[];
  readonly #repeated: FaultRun | undefined;

  /** @throws RangeError if none of the runs is named so */
  constructor(name: string, runs: readonly FaultRun[], options: PartOptions) {
    const { full, rounds, named = '' } = options;
    this.name = name;
    this.#share = full;
    this.#rounds = rounds;
    const wanted = runs.filter((each) => each.name.includes(named));
    if (wanted.length === 0 && named !== '')
      throw new RangeError(
        `no run of ${name} has "${named}" in its name; there are: ${runs.map((each) => each.name).join('; ')}`,
      );
    this.skipped = wanted.flatMap((each) =>
      each.skip === undefined ? [] : [`${each.name}: ${each.skip}`],
    );
    this.#runs = wanted.filter(({ skip }) => skip === undefined);
    this.#repeated = this.#runs.find((each) => each.full.more === true);
    const listed = this.#runs.flatMap((run) =>
      Array.from({ length: run === this.#repeated ? 0 : run.full.runs }, (_, at) => ({ run, at })),
    );
    this.#listed = full === undefined ? [] : listed.slice(0, Math.ceil(listed.length * full));
    this.least = this.#listed.length;
    const isEndless = full === undefined || this.#repeated !== undefined;
    const listedCases = isEndless ? Number.POSITIVE_INFINITY : this.#listed.length;
    this.cases = rounds === undefined ? listedCases : this.#runs.length;
  }

  static async of(name: 'kill' | 'faults' | 'cluster', options: PartOptions): Promise<Faults> {
    const folder = name === 'cluster' ? 'cluster' : 'faults';
    const module = new URL(`../${folder}/index.js`, import.meta.url);
    const { RUNS } = (await import(module.href)) as { RUNS: readonly FaultRun[] };
    if (name === 'cluster') return new Faults(name, RUNS, options);
    const isKill = (each: FaultRun) => each.name.startsWith('kill');
    return new Faults(
      name,
      RUNS.filter((each) => isKill(each) === (name === 'kill')),
      options,
    );
  }

  async run({ seed, index, untilMs }: CaseOptions): Promise<void> {
    if (this.idle) return;
    const random = new Random((seed + index) >>> 0);
    const { run, points, slice } = this.#planOf(index);
    const verdict = await run.run({ points, untilMs, random, ...(slice && { slice }) });
    count(this.counts, this.name === 'kill' ? 'kills' : 'faults fired', verdict.fired);
    count(this.counts, run.counted ?? run.name, verdict.fired);
    const { ackedLost, altered, ackAfterFailedSync, note } = verdict;
    if (this.#rounds !== undefined) this.notes.push(`${run.name}: ${note}`);
    count(this.counts, 'acked messages lost', ackedLost);
    count(this.counts, 'altered', altered);
    count(this.counts, 'acks after a failed sync', ackAfterFailedSync);
    const wrong = { ackedLost, altered, ackAfterFailedSync };
    assert.deepEqual(
      wrong,
      { ackedLost: 0, altered: 0, ackAfterFailedSync: 0 },
      `${run.name}: ${note}`,
    );
  }

  #planOf(index: number): { run: FaultRun; points: number; slice?: { at: number; of: number } } {
    if (this.#rounds !== undefined) return { run: this.#runs[index]!, points: this.#rounds };
    if (this.#share !== undefined) {
      const { run, at } = this.#listed[index] ?? { run: this.#repeated!, at: 0 };
      const { points: all, runs, more } = run.full;
      const points = this.#share < 1 ? Math.min(all, run.small) : all;
      return runs > 1 && !more ? { run, points, slice: { at, of: runs } } : { run, points };
    }
    const run = this.#runs[index % this.#runs.length]!;
    // What a run does before its first point is dear: each round has twice as many points.
    const round = Math.floor(index / this.#runs.length);
    return { run, points: run.small * 2 ** Math.min(round, ROUNDS_MAX) };
  }

  get idle(): boolean {
    return this.#runs.length === 0;
  }

  async close(): Promise<void> {}
}

/** One planted bug for each case, in a seeded order. */
export class PlantedBugs implements Part {
  readonly name = 'planted';
  readonly counts: Counts = {};
  readonly skipped: string[] = [];
  readonly cases = MUTANTS.length;
  readonly #runner = new MutationRunner();
  readonly #seen: ((planted: Planted) => void) | undefined;

  constructor(seen?: (planted: Planted) => void) {
    this.#seen = seen;
  }

  async run({ seed, index }: CaseOptions): Promise<void> {
    const mutant = MUTANTS[spread(index, MUTANTS.length, seed)]!;
    const planted = await this.#runner.try(mutant, seed);
    this.#seen?.(planted);
    count(this.counts, 'bugs planted');
    if (!planted.caught)
      throw new Error(
        `"${mutant.name}" in ${mutant.file} is not caught by ${mutant.test}: ${planted.note}`,
      );
    count(this.counts, 'bugs caught');
  }

  async close(): Promise<void> {
    this.#runner.remove();
  }
}
