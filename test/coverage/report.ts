// Adds up the counts of all processes and says what never happened, by line of the source.

import fs from 'node:fs';
import { SourceMap } from 'node:module';
import path from 'node:path';
import type { Outcome } from './instrument.ts';

/** A script that was instrumented. */
export interface Script {
  /** Its source, as "src/log/file-log.ts". */
  source: string;
  /** What was compiled, before it was instrumented, and its source map. */
  text: string;
  map: string;
  outcomes: Outcome[];
}

export interface Row {
  source: string;
  outcomes: number;
  /** What never happened, as "src/log/file-log.ts:12: if is false". */
  missing: string[];
}

/** The counts of every process that ended by itself, summed: by source, one for each outcome. */
export function readCounts(folder: string): Map<string, number[]> {
  const sums = new Map<string, number[]>();
  for (const name of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
    const text = fs.readFileSync(path.join(folder, name), 'utf8');
    const counts = JSON.parse(text) as Record<string, number[]>;
    for (const [source, added] of Object.entries(counts)) {
      const sum = sums.get(source) ?? added.map(() => 0);
      sums.set(
        source,
        sum.map((count, i) => count + added[i]!),
      );
    }
  }
  return sums;
}

/** One row a script. A script that no process has loaded has all its outcomes missing. */
export function rowsOf(scripts: Script[], counts: Map<string, number[]>): Row[] {
  return scripts.map(({ source, text, map, outcomes }) => {
    const sourceMap = new SourceMap(JSON.parse(map));
    const missing = outcomes
      .filter((_, i) => (counts.get(source)?.[i] ?? 0) === 0)
      .map(({ what, at }) => `${source}:${lineOf(text, sourceMap, at)}: ${what}`);
    return { source, outcomes: outcomes.length, missing };
  });
}

function lineOf(text: string, map: SourceMap, at: number): number {
  const before = text.slice(0, at).split('\n');
  const entry = map.findEntry(before.length - 1, before.at(-1)!.length);
  return 'originalLine' in entry ? entry.originalLine + 1 : before.length;
}

/** The table and the list for people; the last line says what share of the outcomes happened. */
export function reportOf(rows: Row[]): string {
  const sum = rows.reduce((all, { outcomes }) => all + outcomes, 0);
  const missing = rows.flatMap((row) => row.missing);
  const line = (name: string, all: number, left: number) =>
    `${name.padEnd(28)}${String(all).padStart(9)}${String(left).padStart(9)}${share(all, left)}`;
  return [
    `${'file'.padEnd(28)}${'branches'.padStart(9)}${'missing'.padStart(9)}${'taken'.padStart(10)}`,
    ...rows.map((row) => line(row.source, row.outcomes, row.missing.length)),
    line('all', sum, missing.length),
    ...(missing.length === 0 ? [] : ['', 'never happened:', ...missing.map((one) => `  ${one}`)]),
    '',
  ].join('\n');
}

// Rounded down: only what is complete says 100 %.
function share(all: number, left: number): string {
  const tenths = all === 0 ? 1000 : Math.floor((1000 * (all - left)) / all);
  return `${(tenths / 10).toFixed(1).padStart(8)} %`;
}
