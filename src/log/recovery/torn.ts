// Whether what stands behind the last whole batch is a torn end, of which nothing was acked, or
// damage to what was: a record that was written after that had been synced proves damage.

import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import { COPIED, HOW_TO_REPAIR, LogError } from '../files/errors.ts';
import type { Files } from '../files/files.ts';
import { lookBeyond, type Scannable, type Walk } from '../scan/scan.ts';

/** Records behind the last complete batch, none of which was ever acked. */
export interface Torn {
  /** Where they end in their segment; the end of the last complete batch if there are none. */
  end: number;
  /** Bytes of them in later segments, which the weaker sync modes let overtake this one. */
  later: number;
}

/**
 * Looks behind the bad spot of a segment and into `later` ones, for which it is torn. Proofs behind
 * position `syncedTo` are not believed (LogOptions). Throws LogError `damaged`.
 */
export async function proveTorn(
  files: Files,
  codec: RecordScanner,
  segment: Scannable,
  state: Walk,
  later: Scannable[],
  syncedTo = Number.POSITIVE_INFINITY,
): Promise<Torn> {
  const bad = state.stopped;
  const isProvable = segment.base + bad < syncedTo;
  const beyond = await lookBeyond(files, codec, segment, state.committed, bad, state.epoch);
  if (isProvable && beyond.proof >= 0)
    throw damaged(
      segment,
      state,
      `the record at offset ${beyond.proof} behind it was written after it had been synced`,
    );
  const torn: Torn = { end: beyond.end, later: 0 };
  for (const next of later) {
    const found = await lookBeyond(files, codec, next, SEGMENT_DATA_AT, 0, state.epoch);
    if (isProvable && found.proof >= 0)
      throw damaged(
        segment,
        state,
        `${next.name} behind it holds records that were written after it had been synced`,
      );
    torn.later += found.end - SEGMENT_DATA_AT;
  }
  return torn;
}

/** What a start says of damage that `proof` shows to be some. */
export function damaged(segment: Scannable, state: Walk, proof: string): LogError {
  return new LogError(
    'damaged',
    `${segment.name} is damaged at offset ${state.stopped} (log position ${segment.base + state.stopped}, after sequence ${state.sequence}): the bytes there are not what was written and acked; ${proof}. Nothing was changed. thrustmq log verify says more. Restore the file from a copy, or, ${HOW_TO_REPAIR}. ${COPIED}`,
  );
}
