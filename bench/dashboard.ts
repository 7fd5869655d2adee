// The scenario `dashboard`: what looking at the broker costs it.

import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child } from '../src/load/child.ts';
import { type Bed, type Sample, startedOf } from './bed.ts';
import { END_TO_END } from './loads.ts';
import { figure, ratio } from './samples.ts';
import type { Scenario } from './scenario.ts';

const VIEWERS = fileURLToPath(new URL('./viewers.js', import.meta.url));

const consumed = ({ consume }: Sample): number => consume?.msgPerSecond ?? 0;

// Into the window of a sample, behind the warm-up.
const KILL_AFTER_MS = 1500;
const ASK_MS = 10;

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

/** Kills the dashboard of a broker; gives after how many ms its page is there again. */
async function killDashboard(pid: number, port: number): Promise<number> {
  await sleep(KILL_AFTER_MS);
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  for (const child of children.trim().split(' ')) process.kill(Number(child), 'SIGKILL');
  const begun = performance.now();
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) return performance.now() - begun;
    await sleep(ASK_MS);
  }
}

/** A sample during which the dashboard is killed. */
async function bereft(bed: Bed): Promise<{ sample: Sample; backAfter: number }> {
  const broker = await bed.broker([], true);
  try {
    const back = killDashboard(broker.pid, broker.dashboardPort!);
    const measured = await bed.measure(startedOf(broker), END_TO_END);
    return { sample: measured, backAfter: await back };
  } finally {
    await broker.stop();
  }
}

export const dashboard: Scenario = {
  name: 'dashboard',
  title: 'end to end while ten pages are open and /metrics is asked each second, or it is killed',
  async measure(bed) {
    const { runs } = bed.options;
    const alone: Sample[] = [];
    const looked: Sample[] = [];
    const answers: number[] = [];
    const pushes: number[] = [];
    const killed: Sample[] = [];
    const backAfter: number[] = [];
    for (let run = 1; run <= runs; run++) {
      bed.options.note(`run ${run} of ${runs}: nobody looks, eleven do, it is killed`);
      alone.push((await sample(bed, false)).sample);
      const watched = await sample(bed, true);
      looked.push(watched.sample);
      answers.push(watched.answers);
      pushes.push(watched.pushes);
      const without = await bereft(bed);
      killed.push(without.sample);
      backAfter.push(without.backAfter);
    }
    return [
      figure('nobody looks, delivered and acked', 'msg/s', alone.map(consumed)),
      figure('looked at, delivered and acked', 'msg/s', looked.map(consumed)),
      ratio('looked at ÷ not', looked.map(consumed), alone.map(consumed)),
      figure('pushes to each page', 'count', pushes),
      figure('answers to other requests', 'count', answers),
      figure('dashboard killed, delivered and acked', 'msg/s', killed.map(consumed)),
      ratio('killed ÷ not', killed.map(consumed), alone.map(consumed)),
      figure('page back after', 'ms', backAfter),
    ];
  },
};
