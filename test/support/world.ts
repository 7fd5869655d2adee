// A broker in a world of the test's own: a log whose appends end when the test says so, links that
// record, a clock that moves by hand. Nothing here waits, and nothing here decides.

import assert from 'node:assert/strict';
import {
  BATCH_MESSAGES_MAX,
  BLOCK_BYTES,
  SEGMENT_DATA_AT,
  WIRE_U64,
} from '../../assembly/layout.ts';
import { PlainCodec } from '../../src/codec/plain.ts';
import {
  DeliveryDecoder,
  encodeBatch,
  encodeConsumerHeader,
  type Wire,
} from '../../src/codec/wire.ts';
import { Broker } from '../../src/core/broker.ts';
import type { Log } from '../../src/core/broker-options.ts';
import type { Dialect } from '../../src/core/connections/greeting.ts';
import { ForegroundTraffic } from '../../src/core/fairness/foreground.ts';
import type { IntakePolicy } from '../../src/core/fairness/intake-policy.ts';
import { DEFAULT_LIMITS, type Limits } from '../../src/core/limits.ts';
import type { EntrySource, Failure, Found, Position } from '../../src/core/ports/basics.ts';
import type { Codec } from '../../src/core/ports/codec.ts';
import type { Journal, Resume } from '../../src/core/ports/journal.ts';
import type { Link } from '../../src/core/ports/link.ts';
import type { Observer } from '../../src/core/ports/observer.ts';
import type { RecordReader } from '../../src/core/ports/reader.ts';
import type { FoundNow, IndexQuery, SegmentIndex } from '../../src/core/ports/segment-index.ts';
import type { SegmentSpace } from '../../src/core/ports/segments.ts';
import type { CheckpointSource, CompactionRequest, Upkeep } from '../../src/core/ports/upkeep.ts';
import { compileRules } from '../../src/core/rules/compile.ts';
import { ruleOfWords } from '../../src/core/rules/rule.ts';
import type { RuleTable } from '../../src/core/rules/rule-table.ts';
import { createState, type State } from '../../src/core/segments/state.ts';
import { TICK_MS } from '../../src/core/timing/alarm.ts';
import { FakeDueLog } from './due-log.ts';

interface Append {
  position: Position;
  length: number;
  place: number;
  /** What is written: the batch, and its first block from its start on. */
  block: Uint8Array;
  /** Bytes of the block before the batch. */
  head: number;
  done: (failure: Failure) => void;
}

interface Load {
  position: Position;
  recordBytes: number;
  done: (failure: Failure) => void;
}

/** A record as the index of its segment names it. */
export interface Indexed extends Found {
  low: number;
  high: number;
}

interface Index {
  base: Position;
  source: EntrySource;
  records: Indexed[];
  done: (failure: Failure) => void;
}

type FindDone = Parameters<SegmentIndex['find']>[2];

interface Find {
  query: IndexQuery;
  most: number;
  done: FindDone;
}

/** What a checkpoint held when it was saved. */
export interface Checkpoint extends Omit<CheckpointSource, 'settled' | 'attempts'> {
  settled: [number, Uint32Array | undefined][];
  attempts: [number, number | Uint16Array][];
}

function recordsOf(source: EntrySource): Indexed[] {
  return Array.from({ length: source.count }, (_, i) => ({
    low: source.lines.bucketLow(i),
    high: source.lines.bucketHigh(i),
    sequence: source.sequence(i),
    position: source.position(i),
    messages: source.messages(i),
    bodyBytes: source.bodyBytes(i),
    attempts: source.attempts(i),
    kind: source.lines.kind(i),
  }));
}

/**
 * A log in memory. Whatever takes a disk time ends when the test says so: appends by `complete`,
 * loads by `loaded`, indexes by `indexed`, finds by `answered`, checkpoints by `saved`.
 */
export class FakeLog implements Journal, SegmentSpace, RecordReader, SegmentIndex, Upkeep {
  readonly due = new FakeDueLog();
  readonly ports: Log = {
    journal: this,
    space: this,
    reader: this,
    index: this,
    due: this.due,
    upkeep: this,
  };
  readonly segmentBytes: number;
  readonly #codec: Codec;
  readonly #bases: Position[];
  /** Every append that became durable, in order. */
  readonly durable: { position: Position; bytes: Uint8Array }[] = [];
  readonly loads: Load[] = [];
  readonly trims: Position[] = [];
  readonly indexing: Index[] = [];
  readonly finds: Find[] = [];
  readonly saves: (() => void)[] = [];
  /** Indexes by base; those of segments that were given back, too. */
  readonly indexes = new Map<Position, Indexed[]>();
  /** Records that a find answers at most, if that is fewer than it is asked for. */
  findMost = Number.POSITIVE_INFINITY;
  /** Whether all indexes are in memory: nothing has to be answered. */
  isAtHand = false;
  /** What the last checkpoint held. */
  checkpointed: Checkpoint | undefined;
  readonly #windows = new Map<Position, number>();
  #windowAt = 0;
  /** How many appends it takes before the first is done. */
  depth = 1;
  aheadBytes = Number.POSITIVE_INFINITY;
  readonly #pending: Append[] = [];
  #failure: Error | undefined;
  syncedPosition = 0;
  /** Whether there is a next segment, now and after each roll. */
  next = true;
  nextAfterRoll = true;
  blockedBy: string | undefined;

  constructor(codec: Codec, segmentBytes: number, base: Position) {
    this.#codec = codec;
    this.segmentBytes = segmentBytes;
    this.#bases = [base];
  }

  nextReady(): boolean {
    return this.next;
  }

  /** Whether the next segment is kept for acks. */
  kept = false;

  mayGrow(): boolean {
    return this.next && !this.kept;
  }

  /** Whether the next segment may hold records of types 7 to 10. */
  raised = true;
  raises = 0;

  raise(): boolean {
    this.raises++;
    return this.raised && this.next;
  }

  /** An append found no space and waits for some. */
  isStalled = false;

  stalled(): boolean {
    return this.isStalled;
  }

  blocked(): string | undefined {
    return this.blockedBy;
  }

  append(position: Position, bytes: number, done: (failure: Failure) => void): void {
    assert.ok(this.#pending.length < this.depth, 'too many appends at once');
    const before = this.#pending.at(-1);
    const durable = this.durable.at(-1);
    const end = before ?? (durable && { ...durable, length: durable.bytes.length });
    if (end !== undefined) {
      const { length } = end;
      const base = this.#bases.filter((b) => b <= position).at(-1)!;
      const follows = position === end.position + length || position === base + SEGMENT_DATA_AT;
      assert.ok(follows, 'an append leaves a gap');
    }
    const base = this.#bases.filter((b) => b <= position).at(-1)!;
    const place = this.#codec.coldBytes + position - base;
    const head = (position - base) % BLOCK_BYTES;
    const block = this.#copy(place - head, head + bytes);
    this.#pending.push({ position, length: bytes, place, head, block, done });
  }

  #copy(place: number, bytes: number): Uint8Array {
    return this.#codec.memory.slice(place, place + bytes);
  }

  get appending(): boolean {
    return this.#pending.length > 0;
  }

  get underWay(): number {
    return this.#pending.length;
  }

  /** Ends the oldest append in flight. Nobody may have written over its bytes meanwhile. */
  complete(failure?: Error): void {
    const append = this.#pending.shift();
    assert.ok(append !== undefined, 'no append is in flight');
    const { position, place, head, block, done } = append;
    const now = this.#copy(place - head, block.length);
    assert.deepEqual(now, block, 'bytes changed while being written');
    const bytes = block.slice(head);
    this.#failure ??= failure;
    if (this.#failure === undefined) {
      this.durable.push({ position, bytes });
      this.syncedPosition = position + bytes.length;
    }
    done(this.#failure);
  }

  roll(base: Position): void {
    assert.ok(this.next, 'rolled without a next segment');
    this.#bases.push(base);
    this.next = this.nextAfterRoll;
  }

  resident(position: Position): number {
    return this.#windows.get(position) ?? -1;
  }

  load(position: Position, recordBytes: number, done: (failure: Failure) => void): void {
    this.loads.push({ position, recordBytes, done });
  }

  /** Ends the oldest load. */
  loaded(failure?: Error): void {
    const load = this.loads.shift();
    assert.ok(load !== undefined, 'nothing is being loaded');
    const { position, recordBytes } = load;
    if (failure === undefined) {
      if (this.#windowAt + recordBytes > this.#codec.coldBytes) {
        this.#windowAt = 0;
        this.#windows.clear();
      }
      this.#codec.memory.set(this.read(position, recordBytes), this.#windowAt);
      this.#windows.set(position, this.#windowAt);
      this.#windowAt += recordBytes;
    }
    load.done(failure);
  }

  /** What was read back is read again the next time. */
  forget(): void {
    this.#windows.clear();
  }

  /** Durable bytes at a position. */
  read(position: Position, bytes: number): Uint8Array {
    const found = this.durable.find(
      (d) => position >= d.position && position + bytes <= d.position + d.bytes.length,
    );
    assert.ok(found !== undefined, `nothing durable at ${position}`);
    return found.bytes.slice(position - found.position, position - found.position + bytes);
  }

  index(base: Position, source: EntrySource, done: (failure: Failure) => void): void {
    assert.equal(this.indexing.length, 0, 'two indexes are written at once');
    assert.ok(!this.indexes.has(base), 'a segment was indexed that has an index');
    assert.ok(base < this.#bases.at(-1)!, 'the open segment was indexed');
    assert.ok(this.#bases.includes(base), 'a segment was indexed that was given back');
    this.indexing.push({ base, source, records: recordsOf(source), done });
  }

  /** Ends the writing of an index. Its entries may not have changed meanwhile. */
  indexed(failure?: Error): void {
    const index = this.indexing.shift();
    assert.ok(index !== undefined, 'nothing is being indexed');
    const { base, source, records, done } = index;
    assert.deepEqual(recordsOf(source), records, 'entries changed while they were indexed');
    if (failure === undefined) this.indexes.set(base, records);
    done(failure);
  }

  find(query: IndexQuery, most: number, done: FindDone): void {
    assert.ok(this.indexes.has(query.base), 'a find in a segment without an index');
    assert.ok(this.#bases.includes(query.base), 'a find in a segment that was given back');
    this.finds.push({ query, most, done });
  }

  findNow(query: IndexQuery, most: number): FoundNow | undefined {
    return this.isAtHand ? this.#found(query, most) : undefined;
  }

  /** Answers a find, the oldest one unless told which. */
  answered(failure?: Error, which = 0): void {
    const [find] = this.finds.splice(which, 1);
    assert.ok(find !== undefined, 'nothing is being looked up');
    const { query, done } = find;
    if (failure !== undefined) {
      done(failure, [], undefined);
      return;
    }
    const { found, next } = this.#found(query, find.most);
    done(undefined, found, next);
  }

  #found(query: IndexQuery, wanted: number): FoundNow {
    const most = Math.min(wanted, this.findMost);
    const records = this.indexes.get(query.base)!;
    const found: Found[] = [];
    for (let at = query.at; at < records.length; at++) {
      const { low, high, ...record } = records[at]!;
      if (low !== query.low || high !== query.high || record.kind !== query.kind) continue;
      if (record.sequence + record.messages <= query.sequence) continue;
      if (found.length === most) return { found, next: at };
      found.push(record);
    }
    return { found, next: undefined };
  }

  visit(
    base: Position,
    record: (low: number, high: number, found: Found) => void,
    done: (failure: Failure) => void,
  ): void {
    for (const { low, high, ...found } of this.indexes.get(base)!) record(low, high, found);
    queueMicrotask(() => done(undefined));
  }

  /** Its indexes are never damaged. */
  remake(_base: Position, done: (failure: Failure) => void): void {
    queueMicrotask(() => done(undefined));
  }

  /** Nothing is ever smaller for it. */
  compact(_request: CompactionRequest, done: (failure: Failure, smaller: boolean) => void): void {
    queueMicrotask(() => done(undefined, false));
  }

  fileBytes(): number {
    return this.segmentBytes;
  }

  checkpoint(_end: Position, state: () => CheckpointSource, _now = false, done = () => {}): void {
    const { settled, attempts, ...rest } = state();
    const copy = <T extends { slice(): T }>(page: T | number | undefined) =>
      typeof page === 'object' ? page.slice() : page;
    this.checkpointed = {
      ...rest,
      settled: [...settled.pages()].map(([number, bits]) => [number, bits?.slice()]),
      attempts: [...attempts.pages()].map(([number, page]) => [number, copy(page)!]),
    };
    this.saves.push(done);
  }

  /** Ends the saving of a checkpoint. */
  saved(): void {
    const done = this.saves.shift();
    assert.ok(done !== undefined, 'no checkpoint is being saved');
    done();
  }

  /** Ends whatever takes a disk time and is not an append; false: nothing does. */
  work(): boolean {
    if (this.indexing.length > 0) this.indexed();
    else if (this.finds.length > 0) this.answered();
    else if (this.saves.length > 0) this.saved();
    else if (this.loads.length > 0) this.loaded();
    else if (this.due.calls.length > 0) this.due.step();
    else return false;
    return true;
  }

  trim(position: Position): void {
    this.trims.push(position);
    while (this.#bases.length > 1 && this.#bases[1]! <= position) this.#bases.shift();
  }

  get startPosition(): Position {
    return this.#bases[0]!;
  }

  bases(): readonly Position[] {
    return this.#bases;
  }
}

let nextId = 1;

/** Records what the core does to a connection, also what it should not do any more. */
export class FakeLink implements Link {
  readonly id = nextId++;
  readonly peer = `peer-${this.id}`;
  readonly wire: number;
  readonly #sent: { bytes: Uint8Array; copy: Uint8Array }[] = [];
  ended = false;
  destroyed = false;
  paused = false;
  /** The peer reads nothing: what is sent stays queued. */
  stuck = false;
  queuedBytes = 0;
  /** Pieces sent after `end` or `destroy`: a real socket drops them. */
  lost = 0;

  constructor(wire: number) {
    this.wire = wire;
  }

  send(bytes: Uint8Array): void {
    if (this.ended || this.destroyed) {
      this.lost++;
      return;
    }
    this.#sent.push({ bytes, copy: bytes.slice() });
    if (this.stuck) this.queuedBytes += bytes.length;
  }

  /** The pieces sent, in order. */
  get pieces(): Uint8Array[] {
    if (this.queuedBytes > 0)
      for (const { bytes, copy } of this.#sent)
        assert.deepEqual(bytes, copy, 'bytes were changed while they were queued');
    return this.#sent.map(({ copy }) => copy);
  }

  /** Everything sent, joined. */
  get bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.pieces));
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

interface Session {
  receive(chunk: Uint8Array): void;
  finished(): void;
  drained(): void;
  gone(): void;
}

/** The far end of a link. Its bytes wait while the link is paused, as in a real socket. */
export class Peer<S extends Session> {
  readonly link: FakeLink;
  readonly session: S;
  readonly #waiting: Uint8Array[] = [];
  #gone = false;
  #fin = false;
  #taken = 0;

  constructor(link: FakeLink, session: S) {
    this.link = link;
    this.session = session;
  }

  send(...chunks: Uint8Array[]): void {
    this.#waiting.push(...chunks.map((chunk) => chunk.slice()));
    this.pump();
  }

  /** Half-closes: nothing more comes. */
  finish(): void {
    this.#fin = true;
    this.pump();
  }

  /** The connection breaks. */
  vanish(): void {
    this.link.destroyed = true;
    this.pump();
  }

  /** Reads what is queued. */
  read(): void {
    this.link.stuck = false;
    this.link.queuedBytes = 0;
    this.session.drained();
  }

  /** Does what the system would do next for this connection; true if that was anything. */
  pump(): boolean {
    if (this.#gone) return false;
    if (this.link.destroyed) {
      this.#gone = true;
      this.session.gone();
      return true;
    }
    let worked = false;
    while (!this.link.paused && !this.link.destroyed && this.#waiting.length > 0) {
      this.session.receive(this.#waiting.shift()!);
      worked = true;
    }
    if (this.#fin && this.#waiting.length === 0 && !this.link.paused && !this.link.destroyed) {
      this.#fin = false;
      this.session.finished();
      worked = true;
    }
    return worked;
  }

  /** What came since the last call. */
  take(): Uint8Array {
    const { bytes } = this.link;
    const fresh = bytes.slice(this.#taken);
    this.#taken = bytes.length;
    return fresh;
  }
}

export const TEST_LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  messageBytesMax: 1024,
  reserveBytes: 4096,
  segmentBytes: 64 * 1024,
  heartbeatMs: 800,
};

export interface WorldOptions {
  codec?: Codec;
  limits?: Partial<Limits>;
  strict?: boolean;
  resume?: Partial<Resume>;
  /** What the start found in complete segments. */
  prepare?: (state: State, log: FakeLog) => void;
  /** Leave the start record's append in flight. */
  starting?: boolean;
  /** Buckets beyond which idle ones are forgotten. */
  slotsMax?: number;
  /** Entries released in one turn. */
  releaseMax?: number;
  policy?: IntakePolicy;
  /** Rules, each as words: `7 rate=10`. */
  rules?: readonly string[];
  isLate?: () => boolean;
  mayDeliver?: () => boolean;
  dialects?: readonly Dialect[];
  observer?: Observer;
}

const MIB = 1024 * 1024;
export const WALL_MS = 1_700_000_000_000;
/** Small enough to make one for every case. */
export const smallCodec = (areaBytes = MIB, ringBytes = 256 * 1024): PlainCodec =>
  new PlainCodec({
    inboxBytes: areaBytes,
    outboxBytes: areaBytes,
    coldBytes: areaBytes,
    ringBytes,
  });

export class World {
  readonly codec: Codec;
  readonly log: FakeLog;
  readonly foreground = new ForegroundTraffic();
  readonly limits: Limits;
  readonly broker: Broker;
  readonly notices: { level: string; kind: string; text: string }[] = [];
  readonly peers: Peer<Session>[] = [];
  failure: Error | undefined;
  nowMs = 0;
  /** When the broker wants to be woken. */
  dueMs = 0;
  /** How often it was. */
  wakes = 0;
  wallMs = WALL_MS;
  /** What latencies are measured with; the test moves it. */
  clockMs = 0;
  /** How long the core wanted to rest, each time; whoever moves the clock ends it. */
  readonly rests: number[] = [];
  woken = false;

  constructor(options: WorldOptions = {}) {
    const { base = 0, offset = SEGMENT_DATA_AT, epoch = 1, sequence = 1 } = options.resume ?? {};
    this.codec = options.codec ?? smallCodec();
    this.limits = { ...TEST_LIMITS, ...options.limits };
    const { segmentBytes } = this.limits;
    this.log = new FakeLog(this.codec, segmentBytes, base);
    const state = createState(1, options.slotsMax);
    options.prepare?.(state, this.log);
    state.retention.open(base, sequence);
    this.broker = new Broker({
      ...state,
      codec: this.codec,
      log: this.log.ports,
      foreground: this.foreground,
      limits: this.limits,
      notices: {
        notice: (level, kind, text) => {
          this.notices.push({ level, kind, text });
        },
      },
      wake: {
        soon: () => {
          this.woken = true;
        },
        rest: (ms) => void this.rests.push(ms),
        stirred: () => {
          this.dueMs = Math.min(this.dueMs, this.nowMs + TICK_MS);
          return this.nowMs;
        },
      },
      wallMs: () => this.wallMs,
      clockMs: () => this.clockMs,
      nowMs: () => this.nowMs,
      isLate: options.isLate ?? (() => false),
      ...(options.mayDeliver === undefined ? {} : { mayDeliver: options.mayDeliver }),
      strict: options.strict ?? true,
      ...(options.rules === undefined ? {} : { ruleTable: rulesOf(...options.rules) }),
      ...(options.policy === undefined ? {} : { policy: options.policy }),
      ...(options.releaseMax === undefined ? {} : { releaseMax: options.releaseMax }),
      ...(options.dialects === undefined ? {} : { dialects: options.dialects }),
      ...(options.observer === undefined ? {} : { observer: options.observer }),
      onFailed: (failure) => {
        this.failure = failure;
      },
    });
    const openBytes = options.resume?.segmentBytes ?? segmentBytes;
    const places = options.resume?.places ? { places: true } : {};
    this.broker.resume({ base, offset, epoch, sequence, segmentBytes: openBytes, ...places }, [
      { base, from: 1 },
    ]);
    if (!options.starting) this.settle();
  }

  producer(wire: number = WIRE_U64): Peer<NonNullable<ReturnType<Broker['openProducer']>>> {
    const link = new FakeLink(wire);
    const session = this.broker.openProducer(link);
    assert.ok(session !== undefined, 'the producer was turned away');
    const peer = new Peer(link, session);
    this.peers.push(peer);
    return peer;
  }

  /** A consumer that has sent its header, if `batchSize` is given. */
  consumer(
    bucket: bigint | number = 1,
    batchSize = BATCH_MESSAGES_MAX,
    wire: number = WIRE_U64,
  ): Peer<NonNullable<ReturnType<Broker['openConsumer']>>> {
    const peer = this.rawConsumer(wire);
    peer.send(encodeConsumerHeader({ consumerId: 777n, bucket: BigInt(bucket), batchSize }));
    this.arrive();
    return peer;
  }

  rawConsumer(wire: number = WIRE_U64): Peer<NonNullable<ReturnType<Broker['openConsumer']>>> {
    const link = new FakeLink(wire);
    const session = this.broker.openConsumer(link);
    assert.ok(session !== undefined, 'the consumer was turned away');
    const peer = new Peer(link, session);
    this.peers.push(peer);
    return peer;
  }

  /** All that came with the headers of consumers was read: those who are there are served. */
  arrive(): void {
    for (let turn = 0; turn < 2; turn++) this.broker.presence.turn();
  }

  /** Whatever would happen in the event loop now, except what takes a disk time. */
  turn(): void {
    for (let worked = true; worked; ) {
      worked = false;
      for (const peer of this.peers) worked = peer.pump() || worked;
      worked = this.wake() || worked;
    }
  }

  /** What the core asked to be woken for, once; false: nothing. */
  wake(): boolean {
    if (!this.woken) return false;
    this.woken = false;
    this.broker.flush();
    return true;
  }

  /** Everything that can happen without time passing: the disk is quick and never fails. */
  settle(): void {
    this.turn();
    for (;;) {
      if (this.log.appending) this.log.complete();
      else if (!this.log.work()) return;
      this.turn();
    }
  }

  /** Time passes in ticks, of which the broker sleeps through some; the disk does nothing unless
   * `disk` is set. */
  advance(ms: number, disk = false): void {
    const until = this.nowMs + ms;
    while (this.nowMs < until) {
      this.nowMs = Math.min(until, this.nowMs + TICK_MS);
      this.tick();
      this.turn();
      if (disk) this.settle();
    }
  }

  /** The same with the wall clock, and a disk that is quick. */
  pass(ms: number): void {
    const until = this.nowMs + ms;
    while (this.nowMs < until) {
      const step = Math.min(until - this.nowMs, TICK_MS);
      this.wallMs += step;
      this.advance(step, true);
    }
  }

  /** Wakes the broker if it is time. */
  tick(): void {
    if (this.nowMs < this.dueMs) return;
    this.wakes++;
    this.dueMs = this.broker.advance(this.nowMs);
    assert.ok(this.dueMs >= this.nowMs + TICK_MS, 'the broker wants to be woken at once');
  }

  /** Publishes bodies to a bucket through a producer of its own, durably. */
  publish(bucket: bigint | number, ...bodies: (string | Uint8Array)[]): void {
    const producer = this.producer();
    const messages = bodies.map((body) => ({ bucket: BigInt(bucket), body: bytesOf(body) }));
    producer.send(encodeBatch(messages, 'u64'));
    this.settle();
    assert.deepEqual(producer.take(), new Uint8Array(bodies.length).fill(1));
    producer.vanish();
  }
}

/** A table of rules, each as words, the match first: `100-199 rate=10 batch=5`. */
export function rulesOf(...rules: string[]): RuleTable {
  return compileRules(
    rules.map((text, i) => {
      const [match, ...words] = text.split(' ');
      return ruleOfWords(`rule-${i + 1}`, match!, words);
    }),
  );
}

export const brokerOf = (options: WorldOptions = {}): World => new World(options);

export const bytesOf = (body: string | Uint8Array): Uint8Array =>
  typeof body === 'string' ? new Uint8Array(Buffer.from(body)) : body;

export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** A producer batch of texts, each to the bucket in front of it: batch('u64', [1, 'a'], [2, 'b']). */
export function batch(
  wire: Wire,
  ...messages: [bigint | number, string | Uint8Array][]
): Uint8Array {
  return encodeBatch(
    messages.map(([bucket, body]) => ({ bucket: BigInt(bucket), body: bytesOf(body) })),
    wire,
  );
}

/** Ack bytes. */
export const acks = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);

/** What comes to a consumer until nothing does, all of which is acked. */
export function consumeAll(world: World, consumer: ReturnType<World['consumer']>): string[] {
  const decoder = new DeliveryDecoder('u64');
  const found: string[] = [];
  for (let more = true; more; ) {
    world.settle();
    const frames = decoder.push(consumer.take());
    more = frames.length > 0;
    for (const frame of frames) {
      if (!frame.isHeartbeat)
        for (let i = 0; i < frame.count; i++) found.push(textOf(frame.body(i)));
      consumer.send(new Uint8Array(Math.max(1, frame.count)).fill(1));
    }
  }
  return found;
}
