// The first bytes of a consumer, in whatever pieces they come: who it is, which bucket it wants,
// and how many messages at a time.

import {
  CONSUMER_BATCH_AT,
  CONSUMER_BUCKET_AT,
  CONSUMER_HEADER_BYTES,
  CONSUMER_ID_AT,
} from '../../../assembly/layout.ts';

export interface ConsumerHeader {
  /** As decimal text; any number, for people only. */
  consumerId: string;
  bucketLow: number;
  bucketHigh: number;
  /** Messages in a delivery, at most. */
  batchSize: number;
}

export class ConsumerHeaderReader {
  readonly #bytes = new Uint8Array(CONSUMER_HEADER_BYTES);
  #length = 0;

  /** Takes the bytes that belong to the header; gives how many these are. */
  take(chunk: Uint8Array): number {
    const taken = Math.min(chunk.length, CONSUMER_HEADER_BYTES - this.#length);
    this.#bytes.set(chunk.subarray(0, taken), this.#length);
    this.#length += taken;
    return taken;
  }

  /** What it says; undefined until it is complete. */
  get header(): ConsumerHeader | undefined {
    if (this.#length < CONSUMER_HEADER_BYTES) return undefined;
    const view = new DataView(this.#bytes.buffer);
    return {
      consumerId: view.getBigUint64(CONSUMER_ID_AT, true).toString(),
      bucketLow: view.getUint32(CONSUMER_BUCKET_AT, true),
      bucketHigh: view.getUint32(CONSUMER_BUCKET_AT + 4, true),
      batchSize: view.getUint32(CONSUMER_BATCH_AT, true),
    };
  }
}

/** Why that cannot be what a consumer means; undefined: it can. */
export function wrongIn({ batchSize }: ConsumerHeader, batchMax: number): string | undefined {
  if (batchSize > 0 && batchSize <= batchMax) return undefined;
  return `its header asks for batches of ${batchSize} messages; 1 to ${batchMax} is possible: this is another protocol, or the batch size must be changed`;
}
