// Numbers, sizes, times and foreign text as the page shows them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ago,
  bytes,
  count,
  duration,
  milliseconds,
  percent,
  plural,
  rate,
  visible,
} from '../../src/page/format.ts';

test('numbers are grouped, and slow is not nothing', () => {
  assert.equal(count(1234567), '1,234,567');
  assert.equal(count(Number.NaN), '–');
  assert.equal(rate(0), '0');
  assert.equal(rate(0.34), '0.3');
  assert.equal(rate(2), '2');
  assert.equal(rate(1234.5), '1,235');
  assert.equal(percent(0, 10), '0 %');
  assert.equal(percent(1, 1000), '< 1 %');
  assert.equal(percent(1, 0), '–');
  assert.equal(plural(1, 'bucket'), '1 bucket');
  assert.equal(plural(2000, 'message'), '2,000 messages');
});

test('sizes and times carry their unit', () => {
  const sizes: [number, string][] = [
    [0, '0 B'],
    [1023, '1,023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [64 * 1024 * 1024, '64 MiB'],
    [3e12, '2.73 TiB'],
    [Number.POSITIVE_INFINITY, '–'],
  ];
  for (const [value, text] of sizes) assert.equal(bytes(value), text);
  const times: [number, string][] = [
    [0, '0 s'],
    [4000, '4 s'],
    [64_000, '1 min 4 s'],
    [3_600_000, '1 h'],
    [90_061_000, '1 d 1 h'],
    [-5, '0 s'],
  ];
  for (const [value, text] of times) assert.equal(duration(value), text);
  assert.equal(milliseconds(0.144), '0.14 ms');
  assert.equal(milliseconds(20), '20 ms');
  assert.equal(milliseconds(65_000), '1 min 5 s');
  assert.equal(ago(10), 'just now');
  assert.equal(ago(10_000), '10 s ago');
});

test('what does not show, or turns text around, is made visible', () => {
  assert.equal(visible('a\u0000b\u001b[31m\u007f'), 'a␀b␛[31m␡');
  assert.equal(visible('a\nb\tc'), 'a␊b␉c');
  assert.equal(visible('a\nb\tc', true), 'a\nb\tc');
  assert.equal(
    visible('\u202etxt.exe\u2066\u200f\ufeff'),
    '<U+202E>txt.exe<U+2066><U+200F><U+FEFF>',
  );
  assert.equal(visible('\u0085'), '<U+0085>');
  assert.equal(visible('schön 漢字 🙂'), 'schön 漢字 🙂');
});
