// Folders for a new log: made with what is above them, and refused at once where none can be.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { makeFresh } from '../../src/io/fresh-folder.ts';
import { temporaryFolder } from '../support/broker.ts';

test('the outermost folder that was made is told, and each is private', async () => {
  const outermost = path.join(temporaryFolder(), 'a');
  const into = path.join(outermost, 'b', 'c');
  assert.equal(await makeFresh(into), outermost);
  assert.equal(fs.statSync(into).mode & 0o777, 0o700);
  assert.equal(await makeFresh(into), undefined);
});

test('below a pseudo file system it fails, and does not try for ever', {
  skip: fs.existsSync('/proc/self') ? false : 'there is no /proc here',
}, async () => {
  await assert.rejects(makeFresh('/proc/no-such-folder/copy'), { code: 'ENOENT' });
});

test('a file in the way is not taken for a folder', async () => {
  const file = path.join(temporaryFolder(), 'file');
  fs.writeFileSync(file, '');
  await assert.rejects(makeFresh(path.join(file, 'copy')));
  await assert.rejects(makeFresh(file), { code: 'EEXIST' });
});
