// The state of a broker in one line of its log, for somebody who has a shell there and no page: the
// snapshot without what takes many lines, and what only the process knows.

import type { Snapshot } from '../contract/snapshot.ts';
import { formatDuration, formatSize } from '../core/text/units.ts';
import type { Answer } from '../dashboard/messages.ts';
import { roleText } from '../health.ts';

/** Rows of buckets and of connections. */
const ROWS_MAX = 10;

export interface ProcessState {
  uptimeMs: number;
  /** Port of the dashboard; null: it is not there. */
  dashboard: number | null;
  stopping: boolean;
}

/** What the broker answers its dashboard, as fields of a log line and as a sentence. */
export function stateOf(answer: Answer, state: ProcessState): { fields: object; text: string } {
  const { health, snapshot, cluster } = answer;
  const notReady = Object.entries(health.checks)
    .filter(([, { ok }]) => !ok)
    .map(([name, { detail }]) => `${name}: ${detail}`);
  const fields = {
    event: 'state',
    pid: process.pid,
    node: process.version,
    ...state,
    ready: health.ready,
    notReady,
    ...(snapshot === undefined ? { progress: health.progress } : of(snapshot)),
    ...(cluster === undefined ? {} : { cluster }),
    resources: countsOf(process.getActiveResourcesInfo()),
  };
  const parts = [`state: up ${formatDuration(state.uptimeMs)}`];
  parts.push(health.ready ? 'ready' : `not ready (${notReady.join('; ')})`);
  if (cluster !== undefined) parts.push(roleText(cluster));
  if (snapshot !== undefined) parts.push(...textOf(snapshot));
  return { fields, text: parts.join(', ') };
}

function of(snapshot: Snapshot): object {
  const { version, startedAt, warning, rates, totals, buckets, connections } = snapshot;
  const { commits, log, memory, eventLoopDelayMs } = snapshot;
  const { all, ...loop } = eventLoopDelayMs;
  const { list, intake, exhaust, refused } = connections;
  const unsyncedBytes = String(BigInt(log.endPosition) - BigInt(log.durablePosition));
  return {
    version,
    startedAt,
    ...(warning === undefined ? {} : { warning }),
    rates,
    totals,
    buckets: { ...buckets, top: buckets.top.slice(0, ROWS_MAX) },
    connections: { intake, exhaust, refused, list: list.slice(0, ROWS_MAX) },
    commits: {
      count: commits.count,
      reasons: commits.reasons,
      writeMs: commits.writeMs,
      syncMs: commits.syncMs,
    },
    log: { ...log, unsyncedBytes },
    memory,
    eventLoopDelayMs: loop,
  };
}

function textOf({ buckets, connections, log, memory, eventLoopDelayMs }: Snapshot): string[] {
  return [
    `${connections.intake} producers and ${connections.exhaust} consumers`,
    `${buckets.ready} messages ready and ${buckets.unacked} unacked in ${buckets.exact ? '' : 'at least '}${buckets.count} buckets`,
    `log ${log.state} with ${log.segments} segments, ${formatSize(log.diskBytes)} on disk`,
    `${formatSize(memory.rssBytes)} of ${formatSize(memory.budgetBytes)} memory`,
    `event loop late by ${eventLoopDelayMs.recentMax} ms at most in the last second`,
  ];
}

/** Open sockets, timers and requests of the process, by kind. */
function countsOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
