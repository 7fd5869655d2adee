// Packs a message that the broker itself writes into the open batch: its bytes come from no
// producer, and from no record.

import {
  MESSAGE_SIZE_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_PLACED,
  RECORD_TYPE_AT,
} from '../../../assembly/layout.ts';
import { FORM_SETTLES, HEAD_BYTES } from '../../../assembly/layout-placed.ts';
import { type Head, writeHead } from '../records/placed.ts';
import type { Commit } from './commit.ts';
import { recordBytes } from './cost.ts';
import type { CommitOptions } from './options.ts';
import type { PlacingCommit } from './placing.ts';

/** A message of the broker's own. */
export interface OwnMessage {
  /** The halves of the bucket's id, and the kind of its line (layout.ts). */
  low: number;
  high: number;
  kind: number;
  head: Head;
  /** Whether the message that the head says it comes from is settled with this. */
  settles: boolean;
  /** What it says: ASCII. */
  text: string;
}

export type StoringCommit = PlacingCommit & Pick<Commit, 'refuses' | 'makeRoom'>;

/** Bytes that its record takes in the log. */
export function storedBytes({ text }: Pick<OwnMessage, 'text'>): number {
  return recordBytes(1, text.length, HEAD_BYTES);
}

/**
 * Packs a message. False: there is no room for it, or not yet; see `makeRoom` of Commit. It counts
 * as none that was published.
 */
export function store(
  commit: PlacingCommit,
  codec: CommitOptions['codec'],
  message: OwnMessage,
): boolean {
  if (!commit.mayPlace()) return false;
  const limit = commit.allow();
  const at = codec.writeAt();
  // Beyond the limit the ring still holds bytes of the segment before.
  if (at + storedBytes(message) > limit) return false;
  const { low, high, kind, head, settles, text } = message;
  const bodyBytes = HEAD_BYTES + MESSAGE_SIZE_BYTES + text.length;
  const place = codec.coldBytes + at;
  const bytes = codec.memory.subarray(place, place + RECORD_HEADER_BYTES + bodyBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // It is made where it goes, as if it were a placed record, and placed onto itself.
  bytes.fill(0, 0, RECORD_HEADER_BYTES);
  view.setUint8(RECORD_TYPE_AT, RECORD_PLACED);
  const size = RECORD_HEADER_BYTES + HEAD_BYTES;
  view.setUint32(size, text.length, true);
  for (let i = 0; i < text.length; i++) bytes[size + MESSAGE_SIZE_BYTES + i] = text.charCodeAt(i);
  writeHead(codec.marks, 0, head);
  const form = settles ? FORM_SETTLES : 0;
  const body = place + RECORD_HEADER_BYTES;
  if (!codec.place(body, bodyBytes, 0, 1, low, high, kind, form, 0)) return false;
  commit.packed(1, 0, 0, { ...head, text });
  return true;
}

/**
 * Packs a message, into another segment if it has to. 'wait': there is no room just now, and
 * `roomAgain` will come; 'full': the disk is, for as long as it takes; 'large': no segment holds it.
 */
export function storeAnywhere(
  commit: StoringCommit,
  codec: CommitOptions['codec'],
  message: OwnMessage,
): 'stored' | 'wait' | 'full' | 'large' {
  if (commit.refuses) return 'full';
  if (!commit.mayPlace()) return 'wait';
  for (let segments = 0; !store(commit, codec, message); segments++) {
    const room = commit.makeRoom();
    if (room === 'wait') return 'wait';
    if (room === 'refuse') return 'full';
    if (segments > 0) return 'large';
  }
  return 'stored';
}
