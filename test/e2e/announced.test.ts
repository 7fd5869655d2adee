// Verbs with --data-dir reach the broker of that folder or none: not the one that has the ports now
// which a stale or copied runtime.json names.

import assert from 'node:assert/strict';
import type { SpawnOptions } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { LOCK_NAME } from '../../src/io/lock.ts';
import {
  type BrokerOptions,
  type BrokerProcess,
  MAIN,
  startBroker,
  temporaryFolder,
} from '../support/broker.ts';
import { needsNamespaces } from '../support/machine.ts';
import { type Ended, Running } from '../support/process.ts';

const newFolder = () => path.join(temporaryFolder(), 'data');
const start = (options: Partial<BrokerOptions> = {}): Promise<BrokerProcess> =>
  startBroker({ dataDir: newFolder(), dashboard: true, ...options });

function thrustmq(args: readonly string[], wrapper: readonly string[] = []): Promise<Ended> {
  const [command, ...rest] = [...wrapper, process.execPath, MAIN, ...args];
  return new Running(command!, rest).ended;
}

const VERBS: readonly (readonly string[])[] = [
  ['pub', '42', 'for another one'],
  ['sub', '42', '--wait', '10ms'],
  ['bucket', 'ls'],
  ['bucket', 'pause', '42'],
  ['bucket', 'purge', '42', '--yes'],
  ['conn', 'ls'],
  ['stats'],
  ['top', '--json'],
  ['bench', '--count', '10'],
];

async function refused(dataDir: string, why: RegExp, verbs = VERBS): Promise<void> {
  for (const verb of verbs) {
    const { code, stderr, stdout } = await thrustmq([...verb, '--data-dir', dataDir]);
    assert.equal(code, 69, `${verb.join(' ')}: ${stderr}`);
    assert.match(stderr, why);
    assert.match(stderr, /--host and --port in place of --data-dir/);
    assert.equal(stdout, '');
  }
}

// All that waits in the bucket.
async function waitingIn(dataDir: string): Promise<string> {
  const { code, stdout, stderr } = await thrustmq(['sub', '42', '--wait', '100ms', '-d', dataDir]);
  assert.equal(code, 0, stderr);
  return stdout;
}

test('runtime.json of a broker that was killed, whose ports are those of another one now', {
  timeout: 120_000,
}, async () => {
  await using killed = await start();
  const { intake, exhaust, dashboard, dataDir } = killed;
  await killed.kill();
  assert.ok(fs.existsSync(path.join(dataDir, 'runtime.json')));
  // On a busy machine the dashboard may come too late to be named.
  const ports = Object.entries({ intake, exhaust, dashboard: dashboard ?? 0 });
  const flags = ports.flatMap(([side, port]) => [`--${side}-port`, String(port)]);
  await using other = await start({ flags });
  assert.deepEqual([other.intake, other.exhaust], [intake, exhaust]);
  await refused(dataDir, /no broker runs on .*left by one that was killed, or is a copy/);
  assert.equal(await waitingIn(other.dataDir), '', 'it was published into the wrong broker');
  assert.equal((await thrustmq(['pub', '42', 'mine', '-d', other.dataDir])).code, 0);
  assert.equal(await waitingIn(other.dataDir), 'mine\n');
  assert.equal(await other.stop(), 0);
});

test('a copy of the folder of a running broker', { timeout: 120_000 }, async () => {
  await using broker = await start();
  const copy = newFolder();
  fs.cpSync(broker.dataDir, copy, { recursive: true });
  await refused(copy, /no broker runs on/);
  assert.equal(await waitingIn(broker.dataDir), '');
  assert.equal(await broker.stop(), 0);
});

test('a broker that is still starting, and one that removes what the last one left', {
  timeout: 60_000,
}, async () => {
  await using broker = await start();
  const { dataDir } = broker;
  // As it is for a moment when a broker has just taken the folder of one that was killed.
  const lockFile = path.join(dataDir, LOCK_NAME);
  const text = fs.readFileSync(lockFile, 'utf8');
  fs.writeFileSync(lockFile, text.replace(/"instance":"\w+"/, '"instance":"of the next one"'));
  await refused(dataDir, /is not ready, or it is no broker/, [['pub', '42', 'x']]);
  fs.writeFileSync(lockFile, text);
  assert.equal((await thrustmq(['pub', '42', 'x', '-d', dataDir])).code, 0);
  await broker.kill();
  const runtime = path.join(dataDir, 'runtime.json');
  const stale = fs.readFileSync(runtime, 'utf8');
  await using next = await start({ dataDir });
  assert.notEqual(fs.readFileSync(runtime, 'utf8'), stale);
  assert.equal(await next.stop(), 0);
});

test('--unsafe-no-lock: believed while that process lives, on that folder', {
  timeout: 60_000,
  skip: !fs.existsSync('/proc/self/stat') && 'needs /proc',
}, async () => {
  await using broker = await start({ flags: ['--unsafe-no-lock'] });
  const { dataDir } = broker;
  assert.equal((await thrustmq(['pub', '42', 'x', '-d', dataDir])).code, 0);
  const copy = newFolder();
  fs.cpSync(dataDir, copy, { recursive: true });
  const verbs = [['pub', '42', 'x'], ['stats']];
  await refused(copy, /it cannot be told whether a broker runs on/, verbs);
  await broker.kill();
  await refused(dataDir, /it cannot be told whether a broker runs on/, verbs);
});

test('a broker in another network, whose ports are not those of this one', {
  ...needsNamespaces,
  timeout: 60_000,
}, async () => {
  await using broker = await start();
  const args = ['pub', '42', 'x', '--data-dir', broker.dataDir];
  const { code, stderr } = await thrustmq(args, ['unshare', '--net']);
  assert.equal(code, 69);
  assert.match(stderr, /runs in a network of its own/);
  assert.equal(await broker.stop(), 0);
});

test('an outage: pub and sub find the broker of their folder again, on whichever ports', {
  timeout: 120_000,
}, async () => {
  await using mine = await start({ dashboard: false });
  const { intake, exhaust, dataDir } = mine;
  const stdio: SpawnOptions = { stdio: ['pipe', 'pipe', 'pipe'] };
  const at = [MAIN, 'sub', '42', '--data-dir', dataDir];
  await using sub = new Running(process.execPath, at, stdio);
  const feeding = [MAIN, 'pub', '43', '--data-dir', dataDir];
  await using pub = new Running(process.execPath, feeding, stdio);
  assert.equal((await thrustmq(['pub', '42', 'before', '-d', dataDir])).code, 0);
  await sub.output(/before/);
  pub.child.stdin?.write('before\n');
  assert.equal((await thrustmq(['sub', '43', '--no-ack', '-d', dataDir])).stdout, 'before\n');
  await mine.kill();
  await Promise.all([pub, sub].map((one) => one.errorOutput(/trying again/)));
  const flags = ['--intake-port', String(intake), '--exhaust-port', String(exhaust)];
  await using other = await start({ dashboard: false, flags });
  assert.deepEqual([other.intake, other.exhaust], [intake, exhaust]);
  assert.equal((await thrustmq(['pub', '42', 'of another', '-d', other.dataDir])).code, 0);
  pub.child.stdin?.end('after\n');
  await using again = await start({ dashboard: false, dataDir });
  assert.notEqual(again.exhaust, exhaust);
  assert.equal((await thrustmq(['pub', '42', 'its own', '-d', dataDir])).code, 0);
  await sub.output(/its own/);
  sub.child.kill('SIGINT');
  const { code, stdout, stderr } = await sub.ended;
  assert.equal(code, 0, stderr);
  assert.ok(!stdout.includes('of another'), stdout); // 'before' may come twice: its ack was young
  assert.equal((await pub.ended).code, 0, pub.stderr);
  assert.equal((await thrustmq(['sub', '43', '-n', '2', '-d', dataDir])).stdout, 'before\nafter\n');
  assert.equal(await waitingIn(other.dataDir), 'of another\n');
  assert.equal(await other.stop(), 0);
  assert.equal(await again.stop(), 0);
});
