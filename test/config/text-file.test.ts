// Text files that people wrote with other editors: byte order marks, line ends, encodings.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readFirstLine, readTextFile } from '../../src/config/text-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'thrustmq-text-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(bytes: string | Uint8Array): string {
  const path = join(folder, 'file');
  writeFileSync(path, bytes);
  return path;
}

test('UTF-8 with and without a byte order mark is the same text', () => {
  for (const mark of ['', '\ufeff']) {
    assert.equal(readTextFile(file(`${mark}a = "ü"\r\n`)), 'a = "ü"\r\n');
    assert.equal(readFirstLine(file(`${mark} secret \r\nmore`)), 'secret');
    assert.equal(readFirstLine(file(mark)), '');
  }
});

test('other encodings are refused with what to do', () => {
  const utf16 = Buffer.from('\ufeffa = 1', 'utf16le');
  assert.throws(() => readTextFile(file(utf16)), /UTF-16.*save it as UTF-8/);
  assert.throws(() => readTextFile(file(utf16.swap16())), /UTF-16/);
  const latin1 = Buffer.from('data_dir = "données"', 'latin1');
  assert.throws(() => readTextFile(file(latin1)), /not UTF-8 .*save it as UTF-8/);
  assert.throws(() => readTextFile(join(folder, 'none')), /ENOENT/);
});
