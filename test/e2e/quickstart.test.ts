// What a newcomer does first: the document's quickstart, the README's conversation by hand, the CLI
// and the client library, all against a real broker.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createConsumer, createProducer } from '../../src/client/index.ts';
import { type BrokerProcess, MAIN, startBroker, temporaryFolder } from '../support/broker.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const python = spawnSync('python3', ['--version']).status === 0 ? {} : { skip: 'needs python3' };

let broker: BrokerProcess;

before(async () => {
  broker = await startBroker({
    dataDir: temporaryFolder(),
    flags: ['--intake', '127.0.0.1:0,wire=u32', '--exhaust', '127.0.0.1:0,wire=u32'],
  });
});

after(async () => {
  assert.equal(await broker.stop(), 0);
});

interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

function ran(command: string, args: string[], input?: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(input);
  });
}

// Ports of the main listeners, or of the further ones that speak u32.
function ports(wire: 'u64' | 'u32'): { intake: string; exhaust: string } {
  const ready = broker.lines.find((line) => line.event === 'ready')!;
  const { intake, exhaust } = ready.listeners as Record<
    'intake' | 'exhaust',
    { port: number; wire: string }[]
  >;
  const port = (list: { port: number; wire: string }[]) =>
    String(list.find((listener) => listener.wire === wire)!.port);
  return { intake: port(intake), exhaust: port(exhaust) };
}

for (const wire of ['u64', 'u32'] as const)
  test(`producer.py and consumer.py, wire ${wire}`, python, async () => {
    const { intake, exhaust } = ports(wire);
    const common = ['--wire', wire, '--bucket', '11'];
    const sent = await ran('python3', ['clients/python/producer.py', '--port', intake, ...common]);
    assert.equal(sent.code, 0, sent.stderr);
    const got = await ran('python3', [
      ...['clients/python/consumer.py', '--port', exhaust, ...common, '--count', '5'],
    ]);
    assert.equal(got.code, 0, got.stderr);
    assert.ok(got.stdout.trim().split('\n').length >= 5, got.stdout);
  });

test('the conversation by hand in the README works as printed', python, async () => {
  const readme = fs.readFileSync(`${ROOT}README.md`, 'utf8');
  const block = /```python\n([\s\S]*?)```/.exec(readme)?.[1];
  assert.ok(block !== undefined, 'the README has no Python block');
  const { intake, exhaust } = ports('u64');
  const script = block.replace('1888', intake).replace('2888', exhaust);
  assert.notEqual(script, block);
  const { code, stdout, stderr } = await ran('python3', ['-c', script]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^b'\\x01\\x01'\nb'\\x02\\x00\\x00\\x00.*hello.*world'\n$/);
});

test('pub and sub', async () => {
  const { intake, exhaust } = ports('u64');
  const lines = Array.from({ length: 2500 }, (_, i) => `line ${i}`);
  const pub = await ran(process.execPath, [MAIN, 'pub', '12', '-p', intake], lines.join('\n'));
  assert.equal(pub.code, 0, pub.stderr);
  const sub = await ran(process.execPath, [MAIN, 'sub', '12', '-p', exhaust, '-n', '2500']);
  assert.equal(sub.code, 0, sub.stderr);
  assert.deepEqual(sub.stdout.trim().split('\n'), lines);
});

test('the client library', async () => {
  const { intake, exhaust } = ports('u64');
  const producer = createProducer({ port: Number(intake) });
  const sent = Array.from({ length: 300 }, (_, i) => `message ${i}`);
  await Promise.all(sent.map((text) => producer.send(13, text)));
  await producer.close();
  const consumer = createConsumer({ bucket: 13, port: Number(exhaust) });
  const got: string[] = [];
  for await (const message of consumer) {
    got.push(message.text());
    message.ack();
    if (got.length === sent.length) break;
  }
  assert.deepEqual(got, sent);
});

test('a thousand idle consumers are kept alive, and one of them still gets its message', async () => {
  const exhaust = Number(ports('u64').exhaust);
  const { RawPeer } = await import('../support/broker.ts');
  const header = Buffer.alloc(20);
  header.writeUInt32LE(1, 16);
  const peers = await Promise.all(
    Array.from({ length: 1000 }, async (_, i) => {
      const peer = await RawPeer.connect(exhaust);
      header.writeBigUInt64LE(BigInt(1000 + i), 8);
      peer.send(Uint8Array.from(header));
      return peer;
    }),
  );
  const beat = Buffer.from('010000000000000000000000', 'hex');
  for (let round = 0; round < 2; round++) {
    for (const peer of peers) {
      assert.ok((await peer.take(12)).equals(beat));
      peer.send(Uint8Array.of(1));
    }
  }
  const { intake } = ports('u64');
  const pub = await ran(process.execPath, [MAIN, 'pub', '1500', '-p', intake, 'to one of them']);
  assert.equal(pub.code, 0);
  const body = Buffer.from('to one of them');
  let frame = await peers[500]!.take(12);
  while (frame.equals(beat)) {
    peers[500]!.send(Uint8Array.of(1));
    frame = await peers[500]!.take(12);
  }
  assert.ok((await peers[500]!.take(body.length)).equals(body));
  for (const peer of peers) peer.destroy();
});
