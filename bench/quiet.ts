// The scenario `quiet`: what a broker costs that has nothing to do. Processor time of the broker and
// its dashboard together, and how often they are woken, over a window in which nobody asks for
// anything; beside it the peers that this machine has, as they are when they have started.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Bed, startedOf } from './bed.ts';
import { type Usage, usageOf } from './cpu.ts';
import { startSystem } from './peers/running.ts';
import { SYSTEMS } from './peers/systems.ts';
import { absent, type Figure, figure } from './samples.ts';
import type { Scenario } from './scenario.ts';

// Of warm-up: for seconds after its start a program compiles, and collects what that has left.
const SETTLE_SHARE = 10;
const BUCKETS = 100;

interface Measured {
  /** Percent of a core. */
  percent: number[];
  /** A second. */
  wakes: number[];
  why?: string;
}

interface Case {
  name: string;
  start(bed: Bed): Promise<{ sessions: readonly number[]; stop(): Promise<unknown> }>;
}

async function broker(bed: Bed, dashboard: boolean, consumers = 0): ReturnType<Case['start']> {
  const started = startedOf(
    await bed.broker(['--max-connections', String(consumers + 100)], dashboard),
  );
  if (consumers === 0) return { sessions: [started.pid], stop: () => started.stop() };
  try {
    const held = await bed.hold({
      exhaustPort: started.ports.exhaustPort,
      producers: 0,
      consumers,
      buckets: Math.min(BUCKETS, consumers),
      warmupMs: 0,
      durationMs: 2 ** 31 - 1,
    });
    const stop = () => held.stop().finally(() => started.stop());
    return { sessions: [started.pid], stop };
  } catch (error) {
    await started.stop();
    throw error;
  }
}

function casesOf({ options }: Bed): Case[] {
  const { idle, peers } = options;
  const cases: Case[] = [
    { name: 'broker alone', start: (bed) => broker(bed, false) },
    { name: 'broker with its dashboard', start: (bed) => broker(bed, true) },
    {
      name: `broker with ${idle.toLocaleString('en')} consumers that wait`,
      start: (bed) => broker(bed, false, idle),
    },
  ];
  for (const system of SYSTEMS) {
    const found = system.find();
    if ('absent' in found || peers?.includes(system.key) === false) continue;
    const start = (bed: Bed) => startSystem(system, found.file, bed.options.dir);
    cases.push({ name: system.name, start });
  }
  return cases;
}

async function measure(bed: Bed, { start }: Case, into: Measured): Promise<void> {
  const { seconds, warmupSeconds } = bed.options;
  const { sessions, stop } = await start(bed);
  try {
    await sleep(SETTLE_SHARE * warmupSeconds * 1000);
    const from = usageOf(sessions);
    const fromMs = performance.now();
    await sleep(seconds * 1000);
    const to = usageOf(sessions);
    const ms = performance.now() - fromMs;
    if (from === undefined || to === undefined) {
      into.why = 'this system does not tell';
      return;
    }
    into.percent.push(per(from, to, 'cpuMs', ms) * 100);
    into.wakes.push(per(from, to, 'wakes', ms) * 1000);
  } finally {
    await stop();
  }
}

// A thread that has ended takes what it used along.
function per(from: Usage, to: Usage, what: keyof Usage, ms: number): number {
  return Math.max(0, to[what] - from[what]) / ms;
}

function figuresOf(name: string, { percent, wakes, why }: Measured): Figure[] {
  const [cpu, woken] = [`${name}: processor time, of a core`, `${name}: wake-ups`];
  if (why !== undefined) return [absent(cpu, '%', why), absent(woken, '/s', why)];
  return [figure(cpu, '%', percent), figure(woken, '/s', wakes)];
}

export const quiet: Scenario = {
  name: 'quiet',
  title: 'nothing to do: processor time and wake-ups of all processes together',
  async measure(bed) {
    const { runs, note } = bed.options;
    const cases = casesOf(bed).map((each) => {
      const measured: Measured = { percent: [], wakes: [] };
      return { ...each, measured };
    });
    for (let run = 1; run <= runs; run++)
      for (const each of cases) {
        note(`run ${run} of ${runs}: ${each.name}`);
        await measure(bed, each, each.measured);
      }
    return cases.flatMap(({ name, measured }) => figuresOf(name, measured));
  },
};
