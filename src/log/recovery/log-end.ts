// What a start writes before anything is served: names that are certain, the end of the log once
// more, zeros where its tail was torn. And what it removes, one at a time.

import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import { LogError } from '../files/errors.ts';
import type { Files } from '../files/files.ts';
import { settle, write } from '../files/promises.ts';
import { readFully, type Scannable, type Walk } from '../scan/scan.ts';

// Every segment has its name for certain before anything is written into it or what it replaces is
// gone: the process that renamed it may have ended before it synced the folder.
export async function settleNames(files: Files, superseded: Scannable[]): Promise<void> {
  await settle((done) => files.syncDirectory(done));
  for (const replaced of superseded) await removeSegment(files, replaced);
}

// One at a time, newest first, so that whatever a crash leaves is a log without a gap.
export async function removeSegment(files: Files, { handle, name }: Scannable): Promise<void> {
  await settle((done) => files.close(handle, done));
  await settle((done) => files.remove(name, done));
  await settle((done) => files.syncDirectory(done));
}

// Writes again what may be in the cache only, and zeros over what was torn. It begins with the last
// batch that proves all before it; a segment just begun has none, then that is in the one before.
export async function makeEnd(
  files: Files,
  codec: RecordScanner,
  segments: Scannable[],
  walks: Walk[],
  tornTo: number,
): Promise<void> {
  const tail = segments.length - 1;
  const first = walks[tail]!.provedTo < 0 ? Math.max(0, tail - 1) : tail;
  for (let at = first; at <= tail; at++) {
    const proved = Math.max(walks[at]!.provedTo, SEGMENT_DATA_AT);
    await rewrite(files, codec, segments[at]!, proved, walks[at]!.committed);
  }
  const { committed } = walks[tail]!;
  if (tornTo > committed) await zero(files, segments[tail]!, committed);
}

// After a failed sync the system may show bytes that are not on disk and call them clean; writing
// them again makes them dirty, so that the sync that follows means something.
async function rewrite(
  files: Files,
  codec: RecordScanner,
  segment: Scannable,
  from: number,
  to: number,
): Promise<void> {
  for (let at = from; at < to; ) {
    const bytes = codec.memory.subarray(0, Math.min(to - at, 8 * 1024 * 1024));
    const got = await readFully(files, segment.handle, bytes, at);
    if (got === 0) throw new LogError('io', `${segment.name} ended while it was read`);
    await write(files, segment.handle, bytes.subarray(0, got), at);
    at += got;
  }
}

async function zero(files: Files, segment: Scannable, from: number): Promise<void> {
  const zeros = new Uint8Array(Math.min(1024 * 1024, segment.bytes - from));
  for (let at = from; at < segment.bytes; at += zeros.length) {
    const bytes = zeros.subarray(0, Math.min(zeros.length, segment.bytes - at));
    await write(files, segment.handle, bytes, at);
  }
}
