// Packs messages that are in the log already as messages of another line, into the open batch.

import { RESULT_PAYLOAD } from '../../../assembly/layout.ts';
import { FORM_SETTLES } from '../../../assembly/layout-placed.ts';
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
 * is to be asked for again: another segment may be open by then.
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
