// Lines of a byte stream, at every split.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineSplitter } from '../../src/cli/lines.ts';

const INPUT = Buffer.from('a\n\nbc\r\n\xff\x00\nlast', 'latin1');
const LINES = ['a', '', 'bc\r', '\xff\x00', 'last'];

function split(chunks: Uint8Array[]): string[] {
  const splitter = new LineSplitter(100);
  const lines = chunks.flatMap((chunk) => splitter.push(chunk));
  const last = splitter.end();
  if (last !== undefined) lines.push(last);
  return lines.map((line) => Buffer.from(line).toString('latin1'));
}

test('the same lines come out at any two splits', () => {
  for (let first = 0; first <= INPUT.length; first++)
    for (let second = first; second <= INPUT.length; second++) {
      const parts = [
        INPUT.subarray(0, first),
        INPUT.subarray(first, second),
        INPUT.subarray(second),
      ];
      assert.deepEqual(split(parts), LINES, `${first} ${second}`);
    }
});

test('a stream that ends with a line end has no further line', () => {
  assert.deepEqual(split([Buffer.from('a\nb\n')]), ['a', 'b']);
  assert.deepEqual(split([]), []);
});

test('a line without end is refused before it is held', () => {
  const splitter = new LineSplitter(10);
  splitter.push(Buffer.from('123456'));
  assert.throws(() => splitter.push(Buffer.from('78901')), RangeError);
  assert.equal(new LineSplitter(5).push(Buffer.from('12345\n')).length, 1);
});
