// The command line as a person meets it: help, versions, wrong usage, exit codes. Each test runs
// the built program; none needs a broker.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { flagOf, SETTING_KEYS } from '../../src/config/schema.ts';
import { startBroker } from '../support/broker.ts';
import { MAIN, plainEnvironment, thrustmq } from '../support/process.ts';

const folder = mkdtempSync(join(tmpdir(), 'thrustmq-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const PACKAGE = new URL('../../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8'));

test('version: as a verb, as a flag, as JSON', async () => {
  assert.match((await thrustmq(['version'])).stdout, new RegExp(`^thrustmq ${version} `));
  assert.equal((await thrustmq(['--version'])).stdout, `${version}\n`);
  const facts = JSON.parse((await thrustmq(['version', '--json'])).stdout);
  assert.equal(facts.version, version);
  assert.equal(facts.node, process.versions.node);
});

test('help names every verb, goes to standard output and is no error', async () => {
  for (const args of [['--help'], ['-h'], ['help']]) {
    const { code, stdout, stderr } = await thrustmq(args);
    assert.equal(code, 0, args.join());
    assert.equal(stderr, '');
    for (const verb of ['serve', 'pub', 'sub', 'bench', 'stats', 'version'])
      assert.match(stdout, new RegExp(`^  ${verb} `, 'm'));
    assert.match(stdout, /Examples:/);
  }
});

test('help of a verb has its options and examples', async () => {
  for (const [verb, word] of [
    ['pub', '--file'],
    ['sub', '--no-ack'],
    ['stats', '--watch'],
    ['bench', '--first-bucket'],
    ['serve', '--data-dir'],
    ['version', '--json'],
  ]) {
    const long = await thrustmq([verb, '--help']);
    assert.equal(long.code, 0);
    assert.ok(long.stdout.includes(word), verb);
    assert.equal((await thrustmq(['help', verb])).stdout, long.stdout);
  }
});

test('help of serve lists a flag for every setting', async () => {
  const { stdout } = await thrustmq(['serve', '--help']);
  for (const key of SETTING_KEYS) assert.match(stdout, new RegExp(`^  ${flagOf(key)}\\b`, 'm'));
});

test('wrong usage exits 2 with a hint on standard error and no output', async () => {
  const cases: [string[], RegExp][] = [
    [['sevre'], /unknown command 'sevre'[\s\S]*Did you mean serve/],
    [['serve', '--intake-prot', '1'], /unknown option[\s\S]*Did you mean --intake-port/],
    [['--intake-prot', '1'], /unknown option[\s\S]*Did you mean --intake-port/],
    [['serve', '--wire', 'u16'], /--wire: .*u64/],
    [['serve', '--intake-port'], /argument missing/],
    [['serve', '--intake-port', '99999'], /--intake-port: must be a whole number/],
    [['serve', '--max-message', '1banana'], /--max-message: .*64KiB, 1MiB/],
    [['serve', '--intake', 'nowhere'], /--intake: .*HOST:PORT/],
    [['serve', 'extra'], /too many arguments/],
    [['pub'], /missing required argument 'bucket'/],
    [['pub', 'abc', 'x'], /A bucket is a number from 0 to/],
    [['pub', '18446744073709551616', 'x'], /A bucket is a number from 0 to/],
    [['pub', '1', ''], /an empty message cannot be published/],
    [['pub', '1', '--file', join(folder, 'absent')], /cannot read .*absent/],
    [['pub', '1', 'x', '--batch', '0'], /whole number of at least 1/],
    [['pub', '1', 'x', '--timeout', '5'], /write a unit/],
    [['sub'], /missing required argument/],
    [['sub', '1', '--json', '--raw'], /only one of/],
    [['sub', '1', '--wire', 'u65'], /must be u64 or u32/],
    [['stats', '--port', 'x'], /whole number/],
  ];
  for (const [args, pattern] of cases) {
    const { code, stdout, stderr } = await thrustmq(args, { cwd: folder });
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, pattern, args.join(' '));
    assert.equal(stdout, '', args.join(' '));
  }
});

test('wrong configuration exits 78', async () => {
  const file = join(folder, 'bad.toml');
  writeFileSync(file, 'data_dri = "x"\n');
  const fromFile = await thrustmq(['serve', '--config', file]);
  assert.equal(fromFile.code, 78);
  assert.match(fromFile.stderr, /unknown key "data_dri"; did you mean "data_dir"\?/);
  const env = plainEnvironment({ THRUSTMQ_SYNK: 'commit' });
  const fromEnvironment = await thrustmq(['serve'], { env });
  assert.equal(fromEnvironment.code, 78);
  assert.match(fromEnvironment.stderr, /THRUSTMQ_SYNK; did you mean "THRUSTMQ_SYNC"\?/);
  assert.equal((await thrustmq(['serve', '--max-message', '65MiB'])).code, 78);
});

test('log verbs do not look into another folder because of a misspelled variable', async () => {
  const env = plainEnvironment({ THRUSTMQ_DATADIR: '/var/lib/thrustmq' });
  const passedOver = await thrustmq(['log', 'verify'], { env, cwd: folder });
  assert.equal(passedOver.code, 78);
  assert.match(passedOver.stderr, /THRUSTMQ_DATADIR; did you mean "THRUSTMQ_DATA_DIR"\?/);
  const given = await thrustmq(['log', 'verify', '-d', folder], { env, cwd: folder });
  assert.equal(given.code, 74, 'there is no log');
});

test('variables that only begin like ours are named and ignored', async () => {
  const env = plainEnvironment({ THRUSTMQ_VERSION: '1.2.3', THRUSTMQ_HOME: '/opt' });
  const { code, stdout, stderr } = await thrustmq(['serve', '--print-config'], { env });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^THRUSTMQ_VERSION, THRUSTMQ_HOME in the environment are no settings/m);
  assert.equal(JSON.parse(stdout).origins.sync.source, 'default');
  await using broker = await startBroker({ dataDir: join(folder, 'data'), env });
  const { level, names } = await broker.line(({ event }) => event === 'config.unknown-variables');
  assert.deepEqual([level, names], ['warn', ['THRUSTMQ_VERSION', 'THRUSTMQ_HOME']]);
  assert.equal(await broker.stop(), 0);
});

test('--print-config shows values and origins; flags win', async () => {
  const env = plainEnvironment({ THRUSTMQ_WIRE: 'u32', THRUSTMQ_SYNC: 'none' });
  const args = [
    '--sync',
    'interval',
    '--no-dashboard',
    '--intake',
    'a:1',
    '--intake',
    'b:2,wire=u32',
  ];
  const { code, stdout } = await thrustmq(['serve', ...args, '--print-config'], {
    env,
    cwd: folder,
  });
  assert.equal(code, 0);
  const { config, origins } = JSON.parse(stdout);
  assert.equal(config.log.sync, 'interval');
  assert.equal(config.dashboard.enabled, false);
  assert.deepEqual(config.intake.slice(1), [
    { host: 'a', port: 1, wire: 'u64' },
    { host: 'b', port: 2, wire: 'u32' },
  ]);
  assert.equal(config.exhaust[0].wire, 'u32');
  assert.deepEqual(origins.sync, { source: 'flag', name: '--sync', environment: 'THRUSTMQ_SYNC' });
  assert.equal(origins.dashboard.name, '--no-dashboard');
  assert.equal(origins.wire.source, 'environment');
  assert.equal(origins.host.source, 'default');
});

test('a broker that cannot be reached exits 69 with one plain line', async () => {
  // A port that was free a moment ago: nothing listens there.
  const probe = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const port = String((probe.address() as net.AddressInfo).port);
  await new Promise((resolve) => probe.close(resolve));
  for (const args of [
    ['pub', '1', 'x', '--port', port],
    ['sub', '1', '--port', port],
    ['stats', '--port', port],
    ['pub', '1', 'x', '--data-dir', folder],
    ['sub', '1', '--data-dir', folder],
    ['stats', '--data-dir', folder],
  ]) {
    const { code, stdout, stderr } = await thrustmq(args);
    assert.equal(code, 69, `${args.join(' ')}: ${stderr}`);
    assert.equal(stdout, '');
    assert.match(stderr, /^error: .+\n$/, args.join(' '));
    assert.ok(!stderr.includes('    at '), 'no stack');
  }
});

test('output is plain in a pipe; FORCE_COLOR and NO_COLOR are heard', async () => {
  const args = ['stats', '--data-dir', folder];
  assert.ok(!(await thrustmq(args)).stderr.includes('\u001b['));
  const forced = plainEnvironment({ FORCE_COLOR: '1' });
  assert.ok((await thrustmq(args, { env: forced })).stderr.includes('\u001b['));
  const both = plainEnvironment({ FORCE_COLOR: '1', NO_COLOR: '1' });
  assert.ok(!(await thrustmq(args, { env: both })).stderr.includes('\u001b['));
});

test('a reader that takes one line is no error', async () => {
  const child = spawn(process.execPath, [MAIN, 'serve', '--help'], {
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
});
