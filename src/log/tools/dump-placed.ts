// The records from placed on in words, for dump.ts.

import {
  CAUSE_FAILED,
  CAUSE_LEASE_OVER,
  CAUSE_LINK_LOST,
  CAUSE_RELEASED,
  PRODUCER_BYTES,
  PRODUCER_NUMBER_AT,
  PRODUCER_TIME_AT,
} from '../../../assembly/layout-placed.ts';
import { KIND_NAMES, REASON_NAMES } from '../../core/records/names.ts';
import { type Deferral, kindOf, readHead, settlesFrom } from '../../core/records/placed.ts';
import { COUNT } from '../../core/records/rows.ts';

export interface PlacedEntry {
  kind: string;
  /** ISO 8601. */
  due?: string;
  expires?: string;
  published?: string;
  moved?: string;
  reason?: string;
  /** Where they came from, and whether this record settles them there. */
  from?: {
    bucket: string;
    kind: string;
    firstSequence: string;
    lastSequence: string;
    attempts: number;
    settled: boolean;
  };
  turn?: number;
  level?: number;
  hops?: number;
}

export interface DeferralEntry {
  bucket: string;
  kind: string;
  sequence: string;
  count: number;
  turn: number;
  due?: string;
  attempts: number;
  level: number;
  cause?: string;
}

export interface ProducerEntry {
  /** Hexadecimal. */
  id: string;
  number: string;
  time: string;
}

const CAUSES: Record<number, string> = {
  [CAUSE_FAILED]: 'failed',
  [CAUSE_RELEASED]: 'released',
  [CAUSE_LINK_LOST]: 'link lost',
  [CAUSE_LEASE_OVER]: 'lease over',
};

/** A time of a record; it may hold any number, and only some of them are dates. */
export function timeOf(ms: bigint): string {
  const date = new Date(Number(ms));
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString();
}

/** The head of the placed record in the row that starts at word `at`; its body is at `body`. */
export function placedEntry(
  rows: Uint32Array,
  at: number,
  bytes: Uint8Array,
  body: number,
): PlacedEntry {
  const head = readHead(new DataView(bytes.buffer, bytes.byteOffset), body);
  const entry: PlacedEntry = { kind: KIND_NAMES[kindOf(rows, at)]! };
  const times = { due: head.dueMs, expires: head.expiresMs, published: head.publishedMs };
  for (const [name, ms] of Object.entries({ ...times, moved: head.movedMs }))
    if (ms > 0) entry[name as 'due'] = timeOf(BigInt(ms));
  if (head.reason > 0) entry.reason = REASON_NAMES[head.reason]!;
  for (const name of ['turn', 'level', 'hops'] as const)
    if (head[name] > 0) entry[name] = head[name];
  if (head.from > 0)
    entry.from = {
      bucket: String(head.fromBucket),
      kind: KIND_NAMES[head.fromKind]!,
      firstSequence: String(head.from),
      lastSequence: String(head.from + rows[at + COUNT]! - 1),
      attempts: head.fromAttempts,
      settled: settlesFrom(rows, at),
    };
  return entry;
}

/** The same, behind what a line says of any record of messages. */
export function placedText({ kind, from, ...said }: PlacedEntry): string {
  const words = Object.entries(said).map(([name, value]) => ` ${name} ${value}`);
  const origin =
    from === undefined
      ? ''
      : ` from ${from.kind} bucket ${from.bucket} sequences ${from.firstSequence}-${from.lastSequence} attempts ${from.attempts}${from.settled ? ' settled' : ''}`;
  return ` kind ${kind}${words.join('')}${origin}`;
}

export function deferralEntry(deferral: Deferral): DeferralEntry {
  const { bucket, kind, sequence, count, turn, dueMs, attempts, level, cause } = deferral;
  return {
    bucket: String(bucket),
    kind: KIND_NAMES[kind]!,
    sequence: String(sequence),
    count,
    turn,
    ...(dueMs === 0 ? {} : { due: timeOf(BigInt(dueMs)) }),
    attempts,
    level,
    ...(cause === 0 ? {} : { cause: CAUSES[cause]! }),
  };
}

export function deferralText(entry: DeferralEntry): string {
  const { bucket, kind, sequence, count, turn, due, attempts, level, cause } = entry;
  const last = BigInt(sequence) + BigInt(count) - 1n;
  const rest = `${due === undefined ? '' : ` due ${due}`}${cause === undefined ? '' : ` ${cause}`}`;
  return `bucket ${bucket} kind ${kind} sequences ${sequence}-${last} turn ${turn} attempts ${attempts} level ${level}${rest}`;
}

export function producersOf(bytes: Uint8Array, body: number, count: number): ProducerEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Array.from({ length: count }, (_, i) => {
    const at = body + i * PRODUCER_BYTES;
    const id = bytes.subarray(at, at + PRODUCER_NUMBER_AT);
    return {
      id: Array.from(id, (byte) => byte.toString(16).padStart(2, '0')).join(''),
      number: String(view.getBigUint64(at + PRODUCER_NUMBER_AT, true)),
      time: timeOf(view.getBigUint64(at + PRODUCER_TIME_AT, true)),
    };
  });
}

export function producerText({ id, number, time }: ProducerEntry): string {
  return `producer ${id} number ${number} time ${time}`;
}
