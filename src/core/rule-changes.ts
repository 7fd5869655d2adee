// Rules that operators set and remove while the broker runs: one change at a time, checked against
// all that is in force, packed in the turn in which it was checked, and answered when it is durable
// and in force.
//
//   asked ──checked──► packed ──durable──► in force, answered
//     ▲         └─ refused: nothing is written
//     └── there is no room for it just now: checked again when there is

import { KIND_SETTINGS, REASON_REPLACED } from '../../assembly/layout-placed.ts';
import type { Refusal } from '../contract/commands.ts';
import type { Batch } from './commit/batch.ts';
import type { Commit } from './commit/commit.ts';
import { storeAnywhere } from './commit/storing.ts';
import type { Codec } from './ports/codec.ts';
import type { Notices } from './ports/notices.ts';
import { type Head, NO_HEAD } from './records/placed.ts';
import type { Rule } from './rules/rule.ts';
import { quote, RuleError } from './rules/rule-error.ts';
import type { RuleSet } from './rules/rule-set.ts';
import { type Settings, type SettingsState, settleSetting } from './segments/settings.ts';

/** Changes that wait their turn at most. */
const WAITING_MAX = 64;
const FULL = 'the disk is full, and a rule that is set has to be written; rules can be removed';

/** What of the broker changes go through. */
export interface ChangingParts extends Omit<SettingsState, 'settings'> {
  readonly codec: Codec;
  readonly commit: Pick<
    Commit,
    'mayPlace' | 'allow' | 'packed' | 'makeRoom' | 'refuses' | 'settle' | 'settledMarks'
  >;
  readonly notices: Notices;
  readonly closing: boolean;
  flushSoon(): void;
}

/** The version that a rule has to have, or that there is one, or none; undefined: all will do. */
export type Expected = number | 'any' | 'none' | undefined;

export interface RuleChange {
  name: string;
  /** Undefined: the rule of that name goes. */
  rule: Rule | undefined;
  expected: Expected;
}

/** `version`: sequence of the message that says the rule, or said it. */
export type Changed = { ok: true; version: number } | Refusal;
type Done = (changed: Changed) => void;

/** On its way to the disk: as a message, or, where a rule goes, as a mark. */
interface Packed {
  readonly version: number;
  /** Place of the mark; undefined: it is a message. */
  readonly mark?: number;
  /** What will be in force. */
  readonly next: RuleSet;
}

export class RuleChanges {
  readonly #parts: ChangingParts;
  readonly #force: { readonly set: RuleSet };
  readonly #settings: Settings;
  readonly #wallMs: () => number;
  readonly #asked: { change: RuleChange; done: Done }[] = [];
  // The first of them is under way.
  #packed: Packed | undefined;
  // It waited for a segment that may hold it.
  #waited: RuleChange | undefined;

  constructor(
    parts: ChangingParts,
    force: { readonly set: RuleSet },
    settings: Settings,
    wallMs: () => number,
  ) {
    this.#parts = parts;
    this.#force = force;
    this.#settings = settings;
    this.#wallMs = wallMs;
  }

  /** What will be in force when the change is durable that is under way. */
  get prepared(): RuleSet | undefined {
    return this.#packed?.next;
  }

  /** Carries out a change in its turn; `done` is called once, when it is durable and in force. */
  ask(change: RuleChange, done: Done): void {
    if (this.#asked.length >= WAITING_MAX) {
      done(refusal('too-many', `${WAITING_MAX} changes of rules wait for the disk: try again`));
      return;
    }
    this.#asked.push({ change, done });
    this.goOn();
  }

  /** What would be in force after a change, or why it is refused; nothing is changed. */
  preview(change: RuleChange): RuleSet | Refusal {
    const { set } = this.#force;
    const { name, rule } = change;
    const refused = this.#refusalOf(change);
    if (refused !== undefined) return refused;
    try {
      return rule === undefined ? set.without(name) : set.with(rule, this.#parts.codec.sequence());
    } catch (error) {
      if (error instanceof RuleError) return refusal('conflict', error.message);
      throw error;
    }
  }

  /** Goes on, as far as there is room. */
  goOn(): void {
    this.#finish();
    while (this.#packed === undefined && this.#asked.length > 0) {
      const { change, done } = this.#asked[0]!;
      const outcome = this.#carryOut(change);
      this.#waited = outcome === 'wait' ? change : undefined;
      if (outcome === 'wait') return;
      if ('next' in outcome) {
        this.#packed = outcome;
        this.#parts.flushSoon();
        return;
      }
      this.#asked.shift();
      done(outcome);
    }
  }

  /** A batch is durable: so may be the mark of a rule that goes. A message counts by itself. */
  durable({ settledMarks }: Batch): void {
    const { version = 0, mark = Number.POSITIVE_INFINITY } = this.#packed ?? {};
    if (settledMarks >= mark && this.#settings.has(version))
      settleSetting({ ...this.#state, settings: this.#settings }, version);
  }

  get #state(): Omit<SettingsState, 'settings'> {
    const { buckets, retention } = this.#parts;
    return { buckets, retention };
  }

  // Answers what is durable, once it is in force.
  #finish(): void {
    const packed = this.#packed;
    if (packed === undefined) return;
    const { version, mark } = packed;
    if (this.#settings.has(version) !== (mark === undefined)) return;
    this.#packed = undefined;
    const { change, done } = this.#asked.shift()!;
    const { name, rule } = change;
    const [kind, text] =
      rule === undefined
        ? ['admin.rule-removed', `rule ${quote(name)} is removed`]
        : ['admin.rule-set', `rule ${quote(name)} is set: ${rule.text.slice(0, 512)}`];
    this.#parts.notices.notice('info', kind!, text!, { rule: name, version });
    done({ ok: true, version });
  }

  #refusalOf({ name, rule, expected }: RuleChange): Refusal | undefined {
    const known = this.#force.set.find(name);
    const version = known?.version;
    if (version === 0) {
      const text = `rule ${quote(name)} stands in the configuration file: change it there, and start the broker again`;
      return refusal('conflict', text);
    }
    if (known === undefined && rule === undefined && expected === undefined)
      return refusal('not-found', `there is no rule ${quote(name)}`);
    const isMet =
      expected === undefined ||
      expected === version ||
      expected === (known === undefined ? 'none' : 'any');
    if (isMet) return undefined;
    const is = version === undefined ? 'there is none of that name' : `it has version ${version}`;
    const text = `rule ${quote(name)} is not what was expected: ${is}. Look at it again`;
    return refusal('changed', text);
  }

  // Compares and packs within one turn: no other change is between.
  #carryOut(change: RuleChange): Changed | Packed | 'wait' {
    const { closing, commit } = this.#parts;
    if (closing) return refusal('stopping', 'the broker is stopping: ask when it has started');
    // Many rules take a while to be put together: not with each commit, only to wait again.
    if (this.#waited === change && !commit.refuses && !commit.mayPlace()) return 'wait';
    const next = this.preview(change);
    if ('ok' in next) return next;
    const { name, rule } = change;
    const version = this.#force.set.find(name)?.version ?? 0;
    if (rule !== undefined) {
      const isSame = this.#force.set.find(name)?.rule.text === rule.text;
      return isSame ? { ok: true, version } : this.#store(rule, version, next);
    }
    commit.settle(version, 1);
    return { version, mark: commit.settledMarks, next };
  }

  #store(rule: Rule, before: number, next: RuleSet): Refusal | Packed | 'wait' {
    const { codec, commit } = this.#parts;
    const [low, high] = bucketOf(rule.name);
    const head = this.#headOf(before, (BigInt(high) << 32n) | BigInt(low));
    const settles = before > 0;
    const message = { low, high, kind: KIND_SETTINGS, head, settles, text: rule.text };
    const version = codec.sequence();
    switch (storeAnywhere(commit, codec, message)) {
      case 'wait':
        return 'wait';
      case 'full':
        return refusal('no-space', FULL);
      case 'large':
        return refusal('failed', 'the rule is larger than a segment of the log');
    }
    return { version, next };
  }

  #headOf(before: number, fromBucket: bigint): Head {
    const nowMs = this.#wallMs();
    if (before === 0) return { ...NO_HEAD, publishedMs: nowMs };
    const from = { from: before, fromBucket, fromKind: KIND_SETTINGS };
    return { ...NO_HEAD, ...from, publishedMs: nowMs, movedMs: nowMs, reason: REASON_REPLACED };
  }
}

function refusal(code: Refusal['code'], detail: string): Refusal {
  return { ok: false, code, detail };
}

const FNV_PRIME = 0x100_0000_01b3n;
const FNV_START = 0xcbf2_9ce4_8422_2325n;

// FNV-1a: where rules of the same name stand together in an index. Nothing is looked up by it.
function bucketOf(name: string): [low: number, high: number] {
  let hash = FNV_START;
  for (let i = 0; i < name.length; i++)
    hash = BigInt.asUintN(64, (hash ^ BigInt(name.charCodeAt(i))) * FNV_PRIME);
  return [Number(hash & 0xffff_ffffn), Number(hash >> 32n)];
}
