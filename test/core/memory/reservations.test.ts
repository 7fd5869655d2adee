// Memory for large messages: who gets it, who waits unread, in which order they go on, and who must
// go. Small messages never wait.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { memoryFor } from '../../../src/core/memory/partial-input.ts';
import {
  BYTES_PER_SECOND_MIN,
  LARGE_BYTES,
  type ReservationHolder,
  Reservations,
} from '../../../src/core/memory/reservations.ts';
import { freshEngine } from '../../support/engine.ts';
import { Random, seedOf } from '../../support/random.ts';
import { acks, batch, brokerOf, type World } from '../../support/world.ts';

const random = new Random(seedOf('core/memory/reservations.test'));
const KIB = 1024;
const MIB = 1024 * KIB;

class FakeSender implements ReservationHolder {
  bytes = 0;
  heldBack = false;
  has = false;
  closed = 0;
  readonly name: string;

  constructor(name = '') {
    this.name = name;
  }

  reserved(): void {
    assert.equal(this.has, false);
    this.has = true;
  }

  tooSlow(): void {
    this.closed++;
  }
}

const senders = (...names: string[]) => names.map((name) => new FakeSender(name));
const having = (all: FakeSender[]) =>
  all
    .filter(({ has }) => has)
    .map(({ name }) => name)
    .join('');

/** Each asks for 100 bytes, of which there are 200. */
function crowd(...names: string[]) {
  const reservations = new Reservations(400, 100);
  const all = senders(...names);
  for (const sender of all) sender.has = reservations.ask(sender, 100);
  const giveBack = (sender: FakeSender) => {
    sender.has = false;
    reservations.release(sender);
  };
  return { reservations, all, giveBack };
}

describe('reservations', () => {
  test('half of all buffers are for large messages; who comes then waits', () => {
    const { reservations, all } = crowd('a', 'b', 'c');
    assert.equal(having(all), 'ab');
    assert.equal(reservations.bytes, 200);
    assert.equal(reservations.waiting, 1);
  });

  test('by turns the last and the first of the line get what is given back', () => {
    const { reservations, all, giveBack } = crowd('a', 'b', 'c', 'd', 'e', 'f');
    const [a, b, c, , , f] = all;
    giveBack(a!);
    assert.equal(having(all), 'bf');
    giveBack(b!);
    assert.equal(having(all), 'cf');
    giveBack(c!);
    assert.equal(having(all), 'ef');
    giveBack(f!);
    assert.equal(having(all), 'de');
    assert.equal(reservations.waiting, 0);
    assert.equal(reservations.bytes, 200);
  });

  test('nobody overtakes the line, not even who would fit', () => {
    const reservations = new Reservations(400, 100);
    const [first, large, small] = senders('first', 'large', 'small');
    assert.equal(reservations.ask(first!, 150), true);
    assert.equal(reservations.ask(large!, 100), false);
    assert.equal(reservations.ask(small!, 10), false);
    reservations.release(small!);
    assert.equal(reservations.waiting, 1);
    reservations.release(first!);
    assert.equal(large!.has, true);
  });

  test('a message that is larger than everything has it alone', () => {
    const reservations = new Reservations(400, 100);
    const [huge, small] = senders('huge', 'small');
    assert.equal(reservations.ask(huge!, 1000), true);
    assert.equal(reservations.ask(small!, 1), false);
    reservations.release(huge!);
    assert.equal(small!.has, true);
  });

  test('one message always fits, however little the buffers are', () => {
    const reservations = new Reservations(100, 1000);
    const [one, other] = senders('one', 'other');
    assert.equal(reservations.ask(one!, 600), true);
    assert.equal(reservations.ask(other!, 400), true);
  });

  test('who is slow goes, but only while others wait', () => {
    const { reservations, all, giveBack } = crowd('a', 'b');
    const [a, b] = all;
    reservations.advance(1000);
    reservations.advance(2500);
    assert.deepEqual([a!.closed, b!.closed], [0, 0], 'nobody waits');
    const waits = new FakeSender('c');
    assert.equal(reservations.ask(waits, 100), false);
    a!.bytes += BYTES_PER_SECOND_MIN;
    b!.bytes += BYTES_PER_SECOND_MIN - 1;
    reservations.advance(3499);
    assert.deepEqual([a!.closed, b!.closed], [0, 0], 'no second is over');
    reservations.advance(3500);
    assert.deepEqual([a!.closed, b!.closed], [0, 1]);
    assert.equal(waits.closed, 0);
    giveBack(b!);
    assert.equal(having([a!, waits]), 'ac');
  });

  test('a second is counted from when memory was given, and what was sent before is not', () => {
    const { reservations, all, giveBack } = crowd('a', 'b', 'c', 'd');
    const [a, b, c, d] = all;
    d!.bytes = 10 * BYTES_PER_SECOND_MIN;
    reservations.advance(900);
    giveBack(a!);
    assert.equal(having(all), 'bd');
    b!.bytes += 2 * BYTES_PER_SECOND_MIN;
    reservations.advance(1899);
    assert.equal(d!.closed, 0);
    reservations.advance(1900);
    assert.equal(d!.closed, 1);
    assert.equal(c!.closed, 0);
  });

  test('the slowest goes, one at a time, as long as others wait', () => {
    const { reservations, all, giveBack } = crowd('a', 'b', 'c', 'd');
    const [a, b] = all;
    a!.bytes += 2;
    b!.bytes += 1;
    reservations.advance(1000);
    assert.deepEqual([a!.closed, b!.closed], [0, 1]);
    giveBack(b!);
    reservations.advance(1025);
    assert.deepEqual([a!.closed, b!.closed], [1, 1]);
  });

  test('nobody goes for a wait that is over, or for the time before it', () => {
    const { reservations, all, giveBack } = crowd('a', 'b');
    const [a, b] = all;
    reservations.advance(975);
    const c = new FakeSender('c');
    assert.equal(reservations.ask(c, 100), false);
    reservations.advance(1974);
    assert.deepEqual([a!.closed, b!.closed], [0, 0]);
    reservations.advance(1975);
    assert.equal(a!.closed + b!.closed, 1);
    giveBack(a!.closed > 0 ? a! : b!);
    assert.equal(c.has, true);
    reservations.advance(9000);
    assert.equal(a!.closed + b!.closed, 1);
  });

  test('who waits for the broker is not slow', () => {
    const { reservations, all } = crowd('a', 'b', 'c');
    all[0]!.heldBack = true;
    reservations.advance(1000);
    assert.deepEqual(
      all.map(({ closed }) => closed),
      [0, 1, 0],
    );
  });

  test('whatever is asked and given back: never more than there is, nobody is forgotten', () => {
    for (let round = 0; round < 200; round++) {
      const most = 1 + random.below(500);
      const reservations = new Reservations(2 * most, 1);
      const asked = new Map<FakeSender, number>();
      const sum = () =>
        [...asked].reduce((all, [sender, bytes]) => all + (sender.has ? bytes : 0), 0);
      const check = () => {
        const has = [...asked.keys()].filter((sender) => sender.has).length;
        assert.equal(reservations.bytes, sum());
        assert.ok(sum() <= most || has === 1, `${sum()} of ${most} bytes for ${has}`);
        assert.equal(reservations.waiting, asked.size - has);
        assert.ok(has > 0 || asked.size === 0, 'all wait, for nobody');
      };
      const giveBack = (sender: FakeSender) => {
        asked.delete(sender);
        reservations.release(sender);
        check();
      };
      for (let step = random.below(60); step > 0; step--) {
        if (asked.size === 0 || random.below(3) > 0) {
          const sender = new FakeSender();
          const bytes = 1 + random.below(most + 50);
          asked.set(sender, bytes);
          sender.has = reservations.ask(sender, bytes);
          check();
        } else giveBack([...asked.keys()][random.below(asked.size)]!);
      }
      // As those finish who have memory, everybody gets some.
      while (asked.size > 0) giveBack([...asked.keys()].find(({ has }) => has)!);
    }
  });
});

const BODY = 64 * KIB;
const large = (mark: string) => batch('u64', [7, mark.padEnd(BODY, '.')]);

/** Memory for two large messages. */
function short(peerBytesMax = MIB): World {
  const messageBytesMax = BODY + KIB;
  const bufferBytesMax = 4 * memoryFor(messageBytesMax);
  const limits = { messageBytesMax, bufferBytesMax, peerBytesMax, segmentBytes: 4 * MIB };
  return brokerOf({ codec: freshEngine(), limits });
}

/** A producer that has sent the begin of a large message, and how to send the rest. */
function begin(world: World, mark: string, bytes = 4 * KIB) {
  const peer = world.producer();
  const all = large(mark);
  peer.send(all.subarray(0, bytes));
  return { peer, rest: (to?: number) => peer.send(all.subarray(bytes, to)) };
}

const isRead = ({ link }: ReturnType<World['producer']>) => !link.paused && !link.destroyed;

describe('producers of large messages', () => {
  test('wait unread while others have all memory, and go on in turn', () => {
    const world = short();
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((mark) => begin(world, mark));
    assert.deepEqual(
      [a, b, c, d].map((each) => isRead(each!.peer)),
      [true, true, false, false],
    );
    for (const each of [c, d]) each!.rest(); // waits in the system's buffer
    assert.ok(world.broker.budget.bytes < 32 * KIB, 'what waits is not read');
    assert.equal(world.broker.reservations.waiting, 2);
    a!.rest();
    world.settle();
    assert.deepEqual(a!.peer.take(), acks(1));
    assert.deepEqual(d!.peer.take(), acks(1));
    assert.deepEqual(c!.peer.take(), acks(1));
    assert.equal(b!.peer.take().length, 0);
    assert.equal(world.broker.reservations.waiting, 0);
    assert.equal(world.notices.length, 0);
    b!.rest();
    world.settle();
    assert.equal(world.broker.reservations.bytes, 0);
    assert.equal(world.broker.budget.bytes, 0);
  });

  test('hold up nobody who publishes small messages, however these are split', () => {
    const world = short();
    for (const mark of ['a', 'b', 'c']) begin(world, mark);
    const bytes = batch('u64', [1, 'x'.repeat(LARGE_BYTES - 32)]);
    for (const piece of [KIB, 5, 21, LARGE_BYTES / 2, bytes.length - 1]) {
      const small = world.producer();
      for (let at = 0; at < bytes.length; at += piece) small.send(bytes.subarray(at, at + piece));
      world.settle();
      assert.deepEqual(small.take(), acks(1), `in pieces of ${piece}`);
    }
  });

  test('are closed if they do not get on while others wait', () => {
    const world = short();
    const [a, b] = [begin(world, 'a'), begin(world, 'b')];
    for (let i = 0; i < 100; i++) world.advance(25, true);
    assert.ok(isRead(a.peer) && isRead(b.peer), 'nobody waits');
    const c = begin(world, 'c');
    c.rest();
    for (let i = 0; i < 81 && !a.peer.link.destroyed; i++) world.advance(25, true);
    assert.ok(a.peer.link.destroyed);
    assert.equal(world.notices[0]?.kind, 'memory.intake');
    assert.match(
      world.notices[0]!.text,
      /65552 bytes .* fewer than 4096 .* while others waited .*--buffer/,
    );
    assert.deepEqual(c.peer.take(), acks(1));
    assert.equal(a.peer.session.closedFor, 'memory');
  });

  test('are not out of time while they wait', () => {
    const world = short();
    const others = [begin(world, 'a'), begin(world, 'b')];
    const c = begin(world, 'c');
    for (let ms = 0; ms < 45_000; ms += 25) {
      // As if they got on, until their own time is up.
      for (const { peer } of others) peer.session.bytes += Math.ceil(BYTES_PER_SECOND_MIN / 40);
      world.advance(25, true);
      if (ms === 30_000) assert.ok(!isRead(c.peer));
    }
    assert.ok(others.every(({ peer }) => peer.session.closedFor === 'timeout'));
    assert.ok(isRead(c.peer));
  });

  test('leave the line when they are gone, and give back what they have', () => {
    const world = short();
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((mark) => begin(world, mark));
    c!.peer.vanish();
    assert.equal(world.broker.reservations.waiting, 1);
    a!.peer.vanish();
    assert.ok(isRead(d!.peer));
    b!.peer.finish();
    d!.peer.vanish();
    assert.equal(world.broker.reservations.bytes, 0);
    assert.equal(world.broker.budget.bytes, 0);
  });

  test('let others go first between two messages', () => {
    const world = short();
    const [a, b, c] = ['a', 'b', 'c'].map((mark) => begin(world, mark));
    const next = large('next');
    c!.rest();
    // The end of its message and the begin of another one.
    a!.rest(4 + 16 + BODY - KIB);
    a!.peer.send(Buffer.concat([large('a').subarray(-KIB), next.subarray(0, 4 * KIB)]));
    world.settle();
    assert.deepEqual(a!.peer.take(), acks(1));
    assert.deepEqual(c!.peer.take(), acks(1));
    a!.peer.send(next.subarray(4 * KIB));
    world.settle();
    assert.deepEqual(a!.peer.take(), acks(1));
    assert.ok(isRead(b!.peer));
  });

  test('that wait for room in the log keep what they have', () => {
    const world = short();
    world.log.next = false;
    const filler = world.producer();
    for (let i = 0; i < 200; i++) filler.send(large('f'));
    world.settle();
    assert.ok(filler.link.paused, 'the log has room');
    const a = begin(world, 'a');
    a.rest();
    assert.ok(a.peer.link.paused);
    assert.ok(a.peer.session.heldBack);
    const { bytes } = world.broker.reservations;
    assert.ok(bytes >= BODY);
    begin(world, 'b');
    begin(world, 'c');
    for (let i = 0; i < 100; i++) world.advance(25, true);
    assert.equal(a.peer.link.destroyed, false, 'it is not the one who is slow');
    world.log.next = true;
    world.broker.segmentChanged();
    world.settle();
    assert.deepEqual(a.peer.take(), acks(1));
  });

  test('that wait are not read on because they have read their replies', () => {
    const world = short(1);
    for (const mark of ['a', 'b']) begin(world, mark);
    const c = world.producer();
    c.link.stuck = true;
    const small = batch('u64', [1, 'x'], [1, 'y']);
    c.send(Buffer.concat([small, large('c').subarray(0, 4 * KIB)]));
    world.settle();
    assert.equal(c.link.queuedBytes, 2);
    assert.equal(world.broker.reservations.waiting, 1);
    c.read();
    assert.ok(c.link.paused, 'there is no memory yet');
  });

  test('are read on when what still came made the message whole', () => {
    const world = short();
    for (const mark of ['a', 'b']) begin(world, mark);
    const c = begin(world, 'c');
    assert.ok(c.peer.link.paused);
    c.peer.session.receive(large('c').slice(4 * KIB)); // it was on its way already
    world.settle();
    assert.deepEqual(c.peer.take(), acks(1));
    assert.ok(isRead(c.peer));
    assert.equal(world.broker.reservations.waiting, 0);
  });

  test('are not too slow for a broker that is closing', () => {
    const world = short();
    const [a, b] = ['a', 'b', 'c'].map((mark) => begin(world, mark));
    world.broker.close();
    for (let i = 0; i < 200; i++) world.advance(25, true);
    assert.ok(!a!.peer.link.destroyed && !b!.peer.link.destroyed);
  });

  test('that wait with more than a first piece go first when all buffers are full', () => {
    const world = short();
    const holders = ['a', 'b'].map((mark) => begin(world, mark, 60 * KIB));
    const piece = Buffer.concat([batch('u64', [1, 'x']), large('c').subarray(0, 50 * KIB)]);
    const others = Array.from({ length: 12 }, () => world.producer());
    for (const other of others) other.send(piece);
    world.turn();
    assert.ok(others.some(({ link }) => link.destroyed));
    assert.ok(holders.every(({ peer }) => !peer.link.destroyed));
    assert.match(world.notices[0]!.text, /the most of those that wait/);
    assert.ok(world.broker.budget.bytes <= world.broker.budget.bytesMax);
  });

  test('that wait are read no more when the broker stops', () => {
    const world = short();
    const [a, , c] = ['a', 'b', 'c'].map((mark) => begin(world, mark));
    world.broker.close();
    a!.peer.vanish();
    assert.ok(c!.peer.link.paused);
  });
});
