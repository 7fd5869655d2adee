// The metrics of a node of a cluster, of an owner and of one that follows; and which alerts they
// raise.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { metricsText } from '../../src/dashboard/metrics.ts';
import { fakeSnapshot } from '../cli/fake-server.ts';
import { fakeCluster, fakeFollower, fakeNode, UNSAFE_ACK } from '../support/cluster.ts';
import { ALERTS, annotationsOf, families, promtool } from '../support/prometheus.ts';

const HEALTH = { started: true, live: true, ready: true, checks: {} };
const textOf = (cluster = fakeCluster(), snapshot = false) => {
  const answer = { health: HEALTH, cluster };
  const whole = snapshot ? { ...answer, snapshot: fakeSnapshot() } : answer;
  return metricsText(whole, new Map());
};

function assertLines(text: string, lines: readonly string[]): void {
  for (const line of lines) assert.ok(text.includes(`\nthrustmq_${line}\n`), line);
}

test('an owner: its state, the stream, the other nodes, and all that a broker has', () => {
  const text = textOf(fakeCluster(), true);
  const found = families(text);
  assertLines(text, [
    'cluster_info{cluster="orders",node="1"} 1',
    'cluster_state{state="owning"} 1',
    'cluster_state{state="following"} 0',
    'cluster_owner_node 1',
    'cluster_epoch 7',
    'cluster_ack_safe 1',
    'cluster_warnings 0',
    'cluster_node_seen_seconds{of="2"} 0.25',
    'cluster_node_lag_seconds{of="3"} 6.5',
    'cluster_node_standby{of="2"} 1',
    'cluster_node_standby{of="3"} 0',
    'cluster_stream_connected 1',
    'cluster_stream_leader{leader="n2"} 1',
    'cluster_stream_messages 712',
    'cluster_stream_bytes 4294967296',
    'cluster_stream_limit_bytes 17179869184',
    'cluster_stream_blocked 0',
    'cluster_take_overs_total 2',
    'cluster_deposed_total 1',
    'cluster_doubts_total 5',
    'cluster_suspensions_total 3',
    'cluster_voids_total 4',
    'cluster_rebuilds_total 6',
    'cluster_base_bytes_total 1048576',
    'cluster_append_duration_seconds_bucket{le="0.001"} 1',
    'cluster_append_duration_seconds_bucket{le="0.002"} 2',
    'cluster_append_duration_seconds_bucket{le="+Inf"} 3',
    'cluster_append_duration_seconds_sum 0.011',
    'messages_received_total 12345',
  ]);
  assert.equal(found.get('thrustmq_cluster_node_standby')!.samples.length, 2, 'not of itself');
  assert.equal(found.get('thrustmq_cluster_building_bytes')!.samples.length, 0);
});

test('a node that follows: of the process, its disk and the cluster, nothing of a broker', () => {
  const text = textOf(fakeFollower());
  const names = [...families(text).keys()].map((name) => name.replace('thrustmq_', ''));
  assert.deepEqual(
    names.filter((name) => !name.startsWith('cluster_')),
    [
      'up_state',
      'http_requests_total',
      'dashboard_restarts_total',
      'build_info',
      'start_time_seconds',
      'resident_memory_bytes',
      'heap_bytes',
      'memory_limit_bytes',
      'log_bytes',
      'disk_free_bytes',
    ],
  );
  assert.ok(!names.includes('cluster_append_duration_seconds'));
  assertLines(text, [
    'up_state{state="ready"} 1',
    'cluster_state{state="following"} 1',
    'cluster_lag_messages 12',
    'cluster_lag_seconds 0.03',
    'cluster_passed_on_clients 9',
    'cluster_passed_on_bytes 4096',
    'resident_memory_bytes 200000000',
    'log_bytes 134217728',
    'disk_free_bytes 5000000000',
  ]);
});

test('what is not as it should be has a series, too', () => {
  const { stream } = fakeCluster();
  const building = { bytes: 10, bytesTotal: 40 };
  const text = textOf(
    fakeFollower({
      self: fakeNode(2, { state: 'joining', building, blocked: 'the disk is full' }),
      owner: null,
      ack: UNSAFE_ACK,
      stream: { ...stream, connected: false, leader: null, first: 1, last: 0, blocked: 'full' },
    }),
  );
  assert.equal(families(text).get('thrustmq_cluster_stream_leader')!.samples.length, 0);
  assertLines(text, [
    'cluster_owner_node 0',
    'cluster_building_bytes{part="done"} 10',
    'cluster_building_bytes{part="all"} 40',
    'cluster_blocked 1',
    'cluster_ack_safe 0',
    'cluster_warnings 1',
    'cluster_stream_connected 0',
    'cluster_stream_messages 0',
    'cluster_stream_blocked 1',
  ]);
  assert.ok(!textOf().includes('undefined'));
  assert.ok(
    !metricsText({ health: HEALTH, snapshot: fakeSnapshot() }, new Map()).includes('cluster'),
  );
});

test('promtool agrees, where it is installed', (context) => {
  for (const input of [textOf(fakeCluster(), true), textOf(fakeFollower())]) {
    const ran = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
    if (ran.error !== undefined) return context.skip('promtool is not installed here');
    assert.equal(ran.status, 0, ran.stdout + ran.stderr);
  }
});

// Three nodes, minute by minute, as Prometheus sees them: [name, labels, values].
type Series = [name: string, labels: Record<string, string>, values: string];

const seriesOf = ([name, labels, values]: Series) => {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  return { series: `thrustmq_cluster_${name}{${pairs.join(',')}}`, values };
};

interface Story {
  name: string;
  series: Series[];
  /** Alert, its severity, and what labels it has beside that. */
  alert: [string, 'critical' | 'warning', Record<string, string>];
  /** Where nothing is to be said. */
  quiet: Series[];
}

const [one, two] = [{ instance: 'one' }, { instance: 'two' }];
const info: Series[] = [one, two].map((of, i) => [
  'info',
  { ...of, cluster: 'orders', node: String(i + 1) },
  '1x30',
]);
const stateOf = (of: object, state: string, values: string): Series => [
  'state',
  { ...of, state },
  values,
];
const owning = stateOf(one, 'owning', '1x30');

const STORIES: Story[] = [
  {
    name: 'NoOwner',
    series: [...info, stateOf(one, 'owning', '0x30'), stateOf(two, 'doubting', '0x30')],
    alert: ['ThrustMQClusterNoOwner', 'critical', { cluster: 'orders' }],
    quiet: [...info, stateOf(one, 'owning', '0x30'), stateOf(two, 'owning', '1x30')],
  },
  {
    name: 'NoStandby',
    series: [owning, ['node_standby', { ...one, of: '2' }, '0x30']],
    alert: ['ThrustMQClusterNoStandby', 'critical', { ...one, state: 'owning' }],
    quiet: [
      owning,
      ['node_standby', { ...one, of: '2' }, '0x30'],
      ['node_standby', { ...one, of: '3' }, '1x30'],
    ],
  },
  {
    name: 'NoStandby of an owner that is alone',
    series: [owning],
    alert: ['ThrustMQClusterNoStandby', 'critical', { ...one, state: 'owning' }],
    quiet: [stateOf(one, 'owning', '0x30')],
  },
  {
    name: 'NodeLost',
    series: [owning, ['node_seen_seconds', { ...one, of: '3' }, '70+60x30']],
    alert: ['ThrustMQClusterNodeLost', 'warning', { ...one, of: '3' }],
    quiet: [stateOf(one, 'owning', '0x30'), ['node_seen_seconds', { ...one, of: '3' }, '70+60x30']],
  },
  {
    name: 'Lags',
    series: [['lag_seconds', two, '6x30']],
    alert: ['ThrustMQClusterLags', 'warning', two],
    quiet: [['lag_seconds', two, '4 9 4 9 4 9 4 9 4 9 4 9 4 9 4 9 4 9 4 9 4 9 4 9 4 9 4']],
  },
  {
    name: 'StreamFull',
    series: [owning, ['stream_blocked', one, '1x30']],
    alert: ['ThrustMQClusterStreamFull', 'critical', one],
    quiet: [owning, ['stream_blocked', one, '0x30']],
  },
  {
    name: 'StreamNearlyFull',
    series: [
      ['stream_bytes', one, '81x30'],
      ['stream_limit_bytes', one, '100x30'],
    ],
    alert: ['ThrustMQClusterStreamNearlyFull', 'warning', one],
    quiet: [
      ['stream_bytes', one, '79x30'],
      ['stream_limit_bytes', one, '100x30'],
    ],
  },
  {
    name: 'NatsLost',
    series: [['stream_connected', two, '0x30']],
    alert: ['ThrustMQClusterNatsLost', 'warning', two],
    quiet: [['stream_connected', two, '1x30']],
  },
  {
    name: 'UnsafeAcks',
    series: [['ack_safe', one, '0x30']],
    alert: ['ThrustMQClusterUnsafeAcks', 'warning', one],
    quiet: [['ack_safe', one, '1x30']],
  },
  {
    name: 'Voids',
    series: [
      ['voids_total', one, '0x20 3x10'],
      ['take_overs_total', one, '1x30'],
    ],
    alert: ['ThrustMQClusterVoids', 'warning', one],
    quiet: [
      ['voids_total', one, '0x20 3x10'],
      ['take_overs_total', one, '1x20 2x10'],
    ],
  },
  {
    name: 'Flaps',
    series: [['take_overs_total', two, '0x5 1x5 2x5 3x5 4x5 5x5']],
    alert: ['ThrustMQClusterFlaps', 'warning', two],
    quiet: [['take_overs_total', two, '0x20 1x10']],
  },
];

test('promtool: each alert is raised when it is to be, and not else', (context) => {
  const tests = STORIES.flatMap(({ series, alert: [alertname, severity, labels], quiet }) => {
    const exp_labels = { severity, ...labels };
    const exp_annotations = annotationsOf(alertname, labels);
    const fired = [{ exp_labels, exp_annotations }];
    return [
      { input: series, exp_alerts: fired },
      { input: quiet, exp_alerts: [] },
    ].map(({ input, exp_alerts }) => ({
      interval: '1m',
      input_series: input.map(seriesOf),
      alert_rule_test: [{ eval_time: '25m', alertname, exp_alerts }],
    }));
  });
  const ran = promtool('test', { rule_files: [ALERTS], tests });
  if (ran.error !== undefined) return context.skip('promtool is not installed here');
  assert.equal(ran.status, 0, ran.stdout + ran.stderr);
});
