// Splits a byte stream into lines without decoding it. Holds one unfinished line at most.

const NEWLINE = 10;

export class LineSplitter {
  readonly #bytesMax: number;
  #parts: Uint8Array[] = [];
  #partBytes = 0;

  /** A line above `bytesMax` is an error, so that a stream without line ends stays bounded. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * The lines that this chunk completes, without their line ends.
   * @throws RangeError when a line is longer than allowed.
   */
  push(chunk: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = [];
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      this.#hold(chunk.subarray(from, at));
      lines.push(this.#take());
      from = at + 1;
    }
    this.#hold(chunk.subarray(from));
    return lines;
  }

  /** What is left when the stream ends: a last line without a line end, or undefined. */
  end(): Uint8Array | undefined {
    return this.#partBytes > 0 ? this.#take() : undefined;
  }

  #hold(part: Uint8Array): void {
    if (part.length === 0) return;
    this.#partBytes += part.length;
    if (this.#partBytes > this.#bytesMax)
      throw new RangeError(`a line is longer than ${this.#bytesMax} bytes`);
    this.#parts.push(part);
  }

  #take(): Uint8Array {
    const line = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#partBytes = 0;
    return line;
  }
}
