// What a broker does with the folder it is given, and what a restart keeps.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { SEGMENT_DATA_AT, SEGMENT_VERSION_AT } from '../../assembly/layout.ts';
import { failedStart, MAIN, RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish, TestConsumer, texts } from '../support/client.ts';

const FIRST = path.join('log', '00000000000000000000.log');

// What a data folder holds, and what its files say. In the folders of log and index its broker goes
// on making files meanwhile.
function filesOf(dataDir: string): [string, string][] {
  const entries = fs.readdirSync(dataDir, { withFileTypes: true });
  return entries
    .map((entry): [string, string] => {
      const text = entry.isFile() ? fs.readFileSync(path.join(dataDir, entry.name), 'utf8') : '';
      return [entry.name, text];
    })
    .sort();
}

test('a second broker on the folder is refused with 75 and touches nothing', async () => {
  const dataDir = temporaryFolder();
  await using broker = await startBroker({ dataDir });
  assert.deepEqual(await publish(broker.intake, 1n, ['kept']), [1]);
  const before = filesOf(dataDir);
  const second = await failedStart({ dataDir });
  assert.equal(second.code, 75);
  assert.deepEqual(filesOf(dataDir), before);
  assert.match(second.text, new RegExp(`another broker has the data folder .*${broker.child.pid}`));
  assert.deepEqual(await publish(broker.intake, 1n, ['too']), [1]);
  await broker.kill();
  await using next = await startBroker({ dataDir }); // the lock died with its holder
  const consumer = await TestConsumer.join(next.exhaust, 1n, 10);
  assert.deepEqual(texts(await consumer.take(2)), ['kept', 'too']);
  consumer.leave();
  assert.equal(await next.stop(), 0);
});

test('a port that is taken ends the start with 1 and says which', async () => {
  await using broker = await startBroker({ dataDir: temporaryFolder() });
  const flags = ['--intake', `127.0.0.1:${broker.intake}`];
  const { code, text } = await failedStart({ dataDir: temporaryFolder(), flags });
  assert.equal(code, 1, text);
  assert.match(text, new RegExp(`cannot listen on 127.0.0.1:${broker.intake}`));
  assert.equal(await broker.stop(), 0);
});

test('a data folder that is a file is refused with 74', async () => {
  const dataDir = path.join(temporaryFolder(), 'file');
  fs.writeFileSync(dataDir, 'not a folder');
  const { code, text } = await failedStart({ dataDir });
  assert.equal(code, 74);
  assert.match(text, /data folder .*file cannot be used/);
  assert.equal(fs.readFileSync(dataDir, 'utf8'), 'not a folder');
});

const isRoot = process.getuid?.() === 0;

test('a read-only data folder is refused with 74', { skip: !isRoot && 'needs root' }, async () => {
  const dataDir = temporaryFolder();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro,size=1M', 'none', dataDir]);
  assert.equal(mounted.status, 0, String(mounted.stderr));
  try {
    const { code, text } = await failedStart({ dataDir });
    assert.equal(code, 74);
    assert.match(text, /read-only|EROFS/);
  } finally {
    spawnSync('umount', [dataDir]);
  }
});

test('an unknown format version is refused before a byte is written', async () => {
  const dataDir = temporaryFolder();
  await (await startBroker({ dataDir })).stop();
  const file = path.join(dataDir, FIRST);
  const bytes = fs.readFileSync(file);
  bytes.writeUInt32LE(4, SEGMENT_VERSION_AT);
  fs.writeFileSync(file, bytes);
  const { code, text } = await failedStart({ dataDir });
  assert.equal(code, 74);
  assert.match(text, /format version 4.*Nothing was changed/);
  assert.ok(fs.readFileSync(file).equals(bytes));
});

test('a flipped bit in the middle of the log is reported, and nothing is thrown away', async () => {
  const dataDir = temporaryFolder();
  await using broker = await startBroker({ dataDir });
  for (let i = 0; i < 5; i++)
    assert.deepEqual(await publish(broker.intake, 1n, [`message ${i}`]), [1]);
  await broker.kill();
  const file = path.join(dataDir, FIRST);
  const bytes = fs.readFileSync(file);
  const at = bytes.indexOf('message 2');
  assert.ok(at > SEGMENT_DATA_AT);
  bytes[at] = bytes[at]! ^ 0x10;
  fs.writeFileSync(file, bytes);
  const { code, text } = await failedStart({ dataDir });
  assert.equal(code, 74);
  assert.match(text, /00000000000000000000\.log is damaged at offset \d+.*Nothing was changed/);
  assert.ok(fs.readFileSync(file).equals(bytes), 'the damaged file was changed');
  bytes[at] = bytes[at]! ^ 0x10;
  fs.writeFileSync(file, bytes);
  await using healed = await startBroker({ dataDir });
  const consumer = await TestConsumer.join(healed.exhaust, 1n, 10);
  assert.deepEqual(
    texts(await consumer.take(5)),
    [0, 1, 2, 3, 4].map((i) => `message ${i}`),
  );
  consumer.leave();
  await healed.stop();
});

test('order, unacked messages and attempts survive kill -9', async () => {
  const dataDir = temporaryFolder();
  await using broker = await startBroker({ dataDir });
  const names = ['a', 'b', 'c', 'd', 'e'];
  assert.deepEqual(await publish(broker.intake, 9n, names), [1, 1, 1, 1, 1]);
  const first = await TestConsumer.join(broker.exhaust, 9n, 3);
  assert.deepEqual(texts(await first.batch()), ['a', 'b', 'c']);
  first.ack(1, 0); // a done, b failed, c without an answer
  const second = await TestConsumer.join(broker.exhaust, 9n, 3);
  assert.deepEqual(texts(await second.batch()), ['b', 'd', 'e']);
  second.ack(0); // b failed again
  second.leave(); // d and e lost together: not charged
  first.leave();
  // What came back is in the log once a later publish was acked.
  await first.peer.closed;
  await second.peer.closed;
  const third = await TestConsumer.join(broker.exhaust, 9n, 1);
  // Those that were lost together come apart, and first.
  assert.deepEqual(texts(await third.batch()), ['d']);
  assert.deepEqual(await publish(broker.intake, 10n, ['later']), [1]);
  await broker.kill();
  await using again = await startBroker({ dataDir });
  const consumer = await TestConsumer.join(again.exhaust, 9n, 10);
  assert.deepEqual(texts(await consumer.take(4)), ['b', 'c', 'd', 'e']);
  consumer.leave();
  await again.kill();
  const dump = spawnSync(process.execPath, [MAIN, 'log', 'dump', '--data-dir', dataDir, '--json'], {
    encoding: 'utf8',
  });
  assert.equal(dump.status, 0, dump.stderr);
  assert.match(dump.stdout, /"attempts":\s*"?2"?/, 'b was returned twice');
});

for (const sync of ['interval', 'none'])
  test(`--sync ${sync} works and says what it means`, async () => {
    const dataDir = temporaryFolder();
    await using broker = await startBroker({ dataDir, flags: ['--sync', sync] });
    await broker.line((line) => line.level === 'warn' && /acks are weaker/.test(line.msg));
    assert.deepEqual(await publish(broker.intake, 1n, ['x', 'y']), [1, 1]);
    await broker.kill();
    await using again = await startBroker({ dataDir });
    const consumer = await TestConsumer.join(again.exhaust, 1n, 10);
    assert.deepEqual(texts(await consumer.take(2)), ['x', 'y']);
    consumer.leave();
    assert.equal(await again.stop(), 0);
  });

test('SIGTERM finishes what is in flight and exits 0; connections are closed', async () => {
  const dataDir = temporaryFolder();
  await using broker = await startBroker({ dataDir });
  const consumer = await TestConsumer.join(broker.exhaust, 1n, 10);
  const producer = await RawPeer.connect(broker.intake);
  assert.deepEqual(await publish(broker.intake, 1n, ['in flight']), [1]);
  assert.deepEqual(texts(await consumer.batch()), ['in flight']);
  const stopped = broker.stop();
  consumer.ack(1);
  assert.equal(await stopped, 0);
  await consumer.peer.closed;
  await producer.closed;
  await using again = await startBroker({ dataDir });
  assert.match(
    (await again.line((line) => line.event === 'recovery.done')).msg,
    /recovered 0 messages/,
  );
  assert.equal(await again.stop(), 0);
});

test('the log gives segments back when nothing in them is needed', async () => {
  const dataDir = temporaryFolder();
  await using broker = await startBroker({
    dataDir,
    flags: ['--segment-size', '8MiB', '--max-message', '64KiB'],
  });
  const names = () => fs.readdirSync(path.join(dataDir, 'log'));
  const consumer = await TestConsumer.join(broker.exhaust, 1n, 1000);
  const bodies = Array(500).fill(Buffer.alloc(32 * 1024, 3)); // 16 MB a round, two segments
  for (let round = 0; round < 4; round++) {
    const acks = publish(broker.intake, 1n, bodies);
    await consumer.take(bodies.length);
    assert.ok((await acks).every((ack) => ack === 1));
  }
  consumer.leave();
  assert.ok(!names().includes('00000000000000000000.log'), names().join());
  assert.ok(names().length <= 8, names().join());
  assert.equal(await broker.stop(), 0);
});
