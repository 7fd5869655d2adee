// What a node says of its cluster as Prometheus text: of itself, of the stream, and of the other
// nodes as far as it hears of them, which the owner does of all.

import { type ClusterSnapshot, hindrance, NODE_STATES, owns } from '../contract/cluster.ts';
import { POWERS } from '../contract/snapshot.ts';
import { type Labels, SECONDS, type Text } from './metrics-text.ts';

/** Series of one node. */
export function ofCluster(text: Text, cluster: ClusterSnapshot): void {
  ofNode(text, cluster);
  ofOthers(text, cluster);
  ofStream(text, cluster);
  ofCounts(text, cluster);
}

function ofNode(text: Text, { name, self, owner, ack, passedOn }: ClusterSnapshot): void {
  const gauge = (of: string, help: string, value: number) =>
    text.one(`cluster_${of}`, 'gauge', help, value);
  text.family('cluster_info', 'gauge', 'Which cluster this is a node of; always 1.', [
    [{ cluster: name, node: String(self.node) }, 1],
  ]);
  text.family(
    'cluster_state',
    'gauge',
    'What the node is about: 1 for that state, 0 for the others.',
    NODE_STATES.map((state) => [{ state }, state === self.state ? 1 : 0]),
  );
  const known = 'Number of the node that owns the log, as far as this one knows; 0: none.';
  gauge('owner_node', known, owner?.node ?? 0);
  gauge('epoch', 'Of the owner that it knows of: each take-over raises it.', self.epoch);
  gauge('lag_messages', 'Messages of the stream that are not on its disk.', self.lag);
  gauge(
    'lag_seconds',
    'How long ago the oldest of them was seen in the stream.',
    self.lagMs * SECONDS,
  );
  const blocked = 'Whether something, such as a full disk, keeps it from owning the log.';
  gauge('blocked', blocked, self.blocked === null ? 0 : 1);
  const { building } = self;
  const built: [Labels, number][] =
    building === null
      ? []
      : [
          [{ part: 'done' }, building.bytes],
          [{ part: 'all' }, building.bytesTotal],
        ];
  const how = 'While it builds itself from the other nodes: how far that is.';
  text.family('cluster_building_bytes', 'gauge', how, built);
  const safe = 'Whether an ack means two disks of NATS and one of a node; 0: it means less.';
  gauge('ack_safe', safe, ack.safe ? 1 : 0);
  gauge('warnings', 'What is to be said of the servers of NATS.', ack.warnings.length);
  gauge('passed_on_clients', 'Clients of this node that the owner serves.', passedOn.clients);
  gauge('passed_on_bytes', 'Bytes of these that are on their way.', passedOn.bytes);
}

// Numbers of nodes are settings: nobody who connects can make them up.
function ofOthers(text: Text, { self, nodes }: ClusterSnapshot): void {
  const others = nodes.filter((other) => other.node !== self.node);
  const each = (of: string, help: string, value: (node: (typeof others)[number]) => number) =>
    text.family(
      `cluster_node_${of}`,
      'gauge',
      help,
      others.map((node) => [{ of: String(node.node) }, value(node)]),
    );
  each('seen_seconds', 'How long ago it was heard of.', ({ seenMs }) => seenMs * SECONDS);
  each('lag_seconds', 'How far it was behind then.', ({ lagMs }) => lagMs * SECONDS);
  const standby = 'Whether it would take over, were the owner lost now.';
  each('standby', standby, (node) => (owns(node) || hindrance(node) !== undefined ? 0 : 1));
}

function ofStream(text: Text, { stream }: ClusterSnapshot): void {
  const gauge = (of: string, help: string, value: number) =>
    text.one(`cluster_stream_${of}`, 'gauge', help, value);
  gauge('connected', 'Whether a server of NATS is reached.', stream.connected ? 1 : 0);
  const { leader } = stream;
  const led = 'Which server of NATS leads the stream: 1 for that one; none if nobody does.';
  text.family('cluster_stream_leader', 'gauge', led, leader === null ? [] : [[{ leader }, 1]]);
  gauge('messages', 'Messages in it.', Math.max(0, stream.last - stream.first + 1));
  gauge('bytes', 'Bytes of these.', stream.bytes);
  gauge('limit_bytes', 'What these may come to (--cluster-max-bytes).', stream.maxBytes);
  const blocked = 'Whether publishes are refused because it has no room.';
  gauge('blocked', blocked, stream.blocked === null ? 0 : 1);
}

function ofCounts(text: Text, { counts, appends }: ClusterSnapshot): void {
  const counter = (of: string, help: string, value: number) =>
    text.one(`cluster_${of}_total`, 'counter', help, value);
  counter('take_overs', 'Changes of the owner that this node has seen.', counts.takeOvers);
  counter('deposed', 'Times that another node took over from this one.', counts.deposed);
  const doubts = 'Times that it did not know whether an append was stored, and looked.';
  counter('doubts', doubts, counts.doubts);
  const suspended = 'Times that it owned the log and delivered nothing, for want of confirmation.';
  counter('suspensions', suspended, counts.suspensions);
  const voids = 'Messages of the stream that do not count: of past owners, or foreign.';
  counter('voids', voids, counts.voids);
  counter('rebuilds', 'Times that it built itself from the other nodes.', counts.rebuilds);
  counter('base_bytes', 'Bytes that it put into base objects.', counts.baseBytes);
  if (appends === null) return;
  const took = 'Time until the stream confirmed an append.';
  text.histogram('cluster_append_duration_seconds', took, {
    unit: SECONDS,
    powers: POWERS.ms,
    upTo: appends.upTo,
    all: appends,
  });
}
