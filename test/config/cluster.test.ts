// Settings of a cluster: that each reaches the configuration, and which are refused together.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import * as z from 'zod';
import { buildCluster, type ClusterContext } from '../../src/config/cluster.ts';
import { CLUSTER_SHAPE, type ClusterKey } from '../../src/config/cluster-settings.ts';
import { SETTING_KEYS, type SettingMeta } from '../../src/config/schema.ts';
import { temporaryFolder } from '../support/broker.ts';

const TABLE = z.strictObject(CLUSTER_SHAPE);
const KEYS = Object.keys(CLUSTER_SHAPE) as ClusterKey[];
type Given = Partial<Record<ClusterKey, unknown>>;

const ENOUGH = { cluster: 'prod', cluster_node: '1', cluster_nats: 'n1:4222 n2:4222;n3:4222' };

function build(given: Given, more: Partial<ClusterContext> = {}) {
  return buildCluster(TABLE.parse(given), {
    givenAs: (key) => (key in given ? `--${key.replaceAll('_', '-')}` : undefined),
    workingDir: '/w',
    sync: 'commit',
    ...more,
  });
}

test('a broker without them is no node', () => {
  assert.equal(build({}), undefined);
});

test('each is described, has a name of its own, and a default that is taken', () => {
  for (const key of KEYS) {
    const meta = CLUSTER_SHAPE[key].meta() as unknown as SettingMeta;
    assert.match(key, /^cluster(_[a-z]+)*$/);
    assert.ok(meta.description.length > 10, key);
    assert.ok(SETTING_KEYS.includes(key), key);
    assert.ok(CLUSTER_SHAPE[key].safeParse(undefined).success, key);
  }
});

test('what is enough for a node, and its defaults', () => {
  assert.deepEqual(JSON.parse(JSON.stringify(build(ENOUGH))), {
    name: 'prod',
    node: 1,
    nats: { servers: ['n1:4222', 'n2:4222', 'n3:4222'], monitors: [] },
    stream: { maxBytes: 16 * 1024 ** 3, replicas: 3 },
    baseSlackBytes: 1024 ** 3,
    accepted: { synced: false, unsafeSync: false, unsafeServer: false },
    listen: { host: '127.0.0.1', port: 4888 },
    advertise: { host: '127.0.0.1', port: 4888 },
    ttlMs: 2000,
    ownMs: 1200,
    beatMs: 500,
  });
});

test('every setting changes what is built', () => {
  const other: Given = {
    cluster: 'test',
    cluster_node: 2,
    cluster_nats: ['tls://h:1'],
    cluster_nats_creds: 'c',
    cluster_nats_ca: 'ca',
    cluster_nats_cert: 'cert',
    cluster_nats_key: 'key',
    cluster_nats_monitor: 'http://h:8222',
    cluster_nats_synced: true,
    cluster_unsafe_sync: true,
    cluster_unsafe_server: true,
    cluster_replicas: 1,
    cluster_max_bytes: '1GiB',
    cluster_base_slack: '2GiB',
    cluster_listen: '[::1]:5000',
    cluster_advertise: 'mq1:5000',
    cluster_token: 'x'.repeat(16),
    cluster_tls_ca: 'tca',
    cluster_tls_cert: 'tcert',
    cluster_tls_key: 'tkey',
    cluster_avoid_server: 'n1',
    cluster_ttl: '4s',
    cluster_own: '1s',
    cluster_beat: '100ms',
  };
  const folder = temporaryFolder();
  fs.writeFileSync(path.join(folder, 'token'), `${'y'.repeat(16)}\n`);
  other.cluster_token_file = path.join(folder, 'token');
  const together: [ClusterKey, ClusterKey[]][] = [
    ['cluster_nats_cert', ['cluster_nats_key']],
    ['cluster_nats_key', ['cluster_nats_cert']],
    ['cluster_replicas', ['cluster_unsafe_server']],
    ['cluster_tls_ca', ['cluster_tls_cert', 'cluster_tls_key']],
    ['cluster_tls_cert', ['cluster_tls_ca', 'cluster_tls_key']],
    ['cluster_tls_key', ['cluster_tls_ca', 'cluster_tls_cert']],
  ];
  const before = JSON.stringify(build(ENOUGH));
  for (const key of KEYS) {
    assert.notEqual(other[key], undefined, key);
    const also = new Map(together).get(key) ?? [];
    const given = Object.fromEntries([key, ...also].map((one) => [one, other[one]]));
    assert.notEqual(JSON.stringify(build({ ...ENOUGH, ...given })), before, key);
  }
  const files = build({ ...ENOUGH, cluster_nats_creds: 'c' })!.nats;
  assert.equal(files.credsFile, '/w/c');
  const byFile = { ...ENOUGH, cluster_token_file: other.cluster_token_file };
  assert.equal(build(byFile)!.tokenFile, other.cluster_token_file);
});

test('without --cluster any other is an error that says so', () => {
  for (const key of KEYS.filter((one) => one !== 'cluster')) {
    const givenAs = (one: ClusterKey) => (one === key ? `THRUSTMQ_${key}` : undefined);
    assert.throws(
      () => build({}, { givenAs }),
      { name: 'ConfigError', exitCode: 78, message: new RegExp(`^THRUSTMQ_${key} does nothing`) },
      key,
    );
  }
});

test('what does not go together is refused, with what to do', () => {
  const cases: [Given, RegExp, Partial<ClusterContext>?][] = [
    [{ cluster_node: undefined }, /needs --cluster-node N/],
    [{ cluster_nats: '' }, /needs --cluster-nats HOST:PORT/],
    [{}, /needs --sync commit, not interval/, { sync: 'interval' }],
    [{}, /needs --sync commit, not none/, { sync: 'none' }],
    [{ cluster_nats_cert: 'x' }, /-cert and --cluster-nats-key go together/],
    [{ cluster_nats_key: 'x' }, /-cert and --cluster-nats-key go together/],
    [{ cluster_tls_ca: 'x', cluster_tls_key: 'y' }, /--cluster-tls-ca, .* go together/],
    [{ cluster_listen: 'mq1:4888' }, /reaches mq1:4888 could speak for a node.*token-file/],
    [{ cluster_listen: '[2001:db8::1]:4888' }, /reaches \[2001:db8::1\]:4888 could speak/],
    [{ cluster_listen: '0.0.0.0:1', cluster_token: 'x'.repeat(16) }, /--cluster-advertise/],
    [{ cluster_nats_synced: true, cluster_unsafe_sync: true }, /leave one out/],
    [{ cluster_replicas: 2 }, /must be 3, or 1/],
    [{ cluster_replicas: 1 }, /--cluster-unsafe-server/],
    [{ cluster_max_bytes: '63MiB' }, /64MiB or more/],
    [{ cluster_beat: '49ms' }, /--cluster-beat must be 50ms/],
    [{ cluster_own: '500ms' }, /longer than --cluster-beat/],
    [{ cluster_own: '1400ms' }, /less --cluster-beat and 100ms \(1400ms\)/],
    [{ cluster_token: 'x'.repeat(16), cluster_token_file: 'f' }, /are both given/],
    [{ cluster_token_file: 'nowhere' }, /cannot read the token file \/w\/nowhere/],
  ];
  for (const [given, message, context] of cases)
    assert.throws(() => build({ ...ENOUGH, ...given }, context), { exitCode: 78, message });
  build({ ...ENOUGH, cluster_own: '1399ms' });
});

test('values that do not fit are refused by themselves', () => {
  for (const [key, wrong] of [
    ['cluster', 'a.b'],
    ['cluster', 'x'.repeat(33)],
    ['cluster_node', 0],
    ['cluster_nats', 'nats://me:secret@h:4222'],
    ['cluster_nats_monitor', 'h:8222'],
    ['cluster_nats_monitor', 'file:///varz'],
    ['cluster_listen', '4888'],
    ['cluster_advertise', 'mq1:65536'],
    ['cluster_token', 'short'],
  ] as const)
    assert.ok(!CLUSTER_SHAPE[key].safeParse(wrong).success, `${key} ${wrong}`);
});
