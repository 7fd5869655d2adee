// Loads the client of NATS, the only file that does, and only when it is called: a broker that is
// not one of a cluster never reads it.

import { readFileSync } from 'node:fs';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { Objm } from '@nats-io/obj';
import type { MsgHdrs, NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';

export type {
  Consumer,
  ConsumerMessages,
  DeliverPolicy,
  StreamConfig,
  StreamInfo,
} from '@nats-io/jetstream';
export type { ObjectStore as Bucket } from '@nats-io/obj';

/** A cluster cannot be served as things stand, and trying again would not help. */
export class StreamRefused extends Error {
  /** For the process, from sysexits: 78, settings are wrong; 74, what was stored is gone. */
  readonly exitCode: 74 | 78;
  constructor(message: string, exitCode: 74 | 78 = 78) {
    super(message);
    this.name = 'StreamRefused';
    this.exitCode = exitCode;
  }
}

/** How the servers of NATS are reached. */
export interface NatsAccess {
  /** URLs or HOST:PORT, at least one. */
  servers: readonly string[];
  credsFile?: string | undefined;
  caFile?: string | undefined;
  certFile?: string | undefined;
  keyFile?: string | undefined;
}

/** A connection, and what speaks over it. */
export interface Nats {
  connection: NatsConnection;
  publisher: JetStreamClient;
  manager: JetStreamManager;
  /** Opens buckets of objects. */
  buckets: Objm;
  /** Of a message that takes the place of what its subject had. */
  replacing: MsgHdrs;
}

const DIAL_MS = 2000;
// A server that is gone without a word is noticed after two of them.
const PING_MS = 1000;
const API_MS = 2000;

function read(file: string, what: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new StreamRefused(`cannot read the ${what} for NATS: ${(error as Error).message}`);
  }
}

async function load() {
  try {
    const [transport, jetstream, objects] = await Promise.all([
      import('@nats-io/transport-node'),
      import('@nats-io/jetstream'),
      import('@nats-io/obj'),
    ]);
    return { transport, jetstream, objects };
  } catch (error) {
    throw new StreamRefused(
      `a cluster needs the packages @nats-io/transport-node, @nats-io/jetstream and @nats-io/obj beside ThrustMQ: ${(error as Error).message}`,
    );
  }
}

/**
 * Connects once.
 * @throws StreamRefused if no server would ever take these credentials or files; another Error if
 * none could be reached, which may pass.
 */
export async function dial(access: NatsAccess): Promise<Nats> {
  const { transport, jetstream, objects } = await load();
  const { credsFile, caFile, certFile, keyFile } = access;
  const tls = {
    ...(caFile && { caFile }),
    ...(certFile && { certFile }),
    ...(keyFile && { keyFile }),
  };
  for (const file of Object.values(tls)) read(file, 'TLS file');
  const options: NodeConnectionOptions = {
    servers: [...access.servers],
    name: 'thrustmq',
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    pingInterval: PING_MS,
    maxPingOut: 2,
    timeout: DIAL_MS,
    // Servers that were unreachable when it began may be the ones that serve next.
    ignoreAuthErrorAbort: true,
    ...(Object.keys(tls).length > 0 && { tls }),
    ...(credsFile && {
      authenticator: transport.credsAuthenticator(read(credsFile, 'credentials')),
    }),
  };
  let connection: NatsConnection;
  try {
    connection = await transport.connect(options);
  } catch (error) {
    const { name, message } = error as Error;
    if (name !== 'AuthorizationError' && name !== 'UserAuthenticationExpiredError') throw error;
    throw new StreamRefused(
      `NATS (${access.servers.join(', ')}) does not let this node in: ${message}; see --cluster-nats-creds`,
    );
  }
  const publisher = jetstream.jetstream(connection, { timeout: API_MS });
  const replacing = transport.headers();
  replacing.set('Nats-Rollup', 'sub');
  return {
    connection,
    publisher,
    buckets: new objects.Objm(publisher),
    replacing,
    // It would ask for rights that nothing here needs.
    manager: await jetstream.jetstreamManager(connection, { timeout: API_MS, checkAPI: false }),
  };
}

/** The code that JetStream gave an error, if the error is an answer of its own. */
export function codeOf(error: Error): number | undefined {
  const isAnswer = error.name === 'JetStreamApiError' || error.name === 'StreamNotFoundError';
  return isAnswer ? Number((error as { code?: unknown }).code) : undefined;
}
