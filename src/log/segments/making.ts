// How a file becomes the next segment: complete, and durably so, before it has its name. And how
// one that is there and empty becomes one of a later version. Which one, and when, others decide.

import { SEGMENT_VERSION_PLACED } from '../../../assembly/layout.ts';
import type { Failure, Position } from '../../core/ports/basics.ts';
import { type Files, type Handle, sequence, writeAll } from '../files/files.ts';
import { encodeHeader, identityOf, segmentName } from './segment.ts';
import type { Spare } from './spares.ts';

/** A segment whose file is open. */
export interface Segment {
  base: Position;
  /** Size of the file. */
  bytes: number;
  /** Where the next segment begins: behind the file's last byte, or further on if it is compacted. */
  end: Position;
  handle: Handle;
  /** Tells it from one that had its name before (segment.ts). */
  identity: number;
  /** Whether it may hold records of types 7 to 10, as its header says; absent: no. */
  places?: boolean;
  /** Reads under way; the file is not closed or used again before they end. */
  reads: number;
  /** Given back: goes when the reads are over. */
  retired: boolean;
  /** Its file has no name that may be taken away: it is only closed. */
  nameless?: boolean;
  /** Called when its file is gone, or is a spare. */
  gone?: () => void;
}

export interface MakingOptions {
  files: Files;
  logId: bigint;
  /** What headers say: none may be above that of a record behind it. */
  epoch: () => number;
  wallMs: () => number;
}

/** What the header of a segment says. */
export interface Place {
  base: Position;
  /** Oldest position that the log needs. */
  start: Position;
  /** Whether it may hold records of types 7 to 10. */
  places: boolean;
}

type Steps = ((done: (failure: Failure) => void) => void)[];

function headerOf(options: MakingOptions, { base, start, places }: Place, bytes: number) {
  const { logId, epoch, wallMs } = options;
  const version = places ? { version: SEGMENT_VERSION_PLACED } : {};
  return encodeHeader({ base, bytes, start, logId, timeMs: wallMs(), epoch: epoch(), ...version });
}

/** Makes a segment of a file full of zeros or old records; after a failure that is as it is. */
export function makeSegment(
  options: MakingOptions,
  { handle, name, bytes }: Spare,
  place: Place,
  done: (failure: Failure, made?: Segment) => void,
): void {
  const { files } = options;
  const { base, places } = place;
  const header = headerOf(options, place, bytes);
  const steps: Steps = [
    (next) => writeAll(files, handle, [header], 0, next),
    (next) => files.sync(handle, next),
    (next) => files.rename(name, segmentName(base), next),
    (next) => files.syncDirectory(next),
  ];
  sequence(steps, (failure) => {
    if (failure !== undefined) return done(failure);
    const identity = identityOf(header);
    const end = base + bytes;
    done(undefined, { base, bytes, end, handle, identity, places, reads: 0, retired: false });
  });
}

/**
 * Lets an empty segment hold records of types 7 to 10: its header is written again and synced. The
 * header lies in one sector, so a crash leaves the old or the new one. After a failure nobody knows
 * which it is: as the segment holds nothing, it is removed.
 */
export function raiseSegment(
  options: MakingOptions,
  segment: Segment,
  start: Position,
  done: (failure: Failure) => void,
): void {
  const { files } = options;
  const { base, bytes, handle } = segment;
  const header = headerOf(options, { base, start, places: true }, bytes);
  const steps: Steps = [
    (next) => writeAll(files, handle, [header], 0, next),
    (next) => files.sync(handle, next),
  ];
  sequence(steps, (failure) => {
    if (failure !== undefined) {
      files.close(handle, () => files.remove(segmentName(base), () => done(failure)));
      return;
    }
    segment.identity = identityOf(header);
    segment.places = true;
    done(undefined);
  });
}
