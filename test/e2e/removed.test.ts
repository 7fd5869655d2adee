// A real broker whose files are taken away while it runs: it stops acking, says what is gone, and
// ends with 74. One whose data folder is renamed goes on.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  type BrokerProcess,
  failedStart,
  RawPeer,
  startBroker,
  temporaryFolder,
} from '../support/broker.ts';
import { batchOf, publish, TestConsumer, texts } from '../support/client.ts';
import { needsLoopDisk, run } from '../support/machine.ts';

const SMALL = ['--segment-size', '8MiB', '--max-message', '64KiB', '--reserve', '1MiB'];

interface Accident {
  what: string;
  strike: (dataDir: string) => void;
  /** What the log line says. */
  says: RegExp;
  undo?: (dataDir: string) => void;
}

const logOf = (dataDir: string) => path.join(dataDir, 'log');
const segmentsOf = (dataDir: string) =>
  fs
    .readdirSync(logOf(dataDir))
    .filter((name) => name.endsWith('.log'))
    .map((name) => path.join(logOf(dataDir), name));

const ACCIDENTS: Accident[] = [
  {
    what: 'the data folder is deleted',
    strike: (dataDir) => fs.rmSync(dataDir, { recursive: true }),
    says: /^the data folder .* is not there any more/,
  },
  {
    what: 'the folder of the log is deleted',
    strike: (dataDir) => fs.rmSync(logOf(dataDir), { recursive: true }),
    says: /^the folder of the log is not there any more/,
  },
  {
    what: 'the files of the log are deleted',
    strike: (dataDir) => {
      for (const file of segmentsOf(dataDir)) fs.rmSync(file);
    },
    says: /^the file \d+\.log of the log is not there any more/,
  },
  {
    what: 'the folder of the log is renamed',
    strike: (dataDir) => fs.renameSync(logOf(dataDir), `${logOf(dataDir)}.away`),
    says: /^the folder of the log is not there any more/,
    undo: (dataDir) => fs.renameSync(`${logOf(dataDir)}.away`, logOf(dataDir)),
  },
  {
    what: 'the folder of the log is replaced by a copy',
    strike: (dataDir) => {
      fs.cpSync(logOf(dataDir), `${logOf(dataDir)}.copy`, { recursive: true });
      fs.renameSync(logOf(dataDir), `${logOf(dataDir)}.away`);
      fs.renameSync(`${logOf(dataDir)}.copy`, logOf(dataDir));
    },
    says: /^the folder of the log is (another one now|not there any more)/,
  },
  {
    what: 'a segment is replaced by a copy',
    strike: (dataDir) => {
      const [file] = segmentsOf(dataDir);
      fs.copyFileSync(file!, `${file}.copy`);
      fs.renameSync(`${file}.copy`, file!);
    },
    says: /^the file \d+\.log of the log is another one now/,
  },
];

const MOUNTS: Accident[] = ['', 'log'].map((below) => ({
  what: `something is mounted over ${below === '' ? 'the data folder' : 'the folder of the log'}`,
  strike: (dataDir) => run('mount', '-t', 'tmpfs', 'tmpfs', path.join(dataDir, below)),
  says:
    below === ''
      ? /^the data folder .* is another one now/
      : /^the folder of the log is another one now/,
  undo: (dataDir) => run('umount', path.join(dataDir, below)),
}));

// Publishes one message after the other until the broker hangs up; gives how many were acked.
async function publishOn(peer: RawPeer): Promise<number> {
  let acked = 0;
  try {
    for (;;) {
      peer.send(batchOf(7n, [Buffer.from(`after ${acked}`)]));
      assert.deepEqual([...(await peer.take(1))], [1]);
      acked++;
    }
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return acked;
  }
}

async function struck(accident: Accident): Promise<BrokerProcess> {
  const dataDir = path.join(temporaryFolder(), 'data');
  await using broker = await startBroker({ dataDir, flags: SMALL });
  const peer = await RawPeer.connect(broker.intake);
  peer.send(batchOf(7n, [Buffer.from('before')]));
  await peer.take(1);
  accident.strike(dataDir);
  try {
    await publishOn(peer);
    assert.equal(await broker.exited, 74);
  } finally {
    accident.undo?.(dataDir);
  }
  const line = await broker.line(({ event }) => event === 'log.failed');
  assert.match(line.msg, accident.says);
  assert.match(line.msg, /nothing is acked any more and the broker stops/);
  await assert.rejects(RawPeer.connect(broker.intake), { code: 'ECONNREFUSED' });
  return broker;
}

for (const accident of ACCIDENTS)
  test(`${accident.what}: 74, and said which`, { timeout: 60_000 }, async () => {
    await struck(accident);
  });

for (const accident of MOUNTS)
  test(`${accident.what}: 74, and nothing is made there`, {
    ...needsLoopDisk,
    timeout: 60_000,
  }, async () => {
    const { dataDir } = await struck({
      ...accident,
      undo: (dataDir) => {
        const folder = accident.what.includes('log') ? logOf(dataDir) : dataDir;
        const made = fs.readdirSync(folder);
        accident.undo!(dataDir);
        assert.deepEqual(made, []);
      },
    });
    await using again = await startBroker({ dataDir, flags: SMALL });
    const consumer = await TestConsumer.join(again.exhaust, 7n, 1);
    assert.deepEqual(texts(await consumer.take(1)), ['before']);
    consumer.leave();
    assert.equal(await again.stop(), 0);
  });

for (const accident of [ACCIDENTS[0]!, ACCIDENTS[2]!])
  test(`SIGTERM after ${accident.what}: not 0`, { timeout: 60_000 }, async () => {
    const dataDir = path.join(temporaryFolder(), 'data');
    await using broker = await startBroker({ dataDir, flags: SMALL });
    assert.deepEqual(await publish(broker.intake, 7n, ['before']), [1]);
    accident.strike(dataDir);
    assert.equal(await broker.stop(), 74);
  });

test('a data folder that is renamed goes on: new segments, too, and an orderly end', {
  timeout: 60_000,
}, async () => {
  const dataDir = path.join(temporaryFolder(), 'data');
  const away = `${dataDir}.away`;
  await using broker = await startBroker({ dataDir, flags: SMALL });
  assert.deepEqual(await publish(broker.intake, 7n, ['before']), [1]);
  fs.renameSync(dataDir, away);
  const moved = await broker.line(({ event }) => event === 'folder.moved');
  assert.equal(moved.folder, away);
  // Another folder at the old place is nobody's business here.
  fs.mkdirSync(dataDir);
  const bodies = Array.from({ length: 100 }, (_, i) => Buffer.alloc(60_000, i));
  for (let i = 0; i < 5; i++) {
    const acks = await publish(broker.intake, 8n, bodies);
    assert.ok(acks.every((ack) => ack === 1));
  }
  assert.equal(await broker.stop(), 0);
  assert.deepEqual(fs.readdirSync(dataDir), []);
  assert.ok(!fs.existsSync(path.join(away, 'runtime.json')));
  await using again = await startBroker({ dataDir: away, flags: SMALL });
  const consumer = await TestConsumer.join(again.exhaust, 8n, 500);
  assert.equal((await consumer.take(500)).length, 500);
  consumer.leave();
  assert.equal(await again.stop(), 0);
});

test('who removes LOCK lets no second broker in, and the first one goes on', {
  timeout: 60_000,
}, async () => {
  const dataDir = path.join(temporaryFolder(), 'data');
  await using broker = await startBroker({ dataDir, flags: SMALL });
  fs.rmSync(path.join(dataDir, 'LOCK'));
  const second = await failedStart({ dataDir, flags: SMALL });
  assert.equal(second.code, 75);
  assert.match(second.text, /another broker has the data folder/);
  await broker.line(({ event }) => event === 'lock.again');
  assert.ok(fs.existsSync(path.join(dataDir, 'LOCK')));
  assert.deepEqual(await publish(broker.intake, 7n, ['after']), [1]);
  assert.equal(await broker.stop(), 0);
});
