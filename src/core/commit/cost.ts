// What messages cost the batch that they are in, and from which size on one counts as large.

import { MESSAGE_SIZE_BYTES, RECORD_ALIGN, RECORD_HEADER_BYTES } from '../../../assembly/layout.ts';

/** What a record costs beside its bytes, for its entry and index: so many bytes' time. */
export const ROW_COST = 2048;
/** What a heavy producer may take at a time; a message beyond it is large. */
export const QUANTUM_BYTES = 128 * 1024;

/** What messages cost that take so many bytes and records. */
export function costOf(bytes: number, rows: number): number {
  return bytes + rows * ROW_COST;
}

/** Bytes that a record of messages takes in the log; `headBytes` of its body stand before them. */
export function recordBytes(messages: number, payload: number, headBytes: number): number {
  const bytes = RECORD_HEADER_BYTES + headBytes + messages * MESSAGE_SIZE_BYTES + payload;
  return Math.ceil(bytes / RECORD_ALIGN) * RECORD_ALIGN;
}
