// HOST:PORT is read as it was written, and nothing else is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authority, parseAuthority } from '../../../src/core/text/address.ts';

test('what is written is read back, IPv6 in brackets', () => {
  const written = [
    ['127.0.0.1', 4888, '127.0.0.1:4888'],
    ['node-1.example', 0, 'node-1.example:0'],
    ['::1', 65_535, '[::1]:65535'],
    ['fe80::1%eth0', 1, '[fe80::1%eth0]:1'],
    ['::ffff:10.0.0.1', 4888, '[::ffff:10.0.0.1]:4888'],
  ] as const;
  for (const [host, port, text] of written) {
    assert.equal(authority(host, port), text);
    assert.deepEqual(parseAuthority(text), { host, port });
  }
});

test('what has another shape is none', () => {
  const texts = [
    '',
    'a',
    'a:',
    ':1',
    '::1:1',
    '[::1]',
    '[::1:1',
    'a:65536',
    'a:-1',
    'a:1x',
    'a b:1',
  ];
  for (const text of [...texts, 'http://a:1', 'a:1 ', '[]:1', '[a]b:1'])
    assert.equal(parseAuthority(text), undefined, text);
});
