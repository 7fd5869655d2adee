// The file of pauses that earlier versions wrote: what it says is read, also after an editor had
// it, and it is gone durably before anybody is told.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { readPausedFile, textIn } from '../../src/io/paused-file.ts';
import { temporaryFolder } from '../support/broker.ts';

const MOST = (2n ** 64n - 1n).toString();
const TEXT = `{"version":1,"paused":["7","${MOST}"]}\n`;

function folderWith(text: string): string {
  const folder = temporaryFolder();
  fs.writeFileSync(path.join(folder, 'paused.json'), text);
  return folder;
}

const read = (folder: string) => readPausedFile(() => folder);

test('what was written is read, with a byte order mark in front, too', () => {
  for (const text of [TEXT, `\ufeff${TEXT.replace('\n', '\r\n')}`]) {
    const folder = folderWith(text);
    assert.deepEqual(read(folder)!.ids, ['7', MOST]);
    assert.equal(textIn(folder), text);
  }
  assert.equal(read(temporaryFolder()), undefined);
});

test('anything else is not such a file', () => {
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{"version":2,"paused":[]}',
    '{"version":1,"paused":["x"]}',
    '{"version":1,"paused":[1]}',
  ])
    assert.throws(() => read(folderWith(text)), /paused\.json cannot be used.*remove it/, text);
});

test('it is removed where its folder is by now, and when that is durable its reader is told', async (t) => {
  let folder = folderWith(TEXT);
  const { remove } = readPausedFile(() => folder)!;
  const removed = () => new Promise<Error | undefined>((resolve) => remove(resolve));
  fs.renameSync(folder, `${folder}-moved`);
  folder = `${folder}-moved`;
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const { open } = fs.promises;
  const opened: unknown[] = [];
  const mock = t.mock.method(fs.promises, 'open', (...args: Parameters<typeof open>) => {
    opened.push(args[0]);
    return Promise.reject(new Error('input/output error'));
  });
  assert.match(String(await removed()), /input.output error/);
  assert.deepEqual(opened, [folder]);
  mock.mock.restore();
  assert.equal(await removed(), undefined);
  assert.deepEqual(fs.readdirSync(folder), []);
});
