// The last minutes of the broker, a row each second, in a ring of numbers: what the page draws and
// /api/v1/history answers. Lives in the dashboard's process and begins with it. Rows are kept by the
// broker's uptime and dated when they are asked for, so that the wall clock may be set meanwhile.

import type { Snapshot } from '../contract/snapshot.ts';

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

// What stays as it is while nothing happens; the others are 0 then.
const LEVELS = new Set<string>(['ready', 'unacked', 'connections', 'diskBytes', 'rssBytes']);

export const SECONDS_MAX = 900;
/** A broker that was not asked for so long has not been seen: rates over it would be wrong. */
const GAP_MS = 5000;

interface Totals {
  upMs: number;
  /** Tells one start of the broker from another. */
  epoch: number;
  counts: number[];
}

export class History {
  readonly #rows: { upMs: number; values: number[] }[] = [];
  #before: Totals | undefined;
  #beganMs = 0; // wall clock at uptime 0

  /** Takes a sample; rates are over the time since the one before. */
  add(snapshot: Snapshot): void {
    const { totals, commits, buckets, connections, log, memory, uptimeMs: upMs } = snapshot;
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
    const { epoch } = log;
    if (before !== undefined && before.epoch === epoch && upMs <= before.upMs) return;
    this.#before = { upMs, epoch, counts };
    const beganMs = Date.parse(snapshot.now) - upMs;
    if (before !== undefined && before.epoch !== epoch) this.#moveRows(beganMs);
    this.#beganMs = beganMs;
    if (before === undefined || before.epoch !== epoch) return;
    if (upMs - before.upMs > GAP_MS) return;
    const grown = counts.map((count, i) => Math.max(0, count - before.counts[i]!));
    const rate = (i: number) => Math.round((grown[i]! * 1000) / (upMs - before.upMs));
    const mean = (count: number, sum: number) =>
      grown[count] === 0 ? 0 : Math.round((grown[sum]! / grown[count]!) * 1000) / 1000;
    this.#push({
      upMs,
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
  }

  /** Nothing has happened for so long since the last sample: the next row is as quiet. */
  quiet(ms: number): void {
    const before = this.#before;
    if (before === undefined || ms <= 0) return;
    before.upMs += ms;
    const last = this.#rows.at(-1)?.values;
    if (last === undefined) return;
    const values = last.map((value, i) => (LEVELS.has(SERIES[i]!) ? value : 0));
    this.#push({ upMs: before.upMs, values });
  }

  #push(row: { upMs: number; values: number[] }): void {
    this.#rows.push(row);
    if (this.#rows.length > SECONDS_MAX) this.#rows.shift();
  }

  // Another broker began at that time: what is known of the one before keeps its dates.
  #moveRows(beganMs: number): void {
    for (const row of this.#rows) row.upMs += this.#beganMs - beganMs;
  }

  /** The rows of the last `seconds`, oldest first: time as ms since 1970, and a value per series. */
  last(seconds: number): { series: readonly string[]; rows: [number, ...number[]][] } {
    const rows = this.#rows.slice(-Math.max(1, Math.min(SECONDS_MAX, seconds)));
    const dated = rows.map(({ upMs, values }): [number, ...number[]] => {
      return [Math.round(this.#beganMs + upMs), ...values];
    });
    return { series: SERIES, rows: dated };
  }
}
