// What an owner says of itself with its start and its beats, and what of it all nodes must have in
// common: a node with other segments could not hold the same log.

import { isLoopback } from '../config/address.ts';
import type { BrokerConfig } from '../config/load.ts';
import { authority } from '../core/text/address.ts';

/** Sizes on which the positions of a log rest. */
export interface Layout {
  segmentBytes: number;
  segmentEntries: number;
  maxMessage: number;
}

export interface OwnerIdentity extends Layout {
  node: number;
  /** Another one for each process. */
  life: string;
  /** Where nodes reach it, as `host:port`. */
  address: string;
  /** Of its dashboard, as `host:port`; null: others cannot reach it. */
  dashboard: string | null;
  version: string;
}

export function layoutOf({ limits }: Pick<BrokerConfig, 'limits'>): Layout {
  return {
    segmentBytes: limits.segmentBytes,
    segmentEntries: limits.segmentEntriesMax,
    maxMessage: limits.messageBytesMax,
  };
}

const ANY = ['0.0.0.0', '::'];

/** Where others reach the dashboard of a node that they reach at `advertised`; null: nowhere. */
export function dashboardAddress(
  { enabled, host, port }: Pick<BrokerConfig['dashboard'], 'enabled' | 'host' | 'port'>,
  advertised: string,
): string | null {
  if (!enabled || port === 0) return null;
  if (ANY.includes(host)) return authority(advertised, port);
  return isLoopback(host) && !isLoopback(advertised) ? null : authority(host, port);
}

/** Undefined: it is no such text. */
export function readIdentity(json: Uint8Array): OwnerIdentity | undefined {
  try {
    const said = JSON.parse(new TextDecoder().decode(json)) as Partial<OwnerIdentity> | null;
    const isOne = typeof said?.address === 'string' && typeof said.life === 'string';
    return isOne ? (said as OwnerIdentity) : undefined;
  } catch {
    return undefined;
  }
}

const SETTINGS: [keyof Layout, string, string][] = [
  ['segmentBytes', 'segments of', '--segment-size, or --memory, which it follows from'],
  ['segmentEntries', 'entries for each segment, at most', '--memory'],
  ['maxMessage', 'messages of at most', '--max-message'],
];

/** Why a node with the layout `own` can't hold the log of that owner; undefined: it can. */
export function misfit(own: Layout, owner: OwnerIdentity): string | undefined {
  const differing = SETTINGS.find(([key]) => own[key] !== owner[key]);
  if (differing === undefined) return undefined;
  const [key, what, setting] = differing;
  return `node ${owner.node}, which owns the log, has ${what} ${owner[key]}, this one ${own[key]}: give all nodes the same ${setting}`;
}
