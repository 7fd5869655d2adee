// The numbers behind the charts: what the dashboard remembers, continued from what it pushes. A
// row each second, the same rows as /api/v1/history.

import type { Snapshot } from '../contract/snapshot.ts';
import { History, SECONDS_MAX, SERIES } from '../dashboard/history.ts';
import type { Overview } from './types.ts';

export type SeriesName = (typeof SERIES)[number];
type Row = [number, ...number[]];

const ROW_MS = 950;

export class Series {
  #rows: Row[] = [];
  #maker = new History();
  #takenMs = 0;
  #beganMs = Number.NaN; // wall clock of the broker at its uptime 0
  #epoch = 0;

  /** Takes what /api/v1/history answered, in place of what was there before. */
  load(answer: { series: readonly string[]; rows: Row[] }): void {
    if (answer.series.join() !== SERIES.join()) return; // a broker of another version
    this.#rows = answer.rows.slice(-SECONDS_MAX);
  }

  /** Takes what was pushed. Returns whether there is a new row. */
  add(overview: Overview): boolean {
    const { uptimeMs, log } = overview;
    const sinceMs = uptimeMs - this.#takenMs;
    if (log.epoch === this.#epoch && sinceMs >= 0 && sinceMs < ROW_MS) return false;
    this.#follow(Date.parse(overview.now) - uptimeMs, log.epoch);
    this.#takenMs = uptimeMs;
    this.#maker.add(overview as unknown as Snapshot);
    const row = this.#maker.last(1).rows[0];
    if (row === undefined || row[0] <= (this.#rows.at(-1)?.[0] ?? 0)) return false;
    this.#rows.push(row);
    if (this.#rows.length > SECONDS_MAX) this.#rows.shift();
    return true;
  }

  // The broker's wall clock was set: what was before is dated as if it had always been right.
  #follow(beganMs: number, epoch: number): void {
    const byMs = beganMs - this.#beganMs;
    if (epoch === this.#epoch && Math.abs(byMs) > ROW_MS)
      for (const row of this.#rows) row[0] += byMs;
    this.#beganMs = beganMs;
    this.#epoch = epoch;
  }

  /** Columns for a chart: times in seconds, then a column for each name. */
  columns(names: readonly SeriesName[], seconds: number): number[][] {
    const since = (this.#rows.at(-1)?.[0] ?? 0) - seconds * 1000;
    const rows = this.#rows.filter(([atMs]) => atMs > since);
    const at = names.map((name) => SERIES.indexOf(name) + 1);
    return [rows.map(([atMs]) => atMs / 1000), ...at.map((i) => rows.map((row) => row[i]!))];
  }

  /** The newest value. */
  last(name: SeriesName): number {
    return this.#rows.at(-1)?.[SERIES.indexOf(name) + 1] ?? Number.NaN;
  }
}
