// The redrives that run, and the last ones that ended, for whoever asks how they went.

import { type Command, isId, type Outcome } from '../../contract/commands.ts';
import type { RedriveState } from '../../contract/dead-messages.ts';
import type { Broker } from '../broker.ts';
import { ORIGIN } from '../delivery/destination.ts';
import { Redrive, type RedriveOptions } from './redrive.ts';
import { notAnId, refuse } from './refusals.ts';

/** Redrives that run, and finished ones that are remembered, at most. */
const REDRIVES_MAX = 64;
const RATE_MAX = 1_000_000;
const WHY_STOPPED = {
  limit: '',
  full: '; the bucket that they go to takes no more',
  cancelled: '; an operator ended it, and the others stay dead',
};
const TWO_32 = 2n ** 32n;

export interface RedrivesOptions {
  broker: Broker;
  wallMs: () => number;
  /** Calls back in a later turn of the event loop. */
  soon: (call: () => void) => void;
  /** Calls back after so many ms. */
  after: (ms: number, call: () => void) => void;
}

export class Redrives {
  readonly #options: RedrivesOptions;
  readonly #byBucket = new Map<string, Redrive>(); // the oldest first

  constructor(options: RedrivesOptions) {
    this.#options = options;
  }

  /** How the last redrive of a bucket's dead line goes, or went. */
  stateOf(id: string): RedriveState | undefined {
    return this.#byBucket.get(id)?.state;
  }

  /** Begins to give back what is dead of a bucket; `slotOf`: its line's slot, 0 if it is empty. */
  begin(command: Extract<Command, { kind: 'redrive' }>, slotOf: () => number): Outcome {
    const { id, to, limit = Number.POSITIVE_INFINITY, rate = Number.POSITIVE_INFINITY } = command;
    const { broker, wallMs, soon, after } = this.#options;
    if (to !== undefined && !isId(to)) return notAnId(to);
    if (!(limit >= 1)) return refuse('bad-request', 'the limit is a number of messages from 1 on');
    if (!(rate > 0 && (rate <= RATE_MAX || rate === Number.POSITIVE_INFINITY)))
      return refuse('bad-request', `the rate is a number of messages a second up to ${RATE_MAX}`);
    if (this.stateOf(id)?.done === false)
      return refuse('conflict', `the dead of bucket ${id} are being given back: let that end`);
    const startedAt = new Date(wallMs()).toISOString();
    const slot = slotOf();
    const nothing: RedriveState = { bucket: id, startedAt, moved: 0, done: true, stopped: null };
    if (slot === 0) return { ok: true, result: nothing };
    if (!this.#makeRoom(id))
      return refuse('too-many', `${REDRIVES_MAX} redrives are running: wait for one to end`);
    const target = to === undefined ? '' : ` to bucket ${to}`;
    const text = `giving back what is dead of bucket ${id}${target}`;
    broker.notices.notice('info', 'admin.redrive', text, { bucket: id });
    const where: RedriveOptions['to'] = to === undefined ? ORIGIN : wordsOf(to);
    const done = ({ state }: Redrive) => this.#ended(state);
    const bounds = { limit, rate, to: where };
    const redrive = new Redrive({ broker, slot, startedAt, ...bounds, soon, after, done });
    this.#byBucket.set(id, redrive);
    return { ok: true, result: { ...redrive.state } };
  }

  /** Ends the redrive of a bucket's dead line: what it has not taken yet stays dead. */
  cancel(id: string): Outcome {
    const redrive = this.#byBucket.get(id);
    if (redrive === undefined) {
      const text = `nothing dead of bucket ${id} was given back since the broker started`;
      return refuse('not-found', text);
    }
    if (!redrive.state.done) redrive.cancel();
    return { ok: true, result: { ...redrive.state } };
  }

  #makeRoom(id: string): boolean {
    this.#byBucket.delete(id);
    for (const [bucket, { state }] of this.#byBucket)
      if (state.done && this.#byBucket.size >= REDRIVES_MAX) this.#byBucket.delete(bucket);
    return this.#byBucket.size < REDRIVES_MAX;
  }

  #ended({ bucket, moved, stopped }: RedriveState): void {
    const why = stopped === null ? '' : WHY_STOPPED[stopped];
    const text = `${moved} dead messages of bucket ${bucket} were given back${why}`;
    this.#options.broker.notices.notice('info', 'admin.redriven', text, { bucket, moved });
  }
}

function wordsOf(id: string): { low: number; high: number } {
  const value = BigInt(id);
  return { low: Number(value % TWO_32), high: Number(value / TWO_32) };
}
