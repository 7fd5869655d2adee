// Decodes the log fixtures in test/golden/log. They stay for as long as their format version can be
// read: what a released broker wrote must always mean the same. Each file says in prose what it is.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LogError } from '../../src/log/files/errors.ts';
import { dumpLog, lineOf } from '../../src/log/tools/dump.ts';
import { verifyLog } from '../../src/log/tools/verify.ts';
import { MemoryFiles } from '../support/memory-files.ts';
import { refusalOf01 } from './frozen-header.ts';
import { codec, recoverFrom } from './harness.ts';

const FOLDER = fileURLToPath(new URL('../../../test/golden/log/', import.meta.url));

interface Golden {
  files: MemoryFiles;
  sections: Map<string, string[]>;
}

/** Reads a fixture: fenced blocks by their info string; a file's bytes as `offset: hex` lines. */
function read(name: string): Golden {
  const files = new MemoryFiles();
  const sections = new Map<string, string[]>();
  const text = fs.readFileSync(path.join(FOLDER, name), 'utf8');
  for (const [, info, block] of text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)) {
    const lines = block!.split('\n').filter((line) => line !== '');
    const file = /^hex (\S+) (\d+)$/.exec(info!);
    if (file === null) sections.set(info!, lines);
    else files.put(file[1]!, bytesOf(lines, Number(file[2])));
  }
  return { files, sections };
}

// Bytes that no line names are zero.
function bytesOf(lines: string[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (const line of lines) {
    const [, at, hex] =
      /^(\d+): ([0-9a-f ]+)$/.exec(line) ?? assert.fail(`not a line of hex: ${line}`);
    bytes.set(Buffer.from(hex!.replaceAll(' ', ''), 'hex'), Number(at));
  }
  return bytes;
}

const names = fs
  .readdirSync(FOLDER)
  .flatMap((version) => fs.readdirSync(path.join(FOLDER, version)).map((name) => [version, name]))
  .filter(([, name]) => name!.endsWith('.md'))
  .map((parts) => parts.join('/'));

test('there are fixtures of each version', () => {
  for (const [version, least] of Object.entries({ v1: 3, v2: 2, v3: 3 })) {
    const found = names.filter((name) => name.startsWith(`${version}/`));
    assert.ok(found.length >= least, names.join());
  }
});

for (const name of names) {
  test(`fixture ${name}`, async () => {
    const { files, sections } = read(name);
    const lines: string[] = [];
    const write = async (entries: Parameters<typeof lineOf>[0][]) => {
      for (const entry of entries) lines.push(...lineOf(entry).split('\n'));
    };
    await dumpLog(files, codec, { bodies: true, write });
    assert.deepEqual(lines, sections.get('dump'));
    const report = await verifyLog(files.clone(), codec, () => {});
    assert.deepEqual([report.verdict], sections.get('verdict'));
    assert.equal(files.changes, 0);
    const messages = sections.get('messages');
    if (messages === undefined) {
      await assert.rejects(recoverFrom(files), LogError);
      return;
    }
    const { got } = await recoverFrom(files);
    const waiting = [...got.messages].filter(([sequence]) => !got.settled.has(sequence));
    assert.deepEqual(
      waiting.map(([s, body]) => `${s} ${got.attempts.get(s) ?? 0} ${JSON.stringify(body)}`),
      messages,
    );
    const deferred = [...got.deferred].sort((a, b) => a[0] - b[0]);
    assert.deepEqual(
      deferred.map((each) => each.flat().join(' ')),
      sections.get('deferred') ?? [],
    );
    const refused = files
      .names()
      .some((file) => refusalOf01(files.image(file), file) !== undefined);
    assert.equal(refused, name.startsWith('v3/'), 'what release 0.1 says to it');
  });
}
