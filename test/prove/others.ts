// The parts whose work is done elsewhere: worlds of the simulator, kills and faults of real broker
// processes, planted bugs.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Engine } from '../../src/wasm/engine.ts';
import { PLANTS } from '../planted/plants.ts';
import { Garden, type Planted } from '../planted/run.ts';
import { ALL_FAULTS, DEFAULT_STEPS, describe, minimise, run } from '../sim/run.ts';
import { Random } from '../support/random.ts';
import { type CaseOptions, type Counts, count, type Part, spread } from './part.ts';

/** A world of the simulator for each case. */
export class Worlds implements Part {
  readonly name = 'sim';
  readonly cases = Number.POSITIVE_INFINITY;
  readonly counts: Counts = {};
  readonly skipped: string[] = [];
  readonly #codecs = { codec: new Engine(), sideCodec: new Engine() };

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
  run: (options: { points: number; untilMs: number; random: Random }) => Promise<{
    fired: number;
    ackedLost: number;
    altered: number;
    ackAfterFailedSync: number;
  }>;
}

/** Runs of one kind with real processes: `kill -9`, or everything else that a system can do. */
export class Faults implements Part {
  readonly name: string;
  readonly counts: Counts = {};
  readonly skipped: string[] = [];
  readonly cases = Number.POSITIVE_INFINITY;
  readonly #runs: readonly FaultRun[];

  private constructor(name: string, runs: readonly FaultRun[], skipped: string[]) {
    this.name = name;
    this.skipped = skipped;
    this.#runs = runs;
  }

  static async of(name: 'kill' | 'faults'): Promise<Faults> {
    const module = new URL('../faults/index.js', import.meta.url);
    if (!fs.existsSync(fileURLToPath(module)))
      return new Faults(name, [], [`${name}: test/faults is not there`]);
    const { RUNS } = (await import(module.href)) as { RUNS: readonly FaultRun[] };
    const isKill = (each: FaultRun) => each.name.startsWith('kill');
    const mine = RUNS.filter((each) => isKill(each) === (name === 'kill'));
    const skipped = mine.flatMap((each) =>
      each.skip === undefined ? [] : [`${each.name}: ${each.skip}`],
    );
    return new Faults(
      name,
      mine.filter(({ skip }) => skip === undefined),
      skipped,
    );
  }

  async run({ seed, index, untilMs }: CaseOptions): Promise<void> {
    const each = this.#runs[index % Math.max(1, this.#runs.length)];
    if (each === undefined) return;
    const random = new Random((seed + index) >>> 0);
    // What a run does before its first point is dear: each round has twice as many points.
    const round = Math.floor(index / this.#runs.length);
    const points = each.small * 2 ** Math.min(round, ROUNDS_MAX);
    const verdict = await each.run({ points, untilMs, random });
    count(this.counts, this.name === 'kill' ? 'kills' : 'faults fired', verdict.fired);
    const { ackedLost, altered, ackAfterFailedSync } = verdict;
    const wrong = { ackedLost, altered, ackAfterFailedSync };
    assert.deepEqual(wrong, { ackedLost: 0, altered: 0, ackAfterFailedSync: 0 }, each.name);
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
  readonly cases = PLANTS.length;
  readonly #garden = new Garden();
  readonly #seen: ((planted: Planted) => void) | undefined;

  constructor(seen?: (planted: Planted) => void) {
    this.#seen = seen;
  }

  async run({ seed, index }: CaseOptions): Promise<void> {
    const plant = PLANTS[spread(index, PLANTS.length, seed)]!;
    const planted = await this.#garden.try(plant, seed);
    this.#seen?.(planted);
    count(this.counts, 'bugs planted');
    if (!planted.caught)
      throw new Error(
        `"${plant.name}" in ${plant.file} is not caught by ${plant.test}: ${planted.note}`,
      );
    count(this.counts, 'bugs caught');
  }

  async close(): Promise<void> {
    this.#garden.remove();
  }
}
