// The demo as a person who cannot press keys would run it, and that it leaves nothing behind,
// however it ends.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findNats } from '../../bench/cluster/servers.ts';
import { temporaryFolder } from '../support/broker.ts';
import { plainEnvironment, Running } from '../support/process.ts';

const DEMO = fileURLToPath(new URL('../../bench/cluster/demo.js', import.meta.url));
const needs = findNats() === undefined ? { skip: 'needs nats-server' } : {};

function demo(folder: string, ...args: string[]): Running {
  const env = { ...plainEnvironment(), TMPDIR: folder };
  return new Running(process.execPath, [DEMO, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
}

// Programs that run with files below a folder.
function usersOf(folder: string): string[] {
  return fs.readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder);
    } catch {
      return false; // it has ended
    }
  });
}

test('the owner is killed, another one takes over, nothing is lost', {
  ...needs,
  timeout: 120_000,
}, async () => {
  const folder = temporaryFolder();
  await using running = demo(folder, '--kills', '1');
  const { code, stdout, stderr } = await running.ended;
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /node \d is killed.*node \d owns the log \(epoch 2\).*longest wait was/s);
  assert.match(stdout, /\n\d+ messages stored, 0 of them lost, \d+ delivered again\n$/);
  assert.deepEqual(fs.readdirSync(folder), []);
});

test('Ctrl-C ends it, and all that it started', { ...needs, timeout: 120_000 }, async () => {
  for (const said of [/all on this machine/, /k: kill the owner/]) {
    const folder = temporaryFolder();
    await using running = demo(folder);
    await running.output(said);
    running.child.kill('SIGINT');
    const { code, stdout, stderr } = await running.ended;
    assert.equal(code, 0, stdout + stderr);
    assert.deepEqual(fs.readdirSync(folder), []);
    assert.deepEqual(usersOf(folder), []);
  }
});

test('help, and what makes no sense', async () => {
  const help = await demo(temporaryFolder(), '--help').ended;
  assert.match(help.stdout, /^npm run demo -- \[--kills N\]\n/);
  const { code, stderr } = await demo(temporaryFolder(), '--kills', 'all').ended;
  assert.deepEqual([code, stderr], [2, 'demo: --kills all is no number\n']);
});
