// Who is let in and who was: what of a connection is forgotten when it is gone, what is counted,
// and what the operator is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Connections } from '../../../src/core/connections/connections.ts';
import type { Consumer } from '../../../src/core/connections/consumer.ts';
import type { Producer } from '../../../src/core/connections/producer.ts';
import { Counters } from '../../../src/core/metrics/counters.ts';
import type { Deadlines } from '../../../src/core/timing/deadlines.ts';
import { Overdue } from '../../../src/core/timing/overdue.ts';
import { FakeLink, TEST_LIMITS } from '../../support/world.ts';

/** Connections with sessions that are only noted. */
function setUp(connectionsMax = 10) {
  const notices: string[] = [];
  const parts = {
    limits: { ...TEST_LIMITS, connectionsMax },
    counters: new Counters(),
    notices: {
      notice: (level: string, kind: string, text: string) =>
        void notices.push(`${level} ${kind} ${text}`),
    },
    overdue: new Overdue(),
    closing: false,
    permission: { isSuspended: false },
  };
  const deadlines = new Set<Consumer>();
  const ticks = {
    producers: new Set<Producer>(),
    deadlines: deadlines as unknown as Deadlines<Consumer>,
    stirs: 0,
    stir: () => ticks.stirs++,
    exact: () => 0,
  };
  const connections = new Connections(parts, {
    producer: (link) => ({ link, closedFor: 'peer' }) as unknown as Producer,
    consumer: (link) => ({ link, closedFor: 'peer' }) as unknown as Consumer,
    ticks: () => ticks,
  });
  return { parts, connections, ticks, deadlines, notices };
}

test('of who is gone nobody keeps anything, and time goes on', () => {
  const { parts, connections, ticks, deadlines } = setUp(2);
  const producer = connections.openProducer(new FakeLink(8))!;
  const consumer = connections.openConsumer(new FakeLink(8))!;
  assert.deepEqual([...connections.producers, ...connections.consumers], [producer, consumer]);
  ticks.producers.add(producer);
  deadlines.add(consumer);
  let late = 0;
  for (const each of [producer, consumer]) parts.overdue.add(each, 0, () => void late++);
  assert.equal(connections.openProducer(new FakeLink(8)), undefined, 'there is no place');
  connections.producerGone(producer);
  assert.equal(ticks.stirs, 1);
  connections.consumerGone(consumer);
  assert.equal(ticks.stirs, 2);
  parts.overdue.advance(1000);
  assert.equal(late, 0, 'one was closed that is gone');
  const left = [connections.producers, connections.consumers, ticks.producers, deadlines];
  assert.deepEqual(
    left.map(({ size }) => size),
    [0, 0, 0, 0],
  );
  assert.ok(connections.openProducer(new FakeLink(8)) && connections.openConsumer(new FakeLink(8)));
});

test('each end is counted on its side, by who closed it', () => {
  const { parts, connections } = setUp();
  const producer = connections.openProducer(new FakeLink(8))!;
  const consumer = connections.openConsumer(new FakeLink(8))!;
  producer.closedFor = 'memory';
  connections.producerGone(producer);
  connections.consumerGone(consumer);
  const { intake, exhaust } = parts.counters.closedConnections;
  assert.deepEqual([intake.memory, intake.peer, exhaust.memory, exhaust.peer], [1, 0, 0, 1]);
});

test('who goes too far is closed at once, counted, and named in one line', () => {
  const { parts, connections, notices } = setUp();
  const link = new FakeLink(8);
  connections.openConsumer(link);
  connections.breach(link, 'exhaust', 'protocol', 'it acked too much');
  assert.ok(link.destroyed);
  assert.equal(parts.counters.protocolErrors, 1);
  assert.deepEqual(notices, [
    `warn protocol.exhaust exhaust ${link.peer} closed: it acked too much`,
  ]);
});

test('a broker that stops turns everybody away and has nothing to say about that', () => {
  const { parts, connections, notices } = setUp();
  parts.closing = true;
  const links = [new FakeLink(8), new FakeLink(8)];
  assert.equal(connections.acceptProducer(links[0]!), undefined);
  assert.equal(connections.acceptConsumer(links[1]!), undefined);
  assert.ok(links.every(({ destroyed }) => destroyed));
  assert.deepEqual([parts.counters.refusedConnections, notices], [2, []]);
});

test('while nothing may be delivered consumers are turned away and named, and take no place', () => {
  const { parts, connections, notices } = setUp(1);
  parts.permission.isSuspended = true;
  const link = new FakeLink(8);
  assert.equal(connections.acceptConsumer(link), undefined);
  assert.ok(link.destroyed);
  assert.equal(parts.counters.refusedConnections, 1);
  assert.match(notices[0]!, new RegExp(`warn connections.suspended .*${link.peer} refused`));
  assert.ok(connections.acceptProducer(new FakeLink(8)));
});

test('one for whom there is no place is turned away, counted and named', () => {
  const { parts, connections, notices } = setUp(0);
  const link = new FakeLink(8);
  assert.equal(connections.openConsumer(link), undefined);
  assert.ok(link.destroyed);
  assert.equal(parts.counters.refusedConnections, 1);
  assert.equal(notices.length, 1);
  assert.match(notices[0]!, new RegExp(`warn connections.full .*${link.peer} refused`));
});
