// The lock on a data folder: one holder, freed by whatever ends the holder, by each helper program.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { LockError, lock } from '../../src/io/lock.ts';
import { Running } from '../support/process.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'thrustmq-lock-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));
let count = 0;
const newFile = () => path.join(root, `LOCK${++count}`);

const MODULE = new URL('../../src/io/lock.js', import.meta.url).href;
// Takes the lock, says so, and lives until it is killed.
const HOLDER = `
  const { lock } = await import(${JSON.stringify(MODULE)});
  try {
    lock(process.argv[1], 'holder ' + process.pid);
    console.log('held');
    setInterval(() => {}, 1000);
  } catch (error) {
    console.log(error.held ? 'refused: ' + error.message : 'impossible: ' + error.message);
  }`;

function holder(file: string, PATH = process.env.PATH): Running {
  const args = ['--input-type=module', '-e', HOLDER, file];
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
  const file = newFile();
  const release = lock(file, 'pid 1234\n');
  assert.equal(fs.readFileSync(file, 'utf8'), 'pid 1234\n');
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  assert.throws(
    () => lock(file, 'me'),
    (error) => error instanceof LockError && error.held && error.message === 'pid 1234',
  );
  assert.equal(fs.readFileSync(file, 'utf8'), 'pid 1234\n', 'the refused one wrote into it');
  release();
  lock(file, 'x')();
  assert.equal(fs.readFileSync(file, 'utf8'), 'x', 'a longer text of the holder before it stayed');
});

test('a file that lies there locks nobody out', () => {
  const file = newFile();
  fs.writeFileSync(file, 'pid of a broker that was killed long ago');
  lock(file, 'me')();
});

test('a link in its place is refused', () => {
  const file = newFile();
  fs.symlinkSync(path.join(root, 'elsewhere'), file);
  assert.throws(() => lock(file, 'me'), { code: 'ELOOP' });
  assert.ok(!fs.existsSync(path.join(root, 'elsewhere')));
});

test('another process holds it as long as it lives, and kill -9 frees it', async () => {
  const file = newFile();
  await using running = holder(file);
  await running.output(/held/);
  assert.throws(() => lock(file, 'me'), { held: true, message: `holder ${running.child.pid}` });
  await using second = holder(file);
  await second.output(/refused: holder/);
  running.child.kill('SIGKILL');
  assert.equal((await running.ended).signal, 'SIGKILL');
  lock(file, 'me')();
});

test('a child of the holder does not inherit it', async () => {
  const file = newFile();
  const release = lock(file, 'me');
  await using child = new Running(process.execPath, [
    '-e',
    'console.log("up"); setInterval(() => {}, 1000)',
  ]);
  await child.output(/up/);
  release();
  lock(file, 'again')();
});

for (const command of ['flock', 'python3', 'perl']) {
  test(`helper ${command}: takes it, refuses it, and excludes the others`, async (t) => {
    const only = pathOf(command);
    if (only === undefined) return t.skip(`${command} is not here`);
    const file = newFile();
    await using running = holder(file, only);
    await running.output(/held/);
    assert.throws(() => lock(file, 'me'), { held: true });
    await using second = holder(file, only);
    await second.output(/refused/);
    running.child.kill('SIGKILL');
    await running.ended;
    const release = lock(file, 'me');
    await using third = holder(file, only);
    await third.output(/refused: me/);
    release();
  });
}

test('without any helper it says what to install, and does not claim that it is held', async () => {
  await using running = holder(newFile(), path.join(root, 'empty'));
  await running.output(/impossible: none of flock, python3 and perl could be run/);
});
