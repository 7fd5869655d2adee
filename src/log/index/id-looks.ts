// Looks ids up in files: many at a time, a page of each file that may have it. What was found is
// kept until those who wait have asked again; so much of it as fits into a bounded memory.

import { ID_WORDS, keptMs, SLOT_WORDS, timeOf } from '../../core/collections/id-page.ts';
import { readIdPages } from './id-reader.ts';
import { ID_PAGE_BYTES } from './id-run.ts';
import type { IdRun, IdRunsOptions } from './id-writer.ts';

/** When an id was published, and for how long that counts, in ms. */
export interface Published {
  timeMs: number;
  keptMs: number;
}

/** What there is of an id in the files; empty: nothing. */
export type Answer = readonly Published[] | 'failed';

export interface LookParts {
  /** Files that may have an id; each is read until `readDone`. */
  candidates: (ids: Uint32Array, at: number) => IdRun[];
  readDone: (run: IdRun) => void;
  /** Ids were looked up. */
  told: () => void;
  /** A file could not be read, or is not what was written. */
  damaged: (failure: Error) => void;
}

// Ids that are looked up in one go, of these at the same time, and answers that are kept.
const LOOKS_MAX = 256;
const READS_MAX = 16;
const ANSWERS_MAX = 4096;
const NOTHING: readonly Published[] = [];

export class IdLooks {
  readonly #options: Pick<IdRunsOptions, 'files' | 'crc32c' | 'soon'>;
  readonly #parts: LookParts;
  readonly #answers = new Map<string, Answer>();
  readonly #asked = new Map<string, Uint32Array>();
  #version = 0;
  #looking: Promise<void> | undefined;
  #closed = false;

  constructor(options: Pick<IdRunsOptions, 'files' | 'crc32c' | 'soon'>, parts: LookParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** What was found of an id; undefined: it was not looked up lately. */
  answer(ids: Uint32Array, at: number): Answer | undefined {
    const key = keyOf(ids, at);
    const answer = this.#answers.get(key);
    // It is tried again for whoever comes next.
    if (answer === 'failed') this.#answers.delete(key);
    return answer;
  }

  /** Looks an id up, unless there are enough; who asks for it is told, and asks again. */
  add(ids: Uint32Array, at: number): void {
    if (this.#closed || this.#asked.size >= LOOKS_MAX) return;
    this.#asked.set(keyOf(ids, at), ids.slice(at, at + ID_WORDS));
    if (this.#looking === undefined) this.#begin();
  }

  #begin(): void {
    this.#looking = new Promise<void>((resolve) => this.#options.soon(resolve))
      .then(() => this.#round())
      .then(() => {
        this.#looking = undefined;
        if (this.#closed) return;
        this.#parts.told();
        if (this.#asked.size > 0 && this.#looking === undefined) this.#begin();
      });
  }

  async #round(): Promise<void> {
    const asked = [...this.#asked];
    const version = this.#version;
    let next = 0;
    const work = async () => {
      const into = new Uint8Array(ID_PAGE_BYTES);
      while (next < asked.length && !this.#closed) {
        const [key, id] = asked[next++]!;
        const answer = await this.#look(id, into);
        // In a file that came meanwhile nobody has looked.
        if (version === this.#version) this.#answers.set(key, answer);
        this.#asked.delete(key);
      }
    };
    await Promise.all(Array.from({ length: Math.min(READS_MAX, asked.length) }, work));
    for (const key of this.#answers.keys()) {
      if (this.#answers.size <= ANSWERS_MAX) break;
      this.#answers.delete(key);
    }
  }

  async #look(id: Uint32Array, into: Uint8Array): Promise<Answer> {
    const runs = this.#parts.candidates(id, 0);
    const found: Published[] = [];
    let answer: Answer = runs.length === 0 ? NOTHING : found;
    for (const run of runs) {
      const page = pageOf(run.firsts, id[0]!);
      try {
        if (page >= 0 && answer !== 'failed') {
          const [slots] = await readIdPages(this.#options, run, page, 1, into);
          addFound(slots!, id, found);
        }
      } catch (error) {
        answer = 'failed';
        this.#parts.damaged(error as Error);
      }
      this.#parts.readDone(run);
    }
    return answer;
  }

  /** There is another file: what was found in those before says less than all. */
  forget(): void {
    this.#version++;
    this.#answers.clear();
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#looking;
  }
}

function keyOf(ids: Uint32Array, at: number): string {
  return `${ids[at]},${ids[at + 1]},${ids[at + 2]},${ids[at + 3]}`;
}

// The last page that begins with this word or before; -1: all are behind it.
function pageOf(firsts: Uint32Array, word: number): number {
  let low = -1;
  let high = firsts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (firsts[middle]! <= word) low = middle;
    else high = middle - 1;
  }
  return low;
}

function addFound(slots: Uint32Array, id: Uint32Array, found: Published[]): void {
  for (let slot = 0; slot < slots.length; slot += SLOT_WORDS) {
    let word = 0;
    while (word < ID_WORDS && slots[slot + word] === id[word]) word++;
    if (word === ID_WORDS) found.push({ timeMs: timeOf(slots, slot), keptMs: keptMs(slots, slot) });
  }
}
