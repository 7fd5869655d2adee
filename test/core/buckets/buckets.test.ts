// Buckets against a model of sorted arrays: order, counts, and that what is empty does not exist.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { largest } from '../../../src/core/admin/report.ts';
import { BugError } from '../../../src/core/assert.ts';
import { Buckets } from '../../../src/core/buckets/buckets.ts';
import type { Slice } from '../../../src/core/buckets/slice.ts';
import { noOutcomes } from '../../../src/core/collections/outcomes.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/buckets/buckets.test');
const part = (sequence: number, count = 1, slot = 1): Slice => ({
  slot,
  position: sequence * 8,
  sequence,
  first: 0,
  count,
  messages: count,
  bodyBytes: 10,
  attempts: 0,
  level: 0,
});

const bucketsOf = (hashSeed: number, slotsMax?: number) =>
  new Buckets<string>(hashSeed, noOutcomes(), slotsMax);

function push(buckets: Buckets<string>, slot: number, of: Slice): void {
  buckets.push(slot, of.position, of.sequence, of.count, of.bodyBytes, of.attempts);
}

interface Model {
  ready: number[]; // sequences, sorted
  unacked: Map<number, Slice>; // by sequence: the record it came from
  consumers: number;
}

test('push, take, settle, giveBack and tidy keep order and counts', () => {
  for (let round = 0; round < 6; round++) {
    const random = new Random(seed + round);
    const buckets = bucketsOf(seed + round);
    const model = new Map<number, Model>();
    let sequence = 1;
    const modelOf = (id: number): Model => {
      let found = model.get(id);
      if (found === undefined) {
        found = { ready: [], unacked: new Map(), consumers: 0 };
        model.set(id, found);
      }
      return found;
    };
    for (let step = 0; step < 8000; step++) {
      const id = random.below(40);
      const high = id % 3;
      const m = modelOf(id);
      switch (random.below(5)) {
        case 0: {
          const count = 1 + random.below(5);
          push(buckets, buckets.open(id, high), part(sequence, count));
          for (let i = 0; i < count; i++) m.ready.push(sequence + i);
          sequence += count;
          break;
        }
        case 1: {
          const slot = buckets.find(id, high);
          if (slot === 0) break;
          const next = buckets.peek(slot);
          assert.equal(next === undefined, m.ready.length === 0);
          if (next === undefined) break;
          const head = { ...next };
          assert.equal(head.sequence, m.ready[0], 'the head is not the oldest');
          const count = 1 + random.below(head.count);
          buckets.take(next, count);
          for (let i = 0; i < count; i++) {
            m.ready.shift();
            m.unacked.set(head.sequence + i, { ...head, sequence: head.sequence + i, count: 1 });
          }
          break;
        }
        case 2:
        case 3: {
          const slot = buckets.find(id, high);
          const [next] = m.unacked.keys();
          if (slot === 0 || next === undefined) break;
          const taken = m.unacked.get(next)!;
          m.unacked.delete(next);
          if (random.chance(0.5)) {
            buckets.settle(slot, next, 1);
            assert.ok(buckets.outcomes.settled.has(next));
          } else {
            buckets.requeue({ ...taken, attempts: 1 });
            m.ready.push(next);
            m.ready.sort((a, b) => a - b);
          }
          break;
        }
        default: {
          const slot = buckets.open(id, high);
          const share = buckets.openSubscription(slot);
          if (random.chance(0.5)) {
            share.consumers++;
            m.consumers++;
          } else if (m.consumers > 0) {
            share.consumers--;
            m.consumers--;
          }
          break;
        }
      }
      const slot = buckets.find(id, high);
      if (slot === 0) continue;
      assert.equal(buckets.readyOf(slot), m.ready.length);
      assert.equal(buckets.unackedOf(slot), m.unacked.size);
      assert.equal(buckets.idOf(slot), ((BigInt(high) << 32n) | BigInt(id)).toString());
      buckets.tidy(slot);
      const needed = m.ready.length > 0 || m.unacked.size > 0 || m.consumers > 0;
      assert.equal(buckets.find(id, high) !== 0, needed, 'a bucket exists iff it is needed');
    }
    let [ready, unacked, alive] = [0, 0, 0];
    for (const m of model.values()) {
      ready += m.ready.length;
      unacked += m.unacked.size;
      if (m.ready.length + m.unacked.size + m.consumers > 0) alive++;
    }
    assert.deepEqual([buckets.ready, buckets.unacked, buckets.count], [ready, unacked, alive]);
    const counts = [...model.values()].map((m) => m.ready.length).sort((a, b) => b - a);
    assert.deepEqual(
      largest(buckets, 5).map((slot) => buckets.readyOf(slot)),
      counts.slice(0, 5),
    );
    assert.equal([...buckets.slots()].length, alive);
  }
});

interface Known {
  memory: number[]; // entries in the line
  taken: number[]; // sequences of one message each
  consumers: number;
  runs: number; // messages
}

// Random work on more buckets than may be known: checks what is forgotten, and what is not.
function forget(slotsMax: number): void {
  const random = new Random(seed + slotsMax);
  const buckets = bucketsOf(seed, slotsMax);
  const model = new Map<number, Known>();
  let sequence = 1;
  let forgotten = 0;
  const isNeeded = ({ memory, taken, consumers }: Known) =>
    memory.length > 0 || taken.length > 0 || consumers > 0;
  const open = (id: number, known: Known): number => {
    const isKnown = buckets.find(id, id) !== 0;
    const slot = buckets.open(id, id);
    if (!isKnown && known.runs > 0) {
      forgotten++;
      assert.ok(buckets.headOf(slot).isOlder, 'what is in runs would never be looked up');
      assert.equal(buckets.isCounted(slot), false);
      assert.equal(buckets.placeOf(slot).next, 0);
    }
    return slot;
  };
  for (let step = 0; step < 20_000; step++) {
    const id = random.below(200);
    const known = model.get(id) ?? { memory: [], taken: [], consumers: 0, runs: 0 };
    model.set(id, known);
    const slot = buckets.find(id, id);
    switch (random.below(6)) {
      case 0:
      case 1:
        known.memory.push(buckets.entries.end);
        push(buckets, open(id, known), part(sequence++));
        break;
      case 2: {
        const next = slot === 0 ? undefined : buckets.peek(slot);
        if (next === undefined) break;
        known.taken.push(next.sequence);
        known.memory.shift();
        buckets.take(next, 1);
        break;
      }
      case 3: {
        const settled = known.taken.pop();
        if (settled === undefined) break;
        buckets.settle(slot, settled, 1);
        buckets.tidy(slot);
        break;
      }
      case 4: {
        const by = known.consumers > 0 && random.chance(0.7) ? -1 : 1;
        const share = buckets.openSubscription(open(id, known));
        share.consumers += by;
        known.consumers += by;
        if (share.consumers === 0) buckets.tidy(share.slot);
        break;
      }
      default: {
        const to = Math.max(buckets.entries.from, buckets.entries.end - 1 - random.below(40));
        buckets.indexed.release(to, Number.POSITIVE_INFINITY);
        for (const each of model.values())
          while (each.memory.length > 0 && each.memory[0]! < to) {
            each.memory.shift();
            each.runs++;
          }
      }
    }
    let needed = 0;
    for (const [each, state] of step % 10 === 0 ? model : [[id, known] as const]) {
      const at = buckets.find(each, each);
      if (at !== 0) assert.deepEqual({ ...buckets.placeOf(at), next: 0 }, placeOf(each));
      else if (state.runs > 0) assert.ok(buckets.isPartial, 'a bucket is lost');
      assert.ok(at !== 0 || !isNeeded(state), 'a bucket was forgotten that is needed');
      if (at !== 0) assert.equal(buckets.unackedOf(at), state.taken.length);
      if (isNeeded(state)) needed++;
    }
    if (step % 10 === 0) assert.ok(buckets.count <= Math.max(slotsMax, needed) + 40);
  }
  assert.ok(forgotten > 100, 'nothing was forgotten');
}

const placeOf = (id: number) => ({ low: id, high: id, kind: 0, next: 0 });

describe('rules', () => {
  test('many buckets, and none of them again', () => {
    const buckets = bucketsOf(3);
    for (let round = 0; round < 3; round++) {
      const from = round * 5000;
      for (let id = 0; id < 5000; id++) push(buckets, buckets.open(id, 0), part(from + id));
      assert.equal(buckets.count, 5000);
      for (let id = 0; id < 5000; id++) {
        const slot = buckets.find(id, 0);
        buckets.take(buckets.peek(slot)!, 1);
        buckets.settle(slot, from + id, 1);
        buckets.tidy(slot);
      }
      assert.equal(buckets.count, 0);
      assert.deepEqual(largest(buckets, 10), []);
    }
  });

  test('a bucket being loaded is kept', () => {
    const buckets = bucketsOf(3);
    const slot = buckets.open(1, 0);
    buckets.openSubscription(slot).loading = true;
    buckets.tidy(slot);
    assert.equal(buckets.find(1, 0), slot);
    buckets.subscription(slot)!.loading = false;
    buckets.tidy(slot);
    assert.equal(buckets.find(1, 0), 0);
    assert.equal(buckets.subscription(slot), undefined);
  });

  test('setting aside takes the whole entry, and says which', () => {
    const buckets = bucketsOf(3);
    const slot = buckets.open(1, 0);
    push(buckets, slot, part(1, 3));
    push(buckets, slot, part(4, 2));
    assert.deepEqual(buckets.setAside(buckets.peek(slot)!), part(1, 3));
    assert.equal(buckets.ready, 2);
    assert.equal(buckets.peek(slot)!.sequence, 4);
  });

  test('the line goes on in runs when its entries are released, and behind them in entries', () => {
    const buckets = bucketsOf(3);
    const slot = buckets.open(1, 0);
    for (const sequence of [1, 4, 7]) push(buckets, slot, part(sequence, 3));
    const share = buckets.openSubscription(slot);
    share.consumers++;
    buckets.take(buckets.peek(slot)!, 2);
    assert.equal(buckets.indexed.lookupDue(slot), false);
    assert.equal(buckets.indexed.release(3, 1), false, 'more was released than was asked for');
    assert.equal(buckets.indexed.release(3, 9), true);
    assert.equal(buckets.peek(slot), undefined);
    assert.ok(buckets.indexed.lookupDue(slot));
    assert.equal(buckets.placeOf(slot).next, 3);
    assert.ok(buckets.isCounted(slot));
    const records = [1, 4].map((sequence) => ({ ...part(sequence), messages: 3, kind: 0 }));
    assert.equal(buckets.indexed.found(slot, records), 4, 'what was taken was found again');
    assert.equal(buckets.indexed.lookupDue(slot), false);
    for (const expected of [3, 4, 7]) {
      const next = buckets.peek(slot)!;
      assert.equal(next.sequence, expected);
      assert.equal(next.first, expected === 3 ? 2 : 0);
      buckets.take(next, next.count);
      if (buckets.indexed.lookupDue(slot)) buckets.indexed.exhausted(slot);
    }
    assert.deepEqual([buckets.readyOf(slot), buckets.unackedOf(slot)], [0, 9]);
  });

  test('what came back goes to the runs with its bucket when nobody consumes it', () => {
    const buckets = bucketsOf(3);
    const slot = buckets.open(1, 0);
    push(buckets, slot, part(1, 3));
    push(buckets, slot, part(4, 3));
    const share = buckets.openSubscription(slot);
    share.consumers++;
    const taken = { ...buckets.peek(slot)! };
    buckets.take(buckets.peek(slot)!, 3);
    buckets.settle(slot, 1, 1);
    buckets.requeue({ ...taken, sequence: 2, first: 1, count: 2, attempts: 1 });
    share.consumers--;
    buckets.tidy(slot);
    assert.equal(buckets.subscription(slot), share, 'what is in memory only must stay there');
    buckets.indexed.release(2, 9);
    buckets.tidy(slot);
    assert.equal(buckets.subscription(slot), undefined);
    assert.deepEqual([buckets.readyOf(slot), buckets.placeOf(slot).next], [5, 2]);
    buckets.openSubscription(slot).consumers++;
    assert.equal(buckets.indexed.found(slot, [{ ...part(1), messages: 3, kind: 0 }]), 2);
    const { sequence, count, attempts } = buckets.peek(slot)!;
    assert.deepEqual([sequence, count, attempts], [2, 2, 1]);
  });

  test('an idle bucket is forgotten, and known again with all that it had', () => {
    const buckets = bucketsOf(3, 1);
    push(buckets, buckets.open(1, 0), part(1, 2));
    buckets.indexed.release(2, 9);
    assert.equal(buckets.isPartial, false);
    push(buckets, buckets.open(2, 0), part(3, 2));
    assert.equal(buckets.find(1, 0), 0);
    assert.ok(buckets.isPartial);
    assert.equal(buckets.ready, 4);
    const slot = buckets.open(1, 0);
    push(buckets, slot, part(5, 1));
    buckets.openSubscription(slot).consumers++;
    assert.ok(buckets.indexed.lookupDue(slot));
    assert.deepEqual([buckets.isCounted(slot), buckets.readyOf(slot)], [false, 1]);
    buckets.indexed.found(slot, [{ ...part(1), messages: 2, kind: 0 }]);
    assert.equal(buckets.readyOf(slot), 3);
    buckets.take(buckets.peek(slot)!, 2);
    buckets.indexed.exhausted(slot);
    assert.equal(buckets.peek(slot)!.sequence, 5);
    assert.ok(buckets.isCounted(slot));
  });

  test('a sweep over bucket ids leaves no more known than there may be', () => {
    const random = new Random(seed);
    const buckets = bucketsOf(3, 1000);
    let most = 0;
    for (let i = 1; i <= 50_000; i++) {
      push(buckets, buckets.open(random.next(), random.next()), part(i));
      // The newest 500 entries are in memory only.
      if (i % 100 === 0) buckets.indexed.release(Math.max(1, i - 500), 1000);
      most = Math.max(most, buckets.count);
    }
    assert.equal(buckets.ready, 50_000);
    assert.ok(most <= 1001, `${most} buckets were known at once`);
    assert.equal(buckets.count, 1000);
  });

  test('one bucket that comes makes a few be forgotten, however many are idle', () => {
    const buckets = bucketsOf(3, 1000);
    let sequence = 1;
    const come = () => push(buckets, buckets.open(sequence, 0), part(sequence++));
    for (let i = 0; i < 20_000; i++) come();
    assert.equal(buckets.count, 20_000, 'a bucket in use was forgotten');
    assert.equal(buckets.isPartial, false);
    buckets.indexed.release(buckets.entries.end, Number.POSITIVE_INFINITY);
    for (let comes = 0; buckets.count > 1000; comes++) {
      const before = buckets.count;
      come();
      buckets.indexed.release(buckets.entries.end, Number.POSITIVE_INFINITY);
      assert.ok(before + 1 - buckets.count <= 16, 'many were forgotten at once');
      assert.ok(comes < 10_000, `${buckets.count} buckets are still known`);
    }
    assert.ok(buckets.isPartial);
    assert.equal(buckets.ready, sequence - 1);
  });

  test('a bucket that has just come stays until the others had their turn', () => {
    const buckets = bucketsOf(3, 1000);
    for (let id = 1; id < 5000; id++) {
      push(buckets, buckets.open(id, 0), part(id));
      buckets.indexed.release(buckets.entries.end, Number.POSITIVE_INFINITY);
      assert.notEqual(buckets.find(Math.max(1, id - 900), 0), 0);
    }
  });

  test('whatever is in use stays known, and what is forgotten is looked up when it comes again', () => {
    for (const slotsMax of [1, 20, 60]) forget(slotsMax);
  });

  test('entries of a bucket that is gone are not those of whoever has its slot', () => {
    const buckets = bucketsOf(3);
    push(buckets, buckets.open(9, 0), part(1));
    const slot = buckets.open(1, 0);
    push(buckets, slot, part(2));
    buckets.take(buckets.peek(slot)!, 1);
    buckets.settle(slot, 2, 1);
    buckets.tidy(slot);
    assert.equal(buckets.open(2, 0), slot);
    push(buckets, slot, part(3));
    assert.ok(buckets.indexed.release(3, 9));
    assert.equal(buckets.headOf(slot).isOlder, false);
    assert.equal(buckets.peek(slot)!.sequence, 3);
    // Buckets that recovery finds settled go with their entries in the line.
    const gone = [5, 6].map((id) => {
      push(buckets, buckets.open(id, 0), part(id, 1));
      buckets.outcomes.settled.add(id, 1);
      return buckets.find(id, 0);
    });
    buckets.recovered(7, 2, false);
    assert.deepEqual([buckets.find(5, 0), buckets.find(6, 0)], [0, 0]);
    assert.ok(buckets.indexed.release(6, 9));
    const again = [7, 8].map((id) => buckets.open(id, 0));
    assert.deepEqual(again.sort(), gone.sort(), 'slots were lost');
    for (const each of again) {
      assert.deepEqual([buckets.isCounted(each), buckets.readyOf(each)], [true, 0]);
      assert.equal(buckets.headOf(each).isOlder, false);
    }
  });

  test('more acks than deliveries are a bug', () => {
    const buckets = bucketsOf(3);
    const slot = buckets.open(1, 0);
    push(buckets, slot, part(1));
    assert.throws(() => buckets.settle(slot, 1, 1), BugError);
    assert.throws(() => buckets.requeue(part(1)), BugError);
  });
});
