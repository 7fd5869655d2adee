// The other nodes' side of orders over loopback: whoever asks gets one outcome, and is told where
// nobody knows what became of it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Command, Outcome, Refusal } from '../../../src/contract/commands.ts';
import { IS_LOCAL } from '../../../src/contract/orders.ts';
import { NodeToken } from '../../../src/io/cluster/node-token.ts';
import type { OrderClientOptions } from '../../../src/io/cluster/order-client.ts';
import { ORDERS_MAX } from '../../../src/io/cluster/order-frames.ts';
import { CLUSTER, ELSEWHERE } from './certificates.ts';
import { AnsweringOwner, OrderingNode, rawFrame, statusOf } from './orders-rig.ts';
import { OwnerSide, tokenFile } from './rig.ts';

const PAUSE: Command = { kind: 'pause', id: '5' };
const RULES: Command = { kind: 'rules', limit: 10 };
const DONE: Outcome = { ok: true, result: { done: true } };

function nodeFor(t: TestContext, options: Partial<OrderClientOptions> = {}): OrderingNode {
  const node = new OrderingNode(options);
  t.after(() => node.client.close());
  return node;
}

async function ownerFor(t: TestContext, ...options: ConstructorParameters<typeof AnsweringOwner>) {
  const owner = await new AnsweringOwner(...options).listen();
  t.after(() => owner.close());
  return owner;
}

/** An owner whose connections with orders the test answers by hand. */
async function rawOwner(t: TestContext): Promise<OwnerSide> {
  const owner = await new OwnerSide({ token: new NodeToken(tokenFile()) }).listen();
  t.after(() => owner.close());
  return owner;
}

const at = ({ port }: OwnerSide) => ({ host: '127.0.0.1', port });

async function refused(outcome: Promise<Outcome>): Promise<Refusal> {
  const it = await outcome;
  assert.ok(!it.ok, 'it was carried out');
  return it;
}

test('a command is carried out by the owner, as it was asked', async (t) => {
  const owner = await ownerFor(t);
  const node = nodeFor(t);
  node.client.owner(owner.at);
  const first = node.ask(PAUSE);
  const second = node.ask(RULES);
  const pause = await owner.next();
  const rules = await owner.next();
  assert.deepEqual([pause.command, rules.command], [PAUSE, RULES]);
  rules.done({ ok: false, code: 'not-found', detail: 'no such rule', at: 'name' });
  assert.deepEqual(await second, {
    ok: false,
    code: 'not-found',
    detail: 'no such rule',
    at: 'name',
  });
  pause.done(DONE);
  assert.deepEqual(await first, DONE);
  assert.equal(owner.server.open, 1, 'one connection');
});

test('each of many finds its own answer, large ones too', async (t) => {
  const owner = await ownerFor(t);
  const node = nodeFor(t);
  node.client.owner(owner.at);
  const ids = Array.from({ length: ORDERS_MAX - 1 }, (_, i) => String(i));
  const asked = ids.map((id) => node.ask({ kind: 'bucket', id }));
  const carried = [];
  while (carried.length < ids.length) carried.push(await owner.next());
  const much = 'y'.repeat(100_000);
  for (const { command, done } of carried.reverse())
    done({ ok: true, result: { id: (command as { id: string }).id, much } });
  for (const [i, outcome] of (await Promise.all(asked)).entries())
    assert.deepEqual(outcome, { ok: true, result: { id: ids[i], much } });
});

test('where nobody owns, that is what is answered, at once', async (t) => {
  const node = nodeFor(t);
  const { code, detail } = await refused(node.ask(PAUSE));
  assert.equal(code, 'stopping');
  assert.equal(detail, 'no node owns the log now: ask again in a moment');
});

test('what is about one node stays there, and names the owner', async (t) => {
  const owner = await ownerFor(t);
  owner.answers = () => DONE;
  const node = nodeFor(t);
  node.client.owner(owner.at);
  const local: Command[] = [
    { kind: 'connections', limit: 1 },
    { kind: 'segments', limit: 1 },
    { kind: 'close', connection: 1 },
    { kind: 'backup', into: '/tmp/x' },
    { kind: 'backup-state' },
    { kind: 'backup-cancel' },
  ];
  const kinds = Object.entries(IS_LOCAL).flatMap(([kind, isLocal]) => (isLocal ? [kind] : []));
  assert.deepEqual(kinds.sort(), local.map(({ kind }) => kind).sort());
  for (const command of local) {
    const { code, detail } = await refused(node.ask(command));
    assert.equal(code, 'conflict');
    assert.match(
      detail,
      new RegExp(`${command.kind} .* ask the owner at 127.0.0.1:${owner.at.port}$`),
    );
  }
  assert.deepEqual(await node.ask({ kind: 'cluster-step-down' }), DONE);
});

test('it says how it is, hears of all nodes, and knows the dashboard of the owner', async (t) => {
  const owner = await ownerFor(t);
  const { host, port } = owner.at;
  const its = statusOf(1, { address: `${host}:${port}`, dashboard: 'one.example:4888' });
  owner.nodes = [
    { ...its, seenMs: 0 },
    { ...statusOf(2), seenMs: 12.5 },
  ];
  const node = nodeFor(t, { statusMs: 5 });
  node.client.owner(owner.at);
  assert.deepEqual(await owner.nextStatus(), node.status);
  assert.deepEqual(await node.nextHeard(), owner.nodes);
  node.status = statusOf(2, { state: 'joining', building: { bytes: 1, bytesTotal: 2 } });
  while ((await owner.nextStatus()).building === null);
  const { detail } = await refused(node.ask({ kind: 'segments', limit: 1 }));
  assert.match(detail, /ask the owner at 127.0.0.1:\d+, whose dashboard is at one.example:4888$/);
});

test('an owner that goes away in the middle leaves a doubt, and nothing is asked twice', async (t) => {
  const owner = await ownerFor(t);
  const node = nodeFor(t);
  node.client.owner(owner.at);
  const [change, look] = [node.ask(PAUSE), node.ask(RULES)];
  await owner.next();
  await owner.next();
  owner.server.drop();
  const doubt = await refused(change);
  assert.equal(doubt.code, 'failed');
  assert.match(
    doubt.detail,
    /^the owner at 127.0.0.1:\d+ went away .*whether it was carried out is/,
  );
  const again = await refused(look);
  assert.equal(again.code, 'stopping');
  assert.match(again.detail, /went away before it answered: ask again$/);
  const next = node.ask(RULES);
  (await owner.next()).done(DONE);
  assert.deepEqual(await next, DONE, 'it connects again by itself');
  assert.equal(owner.carried.length, 0);
});

test('a change of owner: what was sent is in doubt, what was not is not', async (t) => {
  const [before, next] = [await ownerFor(t), await ownerFor(t)];
  const node = nodeFor(t);
  node.client.owner(before.at);
  const sent = node.ask(PAUSE);
  await before.next();
  node.client.owner(next.at);
  assert.match((await refused(sent)).detail, /is not the owner any more: whether it was carried/);
  const early = node.ask(PAUSE); // not connected yet
  node.client.owner(undefined);
  const { code, detail } = await refused(early);
  assert.equal(code, 'stopping');
  assert.match(detail, /is not the owner any more: nothing was done, ask again$/);
  node.client.owner(next.at);
  const last = node.ask(PAUSE);
  (await next.next()).done(DONE);
  assert.deepEqual(await last, DONE);
});

test('one that does not own says so: nothing was done', async (t) => {
  const owner = await ownerFor(t);
  owner.isOwner = false;
  const node = nodeFor(t);
  node.client.owner(owner.at);
  const { code, detail } = await refused(node.ask(PAUSE));
  assert.equal(code, 'stopping');
  assert.match(detail, /does not own the log now: nothing was done, ask again$/);
});

test('an answer that does not come is waited for no longer than was said', async (t) => {
  const owner = await ownerFor(t);
  const node = nodeFor(t, { answerMs: 250 });
  node.client.owner(owner.at);
  await node.nextHeard();
  const { code, detail } = await refused(node.ask(PAUSE));
  assert.equal(code, 'failed');
  assert.match(detail, /has not answered for 0.25 s: whether it was carried out is not known/);
  const late = await owner.next();
  const next = node.ask(RULES);
  const { done } = await owner.next();
  late.done(DONE);
  done({ ok: true, result: { second: true } });
  assert.deepEqual(await next, { ok: true, result: { second: true } }, 'not the late one');
  assert.equal(owner.server.open, 1, 'the connection stays');
});

test('a connection on which no answer comes to its status is given up', async (t) => {
  const owner = await rawOwner(t);
  const node = nodeFor(t, { answerMs: 30, statusMs: 5 });
  node.client.owner(at(owner));
  const { socket } = await owner.nextOrdering();
  await once(socket.resume(), 'end');
  await owner.nextOrdering();
});

test('an owner that is not there yet is tried until the time is up', async (t) => {
  const gone = net.createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address() as net.AddressInfo;
  gone.close();
  await once(gone, 'close');
  const node = nodeFor(t, { answerMs: 40 });
  node.client.owner({ host: '127.0.0.1', port });
  const { code, detail } = await refused(node.ask(PAUSE));
  assert.equal(code, 'stopping');
  assert.match(detail, /cannot be reached: ECONNREFUSED: nothing was done, ask again$/);
  const patient = nodeFor(t);
  patient.client.owner({ host: '127.0.0.1', port });
  const asked = patient.ask(PAUSE);
  await patient.notices.like(/cluster.orders: .* takes no orders: ECONNREFUSED/);
  const owner = await ownerFor(t, {}, { port });
  (await owner.next()).done(DONE);
  assert.deepEqual(await asked, DONE);
});

test('who is no node of the cluster is told nothing', async (t) => {
  const owner = await ownerFor(t);
  const options = { answerMs: 40, token: new NodeToken(tokenFile('another token of that kind')) };
  const foreign = nodeFor(t, options);
  foreign.client.owner(owner.at);
  assert.match((await refused(foreign.ask(PAUSE))).detail, /cannot be reached: token/);
  const other = nodeFor(t, { answerMs: 40, cluster: 'staging' });
  other.client.owner(owner.at);
  assert.match((await refused(other.ask(PAUSE))).detail, /cannot be reached: cluster/);
  const none = nodeFor(t, { answerMs: 40, token: new NodeToken('/nowhere/token') });
  none.client.owner(owner.at);
  assert.match((await refused(none.ask(PAUSE))).detail, /cannot be reached: ENOENT/);
  assert.equal(owner.carried.length + owner.statuses.length, 0);
});

test('over TLS, and not with the certificate of another cluster', async (t) => {
  const owner = await ownerFor(t, {}, { token: undefined, certificates: CLUSTER });
  const node = nodeFor(t, { token: undefined, certificates: CLUSTER });
  node.client.owner(owner.at);
  const asked = node.ask(PAUSE);
  (await owner.next()).done(DONE);
  assert.deepEqual(await asked, DONE);
  const foreign = nodeFor(t, { token: undefined, certificates: ELSEWHERE, answerMs: 100 });
  foreign.client.owner(owner.at);
  await refused(foreign.ask(PAUSE));
  assert.equal(owner.carried.length, 0);
});

test('an owner that answers nonsense is closed, and connected to again', async (t) => {
  const owner = await rawOwner(t);
  const node = nodeFor(t);
  node.client.owner(at(owner));
  for (const bytes of [
    rawFrame(1, 'no JSON'),
    rawFrame(1, {}),
    rawFrame(1, { outcome: { ok: true } }),
    rawFrame(1, { outcome: { ok: false, code: 'failed' } }),
    rawFrame(1, 'x', 16 * 1024 * 1024 + 1),
  ]) {
    const asked = node.ask(PAUSE);
    const { socket } = await owner.nextOrdering();
    await once(socket.resume(), 'data');
    socket.write(bytes);
    assert.match((await refused(asked)).detail, /whether it was carried out is not known/);
  }
  assert.equal(node.notices.lines.length, 5);
  await node.notices.like(/cluster.orders: the owner at 127.0.0.1:\d+ sent what is no answer/);
});

test('no more waits than is allowed, and nothing that is too long', async (t) => {
  const owner = await ownerFor(t);
  const node = nodeFor(t);
  node.client.owner(owner.at);
  const long = await refused(node.ask({ kind: 'bucket', id: 'x'.repeat(1024 * 1024) }));
  assert.equal(long.code, 'bad-request');
  await node.nextHeard();
  const asked = Array.from({ length: ORDERS_MAX }, () => node.ask(RULES));
  assert.equal((await refused(node.ask(RULES))).code, 'too-many');
  for (let i = 0; i < ORDERS_MAX; i++) (await owner.next()).done(DONE);
  for (const outcome of await Promise.all(asked)) assert.deepEqual(outcome, DONE);
  const much = { kind: 'bucket', id: 'x'.repeat(1024 * 1024 - 200) } as const;
  const large = Array.from({ length: 5 }, () => node.ask(much));
  assert.equal((await refused(node.ask(RULES))).code, 'too-many');
  for (let i = 0; i < 5; i++) (await owner.next()).done(DONE);
  await Promise.all(large);
});

test('whoever asks from within an answer is asked for, too', async (t) => {
  const owner = await ownerFor(t);
  const node = nodeFor(t);
  node.client.owner(owner.at);
  const outcomes: Outcome[] = [];
  node.client.ask(PAUSE, (first) => {
    outcomes.push(first);
    node.client.ask(RULES, (second) => outcomes.push(second));
  });
  await owner.next();
  node.client.owner(undefined);
  assert.deepEqual(
    outcomes.map((outcome) => !outcome.ok && outcome.code),
    ['failed', 'stopping'],
  );
});
