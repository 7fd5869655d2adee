// The words of `sub --exec` as ack bytes, and which exit code means which.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidArgumentError } from 'commander';
import type { Verdict } from '../../src/cli/sub-verdicts.ts';
import { exitCodes, onFail, parseVerdict, Verdicts } from '../../src/cli/sub-verdicts.ts';
import { Delivery } from '../../src/client/message.ts';
import { DeliveryDecoder, encodeDelivery } from '../../src/codec/wire.ts';

/** The ack byte that a verdict gives a message; undefined for none. */
function byteOf(verdict: Verdict | undefined): number | undefined {
  const [frame] = new DeliveryDecoder('u64').push(encodeDelivery([Buffer.from('x')], 'u64'));
  const delivery = new Delivery(frame!, 7n, { decided: () => {}, working: () => {} });
  verdict?.decide(delivery.take()!);
  return delivery.nextAcks()[0];
}

test('words are bytes', () => {
  const words: [string, string, number][] = [
    ['done', 'done', 1],
    ['fail', 'failed', 0],
    ['reject', 'rejected', 2],
    ['release', 'released', 3],
    ['release:1s', 'released', 0x6a],
    ['retry:1s', 'retried', 0x4a],
    ['retry:0', 'retried', 0x40],
    ['retry:1.5h', 'retried', 0x57],
    ['retry:596h', 'retried', 0x5f],
  ];
  for (const [text, word, byte] of words) {
    const verdict = parseVerdict(text);
    assert.deepEqual([verdict.word, byteOf(verdict)], [word, byte], text);
  }
});

test('what is no word, and no time, is refused by name', () => {
  for (const text of ['', 'ack', 'Done', 'retry', 'retry:', 'retry:5', 'release:x', 'fail:1s'])
    assert.throws(() => parseVerdict(text), InvalidArgumentError, text);
  assert.throws(() => parseVerdict('retry:597h'), /24\.8 days/);
  assert.throws(() => parseVerdict('constructor'), InvalidArgumentError);
  assert.throws(() => onFail('done'), /What failed is not done/);
  for (const text of [
    '',
    '65',
    '65=',
    '=reject',
    '0=fail',
    '256=fail',
    '-1=fail',
    '65=reject,',
    '3=no',
  ])
    assert.throws(() => exitCodes(text), InvalidArgumentError, text);
});

test('codes: the usual ones, one’s own over them, the rest as --on-fail says', () => {
  const own = exitCodes('75=retry:30s, 3=done', exitCodes('3=fail,127=reject'));
  const before = new Verdicts();
  const after = new Verdicts(onFail('retry:10s'), own);
  const codes: [number, number | undefined, number | undefined][] = [
    [0, 1, 1],
    [1, 0, 0x4e],
    [3, 0, 1],
    [65, 2, 2],
    [75, 0x6a, 0x4f],
    [124, 0, 0x4e],
    [126, undefined, undefined],
    [127, undefined, 2],
    [130, 0x6a, 0x6a],
    [137, 0, 0x4e],
    [143, 0x6a, 0x6a],
    [255, 0, 0x4e],
  ];
  for (const [code, usual, changed] of codes)
    assert.deepEqual(
      [byteOf(before.of(code)), byteOf(after.of(code))],
      [usual, changed],
      `code ${code}`,
    );
});
