// Clients that are joined to an owner over loopback: when they are held, what passes, how much may
// be under way, and that the end of one side is the end of both.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import type { NodeListenerOptions } from '../../../src/io/cluster/node-listener.ts';
import { NodeToken } from '../../../src/io/cluster/node-token.ts';
import type { SplicerOptions } from '../../../src/io/cluster/splicer.ts';
import { RawPeer } from '../../support/broker.ts';
import { CLUSTER, ELSEWHERE } from './certificates.ts';
import { OtherNode, OwnerSide, tokenFile } from './rig.ts';

async function pair(
  t: TestContext,
  options: { owner?: Partial<NodeListenerOptions>; node?: Partial<SplicerOptions> } = {},
): Promise<{ owner: OwnerSide; node: OtherNode }> {
  const token = new NodeToken(tokenFile());
  const owner = await new OwnerSide({ token, ...options.owner }).listen();
  const node = await new OtherNode(options.node).listen();
  t.after(() => {
    node.close();
    owner.close();
  });
  return { owner, node };
}

const at = ({ port }: OwnerSide) => ({ host: '127.0.0.1', port });

async function joined(owner: OwnerSide, node: OtherNode, side: 'intake' | 'exhaust' = 'intake') {
  const peer = await RawPeer.connect(node[side]);
  const { socket, client } = await owner.next();
  return { peer, socket, client };
}

async function read(socket: net.Socket, bytes: number): Promise<Buffer> {
  const came: Buffer[] = [];
  let length = 0;
  const hear = (chunk: Buffer) => {
    came.push(chunk);
    length += chunk.length;
  };
  socket.on('data', hear).resume();
  while (length < bytes) await once(socket, 'data');
  socket.off('data', hear);
  return Buffer.concat(came);
}

// Also where it is an error, or over already.
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.on('close', () => resolve());
  });
}

test('the owner is told who the client is, and bytes pass both ways', async (t) => {
  const { owner, node } = await pair(t);
  node.splicer.owner(at(owner));
  for (const side of ['intake', 'exhaust'] as const) {
    const { peer, socket, client } = await joined(owner, node, side);
    assert.equal(client.side, side);
    assert.equal(client.wire, 8);
    assert.equal(client.address, '127.0.0.1');
    assert.equal(client.port, peer.socket.localPort);
    assert.equal(client.node, 'b');
    socket.write('before the client has said a word');
    assert.equal(String(await peer.take(33)), 'before the client has said a word');
    peer.send(Buffer.from('question'));
    assert.equal(String(await read(socket, 8)), 'question');
    socket.write('answer');
    assert.equal(String(await peer.take(6)), 'answer');
    peer.destroy();
    await closed(socket);
  }
});

test('a client is held, unread, until an owner is known', async (t) => {
  const { owner, node } = await pair(t);
  using peer = await RawPeer.connect(node.intake);
  peer.send(Buffer.from('waits'));
  using other = await RawPeer.connect(node.intake);
  other.send(Buffer.alloc(10));
  while (node.links.length < 2) await new Promise(setImmediate);
  assert.equal(node.splicer.open, 2);
  assert.equal(node.links.filter((link) => link.hasSocket).length, 0, 'nothing was read');
  node.splicer.owner(at(owner));
  const came = [await owner.next(), await owner.next()];
  const sizes = await Promise.all(came.map(async ({ socket }) => (await read(socket, 5)).length));
  assert.deepEqual(
    sizes.sort((a, b) => a - b),
    [5, 10],
  );
});

test('a client that nobody serves is closed when its time is up', async (t) => {
  const { node } = await pair(t, { node: { holdMs: 30 } });
  const peer = await RawPeer.connect(node.intake);
  await peer.closed;
  await node.notices.like(/cluster.held: 127.0.0.1:\d+ closed: no owner/);
  assert.equal(node.splicer.open, 0);
});

test('an owner that is not there, or does not own yet, is tried again', async (t) => {
  const { owner, node } = await pair(t);
  owner.isOwner = false;
  const gone = net.createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address() as net.AddressInfo;
  gone.close();
  await once(gone, 'close');
  using peer = await RawPeer.connect(node.intake);
  peer.send(Buffer.from('waits'));
  node.splicer.owner({ host: '127.0.0.1', port });
  await node.notices.like(/cluster.owner: .*ECONNREFUSED/);
  node.splicer.owner({ host: '::1', port });
  await node.notices.like(/cluster.owner: the owner at \[::1\]:\d+ takes no client/);
  node.splicer.owner(at(owner));
  await node.notices.like(/cluster.owner: .*not-owner/);
  owner.isOwner = true;
  const { socket } = await owner.next();
  assert.equal(String(await read(socket, 5)), 'waits');
});

test('an owner that is about to own is tried again soon, not only when it is waited for', async (t) => {
  const { owner, node } = await pair(t, { node: { retryMs: 1_000_000 } });
  owner.isOwner = false;
  node.splicer.owner(at(owner));
  using peer = await RawPeer.connect(node.intake);
  peer.send(Buffer.from('waits'));
  await node.notices.like(/cluster.owner: .*not-owner/);
  owner.isOwner = true;
  const { socket } = await owner.next();
  assert.equal(String(await read(socket, 5)), 'waits');
});

test('what is no owner of ours gets no byte of a client', async (t) => {
  const wrong = new NodeToken(tokenFile('another token of the same kind'));
  const { owner, node } = await pair(t, { node: { token: wrong, holdMs: 60 } });
  node.splicer.owner(at(owner));
  const peer = await RawPeer.connect(node.intake);
  peer.send(Buffer.from('secret'));
  await peer.closed;
  await node.notices.like(/takes no client: token/);
  const web = net.createServer((socket) => {
    socket.on('error', () => {}); // it is broken off as soon as its first bytes are no answer
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
  });
  let came = 0;
  web.on('connection', (socket) => socket.on('data', (chunk) => (came += chunk.length)));
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  t.after(() => web.close());
  node.splicer.owner({ host: '127.0.0.1', port: (web.address() as net.AddressInfo).port });
  const second = await RawPeer.connect(node.intake);
  second.send(Buffer.from('secret'));
  await second.closed;
  await node.notices.like(/takes no client: not-a-node/);
  assert.ok(came > 0 && came % 192 === 0, 'preambles, and nothing behind');
});

test('when the owner changes, its clients are closed and join the next one', async (t) => {
  const { owner, node } = await pair(t);
  const next = await new OwnerSide({ token: new NodeToken(tokenFile()) }).listen();
  t.after(() => next.close());
  node.splicer.owner(at(owner));
  const { peer, socket } = await joined(owner, node);
  node.splicer.owner(at(owner));
  socket.write('still there');
  assert.equal(String(await peer.take(11)), 'still there');
  const ended = once(socket.resume(), 'end');
  node.splicer.owner(at(next));
  assert.ok(node.links[0]!.destroyed, 'it goes with its owner');
  await peer.closed;
  await ended;
  assert.equal(node.splicer.open, 0);
  const again = await joined(next, node);
  again.socket.write('welcome');
  await again.peer.take(7);
  node.splicer.owner(undefined);
  await again.peer.closed;
  await emptied(node);
});

async function emptied(node: OtherNode): Promise<void> {
  while (node.splicer.open > 0) await new Promise(setImmediate);
  assert.equal(node.splicer.heldBytes, 0);
}

test('what came for a client before the owner changed still reaches it', async (t) => {
  const { owner, node } = await pair(t);
  node.splicer.owner(at(owner));
  const { peer, socket } = await joined(owner, node, 'exhaust');
  peer.socket.pause();
  const link = node.links[0]!;
  const chunk = Buffer.alloc(64 * 1024, 7);
  while (link.queuedBytes === 0) {
    socket.write(chunk);
    await new Promise(setImmediate);
  }
  node.splicer.owner(undefined);
  peer.socket.resume();
  await once(peer.socket, 'end');
  assert.ok(peer.received.length > 0);
  await emptied(node);
});

test('a half-closed client gets what is still owed, then the end', async (t) => {
  const { owner, node } = await pair(t);
  owner.endsToo = false;
  node.splicer.owner(at(owner));
  const client = net.connect({ port: node.intake, host: '127.0.0.1', allowHalfOpen: true });
  client.end('all that I say');
  const { socket } = await owner.next();
  const ended = once(socket, 'end');
  assert.equal(String(await read(socket, 14)), 'all that I say');
  await ended;
  assert.ok(!client.destroyed);
  socket.write('owed ');
  socket.end('and the end');
  assert.equal(String(await read(client, 16)), 'owed and the end');
  await Promise.all([closed(client), closed(socket)]);
  await emptied(node);
});

test('an owner that ends first is heard out by its client', async (t) => {
  const { owner, node } = await pair(t);
  node.splicer.owner(at(owner));
  const { peer, socket } = await joined(owner, node);
  peer.send(Buffer.from('hello'));
  await read(socket, 5);
  socket.end('goodbye');
  await peer.closed;
  assert.equal(String(peer.received), 'goodbye');
  await closed(socket);
  await emptied(node);
});

test('a broken connection breaks the other side, too', async (t) => {
  const { owner, node } = await pair(t);
  node.splicer.owner(at(owner));
  const first = await joined(owner, node);
  first.peer.send(Buffer.from('x'));
  await read(first.socket, 1);
  const failed = closed(first.socket);
  first.socket.on('end', () => assert.fail('broken off is not ended'));
  first.peer.socket.resetAndDestroy();
  await failed;
  const second = await joined(owner, node);
  second.peer.send(Buffer.from('x'));
  await read(second.socket, 1);
  second.socket.resetAndDestroy(); // its owner died
  await second.peer.closed;
  await emptied(node);
});

test('what a client sent before it closed reaches its owner, though nothing reaches it', async (t) => {
  const { owner, node } = await pair(t);
  node.splicer.owner(at(owner));
  const { peer, socket } = await joined(owner, node);
  // More than the systems between both take, and less than the node would not read.
  const chunk = Buffer.alloc(16 * 1024, 'abcdefg');
  let sent = 0;
  for (; node.splicer.heldBytes === 0; sent += chunk.length) {
    peer.send(chunk);
    await new Promise(setImmediate);
  }
  await once(peer.socket.end(), 'finish');
  peer.destroy();
  while (node.splicer.open > 0) {
    socket.write('an answer'); // to which its system says that nobody is there
    await new Promise(setImmediate);
  }
  const came = await Promise.race([read(socket, sent), closed(socket)]);
  assert.equal(came?.length, sent);
  await closed(socket);
});

const MANY = 16 * 1024 * 1024;

test('a slow reader holds its sender back, and little is under way', async (t) => {
  const bytesMax = 512 * 1024;
  const { owner, node } = await pair(t, { node: { bytesMax } });
  node.splicer.owner(at(owner));
  const peer = net.connect({ port: node.intake, host: '127.0.0.1' }).pause();
  const { socket } = await owner.next();
  const bytes = Buffer.alloc(MANY, 'abcdefg');
  // Neither side reads, both send: what the systems do not take is held where it was sent.
  peer.write(bytes);
  socket.write(bytes);
  let most = 0;
  let still = 0;
  for (let before = -1; still < 200; await new Promise(setImmediate)) {
    assert.equal(node.splicer.open, 1, 'it holds too much and was closed');
    const now = node.links[0]!.queuedBytes + node.splicer.heldBytes;
    most = Math.max(most, node.splicer.heldBytes);
    still = now === before && now > 0 ? still + 1 : 0;
    before = now;
  }
  assert.ok(peer.writableLength > 0 && socket.writableLength > 0, 'both are held back');
  // Beyond its share each direction may hold what was read last.
  assert.ok(most > 0 && most <= bytesMax, `${most} bytes were held`);
  const [back, there] = await Promise.all([read(peer, MANY), read(socket, MANY)]);
  assert.ok(there.equals(bytes), 'other bytes than the client sent');
  assert.ok(back.equals(bytes), 'other bytes than the broker sent');
  peer.destroy();
  await emptied(node);
});

test('who holds most goes when all hold too much', async (t) => {
  const { owner, node } = await pair(t, { node: { bytesMax: 1024 } });
  node.splicer.owner(at(owner));
  const { peer, socket } = await joined(owner, node);
  peer.socket.pause();
  const calm = await joined(owner, node);
  const gone = closed(socket);
  socket.write(Buffer.alloc(MANY));
  await gone;
  calm.socket.write('calm');
  assert.equal(String(await calm.peer.take(4)), 'calm');
  peer.destroy();
});

test('limits per address hold where a client connects', async (t) => {
  const limits = { connectionsMax: 3, connectionsPerAddressMax: 1 };
  const { owner, node } = await pair(t, { node: { limits } });
  let last = 0;
  const far = await new OtherNode({ limits }).listen(8, () => `192.0.2.${Math.ceil(++last / 2)}`);
  t.after(() => far.close());
  far.splicer.owner(at(owner));
  const first = await RawPeer.connect(far.intake);
  const { client } = await owner.next();
  assert.equal(client.address, '192.0.2.1');
  await (await RawPeer.connect(far.intake)).closed;
  await far.notices.like(
    /connections.address: connection from .* refused: 1 connections from that address are open/,
  );
  using third = await RawPeer.connect(far.intake);
  await owner.next();
  assert.ok(!third.socket.destroyed);
  first.destroy();
  node.splicer.owner(at(owner));
  const three = [];
  for (let i = 0; i < 3; i++) three.push(await RawPeer.connect(node.intake));
  for (let i = 0; i < 3; i++) await owner.next(); // from loopback only the cap on all holds
  await (await RawPeer.connect(node.intake)).closed;
  await node.notices.like(
    /connections.full: connection from .* refused: 3 connections are open, the limit/,
  );
  for (const peer of three) peer.destroy();
});

test('over TLS, and not with the certificate of another cluster', async (t) => {
  const { owner, node } = await pair(t, {
    owner: { token: undefined, certificates: CLUSTER },
    node: { token: undefined, certificates: CLUSTER },
  });
  node.splicer.owner(at(owner));
  const { peer, socket } = await joined(owner, node);
  const bytes = Buffer.alloc(1_000_000, 'abcdefg');
  peer.send(bytes);
  assert.ok((await read(socket, bytes.length)).equals(bytes));
  socket.end('bye');
  assert.equal(String(await peer.take(3)), 'bye');
  await peer.closed;
  const foreign = await new OtherNode({ token: undefined, certificates: ELSEWHERE, holdMs: 60 });
  await foreign.listen();
  t.after(() => foreign.close());
  foreign.splicer.owner(at(owner));
  await (await RawPeer.connect(foreign.intake)).closed;
  await foreign.notices.like(/cluster.owner: the owner at 127.0.0.1:\d+ takes no client: /);
});
