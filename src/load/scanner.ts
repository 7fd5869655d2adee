// Finds the ends of frames in a byte stream at any split, with as little work as that needs: no
// copy of a body, no object for a message. For generators and sinks of load, which must not be
// what is measured; codec/wire.ts is what everything else uses. Either direction of the wire.

import {
  BATCH_HEADER_BYTES,
  BATCH_MESSAGES_MAX,
  MESSAGE_BYTES_CEILING,
  WIRE_U32,
} from '../../assembly/layout.ts';
import { lengthBytes, type Wire, WireError } from '../codec/wire.ts';

/** Called at the last byte of each frame; a delivery of 1 message and 0 bytes is a heartbeat. */
export type OnFrame = (messages: number, payloadBytes: number) => void;

export class FrameScanner {
  readonly #prefixBytes: number;
  readonly #headBytes: number;
  readonly #wide: boolean; // Length has 8 bytes
  readonly #onFrame: OnFrame;
  readonly #head: Uint8Array; // a count or a message's head that chunks have split
  readonly #headView: DataView;
  #held = 0;
  #open = false; // the frame's count has been read
  #count = 0;
  #left = 0; // messages whose head has not been read
  #skip = 0; // bytes of the current body still to come
  #payload = 0;

  /** `prefixBytes` stand before each Length: 8 from a producer (the bucket), 0 to a consumer. */
  constructor(wire: Wire, prefixBytes: number, onFrame: OnFrame) {
    this.#prefixBytes = prefixBytes;
    this.#wide = lengthBytes(wire) > WIRE_U32;
    this.#headBytes = prefixBytes + lengthBytes(wire);
    this.#onFrame = onFrame;
    this.#head = new Uint8Array(this.#headBytes);
    this.#headView = new DataView(this.#head.buffer);
  }

  /** Takes the next bytes. Throws WireError for a count or length beyond the limits. */
  push(chunk: Uint8Array): void {
    const end = chunk.length;
    const view = new DataView(chunk.buffer, chunk.byteOffset, end);
    let at = 0;
    for (;;) {
      const step = Math.min(this.#skip, end - at);
      at += step;
      this.#skip -= step;
      if (this.#skip > 0) return;
      if (this.#open && this.#left === 0) this.#finish();
      if (at === end) return;
      const needed = this.#open ? this.#headBytes : BATCH_HEADER_BYTES;
      if (this.#held > 0 || end - at < needed) {
        const taken = Math.min(needed - this.#held, end - at);
        this.#head.set(chunk.subarray(at, at + taken), this.#held);
        this.#held += taken;
        at += taken;
        if (this.#held < needed) return;
        this.#held = 0;
        if (this.#open) this.#skip = this.#enter(this.#headView, 0);
        else this.#begin(this.#headView.getUint32(0, true));
      } else if (this.#open) at = this.#walk(view, at, end);
      else {
        this.#begin(view.getUint32(at, true));
        at += BATCH_HEADER_BYTES;
      }
    }
  }

  /** Passes whole messages; the last may reach beyond the chunk. */
  #walk(view: DataView, from: number, end: number): number {
    let at = from;
    while (this.#left > 0 && end - at >= this.#headBytes) {
      const next = at + this.#headBytes + this.#enter(view, at);
      if (next > end) {
        this.#skip = next - end;
        return end;
      }
      at = next;
    }
    return at;
  }

  #enter(view: DataView, at: number): number {
    const length = view.getUint32(at + this.#prefixBytes, true);
    const high = this.#wide ? view.getUint32(at + this.#prefixBytes + WIRE_U32, true) : 0;
    if (high !== 0 || length > MESSAGE_BYTES_CEILING)
      throw new WireError(`a message of ${high * 2 ** 32 + length} bytes: not this dialect`);
    this.#left -= 1;
    this.#payload += length;
    return length;
  }

  #begin(count: number): void {
    if (count > BATCH_MESSAGES_MAX)
      throw new WireError(`a batch of ${count} messages: not this dialect`);
    this.#count = count;
    this.#left = count;
    this.#payload = 0;
    this.#open = true;
  }

  #finish(): void {
    this.#open = false;
    this.#onFrame(this.#count, this.#payload);
  }
}
