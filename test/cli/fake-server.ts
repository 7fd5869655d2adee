// A broker that stores nothing, to drive the life cycle around it: two listening ports, a snapshot,
// and faults that the test asks for in the environment. As a program it is `serve` with this one.

import net, { type AddressInfo } from 'node:net';
import { pathToFileURL } from 'node:url';
import { type RunningServer, runBroker } from '../../src/cli/lifecycle.ts';
import { type BrokerConfig, loadConfig } from '../../src/config/load.ts';
import { POWERS, type Snapshot, type StartSnapshot } from '../../src/contract/snapshot.ts';
import { Counters } from '../../src/core/metrics/counters.ts';
import { createLogger } from '../../src/io/logger.ts';

/** What a start that never ends tells. */
export const HALF_WAY: StartSnapshot = {
  phase: 'reading',
  segments: 3,
  segmentsTotal: 12,
  bytes: 256 * 1024 * 1024,
  bytesTotal: 1024 * 1024 * 1024,
  records: 12_345,
  elapsedMs: 0,
};

const DISTRIBUTION = { count: 0, sum: 0, mean: 0, p50: 0, p99: 0, max: 0 };
const NO_TIMES: number[] = POWERS.ms.map(() => 0);
// Three of 0.25, 1 and 3 ms.
const TIMES = { count: 3, sum: 4.25, mean: 1.417, p50: 1, p99: 3, max: 3 };
const COUNTERS = new Counters();
const NONE_CLOSED = COUNTERS.closedConnections.intake;
const THREE_TIMES = POWERS.ms.map((power) => [0.25, 1, 3].filter((ms) => ms <= 2 ** power).length);

/** A snapshot that is complete, with recognisable numbers. */
export function fakeSnapshot(change: Partial<Snapshot> = {}): Snapshot {
  return {
    version: '9.9.9',
    pid: process.pid,
    startedAt: '2026-01-02T03:04:05.000Z',
    now: '2026-01-02T03:05:05.000Z',
    uptimeMs: 60_000,
    config: {},
    rates: {
      publishedMessages: 11,
      publishedBytes: 1100,
      deliveredMessages: 7,
      deliveredBytes: 700,
      ackedMessages: 6,
    },
    totals: {
      publishedMessages: 12345,
      publishedBytes: 1234500,
      refused: { empty: 1, tooLarge: 2, storageFull: 3, byRule: 4 },
      deliveredMessages: 777,
      deliveredBytes: 77700,
      ackedMessages: 770,
      failedMessages: 4,
      releasedMessages: 3,
      dead: {
        maxDeliveries: 4,
        rejected: 5,
        expired: 0,
        overflow: 0,
        dropped: 1,
        notMoved: 2,
        redriven: 6,
      },
      deferredMessages: 2,
      suspectedMessages: 0,
      redeliveredMessages: 5,
      unreadableMessages: 0,
      purgedMessages: 0,
      dropped: { overflow: 0, expired: 0, 'dead-keep': 0 },
      copiedMessages: 0,
      duplicateMessages: 0,
      heartbeats: 8,
      batches: 12,
      deliveries: 34,
      protocolErrors: 0,
    },
    buckets: {
      count: 1,
      exact: true,
      ready: 9,
      unacked: 2,
      delayed: 0,
      dead: 0,
      paused: 0,
      sources: 0,
      oldestAgeMs: 1500,
      recentIds: { count: 0, bytes: 0, bytesMax: 1 },
      top: [{ id: '42', ready: 9, unacked: 2, delayed: 0, consumers: 1, exact: true }],
    },
    connections: {
      intake: 1,
      exhaust: 1,
      refused: 0,
      opened: { intake: 5, exhaust: 4 },
      closed: { ...COUNTERS.closedConnections, intake: { ...NONE_CLOSED, timeout: 4 } },
      list: [
        { id: 1, side: 'intake', peer: '<b>&"', wire: 'u64', messages: 3, bytes: 300, idleMs: 10 },
      ],
    },
    commits: {
      count: 3,
      reasons: { publish: 3, acks: 0, proof: 0, roll: 0, control: 0 },
      bytes: DISTRIBUTION,
      messages: DISTRIBUTION,
      writeMs: DISTRIBUTION,
      syncMs: DISTRIBUTION,
    },
    latency: { publishMs: TIMES, deliveryMs: DISTRIBUTION, ackMs: DISTRIBUTION },
    histograms: {
      publishMs: THREE_TIMES,
      deliveryMs: NO_TIMES,
      ackMs: NO_TIMES,
      writeMs: NO_TIMES,
      syncMs: NO_TIMES,
      commitBytes: POWERS.bytes.map(() => 0),
      commitMessages: POWERS.messages.map(() => 0),
      loopDelayMs: THREE_TIMES,
    },
    log: {
      state: 'ready',
      fullMs: 2500,
      sync: 'commit',
      startPosition: '0',
      endPosition: '4096',
      durablePosition: '4096',
      nextSequence: '1',
      segments: 1,
      spareSegments: 0,
      segmentBytes: 67108864,
      diskBytes: 67108864,
      diskFreeBytes: 1e9,
      totalBytes: 67108864,
      liveBytes: 1048576,
      indexBytes: 4096,
      compactions: { count: 3, movedBytes: 2048 },
      coldReads: { count: 21, bytes: 65536 },
      oldest: { bucket: '4711', sequence: '17' },
      epoch: 1,
      recovery: { durationMs: 1, segments: 1, records: 0, messages: 0, cutBytes: 0 },
    },
    memory: {
      rssBytes: 1,
      budgetBytes: 536870912,
      heapBytes: 1,
      wasmBytes: 1024,
      bufferedBytes: 0,
      bufferBytesMax: 1,
      reservedBytes: 0,
      waitingProducers: 0,
      fatesBytes: 0,
      bucketsMax: 1,
    },
    eventLoopDelayMs: { p50: 0, p99: 0, max: 0, recentMax: 0, all: TIMES },
    ...change,
  };
}

function listen(listener: { host: string; port: number }): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.on('error', () => {}).resume());
    server.once('error', reject);
    server.listen(listener.port, listener.host, () => resolve(server));
  });
}

/** Starts the fake. The environment's FAKE_FAULT names a fault, see below. */
export async function startFakeServer(options: {
  config: BrokerConfig;
  progress?: (progress: StartSnapshot) => void;
}): Promise<RunningServer> {
  const fault = process.env.FAKE_FAULT;
  if (fault === 'start-locked')
    throw Object.assign(new Error('the data folder is in use'), { exitCode: 75 });
  if (fault === 'start-bug') throw new Error('nobody expected this');
  if (fault === 'start-never') {
    options.progress?.(HALF_WAY);
    setInterval(() => {}, 1000); // as a recovery that reads files would
    return new Promise(() => {});
  }
  if (fault === 'start-told') await new Promise((resolve) => process.once('SIGUSR2', resolve));
  const open = (listeners: { host: string; port: number }[]) => Promise.all(listeners.map(listen));
  const servers = {
    intake: await open(options.config.intake),
    exhaust: await open(options.config.exhaust),
  };
  let stop: (end: { exitCode: number; reason: string }) => void = () => {};
  const stopped = new Promise<{ exitCode: number; reason: string }>((resolve) => {
    stop = resolve;
  });
  // The first connection is the test's way to say "now".
  servers.intake[0].once('connection', () => {
    if (fault === 'stop-disk') stop({ exitCode: 74, reason: 'fdatasync failed' });
    if (fault === 'throw-later')
      setImmediate(() => {
        throw new Error('thrown later');
      });
    if (fault === 'reject-later') void Promise.reject(new Error('rejected later'));
  });
  const address = (server: net.Server) => server.address() as AddressInfo;
  return {
    addresses: { intake: servers.intake.map(address), exhaust: servers.exhaust.map(address) },
    snapshot: () => fakeSnapshot(),
    health: () => ({ live: true, ready: true, checks: { log: { ok: true, detail: 'fine' } } }),
    stopped,
    close: () => {
      for (const server of [...servers.intake, ...servers.exhaust]) server.close();
      if (fault === 'hang-close') return new Promise(() => {});
      stop({ exitCode: 0, reason: 'closed' });
      return Promise.resolve();
    },
  };
}

async function main(): Promise<void> {
  const flags = JSON.parse(process.argv[2] ?? '{}');
  const { config } = await loadConfig({
    flags,
    environment: {},
    workingDir: process.cwd(),
    terminal: false,
  });
  const handle = await createLogger({ ...config.logging, color: false });
  process.exit(await runBroker({ config, handle, version: '9.9.9', startServer: startFakeServer }));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
