// The admin API of a real broker, and what it promises across deaths: what an answer said was
// purged does not come back, a paused bucket is paused after a restart, a killed dashboard returns.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { encodeBatch, encodeConsumerHeader } from '../../src/codec/wire.ts';
import type { BackupState, BucketInfo, PurgeState } from '../../src/contract/commands.ts';
import { OPENAPI } from '../../src/dashboard/openapi.ts';
import {
  type BrokerProcess,
  failedStart,
  RawPeer,
  startBroker,
  temporaryFolder,
} from '../support/broker.ts';
import { answer } from '../support/client.ts';
import { mismatches } from '../support/schema.ts';

const MESSAGES = 20_000;
const BUCKETS = 4;
const REJECTED = 2;

const start = (dataDir: string) => startBroker({ dataDir, dashboard: true });

async function call<T>(broker: BrokerProcess, method: string, path: string): Promise<T> {
  const url = `http://127.0.0.1:${broker.dashboard}/api/v1${path}`;
  const response = await fetch(url, { method, headers: { 'x-thrustmq-request': '1' } });
  const body = (await response.json()) as T;
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${JSON.stringify(body)}`);
  return body;
}

/** Publishes in turn to several buckets, so that each message is a record of its own. */
async function publish(broker: BrokerProcess, count: number): Promise<void> {
  const producer = await RawPeer.connect(broker.intake);
  for (let at = 0; at < count; at += 1000) {
    const batch = Array.from({ length: 1000 }, (_, i) => ({
      bucket: BigInt(i % BUCKETS),
      body: new Uint8Array(Buffer.from(`message ${at + i}`)),
    }));
    producer.send(encodeBatch(batch, 'u64'));
    assert.ok((await producer.take(1000)).every((ack) => ack === 1));
  }
  producer.destroy();
}

async function purged(broker: BrokerProcess, bucket: number): Promise<PurgeState> {
  await call(broker, 'POST', `/buckets/${bucket}/purge`);
  for (;;) {
    const { purge } = await call<BucketInfo>(broker, 'GET', `/buckets/${bucket}`);
    if (purge?.done) return purge;
  }
}

const intoNew = () => `?into=${encodeURIComponent(path.join(temporaryFolder(), 'copy'))}`;

async function backedUp(broker: BrokerProcess): Promise<void> {
  let state = await call<BackupState>(broker, 'POST', `/backup/begin${intoNew()}`);
  while (state.state === 'running') state = await call<BackupState>(broker, 'GET', '/backup');
  assert.equal(state.state, 'done', state.detail ?? '');
}

test('what was purged does not come back after kill -9; other buckets keep theirs', async () => {
  const dataDir = temporaryFolder();
  await using broker = await start(dataDir);
  await publish(broker, MESSAGES);
  const { purged: count } = await purged(broker, 1);
  assert.equal(count, MESSAGES / BUCKETS);
  await broker.kill();
  await using again = await start(dataDir);
  const one = await call<BucketInfo>(again, 'GET', '/buckets/1');
  assert.deepEqual([one.ready, one.why.code], [0, 'empty']);
  const { messages } = await call<{ messages: unknown[] }>(again, 'GET', '/buckets/1/messages');
  assert.equal(messages.length, 0);
  const two = await call<BucketInfo>(again, 'GET', '/buckets/2');
  assert.equal(two.ready, MESSAGES / BUCKETS);
  assert.equal(await again.stop(), 0);
});

test('killed in the middle of a purge, no more comes back than was not answered', async () => {
  const dataDir = temporaryFolder();
  await using broker = await start(dataDir);
  await publish(broker, MESSAGES);
  await call(broker, 'POST', '/buckets/1/purge');
  const { purge } = await call<BucketInfo>(broker, 'GET', '/buckets/1');
  await broker.kill();
  await using again = await start(dataDir);
  const { ready } = await call<BucketInfo>(again, 'GET', '/buckets/1');
  assert.ok(ready <= MESSAGES / BUCKETS - purge!.purged, `${ready} after ${purge!.purged} purged`);
  await again.stop();
});

test('a paused bucket is paused after kill -9, and resumes', async () => {
  const dataDir = temporaryFolder();
  await using broker = await start(dataDir);
  await call(broker, 'POST', '/buckets/1/pause');
  await broker.kill();
  await using again = await start(dataDir);
  await publish(again, 1000);
  const consumer = await RawPeer.connect(again.exhaust);
  consumer.send(encodeConsumerHeader({ consumerId: 1n, bucket: 1n, batchSize: 10 }));
  const other = await RawPeer.connect(again.exhaust);
  other.send(encodeConsumerHeader({ consumerId: 2n, bucket: 2n, batchSize: 10 }));
  // The other one is served in the same turns of the broker.
  assert.equal((await other.take(4)).readUInt32LE(), 10);
  const info = await call<BucketInfo>(again, 'GET', '/buckets/1');
  assert.deepEqual([info.paused, info.why.code, info.unacked], [true, 'paused', 0]);
  await call(again, 'POST', '/buckets/1/resume');
  const head = await consumer.take(4);
  assert.equal(head.readUInt32LE(), 10);
  consumer.destroy();
  other.destroy();
  assert.equal(await again.stop(), 0);
});

test('pauses that an earlier version kept in a file are in the log, once', async () => {
  const dataDir = temporaryFolder();
  await (await start(dataDir)).stop();
  const file = path.join(dataDir, 'paused.json');
  fs.writeFileSync(file, '{"version":1,"paused":["1","7"]}\n');
  const isPaused = async (of: BrokerProcess, id: number) =>
    (await call<BucketInfo>(of, 'GET', `/buckets/${id}`)).paused;
  await using broker = await start(dataDir);
  assert.ok(await isPaused(broker, 1));
  await broker.line(({ event }) => event === 'pauses.taken-over');
  assert.ok(!fs.existsSync(file));
  await call(broker, 'POST', '/buckets/1/resume');
  await broker.kill();
  await using again = await start(dataDir);
  assert.deepEqual([await isPaused(again, 1), await isPaused(again, 7)], [false, true]);
  assert.equal(await again.stop(), 0);
});

test('a damaged list of paused buckets refuses the start and says what to do', async () => {
  const dataDir = temporaryFolder();
  await (await start(dataDir)).stop();
  fs.writeFileSync(path.join(dataDir, 'paused.json'), '{"version":1,"paused":["x"]}');
  const { code, text } = await failedStart({ dataDir });
  assert.equal(code, 74);
  assert.match(text, /paused\.json cannot be used.*repair it, or remove it/);
});

test('answers are what the OpenAPI document says', async () => {
  const config = path.join(temporaryFolder(), 'rules.json');
  fs.writeFileSync(config, '{"rule":[{"name":"all","match":"*","max_in_flight":1000}]}');
  const flags = ['--config', config];
  await using broker = await startBroker({ dataDir: temporaryFolder(), dashboard: true, flags });
  await publish(broker, 1000);
  const consumer = await RawPeer.connect(broker.exhaust);
  consumer.send(encodeConsumerHeader({ consumerId: 1n, bucket: 1n, batchSize: 10 }));
  await consumer.take(4);
  await purged(broker, 2);
  await backedUp(broker);
  // Some of bucket 1 died, and one of them is given back.
  await answer(broker.exhaust, 1n, 5, REJECTED);
  for (;;) if ((await call<BucketInfo>(broker, 'GET', '/buckets/1')).dead === 5) break;
  await call(broker, 'POST', '/buckets/1/dead/redrive?limit=1');
  const { connections } = await call<{ connections: { id: number; side: string }[] }>(
    broker,
    'GET',
    '/connections',
  );
  const { id } = connections.find(({ side }) => side === 'exhaust')!;
  for (const [pattern, operations] of Object.entries(OPENAPI.paths))
    for (const [method, operation] of Object.entries(operations)) {
      const filled = pattern
        .replace('{id}', pattern.includes('connections') ? String(id) : '1')
        .replace('{name}', method === 'get' ? 'all' : 'set');
      const query = filled.endsWith('/backup/begin')
        ? intoNew()
        : method === 'put'
          ? '?match=7&batch=5'
          : '';
      const path = `${filled.replace('/api/v1', '')}${query}`;
      const url = `http://127.0.0.1:${broker.dashboard}/api/v1${path}`;
      const headers = { 'x-thrustmq-request': '1' };
      const response = await fetch(url, { method: method.toUpperCase(), headers });
      const body: unknown = await response.json();
      const { responses } = operation as { responses: Record<string, never> };
      const wanted = responses[response.status] as
        | { content: Record<string, { schema: object }> }
        | undefined;
      assert.ok(wanted !== undefined, `${method} ${path}: ${response.status}`);
      // This broker is no node of a cluster.
      assert.equal(response.status === 404, path.startsWith('/cluster'), path);
      const { schema } = wanted.content[response.headers.get('content-type')!]!;
      assert.deepEqual(mismatches(OPENAPI, schema, body), [], `${method} ${path}`);
    }
  consumer.destroy();
  await broker.stop();
});

test('a killed dashboard comes back by itself, on its port', async () => {
  await using broker = await start(temporaryFolder());
  const isListening = ({ event }: { event?: string }) => event === 'dashboard.listening';
  const first = await broker.line(isListening);
  const { pid } = broker.child;
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const [child] = children.trim().split(' ').map(Number);
  process.kill(child!, 'SIGKILL');
  await broker.line(({ event }) => event === 'dashboard.ended');
  await publish(broker, 1000);
  const second = await broker.line((line) => isListening(line) && line !== first);
  assert.equal(second.port, broker.dashboard);
  await call(broker, 'GET', '/overview');
  assert.equal(await broker.stop(), 0);
});
