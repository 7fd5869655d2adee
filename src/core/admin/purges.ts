// The purges that run, and the last ones that ended, for whoever asks how they went.

import type { Line, Outcome, PurgeState } from '../../contract/commands.ts';
import type { Broker } from '../broker.ts';
import type { SegmentIndex } from '../ports/segment-index.ts';
import { Purge } from './purge.ts';
import { refuse } from './refusals.ts';

/** Purges that run, and finished ones that are remembered, at most. */
const PURGES_MAX = 64;

export interface PurgesOptions {
  broker: Broker;
  index: Pick<SegmentIndex, 'find'>;
  wallMs: () => number;
  /** Calls back in a later turn of the event loop. */
  soon: (call: () => void) => void;
}

export class Purges {
  readonly #options: PurgesOptions;
  readonly #byLine = new Map<string, Purge>(); // the oldest first

  constructor(options: PurgesOptions) {
    this.#options = options;
    options.broker.onBatch((batch) => {
      for (const purge of this.#byLine.values()) purge.durable(batch.settledMarks);
    });
  }

  /** How the last purge of the bucket's line goes, or went. */
  stateOf(id: string, line: Line): PurgeState | undefined {
    return this.#byLine.get(keyOf(id, line))?.state;
  }

  /**
   * Begins to purge a bucket's line, unless that is under way; `slotOf`: its slot, 0 if it is empty.
   */
  begin(id: string, line: Line, slotOf: () => number): Outcome {
    const { broker, index, wallMs, soon } = this.#options;
    const before = this.stateOf(id, line);
    if (before?.done === false) return { ok: true, result: { ...before } };
    const startedAt = new Date(wallMs()).toISOString();
    const slot = slotOf();
    const named = line === 'live' ? { bucket: id } : { bucket: id, line };
    if (slot === 0) return { ok: true, result: { ...named, startedAt, purged: 0, done: true } };
    this.#byLine.delete(keyOf(id, line));
    for (const [bucket, { state }] of this.#byLine)
      if (state.done && this.#byLine.size >= PURGES_MAX) this.#byLine.delete(bucket);
    if (this.#byLine.size >= PURGES_MAX)
      return refuse('too-many', `${PURGES_MAX} purges are running: wait for one to end`);
    const of = line === 'live' ? `bucket ${id}` : `the dead line of bucket ${id}`;
    broker.notices.notice('info', 'admin.purge', `purging ${of}`, named);
    const purge = new Purge({
      broker,
      index,
      slot,
      named,
      startedAt,
      soon,
      done: ({ state: { purged } }) => {
        const text = `${purged} messages of ${of} were purged`;
        broker.notices.notice('info', 'admin.purged', text, { ...named, purged });
      },
    });
    this.#byLine.set(keyOf(id, line), purge);
    return { ok: true, result: { ...purge.state } };
  }
}

function keyOf(id: string, line: Line): string {
  return `${line}/${id}`;
}
