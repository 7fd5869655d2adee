// Dead messages of a real broker as operators see them: in the overview, in lists, one by one with
// why they died, given back at a rate and no more of them, purged; and all of it after kill -9.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import type {
  BucketInfo,
  BucketPage,
  PeekResult,
  PurgeState,
} from '../../src/contract/commands.ts';
import type { DeadReasons, RedriveState } from '../../src/contract/dead-messages.ts';
import type { Overview } from '../../src/page/types.ts';
import { type BrokerProcess, MAIN, startBroker, temporaryFolder } from '../support/broker.ts';
import { answer, publish } from '../support/client.ts';

const BUCKET = 7n;
const FAILED = 0;
const REJECTED = 2;

async function call<T>(broker: BrokerProcess, method: string, path: string): Promise<T> {
  const url = `http://127.0.0.1:${broker.dashboard}/api/v1${path}`;
  const response = await fetch(url, { method, headers: { 'x-thrustmq-request': '1' } });
  const body = (await response.json()) as T;
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${JSON.stringify(body)}`);
  return body;
}

const get = <T>(broker: BrokerProcess, path: string) => call<T>(broker, 'GET', path);

/** Asks for a path until the answer is as wanted. */
async function until<T>(
  broker: BrokerProcess,
  path: string,
  isIt: (answer: T) => boolean,
): Promise<T> {
  for (;;) {
    const found = await get<T>(broker, path);
    if (isIt(found)) return found;
  }
}

const isCounted =
  (dead: number) =>
  ({ buckets }: Overview): boolean =>
    buckets.dead === dead;

function thrustmq({ dataDir }: BrokerProcess, ...args: string[]): string {
  const env = { ...process.env, NO_COLOR: '1' };
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [MAIN, ...args, '--data-dir', dataDir],
    { env },
  );
  assert.equal(status, 0, `${stderr}`);
  return `${stdout}`;
}

/** A broker in which `rejected` messages of bucket 7 were rejected, and one failed too often. */
async function withDead(rejected: number): Promise<BrokerProcess> {
  const broker = await startBroker({ dataDir: temporaryFolder(), dashboard: true });
  await call(broker, 'PUT', '/rules/seven?match=7&max_deliveries=1');
  await publish(broker.intake, BUCKET, ['too often']);
  await answer(broker.exhaust, BUCKET, 1, FAILED);
  const bodies = Array.from({ length: rejected }, (_, i) => `bad ${i}`);
  await publish(broker.intake, BUCKET, bodies);
  await answer(broker.exhaust, BUCKET, rejected, REJECTED);
  await until<Overview>(broker, '/overview', isCounted(rejected + 1));
  return broker;
}

test('what died is counted, listed with why, and is there after kill -9', async () => {
  await using broker = await withDead(3);
  const check = async (at: BrokerProcess) => {
    const { buckets } = await get<BucketPage>(at, '/dead');
    assert.deepEqual(
      buckets.map(({ id, ready, dead }) => [id, ready, dead]),
      [['7', 4, 4]],
    );
    const info = await get<BucketInfo>(at, '/buckets/7');
    assert.deepEqual([info.dead, info.ready, info.why.code], [4, 0, 'empty']);
    const reasons = { rejected: 3, 'max-deliveries': 1 };
    assert.deepEqual(await get<DeadReasons>(at, '/buckets/7/dead/reasons'), {
      id: '7',
      looked: 4,
      more: false,
      reasons,
    });
    const few = await get<DeadReasons>(at, '/buckets/7/dead/reasons?limit=2');
    assert.deepEqual([few.looked, few.more], [2, true]);
    const { messages } = await get<PeekResult>(at, '/buckets/7/dead/messages');
    const first = messages[0]!;
    assert.equal(Buffer.from(first.payload, 'base64').toString(), 'too often');
    const { reason, bucket, attempts, movedAt } = first.moved!;
    assert.deepEqual([reason, bucket, attempts], ['max-deliveries', '7', 1]);
    assert.ok(Date.parse(movedAt!) > 0);
  };
  await check(broker);
  const info = thrustmq(broker, 'dead', 'info', '7');
  assert.match(info, /rejected +│ +3 /);
  assert.match(thrustmq(broker, 'why', '7'), /^empty: nothing waits\n4 are dead: /);
  const metrics = await fetch(`http://127.0.0.1:${broker.dashboard}/metrics`);
  assert.match(await metrics.text(), /^thrustmq_messages_dead_kept 4$/m);
  await broker.kill();
  await using again = await startBroker({ dataDir: broker.dataDir, dashboard: true });
  await check(again);
  assert.equal((await get<Overview>(again, '/overview')).buckets.dead, 4);
  assert.equal(await again.stop(), 0);
});

test('more dead than one answer shows are shown in pages, and from any place on', async () => {
  await using broker = await withDead(230);
  const peek = (...args: string[]) => {
    const { messages } = JSON.parse(thrustmq(broker, 'dead', 'peek', '7', '--json', ...args));
    return (messages as PeekResult['messages']).map(({ payload, sequence }) => ({
      text: Buffer.from(payload, 'base64').toString(),
      sequence,
    }));
  };
  const all = peek('--count', '1000');
  const expected = ['too often', ...Array.from({ length: 230 }, (_, i) => `bad ${i}`)];
  assert.deepEqual(
    all.map(({ text }) => text),
    expected,
  );
  assert.deepEqual(peek('--count', '150'), all.slice(0, 150));
  assert.deepEqual(peek('--after', all[199]!.sequence), all.slice(200, 210));
  assert.equal(await broker.stop(), 0);
});

test('a redrive at a rate is ended by an operator: the others stay dead, until purged', async () => {
  await using broker = await withDead(9);
  const path = '/buckets/7/dead';
  const refused = `http://127.0.0.1:${broker.dashboard}/api/v1${path}/redrive/cancel`;
  const headers = { 'x-thrustmq-request': '1' };
  assert.equal((await fetch(refused, { method: 'POST', headers })).status, 404);
  await call(broker, 'POST', `${path}/redrive?to=8&rate=0.01`);
  const moved = ({ redrive }: BucketInfo) => redrive?.moved === 1;
  await until<BucketInfo>(broker, path, moved);
  const state = await call<RedriveState>(broker, 'POST', `${path}/redrive/cancel`);
  assert.equal(state.moved, 1);
  const ended = await until<BucketInfo>(broker, path, ({ redrive }) => redrive?.done === true);
  assert.deepEqual([ended.redrive!.stopped, ended.dead], ['cancelled', 9]);
  assert.match(thrustmq(broker, 'dead', 'info', '7'), /1 given back, ended \(cancelled\)/);
  assert.equal((await get<BucketInfo>(broker, '/buckets/8')).ready, 1);
  await call<PurgeState>(broker, 'POST', `${path}/purge`);
  const { purge } = await until<BucketInfo>(broker, path, (info) => info.purge?.done === true);
  assert.equal(purge!.purged, 9);
  await until<Overview>(broker, '/overview', isCounted(0));
  assert.equal(await broker.stop(), 0);
});

test('what waits for its retry: until when, in the API, the CLI and the metrics', async () => {
  await using broker = await startBroker({ dataDir: temporaryFolder(), dashboard: true });
  await call(broker, 'PUT', '/rules/seven?match=7&retry=1h');
  await publish(broker.intake, BUCKET, ['later']);
  const from = Date.now();
  await answer(broker.exhaust, BUCKET, 1, FAILED);
  const isTimed = ({ why }: BucketInfo) => why.until !== undefined;
  const { why, nextDueAt, delayed } = await until<BucketInfo>(broker, '/buckets/7', isTimed);
  assert.deepEqual([why.code, delayed, why.until], ['in-retry', 1, nextDueAt]);
  const inMs = Date.parse(why.until!) - from;
  assert.ok(inMs >= 3_600_000 && inMs < 3_660_000, `${inMs} ms`);
  assert.match(thrustmq(broker, 'why', '7'), new RegExp(`^in-retry: .*, until ${why.until}\n`));
  const text = await (await fetch(`http://127.0.0.1:${broker.dashboard}/metrics/buckets`)).text();
  const sample = /^thrustmq_bucket_why_until_seconds\{bucket="7"\} ([\d.]+)$/m.exec(text);
  assert.equal(Math.round(Number(sample![1]) * 1000), Date.parse(why.until!));
  // Also after a start, which reads it back.
  await broker.kill();
  await using again = await startBroker({ dataDir: broker.dataDir, dashboard: true });
  assert.equal((await get<BucketInfo>(again, '/buckets/7')).why.until, why.until);
  assert.equal(await again.stop(), 0);
});
