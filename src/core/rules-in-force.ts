// The rules that a broker goes by: puts a table into force at the parts that ask for it, at the
// start and when what the log says of rules has changed, which it does when that is durable.

import type { Buckets } from './buckets/buckets.ts';
import type { PublishedIds } from './collections/published-ids.ts';
import type { Batch } from './commit/batch.ts';
import { DeliveryLimits } from './delivery/delivery-limits.ts';
import { Expiry } from './delivery/expiry.ts';
import { IDS_UNREADABLE, idsFull } from './delivery/notices.ts';
import { Overflow, type OverflowParts } from './delivery/overflow.ts';
import { Sweeper, type SweeperParts } from './delivery/sweeper.ts';
import { Copies, type CopiesOptions } from './fairness/copies.ts';
import { Dedup, type DedupParts } from './fairness/dedup.ts';
import { Delays } from './fairness/delays.ts';
import type { IntakePolicy, IntakeRules } from './fairness/intake-policy.ts';
import { Quotas } from './fairness/quotas.ts';
import type { SegmentIndex } from './ports/segment-index.ts';
import { type ChangingParts, RuleChanges } from './rule-changes.ts';
import { RuleSet } from './rules/rule-set.ts';
import type { RuleTable } from './rules/rule-table.ts';
import type { Settings } from './segments/settings.ts';
import type { StoringTimes } from './segments/storing-times.ts';

/** The parts of the broker that rules are in force at. */
export interface RuledParts extends ChangingParts, OverflowParts, SweeperParts {
  readonly buckets: Buckets<unknown>;
  readonly commit: ChangingParts['commit'] & OverflowParts['commit'] & DedupParts['commit'];
  readonly counters: DedupParts['counters'];
  readonly dispatcher: OverflowParts['dispatcher'] &
    SweeperParts['dispatcher'] & { readonly virtual: { rulesChanged(): void } };
  readonly dying: OverflowParts['dying'] & SweeperParts['dying'];
  readonly retention: ChangingParts['retention'] & SweeperParts['retention'];
  /** What goes in; undefined: all does. */
  readonly rules: IntakeRules | undefined;
  /** Monotonic time in ms as of the last input. */
  readonly reportMs: number;
  stir(): void;
  dispatch(slot: number): void;
  onBatch(observe: (batch: Batch) => void): void;
  readonly limits: CopiesOptions['limits'];
}

export interface RulesOptions {
  /** What was set while brokers ran. */
  settings: Settings;
  /** Ids of messages that were published. */
  ids: PublishedIds;
  /** When messages were stored. */
  times: StoringTimes;
  log: { readonly index: SegmentIndex };
  wallMs: () => number;
}

export class RulesInForce {
  readonly #parts: RuledParts;
  readonly #file: RuleTable;
  readonly #settings: Settings;
  readonly #ids: PublishedIds;
  #set: RuleSet;
  #seen: number;
  /** What rules allow of deliveries. */
  readonly limits: DeliveryLimits;
  /** Sets and removes rules. */
  readonly changes: RuleChanges;
  readonly #overflow: Overflow;
  /** How long messages may wait, and who finds those that have. */
  readonly expiry: Expiry;
  readonly sweeper: Sweeper;
  /** What buckets take, since `intake`. */
  quotas: Quotas | undefined;

  /**
   * `file`: the rules of the configuration file.
   * @throws RuleError when they and what was set cannot be in force together.
   */
  constructor(parts: RuledParts, file: RuleTable, options: RulesOptions) {
    const { settings, times, log, ids, wallMs } = options;
    const { buckets } = parts;
    this.#parts = parts;
    this.#file = file;
    this.#settings = settings;
    this.#ids = ids;
    this.#seen = settings.changes;
    this.#set = RuleSet.of(file, settings.texts);
    buckets.rules.use(this.#set.table);
    this.#countPayload(this.#set.table);
    this.limits = new DeliveryLimits(buckets, buckets.rules, () => parts.reportMs);
    this.changes = new RuleChanges(parts, this, settings, wallMs);
    this.#overflow = new Overflow(parts);
    this.#overflow.use(this.#set.table);
    this.expiry = new Expiry({ buckets, times, wallMs });
    this.expiry.use(this.#set.table);
    this.sweeper = new Sweeper(parts, { expiry: this.expiry, index: log.index });
    parts.onBatch((batch) => {
      this.changes.durable(batch);
      this.refresh();
      this.changes.goOn();
      this.#overflow.durable(batch);
    });
  }

  /** All rules as they are in force. */
  get set(): RuleSet {
    return this.#set;
  }

  /**
   * What rules say of messages that come, for a broker without another policy; `wallMs`: ms since
   * 1970.
   */
  intake(wallMs: () => number): IntakePolicy {
    const quotas = new Quotas(this.#parts.buckets);
    this.quotas = quotas;
    this.#parts.onBatch((batch) => quotas.durable(batch));
    const { codec, commit, counters, notices, limits, buckets } = this.#parts;
    const ids = this.#ids;
    const { rules } = buckets;
    const copies = new Copies(new Delays(quotas, rules, wallMs), quotas, { rules, wallMs, limits });
    const full = () => notices.notice('warn', 'dedup.full', idsFull(ids.count, ids.bytesMax));
    const unreadable = () => notices.notice('warn', 'dedup.unreadable', IDS_UNREADABLE);
    const parts = { codec, commit, rules, ids, counters, wallMs, full, unreadable };
    return new Dedup(copies, parts);
  }

  /** Puts into force what the log says now; `prepared`: a set that may be that. */
  refresh(prepared = this.changes.prepared): void {
    const { changes, texts } = this.#settings;
    if (changes === this.#seen) return;
    this.#seen = changes;
    this.#set = prepared?.isOf(texts) ? prepared : RuleSet.of(this.#file, texts);
    this.use(this.#set.table);
  }

  /** Other rules are in force from now on, for what waits already, too. */
  use(table: RuleTable): void {
    const parts = this.#parts;
    parts.stir();
    parts.buckets.rules.use(table);
    parts.dispatcher.virtual.rulesChanged();
    this.#countPayload(table, true);
    parts.rules?.load();
    this.#overflow.use(table);
    this.expiry.use(table);
    this.sweeper.use();
    for (const { slot } of [...parts.buckets.subscriptions()]) parts.dispatch(slot);
  }

  // Payload is counted where a rule bounds it.
  #countPayload({ rules }: RuleTable, isLate = false): void {
    const { buckets } = this.#parts;
    const isBounded = rules.some(({ values }) => (values.max_bytes ?? 0) > 0);
    if (isBounded && !buckets.payload.isOn) buckets.countPayload(isLate);
  }
}
