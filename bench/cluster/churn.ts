// The scenario `cluster-churn`: messages that go through a cluster as they come, beside some that
// nobody ever consumes, of which the first is older than all else. What each node, the stream and
// the bases of the log take meanwhile, and the stores of NATS.

import { setTimeout as sleep } from 'node:timers/promises';
import { createConsumer } from '../../src/client/index.ts';
import type { LoadResult } from '../../src/load/result.ts';
import { folderBytes, rounded } from '../backlog.ts';
import { type Bed, type Load, MESSAGES } from '../bed.ts';
import { absent, type Figure, figure } from '../samples.ts';
import type { Scenario } from '../scenario.ts';
import { CLUSTER, ClusterNodes, findNats, NatsServers } from './servers.ts';

const BODY_BYTES = 1000;
const SLICES = 10;
/** Of each slice, each in a bucket of its own. */
const STRAGGLERS = 100;
const FIRST_BUCKET = 7_000_000;
const STRAY_BUCKET = FIRST_BUCKET + 1_000_000;
/** Messages wait for their consumer, at most. */
const WAITING = 20_000;
const LOOK_MS = 200;
const ASK_MS = 5000;
/** Behind the last message; what is decided once a second is decided then. */
const REST_MS = 3000;
const MIB = 2 ** 20;

/** Sizes of the log and of what may lie about: the usual ones, or smaller for less churn. */
export interface Sizes {
  segmentBytes: number;
  slackBytes: number;
}

/** Such that more comes than may lie about, many times. */
export function sizesFor(churnBytes: number): Sizes {
  const slackMiB = Math.min(1024, Math.max(16, Math.floor(churnBytes / MIB / 16)));
  const segmentMiB = Math.min(64, Math.max(8, Math.floor(slackMiB / 16)));
  return { segmentBytes: segmentMiB * MIB, slackBytes: slackMiB * MIB };
}

function flagsOf({ segmentBytes, slackBytes }: Sizes): string[] {
  return [
    ...['--segment-size', String(segmentBytes), '--max-message', '64KiB'],
    ...['--cluster-base-slack', String(slackBytes)],
  ];
}

/** One look at all of it, in MiB. */
interface Look {
  /** The largest of the nodes. */
  node: number;
  stream: number;
  objects: number;
  /** The largest store of the servers. */
  store: number;
}

interface Jsz {
  account_details?: { stream_detail?: { name: string; state?: { bytes?: number } }[] }[];
}

// As the server knows it that has most of it: copies are purged one after the other.
async function heldIn(nats: NatsServers, name: string): Promise<number> {
  const told = await Promise.all(
    nats.monitors.map(async (monitor) => {
      const signal = AbortSignal.timeout(ASK_MS);
      const answer = await fetch(`${monitor}/jsz?accounts=true&streams=true`, { signal });
      const { account_details: accounts = [] } = (await answer.json()) as Jsz;
      const streams = accounts.flatMap(({ stream_detail: detail = [] }) => detail);
      return streams.find((each) => each.name === name)?.state?.bytes ?? 0;
    }),
  );
  return Math.max(...told) / MIB;
}

async function look(nats: NatsServers, nodes: ClusterNodes): Promise<Look> {
  const most = (folders: readonly string[]) => Math.max(...folders.map(folderBytes)) / MIB;
  const stream = `TMQ_${CLUSTER}_0`;
  const [held, objects] = await Promise.all(
    [stream, `OBJ_${stream}_base`].map((name) => heldIn(nats, name)),
  );
  const folders = nodes.nodes.flatMap((node) => (node === undefined ? [] : [node.dataDir]));
  return { node: most(folders), stream: held!, objects: objects!, store: most(nats.folders) };
}

/** Looks until `stop`. */
function watch(nats: NatsServers, nodes: ClusterNodes) {
  const looks: Look[] = [];
  let isOver = false;
  const watching = (async () => {
    for (; !isOver; await sleep(LOOK_MS)) looks.push(await look(nats, nodes));
  })();
  watching.catch(() => {});
  const stop = async () => {
    isOver = true;
    await watching;
  };
  return { looks, stop };
}

async function publish(bed: Bed, load: Load): Promise<LoadResult> {
  const result = await bed.load({ producers: 1, consumers: 0, warmupMs: 0, ...load });
  const refused = result.publish?.refused ?? 0;
  if (refused > 0) throw new Error(`${refused} messages were refused: is the stream full?`);
  return result;
}

/** All of the churn, in slices; gives the rate of each, MB/s. */
async function churn(bed: Bed, nodes: ClusterNodes, messages: number): Promise<number[]> {
  const { node } = await nodes.owner();
  const ports = { intakePort: nodes.intakes[node]!, exhaustPort: nodes.exhausts[node]! };
  const rates: number[] = [];
  const count = messages / SLICES;
  for (let slice = 0; slice < SLICES; slice++) {
    const stray = STRAY_BUCKET + slice * STRAGGLERS;
    const few = { buckets: STRAGGLERS, batchMessages: STRAGGLERS, count: STRAGGLERS };
    await publish(bed, { ...ports, ...few, firstBucket: String(stray), drain: false });
    const { consume } = await publish(bed, {
      ...{ ...ports, consumers: 1, buckets: 1, messageBytes: BODY_BYTES, batchMessages: 200 },
      ...{ inFlight: 16, consumerBatchMessages: 200, drain: true, count },
      backlogMessagesMax: WAITING,
    });
    rates.push(((consume?.msgPerSecond ?? 0) * BODY_BYTES) / 1e6);
    bed.options.note(`${count * (slice + 1)} messages, at last ${rates.at(-1)!.toFixed(1)} MB/s`);
  }
  return rates;
}

/** The oldest one of each slice comes, from a node that passes its clients on. */
async function areThere(nodes: ClusterNodes): Promise<void> {
  const { node } = await nodes.owner();
  const port = nodes.exhausts[(node + 1) % nodes.exhausts.length]!;
  for (let slice = 0; slice < SLICES; slice++) {
    const bucket = STRAY_BUCKET + slice * STRAGGLERS;
    const consumer = createConsumer({ host: '127.0.0.1', port, bucket });
    for await (const message of consumer) {
      message.ack();
      break;
    }
    await consumer.close();
  }
}

function figuresOf(messages: number, rates: number[], looks: Look[], sizes: Sizes): Figure[] {
  const all = (of: (look: Look) => number) => looks.map(of);
  const last = looks.at(-1)!;
  const live = (SLICES * STRAGGLERS * 100) / MIB;
  const waiting = (WAITING * BODY_BYTES) / MIB;
  const both = all(({ stream, objects }) => stream + objects);
  const node = Math.max(...all((each) => each.node));
  const beyond = (most: number, times: number) => most - times * (live + waiting);
  return [
    figure('messages through it', 'count', [messages]),
    figure('delivered and acked', 'MB/s', rates),
    figure('live for good', 'MiB', [live]),
    figure('live beside that, at most', 'MiB', [waiting]),
    figure('a segment', 'MiB', [sizes.segmentBytes / MIB]),
    figure('--cluster-base-slack', 'MiB', [sizes.slackBytes / MIB]),
    figure(
      'folder of the largest node',
      'MiB',
      all((each) => each.node),
    ),
    figure('the same, at the end', 'MiB', [last.node]),
    figure('at most, beyond 2 × live: segments', 'count', [
      (beyond(node, 2) * MIB) / sizes.segmentBytes,
    ]),
    figure('stream and bases', 'MiB', both),
    figure('the same, at the end', 'MiB', [both.at(-1)!]),
    figure('at most, beyond 4 × live', 'MiB', [Math.max(1, beyond(Math.max(...both), 4))]),
    figure(
      'bases alone',
      'MiB',
      all((each) => each.objects),
    ),
    figure(
      'store of the largest server of NATS',
      'MiB',
      all((each) => each.store),
    ),
    figure('the same, at the end', 'MiB', [last.store]),
  ];
}

export const clusterChurn: Scenario = {
  name: 'cluster-churn',
  title: 'publish = consume, 1 kB, on three nodes, beside 1,000 messages that nobody ever consumes',
  async measure(bed, remark) {
    const program = findNats();
    if (program === undefined)
      return [absent('messages through it', 'count', 'there is no nats-server')];
    const { dir, messages: wanted = MESSAGES } = bed.options;
    const messages = rounded(wanted);
    const sizes = sizesFor(messages * BODY_BYTES);
    remark(`nats-server ${program.version}; seven processes and the load share this machine.`);
    const nats = await NatsServers.start(program, dir);
    try {
      const nodes = await ClusterNodes.start({ nats, dir, flags: flagsOf(sizes) });
      try {
        const watched = watch(nats, nodes);
        const rates = await churn(bed, nodes, messages);
        await sleep(REST_MS);
        await watched.stop();
        await areThere(nodes);
        return figuresOf(messages, rates, watched.looks, sizes);
      } finally {
        await nodes.stop();
      }
    } finally {
      await nats.stop();
    }
  },
};
