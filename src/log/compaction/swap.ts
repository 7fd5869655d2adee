// The files of a compaction: where it writes, how its result takes the place of what it stands for,
// and how it is given up. The steps are drawn in compact.ts.

import type { EntrySource, Position } from '../../core/ports/basics.ts';
import type { DueSource } from '../../core/records/due.ts';
import type { Files, Handle } from '../files/files.ts';
import { settle } from '../files/promises.ts';
import { COMPACT_NAME, segmentName } from '../segments/segment.ts';
import type { Spare } from '../segments/spares.ts';

/** A compacted segment: complete and synced, but not part of the log before `swap`. */
export interface Compacted {
  handle: Handle;
  /** Its file's name before `swap`. */
  name: string;
  /** Whether that file was a spare, and is larger than needed. */
  spare: boolean;
  base: Position;
  /** Size of the segment. */
  bytes: number;
  /** Position at which the next segment begins. */
  end: Position;
  /** Checksum of its header: tells it from what had its name before. */
  identity: number;
  /** Whether it holds records of types 7 to 10. */
  places: boolean;
  /** Where each message that was kept stands now, in order. */
  entries: EntrySource;
  /** What its records say of times. */
  due: DueSource;
  liveMessages: number;
  /** Sizes of the bodies of their records. */
  liveBytes: number;
  /** Names of the segments that it stands for, but for the first, whose name it takes. */
  replaced: string[];
}

/**
 * Gives the new segment its name. From here on it is the one that a start finds, unless power is
 * lost before the folder is synced: then it is the old ones, which say the same. If it throws, the
 * log is what it was and the new file is gone.
 */
export async function swap(files: Files, made: Compacted): Promise<void> {
  try {
    await settle((done) => files.rename(made.name, segmentName(made.base), done));
  } catch (error) {
    await drop(files, made.name, made.handle);
    throw error;
  }
}

/**
 * Makes the new name durable, then gives back the rest of its file and the other files that the
 * segment stands for. If it throws, the log is whole; it may be called again until it succeeds.
 * Before that the new segment should not be given back. Closing the old handles is up to the caller
 * and `remove`, which is to take a name away durably.
 */
export async function removeReplaced(
  files: Files,
  made: Compacted,
  remove = (name: string) => removeIfThere(files, name),
): Promise<void> {
  const { handle, bytes, replaced, spare } = made;
  await settle((done) => files.syncDirectory(done));
  // Not before: until now the file could have become a spare again.
  if (spare) await settle((done) => files.truncate(handle, bytes, done));
  await Promise.all(replaced.map(remove));
  await settle((done) => files.syncDirectory(done));
}

/** Gives up a segment that was made, before `swap`. */
export async function abandon(files: Files, made: Compacted, into?: Spare): Promise<void> {
  if (into === undefined) await drop(files, made.name, made.handle);
  else await cutBack(files, into, made.bytes);
}

/** Makes a spare as large as it was, also when more was written into it. */
export async function cutBack(files: Files, into: Spare, written: number): Promise<void> {
  if (written <= into.bytes) return;
  await settle((done) => files.truncate(into.handle, into.bytes, done)).catch(() => {});
}

async function removeIfThere(files: Files, name: string): Promise<void> {
  try {
    await settle((done) => files.remove(name, done));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Best effort: what stays is a leftover, and the failure that led here is the one to report. */
export async function drop(files: Files, name: string, handle: Handle): Promise<void> {
  await settle((done) => files.close(handle, done)).catch(() => {});
  await settle((done) => files.remove(name, done)).catch(() => {});
}

/** Makes `compact.tmp`, in place of one that could not be removed. */
export async function create(files: Files): Promise<Handle> {
  const attempt = () =>
    new Promise<Handle>((resolve, reject) =>
      files.open(COMPACT_NAME, true, (failure, handle) =>
        failure === undefined ? resolve(handle) : reject(failure),
      ),
    );
  try {
    return await attempt();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    await removeIfThere(files, COMPACT_NAME);
    return attempt();
  }
}
