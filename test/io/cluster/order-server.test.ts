// The owner's side of orders over loopback: what is carried out, what is refused, and that a node
// which sends nonsense, too much or reads nothing costs little.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { NodeListenerOptions } from '../../../src/io/cluster/node-listener.ts';
import { NodeToken } from '../../../src/io/cluster/node-token.ts';
import { ORDER_BYTES_MAX, ORDERS_MAX } from '../../../src/io/cluster/order-frames.ts';
import type { OrderServerOptions } from '../../../src/io/cluster/order-server.ts';
import { ANSWER, readAnswer, writePreamble } from '../../../src/io/cluster/preamble.ts';
import { RawPeer } from '../../support/broker.ts';
import { Random } from '../../support/random.ts';
import { AnsweringOwner, rawFrame, statusOf } from './orders-rig.ts';
import { tokenFile } from './rig.ts';

const PREAMBLE = writePreamble({
  side: 'orders',
  node: 'b',
  cluster: 'prod',
  proof: new NodeToken(tokenFile()).proof(),
});
const RULES = { kind: 'rules', limit: 10 } as const;
const command = (command: object) => ({ kind: 'command', command });

async function start(
  t: TestContext,
  options: Partial<OrderServerOptions> = {},
  listener: Partial<NodeListenerOptions> = {},
): Promise<AnsweringOwner> {
  const owner = await new AnsweringOwner(options, listener).listen();
  t.after(() => owner.close());
  return owner;
}

async function connect(owner: AnsweringOwner): Promise<RawPeer> {
  const peer = await RawPeer.connect(owner.side.port);
  peer.send(PREAMBLE);
  assert.equal(readAnswer(await peer.take(ANSWER.BYTES)), 'welcome');
  return peer;
}

interface Answered {
  number: number;
  answer: Record<string, unknown> & { outcome?: { code?: string; detail?: string } };
}

async function answerOf(peer: RawPeer): Promise<Answered> {
  const head = await peer.take(8);
  const json = await peer.take(head.readUInt32LE(0));
  return { number: head.readUInt32LE(4), answer: JSON.parse(String(json)) };
}

test('commands are carried out many at a time, and answered by number', async (t) => {
  const owner = await start(t);
  using peer = await connect(owner);
  const first = rawFrame(7, command(RULES));
  for (let at = 0; at < first.length; at++) peer.send(first.subarray(at, at + 1));
  peer.send(Buffer.concat([rawFrame(9, command({ kind: 'pause', id: '5', more: 1 }))]));
  const rules = await owner.next();
  const pause = await owner.next();
  assert.deepEqual(rules.command, RULES);
  assert.deepEqual(pause.command, { kind: 'pause', id: '5' }, 'what is not known is left out');
  pause.done({ ok: true, result: { paused: true } });
  pause.done({ ok: true, result: { twice: true } });
  rules.done({ ok: false, code: 'failed', detail: 'no' });
  assert.deepEqual(await answerOf(peer), {
    number: 9,
    answer: { outcome: { ok: true, result: { paused: true } } },
  });
  assert.deepEqual(await answerOf(peer), {
    number: 7,
    answer: { outcome: { ok: false, code: 'failed', detail: 'no' } },
  });
});

test('a node says how it is, and is told of all', async (t) => {
  const owner = await start(t);
  owner.nodes = [{ ...statusOf(1), seenMs: 5 }];
  using peer = await connect(owner);
  peer.send(rawFrame(1, { kind: 'status', status: { ...statusOf(2), more: 'than is known' } }));
  assert.deepEqual(await answerOf(peer), { number: 1, answer: { nodes: owner.nodes } });
  assert.deepEqual(owner.statuses, [statusOf(2)]);
});

test('who does not own says so, and does nothing', async (t) => {
  const owner = await start(t);
  owner.isOwner = false;
  using peer = await connect(owner);
  peer.send(rawFrame(1, command(RULES)));
  peer.send(rawFrame(2, { kind: 'status', status: statusOf(2) }));
  assert.deepEqual(await answerOf(peer), { number: 1, answer: { refused: 'not-owner' } });
  assert.deepEqual(await answerOf(peer), { number: 2, answer: { refused: 'not-owner' } });
  owner.isOwner = true;
  peer.send(rawFrame(3, command(RULES)));
  await owner.next();
  assert.equal(owner.carried.length + owner.statuses.length, 0);
});

test('an order that is not known, or for another node, is refused and nothing more', async (t) => {
  const owner = await start(t);
  let carriedOut = 0;
  owner.answers = () => ({ ok: true, result: { carriedOut: ++carriedOut } });
  using peer = await connect(owner);
  const orders: [object, RegExp][] = [
    [{}, /does not know this order/],
    [{ kind: 'dance' }, /does not know this order/],
    [command({ kind: 'dance' }), /does not know this order/],
    [command({ kind: 'toString' }), /does not know this order/],
    [command({ kind: 'peek', id: 5 }), /does not know this order/],
    [{ kind: 'status', status: { ...statusOf(2), node: 'b' } }, /does not know this order/],
    [command({ kind: 'close', connection: 4 }), /close is for the very node that is asked/],
  ];
  for (const [number, [order, why]] of orders.entries()) {
    peer.send(rawFrame(number, order));
    const { answer, ...rest } = await answerOf(peer);
    assert.equal(rest.number, number);
    assert.equal(answer.outcome?.code, 'bad-request');
    assert.match(answer.outcome?.detail ?? '', why);
  }
  assert.equal(carriedOut + owner.statuses.length, 0);
});

test('a command that fails the owner is answered, and the next one carried out', async (t) => {
  let isBroken = true;
  const owner = await start(t, {
    carryOut: (_, done) => {
      if (isBroken) throw new Error('it broke');
      done({ ok: true, result: {} });
    },
  });
  using peer = await connect(owner);
  peer.send(rawFrame(1, command(RULES)));
  const { answer } = await answerOf(peer);
  assert.deepEqual(answer.outcome, {
    ok: false,
    code: 'failed',
    detail: 'the owner failed: it broke',
  });
  isBroken = false;
  peer.send(rawFrame(2, command(RULES)));
  assert.deepEqual((await answerOf(peer)).answer, { outcome: { ok: true, result: {} } });
});

test('nonsense closes its connection, with one notice', async (t) => {
  const owner = await start(t);
  const cases = [
    rawFrame(1, 'no JSON'),
    rawFrame(1, '"text"'),
    rawFrame(1, '[]'),
    rawFrame(1, ''),
    rawFrame(1, 'x', ORDER_BYTES_MAX + 1),
    rawFrame(1, 'x', 0xffff_ffff),
  ];
  for (const [done, bytes] of cases.entries()) {
    const peer = await connect(owner);
    peer.send(Buffer.concat([bytes, bytes, rawFrame(2, command(RULES))]));
    await peer.closed;
    assert.equal(owner.notices.lines.length, done + 1);
    const what = done < 4 ? 'sent what is no order' : 'sent an order that is too long';
    const line = `cluster.orders: node b at 127.0.0.1 ${what}: closed`;
    assert.equal(owner.notices.lines.at(-1), line);
  }
  assert.equal(owner.carried.length, 0);
  while (owner.server.open > 0) await new Promise(setImmediate);
});

test('frames cut and bent anywhere do no harm', async (t) => {
  const seed = Number(process.env.THRUSTMQ_TEST_SEED ?? Date.now() % 2 ** 32);
  t.diagnostic(`THRUSTMQ_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const owner = await start(t);
  owner.answers = () => ({ ok: true, result: {} });
  const whole = rawFrame(1, command({ kind: 'pause', id: '1234567890123' }));
  for (let round = 0; round < 100; round++) {
    const bytes = Buffer.from(whole);
    for (let bends = random.below(4); bends > 0; bends--)
      bytes[random.below(bytes.length)] = random.below(256);
    const peer = await connect(owner);
    peer.socket.end(bytes.subarray(0, random.below(bytes.length + 1)));
    await peer.closed;
  }
  using peer = await connect(owner);
  peer.send(whole);
  assert.equal((await answerOf(peer)).number, 1);
});

test('no more of a node is looked at than may be under way', async (t) => {
  const owner = await start(t);
  using peer = await connect(owner);
  const all = Array.from({ length: 2 * ORDERS_MAX }, (_, i) => rawFrame(i, command(RULES)));
  peer.send(Buffer.concat(all));
  while (owner.carried.length < ORDERS_MAX) await new Promise(setImmediate);
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
  assert.equal(owner.carried.length, ORDERS_MAX);
  for (let i = 0; i < all.length; i++) {
    (await owner.next()).done({ ok: true, result: {} });
    assert.equal((await answerOf(peer)).number, i);
  }
});

test('a node that does not read its answers is not looked at, then closed', async (t) => {
  const owner = await start(t, { allBytesMax: 24 * 1024 * 1024 });
  let carriedOut = 0;
  const text = 'x'.repeat(8 * 1024 * 1024);
  owner.answers = () => {
    carriedOut++;
    return { ok: true, result: { text } };
  };
  const slow = await connect(owner);
  slow.socket.pause();
  for (let i = 0; i < 10; i++) slow.send(rawFrame(i, command(RULES)));
  while (carriedOut === 0) await new Promise(setImmediate);
  for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
  assert.ok(carriedOut < 4, `${carriedOut} answers were made for one who reads none`);
  slow.socket.resume();
  for (let i = 0; i < 10; i++) assert.equal((await answerOf(slow)).number, i);
  slow.destroy();
  // Of many of them, the one with most goes.
  owner.answers = undefined;
  const [one, calm] = [await connect(owner), await connect(owner)];
  one.socket.pause();
  for (let i = 0; i < 8; i++) one.send(rawFrame(i, command(RULES)));
  for (let i = 0; i < 8; i++) (await owner.next()).done({ ok: true, result: { text } });
  await owner.notices.like(/cluster.orders: node b .* does not read its answers: closed/);
  calm.send(rawFrame(1, command(RULES)));
  (await owner.next()).done({ ok: true, result: {} });
  assert.equal((await answerOf(calm)).number, 1);
  calm.destroy();
  one.destroy();
});

test('an answer that is too long is told of, not sent', async (t) => {
  const owner = await start(t);
  owner.answers = () => ({ ok: true, result: { text: 'x'.repeat(16 * 1024 * 1024) } });
  using peer = await connect(owner);
  peer.send(rawFrame(1, command(RULES)));
  const { answer } = await answerOf(peer);
  assert.equal(answer.outcome?.code, 'too-many');
});

test('the silent go, and so do those beyond the limit', async (t) => {
  const owner = await start(t, { silenceMs: 30, connectionsMax: 1 });
  const silent = await connect(owner);
  const second = await connect(owner);
  await second.closed;
  await owner.notices.like(/cluster.orders: node b at 127.0.0.1 is one too many/);
  await silent.closed;
  assert.equal(owner.server.open, 0);
});

test('when it is dropped all are closed, and late outcomes go nowhere', async (t) => {
  const owner = await start(t);
  const peers = [await connect(owner), await connect(owner)];
  peers[0]!.send(rawFrame(1, command(RULES)));
  const { done } = await owner.next();
  owner.server.drop();
  for (const peer of peers) await peer.closed;
  done({ ok: true, result: {} });
  assert.equal(owner.server.open, 0);
  using again = await connect(owner);
  again.send(rawFrame(1, command(RULES)));
  (await owner.next()).done({ ok: true, result: {} });
  assert.equal((await answerOf(again)).number, 1);
});
