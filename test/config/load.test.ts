// Where settings come from: precedence, origins, errors with hints, and what the settings become.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { isLoopback } from '../../src/config/address.ts';
import type { ClusterKey } from '../../src/config/cluster-settings.ts';
import {
  ConfigError,
  type LoadedConfig,
  loadConfig,
  type Sources,
  withoutSecrets,
} from '../../src/config/load.ts';
import { environmentNameOf, SETTING_KEYS, type SettingKey } from '../../src/config/schema.ts';
import { DEFAULT_LIMITS } from '../../src/core/limits.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'thrustmq config '));
  writeFileSync(join(folder, 'token'), `${'f'.repeat(20)}\n`);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function load(sources: Partial<Sources> = {}): Promise<LoadedConfig> {
  return loadConfig({
    flags: {},
    environment: {},
    workingDir: folder,
    terminal: false,
    ...sources,
  });
}

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

function rejects(sources: Partial<Sources>, pattern: RegExp, exitCode = 78): Promise<void> {
  return assert.rejects(load(sources), (error: unknown) => {
    assert.ok(error instanceof ConfigError, String(error));
    assert.match(error.message, pattern);
    assert.equal(error.exitCode, exitCode, error.message);
    return true;
  });
}

test('defaults are those of the contract', async () => {
  const { config, origins, file: read } = await load();
  assert.deepEqual(config, {
    dataDir: join(folder, 'data'),
    unsafeNoLock: false,
    requireData: false,
    intake: [{ host: '127.0.0.1', port: 1888, wire: 'u64' }],
    exhaust: [{ host: '127.0.0.1', port: 2888, wire: 'u64' }],
    dashboard: {
      enabled: true,
      host: '127.0.0.1',
      port: 3888,
      transport: 'auto',
      allowedHosts: [],
      readOnly: false,
    },
    log: { sync: 'commit', syncIntervalMs: 100, spareBytes: 0 },
    limits: {
      ...DEFAULT_LIMITS,
      bufferBytesMax: config.memory.shares.buffers,
      framesMax: 6,
      marksMax: config.memory.shares.marks! / 32,
    },
    memory: config.memory, // memory.test.ts
    logging: { level: 'info', format: 'json' },
  });
  assert.equal(read, undefined);
  for (const key of SETTING_KEYS) assert.equal(origins[key].source, 'default', key);
});

test('flags win over the environment, that over the file, the file over defaults', async () => {
  file('thrustmq.toml', 'intake_port = 11\nexhaust-port = 21\ndashboard_port = 31\n');
  const { config, origins } = await load({
    flags: { intake_port: '13' },
    environment: { THRUSTMQ_INTAKE_PORT: '12', THRUSTMQ_EXHAUST_PORT: '22' },
  });
  assert.deepEqual(
    [config.intake[0].port, config.exhaust[0].port, config.dashboard.port],
    [13, 22, 31],
  );
  assert.deepEqual(origins.intake_port, { source: 'flag', name: '--intake-port' });
  assert.deepEqual(origins.exhaust_port, { source: 'environment', name: 'THRUSTMQ_EXHAUST_PORT' });
  assert.equal(origins.dashboard_port.source, 'file');
  assert.match(origins.dashboard_port.name, /thrustmq\.toml: dashboard_port$/);
  assert.equal(origins.wire.source, 'default');
});

// One value for each setting that differs from its default, as the environment would write it, and
// where it must show up.
type Sample = [string, (loaded: LoadedConfig['config']) => unknown, unknown];
// Those of a cluster mean nothing one by one: cluster.test.ts.
const SAMPLES: Record<Exclude<SettingKey, ClusterKey>, Sample> = {
  data_dir: ['/tmp/q', (c) => c.dataDir, '/tmp/q'],
  host: [
    '::1',
    (c) => [c.intake[0].host, c.exhaust[0].host, c.dashboard.host].join(),
    '::1,::1,::1',
  ],
  intake_port: ['0', (c) => c.intake[0].port, 0],
  exhaust_port: ['65535', (c) => c.exhaust[0].port, 65_535],
  dashboard_port: ['1', (c) => c.dashboard.port, 1],
  wire: ['u32', (c) => [c.intake[0].wire, c.exhaust[0].wire].join(), 'u32,u32'],
  intake: [
    'a:1,wire=u32; b:2',
    (c) =>
      c.intake
        .slice(1)
        .map((l) => l.host + l.wire)
        .join(),
    'au32,bu64',
  ],
  exhaust: ['[::1]:9', (c) => c.exhaust[1]?.host, '::1'],
  sync: ['none', (c) => c.log.sync, 'none'],
  sync_interval: ['2s', (c) => c.log.syncIntervalMs, 2000],
  spare: ['1GiB', (c) => c.log.spareBytes, 2 ** 30],
  max_message: ['2MiB', (c) => c.limits.messageBytesMax, 2_097_152],
  memory: ['640MiB', (c) => c.memory.budgetBytes, 671_088_640],
  dashboard: ['off', (c) => c.dashboard.enabled, false],
  dashboard_host: ['127.0.0.9', (c) => c.dashboard.host, '127.0.0.9'],
  dashboard_allow_host: ['mq.local q', (c) => c.dashboard.allowedHosts.join(), 'mq.local,q'],
  dashboard_transport: ['node', (c) => c.dashboard.transport, 'node'],
  dashboard_token: ['t'.repeat(16), (c) => c.dashboard.token, 't'.repeat(16)],
  dashboard_token_file: ['token', (c) => c.dashboard.token, 'f'.repeat(20)],
  dashboard_read_only: ['on', (c) => c.dashboard.readOnly, true],
  log_level: ['trace', (c) => c.logging.level, 'trace'],
  trace_bucket: ['0xff', (c) => c.logging.traceBucket, '255'],
  log_format: ['pretty', (c) => c.logging.format, 'pretty'],
  max_batch: ['10', (c) => c.limits.batchMessagesMax, 10],
  max_connections: ['7', (c) => c.limits.connectionsMax, 7],
  max_connections_per_address: ['3', (c) => c.limits.connectionsPerAddressMax, 3],
  segment_size: ['128MiB', (c) => c.limits.segmentBytes, 134_217_728],
  reserve: ['1MiB', (c) => c.limits.reserveBytes, 1_048_576],
  buffer: ['48MiB', (c) => c.limits.bufferBytesMax, 50_331_648],
  peer_buffer: ['1MiB', (c) => c.limits.peerBytesMax, 1_048_576],
  delivery: ['2MiB', (c) => c.limits.deliveryBytesMax, 2_097_152],
  delivery_u32: ['16KiB', (c) => c.limits.deliveryBytesMaxU32, 16_384],
  consumer_header_timeout: ['1s', (c) => c.limits.consumerHeaderMs, 1000],
  partial_timeout: ['1m', (c) => c.limits.partialMessageMs, 60_000],
  heartbeat: ['500ms', (c) => c.limits.heartbeatMs, 500],
  heartbeat_timeout: ['3s', (c) => c.limits.heartbeatAckMs, 3000],
  ack_commit_delay: ['1ms', (c) => c.limits.ackCommitMs, 1],
  proof_delay: ['1s', (c) => c.limits.proofMs, 1000],
  require_data: ['yes', (c) => c.requireData, true],
  unsafe_no_lock: ['yes', (c) => c.unsafeNoLock, true],
};

for (const key of Object.keys(SAMPLES) as (keyof typeof SAMPLES)[])
  test(`setting ${key} takes effect from a flag, the environment and both files`, async () => {
    const [text, read, expected] = SAMPLES[key];
    assert.notDeepEqual(read((await load()).config), expected, 'the sample is the default');
    assert.deepEqual(read((await load({ flags: { [key]: text } })).config), expected);
    const environment = { [environmentNameOf(key)]: text };
    assert.deepEqual(read((await load({ environment })).config), expected);
    const toml = file('a.toml', `${key} = ${JSON.stringify(text)}\n`);
    assert.deepEqual(read((await load({ configFile: toml })).config), expected);
    const json = file('a.json', JSON.stringify({ [key.replaceAll('_', '-')]: text }));
    assert.deepEqual(read((await load({ configFile: json })).config), expected);
  });

test('a node of a cluster is one by flags, the environment or a file; its token is not shown', async () => {
  const toml = `cluster = "prod"
    cluster_node = 2
    cluster_nats = ["n1:4222", "n2:4222"]
    cluster_token = "0123456789abcdef"
    cluster_own = "1s"`;
  const { config } = await load({ configFile: file('c.toml', toml), flags: { cluster_node: '3' } });
  const { name, node, nats, ownMs, token } = config.cluster!;
  assert.deepEqual(
    [name, node, nats.servers, ownMs, token],
    ['prod', 3, ['n1:4222', 'n2:4222'], 1000, '0123456789abcdef'],
  );
  assert.equal(withoutSecrets(config).cluster!.token, '(set)');
  assert.equal((await load()).config.cluster, undefined);
  await assert.rejects(
    load({ flags: { cluster_beat: '1s' } }),
    /--cluster-beat does nothing without/,
  );
  const environment = { THRUSTMQ_CLUSTER_NODE: '1' };
  await assert.rejects(load({ environment }), /THRUSTMQ_CLUSTER_NODE does nothing without/);
});

test('the file may use numbers, booleans, lists and tables', async () => {
  const toml = `
    intake_port = 5
    max_message = 4096
    dashboard = false
    exhaust = ["h:1,wire=u32"]
    [[intake]]
    host = "::1"
    port = 1889
    wire = "u32"
    [[intake]]
    host = "10.0.0.1"
    port = 1890
  `;
  const { config } = await load({ configFile: file('x.toml', toml) });
  assert.deepEqual(config.intake, [
    { host: '127.0.0.1', port: 5, wire: 'u64' },
    { host: '::1', port: 1889, wire: 'u32' },
    { host: '10.0.0.1', port: 1890, wire: 'u64' },
  ]);
  assert.deepEqual(config.exhaust[1], { host: 'h', port: 1, wire: 'u32' });
  assert.equal(config.limits.messageBytesMax, 4096);
  assert.equal(config.dashboard.enabled, false);
});

test('the id of a bucket that a file would round is refused, and is exact in quotes', async () => {
  const given = async (id: string) => {
    const configFile = file('id.json', `{"trace_bucket": ${id}}`);
    return (await load({ configFile })).config.logging.traceBucket;
  };
  assert.equal(await given('9007199254740991'), '9007199254740991');
  assert.equal(await given('"9007199254740993"'), '9007199254740993');
  assert.equal(await given('"0xFFFFFFFFFFFFFFFF"'), '18446744073709551615');
  for (const id of ['9007199254740993', '18446744073709551615'])
    await assert.rejects(given(id), /trace_bucket.* must stand in quotes/);
  for (const id of ['-1', '1.5', '"18446744073709551616"'])
    await assert.rejects(given(id), /trace_bucket.* must be a number from 0 to /);
});

test('the file is found by flag, environment, then name in the working folder', async () => {
  const a = file('a.toml', 'intake_port = 1');
  const b = file('b.json', '{"intake_port": 2}');
  file('thrustmq.json', '{"intake_port": 3}');
  const port = async (sources: Partial<Sources>) => (await load(sources)).config.intake[0].port;
  assert.equal(await port({ configFile: 'a.toml', environment: { THRUSTMQ_CONFIG: b } }), 1);
  assert.equal(await port({ environment: { THRUSTMQ_CONFIG: 'b.json' } }), 2);
  assert.equal(await port({}), 3);
  assert.equal((await load({ configFile: a })).file, a);
});

test('two files with our name are one too many', async () => {
  file('thrustmq.toml', '');
  file('thrustmq.json', '{}');
  await rejects({}, /both thrustmq\.toml and thrustmq\.json exist/);
});

test('an unknown key in a file is an error with a hint', async () => {
  file('thrustmq.toml', 'intake_prot = 1');
  await rejects({}, /unknown key "intake_prot"; did you mean "intake_port"\?/);
  file('thrustmq.toml', 'max-mesage = "1MiB"');
  await rejects({}, /unknown key "max-mesage"; did you mean "max_message"\?/);
  file('thrustmq.toml', 'zzzzzzzzzzzz = 1');
  await rejects({}, /unknown key "zzzzzzzzzzzz"$/);
  file('thrustmq.toml', '__proto__ = 1');
  await rejects({}, /unknown key "__proto__"/);
});

test('an unknown environment variable of ours is an error with a hint', async () => {
  const environment = { THRUSTMQ_DATADIR: '/tmp', HOME: '/root' };
  await rejects(
    { environment },
    /unknown environment variable THRUSTMQ_DATADIR; did you mean "THRUSTMQ_DATA_DIR"\?/,
  );
});

test('variables of a Kubernetes service, empty ones and those of tests are not ours', async () => {
  const { config } = await load({
    environment: {
      THRUSTMQ_SERVICE_HOST: '10.0.0.1',
      THRUSTMQ_SERVICE_PORT: '1888',
      THRUSTMQ_SERVICE_PORT_INTAKE: '1888',
      THRUSTMQ_PORT: 'tcp://10.0.0.1:1888',
      THRUSTMQ_PORT_1888_TCP_ADDR: '10.0.0.1',
      THRUSTMQ_INTAKE_PORT: 'tcp://10.0.0.1:1888',
      THRUSTMQ_TEST_SEED: '1',
      THRUSTMQ_HOST: '',
    },
  });
  assert.equal(config.intake[0].port, 1888);
  assert.equal(config.intake[0].host, '127.0.0.1');
});

test('a value that does not fit names its source; only flags make it wrong usage', async () => {
  await rejects(
    { flags: { intake_port: '70000' } },
    /^--intake-port: must be a whole number from 0 to 65535/,
    2,
  );
  await rejects({ flags: { sync: 'always' } }, /^--sync: .*commit/, 2);
  await rejects({ flags: { intake: ['nohost'] } }, /^--intake: .*HOST:PORT/, 2);
  await rejects({ environment: { THRUSTMQ_WIRE: 'u16' } }, /^THRUSTMQ_WIRE: .*u64/);
  await rejects(
    { environment: { THRUSTMQ_DASHBOARD: 'maybe' } },
    /must be true or false, not "maybe"/,
  );
  for (const name of ['https://mq.example', 'mq.example/', 'a@mq', '*.example', 'mq:', 'mq:99999'])
    await rejects({ flags: { dashboard_allow_host: [name] } }, /NAME:PORT.*without a scheme/, 2);
  for (const name of [
    'mq',
    'MQ.example.:8443',
    '[::1]',
    '[2001:db8::7]:443',
    '::1',
    'b\u00fccher.example',
  ])
    assert.deepEqual(
      (await load({ flags: { dashboard_allow_host: [name] } })).config.dashboard.allowedHosts,
      [name],
    );
  file('thrustmq.toml', 'heartbeat = 900');
  await rejects({}, /thrustmq\.toml: heartbeat: "900" is not a duration/);
  await rejects(
    { flags: { wire: 'x' }, environment: { THRUSTMQ_HEARTBEAT: 'x' } },
    /--wire.*\n.*HEARTBEAT/,
  );
});

test('a listener table with a key too many or too few is refused', async () => {
  file('thrustmq.toml', '[[intake]]\nhost = "a"\nport = 1\nwier = "u32"');
  await rejects({}, /thrustmq\.toml: intake/);
  file('thrustmq.toml', '[[intake]]\nhost = "a"');
  await rejects({}, /thrustmq\.toml: intake/);
});

test('files that cannot be read or parsed are configuration errors', async () => {
  await rejects({ configFile: 'absent.toml' }, /cannot read the config file .*absent\.toml/);
  await rejects({ configFile: file('bad.toml', 'a = = 1') }, /bad\.toml does not parse/);
  await rejects({ configFile: file('bad.json', '[1]') }, /must hold a table/);
});

test('a larger message gets a segment that fits; a segment that was given stays', async () => {
  const { config } = await load({ flags: { max_message: '64MiB' } });
  assert.equal(config.limits.segmentBytes, 144 * 1024 ** 2);
  await rejects(
    { flags: { max_message: '64MiB', segment_size: '64MiB' } },
    /too small for messages/,
  );
  await rejects({ flags: { max_message: '65MiB' } }, /at most 67108864 bytes/);
  await rejects({ flags: { max_message: '0' } }, /must be a positive whole number/);
});

test('log lines are pretty on a terminal only', async () => {
  assert.equal((await load({ terminal: true })).config.logging.format, 'pretty');
  const forced = await load({ terminal: true, flags: { log_format: 'json' } });
  assert.equal(forced.config.logging.format, 'json');
});

test('a dashboard beyond loopback needs a token, and stays on loopback without one', async () => {
  const open = { dashboard_host: '0.0.0.0' };
  await rejects({ flags: open }, /0\.0\.0\.0 could be used by whoever reaches it/);
  const { config: alone } = await load({ flags: { host: '0.0.0.0' } });
  assert.equal(alone.intake[0].host, '0.0.0.0');
  assert.equal(alone.dashboard.host, '127.0.0.1');
  const token = 'a-secret-of-some-length';
  const { config } = await load({ flags: { ...open, dashboard_token: token } });
  assert.equal(config.dashboard.host, '0.0.0.0');
  assert.ok(!JSON.stringify(withoutSecrets(config)).includes(token));
  const both = { dashboard_token: token, dashboard_token_file: 'token' };
  await rejects({ flags: both }, /both given/);
  await rejects({ flags: { dashboard_token_file: 'none' } }, /cannot read the token file .*none/);
  await rejects({ flags: { dashboard_token: 'short' } }, /16 to 256 characters/, 2);
});

test('files of other editors: byte order marks are taken off, other encodings refused', async () => {
  const mark = '\ufeff';
  for (const path of [
    file('marked.toml', `${mark}intake_port = 5\r\n`),
    file('marked.json', `${mark}{"intake_port": 5,\r\n "dashboard_token_file": "marked.token"}`),
  ]) {
    file('marked.token', `${mark}${'s'.repeat(20)}\r\n`);
    const { config } = await load({ configFile: path });
    assert.equal(config.intake[0]!.port, 5);
    if (path.endsWith('.json')) assert.equal(config.dashboard.token, 's'.repeat(20));
  }
  writeFileSync(join(folder, 'latin1.toml'), Buffer.from('data_dir = "/donn\xe9es"', 'latin1'));
  await rejects({ configFile: join(folder, 'latin1.toml') }, /latin1\.toml: it is not UTF-8/);
  writeFileSync(join(folder, 'token'), Buffer.from(`${mark}${'s'.repeat(20)}`, 'utf16le'));
  await rejects({ flags: { dashboard_token_file: 'token' } }, /token file .*UTF-16/);
});

test('loopback is loopback however it is written', () => {
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1', '[::1]', '0:0:0:0:0:0:0:1'])
    assert.ok(isLoopback(host), host);
  for (const host of ['::ffff:127.0.0.1', '[::ffff:7f00:1]']) assert.ok(isLoopback(host), host);
  for (const host of [
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '::ffff:10.0.0.1',
    'example.com',
    '127.0.0.1.example.com',
  ])
    assert.ok(!isLoopback(host), host);
});

test('a default that follows from a limit says so, one that was given does not', async () => {
  const memoryLimit = { bytes: 400 * 1024 ** 2, name: '/sys/fs/cgroup/memory.max' };
  const { config, origins } = await load({ memoryLimit });
  assert.equal(config.memory.budgetBytes, 272 * 1024 ** 2);
  assert.deepEqual(origins.memory, {
    source: 'cgroup',
    name: 'limit: /sys/fs/cgroup/memory.max',
  });
  const alone = await load({ memoryLimit, flags: { dashboard: false } });
  assert.equal(alone.config.memory.budgetBytes, 368 * 1024 ** 2);
  const given = await load({ memoryLimit, flags: { memory: '512MiB' } });
  assert.deepEqual(given.origins.memory, { source: 'flag', name: '--memory' });
  const ample = await load({ memoryLimit: { ...memoryLimit, bytes: 2 ** 33 } });
  assert.equal(ample.origins.memory.source, 'default');
});
