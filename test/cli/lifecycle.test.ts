// The life of a broker process around a broker that stores nothing: ready line, runtime.json,
// signals, exit codes, the dashboard beside it.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RuntimeInfo } from '../../src/cli/runtime.ts';
import type { StartSnapshot } from '../../src/contract/snapshot.ts';
import { plainEnvironment, Running } from '../support/process.ts';
import { HALF_WAY } from './fake-server.ts';

const root = mkdtempSync(join(tmpdir(), 'thrustmq life '));
after(() => rmSync(root, { recursive: true, force: true }));

const FAKE = fileURLToPath(new URL('./fake-server.js', import.meta.url));
let folders = 0;

interface Broker extends AsyncDisposable {
  program: Running;
  dataDir: string;
  /** Settles with the ready line. */
  ready(): Promise<RuntimeInfo & { level: string; time: string }>;
}

function start(flags: Record<string, unknown> = {}, fault = ''): Broker {
  folders += 1;
  const dataDir = join(root, `data ${folders}`);
  const all = { data_dir: dataDir, intake_port: 0, exhaust_port: 0, dashboard: false, ...flags };
  const program = new Running(process.execPath, [FAKE, JSON.stringify(all)], {
    env: plainEnvironment({ FAKE_FAULT: fault }),
  });
  return {
    program,
    dataDir,
    ready: async () => JSON.parse((await program.output(/^.*"event":"ready".*$/m))[0]),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

function readRuntime(dataDir: string): RuntimeInfo {
  return JSON.parse(readFileSync(join(dataDir, 'runtime.json'), 'utf8'));
}

/** Tells the fake "now". */
async function poke({ intake }: RuntimeInfo): Promise<void> {
  const socket = net.connect(intake, '127.0.0.1');
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.end();
}

test('one ready line, at any level, and the same in runtime.json', async () => {
  await using broker = start({ log_level: 'error', intake: ['127.0.0.1:0,wire=u32'] });
  const line = await broker.ready();
  const { level, time, msg, ...info } = line as typeof line & { msg: string };
  assert.equal(level, 'info');
  assert.match(time, /Z$/);
  assert.equal(msg, 'ready');
  assert.ok(info.intake > 0 && info.exhaust > 0);
  assert.equal(info.dashboard, null);
  assert.equal(info.pid, broker.program.child.pid);
  assert.equal(info.version, '9.9.9');
  assert.equal(info.listeners.intake[1].wire, 'u32');
  assert.ok(info.listeners.intake[1].port > 0);
  assert.deepEqual(readRuntime(broker.dataDir), info);
  assert.equal(broker.program.stdout.split('\n').length, 2, 'nothing else at this level');
});

test('pretty: three lines with ports that can be pasted', async () => {
  await using broker = start({ log_format: 'pretty' });
  await broker.program.output(/receive:.*\n/);
  const { intake, exhaust } = readRuntime(broker.dataDir);
  const text = broker.program.stdout;
  assert.match(
    text,
    new RegExp(`is ready: producers 127.0.0.1:${intake}, consumers .*:${exhaust}, no`),
  );
  assert.match(text, new RegExp(`^  publish:  .* pub 42 "hello" --port ${intake}$`, 'm'));
  assert.match(text, new RegExp(`^  receive:  .* sub 42 --port ${exhaust}$`, 'm'));
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)
  test(`${signal}: stops with 0 and removes runtime.json`, async () => {
    await using broker = start();
    await broker.ready();
    broker.program.child.kill(signal);
    const { code, stdout } = await broker.program.ended;
    assert.equal(code, 0);
    assert.match(stdout, /"event":"stopping".*\n.*"event":"stopped".*\n$/);
    assert.ok(!existsSync(join(broker.dataDir, 'runtime.json')));
  });

test('runtime.json of a broker that came later is left alone', async () => {
  await using broker = start();
  const info = await broker.ready();
  const file = join(broker.dataDir, 'runtime.json');
  const later = JSON.stringify({ ...readRuntime(broker.dataDir), startedAt: 'later' });
  writeFileSync(file, later);
  await poke(info);
  broker.program.child.kill('SIGTERM');
  assert.equal((await broker.program.ended).code, 0);
  assert.equal(readFileSync(file, 'utf8'), later);
});

test('the same signal twice at once, as npm and a terminal send it, is one', async () => {
  await using broker = start();
  await broker.ready();
  broker.program.child.kill('SIGINT');
  broker.program.child.kill('SIGINT');
  assert.equal((await broker.program.ended).code, 0);
});

test('a second signal while stopping exits at once with 1', async () => {
  await using broker = start({}, 'hang-close');
  await broker.ready();
  broker.program.child.kill('SIGINT');
  await broker.program.output(/"event":"stopping"/);
  broker.program.child.kill('SIGTERM');
  const { code, stdout } = await broker.program.ended;
  assert.equal(code, 1);
  assert.match(stdout, /second signal/);
});

test('a stop that does not end is cut off within five seconds', async () => {
  await using broker = start({}, 'hang-close');
  await broker.ready();
  broker.program.child.kill('SIGTERM');
  const { code, stdout } = await broker.program.ended;
  assert.equal(code, 1);
  assert.match(stdout, /"event":"stop.timeout"/);
});

test('a signal during start ends it with 0', async () => {
  await using broker = start({ sync: 'none' }, 'start-never');
  await broker.program.output(/sync\.weak/);
  broker.program.child.kill('SIGTERM');
  assert.equal((await broker.program.ended).code, 0);
});

test('a broker that cannot start gives its exit code and says why', async () => {
  await using locked = start({}, 'start-locked');
  const held = await locked.program.ended;
  assert.equal(held.code, 75);
  assert.match(held.stdout, /"level":"fatal".*"event":"start.failed".*the data folder is in use/);
  await using bug = start({}, 'start-bug');
  const { code, stdout } = await bug.program.ended;
  assert.equal(code, 70);
  assert.match(stdout, /"event":"bug".*nobody expected this/);
});

test('a broker that stops by itself gives its exit code', async () => {
  await using broker = start({}, 'stop-disk');
  await poke(await broker.ready());
  const { code, stdout } = await broker.program.ended;
  assert.equal(code, 74);
  assert.match(stdout, /"event":"stopped","exitCode":74,"reason":"fdatasync failed"/);
  assert.ok(!existsSync(join(broker.dataDir, 'runtime.json')));
});

for (const fault of ['throw-later', 'reject-later'])
  test(`an error nobody caught (${fault}) is logged and exits 70`, async () => {
    await using broker = start({}, fault);
    await poke(await broker.ready());
    const { code, stdout } = await broker.program.ended;
    assert.equal(code, 70);
    assert.match(stdout, /"level":"fatal".*"event":"bug".*later/);
    assert.ok(!existsSync(join(broker.dataDir, 'runtime.json')));
  });

test('weaker promises and open addresses are said in the log', async () => {
  await using broker = start({ sync: 'interval', host: '0.0.0.0' });
  await broker.ready();
  assert.match(broker.program.stdout, /"event":"sync.weak","sync":"interval"/);
  assert.match(broker.program.stdout, /"event":"bind.open","hosts":\["0\.0\.0\.0"\]/);
});

test('a closed reader of the log does not end the broker', async () => {
  await using broker = start();
  const info = await broker.ready();
  broker.program.child.stdout?.destroy();
  broker.program.child.stderr?.destroy();
  await poke(info);
  const exited = new Promise((resolve) => broker.program.child.once('exit', resolve));
  broker.program.child.kill('SIGTERM');
  assert.equal(await exited, 0);
});

test('the dashboard is in the ready line, answers, and goes with the broker', async () => {
  const flags = { dashboard: true, dashboard_port: 0, dashboard_transport: 'node' };
  await using broker = start(flags, 'start-told');
  // A ready line does not wait for ever; so the start takes as long as the dashboard needs.
  await broker.program.output(/"event":"dashboard.listening"/);
  assert.ok(!broker.program.stdout.includes('"event":"ready"'));
  broker.program.child.kill('SIGUSR2');
  const { dashboard } = await broker.ready();
  assert.ok(dashboard);
  const reply = await fetch(`http://127.0.0.1:${dashboard}/dash`);
  assert.equal(((await reply.json()) as { version: string }).version, '9.9.9');
  broker.program.child.kill('SIGKILL');
  await broker.program.ended;
  // The child notices the end of its channel by itself; the port is free when it is gone.
  const gone = async (): Promise<void> => {
    const busy = await fetch(`http://127.0.0.1:${dashboard}/livez`).then(
      () => true,
      () => false,
    );
    if (busy) await new Promise(setImmediate).then(gone);
  };
  await gone();
});

test('while the broker starts, the dashboard says so', async () => {
  const flags = { dashboard: true, dashboard_port: 0, dashboard_transport: 'node' };
  await using broker = start(flags, 'start-never');
  const [, port] = await broker.program.output(/"event":"dashboard.listening","port":(\d+)/);
  const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  const startup = await get('/startupz');
  assert.equal(startup.status, 503);
  assert.match(
    await startup.text(),
    /startup: reading the log: 25 %, 3 of 12 segments, 256 MiB of 1 GiB, 12345 records, \d+\.\d s/,
  );
  const verbose = (await (await get('/startupz?verbose')).json()) as { progress: StartSnapshot };
  const { elapsedMs } = verbose.progress;
  assert.ok(elapsedMs > 0);
  assert.deepEqual(verbose.progress, { ...HALF_WAY, elapsedMs });
  assert.equal((await get('/readyz')).status, 503);
  assert.equal((await get('/livez')).status, 200);
  assert.equal((await get('/dash')).status, 503);
});

test('a dashboard port that is taken is null in the ready line and no trouble', async () => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as net.AddressInfo;
  await using broker = start({ dashboard: true, dashboard_port: port });
  assert.equal((await broker.ready()).dashboard, null);
  // Where its process takes long to come, the broker was ready before it could say so.
  await broker.program.output(/"level":"error".*dashboard cannot listen/);
  // As soon as it is free the dashboard comes, and runtime.json says where.
  await new Promise((resolve) => taken.close(resolve));
  await broker.program.output(/"event":"dashboard.listening"/);
  assert.equal(readRuntime(broker.dataDir).dashboard, port);
  broker.program.child.kill('SIGTERM');
  assert.equal((await broker.program.ended).code, 0);
});
