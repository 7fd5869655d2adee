// The scenario `dashboard`: what looking at the broker costs it.

import { fileURLToPath } from 'node:url';
import { Child } from '../src/load/child.ts';
import { type Bed, type Sample, startedOf } from './bed.ts';
import { END_TO_END } from './loads.ts';
import { figure, ratio } from './samples.ts';
import type { Scenario } from './scenario.ts';

const VIEWERS = fileURLToPath(new URL('./viewers.js', import.meta.url));

const consumed = ({ consume }: Sample): number => consume?.msgPerSecond ?? 0;

/** A sample on a broker with a dashboard, with or without somebody who looks at it. */
async function sample(bed: Bed, looked: boolean): Promise<{ sample: Sample; answers: number }> {
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
    return { sample: measured, answers: ((await said)?.answers as number | undefined) ?? 0 };
  } finally {
    await viewers?.stop();
    await broker.stop();
  }
}

export const dashboard: Scenario = {
  name: 'dashboard',
  title: 'end to end while /dash is asked four times a second and ten pages are read each second',
  async measure(bed) {
    const { runs } = bed.options;
    const alone: Sample[] = [];
    const looked: Sample[] = [];
    const answers: number[] = [];
    for (let run = 1; run <= runs; run++) {
      bed.options.note(`run ${run} of ${runs}: nobody looks, eleven do`);
      alone.push((await sample(bed, false)).sample);
      const watched = await sample(bed, true);
      looked.push(watched.sample);
      answers.push(watched.answers);
    }
    return [
      figure('nobody looks, delivered and acked', 'msg/s', alone.map(consumed)),
      figure('looked at, delivered and acked', 'msg/s', looked.map(consumed)),
      ratio('looked at ÷ not', looked.map(consumed), alone.map(consumed)),
      figure('answers of the dashboard', 'count', answers),
    ];
  },
};
