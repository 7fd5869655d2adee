// What the owner relays, in order behind what was heard already. The relay may begin, break off and
// leave something out at any time: what is missing is read from the stream, and only a relay that
// brings the next message each time is trusted with that.

import type { StreamMessage } from '../../core/ports/stream.ts';

/** Whoever listens to the owner. */
export interface RelayEar {
  hear(message: StreamMessage): void;
  /** Nothing more is heard; once. */
  ended(): void;
}

/** The owner, as far as it is known and another node. */
export interface RelaySource {
  /** Hears what the stream confirms to the owner from soon on, never within this call, each message
   * with memory of its own. Gives how to stop; undefined: there is no owner to listen to. */
  listen(ear: RelayEar): (() => void) | undefined;
}

/** What waits for something that the relay did not bring; beyond it the relay is given up. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024;
/** So often in a row the stream may have what the relay has not brought. */
const MISSES_MAX = 2;

export interface RelayedOptions {
  /** Number of the last message that came. */
  last: () => number;
  /** The next message. */
  arrive: (sequence: number, bytes: Uint8Array) => void;
  /** From now on the relay brings what comes next. */
  inTouch: () => void;
  /** It has ended, and brings nothing more. */
  ended: () => void;
}

export class Relayed {
  readonly #options: RelayedOptions;
  readonly #waiting = new Map<number, Uint8Array>();
  #waitingBytes = 0;
  #isInTouch = false;
  #misses = 0;
  #stop: () => void = () => {};

  private constructor(options: RelayedOptions) {
    this.#options = options;
  }

  /** Undefined: there is nobody to listen to. */
  static of(source: RelaySource, options: RelayedOptions): Relayed | undefined {
    const relayed = new Relayed(options);
    const stop = source.listen({
      hear: (message) => relayed.#hear(message),
      ended: () => {
        relayed.#isInTouch = false;
        options.ended();
      },
    });
    if (stop === undefined) return undefined;
    relayed.#stop = stop;
    return relayed;
  }

  /** Whether it brings what comes next. */
  get isInTouch(): boolean {
    return this.#isInTouch;
  }

  /** Something came from the stream itself. */
  passed(): void {
    if (this.#waiting.size === 0) return;
    const last = this.#options.last();
    for (const sequence of [...this.#waiting.keys()])
      if (sequence <= last) {
        this.#take(sequence);
        this.#touch();
      }
    this.#drain();
  }

  /** Nothing has come for a while, and this was there in the stream; `found`: a message. */
  looked(found: boolean): void {
    if (!found && this.#waiting.size === 0) return;
    this.#misses++;
    if (this.#misses > MISSES_MAX) this.end();
  }

  end(): void {
    this.#stop();
  }

  #hear({ sequence, bytes }: StreamMessage): void {
    if (sequence <= this.#options.last()) {
      this.#touch();
      return;
    }
    this.#take(sequence);
    this.#waiting.set(sequence, bytes);
    this.#waitingBytes += bytes.length;
    this.#drain();
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.end();
  }

  #take(sequence: number): Uint8Array | undefined {
    const bytes = this.#waiting.get(sequence);
    this.#waiting.delete(sequence);
    this.#waitingBytes -= bytes?.length ?? 0;
    return bytes;
  }

  #drain(): void {
    for (;;) {
      const next = this.#options.last() + 1;
      const bytes = this.#take(next);
      if (bytes === undefined) return;
      this.#misses = 0;
      this.#touch();
      this.#options.arrive(next, bytes);
    }
  }

  #touch(): void {
    if (this.#isInTouch) return;
    this.#isInTouch = true;
    this.#options.inTouch();
  }
}
