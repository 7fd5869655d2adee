// Tenants that share workers: a virtual bucket against one bucket for all, and what a great many
// sources cost.

import { fileURLToPath } from 'node:url';
import { Child, type PrivateBroker } from '../src/load/child.ts';
import type { Latency } from '../src/load/meter.ts';
import type { Bed, Load } from './bed.ts';
import { STREAM } from './loads.ts';
import { withRules } from './ruled.ts';
import { type Figure, figure, ratio } from './samples.ts';
import type { Scenario } from './scenario.ts';
import type { Work } from './workers.ts';

const WORKERS = fileURLToPath(new URL('./workers.js', import.meta.url));

const FIRST = 7_000_000;
const VIRTUAL = 6_000_000;
const TENANTS = 1000;
const WAITING = 1_000_000;
const SOURCES = 1_000_000;
const WORK_MS = 0.5;
const CONSUMERS = 8;
const BATCHES = [1, 32];

const virtual = (sources: number, batch: number): string =>
  `[[rule]]\nname = "shared"\nmatch = ${VIRTUAL}\n` +
  `sources = "${FIRST}-${FIRST + sources - 1}"\nbatch = ${batch}\n`;

interface Waited {
  waitedMs: Latency;
  missing: number;
}

/** Puts tenants and workers on a broker, behind `waiting` messages of the first of them. */
async function share(
  bed: Bed,
  rules: string,
  waiting: number,
  plan: Pick<Work, 'batch' | 'bucket' | 'together'>,
): Promise<Waited> {
  return withRules(bed, rules, async (flags) => {
    const broker = await bed.broker(flags);
    try {
      if (waiting > 0) await fill(bed, broker, waiting, {});
      const work: Work = {
        ...plan,
        intakePort: broker.intakePort,
        exhaustPort: broker.exhaustPort,
        workers: CONSUMERS,
        workMs: WORK_MS,
        firstBucket: String(FIRST),
        tenants: TENANTS,
        seconds: bed.options.seconds,
      };
      const child = new Child(WORKERS, { args: [JSON.stringify(work)] });
      try {
        const { result } = await child.event('result', bed.options.seconds * 1000 + 60_000);
        return result as Waited;
      } finally {
        await child.stop();
      }
    } finally {
      await broker.stop();
    }
  });
}

async function fill(bed: Bed, broker: PrivateBroker, count: number, load: Load): Promise<void> {
  const { intakePort, exhaustPort } = broker;
  await bed.load({ ...STREAM, warmupMs: 0, ...load, count, intakePort, exhaustPort });
}

const p99 = ({ waitedMs }: Waited): number => waitedMs.p99;

const tenants: Scenario = {
  name: 'tenants',
  title: `${TENANTS} tenants, a message a second each, 8 workers of 0.5 ms a message, one tenant with 1 M waiting`,
  async measure(bed) {
    const figures: Figure[] = [];
    for (const batch of BATCHES) {
      const alone: Waited[] = [];
      const fair: Waited[] = [];
      const queue: Waited[] = [];
      const rules = virtual(TENANTS, batch);
      const waiting = Math.min(WAITING, (bed.options.messages ?? WAITING * 10) / 10);
      for (let run = 1; run <= bed.options.runs; run++) {
        bed.options.note(`batches of ${batch}, run ${run} of ${bed.options.runs}`);
        const shared = { batch, bucket: String(VIRTUAL), together: false };
        alone.push(await share(bed, rules, 0, shared));
        fair.push(await share(bed, rules, waiting, shared));
        queue.push(await share(bed, '', waiting, { batch, bucket: String(FIRST), together: true }));
      }
      const bound = alone.map((each) => 2 * p99(each) + batch * WORK_MS);
      figures.push(
        figure(`batches of ${batch}: alone, p99`, 'ms', alone.map(p99)),
        figure(`batches of ${batch}: beside the large tenant, p99`, 'ms', fair.map(p99)),
        ratio(`batches of ${batch}: ÷ (2 × alone + a batch's work)`, fair.map(p99), bound),
        figure(`batches of ${batch}: all in one bucket, p99 at least`, 'ms', queue.map(p99)),
        figure(
          `batches of ${batch}: of those, not delivered within the window`,
          'count',
          queue.map(({ missing }) => missing),
        ),
      );
    }
    return figures;
  },
};

const sources: Scenario = {
  name: 'sources',
  title:
    'a virtual bucket, each message alone in its record: 1,000,000 sources with a message, and two',
  async measure(bed) {
    const count = Math.min(SOURCES, Math.ceil((bed.options.messages ?? SOURCES * 10) / 10));
    const rate = async (buckets: number): Promise<number> =>
      withRules(bed, virtual(buckets, 1000), async (flags) => {
        const broker = await bed.broker(flags);
        try {
          await fill(bed, broker, count, { buckets });
          const { consume } = await bed.load({
            ...STREAM,
            warmupMs: 0,
            producers: 0,
            consumers: 1,
            consumerBatchMessages: 1000,
            firstBucket: String(VIRTUAL),
            count,
            intakePort: broker.intakePort,
            exhaustPort: broker.exhaustPort,
          });
          return consume?.msgPerSecond ?? 0;
        } finally {
          await broker.stop();
        }
      });
    const few: number[] = [];
    const many: number[] = [];
    for (let run = 1; run <= bed.options.runs; run++) {
      bed.options.note(`run ${run} of ${bed.options.runs}: two sources, ${count}`);
      few.push(await rate(2));
      many.push(await rate(count));
    }
    return [
      figure('sources', 'count', [count]),
      figure('delivered and acked, of two sources', 'msg/s', few),
      figure('delivered and acked, of all of them', 'msg/s', many),
      ratio('all ÷ two', many, few),
    ];
  },
};

/** In the order in which they run. */
export const TENANT_SCENARIOS: readonly Scenario[] = [tenants, sources];
