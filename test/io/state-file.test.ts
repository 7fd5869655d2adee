// A small file of state: replaced in one step, each write with what is wanted when it
// begins, and after a failure what it was.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { StateFile } from '../../src/io/state-file.ts';

function inFolder(): { file: StateFile; folder: string; text: () => string | undefined } {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'thrustmq-state-'));
  const file = new StateFile(() => folder, 'set.json');
  const text = () => new StateFile(() => folder, 'set.json').read();
  return { file, folder, text };
}

const saved = (file: StateFile, text: () => string) =>
  new Promise<Error | undefined>((resolve) => file.save(text, resolve));

test('a write takes what is wanted when it begins, and serves all who waited for it', async (t) => {
  const { file, folder, text } = inFolder();
  t.after(() => fs.rmSync(folder, { recursive: true }));
  assert.equal(file.read(), undefined);
  let wanted = 'a';
  const taken: string[] = [];
  const take = () => {
    taken.push(wanted);
    return wanted;
  };
  const writes = [saved(file, take)];
  wanted = 'b';
  writes.push(saved(file, take));
  wanted = 'c';
  writes.push(saved(file, take));
  wanted = 'd'; // by nobody who asked, but wanted all the same
  assert.deepEqual(await Promise.all(writes), [undefined, undefined, undefined]);
  assert.deepEqual(taken, ['a', 'd']);
  assert.equal(text(), 'd');
  assert.deepEqual(fs.readdirSync(folder), ['set.json']);
});

test('after a failure the file is what it was, also when the new one had its name', async (t) => {
  const { file, folder, text } = inFolder();
  t.after(() => fs.rmSync(folder, { recursive: true }));
  file.read();
  const open = fs.promises.open;
  const failing = (name: string) =>
    t.mock.method(fs.promises, 'open', (...args: Parameters<typeof open>) => {
      if (args[0] === name) return Promise.reject(new Error('input/output error'));
      return open(...args);
    });
  for (const before of [undefined, 'old']) {
    if (before !== undefined) assert.equal(await saved(file, () => before), undefined);
    for (const name of [folder, `${file.path}.tmp`]) {
      const mock = failing(name);
      assert.match(String(await saved(file, () => 'new')), /input.output error/);
      mock.mock.restore();
      assert.equal(text(), before, `after a failure of ${path.basename(name)}`);
    }
  }
  assert.equal(await saved(file, () => 'new'), undefined);
  assert.equal(text(), 'new');
});
