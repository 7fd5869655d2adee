// Signals that operators, tools and terminals send to daemons: none ends the broker that does not
// ask for it, none opens a debugger, one shows what is going on.

import assert from 'node:assert/strict';
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FakeExhaust, FakeIntake } from '../client/fake-broker.ts';
import { MAIN, plainEnvironment, Running } from '../support/process.ts';

const root = mkdtempSync(join(tmpdir(), 'thrustmq-signals-'));
after(() => rmSync(root, { recursive: true, force: true }));

const FAKE = fileURLToPath(new URL('./fake-server.js', import.meta.url));
const CHILD = fileURLToPath(new URL('../../src/dashboard/child.js', import.meta.url));
const REQUESTS: [NodeJS.Signals, RegExp][] = [
  ['SIGHUP', /"event":"signal.hup".*nothing to read again/],
  ['SIGUSR1', /"event":"signal.usr1".*nothing to open again/],
  ['SIGUSR2', /"event":"state"/],
];

interface Options {
  flags?: Record<string, unknown>;
  fault?: string;
  /** Commands in front of node. */
  wrapper?: string[];
  /** In a process group of its own. */
  detached?: boolean;
}

let folders = 0;

function start({ flags, fault = '', wrapper = [], detached = false }: Options = {}): Running {
  folders += 1;
  const usual = { intake_port: 0, exhaust_port: 0, dashboard: false };
  const all = { data_dir: join(root, `data ${folders}`), ...usual, ...flags };
  const [command, ...args] = [...wrapper, process.execPath, FAKE, JSON.stringify(all)];
  const env = plainEnvironment({ FAKE_FAULT: fault });
  return new Running(command!, args, { env, detached });
}

async function stopsWith0(program: Running): Promise<void> {
  program.child.kill('SIGTERM');
  const { code, stdout, stderr } = await program.ended;
  assert.equal(code, 0, stdout + stderr);
  assert.doesNotMatch(stderr, /Debugger/);
}

const nohup = spawnSync('nohup', ['true'], { stdio: 'ignore' }).status === 0 ? ['nohup'] : [];

for (const wrapper of [[], nohup])
  test(`a broker answers HUP, USR1 and USR2 with a line and goes on${wrapper.length > 0 ? ', under nohup' : ''}`, {
    skip: wrapper === nohup && nohup.length === 0 ? 'no nohup' : false,
  }, async () => {
    await using program = start({ wrapper });
    await program.output(/"event":"ready"/);
    for (const [signal, line] of REQUESTS) {
      program.child.kill(signal);
      await program.output(line);
    }
    await stopsWith0(program);
  });

test('they are answered while it starts, too', async () => {
  await using program = start({ flags: { sync: 'none' }, fault: 'start-never' });
  await program.output(/sync\.weak/);
  for (const [signal, line] of REQUESTS) {
    program.child.kill(signal);
    await program.output(line);
  }
  const state = JSON.parse((await program.output(/^.*"event":"state".*$/m))[0]);
  assert.equal(state.ready, false);
  assert.equal(state.progress.segmentsTotal, 12);
  assert.match(state.msg, /not ready \(startup: reading the log: 25 %/);
  await stopsWith0(program);
});

test('USR2 shows the state at any level, in one line of bounded size', async () => {
  await using program = start({ flags: { log_level: 'fatal' } });
  await program.output(/"event":"ready"/);
  program.child.kill('SIGUSR2');
  const state = JSON.parse((await program.output(/^.*"event":"state".*$/m))[0]);
  assert.equal(state.pid, program.child.pid);
  assert.equal(state.ready, true);
  assert.deepEqual(state.notReady, []);
  assert.equal(state.stopping, false);
  assert.equal(state.buckets.ready, 9);
  assert.deepEqual(state.buckets.top, [
    { id: '42', ready: 9, unacked: 2, delayed: 0, consumers: 1, exact: true },
  ]);
  assert.equal(state.connections.list.length, 1);
  assert.equal(state.log.segments, 1);
  assert.equal(state.log.unsyncedBytes, '0');
  assert.equal(state.memory.budgetBytes, 536_870_912);
  assert.equal(typeof state.eventLoopDelayMs.recentMax, 'number');
  assert.ok(Object.keys(state.resources).length > 0);
  assert.match(state.msg, /^state: up .*, ready, 1 producers and 1 consumers, 9 messages ready/);
  await stopsWith0(program);
});

test('signals to the whole group are for the broker; the dashboard goes with it', async () => {
  const flags = { dashboard: true, dashboard_port: 0, dashboard_transport: 'node' };
  await using program = start({ flags, detached: true });
  const [, port] = await program.output(/"event":"ready".*"dashboard":(\d+)/);
  const group = -program.child.pid!;
  for (const [signal, line] of REQUESTS) {
    process.kill(group, signal);
    await program.output(line);
  }
  const url = `http://127.0.0.1:${port}/livez`;
  assert.equal((await fetch(url)).status, 200);
  process.kill(group, 'SIGQUIT');
  const { code, stdout } = await program.ended;
  assert.equal(code, 0, stdout);
  assert.doesNotMatch(stdout, /dashboard\.ended/);
  await assert.rejects(fetch(url));
});

// As SIGUSR1 does it in the moment before anything of ours runs.
const OPENED =
  'data:text/javascript,import inspector from "node:inspector"; inspector.open(0, "127.0.0.1");' +
  'process.on("exit", () => console.error("url", inspector.url()));';

test('a debugger that a signal opened before the first moment is closed', async () => {
  const args = ['--import', OPENED, MAIN, 'version'];
  await using program = new Running(process.execPath, args, { env: plainEnvironment() });
  const { code, stderr } = await program.ended;
  assert.equal(code, 0);
  assert.match(stderr, /Debugger listening[\s\S]*^url undefined$/m);
});

test('the same in the process of the dashboard, which no signal ends', async () => {
  const stdio: ['ignore', 'ignore', 'pipe', 'ipc'] = ['ignore', 'ignore', 'pipe', 'ipc'];
  const child = fork(CHILD, [], { execArgv: ['--import', OPENED], env: plainEnvironment(), stdio });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.send({
    type: 'start',
    options: { host: '127.0.0.1', port: 0, transport: 'node', allowedHosts: [], readOnly: false },
  });
  const exited = once(child, 'exit');
  const read = once(child.stderr!, 'end');
  const listening = new Promise((resolve) => {
    child.on('message', ({ type }: { type: string }) => {
      if (type === 'listening') resolve(undefined);
    });
  });
  await listening;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)
    child.kill(signal);
  child.disconnect();
  const [code, signal] = await exited;
  await read;
  assert.deepEqual([code, signal], [0, null], stderr);
  assert.match(stderr, /^url undefined$/m);
});

test('sub and pub without a terminal outlive a hangup', async () => {
  await using exhaust = await new FakeExhaust().start();
  const sub = ['sub', '7', '-n', '1', '-p', String(exhaust.port)];
  await using receiver = new Running(process.execPath, [MAIN, ...sub], { env: plainEnvironment() });
  const link = await exhaust.links.next();
  receiver.child.kill('SIGHUP');
  receiver.child.kill('SIGUSR1');
  link.deliver('one');
  const received = await receiver.ended;
  assert.deepEqual([received.code, received.stdout], [0, 'one\n'], received.stderr);
  assert.doesNotMatch(received.stderr, /Debugger/);

  await using intake = await new FakeIntake().start();
  await using sender = new Running(
    process.execPath,
    [MAIN, 'pub', '7', '-p', String(intake.port)],
    { env: plainEnvironment(), stdio: ['pipe', 'pipe', 'pipe'] },
  );
  sender.child.stdin?.write('one\n');
  await intake.batches.next();
  sender.child.kill('SIGHUP');
  sender.child.stdin?.end('two\n');
  assert.equal((await sender.ended).code, 0);
  assert.equal(intake.stored.length, 2);
});

// Closes the terminal of a program that has said "ready", and then asks it to stop.
const CLOSE_TERMINAL = `
import fcntl, os, pty, signal, sys, termios
master, slave = pty.openpty()
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.close(master)
    os.execvp(sys.argv[1], sys.argv[1:])
os.close(slave)
said = b''
while b'is ready' not in said and b'"ready"' not in said:
    said += os.read(master, 65536)
os.close(master)
os.kill(pid, signal.SIGTERM)
print('code', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

test('a broker whose terminal was closed goes on, and still ends as it should', async () => {
  const ports = ['--intake-port', '0', '--exhaust-port', '0', '--no-dashboard'];
  const serve = [MAIN, 'serve', '--data-dir', join(root, 'terminal'), ...ports];
  const args = ['-c', CLOSE_TERMINAL, process.execPath, ...serve];
  await using program = new Running('python3', args, { env: plainEnvironment() });
  const { stdout, stderr } = await program.ended;
  assert.equal(stdout, 'code 0\n', stderr);
});
