// Messages of the stream on the wire between two nodes: each with the number that it has there.
//
//   u32 bytes of the message │ u32 0 │ u64 number │ message          numbers are little-endian

import type { StreamMessage } from '../../core/ports/stream.ts';

export const RELAY_HEAD_BYTES = 16;

/** What stands before a message of so many bytes. */
export function relayHead(sequence: number, bytes: number): Buffer {
  const head = Buffer.alloc(RELAY_HEAD_BYTES);
  head.writeUInt32LE(bytes, 0);
  head.writeBigUInt64LE(BigInt(sequence), 8);
  return head;
}

/** Puts together what comes. Each message has memory of its own, which is whoever's that hears it. */
export class RelayReader {
  readonly #bytesMax: number;
  readonly #head = Buffer.alloc(RELAY_HEAD_BYTES);
  #headBytes = 0;
  #body: Buffer | undefined;
  #bodyBytes = 0;

  /** `bytesMax`: of a message. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Hears every message that `chunk` completes; false: these are no such messages, nor is anything
   * behind them. */
  push(chunk: Uint8Array, hear: (message: StreamMessage) => void): boolean {
    let at = 0;
    while (at < chunk.length) {
      const rest = chunk.subarray(at);
      if (this.#body === undefined) {
        at += this.#takeHead(rest);
        if (this.#headBytes < RELAY_HEAD_BYTES) return true;
        if (!this.#begin()) return false;
        continue;
      }
      const part = rest.subarray(0, this.#body.length - this.#bodyBytes);
      this.#body.set(part, this.#bodyBytes);
      this.#bodyBytes += part.length;
      at += part.length;
      if (this.#bodyBytes === this.#body.length) this.#end(hear);
    }
    return true;
  }

  #takeHead(bytes: Uint8Array): number {
    const part = bytes.subarray(0, RELAY_HEAD_BYTES - this.#headBytes);
    this.#head.set(part, this.#headBytes);
    this.#headBytes += part.length;
    return part.length;
  }

  // A message of the stream is never empty: its envelope is in it.
  #begin(): boolean {
    const length = this.#head.readUInt32LE(0);
    const sequence = this.#head.readBigUInt64LE(8);
    const isNumber = sequence > 0n && sequence <= BigInt(Number.MAX_SAFE_INTEGER);
    const isZero = this.#head.readUInt32LE(4) === 0;
    if (!isNumber || !isZero || length === 0 || length > this.#bytesMax) return false;
    this.#body = Buffer.allocUnsafeSlow(length);
    this.#bodyBytes = 0;
    return true;
  }

  #end(hear: (message: StreamMessage) => void): void {
    const bytes = this.#body!;
    this.#body = undefined;
    this.#headBytes = 0;
    hear({ sequence: Number(this.#head.readBigUInt64LE(8)), bytes });
  }
}
