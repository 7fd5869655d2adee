// Private brokers come with an empty folder, go with it, and never outlive the one who started
// them.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Child, startBroker } from '../../src/load/child.ts';
import { DEFAULT_PLAN } from '../../src/load/plan.ts';
import { runLoad } from '../../src/load/run.ts';
import { MAIN, plainEnvironment, Running } from '../support/process.ts';

const LEASH = fileURLToPath(new URL('../../src/load/leash.js', import.meta.url));
const dir = await mkdtemp(join(tmpdir(), 'thrustmq-child-'));
after(() => rm(dir, { recursive: true, force: true }));

for (const wire of ['u64', 'u32'] as const)
  test(`a private broker passes a verified run and leaves nothing, ${wire}`, async () => {
    const broker = await startBroker({ dir, wire });
    try {
      const { intakePort, exhaustPort } = broker;
      const size = { count: 2000, batchMessages: 100, producers: 2, buckets: 3, consumers: 4 };
      const { verify, publish } = await runLoad({
        ...DEFAULT_PLAN,
        ...size,
        intakePort,
        exhaustPort,
        wire,
        warmupMs: 0,
        verify: true,
      });
      assert.equal(publish?.messages, 2000);
      assert.equal(verify?.ok, true, JSON.stringify(verify));
      assert.equal((await readdir(dir)).length, 1);
    } finally {
      await broker.stop();
    }
    assert.deepEqual(await readdir(dir), []);
  });

test('a broker that cannot start says why, and leaves nothing', async () => {
  const starting = startBroker({ dir, flags: ['--max-message', 'enormous'] });
  await assert.rejects(starting, /enormous/);
  assert.deepEqual(await readdir(dir), []);
});

test('a program on the leash stops when its parent is gone', async () => {
  const data = join(dir, 'leash');
  const ports = ['--intake-port', '0', '--exhaust-port', '0', '--no-dashboard'];
  const args = [LEASH, MAIN, 'serve', '--data-dir', data, ...ports, '--log-format', 'json'];
  await using running = new Running(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: plainEnvironment(),
  });
  await running.output(/"event":"ready"/);
  running.child.stdin?.end();
  const { code, stdout } = await running.ended;
  assert.equal(code, 0);
  assert.match(stdout, /"event":"stopped"/);
});

test('waiting for a line of a program that ends without it', async () => {
  const child = new Child(fileURLToPath(new URL('./no-such-file.js', import.meta.url)));
  await assert.rejects(child.event('ready'), /ended without "ready"/);
});
