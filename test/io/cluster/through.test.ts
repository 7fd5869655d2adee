// Clients of both dialects through another node, to a broker as it is: what they see, whom the
// broker sees, whom it limits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createConsumer } from '../../../src/client/consumer.ts';
import { createProducer } from '../../../src/client/producer.ts';
import type { Command, Outcome } from '../../../src/contract/commands.ts';
import type { Server } from '../../../src/server.ts';
import { RawPeer } from '../../support/broker.ts';
import { batchOf, publish, TestConsumer, texts } from '../../support/client.ts';
import { OrderingNode } from './orders-rig.ts';
import { startNode, startOwner } from './serving.ts';

interface Listed {
  connections: { peer: string; via?: string; side: string; wire: string }[];
}

function connectionsOf(server: Server): Promise<Listed['connections']> {
  return new Promise((resolve, reject) =>
    server.command({ kind: 'connections', limit: 10 }, (outcome: Outcome) =>
      outcome.ok ? resolve((outcome.result as Listed).connections) : reject(outcome),
    ),
  );
}

for (const [wire, bytes] of [
  ['u64', 8],
  ['u32', 4],
] as const)
  test(`messages pass through another node, wire ${wire}`, async (t) => {
    const { server, at } = await startOwner(t);
    const node = await startNode(t, at, bytes);
    assert.deepEqual(await publish(node.intake, 7n, ['a', 'b', 'c'], wire), [1, 1, 1]);
    const large = Buffer.alloc(900_000, 'xyz');
    const consumer = await TestConsumer.join(node.exhaust, 7n, 10, wire);
    assert.deepEqual(texts(await consumer.take(3)), ['a', 'b', 'c']);
    assert.deepEqual(await publish(node.intake, 7n, [large], wire), [1]);
    assert.ok(large.equals((await consumer.take(1))[0]!));
    const listed = await connectionsOf(server);
    const { localPort } = consumer.peer.socket;
    const mine = listed.find(({ side }) => side === 'exhaust')!;
    assert.deepEqual(
      [mine.peer, mine.via, mine.wire],
      [`127.0.0.1:${localPort}`, 'b', wire],
      'the client, not the node',
    );
    consumer.leave();
  });

test('the owner limits connections per address of the client, not of the node', async (t) => {
  const { at } = await startOwner(t, { max_connections_per_address: 2 });
  let address = '192.0.2.1';
  const node = await startNode(t, at, 8, () => address);
  const open = async () => {
    const peer = await RawPeer.connect(node.intake);
    peer.send(batchOf(1n, [Buffer.from('its ack says that the broker has let it in')]));
    return peer;
  };
  const first = [await open(), await open()];
  for (const peer of first) assert.deepEqual([...(await peer.take(1))], [1]);
  const third = await open();
  const got = await third.take(1).then(String, (error: Error) => error.message);
  assert.equal(got, 'closed with 0 of 1 bytes received');
  address = '192.0.2.2';
  const other = await open();
  assert.deepEqual([...(await other.take(1))], [1]);
  for (const peer of [...first, other]) peer.destroy();
});

test('clients of ours go on at the next owner, by the same node', async (t) => {
  const before = await startOwner(t);
  const next = await startOwner(t);
  const node = await startNode(t, before.at);
  const reconnect = { min: 1, max: 5 };
  const consumer = createConsumer({ port: node.exhaust, bucket: 7, reconnect });
  const producer = createProducer({ port: node.intake, reconnect });
  t.after(async () => {
    consumer.close();
    await producer.close();
  });
  const messages = consumer[Symbol.asyncIterator]();
  await producer.send(7, 'one');
  assert.equal((await messages.next()).value?.text(), 'one');
  node.splicer.owner(undefined);
  const second = producer.send(7, 'two').catch(() => producer.send(7, 'two'));
  node.splicer.owner(next.at);
  await second;
  assert.equal((await messages.next()).value?.text(), 'two');
  assert.equal(next.server.snapshot().connections.opened.intake, 1);
});

test("an operator's commands through another node do what they do at the owner", async (t) => {
  const { server, at } = await startOwner(t);
  const node = new OrderingNode();
  t.after(() => node.client.close());
  node.client.owner(at);
  const here = (command: Command) =>
    new Promise<Outcome>((resolve) => server.command(command, resolve));
  const rule = { kind: 'rule-set', name: 'slow', match: '7', words: ['lease=30s'] } as const;
  const set = await node.ask({ ...rule, expected: 'none' });
  assert.ok(set.ok, JSON.stringify(set));
  const again = await node.ask({ ...rule, expected: 'none' });
  assert.ok(!again.ok && again.code === 'changed', JSON.stringify(again));
  const wrong = await node.ask({ ...rule, words: ['lease=never'] });
  assert.ok(!wrong.ok && wrong.at === 'lease', JSON.stringify(wrong));
  const passing = await startNode(t, at);
  assert.deepEqual(await publish(passing.intake, 7n, ['a', 'b']), [1, 1]);
  const reads: Command[] = [
    { kind: 'rules', limit: 5 },
    { kind: 'rule-keys' },
    { kind: 'bucket-rule', id: '7' },
    { kind: 'peek', id: '7', limit: 5, bytes: 100 },
    { kind: 'bucket', id: 'seven' },
  ];
  for (const command of reads) {
    const outcome = await node.ask(command);
    assert.deepEqual(outcome, JSON.parse(JSON.stringify(await here(command))), command.kind);
  }
  assert.deepEqual(
    (await node.nextHeard()).map(({ node: number, state }) => [number, state]),
    [[2, 'following']],
  );
});
