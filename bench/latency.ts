// The scenario `latency`: how long messages take from publisher to consumer when the load is given
// and not as much as possible. An open loop, so that a message that could not be sent in time has
// waited since it was due.

import type { Latency } from '../src/load/meter.ts';
import type { Load, Sample } from './bed.ts';
import { type Figure, figure } from './samples.ts';
import type { Scenario } from './scenario.ts';

const RATE = 100_000;

const LOAD: Load = {
  producers: 1,
  consumers: 1,
  messageBytes: 100,
  batchMessages: 100, // one each millisecond
  consumerBatchMessages: 1000,
  inFlight: 256,
  rate: RATE,
  drain: true, // what was due in the window is timed to the last
};

const delivery = ({ consume }: Sample): Latency | undefined => consume?.endToEndMs;

function times(
  name: string,
  samples: Sample[],
  of: (sample: Sample) => Latency | undefined,
): Figure[] {
  const which = [
    ['median', 'p50'],
    ['p99', 'p99'],
    ['p99.9', 'p999'],
  ] as const;
  return which.map(([label, key]) =>
    figure(
      `${name}, ${label}`,
      'ms',
      samples.map((sample) => of(sample)?.[key] ?? Number.NaN),
    ),
  );
}

export const latency: Scenario = {
  name: 'latency',
  title: `publish to delivery, ${RATE.toLocaleString('en-US')} msg/s by a schedule, 100 B, batches of 100`,
  async measure(bed) {
    const [relay, broker] = await bed.turns(['relay', 'broker'], LOAD);
    const published = broker.map(({ publish }) => publish?.msgPerSecond ?? 0);
    const late = broker.map(({ publish }) => publish?.lateMs?.p99 ?? Number.NaN);
    return [
      figure('broker, published', 'msg/s', published),
      ...times('relay, to delivery', relay, delivery),
      ...times('broker, to delivery', broker, delivery),
      ...times('broker, to the ack', broker, ({ publish }) => publish?.latencyMs),
      figure('broker, sent late by, p99', 'ms', late),
    ];
  },
};
