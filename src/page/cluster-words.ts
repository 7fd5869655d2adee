// The state of a cluster in one plain sentence, the worst first, and where a node's page is. Pure.

import { type ClusterSnapshot, hindrance, owns } from '../contract/cluster.ts';
import { count, duration, NOTHING, plural } from './format.ts';
import type { Status } from './words.ts';

type Node = ClusterSnapshot['nodes'][number];

/** Page of a dashboard at HOST:PORT; undefined: there is none, or that is no such place. */
export function ownerHref(dashboard: string | null): string | undefined {
  const isPlace = dashboard !== null && /^(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}$/.test(dashboard);
  return isPlace ? `http://${dashboard}/` : undefined;
}

/** What it would do, were the owner lost now. */
export function readinessOf(node: Node, owner: number | undefined): string {
  if (node.node === owner) return 'owns the log';
  const why = hindrance(node);
  return why === undefined ? 'yes' : `no: ${why}`;
}

/** Nodes that would take over from the owner. */
export function standbysOf({ nodes, owner }: ClusterSnapshot): Node[] {
  return nodes.filter((node) => node.node !== owner?.node && hindrance(node) === undefined);
}

export function lagText({ lag, lagMs }: Pick<Node, 'lag' | 'lagMs'>): string {
  return lag === 0 ? NOTHING : `${count(lag)}, ${duration(lagMs)}`;
}

/** What stands in the way of the broker on the node that owns the log; undefined: nothing. */
export function troubleOf(cluster: ClusterSnapshot | undefined): Status | undefined {
  if (cluster === undefined) return undefined;
  const { self, stream } = cluster;
  const bad = (text: string): Status => ({ level: 'bad', text });
  if (self.state === 'suspended')
    return bad('Nothing is stored or delivered: the stream has confirmed nothing for too long');
  if (stream.blocked !== null)
    return bad(`Publishes are refused, deliveries go on: ${stream.blocked}`);
  if (self.state === 'doubting')
    return { level: 'warn', text: 'Publishes wait: whether the stream has the last ones is asked' };
  if (self.state === 'resigning')
    return { level: 'warn', text: 'This node hands the log over to another one' };
  return undefined;
}

/** The cluster as a whole, as the node that was asked sees it. */
export function clusterStatus(cluster: ClusterSnapshot): Status {
  const { owner, nodes, ack, self } = cluster;
  if (owner === null)
    return { level: 'bad', text: 'No node owns the log: nothing is stored or delivered' };
  const trouble = owns(self) ? troubleOf(cluster) : undefined;
  if (trouble !== undefined) return trouble;
  const others = nodes.length - 1;
  const standbys = standbysOf(cluster).length;
  const head = `Node ${owner.node} owns the log`;
  if (standbys === 0) return { level: 'bad', text: `${head}; no other node would take over` };
  const rest = `${standbys} of ${plural(others, 'other')} would take over`;
  const level = standbys < others || !ack.safe ? 'warn' : 'good';
  return { level, text: `${head}; ${rest}` };
}

/** What a node is about that does not own the log. */
export function followerStatus({ self, owner }: ClusterSnapshot): Status {
  const whose = owner === null ? 'no node owns the log' : `node ${owner.node} owns it`;
  const { building } = self;
  if (building !== null)
    return {
      level: 'warn',
      text: `Node ${self.node} builds itself from the other nodes; ${whose}`,
    };
  if (self.state === 'following' || self.state === 'campaigning') {
    const level = owner === null ? 'bad' : hindrance(self) === undefined ? 'good' : 'warn';
    return { level, text: `Node ${self.node} ${paceOf(self)}; ${whose}` };
  }
  return { level: 'warn', text: `Node ${self.node} is ${self.state}; ${whose}` };
}

function paceOf(self: ClusterSnapshot['self']): string {
  if (self.blocked !== null) return `cannot own the log now: ${self.blocked}`;
  const why = hindrance(self);
  return why === undefined ? 'keeps up with the log' : `is ${why}`;
}
