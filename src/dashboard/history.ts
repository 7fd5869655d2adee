// The last minutes of the broker, a row each second, in a ring of numbers: what the page draws and
// /api/v1/history answers. Lives in the dashboard's process and begins with it.

import type { Snapshot } from '../core/snapshot.ts';

/** What a row holds, in this order. */
export const SERIES = [
  'publishedRate',
  'publishedBytesRate',
  'deliveredRate',
  'deliveredBytesRate',
  'ackedRate',
  'refusedRate',
  'redeliveredRate',
  'ready',
  'unacked',
  'connections',
  'commitRate',
  'writeMs',
  'syncMs',
  'commitBytes',
  'publishMs',
  'deliveryMs',
  'loopMs',
  'diskBytes',
  'rssBytes',
] as const;

export const SECONDS_MAX = 900;
/** A broker that was not asked for so long has not been seen: rates over it would be wrong. */
const GAP_MS = 5000;

interface Totals {
  atMs: number;
  startedAt: string;
  counts: number[];
}

export class History {
  readonly #rows: { atMs: number; values: number[] }[] = [];
  #before: Totals | undefined;

  /** Takes a sample; rates are over the time since the one before. */
  add(snapshot: Snapshot): void {
    const { totals, commits, buckets, connections, log, memory } = snapshot;
    const atMs = Date.parse(snapshot.now);
    const { writeMs, syncMs, bytes } = commits;
    const { publishMs, deliveryMs } = snapshot.latency;
    const counts = [
      totals.publishedMessages,
      totals.publishedBytes,
      totals.deliveredMessages,
      totals.deliveredBytes,
      totals.ackedMessages,
      Object.values(totals.refused).reduce((sum, count) => sum + count, 0),
      totals.redeliveredMessages,
      commits.count,
      ...[writeMs, syncMs, bytes, publishMs, deliveryMs].flatMap(({ count, sum }) => [count, sum]),
    ];
    const before = this.#before;
    const { startedAt } = snapshot;
    if (before !== undefined && atMs <= before.atMs) return;
    this.#before = { atMs, startedAt, counts };
    if (before === undefined || before.startedAt !== startedAt) return;
    if (atMs - before.atMs > GAP_MS) return;
    const grown = counts.map((count, i) => Math.max(0, count - before.counts[i]!));
    const rate = (i: number) => Math.round((grown[i]! * 1000) / (atMs - before.atMs));
    const mean = (count: number, sum: number) =>
      grown[count] === 0 ? 0 : Math.round((grown[sum]! / grown[count]!) * 1000) / 1000;
    this.#rows.push({
      atMs,
      values: [
        ...[0, 1, 2, 3, 4, 5, 6].map(rate),
        buckets.ready,
        buckets.unacked,
        connections.intake + connections.exhaust,
        rate(7),
        mean(8, 9),
        mean(10, 11),
        mean(12, 13),
        mean(14, 15),
        mean(16, 17),
        snapshot.eventLoopDelayMs.recentMax,
        log.diskBytes,
        memory.rssBytes,
      ],
    });
    if (this.#rows.length > SECONDS_MAX) this.#rows.shift();
  }

  /** The rows of the last `seconds`, oldest first: time as ms since 1970, and a value per series. */
  last(seconds: number): { series: readonly string[]; rows: [number, ...number[]][] } {
    const rows = this.#rows.slice(-Math.max(1, Math.min(SECONDS_MAX, seconds)));
    return { series: SERIES, rows: rows.map(({ atMs, values }) => [atMs, ...values]) };
  }
}
