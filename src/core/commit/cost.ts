// What messages cost the batch that they are in, and from which size on one counts as large.

/** What a record costs beside its bytes, for its entry and index: so many bytes' time. */
export const ROW_COST = 2048;
/** What a heavy producer may take at a time; a message beyond it is large. */
export const QUANTUM_BYTES = 128 * 1024;

/** What messages cost that take so many bytes and records. */
export function costOf(bytes: number, rows: number): number {
  return bytes + rows * ROW_COST;
}
