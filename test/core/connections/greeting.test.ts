// Which dialect a peer speaks: a made-up one beside those of the listeners, with its greeting split
// everywhere, wrong everywhere, begun and never ended; and what a connection counts as meanwhile.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WIRE_U64 } from '../../../assembly/layout.ts';
import { encodeConsumerHeader, encodeGoodbye } from '../../../src/codec/wire.ts';
import type { CloseReason } from '../../../src/contract/close-reasons.ts';
import { checkDialects, type Dialect, Greeting } from '../../../src/core/connections/greeting.ts';
import type { Session } from '../../../src/core/connections/session.ts';
import type { Link } from '../../../src/core/ports/link.ts';
import { acks, batch, brokerOf, FakeLink, Peer, type World } from '../../support/world.ts';

const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));

/** A session that notes what it hears. */
class Noting implements Session {
  readonly link: Link;
  readonly #left: () => void;
  readonly heard: number[] = [];
  readonly events: string[] = [];
  heardMs = 0;
  closedFor: CloseReason = 'peer';

  constructor(link: Link, left: () => void) {
    this.link = link;
    this.#left = left;
  }

  receive(chunk: Uint8Array): void {
    this.heard.push(...chunk);
  }

  finished(): void {
    this.events.push('finished');
  }

  drained(): void {
    this.events.push('drained');
  }

  gone(): void {
    this.events.push('gone');
    this.#left();
  }
}

class MadeUp implements Dialect {
  readonly greeting: Uint8Array;
  readonly opened: Noting[] = [];

  constructor(greeting: Uint8Array) {
    this.greeting = greeting;
  }

  open(link: Link, left: () => void): Session {
    const session = new Noting(link, left);
    this.opened.push(session);
    return session;
  }
}

const GREETING = bytesOf('TMQ2\r\n\0\xff');
const SIDES = ['acceptProducer', 'acceptConsumer'] as const;
type Accept = (typeof SIDES)[number];

function connect(world: World, accept: Accept): Peer<Session> {
  const link = new FakeLink(WIRE_U64);
  const session = world.broker.connections[accept](link);
  assert.ok(session !== undefined, 'it was turned away');
  const peer = new Peer(link, session);
  world.peers.push(peer);
  return peer;
}

// Producers and consumers as an operator sees them.
const counted = ({ broker }: World) => [broker.producers.size, broker.consumers.size];

const others = (...greetings: Uint8Array[]) => greetings.map((greeting) => new MadeUp(greeting));

for (const accept of SIDES) {
  describe(`a greeting, ${accept}`, () => {
    const own = accept === 'acceptProducer' ? [1, 0] : [0, 1];

    test('is found however it is split; what comes behind it is the other dialect', () => {
      const stream = join(GREETING, bytesOf('and so on'));
      const dialects = others(GREETING);
      const world = brokerOf({ dialects });
      for (let a = 0; a <= stream.length; a++)
        for (let b = a; b <= stream.length; b++) {
          const peer = connect(world, accept);
          assert.deepEqual(counted(world), own);
          for (const part of [stream.subarray(0, a), stream.subarray(a, b), stream.subarray(b)])
            if (part.length > 0) peer.send(part);
          assert.deepEqual(counted(world), [0, 0], 'it is none of ours');
          const { heard, events, link } = dialects[0]!.opened.pop()!;
          assert.deepEqual(heard, [...bytesOf('and so on')], `cut at ${a} and ${b}`);
          assert.equal(link, peer.link);
          peer.session.drained();
          peer.finish();
          peer.vanish();
          assert.deepEqual(events, ['drained', 'finished', 'gone']);
        }
      assert.equal(dialects[0]!.opened.length, 0);
      world.advance(60_000, true);
      assert.deepEqual(world.notices, []);
      assert.equal(world.broker.budget.bytes, 0);
    });

    test('takes the place of one connection, from the beginning to the end', () => {
      const world = brokerOf({ dialects: others(GREETING), limits: { connectionsMax: 1 } });
      const link = new FakeLink(WIRE_U64);
      const peer = connect(world, accept);
      assert.equal(world.broker.connections[accept](link), undefined);
      peer.send(GREETING);
      assert.equal(world.broker.connections[accept](link), undefined);
      peer.vanish();
      connect(world, accept);
      assert.equal(world.broker.counters.refusedConnections, 2);
    });

    test('once it is whole, the time that the listener gives has no meaning', () => {
      const limits = { partialMessageMs: 500, consumerHeaderMs: 500 };
      const world = brokerOf({ dialects: others(GREETING), limits });
      const peer = connect(world, accept);
      for (const byte of GREETING) peer.send(Uint8Array.of(byte));
      world.advance(60_000, true);
      assert.deepEqual([peer.link.destroyed, world.notices], [false, []]);
    });

    test('that is begun and not ended in time is closed as the listener does it', () => {
      for (let length = 1; length < GREETING.length; length++) {
        const limits = { partialMessageMs: 500, consumerHeaderMs: 500 };
        const world = brokerOf({ dialects: others(GREETING), limits });
        const peer = connect(world, accept);
        for (const byte of GREETING.subarray(0, length)) peer.send(Uint8Array.of(byte));
        world.advance(400, true);
        assert.equal(peer.link.destroyed, false);
        world.advance(300, true);
        assert.ok(peer.link.destroyed, `${length} bytes, and silence`);
        const [{ kind } = { kind: '' }] = world.notices;
        assert.equal(kind, accept === 'acceptProducer' ? 'timeout.intake' : 'timeout.exhaust');
        assert.deepEqual(counted(world), [0, 0]);
        connect(world, accept);
      }
    });

    test('of the end of time the session in front knows what the one behind it knows', () => {
      const world = brokerOf({ dialects: others(GREETING) });
      const { session, link } = connect(world, accept);
      world.nowMs = 700;
      world.broker.advance(700);
      session.receive(bytesOf('x'));
      assert.equal(session.heardMs, 700);
      session.closedFor = 'unreachable';
      link.destroy();
      session.gone();
      const { intake, exhaust } = world.broker.counters.closedConnections;
      assert.equal(intake.unreachable + exhaust.unreachable, 1);
    });
  });
}

describe('bytes that go on otherwise than a greeting', () => {
  // A batch whose first bytes are those of a greeting up to anywhere: the rest is its own.
  const whole = batch('u64', [0x0201, 'a'], [1, 'bc']);

  test('come to a producer unchanged, wherever they differ and however they are split', () => {
    for (let same = 0; same < 8; same++) {
      const greeting = whole.slice(0, 8);
      greeting[same]! ^= 0x80;
      const dialects = others(greeting);
      const world = brokerOf({ dialects });
      for (let cut = 0; cut <= 12; cut++) {
        const peer = connect(world, 'acceptProducer');
        if (cut > 0) peer.send(whole.subarray(0, cut));
        peer.send(whole.subarray(cut));
        world.settle();
        assert.deepEqual(peer.take(), acks(1, 1), `${same} bytes alike, cut at ${cut}`);
        peer.vanish();
      }
      assert.equal(dialects[0]!.opened.length, 0);
      assert.equal(world.broker.counters.publishedMessages, 26);
      assert.deepEqual(world.notices, []);
    }
  });

  test('come to a consumer unchanged, wherever they differ and however they are split', () => {
    const header = encodeConsumerHeader({
      consumerId: 0x0807060504030201n,
      bucket: 7n,
      batchSize: 3,
    });
    for (let same = 0; same < 8; same++) {
      const greeting = header.slice(0, 8);
      greeting[same]! ^= 0x80;
      const world = brokerOf({ dialects: others(greeting) });
      for (let cut = 0; cut <= header.length; cut++) {
        const peer = connect(world, 'acceptConsumer');
        if (cut > 0) peer.send(header.subarray(0, cut));
        if (cut < header.length) peer.send(header.subarray(cut));
        world.arrive();
        const [consumer] = world.broker.consumers;
        const { state, consumerId, batchSize } = consumer!;
        assert.deepEqual([state, consumerId, batchSize], ['waiting', '578437695752307201', 3]);
        peer.vanish();
      }
    }
  });

  test('are a breach where they are one without it', () => {
    for (let length = 0; length < GREETING.length; length++) {
      const world = brokerOf({ dialects: others(GREETING) });
      const peer = connect(world, 'acceptProducer');
      peer.send(GREETING.subarray(0, length));
      peer.send(bytesOf('no, else'));
      assert.ok(peer.link.destroyed);
      assert.deepEqual(
        world.notices.map(({ kind }) => kind),
        ['protocol.intake'],
      );
      world.turn();
      assert.deepEqual(counted(world), [0, 0]);
    }
  });

  test('and the end, too: what was kept is what the listener was sent', () => {
    for (let length = 0; length < GREETING.length; length++) {
      const link = new FakeLink(WIRE_U64);
      const session = new Noting(link, () => {});
      const begun: number[] = [];
      const own = { begun: (bytes: number) => void begun.push(bytes), dismiss() {}, left() {} };
      const greeting = new Greeting(link, session, own, others(GREETING));
      for (const byte of GREETING.subarray(0, length)) greeting.receive(Uint8Array.of(byte));
      assert.deepEqual(session.heard, []);
      greeting.finished();
      assert.deepEqual(session.heard, [...GREETING.subarray(0, length)]);
      assert.deepEqual(session.events, ['finished']);
      const kept = Array.from({ length }, (_, i) => i + 1);
      assert.deepEqual(begun, length === 0 ? [] : [...kept, 0]);
    }
  });
});

test('a peer that was closed for what was kept is not heard any more', () => {
  const link = new FakeLink(WIRE_U64);
  class Closing extends Noting {
    override receive(chunk: Uint8Array): void {
      super.receive(chunk);
      link.destroy();
    }
  }
  const session = new Closing(link, () => {});
  const own = { begun() {}, dismiss() {}, left() {} };
  const greeting = new Greeting(link, session, own, others(GREETING));
  greeting.receive(GREETING.subarray(0, 4));
  greeting.receive(bytesOf('other'));
  greeting.finished();
  assert.deepEqual([session.heard, session.events], [[...GREETING.subarray(0, 4)], []]);
});

describe('the dialect of the listener', () => {
  test('says goodbye as ever, at once or behind a batch, in one piece or byte by byte', () => {
    // Four zeros that could be a greeting, had it gone on.
    const dialects = others(bytesOf('\0\0\0\0\0\0\0\x01'), GREETING);
    for (const before of [[], [batch('u64', [1, 'a'])]]) {
      const world = brokerOf({ dialects });
      const stream = join(...before, encodeGoodbye());
      const peer = connect(world, 'acceptProducer');
      for (const byte of stream) peer.send(Uint8Array.of(byte));
      peer.finish();
      world.settle();
      assert.ok(peer.link.ended);
      assert.deepEqual(peer.take(), acks(...before.map(() => 1)));
    }
  });

  test('is all that there is without a table: the session itself, with nothing in front', () => {
    const world = brokerOf();
    const producer = world.broker.connections.acceptProducer(new FakeLink(WIRE_U64));
    const consumer = world.broker.connections.acceptConsumer(new FakeLink(WIRE_U64));
    assert.ok(world.broker.producers.has(producer as never));
    assert.ok(world.broker.consumers.has(consumer as never));
  });

  test('has who sends nothing: a producer may, a consumer owes its header', () => {
    const world = brokerOf({ dialects: others(GREETING), limits: { consumerHeaderMs: 500 } });
    const [producer, consumer] = SIDES.map((accept) => connect(world, accept));
    world.advance(60_000, true);
    assert.deepEqual([producer!.link.destroyed, consumer!.link.destroyed], [false, true]);
    assert.equal(world.broker.counters.closedConnections.exhaust.timeout, 1);
  });
});

describe('several dialects', () => {
  test('are told apart where they differ, whatever they have in common', () => {
    const texts = ['TMQ2', 'TMQ3', 'TMX', 'Q'];
    for (const text of texts) {
      const dialects = others(...texts.map(bytesOf));
      const world = brokerOf({ dialects });
      const peer = connect(world, 'acceptProducer');
      for (const byte of bytesOf(`${text}!`)) peer.send(Uint8Array.of(byte));
      for (const [i, { opened }] of dialects.entries())
        assert.deepEqual(
          opened.map(({ heard }) => heard),
          texts[i] === text ? [[...bytesOf('!')]] : [],
        );
    }
  });

  test('are not mixed up: what begins like one does not go on like another', () => {
    const dialects = others(...['ABCD', 'XBCE'].map(bytesOf));
    const world = brokerOf({ dialects });
    const peer = connect(world, 'acceptProducer');
    peer.send(bytesOf('ABC'), bytesOf('E'));
    assert.ok(peer.link.destroyed, 'it is a batch of far too many messages');
    assert.deepEqual(
      dialects.map(({ opened }) => opened.length),
      [0, 0],
    );
  });

  test('none hides another, and none is too long or empty', () => {
    for (const wrong of [['TMQ2', 'TMQ'], ['TM', 'TMQ2'], ['A', 'A'], [''], ['123456789']])
      assert.throws(() => checkDialects(others(...wrong.map(bytesOf))), /greeting/, `${wrong}`);
    checkDialects(others(...['12345678', '12345679', 'T'].map(bytesOf)));
  });
});
