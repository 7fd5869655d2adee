// Packs messages that are in the log already as messages of another line, into the open batch.

import {
  MESSAGE_SIZE_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_PLACED,
  RECORD_TYPE_AT,
  RESULT_PAYLOAD,
} from '../../../assembly/layout.ts';
import { FORM_SETTLES, HEAD_BYTES } from '../../../assembly/layout-placed.ts';
import { type Head, writeHead } from '../records/placed.ts';
import type { Commit } from './commit.ts';
import type { CommitOptions } from './options.ts';

/** Messages on their way to another line. */
export interface Move {
  /** Which of the record's messages. */
  first: number;
  count: number;
  /** The halves of the bucket's id that they go to, and the kind of its line (layout-placed.ts). */
  low: number;
  high: number;
  kind: number;
  head: Head;
  /** Whether what they were before is settled with this. */
  settles: boolean;
  attempts: number;
}

export type PlacingCommit = Pick<Commit, 'mayPlace' | 'allow' | 'packed'>;

/**
 * Packs messages of the verified record whose body is at place `body`, behind the move's head. False:
 * there is no room for them, or not yet; see `makeRoom` of Commit. Before it is tried again the place
 * is to be asked for again: another segment may be open by then. The record is none of an earlier
 * segment in the ring, where the move is written.
 */
export function place(
  commit: PlacingCommit,
  codec: CommitOptions['codec'],
  body: number,
  bodyBytes: number,
  move: Move,
): boolean {
  if (!commit.mayPlace()) return false;
  const { head, first, count, low, high, kind, settles, attempts } = move;
  commit.allow();
  writeHead(codec.marks, 0, head);
  const form = settles ? FORM_SETTLES : 0;
  if (!codec.place(body, bodyBytes, first, count, low, high, kind, form, attempts)) return false;
  commit.packed(1, count, codec.result[RESULT_PAYLOAD]!, head);
  return true;
}

/** Room for messages; `alone`: the first may be larger. */
export interface Room {
  messages: number;
  bytes: number;
  alone: boolean;
}

/**
 * How many messages of a verified record, of `count` from its `first` on, fit into a room, and how
 * many bytes they have, with their fields.
 */
export function fitting(
  record: DataView,
  { first, count: all }: { first: number; count: number },
  room: Room,
): [count: number, bytes: number] {
  const isPlaced = record.getUint8(RECORD_TYPE_AT) === RECORD_PLACED;
  let at = RECORD_HEADER_BYTES + (isPlaced ? HEAD_BYTES : 0);
  for (let i = 0; i < first; i++) at += MESSAGE_SIZE_BYTES + record.getUint32(at, true);
  const most = Math.min(all, room.messages);
  let [count, bytes] = [0, 0];
  while (count < most) {
    const size = record.getUint32(at, true);
    if (bytes + size > room.bytes && !(room.alone && count === 0)) break;
    bytes += size;
    count++;
    at += MESSAGE_SIZE_BYTES + size;
  }
  return [count, bytes];
}

/** What is in both rooms. */
export function lesser(than: Room, room: Pick<Room, 'messages' | 'bytes'>): Room {
  const messages = Math.min(room.messages, than.messages);
  const bytes = Math.min(room.bytes, than.bytes);
  return { messages, bytes, alone: than.alone && than.bytes <= room.bytes };
}
