// The scenario `dashboard`: what looking at the broker costs it.

import { fileURLToPath } from 'node:url';
import { Child } from '../src/load/child.ts';
import { type Bed, type Sample, startedOf } from './bed.ts';
import { END_TO_END } from './loads.ts';
import { figure, ratio } from './samples.ts';
import type { Scenario } from './scenario.ts';

const VIEWERS = fileURLToPath(new URL('./viewers.js', import.meta.url));

const consumed = ({ consume }: Sample): number => consume?.msgPerSecond ?? 0;

interface Looked {
  sample: Sample;
  /** Pushes to each page, and answers to other requests. */
  pushes: number;
  answers: number;
}

/** A sample on a broker with a dashboard, with or without somebody who looks at it. */
async function sample(bed: Bed, looked: boolean): Promise<Looked> {
  const broker = await bed.broker([], true);
  const { dashboardPort } = broker;
  if (dashboardPort === undefined) {
    await broker.stop();
    throw new Error('the dashboard did not start');
  }
  const viewers = looked ? new Child(VIEWERS, { args: [String(dashboardPort)] }) : undefined;
  try {
    await viewers?.event('looking');
    const measured = await bed.measure(startedOf(broker), END_TO_END);
    const said = viewers?.event('answers');
    await viewers?.stop();
    const told = (await said) as { answers: number; pushes: number; pages: number } | undefined;
    const { answers = 0, pushes = 0, pages = 1 } = told ?? {};
    return { sample: measured, answers, pushes: pushes / pages };
  } finally {
    await viewers?.stop();
    await broker.stop();
  }
}

export const dashboard: Scenario = {
  name: 'dashboard',
  title: 'end to end while ten pages are open and /metrics is asked each second',
  async measure(bed) {
    const { runs } = bed.options;
    const alone: Sample[] = [];
    const looked: Sample[] = [];
    const answers: number[] = [];
    const pushes: number[] = [];
    for (let run = 1; run <= runs; run++) {
      bed.options.note(`run ${run} of ${runs}: nobody looks, eleven do`);
      alone.push((await sample(bed, false)).sample);
      const watched = await sample(bed, true);
      looked.push(watched.sample);
      answers.push(watched.answers);
      pushes.push(watched.pushes);
    }
    return [
      figure('nobody looks, delivered and acked', 'msg/s', alone.map(consumed)),
      figure('looked at, delivered and acked', 'msg/s', looked.map(consumed)),
      ratio('looked at ÷ not', looked.map(consumed), alone.map(consumed)),
      figure('pushes to each page', 'count', pushes),
      figure('answers to other requests', 'count', answers),
    ];
  },
};
