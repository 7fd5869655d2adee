// The replay of a log, as recovery drives it: waits for the indexes that it makes and visits on the
// way. What records mean is decided by its builder (core/segments/state-builder.ts).

import type { Found, Position } from '../../core/ports/basics.ts';
import type { SegmentEntries } from '../../core/records/due.ts';
import type { State } from '../../core/segments/state.ts';
import { StateBuilder } from '../../core/segments/state-builder.ts';
import type { Checkpoint, KnownSegment } from '../index/checkpoint.ts';
import type { Sink } from './recovery.ts';

export class Replay implements Sink {
  readonly builder: StateBuilder;

  /** The log goes into `state`, which is empty. */
  constructor(state: State<unknown>) {
    this.builder = new StateBuilder(state);
  }

  segment(base: Position, sparse = false): void {
    this.builder.segment(base, sparse);
  }

  known(segment: KnownSegment): void {
    this.builder.known(segment);
  }

  restore(checkpoint: Checkpoint): void {
    this.builder.restore(checkpoint);
  }

  record(rows: Uint32Array, at: number, chunk: Position, bytes: Uint8Array): void {
    this.builder.record(rows, at, chunk, bytes);
  }

  commit(): void {
    this.builder.commit();
  }

  drop(): void {
    this.builder.drop();
  }

  /** If the index cannot be written, the entries stay in memory. */
  async sealed(index: (source: SegmentEntries) => Promise<void>): Promise<void> {
    const source = this.builder.complete();
    if (source === undefined) return;
    try {
      await index(source);
    } catch {
      return;
    }
    this.builder.indexed();
  }

  /** `visit` gives the records of an indexed segment; those in doubt are counted again. */
  async finish(
    visit: (base: Position, record: (found: Found) => void) => Promise<void>,
  ): Promise<void> {
    const { builder } = this;
    for (const base of builder.doubtful) {
      let live = builder.unsettledInMemory(base);
      if (live === undefined) {
        let counted = 0;
        await visit(base, ({ sequence, messages }) => {
          counted += builder.unsettledIn(sequence, messages);
        });
        live = counted;
      }
      builder.recount(base, live);
    }
    builder.finished();
  }
}
