// Who gets copies of what is published, by the rule of its bucket: `copy_to`. A message goes in with
// all of its copies or not at all: what one of the other buckets does not take, or what could never
// be in one segment with its copies, is refused. Copies are made of what producers send, so they
// are not copied again.

import { HEAD_BYTES } from '../../../assembly/layout-placed.ts';
import type { BucketRules } from '../buckets/bucket-rules.ts';
import { recordBytes } from '../commit/cost.ts';
import type { Limits } from '../limits.ts';
import { dueAfter } from '../records/due-of.ts';
import type { CopyTarget, IntakePolicy, WatchedRun } from './intake-policy.ts';
import type { Quotas } from './quotas.ts';
import type { WatchedBuckets } from './watched-buckets.ts';

export interface CopiesOptions {
  rules: Pick<BucketRules, 'for'>;
  /** Ms since 1970. */
  wallMs: () => number;
  /** Size of segments, and what of them messages may not use. */
  readonly limits: Pick<Limits, 'segmentBytes' | 'reserveBytes'>;
}

/** Bytes, at most, that messages of a run take in the log together with `copies` of each. */
export function bytesWithCopies(messages: number, payload: number, copies: number): number {
  return (1 + copies) * recordBytes(messages, payload, HEAD_BYTES);
}

export class Copies implements IntakePolicy {
  readonly #inner: IntakePolicy;
  readonly #quotas: Pick<Quotas, 'narrow' | 'moving'>;
  readonly #rules: CopiesOptions['rules'];
  readonly #wallMs: () => number;
  readonly #bytesMax: number;

  /** `inner` decides what would go in without copies; `quotas`: what other buckets take. */
  constructor(
    inner: IntakePolicy,
    quotas: Pick<Quotas, 'narrow' | 'moving'>,
    { rules, wallMs, limits }: CopiesOptions,
  ) {
    this.#inner = inner;
    this.#quotas = quotas;
    this.#rules = rules;
    this.#wallMs = wallMs;
    // A new segment has room for it, also while there is none behind that yet; and what is left of
    // one for its sake is less than half.
    this.#bytesMax = (limits.segmentBytes - limits.reserveBytes) / 2;
  }

  get watched(): WatchedBuckets {
    return this.#inner.watched;
  }

  admit(run: WatchedRun): void {
    this.#inner.admit(run);
    if (run.take === 0) return;
    const { copyTo } = this.#rules.for(run.low, run.high);
    if (copyTo.length === 0) return;
    const copies: CopyTarget[] = [];
    const copiedMs = this.#wallMs();
    for (let at = 0; at < copyTo.length && run.take > 0; at += 2) {
      const [low, high] = [copyTo[at]!, copyTo[at + 1]!];
      this.#quotas.narrow(run, low, high);
      const { delayMs } = this.#rules.for(low, high);
      const dueMs = delayMs > 0 ? dueAfter(copiedMs, delayMs) : 0;
      copies.push({ low, high, dueMs, copiedMs });
    }
    if (run.take > 0) this.#fit(run, copies.length);
    run.copies = copies;
  }

  // Refuses the first message that is too large for a segment with its copies.
  #fit(run: WatchedRun, copies: number): void {
    if (bytesWithCopies(1, run.bytes, copies) <= this.#bytesMax) return;
    let place = run.at;
    for (let i = 0; i < run.take; i++) {
      const payload = run.payloadAt(place);
      if (bytesWithCopies(1, payload, copies) > this.#bytesMax) {
        run.take = i;
        run.refuse = 1;
      }
      place = run.behind(place, payload);
    }
  }

  packed(run: WatchedRun, messages: number, bytes: number): void {
    this.#inner.packed(run, messages, bytes);
    for (const { low, high } of run.copies) this.#quotas.moving(low, high, messages, bytes);
  }
}
