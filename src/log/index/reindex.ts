// Makes the entries of a complete segment again by reading it: when its index on disk is missing,
// damaged or stale.

import { RECORD_MESSAGES, RECORD_PLACED } from '../../../assembly/layout.ts';
import type { EntrySource } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import { kindOf } from '../../core/records/placed.ts';
import {
  ATTEMPTS,
  BODY_BYTES,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  OFFSET,
  ROW_WORDS,
  RowList,
  sequenceOf,
  TYPE,
} from '../../core/records/rows.ts';
import { LogError } from '../files/errors.ts';
import type { Files } from '../files/files.ts';
import type { Throttle } from '../files/throttle.ts';
import { type Scannable, walk } from '../scan/scan.ts';

/**
 * Reads a complete segment; other work has its turn between chunks. Throws LogError
 * `damaged` if it does not read as one, and what the system said.
 */
export async function entriesOf(
  files: Files,
  codec: RecordScanner,
  segment: Scannable,
  pace: Throttle,
): Promise<EntrySource> {
  const rows = new RowList();
  const positions: number[] = [];
  let committed = 0;
  const state = await walk(files, codec, segment, 0, {
    record: (words, at, chunk) => {
      const type = words[at + TYPE];
      if (type !== RECORD_MESSAGES && type !== RECORD_PLACED) return;
      rows.add(words.subarray(at, at + ROW_WORDS), 1);
      positions.push(chunk + words[at + OFFSET]!);
    },
    commit: () => {
      committed = rows.count;
    },
    chunk: () => new Promise((resolve) => pace.next(resolve)),
  });
  if (!state.last)
    throw new LogError('damaged', `${segment.name} does not verify at offset ${state.stopped}`);
  const { words } = rows;
  return {
    count: committed,
    lines: {
      bucketLow: (i) => words[i * ROW_WORDS + BUCKET_LOW]!,
      bucketHigh: (i) => words[i * ROW_WORDS + BUCKET_HIGH]!,
      kind: (i) => kindOf(words, i * ROW_WORDS),
    },
    sequence: (i) => sequenceOf(words, i * ROW_WORDS),
    position: (i) => positions[i]!,
    messages: (i) => words[i * ROW_WORDS + COUNT]!,
    bodyBytes: (i) => words[i * ROW_WORDS + BODY_BYTES]!,
    attempts: (i) => words[i * ROW_WORDS + ATTEMPTS]!,
  };
}
