// Writes and reads that bypass the system's cache: same bytes, same file, whichever way each of them went.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { mock, test } from 'node:test';
import { BLOCK_BYTES } from '../../assembly/layout.ts';
import { NodeFiles } from '../../src/io/files.ts';
import { writeAll } from '../../src/log/files/files.ts';
import { list, open, read, settle } from '../../src/log/files/promises.ts';
import { instantiateModule } from '../../src/wasm/instance.ts';
import { temporaryFolder } from '../support/broker.ts';

const { O_DIRECT } = fs.constants;

// The head of the module's memory, as a test may fill it.
const memory = new Uint8Array(instantiateModule().memory.buffer).subarray(0, 4 * 65_536);
for (let i = 0; i < memory.length; i++) memory[i] = i * 7 + (i >> 8);

interface Watched {
  files: NodeFiles;
  handle: number;
  /** Writes and reads that went past the cache. */
  direct: () => number;
}

async function watched(): Promise<Watched> {
  const folder = temporaryFolder();
  const files = new NodeFiles(folder, false, memory.buffer);
  await list(files);
  fs.writeFileSync(path.join(folder, 'a'), new Uint8Array(16 * BLOCK_BYTES));
  const { handle } = await open(files, 'a');
  const twins = new Set<number>();
  const { open: realOpen, write: realWrite, writev: realWritev, read: realRead } = fs;
  mock.method(fs, 'open', ((name: string, flags: number, ...rest: unknown[]) => {
    const done = rest.pop() as (failure: Error | null, fd: number) => void;
    realOpen(name, flags, 0o600, (failure, fd) => {
      if (failure === null && (flags & O_DIRECT) !== 0) twins.add(fd);
      done(failure, fd);
    });
  }) as typeof fs.open);
  let count = 0;
  for (const [name, real] of [
    ['write', realWrite],
    ['writev', realWritev],
    ['read', realRead],
  ] as const)
    mock.method(fs, name, ((fd: number, ...rest: unknown[]) => {
      if (twins.has(fd)) count++;
      return (real as (...all: unknown[]) => unknown)(fd, ...rest);
    }) as never);
  return { files, handle, direct: () => count };
}

function put(files: NodeFiles, handle: number, parts: Uint8Array[], at: number): Promise<void> {
  return settle((done) => writeAll(files, handle, parts, at, done));
}

test('whole blocks of the module go direct, everything else through the cache', {
  skip: O_DIRECT === undefined ? 'this system has no O_DIRECT' : false,
}, async () => {
  const { files, handle, direct } = await watched();
  const expected = new Uint8Array(16 * BLOCK_BYTES);
  const steps: [parts: Uint8Array[], at: number, direct: boolean][] = [
    [[memory.subarray(0, 2 * BLOCK_BYTES)], 0, true],
    [
      [memory.subarray(0, BLOCK_BYTES), memory.subarray(5 * BLOCK_BYTES, 7 * BLOCK_BYTES)],
      8192,
      true,
    ],
    [[memory.subarray(0, 100)], 0, false],
    [[memory.subarray(8, 8 + BLOCK_BYTES)], BLOCK_BYTES, false],
    [[memory.subarray(0, BLOCK_BYTES)], 8, false],
    [[new Uint8Array(BLOCK_BYTES).fill(3)], 4 * BLOCK_BYTES, false],
    [[memory.subarray(BLOCK_BYTES, 2 * BLOCK_BYTES)], 4 * BLOCK_BYTES, true],
    [[memory.subarray(0, BLOCK_BYTES), memory.subarray(0, 10)], 9 * BLOCK_BYTES, false],
  ];
  const seen = new Uint8Array(expected.length);
  for (const [parts, at, goesDirect] of steps) {
    const before = direct();
    await put(files, handle, parts, at);
    expected.set(Buffer.concat(parts), at);
    assert.equal(direct() - before, goesDirect ? 1 : 0, `${parts.map((p) => p.length)} at ${at}`);
    await read(files, handle, seen, 0);
    assert.deepEqual(seen, expected);
  }
  await settle((done) => files.sync(handle, done));
  const before = fs.readdirSync('/proc/self/fd').length;
  await settle((done) => files.close(handle, done));
  assert.equal(fs.readdirSync('/proc/self/fd').length, before - 2, 'both descriptors are closed');
  mock.restoreAll();
});

test('what is read once goes direct in whole blocks, everything else through the cache', {
  skip: O_DIRECT === undefined ? 'this system has no O_DIRECT' : false,
}, async () => {
  const { files, handle, direct } = await watched();
  const written = new Uint8Array(16 * BLOCK_BYTES).map((_, i) => i * 13 + (i >> 7));
  await put(files, handle, [written], 0);
  const into = (from: number, bytes: number) => memory.subarray(from, from + bytes);
  const steps: [into: Uint8Array, at: number, once: boolean, direct: boolean][] = [
    [into(0, 2 * BLOCK_BYTES), BLOCK_BYTES, true, true],
    [into(0, 2 * BLOCK_BYTES), BLOCK_BYTES, false, false],
    [into(BLOCK_BYTES, 4 * BLOCK_BYTES), 14 * BLOCK_BYTES, true, true], // beyond the file's end
    [into(100, BLOCK_BYTES), 0, true, false],
    [into(0, BLOCK_BYTES), 100, true, false],
    [into(0, 100), 0, true, false],
    [new Uint8Array(BLOCK_BYTES), 0, true, false],
  ];
  for (const [place, at, once, goesDirect] of steps) {
    place.fill(0);
    const before = direct();
    const bytes = await new Promise<number>((resolve, reject) =>
      files.read(
        handle,
        place,
        at,
        (failure, got) => (failure ? reject(failure) : resolve(got)),
        once,
      ),
    );
    assert.equal(direct() - before, goesDirect ? 1 : 0, `${place.length} at ${at}`);
    const expected = written.subarray(at, at + place.length);
    assert.equal(bytes, expected.length);
    assert.deepEqual(place.subarray(0, bytes), expected);
  }
  await settle((done) => files.close(handle, done));
  mock.restoreAll();
});

test('where a direct read fails, the usual way has the last word', {
  skip: O_DIRECT === undefined ? 'this system has no O_DIRECT' : false,
}, async () => {
  const { files, handle } = await watched();
  const written = new Uint8Array(4 * BLOCK_BYTES).map((_, i) => i * 5 + (i >> 6));
  await put(files, handle, [written], 0);
  const into = memory.subarray(0, BLOCK_BYTES);
  const { read: realRead } = fs;
  let failed = 0;
  mock.method(fs, 'read', ((fd: number, ...rest: unknown[]) => {
    if (fd === handle) return (realRead as (...all: unknown[]) => unknown)(fd, ...rest);
    failed++;
    const failure = Object.assign(new Error('not supported'), { code: 'EOPNOTSUPP' });
    setImmediate(() => (rest.at(-1) as (failure: Error) => void)(failure));
  }) as never);
  for (const block of [0, 2]) {
    const bytes = await new Promise<number>((resolve, reject) =>
      files.read(
        handle,
        into,
        block * BLOCK_BYTES,
        (failure, got) => (failure ? reject(failure) : resolve(got)),
        true,
      ),
    );
    assert.equal(bytes, BLOCK_BYTES);
    assert.deepEqual(into, written.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES));
  }
  assert.equal(failed, 2);
  await settle((done) => files.close(handle, done));
  mock.restoreAll();
});

test('a file system that refuses is written through the cache, and asked once', {
  skip: O_DIRECT === undefined ? 'this system has no O_DIRECT' : false,
}, async () => {
  for (const when of ['open', 'write'] as const) {
    const { files, handle } = await watched();
    let refused = 0;
    const refusal = Object.assign(new Error('invalid argument'), { code: 'EINVAL' });
    const direct = new Set<number>();
    const { open: realOpen, write: realWrite } = fs;
    mock.method(fs, 'open', ((name: string, flags: number, ...rest: unknown[]) => {
      const done = rest.pop() as (failure: Error | null, fd: number) => void;
      if ((flags & O_DIRECT) !== 0 && when === 'open') {
        refused++;
        setImmediate(() => done(refusal, -1));
        return;
      }
      realOpen(name, flags, 0o600, (failure, fd) => {
        if ((flags & O_DIRECT) !== 0) direct.add(fd);
        done(failure, fd);
      });
    }) as typeof fs.open);
    mock.method(fs, 'write', ((fd: number, ...rest: unknown[]) => {
      const done = rest.at(-1) as (failure: Error | null, bytes: number) => void;
      if (!direct.has(fd)) return (realWrite as (...all: unknown[]) => unknown)(fd, ...rest);
      refused++;
      setImmediate(() => done(refusal, 0));
    }) as never);
    const seen = new Uint8Array(BLOCK_BYTES);
    for (let block = 0; block < 3; block++) {
      const part = memory.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
      await put(files, handle, [part], block * BLOCK_BYTES);
      await read(files, handle, seen, block * BLOCK_BYTES);
      assert.deepEqual(seen, part);
    }
    assert.equal(refused, 1, when);
    // A descriptor that somebody may be using stays open until the file is closed.
    for (const fd of direct) assert.ok(fs.fstatSync(fd));
    await settle((done) => files.close(handle, done));
    for (const fd of direct) assert.throws(() => fs.fstatSync(fd), /EBADF/);
    mock.restoreAll();
  }
});
