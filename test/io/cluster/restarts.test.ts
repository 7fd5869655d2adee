// What clients see while nodes are restarted one after the other, and when the owner changes:
// through other nodes, to a broker as it is.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { type Consumer, createConsumer } from '../../../src/client/consumer.ts';
import { createProducer, type Producer } from '../../../src/client/producer.ts';
import type { Server } from '../../../src/server.ts';
import { RawPeer } from '../../support/broker.ts';
import { batchOf } from '../../support/client.ts';
import type { OtherNode } from './rig.ts';
import { startNode, startOwner } from './serving.ts';

const reconnect = { min: 1, max: 5 };

interface Clients {
  producer: Producer;
  consumer: Consumer;
  /** What became of their connections, in order. */
  statuses: string[];
}

/** A producer and a consumer that know these nodes, the first of them first. */
function clientsOf(t: TestContext, nodes: readonly OtherNode[]): Clients {
  const statuses: string[] = [];
  const onStatus = (status: string) => statuses.push(status);
  const hosts = (port: 'intake' | 'exhaust') => nodes.map((node) => `127.0.0.1:${node[port]}`);
  const consumer = createConsumer({ hosts: hosts('exhaust'), bucket: 7, reconnect, onStatus });
  const producer = createProducer({ hosts: hosts('intake'), reconnect, onStatus });
  t.after(async () => {
    consumer.close();
    await producer.close();
  });
  return { producer, consumer, statuses };
}

function reader(consumer: Consumer): () => Promise<string | undefined> {
  const messages = consumer[Symbol.asyncIterator]();
  return async () => {
    const message = (await messages.next()).value;
    message?.ack();
    return message?.text();
  };
}

const opened = (server: Server) => server.snapshot().connections.opened;

test('clients keep their connections while another node is restarted', async (t) => {
  const { server, at } = await startOwner(t);
  const mine = await startNode(t, at);
  const other = await startNode(t, at);
  const { producer, consumer, statuses } = clientsOf(t, [mine]);
  const next = reader(consumer);
  await producer.send(7, 'before');
  assert.equal(await next(), 'before');
  const before = { statuses: [...statuses], opened: { ...opened(server) } };
  for (let round = 0; round < 3; round++) {
    const peer = await RawPeer.connect(other.intake);
    peer.send(batchOf(9n, [Buffer.from('of a client of the other node')]));
    await peer.take(1);
    other.close();
    await peer.closed;
    await producer.send(7, `while it is away ${round}`);
    assert.equal(await next(), `while it is away ${round}`);
    await other.listen();
    other.splicer.owner(at);
  }
  assert.deepEqual(statuses, before.statuses);
  assert.equal(opened(server).exhaust, before.opened.exhaust);
  assert.equal(opened(server).intake, before.opened.intake + 3, 'those of the other node');
});

test('clients that know several nodes go on through each of them in turn', async (t) => {
  const { at } = await startOwner(t);
  const nodes = [await startNode(t, at), await startNode(t, at), await startNode(t, at)];
  const { producer, consumer, statuses } = clientsOf(t, nodes);
  const next = reader(consumer);
  const sent: string[] = [];
  const received = new Set<string>();
  const pass = async (text: string) => {
    // What was under way when its node went may be stored or not: whoever cares sends it again.
    while (!(await isStored(producer, text)));
    sent.push(text);
    while (!received.has(text)) received.add((await next())!);
  };
  await pass('first');
  for (const [index, node] of nodes.entries()) {
    node.close(); // those behind it take its clients
    await pass(`without node ${index}`);
    await pass(`still without node ${index}`);
    await restart(node, at);
  }
  assert.deepEqual([...received].sort(), [...new Set(sent)].sort(), 'nothing else, and all of it');
  const losses = statuses.filter((status) => status === 'reconnecting').length;
  assert.equal(losses, 2 * nodes.length, 'each node had both clients when it went');
});

const isStored = (producer: Producer, text: string) =>
  producer.send(7, text).then(
    () => true,
    () => false,
  );

// At the ports that it had.
async function restart(node: OtherNode, at: { host: string; port: number }): Promise<void> {
  await node.listen(8, undefined, { intake: node.intake, exhaust: node.exhaust });
  node.splicer.owner(at);
}

test('a change of owner: an ack that came before still counts, then the connection ends', async (t) => {
  const before = await startOwner(t);
  const next = await startOwner(t);
  const node = await startNode(t, before.at);
  const peer = await RawPeer.connect(node.intake);
  const ended = once(peer.socket, 'end');
  peer.send(batchOf(7n, [Buffer.from('one'), Buffer.from('two')]));
  assert.deepEqual([...(await peer.take(2))], [1, 1]);
  node.splicer.owner(next.at);
  await Promise.all([ended, peer.closed]);
  using again = await RawPeer.connect(node.intake);
  again.send(batchOf(7n, [Buffer.from('three')]));
  assert.deepEqual([...(await again.take(1))], [1]);
  assert.equal(next.server.snapshot().totals.publishedMessages, 1);
});

test('an owner that dies: what has no answer is unknown, and clients wait for the next', async (t) => {
  const before = await startOwner(t);
  const next = await startOwner(t);
  const nodes = [await startNode(t, before.at), await startNode(t, before.at)];
  const { producer, consumer } = clientsOf(t, nodes);
  const read = reader(consumer);
  await producer.send(7, 'acked');
  assert.equal(await read(), 'acked');
  before.owner.isOwner = false; // it takes nobody any more, and those whom it has are lost
  for (const { splicer } of nodes) splicer.owner(undefined);
  const pending = isStored(producer, 'in doubt');
  for (const { splicer } of nodes) splicer.owner(next.at);
  if (!(await pending)) await producer.send(7, 'in doubt');
  assert.equal(await read(), 'in doubt');
});
