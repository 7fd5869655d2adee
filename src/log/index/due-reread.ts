// Makes the due times of a complete segment again by reading it: when their file is missing,
// damaged or stale. A mark names its bucket, so that the segment alone is enough.

import { RECORD_DEFERRED, RECORD_HEADER_BYTES, RECORD_PLACED } from '../../../assembly/layout.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import { DueEntries, type DueEntry, emptyDueEntry } from '../../core/records/due.ts';
import { dueOfDeferral, dueOfPlaced } from '../../core/records/due-of.ts';
import { deferralsIn, readHead } from '../../core/records/placed.ts';
import { COUNT, OFFSET, TYPE } from '../../core/records/rows.ts';
import { LogError } from '../files/errors.ts';
import type { Files } from '../files/files.ts';
import type { Throttle } from '../files/throttle.ts';
import { type Scannable, walk } from '../scan/scan.ts';

/**
 * Reads a complete segment; other work has its turn between chunks. Throws LogError
 * `damaged` if it does not read as one, and what the system said.
 */
export async function dueTimesOf(
  files: Files,
  codec: RecordScanner,
  segment: Scannable,
  pace: Throttle,
): Promise<DueEntries> {
  const entries = new DueEntries();
  const entry = emptyDueEntry();
  let staged: DueEntry[] = []; // of the batch that is not complete yet
  const state = await walk(files, codec, segment, 0, {
    record: (words, at, chunk, bytes) => {
      const body = words[at + OFFSET]! + RECORD_HEADER_BYTES;
      if (words[at + TYPE] === RECORD_PLACED) {
        const head = readHead(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), body);
        const position = chunk + words[at + OFFSET]!;
        if (dueOfPlaced(words, at, position, head, entry)) staged.push({ ...entry });
      } else if (words[at + TYPE] === RECORD_DEFERRED) {
        for (const deferral of deferralsIn(bytes, body, words[at + COUNT]!))
          if (dueOfDeferral(deferral, entry)) staged.push({ ...entry });
      }
    },
    commit: () => {
      for (const each of staged) entries.add(each);
      staged = [];
    },
    chunk: () => new Promise((resolve) => pace.next(resolve)),
  });
  if (!state.last)
    throw new LogError('damaged', `${segment.name} does not verify at offset ${state.stopped}`);
  return entries;
}
