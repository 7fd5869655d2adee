// Rules that operators of a simulated world set and remove while the broker runs, drawn by its
// seed; and the part of the model that judges them: what the log says of them, batch by batch, is
// what the broker goes by, in this life and the next, and what it answered is in the log.

import assert from 'node:assert/strict';
import type { Changed } from '../../src/core/rule-changes.ts';
import { ruleOfWords } from '../../src/core/rules/rule.ts';
import type { RulesInForce } from '../../src/core/rules-in-force.ts';
import type { Random } from '../support/random.ts';
import type { BatchRead } from './batch.ts';
import type { Tally } from './faults.ts';

/** What they set of a bucket. */
const KEYS = ['batch', 'max_in_flight', 'rate', 'max_messages', 'max_bytes', 'ttl'] as const;
export type SetBounds = { [K in (typeof KEYS)[number]]?: number };

interface Setting {
  sequence: number;
  text: string;
}

export class SimSettings {
  readonly #random: Random;
  readonly #tally: Tally;
  readonly #buckets: readonly number[];
  /** By name, as durable batches say. */
  readonly #durable = new Map<string, Setting>();
  // Their mark is durable, but not each that was due before it: the broker may not know yet.
  readonly #leaving = new Map<string, Setting>();
  readonly #said = new Map<number, string>();
  readonly #everBounded = new Set<string>();
  /** Whether a change may be refused for want of space. */
  mayRefuse: () => boolean = () => false;
  /** What the broker goes by in this life. */
  force: RulesInForce | undefined;

  constructor(random: Random, buckets: readonly number[], tally: Tally) {
    this.#random = random;
    this.#buckets = buckets.slice(0, 5);
    this.#tally = tally;
  }

  /** Rules that the broker has not let go. */
  get count(): number {
    return this.#durable.size + this.#leaving.size;
  }

  /** Whether a message of that sequence says a rule. */
  has(sequence: number): boolean {
    return this.#said.has(sequence);
  }

  /** Version of the rule that is set for a bucket, by which the broker goes now; 0: none. */
  versionOf(bucket: number): number {
    return this.force?.set.find(nameOf(bucket))?.version ?? 0;
  }

  /** What is set for a bucket now. */
  boundsOf(bucket: number): SetBounds {
    const text = this.#said.get(this.versionOf(bucket));
    if (text === undefined) return {};
    const words = text.split(' ').map((word) => word.split('=') as [string, string]);
    return Object.fromEntries(
      words.flatMap(([key, value]) =>
        KEYS.some((each) => each === key) ? [[key, Number.parseFloat(value)]] : [],
      ),
    );
  }

  /** Whether messages of a bucket may have been refused while a rule was set. */
  mayHaveRefused(bucket: number): boolean {
    return this.#everBounded.has(nameOf(bucket));
  }

  // --- the log ----------------------------------------------------------------------------------

  /** A batch is written: what it says of rules is new, or replaces what is there. */
  written({ settings }: BatchRead): void {
    for (const { sequence, text, from } of settings) {
      const name = nameIn(text);
      const before = this.#durable.get(name)?.sequence ?? 0;
      assert.equal(from, before, `rule ${name} replaces version ${from}, not ${before}`);
      this.#said.set(sequence, text);
      if (/max_(messages|bytes)=/.test(text)) this.#everBounded.add(name);
    }
  }

  /** A batch is durable. */
  apply({ settings, settled }: BatchRead): void {
    for (const { sequence, text } of settings) this.#durable.set(nameIn(text), { sequence, text });
    for (const { sequence: first, count } of settled)
      for (const [name, setting] of this.#durable) {
        if (setting.sequence < first || setting.sequence >= first + count) continue;
        this.#durable.delete(name);
        this.#leaving.set(name, setting);
      }
  }

  /** The broker goes by what the log says. */
  judge(): void {
    const { force } = this;
    if (force === undefined) return;
    for (const bucket of this.#buckets) {
      const name = nameOf(bucket);
      const is = force.set.find(name);
      const left = this.#leaving.get(name);
      if (is?.version !== left?.sequence) this.#leaving.delete(name);
      const should = this.#leaving.get(name) ?? this.#durable.get(name);
      assert.equal(is?.version ?? 0, should?.sequence ?? 0, `version of rule ${name}`);
      assert.equal(is?.rule.text, should?.text, `rule ${name}`);
    }
  }

  /** The process is gone. */
  died(): void {
    this.force = undefined;
    this.#leaving.clear();
  }

  // --- operators --------------------------------------------------------------------------------

  /** Now and then somebody changes a rule. */
  maybe(common: { max_in_flight: number }): void {
    const random = this.#random;
    const { force } = this;
    if (force === undefined || !random.chance(0.04)) return;
    const bucket = this.#buckets[random.below(this.#buckets.length)]!;
    const name = nameOf(bucket);
    const known = force.set.find(name)?.version;
    const isStale = random.chance(0.1);
    const expected = isStale ? 1e9 : random.chance(0.5) ? (known ?? 'none') : undefined;
    const rule =
      known !== undefined && random.chance(0.4)
        ? undefined
        : ruleOfWords(name, `${bucket}`, this.#words(common.max_in_flight !== 1));
    const done = (changed: Changed): void => this.#answered(name, rule?.text, isStale, changed);
    force.changes.ask({ name, rule, expected }, done);
  }

  // In order is what a bucket is for its whole life, or never.
  #words(mayBound: boolean): string[] {
    const random = this.#random;
    const words = [`batch=${1 + random.below(40)}`];
    if (random.chance(0.25)) words.push(`max_messages=${20 + random.below(60)}`);
    if (random.chance(0.5) && mayBound) words.push(`max_in_flight=${2 + random.below(12)}`);
    if (random.chance(0.15)) words.push(`rate=${[60, 150.5][random.below(2)]}`);
    if (random.chance(0.2)) words.push(`ttl=${[1500, 4500][random.below(2)]}ms`);
    if (random.chance(0.15)) words.push(`max_bytes=${100 + random.below(20_000)}`);
    return words;
  }

  #answered(name: string, text: string | undefined, isStale: boolean, changed: Changed): void {
    const durable = this.#durable.get(name);
    if (changed.ok) {
      this.#tally.add(text === undefined ? 'rules removed' : 'rules set');
      assert.ok(!isStale, `rule ${name} was changed from a version that it never had`);
      if (text === undefined) assert.equal(durable, undefined, `rule ${name} is still in the log`);
      else assert.deepEqual(durable, { sequence: changed.version, text }, `rule ${name}`);
      return;
    }
    const { code } = changed;
    this.#tally.add(`changes of rules refused: ${code}`);
    const isExpected = {
      changed: true, // somebody else was before
      'not-found': text === undefined,
      'no-space': this.mayRefuse(),
      stopping: true,
      'too-many': true,
    } as Record<string, boolean>;
    assert.ok(isExpected[code], `rule ${name}: ${code} ${changed.detail}`);
  }
}

const nameOf = (bucket: number): string => `s${bucket}`;
const nameIn = (text: string): string => /^name=(\S+) /.exec(text)![1]!;
