// What a log of the nodes' simulator is made of: batches of items, each a producer and its number,
// in segments of a few kilobytes.

export const LOG_ID = 0x5eed_1234n;
export const SEGMENT_BYTES = 4000;
export const DATA_AT = 100;
export const BATCH_BYTES_MAX = 1500;

export type Item = [producer: number, number: number];

export function nextSegment(position: number): number {
  return (Math.floor(position / SEGMENT_BYTES) + 1) * SEGMENT_BYTES + DATA_AT;
}

/** Whether no further batch is sure to fit behind one that ends there. */
export function isFull(end: number): boolean {
  return (end % SEGMENT_BYTES) + BATCH_BYTES_MAX > SEGMENT_BYTES;
}

/** `salt`: so that no two composed batches are alike. */
export function batchOf(items: readonly Item[], salt: number, filler: number): Uint8Array {
  const bytes = new Uint8Array(8 + items.length * 8 + filler);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, items.length, true);
  view.setUint32(4, salt, true);
  items.forEach(([producer, number], i) => {
    view.setUint32(8 + i * 8, producer, true);
    view.setUint32(12 + i * 8, number, true);
  });
  return bytes.fill(salt & 0xff, 8 + items.length * 8);
}

export function itemsOf(bytes: Uint8Array): Item[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Array.from({ length: view.getUint32(0, true) }, (_, i) => [
    view.getUint32(8 + i * 8, true),
    view.getUint32(12 + i * 8, true),
  ]);
}
