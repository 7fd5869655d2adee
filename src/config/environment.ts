// Which variables of the environment are settings, which were meant to be one, and which only begin
// like ours: images set their version, Kubernetes and Docker announce services by such names. Does
// not know the settings, so that the verbs can ask without loading their table.

import { meantName } from '../core/text/nearest.ts';

const PREFIX = 'THRUSTMQ_';

export interface Variables {
  /** Those that are wanted, by name. */
  found: Map<string, string>;
  /** Those that must have been meant to be one of them. */
  meant: { name: string; wanted: string }[];
  /** Those that begin like ours and are none of them. */
  unknown: string[];
}

/**
 * Sorts the variables that begin with THRUSTMQ_; empty ones count as absent. `wanted` has their
 * names as they are looked for, and as they might be written, with what that should be.
 */
export function readVariables(
  environment: Record<string, string | undefined>,
  wanted: ReadonlyMap<string, string>,
): Variables {
  const read: Variables = { found: new Map(), meant: [], unknown: [] };
  // The prefix is common to all and would make any two names alike.
  const bare = [...wanted.keys()].map((name) => name.slice(PREFIX.length));
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || value === undefined || value === '') continue;
    if (isAnnouncement(name, value)) continue;
    if (wanted.get(name) === name) {
      read.found.set(name, value);
      continue;
    }
    const near = meantName(name.slice(PREFIX.length), bare);
    if (near === undefined) read.unknown.push(name);
    else read.meant.push({ name, wanted: wanted.get(PREFIX + near)! });
  }
  return read;
}

/** What is said of variables that must have been meant to be others. */
export function meantText(meant: Variables['meant']): string {
  return meant
    .map(({ name, wanted }) => `unknown environment variable ${name}; did you mean "${wanted}"?`)
    .join('\n');
}

/**
 * Kubernetes announces a service called "thrustmq", or "thrustmq-intake", to every pod by names that
 * start like ours or even are ours, Docker a link. Names of tests are not for the broker.
 */
function isAnnouncement(name: string, value: string): boolean {
  return (
    /_SERVICE_(HOST|PORT)(_|$)/.test(name) ||
    /_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name) ||
    /^(tcp|udp|sctp):\/\//.test(value) ||
    /^THRUSTMQ_(TEST|BENCH)_/.test(name)
  );
}
