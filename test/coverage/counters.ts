// What instrumented scripts call: one counter for each outcome of each of their branches. When the
// process ends by itself, its counts are written into the folder `counts` of the copied build.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../counts/', import.meta.url));

const all = new Map<string, Float64Array>();

/** The counters of one script. A module that is loaded twice counts into the same ones. */
export function countersOf(script: string, outcomes: number): Float64Array {
  if (all.size === 0) process.once('exit', write);
  const counters = all.get(script) ?? new Float64Array(outcomes);
  all.set(script, counters);
  return counters;
}

/** Counts a condition: true at `at`, false behind it. */
export function truth<T>(counters: Float64Array, at: number, value: T): T {
  counters[value ? at : at + 1]! += 1;
  return value;
}

/** Counts a value in front of ?? and ?. : there at `at`, null or undefined behind it. */
export function there<T>(counters: Float64Array, at: number, value: T): T {
  counters[value != null ? at : at + 1]! += 1;
  return value;
}

function write(): void {
  fs.mkdirSync(FOLDER, { recursive: true });
  const counts = Object.fromEntries([...all].map(([name, counters]) => [name, [...counters]]));
  fs.writeFileSync(path.join(FOLDER, `${process.pid}.json`), JSON.stringify(counts));
}
