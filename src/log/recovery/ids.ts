// Ids of messages in a segment of which all else is known without reading it.

import { RECORD_IDS } from '../../../assembly/layout.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import { TYPE } from '../../core/records/rows.ts';
import { COPIED, HOW_TO_REPAIR, LogError } from '../files/errors.ts';
import type { Files } from '../files/files.ts';
import { type Scannable, type Visitor, walk } from '../scan/scan.ts';

/** Gives the records of ids in a complete segment. Throws LogError if it cannot be read whole. */
export async function readIds(
  files: Files,
  codec: RecordScanner,
  segment: Scannable,
  into: Pick<Visitor, 'record' | 'commit'>,
): Promise<void> {
  const { last, stopped } = await walk(files, codec, segment, 0, {
    record: (rows, at, chunk, bytes) => {
      if (rows[at + TYPE] === RECORD_IDS) into.record(rows, at, chunk, bytes);
    },
    commit: () => into.commit(),
  });
  if (last) return;
  throw new LogError(
    'damaged',
    `${segment.name} is damaged at offset ${stopped}. It says which messages were published lately, and without that they could be stored twice. Nothing was changed. thrustmq log verify says more. Restore the file from a copy, or, ${HOW_TO_REPAIR}. ${COPIED}`,
  );
}
