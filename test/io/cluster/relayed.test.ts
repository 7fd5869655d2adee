// What is relayed takes its place among what the stream brings: each message is heard once, in
// order, without a gap, whichever of both brings it, whatever the relay leaves out or brings twice.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RelayEar, Relayed } from '../../../src/io/cluster/relayed.ts';
import { Random, seedOf } from '../../support/random.ts';

const random = new Random(seedOf('what is relayed'));

/** A reader at a number, with a relay by hand. */
class Reader {
  readonly heard: number[] = [];
  last: number;
  touches = 0;
  ends = 0;
  ear: RelayEar | undefined;
  readonly relayed: Relayed;

  constructor(last = 0) {
    this.last = last;
    const listen = (ear: RelayEar) => {
      this.ear = ear;
      return () => this.endsRelay();
    };
    this.relayed = Relayed.of(
      { listen },
      {
        last: () => this.last,
        arrive: (sequence, bytes) => this.#arrive(sequence, bytes),
        inTouch: () => this.touches++,
        ended: () => this.ends++,
      },
    )!;
  }

  endsRelay(): void {
    const { ear } = this;
    this.ear = undefined;
    ear?.ended();
  }

  #arrive(sequence: number, bytes: Uint8Array): void {
    assert.equal(sequence, this.last + 1);
    assert.equal(bytes[0], sequence % 256);
    this.last = sequence;
    this.heard.push(sequence);
  }

  fromRelay(sequence: number, size = 1): void {
    this.ear?.hear({ sequence, bytes: new Uint8Array(size).fill(sequence % 256) });
  }

  fromStream(sequence: number): void {
    if (sequence > this.last) this.last = sequence;
    this.relayed.passed();
  }
}

test('nobody to listen to: there is no relay', () => {
  const options = { last: () => 0, arrive() {}, inTouch() {}, ended() {} };
  assert.equal(Relayed.of({ listen: () => undefined }, options), undefined);
});

test('it is in touch once it brings the next message, or one that came already', () => {
  for (const [sequence, isInTouch] of [
    [4, true],
    [5, true],
    [6, true],
    [7, false],
  ] as const) {
    const reader = new Reader(5);
    reader.fromRelay(sequence);
    assert.equal(reader.relayed.isInTouch, isInTouch, `${sequence}`);
    assert.equal(reader.touches, isInTouch ? 1 : 0);
  }
});

test('what is ahead waits for what the stream brings', () => {
  const reader = new Reader(5);
  for (const sequence of [9, 8, 10, 12]) reader.fromRelay(sequence);
  reader.fromStream(6);
  assert.deepEqual([reader.heard, reader.relayed.isInTouch], [[], false]);
  reader.fromStream(7);
  assert.deepEqual([reader.heard, reader.last, reader.touches], [[8, 9, 10], 10, 1]);
  reader.fromStream(11);
  assert.equal(reader.last, 12);
});

test('what passes what waits is in touch with it, too', () => {
  const reader = new Reader(5);
  reader.fromRelay(8);
  reader.fromStream(8);
  assert.deepEqual([reader.touches, reader.heard], [1, []]);
});

test('what waits is bounded: then it ends, and is in touch no more', () => {
  const reader = new Reader();
  reader.fromRelay(1);
  const size = 2 * 1024 * 1024;
  for (let sequence = 3; sequence <= 6; sequence++) reader.fromRelay(sequence, size);
  assert.equal(reader.ends, 0);
  reader.fromRelay(6, size); // the same again is no more
  assert.equal(reader.ends, 0);
  reader.fromRelay(7, size);
  assert.deepEqual([reader.ends, reader.relayed.isInTouch], [1, false]);
  reader.fromRelay(2);
  assert.equal(reader.last, 1);
});

test('a relay that leaves out what the stream has is not trusted for long', () => {
  const reader = new Reader();
  reader.fromRelay(1);
  for (let i = 0; i < 10; i++) reader.relayed.looked(false); // nothing was there: that is no miss
  for (let i = 0; i < 10; i++) {
    reader.fromStream(reader.last + 1);
    reader.relayed.looked(true);
    reader.fromStream(reader.last + 1);
    reader.relayed.looked(true);
    reader.fromRelay(reader.last + 1); // it has caught up
  }
  assert.equal(reader.ends, 0);
  for (let i = 0; i < 3; i++) {
    assert.equal(reader.ends, 0);
    reader.fromStream(reader.last + 1);
    reader.relayed.looked(true);
  }
  assert.equal(reader.ends, 1);
});

test('a gap that the stream has no message for ends it, too', () => {
  const reader = new Reader();
  reader.fromRelay(1);
  reader.fromRelay(3);
  for (let i = 0; i < 3; i++) reader.relayed.looked(false);
  assert.equal(reader.ends, 1);
});

test('any two orders give one: each message once, without a gap', () => {
  for (let world = 0; world < 500; world++) {
    const reader = new Reader();
    const count = 1 + random.below(40);
    let stream = 0;
    let relay = 1 + random.below(5);
    while (stream < count) {
      if (random.below(3) === 0 && reader.relayed.isInTouch === false) reader.fromStream(++stream);
      else if (relay <= count) {
        if (random.below(10) > 0) reader.fromRelay(relay);
        if (random.below(10) === 0) reader.fromRelay(Math.max(1, relay - random.below(4)));
        if (random.below(8) > 0) relay++;
      } else {
        reader.fromStream(reader.last + 1); // the look beside it
        stream = Math.max(stream, reader.last);
      }
      stream = Math.max(stream, reader.last);
    }
    assert.ok(reader.last >= count);
    const inOrder = [...reader.heard].sort((a, b) => a - b);
    assert.deepEqual(reader.heard, [...new Set(inOrder)]);
  }
});
