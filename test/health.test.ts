// Which nodes of a cluster are sent clients, and what is said of them; and who would take over.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ClusterSnapshot,
  hindrance,
  type NodeState,
  type NodeStatus,
  owns,
} from '../src/contract/cluster.ts';
import { clusterHealth } from '../src/health.ts';
import { fakeCluster, fakeNode, UNSAFE_ACK } from './support/cluster.ts';

function healthAs(self: Partial<NodeStatus>, more: Partial<ClusterSnapshot> = {}) {
  return clusterHealth(fakeCluster({ self: fakeNode(2, self), ...more }));
}

const STATES: [NodeState, ready: boolean][] = [
  ['joining', false],
  ['following', true],
  ['campaigning', true],
  ['owning', true],
  ['doubting', true],
  ['suspended', false],
  ['resigning', false],
  ['deposed', false],
  ['stopped', false],
];

test('ready: an owner that delivers, and who follows closely; live: all but who stopped', () => {
  for (const [state, ready] of STATES) {
    const health = healthAs({ state });
    assert.equal(health.ready, ready, state);
    assert.equal(health.checks.cluster!.ok, ready, state);
    assert.equal(health.live, state !== 'stopped', state);
    assert.match(health.checks.cluster!.detail, /^node 2 [a-z]/, state);
  }
});

test('a follower is ready until it is 5 s behind, or while it builds itself', () => {
  const state = 'following';
  assert.equal(healthAs({ state, lag: 1e6, lagMs: 4999 }).ready, true);
  const behind = healthAs({ state, lag: 3, lagMs: 5000 });
  assert.equal(behind.ready, false);
  const said = 'node 2 follows node 1, the owner: 3 messages behind, 5000 ms';
  assert.equal(behind.checks.cluster!.detail, said);
  const building = healthAs({ state, building: { bytes: 5, bytesTotal: 10 } });
  assert.equal(building.ready, false);
  assert.match(building.checks.cluster!.detail, /5 of 10 bytes/);
});

test('without NATS nobody is ready; weak acks are said, and keep nobody away', () => {
  const { stream } = fakeCluster();
  const away = healthAs({}, { stream: { ...stream, connected: false } });
  assert.deepEqual([away.ready, away.live, away.checks.stream!.ok], [false, true, false]);
  const weak = healthAs({}, { ack: UNSAFE_ACK });
  assert.equal(weak.ready, true);
  assert.match(weak.checks.acks!.detail, /in the memory of two.*; servers of NATS ack before/);
});

test('who would take over, and why others would not', () => {
  const node = (change: Partial<NodeStatus>) => hindrance({ ...fakeNode(2, change), seenMs: 100 });
  assert.equal(node({}), undefined);
  assert.equal(node({ lag: 5, lagMs: 4999 }), undefined);
  assert.equal(node({ lag: 5, lagMs: 5000 }), '5 messages of the stream behind');
  assert.equal(node({ blocked: 'the disk is full' }), 'the disk is full');
  assert.equal(node({ state: 'joining' }), 'is joining');
  assert.match(node({ building: { bytes: 0, bytesTotal: 1 } })!, /building/);
  assert.equal(hindrance({ ...fakeNode(2), seenMs: 7400 }), 'not heard of for 7 s');
  const owning = STATES.filter(([state]) => owns({ state })).map(([state]) => state);
  assert.deepEqual(owning, ['owning', 'doubting', 'suspended', 'resigning']);
});
