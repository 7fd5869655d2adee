// What a node of a cluster may say, complete and with recognisable numbers, for tests of whatever
// shows it: node 1 owns, 2 follows, 3 is behind; or the same from where node 2 stands.

import type { AppendTimes, ClusterSnapshot, NodeStatus } from '../../src/contract/cluster.ts';
import { POWERS } from '../../src/contract/snapshot.ts';

// Three of 1, 2 and 8 ms.
const APPENDS: AppendTimes = {
  ...{ count: 3, sum: 11, mean: 3.667, p50: 2, p99: 8, max: 8 },
  upTo: POWERS.ms.map((power) => [1, 2, 8].filter((ms) => ms <= 2 ** power).length),
};

export function fakeNode(node: number, change: Partial<NodeStatus> = {}): NodeStatus {
  return {
    node,
    address: `10.0.0.${node}:4888`,
    dashboard: `10.0.0.${node}:3888`,
    version: '9.9.9',
    startedAt: '2026-01-02T03:04:05.000Z',
    state: node === 1 ? 'owning' : 'following',
    epoch: 7,
    position: '268435456',
    sequence: 4711,
    lag: 0,
    lagMs: 0,
    blocked: null,
    building: null,
    ...change,
  };
}

/** As the owner says it. */
export function fakeCluster(change: Partial<ClusterSnapshot> = {}): ClusterSnapshot {
  return {
    name: 'orders',
    self: fakeNode(1),
    owner: { node: 1, address: '10.0.0.1:4888', dashboard: '10.0.0.1:3888' },
    nodes: [
      { ...fakeNode(1), seenMs: 0 },
      { ...fakeNode(2), seenMs: 250 },
      { ...fakeNode(3, { lag: 900, lagMs: 6500, dashboard: null }), seenMs: 400 },
    ],
    ack: {
      safe: true,
      means: 'on the disks of two of three servers, and on the disk of the owner',
      warnings: [],
    },
    stream: {
      name: 'TMQ_orders_0',
      connected: true,
      leader: 'n2',
      first: 4000,
      last: 4711,
      bytes: 4 * 1024 ** 3,
      maxBytes: 16 * 1024 ** 3,
      blocked: null,
    },
    counts: {
      takeOvers: 2,
      deposed: 1,
      doubts: 5,
      suspensions: 3,
      voids: 4,
      rebuilds: 6,
      baseBytes: 1_048_576,
    },
    takeOvers: [
      { at: '2026-01-02T04:00:00.000Z', node: 1, epoch: 7, why: 'silence' },
      { at: '2026-01-02T03:30:00.000Z', node: 2, epoch: 6, why: 'resigned' },
    ],
    appends: APPENDS,
    passedOn: { clients: 0, bytes: 0 },
    resources: {
      rssBytes: 200_000_000,
      heapBytes: 20_000_000,
      budgetBytes: 536_870_912,
      logBytes: 134_217_728,
      diskFreeBytes: 5e9,
    },
    ...change,
  };
}

/** As a follower says it, which is not told everything. */
export function fakeFollower(change: Partial<ClusterSnapshot> = {}): ClusterSnapshot {
  return fakeCluster({
    self: fakeNode(2, { lag: 12, lagMs: 30 }),
    appends: null,
    passedOn: { clients: 9, bytes: 4096 },
    ...change,
  });
}

export const UNSAFE_ACK = {
  safe: false,
  means: 'in the memory of two of three servers, and on the disk of the owner',
  warnings: ['servers of NATS ack before they sync (--cluster-unsafe-sync)'],
};
