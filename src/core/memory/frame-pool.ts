// Memory for delivery frames, used again and again. A new array for each frame would be hundreds of
// megabytes a second that the garbage collector must notice; a frame's memory comes back when the
// system has taken its bytes, which is mostly at once.

// Smaller frames are cheap to make new, larger ones are rare: a message beyond the frame limit.
const BYTES_MIN = 4096;
const BYTES_MAX = 1024 * 1024 + 65536;

export class FramePool {
  readonly #outMax: number;
  readonly #kept: Uint8Array[] = [];
  #out = 0;

  /**
   * `outMax`: arrays given out at one time. Readers that are slow to take theirs get arrays of the
   * frame's own size beyond it, which the budget for all buffers bounds.
   */
  constructor(outMax: number) {
    this.#outMax = outMax;
  }

  /** Memory for a frame of `bytes` bytes, to be given back; or undefined if it is not worth it. */
  take(bytes: number): Uint8Array | undefined {
    if (bytes < BYTES_MIN || bytes > BYTES_MAX || this.#out === this.#outMax) return undefined;
    this.#out++;
    return this.#kept.pop() ?? new Uint8Array(BYTES_MAX);
  }

  give(memory: Uint8Array): void {
    this.#out--;
    this.#kept.push(memory);
  }
}
