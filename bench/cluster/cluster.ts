// The scenario `cluster`: three nodes over three servers of NATS on this machine, beside what that
// engine takes by itself, and beside NATS as a queue of its own with one message in an append.

import { fileURLToPath } from 'node:url';
import { Child } from '../../src/load/child.ts';
import type { Bed, Started } from '../bed.ts';
import { STREAM, SYNCHRONOUS } from '../loads.ts';
import { loadSystem } from '../peers/running.ts';
import { SYSTEMS } from '../peers/systems.ts';
import { absent, type Figure, figure, ratio } from '../samples.ts';
import type { Scenario } from '../scenario.ts';
import type { AppendResult, AppendSpec } from './appends.ts';
import { caughtUp, positionOf, watchLag } from './following.ts';
import { ClusterNodes, findNats, NatsServers } from './servers.ts';
import { takeOver } from './takeover.ts';

const APPEND_BYTES = 900 * 1024;
const SMALL_BYTES = 256;
const BODY_BYTES = 100;
const CLIENTS = 64;
/** The default of `--cluster-ttl`. */
const TTL_MS = 2000;
const TAKE_OVERS = 3;
/** Samples that are shorter are there to see that it runs. */
const SHORT_SECONDS = 1;
const MARGIN_MS = 60_000;

const APPENDS = fileURLToPath(new URL('./appends.js', import.meta.url));

/** What one run of everything gives. */
interface Run {
  /** MB/s before the nodes and after them: a disk takes less and less of what is new to it. */
  engine: [number, number];
  /** Median to the answer in ms, before the nodes and after them. */
  small: [number, number];
  publish: number;
  /** Bytes that a message of it takes in the log, and so in the stream. */
  logBytes: number;
  natsPublish: number;
  natsClients: number;
  local: number;
  client: { rate: number; p50: number };
  clients: { rate: number; p50: number };
  lagMs: number;
  catchUp: number;
  takeOvers: number[];
}

async function appends(bed: Bed, nats: NatsServers, bytes: number): Promise<AppendResult> {
  const { seconds, warmupSeconds } = bed.options;
  const spec: AppendSpec = {
    ...{ servers: nats.urls, monitors: [...nats.monitors], cluster: `loop-${bytes}`, bytes },
    ...{ durationMs: seconds * 1000, warmupMs: warmupSeconds * 1000 },
  };
  const child = new Child(APPENDS, { args: [JSON.stringify(spec)] });
  try {
    const said = await child.event('result', spec.durationMs + spec.warmupMs + MARGIN_MS);
    return said.result as AppendResult;
  } finally {
    await child.stop();
  }
}

/** Messages a second of a queue of NATS with three copies, under one of our loads. */
async function onNats(bed: Bed, nats: NatsServers, load: 'stream' | 'clients'): Promise<number> {
  const { seconds, warmupSeconds } = bed.options;
  const system = SYSTEMS.find(({ key }) => key === 'nats')!;
  const running = { port: nats.ports[0]!, sessions: [], folder: '', stop: async () => {} };
  const shape =
    load === 'stream'
      ? { producers: 1, batchMessages: 1000, inFlight: 16 }
      : { producers: CLIENTS, batchMessages: 1, inFlight: 1 };
  const { publishedPerSecond } = await loadSystem(system, running, {
    ...{ ...shape, messageBytes: BODY_BYTES, backlogMessagesMax: undefined, replicas: 3 },
    ...{ warmupMs: warmupSeconds * 1000, durationMs: seconds * 1000 },
  });
  return publishedPerSecond;
}

function startedOf(nodes: ClusterNodes, i: number): Started {
  const { pid } = nodes.nodes[i]!;
  const ports = { intakePort: nodes.intakes[i]!, exhaustPort: nodes.exhausts[i]! };
  return { ports, pid, stop: async () => {} };
}

/** MB/s of a node that stood still during a sample of the first load, until it has everything. */
async function catchUp(bed: Bed, nodes: ClusterNodes): Promise<number> {
  const { node: owner } = await nodes.owner();
  const node = (owner + 1) % nodes.nodes.length;
  const { pid } = nodes.nodes[node]!;
  const dashboard = nodes.dashboards[owner]!;
  const from = await positionOf(dashboard, node + 1);
  process.kill(pid, 'SIGSTOP');
  try {
    await bed.measure(startedOf(nodes, owner), STREAM);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  const end = await positionOf(dashboard, owner + 1);
  const ms = await caughtUp(dashboard, node + 1, end);
  return Number(end - from) / 1e6 / (ms / 1000);
}

async function onNodes(bed: Bed, nodes: ClusterNodes) {
  const { node } = await nodes.owner();
  const started = startedOf(nodes, node);
  const dashboard = nodes.dashboards[node]!;
  const lag = watchLag(dashboard);
  const from = await positionOf(dashboard, node + 1);
  const stream = await bed.measure(started, STREAM);
  const lagMs = await lag.stop();
  const logBytes = Number((await positionOf(dashboard, node + 1)) - from) / stream.leftMessages;
  const client = await bed.measure(started, SYNCHRONOUS);
  const clients = await bed.measure(started, { ...SYNCHRONOUS, producers: CLIENTS });
  const rate = await catchUp(bed, nodes);
  const takeOvers: number[] = [];
  const wanted = bed.options.seconds < SHORT_SECONDS ? 1 : TAKE_OVERS;
  for (let i = 0; i < wanted; i++) takeOvers.push(await takeOver(nodes));
  const of = ({ publish }: typeof client) => ({
    rate: publish?.msgPerSecond ?? 0,
    p50: publish?.latencyMs?.p50 ?? Number.NaN,
  });
  const publish = stream.publish?.msgPerSecond ?? 0;
  return {
    publish,
    logBytes,
    lagMs,
    client: of(client),
    clients: of(clients),
    catchUp: rate,
    takeOvers,
  };
}

async function withNodes(bed: Bed, nats: NatsServers) {
  const nodes = await ClusterNodes.start({ nats, dir: bed.options.dir });
  try {
    return await onNodes(bed, nodes);
  } finally {
    await nodes.stop();
  }
}

function rateOf({ appends: count, seconds }: AppendResult): number {
  return (count * APPEND_BYTES) / seconds / 1e6;
}

async function runOnce(bed: Bed, program: NonNullable<ReturnType<typeof findNats>>): Promise<Run> {
  const { dir } = bed.options;
  const nats = await NatsServers.start(program, dir);
  try {
    const before = rateOf(await appends(bed, nats, APPEND_BYTES));
    const small = await appends(bed, nats, SMALL_BYTES);
    const natsPublish = await onNats(bed, nats, 'stream');
    const natsClients = await onNats(bed, nats, 'clients');
    const alone = await bed.sample('broker', SYNCHRONOUS);
    const local = alone.publish?.latencyMs?.p50 ?? Number.NaN;
    const measured = await withNodes(bed, nats);
    const after = rateOf(await appends(bed, nats, APPEND_BYTES));
    const smallAfter = await appends(bed, nats, SMALL_BYTES);
    return {
      engine: [before, after],
      small: [small.p50, smallAfter.p50],
      ...{ natsPublish, natsClients, local },
      ...measured,
    };
  } finally {
    await nats.stop();
  }
}

const mean = ([before, after]: [number, number]): number => (before + after) / 2;

function figuresOf(runs: readonly Run[]): Figure[] {
  const engine = runs.map((run) => mean(run.engine));
  const small = runs.map((run) => mean(run.small));
  const publish = runs.map((run) => run.publish);
  const bodies = publish.map((rate) => (rate * BODY_BYTES) / 1e6);
  const log = runs.map((run) => (run.publish * run.logBytes) / 1e6);
  const natsPublish = runs.map((run) => run.natsPublish);
  const p50 = runs.map(({ client }) => client.p50);
  const parts = runs.map(({ local }, i) => small[i]! + local);
  const takeOvers = runs.flatMap((run) => run.takeOvers);
  return [
    figure('publish, three copies', 'msg/s', publish),
    figure('its bodies', 'MB/s', bodies),
    figure('the engine: 900 KiB an append, one in flight, before and after', 'MB/s', engine),
    figure('its log, which is what the stream is given', 'MB/s', log),
    ratio('bodies ÷ engine', bodies, engine),
    ratio('log ÷ engine', log, engine),
    figure('NATS JetStream, three copies, a message an append', 'msg/s', natsPublish),
    ratio('publish ÷ NATS JetStream', publish, natsPublish),
    figure(
      'one synchronous client',
      'msg/s',
      runs.map(({ client }) => client.rate),
    ),
    figure('its ack, median', 'ms', p50),
    figure('the engine: 256 B an append, one in flight, median, before and after', 'ms', small),
    figure(
      'a broker without a cluster: ack, median',
      'ms',
      runs.map(({ local }) => local),
    ),
    ratio('ack ÷ both of these', p50, parts),
    figure(
      `${CLIENTS} synchronous clients`,
      'msg/s',
      runs.map(({ clients }) => clients.rate),
    ),
    figure(
      'their ack, median',
      'ms',
      runs.map(({ clients }) => clients.p50),
    ),
    figure(
      `NATS JetStream, ${CLIENTS} synchronous clients`,
      'msg/s',
      runs.map((run) => run.natsClients),
    ),
    figure(
      'longest lag of a node that follows',
      'ms',
      runs.map(({ lagMs }) => lagMs),
    ),
    figure(
      'catching up',
      'MB/s',
      runs.map((run) => run.catchUp),
    ),
    figure('owner killed, until the next ack', 'ms', takeOvers),
    figure(
      'that, less the TTL of 2 s',
      'ms',
      takeOvers.map((ms) => ms - TTL_MS),
    ),
  ];
}

export const cluster: Scenario = {
  name: 'cluster',
  title: 'three nodes over three servers of NATS on this machine: publish, clients, a lost owner',
  async measure(bed, remark) {
    const program = findNats();
    if (program === undefined)
      return [absent('publish, three copies', 'msg/s', 'there is no nats-server')];
    const { version, syncs } = program;
    remark(
      `nats-server ${version}, ${syncs ? 'sync_interval: always' : 'which cannot sync before it acks'}; seven processes share this machine's processors with the load.`,
    );
    remark('Appends of the engine are random bytes; a log holds a little more than bodies.');
    const runs: Run[] = [];
    for (let run = 1; run <= bed.options.runs; run++) {
      bed.options.note(`run ${run} of ${bed.options.runs}: engine, NATS, three nodes`);
      runs.push(await runOnce(bed, program));
    }
    return figuresOf(runs);
  },
};
