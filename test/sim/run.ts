// Runs seeds, and makes a failing one small: fewer steps, then fewer kinds of faults.

import type { Codec } from '../../src/core/ports/codec.ts';
import { FAULT_KINDS, type FaultKind, type Tally } from './faults.ts';
import { SeededWorld } from './world.ts';

export interface RunOptions {
  seed: number;
  steps: number;
  faults: ReadonlySet<FaultKind>;
  /** Make codecs of its own for each world. */
  codec: () => Codec;
  sideCodec: () => Codec;
  print?: boolean;
}

export interface Verdict {
  options: RunOptions;
  /** Steps that were done. */
  steps: number;
  hash: string;
  events: number;
  tally: Tally;
  failure: Error | undefined;
  /** The last events. */
  lines: string[];
}

export const DEFAULT_STEPS = 1200;
export const ALL_FAULTS: ReadonlySet<FaultKind> = new Set(FAULT_KINDS);

/** Lives through one world. */
export async function run(options: RunOptions): Promise<Verdict> {
  const codecs = { codec: options.codec(), sideCodec: options.sideCodec() };
  const world = new SeededWorld({ ...options, ...codecs });
  let failure: Error | undefined;
  // What is thrown where nobody waits for it.
  const unheard = (error: Error) => {
    world.checker.violation ??= error;
  };
  process.on('unhandledRejection', unheard);
  try {
    await world.run();
  } catch (error) {
    failure = error as Error;
  } finally {
    process.off('unhandledRejection', unheard);
  }
  const { trace, checker, step } = world;
  const { hash, events, lines } = trace;
  return { options, steps: step, hash, events, tally: checker.tally, failure, lines };
}

/** The smallest run that still fails, of those that are tried. */
export async function minimise(verdict: Verdict): Promise<Verdict> {
  let least = verdict;
  const attempt = async (change: Partial<RunOptions>): Promise<boolean> => {
    const tried = await run({ ...least.options, print: false, ...change });
    if (tried.failure !== undefined) least = tried;
    return tried.failure !== undefined;
  };
  await attempt({ steps: Math.min(verdict.options.steps, verdict.steps + 1) });
  for (let part = 2; part <= 16; part *= 2)
    while (least.options.steps > 1 && least.options.steps >= part) {
      const fewer = least.options.steps - Math.ceil(least.options.steps / part);
      if (!(await attempt({ steps: fewer }))) break;
    }
  for (const kind of FAULT_KINDS) {
    const faults = new Set(least.options.faults);
    if (faults.delete(kind)) await attempt({ faults });
  }
  await attempt({ steps: Math.min(least.options.steps, least.steps + 1) });
  return least;
}

/** The command that runs it again. */
export function commandOf({ options }: Verdict): string {
  const { seed, steps, faults } = options;
  const kinds = FAULT_KINDS.filter((kind) => faults.has(kind));
  const some = kinds.length === FAULT_KINDS.length ? '' : ` --faults ${kinds.join(',') || 'none'}`;
  return `node build/test/sim/main.js --seed ${seed} --steps ${steps}${some}`;
}

/** What to print about a failing world: the command first. */
export function describe(verdict: Verdict): string {
  const { failure, lines, steps } = verdict;
  return [
    `run it again: ${commandOf(verdict)}`,
    `after step ${steps}: ${failure?.stack ?? 'no failure'}`,
    'the last events:',
    ...lines.map((line) => `  ${line}`),
  ].join('\n');
}
