// How long a consumer may take: for its header, to ack a heartbeat, and how long both sides may be
// silent before a heartbeat is due. What it holds it may hold for ever, or for as long as lease.ts
// says.

import { BATCH_HEADER_BYTES, WIRE_U32, WIRE_U64 } from '../../../assembly/layout.ts';
import type { Limits } from '../limits.ts';

export type ConsumerState = 'header' | 'waiting' | 'unacked' | 'heartbeat' | 'closed';

// Heartbeats of so long leave together, so that the process is woken once for all of them.
const TOGETHER_MS = 100;
// A batch of one message of no bytes, for all consumers of a dialect: nobody changes it.
const HEARTBEAT_U32 = Uint8Array.of(1, ...new Uint8Array(BATCH_HEADER_BYTES + WIRE_U32 - 1));
const HEARTBEAT_U64 = Uint8Array.of(1, ...new Uint8Array(BATCH_HEADER_BYTES + WIRE_U64 - 1));

/** The heartbeat of a dialect. */
export function heartbeatOf(wire: number): Uint8Array {
  return wire === WIRE_U32 ? HEARTBEAT_U32 : HEARTBEAT_U64;
}

/** Until when a state may last that nothing was sent in since `sinceMs`; Infinity: for ever. */
export function endsMs(state: ConsumerState, sinceMs: number, limits: Limits): number {
  if (state === 'waiting') return sinceMs + limits.heartbeatMs;
  if (state === 'header') return sinceMs + limits.consumerHeaderMs;
  if (state === 'heartbeat') return sinceMs + limits.heartbeatAckMs;
  return Number.POSITIVE_INFINITY;
}

/** When to look whether a state has lasted too long that may last until `ms`. */
export function lookMs(state: ConsumerState, ms: number): number {
  return state === 'waiting' ? Math.ceil(ms / TOGETHER_MS) * TOGETHER_MS : ms + 1;
}
