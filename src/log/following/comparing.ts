// A batch that comes once more, as its reader began before the end of the log: compared with what
// was written here then.

import type { Position } from '../../core/ports/basics.ts';
import type { FilesToRead } from '../files/files.ts';
import { open, settle } from '../files/promises.ts';
import { readFully } from '../scan/scan.ts';
import { segmentName } from '../segments/segment.ts';
import type { FollowedBatch } from './batch.ts';

/**
 * Whether the batch stands at its place in the file of the segment at `base`, which was not
 * compacted. Rejects with what the system says.
 */
export async function standsIn(
  files: FilesToRead,
  base: Position,
  { position, bytes }: Pick<FollowedBatch, 'position' | 'bytes'>,
): Promise<boolean> {
  const { handle } = await open(files, segmentName(base));
  try {
    const here = new Uint8Array(bytes.length);
    const got = await readFully(files, handle, here, position - base);
    return got === here.length && here.every((byte, i) => byte === bytes[i]);
  } finally {
    await settle((done) => files.close(handle, done));
  }
}
