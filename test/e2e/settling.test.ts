// What a consumer says of a message against a real broker: failed ones come again at once, at their
// old place and with one attempt more; commands of `sub --exec` do the same by their exit codes.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { createConsumer, type Message } from '../../src/client/index.ts';
import type { PeekedMessage } from '../../src/contract/commands.ts';
import { type BrokerProcess, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish } from '../support/client.ts';
import { MAIN, thrustmq } from '../support/process.ts';

const skip = process.platform === 'win32' && 'its shell is another';

async function call<T>(broker: BrokerProcess, method: string, where: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${broker.dashboard}/api/v1${where}`, {
    method,
    headers: { 'x-thrustmq-request': '1' },
  });
  assert.ok(response.ok, `${method} ${where}: ${response.status}`);
  return (await response.json()) as T;
}

test('a failed message is ready again at once, first, with one attempt more', async () => {
  await using broker = await startBroker({ dataDir: temporaryFolder(), dashboard: true });
  await publish(broker.intake, 7n, ['a', 'b']);
  for (let attempts = 1; attempts <= 3; attempts++) {
    const consumer = createConsumer({ port: broker.exhaust, bucket: 7, batchSize: 1 });
    const first = await consumer[Symbol.asyncIterator]().next();
    const message = first.value as Message;
    assert.equal(message.text(), 'a');
    await call(broker, 'POST', '/buckets/7/pause');
    assert.equal(message.fail(), true);
    await consumer.close();
    const { messages } = await call<{ messages: PeekedMessage[] }>(
      broker,
      'GET',
      '/buckets/7/messages',
    );
    const waiting = messages.map((one) => one.attempts);
    assert.deepEqual(waiting, [attempts, 0]);
    await call(broker, 'POST', '/buckets/7/resume');
  }
  assert.equal(await broker.stop(), 0);
});

test('sub --exec: what fails comes again until its command succeeds', { skip }, async () => {
  const dataDir = temporaryFolder();
  await using broker = await startBroker({ dataDir });
  const file = path.join(temporaryFolder(), 'tries');
  await publish(broker.intake, 7n, [
    `echo try >> '${file}'; test $(wc -l < '${file}') -ge 3`,
    'echo done',
  ]);
  const { code, stdout, stderr } = await thrustmq([
    'sub',
    '7',
    '-d',
    dataDir,
    '--exec',
    'sh',
    '-n',
    '4',
    '--wait',
    '10s',
  ]);
  assert.deepEqual([code, stdout], [0, 'done\n'], stderr);
  assert.match(stderr, /received 4 from bucket 7: 2 failed, 2 done/);
  assert.equal(await broker.stop(), 0);
});

test('sub --exec: a command may be pub, with what it is told', { skip }, async () => {
  const dataDir = temporaryFolder();
  await using broker = await startBroker({ dataDir });
  await publish(broker.intake, 7n, ['one', 'two']);
  const pub = `'${process.execPath}' '${MAIN}' pub 8 -q -d '${dataDir}'`;
  const sub = await thrustmq(['sub', '7', '-d', dataDir, '--exec', pub, '-n', '2']);
  assert.equal(sub.code, 0, sub.stderr);
  const { stdout } = await thrustmq(['sub', '8', '-d', dataDir, '-n', '2']);
  assert.equal(stdout, 'one\ntwo\n');
  assert.equal(await broker.stop(), 0);
});
