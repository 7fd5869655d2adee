// What records say beyond messages and marks (layout-placed.ts), as objects: the head of a
// placed record and the marks of deferrals. Read where the bytes stand, which a scan has verified.

import { MESSAGE_SIZE_BYTES, RECORD_MESSAGES, RECORD_PLACED } from '../../../assembly/layout.ts';
import {
  DEFERRAL_ATTEMPTS_AT,
  DEFERRAL_BUCKET_AT,
  DEFERRAL_BYTES,
  DEFERRAL_CAUSE_AT,
  DEFERRAL_COUNT_AT,
  DEFERRAL_DUE_AT,
  DEFERRAL_KIND_AT,
  DEFERRAL_LEVEL_AT,
  DEFERRAL_SEQUENCE_AT,
  DEFERRAL_TURN_AT,
  FIELDS_SIZE_BYTES,
  FORM_FIELDS,
  FORM_SETTLES,
  HEAD_BYTES,
  HEAD_DUE_AT,
  HEAD_EXPIRES_AT,
  HEAD_FROM_AT,
  HEAD_FROM_ATTEMPTS_AT,
  HEAD_FROM_BUCKET_AT,
  HEAD_FROM_KIND_AT,
  HEAD_HOPS_AT,
  HEAD_LEVEL_AT,
  HEAD_MOVED_AT,
  HEAD_PUBLISHED_AT,
  HEAD_REASON_AT,
  HEAD_TURN_AT,
} from '../../../assembly/layout-placed.ts';
import { FLAGS, join, TYPE } from './rows.ts';

const TWO_32 = 2 ** 32;

/** What all messages of a placed record share. Times are ms since 1970, 0: none. */
export interface Head {
  dueMs: number;
  expiresMs: number;
  publishedMs: number;
  /** Sequence of the first before they were moved; 0: they were not. */
  from: number;
  fromBucket: bigint;
  movedMs: number;
  turn: number;
  fromAttempts: number;
  /** A REASON of layout-placed.ts. */
  reason: number;
  fromKind: number;
  hops: number;
  level: number;
  /** Not in the head: what the record's message says, of a settings line. */
  text?: string;
}

export const NO_HEAD: Head = {
  dueMs: 0,
  expiresMs: 0,
  publishedMs: 0,
  from: 0,
  fromBucket: 0n,
  movedMs: 0,
  turn: 0,
  fromAttempts: 0,
  reason: 0,
  fromKind: 0,
  hops: 0,
  level: 0,
};

/** The head that begins at offset `at` of a view. */
export function readHead(view: DataView, at: number): Head {
  return {
    dueMs: numberAt(view, at + HEAD_DUE_AT),
    expiresMs: numberAt(view, at + HEAD_EXPIRES_AT),
    publishedMs: numberAt(view, at + HEAD_PUBLISHED_AT),
    from: numberAt(view, at + HEAD_FROM_AT),
    fromBucket: view.getBigUint64(at + HEAD_FROM_BUCKET_AT, true),
    movedMs: numberAt(view, at + HEAD_MOVED_AT),
    turn: view.getUint32(at + HEAD_TURN_AT, true),
    fromAttempts: view.getUint16(at + HEAD_FROM_ATTEMPTS_AT, true),
    reason: view.getUint8(at + HEAD_REASON_AT),
    fromKind: view.getUint8(at + HEAD_FROM_KIND_AT),
    hops: view.getUint8(at + HEAD_HOPS_AT),
    level: view.getUint8(at + HEAD_LEVEL_AT),
  };
}

/** Writes a head at offset `at` of a view; HEAD_BYTES. */
export function writeHead(view: DataView, at: number, head: Head): void {
  new Uint8Array(view.buffer, view.byteOffset + at, HEAD_BYTES).fill(0);
  setNumber(view, at + HEAD_DUE_AT, head.dueMs);
  setNumber(view, at + HEAD_EXPIRES_AT, head.expiresMs);
  setNumber(view, at + HEAD_PUBLISHED_AT, head.publishedMs);
  setNumber(view, at + HEAD_FROM_AT, head.from);
  view.setBigUint64(at + HEAD_FROM_BUCKET_AT, head.fromBucket, true);
  setNumber(view, at + HEAD_MOVED_AT, head.movedMs);
  view.setUint32(at + HEAD_TURN_AT, head.turn, true);
  view.setUint16(at + HEAD_FROM_ATTEMPTS_AT, head.fromAttempts, true);
  view.setUint8(at + HEAD_REASON_AT, head.reason);
  view.setUint8(at + HEAD_FROM_KIND_AT, head.fromKind);
  view.setUint8(at + HEAD_HOPS_AT, head.hops);
  view.setUint8(at + HEAD_LEVEL_AT, head.level);
}

/** Whether a head says nothing: its messages could as well stand in a record of messages. */
export function isEmptyHead(head: Head): boolean {
  return Object.values(head).every((value) => Number(value) === 0);
}

/** Messages that are not ready before a time, or only apart from others. */
export interface Deferral {
  /** Sequence of the first, and how many neighbours. */
  sequence: number;
  count: number;
  turn: number;
  /** Ms since 1970; 0: at once. */
  dueMs: number;
  bucket: bigint;
  attempts: number;
  kind: number;
  level: number;
  /** A CAUSE of layout-placed.ts, or 0. */
  cause: number;
}

/** The `count` deferrals of a record whose body begins at offset `body` of `bytes`. */
export function deferralsIn(bytes: Uint8Array, body: number, count: number): Deferral[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset + body, count * DEFERRAL_BYTES);
  return Array.from({ length: count }, (_, i) => {
    const at = i * DEFERRAL_BYTES;
    return {
      sequence: numberAt(view, at + DEFERRAL_SEQUENCE_AT),
      count: view.getUint32(at + DEFERRAL_COUNT_AT, true),
      turn: view.getUint32(at + DEFERRAL_TURN_AT, true),
      dueMs: numberAt(view, at + DEFERRAL_DUE_AT),
      bucket: view.getBigUint64(at + DEFERRAL_BUCKET_AT, true),
      attempts: view.getUint16(at + DEFERRAL_ATTEMPTS_AT, true),
      kind: view.getUint8(at + DEFERRAL_KIND_AT),
      level: view.getUint8(at + DEFERRAL_LEVEL_AT),
      cause: view.getUint8(at + DEFERRAL_CAUSE_AT),
    };
  });
}

/** Writes a deferral as the `i`-th mark of a view. */
export function writeDeferral(view: DataView, i: number, deferral: Deferral): void {
  const at = i * DEFERRAL_BYTES;
  new Uint8Array(view.buffer, view.byteOffset + at, DEFERRAL_BYTES).fill(0);
  setNumber(view, at + DEFERRAL_SEQUENCE_AT, deferral.sequence);
  view.setUint32(at + DEFERRAL_COUNT_AT, deferral.count, true);
  view.setUint32(at + DEFERRAL_TURN_AT, deferral.turn, true);
  setNumber(view, at + DEFERRAL_DUE_AT, deferral.dueMs);
  view.setBigUint64(at + DEFERRAL_BUCKET_AT, deferral.bucket, true);
  view.setUint16(at + DEFERRAL_ATTEMPTS_AT, Math.min(deferral.attempts, 0xffff), true);
  view.setUint8(at + DEFERRAL_KIND_AT, deferral.kind);
  view.setUint8(at + DEFERRAL_LEVEL_AT, deferral.level);
  view.setUint8(at + DEFERRAL_CAUSE_AT, deferral.cause);
}

/** Kind of the line of the record in the row that starts at word `at`: 0 but for placed ones. */
export function kindOf(words: Uint32Array, at: number): number {
  return (words[at + FLAGS]! >>> 8) & 0xff;
}

/** Form of the record in the row that starts at word `at`: 0 but for placed ones. */
export function formOf(words: Uint32Array, at: number): number {
  return (words[at + FLAGS]! >>> 16) & 0xff;
}

/** Whether the record in the row that starts at word `at` settles what it was made of. */
export function settlesFrom(words: Uint32Array, at: number): boolean {
  return (formOf(words, at) & FORM_SETTLES) !== 0;
}

/** Whether records of a type hold messages. */
export function holdsMessages(type: number): boolean {
  return type === RECORD_MESSAGES || type === RECORD_PLACED;
}

/** Bytes of a row's body in front of its first message. */
export function headBytesOf(words: Uint32Array, at: number): number {
  return words[at + TYPE] === RECORD_PLACED ? HEAD_BYTES : 0;
}

/** Whether the messages of the record in the row that starts at word `at` have fields. */
export function hasFields(words: Uint32Array, at: number): boolean {
  return (formOf(words, at) & FORM_FIELDS) !== 0;
}

/** Where what was published of the message at `at` of a body begins. */
export function bytesAt(view: DataView, at: number, fields: boolean): number {
  const from = at + MESSAGE_SIZE_BYTES;
  return fields ? from + FIELDS_SIZE_BYTES + view.getUint16(from, true) : from;
}

function numberAt(view: DataView, at: number): number {
  return join(view.getUint32(at, true), view.getUint32(at + 4, true));
}

function setNumber(view: DataView, at: number, number: number): void {
  view.setUint32(at, number % TWO_32, true);
  view.setUint32(at + 4, Math.floor(number / TWO_32), true);
}
