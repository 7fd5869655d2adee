// Buckets that operators of a simulated world pause and resume while the broker runs, drawn by its
// seed, some of them by a file that an earlier version left; and the part of the model that judges
// them: what the log says is what the broker knows, with what was asked since it is in force, and
// what it answered is in the log. Nothing is delivered from a bucket that is paused.

import assert from 'node:assert/strict';
import type { Outcome } from '../../src/contract/commands.ts';
import type { Broker } from '../../src/core/broker.ts';
import type { Settings } from '../../src/core/segments/settings.ts';
import type { Random } from '../support/random.ts';
import type { BatchRead } from './batch.ts';
import type { Tally } from './faults.ts';

/** What of a life pauses are asked of and looked up in. */
export interface PausingLife {
  readonly broker: Broker;
  readonly settings: Settings;
  soon(call: () => void): void;
}

const TEXT = /^paused bucket=(\d+)$/;

export class SimPauses {
  readonly #random: Random;
  readonly #tally: Tally;
  readonly #buckets: readonly number[];
  readonly #mayRefuse: () => boolean;
  /** Buckets by the sequence of the message that pauses them, as durable batches say. */
  readonly #durable = new Map<number, number>();
  // Their mark is durable, but not each that was due before it: the broker may not know yet.
  readonly #leaving = new Map<number, number>();
  readonly #said = new Set<number>();
  /** What was asked for and is not answered, by bucket. */
  readonly #asked = new Map<number, boolean[]>();
  /** What a file says, for as long as there is one. */
  #file: ReadonlySet<number> | undefined;
  #life: PausingLife | undefined;

  constructor(
    random: Random,
    buckets: readonly number[],
    { tally, mayRefuse }: { tally: Tally; mayRefuse: () => boolean },
  ) {
    this.#random = random;
    this.#buckets = buckets.slice(0, 8);
    this.#tally = tally;
    this.#mayRefuse = mayRefuse;
    if (random.chance(0.4)) this.#file = new Set(this.#buckets.filter(() => random.chance(0.4)));
  }

  /** Pauses that the broker has not let go. */
  get count(): number {
    this.#letGo();
    return this.#durable.size + this.#leaving.size;
  }

  /** Whether a message of that sequence says a pause. */
  has(sequence: number): boolean {
    return this.#said.has(sequence);
  }

  /** Whether any bucket is paused. */
  get isAny(): boolean {
    return this.#buckets.some((bucket) => this.#inForce(bucket));
  }

  // --- the log ----------------------------------------------------------------------------------

  /** A batch is written. */
  written({ settings }: Pick<BatchRead, 'settings'>): void {
    for (const { sequence, text, from } of settings) {
      assert.equal(from, 0, `${text} replaces ${from}`);
      assert.ok(!this.#sequencesOf(bucketIn(text)).length, `${text} is in the log already`);
      this.#said.add(sequence);
    }
  }

  /** A batch is durable. */
  apply({ settings, settled }: Pick<BatchRead, 'settings' | 'settled'>): void {
    for (const { sequence, text } of settings) this.#durable.set(sequence, bucketIn(text));
    for (const { sequence: first, count } of settled)
      for (const [sequence, bucket] of this.#durable) {
        if (sequence < first || sequence >= first + count) continue;
        this.#durable.delete(sequence);
        this.#leaving.set(sequence, bucket);
      }
  }

  /** The broker knows what the log says, and goes by that and by what was asked. */
  judge(): void {
    if (this.#life === undefined) return;
    const { broker, settings } = this.#life;
    this.#letGo();
    for (const bucket of this.#buckets) {
      const of = this.#sequencesOf(bucket);
      assert.deepEqual([...settings.pausesOf(`${bucket}`)], of, `pauses of bucket ${bucket}`);
      const isPaused = broker.paused.has(`${bucket}`);
      assert.equal(isPaused, this.#inForce(bucket), `whether bucket ${bucket} is paused`);
    }
  }

  /** Messages of a bucket are being delivered. */
  delivered(bucket: number): void {
    assert.ok(!this.#inForce(bucket), `bucket ${bucket} is paused, and something is delivered`);
  }

  #letGo(): void {
    for (const sequence of this.#leaving.keys())
      if (this.#life?.settings.has(sequence) !== true) this.#leaving.delete(sequence);
  }

  #sequencesOf(bucket: number): number[] {
    this.#letGo();
    const all = [...this.#durable, ...this.#leaving];
    return all.flatMap(([sequence, of]) => (of === bucket ? [sequence] : []));
  }

  #inForce(bucket: number): boolean {
    const asked = this.#asked.get(bucket)?.at(-1);
    if (asked !== undefined) return asked;
    return this.#file?.has(bucket) === true || this.#sequencesOf(bucket).length > 0;
  }

  /** The process is gone. */
  died(): void {
    this.#life = undefined;
    this.#asked.clear();
  }

  // --- operators --------------------------------------------------------------------------------

  /** A life has begun. */
  opened(life: PausingLife): void {
    this.#life = life;
    const file = this.#file;
    if (file === undefined) return;
    const remove = (done: (failure: Error | undefined) => void): void => {
      // It may be gone when the process is, or not, and maybe nobody hears of it.
      for (const bucket of file)
        assert.ok([...this.#durable.values()].includes(bucket), `${bucket} is only in the file`);
      if (this.#random.chance(0.2)) {
        this.#tally.add('files of pauses left');
        life.soon(() => done(new Error('it is not to be removed')));
      } else {
        if (this.#random.chance(0.3)) this.#file = undefined;
        life.soon(() => {
          this.#file = undefined;
          this.#tally.add('files of pauses taken over');
          done(undefined);
        });
      }
    };
    life.broker.pauses.takeOver({ name: 'a file', ids: [...file].map(String), remove });
  }

  /** Now and then somebody pauses a bucket, or resumes it. */
  maybe(): void {
    const random = this.#random;
    if (!random.chance(0.04)) return;
    const bucket = this.#buckets[random.below(this.#buckets.length)]!;
    // Not for long: else not much is delivered in this world.
    this.#ask(bucket, random.chance(this.#inForce(bucket) ? 0.1 : 0.5));
    while (random.chance(0.2)) this.#ask(bucket, random.chance(0.5));
  }

  /** Deliveries go on from all. */
  calm(): void {
    for (const bucket of this.#buckets) if (this.#inForce(bucket)) this.#ask(bucket, false);
  }

  #ask(bucket: number, wanted: boolean): void {
    if (this.#life === undefined) return;
    const asked = this.#asked.get(bucket) ?? [];
    this.#asked.set(bucket, asked);
    asked.push(wanted);
    this.#life.broker.pauses.ask(`${bucket}`, wanted, (outcome) => {
      assert.equal(asked.shift(), wanted, 'answered out of turn');
      if (asked.length === 0) this.#asked.delete(bucket);
      this.#answered(bucket, wanted, outcome);
    });
  }

  #answered(bucket: number, wanted: boolean, outcome: Outcome): void {
    const isDurable = [...this.#durable.values()].includes(bucket);
    const inFile = this.#file?.has(bucket) === true;
    if (outcome.ok) {
      this.#tally.add(wanted ? 'buckets paused' : 'buckets resumed');
      assert.ok(wanted || !inFile, `bucket ${bucket} is resumed, and a file says it is paused`);
      if (!inFile) assert.equal(isDurable, wanted, `bucket ${bucket}: paused by the log`);
      return;
    }
    const { code, detail } = outcome;
    this.#tally.add(`pauses refused: ${code}`);
    const isExpected = {
      'no-space': wanted && this.#mayRefuse(),
      conflict: !wanted,
      stopping: true,
    } as Record<string, boolean>;
    assert.ok(isExpected[code], `bucket ${bucket}: ${code} ${detail}`);
  }
}

/** Whether a message of settings says a pause. */
export const isPause = ({ text }: { text: string }): boolean => TEXT.test(text);
const bucketIn = (text: string): number => Number(TEXT.exec(text)![1]);
