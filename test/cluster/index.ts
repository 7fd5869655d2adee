// All strikes as runs that give a verdict, for tests, and for the proof which wants many of each.

import assert from 'node:assert/strict';
import { type FaultOptions, type FaultRun, Tally, type Verdict } from '../faults/verdict.ts';
import type { Judgement } from './checker.ts';
import { type Load, summary } from './load.ts';
import { SERVERS, type ServerProgram } from './nats.ts';
import { Networks, needsNetworks } from './networks.ts';
import { PARTITIONS, strikesIn } from './partitions.ts';
import { Rig } from './rig.ts';
import { type Figures, SOME, STRIKES, type Strike } from './strikes.ts';

/** What was measured of a strike, ms, by name; of what has a bound, how often it was more. */
export class Measured {
  readonly #values = new Map<string, number[]>();
  readonly #bounds: Figures;

  constructor({ bounds = {} }: Pick<Strike, 'bounds'> = {}) {
    this.#bounds = bounds;
  }

  add(figures: Figures): void {
    for (const [name, ms] of Object.entries(figures)) {
      const values = this.#values.get(name);
      if (values === undefined) this.#values.set(name, [ms]);
      else values.push(ms);
    }
  }

  toString(): string {
    return [...this.#values]
      .map(([name, values]) => {
        const sorted = values.sort((a, b) => a - b).map(Math.round);
        const middle = sorted[sorted.length >> 1];
        const bound = this.#bounds[name];
        const over = sorted.filter((ms) => bound !== undefined && ms > bound).length;
        const judged = bound === undefined ? '' : `, ${over} of them over ${bound} ms`;
        return `; ${name}: median ${middle} ms, ${sorted[0]} to ${sorted.at(-1)}, ${sorted.length} times${judged}`;
      })
      .join('');
  }
}

/** Strikes once under a load of its own, which is judged. */
export async function strikeOnce(
  strike: Strike,
  rig: Rig,
  { random, measured }: { random: FaultOptions['random']; measured: Measured },
): Promise<{ load: Load; judgement: Judgement }> {
  await using load = rig.load(random);
  await load.acked(SOME);
  const struck = async () => {
    measured.add(await strike.run(rig, load, random));
    await load.acked(SOME);
    assert.equal(rig.nodes.running.length, 3, 'a node ended by itself');
    return { load, judgement: await load.judge() };
  };
  // A node that cannot go on, as the servers have lost something, would be waited for in vain.
  const failed = rig.nodes.failed.then((why): never => assert.fail(why));
  try {
    return await Promise.race([struck(), failed]);
  } catch (error) {
    throw new Error(`${strike.name}: ${(error as Error).message}\n${rig.nodes.tell()}`, {
      cause: error,
    });
  }
}

async function runOn(
  strike: Strike,
  rig: Rig,
  { points, untilMs, random }: FaultOptions,
): Promise<Verdict> {
  const tally = new Tally(strike.name);
  const measured = new Measured(strike);
  const notes: string[] = [];
  for (let i = 0; i < points && (i === 0 || performance.now() < untilMs); i++) {
    const { judgement } = await strikeOnce(strike, rig, { random, measured }).catch((error) => {
      throw new Error(`${error.message}\nin round ${i + 1}${measured}`, { cause: error });
    });
    tally.fire();
    const { problems } = judgement;
    const lost = problems.filter(({ wrong }) => wrong === 'lost').length;
    tally.found({ lost, altered: problems.length - lost });
    if (i === 0) notes.push(summary(judgement));
    notes.push(...problems.slice(0, 3).map(({ text }) => text));
  }
  return tally.verdict(`${notes.join('; ')}${measured}`);
}

// The proof is for what is current, where that is there.
const program: ServerProgram | undefined = SERVERS.findLast((each) => each.program)?.program;
const skip = program === undefined ? SERVERS[0]!.skip : undefined;

function onLoopback(strike: Strike): FaultRun {
  return {
    name: strike.name,
    skip,
    small: 1,
    full: { runs: 1, points: strike.full },
    run: async (options) => {
      await using rig = await Rig.start(program!);
      return await runOn(strike, rig, options);
    },
  };
}

function inNetworks(at: number, name: string, full: number): FaultRun {
  return {
    name,
    skip: skip ?? (needsNetworks as { skip?: string }).skip,
    small: 1,
    full: { runs: 1, points: full },
    run: async (options) => {
      using networks = new Networks();
      await using rig = await Rig.start(program!, { places: networks.places });
      return await runOn(strikesIn(networks)[at]!, rig, options);
    },
  };
}

/** Each with servers and nodes of its own. */
export const RUNS: readonly FaultRun[] = [
  ...STRIKES.map(onLoopback),
  ...PARTITIONS.map(({ name, full }, at) => inNetworks(at, name, full)),
];
