// The replay of a log into buckets, as recovery drives it: it waits for the indexes that it makes
// and visits on the way. What a record means is decided in core/segments/state-builder.ts.

import type { EntrySource, Found, Position } from '../../core/ports/basics.ts';
import { Fold } from '../../core/segments/state-builder.ts';
import type { Sink } from './recovery.ts';

export class Replay extends Fold implements Sink {
  /** If the index cannot be written, the entries stay in memory. */
  async sealed(index: (source: EntrySource) => Promise<void>): Promise<void> {
    const source = this.complete();
    if (source === undefined) return;
    try {
      await index(source);
    } catch {
      return;
    }
    this.indexed();
  }

  /** `visit` gives the records of an indexed segment; those in doubt are counted again. */
  async finish(
    visit: (base: Position, record: (found: Found) => void) => Promise<void>,
  ): Promise<void> {
    for (const base of this.doubtful) {
      let live = this.unsettledInMemory(base);
      if (live === undefined) {
        let counted = 0;
        await visit(base, ({ sequence, messages }) => {
          counted += this.unsettledIn(sequence, messages);
        });
        live = counted;
      }
      this.recount(base, live);
    }
    this.finished();
  }
}
