// The disk at each step of a workload, with what clients knew then: what the states of a crash are
// made of.

import type { MemoryFiles } from '../support/memory-files.ts';

/** Subsets of one step beyond which a seeded choice of them is made. */
export const SUBSETS_MAX = 256;
export const TEARS = 16;

export interface Moment<Known> {
  known: Known;
  /** Tells what clients knew from what they knew at other moments. */
  print: string;
  files: MemoryFiles;
  doubts: number;
  /** Subsets first, tears behind them. */
  states: number;
}

/** A bounded workload, and what a broker has to make of a crash in it. */
export interface Workload<Known = unknown> {
  moments: readonly Moment<Known>[];
  /** Rejects if a broker that starts on these files does not do what it owes. */
  judge(files: MemoryFiles, known: Known): Promise<void>;
}

export class Moments<Known> {
  readonly all: Moment<Known>[] = [];
  readonly #files: MemoryFiles;
  #last = '';

  constructor(files: MemoryFiles) {
    this.#files = files;
  }

  /** Keeps a copy of the disk, if that or what clients know has changed. */
  note(print: string, known: () => Known): void {
    const files = this.#files.fork();
    const now = `${files.fingerprint()} ${print}`;
    if (now === this.#last) return;
    this.#last = now;
    const { doubts } = this.#files;
    const subsets = Math.min(2 ** doubts, SUBSETS_MAX);
    const states = subsets + (doubts > 0 ? TEARS : 0);
    this.all.push({ known: known(), print, files, doubts, states });
  }
}
