// The scenario `beside`: whether somebody who reads an old backlog slows those who publish and
// consume what is new.

import type { Latency } from '../src/load/meter.ts';
import type { LoadResult } from '../src/load/result.ts';
import { type Bed, type Load, MESSAGES } from './bed.ts';
import { STREAM } from './loads.ts';
import { type Figure, figure, ratio } from './samples.ts';
import type { Scenario } from './scenario.ts';

const OLD_BUCKET = '7000000';
const NEW_BUCKET = '9000000';

/** What is new: an open loop far below what the broker could take. */
const NEW: Load = {
  producers: 1,
  consumers: 1,
  firstBucket: NEW_BUCKET,
  messageBytes: 100,
  batchMessages: 50, // one each millisecond
  consumerBatchMessages: 1000,
  inFlight: 256,
  rate: 50_000,
  drain: true, // what was due in the window is timed to the last
};

interface Run {
  alone: LoadResult;
  beside: LoadResult;
  /** Messages of the backlog that were read in the second window. */
  read: number;
}

/** Leaves a backlog behind that no memory knows, and measures what is new, first alone. */
async function runOnce(bed: Bed): Promise<Run> {
  const { seconds, warmupSeconds, messages = MESSAGES } = bed.options;
  let broker = await bed.broker();
  try {
    const { intakePort, exhaustPort } = broker;
    await bed.load({
      ...STREAM,
      intakePort,
      exhaustPort,
      firstBucket: OLD_BUCKET,
      count: messages,
      warmupMs: 0,
      drain: false,
    });
    broker = await broker.crash();
    const ports = { intakePort: broker.intakePort, exhaustPort: broker.exhaustPort };
    const timing = { durationMs: seconds * 1000, warmupMs: warmupSeconds * 1000 };
    const alone = await bed.load({ ...NEW, ...ports, ...timing });
    const reader = await bed.hold({
      exhaustPort: broker.exhaustPort,
      producers: 0,
      consumers: 1,
      firstBucket: OLD_BUCKET,
      consumerBatchMessages: 1000,
      warmupMs: 0,
      durationMs: 2 ** 31 - 1,
    });
    let read = 0;
    let beside: LoadResult;
    try {
      beside = await bed.load({ ...NEW, ...ports, ...timing, warmupMs: 0 });
    } finally {
      read = (await reader.stop()).consume?.messages ?? 0;
    }
    return { alone, beside, read };
  } finally {
    await broker.stop();
  }
}

export const beside: Scenario = {
  name: 'beside',
  title: '50,000 new msg/s by a schedule, 100 B, batches of 50, while an old backlog is read back',
  async measure(bed) {
    const runs: Run[] = [];
    for (let run = 1; run <= bed.options.runs; run++) {
      bed.options.note(`run ${run} of ${bed.options.runs}: fill, alone, beside a reader`);
      runs.push(await runOnce(bed));
    }
    const of = (which: 'alone' | 'beside', part: (result: LoadResult) => Latency | undefined) => ({
      p50: runs.map((run) => part(run[which])?.p50 ?? Number.NaN),
      p99: runs.map((run) => part(run[which])?.p99 ?? Number.NaN),
    });
    const figures: Figure[] = [
      figure(
        'messages of the backlog read meanwhile',
        'count',
        runs.map(({ read }) => read),
      ),
    ];
    for (const [name, part] of [
      ['to the ack', ({ publish }: LoadResult) => publish?.latencyMs],
      ['to delivery', ({ consume }: LoadResult) => consume?.endToEndMs],
    ] as const) {
      const alone = of('alone', part);
      const busy = of('beside', part);
      figures.push(
        figure(`alone, ${name}, median`, 'ms', alone.p50),
        figure(`alone, ${name}, p99`, 'ms', alone.p99),
        figure(`beside a reader, ${name}, median`, 'ms', busy.p50),
        figure(`beside a reader, ${name}, p99`, 'ms', busy.p99),
        ratio(`beside ÷ alone, ${name}, median`, busy.p50, alone.p50),
      );
    }
    return figures;
  },
};
