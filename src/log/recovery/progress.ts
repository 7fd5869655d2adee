// How far recovery is, for whoever waits for it.

import type { Position } from '../../core/ports/basics.ts';
import type { Visitor } from '../scan/scan.ts';

/** A segment as it is counted: where it begins, and its size in bytes. */
interface Counted {
  base: Position;
  bytes: number;
}

export interface RecoveryStep {
  /** `reading` the segments; `repairing`: the end of the log is written again, all is synced;
   * `counting` what marks of compacted segments leave in doubt; `preparing` the next segment. */
  phase: 'reading' | 'repairing' | 'counting' | 'preparing';
  segments: number;
  segmentsTotal: number;
  /** Bytes of segments that were read, or need not be. */
  bytes: number;
  bytesTotal: number;
  /** Records that were read. */
  records: number;
}

/** Takes what changed. */
export type Tell = (step: Partial<RecoveryStep>) => void;

export class Progress {
  readonly #segments: readonly Counted[];
  readonly #tell: Tell;
  #done = 0;
  #before = 0; // bytes of the segments that are done
  #bytes = 0;
  #records = 0;

  /** `segments`: those that will be done, in this order. */
  constructor(segments: readonly Counted[], tell: Tell) {
    this.#segments = segments;
    this.#tell = tell;
    const bytesTotal = segments.reduce((sum, { bytes }) => sum + bytes, 0);
    tell({ phase: 'reading', segmentsTotal: segments.length, bytesTotal });
  }

  /** The same visitor, whose records are counted; told after each chunk. */
  watch(visitor: Visitor): Visitor {
    return {
      ...visitor,
      record: (rows, at, chunk, bytes) => {
        this.#records++;
        this.#bytes = this.#before + chunk - this.#segments[this.#done]!.base;
        visitor.record(rows, at, chunk, bytes);
      },
      chunk: async () => this.#told(),
    };
  }

  /** A segment is done. */
  next(): void {
    this.#before += this.#segments[this.#done]!.bytes;
    this.#bytes = this.#before;
    this.#done++;
    this.#told();
  }

  #told(): void {
    this.#tell({ segments: this.#done, bytes: this.#bytes, records: this.#records });
  }
}
