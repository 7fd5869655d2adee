// Messages that wait from the beginning, by the rule of their bucket: `delay`. What goes in at all is
// for the quotas to say; of what does, this says from when on it is ready.

import type { BucketRules } from '../buckets/bucket-rules.ts';
import { dueAfter } from '../records/due-of.ts';
import type { IntakePolicy, WatchedRun } from './intake-policy.ts';
import type { WatchedBuckets } from './watched-buckets.ts';

export class Delays implements IntakePolicy {
  readonly #quotas: IntakePolicy;
  readonly #rules: Pick<BucketRules, 'for'>;
  readonly #wallMs: () => number;

  /** `wallMs`: ms since 1970, since a time to wait for survives the process. */
  constructor(quotas: IntakePolicy, rules: Pick<BucketRules, 'for'>, wallMs: () => number) {
    this.#quotas = quotas;
    this.#rules = rules;
    this.#wallMs = wallMs;
  }

  get watched(): WatchedBuckets {
    return this.#quotas.watched;
  }

  admit(run: WatchedRun): void {
    this.#quotas.admit(run);
    if (run.take === 0) return;
    const { delayMs } = this.#rules.for(run.low, run.high);
    if (delayMs > 0) run.dueMs = dueAfter(this.#wallMs(), delayMs);
  }

  packed(run: WatchedRun, messages: number, bytes: number): void {
    this.#quotas.packed(run, messages, bytes);
  }
}
