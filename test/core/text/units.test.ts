// Sizes and durations as text.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  exactDuration,
  exactSize,
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
} from '../../../src/core/text/units.ts';

test('sizes: plain bytes, binary and decimal units, any case, one space', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['4096', 4096],
    ['1b', 1],
    ['1KiB', 1024],
    ['64kib', 65_536],
    ['1MiB', 1_048_576],
    ['1.5 MiB', 1_572_864],
    ['2k', 2048],
    ['3M', 3 * 1024 ** 2],
    ['1GiB', 1024 ** 3],
    ['1kB', 1000],
    ['5MB', 5_000_000],
  ];
  for (const [text, bytes] of cases) assert.equal(parseSize(text), bytes, text);
});

test('sizes that are none are refused with an example', () => {
  for (const text of [
    '',
    'MiB',
    '-1',
    '1.5',
    '1 2',
    '1TiBs',
    '0x10',
    '1e3',
    '99999999999999999GiB',
  ])
    assert.throws(() => parseSize(text), /is not a size; write bytes, or a unit/, text);
});

test('durations need a unit, except zero', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['2min', 120_000],
    ['1h', 3_600_000],
  ];
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
  for (const text of ['', '30', 's', '-1s', '1d', '0.0001ms', '5 s s'])
    assert.throws(() => parseDuration(text), /is not a duration; write a unit/, text);
});

test('a name of a built-in property is no unit', () => {
  assert.throws(() => parseSize('1constructor'));
  assert.throws(() => parseDuration('1valueOf'));
});

test('sizes and durations are written for people', () => {
  assert.equal(formatSize(0), '0 B');
  assert.equal(formatSize(1023), '1023 B');
  assert.equal(formatSize(1536), '1.5 KiB');
  assert.equal(formatSize(64 * 1024 ** 2), '64 MiB');
  assert.equal(formatDuration(0.25), '0.25 ms');
  assert.equal(formatDuration(1500), '1.5 s');
  assert.equal(formatDuration(200_000), '3 m 20 s');
  assert.equal(formatDuration(7_500_000), '2 h 5 m');
});

test('exact spellings are read back as they were', () => {
  const durations = [0, 1, 999, 1000, 1500, 60_000, 90_000, 3_600_000, 87_600 * 3_600_000];
  for (const ms of durations) assert.equal(parseDuration(exactDuration(ms)), ms);
  assert.deepEqual(durations.slice(3, 8).map(exactDuration), ['1s', '1500ms', '1m', '90s', '1h']);
  const sizes = [0, 1, 1000, 1024, 1536, 1024 ** 2, 3 * 1024 ** 3, 1024 ** 4, 2 ** 53 - 1];
  for (const bytes of sizes) assert.equal(parseSize(exactSize(bytes)), bytes);
  assert.deepEqual(sizes.slice(2, 5).map(exactSize), ['1000', '1KiB', '1536']);
});
