// What a log of the nodes' simulator is made of: batches of items, each a producer and its number,
// in segments of less than a kilobyte: what is decided does not depend on how much is copied.

export const LOG_ID = 0x5eed_1234n;
export const SEGMENT_BYTES = 800;
export const DATA_AT = 20;
export const BATCH_BYTES_MAX = 300;
export const ITEMS_MAX = 12;

export const PRODUCERS = 4;

/** A producer and its number in one. */
export type Item = number;

export function itemOf(producer: number, number: number): Item {
  return number * PRODUCERS + producer;
}

export function nameOf(item: Item): string {
  return `${item % PRODUCERS}:${Math.floor(item / PRODUCERS)}`;
}

export function nextSegment(position: number): number {
  return (Math.floor(position / SEGMENT_BYTES) + 1) * SEGMENT_BYTES + DATA_AT;
}

/** Whether no further batch is sure to fit behind one that ends there. */
export function isFull(end: number): boolean {
  return (end % SEGMENT_BYTES) + BATCH_BYTES_MAX > SEGMENT_BYTES;
}

/** What may stand behind the items of a batch. */
export const FILLER_MAX = BATCH_BYTES_MAX - 8 - ITEMS_MAX * 4;

/** `salt`: so that no two composed batches are alike. */
export function batchOf(items: readonly Item[], salt: number, filler: number): Uint8Array {
  const bytes = new Uint8Array(8 + items.length * 4 + filler);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, items.length, true);
  view.setUint32(4, salt, true);
  for (let i = 0; i < items.length; i++) view.setUint32(8 + i * 4, items[i]!, true);
  return bytes.fill(salt & 0xff, 8 + items.length * 4);
}

export function itemsOf(bytes: Uint8Array): Item[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const items: Item[] = [];
  for (let end = 8 + view.getUint32(0, true) * 4, at = 8; at < end; at += 4)
    items.push(view.getUint32(at, true));
  return items;
}
