// Commands about rules: what is asked of them is answered at once, a change when it is durable, and
// what a change would come to when all buckets that are known were looked at, a part at a time.

import { KIND_LIVE } from '../../../assembly/layout-placed.ts';
import type { Command, Outcome, RulePreview } from '../../contract/commands.ts';
import type { Broker } from '../broker.ts';
import type { Expected, RuleChange } from '../rule-changes.ts';
import { Changes } from '../rules/changes.ts';
import { type Rule, ruleOfWords } from '../rules/rule.ts';
import { quote, RuleError } from '../rules/rule-error.ts';
import { refuse } from './refusals.ts';
import { explainBucket, ruleKeys, ruleNamed, rulePage } from './rules.ts';

/** Buckets listed by a preview at most, and slots looked at in one turn. */
const LISTED_MAX = 100;
const SLOTS_TOGETHER = 4096;

type KindOf = 'rules' | 'rule' | 'rule-keys' | 'bucket-rule' | 'rule-set' | 'rule-remove';
export type RuleCommand = Extract<Command, { kind: KindOf }>;
type Order = Extract<Command, { kind: 'rule-set' | 'rule-remove' }>;
type Done = (outcome: Outcome) => void;

export class RuleCommands {
  readonly #broker: Broker;
  readonly #soon: (call: () => void) => void;

  constructor({ broker, soon }: { broker: Broker; soon: (call: () => void) => void }) {
    this.#broker = broker;
    this.#soon = soon;
  }

  get #table() {
    return this.#broker.buckets.rules.table;
  }

  #versionOf = (name: string): number => this.#broker.rulesInForce?.set.find(name)?.version ?? 0;

  /** Undefined: the outcome comes later, through `done`. */
  carryOut(command: RuleCommand, done: Done): Outcome | undefined {
    switch (command.kind) {
      case 'rules': {
        const { limit, cursor } = command;
        return { ok: true, result: rulePage(this.#table, limit, cursor, this.#versionOf) };
      }
      case 'rule':
        return ruleNamed(this.#table, command.name, this.#versionOf);
      case 'rule-keys':
        return { ok: true, result: ruleKeys() };
      case 'bucket-rule':
        return explainBucket(this.#table, command.id);
      default:
        return this.#order(command, done);
    }
  }

  #order(order: Order, done: Done): Outcome | undefined {
    const { name, preview } = order;
    const changes = this.#broker.rulesInForce?.changes;
    if (changes === undefined) return refuse('failed', 'this broker goes by no rules');
    const expected = expectedOf(order.expected);
    if (expected === 'bad')
      return refuse('bad-request', `${quote(order.expected!)} is no version of a rule`);
    let rule: Rule | undefined;
    try {
      if (order.kind === 'rule-set') rule = ruleOfWords(name, order.match, order.words);
    } catch (error) {
      if (error instanceof RuleError) {
        const refusal = refuse('bad-request', error.message);
        return error.at === undefined ? refusal : { ...refusal, at: error.at };
      }
      throw error;
    }
    const change = { name, rule, expected };
    if (preview) return this.#preview(change, done);
    changes.ask(change, (changed) => {
      if (!changed.ok) done(changed);
      else if (rule !== undefined) done(ruleNamed(this.#table, name, this.#versionOf));
      else done({ ok: true, result: { name, removed: `${changed.version}` } });
    });
    return undefined;
  }

  #preview(change: RuleChange, done: Done): Outcome | undefined {
    const { buckets, rulesInForce } = this.#broker;
    const after = rulesInForce!.changes.preview(change);
    if ('ok' in after) return after;
    const changes = new Changes(rulesInForce!.set.table, after.table, LISTED_MAX);
    const look = (from: number): void => {
      const end = Math.min(from + SLOTS_TOGETHER, buckets.slotsEnd);
      for (let slot = from; slot < end; slot++) {
        if (!buckets.inUse(slot) || buckets.kindOf(slot) !== KIND_LIVE) continue;
        const { low, high } = buckets.placeOf(slot);
        changes.look(low, high);
      }
      if (end < buckets.slotsEnd) this.#soon(() => look(end));
      else done({ ok: true, result: previewOf(changes, buckets.isPartial) });
    };
    this.#soon(() => look(1));
    return undefined;
  }
}

function expectedOf(text: string | undefined): Expected | 'bad' {
  if (text === undefined || text === 'any' || text === 'none') return text;
  const version = /^\d{1,16}$/.test(text) ? Number(text) : 0;
  return version > 0 && Number.isSafeInteger(version) ? version : 'bad';
}

function previewOf({ looked, changed, byKey, listed }: Changes, more: boolean): RulePreview {
  return {
    looked,
    more,
    changed,
    keys: Object.fromEntries(byKey),
    buckets: listed.map(({ bucket, changes }) => ({
      bucket: `${bucket}`,
      changes: changes.map((change) => ({ ...change })),
    })),
  };
}
