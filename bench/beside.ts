// The scenario `beside`: whether somebody who reads an old backlog slows those who publish and
// consume what is new. A reader takes a core's time, like any busy program. So the load that is
// timed runs alone, beside a program that only computes, beside a reader that takes its time, and
// beside one that reads as fast as it can: what the second costs is the machine's, and what the others
// cost beyond it would be the broker's.

import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadResult } from '../src/load/result.ts';
import { type Bed, type Load, MESSAGES } from './bed.ts';
import { STREAM } from './loads.ts';
import { type Figure, figure, ratio } from './samples.ts';
import type { Scenario } from './scenario.ts';

const OLD_BUCKET = '7000000';
const PACED_BUCKET = '7100000';
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

/** What a reader that takes its time takes: four times what is new. */
const PACED_RATE = 200_000;
/** It has a backlog of its own, so much smaller. */
const PACED_SHARE = 0.2;
/** Until a neighbour runs at full speed. */
const SETTLED_MS = 200;

/** Somebody who is busy beside the load that is timed; `stop` gives the messages it has read. */
interface Neighbour {
  stop(): Promise<number>;
}

const NEIGHBOURS = {
  alone: async () => ({ stop: async () => 0 }),
  'beside a program that computes': (bed: Bed) => bed.spin(),
  'beside a paced reader': (bed: Bed, exhaustPort: number) =>
    reader(bed, { exhaustPort, firstBucket: PACED_BUCKET, rate: PACED_RATE }),
  'beside a reader': (bed: Bed, exhaustPort: number) =>
    reader(bed, { exhaustPort, firstBucket: OLD_BUCKET }),
} satisfies Record<string, (bed: Bed, exhaustPort: number) => Promise<Neighbour>>;

type Name = keyof typeof NEIGHBOURS;
const NAMES = Object.keys(NEIGHBOURS) as Name[];

interface Timed {
  result: LoadResult;
  read: number;
}

type Run = Record<Name, Timed>;

async function reader(bed: Bed, load: Load): Promise<Neighbour> {
  const held = await bed.hold({
    producers: 0,
    consumers: 1,
    consumerBatchMessages: 1000,
    warmupMs: 0,
    durationMs: 2 ** 31 - 1,
    ...load,
  });
  return { stop: async () => (await held.stop()).consume?.messages ?? 0 };
}

/** Leaves backlogs behind that no memory knows, and measures what is new beside each neighbour. */
async function runOnce(bed: Bed): Promise<Run> {
  const { seconds, warmupSeconds, messages = MESSAGES } = bed.options;
  let broker = await bed.broker();
  try {
    const { intakePort, exhaustPort } = broker;
    for (const [firstBucket, count] of [
      [PACED_BUCKET, Math.ceil(PACED_SHARE * messages)],
      [OLD_BUCKET, messages],
    ] as const)
      await bed.load({
        ...STREAM,
        intakePort,
        exhaustPort,
        firstBucket,
        count,
        warmupMs: 0,
        drain: false,
      });
    broker = await broker.crash();
    const ports = { intakePort: broker.intakePort, exhaustPort: broker.exhaustPort };
    const timing = { durationMs: seconds * 1000, warmupMs: warmupSeconds * 1000 };
    await bed.load({ ...NEW, ...ports, ...timing }); // a fresh broker compiles its code first
    const timed: Partial<Run> = {};
    for (const name of NAMES) {
      const neighbour = await NEIGHBOURS[name](bed, ports.exhaustPort);
      let read = 0;
      let result: LoadResult;
      try {
        await sleep(SETTLED_MS);
        result = await bed.load({ ...NEW, ...ports, ...timing, warmupMs: 0 });
      } finally {
        read = await neighbour.stop();
      }
      timed[name] = { result, read };
    }
    return timed as Run;
  } finally {
    await broker.stop();
  }
}

const ack = ({ publish }: LoadResult) => publish?.latencyMs;
const delivery = ({ consume }: LoadResult) => consume?.endToEndMs;

export const beside: Scenario = {
  name: 'beside',
  title: '50,000 new msg/s by a schedule, 100 B, batches of 50, while an old backlog is read back',
  async measure(bed) {
    const runs: Run[] = [];
    for (let run = 1; run <= bed.options.runs; run++) {
      bed.options.note(`run ${run} of ${bed.options.runs}: fill, ${NAMES.join(', ')}`);
      runs.push(await runOnce(bed));
    }
    const of = (name: Name, part: typeof ack | typeof delivery, percentile: 'p50' | 'p99') =>
      runs.map((run) => part(run[name].result)?.[percentile] ?? Number.NaN);
    const read = (name: Name) => runs.map((run) => run[name].read);
    const figures: Figure[] = [
      figure('messages that the reader reads meanwhile', 'count', read('beside a reader')),
      figure('messages that the paced one reads', 'count', read('beside a paced reader')),
    ];
    for (const [what, part] of [
      ['to the ack', ack],
      ['to delivery', delivery],
    ] as const) {
      for (const name of NAMES)
        figures.push(
          figure(`${name}, ${what}, median`, 'ms', of(name, part, 'p50')),
          figure(`${name}, ${what}, p99`, 'ms', of(name, part, 'p99')),
        );
      const spun = of('beside a program that computes', part, 'p50');
      const alone = of('alone', part, 'p50');
      const paced = of('beside a paced reader', part, 'p50');
      const busy = of('beside a reader', part, 'p50');
      figures.push(
        ratio(`paced reader ÷ alone, ${what}, median`, paced, alone),
        ratio(`reader ÷ alone, ${what}, median`, busy, alone),
        ratio(`reader ÷ program that computes, ${what}, median`, busy, spun),
      );
    }
    return figures;
  },
};
