// The Files port on a real file system: what each method promises, and the log on top of it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, mock, test } from 'node:test';
import { NodeFiles } from '../../src/io/files.ts';
import { FileLog } from '../../src/log/file-log.ts';
import { writeAll } from '../../src/log/files/files.ts';
import { list, open, read, settle, write } from '../../src/log/files/promises.ts';
import { segmentName } from '../../src/log/segments/segment.ts';
import { Collector, logOptions, recoverFrom, SEGMENT_BYTES } from '../log/harness.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'thrustmq-files-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));
let folders = 0;
const index = (at: string) => new NodeFiles(path.join(at, '..', 'index'));
const folder = () => path.join(root, String(++folders), 'log');

function create(files: NodeFiles, name: string): Promise<number> {
  return new Promise((resolve, reject) =>
    files.open(name, true, (failure, handle) => (failure ? reject(failure) : resolve(handle))),
  );
}

test('write, sync, rename, read, remove; all of it private to the owner', async () => {
  const at = folder();
  const files = new NodeFiles(at);
  assert.deepEqual(await list(files), []);
  const handle = await create(files, 'a');
  await write(files, handle, Buffer.from('hello'), 10);
  await settle((done) => files.sync(handle, done));
  await settle((done) => files.rename('a', 'b', done));
  await settle((done) => files.syncDirectory(done));
  await write(files, handle, Buffer.from('H'), 10); // the handle outlives the name
  const into = new Uint8Array(20);
  assert.equal(await read(files, handle, into, 8), 7);
  assert.equal(Buffer.from(into.subarray(0, 7)).toString(), '\0\0Hello');
  assert.equal(fs.statSync(path.join(at, 'b')).mode & 0o777, 0o600);
  assert.equal(fs.statSync(at).mode & 0o777, 0o700);
  await settle((done) => files.close(handle, done));
  assert.equal((await open(files, 'b')).bytes, 15);
  await settle((done) => files.remove('b', done));
  assert.deepEqual(await list(files), []);
  const free = await new Promise<number>((resolve) =>
    files.free((_failure, bytes) => resolve(bytes)),
  );
  assert.ok(free > 0);
});

test('create refuses what is there; open refuses what is not, and links', async () => {
  const at = folder();
  const files = new NodeFiles(at);
  await list(files);
  await create(files, 'a');
  await assert.rejects(create(files, 'a'), { code: 'EEXIST' });
  await assert.rejects(open(files, 'b'), { code: 'ENOENT' });
  fs.symlinkSync(path.join(at, 'a'), path.join(at, 'link'));
  await assert.rejects(open(files, 'link'), { code: 'ELOOP' });
});

test('for tools: nothing is made, nothing can be written', async () => {
  const at = folder();
  await assert.rejects(list(new NodeFiles(at, true)), { code: 'ENOENT' });
  assert.ok(!fs.existsSync(at));
  const files = new NodeFiles(at);
  await list(files);
  await create(files, 'a');
  const tool = new NodeFiles(at, true);
  const { handle } = await open(tool, 'a');
  await assert.rejects(write(tool, handle, Buffer.from('x'), 0), { code: 'EBADF' });
});

test('a directory that is made is synced into those above it', async () => {
  const at = path.join(root, 'deep', 'deeper', 'log');
  const synced: string[] = [];
  const names = new Map<number, string>();
  const { open: realOpen, fsync: realSync } = fs;
  mock.method(fs, 'open', ((
    name: string,
    flags: number,
    done: (e: Error | null, fd: number) => void,
  ) =>
    realOpen(name, flags, (error, fd) => {
      names.set(fd, name);
      done(error, fd);
    })) as typeof fs.open);
  mock.method(fs, 'fsync', ((fd: number, done: (e: Error | null) => void) => {
    synced.push(names.get(fd)!);
    realSync(fd, done);
  }) as typeof fs.fsync);
  await list(new NodeFiles(at));
  assert.deepEqual(synced.splice(0), [path.dirname(at), path.join(root, 'deep'), root]);
  await list(new NodeFiles(at));
  assert.deepEqual(synced.splice(0), [path.dirname(at)], 'it may have been made and not synced');
  await list(new NodeFiles(at, true));
  assert.deepEqual(synced, []);
  mock.restoreAll();
});

test('a disk that is full: the write says so, or writes a part and says that', async () => {
  if (!fs.existsSync('/dev/full')) return;
  const handle = fs.openSync('/dev/full', 'r+');
  const failure = await new Promise<Error | undefined>((resolve) =>
    writeAll(new NodeFiles('/dev'), handle, [Buffer.from('x')], 0, resolve),
  );
  fs.closeSync(handle);
  assert.equal((failure as NodeJS.ErrnoException).code, 'ENOSPC');
});

test('a log on a real disk: made, closed, found again, its leftovers removed', async () => {
  const at = folder();
  const later: (() => void)[] = [];
  const notes: string[] = [];
  const options = () => logOptions(new NodeFiles(at), index(at), {}, later, notes);
  const first = await FileLog.open(options(), new Collector());
  assert.deepEqual(first.log.bases(), [0]);
  assert.ok(first.log.nextReady());
  assert.equal(first.log.diskBytes, 2 * SEGMENT_BYTES);
  await first.log.close();
  await first.log.close();
  const names = [segmentName(0), segmentName(SEGMENT_BYTES)];
  assert.deepEqual(fs.readdirSync(at).sort(), names);

  fs.writeFileSync(path.join(at, 'next.tmp'), 'half');
  fs.writeFileSync(path.join(at, 'spare-0.tmp'), 'used');
  fs.writeFileSync(path.join(at, 'notes.tmp'), 'mine');
  const second = await FileLog.open(options(), new Collector());
  assert.equal(second.resume.epoch, 2, 'the first life left a header, if no record');
  assert.deepEqual(notes, ['notes.tmp in the log folder is not part of the log: ignored']);
  await second.log.close();
  assert.deepEqual(fs.readdirSync(at).sort(), [...names, 'notes.tmp']);

  const { got } = await recoverFrom(new NodeFiles(at));
  assert.equal(got.batches, 0);
});

test('a next segment of another size is made anew', async () => {
  const at = folder();
  const open = (segmentBytes: number) =>
    FileLog.open(
      logOptions(new NodeFiles(at), index(at), { limits: { segmentBytes } }, [], []),
      new Collector(),
    );
  await (await open(SEGMENT_BYTES)).log.close();
  const { log } = await open(2 * SEGMENT_BYTES);
  assert.ok(log.nextReady());
  assert.equal(log.diskBytes, 3 * SEGMENT_BYTES);
  await log.close();
  assert.equal(fs.statSync(path.join(at, segmentName(SEGMENT_BYTES))).size, 2 * SEGMENT_BYTES);
});
