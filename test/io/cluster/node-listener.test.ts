// The cluster port over loopback: who is let in, what others are told, and that nobody who is
// silent or half there stays.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import type { NodeListenerOptions } from '../../../src/io/cluster/node-listener.ts';
import { NodeToken } from '../../../src/io/cluster/node-token.ts';
import {
  ANSWER,
  PREAMBLE,
  type Preamble,
  readAnswer,
  writePreamble,
} from '../../../src/io/cluster/preamble.ts';
import { RawPeer } from '../../support/broker.ts';
import { Random } from '../../support/random.ts';
import { CLUSTER, ELSEWHERE } from './certificates.ts';
import { OwnerSide, TOKEN, tokenFile } from './rig.ts';

async function ownerSide(
  t: TestContext,
  options: Partial<NodeListenerOptions> = {},
): Promise<OwnerSide> {
  const owner = await new OwnerSide({ token: new NodeToken(tokenFile()), ...options }).listen();
  t.after(() => owner.close());
  return owner;
}

function preambleOf(token: string, changes: Partial<Preamble> = {}): Buffer {
  const proof = new NodeToken(tokenFile(token)).proof();
  const client = { address: '192.0.2.7', port: 50_000, side: 'intake', wire: 8 } as const;
  return writePreamble({ ...client, node: 'b', cluster: 'prod', proof, ...changes });
}

async function answerTo(port: number, bytes: Uint8Array): Promise<string> {
  using peer = await RawPeer.connect(port);
  peer.send(bytes);
  return readAnswer(await peer.take(ANSWER.BYTES));
}

test('a node is let in, and its client handed on with every byte that came behind', async (t) => {
  const owner = await ownerSide(t);
  const preamble = preambleOf(TOKEN, { side: 'exhaust', wire: 4, address: '2001:db8::7' });
  for (const cut of [0, 1, 100, PREAMBLE.BYTES - 1, PREAMBLE.BYTES]) {
    using peer = await RawPeer.connect(owner.port);
    peer.send(preamble.subarray(0, cut));
    peer.send(Buffer.concat([preamble.subarray(cut), Buffer.from('first ')]));
    assert.equal(readAnswer(await peer.take(ANSWER.BYTES)), 'welcome');
    peer.send(Buffer.from('second'));
    const { socket, client } = await owner.next();
    const { proof, ...rest } = client;
    assert.deepEqual(rest, {
      side: 'exhaust',
      wire: 4,
      address: '2001:db8::7',
      port: 50_000,
      node: 'b',
      cluster: 'prod',
    });
    let came = '';
    socket.on('data', (chunk) => {
      came += chunk;
    });
    socket.resume();
    while (came.length < 12) await once(socket, 'data');
    assert.equal(came, 'first second');
    socket.end('answer');
    assert.equal(String(await peer.take(6)), 'answer');
  }
  assert.equal(owner.listener.waiting, 0);
});

test('a node with orders is let in, whoever owns, if it is a node', async (t) => {
  const owner = await ownerSide(t);
  const proof = new NodeToken(tokenFile()).proof();
  const orders = { side: 'orders', node: 'b', cluster: 'prod', proof } as const;
  for (const isOwner of [true, false]) {
    owner.isOwner = isOwner;
    using peer = await RawPeer.connect(owner.port);
    peer.send(Buffer.concat([writePreamble(orders), Buffer.from('first')]));
    assert.equal(readAnswer(await peer.take(ANSWER.BYTES)), 'welcome');
    const { socket, from } = await owner.nextOrdering();
    assert.deepEqual([from.side, from.node], ['orders', 'b']);
    assert.equal(String(await once(socket.resume(), 'data')), 'first');
  }
  const wrong = { ...orders, proof: new Uint8Array(32) };
  assert.equal(await answerTo(owner.port, writePreamble(wrong)), 'token');
  const other = { ...orders, cluster: 'staging' };
  assert.equal(await answerTo(owner.port, writePreamble(other)), 'cluster');
  assert.equal(owner.ordering.length + owner.adopted.length, 0);
});

test('others are told why not, and closed', async (t) => {
  const owner = await ownerSide(t);
  const newer = preambleOf(TOKEN);
  newer[PREAMBLE.VERSION] = 2;
  const cases: [string, Uint8Array][] = [
    ['not-a-node', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['not-a-node', Buffer.from([5, 0, 0, 0, 1, 2, 3])],
    ['version', newer],
    ['malformed', preambleOf(TOKEN, { wire: 5 })],
    ['cluster', preambleOf(TOKEN, { cluster: 'staging' })],
    ['token', preambleOf(TOKEN, { proof: new Uint8Array(32) })],
    ['token', preambleOf(`${TOKEN} but another`)],
    ['token', preambleOf(`${TOKEN} but another`, { cluster: 'staging' })],
  ];
  for (const [verdict, bytes] of cases) {
    const peer = await RawPeer.connect(owner.port);
    peer.send(bytes);
    assert.equal(readAnswer(await peer.take(ANSWER.BYTES)), verdict);
    await peer.closed;
  }
  owner.isOwner = false;
  assert.equal(await answerTo(owner.port, preambleOf(TOKEN)), 'not-owner');
  assert.equal(owner.adopted.length, 0);
  const said = owner.notices.lines.join('\n');
  for (const kind of ['not-a-node', 'version', 'malformed', 'cluster', 'token'])
    assert.match(said, new RegExp(`^cluster.${kind}: 127.0.0.1 `, 'm'));
  assert.ok(!said.includes(TOKEN));
});

test('a node may take clients of one side, and none of the other', async (t) => {
  const owner = await ownerSide(t, { isOwner: (side) => side === 'intake' });
  assert.equal(await answerTo(owner.port, preambleOf(TOKEN, { side: 'exhaust' })), 'not-owner');
  assert.equal(await answerTo(owner.port, preambleOf(TOKEN, { side: 'intake' })), 'welcome');
  assert.deepEqual(
    owner.adopted.map(({ client }) => client.side),
    ['intake'],
  );
});

test('a proof that differs in any one byte is no proof', async (t) => {
  const owner = await ownerSide(t);
  for (const at of [0, 15, 31]) {
    const bytes = preambleOf(TOKEN);
    bytes[PREAMBLE.PROOF + at]! ^= 1;
    assert.equal(await answerTo(owner.port, bytes), 'token', `byte ${at}`);
  }
  assert.equal(await answerTo(owner.port, preambleOf(TOKEN)), 'welcome');
});

test('a token file is read again when it changes, and must be private', async (t) => {
  const file = tokenFile();
  const owner = await ownerSide(t, { token: new NodeToken(file) });
  const is = async (verdict: string, token: string) =>
    assert.equal(await answerTo(owner.port, preambleOf(token)), verdict);
  await is('welcome', TOKEN);
  const next = 'the token of the next month';
  fs.writeFileSync(file, next);
  await is('welcome', next);
  await is('token', TOKEN);
  fs.writeFileSync(file, 'short');
  await is('token', 'another long enough one');
  fs.writeFileSync(file, next.padEnd(5000, '.'));
  await is('token', next);
  fs.rmSync(file);
  await is('token', next);
  await owner.notices.like(/cluster.token-file: ENOENT/);
  if (process.platform === 'win32') return;
  fs.writeFileSync(file, next, { mode: 0o600 });
  await is('welcome', next);
  fs.chmodSync(file, 0o640);
  await is('token', next);
  await owner.notices.like(/cluster.token-file: .* may be read by others/);
  assert.ok(!owner.notices.lines.join().includes(next));
});

test('no cluster port without a proof', () => {
  assert.throws(() => new OwnerSide(), /needs certificates or a token file/);
});

test('the silent and the half-open are closed', async (t) => {
  const owner = await ownerSide(t, { preambleMs: 20 });
  const silent = await RawPeer.connect(owner.port);
  const slow = await RawPeer.connect(owner.port);
  slow.send(preambleOf(TOKEN).subarray(0, 100));
  await Promise.all([silent.closed, slow.closed]);
  const patient = await ownerSide(t);
  const half = net.connect({ port: patient.port, host: '127.0.0.1', allowHalfOpen: true });
  half.resume().end(preambleOf(TOKEN).subarray(0, 100));
  await once(half, 'close');
  assert.equal(owner.listener.waiting + patient.listener.waiting, 0);
  assert.equal(owner.adopted.length + patient.adopted.length, 0);
});

test('connections beyond the limit are closed at once, and told of', async (t) => {
  const owner = await ownerSide(t, { connectionsMax: 2 });
  const first = await RawPeer.connect(owner.port);
  first.send(preambleOf(TOKEN));
  await first.take(ANSWER.BYTES);
  using second = await RawPeer.connect(owner.port);
  second.send(preambleOf(TOKEN));
  await second.take(ANSWER.BYTES);
  const third = await RawPeer.connect(owner.port);
  await third.closed;
  await owner.notices.like(/cluster.full: 127.0.0.1 is one connection too many/);
  const { socket } = await owner.next();
  socket.destroy();
  await Promise.all([once(socket, 'close'), first.closed]);
  assert.equal(await answerTo(owner.port, preambleOf(TOKEN)), 'welcome');
});

test('whatever comes first is refused within bounds', async (t) => {
  const seed = Number(process.env.THRUSTMQ_TEST_SEED ?? Date.now() % 2 ** 32);
  t.diagnostic(`THRUSTMQ_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const owner = await ownerSide(t, { preambleMs: 20 });
  for (let round = 0; round < 60; round++) {
    const whole = preambleOf(`${TOKEN} but another`);
    const behind = Buffer.alloc(random.below(100_000), random.below(256));
    const bytes = Buffer.concat([whole.subarray(0, random.below(193)), behind]);
    for (let bends = random.below(3); bends > 0 && bytes.length > 0; bends--)
      bytes[random.below(Math.min(bytes.length, 192))] = random.below(256);
    const peer = await RawPeer.connect(owner.port);
    peer.send(bytes);
    await peer.closed; // by an answer, or because it says no more
    if (peer.received.length > 0) assert.notEqual(readAnswer(peer.received), 'welcome');
  }
  assert.equal(owner.adopted.length, 0);
  assert.equal(owner.listener.waiting, 0);
});

async function over(port: number, options: tls.ConnectionOptions): Promise<string> {
  const socket = tls.connect({ host: '127.0.0.1', port, ...options });
  let came = Buffer.alloc(0);
  let why = '';
  socket.on('error', (error: NodeJS.ErrnoException) => {
    why = error.code ?? error.message;
  });
  socket.on('data', (chunk) => {
    came = Buffer.concat([came, chunk]);
    if (came.length >= ANSWER.BYTES) socket.destroy();
  });
  socket.write(preambleOf(TOKEN, { proof: new Uint8Array(32) }));
  await new Promise((resolve) => socket.on('close', resolve));
  return came.length > 0 ? readAnswer(came) : why;
}

test('over TLS both sides show a certificate of the cluster', async (t) => {
  const owner = await ownerSide(t, { token: undefined, certificates: CLUSTER });
  assert.equal(await over(owner.port, CLUSTER), 'welcome');
  await owner.next();
  assert.match(await over(owner.port, ELSEWHERE), /SELF_SIGNED|VERIFY|ISSUER/);
  const foreign = { ...CLUSTER, cert: ELSEWHERE.cert, key: ELSEWHERE.key };
  assert.notEqual(await over(owner.port, foreign), 'welcome');
  assert.notEqual(await over(owner.port, { ca: CLUSTER.ca }), 'welcome');
  await owner.notices.like(/cluster.certificate: .* has no certificate of this cluster/);
  const plain = await RawPeer.connect(owner.port);
  plain.send(preambleOf(TOKEN));
  await plain.closed;
  assert.equal(owner.adopted.length, 0);
});

test('over TLS a token counts, too, where there is one', async (t) => {
  const owner = await ownerSide(t, { certificates: CLUSTER });
  assert.equal(await over(owner.port, CLUSTER), 'token');
});
