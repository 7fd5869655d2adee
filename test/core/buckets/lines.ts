// A small broker around buckets: segments, indexes that answer later, consumers, and a plain list
// of all messages beside it, which says what must be next. What happens, happens by a call here.

import assert from 'node:assert/strict';
import { Buckets } from '../../../src/core/buckets/buckets.ts';
import {
  inEntries,
  lookahead,
  nextInLine,
  oldestReady,
} from '../../../src/core/buckets/lookahead.ts';
import type { Slice } from '../../../src/core/buckets/slice.ts';
import { noOutcomes, type Outcomes } from '../../../src/core/collections/outcomes.ts';
import type { Found } from '../../../src/core/ports/basics.ts';
import type { SegmentIndex } from '../../../src/core/ports/segment-index.ts';
import { IndexLookup } from '../../../src/core/segments/index-lookup.ts';
import { Indexing } from '../../../src/core/segments/indexing.ts';
import { Retention } from '../../../src/core/segments/retention.ts';
import { FakeDueLog } from '../../support/due-log.ts';
import type { Random } from '../../support/random.ts';

export const LENGTH = 10;
const RECORD_BYTES = 1000;

export type Fate = 'ready' | 'held' | 'pending' | 'waiting' | 'gone';

export interface Message {
  bucket: number;
  sequence: number;
  fate: Fate;
  record: Found;
}

export interface Consumer {
  bucket: number;
  slot: number;
  held: Slice[];
}

interface Options {
  random: Random;
  slotsMax?: number;
  soughtMax?: number;
  payload?: boolean;
}

/** A world of lines. */
export class Lines {
  readonly messages: Message[] = []; // by sequence - 1
  readonly consumers: Consumer[] = [];
  readonly pending: { bucket: number; sequence: number; count: number }[] = [];
  readonly #options: Options;
  readonly #random: Random;
  // Segments, with their records and those of them that are in an index.
  readonly #records = new Map<number, { bucket: number; found: Found }[]>();
  #later: (() => void)[] = [];
  #bases = [0];
  #position = 0;
  buckets!: Buckets<object>;
  retention!: Retention;
  indexing!: Indexing;
  lookup!: IndexLookup;
  /** Looks for what came back. */
  seeks = 0;
  restarts = 0;

  constructor(options: Options) {
    this.#options = options;
    this.#random = options.random;
    this.#records.set(0, []);
    this.#begin(noOutcomes(), 0);
    this.indexing.open(0);
  }

  // A broker over what is on disk; entries of segments from `from` on are in memory.
  #begin(outcomes: Outcomes, from: number): void {
    const { slotsMax, soughtMax, payload } = this.#options;
    this.#later = [];
    this.buckets = new Buckets(7, outcomes, slotsMax ?? 1000, soughtMax);
    if (payload === true) this.buckets.payload.isOn = true;
    const { buckets } = this;
    this.retention = new Retention();
    const { retention } = this;
    const index = this.#index();
    this.indexing = new Indexing({
      buckets,
      retention,
      index,
      dueLog: new FakeDueLog(), // none of its segments has due times
      dueTimes: { entriesOf: () => undefined, indexed: () => {} },
      indexed: () => {
        for (const share of [...buckets.subscriptions()])
          if (share.consumers === 0) buckets.tidy(share.slot);
      },
      failed: () => assert.fail('an index was not written'),
      soon: () => {},
      releaseMax: 1 + this.#random.below(6),
    });
    this.lookup = new IndexLookup({
      buckets,
      retention,
      index,
      memoryFrom: () => this.indexing.memoryFrom,
      releasing: () => this.indexing.releasing,
      ended: (slot) => buckets.tidy(slot),
      failed: () => assert.fail('an index was not read'),
    });
    buckets.delayed.holders = (take) => {
      for (const { held } of this.consumers)
        for (const { sequence, count } of held) take(sequence, count);
    };
    if (from === 0) this.retention.open(0, 1);
  }

  #index(): SegmentIndex {
    return {
      index: (_base, _source, done) => void this.#later.push(() => done(undefined)),
      find: ({ base, low, sequence, at }, most, done) => {
        const all = this.#records.get(base)!.filter(({ bucket }) => bucket === low);
        const from = all.filter((record, i) => {
          const { sequence: first, messages } = record.found;
          return i >= at && first + messages > sequence;
        });
        const found = from.slice(0, most).map((record) => ({ ...record.found }));
        const last = from[most];
        const next = last === undefined ? undefined : all.indexOf(last);
        this.#later.push(() => done(undefined, found, next));
      },
      findNow: () => undefined,
      visit: () => assert.fail('nobody visits'),
      remake: () => assert.fail('nobody visits'),
    };
  }

  /** Disk work is done that was asked for, the first of it. */
  work(): boolean {
    const done = this.#later.shift();
    done?.();
    this.indexing.step();
    return done !== undefined || this.indexing.releasing;
  }

  get nextSequence(): number {
    return this.messages.length + 1;
  }

  // --- messages ---------------------------------------------------------------------------------

  publish(bucket: number, count: number, waits: boolean): void {
    const sequence = this.nextSequence;
    const position = this.#position;
    this.#position += RECORD_BYTES;
    const bodyBytes = count * (LENGTH + 4);
    const record = { position, sequence, messages: count, bodyBytes, attempts: 0, kind: 0 };
    this.#records.get(this.#bases.at(-1)!)!.push({ bucket, found: record });
    for (let i = 0; i < count; i++)
      this.messages.push({ bucket, sequence: sequence + i, fate: 'ready', record });
    const slot = this.buckets.open(bucket, 0);
    this.buckets.push(slot, position, sequence, count, bodyBytes, 0);
    this.retention.add(position, sequence, count);
    if (!waits) return;
    this.buckets.outcomes.waiting.add(sequence, count);
    this.buckets.delayed.waits(slot, sequence, count);
    this.#become(sequence, count, 'waiting');
  }

  /** The segment is complete. */
  roll(): void {
    if (this.indexing.lag !== 'none' || this.#records.get(this.#bases.at(-1)!)!.length === 0)
      return;
    this.#bases.push(this.#position);
    this.#records.set(this.#position, []);
    this.retention.open(this.#position, this.nextSequence);
    this.indexing.open(this.#position);
  }

  #become(sequence: number, count: number, fate: Fate): void {
    for (let at = sequence; at < sequence + count; at++) this.messages[at - 1]!.fate = fate;
  }

  #gone(sequence: number, count: number): void {
    this.#become(sequence, count, 'gone');
    for (let at = sequence; at < sequence + count; at++)
      this.retention.settle(this.messages[at - 1]!.record.position, 1);
  }

  of(bucket: number, fate: Fate): Message[] {
    return this.messages.filter((each) => each.bucket === bucket && each.fate === fate);
  }

  // --- consumers --------------------------------------------------------------------------------

  join(bucket: number): void {
    const slot = this.buckets.open(bucket, 0);
    this.buckets.openSubscription(slot).consumers++;
    this.consumers.push({ bucket, slot, held: [] });
  }

  leave(consumer: Consumer): void {
    for (const part of consumer.held.splice(0)) this.#back(part);
    this.consumers.splice(this.consumers.indexOf(consumer), 1);
    this.buckets.subscription(consumer.slot)!.consumers--;
    this.buckets.tidy(consumer.slot);
  }

  /** Gives the consumer what is next; false: nothing is, or it must be looked up first. */
  deliver({ slot, bucket, held }: Consumer): boolean {
    const { buckets } = this;
    if (buckets.peek(slot) === undefined) this.lookup.start(slot);
    const next = buckets.peek(slot);
    const ready = this.of(bucket, 'ready');
    if (next === undefined) {
      const waits = buckets.subscription(slot)!.loading || this.indexing.releasing;
      const last = buckets.peek(slot) === undefined && !buckets.indexed.lookupDue(slot);
      if (!waits && last) assert.deepEqual(ready, [], 'messages are left behind');
      return false;
    }
    const { sequence, position, first, messages } = next;
    const expected = ready[0];
    assert.ok(expected !== undefined, `${sequence} was given twice, or too early`);
    assert.equal(sequence, expected.sequence, 'out of order');
    const { record } = this.messages[sequence - 1]!;
    assert.deepEqual(
      [position, sequence - first, messages],
      [record.position, record.sequence, record.messages],
    );
    const count = 1 + this.#random.below(next.count);
    const part = { ...next, count };
    for (let at = sequence; at < sequence + count; at++) {
      const is = this.messages[at - 1]!;
      assert.deepEqual([is.bucket, is.fate], [bucket, 'ready'], `${at} was given`);
    }
    buckets.take(next, count);
    this.#become(sequence, count, 'held');
    held.push(part);
    return true;
  }

  // Takes some messages of what the consumer holds out of it.
  #some(consumer: Consumer): Slice | undefined {
    const { held } = consumer;
    if (held.length === 0) return undefined;
    const at = this.#random.below(held.length);
    const part = held[at]!;
    const skip = this.#random.below(part.count);
    const count = 1 + this.#random.below(part.count - skip);
    const cut = (from: number, many: number) => ({
      ...part,
      sequence: part.sequence + from,
      first: part.first + from,
      count: many,
    });
    const rest = [cut(0, skip), cut(skip + count, part.count - skip - count)];
    held.splice(at, 1, ...rest.filter((each) => each.count > 0));
    return cut(skip, count);
  }

  ack(consumer: Consumer): void {
    const part = this.#some(consumer);
    if (part === undefined) return;
    const { slot, sequence, count } = part;
    const { payload } = this.buckets;
    this.buckets.settle(slot, sequence, count, payload.isOn ? payload.ofPart(part, 0, count) : 0);
    this.#gone(sequence, count);
    this.buckets.tidy(slot);
  }

  fail(consumer: Consumer): void {
    const part = this.#some(consumer);
    if (part !== undefined) this.#back(part);
  }

  #back(part: Slice): void {
    this.#become(part.sequence, part.count, 'ready');
    this.buckets.requeue({ ...part, attempts: part.attempts + 1 });
  }

  defer(consumer: Consumer): void {
    const part = this.#some(consumer);
    if (part === undefined) return;
    const { sequence, count } = part;
    // What was out of its hands when the first one was deferred is not held by it.
    this.buckets.delayed.defer(part, 0, count);
    this.pending.push({ bucket: consumer.bucket, sequence, count });
    this.#become(sequence, count, 'pending');
  }

  /** What became of the oldest that is pending is durable. */
  durable(isMoved: boolean): void {
    const run = this.pending.shift();
    if (run === undefined) return;
    const { bucket, sequence, count } = run;
    const { outcomes, delayed } = this.buckets;
    if (isMoved) {
      outcomes.settled.add(sequence, count);
      delayed.gone(bucket, 0, 0, sequence, count, count * LENGTH);
      this.#gone(sequence, count);
      return;
    }
    outcomes.waiting.add(sequence, count);
    delayed.deferred(sequence, count);
    this.#become(sequence, count, 'waiting');
  }

  /** The time of some neighbours has come. */
  due(most = 20): boolean {
    const waiting = this.messages.filter(({ fate }) => fate === 'waiting');
    if (waiting.length === 0) return false;
    const from = waiting[this.#random.below(waiting.length)]!;
    let count = 1;
    const isOne = (next: Message | undefined) =>
      next?.fate === 'waiting' && next.bucket === from.bucket;
    while (count < most && isOne(this.messages[from.sequence - 1 + count])) count++;
    const { outcomes, delayed } = this.buckets;
    assert.equal(outcomes.waiting.remove(from.sequence, count), count);
    this.#become(from.sequence, count, 'ready');
    const slot = delayed.readyAgain(from.bucket, 0, 0, from.sequence, count);
    assert.equal(slot, this.buckets.find(from.bucket, 0));
    return true;
  }

  /** The broker ends, and another one reads what it left, with the newest segments in memory. */
  restart(): void {
    this.restarts++;
    const { settled, waiting } = this.buckets.outcomes;
    const outcomes = noOutcomes();
    for (const { fate, sequence } of this.messages) {
      if (fate === 'gone') outcomes.settled.add(sequence, 1);
      if (fate === 'waiting') outcomes.waiting.add(sequence, 1);
      assert.equal(settled.has(sequence), fate === 'gone');
      assert.equal(waiting.has(sequence) && fate !== 'gone', fate === 'waiting');
    }
    this.consumers.length = 0;
    this.pending.length = 0;
    const from = this.#bases.length - 1 - this.#random.below(Math.min(2, this.#bases.length));
    this.#begin(outcomes, -1);
    for (const each of this.messages)
      if (each.fate === 'held' || each.fate === 'pending') each.fate = 'ready';
    for (const [i, base] of this.#bases.entries()) {
      const records = this.#records.get(base)!;
      const first = records[0]?.found.sequence ?? this.nextSequence;
      this.retention.open(base, first);
      if (i >= from) this.indexing.open(base);
      for (const { bucket, found } of records) {
        const { position, sequence, messages, bodyBytes } = found;
        if (i >= from) {
          const slot = this.buckets.open(bucket, 0);
          this.buckets.push(slot, position, sequence, messages, bodyBytes, 0);
        }
        this.retention.add(position, sequence, messages);
        const gone = settled.within(sequence, messages);
        if (gone > 0) this.retention.settle(position, gone);
      }
    }
    const oldest = this.retention.oldestLive();
    const isPartial = oldest !== undefined && oldest.base < this.#bases[from]!;
    this.buckets.recovered(this.nextSequence, this.retention.live, isPartial);
    if (this.#options.payload === true) this.buckets.countPayload();
  }

  // --- what must hold ---------------------------------------------------------------------------

  // Whoever looks along a line sees what is ready, and nothing else.
  #look(bucket: number, slot: number): void {
    const { buckets } = this;
    const ready = this.of(bucket, 'ready').map(({ sequence }) => sequence);
    const { parts, sought, older } = lookahead(buckets, slot, 1000);
    const seen = [
      ...parts,
      ...sought,
      ...(older === undefined ? inEntries(buckets, slot, 1000) : []),
    ]
      .flatMap(({ sequence, count }) => Array.from({ length: count }, (_, i) => sequence + i))
      .sort((a, b) => a - b);
    if (older === undefined) assert.deepEqual(seen, ready, 'not all that is ready is seen');
    else assert.deepEqual(seen, ready.slice(0, seen.length), 'something before it is not seen');
    const next = nextInLine(buckets, slot);
    if (next !== undefined) assert.equal(next.sequence, ready[0]);
    const oldest = oldestReady(buckets, slot);
    if (ready.length > 0 && buckets.isCounted(slot))
      assert.ok(oldest > 0 && oldest <= ready[0]!, `${oldest} is not before ${ready[0]}`);
  }

  /** Counts equal what there is. */
  check(bucketIds: readonly number[]): void {
    const { buckets } = this;
    const many = (fates: readonly Fate[]) =>
      this.messages.filter(({ fate }) => fates.includes(fate)).length;
    assert.deepEqual(
      [buckets.ready, buckets.unacked, buckets.delayed.count, buckets.delayed.pending],
      [many(['ready']), many(['held']), many(['pending', 'waiting']), many(['pending'])],
    );
    for (const bucket of bucketIds) {
      const slot = buckets.find(bucket, 0);
      const ready = this.of(bucket, 'ready').length;
      const delayed = this.of(bucket, 'pending').length + this.of(bucket, 'waiting').length;
      if (slot === 0) {
        assert.ok(ready + delayed === 0 || buckets.isPartial, 'a bucket is lost');
        continue;
      }
      const held = this.of(bucket, 'held').length;
      assert.equal(buckets.unackedOf(slot), held);
      if (buckets.isCounted(slot)) assert.equal(buckets.readyOf(slot), ready, `of ${bucket}`);
      else assert.ok(buckets.readyOf(slot) <= ready, `at least of ${bucket}`);
      assert.ok(buckets.delayed.of(slot) <= delayed, 'more are counted than are delayed');
      this.#look(bucket, slot);
      if (buckets.isPartial) continue;
      assert.equal(buckets.delayed.of(slot), delayed);
      if (buckets.payload.isOn)
        assert.equal(buckets.payload.of(slot), (ready + delayed + held) * LENGTH);
    }
  }
}
