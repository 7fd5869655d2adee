// A log that is gone while its data folder is still there, and a start that demands a used folder.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { failedStart, MAIN, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish } from '../support/client.ts';
import { needsLoopDisk, run } from '../support/machine.ts';
import { Running } from '../support/process.ts';

const SMALL = ['--segment-size', '8MiB', '--max-message', '64KiB', '--reserve', '1MiB'];

/** A data folder with a message in it, whose broker was stopped or killed. */
async function used(how: 'stop' | 'kill'): Promise<string> {
  const dataDir = path.join(temporaryFolder(), 'data');
  await using broker = await startBroker({ dataDir, flags: SMALL });
  assert.deepEqual(await publish(broker.intake, 1n, ['kept']), [1]);
  await broker[how]();
  return dataDir;
}

async function tool(...args: string[]): Promise<{ code: number | null; stderr: string }> {
  return new Running(process.execPath, [MAIN, ...args]).ended;
}

for (const how of ['stop', 'kill'] as const)
  for (const gone of ['its files', 'its folder'])
    test(`a log that lost ${gone} after a ${how} is no first start`, {
      timeout: 60_000,
    }, async () => {
      const dataDir = await used(how);
      const log = path.join(dataDir, 'log');
      fs.rmSync(log, { recursive: true });
      if (gone === 'its files') fs.mkdirSync(log);
      let traces: string[] = [];
      for (let i = 0; i < 2; i++) {
        const { code, text } = await failedStart({ dataDir, flags: SMALL });
        assert.equal(code, 74);
        assert.match(
          text,
          /the log was deleted, or its volume is not mounted\. Nothing was changed/,
        );
        const named = /remove from the data folder: (.*)$/m.exec(text);
        traces = named![1]!.split(', ');
        const wanted = how === 'kill' ? ['index', 'runtime.json'] : ['index'];
        assert.deepEqual(traces, wanted, 'the same after a start that was refused');
      }
      for (const verb of ['verify', 'stat', 'dump']) {
        const { code, stderr } = await tool('log', verb, '--data-dir', dataDir);
        assert.equal(code, 1, verb);
        assert.match(stderr, /is MISSING: there is none, but beside it .*\(index/);
      }
      for (const trace of traces) fs.rmSync(path.join(dataDir, trace), { recursive: true });
      await using anew = await startBroker({ dataDir, flags: SMALL });
      assert.deepEqual(await publish(anew.intake, 1n, ['anew']), [1]);
      assert.equal(await anew.stop(), 0);
    });

test('a pause, or a file held ready, speaks of an earlier log, too', {
  timeout: 60_000,
}, async () => {
  const dataDir = path.join(temporaryFolder(), 'data');
  const log = path.join(dataDir, 'log');
  fs.mkdirSync(log, { recursive: true });
  for (const file of [path.join(dataDir, 'paused.json'), path.join(log, 'spare-0.tmp')]) {
    fs.writeFileSync(file, '{"version":1,"paused":[]}');
    const { code, text } = await failedStart({ dataDir, flags: SMALL });
    assert.equal(code, 74);
    assert.match(text, new RegExp(`remove from the data folder: .*${path.basename(file)}$`, 'm'));
    assert.ok(fs.existsSync(file), 'nothing was changed');
    fs.rmSync(file);
  }
  // What a first start leaves that was cut off.
  fs.writeFileSync(path.join(log, 'next.tmp'), 'half a segment');
  fs.writeFileSync(path.join(dataDir, 'LOCK'), 'pid of it');
  await using broker = await startBroker({ dataDir, flags: SMALL });
  assert.equal(await broker.stop(), 0);
});

for (const kind of ['a file system', 'a folder of the same one'])
  test(`${kind} that is mounted for the index before the first start is no trace`, {
    ...needsLoopDisk,
    timeout: 60_000,
  }, async () => {
    const dataDir = path.join(temporaryFolder(), 'my data');
    const index = path.join(dataDir, 'index');
    fs.mkdirSync(index, { recursive: true });
    if (kind === 'a file system') run('mount', '-t', 'tmpfs', 'tmpfs', index);
    else run('mount', '--bind', temporaryFolder(), index);
    try {
      if (kind === 'a file system') fs.mkdirSync(path.join(index, 'lost+found'));
      await using broker = await startBroker({ dataDir, flags: SMALL });
      assert.equal(await broker.stop(), 0);
    } finally {
      run('umount', index);
    }
  });

test('--require-data: only where there is a log already, and nothing is made elsewhere', {
  timeout: 60_000,
}, async () => {
  const absent = path.join(temporaryFolder(), 'data');
  const refused = await failedStart({ dataDir: absent, flags: ['--require-data'] });
  assert.equal(refused.code, 74);
  assert.match(refused.text, /is its volume mounted\? For the very first start leave that/);
  assert.ok(!fs.existsSync(absent));
  const empty = temporaryFolder();
  const env = { THRUSTMQ_REQUIRE_DATA: 'true' };
  assert.equal((await failedStart({ dataDir: empty, env })).code, 74);
  assert.deepEqual(fs.readdirSync(empty), []);

  const dataDir = await used('stop');
  await using broker = await startBroker({ dataDir, flags: SMALL, env });
  assert.equal(await broker.stop(), 0);
});
