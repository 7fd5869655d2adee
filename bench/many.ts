// The scenario `many`: as much as possible through many connections and buckets, against as much
// as possible through one pair of connections.

import { type Bed, type Load, type Sample, startedOf } from './bed.ts';
import { BACKLOG_MESSAGES_MAX } from './loads.ts';
import { figure, ratio } from './samples.ts';
import type { Scenario } from './scenario.ts';

const MANY = 1000;

const PAIR: Load = {
  producers: 1,
  consumers: 1,
  messageBytes: 100,
  batchMessages: 10,
  consumerBatchMessages: 10,
  inFlight: 16,
  backlogMessagesMax: BACKLOG_MESSAGES_MAX,
};

const consumed = ({ consume }: Sample): number => consume?.msgPerSecond ?? 0;

async function spread(bed: Bed, count: number): Promise<Sample> {
  const broker = await bed.broker(['--max-connections', String(2 * count + 100)]);
  try {
    const load = { ...PAIR, producers: count, consumers: count, buckets: count, inFlight: 1 };
    return await bed.measure(startedOf(broker), load);
  } finally {
    await broker.stop();
  }
}

export const many: Scenario = {
  name: 'many',
  title: `${MANY} producers (1 batch in flight each) and ${MANY} consumers over ${MANY} buckets; against one pair (16 in flight); batches of 10`,
  async measure(bed) {
    const { runs, many: count = MANY } = bed.options;
    const pair: Sample[] = [];
    const all: Sample[] = [];
    for (let run = 1; run <= runs; run++) {
      bed.options.note(`run ${run} of ${runs}: one pair, ${count} of each`);
      pair.push(await bed.sample('broker', PAIR));
      all.push(await spread(bed, count));
    }
    const acks = all.map(({ publish }) => publish?.latencyMs);
    return [
      figure('producers, consumers and buckets', 'count', [count]),
      figure('one pair, delivered and acked', 'msg/s', pair.map(consumed)),
      figure('many, delivered and acked', 'msg/s', all.map(consumed)),
      ratio('many ÷ one pair', all.map(consumed), pair.map(consumed)),
      figure(
        'many, ack, median',
        'ms',
        acks.map((ack) => ack?.p50 ?? Number.NaN),
      ),
      figure(
        'many, ack, p99',
        'ms',
        acks.map((ack) => ack?.p99 ?? Number.NaN),
      ),
    ];
  },
};
