// What the verbs do when nobody reads what they say, or there is no room for it: exit codes tell of
// the work alone, and what could not be written is not acked.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { RECORD_START } from '../../assembly/layout.ts';
import { FakeExhaust, FakeIntake } from '../client/fake-broker.ts';
import { buildSegment } from '../log/harness.ts';
import { temporaryFolder } from '../support/broker.ts';
import { MAIN, plainEnvironment, Running } from '../support/process.ts';
import { fakeSnapshot } from './fake-server.ts';

const FULL = '/dev/full';
const skip = fs.existsSync(FULL) ? false : 'no /dev/full';

/** A verb in a shell, so that `redirect` can be anything; its exit code is the shell's. */
function shell(args: readonly string[], redirect: string): Running {
  return new Running('/bin/sh', ['-c', `"$@" ${redirect}`, 'sh', process.execPath, MAIN, ...args], {
    env: plainEnvironment(),
  });
}

/** The exit code of a verb in front of a program that leaves after its first line. */
async function beforeHead(args: readonly string[]): Promise<{ code: number; stdout: string }> {
  const script = '{ "$@"; echo "code $?" >&2; } | head -n 1';
  const argv = ['-c', script, 'sh', process.execPath, MAIN, ...args];
  await using program = new Running('/bin/sh', argv, { env: plainEnvironment() });
  const [, code] = await program.errorOutput(/^code (\d+)$/m);
  const { stdout } = await program.ended;
  return { code: Number(code), stdout };
}

/** A dashboard that knows one bucket; counts what it was asked to change. */
async function dashboard(): Promise<{ port: string; changes: string[] } & AsyncDisposable> {
  const changes: string[] = [];
  const answers: [RegExp, unknown][] = [
    [/\/dash$/, fakeSnapshot()],
    [/\/buckets\?/, { buckets: [], cursor: null, count: 0, more: false }],
    [/\/purge$/, { startedAt: 'now', purged: 3, done: true }],
    [/\/connections\/17$/, { peer: '127.0.0.1:5' }],
    [/\/connections\?/, { connections: [], cursor: null, intake: 0, exhaust: 0 }],
    [/\/(pause|resume)$/, { paused: true }],
  ];
  const server = http.createServer(({ method, url }, response) => {
    if (method !== 'GET') changes.push(`${method} ${url}`);
    const answer = answers.find(([pattern]) => pattern.test(url ?? ''))?.[1];
    response.writeHead(answer === undefined ? 404 : 200).end(JSON.stringify(answer ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: String((server.address() as AddressInfo).port),
    changes,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A data folder whose log is clean, or has a changed byte in what was acked. */
function dataDir(isDamaged: boolean): string {
  const folder = path.join(temporaryFolder(), 'data');
  const { name, image, offsets } = buildSegment({ bytes: 8192 }, [
    { control: [[RECORD_START, 1, 1_700_000_000_000]] },
    { messages: [{ bucket: 42, body: 'one' }] },
    { messages: [{ bucket: 42, body: 'two' }] },
    {},
  ]);
  if (isDamaged) image[offsets[1]! + 60]! ^= 1;
  fs.mkdirSync(path.join(folder, 'log'), { recursive: true });
  fs.writeFileSync(path.join(folder, 'log', name), image);
  return folder;
}

test('a verb that only shows something says 74 when there is no room for it', {
  skip,
}, async () => {
  await using page = await dashboard();
  const shown: string[][] = [
    ['version'],
    ['--version'],
    ['--help'],
    ['help', 'serve'],
    ['serve', '--print-config'],
    ['stats', '-p', page.port],
    ['stats', '--watch', '1h', '-p', page.port],
    ['bucket', 'ls', '-p', page.port],
    ['conn', 'ls', '--json', '-p', page.port],
    ['log', 'verify', '-d', dataDir(false)],
    ['log', 'stat', '-d', dataDir(false)],
    ['log', 'dump', '-d', dataDir(false)],
  ];
  for (const args of shown) {
    await using program = shell(args, `> ${FULL}`);
    const { code, stderr } = await program.ended;
    assert.equal(code, 74, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, /^error: cannot write to standard output: ENOSPC/m, args.join(' '));
    assert.doesNotMatch(stderr, /^ +at /m, 'no stack');
  }
});

test('a verb that did something says 0 when there is no room to say so', { skip }, async () => {
  await using page = await dashboard();
  await using intake = await new FakeIntake().start();
  const done: string[][] = [
    ['pub', '7', 'one', '--json', '-p', String(intake.port)],
    ['bucket', 'purge', '7', '--yes', '-p', page.port],
    ['bucket', 'pause', '7', '-p', page.port],
    ['conn', 'kill', '17', '-p', page.port],
  ];
  for (const args of done) {
    await using program = shell(args, `> ${FULL}`);
    const { code, stderr } = await program.ended;
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, /is done, but cannot write to standard output/, args.join(' '));
  }
  assert.equal(page.changes.length, 3);
  assert.equal(intake.stored.length, 1);
});

test('exit codes do not depend on who reads the notes', { skip }, async () => {
  await using intake = await new FakeIntake().start();
  const port = String(intake.port);
  const cases: [string[], number][] = [
    [['pub', '7', 'one', '-p', port], 0],
    [['pub', '7', 'one', '-p', '1'], 69],
    [['bucket', 'ls', '-p', '1'], 69],
    [['sevre'], 2],
    [['pub'], 2],
    [['log', 'verify', '-d', dataDir(false)], 0],
    [['log', 'verify', '-d', dataDir(true)], 1],
    [['log', 'verify', '-d', path.join(temporaryFolder(), 'absent')], 74],
    [['log', 'repair', '-d', dataDir(false), '--dry-run'], 0],
  ];
  for (const [args, expected] of cases)
    for (const redirect of [`2> ${FULL}`, '2>&-', '2>&1 >&-']) {
      await using program = shell(args, redirect);
      assert.equal((await program.ended).code, expected, `${args.join(' ')} ${redirect}`);
    }
  intake.reply = ({ messages }) => new Uint8Array(messages.length);
  await using refused = shell(['pub', '7', 'one', '-p', port], `2> ${FULL}`);
  assert.equal((await refused.ended).code, 1);
});

test('notes into a pipe that nobody reads any more lose nothing else', async () => {
  await using intake = await new FakeIntake().start();
  const script = '{ { "$@"; echo "code $?" >&3; } 2>&1 >&3 | true; } 3>&1';
  const args = ['-c', script, 'sh', process.execPath, MAIN, 'pub', '7', 'x'];
  await using pipe = new Running('/bin/sh', [...args, '-p', String(intake.port)], {
    env: plainEnvironment(),
  });
  assert.equal((await pipe.ended).stdout, 'code 0\n');
  assert.equal(intake.stored.length, 1);
});

test('log verify: a report that nobody can read keeps its verdict', { skip }, async () => {
  for (const redirect of [`> ${FULL}`, '| true']) {
    const folder = dataDir(true);
    const script = `{ "$@"; echo "code $?" >&2; } ${redirect}`;
    const args = ['-c', script, 'sh', process.execPath, MAIN, 'log', 'verify', '-d', folder];
    await using program = new Running('/bin/sh', args, { env: plainEnvironment() });
    assert.equal((await program.errorOutput(/^code (\d+)$/m))[1], '1', redirect);
  }
});

test('sub in front of head ends by itself with 0 when nothing more comes', async () => {
  await using exhaust = await new FakeExhaust().start();
  const ended = beforeHead(['sub', '7', '-n', '9', '-p', String(exhaust.port)]);
  const link = await exhaust.links.next();
  link.deliver('one');
  assert.deepEqual(await ended, { code: 0, stdout: 'one\n' });
  assert.deepEqual(await link.acks(1), [1]);
  await link.closed;
});

test('sub ends by itself when the socket it writes to is closed', async () => {
  await using exhaust = await new FakeExhaust().start();
  await using program = new Running(
    process.execPath,
    [MAIN, 'sub', '7', '-p', String(exhaust.port)],
    { env: plainEnvironment() },
  );
  const link = await exhaust.links.next();
  const exited = new Promise((resolve) => program.child.once('exit', resolve));
  program.child.stdout?.destroy();
  assert.equal(await exited, 0);
  await link.closed;
});

test('stats --watch in front of head ends before its next look', async () => {
  await using page = await dashboard();
  const { code } = await beforeHead(['stats', '--json', '--watch', '1h', '-p', page.port]);
  assert.equal(code, 0);
});

test('sub acks nothing that there was no room for', { skip }, async () => {
  await using exhaust = await new FakeExhaust().start();
  await using program = shell(['sub', '7', '-p', String(exhaust.port)], `> ${FULL}`);
  const link = await exhaust.links.next();
  link.deliver('one', 'two');
  const { code, stderr } = await program.ended;
  assert.equal(code, 74, stderr);
  assert.match(stderr, /ENOSPC.*; received 0 from bucket 7/);
  await link.closed;
  assert.equal(link.acksLeft, 0);
});

test('sub acks nothing of what was written in part only', async () => {
  await using exhaust = await new FakeExhaust().start();
  const file = path.join(temporaryFolder(), 'out');
  // A file of 512 or 1024 bytes at most, as the shell counts.
  const script = `ulimit -f 1; exec "$@" > "${file}"`;
  const args = ['-c', script, 'sh', process.execPath, MAIN, 'sub', '7', '-p', `${exhaust.port}`];
  await using program = new Running('/bin/sh', args, { env: plainEnvironment() });
  const link = await exhaust.links.next();
  link.deliver('x'.repeat(2000));
  const { code, stderr } = await program.ended;
  assert.equal(code, 74, stderr);
  assert.match(stderr, /EFBIG/);
  const { size } = fs.statSync(file);
  assert.ok(size > 0 && size < 2000, `${size} bytes were written`);
  await link.closed;
  assert.equal(link.acksLeft, 0);
});
