// The purges that run, and the last ones that ended, for whoever asks how they went.

import type { Outcome, PurgeState } from '../../contract/commands.ts';
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
  readonly #byBucket = new Map<string, Purge>(); // the oldest first

  constructor(options: PurgesOptions) {
    this.#options = options;
    options.broker.onBatch((batch) => {
      for (const purge of this.#byBucket.values()) purge.durable(batch.settledMarks);
    });
  }

  /** How the bucket's last purge goes, or went. */
  stateOf(id: string): PurgeState | undefined {
    return this.#byBucket.get(id)?.state;
  }

  /** Begins to purge a bucket, unless that is under way; `slotOf`: its slot, 0 if it is empty. */
  begin(id: string, slotOf: () => number): Outcome {
    const { broker, index, wallMs, soon } = this.#options;
    const before = this.stateOf(id);
    if (before?.done === false) return { ok: true, result: { ...before } };
    const startedAt = new Date(wallMs()).toISOString();
    const slot = slotOf();
    if (slot === 0) return { ok: true, result: { bucket: id, startedAt, purged: 0, done: true } };
    this.#byBucket.delete(id);
    for (const [bucket, { state }] of this.#byBucket)
      if (state.done && this.#byBucket.size >= PURGES_MAX) this.#byBucket.delete(bucket);
    if (this.#byBucket.size >= PURGES_MAX)
      return refuse('too-many', `${PURGES_MAX} purges are running: wait for one to end`);
    broker.notices.notice('info', 'admin.purge', `purging bucket ${id}`, { bucket: id });
    const purge = new Purge({
      broker,
      index,
      slot,
      startedAt,
      soon,
      done: ({ state: { purged } }) => {
        const text = `${purged} messages of bucket ${id} were purged`;
        broker.notices.notice('info', 'admin.purged', text, { bucket: id, purged });
      },
    });
    this.#byBucket.set(id, purge);
    return { ok: true, result: { ...purge.state } };
  }
}
