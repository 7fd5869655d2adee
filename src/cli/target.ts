// Where the client verbs find their broker: flags, then the runtime.json of a data folder, then the
// environment, then the usual ports.

import { type Command, InvalidArgumentError } from 'commander';
import { resolveTarget as clientTarget, type Relocatable } from '../client/options.ts';
import { meantText, readVariables } from '../config/environment.ts';
import { parseDuration } from '../core/text/units.ts';
import { announcedBy } from './announced.ts';
import { CliError, EXIT } from './output.ts';
import { connectHost, type RuntimeInfo } from './runtime.ts';

export type Side = 'intake' | 'exhaust' | 'dashboard';

export interface Target {
  host: string;
  port: number;
  wire: 'u64' | 'u32';
  /** Several nodes, or one with a port of its own: `host` or `host:port`. */
  hosts?: string[];
}

interface TargetOptions {
  host?: string;
  port?: number;
  wire?: string;
  dataDir?: string;
}

const USUAL_PORTS: Record<Side, number> = { intake: 1888, exhaust: 2888, dashboard: 3888 };

/** Adds the options that say where the broker is. */
export function addTargetOptions(command: Command, side: Side): Command {
  if (side === 'dashboard')
    command.option('-H, --host <HOST>', 'host of the broker (default: 127.0.0.1)');
  else
    command.option(
      '-H, --host <HOST,...>',
      'host of the broker, or of several nodes, each with its :PORT if need be (default: 127.0.0.1)',
      joined,
    );
  command
    .option('-p, --port <PORT>', `port of its ${side} (default: ${USUAL_PORTS[side]})`, wholeNumber)
    .option('-d, --data-dir <DIR>', "find host and ports in a running broker's data folder");
  if (side === 'dashboard')
    command.option('--token-file <FILE>', 'file whose first line is the token of the dashboard');
  else command.option('--wire <u64|u32>', 'dialect of that port (default: u64)', wireName);
  return command;
}

/**
 * Resolves those options.
 * @throws CliError 69 when the broker of the data folder is not there for certain.
 */
export function resolveTarget(
  options: TargetOptions,
  side: Side,
  environment: Record<string, string | undefined> = process.env,
): Target {
  const runtime = options.dataDir === undefined ? undefined : announcedBy(options.dataDir);
  if (runtime === undefined) {
    const { host, port, wire } = options;
    const given = { HOST: host, [portVariable(side)]: port, WIRE: wire };
    const asked = Object.entries(given).filter(([, value]) => value === undefined);
    refuseMisspelled(
      environment,
      asked.map(([name]) => `THRUSTMQ_${name}`),
    );
  }
  const named = options.host ?? hostOf(runtime, side) ?? environment.THRUSTMQ_HOST ?? '';
  const { host, hosts } = nodesOf(named, side);
  return {
    ...(hosts === undefined ? {} : { hosts }),
    host: connectHost(host),
    port: options.port ?? portOf(runtime, side) ?? portFrom(environment, side),
    wire: wireOf(options.wire ?? runtime?.wire ?? (environment.THRUSTMQ_WIRE || 'u64')),
  };
}

const WITH_PORT = /^(\[[^\]]*\]|[^:]*):\d+$/;

// One host, or those of several nodes.
function nodesOf(text: string, side: Side): { host: string; hosts?: string[] } {
  const all = text.split(',').map((one) => one.trim());
  const [host = '', ...others] = all;
  if (others.length === 0 && (side === 'dashboard' || !WITH_PORT.test(host)))
    return { host: host || '127.0.0.1' };
  if (side === 'dashboard')
    throw new CliError(
      EXIT.usage,
      `"${text}" names several nodes, and a dashboard is of one, which answers for all: --host ${host}`,
    );
  try {
    clientTarget({ hosts: all }, USUAL_PORTS[side]);
  } catch (error) {
    throw new CliError(EXIT.usage, (error as Error).message);
  }
  return { host, hosts: all };
}

/**
 * The same for a client that connects again by itself: the broker of a data folder may have other
 * ports when it is back, and its old ones may be another broker's.
 * @throws CliError as resolveTarget; `relocate` as well, while the folder's broker is not there.
 */
export function resolveClient(options: TargetOptions, side: Side): Target & Relocatable {
  const target = resolveTarget(options, side);
  if (options.dataDir === undefined || target.hosts !== undefined) return target;
  const relocate = () => {
    const { host, port, wire } = resolveTarget(options, side);
    if (wire === target.wire) return { host, port };
    throw new CliError(
      EXIT.unreachable,
      `the broker on ${options.dataDir} speaks ${wire} now, and spoke ${target.wire} before: start this verb again`,
    );
  };
  return { ...target, relocate };
}

/**
 * A variable that was meant to be one of those that are about to be read is not passed over.
 * @throws CliError 78 that names it.
 */
export function refuseMisspelled(
  environment: Record<string, string | undefined>,
  names: readonly string[],
): void {
  const { meant } = readVariables(environment, new Map(names.map((name) => [name, name])));
  if (meant.length > 0) throw new CliError(EXIT.config, meantText(meant));
}

function portVariable(side: Side): string {
  return `${side.toUpperCase()}_PORT`;
}

function hostOf(runtime: RuntimeInfo | undefined, side: Side): string | undefined {
  return side === 'dashboard' ? runtime?.dashboardHost : runtime?.host;
}

function portOf(runtime: RuntimeInfo | undefined, side: Side): number | undefined {
  if (runtime === undefined) return undefined;
  const port = runtime[side];
  if (port === null) throw new CliError(EXIT.unreachable, 'that broker runs without a dashboard');
  return port;
}

/** The broker's own variable; 0 there means "any", which is no place to connect to. */
function portFrom(environment: Record<string, string | undefined>, side: Side): number {
  const text = environment[`THRUSTMQ_${portVariable(side)}`] ?? '';
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port > 0 && port <= 65_535 ? port : USUAL_PORTS[side];
}

/** Commander: an option that may be there more than once, or name several at once. */
export function joined(text: string, before: string | undefined): string {
  return before === undefined ? text : `${before},${text}`;
}

/** Commander: a whole number of at least 1. */
export function wholeNumber(text: string): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (value < 1) throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return value;
}

/** Commander: a duration, in milliseconds. */
export function durationMs(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

/** Commander: a bucket, as a decimal or 0x number of 64 bits. */
export function bucketId(text: string): bigint {
  const value = /^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(text) ? BigInt(text) : -1n;
  if (value < 0n || value >= 1n << 64n)
    throw new InvalidArgumentError('A bucket is a number from 0 to 18446744073709551615.');
  return value;
}

function wireOf(text: string): 'u64' | 'u32' {
  if (text === 'u64' || text === 'u32') return text;
  throw new CliError(EXIT.config, `THRUSTMQ_WIRE is u64 or u32, not "${text}"`);
}

function wireName(text: string): 'u64' | 'u32' {
  if (text === 'u64' || text === 'u32') return text;
  throw new InvalidArgumentError('It must be u64 or u32.');
}
