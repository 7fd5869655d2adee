// Whether the broker that runtime.json names is there, and is the one of its folder. The file may
// be left over from a broker that was killed, or be a copy, and its ports another broker's by now.
//
//   who has the folder's lock          what runtime.json says is believed
//   somebody, of the same instance     if it runs in this network
//   somebody else                      no: a broker that is still starting, or a repair
//   nobody                             no, unless it says that its broker takes no lock
//   cannot be told, or takes no lock   if that very process lives, on that very folder

import fs from 'node:fs';
import { identityOf } from '../io/identity.ts';
import { holderOf, textIn } from '../io/lock.ts';
import { CliError, EXIT } from './output.ts';
import { type RuntimeInfo, readRuntime } from './runtime.ts';

/** What tells one running broker from every other, as far as the system says it. */
export interface Identity {
  /** Random, of this start of a broker; also in LOCK. */
  instance: string;
  /** Device and inode of the data folder. */
  folder: string;
  /** Network of the ports: a container may have its own. */
  network?: string | undefined;
  /** When the process began, in the system's ticks: pids are used again. */
  processStart?: string | undefined;
  /** The broker takes no lock (--unsafe-no-lock). */
  unlocked?: true;
}

/** The identity of this process as a broker on a folder. */
export function identityHere(instance: string, dataDir: string, unlocked: boolean): Identity {
  return {
    instance,
    folder: folderOf(dataDir) ?? '',
    network: ownNetwork(),
    processStart: startOf(process.pid),
    ...(unlocked ? { unlocked: true } : {}),
  };
}

/**
 * What the broker of a data folder announced.
 * @throws CliError 69 when there is none, or when it cannot be told whether it still runs.
 */
export function announcedBy(dataDir: string): RuntimeInfo {
  const runtime = readRuntime(dataDir);
  if (runtime === undefined)
    throw new CliError(EXIT.unreachable, `no broker has announced itself in ${dataDir}`);
  const why = doubt(dataDir, runtime);
  if (why === undefined) return runtime;
  throw new CliError(
    EXIT.unreachable,
    `${why}. To reach a broker all the same, say where: --host and --port in place of --data-dir`,
  );
}

function doubt(dataDir: string, runtime: RuntimeInfo): string | undefined {
  const { identity } = runtime;
  const holder = holderOf(dataDir);
  if (holder === 'unknown' || identity?.unlocked === true) return doubtByProcess(dataDir, runtime);
  if (holder === 'nobody')
    return `no broker runs on ${dataDir}: runtime.json there was left by one that was killed, or is a copy`;
  const instance = instanceIn(textIn(dataDir));
  // Of a release that says no more, or of another user.
  const isOther =
    identity !== undefined && instance !== undefined && instance !== identity.instance;
  if (isOther)
    return `the broker on ${dataDir} is not ready, or it is no broker that has the folder: runtime.json there is of an earlier one`;
  return doubtByNetwork(dataDir, runtime);
}

function doubtByProcess(dataDir: string, runtime: RuntimeInfo): string | undefined {
  const { pid, identity } = runtime;
  const isSame =
    identity?.processStart !== undefined &&
    startOf(pid) === identity.processStart &&
    folderOf(dataDir) === identity.folder;
  if (isSame) return doubtByNetwork(dataDir, runtime);
  return `it cannot be told whether a broker runs on ${dataDir}: runtime.json there may be left over, or a copy`;
}

function doubtByNetwork(dataDir: string, { identity }: RuntimeInfo): string | undefined {
  const network = identity?.network;
  const own = ownNetwork();
  if (network === undefined || own === undefined || network === own) return undefined;
  return `the broker on ${dataDir} runs in a network of its own, most likely a container: its ports are not those of this machine`;
}

// '' where LOCK says nothing of the kind.
function instanceIn(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    const { instance } = JSON.parse(text) as { instance?: unknown };
    return typeof instance === 'string' ? instance : '';
  } catch {
    return '';
  }
}

function folderOf(dataDir: string): string | undefined {
  try {
    return identityOf(fs.statSync(dataDir, { bigint: true }));
  } catch {
    return undefined;
  }
}

function ownNetwork(): string | undefined {
  try {
    return fs.readlinkSync('/proc/self/ns/net');
  } catch {
    return undefined; // no such thing outside Linux
  }
}

// The 22nd field of its line; the 2nd is a name in brackets, which may hold anything.
function startOf(pid: number): string | undefined {
  try {
    const line = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    return line.slice(line.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
