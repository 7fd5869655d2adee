// Opens the stream of a cluster: waits for servers that are away, makes it if there is none,
// reads it, and judges the servers that hold it.

import { randomBytes } from 'node:crypto';
import { sleep } from '../../time/timers.ts';
import { codeOf, type Nats, type NatsAccess, type StreamInfo, StreamRefused } from './nats.ts';
import { askMonitors, judgeServers, type ServerVerdict } from './server-verdict.ts';
import { type StreamChoice, streamConfig, streamName } from './stream-settings.ts';

export interface StreamOptions extends NatsAccess, StreamChoice {
  /** When the stream was made that this node knows, as the servers said it then. */
  createdBefore?: string | undefined;
  /** Monitoring URLs of the servers. */
  monitors: readonly string[];
  /** What the operator states and accepts; see ServerFindings. */
  synced: boolean;
  unsafeSync: boolean;
  unsafeServer: boolean;
  /** Gets sentences for the log: why it waits, who is let in no more, and what is unsafe, repeated
   * each hour. */
  warn: (text: string) => void;
  /** Ends the wait for servers that are away. */
  signal?: AbortSignal | undefined;
}

const RETRY_MS = 500;
/** While servers are away, this is said so often. */
const AWAY_MS = 10_000;
const STREAM_NOT_FOUND = 10_059;
const NAME_IN_USE = 10_058;
/** JetStream is off for all of this account, a limit of it is reached, or a subject is taken. */
const HOPELESS = [10_025, 10_026, 10_028, 10_035, 10_039, 10_047, 10_052, 10_065, 10_076];

/**
 * Tries until servers answer; warns while they do not.
 * @throws StreamRefused, or the reason of the signal
 */
export async function untilThere<T>(
  { signal, warn }: StreamOptions,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let saidAt = -Infinity; ; await sleep(RETRY_MS)) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof StreamRefused) throw error;
      if (performance.now() - saidAt < AWAY_MS) continue;
      saidAt = performance.now();
      warn(`NATS is not there yet: ${(error as Error).message}; trying again`);
    }
  }
}

/** The stream as it is; made, if there is none and this node knows of none. */
export async function madeStream({ manager }: Nats, options: StreamOptions): Promise<StreamInfo> {
  const name = streamName(options);
  try {
    return await manager.streams.info(name);
  } catch (error) {
    if (codeOf(error as Error) !== STREAM_NOT_FOUND) throw refusedFor(error as Error, name);
  }
  if (options.createdBefore !== undefined)
    throw new StreamRefused(
      `stream ${name}, which this node knows, is gone: bring it back, or restore the cluster from a node's log (thrustmq cluster restore)`,
      74,
    );
  try {
    const logId = randomBytes(8).readBigUInt64LE();
    await manager.streams.add(streamConfig(options, logId) as never);
  } catch (error) {
    // Another node was first; what it made is looked at like any other.
    if (codeOf(error as Error) !== NAME_IN_USE) throw refusedFor(error as Error, name);
  }
  return await manager.streams.info(name);
}

function refusedFor(error: Error, name: string): Error {
  const code = codeOf(error);
  if (error.name === 'PermissionViolationError')
    return new StreamRefused(
      `the account at NATS lacks rights for stream ${name}: ${error.message}; let it use $JS.API and tmq.>`,
    );
  if (code === undefined || !HOPELESS.includes(code)) return error;
  return new StreamRefused(`NATS refuses stream ${name} (${code}): ${error.message}`);
}

/** What is known of the servers of the stream now, and what to think of it. */
export async function judge(
  nats: Nats,
  info: StreamInfo,
  options: StreamOptions,
): Promise<ServerVerdict> {
  const monitored = new Map(
    (await askMonitors(options.monitors)).map((facts) => [facts.name, facts]),
  );
  const server = nats.connection.info;
  const { leader, replicas = [] } = info.cluster ?? {};
  // Servers of some versions name the leader among the replicas, too.
  const known = [leader ?? server?.server_name ?? '', ...replicas.map(({ name }) => name)];
  const names = [...new Set(known)];
  return judgeServers({
    stream: streamName(options),
    replicas: info.config.num_replicas,
    servers: names.map((name) => {
      const version = server?.server_name === name ? server.version : undefined;
      return { name, version, ...monitored.get(name) };
    }),
    maxPayload: server?.max_payload ?? 0,
    synced: options.synced,
    unsafeSync: options.unsafeSync,
    unsafeServer: options.unsafeServer,
  });
}
