// Reading around bad blocks: everything else comes back as it is, whatever is asked for at once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open, read } from '../../../src/log/files/promises.ts';
import { readFully } from '../../../src/log/scan/scan.ts';
import { TolerantFiles } from '../../../src/log/tools/tolerant-files.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';

const BLOCK = 4096;
const BYTES = 20 * BLOCK + 1234;
const random = new Random(seedOf('log/tools/tolerant-files.test'));

/** A file of bytes that are not zero, on a disk that does not give back these blocks. */
function disk(bad: number[]): { files: MemoryFiles; image: Uint8Array; asked: number[] } {
  const files = new MemoryFiles();
  const image = Uint8Array.from({ length: BYTES }, () => 1 + random.below(255));
  files.put('a', image);
  const asked: number[] = [];
  const inner = files.read;
  files.read = (handle, into, at, done) => {
    const hit = bad.filter((block) => block * BLOCK < at + into.length && at < (block + 1) * BLOCK);
    asked.push(...hit);
    if (hit.length === 0) inner.call(files, handle, into, at, done);
    else queueMicrotask(() => done(Object.assign(new Error('EIO'), { code: 'EIO' }), 0));
  };
  for (const block of bad) image.fill(0, block * BLOCK, (block + 1) * BLOCK);
  return { files, image, asked };
}

test('reads of any size at any place: zeros where the disk is bad, and only there', async () => {
  for (let round = 0; round < 200; round++) {
    const bad = Array.from({ length: random.below(5) }, () => random.below(21));
    const { files, image } = disk(bad);
    const salvage = new TolerantFiles(files);
    const { handle, bytes } = await open(salvage, 'a');
    assert.equal(bytes, BYTES);
    for (let i = 0; i < 5; i++) {
      const at = random.below(BYTES);
      const into = new Uint8Array(random.below(BYTES + 3000)).fill(99);
      const got = await readFully(salvage, handle, into, at);
      const whole = Math.min(into.length, BYTES - at);
      assert.ok(got >= whole, `${got} bytes of ${whole} at ${at}`);
      assert.deepEqual(into.subarray(0, whole), image.subarray(at, at + whole));
      assert.ok(into.subarray(whole, got).every((byte) => byte === 0));
    }
  }
});

test('bad blocks are listed, neighbours as one, and asked for by themselves only once', async () => {
  const { files, asked } = disk([3, 4, 9]);
  const salvage = new TolerantFiles(files);
  const { handle } = await open(salvage, 'a');
  for (let pass = 0; pass < 3; pass++) await readFully(salvage, handle, new Uint8Array(BYTES), 0);
  assert.deepEqual(salvage.unreadable, [
    { name: 'a', offset: 3 * BLOCK, bytes: 2 * BLOCK },
    { name: 'a', offset: 9 * BLOCK, bytes: BLOCK },
  ]);
  const once = asked.length;
  await readFully(salvage, handle, new Uint8Array(BYTES), 0);
  assert.equal(asked.length, once);
});

test('any other failure is passed on', async () => {
  const { files } = disk([]);
  const salvage = new TolerantFiles(files);
  const { handle } = await open(salvage, 'a');
  files.fail({ op: 'read', nth: 1, code: 'ENXIO' });
  await assert.rejects(read(salvage, handle, new Uint8Array(10), 0), /ENXIO/);
  assert.deepEqual(salvage.unreadable, []);
});

test('another failure around a bad block is passed on, whichever part of the read it meets', async () => {
  for (const [bad, other] of [
    [3, 9],
    [9, 3],
  ] as const) {
    const { files } = disk([bad]);
    const inner = files.read;
    files.read = (handle, into, at, done) => {
      // Only where it is asked for without the bad block.
      const hit = at <= other * BLOCK && other * BLOCK < at + into.length;
      const both = at <= bad * BLOCK && bad * BLOCK < at + into.length;
      if (!hit || both) inner.call(files, handle, into, at, done);
      else queueMicrotask(() => done(Object.assign(new Error('ENXIO'), { code: 'ENXIO' }), 0));
    };
    const salvage = new TolerantFiles(files);
    const { handle } = await open(salvage, 'a');
    await assert.rejects(read(salvage, handle, new Uint8Array(BYTES), 0), /ENXIO/);
    await assert.rejects(read(salvage, handle, new Uint8Array(BYTES), 0), /ENXIO/);
  }
});

test('a file that ends before a bad block is only as long as it is', async () => {
  const { files, image } = disk([15]);
  const salvage = new TolerantFiles(files);
  const { handle } = await open(salvage, 'a');
  const into = new Uint8Array(40 * BLOCK).fill(99);
  const got = await readFully(salvage, handle, into, 0);
  assert.ok(got >= BYTES);
  assert.deepEqual(into.subarray(0, BYTES), image);
});
