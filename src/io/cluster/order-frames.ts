// Orders and answers on the wire: frames of JSON with a number by which an answer finds its order.
//
//   u32 bytes of JSON │ u32 number │ JSON         numbers are little-endian

const HEAD_BYTES = 8;

/** Bytes of JSON at most. */
export const ORDER_BYTES_MAX = 1024 * 1024;
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Orders of one connection that are under way. */
export const ORDERS_MAX = 64;

export interface Frame {
  number: number;
  /** UTF-8. */
  json: Buffer;
}

export function frameOf(number: number, json: string): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + Buffer.byteLength(json));
  bytes.writeUInt32LE(bytes.length - HEAD_BYTES, 0);
  bytes.writeUInt32LE(number, 4);
  bytes.write(json, HEAD_BYTES);
  return bytes;
}

/** Cuts what comes into frames; holds one of `bytesMax` at most, beside what came behind it. */
export class FrameReader {
  readonly #bytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next frame; undefined: it is not whole yet; `too-long`: it never will be, nor any behind. */
  next(): Frame | 'too-long' | undefined {
    if (this.#bytes < HEAD_BYTES) return undefined;
    if (this.#chunks[0]!.length < HEAD_BYTES) this.#join();
    const length = this.#chunks[0]!.readUInt32LE(0);
    if (length > this.#bytesMax) return 'too-long';
    const end = HEAD_BYTES + length;
    if (this.#bytes < end) return undefined;
    const all = this.#join();
    this.#chunks = all.length > end ? [all.subarray(end)] : [];
    this.#bytes -= end;
    return { number: all.readUInt32LE(4), json: all.subarray(HEAD_BYTES, end) };
  }

  // Chunks are put together when a frame is whole, not with each that comes.
  #join(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }
}
