// The model's part about messages that leave their line: those that die and those that are given
// back. Each is in one place, also while it is on its way, and no crash makes it two or none.
//
//   held, ready ──taken──► dying ──move durable──► dead, or ready in another bucket
//                            └── dropped ──► done
//   dead ──taken──► leaving ──move durable──► ready, its attempts begin anew
//
// After a crash it is where it was before, or there, as the log says.

import assert from 'node:assert/strict';
import {
  KIND_DEAD,
  KIND_LIVE,
  REASON_DELIVERIES,
  REASON_EXPIRED,
  REASON_OVERFLOW,
  REASON_REDRIVEN,
  REASON_REJECTED,
} from '../../assembly/layout-placed.ts';
import type { RedriveState } from '../../src/contract/dead-messages.ts';
import { judgeExpired } from './ages.ts';
import type { BatchMessage, BatchMove } from './batch.ts';
import type { Tally } from './faults.ts';
import { type Expected, type Message, name, nowhere, type Order } from './model.ts';
import type { SimRules } from './rules.ts';

/** Moves to other buckets that a message makes at most by dying (SPEC). */
const HOPS_MAX = 8;
// Part of a second whose messages may be given back at once, and how late it may be noticed.
const BURST = 0.1;
const LATE_MS = 150;
// So few a second may take longer than a rest.
const SLOW = 100;

/** What the model does with lines of messages that live. */
export interface Lines {
  readonly rules: SimRules | undefined;
  readonly expected: Expected;
  readonly tally: Tally;
  now(): number;
  /** What the wall clock shows. */
  wall(): number;
  /** Messages that a bucket has, ready or not, and what is ready, oldest first. */
  allOf(bucket: number): number;
  readyOf(bucket: number): readonly Message[];
  /** It is in its line. */
  enter(message: Message): void;
  /** It is not in its line any more. */
  takeOut(message: Message): void;
  /** It stands at a sequence, and maybe another one did so before. */
  stands(sequence: number, message: Message): void;
}

/** A message on its way into another line, in a batch. */
export interface Moving {
  message: Message;
  bucket: number;
  sequence: number;
  position: number;
  storedMs: number;
  move: BatchMove;
}

interface Redriving {
  to: number | undefined;
  /** Sequence that was next when it began. */
  end: number;
  left: number;
  rate: number;
  sinceMs: number;
  taken: number;
  moved: number;
  state: RedriveState;
}

export class Deaths {
  readonly dead = new Set<Message>();
  /** Taken out of their line and not in another one: of those that lived, and of the dead. */
  readonly dying = new Set<Message>();
  readonly leaving = new Set<Message>();
  readonly #lines: Lines;
  readonly #redrives = new Map<number, Redriving>();

  constructor(lines: Lines) {
    this.#lines = lines;
  }

  get size(): number {
    return this.dead.size + this.dying.size + this.leaving.size;
  }

  /** Dead messages that where they were takes no more, as what it may hold was made less since, and
   * those behind them: a redrive ends there. */
  get stuck(): number {
    const { rules } = this.#lines;
    const isTooLarge = ({ origin, length }: Message): boolean => {
      const most = rules?.of(origin).max_bytes ?? 0;
      return most > 0 && length > most;
    };
    const large = [...this.dead].filter(isTooLarge);
    const isStuck = ({ bucket, sequence }: Message): boolean =>
      large.some((each) => each.bucket === bucket && each.sequence <= sequence);
    return [...this.dead].filter(isStuck).length;
  }

  deadIn(bucket: number): Message[] {
    return [...this.dead].filter((each) => each.bucket === bucket);
  }

  /** How often a message of a bucket is charged until it is dead; Infinity: for ever. */
  mostOf(bucket: number): number {
    const most = this.#lines.rules?.of(bucket).max_deliveries ?? 0;
    return most > 0 ? most : Number.POSITIVE_INFINITY;
  }

  /** Whether nobody may be given a message any more, though it stands in its line. */
  isDoomed(message: Message): boolean {
    return message.isRejected || message.low >= this.mostOf(message.bucket);
  }

  // --- the broker takes messages out of their line -----------------------------------------------

  /** A message is taken out of its line, for what the broker says next. */
  withdrawn(message: Message): void {
    if (message.state === 'dead') {
      this.dead.delete(message);
      this.#leaves(message);
      return;
    }
    assert.equal(message.state, 'ready', `${name(message)} is taken and is ${message.state}`);
    assert.ok(message.takenFrom?.closed !== false, `${name(message)} is taken and may be answered`);
    this.#lines.takeOut(message);
    this.#dies(message);
  }

  #dies(message: Message): void {
    message.state = 'dying';
    this.dying.add(message);
    this.#lines.rules?.taken(message.bucket);
  }

  #leaves(message: Message): void {
    message.state = 'leaving';
    this.leaving.add(message);
  }

  /** It is to be moved. */
  taken(message: Message, order: Order): void {
    const { reason } = order;
    const said = `${name(message)} is to be moved for reason ${reason}`;
    if (reason === REASON_REDRIVEN) {
      assert.equal(message.state, 'leaving', `${said} and is ${message.state}`);
      this.#isAsked(message, order);
    } else {
      if (message.state === 'answered') this.#dies(message);
      assert.equal(message.state, 'dying', `${said} and is ${message.state}`);
      this.#judgeReason(message, reason);
      const drops = this.#lines.rules?.of(message.bucket).dead_letter === 'drop';
      assert.ok(!drops, `${said} and is to be dropped`);
    }
    assert.equal(message.order, undefined, `${said} and was to be moved`);
    message.order = order;
  }

  #judgeReason(message: Message, reason: number): void {
    const said = `${name(message)} dies for reason ${reason}`;
    if (reason === REASON_REJECTED) assert.ok(message.isRejected, `${said}: nobody rejected it`);
    else if (reason === REASON_OVERFLOW) this.#judgeOverflow(message);
    else if (reason === REASON_EXPIRED) {
      judgeExpired(message, this.#lines);
      assert.equal(this.#lines.rules?.of(message.bucket).expired, 'dead', said);
    } else {
      assert.equal(reason, REASON_DELIVERIES, said);
      const { low, high, bucket } = message;
      assert.ok(high >= this.mostOf(bucket), `${said} and came back ${low} to ${high} times`);
    }
  }

  // Too many are there but for those that go already, and none that is ready is older.
  #judgeOverflow(message: Message): void {
    const { bucket, sequence } = message;
    const { rules } = this.#lines;
    const all = this.#lines.allOf(bucket) - this.overflowing(bucket);
    const said = `${name(message)} dies as one of ${all}`;
    assert.equal(rules?.of(bucket).overflow, 'dead-oldest', said);
    assert.ok(rules.mayDrop(bucket, all), said);
    const older = this.#lines.readyOf(bucket).find((each) => !each.doubtful);
    if (older !== undefined && older.sequence < sequence)
      assert.fail(`${said} before ${name(older)}`);
    this.#lines.tally.add('dead as too much');
  }

  /** Messages of a bucket that are on their way, as they are too many. */
  overflowing(bucket: number): number {
    const goes = (each: Message) =>
      each.bucket === bucket && each.order?.reason === REASON_OVERFLOW;
    return [...this.dying].filter(goes).length;
  }

  /** It was dead for so long that it is dropped. */
  forgotten(message: Message): void {
    assert.ok(this.dead.delete(message), `${name(message)} is dropped and is ${message.state}`);
  }

  #isAsked(message: Message, { to }: Order): void {
    const redrive = this.#redrives.get(message.bucket);
    const said = `${name(message)} is given back`;
    assert.ok(redrive !== undefined && !redrive.state.done, `${said} and nobody asked for it`);
    assert.ok(message.sequence < redrive.end, `${said} and died after that was asked for`);
    assert.equal(to, redrive.to, `${said} to another bucket`);
    redrive.taken++;
    assert.ok(redrive.taken - redrive.left <= 0, `${said}: more than were asked for`);
    const { rate, sinceMs } = redrive;
    const ms = this.#lines.now() - sinceMs + LATE_MS;
    const most = Math.max(1, rate * BURST) + (rate * ms) / 1000;
    assert.ok(redrive.taken <= most + 1e-6, `${said}: ${redrive.taken} in ${ms} ms`);
  }

  /** It is kept nowhere. */
  discarded(message: Message, reason: number): void {
    if (message.state === 'answered') this.#dies(message);
    const said = `${name(message)} is dropped`;
    assert.equal(message.state, 'dying', `${said} and is ${message.state}`);
    assert.equal(this.#lines.rules?.of(message.bucket).dead_letter, 'drop', said);
    this.#judgeReason(message, reason);
    this.#gone(message);
    message.state = 'done';
    const { expected, tally } = this.#lines;
    expected.dead[reason]!++;
    expected.discarded++;
    tally.add('discarded');
  }

  /** It cannot be moved, and is in its line again. */
  gaveBack(message: Message, charged: boolean): void {
    const { order, state } = message;
    assert.ok(order !== undefined, `${name(message)} is given back and is ${state}`);
    const failed = [REASON_DELIVERIES, REASON_REJECTED].includes(order.reason);
    assert.equal(charged, failed, `${name(message)} is charged`);
    if (state === 'leaving') this.#redrives.get(message.bucket)!.taken--;
    this.#gone(message);
    this.back(message);
  }

  /** It is in its line, whichever that is. */
  back(message: Message): void {
    message.order = undefined;
    if (!message.isDead) {
      this.#lines.enter(message);
      return;
    }
    message.state = 'dead';
    this.dead.add(message);
  }

  // It is not on its way any more.
  #gone(message: Message): void {
    if (this.dying.delete(message)) this.#lines.rules?.returned(message.bucket);
    else if (!this.leaving.delete(message))
      assert.fail(`${name(message)} was never taken: it is ${message.state}`);
    message.isRejected = false;
    message.order = undefined;
  }

  /** It cannot be read; false: it is not on its way. */
  aside(message: Message): boolean {
    if (message.state !== 'dying' && message.state !== 'leaving') return false;
    this.#gone(message);
    return true;
  }

  /** Everything that was taken is on its way. */
  decided(): void {
    for (const message of [...this.dying, ...this.leaving])
      assert.ok(message.order !== undefined, `${name(message)} was taken for nothing`);
  }

  // --- the log ----------------------------------------------------------------------------------

  /** A batch holds a message that was elsewhere. */
  judge(
    message: Message,
    { bucket: id, sequence, position }: BatchMessage,
    move: BatchMove,
    storedMs: number,
  ): Moving {
    const said = `${name(message)} is moved`;
    const { order, bucket, origin } = message;
    const bucketNow = Number(id);
    assert.ok(order !== undefined, `${said} and is ${message.state}`);
    assert.ok(move.settles, `${said} and stays where it is`);
    const { from, fromBucket, fromKind, reason, attempts } = move;
    const kindBefore = message.isDead ? KIND_DEAD : KIND_LIVE;
    assert.deepEqual(
      [from, Number(fromBucket), fromKind, reason, attempts],
      [message.sequence, bucket, kindBefore, order.reason, 0],
      `${said}: where from, and why`,
    );
    const { low, high } = message;
    const fits = move.fromAttempts >= low && move.fromAttempts <= high;
    assert.ok(fits, `${said} after ${move.fromAttempts} attempts: ${low} to ${high} are right`);
    const now = [bucketNow, move.kind, move.hops];
    if (order.reason === REASON_REDRIVEN)
      assert.deepEqual(now, [order.to ?? origin, KIND_LIVE, 0], `${said}: given back`);
    else this.#judgeDeath(message, now);
    return { message, bucket: bucketNow, sequence, position, storedMs, move };
  }

  #judgeDeath(message: Message, now: number[]): void {
    const { bucket, hops } = message;
    const said = `${name(message)}, moved ${hops} times, died`;
    const { rules } = this.#lines;
    const named = rules?.of(bucket).dead_letter ?? 'keep';
    const own = [bucket, KIND_DEAD, hops];
    const isKept = named === 'keep' || named === bucket;
    if (isKept || hops >= HOPS_MAX) assert.deepEqual(now, own, said);
    else if (rules!.mayRefuse(Number(named)) && now[1] === KIND_DEAD)
      assert.deepEqual(now, own, said);
    else assert.deepEqual(now, [named, KIND_LIVE, hops + 1], said);
  }

  /** That batch is durable: the message is there, and nowhere else. */
  moved(moving: Moving, isCounted: boolean): void {
    const { message, bucket, sequence, position, storedMs, move } = moving;
    const { state } = message;
    const husk: Message = { ...message, state: 'done', doneDurable: true, isHusk: true };
    husk.order = undefined;
    this.#lines.stands(message.sequence, husk);
    if (isCounted) this.#count(message, bucket, move);
    if (state === 'ready') this.#lines.takeOut(message);
    else if (state === 'dead') this.dead.delete(message);
    else this.#gone(message);
    const isDead = move.kind === KIND_DEAD;
    if (isDead) message.origin = message.bucket;
    const { hops } = move;
    Object.assign(message, nowhere(), { bucket, sequence, position, storedMs, hops, isDead });
    message.isRejected = false;
    this.#lines.stands(sequence, message);
    this.back(message);
  }

  #count({ bucket, hops }: Message, to: number, { reason, kind }: BatchMove): void {
    const { expected, tally, rules } = this.#lines;
    if (reason === REASON_REDRIVEN) {
      expected.redriven++;
      this.#redrives.get(bucket)!.moved++;
      tally.add('given back');
      return;
    }
    expected.dead[reason]!++;
    if (reason === REASON_EXPIRED) tally.add('dead of age');
    tally.add(to === bucket ? 'dead and kept' : 'dead and moved');
    const named = rules?.of(bucket).dead_letter ?? 'keep';
    if (kind === KIND_LIVE || named === 'keep' || named === bucket) return;
    expected.fallback++;
    tally.add(hops >= HOPS_MAX ? 'moved too often' : 'dead, and its bucket was full');
  }

  /** The process is gone. */
  died(): void {
    this.dying.clear();
    this.leaving.clear();
    this.#redrives.clear();
  }

  // --- what is given back -----------------------------------------------------------------------

  /** Somebody asks for it; `state` is the broker's, and goes on telling how it goes. */
  redrive(
    bucket: number,
    asked: Pick<Redriving, 'to' | 'end' | 'left' | 'rate'>,
    state: RedriveState,
  ) {
    const sinceMs = this.#lines.now();
    this.#redrives.set(bucket, { ...asked, sinceMs, taken: 0, moved: 0, state });
    this.#lines.tally.add('redrives');
  }

  /** What is said of each that ended; gives the buckets of those that go on, and are not slow. */
  judgeRedrives(): number[] {
    for (const [bucket, redrive] of this.#redrives) this.#judgeRedrive(bucket, redrive);
    const goesOn = ({ state, rate }: Redriving) => !state.done && rate > SLOW;
    return [...this.#redrives].filter(([, each]) => goesOn(each)).map(([bucket]) => bucket);
  }

  #judgeRedrive(bucket: number, { state, moved, left, end, to, taken }: Redriving): void {
    const said = `of the dead of bucket ${bucket}`;
    assert.equal(state.moved, moved, `given back ${said}`);
    if (!state.done) return;
    const { rules, tally } = this.#lines;
    if (state.stopped === null) {
      const rest = this.deadIn(bucket).filter((each) => each.sequence < end && !each.doubtful);
      assert.equal(rest.length, 0, `left ${said}: ${rest.map(name)}`);
      tally.add('redrives to the end');
    } else if (state.stopped === 'limit') assert.equal(taken, left, `asked for ${said}`);
    else if (to !== undefined) assert.ok(rules?.mayRefuse(to), `bucket ${to} is full`);
    this.#redrives.delete(bucket);
  }
}
