// The broker's numbers as Prometheus text: counters of the broker that never shrink, no label whose
// values a client could make up. Single buckets are in bucket-metrics.ts.

import type { ClusterSnapshot } from '../contract/cluster.ts';
import { type Distribution, type Histograms, POWERS, type Snapshot } from '../contract/snapshot.ts';
import { ofCluster } from './cluster-metrics.ts';
import type { Answer } from './messages.ts';
import { type HistogramOf, type Labels, SECONDS, Text } from './metrics-text.ts';

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Requests that the dashboard answered, by route and status. */
export type Requests = ReadonlyMap<string, { route: string; code: number; count: number }>;

/** Everything about the broker as a whole. Without a snapshot: only whether it is up. */
export function metricsText(answer: Answer | undefined, requests: Requests): string {
  const text = new Text();
  const { started = false, ready = false } = answer?.health ?? {};
  const state =
    answer === undefined ? 'silent' : !started ? 'recovering' : ready ? 'ready' : 'not_ready';
  const states = ['ready', 'recovering', 'not_ready', 'silent'];
  text.family(
    'up_state',
    'gauge',
    'Which state the broker is in: 1 for that one, 0 for the others.',
    states.map((each) => [{ state: each }, each === state ? 1 : 0]),
  );
  text.family(
    'http_requests_total',
    'counter',
    'Requests to the dashboard, since its process started.',
    [...requests.values()].map(({ route, code, count }) => [{ route, code: String(code) }, count]),
  );
  if (answer !== undefined) {
    const { ended = 0, silent = 0 } = answer.restarts ?? {};
    const times = 'How often the process of the dashboard ended, or was killed for its silence.';
    text.family('dashboard_restarts_total', 'counter', times, [
      [{ reason: 'ended' }, ended],
      [{ reason: 'silent' }, silent],
    ]);
  }
  const { snapshot, cluster } = answer ?? {};
  if (cluster !== undefined) ofCluster(text, cluster);
  if (snapshot === undefined && cluster !== undefined) ofFollower(text, cluster);
  if (snapshot !== undefined) {
    ofBroker(text, snapshot);
    ofMessages(text, snapshot);
    ofLatency(text, snapshot);
    ofCommits(text, snapshot);
    ofLog(text, snapshot);
  }
  return text.toString();
}

type Memory = Pick<ClusterSnapshot['resources'], 'rssBytes' | 'heapBytes' | 'budgetBytes'>;

function ofProcess(text: Text, of: { version: string; startedAt: string }, memory: Memory): void {
  const { version } = of;
  text.family('build_info', 'gauge', 'What is running; always 1.', [
    [{ version, node: process.versions.node }, 1], // the dashboard's, started with the broker's
  ]);
  const startedAt = Date.parse(of.startedAt) * SECONDS;
  text.one('start_time_seconds', 'gauge', 'When the broker started, as Unix time.', startedAt);
  text.one('resident_memory_bytes', 'gauge', 'Memory of the broker process.', memory.rssBytes);
  text.one('heap_bytes', 'gauge', 'JavaScript heap in use.', memory.heapBytes);
  const budget = 'What the memory is to stay below (--memory).';
  text.one('memory_limit_bytes', 'gauge', budget, memory.budgetBytes);
}

function ofDisk(text: Text, logBytes: number, freeBytes: number | null): void {
  text.one('log_bytes', 'gauge', 'Disk space of the log.', logBytes);
  if (freeBytes !== null)
    text.one('disk_free_bytes', 'gauge', 'What the file system has left.', freeBytes);
}

// A node that follows has a process and a disk, and nothing else of a broker.
function ofFollower(text: Text, { self, resources }: ClusterSnapshot): void {
  ofProcess(text, self, resources);
  ofDisk(text, resources.logBytes, resources.diskFreeBytes);
}

function ofBroker(text: Text, snapshot: Snapshot): void {
  const { connections, memory, eventLoopDelayMs, histograms, totals } = snapshot;
  ofProcess(text, snapshot, memory);
  text.family('connections', 'gauge', 'Open connections.', [
    [{ side: 'intake' }, connections.intake],
    [{ side: 'exhaust' }, connections.exhaust],
  ]);
  const opened = 'Connections that were opened.';
  const { closed } = connections;
  text.family('connections_opened_total', 'counter', opened, [
    [{ side: 'intake' }, connections.opened.intake],
    [{ side: 'exhaust' }, connections.opened.exhaust],
  ]);
  const ended = (['intake', 'exhaust'] as const).flatMap((side) =>
    Object.entries(closed[side]).map(([reason, n]): [Labels, number] => [{ side, reason }, n]),
  );
  const why = 'Connections that ended, by who closed them or what for.';
  text.family('connections_closed_total', 'counter', why, ended);
  const refused = 'Connections turned away at the limit.';
  text.one('connections_refused_total', 'counter', refused, connections.refused);
  const breaches = 'Connections closed for what the peer did.';
  text.one('protocol_errors_total', 'counter', breaches, totals.protocolErrors);
  const buffered = 'Partial input and unread output of all connections.';
  text.one('buffered_bytes', 'gauge', buffered, memory.bufferedBytes);
  const most = 'What these may come to (--buffer).';
  text.one('buffered_limit_bytes', 'gauge', most, memory.bufferBytesMax);
  const reserved = 'Of them, set aside for large messages on their way.';
  text.one('reserved_bytes', 'gauge', reserved, memory.reservedBytes);
  const waiting = 'Producers of large messages that are not read until there is memory for them.';
  text.one('producers_waiting_for_memory', 'gauge', waiting, memory.waitingProducers);
  const wasm = 'Linear memory of a WebAssembly module; what was never touched is not resident.';
  text.family('wasm_memory_bytes', 'gauge', wasm, [[{ module: 'engine' }, memory.wasmBytes]]);
  const late = times(histograms, 'loopDelayMs', eventLoopDelayMs.all);
  text.histogram('event_loop_delay_seconds', 'How late a timer of the event loop was.', late);
}

function ofMessages(text: Text, { totals, buckets, log }: Snapshot): void {
  const counter = (name: string, help: string, value: number) =>
    text.one(`${name}_total`, 'counter', help, value);
  counter('messages_received', 'Messages stored and acked with 1.', totals.publishedMessages);
  counter('received_bytes', 'Bytes of these.', totals.publishedBytes);
  counter('messages_copied', 'Copies of these that rules put elsewhere.', totals.copiedMessages);
  counter('messages_duplicate', 'Answered with 1, not stored again.', totals.duplicateMessages);
  text.family('messages_refused_total', 'counter', 'Messages answered with 0.', [
    [{ reason: 'empty' }, totals.refused.empty],
    [{ reason: 'too_large' }, totals.refused.tooLarge],
    [{ reason: 'storage_full' }, totals.refused.storageFull],
    [{ reason: 'rule' }, totals.refused.byRule],
  ]);
  counter('messages_delivered', 'Messages sent to consumers.', totals.deliveredMessages);
  counter('sent_bytes', 'Bytes of these.', totals.deliveredBytes);
  counter('messages_acknowledged', 'Messages acked by consumers.', totals.ackedMessages);
  counter('messages_failed', 'Messages consumers could not handle.', totals.failedMessages);
  counter('messages_released', 'Given back without an attempt.', totals.releasedMessages);
  counter('messages_deferred', 'Failed or given back, for later.', totals.deferredMessages);
  const suspected = 'Messages lost together with their consumer: they come again apart, uncharged.';
  counter('messages_suspected', suspected, totals.suspectedMessages);
  const { dead, dropped } = totals;
  text.family('messages_dead_total', 'counter', 'Messages that died, by the reason.', [
    [{ reason: 'max-deliveries' }, dead.maxDeliveries],
    [{ reason: 'rejected' }, dead.rejected],
    [{ reason: 'expired' }, dead.expired],
    [{ reason: 'overflow' }, dead.overflow],
  ]);
  counter('messages_dead_dropped', 'Of the dead: kept nowhere.', dead.dropped);
  const stayed = 'Of the dead: kept by their bucket, as where they were to go took none.';
  counter('messages_dead_not_moved', stayed, dead.notMoved);
  counter('messages_redriven', 'Dead messages given back by operators.', dead.redriven);
  counter('messages_redelivered', 'Messages sent once more.', totals.redeliveredMessages);
  counter('messages_unreadable', 'Messages that could not be read.', totals.unreadableMessages);
  counter('messages_purged', 'Messages purged by operators.', totals.purgedMessages);
  const whys = Object.entries(dropped).map(([reason, n]): [Labels, number] => [{ reason }, n]);
  text.family('messages_dropped_total', 'counter', 'Messages that rules dropped, by why.', whys);
  text.family('frames_total', 'counter', 'Whole frames of the protocol, acks aside.', [
    [{ side: 'intake', type: 'batch' }, totals.batches],
    [{ side: 'exhaust', type: 'delivery' }, totals.deliveries],
    [{ side: 'exhaust', type: 'heartbeat' }, totals.heartbeats],
  ]);
  text.family('buckets', 'gauge', 'Buckets that are known.', [
    [{ state: 'open' }, buckets.count],
    [{ state: 'paused' }, buckets.paused],
    [{ state: 'active-source' }, buckets.sources],
  ]);
  text.one('dedup_ids', 'gauge', 'Ids of messages in their windows.', buckets.recentIds.count);
  text.one('messages_ready', 'gauge', 'Messages that wait for a consumer.', buckets.ready);
  text.one('messages_unacked', 'gauge', 'Messages that consumers hold.', buckets.unacked);
  text.one('messages_delayed', 'gauge', 'Messages to be ready at a time.', buckets.delayed);
  const kept = 'Dead messages that are kept: neither given back nor purged.';
  text.one('messages_dead_kept', 'gauge', kept, buckets.dead);
  const age = 'Age of the oldest message that is not acked; before this start, of the start.';
  text.one('oldest_message_age_seconds', 'gauge', age, buckets.oldestAgeMs * SECONDS);
  const live = 'Bytes of the log that messages need which are not acked, about.';
  text.one('backlog_bytes', 'gauge', live, log.liveBytes);
  const full = 'Whether publishes are refused, by reason.';
  text.family('backpressure_active', 'gauge', full, [
    [{ reason: 'storage_full' }, log.state === 'full' ? 1 : 0],
    [{ reason: 'storage_failed' }, log.state === 'failed' ? 1 : 0],
  ]);
  text.family('backpressure_seconds_total', 'counter', 'How long publishes were refused.', [
    [{ reason: 'storage_full' }, log.fullMs * SECONDS],
  ]);
}

const times = (histograms: Histograms, name: keyof Histograms, all: Distribution): HistogramOf => ({
  unit: SECONDS,
  powers: POWERS.ms,
  upTo: histograms[name],
  all,
});

function ofLatency(text: Text, { latency, histograms }: Snapshot): void {
  const each = (name: string, of: keyof Snapshot['latency'], help: string) =>
    text.histogram(`${name}_seconds`, help, times(histograms, of, latency[of]));
  each(
    'publish_duration',
    'publishMs',
    'From intake to acks, for batches of producers; each counts with the time of its commit.',
  );
  each(
    'delivery_latency',
    'deliveryMs',
    'From intake to the first delivery, for the first message of each delivery.',
  );
  each('ack_duration', 'ackMs', 'From a delivery to the ack of its last message.');
}

function ofCommits(text: Text, { commits, histograms }: Snapshot): void {
  const reasons = Object.entries(commits.reasons);
  text.family(
    'log_commits_total',
    'counter',
    'Batches written, by what made the broker write them.',
    reasons.map(([reason, count]) => [{ reason }, count]),
  );
  const written = times(histograms, 'writeMs', commits.writeMs);
  text.histogram('log_append_duration_seconds', 'Time to write a batch.', written);
  const synced = times(histograms, 'syncMs', commits.syncMs);
  text.histogram('log_fsync_duration_seconds', 'Time to sync a batch.', synced);
  text.histogram('log_batch_bytes', 'Size of a batch.', {
    unit: 1,
    powers: POWERS.bytes,
    upTo: histograms.commitBytes,
    all: commits.bytes,
  });
  text.histogram('log_fsync_batch_messages', 'Messages made durable together.', {
    unit: 1,
    powers: POWERS.messages,
    upTo: histograms.commitMessages,
    all: commits.messages,
  });
}

function ofLog(text: Text, { log }: Snapshot): void {
  text.family('log_segments', 'gauge', 'Log files.', [
    [{ state: 'used' }, log.segments],
    [{ state: 'spare' }, log.spareSegments],
  ]);
  ofDisk(text, log.diskBytes, log.diskFreeBytes);
  text.one('log_index_bytes', 'gauge', 'Disk space of the index.', log.indexBytes);
  const { compactions, coldReads } = log;
  const counter = (name: string, help: string, value: number) =>
    text.one(`${name}_total`, 'counter', help, value);
  counter('log_compactions', 'Compactions that made the log smaller.', compactions.count);
  counter('log_compaction_bytes', 'Bytes that these wrote.', compactions.movedBytes);
  counter('log_cold_reads', 'Reads for deliveries no longer in memory.', coldReads.count);
  counter('log_cold_read_bytes', 'Bytes of these.', coldReads.bytes);
  const { recovery } = log;
  const took = 'What reading the log took at the last start.';
  text.one('log_recovery_duration_seconds', 'gauge', took, recovery.durationMs * SECONDS);
  const found = 'Messages that waited then.';
  text.one('log_recovered_messages', 'gauge', found, recovery.messages);
  const cut = 'Bytes cut off then, never acked.';
  text.one('log_recovery_cut_bytes', 'gauge', cut, recovery.cutBytes);
}
