// The verbs `bucket`, `conn`, `top` and `stats` against a real broker: tables for people, JSON for
// programs, and errors that say what to do.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { encodeBatch, encodeConsumerHeader } from '../../src/codec/wire.ts';
import {
  type BrokerProcess,
  MAIN,
  RawPeer,
  startBroker,
  temporaryFolder,
} from '../support/broker.ts';

const TOKEN = 'a-token-of-some-length';
let broker: BrokerProcess;
let tokenFile: string;

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

function run(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, NO_COLOR: '1', ...env } };
    execFile(process.execPath, [MAIN, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const verb = (...args: string[]) =>
  run([...args, '--data-dir', broker.dataDir, '--token-file', tokenFile]);

async function json(...args: string[]) {
  const { code, stdout, stderr } = await verb(...args, '--json');
  assert.equal(code, 0, stderr);
  assert.equal(stdout.split('\n').length, 2, 'one line');
  return JSON.parse(stdout);
}

before(async () => {
  tokenFile = path.join(temporaryFolder(), 'token');
  fs.writeFileSync(tokenFile, `${TOKEN}\n`);
  const env = { THRUSTMQ_DASHBOARD_TOKEN: TOKEN };
  broker = await startBroker({ dataDir: temporaryFolder(), dashboard: true, env });
  const producer = await RawPeer.connect(broker.intake);
  const body = (text: string) => new Uint8Array(Buffer.from(text));
  const messages = [42n, 42n, 42n, 7n].map((bucket, i) => ({
    bucket,
    body: body(`text\x1b ${i}`),
  }));
  producer.send(encodeBatch(messages, 'u64'));
  await producer.take(4);
  producer.destroy();
});
after(() => broker.stop());

test('bucket ls: a table, in pages of its own, and the answer of the API', async () => {
  const { stdout, code } = await verb('bucket', 'ls');
  assert.equal(code, 0);
  assert.match(stdout, /bucket.*ready.*why[\s\S]*42 .* 3 .*no-consumer[\s\S]*7 .* 1 /);
  const { buckets } = await json('bucket', 'ls', '--sort', 'id', '--limit', '1');
  assert.deepEqual(
    buckets.map(({ id }: { id: string }) => id),
    ['7'],
  );
  const picked = await json('bucket', 'ls', '--prefix', '4');
  assert.equal(picked.buckets.length, 1);
  assert.equal((await verb('bucket', 'ls', '--sort', 'size')).code, 2);
});

test('bucket peek shows text without letting it command the terminal', async () => {
  const { stdout } = await verb('bucket', 'peek', '42', '--count', '2');
  assert.match(stdout, /text· 0/);
  assert.ok(!stdout.includes('\x1b'));
  const { messages } = await json('bucket', 'peek', '42');
  assert.equal(messages.length, 3);
  assert.equal((await json('bucket', 'info', '42')).ready, 3);
});

test('bucket pause and resume, and info says why', async () => {
  assert.match((await verb('bucket', 'pause', '42')).stdout, /bucket 42 are paused/);
  assert.match((await verb('bucket', 'info', '42')).stdout, /paused: deliveries are paused by/);
  assert.deepEqual(await json('bucket', 'resume', '42'), { id: '42', paused: false });
});

test('bucket purge asks for --yes, and then says how many', async () => {
  const asked = await verb('bucket', 'purge', '7');
  assert.equal(asked.code, 2);
  assert.match(asked.stderr, /bucket 7 has 1 messages waiting; say --yes/);
  assert.equal(
    (await verb('bucket', 'purge', '7', '--yes')).stdout,
    '1 messages of bucket 7 were purged\n',
  );
  assert.equal((await json('bucket', 'purge', '7', '--yes')).purged, 0);
});

test('conn ls and kill', async () => {
  const consumer = await RawPeer.connect(broker.exhaust);
  consumer.send(encodeConsumerHeader({ consumerId: 5n, bucket: 9n, batchSize: 2 }));
  let id = 0;
  while (id === 0) {
    const { connections } = await json('conn', 'ls');
    id = connections.find(({ bucket }: { bucket?: string }) => bucket === '9')?.id ?? 0;
  }
  assert.match((await verb('conn', 'ls')).stdout, /exhaust.*127\.0\.0\.1/);
  assert.match((await verb('conn', 'kill', String(id))).stdout, /is closed/);
  await consumer.closed;
  const gone = await verb('conn', 'kill', String(id));
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /there is no connection \d+.*not-found/);
});

test('top prints one frame without a terminal', async () => {
  const { code, stdout } = await verb('top', '--sort', 'age');
  assert.equal(code, 0);
  assert.match(stdout, /^ThrustMQ .*\nin .*\/s[\s\S]*42/);
  assert.ok(!stdout.includes('\x1b'));
  const frame = await json('top');
  assert.deepEqual(Object.keys(frame), ['overview', 'buckets', 'history']);
});

test('stats brings the token along', async () => {
  assert.equal((await json('stats')).totals.publishedMessages, 4);
});

test('what goes wrong is said with what to do', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const nobody = await run(['bucket', 'ls', '--port', String(port)]);
  assert.equal(nobody.code, 69);
  assert.match(nobody.stderr, /no dashboard answers at .*ECONNREFUSED.*thrustmq serve.*--data-dir/);
  const unknown = await run(['bucket', 'ls', '--data-dir', temporaryFolder()]);
  assert.equal(unknown.code, 69);
  assert.match(unknown.stderr, /no broker has announced itself/);
  const stranger = await run(['conn', 'ls', '--data-dir', broker.dataDir]);
  assert.equal(stranger.code, 1);
  assert.match(stranger.stderr, /needs the token.*--token-file/);
  const fromEnvironment = { THRUSTMQ_DASHBOARD_TOKEN_FILE: tokenFile };
  assert.equal((await run(['conn', 'ls', '--data-dir', broker.dataDir], fromEnvironment)).code, 0);
  assert.equal((await verb('bucket', 'info', 'x')).code, 2);
});
