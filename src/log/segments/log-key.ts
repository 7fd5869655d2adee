// Finds the key of a log whose segment headers do not hold. Every record's checksum is mixed with
// the key (FORMAT.md), so without it nothing of the log could be read; but each record also gives
// the key away, as its checksum is known but for it. Only for tools, which a person watches.

import {
  RECORD_ALIGN,
  RECORD_CRC_AT,
  RECORD_FORM_AT,
  RECORD_HEADER_BYTES,
  RECORD_KIND_AT,
  RECORD_POSITION_AT,
  SEGMENT_DATA_AT,
  SEGMENT_HEADER_BYTES,
  SEGMENT_LOG_ID_AT,
} from '../../../assembly/layout.ts';
import { FORM_MAX, KIND_MAX } from '../../../assembly/layout-placed.ts';
import { crc32c } from '../../codec/crc32c.ts';
import type { FilesToRead } from '../files/files.ts';
import { readFully, type Scannable } from '../scan/scan.ts';
import { keyOf } from './segment.ts';

/** A key that records of the log agree on; with the id, where a header still spells it. */
export interface FoundKey {
  key: number;
  logId: bigint | undefined;
}

const CHUNK_BYTES = 1024 * 1024;
// Records that must agree where no header speaks for the key.
const VOTES = 3;
const TWO_32 = 2 ** 32;

/**
 * Asks the records of these segments, whose headers do not hold, for their key. A message may hold
 * bytes that look like a record, so one record is believed only if a header spells its key, too.
 * Throws what the system says about reading.
 */
export async function findKey(
  files: FilesToRead,
  segments: Scannable[],
): Promise<FoundKey | undefined> {
  const spelled = new Map<number, bigint>();
  const head = new Uint8Array(SEGMENT_HEADER_BYTES);
  for (const { handle } of segments) {
    if ((await readFully(files, handle, head, 0)) < head.length) continue;
    const logId = new DataView(head.buffer).getBigUint64(SEGMENT_LOG_ID_AT, true);
    spelled.set(keyOf(logId), logId);
  }
  const votes = new Map<number, number>();
  for (const segment of segments) {
    for await (const key of candidates(files, segment)) {
      if (spelled.has(key)) return { key, logId: spelled.get(key) };
      votes.set(key, (votes.get(key) ?? 0) + 1);
      if (votes.get(key)! >= VOTES) return { key, logId: undefined };
    }
  }
  return undefined;
}

// The key that each record header would have, at every place that a header names as its own.
async function* candidates(files: FilesToRead, segment: Scannable): AsyncGenerator<number> {
  const { handle, base, bytes } = segment;
  const chunk = new Uint8Array(CHUNK_BYTES);
  const view = new DataView(chunk.buffer);
  const step = CHUNK_BYTES - RECORD_HEADER_BYTES + RECORD_ALIGN;
  for (let offset = SEGMENT_DATA_AT; offset < bytes; offset += step) {
    const got = await readFully(files, handle, chunk, offset);
    for (let at = 0; at + RECORD_HEADER_BYTES <= got; at += RECORD_ALIGN) {
      const position = base + offset + at;
      const low = view.getUint32(at + RECORD_POSITION_AT, true);
      if (low !== position % TWO_32) continue;
      if (view.getUint32(at + RECORD_POSITION_AT + 4, true) !== Math.floor(position / TWO_32))
        continue;
      if (view.getUint8(at + RECORD_KIND_AT) > KIND_MAX) continue;
      if (view.getUint8(at + RECORD_FORM_AT) > FORM_MAX) continue;
      const behind = chunk.subarray(at + RECORD_CRC_AT + 4, at + RECORD_HEADER_BYTES);
      yield (view.getUint32(at + RECORD_CRC_AT, true) ^ crc32c(behind)) >>> 0;
    }
    if (got < CHUNK_BYTES) return;
  }
}
