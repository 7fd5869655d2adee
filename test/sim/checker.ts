// The model that judges a world: what every message is, and what the broker may do with it. It sees
// what peers send and get, and each commit batch on its way to the disk; it knows what is durable.
//
//   sent ──append──► appended ──durable──► ready ──delivered──► held ──acked──► done
//                                            ^────failed or dropped────┘
//                                            ├─ waiting, see delays.ts ─┘
//                                            └─ dying, see deaths.ts ──► dead, or ready elsewhere
//
// After a crash it says exactly which messages must be there, from the batches that were durable
// and the one that was being written; only acks of consumers that no durable batch holds are open.

import assert from 'node:assert/strict';
import { ACK_DONE, ACK_STORED, ACK_WORKING } from '../../assembly/layout.ts';
import { KIND_LIVE } from '../../assembly/layout-placed.ts';
import type { Outcomes } from '../../src/core/collections/outcomes.ts';
import type { SequenceSet } from '../../src/core/collections/sequence-set.ts';
import type { EntrySource } from '../../src/core/ports/basics.ts';
import type { Resume } from '../../src/core/ports/journal.ts';
import { COMPACTED_LATE_MS, judgeYoung } from './ages.ts';
import { type Answer, answerOf } from './answers.ts';
import { type BatchMessage, type BatchRead, readBatch } from './batch.ts';
import { bodyOf, idOf } from './bodies.ts';
import { Copies } from './copies.ts';
import { Deaths, type Moving } from './deaths.ts';
import { Decisions } from './decisions.ts';
import { judgeMark, judgePublished, sawClock, waitsAfterStart } from './delays.ts';
import { Tally } from './faults.ts';
import {
  comesApart,
  judgeLevelMark,
  judgeTogether,
  levelAfterStart,
  levelDurable,
  lostTogether,
  sortOf,
} from './levels.ts';
import { Lines } from './lines.ts';
import type { LogSettings } from './log-settings.ts';
import {
  type ConsumerModel,
  Expected,
  type Message,
  name,
  newMessage,
  OUT_OF_LINE,
  type ProducerModel,
} from './model.ts';
import { judgeNumbers, type Numbers } from './numbers.ts';
import type { Repeats } from './repeats.ts';
import type { SimRules } from './rules.ts';

// Time passes in steps of at most 100 ms; then the broker has its usual 50.
const LEASE_LATE_MS = 150;

interface Append {
  position: number;
  bytes: Uint8Array;
  read: BatchRead;
  messages: Message[];
  moves: Moving[];
}

export class Checker {
  readonly messages = new Map<number, Message>();
  readonly tally = new Tally();
  readonly #bySequence = new Map<number, Message>();
  readonly lines = new Lines();
  readonly #owners = new Map<Message, ProducerModel>();
  /** Sequences of messages that are in the delivery that is about to be sent. */
  readonly packed = new Set<number>();
  readonly decisions = new Decisions(this);
  readonly deaths: Deaths;
  readonly #copies = new Copies(this);
  #inFlight: Append | undefined;
  #end = 0; // behind the last durable batch
  #next = 1; // sequence
  #last = 0; // where the last durable batch began
  #failed = false;
  expected = new Expected();
  heldCount = 0;
  asideCount = 0;
  /** Of those that wait: they may be gone. */
  unsureCount = 0;
  /** The stretch of the log that is being compacted. */
  compacting: { base: number; end: number } | undefined;
  /** Refusals of good messages are allowed: the disk was full, or an index could not be written. */
  mayRefuse = false;
  /** Whether so few marks may wait that one may stand for several failures of a message. */
  coalesces = false;
  /** What is set while the broker runs. */
  settings: LogSettings | undefined;
  /** Rules that are in force. */
  rules: SimRules | undefined;
  /** Messages that are published again; undefined: none are. */
  repeats: Repeats | undefined;
  /** Whether the broker can have nothing more moved for now. */
  isMoverFull: () => boolean = () => false;
  /** What time it is in the broker's life. */
  now: () => number = () => 0;
  /** What the wall clock shows, in ms since 1970. */
  wall: () => number = () => 0;
  /** Whether the broker knows all that waits in a bucket. */
  knows: (bucket: number) => boolean = () => true;
  /** The first thing that was wrong; a check may run where nobody hears its exception. */
  violation: Error | undefined;

  constructor() {
    const checker = this;
    this.deaths = new Deaths({
      get rules() {
        return checker.rules;
      },
      get expected() {
        return checker.expected;
      },
      tally: this.tally,
      now: () => this.now(),
      wall: () => this.wall(),
      allOf: (bucket) => this.allOf(bucket),
      readyOf: (bucket) => this.lines.of(bucket),
      enter: (message) => this.lines.enter(message),
      takeOut: (message) => this.takeOut(message),
      stands: (sequence, message) => void this.#bySequence.set(sequence, message),
    });
  }

  /** Runs checks; the first that fails is kept. */
  check<T>(checks: () => T): T {
    try {
      return checks();
    } catch (error) {
      this.violation ??= error as Error;
      throw error;
    }
  }

  /** Whether nothing more may come of a bucket, as a message of it is to come again before that. */
  isHeldInOrder(bucket: number): boolean {
    return this.rules?.isInOrder(bucket) === true && this.lines.againLater(bucket).length > 0;
  }

  /** Where the last durable batch began: everything before it is proved to have been synced. */
  get provedTo(): number {
    return this.#last;
  }

  // --- producers --------------------------------------------------------------------------------

  /** A producer sends a message. */
  sent(producer: ProducerModel, id: number, bucket: number, length: number): Message {
    const message = newMessage(id, bucket, length);
    sawClock(message, this.wall());
    this.messages.set(id, message);
    producer.order.set(message, producer.order.size);
    this.#owners.set(message, producer);
    this.repeats?.sent(message);
    return message;
  }

  /** The broker sends replies: whole batches, in order, 1 only for what is durable. */
  replied(producer: ProducerModel, bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      const owed = producer.owed.shift();
      assert.ok(owed !== undefined, 'a reply that no batch is owed');
      assert.ok(at + owed.messages.length <= bytes.length, 'the reply of a batch came in pieces');
      for (const { message, why } of owed.messages) {
        const byte = bytes[at++]!;
        assert.ok(byte === 0 || byte === 1, `an ack byte of ${byte}`);
        if (byte === ACK_STORED) {
          assert.ok(message !== undefined, `a message that is ${why} was acked`);
          assert.ok(!this.#failed, `${name(message)} was acked after a write or sync failed`);
          const { state } = message;
          const isStored = !['sent', 'appended', 'refused', 'gone'].includes(state);
          assert.ok(isStored, `${name(message)} was acked and is ${state}`);
          this.tally.add(why === 'again' ? 'acks of what was published again' : 'acks');
        } else if (message !== undefined) {
          const isAgain = this.repeats?.has(message) === true;
          const isNew = isAgain || message.state === 'sent';
          assert.ok(isNew, `${name(message)} was refused after it was packed`);
          const { rules } = this;
          const isRuled = rules?.mayRefuse(message.bucket) || rules?.mayRefuseCopies(message);
          if (isRuled) this.tally.add('refused where a rule bounds');
          assert.ok(
            this.mayRefuse || isRuled === true,
            `${name(message)} was refused without a cause`,
          );
          if (!isAgain) message.state = 'refused';
          this.expected.full++;
        } else if (why === 'empty') this.expected.empty++;
        else this.expected.large++;
      }
    }
  }

  // --- the log ----------------------------------------------------------------------------------

  /** The broker hands a batch to the log. */
  append(position: number, given: Uint8Array): void {
    assert.equal(this.#inFlight, undefined, 'two appends at once');
    assert.ok(position >= this.#end, 'a batch overwrites a durable one');
    const bytes = given.slice();
    const read = readBatch(bytes, position);
    const messages: Message[] = [];
    const moves: Moving[] = [];
    this.settings?.written(read);
    this.repeats?.judge(read);
    for (const each of read.messages) {
      const { sequence, position: at, bucket, body, dueMs, move } = each;
      this.#passSettings(read);
      assert.equal(sequence, this.#next, 'a sequence was left out or given twice');
      this.#next++;
      if (Copies.isCopy(each)) {
        messages.push(this.#copied(each));
        continue;
      }
      if (move !== undefined) {
        const said = this.#bodyOf(body, Number(move.fromBucket));
        moves.push(this.deaths.judge(said, each, move, read.timeMs));
        continue;
      }
      const message = this.#identify(body, Number(bucket));
      assert.equal(message.state, 'sent', `${name(message)} went into the log twice`);
      if (this.repeats?.has(message) !== true) this.#judgeOwner(message);
      sawClock(message, this.wall());
      judgePublished(message, dueMs, this.rules?.of(message.bucket).delay ?? 0);
      message.delays.dueMs = dueMs;
      const { least, most } = message.sentMs;
      const isThen = read.timeMs >= least && read.timeMs <= most;
      assert.ok(isThen, `${name(message)} came from ${least} to ${most}, not at ${read.timeMs}`);
      const storedMs = read.timeMs;
      Object.assign(message, { state: 'appended', sequence, position: at, storedMs });
      this.#bySequence.set(sequence, message);
      messages.push(message);
    }
    this.#copies.judgeBatch(messages);
    this.#passSettings(read);
    assert.equal(read.next, this.#next, 'the commit record names another sequence');
    for (const message of this.#marked(read.settled))
      assert.equal(message.state, 'done', `${name(message)} is settled in the log, not acked`);
    for (const mark of read.returned)
      for (const message of this.#marked([mark])) this.#counted(message, mark.attempts);
    for (const mark of read.deferred)
      for (const message of this.#marked([mark])) {
        judgeLevelMark(message, mark);
        if (mark.dueMs > 0) judgeMark(message, mark);
      }
    this.#inFlight = { position, bytes, read, messages, moves };
    const alive = moves.filter(({ move }) => move.kind === KIND_LIVE);
    this.#judgeQuotas([...messages, ...alive].map(({ bucket }) => bucket));
  }

  #copied(each: BatchMessage): Message {
    const original = this.messages.get(idOf(each.body));
    const copy = this.#copies.judge(original, each);
    this.#bodyOf(each.body, copy.bucket);
    this.#bySequence.set(copy.sequence, copy);
    return copy;
  }

  #judgeOwner(message: Message): void {
    const owner = this.#owners.get(message)!;
    const order = owner.order.get(message)!;
    assert.ok(order > owner.lastAppended, `${name(message)} overtook one of its producer`);
    owner.lastAppended = order;
  }

  // What is set has sequences, too.
  #passSettings({ settings }: BatchRead): void {
    while (settings.some(({ sequence }) => sequence === this.#next)) this.#next++;
  }

  /** Somebody is about to set the wall clock, or has set it. */
  clock(): void {
    for (const message of this.messages.values())
      if (message.state === 'sent') sawClock(message, this.wall());
  }

  at(sequence: number): Message | undefined {
    return this.#bySequence.get(sequence);
  }

  allOf(bucket: number): number {
    return this.lines.countOf(bucket) + (this.rules?.heldIn(bucket) ?? 0);
  }

  // What is ready, held and being written.
  #judgeQuotas(buckets: readonly number[]): void {
    const { rules } = this;
    if (rules === undefined) return;
    for (const bucket of new Set(buckets)) {
      const written = buckets.filter((each) => each === bucket).length;
      const waiting = this.allOf(bucket) + written;
      rules.appended(bucket, waiting, this.knows(bucket));
    }
  }

  *#marked(marks: BatchRead['settled']): Generator<Message> {
    for (const { sequence, count } of marks)
      for (let each = sequence; each < sequence + count; each++) {
        const message = this.#bySequence.get(each);
        if (message === undefined && this.settings?.has(each)) continue;
        assert.ok(message !== undefined, `a mark speaks of sequence ${each}, which nobody has`);
        yield message;
      }
  }

  // A mark says how often a message came back; marks stand in the order of the failures. Where few
  // may wait one by one, the highest stands for those before it.
  #counted(message: Message, attempts: number): void {
    const at = message.marksDue.indexOf(attempts);
    const due = message.marksDue.join(', ');
    const said = `${name(message)} came back ${attempts} times, the log says`;
    assert.ok(at === 0 || (at > 0 && this.coalesces), `${said}: due are ${due}`);
    message.marksDue.splice(0, at + 1);
  }

  #identify(body: Uint8Array, bucket: number): Message {
    const message = this.#bodyOf(body, bucket);
    assert.equal(message.bucket, bucket, `${name(message)} is in bucket ${bucket}`);
    return message;
  }

  #bodyOf(body: Uint8Array, bucket: number): Message {
    const id = idOf(body);
    const message = this.#copies.find(id, bucket) ?? this.messages.get(id);
    assert.ok(message !== undefined, `a body of ${body.length} bytes that nobody published`);
    const right = bodyOf(message.id, message.length);
    assert.equal(Buffer.compare(right, body), 0, `the bytes of ${name(message)} changed`);
    return message;
  }

  /** The log calls the append done. `durable`: what a power cut leaves at that place. */
  appended(failure: Error | undefined, durable: (at: number, bytes: number) => Uint8Array): void {
    const append = this.#inFlight;
    assert.ok(append !== undefined, 'an append ended that was never begun');
    if (failure !== undefined) {
      this.#failed = true; // what became of it is known at the next start
      return;
    }
    const { position, bytes } = append;
    const found = durable(position, bytes.length);
    assert.equal(Buffer.compare(found, bytes), 0, `the batch at ${position} is not on disk`);
    this.#apply(append);
    this.#copies.stored(append.messages);
  }

  #apply({ position, bytes, read, messages, moves }: Append, isStart = false): void {
    this.#inFlight = undefined;
    this.#end = position + bytes.length;
    this.#last = position;
    for (const message of messages) this.#stored(message, isStart);
    this.settings?.apply(read);
    for (const message of this.#marked(read.settled)) message.doneDurable = true;
    for (const mark of [...read.returned, ...read.deferred])
      for (const message of this.#marked([mark]))
        message.durableAttempts = Math.max(message.durableAttempts, mark.attempts);
    for (const mark of read.deferred)
      for (const message of this.#marked([mark])) {
        Object.assign(message.delays, { turn: mark.turn, durableDueMs: mark.dueMs, fired: false });
        levelDurable(message, mark.level);
        if (mark.dueMs > 0 && message.state === 'pending') message.state = 'waiting';
      }
    for (const moving of moves) this.deaths.moved(moving, !isStart);
  }

  #stored(message: Message, isStart: boolean): void {
    const { delays } = message;
    delays.durableDueMs = delays.dueMs;
    if (delays.dueMs > 0) this.tally.add('published for later');
    if (delays.dueMs === 0 || isStart) this.lines.enter(message);
    else {
      message.state = 'waiting';
      this.lines.delayed.add(message);
    }
  }

  /** Records from `base` to before `end` moved; gives how many of them consumers hold. */
  moved(base: number, end: number, entries: EntrySource): number {
    const kept = new Set<number>();
    for (let i = 0; i < entries.count; i++)
      for (let n = 0; n < entries.messages(i); n++) kept.add(entries.sequence(i) + n);
    let held = 0;
    for (const message of this.#bySequence.values()) {
      const { state, position, sequence } = message;
      if (position < base || position >= end || message.dropped) continue;
      if (!kept.has(sequence)) {
        const gone = state === 'done' || message.unsure;
        assert.ok(gone, `${name(message)} is ${state} and was left out by a compaction`);
        message.dropped = true;
      } else {
        message.lateMs += COMPACTED_LATE_MS;
        if (state !== 'held') continue;
        message.moved = 'held';
        held++;
      }
    }
    return held;
  }

  // --- consumers --------------------------------------------------------------------------------

  /** Messages of one bucket go into the delivery that is about to be sent. */
  packs(sequence: number, count: number): void {
    for (let i = 0; i < count; i++) this.packed.add(sequence + i);
    const bucket = this.at(sequence)?.bucket;
    if (bucket === undefined || this.rules === undefined) return;
    const packed = [...this.packed].filter((each) => this.at(each)?.bucket === bucket);
    this.rules.packed(bucket, packed.length);
  }

  /** The broker sends a delivery frame. */
  delivered(consumer: ConsumerModel, bytes: Uint8Array, bytesMax: number): void {
    const frames = consumer.decoder.push(bytes);
    assert.equal(frames.length, 1, 'a batch was not written in one piece');
    assert.equal(consumer.decoder.pendingBytes, 0, 'a batch was not written in one piece');
    const frame = frames[0]!;
    assert.equal(consumer.held.length, 0, 'a batch came before the last was acked');
    assert.ok(!consumer.heartbeat, 'a batch came before the heartbeat was acked');
    if (frame.isHeartbeat) {
      consumer.heartbeat = true;
      this.expected.heartbeats++;
      return;
    }
    assert.ok(frame.count <= consumer.batchSize, 'more than the batch size was delivered');
    assert.ok(frame.count === 1 || bytes.length <= bytesMax, 'a frame is larger than the limit');
    const packed = [...this.packed];
    this.packed.clear();
    for (let i = 0; i < frame.count; i++) this.#deliver(consumer, frame.body(i), packed[i]!);
    const buckets = consumer.held.map(({ bucket }) => bucket);
    if (new Set(buckets).size > 1) this.tally.add('deliveries of several buckets');
    this.rules?.delivered(consumer.bucket, buckets, this.now());
    judgeTogether(consumer.held);
    consumer.leaseMs = this.rules?.of(consumer.bucket).lease ?? 0;
    consumer.sinceMs = this.now();
  }

  // Of a copy and what it is one of, both may be given to a consumer: `sequence` tells which is.
  #deliver(consumer: ConsumerModel, body: Uint8Array, sequence: number): void {
    const message = this.#bodyOf(body, this.at(sequence)?.bucket ?? consumer.bucket);
    const { state, takenFrom } = message;
    const isGiven = this.rules?.isGivenTo(message.bucket, consumer.bucket);
    const said = `${name(message)} was delivered to a consumer of ${consumer.bucket}`;
    assert.ok(isGiven ?? message.bucket === consumer.bucket, said);
    if (message.bucket !== consumer.bucket) this.tally.add('delivered to a virtual bucket');
    assert.equal(state, 'ready', `${name(message)} was delivered and is ${state}`);
    assert.ok(takenFrom?.closed !== false, `${name(message)} is with two who may answer it`);
    message.takenFrom = undefined;
    assert.ok(!this.deaths.isDoomed(message), `${name(message)} was delivered and is to die`);
    judgeYoung(message, this);
    const inOrder = this.rules?.isInOrder(message.bucket) === true;
    const { level } = message.levels;
    if (inOrder) this.#judgeOrder(message);
    const first = this.firstBefore(message);
    if (first !== message) assert.fail(`${name(message)} came before ${name(first)}`);
    this.takeOut(message);
    message.state = 'held';
    this.heldCount++;
    consumer.held.push(message);
    this.expected.delivered++;
    if (message.low > 0 || level > 0) this.expected.redeliveredLow++;
    if (message.high > 0 || level > 0) this.expected.redeliveredHigh++;
    if (message.low > 0) this.tally.add('redelivered');
    if (level > 0) this.tally.add('suspects delivered');
    if (message.moved === 'back') {
      this.tally.add('redelivered after a move');
      message.moved = 'no';
    }
  }

  /** Which is before it, or it. Suspects come apart from others, in their own order, unless one
   * thing comes after the other. */
  firstBefore(message: Message): Message {
    const inOrder = this.rules?.isInOrder(message.bucket) === true;
    const sort = sortOf(message);
    if (message.doubtful || (!inOrder && sort === undefined)) return message;
    const line = this.lines.of(message.bucket);
    const isOpen = (each: Message) => each.doubtful || this.packed.has(each.sequence);
    return line.find((each) => !isOpen(each) && (inOrder || sortOf(each) === sort))!;
  }

  /** It is seen, and not in its line any more. */
  takeOut(message: Message): void {
    this.lines.leave(message);
    message.doubtful = false;
    if (message.unsure) this.unsureCount--;
    message.unsure = false;
    message.wasUnsure = false;
  }

  // One at a time: what is to come again later comes before it.
  #judgeOrder(message: Message): void {
    for (const each of this.lines.againLater(message.bucket))
      if (each.sequence < message.sequence && !each.doubtful)
        assert.fail(`${name(message)} overtook ${name(each)}`);
  }

  /** Ack bytes reach the broker. */
  acks(consumer: ConsumerModel, bytes: Uint8Array): void {
    if (consumer.held.length > 0 && bytes.length > 0) consumer.sinceMs = this.now();
    for (const byte of bytes) {
      if (byte === ACK_WORKING) {
        this.tally.add('signs of work');
        continue;
      }
      if (consumer.heartbeat) {
        consumer.heartbeat = false;
        continue;
      }
      const message = consumer.held.shift()!;
      this.rules?.leaves(consumer.bucket);
      if (byte === ACK_DONE) {
        message.state = 'done';
        this.heldCount--;
        this.rules?.returned(message.bucket);
        this.expected.acked++;
        this.tally.add('consumed');
      } else this.#answers(message, answerOf(byte));
    }
  }

  #answers(message: Message, { free, rejects, ms }: Answer): void {
    if (rejects) this.expected.rejected++;
    else if (free) this.expected.released++;
    else this.expected.failed++;
    this.#giveBack(message, !free);
    message.isRejected = rejects;
    comesApart(message, 0);
    this.#comesBack(message, !free, rejects ? 0 : ms);
  }

  // At once, or after a time: `ms`, or what its rule says; or never.
  #comesBack(message: Message, charged: boolean, ms: number | undefined): void {
    const mayDie = message.isRejected || (charged && this.#mayDie(message));
    if (mayDie) this.tally.add('deaths');
    const { bucket, low, high } = message;
    const ruled = this.rules?.delay(bucket, low, high) ?? { least: 0, most: 0 };
    const { least, most } = ms === undefined ? ruled : { least: ms, most: ms };
    if (most === 0 && !mayDie) {
      this.lines.enter(message);
      return;
    }
    message.state = 'answered';
    message.delays.asked = { least, most, atMs: this.wall() };
    this.decisions.waiting.add(message);
  }

  // Whether it may have come back as often as it may.
  #mayDie({ high, bucket }: Message): boolean {
    return high >= this.deaths.mostOf(bucket);
  }

  #giveBack(message: Message, charged: boolean): void {
    if (charged) {
      message.low++;
      message.high++;
    }
    if (message.moved === 'held') message.moved = 'back';
    this.rules?.returned(message.bucket);
    this.heldCount--;
  }

  /** The broker says that a lease is over of `count` messages: they are ready again. */
  leaseOver(consumer: ConsumerModel, count: number): void {
    const { held, leaseMs, sinceMs } = consumer;
    const silentMs = this.now() - sinceMs;
    assert.ok(leaseMs > 0, 'a lease is over that was never given');
    assert.ok(silentMs >= leaseMs, `a lease of ${leaseMs} ms was over after ${silentMs}`);
    assert.equal(count, held.length, 'messages of a lease');
    this.tally.add('leases over');
    this.expected.leasesOver++;
    consumer.isOver = true;
    for (const message of held) message.takenFrom = consumer;
    this.#lost(consumer);
  }

  /** No lease is over for long, and who had one that was is closed. */
  judgeLease({ held, leaseMs, sinceMs, isOver, closed }: ConsumerModel): void {
    if (closed) return;
    assert.ok(!isOver, 'a connection stays open whose lease was over');
    if (held.length === 0 || leaseMs === 0) return;
    const lateMs = this.now() - sinceMs - leaseMs;
    assert.ok(lateMs <= LEASE_LATE_MS, `a lease of ${leaseMs} ms is over for ${lateMs} ms`);
  }

  /** A consumer's connection is gone: what it held is ready again. */
  left(consumer: ConsumerModel, closedFor: string): void {
    if (!['memory', 'operator', 'shutdown', 'suspended'].includes(closedFor)) {
      this.#lost(consumer);
      return;
    }
    for (const message of consumer.held.splice(0)) {
      this.rules?.leaves(consumer.bucket);
      this.#giveBack(message, false);
      this.lines.enter(message);
    }
  }

  // What it held is charged to one that was alone; others come apart.
  #lost({ held, bucket }: ConsumerModel): void {
    const lost = held.splice(0);
    let charges = false;
    for (const message of lost) {
      this.rules?.leaves(bucket);
      const isolates = this.rules?.of(message.bucket).isolate !== false;
      const charged = !isolates || lost.length === 1;
      charges ||= charged;
      this.#giveBack(message, charged);
      comesApart(message, isolates ? lostTogether(lost.length) : 0);
      this.#comesBack(message, charged, charged ? undefined : 0);
    }
    if (lost.length > 0) this.tally.add(charges ? 'charged' : 'lost together');
  }

  // --- what cannot be read ----------------------------------------------------------------------

  /** The broker said that it set messages aside. */
  setAside(sequence: number, count: number): void {
    for (let each = sequence; each < sequence + count; each++) {
      const message = this.#bySequence.get(each)!;
      this.asideCount++;
      if (this.deaths.aside(message)) {
        message.state = 'aside';
        continue;
      }
      assert.equal(message.state, 'ready', `${name(message)} was set aside`);
      this.lines.leave(message);
      message.state = 'aside';
    }
  }

  /** The broker said that it cannot search a segment for a bucket. */
  notFound(bucket: number, base: number, end: number): void {
    const { lines, deaths } = this;
    const dead = deaths.deadIn(bucket);
    for (const message of [...lines.of(bucket), ...lines.delayedOf(bucket), ...dead])
      if (message.position >= base && message.position < end) message.doubtful = true;
  }

  // --- the end of a life, and the next one ------------------------------------------------------

  /** The process is gone. */
  died(): void {
    this.deaths.died();
    for (const message of this.messages.values()) {
      if (message.state === 'sent') message.state = 'gone';
      else if (OUT_OF_LINE.has(message.state)) this.deaths.back(message);
      message.isRejected = false;
      message.doubtful = false;
      message.moved = 'no';
      message.takenFrom = undefined;
      if (message.unsure) this.#leave(message);
    }
    this.heldCount = 0;
    this.asideCount = 0;
    this.decisions.waiting.clear();
    this.lines.delayed.clear();
    this.#failed = false;
    this.mayRefuse = false;
    this.#owners.clear();
    this.rules?.died();
    this.settings?.died();
    this.expected = new Expected();
  }

  // What was not seen again may be gone, or be found by another start.
  #leave(message: Message): void {
    this.lines.leave(message);
    this.unsureCount--;
    message.unsure = false;
    message.state = 'done';
  }

  /**
   * A start has read the log, which begins at `start`, and goes on at `resume`. `checkpoint`: what
   * it found settled in one; undefined: it used none.
   */
  recovered(
    resume: Resume,
    start: number,
    fates: Outcomes,
    checkpoint: SequenceSet | undefined,
  ): void {
    const at = resume.base + resume.offset;
    assert.ok(at >= this.#end, `the log ends at ${at}: durable batches to ${this.#end} are lost`);
    const append = this.#inFlight;
    this.#inFlight = undefined;
    if (append !== undefined && at > append.position) this.#apply(append, true);
    else if (append !== undefined) {
      for (const message of append.messages) {
        message.state = 'gone';
        this.#bySequence.delete(message.sequence);
      }
    }
    this.#next = resume.sequence;
    const highest = Math.max(0, ...this.#bySequence.keys());
    assert.ok(resume.sequence > highest, 'sequences would be given out again');
    for (const message of this.#bySequence.values()) {
      this.#remembered(message, checkpoint);
      this.#settledIn(message, start, fates);
    }
    this.compacting = undefined;
  }

  #settledIn(message: Message, start: number, fates: Outcomes): void {
    const settled = fates.settled.has(message.sequence);
    const isDead = fates.dead.has(message.sequence);
    if (message.state === 'dead' || message.state === 'ready')
      assert.equal(isDead, message.isDead, `${name(message)} is dead`);
    if (this.#inCompaction(message)) message.lateMs += COMPACTED_LATE_MS;
    if (message.state === 'done') {
      // A compaction may have been undone, as its name was not durable, or not.
      if (this.#inCompaction(message) && !message.isHusk) {
        message.dropped = false;
        message.wasUnsure = true;
      }
      // A checkpoint may know of acks that no durable batch holds; what is older is forgotten.
      const there = message.position >= start && !message.dropped;
      if (message.isHusk) assert.ok(settled || !there, `${name(message)} is in two places`);
      const isLeft = message.isDead && message.wasUnsure && !isDead;
      if (settled || message.doneDurable || !there || isLeft) message.doneBefore = true;
      else this.#again(message);
    } else assert.ok(!settled, `${name(message)} counts as settled and was never acked`);
    message.low = message.durableAttempts;
    message.marksDue = [];
    if (message.state !== 'ready') return;
    levelAfterStart(message, fates);
    // Of one that may be gone only that much is known.
    const waits = message.unsure
      ? fates.waiting.has(message.sequence)
      : waitsAfterStart(message, fates);
    if (waits) this.#waits(message);
  }

  #waits(message: Message): void {
    this.lines.leave(message);
    message.state = 'waiting';
    message.delays.dueMs = message.delays.durableDueMs;
    this.lines.delayed.add(message);
    this.tally.add('waiting after a start');
  }

  // A checkpoint that one start could not read is there for another: it may know of acks, and of
  // failures, that were forgotten meanwhile. What was acked once need not come again.
  #remembered(message: Message, checkpoint: SequenceSet | undefined): void {
    if (checkpoint === undefined) {
      message.highBefore = Math.max(message.highBefore, message.high);
      message.forgotten ||= message.state === 'done';
      return;
    }
    message.high = Math.max(message.high, message.highBefore);
    if (!['ready', 'dead'].includes(message.state) || !message.forgotten) return;
    if (!checkpoint.has(message.sequence)) return;
    if (message.isDead) this.deaths.forgotten(message);
    else this.lines.leave(message);
    message.state = 'done';
    this.tally.add('acks known again');
  }

  // An ack was lost with the broker that knew of it.
  #again(message: Message): void {
    this.deaths.back(message);
    message.doneBefore = false;
    this.tally.add('acks of consumers lost');
    if (!message.wasUnsure || message.isDead) return;
    message.unsure = true;
    message.doubtful = true;
    this.unsureCount++;
  }

  #inCompaction({ position }: Message): boolean {
    const range = this.compacting;
    return range !== undefined && position >= range.base && position < range.end;
  }

  /** After an orderly stop: nothing is open. */
  stopped(): void {
    assert.equal(this.#inFlight, undefined, 'the broker stopped in the middle of an append');
    for (const message of this.#bySequence.values()) {
      const told = this.coalesces && message.durableAttempts >= message.low;
      assert.ok(
        told || message.marksDue.length === 0,
        `a failure of ${name(message)} is not in the log`,
      );
      if (message.state === 'done' && !message.doneBefore)
        assert.ok(message.doneDurable, `the ack of ${name(message)} is not in the log`);
    }
  }

  /** Numbers of the broker that must be those of the model between two events. */
  counts(broker: Numbers): void {
    this.decisions.answered();
    this.deaths.judgeRedrives();
    judgeNumbers(broker, this);
  }
}
