// The lock on a data folder: one holder, freed by whatever ends the holder, by each helper program.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { FolderLock, holderOf, LockError, lockFile } from '../../src/io/lock.ts';
import { Running } from '../support/process.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'thrustmq-lock-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));
const newFolder = () => fs.mkdtempSync(path.join(root, 'data-'));
const lock = (folder: string, text: string) => {
  const held = new FolderLock(folder, text);
  return () => held.release();
};

const MODULE = new URL('../../src/io/lock.js', import.meta.url).href;
// Takes the lock, says so, and lives until it is killed.
const HOLDER = `
  const { FolderLock } = await import(${JSON.stringify(MODULE)});
  try {
    globalThis.held = new FolderLock(process.argv[1], 'holder ' + process.pid);
    console.log('held');
    setInterval(() => {}, 1000);
  } catch (error) {
    console.log(error.held ? 'refused: ' + error.message : 'impossible: ' + error.message);
  }`;

function holder(folder: string, PATH = process.env.PATH): Running {
  const args = ['--input-type=module', '-e', HOLDER, folder];
  return new Running(process.execPath, args, { env: { ...process.env, PATH } });
}

/** A folder with only this program in it, as a PATH; undefined if it is not here. */
function pathOf(command: string): string | undefined {
  const script = { flock: '--version', python3: '--version', perl: '--version' }[command]!;
  if (spawnSync(command, [script]).status !== 0) return undefined;
  const folder = fs.mkdtempSync(path.join(root, 'bin-'));
  // Not a link: some installations choose by the name they are called by.
  const real = spawnSync('sh', ['-c', `command -v ${command}`])
    .stdout.toString()
    .trim();
  const target = path.join(folder, command);
  fs.writeFileSync(target, `#!/bin/sh\nPATH='${process.env.PATH}' exec '${real}' "$@"\n`, {
    mode: 0o755,
  });
  return folder;
}

test('a second holder is refused and told who the first one is', () => {
  const folder = newFolder();
  const release = lock(folder, 'pid 1234\n');
  assert.equal(fs.readFileSync(path.join(folder, 'LOCK'), 'utf8'), 'pid 1234\n');
  assert.equal(fs.statSync(path.join(folder, 'LOCK')).mode & 0o777, 0o600);
  assert.throws(
    () => lock(folder, 'me'),
    (error) => error instanceof LockError && error.held && error.message === 'pid 1234',
  );
  assert.equal(
    fs.readFileSync(path.join(folder, 'LOCK'), 'utf8'),
    'pid 1234\n',
    'the refused one wrote into it',
  );
  release();
  lock(folder, 'x')();
  assert.equal(
    fs.readFileSync(path.join(folder, 'LOCK'), 'utf8'),
    'x',
    'a longer text of the holder before it stayed',
  );
});

test('a file that lies there locks nobody out', () => {
  const folder = newFolder();
  fs.writeFileSync(path.join(folder, 'LOCK'), 'pid of a broker that was killed long ago');
  lock(folder, 'me')();
});

test('a link in its place is refused', () => {
  const folder = newFolder();
  fs.symlinkSync(path.join(root, 'elsewhere'), path.join(folder, 'LOCK'));
  assert.throws(() => lock(folder, 'me'), { code: 'ELOOP' });
  assert.ok(!fs.existsSync(path.join(root, 'elsewhere')));
});

test('another process holds it as long as it lives, and kill -9 frees it', async () => {
  const folder = newFolder();
  await using running = holder(folder);
  await running.output(/held/);
  assert.throws(() => lock(folder, 'me'), { held: true, message: `holder ${running.child.pid}` });
  await using second = holder(folder);
  await second.output(/refused: holder/);
  running.child.kill('SIGKILL');
  assert.equal((await running.ended).signal, 'SIGKILL');
  lock(folder, 'me')();
});

test('a child of the holder does not inherit it', async () => {
  const folder = newFolder();
  const release = lock(folder, 'me');
  await using child = new Running(process.execPath, [
    '-e',
    'console.log("up"); setInterval(() => {}, 1000)',
  ]);
  await child.output(/up/);
  release();
  lock(folder, 'again')();
});

for (const command of ['flock', 'python3', 'perl']) {
  test(`helper ${command}: takes it, refuses it, and excludes the others`, async (t) => {
    const only = pathOf(command);
    if (only === undefined) return t.skip(`${command} is not here`);
    const folder = newFolder();
    await using running = holder(folder, only);
    await running.output(/held/);
    assert.throws(() => lock(folder, 'me'), { held: true });
    await using second = holder(folder, only);
    await second.output(/refused/);
    running.child.kill('SIGKILL');
    await running.ended;
    const release = lock(folder, 'me');
    await using third = holder(folder, only);
    await third.output(/refused: me/);
    release();
  });
}

test('without any helper it says what to install, and does not claim that it is held', async () => {
  await using running = holder(newFolder(), path.join(root, 'empty'));
  await running.output(/impossible: none of flock, python3 and perl could be run/);
});

const text = 'pid 1234\n';
const notLinux = process.platform === 'linux' ? false : 'needs /proc';
type Answered = (failure: Error | null, found: fs.BigIntStats) => void;

test('who removes LOCK lets nobody in, and it is made again', async () => {
  const folder = newFolder();
  const held = new FolderLock(folder, text);
  const check = () => checked(held, folder);
  assert.deepEqual(await check(), [undefined, false]);
  fs.rmSync(path.join(folder, 'LOCK'));
  assert.throws(() => lock(folder, 'me'), { held: true, message: 'its LOCK is gone' });
  assert.deepEqual(await check(), [undefined, true]);
  assert.equal(fs.readFileSync(path.join(folder, 'LOCK'), 'utf8'), text);
  assert.throws(() => lockFile(path.join(folder, 'LOCK'), 'a release that locks only it'), {
    held: true,
  });
  fs.writeFileSync(path.join(folder, 'other'), '');
  fs.renameSync(path.join(folder, 'other'), path.join(folder, 'LOCK'));
  assert.deepEqual(await check(), [undefined, true]);
  fs.rmSync(path.join(folder, 'LOCK'));
  const other = lockFile(path.join(folder, 'LOCK'), 'a release that locks only it');
  const [failure] = await check();
  assert.ok(failure instanceof LockError && failure.held);
  other.release();
  held.release();
  assert.deepEqual(await check(), [undefined, false], 'after the end nothing is made');
});

function checked(held: FolderLock, folder: string): Promise<[Error | undefined, boolean]> {
  let again = false;
  return new Promise((resolve) =>
    held.check(
      folder,
      () => (again = true),
      (failure) => resolve([failure, again]),
    ),
  );
}

test('a full disk keeps nobody from the lock, and is no other holder when LOCK is made again', async (t) => {
  const full = () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  };
  const folder = newFolder();
  fs.writeFileSync(path.join(folder, 'LOCK'), 'an earlier life, with a longer text');
  const written = t.mock.method(fs, 'writeSync', full);
  const held = new FolderLock(folder, text);
  assert.equal(
    fs.readFileSync(path.join(folder, 'LOCK'), 'utf8'),
    '',
    'it says who had the folder before',
  );
  assert.throws(() => lock(folder, 'me'), { held: true });
  fs.rmSync(path.join(folder, 'LOCK'));
  assert.deepEqual(await checked(held, folder), [undefined, true]);
  assert.deepEqual(await checked(held, folder), [undefined, false], 'tried again and again');
  assert.equal(written.mock.callCount(), 2);
  held.release();
});

test('a LOCK that cannot be used leaves no descriptor open', { skip: notLinux }, (t) => {
  const folder = newFolder();
  const open = () => fs.readdirSync('/proc/self/fd').length;
  const before = open();
  const failing = t.mock.method(fs, 'writeSync', () => {
    throw Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO' });
  });
  assert.throws(() => lock(folder, 'me'), { code: 'EIO' });
  failing.mock.restore();
  assert.equal(open(), before);
  lock(folder, 'me')();
});

test('LOCK is ours also where the file system gives it another number later', async (t) => {
  const folder = newFolder();
  const held = new FolderLock(folder, text);
  for (const name of ['stat', 'fstat'] as const) {
    const ask = fs[name] as (...args: unknown[]) => void;
    t.mock.method(fs, name, (of: string | number, options: object, done: Answered) =>
      ask(of, options, (failure: Error | null, found: fs.BigIntStats) =>
        done(failure, Object.assign(found, { ino: found.ino + 1000n })),
      ),
    );
  }
  assert.deepEqual(await checked(held, folder), [undefined, false]);
  held.release();
});

test('a release that locks only LOCK keeps this one out, and the other way round', () => {
  const folder = newFolder();
  const old = lockFile(path.join(folder, 'LOCK'), 'old');
  assert.throws(() => lock(folder, 'new'), { held: true, message: 'old' });
  old.release();
  const release = lock(folder, 'new');
  assert.throws(() => lockFile(path.join(folder, 'LOCK'), 'old'), { held: true });
  release();
});

test('whether somebody has a folder is asked without keeping anybody out', async () => {
  const folder = newFolder();
  assert.equal(holderOf(folder), 'nobody');
  await using running = holder(folder);
  await running.output(/held/);
  assert.equal(holderOf(folder), 'somebody');
  // Who copies a folder copies no lock.
  const copy = newFolder();
  fs.cpSync(folder, copy, { recursive: true });
  assert.equal(holderOf(copy), 'nobody');
  running.child.kill('SIGKILL');
  await running.ended;
  assert.equal(holderOf(folder), 'nobody');
  assert.equal(holderOf(path.join(folder, 'absent')), 'unknown');
  // A question that is being asked while a broker starts does not turn it away.
  const ask = [
    'import fcntl,os,sys,time',
    'fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_SH)',
    'print("asking", flush=True)',
    'time.sleep(0.05)',
  ];
  await using asking = new Running('python3', ['-c', ask.join('\n'), folder]);
  await asking.output(/asking/);
  lock(folder, 'me')();
});
