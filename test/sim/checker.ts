// The model that judges a world: what every message is, and what the broker may do with it. It sees
// what peers send and get, and each commit batch on its way to the disk; it knows what is durable.
//
//   sent ──append──► appended ──durable──► ready ──delivered──► held ──acked──► done
//                                            ^────failed or dropped────┘
//                                            └─ waiting, see delays.ts ─┘
//
// After a crash it says exactly which messages must be there, from the batches that were durable
// and the one that was being written; only acks of consumers that no durable batch holds are open.

import assert from 'node:assert/strict';
import { ACK_DONE, ACK_STORED, ACK_WORKING } from '../../assembly/layout.ts';
import type { Outcomes } from '../../src/core/collections/outcomes.ts';
import type { SequenceSet } from '../../src/core/collections/sequence-set.ts';
import type { Counters } from '../../src/core/metrics/counters.ts';
import type { EntrySource } from '../../src/core/ports/basics.ts';
import type { Resume } from '../../src/core/ports/journal.ts';
import type { Deferral } from '../../src/core/records/placed.ts';
import { type Answer, answerOf } from './answers.ts';
import { type BatchRead, readBatch } from './batch.ts';
import { bodyOf, idOf } from './bodies.ts';
import { judgeDeferral, judgeFiring, judgeMark, waitsAfterStart } from './delays.ts';
import { Tally } from './faults.ts';
import {
  type ConsumerModel,
  Expected,
  type Message,
  name,
  noDelays,
  OUT_OF_LINE,
  type ProducerModel,
} from './model.ts';
import type { SimRules } from './rules.ts';

// Time passes in steps of at most 100 ms; then the broker has its usual 50.
const LEASE_LATE_MS = 150;

interface Append {
  position: number;
  bytes: Uint8Array;
  read: BatchRead;
  messages: Message[];
}

export class Checker {
  readonly messages = new Map<number, Message>();
  readonly tally = new Tally();
  readonly #bySequence = new Map<number, Message>();
  /** What waits in each bucket, oldest first. */
  readonly #lines = new Map<number, Message[]>();
  readonly #owners = new Map<Message, ProducerModel>();
  // Answered, and it is not known yet what becomes of them; pending and waiting ones.
  readonly #answered = new Set<Message>();
  readonly #delayed = new Set<Message>();
  #inFlight: Append | undefined;
  #end = 0; // behind the last durable batch
  #next = 1; // sequence
  #last = 0; // where the last durable batch began
  #failed = false;
  expected = new Expected();
  readyCount = 0;
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
  /** Rules that are in force. */
  rules: SimRules | undefined;
  /** What time it is in the broker's life. */
  now: () => number = () => 0;
  /** What the wall clock shows, in ms since 1970. */
  wall: () => number = () => 0;
  /** Whether the broker knows all that waits in a bucket. */
  knows: (bucket: number) => boolean = () => true;
  /** The first thing that was wrong; a check may run where nobody hears its exception. */
  violation: Error | undefined;

  /** Runs checks; the first that fails is kept. */
  check<T>(checks: () => T): T {
    try {
      return checks();
    } catch (error) {
      this.violation ??= error as Error;
      throw error;
    }
  }

  line(bucket: number): readonly Message[] {
    return this.#lines.get(bucket) ?? [];
  }

  get buckets(): Iterable<number> {
    return this.#lines.keys();
  }

  /** Messages that are to be ready at a time. */
  get delayedCount(): number {
    return this.#delayed.size;
  }

  isDelayed(bucket: number): boolean {
    return [...this.#delayed].some((message) => message.bucket === bucket);
  }

  /** Whether nothing more may come of a bucket, as a message of it is to come again before that. */
  isHeldInOrder(bucket: number): boolean {
    return this.rules?.isInOrder(bucket) === true && this.isDelayed(bucket);
  }

  /** When the last of them is to be ready. */
  get lastDueMs(): number {
    return Math.max(0, ...[...this.#delayed].map(({ delays }) => delays.dueMs));
  }

  /** Says which message should be ready, and was not in `lateMs`. */
  overdue(lateMs: number): string | undefined {
    const latest = this.wall() - lateMs;
    for (const message of this.#delayed) {
      // What a full disk cannot be told waits for room.
      const isTold = message.state === 'waiting' || !this.mayRefuse;
      if (isTold && !message.unsure && message.delays.dueMs < latest)
        return `${name(message)} is late`;
    }
    return undefined;
  }

  /** Where the last durable batch began: everything before it is proved to have been synced. */
  get provedTo(): number {
    return this.#last;
  }

  #line(bucket: number): Message[] {
    let line = this.#lines.get(bucket);
    if (line === undefined) {
      line = [];
      this.#lines.set(bucket, line);
    }
    return line;
  }

  #enter(message: Message): void {
    const line = this.#line(message.bucket);
    let at = line.length;
    while (at > 0 && line[at - 1]!.sequence > message.sequence) at--;
    line.splice(at, 0, message);
    message.state = 'ready';
    this.readyCount++;
  }

  #unline(message: Message): void {
    const line = this.#line(message.bucket);
    line.splice(line.indexOf(message), 1);
    this.readyCount--;
  }

  // --- producers --------------------------------------------------------------------------------

  /** A producer sends a message. */
  sent(producer: ProducerModel, id: number, bucket: number, length: number): Message {
    const message: Message = {
      id,
      bucket,
      length,
      state: 'sent',
      sequence: 0,
      position: 0,
      low: 0,
      high: 0,
      durableAttempts: 0,
      marksDue: [],
      delays: noDelays(),
      doneDurable: false,
      doneBefore: false,
      forgotten: false,
      highBefore: 0,
      doubtful: false,
      unsure: false,
      wasUnsure: false,
      dropped: false,
      moved: 'no',
      takenFrom: undefined,
    };
    this.messages.set(id, message);
    producer.order.set(message, producer.order.size);
    this.#owners.set(message, producer);
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
          this.tally.add('acks');
        } else if (message !== undefined) {
          assert.equal(message.state, 'sent', `${name(message)} was refused after it was packed`);
          const isRuled = this.rules?.mayRefuse(message.bucket) === true;
          if (isRuled) this.tally.add('refused where a rule bounds');
          assert.ok(this.mayRefuse || isRuled, `${name(message)} was refused without a cause`);
          message.state = 'refused';
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
    for (const { sequence, position: at, bucket, body } of read.messages) {
      const message = this.#identify(body, Number(bucket));
      assert.equal(message.state, 'sent', `${name(message)} went into the log twice`);
      const owner = this.#owners.get(message)!;
      const order = owner.order.get(message)!;
      assert.ok(order > owner.lastAppended, `${name(message)} overtook one of its producer`);
      owner.lastAppended = order;
      assert.equal(sequence, this.#next, 'a sequence was left out or given twice');
      this.#next++;
      Object.assign(message, { state: 'appended', sequence, position: at });
      this.#bySequence.set(sequence, message);
      messages.push(message);
    }
    assert.equal(read.next, this.#next, 'the commit record names another sequence');
    for (const message of this.#marked(read.settled))
      assert.equal(message.state, 'done', `${name(message)} is settled in the log, not acked`);
    for (const mark of read.returned)
      for (const message of this.#marked([mark])) this.#counted(message, mark.attempts);
    for (const mark of read.deferred)
      for (const message of this.#marked([mark])) judgeMark(message, mark);
    this.#inFlight = { position, bytes, read, messages };
    this.#judgeQuotas(messages);
  }

  // What is ready, held and being written.
  #judgeQuotas(messages: readonly Message[]): void {
    const { rules } = this;
    if (rules === undefined) return;
    for (const bucket of new Set(messages.map((each) => each.bucket))) {
      const written = messages.filter((each) => each.bucket === bucket).length;
      const delayed = [...this.#delayed].filter((each) => each.bucket === bucket).length;
      const waiting = this.line(bucket).length + rules.heldIn(bucket) + delayed + written;
      rules.appended(bucket, waiting, this.knows(bucket));
    }
  }

  *#marked(marks: BatchRead['settled']): Generator<Message> {
    for (const { sequence, count } of marks)
      for (let each = sequence; each < sequence + count; each++) {
        const message = this.#bySequence.get(each);
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
    const message = this.messages.get(idOf(body));
    assert.ok(message !== undefined, `a body of ${body.length} bytes that nobody published`);
    const right = bodyOf(message.id, message.length);
    assert.equal(Buffer.compare(right, body), 0, `the bytes of ${name(message)} changed`);
    assert.equal(message.bucket, bucket, `${name(message)} is in bucket ${bucket}`);
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
    this.expected.published += append.messages.length;
  }

  #apply({ position, bytes, read, messages }: Append): void {
    this.#inFlight = undefined;
    this.#end = position + bytes.length;
    this.#last = position;
    for (const message of messages) this.#enter(message);
    for (const message of this.#marked(read.settled)) message.doneDurable = true;
    for (const mark of [...read.returned, ...read.deferred])
      for (const message of this.#marked([mark]))
        message.durableAttempts = Math.max(message.durableAttempts, mark.attempts);
    for (const mark of read.deferred)
      for (const message of this.#marked([mark])) {
        Object.assign(message.delays, { turn: mark.turn, durableDueMs: mark.dueMs, fired: false });
        if (message.state === 'pending') message.state = 'waiting';
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
      } else if (state === 'held') {
        message.moved = 'held';
        held++;
      }
    }
    return held;
  }

  // --- consumers --------------------------------------------------------------------------------

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
    this.rules?.delivered(consumer.bucket, frame.count, this.now());
    for (let i = 0; i < frame.count; i++) this.#deliver(consumer, frame.body(i));
    consumer.leaseMs = this.rules?.of(consumer.bucket).lease ?? 0;
    consumer.sinceMs = this.now();
  }

  #deliver(consumer: ConsumerModel, body: Uint8Array): void {
    const message = this.#identify(body, consumer.bucket);
    const { state, takenFrom } = message;
    assert.equal(state, 'ready', `${name(message)} was delivered and is ${state}`);
    assert.ok(takenFrom?.closed !== false, `${name(message)} is with two who may answer it`);
    message.takenFrom = undefined;
    const line = this.#line(message.bucket);
    const first = line.findIndex((each) => !each.doubtful);
    if (this.rules?.isInOrder(message.bucket)) this.#judgeOrder(message);
    if (!message.doubtful)
      assert.equal(message, line[first], `${name(message)} came before ${name(line[first]!)}`);
    this.#unline(message);
    message.state = 'held';
    message.doubtful = false;
    if (message.unsure) this.unsureCount--;
    message.unsure = false;
    message.wasUnsure = false;
    this.heldCount++;
    consumer.held.push(message);
    this.expected.delivered++;
    if (message.low > 0) this.expected.redeliveredLow++;
    if (message.high > 0) this.expected.redeliveredHigh++;
    if (message.low > 0) this.tally.add('redelivered');
    if (message.moved === 'back') {
      this.tally.add('redelivered after a move');
      message.moved = 'no';
    }
  }

  // One at a time: what is to come again later comes before it.
  #judgeOrder(message: Message): void {
    for (const each of this.#delayed)
      if (each.bucket === message.bucket && each.sequence < message.sequence && !each.doubtful)
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
      if (byte === ACK_DONE) {
        message.state = 'done';
        this.heldCount--;
        this.rules?.returned(message.bucket);
        this.expected.acked++;
        this.tally.add('consumed');
      } else this.#answers(message, answerOf(byte));
    }
  }

  #answers(message: Message, { free, ms }: Answer): void {
    if (free) this.expected.released++;
    else this.expected.failed++;
    this.#giveBack(message, !free);
    const { bucket, low, high } = message;
    const ruled = this.rules?.delay(bucket, low, high) ?? { least: 0, most: 0 };
    const { least, most } = ms === undefined ? ruled : { least: ms, most: ms };
    if (most === 0) {
      this.#enter(message);
      return;
    }
    message.state = 'answered';
    message.delays.asked = { least, most, atMs: this.wall() };
    this.#answered.add(message);
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
    for (const message of held.splice(0)) {
      this.#giveBack(message, true);
      this.#enter(message);
      message.takenFrom = consumer;
    }
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
    const charged = !['memory', 'operator', 'shutdown'].includes(closedFor);
    for (const message of consumer.held.splice(0)) {
      this.#giveBack(message, charged);
      this.#enter(message);
    }
  }

  // --- what becomes of messages that failed -----------------------------------------------------

  #each(sequence: number, count: number, judge: (message: Message) => void): void {
    for (let each = sequence; each < sequence + count; each++) {
      const message = this.#bySequence.get(each);
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
      judgeDeferral(message, deferral);
      this.#hasAttempts(message, deferral.attempts);
      this.#answered.delete(message);
      this.#delayed.add(message);
      this.expected.deferred++;
      this.tally.add('put off');
      message.delays.dueMs = deferral.dueMs;
      message.state = 'pending';
    });
  }

  /** Messages are ready again at once. */
  requeued(sequence: number, count: number): void {
    this.#each(sequence, count, (message) => {
      if (!this.#answered.delete(message)) return;
      const isRight = message.delays.asked!.least === 0 || this.mayRefuse;
      assert.ok(isRight, `${name(message)} is ready at once, and was to wait`);
      this.#enter(message);
    });
  }

  /** What came of consumers' bytes is decided. */
  answered(): void {
    for (const message of this.#answered) assert.fail(`nothing becomes of ${name(message)}`);
  }

  /** The time of messages has come. */
  readyAgain(sequence: number, count: number): void {
    this.#each(sequence, count, (message) => {
      judgeFiring(message, this.wall());
      message.delays.fired = true;
      this.#delayed.delete(message);
      this.tally.add('ready after a time');
      this.#enter(message);
    });
  }

  // --- what cannot be read ----------------------------------------------------------------------

  /** The broker said that it set messages aside. */
  setAside(sequence: number, count: number): void {
    for (let each = sequence; each < sequence + count; each++) {
      const message = this.#bySequence.get(each)!;
      assert.equal(message.state, 'ready', `${name(message)} was set aside`);
      this.#unline(message);
      message.state = 'aside';
      this.asideCount++;
    }
  }

  /** The broker said that it cannot search a segment for a bucket. */
  notFound(bucket: number, base: number, end: number): void {
    for (const message of [...this.line(bucket), ...this.#delayed])
      if (message.bucket === bucket && message.position >= base && message.position < end)
        message.doubtful = true;
  }

  // --- the end of a life, and the next one ------------------------------------------------------

  /** The process is gone. */
  died(): void {
    for (const message of this.messages.values()) {
      if (message.state === 'sent') message.state = 'gone';
      else if (OUT_OF_LINE.has(message.state)) this.#enter(message);
      message.doubtful = false;
      message.moved = 'no';
      message.takenFrom = undefined;
      if (message.unsure) this.#leave(message);
    }
    this.heldCount = 0;
    this.asideCount = 0;
    this.#answered.clear();
    this.#delayed.clear();
    this.#failed = false;
    this.mayRefuse = false;
    this.#owners.clear();
    this.rules?.died();
    this.expected = new Expected();
  }

  // What was not seen again may be gone, or be found by another start.
  #leave(message: Message): void {
    this.#unline(message);
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
    if (append !== undefined && at > append.position) this.#apply(append);
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
    if (message.state === 'done') {
      // A compaction may have been undone, as its name was not durable, or not.
      if (this.#inCompaction(message)) {
        message.dropped = false;
        message.wasUnsure = true;
      }
      // A checkpoint may know of acks that no durable batch holds; what is older is forgotten.
      const there = message.position >= start && !message.dropped;
      if (settled || message.doneDurable || !there) message.doneBefore = true;
      else this.#again(message);
    } else assert.ok(!settled, `${name(message)} counts as settled and was never acked`);
    message.low = message.durableAttempts;
    message.marksDue = [];
    if (message.state !== 'ready') return;
    // Of one that may be gone only that much is known.
    const waits = message.unsure
      ? fates.waiting.has(message.sequence)
      : waitsAfterStart(message, fates);
    if (waits) this.#waits(message);
  }

  #waits(message: Message): void {
    this.#unline(message);
    message.state = 'waiting';
    message.delays.dueMs = message.delays.durableDueMs;
    this.#delayed.add(message);
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
    if (message.state !== 'ready' || !message.forgotten) return;
    if (!checkpoint.has(message.sequence)) return;
    this.#unline(message);
    message.state = 'done';
    this.tally.add('acks known again');
  }

  // An ack was lost with the broker that knew of it.
  #again(message: Message): void {
    this.#enter(message);
    message.doneBefore = false;
    this.tally.add('acks of consumers lost');
    if (!message.wasUnsure) return;
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
  counts(broker: {
    counters: Counters;
    live: number;
    ready: number;
    unacked: number;
    delayed: number;
  }): void {
    const { counters, live, ready, unacked, delayed } = broker;
    const { expected } = this;
    const all = this.readyCount + this.heldCount + this.delayedCount + this.asideCount;
    const open = this.unsureCount;
    assert.ok(
      live <= all && live >= all - open,
      `${live} unsettled messages, not ${all}, ${open} open`,
    );
    assert.equal(unacked, this.heldCount, 'messages that consumers hold');
    const { readyCount } = this;
    const some = ready <= readyCount && ready >= readyCount - open;
    assert.ok(some, `${ready} messages wait, not ${readyCount}`);
    const most = this.delayedCount;
    const later = delayed <= most && delayed >= most - open;
    assert.ok(later, `${delayed} messages are to be ready at a time, not ${most}`);
    assert.deepEqual(
      {
        published: counters.publishedMessages,
        delivered: counters.deliveredMessages,
        acked: counters.ackedMessages,
        failed: counters.failedMessages,
        released: counters.releasedMessages,
        deferred: counters.deferredMessages,
        heartbeats: counters.heartbeats,
        protocolErrors: counters.protocolErrors,
      },
      {
        published: expected.published,
        delivered: expected.delivered,
        acked: expected.acked,
        failed: expected.failed,
        released: expected.released,
        deferred: expected.deferred,
        heartbeats: expected.heartbeats,
        protocolErrors: 0,
      },
    );
    const { lease } = counters.closedConnections.exhaust;
    assert.ok(lease <= expected.leasesOver, `${lease} connections closed by leases`);
    const { redeliveredMessages: again } = counters;
    const [few, many] = [expected.redeliveredLow, expected.redeliveredHigh];
    assert.ok(again >= few && again <= many, `${again} redelivered, not ${few} to ${many}`);
  }
}
