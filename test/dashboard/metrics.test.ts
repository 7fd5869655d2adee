// The metrics as Prometheus reads them: form, names, no label that a client could make up, size;
// and that the board and the alert rules in ops/ use names that exist.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { test } from 'node:test';
import type { BucketRow } from '../../src/contract/commands.ts';
import { WHY, WHY_CODES } from '../../src/contract/why.ts';
import { bucketMetricsText } from '../../src/dashboard/bucket-metrics.ts';
import { metricsText } from '../../src/dashboard/metrics.ts';
import { fakeSnapshot } from '../cli/fake-server.ts';
import { fakeCluster } from '../support/cluster.ts';
import { ALERTS, annotationsOf, families, promtool } from '../support/prometheus.ts';

const HEALTH = { started: true, live: true, ready: true, checks: {} };
const ANSWER = { health: HEALTH, snapshot: fakeSnapshot() };
const OPS = new URL('../../../ops/', import.meta.url);
const UNTIL = '2026-01-02T03:04:05.250Z';
const ROW: BucketRow = {
  id: '18446744073709551615',
  ready: 5,
  unacked: 1,
  delayed: 4,
  nextDueAt: '2026-01-02T03:04:05.000Z',
  dead: 3,
  exact: true,
  consumers: 2,
  publishedRate: 1.5,
  settledRate: 0.5,
  oldestAgeMs: 1500,
  ageIs: 'exact',
  paused: false,
  why: { code: 'consumer-silent', text: WHY['consumer-silent'], until: UNTIL },
};
const requests = new Map([['a', { route: '/dash', code: 200, count: 3 }]]);

const board = (): { panels: { targets: { expr: string }[] }[] } =>
  JSON.parse(fs.readFileSync(new URL('grafana.json', OPS), 'utf8'));

test('the text is in form, with the numbers of the snapshot', () => {
  const text = metricsText(ANSWER, requests);
  families(text);
  for (const line of [
    'thrustmq_up_state{state="ready"} 1',
    `thrustmq_build_info{version="9.9.9",node="${process.versions.node}"} 1`,
    'thrustmq_messages_received_total 12345',
    'thrustmq_messages_refused_total{reason="storage_full"} 3',
    'thrustmq_messages_refused_total{reason="rule"} 4',
    'thrustmq_connections{side="intake"} 1',
    'thrustmq_http_requests_total{route="/dash",code="200"} 3',
    'thrustmq_messages_ready 9',
    'thrustmq_oldest_message_age_seconds 1.5',
    'thrustmq_backlog_bytes 1048576',
    'thrustmq_memory_limit_bytes 536870912',
    'thrustmq_disk_free_bytes 1000000000',
    'thrustmq_connections_opened_total{side="intake"} 5',
    'thrustmq_connections_closed_total{side="intake",reason="timeout"} 4',
    'thrustmq_connections_closed_total{side="exhaust",reason="shutdown"} 0',
    'thrustmq_frames_total{side="intake",type="batch"} 12',
    'thrustmq_frames_total{side="exhaust",type="delivery"} 34',
    'thrustmq_frames_total{side="exhaust",type="heartbeat"} 8',
    'thrustmq_backpressure_seconds_total{reason="storage_full"} 2.5',
    'thrustmq_wasm_memory_bytes{module="engine"} 1024',
    'thrustmq_event_loop_delay_seconds_count 3',
  ])
    assert.ok(text.includes(`${line}\n`), line);
  assert.ok(!text.includes('bucket='), 'a bucket must not be a label here');
});

test('a histogram: seconds, cumulative, its last bucket is its count', () => {
  const text = metricsText(ANSWER, requests);
  const found = families(text);
  const histograms = [...found].filter(([, { kind }]) => kind === 'histogram');
  assert.equal(histograms.length, 8);
  for (const [name, { samples }] of histograms) {
    const values = samples.map((line) => Number(line.split(' ')[1]));
    const bounds = samples.flatMap((line) => /le="([^"]+)"/.exec(line)?.[1] ?? []);
    assert.equal(bounds.at(-1), '+Inf', name);
    const numbers = bounds.slice(0, -1).map(Number);
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
      name,
    );
    assert.ok(bounds.length <= 24 && !bounds.join().includes('e'), `${name}: ${bounds}`);
    const counts = values.slice(0, bounds.length);
    assert.deepEqual(
      counts,
      [...counts].sort((a, b) => a - b),
      name,
    );
    assert.equal(counts.at(-1), values.at(-1), name);
  }
  // Three publishes of 0.25, 1 and 3 ms.
  for (const line of [
    'thrustmq_publish_duration_seconds_bucket{le="0.000015625"} 0',
    'thrustmq_publish_duration_seconds_bucket{le="0.00025"} 1',
    'thrustmq_publish_duration_seconds_bucket{le="0.0005"} 1',
    'thrustmq_publish_duration_seconds_bucket{le="0.001"} 2',
    'thrustmq_publish_duration_seconds_bucket{le="0.004"} 3',
    'thrustmq_publish_duration_seconds_bucket{le="65.536"} 3',
    'thrustmq_publish_duration_seconds_bucket{le="+Inf"} 3',
    'thrustmq_publish_duration_seconds_sum 0.00425',
    'thrustmq_publish_duration_seconds_count 3',
  ])
    assert.ok(text.includes(`${line}\n`), line);
});

test('a broker that starts, or is silent, is told from one that serves', () => {
  const state = (answer: Parameters<typeof metricsText>[0]) =>
    /state="(\w+)"\} 1/.exec(metricsText(answer, new Map()))?.[1];
  assert.equal(state(undefined), 'silent');
  assert.equal(state({ health: { ...HEALTH, started: false, ready: false } }), 'recovering');
  assert.equal(state({ ...ANSWER, health: { ...HEALTH, ready: false } }), 'not_ready');
  assert.equal(families(metricsText(undefined, new Map())).get('thrustmq_up_state')!.kind, 'gauge');
});

test('single buckets: as many as were asked for, and each reason counted', () => {
  const text = bucketMetricsText([ROW, { ...ROW, id: '1', oldestAgeMs: null }]);
  const found = families(text);
  assert.equal(found.get('thrustmq_buckets_by_why')!.samples.length, WHY_CODES.length);
  assert.ok(text.includes('thrustmq_buckets_by_why{code="consumer-silent"} 2\n'));
  const silent = `thrustmq_bucket_why{bucket="${ROW.id}",code="consumer-silent"} 1\n`;
  assert.ok(text.includes(silent));
  assert.equal(found.get('thrustmq_bucket_oldest_message_age_seconds')!.samples.length, 1);
  const many = Array.from({ length: 1000 }, (_, i) => ({
    ...ROW,
    id: String(10n ** 19n + BigInt(i)),
  }));
  assert.ok(bucketMetricsText(many).length < 1024 * 1024);
});

test('promtool agrees, where it is installed', (context) => {
  const input = metricsText(ANSWER, requests) + bucketMetricsText([ROW]);
  const ran = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
  if (ran.error !== undefined) {
    context.skip('promtool is not installed here');
    return;
  }
  assert.equal(ran.status, 0, ran.stdout + ran.stderr);
  const checked = spawnSync('promtool', ['check', 'rules', ALERTS], { encoding: 'utf8' });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
});

test('promtool: the board asks what can be asked; slow syncs and old messages raise alerts', (context) => {
  const asked = board().panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  const rules = asked.map((expr, i) => ({
    record: `asked:${i}`,
    expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*'),
  }));
  const checked = promtool('check', { groups: [{ name: 'board', rules }] });
  if (checked.error !== undefined) {
    context.skip('promtool is not installed here');
    return;
  }
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  // Ten syncs a minute: on one broker each takes 0.3 to 0.5 s, on the other 1 to 2 ms.
  const sync = (instance: string, le: string, perMinute: number) => ({
    series: `thrustmq_log_fsync_duration_seconds_bucket{instance="${instance}",le="${le}"}`,
    values: `0+${perMinute}x30`,
  });
  const slow = { severity: 'warning', instance: 'slow' };
  const fired = (alertname: string) => {
    const exp_annotations = annotationsOf(alertname, { instance: 'slow' });
    const exp_alerts = [{ exp_labels: slow, exp_annotations }];
    return { eval_time: '25m', alertname, exp_alerts };
  };
  const ran = promtool('test', {
    rule_files: [ALERTS],
    tests: [
      {
        interval: '1m',
        input_series: [
          ...[sync('slow', '0.256', 0), sync('slow', '0.512', 10), sync('slow', '+Inf', 10)],
          ...[sync('quick', '0.256', 10), sync('quick', '0.512', 10), sync('quick', '+Inf', 10)],
          {
            series: 'thrustmq_oldest_message_age_seconds{instance="slow"}',
            values: '90000+60x30',
          },
          { series: 'thrustmq_oldest_message_age_seconds{instance="quick"}', values: '0x30' },
        ],
        alert_rule_test: ['ThrustMQSyncSlow', 'ThrustMQOldestMessage'].map(fired),
      },
    ],
  });
  assert.equal(ran.status, 0, ran.stdout + ran.stderr);
});

test('the board and the alert rules use metrics that exist', () => {
  const text =
    metricsText({ ...ANSWER, cluster: fakeCluster() }, requests) + bucketMetricsText([ROW]);
  const known = new Set([...text.matchAll(/^(thrustmq_[a-z_]+)/gm)].map(([, name]) => name));
  const { panels } = board();
  assert.ok(panels.length >= 8);
  const expressions = JSON.stringify(panels.map(({ targets }) => targets));
  const rules = fs.readFileSync(new URL('alerts.yml', OPS), 'utf8');
  assert.ok((rules.match(/- alert: /g)?.length ?? 0) >= 6);
  for (const [, name] of `${expressions}\n${rules}`.matchAll(/\b(thrustmq_[a-z_]+)/g))
    assert.ok(known.has(name), `${name} is no metric`);
});
