// What a backlog costs: memory, publishing beside it, the start after a kill, reading it back, and
// the disk that stragglers hold. Counted in messages, not in seconds: `--messages`.

import { readdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { encodeConsumerHeader } from '../src/codec/wire.ts';
import type { PrivateBroker } from '../src/load/child.ts';
import type { LoadResult } from '../src/load/result.ts';
import { type Bed, type Load, MESSAGES } from './bed.ts';
import { peakResidentMiB, residentMiB } from './machine.ts';
import { type Figure, figure, median, ratio } from './samples.ts';
import type { Scenario } from './scenario.ts';

/** A backlog is published in this many runs of the generator, so that its ends can be compared. */
const SLICES = 10;
const BODY_BYTES = 100;
// Space held ready for a message, so that publishing never meets blocks of the disk that are new:
// with others of its bucket, and alone in its record.
const LOG_BYTES = 115;
const LOG_BYTES_ALONE = 160;
const FIRST_BUCKET = 7_000_000n;
/** In the stamps of the backlog that is verified. */
const RUN = 4711;
const STRAGGLERS = 1000;
const DISK_LOOK_MS = 200;

const PUBLISH: Load = {
  producers: 1,
  consumers: 0,
  messageBytes: BODY_BYTES,
  batchMessages: 1000,
  inFlight: 16,
  warmupMs: 0,
  drain: false,
};

const published = ({ publish }: LoadResult): number => publish?.msgPerSecond ?? 0;
const consumed = ({ consume }: LoadResult): number => consume?.msgPerSecond ?? 0;
const ports = ({ intakePort, exhaustPort }: PrivateBroker) => ({ intakePort, exhaustPort });

/** Publishes; gives the rate of each slice. */
async function fill(
  bed: Bed,
  broker: PrivateBroker,
  messages: number,
  load: Load,
): Promise<number[]> {
  const rates: number[] = [];
  for (let slice = 0; slice < SLICES; slice++) {
    const count = Math.ceil(messages / SLICES);
    const result = await bed.load({ ...PUBLISH, ...load, count, ...ports(broker) });
    const refused = result.publish?.refused ?? 0;
    if (refused > 0) throw new Error(`${refused} messages were refused: is the disk full?`);
    rates.push(published(result));
    const rate = Math.round(published(result)).toLocaleString('en-US');
    bed.options.note(`${count * (slice + 1)} messages published, at last ${rate} a second`);
  }
  return rates;
}

/** Three slices at either end, so that one slow moment of the disk decides nothing. */
function ends(rates: readonly number[]): { first: number; last: number } {
  return { first: median(rates.slice(0, 3)), last: median(rates.slice(-3)) };
}

/** Connects a consumer and waits for its first delivery; ms from the first byte sent. */
function firstDeliveryMs(port: number, bucket: bigint): Promise<number> {
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: '127.0.0.1', port }, () => {
      const header = { consumerId: 1n, bucket, batchSize: 1 };
      socket.write(encodeConsumerHeader(header));
    });
    socket.once('error', reject);
    socket.once('data', () => {
      resolve(performance.now() - startedMs);
      socket.destroy();
    });
  });
}

/** Fill, kill, start: what every kind of backlog is asked. */
async function fillAndCrash(
  bed: Bed,
  first: PrivateBroker,
  messages: number,
  load: Load,
): Promise<{ broker: PrivateBroker; figures: Figure[] }> {
  const rates = await fill(bed, first, messages, load);
  const { first: atStart, last } = ends(rates);
  const peak = peakResidentMiB(first.pid);
  const broker = await first.crash();
  const delivered = await firstDeliveryMs(broker.exhaustPort, FIRST_BUCKET);
  return {
    broker,
    figures: [
      figure('messages waiting', 'count', [messages]),
      figure('publish, first of the backlog', 'msg/s', [atStart]),
      figure('publish, last of the backlog', 'msg/s', [last]),
      ratio('last ÷ first', [last], [atStart]),
      ...(peak === undefined ? [] : [figure('resident at most, filling', 'MiB', [peak])]),
      figure('kill -9, start, until ready', 'ms', [broker.readyMs]),
      figure('first delivery after that', 'ms', [delivered]),
    ],
  };
}

/** Delivery from memory: published and consumed at once by the same number of consumers. */
async function hot(bed: Bed, buckets: number): Promise<number> {
  const { seconds, warmupSeconds } = bed.options;
  const broker = await bed.broker(many(buckets));
  try {
    const load: Load = {
      ...PUBLISH,
      ...ports(broker),
      buckets,
      consumers: buckets,
      consumerBatchMessages: 1000,
      backlogMessagesMax: 200_000,
      durationMs: seconds * 1000,
      warmupMs: warmupSeconds * 1000,
    };
    return consumed(await bed.load(load));
  } finally {
    await broker.stop();
  }
}

const many = (buckets: number): string[] =>
  buckets > 1 ? ['--max-connections', String(buckets + 100)] : [];

/** Reads a backlog of so many buckets back, each with a consumer. */
async function drain(
  bed: Bed,
  broker: PrivateBroker,
  messages: number,
  buckets: number,
): Promise<Figure[]> {
  const load: Load = {
    ...PUBLISH,
    producers: 0,
    consumers: buckets,
    buckets,
    consumerBatchMessages: 1000,
    count: messages,
  };
  const cold = consumed(await bed.load({ ...load, ...ports(broker) }));
  const peak = peakResidentMiB(broker.pid);
  return [
    figure('delivered and acked, cold', 'msg/s', [cold]),
    ...(peak === undefined ? [] : [figure('resident at most, reading', 'MiB', [peak])]),
  ];
}

const backlog: Scenario = {
  name: 'backlog',
  title: 'a backlog in one bucket, 100 B: fill, kill -9, start, read it back',
  async measure(bed) {
    const messages = backlogOf(bed, 1);
    let broker = await bed.stocked(messages * LOG_BYTES);
    try {
      const filled = await fillAndCrash(bed, broker, messages, {});
      broker = filled.broker;
      const cold = await drain(bed, broker, messages, 1);
      await broker.stop();
      const memory = await hot(bed, 1);
      return [
        ...filled.figures,
        ...cold,
        figure('delivered and acked, hot', 'msg/s', [memory]),
        ratio('cold ÷ hot', cold[0].samples, [memory]),
      ];
    } finally {
      await broker.stop();
    }
  },
};

const buckets: Scenario = {
  name: 'buckets',
  title: 'the same over 1,000,000 buckets: fill, kill -9, start',
  async measure(bed) {
    const messages = backlogOf(bed, 1);
    let broker = await bed.stocked(messages * LOG_BYTES_ALONE);
    try {
      const filled = await fillAndCrash(bed, broker, messages, {
        buckets: Math.min(1_000_000, messages),
      });
      broker = filled.broker;
      return filled.figures;
    } finally {
      await broker.stop();
    }
  },
};

const interleaved: Scenario = {
  name: 'interleaved',
  title: 'a backlog interleaved over 10,000 buckets, read back by a consumer for each',
  async measure(bed) {
    const { idle } = bed.options;
    const messages = backlogOf(bed, 1 / 10);
    let broker = await bed.stocked(messages * LOG_BYTES_ALONE, many(idle));
    try {
      const load: Load = { buckets: idle, messageBytes: BODY_BYTES };
      const filled = await fillAndCrash(bed, broker, messages, load);
      broker = filled.broker;
      const cold = await drain(bed, broker, messages, idle);
      // What is timed looks at no body; the same again, smaller, with every message looked at.
      const verified = await verifiedDrain(bed, broker, rounded(messages / 10), idle);
      await broker.stop();
      const memory = await hot(bed, idle);
      return [
        ...filled.figures,
        ...cold,
        ...verified,
        figure('delivered and acked, hot', 'msg/s', [memory]),
        ratio('cold ÷ hot', cold[0].samples, [memory]),
      ];
    } finally {
      await broker.stop();
    }
  },
};

/** Everything arrives once, unchanged and in order within each bucket, or this throws. */
async function verifiedDrain(
  bed: Bed,
  broker: PrivateBroker,
  messages: number,
  count: number,
): Promise<Figure[]> {
  const stamped: Load = { ...PUBLISH, buckets: count, count: messages, run: RUN };
  await bed.load({ ...stamped, ...ports(broker) });
  const again = await broker.crash();
  try {
    const reading: Load = { ...stamped, producers: 0, consumers: count, verify: true };
    const { verify } = await bed.load({ ...reading, ...ports(again) });
    if (verify?.ok !== true) throw new Error(`the backlog came back wrong: ${text(verify)}`);
    return [figure('verified: complete, once, in order', 'count', [messages])];
  } finally {
    await again.stop();
  }
}

const text = (value: unknown): string => JSON.stringify(value);

const churn: Scenario = {
  name: 'churn',
  title: 'publish = consume beside 1,000 messages in 1,000 buckets that nobody ever consumes',
  async measure(bed) {
    const messages = backlogOf(bed, 1 / 2);
    const broker = await bed.broker();
    const disk: number[] = [];
    const resident: number[] = [];
    const look = setInterval(() => {
      disk.push(folderBytes(broker.dataDir) / 2 ** 20);
      const now = residentMiB(broker.pid);
      if (now !== undefined) resident.push(now);
    }, DISK_LOOK_MS);
    try {
      const count = Math.ceil(messages / SLICES);
      const rates: number[] = [];
      for (let slice = 0; slice < SLICES; slice++) {
        await straggle(bed, broker, slice);
        const load: Load = { ...PUBLISH, consumers: 1, buckets: 1, drain: true, count };
        const result = await bed.load({
          ...load,
          backlogMessagesMax: 200_000,
          ...ports(broker),
        });
        rates.push(consumed(result));
      }
      const { first, last } = ends(rates);
      const third = Math.ceil(resident.length / 3);
      return [
        figure('messages through it', 'count', [messages]),
        figure('delivered and acked, first', 'msg/s', [first]),
        figure('delivered and acked, last', 'msg/s', [last]),
        figure('disk of the data folder', 'MiB', disk),
        figure('of them live for good', 'MiB', [(STRAGGLERS * BODY_BYTES) / 2 ** 20]),
        ...(resident.length < 3
          ? []
          : [
              figure('resident, first third', 'MiB', resident.slice(0, third)),
              figure('resident, last third', 'MiB', resident.slice(-third)),
            ]),
      ];
    } finally {
      clearInterval(look);
      await broker.stop();
    }
  },
};

/** Publishes a share of the messages that stay, each to a bucket of its own. */
async function straggle(bed: Bed, broker: PrivateBroker, slice: number): Promise<void> {
  const count = STRAGGLERS / SLICES;
  await bed.load({
    ...PUBLISH,
    ...ports(broker),
    buckets: count,
    firstBucket: String(FIRST_BUCKET + 1_000_000n + BigInt(slice * count)),
    batchMessages: count,
    count,
  });
}

const replay: Scenario = {
  name: 'replay',
  title: 'the start without index and checkpoints, against a plain read of the log with CRC32C',
  async measure(bed) {
    const messages = backlogOf(bed, 1 / 2);
    const empty = await bed.broker();
    const { readyMs: idleMs } = empty;
    await empty.stop();
    let broker = await bed.broker();
    try {
      await fill(bed, broker, messages, {});
      const replayed: number[] = [];
      const plain: number[] = [];
      for (let run = 1; run <= bed.options.runs; run++) {
        bed.options.note(`run ${run} of ${bed.options.runs}: read, start`);
        const log = join(broker.dataDir, 'log');
        let bytes = 0;
        broker = await broker.crash(async () => {
          await rm(join(broker.dataDir, 'index'), { recursive: true });
          await bed.read(log); // so that neither of the two has to wait for the disk alone
          const measured = await bed.read(log);
          bytes = measured.bytes as number;
          plain.push(measured.MBps as number);
        });
        replayed.push(bytes / 1e6 / (Math.max(1, broker.readyMs - idleMs) / 1000));
      }
      return [
        figure('messages in the log', 'count', [messages]),
        figure('plain read with CRC32C', 'MB/s', plain),
        figure('start without checkpoints', 'MB/s', replayed),
        ratio('start ÷ plain read', replayed, plain),
      ];
    } finally {
      await broker.stop();
    }
  },
};

/** What the files in a folder take of the disk; those that go meanwhile are left out. */
export function folderBytes(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    try {
      bytes += statSync(join(entry.parentPath, entry.name)).blocks * 512;
    } catch {
      // It went while we looked.
    }
  }
  return bytes;
}

/** A share of the messages that a backlog has. */
function backlogOf(bed: Bed, share: number): number {
  return rounded((bed.options.messages ?? MESSAGES) * share);
}

/** A number of messages that slices and batches divide. */
export function rounded(messages: number): number {
  return Math.max(1, Math.round(messages / (SLICES * 1000))) * SLICES * 1000;
}

/** In the order in which they run. */
export const BACKLOG_SCENARIOS: readonly Scenario[] = [
  backlog,
  buckets,
  interleaved,
  churn,
  replay,
];
