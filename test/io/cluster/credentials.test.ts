// Credentials of a file that is replaced, is gone, or is written to just now.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Credentials } from '../../../src/io/cluster/credentials.ts';
import { temporaryFolder } from '../../support/broker.ts';

function rig(contents: string) {
  const file = path.join(temporaryFolder(), 'node.creds');
  const write = (text: string) => fs.writeFileSync(file, text);
  const said: string[] = [];
  const check = (bytes: Uint8Array) => {
    if (!Buffer.from(bytes).toString().startsWith('creds')) throw new Error('these are none');
  };
  write(contents);
  const make = () => new Credentials({ file, check, warn: (text) => said.push(text) });
  return { file, write, said, make };
}

test('what the file has when a node connects is what it shows', () => {
  const { write, said, make } = rig('creds 1');
  const credentials = make();
  const shown = () => Buffer.from(credentials.current()).toString();
  assert.equal(shown(), 'creds 1');
  write('creds 2');
  assert.equal(shown(), 'creds 2');
  assert.deepEqual(said, []);
});

test('a file that has none is said once, and those before are shown', () => {
  const { file, write, said, make } = rig('creds 1');
  const credentials = make();
  const shown = () => Buffer.from(credentials.current()).toString();
  write('');
  assert.deepEqual([shown(), shown()], ['creds 1', 'creds 1']);
  assert.equal(said.length, 1);
  assert.match(said[0]!, /node\.creds for NATS as they are now: these are none; going on with/);
  fs.rmSync(file);
  assert.equal(shown(), 'creds 1');
  assert.match(said[1]!, /ENOENT/);
  write('creds 2');
  assert.equal(shown(), 'creds 2');
  write('');
  assert.equal(shown(), 'creds 2');
  assert.equal(said.length, 3);
});

test('at the start it must have some', () => {
  const { file, make } = rig('nothing');
  assert.throws(make, /these are none/);
  fs.rmSync(file);
  assert.throws(make, /ENOENT/);
});
