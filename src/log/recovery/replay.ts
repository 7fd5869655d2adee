// The replay of a log, as recovery drives it: waits for the indexes that it makes and visits on the
// way. What records mean is decided by its builder (core/segments/state-builder.ts).

import { RECORD_HEADER_BYTES, SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import type { Found, Position } from '../../core/ports/basics.ts';
import type { OlderIds } from '../../core/ports/older-ids.ts';
import type { SegmentEntries } from '../../core/records/due.ts';
import type { State } from '../../core/segments/state.ts';
import { StateBuilder } from '../../core/segments/state-builder.ts';
import { HOW_TO_REPAIR, LogError } from '../files/errors.ts';
import type { Checkpoint, KnownSegment } from '../index/checkpoint.ts';
import type { ReadRecord, VisitRecords } from '../read-cache/read-record.ts';
import type { Sink } from './sink.ts';

export class Replay implements Sink {
  readonly builder: StateBuilder;

  /** The log goes into `state`, which is empty. */
  constructor(state: State<unknown>) {
    this.builder = new StateBuilder(state);
  }

  segment(base: Position, sparse = false, knowsIds = false): void {
    this.builder.segment(base, sparse, knowsIds);
  }

  olderIds(ids: OlderIds): void {
    this.builder.ids.older = ids;
  }

  async shrinkIds(base: Position, nowMs: number): Promise<void> {
    const { ids } = this.builder;
    const end = base + SEGMENT_DATA_AT;
    if (ids.isLarge) await new Promise<void>((done) => ids.shrink(base, end, nowMs, done));
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

  /**
   * `visit` gives the records of an indexed segment; those in doubt are counted again. `read` gives
   * one of its records: settings are read whatever is known of their segment.
   */
  async finish(visit: VisitRecords, read: ReadRecord = unread): Promise<void> {
    const { builder } = this;
    await this.readSettings(visit, read);
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

  /** Reads the records of settings of which only a checkpoint spoke. */
  protected async readSettings(visit: VisitRecords, read: ReadRecord): Promise<void> {
    const { builder } = this;
    for (const [base, sequences] of builder.unreadSettings) {
      const found: Found[] = [];
      await visit(base, (record) => void (sequences.has(record.sequence) && found.push(record)));
      // What is not found was compacted away, settled by a mark that is lost.
      for (const { sequence, position, bodyBytes } of found) {
        const bytes = RECORD_HEADER_BYTES + bodyBytes;
        const record = await read(position, bytes).catch((error: Error) => {
          throw unreadable(position, error);
        });
        builder.setting(sequence, record, RECORD_HEADER_BYTES);
      }
    }
  }
}

function unread(): Promise<DataView> {
  return Promise.reject(new Error('there is nothing to read it with'));
}

function unreadable(position: Position, cause: Error): LogError {
  return new LogError(
    'damaged',
    `what was set while the broker ran, a rule or a pause, cannot be read at log position ${position}: ${cause.message}. Nothing is served without it. Restore the file from a copy, or, ${HOW_TO_REPAIR}`,
    { cause },
  );
}
