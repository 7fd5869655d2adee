// Which copy of a log a cluster may go on with: none while another one has more, has gone another
// way, or is not known; what an operator gives up by name is asked no more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { against, type Copy } from '../../../src/core/cluster/copies.ts';

const copy = (node: number, end: number, epoch: number, more: Partial<Copy> = {}): Copy => ({
  node,
  logId: '00000000000000ab',
  epoch,
  end,
  sequence: end / 100,
  nodes: [1, 2, 3],
  ...more,
});

const said = (own: Copy, others: Copy[], without: number[] = []) =>
  against(own, others, without).map(({ why, node }) => `${node} ${why}`);

test('the one that ends furthest may, and one that ends with it', () => {
  assert.deepEqual(said(copy(2, 900, 7), [copy(1, 800, 7), copy(3, 700, 6)]), []);
  assert.deepEqual(said(copy(2, 900, 7), [copy(1, 900, 7), copy(3, 900, 7)]), []);
});

test('one that ends earlier may not, whoever wrote the rest', () => {
  assert.deepEqual(said(copy(1, 800, 7), [copy(2, 801, 7), copy(3, 700, 7)]), ['2 ahead']);
  assert.deepEqual(said(copy(1, 800, 7), [copy(2, 900, 8), copy(3, 901, 9)]), [
    '2 ahead',
    '3 ahead',
  ]);
});

test('copies that have parted name each other, whichever is asked', () => {
  const long = copy(1, 900, 7);
  const late = copy(2, 800, 8);
  const rest = copy(3, 700, 7);
  assert.deepEqual(said(long, [late, rest]), ['2 parted']);
  assert.deepEqual(said(late, [long, rest]), ['1 parted']);
  assert.deepEqual(said(copy(1, 800, 7), [late, rest]), ['2 parted'], 'of one length');
});

test('nodes that any copy knows of have to tell of theirs', () => {
  const alone = copy(1, 900, 7, { nodes: [] });
  assert.deepEqual(said(alone, []), []);
  assert.deepEqual(said(copy(1, 900, 7), []), ['2 silent', '3 silent']);
  assert.deepEqual(said(alone, [copy(2, 800, 7, { nodes: [2, 4] })]), ['4 silent']);
  assert.deepEqual(said(alone, [copy(2, 901, 7, { nodes: [] })]), ['2 ahead'], 'told, not known');
});

test('of another log is none of this one, longer or not', () => {
  const other = { logId: '00000000000000ac' };
  assert.deepEqual(said(copy(1, 900, 7), [copy(2, 100, 1, other), copy(3, 800, 7)]), [
    '2 other log',
  ]);
});

test('what is given up by name is not asked for, and nothing else is given up with it', () => {
  const others = [copy(2, 950, 7)];
  assert.deepEqual(said(copy(1, 900, 7), others, [2]), ['3 silent']);
  assert.deepEqual(said(copy(1, 900, 7), others, [3]), ['2 ahead']);
  assert.deepEqual(said(copy(1, 900, 7), others, [3, 2]), []);
});
