// Prometheus text, family by family. What stands in it is said in metrics.ts and those beside it.

import type { Distribution } from '../contract/snapshot.ts';

type Kind = 'counter' | 'gauge' | 'histogram';
export type Labels = Record<string, string>;

/** Collects families in the order they are declared. */
export class Text {
  readonly #lines: string[] = [];

  family(name: string, kind: Kind, help: string, samples: [Labels, number][]): void {
    this.#head(name, kind, help);
    for (const [labels, value] of samples) this.#sample(name, labels, value);
  }

  one(name: string, kind: Kind, help: string, value: number): void {
    this.family(name, kind, help, [[{}, value]]);
  }

  histogram(name: string, help: string, { unit, powers, upTo, all }: HistogramOf): void {
    this.#head(name, 'histogram', help);
    for (const [i, power] of powers.entries())
      this.#sample(`${name}_bucket`, { le: String(2 ** power * unit) }, upTo[i]!);
    this.#sample(`${name}_bucket`, { le: '+Inf' }, all.count);
    this.#sample(`${name}_sum`, {}, all.sum * unit);
    this.#sample(`${name}_count`, {}, all.count);
  }

  #head(name: string, kind: Kind, help: string): void {
    this.#lines.push(`# HELP thrustmq_${name} ${help}`, `# TYPE thrustmq_${name} ${kind}`);
  }

  #sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
    const list = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
    this.#lines.push(`thrustmq_${name}${list} ${Number.isFinite(value) ? value : 0}`);
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}

function escaped(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
}

export const SECONDS = 1e-3; // from milliseconds

export interface HistogramOf {
  /** What one of the recorded numbers is in the unit of the metric. */
  unit: number;
  powers: readonly number[];
  upTo: readonly number[];
  all: Distribution;
}
