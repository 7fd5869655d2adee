// Disks in memory share their bytes until one of them changes: nobody else sees the change. Calls
// that waited for a test are not forgotten when calls happen by themselves again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loseAll, MemoryFiles } from './memory-files.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

async function writeTo(files: MemoryFiles, bytes: number[], at: number): Promise<void> {
  files.open('a', false, (_failure, handle) =>
    files.write(handle, [Uint8Array.from(bytes)], at, () => {}),
  );
  await settled();
}

function disk(): MemoryFiles {
  const files = new MemoryFiles();
  files.put('a', Uint8Array.of(1, 2, 3, 4));
  return files;
}

test('a write, a flip and a borrowed image change one disk, not what was forked from it', async () => {
  const one = disk();
  const two = one.fork();
  const three = two.fork();
  await writeTo(two, [9], 1);
  three.flip('a', 0, 128);
  const image = one.image('a');
  image[3] = 7;
  assert.deepEqual([...one.image('a')], [1, 2, 3, 7]);
  assert.deepEqual([...one.durable('a')!], [1, 2, 3, 7]);
  assert.deepEqual([...two.image('a')], [1, 9, 3, 4]);
  assert.deepEqual([...two.durable('a')!], [1, 2, 3, 4]);
  assert.deepEqual([...three.image('a')], [129, 2, 3, 4]);
  // What a test holds is no other disk's afterwards, and stays as it is when the file is written.
  const four = one.fork();
  image[0] = 5;
  await writeTo(one, [8], 2);
  assert.deepEqual([...image], [5, 2, 3, 7]);
  assert.deepEqual([...four.image('a')], [1, 2, 3, 7]);
  assert.deepEqual([...one.image('a')], [5, 2, 8, 7]);
});

test('after a crash the disk that died and the one that is found share nothing that changes', async () => {
  const one = disk();
  await writeTo(one, [9, 9], 0);
  const kept = one.fork().crash(() => 'keep');
  const lost = one.fork().crash(loseAll);
  assert.deepEqual([...kept.image('a')], [9, 9, 3, 4]);
  assert.deepEqual([...lost.image('a')], [1, 2, 3, 4]);
  await writeTo(lost, [6], 3);
  const again = lost.crash(() => 'keep');
  await writeTo(again, [0], 0);
  assert.deepEqual([...again.image('a')], [0, 2, 3, 6]);
  assert.deepEqual([...one.image('a')], [9, 9, 3, 4]);
});

test('two disks have one fingerprint if they are the same, with all that is in doubt', async () => {
  const one = disk();
  const print = one.fingerprint();
  assert.equal(one.fork().fingerprint(), print);
  assert.equal(disk().fingerprint(), print);
  await writeTo(one, [1], 0);
  assert.notEqual(one.fingerprint(), print, 'the same bytes, but in doubt');
  assert.equal(one.crash(loseAll).fingerprint(), print);
  const other = disk();
  other.flip('a', 0, 1);
  assert.notEqual(other.fingerprint(), print);
  const named = disk();
  named.open('b', true, () => {});
  await settled();
  assert.notEqual(named.fingerprint(), print, 'a name in doubt');
  assert.equal(named.crash(loseAll).fingerprint(), print);
});

test('calls that wait happen, in order, once calls happen by themselves again', async () => {
  const files = disk();
  const happened: string[] = [];
  const remove = (name: string) => files.remove(name, () => happened.push(name));
  files.auto = false;
  remove('one');
  remove('two');
  await settled();
  assert.deepEqual(happened, []);
  files.auto = true;
  assert.deepEqual(happened, [], 'within the assignment');
  await settled();
  assert.deepEqual(happened, ['one', 'two']);
  files.auto = false;
  remove('three');
  remove('four');
  files.auto = true;
  remove('five');
  await settled();
  assert.deepEqual(happened, ['one', 'two', 'three', 'four', 'five']);
  assert.equal(files.pending.length, 0);
  // One that no longer may before its turn has come waits again.
  remove('six');
  files.auto = false;
  await settled();
  assert.equal(files.pending.length, 1);
  files.auto = true;
  await settled();
  assert.equal(happened.at(-1), 'six');
});
