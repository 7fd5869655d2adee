// Where the client verbs look for a broker.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { identityHere } from '../../src/cli/announced.ts';
import { CliError } from '../../src/cli/output.ts';
import {
  connectHost,
  type RuntimeInfo,
  readRuntime,
  removeRuntime,
  writeRuntime,
} from '../../src/cli/runtime.ts';
import { bucketId, joined, resolveClient, resolveTarget } from '../../src/cli/target.ts';
import { authority } from '../../src/core/text/address.ts';
import { FolderLock } from '../../src/io/lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'thrustmq target '));
const INSTANCE = 'abc';
const held = new FolderLock(folder, `{"instance":"${INSTANCE}"}\n`);
after(() => {
  held.release();
  rmSync(folder, { recursive: true, force: true });
});

const INFO: RuntimeInfo = {
  event: 'ready',
  pid: 1,
  version: '1.2.3',
  startedAt: '2026-01-02T03:04:05.000Z',
  host: '0.0.0.0',
  wire: 'u32',
  intake: 11,
  exhaust: 22,
  dashboard: 33,
  dashboardHost: '::1',
  listeners: { intake: [], exhaust: [] },
  identity: identityHere(INSTANCE, folder, false),
};

test('runtime.json: written whole, read back, removed', () => {
  const dir = join(folder, 'new', 'data');
  writeRuntime(dir, INFO);
  assert.deepEqual(readRuntime(dir), INFO);
  assert.deepEqual(readdirSync(dir), ['runtime.json'], 'no temporary file stays');
  removeRuntime(dir);
  removeRuntime(dir);
  assert.equal(readRuntime(dir), undefined);
});

test('a runtime.json that makes no sense is none', () => {
  for (const text of ['', '{', '[]', 'null', '{"intake":"1","exhaust":2,"host":"a"}']) {
    writeFileSync(join(folder, 'runtime.json'), text);
    assert.equal(readRuntime(folder), undefined, text);
  }
});

test('defaults, then the environment, then the data folder, then flags', () => {
  writeRuntime(folder, INFO);
  assert.deepEqual(resolveTarget({}, 'intake', {}), { host: '127.0.0.1', port: 1888, wire: 'u64' });
  assert.equal(resolveTarget({}, 'exhaust', {}).port, 2888);
  assert.equal(resolveTarget({}, 'dashboard', {}).port, 3888);
  const environment = {
    THRUSTMQ_HOST: 'mq',
    THRUSTMQ_WIRE: 'u32',
    THRUSTMQ_INTAKE_PORT: '5',
    THRUSTMQ_EXHAUST_PORT: '0',
    THRUSTMQ_DASHBOARD_PORT: 'tcp://10.0.0.1:3888',
  };
  assert.deepEqual(resolveTarget({}, 'intake', environment), { host: 'mq', port: 5, wire: 'u32' });
  assert.equal(resolveTarget({}, 'exhaust', environment).port, 2888);
  assert.equal(resolveTarget({}, 'dashboard', environment).port, 3888);
  const found = resolveTarget({ dataDir: folder }, 'exhaust', { THRUSTMQ_EXHAUST_PORT: '5' });
  assert.deepEqual(found, { host: '127.0.0.1', port: 22, wire: 'u32' });
  assert.equal(resolveTarget({ dataDir: folder }, 'dashboard', {}).host, '::1');
  const flags = { dataDir: folder, port: 9, host: 'h', wire: 'u64' };
  assert.deepEqual(resolveTarget(flags, 'exhaust', {}), { host: 'h', port: 9, wire: 'u64' });
});

test('a folder without a broker, or a broker without a dashboard, is unreachable', () => {
  const refused = (code: number) => (error: unknown) =>
    error instanceof CliError && error.exitCode === code;
  assert.throws(() => resolveTarget({ dataDir: join(folder, 'x') }, 'intake', {}), refused(69));
  writeRuntime(folder, { ...INFO, dashboard: null });
  assert.throws(() => resolveTarget({ dataDir: folder }, 'dashboard', {}), refused(69));
  assert.throws(() => resolveTarget({}, 'intake', { THRUSTMQ_WIRE: 'x' }), refused(78));
});

test('hosts and buckets', () => {
  assert.equal(connectHost('0.0.0.0'), '127.0.0.1');
  assert.equal(connectHost('::'), '::1');
  assert.equal(connectHost('[::1]'), '::1');
  assert.equal(authority('::1', 5), '[::1]:5');
  assert.equal(bucketId('18446744073709551615'), 0xffff_ffff_ffff_ffffn);
  assert.equal(bucketId('0xff'), 255n);
  for (const text of ['-1', '1.5', '', ' 1', '18446744073709551616', '0x', '1e3'])
    assert.throws(() => bucketId(text), text);
});

test('several nodes, or one with a port of its own, are hosts of a client', () => {
  const of = (host: string) => resolveTarget({ host }, 'intake', {});
  const common = { port: 1888, wire: 'u64' };
  assert.deepEqual(of('a, b:5'), { ...common, host: 'a', hosts: ['a', 'b:5'] });
  assert.deepEqual(of('b:5').hosts, ['b:5']);
  assert.deepEqual(of('[::1]:5').hosts, ['[::1]:5']);
  for (const one of ['a', '::1', '[::1]', 'fe80::1:5']) assert.equal(of(one).hosts, undefined, one);
  const environment = { THRUSTMQ_HOST: 'a,b' };
  assert.deepEqual(resolveTarget({}, 'exhaust', environment).hosts, ['a', 'b']);
  const usage = (error: unknown) =>
    error instanceof CliError && error.exitCode === 2 && /--host a$/.test(error.message);
  assert.throws(() => resolveTarget({}, 'dashboard', environment), usage);
  assert.equal(resolveTarget({ host: 'a' }, 'dashboard', environment).host, 'a');
  writeRuntime(folder, { ...INFO, dashboard: 33 });
  const node = resolveClient({ dataDir: folder, host: 'a,b' }, 'intake');
  assert.deepEqual([node.hosts, node.relocate], [['a', 'b'], undefined]);
  assert.equal(joined('b', joined('a', undefined)), 'a,b');
});

test('a variable that was meant to say where the broker is ends a verb, others do not', () => {
  const wrong = (environment: Record<string, string>, options: object = {}) =>
    assert.throws(
      () => resolveTarget(options, 'intake', environment),
      (error: { exitCode: number; message: string }) =>
        error.exitCode === 78 && /did you mean "THRUSTMQ_/.test(error.message),
    );
  wrong({ THRUSTMQ_HOTS: 'mq' });
  wrong({ THRUSTMQ_INTAKE_PROT: '5' });
  wrong({ THRUSTMQ_INTAKE_PROT: '5' }, { host: 'mq' });
  wrong({ THRUSTMQ_WIRES: 'u32' });
  const environment = {
    THRUSTMQ_VERSION: '1.2.3',
    THRUSTMQ_SYNK: 'commit', // of the broker only
    THRUSTMQ_EXHAUST_PROT: '5', // of another verb
    THRUSTMQ_SERVICE_HOST: '10.0.0.1',
  };
  assert.equal(resolveTarget({}, 'intake', environment).port, 1888);
  const given = { host: 'mq', port: 7, wire: 'u64' };
  assert.equal(resolveTarget(given, 'intake', { THRUSTMQ_HOTS: 'x' }).host, 'mq');
});
