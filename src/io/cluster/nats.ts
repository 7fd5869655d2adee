// Loads the client of NATS, the only file that does, and only when it is called: a broker that is
// not one of a cluster never reads it.

import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { Objm } from '@nats-io/obj';
import type { MsgHdrs, NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import { Credentials } from './credentials.ts';
import { Reconnecting } from './reconnecting.ts';

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
  /** How often they are tried again. */
  reconnecting?: Reconnecting | undefined;
  /** Gets sentences for the log. */
  warn: (text: string) => void;
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

// The client reads them again each time that it connects; here it is said what is wrong with them.
function tlsOf({ caFile, certFile, keyFile }: NatsAccess) {
  const files = { caFile, certFile, keyFile };
  const given = Object.entries(files).filter(([, file]) => file !== undefined);
  if (given.length === 0) return undefined;
  const read = (file: string | undefined) => (file ? { pem: readFileSync(file) } : undefined);
  try {
    const [ca, cert, key] = [caFile, certFile, keyFile].map(read);
    createSecureContext({
      ...(ca && { ca: ca.pem }),
      ...(cert && { cert: cert.pem }),
      ...(key && { key: key.pem }),
    });
  } catch (error) {
    throw new StreamRefused(
      `cannot use the certificates for NATS (--cluster-nats-ca, -cert and -key): ${(error as Error).message}`,
    );
  }
  return Object.fromEntries(given) as Record<string, string>;
}

type Transport = typeof import('@nats-io/transport-node');

function authenticatorOf({ credsFile, warn }: NatsAccess, { credsAuthenticator }: Transport) {
  if (credsFile === undefined) return {};
  try {
    const check = (bytes: Uint8Array): void => void credsAuthenticator(bytes)('nonce');
    const credentials = new Credentials({ file: credsFile, check, warn });
    return { authenticator: credsAuthenticator(() => credentials.current()) };
  } catch (error) {
    const { message, syscall } = error as NodeJS.ErrnoException;
    const verb = syscall === undefined ? 'use' : 'read';
    throw new StreamRefused(
      `cannot ${verb} the credentials for NATS: ${message}; see --cluster-nats-creds`,
    );
  }
}

const UNTRUSTED = /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA|ERR_TLS_CERT_)/;
const NOT_TAKEN = /ALERT_(CERTIFICATE_|BAD_CERTIFICATE|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE)/;

/** Whether the servers say that they do not let this node in: for another reason than that they, or
 * this node, were too slow. */
export function isNoEntry({ name, message }: Error): boolean {
  if (/timeout/i.test(message)) return false;
  const isKnown = name === 'AuthorizationError' || name === 'UserAuthenticationExpiredError';
  return isKnown || /authentication (expired|revoked)/i.test(message);
}

// With TLS 1.3 a server only falls silent where it takes no certificate of this node.
function told(error: Error, usesTls: boolean): Error {
  if (!usesTls || error.name !== 'TimeoutError') return error;
  const text = 'no answer within 2 s, as of servers that want another certificate of this node';
  return new Error(`${text} (--cluster-nats-cert)`, { cause: error });
}

/** Why no server will ever take this node as it is set up; undefined: it may pass. */
function whyNever(error: Error): string | undefined {
  const { message, cause } = error;
  const { code } = error as NodeJS.ErrnoException;
  const codes = `${code ?? (cause as NodeJS.ErrnoException | undefined)?.code ?? ''}`;
  if (isNoEntry(error)) return `does not let this node in: ${message}; see --cluster-nats-creds`;
  if (UNTRUSTED.test(codes))
    return `shows a certificate that is not trusted here: ${message}; see --cluster-nats-ca`;
  if (NOT_TAKEN.test(codes))
    return `does not take the certificate of this node, or wants one: ${message}; see --cluster-nats-cert`;
  if (/does not support 'tls'/.test(message))
    return 'does not speak TLS: leave out --cluster-nats-ca, -cert and -key, or let it';
  return undefined;
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
  const tls = tlsOf(access);
  const { reconnecting = new Reconnecting(access.servers.length) } = access;
  const options: NodeConnectionOptions = {
    servers: [...access.servers],
    name: 'thrustmq',
    maxReconnectAttempts: -1,
    reconnectDelayHandler: () => reconnecting.delayMs(),
    pingInterval: PING_MS,
    maxPingOut: 2,
    timeout: DIAL_MS,
    // Servers that were unreachable when it began may be the ones that serve next.
    ignoreAuthErrorAbort: true,
    ...(tls && { tls }),
    ...authenticatorOf(access, transport),
  };
  let connection: NatsConnection;
  try {
    // Servers that let nobody in still name each other, and the client goes round them for ever.
    const first = await transport.connect({ ...options, ignoreClusterUpdates: true });
    await first.close();
    connection = await transport.connect(options);
  } catch (error) {
    const why = whyNever(error as Error);
    if (why === undefined) throw told(error as Error, tls !== undefined);
    throw new StreamRefused(`NATS (${access.servers.join(', ')}) ${why}`);
  }
  void follow(connection, reconnecting);
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

async function follow(connection: NatsConnection, reconnecting: Reconnecting): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'reconnect') reconnecting.entered();
    if (status.type === 'error' && isNoEntry(status.error)) reconnecting.refused();
  }
}

/** The code that JetStream gave an error, if the error is an answer of its own. */
export function codeOf(error: Error): number | undefined {
  const isAnswer = error.name === 'JetStreamApiError' || error.name === 'StreamNotFoundError';
  return isAnswer ? Number((error as { code?: unknown }).code) : undefined;
}
