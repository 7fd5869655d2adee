// Buckets against a model of sorted arrays: order, counts, and that what is empty does not exist.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BugError } from '../../src/core/assert.ts';
import { Buckets, type Part } from '../../src/core/buckets.ts';
import { Random, seedOf } from '../support/random.ts';

const seed = seedOf('core/buckets.test');
const part = (sequence: number, count = 1): Part => ({
  position: sequence * 8,
  sequence,
  first: 0,
  count,
  bodyBytes: 10,
  attempts: 0,
});

interface Model {
  ready: number[]; // sequences, sorted
  unacked: Map<number, Part>; // by sequence: the record it came from
  consumers: number;
}

test('push, take, settle, giveBack and tidy keep order and counts', () => {
  for (let round = 0; round < 6; round++) {
    const random = new Random(seed + round);
    const buckets = new Buckets<string>(seed + round);
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
          buckets.push(buckets.open(id, high), part(sequence, count));
          for (let i = 0; i < count; i++) m.ready.push(sequence + i);
          sequence += count;
          break;
        }
        case 1: {
          const slot = buckets.find(id, high);
          if (slot === 0) break;
          const entry = buckets.peek(slot);
          assert.equal(entry === 0, m.ready.length === 0);
          if (entry === 0) break;
          const head = buckets.partOf(entry);
          assert.equal(head.sequence, m.ready[0], 'the head is not the oldest');
          const count = 1 + random.below(head.count);
          buckets.take(slot, entry, count);
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
            buckets.settle(slot, 1);
          } else {
            buckets.giveBack(slot, { ...taken, attempts: 1 });
            m.ready.push(next);
            m.ready.sort((a, b) => a - b);
          }
          break;
        }
        default: {
          const slot = buckets.open(id, high);
          const share = buckets.openShare(slot);
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
      buckets.largest(5).map((slot) => buckets.readyOf(slot)),
      counts.slice(0, 5),
    );
    assert.equal([...buckets.slots()].length, alive);
  }
});

describe('rules', () => {
  test('many buckets, and none of them again', () => {
    const buckets = new Buckets<string>(3);
    for (let round = 0; round < 3; round++) {
      for (let id = 0; id < 5000; id++) buckets.push(buckets.open(id, 0), part(id));
      assert.equal(buckets.count, 5000);
      for (let id = 0; id < 5000; id++) {
        const slot = buckets.find(id, 0);
        buckets.take(slot, buckets.peek(slot), 1);
        buckets.settle(slot, 1);
        buckets.tidy(slot);
      }
      assert.equal(buckets.count, 0);
      assert.deepEqual(buckets.largest(10), []);
    }
  });

  test('a bucket being loaded is kept', () => {
    const buckets = new Buckets<string>(3);
    const slot = buckets.open(1, 0);
    buckets.openShare(slot).loading = true;
    buckets.tidy(slot);
    assert.equal(buckets.find(1, 0), slot);
    buckets.share(slot)!.loading = false;
    buckets.tidy(slot);
    assert.equal(buckets.find(1, 0), 0);
    assert.equal(buckets.share(slot), undefined);
  });

  test('setting aside takes the whole entry, and says which', () => {
    const buckets = new Buckets<string>(3);
    const slot = buckets.open(1, 0);
    buckets.push(slot, part(1, 3));
    buckets.push(slot, part(4, 2));
    assert.deepEqual(buckets.setAside(slot, buckets.peek(slot)), part(1, 3));
    assert.equal(buckets.ready, 2);
    assert.equal(buckets.partOf(buckets.peek(slot)).sequence, 4);
  });

  test('relineate keeps what it is told, in order', () => {
    const buckets = new Buckets<string>(3);
    const slot = buckets.open(1, 0);
    for (let i = 0; i < 10; i++) buckets.push(slot, part(i));
    buckets.relineate(slot, (p) => (p.sequence % 2 === 0 ? [] : [p]));
    assert.equal(buckets.readyOf(slot), 5);
    assert.equal(buckets.ready, 5);
    for (const expected of [1, 3, 5, 7, 9]) {
      assert.equal(buckets.partOf(buckets.peek(slot)).sequence, expected);
      buckets.take(slot, buckets.peek(slot), 1);
    }
    assert.equal(buckets.peek(slot), 0);
    buckets.openShare(slot);
    assert.throws(() => buckets.relineate(slot, () => []), BugError);
  });

  test('more acks than deliveries are a bug', () => {
    const buckets = new Buckets<string>(3);
    const slot = buckets.open(1, 0);
    buckets.push(slot, part(1));
    assert.throws(() => buckets.settle(slot, 1), BugError);
    assert.throws(() => buckets.giveBack(slot, part(1)), BugError);
  });
});
