// What is done to the folder of a log before it is read: leftovers are taken over or removed, and a
// log that is not there is begun.

import { SEGMENT_DATA_AT, SEGMENT_VERSION_PLACED } from '../../../assembly/layout.ts';
import type { Files } from '../files/files.ts';
import { open, settle, write } from '../files/promises.ts';
import { readFully } from '../scan/scan.ts';
import { encodeHeader, isSpare, NEXT_NAME, segmentName } from '../segments/segment.ts';
import type { Segment } from '../segments/segments.ts';
import { type Spare, stockOf } from '../segments/spares.ts';
import type { LogOptions } from './log-options.ts';
import type { FoundSegment, Recovered } from './recovery.ts';

// Takes over the files held ready by the last broker, as many as are wanted; removes other
// leftovers.
export async function adopt(options: LogOptions, leftovers: string[]): Promise<Spare[]> {
  const { files, segmentBytes, spareBytes } = options;
  const stock = stockOf(spareBytes, segmentBytes);
  const spares: Spare[] = [];
  for (const name of leftovers) {
    if (isSpare(name) && spares.length < stock) {
      const { handle, bytes } = await open(files, name);
      if (bytes === segmentBytes) {
        spares.push({ name, handle, bytes });
        continue;
      }
      await settle((done) => files.close(handle, done));
    }
    await settle((done) => files.remove(name, done));
  }
  // Their names must be on disk before one is used again: a crash may not find another segment's
  // header under the name it had before it was given back.
  if (spares.length > 0) await settle((done) => files.syncDirectory(done));
  return spares;
}

export function asSegment(found: FoundSegment): Segment {
  const { base, bytes, end, handle, identity, header } = found;
  const places = header.version === SEGMENT_VERSION_PLACED;
  return { base, bytes, end, handle, identity, places, reads: 0, retired: false };
}

// A next segment that was made for another size than is wanted now is made anew.
export async function dropOdd(options: LogOptions, recovered: Recovered): Promise<void> {
  const { next } = recovered;
  if (next === undefined || next.bytes === options.segmentBytes) return;
  await settle((done) => options.files.close(next.handle, done));
  await settle((done) => options.files.remove(next.name, done));
  await settle((done) => options.files.syncDirectory(done));
  recovered.next = undefined;
}

// A compacted segment was written into a larger file, and what is behind it not given back yet.
export async function cutSurplus(files: Files, { segments }: Recovered): Promise<void> {
  for (const { handle, bytes, fileBytes } of segments)
    if (fileBytes > bytes) await settle((done) => files.truncate(handle, bytes, done));
}

/**
 * Writes the header of the next segment again, as it was read: it was raised while the log ran, and
 * where the sync of that failed, the system shows what will never be on disk.
 */
export async function renewNext(files: Files, { next }: Recovered): Promise<void> {
  if (next?.header.version !== SEGMENT_VERSION_PLACED) return;
  const header = new Uint8Array(SEGMENT_DATA_AT);
  await readFully(files, next.handle, header, 0);
  await write(files, next.handle, header, 0);
  await settle((done) => files.sync(next.handle, done));
}

/** What the first segment of a log takes. */
export type NewLog = Pick<
  LogOptions,
  'files' | 'segmentBytes' | 'newLogId' | 'wallMs' | 'newStart' | 'isCopy'
> & { codec: Pick<LogOptions['codec'], 'zeros'> };

// A log begins with one segment, at position 0 but for one that was repaired; like every later one
// it is complete before it has its name, so a crash here leaves an empty directory.
export async function createFirst(options: NewLog): Promise<void> {
  const { files, codec, segmentBytes, newLogId, wallMs } = options;
  const { base, epoch, start = base } = options.newStart ?? { base: 0, epoch: 0 };
  const name = NEXT_NAME;
  const handle = await new Promise<number>((resolve, reject) =>
    files.open(name, true, (failure, opened) =>
      failure === undefined ? resolve(opened) : reject(failure),
    ),
  );
  const { zeros } = codec;
  for (let at = 0; at < segmentBytes; at += zeros.length)
    await write(files, handle, zeros.subarray(0, Math.min(zeros.length, segmentBytes - at)), at);
  const timeMs = wallMs();
  const header = encodeHeader({
    base,
    bytes: segmentBytes,
    start,
    logId: newLogId,
    timeMs,
    epoch,
    ...(options.isCopy === true ? { version: SEGMENT_VERSION_PLACED } : {}),
  });
  await write(files, handle, header.subarray(0, SEGMENT_DATA_AT), 0);
  await settle((done) => files.sync(handle, done));
  await settle((done) => files.rename(name, segmentName(base), done));
  await settle((done) => files.syncDirectory(done));
  await settle((done) => files.close(handle, done));
}
