// A world of files in memory in which the test decides when each call on them and each further turn
// happens.

import assert from 'node:assert/strict';
import type { MemoryFiles } from '../support/memory-files.ts';
import type { Random } from '../support/random.ts';

/** Nothing happens but in `step`. */
export class Stepped {
  readonly files: MemoryFiles;
  readonly turns: (() => void)[] = [];
  /** Most files that were open at a time. */
  handlesMost = 0;

  constructor(files: MemoryFiles) {
    this.files = files;
    files.auto = false;
  }

  /** Takes a turn for later. */
  readonly soon = (call: () => void): void => void this.turns.push(call);

  /** Lets one thing happen: the oldest, or one that `random` picks. */
  step(random?: Random): boolean {
    const waiting = this.turns.length + this.files.pending.length;
    if (waiting === 0) return false;
    const pick = random === undefined ? 0 : random.below(waiting);
    if (pick < this.turns.length) this.turns.splice(pick, 1)[0]!();
    else this.files.step(pick - this.turns.length);
    this.handlesMost = Math.max(this.handlesMost, this.files.openHandles);
    return true;
  }

  settle(random?: Random): void {
    while (this.step(random));
  }

  /** Begins a call; its arguments are there when it called back, once and not within the call. */
  begin<T extends unknown[]>(call: (done: (...args: T) => void) => void): T[] {
    const answers: T[] = [];
    let within = true;
    call((...args) => {
      assert.ok(!within, 'called back before the call returned');
      answers.push(args);
      assert.equal(answers.length, 1, 'called back twice');
    });
    within = false;
    return answers;
  }

  /** The same, to its end. */
  ask<T extends unknown[]>(call: (done: (...args: T) => void) => void, random?: Random): T {
    const answers = this.begin(call);
    this.settle(random);
    assert.equal(answers.length, 1, 'never called back');
    return answers[0]!;
  }
}
