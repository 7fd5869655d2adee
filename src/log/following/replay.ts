// The state of a log that somebody else goes on writing, as a recovery that does not end: what was
// read at the start and what follows go in the same way, and it is finished when the log is taken
// over. Meanwhile only what marks left in doubt is counted.

import type { Found, Position } from '../../core/ports/basics.ts';
import type { ReadRecord, VisitRecords } from '../read-cache/read-record.ts';
import { Replay } from '../recovery/replay.ts';

export class EndlessReplay extends Replay {
  #visit: VisitRecords | undefined;

  /** The log was read as far as it goes for now. */
  override async finish(visit: VisitRecords, read?: ReadRecord): Promise<void> {
    this.#visit = visit;
    if (read !== undefined) await this.readSettings(visit, read);
    await this.count();
  }

  /** Whether marks spoke of segments of which it is not known what is missing in them. */
  get isInDoubt(): boolean {
    return [...this.builder.doubtful].length > 0;
  }

  /**
   * Counts what is in doubt, each segment once: then it is known what is missing in it. None may be
   * compacted meanwhile.
   */
  async count(): Promise<void> {
    const { builder } = this;
    for (const base of builder.doubtful) {
      const live = builder.unsettledInMemory(base);
      if (live !== undefined) builder.recount(base, live);
      else await this.#count(base);
    }
  }

  async #count(base: Position): Promise<void> {
    const records: Found[] = [];
    await this.#visit!(base, (record) => void records.push(record));
    // It may have been given back meanwhile.
    if ([...this.builder.doubtful].includes(base)) this.builder.counted(base, records);
  }

  /** It is to be gone on with: nothing follows any more. */
  finished(): void {
    this.builder.finished();
  }
}
