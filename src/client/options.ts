// What producers and consumers share in their options: where the broker is, in which dialect it
// is spoken to, and how a lost connection comes back. Checks values, opens nothing.

import { isIPv6 } from 'node:net';
import type { Wire } from '../codec/wire.ts';
import { ThrustError } from './errors.ts';

export const INTAKE_PORT = 1888;
export const EXHAUST_PORT = 2888;

const MS_MAX = Number.MAX_SAFE_INTEGER;

/**
 * - `connecting`: the first connection is being made.
 * - `connected`
 * - `reconnecting`: the connection was lost and is being made again.
 * - `closing`: no more work is taken, what was begun is being finished.
 * - `closed`: for good.
 */
export type Status = 'connecting' | 'connected' | 'reconnecting' | 'closing' | 'closed';

/** Waiting times between attempts: min x factor^n up to max, less a random share of `jitter`. */
export interface ReconnectOptions {
  /** First wait in ms. Default 50. */
  min?: number;
  /** Longest wait in ms. Default 5000. */
  max?: number;
  /** Default 2. */
  factor?: number;
  /** 0 … 1. Default 0.5. */
  jitter?: number;
  /** Failed attempts in a row before giving up for good. Default Infinity. */
  attempts?: number;
  /** Also retry when the very first connection fails, instead of reporting it. Default false. */
  initial?: boolean;
}

export interface ConnectionOptions {
  /** `thrustmq://host:port`, `?wire=u32` for the other dialect. `host` and `port` win over it. */
  url?: string;
  /** Default 127.0.0.1. IPv6 with or without brackets. */
  host?: string;
  /**
   * Several nodes, any of which takes every client: `host` or `host:port`, tried in turn, beginning
   * with the first. They win over `url` and `host`; a wait between attempts comes after all of them.
   */
  hosts?: readonly string[];
  /** Default 1888 for producers, 2888 for consumers. */
  port?: number;
  /** Dialect of the listener: size of every Length. Default u64. */
  wire?: Wire;
  /** Ends everything at once when it fires, with ABORTED. */
  signal?: AbortSignal;
  /** false: the first lost connection is the end. */
  reconnect?: ReconnectOptions | false;
  /** Time for one attempt to connect to an address, in ms. Default 5000. */
  connectTimeoutMs?: number;
  /**
   * Called after each change of status, never from inside one of your calls, and not waited for.
   * What it throws is a warning of the process and changes nothing.
   */
  onStatus?: (status: Status, error: ThrustError | undefined) => unknown;
}

/**
 * Of a client inside this program only, so not in the options that users see: where the broker is
 * may change while it is away. Asked before every attempt to connect again; what it throws makes
 * that attempt fail.
 */
export interface Relocatable {
  relocate?: (() => { host: string; port: number }) | undefined;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Target extends Address {
  readonly wire: Wire;
  /** All that are tried, where there are several. */
  readonly addresses?: readonly Address[];
}

/** Checks a number option; USAGE when it is not a whole number from `least` to `most`. */
export function whole(
  name: string,
  value: number | undefined,
  bounds: { fallback: number; least: number; most: number },
): number {
  const chosen = value ?? bounds.fallback;
  if (Number.isSafeInteger(chosen) && chosen >= bounds.least && chosen <= bounds.most)
    return chosen;
  throw new ThrustError(
    'USAGE',
    `${name} must be a whole number from ${bounds.least} to ${bounds.most}, not ${value}`,
  );
}

/** Checks a time in ms; `least` 0 lets 0 mean "never". */
export function duration(
  name: string,
  value: number | undefined,
  bounds: { fallback: number; least: number },
): number {
  return whole(name, value, { ...bounds, most: MS_MAX });
}

/** Checks an option that is called. Throws USAGE. */
export function hook<T>(name: string, value: T | undefined): T | undefined {
  if (value === undefined || typeof value === 'function') return value;
  throw new ThrustError('USAGE', `${name} must be a function, not ${typeof value}`);
}

function parseUrl(url: string): Partial<Target> {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new ThrustError('USAGE', `url "${url}" is not like thrustmq://host:1888`, { cause });
  }
  if (parsed.protocol !== 'thrustmq:' || parsed.hostname === '')
    throw new ThrustError('USAGE', `url "${url}" is not like thrustmq://host:1888`);
  const target: { host: string; port?: number; wire?: Wire } = { host: parsed.hostname };
  if (parsed.port !== '') target.port = Number(parsed.port);
  const wire = parsed.searchParams.get('wire');
  if (wire !== null) target.wire = wire as Wire;
  return target;
}

/** An IPv6 address stands in brackets in URLs, and people write it so elsewhere, too. */
function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

/** Where to connect and in which dialect. Throws USAGE. */
export function resolveTarget(options: ConnectionOptions, defaultPort: number): Target {
  const given = options.url === undefined ? {} : parseUrl(options.url);
  const wire = options.wire ?? given.wire ?? 'u64';
  if (wire !== 'u64' && wire !== 'u32')
    throw new ThrustError('USAGE', `wire is "u64" or "u32", not ${JSON.stringify(wire)}`);
  const port = portOf(options.port ?? given.port, defaultPort);
  if (options.hosts !== undefined) {
    const addresses = options.hosts.map((text) => addressOf(text, port));
    const [first] = addresses;
    if (first === undefined) throw new ThrustError('USAGE', 'hosts is empty');
    return { ...first, wire, addresses };
  }
  return { host: bare(options.host ?? given.host ?? '127.0.0.1'), port, wire };
}

function portOf(port: number | undefined, fallback: number): number {
  return whole('port', port, { fallback, least: 1, most: 65_535 });
}

// `host`, `host:port`, `[::1]:port`, `[::1]` or `::1`. Throws USAGE.
function addressOf(text: string, defaultPort: number): Address {
  const match = /^(\[[^\][]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(text);
  const host = isIPv6(text) ? text : match?.[1];
  if (host === undefined)
    throw new ThrustError('USAGE', `hosts are like "node-1" or "node-1:1888", not "${text}"`);
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  return { host: bare(host), port: portOf(port, defaultPort) };
}

function positive(name: string, value: number, most: number): number {
  if (value >= 0 && value <= most) return value;
  throw new ThrustError('USAGE', `reconnect.${name} must be from 0 to ${most}, not ${value}`);
}

/** Fills in and checks reconnect options; undefined when there is to be no reconnecting. */
export function resolveReconnect(
  given: ReconnectOptions | false | undefined,
): Required<ReconnectOptions> | undefined {
  if (given === false) return undefined;
  const reconnect = {
    min: given?.min ?? 50,
    max: given?.max ?? 5000,
    factor: given?.factor ?? 2,
    jitter: given?.jitter ?? 0.5,
    attempts: given?.attempts ?? Number.POSITIVE_INFINITY,
    initial: given?.initial ?? false,
  };
  positive('min', reconnect.min, MS_MAX);
  positive('max', reconnect.max, MS_MAX);
  positive('factor', reconnect.factor, 1000);
  positive('jitter', reconnect.jitter, 1);
  positive('attempts', reconnect.attempts, Number.POSITIVE_INFINITY);
  return reconnect;
}
