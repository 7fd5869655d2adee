// Follows the messages of one life, as an observer does: of each, what happens must fit what
// happened before. In some worlds it breaks after a while, and the broker must go on.

import assert from 'node:assert/strict';
import type {
  DeferredCause,
  Observer,
  RequeuedCause,
  Run,
  SettledCause,
} from '../../src/core/ports/observer.ts';
import type { Checker } from './checker.ts';

/** What it throws on purpose. */
export const BROKEN = 'this observer breaks';

type Stage = 'sealed' | 'durable' | 'held' | 'ready' | 'gone';

export class Follower implements Observer {
  readonly active = true;
  readonly #checker: Checker;
  readonly #most: number;
  #calls = 0;
  // By sequence; absent: it was stored in an earlier life.
  readonly #stages = new Map<number, Stage>();

  /** Throws at the call behind the `most`-th. */
  constructor(checker: Checker, most: number) {
    this.#checker = checker;
    this.#most = most;
  }

  sealed(run: Run): void {
    this.#move(run, 'sealed', []);
  }

  durable(run: Run): void {
    this.#move(run, 'durable', ['sealed']);
  }

  delivered(run: Run): void {
    this.#checker.check(() => this.#checker.settings?.delivered(run));
    this.#move(run, 'held', ['durable', 'ready']);
  }

  settled(run: Run, cause: SettledCause): void {
    const from: Stage[] = cause === 'done' ? [] : ['durable', 'ready'];
    const isTaken = cause === 'purged' || cause === 'dropped';
    this.#move(run, 'gone', isTaken ? from : ['held', ...from]);
  }

  requeued(run: Run, cause: RequeuedCause): void {
    const counts = run.attempts > 0 || cause !== 'failed';
    this.#checker.check(() => assert.ok(counts, 'an attempt is not counted'));
    this.#move(run, 'ready', ['held']);
  }

  deferred(run: Run, cause: DeferredCause): void {
    const counts = run.attempts > 0 || cause !== 'failed';
    this.#checker.check(() => assert.ok(counts, 'an attempt is not counted'));
    this.#move(run, 'ready', ['held']);
  }

  #move({ sequence, count }: Run, to: Stage, from: Stage[]): void {
    this.#checker.tally.add('followed', count);
    for (let at = sequence; at < sequence + count; at++) {
      const stage = this.#stages.get(at);
      const fits = stage === undefined ? to !== 'durable' : from.includes(stage);
      this.#checker.check(() => assert.ok(fits, `message ${at} went from ${stage} to ${to}`));
      this.#stages.set(at, to);
    }
    if (++this.#calls > this.#most) throw new Error(BROKEN);
  }
}
