// What rules cost: the same load with and without them, and messages by the million that wait for
// a time. Counted in messages where they wait: `--messages`.

import { setTimeout as sleep } from 'node:timers/promises';
import { ACK_RETRY } from '../assembly/layout.ts';
import type { PrivateBroker } from '../src/load/child.ts';
import type { LoadResult } from '../src/load/result.ts';
import { type Bed, type Load, MESSAGES, type Sample, startedOf } from './bed.ts';
import { END_TO_END, STREAM } from './loads.ts';
import { residentMiB } from './machine.ts';
import { withRules } from './ruled.ts';
import { type Figure, figure, ratio } from './samples.ts';
import type { Scenario } from './scenario.ts';

const published = ({ publish }: LoadResult): number => publish?.msgPerSecond ?? 0;
const consumed = ({ consume }: LoadResult): number => consume?.msgPerSecond ?? 0;
const ports = ({ intakePort, exhaustPort }: PrivateBroker) => ({ intakePort, exhaustPort });

/** The first bucket of a load, unless it says another. */
const FIRST = 7_000_000;
const LATER = FIRST + 1_000_000;
const MANY_BUCKETS = 1_000_000;
const MANY_RULES = 100;
const DUE_BUCKETS = 60;

const rule = (name: string, match: string, keys: string): string =>
  `[[rule]]\nname = "${name}"\nmatch = "${match}"\n${keys}\n`;

/** What a work queue has; it matches everything. */
const ORDINARY = rule('all', '*', 'retry = "1s,30s,5m"\nmax_deliveries = 20\nlease = "5m"');

/** A hundred rules, each of them for its share of a million buckets, and one for all. */
function hundred(keys: (i: number) => string): string {
  const share = Math.floor(MANY_BUCKETS / (MANY_RULES - 1));
  const each = (i: number): string => {
    const from = FIRST + i * share;
    return rule(`share-${i}`, `${from}-${from + share - 1}`, keys(i));
  };
  return ORDINARY + Array.from({ length: MANY_RULES - 1 }, (_, i) => each(i)).join('');
}

/** Samples of the same load without rules and with them, in turn, the order changing. */
async function withAndWithout(
  bed: Bed,
  rules: string,
  load: Load,
): Promise<[without: Sample[], with_: Sample[]]> {
  const samples: [Sample[], Sample[]] = [[], []];
  for (let run = 0; run < bed.options.runs; run++) {
    bed.options.note(`run ${run + 1} of ${bed.options.runs}: without rules and with them`);
    for (const which of run % 2 === 0 ? [0, 1] : [1, 0]) {
      const sample = await withRules(bed, which === 0 ? '' : rules, async (flags) => {
        const broker = await bed.broker(flags);
        try {
          return await bed.measure(startedOf(broker), load);
        } finally {
          await broker.stop();
        }
      });
      samples[which]!.push(sample);
    }
  }
  return samples;
}

const rules: Scenario = {
  name: 'rules',
  title: 'the same load without rules and under rules that match its buckets',
  async measure(bed) {
    const figures: Figure[] = [];
    const loads: [string, string, Load, (result: LoadResult) => number][] = [
      ['publish, retry + max_deliveries + lease', ORDINARY, STREAM, published],
      ['end to end, retry + max_deliveries + lease', ORDINARY, END_TO_END, consumed],
      [
        'publish to 1,000,000 buckets in turn, 100 rules',
        hundred((i) => `max_deliveries = ${5 + i}`),
        { ...STREAM, buckets: MANY_BUCKETS },
        published,
      ],
      [
        'publish to 1,000,000 buckets in turn, 100 rules, a quota for each bucket',
        hundred((i) => `max_messages = ${1_000_000 + i}`),
        { ...STREAM, buckets: MANY_BUCKETS },
        published,
      ],
    ];
    for (const [name, text, load, rate] of loads) {
      const [without, under] = (await withAndWithout(bed, text, load)).map((all) => all.map(rate));
      figures.push(
        figure(`${name}: without`, 'msg/s', without!),
        figure(`${name}: with`, 'msg/s', under!),
        ratio(`${name}: with ÷ without`, under!, without!),
      );
    }
    return figures;
  },
};

/** Ends a broker in the hard way, starts it again, and says what that took. */
async function crashed(
  before: PrivateBroker,
  emptyMiB: number | undefined,
): Promise<{ broker: PrivateBroker; figures: Figure[] }> {
  const resident = residentMiB(before.pid);
  const broker = await before.crash();
  const again = residentMiB(broker.pid);
  const over = (mib: number | undefined, name: string): Figure[] =>
    mib === undefined || emptyMiB === undefined ? [] : [figure(name, 'MiB', [mib - emptyMiB])];
  return {
    broker,
    figures: [
      ...over(resident, 'resident, above the empty broker'),
      figure('kill -9, start, until ready', 'ms', [broker.readyMs]),
      ...over(again, 'resident after that, above the empty broker'),
    ],
  };
}

/** Publishes so many messages, one after the other to each bucket of the load. */
async function fill(bed: Bed, broker: PrivateBroker, count: number, load: Load): Promise<number> {
  const result = await bed.load({ ...STREAM, warmupMs: 0, ...load, count, ...ports(broker) });
  const refused = result.publish?.refused ?? 0;
  if (refused > 0) throw new Error(`${refused} messages were refused: is the disk full?`);
  return published(result);
}

const reading = (broker: PrivateBroker, count: number, load: Load = {}): Load => ({
  ...STREAM,
  warmupMs: 0,
  producers: 0,
  consumers: 1,
  consumerBatchMessages: 1000,
  count,
  ...load,
  ...ports(broker),
});

const LATE_DELAY_MS = 2000;
const LATE_RATE = 20_000;
/** Times are kept to three digits, and the broker's clock has whole ms. */
const RESOLUTION_MS = LATE_DELAY_MS / 1000 + 1;

/** How late messages come that are due one after the other, and whether one came early. */
async function lateness(bed: Bed, broker: PrivateBroker): Promise<Figure[]> {
  const load: Load = {
    ...STREAM,
    ...ports(broker),
    firstBucket: String(LATER),
    consumers: 1,
    consumerBatchMessages: 1000,
    batchMessages: 20,
    inFlight: 1000,
    rate: LATE_RATE,
    verify: true,
    warmupMs: 0,
    durationMs: LATE_DELAY_MS + bed.options.seconds * 1000,
    drain: true,
  };
  const { consume, verify } = await bed.load(load);
  if (verify?.ok !== true) throw new Error(`they came wrong: ${JSON.stringify(verify)}`);
  const came = consume?.endToEndMs;
  if (came === undefined) throw new Error('nothing came');
  if (came.min <= LATE_DELAY_MS - RESOLUTION_MS)
    throw new Error(`one came ${LATE_DELAY_MS - came.min} ms early`);
  return [
    figure('due meanwhile, by a schedule', '/s', [LATE_RATE]),
    figure('the first of them came after its due time', 'ms', [came.min - LATE_DELAY_MS]),
    figure('late, median', 'ms', [came.p50 - LATE_DELAY_MS]),
    figure('late, p99', 'ms', [came.p99 - LATE_DELAY_MS]),
  ];
}

const delayed: Scenario = {
  name: 'delayed',
  title:
    'messages that wait for times within the next hour, each alone in its record: fill, kill -9',
  async measure(bed) {
    const messages = countOf(bed);
    const minutes = Array.from({ length: DUE_BUCKETS }, (_, i) =>
      rule(`minute-${i}`, String(FIRST + i), `delay = "${i + 5}m"`),
    );
    const text = minutes.join('') + rule('soon', String(LATER), `delay = "${LATE_DELAY_MS}ms"`);
    return withRules(bed, text, async (flags) => {
      let broker = await bed.broker(flags);
      try {
        const empty = residentMiB(broker.pid);
        const rate = await fill(bed, broker, messages, { buckets: DUE_BUCKETS });
        const after = await crashed(broker, empty);
        broker = after.broker;
        return [
          figure('messages that wait', 'count', [messages]),
          figure('published', 'msg/s', [rate]),
          ...after.figures,
          ...(await lateness(bed, broker)),
        ];
      } finally {
        await broker.stop();
      }
    });
  },
};

/** Slower than this nobody fails messages; and a restart and its rest take a moment. */
const FAILED_PER_MS = 200;
const RESTART_MS = 3000;
/** What was said last may wait in the broker until its next commit. */
const SETTLE_MS = 500;

const retrying: Scenario = {
  name: 'retrying',
  title: 'an outage: every message fails and waits for its retry; kill -9; then they are done',
  async measure(bed) {
    const messages = countOf(bed);
    let broker = await bed.broker();
    try {
      const empty = residentMiB(broker.pid);
      await fill(bed, broker, messages, {});
      // Long enough to say it of all of them, and to start again, before the first is due.
      const exponent = Math.ceil(Math.log2(messages / FAILED_PER_MS + RESTART_MS));
      const failing = { answer: ACK_RETRY + exponent };
      const failed = consumed(await bed.load(reading(broker, messages, failing)));
      await sleep(SETTLE_MS);
      const allDueMs = performance.now() + 2 ** exponent;
      const after = await crashed(broker, empty);
      broker = after.broker;
      bed.options.note(`all are due after ${2 ** exponent / 1000} s`);
      await sleep(Math.max(0, allDueMs - performance.now()));
      const again = consumed(await bed.load(reading(broker, messages)));
      await broker.stop();
      broker = await bed.broker();
      await fill(bed, broker, messages, {});
      broker = await broker.crash();
      const cold = consumed(await bed.load(reading(broker, messages)));
      return [
        figure('messages that wait', 'count', [messages]),
        figure('said to be retried', 'msg/s', [failed]),
        ...after.figures,
        figure('delivered and acked when due', 'msg/s', [again]),
        figure('the same backlog without retries, cold', 'msg/s', [cold]),
        ratio('due ÷ cold', [again], [cold]),
      ];
    } finally {
      await broker.stop();
    }
  },
};

function countOf(bed: Bed): number {
  return Math.ceil((bed.options.messages ?? MESSAGES) / 60_000) * 60_000;
}

/** In the order in which they run. */
export const RULES_SCENARIOS: readonly Scenario[] = [rules, delayed, retrying];
