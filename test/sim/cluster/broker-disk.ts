// The disk of a node with a whole broker: its calls end after a while, in any order if they were
// begun together; it may be slow, hang, be full, fail a call, and lose its power.

import assert from 'node:assert/strict';
import { segmentName } from '../../../src/log/segments/segment.ts';
import { Folder } from '../../support/folder.ts';
import { type Fault, MemoryFiles } from '../../support/memory-files.ts';
import type { Clock } from './clock.ts';
import { sameBytes } from './stream-truth.ts';

export class BrokerDisk {
  readonly #clock: Clock;
  #files = new MemoryFiles();
  // Since the process began.
  #faults: Fault[] = [];
  #isBusy = false;
  isSlow = false;
  isHung = false;
  /** Whoever it belongs to is paused: nobody is told that a call has ended. */
  isPaused = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#files.auto = false;
  }

  get files(): MemoryFiles {
    return this.#files;
  }

  folder(name: string): Folder {
    return new Folder(this.#files, name);
  }

  /** Looks whether anything was begun: it will end. */
  look(): void {
    const clock = this.#clock;
    if (this.#isBusy || this.isHung || this.isPaused || this.#files.pending.length === 0) return;
    this.#isBusy = true;
    clock.after(this.isSlow ? clock.between(20, 300) : clock.between(0.05, 0.3), () => {
      this.#isBusy = false;
      const { pending } = this.#files;
      if (this.isHung || this.isPaused || pending.length === 0) return;
      this.#files.step(clock.chance(0.2) ? clock.random.below(pending.length) : 0);
    });
  }

  /** The process is gone; half of the time with all that no sync covered. */
  crash(): void {
    const clock = this.#clock;
    let torn = 0;
    const share = clock.random.below(3) / 2;
    this.#use(
      clock.chance(0.5)
        ? this.#files.kill()
        : this.#files.crash((doubt) => {
            if (clock.chance(share)) return 'keep';
            if (doubt.kind === 'page') torn++;
            return doubt.kind === 'page' && clock.chance(0.3) ? 'tear' : 'lose';
          }, clock.random),
    );
    if (torn > 0) clock.count('torn tails');
    this.isHung = false;
    this.isPaused = false;
    this.#disarm();
    this.#faults = [];
  }

  /** All files are set aside. */
  empty(): void {
    const { capacity } = this.#files;
    this.#use(new MemoryFiles());
    this.#files.capacity = capacity;
  }

  #use(files: MemoryFiles): void {
    this.#files = files;
    files.auto = false;
  }

  /** There is no more room than for a little, or there is again. */
  fill(isFull: boolean): void {
    const room = this.#clock.random.below(50_000);
    this.#files.capacity = isFull ? this.#files.usedBytes + room : Number.POSITIVE_INFINITY;
  }

  /** One of the next calls on the log fails. */
  break(): void {
    const op = this.#clock.chance(0.5) ? 'sync' : 'write';
    const nth = 1 + this.#clock.random.below(5);
    this.#faults.push(this.#files.fail({ op, nth, name: /^[^/]*$/, code: 'EIO' }));
  }

  heal(): void {
    this.fill(false);
    this.isSlow = false;
    this.#disarm();
  }

  #disarm(): void {
    for (const fault of this.#faults) fault.times = 0;
  }

  /** Whether a call has failed since the process began. */
  get hasFailed(): boolean {
    return this.#faults.some(({ fired }) => fired > 0);
  }

  /** A batch that was called done is on it, whatever happens. */
  holds(position: number, bytes: Uint8Array, bases: readonly number[]): void {
    const base = bases.findLast((each) => each <= position)!;
    const durable = this.#files.durable(segmentName(base));
    assert.ok(durable !== undefined, `${segmentName(base)} is not on disk`);
    const there = durable.subarray(position - base, position - base + bytes.length);
    assert.ok(sameBytes(there, bytes), `what was called done at ${position} is not on disk`);
  }
}
