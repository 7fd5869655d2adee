// What the broker tells its operator of trouble, in words: what happened, to what, and what to do.

import type { Slice } from '../buckets/slice.ts';
import type { Limits } from '../limits.ts';
import type { Position } from '../ports/basics.ts';
import { formatDuration, formatSize } from '../text/units.ts';

type AdmissionLimits = Pick<Limits, 'connectionsMax' | 'connectionsPerAddressMax'>;

/** A connection was turned away. */
export function refused(
  peer: string,
  refusal: 'full' | 'address' | 'suspended',
  limits: AdmissionLimits,
): string {
  const { connectionsMax, connectionsPerAddressMax } = limits;
  const why = {
    full: `${connectionsMax} connections are open, the limit (--max-connections)`,
    address: `${connectionsPerAddressMax} connections from that address are open, the limit for one (--max-connections-per-address)`,
    suspended: 'this node cannot confirm that it still owns the log, and delivers nothing for now',
  }[refusal];
  return `connection from ${peer} refused: ${why}`;
}

/** An owner that can confirm nothing delivers nothing. */
export function suspended(consumers: number): string {
  return `this node cannot confirm that it still owns the log: nothing is delivered until it can. ${consumers} consumers are closed; what they held is ready again, and no attempt is charged. Producers stay connected. Look at the servers of the stream and at the network to them`;
}

/** It is confirmed again. */
export function goesOn(): string {
  return 'this node owns the log, as was confirmed just now: deliveries go on';
}

/** A consumer held messages of a bucket, and was silent for the `ms` of its lease. */
export function leaseOver(peer: string, count: number, bucket: string, ms: number): string {
  return `consumer ${peer} closed: it held ${count} messages of bucket ${bucket} and sent nothing for ${formatDuration(ms)}, the lease that a rule sets. They are ready for others. If it was at work, let it ack each message as soon as that is done, send 0xFF meanwhile, or take fewer at once; or make the lease longer: thrustmq rule explain ${bucket}`;
}

/** So many ids of messages fill the memory that they may take. */
export function idsFull(count: number, bytes: number): string {
  return `messages are refused where a rule says dedup: ${count} ids in their windows fill the ${formatSize(bytes)} that they may take. Give the broker more memory (--memory), or make windows shorter`;
}

/** Nobody can tell whether messages are new. */
export const IDS_UNREADABLE =
  'messages are refused where a rule says dedup: the ids of earlier ones cannot be read back from disk, so that they may be stored already. Check the disk; the next start makes these ids again from the log';

/** The index of a segment cannot be written. */
export function notIndexed(base: Position, failure: Error): string {
  return `the index of the segment at position ${base} cannot be written: ${failure.message}. What it would hold stays in memory, and producers are held back when that is too much; it is tried again each second`;
}

/** What an index says of a bucket cannot be had. */
export function notFound(bucket: string, base: Position, failure: Error): string {
  return `what waits for bucket ${bucket} in the segment at log position ${base} cannot be found: ${failure.message}. It is left out until the next start; its bytes stay in the log. Check the disk, then run: thrustmq log verify`;
}

/** Nobody can tell which buckets have messages in a segment. */
export function notSearched(base: Position, failure: Error): string {
  return `what waits for virtual buckets in the segment at log position ${base} cannot be found: ${failure.message}. It is given out when its own bucket is asked for; its bytes stay in the log. Check the disk, then run: thrustmq log verify`;
}

/** Messages cannot be read back. */
export function unreadable(bucket: string, part: Slice, failure: Error): string {
  const { count, sequence, position } = part;
  return `${count} messages of bucket ${bucket} (sequences ${sequence} to ${sequence + count - 1}, log position ${position}) cannot be read: ${failure.message}. They are set aside until the next start; their bytes stay in the log. Check the disk, then run: thrustmq log verify`;
}

/** Due times of a segment cannot be read, nor made again. */
export function dueUnreadable(base: Position, failure: Error): string {
  return `what waits for a time by the segment at log position ${base} cannot be found: ${failure.message}. It is late, not lost; it is tried again each second`;
}

/** Messages waited, and nothing said until when. */
export function dueMissing(messages: number): string {
  return `${messages} messages were to wait for a time that is not in the log any more: they are ready now. This should not happen; please report it`;
}

/** The wall clock jumped. */
export function clockJumped(byMs: number): string {
  const way = byMs > 0 ? 'forward' : 'back';
  const seconds = (Math.abs(byMs) / 1000).toFixed(1);
  return `the clock went ${way} by ${seconds} s: messages that wait for a time are ready when it shows that time`;
}

/** Segments cannot be made smaller for now. */
export function notCompacted(failure: Error): string {
  return `segments could not be compacted: ${failure.message}. They stay as they are; it is tried again`;
}
