// Which of the batches that came are written together: each is looked at behind the one before it,
// and its bytes stand in the ring, where they are written from, only if it holds.

import type { Position } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import type { Resume } from '../../core/ports/journal.ts';
import type { LogOptions } from '../recovery/log-options.ts';
import { segmentName } from '../segments/segment.ts';
import { checkBatch, type FollowedBatch, type Said } from './batch.ts';
import type { EndlessReplay } from './replay.ts';

/** More is not written together, unless it is one batch. */
const TOGETHER_BYTES = 4 * 1024 * 1024;

/** Batches that are written together, and what the last of them says. */
export interface Group extends Said {
  /** Of the first. */
  readonly position: Position;
  /** Of all. */
  readonly bytes: number;
  readonly count: number;
  readonly epoch: number;
}

/** The log behind which they come: where it ends, and whether it has any batch. */
interface Behind {
  readonly resume: Resume;
  readonly isBegun: boolean;
}

/**
 * Gives the first of `batches`, and those behind it that can go with it: of the same segment. Their
 * records are staged in `replay`. Throws LogError, as checkBatch does, if the first does not hold;
 * then nothing has changed.
 */
export function gather(
  batches: readonly FollowedBatch[],
  codec: LogOptions['codec'],
  replay: EndlessReplay,
  behind: Behind,
): Group {
  const { base, offset, epoch, sequence } = behind.resume;
  const none = { bytes: 0, count: 0, trim: 0, last: false };
  let group: Group = { ...none, position: base + offset, epoch, sequence };
  for (const batch of batches) {
    const isFirst = group.count === 0;
    if (group.last || (!isFirst && group.bytes + batch.bytes.length > TOGETHER_BYTES)) break;
    try {
      if (!isFirst) replay.builder.whole();
      group = withNext(group, batch, codec, replay, behind);
    } catch (error) {
      replay.drop();
      if (isFirst) throw error;
      break; // it is the first of the next call, which tells
    }
  }
  return group;
}

function withNext(
  group: Group,
  batch: FollowedBatch,
  codec: RecordScanner & Pick<LogOptions['codec'], 'coldBytes'>,
  replay: EndlessReplay,
  { resume, isBegun }: Behind,
): Group {
  const { base, segmentBytes, places = false } = resume;
  const { epoch, sequence, count } = group;
  const { length } = batch.bytes;
  const end = group.position + group.bytes;
  const fits = batch.position === end && end + length <= base + segmentBytes;
  const place = codec.coldBytes + end - base;
  if (fits) codec.memory.set(batch.bytes, place);
  const segment = { name: segmentName(base), base, bytes: segmentBytes, places };
  const before = { segment, end, epoch, sequence, isBegun: isBegun || count > 0 };
  try {
    const said = checkBatch(codec, place, batch, before, replay);
    const trim = Math.max(group.trim, said.trim);
    const bytes = group.bytes + length;
    return { ...group, ...said, trim, count: count + 1, bytes, epoch: batch.epoch };
  } catch (error) {
    if (fits) codec.memory.fill(0, place, place + length);
    throw error;
  }
}
