// The one sentence about a cluster, of its owner and of a node that follows: the worst first; and
// where a link to a node may lead.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterSnapshot, type NodeStatus, stateText } from '../../src/contract/cluster.ts';
import {
  clusterStatus,
  followerStatus,
  lagText,
  ownerHref,
  readinessOf,
  troubleOf,
} from '../../src/page/cluster-words.ts';
import { fakeCluster, fakeFollower, fakeNode, UNSAFE_ACK } from '../support/cluster.ts';

const three = [1, 2, 3].map((node) => ({ ...fakeNode(node), seenMs: 0 }));
const saying = (change: Partial<ClusterSnapshot>) =>
  clusterStatus(fakeCluster({ nodes: three, ...change }));

test('a cluster: from all is well to nobody serves', () => {
  const well = 'Node 1 owns the log; 2 of 2 others would take over';
  assert.deepEqual(saying({}), { level: 'good', text: well });
  assert.deepEqual(saying({ ack: UNSAFE_ACK }), { level: 'warn', text: well });
  assert.deepEqual(clusterStatus(fakeCluster()), {
    level: 'warn',
    text: 'Node 1 owns the log; 1 of 2 others would take over',
  });
  const alone = saying({ nodes: three.slice(0, 1) });
  const said = 'Node 1 owns the log; no other node would take over';
  assert.deepEqual(alone, { level: 'bad', text: said });
  // Others may have heard of it before it was the owner.
  const late = saying({ nodes: [{ ...fakeNode(1, { state: 'following' }), seenMs: 0 }] });
  assert.deepEqual(late, { level: 'bad', text: said });
  const doubting = saying({ self: fakeNode(1, { state: 'doubting' }) });
  assert.deepEqual([doubting.level, /^Publishes wait/.test(doubting.text)], ['warn', true]);
  const full = { ...fakeCluster().stream, blocked: 'the stream holds 16 GiB' };
  assert.deepEqual(saying({ stream: full }), {
    level: 'bad',
    text: 'Publishes are refused, deliveries go on: the stream holds 16 GiB',
  });
  const suspended = saying({ self: fakeNode(1, { state: 'suspended' }), stream: full });
  assert.match(suspended.text, /^Nothing is stored or delivered/);
  assert.equal(
    saying({ owner: null }).text,
    'No node owns the log: nothing is stored or delivered',
  );
  // As a follower sees it, a full stream is not its trouble.
  assert.equal(clusterStatus(fakeFollower({ nodes: three, stream: full })).text, well);
});

test('the broker of a node has what its cluster does to it in front of all else', () => {
  assert.equal(troubleOf(undefined), undefined);
  assert.equal(troubleOf(fakeCluster()), undefined);
  assert.equal(
    troubleOf(fakeCluster({ self: fakeNode(1, { state: 'resigning' }) }))!.level,
    'warn',
  );
});

test('a node that follows says how far it is, and who owns the log', () => {
  const of = (change: Partial<NodeStatus>, more: Partial<ClusterSnapshot> = {}) =>
    followerStatus(fakeFollower({ self: fakeNode(2, change), ...more }));
  assert.deepEqual(of({ lag: 3, lagMs: 40 }), {
    level: 'good',
    text: 'Node 2 keeps up with the log; node 1 owns it',
  });
  const behind = of({ lag: 7, lagMs: 9000 });
  assert.equal(behind.level, 'warn');
  assert.match(behind.text, /^Node 2 is 7 messages of the stream behind; node 1 owns it$/);
  assert.match(
    of({ blocked: 'the disk is full' }).text,
    /^Node 2 cannot own the log now: the disk/,
  );
  assert.deepEqual(of({}, { owner: null }), {
    level: 'bad',
    text: 'Node 2 keeps up with the log; no node owns the log',
  });
  const building = { bytes: 1, bytesTotal: 4 };
  assert.equal(of({ state: 'joining', building }).level, 'warn');
  assert.match(of({ state: 'joining', building }).text, /builds itself.*node 1 owns it/);
  assert.equal(of({ state: 'deposed' }).text, 'Node 2 is deposed; node 1 owns it');
});

test('whether a node would take over, and how far it is behind', () => {
  const [owner, close, far] = fakeCluster().nodes;
  assert.equal(readinessOf(owner!, 1), 'owns the log');
  assert.equal(readinessOf(close!, 1), 'yes');
  assert.equal(readinessOf(far!, 1), 'no: 900 messages of the stream behind');
  assert.equal(readinessOf({ ...owner!, seenMs: 8000 }, 2), 'no: not heard of for 8 s');
  assert.equal(stateText({ ...owner!, seenMs: 8000 }), 'silent');
  assert.equal(stateText(owner!), 'owning');
  assert.deepEqual([lagText(close!), lagText(far!)], ['–', '900, 7 s']);
});

test('a link leads to a host and port, or there is none', () => {
  assert.equal(ownerHref('10.0.0.1:3888'), 'http://10.0.0.1:3888/');
  assert.equal(ownerHref('[fe80::1]:3888'), 'http://[fe80::1]:3888/');
  assert.equal(ownerHref('mq-1.example:80'), 'http://mq-1.example:80/');
  for (const bad of [null, '', 'host', 'javascript:1//:80', 'a@b:80', 'h:80/x', 'h:80#', '"><b>:1'])
    assert.equal(ownerHref(bad), undefined, String(bad));
});
