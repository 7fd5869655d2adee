// The model that judges a world: what every message is, and what the broker may do with it. It sees
// what peers send and get, and each commit batch on its way to the disk; it knows what is durable.
//
//   sent ──append──► appended ──durable──► ready ──delivered──► held ──acked──► done
//                                            ^────failed or dropped────┘
//
// After a crash it says exactly which messages must be there, from the batches that were durable
// and the one that was being written; only acks of consumers that no durable batch holds are open.

import assert from 'node:assert/strict';
import { ACK_DONE, ACK_STORED, ACK_WORKING } from '../../assembly/layout.ts';
import { DeliveryDecoder, type Wire } from '../../src/codec/wire.ts';
import type { Outcomes } from '../../src/core/collections/outcomes.ts';
import type { Counters } from '../../src/core/metrics/counters.ts';
import type { EntrySource } from '../../src/core/ports/basics.ts';
import type { Resume } from '../../src/core/ports/journal.ts';
import { type BatchRead, readBatch } from './batch.ts';
import { bodyOf, idOf } from './bodies.ts';
import { Tally } from './faults.ts';
import type { SimRules } from './rules.ts';

// Time passes in steps of at most 100 ms; then the broker has its usual 50.
const LEASE_LATE_MS = 150;

export interface Message {
  id: number;
  bucket: number;
  length: number;
  state: 'sent' | 'appended' | 'ready' | 'held' | 'done' | 'refused' | 'gone' | 'aside';
  sequence: number;
  position: number;
  /** Deliveries that ended without an ack: at least and at most, as a crash leaves it open. */
  low: number;
  high: number;
  /** As far as durable marks tell. */
  durableAttempts: number;
  /** Failures whose marks are in no batch yet. */
  marksDue: number;
  doneDurable: boolean;
  /** Acked in a life that ended before the log said so; a checkpoint may know. */
  doneBefore: boolean;
  /** What waits behind it may come first: a part of its segment could not be searched. */
  doubtful: boolean;
  /** It was acked, no durable batch says so, and it may have been left out by a compaction. */
  unsure: boolean;
  wasUnsure: boolean;
  /** A compaction left it out. */
  dropped: boolean;
  /** Its segment was compacted while a consumer held it; it came back since. */
  moved: 'no' | 'held' | 'back';
  /** Who held it until a lease was over; nobody may have it before that connection is closed. */
  takenFrom: ConsumerModel | undefined;
}

/** What a producer was promised a reply for. */
export interface Owed {
  messages: { message: Message | undefined; why: 'empty' | 'large' | undefined }[];
}

export class ProducerModel {
  readonly owed: Owed[] = [];
  /** Place in the order of this connection of its last message in the log. */
  lastAppended = -1;
  readonly order = new Map<Message, number>();
  /** The broker has closed its connection. */
  closed = false;
}

export class ConsumerModel {
  readonly bucket: number;
  readonly batchSize: number;
  readonly held: Message[] = [];
  readonly decoder: DeliveryDecoder;
  heartbeat = false;
  /** Of what it holds, in ms; 0: none. And when it was sent that, or something was heard of it. */
  leaseMs = 0;
  sinceMs = 0;
  /** Its lease is over. */
  isOver = false;
  /** The broker has closed its connection. */
  closed = false;

  constructor(bucket: number, batchSize: number, wire: Wire) {
    this.bucket = bucket;
    this.batchSize = batchSize;
    this.decoder = new DeliveryDecoder(wire);
  }
}

interface Append {
  position: number;
  bytes: Uint8Array;
  read: BatchRead;
  messages: Message[];
}

/** What the broker counted in this life, as the model knows it. */
class Expected {
  published = 0;
  empty = 0;
  large = 0;
  full = 0;
  delivered = 0;
  acked = 0;
  failed = 0;
  redeliveredLow = 0;
  redeliveredHigh = 0;
  heartbeats = 0;
  leasesOver = 0;
}

export class Checker {
  readonly messages = new Map<number, Message>();
  readonly tally = new Tally();
  readonly #bySequence = new Map<number, Message>();
  /** What waits in each bucket, oldest first. */
  readonly #lines = new Map<number, Message[]>();
  readonly #owners = new Map<Message, ProducerModel>();
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
      marksDue: 0,
      doneDurable: false,
      doneBefore: false,
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
          const stored = state === 'ready' || state === 'held' || state === 'done';
          assert.ok(stored || state === 'aside', `${name(message)} was acked and is ${state}`);
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
    this.#inFlight = { position, bytes, read, messages };
    this.#judgeQuotas(messages);
  }

  // What is ready, held and being written.
  #judgeQuotas(messages: readonly Message[]): void {
    const { rules } = this;
    if (rules === undefined) return;
    for (const bucket of new Set(messages.map((each) => each.bucket))) {
      const written = messages.filter((each) => each.bucket === bucket).length;
      const waiting = this.line(bucket).length + rules.heldIn(bucket) + written;
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

  // A mark says how often a message came back; marks stand in the order of the failures.
  #counted(message: Message, attempts: number): void {
    assert.ok(message.marksDue > 0, `${name(message)} has a mark for a failure that was none`);
    const before = message.marksDue - 1;
    const passed = this.coalesces ? before : 0; // failures that it may stand for, beside its own
    const [least, most] = [message.low - before, message.high - before + passed];
    const said = `${name(message)} came back ${attempts} times, the log says`;
    assert.ok(attempts >= least && attempts <= most, `${said}: ${least} to ${most} are right`);
    const [fewest, due] = [
      Math.max(before - passed, message.low - attempts),
      Math.min(before, message.high - attempts),
    ];
    message.marksDue = due;
    message.low = attempts + fewest;
    message.high = attempts + due;
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
    for (const mark of read.returned)
      for (const message of this.#marked([mark]))
        message.durableAttempts = Math.max(message.durableAttempts, mark.attempts);
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
    if (!message.doubtful)
      assert.equal(message, line[first], `${name(message)} came before ${name(line[first]!)}`);
    line.splice(line.indexOf(message), 1);
    this.readyCount--;
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
      } else {
        this.#giveBack(message);
        this.expected.failed++;
      }
    }
  }

  #giveBack(message: Message): void {
    message.low++;
    message.high++;
    message.marksDue++;
    if (message.moved === 'held') message.moved = 'back';
    this.rules?.returned(message.bucket);
    this.heldCount--;
    this.#enter(message);
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
      this.#giveBack(message);
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
  left(consumer: ConsumerModel): void {
    for (const message of consumer.held.splice(0)) this.#giveBack(message);
  }

  // --- what cannot be read ----------------------------------------------------------------------

  /** The broker said that it set messages aside. */
  setAside(sequence: number, count: number): void {
    for (let each = sequence; each < sequence + count; each++) {
      const message = this.#bySequence.get(each)!;
      assert.equal(message.state, 'ready', `${name(message)} was set aside`);
      const line = this.#line(message.bucket);
      line.splice(line.indexOf(message), 1);
      message.state = 'aside';
      this.readyCount--;
      this.asideCount++;
    }
  }

  /** The broker said that it cannot search a segment for a bucket. */
  notFound(bucket: number, base: number, end: number): void {
    for (const message of this.line(bucket))
      if (message.position >= base && message.position < end) message.doubtful = true;
  }

  // --- the end of a life, and the next one ------------------------------------------------------

  /** The process is gone. */
  died(): void {
    for (const message of this.messages.values()) {
      if (message.state === 'sent') message.state = 'gone';
      else if (message.state === 'held' || message.state === 'aside') this.#enter(message);
      message.doubtful = false;
      message.moved = 'no';
      message.takenFrom = undefined;
      if (message.unsure) this.#leave(message);
    }
    this.heldCount = 0;
    this.asideCount = 0;
    this.#failed = false;
    this.mayRefuse = false;
    this.#owners.clear();
    this.rules?.died();
    this.expected = new Expected();
  }

  // What was not seen again may be gone, or be found by another start.
  #leave(message: Message): void {
    const line = this.#line(message.bucket);
    line.splice(line.indexOf(message), 1);
    this.readyCount--;
    this.unsureCount--;
    message.unsure = false;
    message.state = 'done';
  }

  /** A start has read the log, which begins at `start`, and goes on at `resume`. */
  recovered(resume: Resume, start: number, fates: Outcomes): void {
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
    for (const message of this.#bySequence.values()) this.#settledIn(message, start, fates);
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
    message.marksDue = 0;
  }

  // An ack was lost with the broker that knew of it.
  #again(message: Message): void {
    this.#enter(message);
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
      assert.ok(told || message.marksDue === 0, `a failure of ${name(message)} is not in the log`);
      if (message.state === 'done' && !message.doneBefore)
        assert.ok(message.doneDurable, `the ack of ${name(message)} is not in the log`);
    }
  }

  /** Numbers of the broker that must be those of the model between two events. */
  counts(broker: { counters: Counters; live: number; ready: number; unacked: number }): void {
    const { counters, live, ready, unacked } = broker;
    const { expected } = this;
    const all = this.readyCount + this.heldCount + this.asideCount;
    const open = this.unsureCount;
    assert.ok(
      live <= all && live >= all - open,
      `${live} unsettled messages, not ${all}, ${open} open`,
    );
    assert.equal(unacked, this.heldCount, 'messages that consumers hold');
    const { readyCount } = this;
    const some = ready <= readyCount && ready >= readyCount - open;
    assert.ok(some, `${ready} messages wait, not ${readyCount}`);
    assert.deepEqual(
      {
        published: counters.publishedMessages,
        delivered: counters.deliveredMessages,
        acked: counters.ackedMessages,
        failed: counters.failedMessages,
        heartbeats: counters.heartbeats,
        protocolErrors: counters.protocolErrors,
      },
      {
        published: expected.published,
        delivered: expected.delivered,
        acked: expected.acked,
        failed: expected.failed,
        heartbeats: expected.heartbeats,
        protocolErrors: 0,
      },
    );
    const { lease } = counters.closedConnections.exhaust;
    assert.ok(lease <= expected.leasesOver, `${lease} connections closed by leases`);
    const { redeliveredMessages: again } = counters;
    const [least, most] = [expected.redeliveredLow, expected.redeliveredHigh];
    assert.ok(again >= least && again <= most, `${again} redelivered, not ${least} to ${most}`);
  }
}

function name({ id, bucket, sequence }: Message): string {
  return `message ${id} of bucket ${bucket}${sequence > 0 ? ` (sequence ${sequence})` : ''}`;
}
