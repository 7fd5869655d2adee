// The rules that a broker goes by: puts a table into force at the parts that ask for it, at the
// start and when there is another one.

import type { Buckets } from './buckets/buckets.ts';
import type { Batch } from './commit/batch.ts';
import { DeliveryLimits } from './delivery/delivery-limits.ts';
import type { IntakeRules } from './fairness/intake-policy.ts';
import { Quotas } from './fairness/quotas.ts';
import type { RuleTable } from './rules/rule-table.ts';

/** The parts of the broker that rules are in force at. */
export interface RuledParts {
  readonly buckets: Buckets<unknown>;
  /** What goes in; undefined: all does. */
  readonly rules: IntakeRules | undefined;
  /** Monotonic time in ms as of the last input. */
  readonly reportMs: number;
  stir(): void;
  dispatch(slot: number): void;
  onBatch(observe: (batch: Batch) => void): void;
}

export class RulesInForce {
  readonly #parts: RuledParts;
  /** What rules allow of deliveries. */
  readonly limits: DeliveryLimits;

  constructor(parts: RuledParts, table: RuleTable) {
    const { buckets } = parts;
    this.#parts = parts;
    buckets.rules.use(table);
    this.#countPayload(table);
    this.limits = new DeliveryLimits(buckets, buckets.rules, () => parts.reportMs);
  }

  /** What rules allow to go in, for a broker without another policy. */
  quotas(): Quotas {
    const quotas = new Quotas(this.#parts.buckets);
    this.#parts.onBatch((batch) => quotas.durable(batch));
    return quotas;
  }

  /** Other rules are in force from now on, for what waits already, too. */
  use(table: RuleTable): void {
    const parts = this.#parts;
    parts.stir();
    parts.buckets.rules.use(table);
    this.#countPayload(table);
    parts.rules?.load();
    for (const { slot } of [...parts.buckets.subscriptions()]) parts.dispatch(slot);
  }

  // Payload is counted where a rule bounds it.
  #countPayload({ rules }: RuleTable): void {
    const { buckets } = this.#parts;
    const isBounded = rules.some(({ values }) => (values.max_bytes ?? 0) > 0);
    if (isBounded && !buckets.payload.isOn) buckets.countPayload();
  }
}
