// Space that is given back in pieces: what loses its name, or is made smaller, but nothing that
// somebody may still read.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { NodeFiles } from '../../src/io/files.ts';
import { PIECE_BYTES } from '../../src/io/release.ts';
import { list, open, read, settle } from '../../src/log/files/promises.ts';
import { temporaryFolder } from '../support/broker.ts';

const BYTES = 3 * PIECE_BYTES + 5;
let cuts: number[];
let files: NodeFiles;
let folder: string;
let descriptors: number;

beforeEach(async () => {
  cuts = [];
  const real = fs.ftruncate;
  mock.method(fs, 'ftruncate', ((fd: number, bytes: number, done: fs.NoParamCallback) => {
    cuts.push(bytes);
    real(fd, bytes, done);
  }) as typeof fs.ftruncate);
  folder = temporaryFolder();
  files = new NodeFiles(folder);
  await list(files);
  for (const name of ['a', 'b']) fs.writeFileSync(path.join(folder, name), Buffer.alloc(BYTES, 7));
  descriptors = fs.readdirSync('/proc/self/fd').length;
});
afterEach(() => {
  mock.restoreAll();
  assert.equal(fs.readdirSync('/proc/self/fd').length, descriptors, 'nothing is left open');
});

const PIECES = [2 * PIECE_BYTES + 5, PIECE_BYTES + 5, 5];
const opened = async (name: string) => (await open(files, name)).handle;
const close = (handle: number) => settle((done) => files.close(handle, done));

test('a file that is removed goes in pieces, one file after the other', async () => {
  const both = ['a', 'b'].map((name) => settle((done) => files.remove(name, done)));
  await Promise.all(both);
  assert.deepEqual(cuts, [...PIECES, ...PIECES]);
  assert.deepEqual(await list(files), []);
  await assert.rejects(
    settle((done) => files.remove('a', done)),
    { code: 'ENOENT' },
  );
});

test('a file that is open keeps its bytes until it is closed', async () => {
  const [first, second] = [await opened('a'), await opened('a')];
  await settle((done) => files.remove('a', done));
  await close(first);
  assert.deepEqual(cuts, []);
  const into = new Uint8Array(10);
  assert.equal(await read(files, second, into, BYTES - 10), 10);
  assert.deepEqual(into, new Uint8Array(10).fill(7));
  await close(second);
  assert.deepEqual(cuts, PIECES);
});

test('a file that another one takes the name of goes in pieces, the other one stays', async () => {
  fs.writeFileSync(path.join(folder, 'b'), 'new');
  await settle((done) => files.rename('b', 'a', done));
  assert.deepEqual(cuts, PIECES);
  assert.equal(fs.readFileSync(path.join(folder, 'a'), 'utf8'), 'new');
});

test('a file is made smaller in pieces, and closing one with a name cuts nothing', async () => {
  const handle = await opened('a');
  await settle((done) => files.truncate(handle, PIECE_BYTES, done));
  assert.deepEqual(cuts, [2 * PIECE_BYTES + 5, PIECE_BYTES + 5, PIECE_BYTES]);
  await close(handle);
  assert.equal(fs.statSync(path.join(folder, 'a')).size, PIECE_BYTES);
  assert.equal(cuts.length, 3);
});

test('a cut that fails: the file that leaves is closed, the one that stays says so', async () => {
  const failure = Object.assign(new Error('EIO: i/o error, ftruncate'), { code: 'EIO' });
  mock.method(fs, 'ftruncate', ((_fd: number, _bytes: number, done: fs.NoParamCallback) =>
    setImmediate(() => done(failure))) as unknown as typeof fs.ftruncate);
  await settle((done) => files.remove('a', done));
  assert.deepEqual(await list(files), ['b']);
  const handle = await opened('b');
  await assert.rejects(
    settle((done) => files.truncate(handle, 0, done)),
    { code: 'EIO' },
  );
  await close(handle);
});
