// What one consumer holds: bytes go to messages in the order of delivery, over parts and pieces,
// and what is left comes back from where it is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CAUSE_LINK_LOST } from '../../../assembly/layout-placed.ts';
import type { Slice } from '../../../src/core/buckets/slice.ts';
import { InFlight } from '../../../src/core/delivery/in-flight.ts';
import type { Settlement } from '../../../src/core/delivery/settlement.ts';
import type { Holder } from '../../../src/core/ports/observer.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/delivery/in-flight.test');

type Call = [
  what: 'done' | 'failed' | 'rejected' | 'released' | 'lost' | 'takenBack' | 'suspectsBack',
  sequence: number,
  first: number,
  count: number,
  /** Or of `lost`: how many were held together. */
  delayMs?: number,
];

/** Notes what it is asked for, by sequence and place in the record. */
function noting(calls: Call[]): Settlement {
  const note =
    (what: Call[0]) => (part: Slice, at: number, count: number, _by?: Holder, delayMs?: number) => {
      const delay: [number?] = delayMs === undefined ? [] : [delayMs];
      calls.push([what, part.sequence + at, part.first + at, count, ...delay]);
    };
  const fake: Pick<Settlement, Call[0] | 'suspectsBack'> = {
    done: note('done'),
    failed: note('failed'),
    rejected: note('rejected'),
    released: note('released'),
    lost: (part, at, count, together) => note('lost')(part, at, count, undefined, together),
    suspectsBack: (slot) => void calls.push(['suspectsBack', slot, 0, 0]),
    takenBack: note('takenBack'),
  };
  return fake as Settlement;
}

const part = (sequence: number, count: number, first = 0): Slice => ({
  slot: 1,
  position: sequence * 100,
  sequence,
  first,
  count,
  messages: first + count,
  bodyBytes: 10,
  attempts: 0,
  level: 0,
});

test('runs of equal answers are one call each, and end with their part', () => {
  const held = new InFlight();
  held.add(part(1, 3));
  held.add(part(10, 4, 2));
  assert.deepEqual([held.count, held.parts, held.first.sequence], [7, 2, 1]);
  const calls: Call[] = [];
  held.answer(Uint8Array.of(1, 1), noting(calls));
  held.answer(Uint8Array.of(1, 1, 0, 254), noting(calls));
  assert.deepEqual(calls, [
    ['done', 1, 0, 2],
    ['done', 3, 2, 1],
    ['done', 10, 2, 1],
    ['failed', 11, 3, 2],
  ]);
  assert.equal(held.count, 1);
  held.answer(Uint8Array.of(1), noting(calls));
  assert.deepEqual([held.count, held.parts], [0, 0], 'there is room for another delivery');
});

test('what a byte says of time and attempts is passed on, run by run', () => {
  const held = new InFlight();
  held.add(part(1, 9));
  const calls: Call[] = [];
  held.answer(Uint8Array.of(0x48, 0x48, 0x49, 3, 3, 0x60, 2, 0x80, 1), noting(calls));
  assert.deepEqual(calls, [
    ['failed', 1, 0, 2, 256],
    ['failed', 3, 2, 1, 512],
    ['released', 4, 3, 2],
    ['released', 6, 5, 1, 1],
    ['rejected', 7, 6, 1],
    ['failed', 8, 7, 1],
    ['done', 9, 8, 1],
  ]);
});

test('who ended the link decides whether something is charged', () => {
  for (const cause of [CAUSE_LINK_LOST, 0]) {
    const held = new InFlight();
    held.add(part(1, 3));
    const calls: Call[] = [];
    held.lose(noting(calls), cause);
    assert.deepEqual(calls, [cause === 0 ? ['takenBack', 1, 0, 3] : ['lost', 1, 0, 3, 3]]);
  }
});

test('what was held when it was lost counts, over all parts, and not what was answered', () => {
  const held = new InFlight();
  held.add(part(1, 3));
  held.add(part(10, 4));
  const calls: Call[] = [];
  held.answer(Uint8Array.of(1, 0), noting(calls));
  held.lose(noting(calls), CAUSE_LINK_LOST);
  assert.deepEqual(calls.slice(2), [
    ['lost', 3, 2, 1, 5],
    ['lost', 10, 0, 4, 5],
  ]);
});

test('who held suspects is said to hold none any more, once, when the last of them is answered', () => {
  for (const level of [0, 3]) {
    const held = new InFlight();
    held.add({ ...part(1, 3), level });
    assert.equal(held.level, level);
    const calls: Call[] = [];
    held.answer(Uint8Array.of(1, 1), noting(calls));
    assert.equal(calls.length, 1);
    held.answer(Uint8Array.of(1), noting(calls));
    const back: Call[] = level === 0 ? [] : [['suspectsBack', 1, 0, 0]];
    assert.deepEqual(calls.slice(2), back);
    held.lose(noting(calls), CAUSE_LINK_LOST);
    assert.deepEqual([calls.slice(2), held.level], [back, 0]);
  }
});

test(`whatever the pieces, each message has one end (seed ${seed})`, () => {
  const random = new Random(seed);
  for (let round = 0; round < 300; round++) {
    const held = new InFlight();
    const places: number[] = [];
    for (let at = 1; at < 40; at += 10) {
      const count = 1 + random.below(8);
      held.add(part(at, count));
      for (let i = 0; i < count; i++) places.push(at + i);
    }
    const bytes = places.map(() => random.below(3));
    const sent = random.below(places.length + 1);
    const calls: Call[] = [];
    for (let at = 0; at < sent; ) {
      const to = Math.min(sent, at + 1 + random.below(6));
      held.answer(Uint8Array.from(bytes.slice(at, to)), noting(calls));
      at = to;
    }
    assert.equal(held.count, places.length - sent);
    held.lose(noting(calls), CAUSE_LINK_LOST);
    assert.equal(held.count, 0);
    const ends = calls.flatMap(([what, sequence, , count]) =>
      Array.from({ length: count }, (_, i) => [what, sequence + i]),
    );
    const expected = places.map((sequence, i) => {
      if (i >= sent) return ['lost', sequence];
      return [['failed', 'done', 'rejected'][bytes[i]!], sequence];
    });
    assert.deepEqual(ends, expected);
  }
});

test(`signs of work take no place, wherever they stand (seed ${seed})`, () => {
  const random = new Random(seed);
  for (let round = 0; round < 300; round++) {
    const [quiet, talking] = [new InFlight(), new InFlight()];
    for (const held of [quiet, talking]) for (const at of [1, 10, 20]) held.add(part(at, 5));
    const acks = Array.from({ length: random.below(16) }, () => random.below(3));
    const bytes = acks.flatMap((ack) => [...new Array(random.below(4)).fill(255), ack]);
    bytes.push(...new Array(random.below(4)).fill(255));
    const [expected, calls]: Call[][] = [[], []];
    quiet.answer(Uint8Array.from(acks), noting(expected!));
    for (let at = 0; at < bytes.length; ) {
      const to = at + 1 + random.below(6);
      talking.answer(Uint8Array.from(bytes.slice(at, to)), noting(calls!));
      at = to;
    }
    const each = (all: Call[]) =>
      all.flatMap(([what, sequence, , count]) =>
        Array.from({ length: count }, (_, i) => [what, sequence + i]),
      );
    assert.deepEqual(each(calls!), each(expected!));
    assert.equal(talking.count, quiet.count);
  }
});

test('records that move: of a part that is answered in part, the rest is looked for', () => {
  const held = new InFlight();
  for (const sequence of [1, 10, 20]) held.add(part(sequence, 4));
  const calls: Call[] = [];
  held.answer(Uint8Array.of(1, 1, 1, 1, 1, 1), noting(calls));
  const asked: Slice[] = [];
  held.moved(1000, 2000, (each) => {
    asked.push({ ...each });
    each.position += 7;
    each.first = 0;
  });
  assert.deepEqual(
    asked,
    [{ ...part(12, 2, 2), position: 1000 }],
    'neither the first nor the last',
  );
  calls.length = 0;
  held.lose(noting(calls), CAUSE_LINK_LOST);
  assert.deepEqual(calls, [
    ['lost', 12, 0, 2, 6],
    ['lost', 20, 0, 4, 6],
  ]);
});
