// Rules of a simulated world, drawn by its seed, and the part of the model that judges by them: how
// large deliveries are, how many are out and for how long in silence, how many come in a time, and
// what may wait.

import assert from 'node:assert/strict';
import { compileRules } from '../../src/core/rules/compile.ts';
import { type Rule, ruleOfWords } from '../../src/core/rules/rule.ts';
import type { RuleTable } from '../../src/core/rules/rule-table.ts';
import type { Random } from '../support/random.ts';
import type { Chances } from './chances.ts';
import { drawCopies, isTooLarge } from './copies.ts';
import { type Message, name } from './model.ts';
import { FOR_EVER_MS } from './repeats.ts';
import type { SimSettings } from './settings.ts';
import { type SimVirtual, VIRTUAL_BATCH } from './virtual.ts';

/** What is in force for a bucket; 0: no bound. */
export interface Bounds {
  batch: number;
  max_in_flight: number;
  rate: number;
  lease: number;
  max_messages: number;
  max_bytes: number;
  overflow: 'refuse' | 'drop-oldest' | 'dead-oldest';
  /** Delays in ms. */
  retry: number[];
  retry_jitter: number;
  /** Whether what is lost together comes apart. */
  isolate: boolean;
  max_deliveries: number;
  dead_letter: 'keep' | 'drop' | number;
  /** Ms. */
  delay: number;
  copy_to: readonly number[];
  dedup: number;
  ttl: number;
  expired: 'dead' | 'drop';
  dead_keep: number;
}

const RETRIES = [[0], [200], [0, 50, 1000], [20_000], [100, 0, 5000], [2]];
const DELAYS = [3, 60, 400, 2500];
const WINDOWS = [FOR_EVER_MS, FOR_EVER_MS, FOR_EVER_MS, 400, 5000];
const TTLS = [800, 1500, 4000, 20_000];
const DEAD_KEEPS = [1000, 6000, 30_000];
const FOR_EVER = { ttl: 0, expired: 'dead' as const, dead_keep: 0 };
const AT_ONCE = { retry: [0], retry_jitter: 0, isolate: true, delay: 0 };
const NONE: Bounds = {
  batch: 0,
  max_in_flight: 0,
  rate: 0,
  lease: 0,
  max_messages: 0,
  max_bytes: 0,
  overflow: 'refuse',
  ...AT_ONCE,
  max_deliveries: 0,
  dead_letter: 'keep',
  copy_to: [],
  dedup: 0,
  ...FOR_EVER,
};
// A wake-up may be so late, and is made good.
const LATE_MS = 50;
// A message waits in the open batch while another one is written.
const BATCHES_BETWEEN = 3;

// `later`: chances of delays; undefined: none.
function draw(random: Random, leases: Random, later: Random | undefined): Bounds {
  const sometimes = (share: number, value: number) => (random.chance(share) ? value : 0);
  return {
    batch: sometimes(0.4, 1 + random.below(10)),
    max_in_flight: sometimes(0.4, random.chance(0.5) ? 1 : 2 + random.below(12)),
    rate: sometimes(0.3, [20, 60, 150.5][random.below(3)]!),
    lease: leases.chance(0.7) ? [300, 480, 1500, 4000][leases.below(4)]! : 0,
    max_messages: sometimes(0.5, 1 + random.below(60)),
    max_bytes: sometimes(0.3, 100 + random.below(20_000)),
    overflow: later?.chance(0.6) === true ? 'drop-oldest' : 'refuse',
    ...(later === undefined ? AT_ONCE : drawTimes(later)),
    max_deliveries: 0,
    dead_letter: 'keep',
    copy_to: [],
    dedup: 0,
    ...FOR_EVER,
  };
}

function drawAges(random: Random, { overflow }: Bounds): Partial<Bounds> {
  const isDead = overflow !== 'refuse' && random.chance(0.5);
  return {
    ttl: random.chance(0.4) ? TTLS[random.below(TTLS.length)]! : 0,
    expired: random.chance(0.4) ? 'drop' : 'dead',
    dead_keep: random.chance(0.3) ? DEAD_KEEPS[random.below(DEAD_KEEPS.length)]! : 0,
    overflow: isDead ? 'dead-oldest' : overflow,
  };
}

// `targets`: buckets where the dead of this one may go.
function drawDeaths(
  random: Random,
  targets: readonly number[],
): Pick<Bounds, 'max_deliveries' | 'dead_letter'> {
  const what = random.below(10);
  const target = targets[random.below(Math.min(targets.length, 3))];
  const keeps = what < 3 || target === undefined;
  const dead_letter = what === 9 ? 'drop' : keeps ? 'keep' : target;
  return { max_deliveries: [0, 1, 2, 2, 3, 5][random.below(6)]!, dead_letter };
}

type Times = Pick<Bounds, 'retry' | 'retry_jitter' | 'isolate' | 'delay'>;

function drawTimes(random: Random): Times {
  const retry = random.chance(0.5) ? RETRIES[random.below(RETRIES.length)]! : [0];
  const retry_jitter = [0, 0.25, 1][random.below(3)]!;
  const isolate = random.chance(0.7);
  const delay = random.chance(0.45) ? DELAYS[random.below(4)]! : 0;
  return { retry, retry_jitter, isolate, delay };
}

/** The model of what rules promise, bucket by bucket. */
export class SimRules {
  readonly table: RuleTable;
  /** Ids have so little memory that new messages may be refused. */
  hasFewIds = false;
  /** What dies goes from each bucket to the next. */
  isChain = false;
  /** Some buckets get copies. */
  isCopying = false;
  #common: Bounds;
  readonly #single = new Map<number, Bounds>();
  readonly #held = new Map<number, number>();
  readonly #budgets = new Map<number, { left: number; atMs: number }>();
  // Batches since the bucket was last known in part only.
  readonly #known = new Map<number, number>();
  // The version of a rule that was set by which both were counted.
  readonly #versions = new Map<number, number>();
  /** Bytes of a segment that messages may use. */
  segmentBytes = 0;
  /** Rules that are set while the broker runs. */
  settings: SimSettings | undefined;
  readonly virtual: SimVirtual | undefined;

  /** Rules for all buckets, half of which have bounds of their own; `virtual`: those with sources. */
  constructor(chances: Chances, random: Random, buckets: readonly number[], virtual?: SimVirtual) {
    const { leases, later, deaths, copies, dedups, ages } = chances;
    this.virtual = virtual;
    this.#common = random.chance(0.5) ? draw(random, leases, later) : NONE;
    for (const bucket of buckets.slice(0, 12))
      if (random.chance(0.5)) this.#single.set(bucket, draw(random, leases, later));
    if (deaths !== undefined) this.#drawDeaths(deaths, buckets);
    if (ages !== undefined && !this.isChain) this.#drawAges(ages);
    if (copies !== undefined && !this.isChain) this.#drawCopies(copies, buckets);
    if (dedups !== undefined) this.#drawWindows(dedups);
    const rules = [this.#rule('all', '*', this.#common)];
    for (const [bucket, bounds] of this.#single)
      rules.push(this.#rule(`b${bucket}`, `${bucket}`, bounds));
    rules.push(...(virtual?.rules ?? []));
    this.table = compileRules(rules.filter((rule) => rule !== undefined));
  }

  // The dead go to buckets behind their own, in some worlds through all that there are.
  #drawDeaths(random: Random, buckets: readonly number[]): void {
    const isChain = random.chance(buckets.length < 12 ? 0.1 : 0.5);
    this.isChain = isChain;
    const few = buckets.slice(0, 12);
    for (const [i, bucket] of few.entries()) {
      const bounds = isChain ? NONE : this.#single.get(bucket);
      if (bounds === undefined) continue;
      const drawn = drawDeaths(random, buckets.slice(i + 1));
      const next = buckets[i + 1] ?? 'keep';
      const chain = { max_deliveries: 1, dead_letter: next };
      this.#single.set(bucket, { ...bounds, ...(isChain ? chain : drawn) });
      if (!isChain) this.#drawRoom(random, drawn.dead_letter);
    }
    // What holds for all buckets may name one that keeps its own dead.
    const keeping = few.filter((each) => this.#single.get(each)?.dead_letter === 'keep');
    const common = drawDeaths(random, keeping);
    if (random.chance(0.7)) this.#common = { ...this.#common, ...common };
  }

  // Where the dead go there is often little room, so that some have to stay.
  #drawRoom(random: Random, target: Bounds['dead_letter']): void {
    if (typeof target !== 'number' || !random.chance(0.9)) return;
    const max_messages = 1 + random.below(5);
    const bounds = this.of(target);
    if (bounds.overflow === 'drop-oldest') return;
    this.#single.set(target, { ...bounds, max_messages });
  }

  #drawCopies(random: Random, buckets: readonly number[]): void {
    const drawn = drawCopies(random, buckets);
    this.isCopying = drawn.size > 0;
    for (const bucket of new Set([...drawn.keys(), ...[...drawn.values()].flat()])) {
      const bounds = this.#single.get(bucket) ?? this.#common;
      const dead_letter = bounds.dead_letter === 'drop' ? 'drop' : 'keep';
      const copy_to = drawn.get(bucket) ?? [];
      // Where one of many has little room, hardly anything would go in.
      const room = random.chance(0.7) ? { max_messages: 0, max_bytes: 0 } : {};
      this.#single.set(bucket, { ...bounds, ...room, dead_letter, copy_to });
    }
  }

  #drawWindows(random: Random): void {
    const draw = () => WINDOWS[random.below(WINDOWS.length)]!;
    if (random.chance(0.5)) this.#common = { ...this.#common, dedup: draw() };
    for (const [bucket, bounds] of this.#single)
      if (random.chance(0.6)) this.#single.set(bucket, { ...bounds, dedup: draw() });
  }

  #drawAges(ages: Random): void {
    if (this.#common !== NONE) this.#common = { ...this.#common, ...drawAges(ages, this.#common) };
    for (const [bucket, bounds] of this.#single)
      this.#single.set(bucket, { ...bounds, ...drawAges(ages, bounds) });
  }

  #rule(name: string, match: string, bounds: Bounds): Rule | undefined {
    // 0 is no batch, and no key is left out where another rule would decide.
    const words = Object.entries(bounds).map(([key, value]) => {
      if (key === 'retry') return `retry=${bounds.retry.map((ms) => `${ms}ms`).join(',')}`;
      if (key === 'copy_to') return `${key}=${bounds.copy_to.join() || 'none'}`;
      if (['lease', 'delay', 'ttl', 'dedup'].includes(key)) return `${key}=${value}ms`;
      if (key === 'dead_keep') return value === 0 ? 'dead_keep=forever' : `${key}=${value}ms`;
      return key === 'batch' && value === 0 ? 'batch=auto' : `${key}=${value}`;
    });
    return ruleOfWords(name, match, words);
  }

  of(bucket: number): Bounds {
    const bounds = this.#single.get(bucket) ?? this.#common;
    const set = this.settings?.boundsOf(bucket);
    return set === undefined ? bounds : { ...bounds, ...set };
  }

  /** Buckets that have no bounds of their own, as a rule that is set may have. */
  get others(): (bucket: number) => boolean {
    return (bucket) => !this.#single.has(bucket);
  }

  /** The shortest time that messages may wait anywhere, or shorter. */
  get leastMs(): number {
    const all = [this.#common, ...this.#single.values()];
    const times = all.flatMap(({ ttl, dead_keep }) => [ttl, dead_keep]);
    return Math.min(...times.filter((ms) => ms > 0), 60_000);
  }

  get common(): Bounds {
    return this.#common;
  }

  /** Messages of a bucket are out of its line, and no consumer has them. */
  taken(bucket: number): void {
    this.#held.set(bucket, this.heldIn(bucket) + 1);
  }

  /** Another life: what is held is not, and rates begin anew. */
  died(): void {
    this.#held.clear();
    this.#budgets.clear();
    this.#known.clear();
    this.#versions.clear();
    this.virtual?.died();
  }

  // Under another rule both are counted anew.
  #renew(bucket: number): void {
    const version = this.settings?.versionOf(bucket) ?? 0;
    if ((this.#versions.get(bucket) ?? 0) === version) return;
    this.#versions.set(bucket, version);
    this.#budgets.delete(bucket);
    this.#known.delete(bucket);
  }

  /** Whether a message may be refused for the bucket's sake. */
  mayRefuse(bucket: number): boolean {
    const { max_messages, max_bytes, overflow, dedup } = this.of(bucket);
    if (dedup > 0 && this.hasFewIds) return true;
    const was = this.settings?.mayHaveRefused(bucket) === true;
    return overflow === 'refuse' && (was || max_messages > 0 || max_bytes > 0);
  }

  /** Whether a message may be refused since its copies are. */
  mayRefuseCopies({ bucket, length }: Message): boolean {
    const { copy_to } = this.of(bucket);
    if (copy_to.some((each) => this.mayRefuse(each))) return true;
    return copy_to.length > 0 && isTooLarge(length, copy_to.length, this.segmentBytes);
  }

  /** Buckets of which the oldest go beyond so many messages. */
  mostOf(bucket: number): number {
    const { max_messages, overflow } = this.of(bucket);
    return overflow !== 'refuse' && max_messages > 0 ? max_messages : Number.POSITIVE_INFINITY;
  }

  /** Whether one of `waiting` messages may go for what comes behind it. */
  mayDrop(bucket: number, waiting: number): boolean {
    const { max_bytes, overflow } = this.of(bucket);
    return overflow !== 'refuse' && (max_bytes > 0 || waiting > this.mostOf(bucket));
  }

  /** Whether no more may be given, because as many are out as may be. */
  isFull(bucket: number): boolean {
    const { max_in_flight: most } = this.of(bucket);
    const isVirtual = this.virtual?.isVirtual(bucket) === true;
    const held = isVirtual ? this.virtual!.holds(bucket, 0) : this.heldIn(bucket);
    return most > 0 && held >= most;
  }

  /** Whether consumers of one bucket are given the messages of another, or the same. */
  isGivenTo(bucket: number, consumed: number): boolean {
    return bucket === consumed || this.virtual?.parentOf(bucket) === consumed;
  }

  heldIn(bucket: number): number {
    return this.#held.get(bucket) ?? 0;
  }

  /** Whether nothing may be given before what is to come again later. */
  isInOrder(bucket: number): boolean {
    return this.of(bucket).max_in_flight === 1;
  }

  /** The least and the most that a message waits that has failed so often, at least and at most. */
  delay(bucket: number, low: number, high: number): { least: number; most: number } {
    const { retry, retry_jitter: jitter } = this.of(bucket);
    const delays = retry.filter(
      (_, i) => i >= Math.min(low, retry.length) - 1 && i <= Math.min(high, retry.length) - 1,
    );
    return { least: Math.min(...delays) * (1 - jitter), most: Math.max(...delays) };
  }

  /** Messages of these buckets are delivered together to a consumer of one. */
  delivered(consumed: number, buckets: readonly number[], nowMs: number): void {
    const isVirtual = this.virtual?.isVirtual(consumed) === true;
    const all = buckets.length;
    const batch = this.of(consumed).batch || (isVirtual ? VIRTUAL_BATCH : 0);
    if (batch > 0) assert.ok(all <= batch, `${all} in a delivery of bucket ${consumed}: ${batch}`);
    if (isVirtual) {
      this.#mayHold(consumed, this.virtual!.holds(consumed, all));
      this.#mayGive(consumed, all, nowMs);
    }
    for (const bucket of new Set(buckets)) {
      const count = buckets.filter((each) => each === bucket).length;
      this.#held.set(bucket, this.heldIn(bucket) + count);
      // Those are bounds of all that its consumers are given.
      if (isVirtual && bucket === consumed) continue;
      this.#mayGive(bucket, count, nowMs);
    }
  }

  /** Messages of a bucket go into a delivery, in which `packed` of it are then. Judged at once, as
   * others may be found dead behind them before it is sent. */
  packed(bucket: number, packed: number): void {
    if (this.virtual?.isVirtual(bucket) === true) return;
    this.#mayHold(bucket, this.heldIn(bucket) + packed);
  }

  #mayHold(bucket: number, held: number): void {
    const { max_in_flight: most } = this.of(bucket);
    if (most > 0) assert.ok(held <= most, `${held} of bucket ${bucket} are out, ${most} may be`);
  }

  #mayGive(bucket: number, count: number, nowMs: number): void {
    this.#renew(bucket);
    const { rate } = this.of(bucket);
    if (rate === 0) return;
    const full = Math.max(1, rate / 10) + (LATE_MS * rate) / 1000;
    const before = this.#budgets.get(bucket) ?? { left: full, atMs: nowMs };
    const earned = ((nowMs - before.atMs) * rate) / 1000;
    const left = Math.min(full, before.left + earned) - count;
    assert.ok(left > -1e-6, `bucket ${bucket} gave ${-left} too many for ${rate} a second`);
    this.#budgets.set(bucket, { left, atMs: nowMs });
  }

  /** A message is not with a consumer of a bucket any more. */
  leaves(consumed: number): void {
    if (this.virtual?.isVirtual(consumed)) this.virtual.holds(consumed, -1);
  }

  /** A message is not held any more. */
  returned(bucket: number): void {
    this.#held.set(bucket, this.#held.get(bucket)! - 1);
  }

  /** A batch is written; `isKnown`: the broker knows all that waits in the bucket. */
  appended(bucket: number, waiting: number, isKnown: boolean): void {
    this.#renew(bucket);
    const { max_messages: most, overflow } = this.of(bucket);
    if (most === 0 || overflow !== 'refuse') return;
    const batches = isKnown ? (this.#known.get(bucket) ?? 0) + 1 : 0;
    this.#known.set(bucket, waiting > most && batches < BATCHES_BETWEEN ? 0 : batches);
    // What came in while less was known stays.
    if (batches > BATCHES_BETWEEN)
      assert.ok(waiting <= most, `${waiting} wait in bucket ${bucket}, ${most} may`);
  }
}

/** A message goes, as one of `all` of a bucket with this `line` that are too many. */
export function judgeDropped(
  message: Message,
  line: readonly Message[],
  all: number,
  rules: SimRules | undefined,
): void {
  const said = `${name(message)} was dropped`;
  assert.equal(message.state, 'ready', `${said} and is ${message.state}`);
  assert.ok(rules?.mayDrop(message.bucket, all) === true, `${said} of ${all}`);
  assert.equal(rules.of(message.bucket).overflow, 'drop-oldest', said);
  const first = line.find((each) => !each.doubtful);
  if (!message.doubtful) assert.equal(message, first, `${said} before ${name(first!)}`);
}
