// Folders on file systems of other kinds, and folders that cannot be made: an answer at once.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeFolder, storageOf } from '../../src/io/storage.ts';
import { thrustmq } from '../support/process.ts';

const root = fs.mkdtempSync(join(tmpdir(), 'thrustmq-folder-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));

const noProc = !fs.existsSync('/proc/self/stat') && 'no /proc';
const inMemory = '/dev/shm';
const noShm =
  (!fs.existsSync(inMemory) || storageOf(inMemory).inMemory !== 'tmpfs') && 'no tmpfs at /dev/shm';

test('folders are made with all above them, and may be there', () => {
  const folder = join(root, 'a', 'b', 'c');
  makeFolder(folder);
  makeFolder(folder);
  assert.equal(fs.statSync(folder).mode & 0o777, 0o700);
  assert.equal(fs.statSync(join(root, 'a')).mode & 0o777, 0o700);
  fs.writeFileSync(join(root, 'file'), '');
  assert.throws(() => makeFolder(join(root, 'file')), /EEXIST/);
  assert.throws(() => makeFolder(join(root, 'file', 'below')), /EEXIST|ENOTDIR/);
});

test('the kind is that of the nearest folder that is there', { skip: noProc }, () => {
  assert.deepEqual(storageOf('/proc/none/at/all'), { pseudo: 'proc' });
  assert.equal(storageOf(join(root, 'none')).pseudo, undefined);
  assert.throws(() => makeFolder('/proc/none'), /ENOENT|EPERM|EACCES/);
});

test('a broker on a pseudo file system is refused', { skip: noProc }, async () => {
  const ports = ['--intake-port', '0', '--exhaust-port', '0', '--no-dashboard'];
  const { code, stdout } = await thrustmq(['serve', '--data-dir', '/proc/self/data', ...ports]);
  assert.equal(code, 78, stdout);
  assert.match(
    stdout,
    /data folder \/proc\/self\/data is on a pseudo file system \(proc\).*choose/,
  );
});

test('a data folder in memory is a warning at the start', { skip: noShm }, async () => {
  const folder = fs.mkdtempSync(join(inMemory, 'thrustmq-'));
  try {
    // The port of a host that is not ours: the start ends by itself.
    const flags = ['--host', '192.0.2.1', '--intake-port', '0', '--no-dashboard'];
    const { code, stdout } = await thrustmq(['serve', '--data-dir', folder, ...flags]);
    assert.equal(code, 1);
    assert.match(stdout, /"level":"warn".*"event":"data\.in-memory","type":"tmpfs".*not mean/);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
