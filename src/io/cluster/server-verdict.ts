// What an ack of the servers of a stream means: judged by their versions, by whether each syncs
// what it acks, and by what the operator states. Says what is refused, and what to do.

import { signalAfter } from '../../time/deadline.ts';

/** What is known of one server. */
export interface ServerFacts {
  name: string;
  version?: string | undefined;
  /** Whether it syncs before it acks; undefined: nobody could ask it. */
  syncs?: boolean | undefined;
}

export interface ServerFindings {
  stream: string;
  replicas: number;
  /** Every server that holds a copy. */
  servers: readonly ServerFacts[];
  /** Largest message that the servers take, in bytes. */
  maxPayload: number;
  /** The operator states that all sync. */
  synced: boolean;
  /** Serve although servers do not sync what they ack. */
  unsafeSync: boolean;
  /** Serve although the servers are too old, or too few. */
  unsafeServer: boolean;
}

export interface ServerVerdict {
  /** What is acked is on two of three disks and on the owner's, as far as is known. */
  safe: boolean;
  /** What an ack means, in one sentence. */
  means: string;
  /** Why this is not served; for the exit code 78. */
  problems: { code: 78; text: string }[];
  /** To be repeated while it serves so. */
  warnings: string[];
}

const SYNCING: Version = [2, 10, 23];
const ADVISED: Version = [2, 14, 4];
const PAYLOAD_MIN = 64 * 1024;

type Version = [number, number, number];

function parse(text: string | undefined): Version | undefined {
  const found = /^v?(\d+)\.(\d+)\.(\d+)/.exec(text ?? '');
  return found === null ? undefined : [Number(found[1]), Number(found[2]), Number(found[3])];
}

function isBelow(version: Version, bound: Version): boolean {
  const i = version.findIndex((part, at) => part !== bound[at]);
  return i !== -1 && version[i]! < bound[i]!;
}

const namesOf = (servers: readonly ServerFacts[]): string =>
  servers.map(({ name, version }) => (version ? `${name} (${version})` : name)).join(', ');

/** What to think of the servers; pure, so it can be asked again each minute. */
export function judgeServers(findings: ServerFindings): ServerVerdict {
  const problems: string[] = [];
  const warnings: string[] = [];
  if (findings.maxPayload < PAYLOAD_MIN)
    problems.push(
      `the servers of NATS take messages of ${findings.maxPayload} bytes at most: set max_payload to 64KB or more (1MB is best)`,
    );
  const areServersFit = judgeAge(findings, problems, warnings);
  const areSynced = judgeSync(findings, problems, warnings);
  let means = 'on the disks of two of three servers, and on the disk of the owner';
  if (!areServersFit) means = 'on the disk of the owner; another copy is likely, not sure';
  else if (!areSynced)
    means = 'in the memory of two of three servers, and on the disk of the owner';
  return {
    safe: areServersFit && areSynced && problems.length === 0,
    means,
    problems: problems.map((text) => ({ code: 78, text })),
    warnings,
  };
}

function judgeAge(found: ServerFindings, problems: string[], warnings: string[]): boolean {
  const { stream, servers, replicas, unsafeServer } = found;
  const old = servers.filter((each) => {
    const version = parse(each.version);
    return version !== undefined && isBelow(version, SYNCING);
  });
  const say = unsafeServer ? warnings : problems;
  const hint = unsafeServer
    ? ' (--cluster-unsafe-server)'
    : ', or accept it (--cluster-unsafe-server)';
  if (old.length > 0)
    say.push(
      `stream ${stream} is on servers that may lose what they acked: ${namesOf(old)}; nats-server 2.10.23 is the least, 2.14.4 or newer is advised${hint}`,
    );
  const isThin = replicas < 3 || servers.length < 3;
  if (isThin)
    say.push(
      `stream ${stream} is on ${servers.length} server${servers.length === 1 ? '' : 's'} with ${replicas} replica${replicas === 1 ? '' : 's'}, three are needed${hint}`,
    );
  const dated = servers.filter((each) => {
    const version = parse(each.version);
    return !old.includes(each) && version !== undefined && isBelow(version, ADVISED);
  });
  if (dated.length > 0)
    warnings.push(
      `stream ${stream} is on servers with known faults: ${namesOf(dated)}; 2.14.4 or newer is advised`,
    );
  return old.length === 0 && !isThin;
}

function judgeSync(found: ServerFindings, problems: string[], warnings: string[]): boolean {
  const { servers, synced, unsafeSync } = found;
  const unsynced = servers.filter(({ syncs }) => syncs === false);
  const unknown = servers.filter(({ syncs }) => syncs === undefined);
  if (unsynced.length > 0) {
    const text = `servers ack before they sync: ${namesOf(unsynced)}; set jetstream { sync_interval: always } there`;
    if (unsafeSync || found.unsafeServer) warnings.push(`${text} (accepted by the operator)`);
    else problems.push(`${text}, or accept it (--cluster-unsafe-sync)`);
    return false;
  }
  if (unknown.length === 0) return true;
  if (synced) {
    warnings.push(
      `that servers sync before they ack is stated (--cluster-nats-synced), not seen: ${namesOf(unknown)}`,
    );
    return true;
  }
  const text = `whether servers sync before they ack could not be seen: ${namesOf(unknown)}`;
  if (unsafeSync || found.unsafeServer) warnings.push(`${text} (accepted by the operator)`);
  else
    problems.push(
      `${text}; name the monitoring URL of each (--cluster-nats-monitor), or state it (--cluster-nats-synced), or accept that they may not (--cluster-unsafe-sync)`,
    );
  return false;
}

/** What the monitoring page `/varz` of a server says of it. */
export function factsOf(varz: unknown): ServerFacts | undefined {
  const page = varz as {
    server_name?: string;
    version?: string;
    jetstream?: { config?: { sync_always?: boolean } };
  };
  if (typeof page?.server_name !== 'string') return undefined;
  return {
    name: page.server_name,
    version: page.version,
    syncs: page.jetstream?.config?.sync_always === true,
  };
}

/** Asks every monitor; those that do not answer in time say nothing. */
export async function askMonitors(
  urls: readonly string[],
  timeoutMs = 2000,
): Promise<ServerFacts[]> {
  const pages = urls.map(async (url) => {
    try {
      const response = await fetch(new URL('/varz', url), {
        signal: signalAfter(timeoutMs),
        redirect: 'error',
      });
      return response.ok ? factsOf(await response.json()) : undefined;
    } catch {
      return undefined;
    }
  });
  return (await Promise.all(pages)).filter((facts) => facts !== undefined);
}
