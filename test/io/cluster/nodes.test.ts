// Whom the owner has heard of: how long ago, whom it forgets, and two nodes with one number.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Nodes } from '../../../src/io/cluster/nodes.ts';
import { statusOf } from './orders-rig.ts';
import { Notices } from './rig.ts';

const HOUR_MS = 3_600_000;

test('each node as it was heard last, by number', () => {
  const nodes = new Nodes(new Notices().notice);
  nodes.heard(statusOf(3), 1000);
  nodes.heard(statusOf(1, { lag: 9 }), 1500);
  nodes.heard(statusOf(1, { lag: 2 }), 2000.4);
  assert.deepEqual(nodes.seen(2500), [
    { ...statusOf(1, { lag: 2 }), seenMs: 500 },
    { ...statusOf(3), seenMs: 1500 },
  ]);
});

test('who is silent for an hour is forgotten', () => {
  const nodes = new Nodes(new Notices().notice);
  nodes.heard(statusOf(1), 0);
  nodes.heard(statusOf(2), 10);
  nodes.heard(statusOf(1), 20);
  const seen = (nowMs: number) => nodes.seen(nowMs).map(({ node }) => node);
  assert.deepEqual(seen(HOUR_MS + 9), [1, 2]);
  assert.deepEqual(seen(HOUR_MS + 10), [1]);
  assert.deepEqual(seen(HOUR_MS + 20), []);
});

test('of too many, who was silent longest is forgotten', () => {
  const nodes = new Nodes(new Notices().notice);
  for (let node = 1; node <= 64; node++) nodes.heard(statusOf(node), node);
  nodes.heard(statusOf(1), 65);
  nodes.heard(statusOf(1000), 66);
  const seen = nodes.seen(70).map(({ node }) => node);
  assert.equal(seen.length, 64);
  assert.deepEqual([seen[0], seen[1], seen.at(-1)], [1, 3, 1000]);
});

test('two nodes with one number are told of; one that was started again is not', () => {
  const notices = new Notices();
  const nodes = new Nodes(notices.notice);
  const at = (second: number) => `2026-01-01T00:00:0${second}.000Z`;
  for (let life = 0; life < 9; life++) nodes.heard(statusOf(2, { startedAt: at(life) }), life);
  nodes.heard(statusOf(3), 10);
  assert.deepEqual(notices.lines, []);
  const [one, other] = [statusOf(2, { startedAt: at(8) }), statusOf(2, { address: 'b:1' })];
  nodes.heard(other, 11);
  assert.deepEqual(notices.lines, [], 'it may have moved');
  nodes.heard(one, 12);
  assert.equal(notices.lines.length, 1);
  assert.match(
    notices.lines[0]!,
    /^cluster.node-twice: two nodes have the number 2: b:1,.* 192.0.2.2:3888,.*--cluster-node/,
  );
  nodes.heard(other, 13);
  assert.equal(notices.lines.length, 2);
  nodes.heard(other, 14);
  assert.equal(notices.lines.length, 2);
});

test('a new owner knows whom the one before had heard of, and who was lost with it', () => {
  const nodes = new Nodes(new Notices().notice);
  nodes.heard(statusOf(3, { lag: 7 }), 1000);
  nodes.heard(statusOf(4), 5000);
  nodes.told(
    [
      { ...statusOf(1), seenMs: 400 },
      { ...statusOf(3, { lag: 1 }), seenMs: 100 },
      { ...statusOf(4, { lag: 9 }), seenMs: 9000 },
    ],
    6000,
  );
  assert.deepEqual(nodes.seen(7000), [
    { ...statusOf(1), seenMs: 1400 },
    { ...statusOf(3, { lag: 1 }), seenMs: 1100 },
    { ...statusOf(4), seenMs: 2000 },
  ]);
  const left = nodes.seen(HOUR_MS + 5700).map(({ node }) => node);
  assert.deepEqual(left, [3], 'who was silent longest is forgotten first');
  nodes.heard(statusOf(1), HOUR_MS + 5800);
  assert.equal(nodes.seen(HOUR_MS + 5800)[0]!.seenMs, 0);
});
