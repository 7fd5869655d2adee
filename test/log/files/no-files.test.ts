// The folder that is empty and stays so: every call is answered, later, and none by an invention.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_FILES } from '../../../src/log/files/no-files.ts';

type Call = (done: (...answer: unknown[]) => void) => void;

/** The answer to a call, which may not come before the call returned. */
async function answerTo(call: Call): Promise<unknown[]> {
  return new Promise((resolve) => {
    let returned = false;
    call((...answer) => {
      assert.ok(returned, 'answered within the call');
      resolve(answer);
    });
    returned = true;
  });
}

const BYTES = new Uint8Array(8);

const ABSENT: Record<string, Call> = {
  open: (done) => NO_FILES.open('a', true, done),
  read: (done) => NO_FILES.read(1, BYTES, 0, done),
  write: (done) => NO_FILES.write(1, [BYTES], 0, done),
  truncate: (done) => NO_FILES.truncate(1, 0, done),
  sync: (done) => NO_FILES.sync(1, done),
  syncDirectory: (done) => NO_FILES.syncDirectory(done),
  rename: (done) => NO_FILES.rename('a', 'b', done),
  remove: (done) => NO_FILES.remove('a', done),
  follow: (done) => NO_FILES.follow('a', 1, done),
};

for (const [name, call] of Object.entries(ABSENT))
  test(`${name}: there is nothing, which is told as a failure`, async () => {
    const [failure, ...rest] = await answerTo(call);
    assert.equal((failure as NodeJS.ErrnoException).code, 'ENOENT');
    const nothing: Record<string, unknown[]> = {
      open: [-1, 0],
      read: [0],
      write: [0],
      follow: ['nowhere'],
    };
    assert.deepEqual(rest, nothing[name] ?? []);
  });

test('it is empty, has no room, and lets itself be closed', async () => {
  assert.deepEqual(await answerTo((done) => NO_FILES.list(done)), [undefined, []]);
  const directory = await answerTo((done) => NO_FILES.followDirectory(done));
  assert.deepEqual(directory, [undefined, 'to it', undefined]);
  assert.deepEqual(await answerTo((done) => NO_FILES.free(done)), [undefined, 0]);
  assert.deepEqual(await answerTo((done) => NO_FILES.close(1, done)), [undefined]);
});
