// Records of a commit batch that was read, until it is known that it is whole.

import type { Position } from '../ports/basics.ts';
import type { Head } from '../records/placed.ts';
import { ROW_WORDS, RowList } from '../records/rows.ts';

export class Staged {
  readonly rows = new RowList();
  /** Of the first byte of the chunk that each row came from. */
  positions: Position[] = [];
  /** Of those rows that have one. */
  readonly heads = new Map<number, Head>();
  marks: (() => void)[] = [];

  /** Row `at` of `rows` is one of messages, found in a chunk that begins at log position `chunk`. */
  add(rows: Uint32Array, at: number, chunk: Position): void {
    this.rows.add(rows.subarray(at, at + ROW_WORDS), 1);
    this.positions.push(chunk);
  }

  clear(): void {
    this.rows.clear();
    this.heads.clear();
    this.positions = [];
    this.marks = [];
  }
}
