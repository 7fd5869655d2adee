// How long messages may wait, by rule: `ttl` from when they came into their bucket, `dead_keep` from
// when they died. Both are when they were stored where they are, so a message that was moved or
// given back waits anew. Nothing is written for it, and a rule that changes holds at once.

import { KIND_DEAD, KIND_LIVE } from '../../../assembly/layout-placed.ts';
import type { BucketRules } from '../buckets/bucket-rules.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Slice } from '../buckets/slice.ts';
import type { DropReason } from '../metrics/counters.ts';
import type { EffectiveRules } from '../rules/effective.ts';
import type { RuleTable } from '../rules/rule-table.ts';
import type { StoringTimes } from '../segments/storing-times.ts';

export interface ExpiryOptions {
  buckets: Pick<Buckets<unknown>, 'kindOf'> & { readonly rules: BucketRules };
  times: Pick<StoringTimes, 'earliest' | 'of'>;
  wallMs: () => number;
}

export class Expiry {
  readonly #options: ExpiryOptions;
  /** The shortest time that a rule lets messages wait; Infinity: none says any. */
  leastMs = Number.POSITIVE_INFINITY;
  #nowMs = 0;

  constructor(options: ExpiryOptions) {
    this.#options = options;
  }

  /** Whether messages expire at all. */
  get isOn(): boolean {
    return this.leastMs < Number.POSITIVE_INFINITY;
  }

  /** Other rules are in force. */
  use({ rules }: RuleTable): void {
    const times = rules.flatMap(({ values }) => [values.ttl ?? 0, values.dead_keep ?? 0]);
    this.leastMs = Math.min(Number.POSITIVE_INFINITY, ...times.filter((ms) => ms > 0));
  }

  /** Looks at the clock: what is expired then is so until the next look. Gives the time. */
  look(): number {
    this.#nowMs = this.#options.wallMs();
    return this.#nowMs;
  }

  /** How long messages of a line may wait, which may be one that is not known. */
  keptMs(low: number, high: number, kind: number): number {
    return keptIn(this.#options.buckets.rules.for(low, high), kind);
  }

  /** When a message that may wait so long has done so. */
  expiresMs(sequence: number, keptMs: number): number {
    return this.#options.times.of(sequence) + keptMs;
  }

  /** Before this none of the messages from `first` to before `end` is expired. */
  earliestMs(first: number, end: number): number {
    return this.#options.times.earliest(first, end) + this.leastMs;
  }

  /** Whether a part of a line has waited longer than it may; its messages came together. */
  isOver({ slot, sequence }: Slice): boolean {
    if (!this.isOn) return false;
    const { buckets } = this.#options;
    const keptMs = keptIn(buckets.rules.of(slot), buckets.kindOf(slot));
    if (keptMs === Number.POSITIVE_INFINITY) return false;
    return this.expiresMs(sequence, keptMs) <= this.#nowMs;
  }

  /** Why messages of a line that waited too long are dropped; undefined: they are dead. */
  drops(slot: number): DropReason | undefined {
    const { buckets } = this.#options;
    if (buckets.kindOf(slot) === KIND_DEAD) return 'dead-keep';
    return buckets.rules.of(slot).expired === 'drop' ? 'expired' : undefined;
  }
}

function keptIn({ ttlMs, deadKeepMs }: EffectiveRules, kind: number): number {
  if (kind === KIND_DEAD) return deadKeepMs;
  return kind === KIND_LIVE && ttlMs > 0 ? ttlMs : Number.POSITIVE_INFINITY;
}
