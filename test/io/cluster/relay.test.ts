// Both ends of the relay over loopback: what the owner stores is heard by who follows, nobody waits
// for a node that does not read, and who is no owner of this log relays nothing.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import type { StreamMessage } from '../../../src/core/ports/stream.ts';
import type { NodeListenerOptions } from '../../../src/io/cluster/node-listener.ts';
import { NodeToken } from '../../../src/io/cluster/node-token.ts';
import { writeAnswer, writePreamble } from '../../../src/io/cluster/preamble.ts';
import { RelayClient } from '../../../src/io/cluster/relay-client.ts';
import { relayHead } from '../../../src/io/cluster/relay-frames.ts';
import { RelayServer, type RelayServerOptions } from '../../../src/io/cluster/relay-server.ts';
import { RawPeer } from '../../support/broker.ts';
import { LOG_ID, Notices, OwnerSide, tokenFile } from './rig.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

class Ear {
  readonly heard: [number, string][] = [];
  readonly #said = new EventEmitter();
  isEnded = false;

  hear(message: StreamMessage): void {
    this.heard.push([message.sequence, text(message.bytes)]);
    this.#said.emit('any');
  }

  ended(): void {
    assert.equal(this.isEnded, false, 'it ended before');
    this.isEnded = true;
    this.#said.emit('any');
  }

  async until(check: () => boolean): Promise<void> {
    while (!check()) await once(this.#said, 'any');
  }
}

interface Owner {
  side: OwnerSide;
  relay: RelayServer;
  /** Resolves once so many nodes are connected. */
  open: (count: number) => Promise<void>;
}

async function ownerOf(
  t: TestContext,
  options: Partial<RelayServerOptions> = {},
  listener: Partial<NodeListenerOptions> = {},
): Promise<Owner> {
  const adopted = new EventEmitter();
  const side: OwnerSide = new OwnerSide({
    token: new NodeToken(tokenFile()),
    follows: (socket, from) => {
      relay.adopt(socket, from);
      adopted.emit('one');
      socket.on('close', () => adopted.emit('one'));
    },
    ...listener,
  });
  const relay = new RelayServer({ notice: side.notices.notice, togetherMs: 1, ...options });
  await side.listen();
  t.after(() => {
    side.close();
    relay.drop();
  });
  const open = async (count: number) => {
    while (relay.open !== count) await once(adopted, 'one');
  };
  return { side, relay, open };
}

function clientOf(t: TestContext, port: number, logId = LOG_ID) {
  const notices = new Notices();
  const client = new RelayClient({
    ...{
      cluster: 'prod',
      node: 'b',
      token: new NodeToken(tokenFile()),
      logId,
      bytesMax: 5_000_000,
    },
    notice: notices.notice,
  });
  client.owner({ host: '127.0.0.1', port });
  t.after(() => client.owner(undefined));
  return { client, notices };
}

test('what is stored is heard by all who follow, small and large, in order', async (t) => {
  const { side, relay, open } = await ownerOf(t);
  const ears = [new Ear(), new Ear()];
  for (const ear of ears) assert.ok(clientOf(t, side.port).client.listen(ear));
  await open(2);
  const large = 'x'.repeat(2_000_000);
  const all: [number, string][] = [
    [7, 'a'],
    [8, 'bc'],
    [9, large],
    [11, 'd'],
  ];
  for (const [sequence, body] of all) relay.stored(sequence, Buffer.from(body));
  for (const ear of ears) {
    await ear.until(() => ear.heard.length === 4);
    assert.deepEqual(ear.heard, all);
  }
});

test('small ones go together, and what waits is sent when all is over', async (t) => {
  const { side, relay, open } = await ownerOf(t, { togetherMs: 1_000_000 });
  const ear = new Ear();
  clientOf(t, side.port).client.listen(ear);
  await open(1);
  for (let i = 1; i <= 100; i++) relay.stored(i, Buffer.from(`${i}`));
  relay.stored(101, Buffer.alloc(256 * 1024));
  await ear.until(() => ear.heard.length === 101);
  relay.stored(102, Buffer.from('last'));
  relay.drop();
  assert.equal(relay.open, 0);
  await ear.until(() => ear.isEnded);
  assert.deepEqual(ear.heard.at(-1), [102, 'last']);
});

test('nobody who follows: nothing is kept for one who comes later', async (t) => {
  const { side, relay, open } = await ownerOf(t, { togetherMs: 1_000_000 });
  relay.stored(1, Buffer.from('before'));
  const ear = new Ear();
  clientOf(t, side.port).client.listen(ear);
  await open(1);
  relay.stored(2, Buffer.alloc(300_000));
  await ear.until(() => ear.heard.length > 0);
  assert.deepEqual(
    ear.heard.map(([sequence]) => sequence),
    [2],
  );
});

const preamble = (node: string): Buffer =>
  writePreamble({
    ...{ side: 'stream', logId: LOG_ID, node, cluster: 'prod' },
    proof: new NodeToken(tokenFile()).proof(),
  });

test('who does not read is closed, and others hear on', async (t) => {
  const { side, relay, open } = await ownerOf(t, { unreadBytesMax: 1_000_000 });
  const deaf = net.connect(side.port, '127.0.0.1');
  t.after(() => deaf.destroy());
  deaf.on('error', () => {}).pause();
  deaf.write(preamble('deaf'));
  const ear = new Ear();
  clientOf(t, side.port).client.listen(ear);
  await open(2);
  // More than the system takes for a socket that is not read.
  let sequence = 0;
  while (relay.open === 2) {
    assert.ok(sequence < 200, 'all of it waits');
    relay.stored(++sequence, Buffer.alloc(300_000));
    await ear.until(() => ear.heard.length === sequence);
  }
  await side.notices.like(/cluster.relay: node deaf at 127.0.0.1 does not keep up/);
  relay.stored(++sequence, Buffer.from('on'));
  await ear.until(() => ear.heard.length === sequence);
  assert.equal(ear.isEnded, false);
});

test('who has something to say, or is one too many, is closed', async (t) => {
  const { side, open } = await ownerOf(t, { connectionsMax: 1 });
  using loud = await RawPeer.connect(side.port);
  loud.send(Buffer.concat([preamble('loud'), Buffer.from('hello')]));
  await side.notices.like(/node loud at 127.0.0.1 has something to say: closed/);
  await open(0);
  const ear = new Ear();
  clientOf(t, side.port).client.listen(ear);
  await open(1);
  using third = await RawPeer.connect(side.port);
  third.send(preamble('third'));
  await side.notices.like(/node third at 127.0.0.1 is one too many that follows: closed/);
  assert.equal(ear.isEnded, false);
});

test('no owner, another log, another owner: it ends, once, and may be asked again', async (t) => {
  const { side, relay, open } = await ownerOf(t);
  const { client } = clientOf(t, side.port);
  side.isOwner = false;
  const refused = new Ear();
  assert.ok(client.listen(refused));
  await refused.until(() => refused.isEnded);
  side.isOwner = true;
  const foreign = new Ear();
  clientOf(t, side.port, LOG_ID + 1n).client.listen(foreign);
  const opened = open(1).then(() => assert.fail('it is let in'));
  await Promise.race([foreign.until(() => foreign.isEnded), opened]);
  await side.notices.like(/belongs to another cluster/);

  const ear = new Ear();
  client.listen(ear);
  await open(1);
  client.owner({ host: '127.0.0.1', port: side.port }); // the same
  assert.equal(ear.isEnded, false);
  client.owner(undefined);
  assert.equal(ear.isEnded, true);
  assert.equal(client.listen(new Ear()), undefined);
  await open(0);
  const dead = new Ear();
  client.owner({ host: '127.0.0.1', port: 1 });
  client.listen(dead);
  await dead.until(() => dead.isEnded);
  relay.stored(1, Buffer.from('nobody'));
});

test('who stops hears nothing more, not even of what has come', async (t) => {
  const { side, relay, open } = await ownerOf(t);
  const ear = new Ear();
  const { client } = clientOf(t, side.port);
  const stop = client.listen({
    hear: (message) => {
      ear.hear(message);
      stop!();
    },
    ended: () => ear.ended(),
  });
  await open(1);
  for (let i = 1; i <= 3; i++) relay.stored(i, Buffer.from('x'));
  await ear.until(() => ear.isEnded);
  await open(0);
  assert.equal(ear.heard.length, 1);
});

test('an owner that sends anything else is told of, and heard no more', async (t) => {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', () => {});
    const head = relayHead(9, 4);
    head.writeUInt32LE(1, 4);
    socket.write(Buffer.concat([writeAnswer('welcome'), relayHead(8, 2), Buffer.from('ok'), head]));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  const ear = new Ear();
  const { client, notices } = clientOf(t, (server.address() as net.AddressInfo).port);
  client.listen(ear);
  await ear.until(() => ear.isEnded);
  await notices.like(/cluster.relay: the owner sent what is no message of the stream/);
  assert.deepEqual(ear.heard, [[8, 'ok']]);
});
