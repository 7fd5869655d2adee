// Samples and what is said about them: median, least and most. Pure numbers.

import { REFERENCE_RATE } from '../src/load/result.ts';
import type { Cores } from './cpu.ts';

export type Unit = 'msg/s' | 'MB/s' | 'ms' | 'ns' | 'MiB' | 'ratio' | 'count' | '%' | '/s';

/** One measured quantity of a scenario. */
export interface Figure {
  name: string;
  unit: Unit;
  /** In the order in which they were taken. */
  samples: number[];
  median: number;
  min: number;
  max: number;
  /** Rates of messages only: the median as a multiple of 28,000 a second. */
  multipleOf28k?: number;
  /** Says more about it, in a few words. */
  note?: string;
  /** Why there are no samples; then median, least and most are NaN. */
  absent?: string;
  /** What a chart calls it; without, a chart takes scenario and name. */
  bar?: Bar;
  /** Who was busy during each sample. */
  cores?: (Cores | undefined)[];
}

export interface Bar {
  load: string;
  system: string;
  /** What an ack of this system means. */
  guarantee: string;
  /** What the others are compared with. */
  ours: boolean;
}

/** A figure that there is not, and why. */
export function absent(name: string, unit: Unit, why: string): Figure {
  return {
    name,
    unit,
    samples: [],
    median: Number.NaN,
    min: Number.NaN,
    max: Number.NaN,
    absent: why,
  };
}

/** Sums samples up. At least one is needed. */
export function figure(name: string, unit: Unit, samples: readonly number[]): Figure {
  if (samples.length === 0) throw new RangeError(`no samples of ${name}`);
  const middle = median(samples);
  return {
    name,
    unit,
    samples: [...samples],
    median: middle,
    min: Math.min(...samples),
    max: Math.max(...samples),
    ...(unit === 'msg/s' ? { multipleOf28k: middle / REFERENCE_RATE } : {}),
  };
}

/** Divides samples that were taken next to each other, so that a slow minute hits both. */
export function ratio(name: string, above: readonly number[], below: readonly number[]): Figure {
  if (above.length !== below.length) throw new RangeError(`${name}: samples are not in pairs`);
  return figure(
    name,
    'ratio',
    above.map((value, index) => value / below[index]),
  );
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A value as a table shows it. */
export function format(value: number, unit: Unit): string {
  if (unit === 'msg/s' || unit === 'count') return Math.round(value).toLocaleString('en-US');
  if (unit === 'ms') return value < 10 ? value.toFixed(3) : value.toFixed(1);
  if (unit === 'ratio' || unit === '%') return value.toFixed(2);
  return value.toFixed(1);
}
