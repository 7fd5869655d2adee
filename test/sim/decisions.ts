// The model's part about what the broker decides: what becomes of messages that consumers answered
// for or lost, whose time has come, that die, or that are too many. It is judged as the broker
// says it.

import assert from 'node:assert/strict';
import type { DropReason } from '../../src/core/metrics/counters.ts';
import type { Deferral } from '../../src/core/records/placed.ts';
import { expiredMs, judgeExpired } from './ages.ts';
import type { Deaths } from './deaths.ts';
import { judgeDeferral, judgeFiring } from './delays.ts';
import type { Tally } from './faults.ts';
import { judgeLevel } from './levels.ts';
import type { Lines } from './lines.ts';
import { type Expected, type Message, name, type Order } from './model.ts';
import { judgeDropped, type SimRules } from './rules.ts';

/** The model that it is a part of. */
export interface Decided {
  readonly lines: Lines;
  readonly deaths: Deaths;
  readonly rules: SimRules | undefined;
  readonly expected: Expected;
  readonly tally: Tally;
  readonly mayRefuse: boolean;
  isMoverFull(): boolean;
  wall(): number;
  /** The message at a sequence. */
  at(sequence: number): Message | undefined;
  /** Which is to come before a message that is ready; it, if none is. */
  firstBefore(message: Message): Message;
  /** It leaves its line. */
  takeOut(message: Message): void;
  /** Messages that a bucket has, ready or not. */
  allOf(bucket: number): number;
}

export class Decisions {
  readonly #of: Decided;
  /** Answered, and it is not known yet what becomes of them. */
  readonly waiting = new Set<Message>();

  constructor(of: Decided) {
    this.#of = of;
  }

  #each(sequence: number, count: number, judge: (message: Message) => void): void {
    for (let each = sequence; each < sequence + count; each++) {
      const message = this.#of.at(each);
      assert.ok(message !== undefined, `something becomes of sequence ${each}, which nobody has`);
      judge(message);
    }
  }

  #hasAttempts(message: Message, attempts: number): void {
    const { low, high } = message;
    const said = `${name(message)} came back ${attempts} times, the broker says`;
    assert.ok(attempts >= low && attempts <= high, `${said}: ${low} to ${high} are right`);
    message.low = attempts;
    message.high = attempts;
  }

  /** A mark is to say that messages came back so often. */
  charged(sequence: number, count: number, attempts: number): void {
    this.#each(sequence, count, (message) => {
      this.#hasAttempts(message, attempts);
      message.marksDue.push(attempts);
    });
  }

  /** Messages are put off. */
  deferred(deferral: Deferral): void {
    this.#each(deferral.sequence, deferral.count, (message) => {
      judgeLevel(message, deferral);
      this.#hasAttempts(message, deferral.attempts);
      if (deferral.dueMs === 0) return;
      judgeDeferral(message, deferral);
      this.#staysAlive(message);
      this.waiting.delete(message);
      this.#of.lines.delayed.add(message);
      this.#of.expected.deferred++;
      this.#of.tally.add('put off');
      message.delays.dueMs = deferral.dueMs;
      message.state = 'pending';
    });
  }

  /** Messages are ready again at once. */
  requeued(sequence: number, count: number): void {
    this.#each(sequence, count, (message) => {
      if (!this.waiting.delete(message)) return;
      const isRight = message.delays.asked!.least === 0 || this.#of.mayRefuse;
      assert.ok(isRight, `${name(message)} is ready at once, and was to wait`);
      this.#staysAlive(message);
      this.#of.lines.enter(message);
    });
  }

  // What is dead waits in its line only if it cannot be moved now.
  #staysAlive(message: Message): void {
    if (!this.#of.deaths.isDoomed(message)) return;
    assert.ok(this.#of.isMoverFull(), `${name(message)} is dead and goes back into its line`);
    this.#of.tally.add('dead in their lines');
  }

  /** What came of consumers' bytes is decided. */
  answered(): void {
    for (const message of this.waiting) assert.fail(`nothing becomes of ${name(message)}`);
    this.#of.deaths.decided();
  }

  /** Messages are taken out of their line, not for a consumer. */
  withdrawn(sequence: number, count: number): void {
    this.#each(sequence, count, (message) => {
      const first = message.state === 'ready' ? this.#of.firstBefore(message) : message;
      if (first !== message) assert.fail(`${name(message)} was taken before ${name(first)}`);
      this.#of.deaths.withdrawn(message);
    });
  }

  /** The broker takes messages to move them. */
  taken(sequence: number, count: number, attempts: number, order: Order): void {
    this.#each(sequence, count, (message) => {
      this.#hasAttempts(message, attempts);
      this.waiting.delete(message);
      this.#of.deaths.taken(message, order);
    });
  }

  /** Messages that died are kept nowhere. */
  discarded(sequence: number, count: number, reason: number): void {
    this.#each(sequence, count, (message) => {
      this.waiting.delete(message);
      this.#of.deaths.discarded(message, reason);
    });
  }

  /** The broker cannot move messages, and they are in their line again. */
  gaveBack(sequence: number, count: number, charged: boolean): void {
    this.#each(sequence, count, (message) => this.#of.deaths.gaveBack(message, charged));
  }

  /** The time of messages has come. */
  readyAgain(sequence: number, count: number): void {
    this.#each(sequence, count, (message) => {
      judgeFiring(message, this.#of.wall(), expiredMs(message, this.#of) >= 0);
      message.delays.fired = true;
      this.#of.lines.delayed.delete(message);
      this.#of.tally.add('ready after a time');
      this.#of.lines.enter(message);
    });
  }

  /** Messages go, as a rule says. */
  dropped(sequence: number, count: number, why: DropReason): void {
    this.#each(sequence, count, (message) => {
      const { lines, rules, deaths } = this.#of;
      const { bucket } = message;
      if (why === 'overflow')
        judgeDropped(message, lines.of(bucket), this.#of.allOf(bucket), rules);
      else judgeExpired(message, this.#of);
      if (why === 'expired') {
        assert.equal(message.state, 'ready', `${name(message)} expired and is ${message.state}`);
        assert.equal(rules!.of(bucket).expired, 'drop', `${name(message)} expired`);
      }
      if (why === 'dead-keep') deaths.forgotten(message);
      else this.#of.takeOut(message);
      message.state = 'done';
      message.takenFrom = undefined;
      message.isRejected = false;
      this.#of.expected.dropped[why]++;
      this.#of.tally.add(`dropped: ${why}`);
    });
  }

  /** A batch is durable, and a bucket of which all is known has something ready. */
  bounded(bucket: number): void {
    const most = this.#of.rules?.mostOf(bucket) ?? Number.POSITIVE_INFINITY;
    if (most === Number.POSITIVE_INFINITY || this.#of.lines.of(bucket).some((each) => each.unsure))
      return;
    // What dies may wait for room.
    if (this.#of.isMoverFull()) return;
    const all = this.#of.allOf(bucket) - this.#of.deaths.overflowing(bucket);
    assert.ok(all <= most, `${all} of bucket ${bucket} after a commit, ${most} may be`);
  }
}
