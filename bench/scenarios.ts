// What is measured. Each scenario says which load it puts on what, and which figures come of it;
// how servers are started and stopped is the bed's business.

import type { Flow, LoadResult } from '../src/load/result.ts';
import { BACKLOG_SCENARIOS } from './backlog.ts';
import type { Bed, Load, Sample } from './bed.ts';
import { beside } from './beside.ts';
import { clusterChurn } from './cluster/churn.ts';
import { cluster } from './cluster/cluster.ts';
import { dashboard } from './dashboard.ts';
import { dedup } from './dedup.ts';
import { latency } from './latency.ts';
import { END_TO_END, STREAM, SYNCHRONOUS } from './loads.ts';
import { residentMiB } from './machine.ts';
import { many } from './many.ts';
import { passing } from './passing.ts';
import { peers } from './peers/peers.ts';
import { poison } from './poison.ts';
import { quiet } from './quiet.ts';
import { RULES_SCENARIOS } from './rules.ts';
import { type Figure, figure, ratio } from './samples.ts';
import type { Scenario } from './scenario.ts';
import { TENANT_SCENARIOS } from './tenants.ts';

const rate = (flow: Flow | undefined): number => flow?.msgPerSecond ?? 0;
const published = ({ publish }: LoadResult): number => rate(publish);
const consumed = ({ consume }: LoadResult): number => rate(consume);
const publishedMBps = ({ publish }: LoadResult): number => publish?.MBperSecond ?? 0;
const ackMs = (which: 'p50' | 'p99') => (result: LoadResult) =>
  result.publish?.latencyMs?.[which] ?? Number.NaN;

const publish: Scenario = {
  name: 'publish',
  title: 'publish, 100 B, batches of 1000, 16 in flight',
  async measure(bed) {
    const disk: number[] = [];
    const [sink, journal, broker] = await bed.turns(['sink', 'journal', 'stocked'], STREAM, () =>
      readDisk(bed, disk),
    );
    return [
      ...publishFigures('', sink, broker),
      ...journalFigures('', journal, broker, sink),
      ...diskFigures('', disk, broker),
      ...commitFigures(broker),
    ];
  },
};

const grow: Scenario = {
  name: 'grow',
  title: 'the same publish into an empty folder, where every block of the disk is new',
  async measure(bed) {
    const disk: number[] = [];
    const broker: LoadResult[] = [];
    for (let run = 1; run <= bed.options.runs; run++) {
      bed.options.note(`run ${run} of ${bed.options.runs}: disk, broker`);
      disk.push((await bed.tool('disk', 'grow')).newMBps as number);
      broker.push(await bed.sample('broker', STREAM));
    }
    const bytes = broker.map(publishedMBps);
    return [
      figure('disk, new blocks, synced each 1 MiB', 'MB/s', disk),
      figure('broker, published', 'MB/s', bytes),
      figure('broker, published', 'msg/s', broker.map(published)),
      ratio('broker ÷ disk, MB/s', bytes, disk),
    ];
  },
};

const endToEnd: Scenario = {
  name: 'end-to-end',
  title: 'publish → durable → deliver → ack, the same load, one consumer with batches of 1000',
  async measure(bed) {
    const samples = await bed.turns(['relay', 'broker'], END_TO_END);
    const [relay, broker] = samples.map((each) => each.map(consumed));
    return [
      figure('relay, delivered and acked', 'msg/s', relay),
      figure('broker, delivered and acked', 'msg/s', broker),
      ratio('broker ÷ relay', broker, relay),
    ];
  },
};

const client: Scenario = {
  name: 'client',
  title: 'one synchronous client: batches of 1, 1 in flight; against write + fdatasync of 4 KiB',
  async measure(bed) {
    const disk: { p50: number; p99: number }[] = [];
    const blocks: number[] = [];
    const servers = ['sink', 'journal', 'broker'] as const;
    const [sink, journal, broker] = await bed.turns(servers, SYNCHRONOUS, async () => {
      const measured = await bed.tool('disk');
      disk.push(measured.sync4KiB as { p50: number; p99: number });
      blocks.push(measured.againMBps as number);
    });
    const raw = disk.map(({ p50 }) => p50);
    const median = broker.map(ackMs('p50'));
    const there = sink.map(ackMs('p50'));
    const least = raw.map((ms, run) => ms + there[run]);
    return [
      figure('disk, write + fdatasync of 4 KiB, median', 'ms', raw),
      figure(
        'disk, write + fdatasync of 4 KiB, p99',
        'ms',
        disk.map(({ p99 }) => p99),
      ),
      figure('disk, blocks written before, synced each 1 MiB', 'MB/s', blocks),
      figure('sink, ack, median', 'ms', there),
      figure('broker, ack, median', 'ms', median),
      figure('broker, ack, p99', 'ms', broker.map(ackMs('p99'))),
      figure('broker, published', 'msg/s', broker.map(published)),
      ...journalFigures('', journal, broker, sink),
      ratio('ack ÷ raw write + fdatasync, medians', median, raw),
      ratio('journal: ack ÷ raw write + fdatasync, medians', journal.map(ackMs('p50')), raw),
      ratio('raw and the sink, one after the other: ÷ raw', least, raw),
      ratio('broker: ack, p99 ÷ its median', broker.map(ackMs('p99')), median),
    ];
  },
};

const clients: Scenario = {
  name: 'clients',
  title: '64 synchronous clients: batches of 1, 1 in flight each',
  async measure(bed) {
    const load = { ...SYNCHRONOUS, producers: 64 };
    const [sink, journal, broker] = await bed.turns(['sink', 'journal', 'broker'], load);
    return [
      ...publishFigures('', sink, broker),
      ...journalFigures('', journal, broker, sink),
      figure('broker, ack, median', 'ms', broker.map(ackMs('p50'))),
      figure('broker, ack, p99', 'ms', broker.map(ackMs('p99'))),
    ];
  },
};

const SIZES: [string, Load][] = [
  ['16 B', { ...STREAM, messageBytes: 16 }],
  ['1 KiB', { ...STREAM, messageBytes: 1024, batchMessages: 256 }],
  ['64 KiB', { ...STREAM, messageBytes: 65_536, batchMessages: 16, inFlight: 4 }],
];

const sizes: Scenario = {
  name: 'sizes',
  title: 'publish by size: 16 B (16 × 1000), 1 KiB (16 × 256), 64 KiB (4 × 16)',
  async measure(bed) {
    const figures: Figure[] = [];
    for (const [size, load] of SIZES) {
      bed.options.note(`size ${size}`);
      const disk: number[] = [];
      const servers = ['sink', 'journal', 'stocked'] as const;
      const [sink, journal, broker] = await bed.turns(servers, load, () => readDisk(bed, disk));
      figures.push(...publishFigures(`${size}, `, sink, broker));
      figures.push(...journalFigures(`${size}, `, journal, broker, sink));
      figures.push(...diskFigures(`${size}, `, disk, broker));
    }
    return figures;
  },
};

const idle: Scenario = {
  name: 'idle',
  title: 'idle consumers that answer heartbeats, each on a bucket of its own',
  async measure(bed) {
    const { options } = bed;
    const broker = await bed.broker(['--max-connections', String(options.idle + 100)]);
    try {
      const { intakePort, exhaustPort } = broker;
      const roundTrip: Load = {
        ...SYNCHRONOUS,
        intakePort,
        durationMs: options.seconds * 1000,
        warmupMs: options.warmupSeconds * 1000,
      };
      const alone = await bed.load(roundTrip);
      const before = residentMiB(broker.pid);
      options.note(`opening ${options.idle} connections`);
      const held = await bed.hold({
        exhaustPort,
        producers: 0,
        consumers: options.idle,
        buckets: options.idle,
        firstBucket: '8000000',
        warmupMs: 0,
        durationMs: 2 ** 31 - 1,
      });
      const during: LoadResult[] = [];
      for (let run = 1; run <= options.runs; run++) {
        options.note(`run ${run} of ${options.runs}: one synchronous client beside them`);
        during.push(await bed.load(roundTrip));
      }
      const after = residentMiB(broker.pid);
      const heartbeats = (await held.stop()).consume?.heartbeats ?? 0;
      return [
        figure('idle consumers', 'count', [options.idle]),
        figure('heartbeats answered', 'count', [heartbeats]),
        ...(before === undefined ? [] : [figure('broker, resident before', 'MiB', [before])]),
        ...(after === undefined ? [] : [figure('broker, resident with them', 'MiB', [after])]),
        figure('ack without them, median', 'ms', [ackMs('p50')(alone)]),
        figure('ack beside them, median', 'ms', during.map(ackMs('p50'))),
        figure('ack beside them, p99', 'ms', during.map(ackMs('p99'))),
      ];
    } finally {
      await broker.stop();
    }
  },
};

const codec: Scenario = {
  name: 'codec',
  title: 'moving a message of 100 B within memory, batches of 1000, without sockets and disk',
  async measure(bed) {
    const samples: Record<string, number>[] = [];
    for (let run = 1; run <= bed.options.runs; run++) {
      bed.options.note(`run ${run} of ${bed.options.runs}`);
      samples.push((await bed.tool('codec')) as Record<string, number>);
    }
    const of = (key: string): number[] => samples.map((sample) => sample[key]);
    return [
      figure('WebAssembly: scan, CRC32C, pack a record', 'ns', of('intakeNs')),
      figure('WebAssembly: pack a delivery and copy it out', 'ns', of('deliverNs')),
      figure('WebAssembly: both', 'ns', of('bothNs')),
      figure('relay: scan, squeeze, copy', 'ns', of('relayNs')),
    ];
  },
};

/** Left out where a window was too short for the dashboard to be asked twice. */
function commitFigures(samples: Sample[]): Figure[] {
  const shares = samples.flatMap(({ commitShare }) => commitShare ?? []);
  if (shares.length < samples.length) return [];
  return [figure('share of the window in write + fdatasync', 'ratio', shares)];
}

function publishFigures(prefix: string, sink: LoadResult[], broker: LoadResult[]): Figure[] {
  const [below, above] = [sink.map(published), broker.map(published)];
  return [
    figure(`${prefix}sink, published`, 'msg/s', below),
    figure(`${prefix}broker, published`, 'msg/s', above),
    ratio(`${prefix}broker ÷ sink`, above, below),
  ];
}

/** What the promise of an ack costs the least program that keeps it, and how ours compares. */
function journalFigures(
  prefix: string,
  journal: LoadResult[],
  broker: LoadResult[],
  sink: LoadResult[],
): Figure[] {
  const below = journal.map(published);
  return [
    figure(`${prefix}journal, published`, 'msg/s', below),
    ratio(`${prefix}journal ÷ sink`, below, sink.map(published)),
    ratio(`${prefix}broker ÷ journal`, broker.map(published), below),
  ];
}

/** Adds what the disk takes now, where its file system can go past the page cache. */
async function readDisk(bed: Bed, disk: number[]): Promise<void> {
  const { directMBps } = await bed.tool('disk', 'direct');
  if (directMBps !== undefined) disk.push(directMBps as number);
}

function diskFigures(prefix: string, disk: number[], broker: LoadResult[]): Figure[] {
  const bytes = broker.map(publishedMBps);
  const figures = [figure(`${prefix}broker, published`, 'MB/s', bytes)];
  if (disk.length < bytes.length) return figures;
  return [
    ...figures,
    figure(`${prefix}disk, past the page cache, 784 KiB at a time, synced`, 'MB/s', disk),
    ratio(`${prefix}broker ÷ disk, MB/s`, bytes, disk),
  ];
}

/** Every scenario, in the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  publish,
  grow,
  endToEnd,
  client,
  clients,
  sizes,
  latency,
  many,
  idle,
  quiet,
  dashboard,
  codec,
  beside,
  passing,
  ...BACKLOG_SCENARIOS,
  ...RULES_SCENARIOS,
  dedup,
  ...TENANT_SCENARIOS,
  poison,
  cluster,
  clusterChurn,
  peers,
];
