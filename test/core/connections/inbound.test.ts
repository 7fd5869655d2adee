// Bytes in, with a reader of a made-up framing: any reader gets what was sent, however it is split
// and wherever it was read to; what is not whole is kept, skipped, reserved for and timed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Backpressure, MEMORY, ROOM } from '../../../src/core/connections/backpressure.ts';
import { Inbound, type Reader } from '../../../src/core/connections/inbound.ts';
import { Budget } from '../../../src/core/memory/budget.ts';
import { BufferPool } from '../../../src/core/memory/partial-input.ts';
import { Reservations } from '../../../src/core/memory/reservations.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/connections/inbound.test');
const MIB = 1024 * 1024;
// A frame: u8 kind, u24 size, then that many bytes. Of one of kind SKIPPED only the head counts.
const HEAD = 4;
const TAKEN = 1;
const SKIPPED = 2;
const LAST = 3;

function frame(kind: number, body: string): Uint8Array {
  const bytes = new Uint8Array(HEAD + body.length);
  bytes.set([kind, body.length & 255, (body.length >> 8) & 255, body.length >> 16]);
  bytes.set(new TextEncoder().encode(body), HEAD);
  return bytes;
}

class Bench implements Reader {
  readonly inbox = new Uint8Array(MIB);
  readonly link = {
    paused: false,
    pause: () => this.#pause(true),
    resume: () => this.#pause(false),
  };
  readonly backpressure = new Backpressure(this.link);
  readonly budget = new Budget(MIB);
  readonly reservations = new Reservations(MIB, MIB);
  readonly frames: string[] = [];
  relieved = 0;
  reads = 0;
  /** There is room for so many frames. */
  room = Number.POSITIVE_INFINITY;
  readonly inbound: Inbound;
  readonly bytes = 0;
  readonly heldBack = false;

  constructor() {
    const { budget, reservations } = this;
    const relieve = () => void this.relieved++;
    this.inbound = new Inbound(
      {
        codec: this,
        limits: { partialMessageMs: 500 },
        memory: { budget, reservations, blocks: new BufferPool(MIB), relieve },
      },
      this,
      this.backpressure,
    );
  }

  #pause(paused: boolean): void {
    this.link.paused = paused;
  }

  read(start: number, end: number): number {
    const { inbox, inbound } = this;
    this.reads++;
    inbound.need = 0;
    let at = start;
    while (at < end) {
      inbound.need = HEAD;
      if (end - at < HEAD) return at;
      const size = inbox[at + 1]! | (inbox[at + 2]! << 8) | (inbox[at + 3]! << 16);
      const kind = inbox[at]!;
      if (kind === SKIPPED) {
        inbound.skip = Math.max(0, HEAD + size - (end - at));
        at = Math.min(end, at + HEAD + size);
        this.frames.push(`skipped ${size}`);
        continue;
      }
      inbound.need = HEAD + size;
      if (end - at < HEAD + size) return at;
      if (this.room === 0) {
        inbound.need = 0;
        this.backpressure.hold(ROOM);
        return at;
      }
      this.room--;
      at += HEAD + size;
      this.frames.push(new TextDecoder().decode(inbox.subarray(at - size, at)));
      if (kind === LAST) {
        inbound.end();
        return end;
      }
    }
    inbound.need = 0;
    return at;
  }

  reserved(): void {
    this.backpressure.release(MEMORY);
  }

  tooSlow(): void {
    assert.fail('nobody is slow here');
  }

  /** The chunk, read into the inbox behind room for what is kept, or elsewhere. */
  receive(chunk: Uint8Array, inPlace: boolean): void {
    if (!inPlace) {
      this.inbound.receive(chunk.slice());
      return;
    }
    const at = MIB / 2;
    this.inbox.set(chunk, at);
    this.inbound.receive(this.inbox.subarray(at, at + chunk.length));
    this.inbox.fill(255, at, at + chunk.length);
  }
}

const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

describe('a reader of any framing', () => {
  const stream = join(
    frame(TAKEN, 'first'),
    frame(SKIPPED, 'dropped'),
    frame(TAKEN, ''),
    frame(LAST, 'last'),
    frame(TAKEN, 'too late'),
  );
  const expected = ['first', 'skipped 7', '', 'last'];

  test('gets the same of every split, read in place or not', () => {
    for (const inPlace of [true, false])
      for (let a = 0; a <= stream.length; a++)
        for (let b = a; b <= stream.length; b++) {
          const bench = new Bench();
          for (const [from, to] of [
            [0, a],
            [a, b],
            [b, stream.length],
          ] as const)
            if (to > from) bench.receive(stream.subarray(from, to), inPlace);
          assert.deepEqual(bench.frames, expected, `cut at ${a} and ${b}`);
          assert.equal(bench.budget.bytes, 0);
          assert.ok(bench.inbound.ended);
        }
  });

  test('gets frames of many sizes in random chunks, and is asked no more often than it is worth', () => {
    const random = new Random(seed);
    for (let round = 0; round < 20; round++) {
      const bench = new Bench();
      const bodies = Array.from({ length: 20 }, () =>
        'x'.repeat(random.below(random.chance(0.1) ? 150_000 : 300)),
      );
      const bytes = join(...bodies.map((body) => frame(TAKEN, body)));
      let chunks = 0;
      for (let at = 0; at < bytes.length; chunks++) {
        const size = 1 + random.below(random.chance(0.3) ? 60_000 : 200);
        bench.receive(bytes.subarray(at, at + size), random.chance(0.5));
        at += size;
      }
      assert.deepEqual(bench.frames, bodies);
      assert.ok(bench.reads <= Math.min(chunks, 3 * bodies.length), `${bench.reads} reads`);
      assert.equal(bench.budget.bytes + bench.reservations.bytes, 0);
    }
  });
});

test('a message that comes byte by byte is looked at when its head is there, and when it is', () => {
  const bench = new Bench();
  for (const byte of frame(TAKEN, 'm'.repeat(5000))) bench.receive(Uint8Array.of(byte), true);
  assert.deepEqual([bench.frames.length, bench.reads], [1, 3]);
});

test('what waits for room is kept, and read when there is some', () => {
  const bench = new Bench();
  bench.room = 1;
  bench.receive(join(frame(TAKEN, 'a'), frame(TAKEN, 'b')), true);
  bench.receive(frame(TAKEN, 'c'), true);
  assert.deepEqual([bench.frames, bench.reads], [['a'], 1]);
  assert.ok(bench.link.paused && bench.budget.bytes > 0);
  bench.room = 9;
  bench.backpressure.lift(ROOM);
  bench.inbound.goOn();
  bench.backpressure.resume();
  assert.deepEqual(
    [bench.frames, bench.budget.bytes, bench.link.paused],
    [['a', 'b', 'c'], 0, false],
  );
});

test('a large message asks for memory once, and is held back until there is some', () => {
  const bench = new Bench();
  const other = { bytes: 0, heldBack: false, reserved() {}, tooSlow() {} };
  assert.ok(bench.reservations.ask(other, MIB));
  const whole = frame(TAKEN, 'y'.repeat(100_000));
  bench.receive(whole.subarray(0, 50), false);
  assert.ok(bench.link.paused && bench.backpressure.has(MEMORY));
  assert.equal(bench.inbound.asked, whole.length);
  bench.reservations.release(other);
  assert.equal(bench.link.paused, false);
  bench.receive(whole.subarray(50), false);
  assert.equal(bench.frames[0]?.length, 100_000);
  assert.deepEqual([bench.inbound.asked, bench.reservations.bytes], [0, 0]);
});

test('who keeps too much in all makes somebody go', () => {
  const bench = new Bench();
  bench.budget.bytes = MIB - 100;
  bench.receive(frame(TAKEN, 'z'.repeat(200)).subarray(0, 150), false);
  assert.equal(bench.relieved, 1);
});

describe('time', () => {
  test('runs from the first tick that finds a message begun; not between messages', () => {
    const bench = new Bench();
    assert.equal(bench.inbound.dueMs, undefined);
    bench.receive(frame(TAKEN, 'a'), false);
    assert.equal(bench.inbound.advance(0), false);
    assert.equal(bench.inbound.dueMs, undefined);
    bench.receive(Uint8Array.of(TAKEN), false);
    assert.equal(bench.inbound.advance(1000), false);
    assert.equal(bench.inbound.dueMs, 1501);
    assert.equal(bench.inbound.advance(1500), false);
    assert.equal(bench.inbound.advance(1501), true);
  });

  test('stands still for whatever reason the broker does not read', () => {
    for (const reason of [1, 2, 4, 8]) {
      const bench = new Bench();
      bench.receive(Uint8Array.of(TAKEN), false);
      bench.inbound.advance(0);
      bench.backpressure.hold(reason);
      assert.equal(bench.inbound.advance(10_000), false);
      assert.equal(bench.inbound.dueMs, Number.POSITIVE_INFINITY);
      bench.backpressure.release(reason);
      assert.equal(bench.inbound.advance(10_000), false);
      assert.equal(bench.inbound.advance(10_501), true);
    }
  });

  test('of bytes that somebody in front keeps runs, too', () => {
    const bench = new Bench();
    bench.inbound.ahead = 3;
    assert.equal(bench.inbound.advance(0), false);
    assert.equal(bench.inbound.advance(501), true);
    bench.inbound.ahead = 0;
    assert.equal(bench.inbound.advance(501), false);
    assert.equal(bench.inbound.dueMs, undefined);
  });
});
