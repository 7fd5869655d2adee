// The sizes and times that ownership goes by in a node, from its settings and its log.

import { SEGMENT_DATA_AT } from '../../assembly/layout.ts';
import type { ClusterConfig } from '../config/cluster.ts';
import { Ownership } from '../core/cluster/ownership.ts';
import type { OwnershipOptions } from '../core/cluster/ownership-options.ts';
import type { Position } from '../core/ports/basics.ts';
import type { OwnerIdentity } from './identity.ts';

/** Of the largest message that servers take, this is for envelope and headers. */
const ENVELOPE_BYTES = 1024;
const PART_BYTES_MAX = 900 * 1024;
const IN_FLIGHT_BYTES = 4 * 1024 * 1024;
const QUEUE_BYTES = 16 * 1024 * 1024;
/** Between the first tries of two nodes, in ms; and how much chance adds. Who tries although
 * another one does is not first, and follows again: a longer wait is time without an owner. */
const RANK_MS = 100;
const RANKS = 5;
const JITTER_MS = 50;

export interface OwnedLog
  extends Pick<OwnershipOptions, 'stream' | 'effects' | 'logId' | 'crc32c' | 'isIdle' | 'isAble'> {
  cluster: ClusterConfig;
  identity: OwnerIdentity;
  segmentBytes: number;
  /** Base of any segment of the log from where on all have this size. */
  base: () => Position;
  /** The largest message that the servers take, in bytes. */
  maxPayload: number;
}

export function ownershipOf(log: OwnedLog): Ownership {
  const { cluster, identity, segmentBytes, base, maxPayload } = log;
  const { ttlMs, ownMs, beatMs, node } = cluster;
  return new Ownership({
    ...log,
    nextSegment: (position) =>
      baseOf(position, base(), segmentBytes) + segmentBytes + SEGMENT_DATA_AT,
    batchBytesMax: segmentBytes,
    clockMs: () => performance.now(),
    node,
    json: new TextEncoder().encode(JSON.stringify(identity)),
    beginning: SEGMENT_DATA_AT,
    ttlMs,
    ownMs,
    beatMs,
    rankMs: ((node - 1) % RANKS) * RANK_MS,
    jitterMs: () => Math.random() * JITTER_MS,
    partBytes: Math.min(PART_BYTES_MAX, maxPayload - ENVELOPE_BYTES),
    inFlightBytes: IN_FLIGHT_BYTES,
    queueBytes: QUEUE_BYTES,
  });
}

function baseOf(position: Position, known: Position, segmentBytes: number): Position {
  const within = (((position - known) % segmentBytes) + segmentBytes) % segmentBytes;
  return position - within;
}
