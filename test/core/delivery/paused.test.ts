// The list of paused buckets as a file: what was written is read back, also after an editor had it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Paused } from '../../../src/core/delivery/paused.ts';

test('what was written is read back, with a byte order mark in front, too', () => {
  const paused = new Paused();
  paused.set('7', true);
  paused.set('18446744073709551615', true);
  for (const text of [paused.text(), `\ufeff${paused.text().replace('\n', '\r\n')}`]) {
    const restored = new Paused();
    restored.restore(text);
    assert.equal(restored.text(), paused.text());
  }
});

test('anything else is not such a file', () => {
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{"version":2,"paused":[]}',
    '{"version":1,"paused":["x"]}',
  ])
    assert.throws(() => new Paused().restore(text), SyntaxError, text);
});
