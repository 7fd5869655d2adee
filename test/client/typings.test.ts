// The typings of the package in projects of others: with and without the typings of Node.js, for
// several targets, and with declaration files checked, too.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../support/broker.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TSC = path.join(ROOT, 'node_modules/typescript/bin/tsc');

const PROGRAM = `
import { Client, createConsumer, createProducer, EncodedBatch, ThrustError } from 'thrustmq';
import type { Message, RetryOptions, RunOptions, Status } from 'thrustmq';

const onStatus = async (status: Status, error: ThrustError | undefined) => [status, error?.code];
const producer = createProducer({ port: 1, onStatus, reconnect: { attempts: 3 } });
await producer.send(7n, 'x');
const stored: boolean[] = await producer.sendBatch([{ bucket: '7', body: new Uint8Array(1) }]);
await producer.sendEncoded(new EncodedBatch([{ bucket: 7, body: 'x' }]));
await producer.close({ timeoutMs: stored.length });

const free: RetryOptions = {};
const slow: RunOptions = { concurrency: 2 };
const consumer = createConsumer({ bucket: 7, ack: 'auto' });
for await (const message of consumer) {
  const body: Uint8Array = message.body;
  const { n } = message.json<{ n: number }>();
  if (message.signal !== undefined && body.length > n) break;
  const decided: boolean = message.retry(1500, { charge: false }) || message.reject();
  if (!decided && slow && free && message.isOpen && message.working()) message.release();
}
await new Client().consumer({ bucket: 1 }).run((message: Message) => message.ack(), {
  onFail: (error, message) => error instanceof TypeError ? message.reject() : message.retry(5000),
  workingMs: 10_000,
  onError: (error: unknown, message: Message) => message.bucket === 7n && error,
});
`;

const DISPOSING = `
import { createProducer } from 'thrustmq';
await using producer = createProducer();
await producer.send(7, 'x', { signal: AbortSignal.timeout(1000) });
`;

function compile(program: string, flags: readonly string[]): string {
  const folder = temporaryFolder();
  fs.mkdirSync(path.join(folder, 'node_modules'));
  fs.symlinkSync(ROOT, path.join(folder, 'node_modules/thrustmq'), 'junction');
  fs.writeFileSync(path.join(folder, 'program.mts'), program);
  const usual = ['--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', 'false'];
  const ran = spawnSync(process.execPath, [TSC, ...usual, ...flags, 'program.mts'], {
    cwd: folder,
    encoding: 'utf8',
  });
  return ran.status === 0 ? '' : `${ran.stdout}${ran.stderr}`;
}

const NODE = ['--typeRoots', path.join(ROOT, 'node_modules/@types'), '--types', 'node'];

for (const flags of [
  ['--target', 'es2022', '--types', ''],
  ['--target', 'es2022', '--lib', 'es2022', '--types', ''],
  ['--target', 'esnext', '--types', ''],
  ['--target', 'es2022', ...NODE],
  ['--target', 'esnext', '--lib', 'esnext', ...NODE],
])
  test(`a program compiles with ${flags.map((one) => path.basename(one)).join(' ')}`, () => {
    assert.equal(compile(PROGRAM, flags), '');
    if (!flags.includes('--lib') || flags.includes('node'))
      assert.equal(compile(DISPOSING, flags), '');
  });

test('a wrong program does not compile', () => {
  const wrong = PROGRAM.replace("'7'", 'true');
  assert.match(compile(wrong, ['--target', 'es2022', '--types', '']), /boolean/);
  const wrongDelay = PROGRAM.replace('retry(1500', "retry('1.5s'");
  assert.match(compile(wrongDelay, ['--target', 'es2022', '--types', '']), /string/);
});
