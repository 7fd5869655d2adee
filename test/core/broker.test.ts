// The whole broker against a model, with a backlog far beyond what it keeps in memory: small
// segments, few known buckets, and a disk whose answers come late, in other orders, or not at once.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import {
  MARK_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RECORD_RETURNED,
  SCAN_END,
} from '../../assembly/layout.ts';
import { PlainCodec } from '../../src/codec/plain.ts';
import { DeliveryDecoder } from '../../src/codec/wire.ts';
import { COUNT, OFFSET, ROW_WORDS, sequenceOf, TYPE } from '../../src/core/records/rows.ts';
import { Random, seedOf } from '../support/random.ts';
import { scanOf } from '../support/twins.ts';
import { acks, batch, brokerOf, textOf, type World, type WorldOptions } from '../support/world.ts';

const seed = seedOf('core/broker.test');
const KIB = 1024;
// Pages of what is settled end here; what lies before is forgotten with its segments.
const PAGE = 65_536;

const codecOf = () =>
  new PlainCodec({
    inboxBytes: 64 * KIB,
    outboxBytes: 64 * KIB,
    coldBytes: 16 * KIB,
    ringBytes: 64 * KIB,
  });

interface Message {
  text: string;
  bucket: number;
  order: number;
  state: 'sent' | 'unacked' | 'done';
  attempts: number;
  /** How far apart from others it comes. */
  level: number;
}

type ConsumerPeer = ReturnType<World['consumer']>;

interface Reader {
  bucket: number;
  peer: ConsumerPeer;
  decoder: DeliveryDecoder;
  /** What it was sent and has not acked, in order. */
  unacked: Message[];
}

/** A broker, and what it should do. */
class Twin {
  readonly world: World;
  readonly random: Random;
  readonly buckets: number;
  readonly readers: Reader[] = [];
  readonly messages = new Map<string, Message>();
  // What a bucket owes and is not delivered, oldest first.
  readonly lines: Message[][];
  readonly producers;
  redelivered = 0;
  refused = 0;
  readonly #sent: string[][] = [[], []];
  #order = 0;
  /** Out of a hundred steps, those that publish; and how likely an index is written in one. */
  publishes = 30;
  indexes = 0.1;
  indexFailures = 0;

  constructor(random: Random, buckets: number, options: WorldOptions = {}) {
    this.random = random;
    this.buckets = buckets;
    this.lines = Array.from({ length: buckets }, () => []);
    this.world = brokerOf({
      codec: codecOf(),
      slotsMax: 8,
      ...options,
      limits: {
        segmentBytes: 16 * KIB,
        messageBytesMax: KIB,
        heartbeatMs: 1e9,
        ...options.limits,
      },
    });
    // A producer for each half of the buckets: what one sends is stored in that order.
    this.producers = [this.world.producer(), this.world.producer()];
  }

  publish(): void {
    const { random, buckets } = this;
    const who = random.below(2);
    const some: [number, string][] = [];
    const size = 1 + random.below(8);
    for (let i = 0; i < size; i++) {
      // Runs of neighbours of one bucket, too, which share a record.
      const before = some.at(-1)?.[0];
      const again = before !== undefined && random.chance(0.4);
      const bucket = again ? before : random.below(buckets >> 1) * 2 + who;
      const order = this.#order++;
      const text = `${order}.`.padEnd(8 + random.below(random.chance(0.2) ? 900 : 200), '~');
      const message = { text, bucket, order, state: 'sent', attempts: 0, level: 0 } as const;
      this.messages.set(text, { ...message });
      this.lines[bucket]!.push(this.messages.get(text)!);
      some.push([bucket, text]);
    }
    this.#sent[who]!.push(...some.map(([, text]) => text));
    this.producers[who]!.send(batch('u64', ...some));
  }

  /** What was refused, while indexes lag behind and cannot be written, is in no line. */
  #replies(): void {
    this.producers.forEach((producer, who) => {
      for (const byte of producer.take()) {
        const message = this.messages.get(this.#sent[who]!.shift()!)!;
        if (byte === 1) continue;
        assert.equal(message.state, 'sent', 'a refused message was delivered');
        const line = this.lines[message.bucket]!;
        line.splice(line.indexOf(message), 1);
        this.messages.delete(message.text);
        this.refused++;
      }
    });
  }

  consume(bucket = this.random.below(this.buckets), size = 1 + this.random.below(9)): Reader {
    const peer = this.world.consumer(bucket, size);
    const reader = { bucket, peer, decoder: new DeliveryDecoder('u64'), unacked: [] };
    this.readers.push(reader);
    this.observe();
    return reader;
  }

  /** Acks or fails the first `count` messages that the reader holds. */
  answer(reader: Reader, count: number, fails: number): void {
    const bytes = Uint8Array.from({ length: count }, () => (this.random.chance(fails) ? 0 : 1));
    for (const byte of bytes) {
      const message = reader.unacked.shift()!;
      if (byte === 1) message.state = 'done';
      else this.giveBack(message, true, 0);
    }
    reader.peer.send(bytes);
    this.observe();
  }

  giveBack(message: Message, charged: boolean, level: number): void {
    message.state = 'sent';
    if (charged) message.attempts++;
    message.level = level;
    const line = this.lines[message.bucket]!;
    let at = 0;
    while (at < line.length && line[at]!.order < message.order) at++;
    line.splice(at, 0, message);
  }

  vanish(reader: Reader): void {
    this.readers.splice(this.readers.indexOf(reader), 1);
    const together = reader.unacked.length;
    const level = Math.max(1, Math.ceil(Math.log2(together)));
    for (const message of reader.unacked) this.giveBack(message, together === 1, level);
    reader.peer.vanish();
    const { peers } = this.world;
    peers.splice(peers.indexOf(reader.peer), 1);
    this.observe();
  }

  /** Every delivery is the head of its bucket's line, or what comes first of a level in it. */
  observe(): void {
    this.#replies();
    const frames: { reader: Reader; texts: string[]; order: number }[] = [];
    for (const reader of this.readers) {
      assert.ok(!reader.peer.link.destroyed, `a consumer was closed`);
      const got = reader.decoder.push(reader.peer.take());
      assert.ok(got.length <= 1, 'a second batch came before the first was acked');
      for (const frame of got) {
        assert.equal(reader.unacked.length, 0, 'a batch came before the last was acked');
        const texts = Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i)));
        frames.push({ reader, texts, order: this.messages.get(texts[0]!)!.order });
      }
    }
    frames.sort((a, b) => a.order - b.order);
    for (const { reader, texts } of frames) {
      const line = this.lines[reader.bucket]!;
      for (const text of texts) {
        const message = this.messages.get(text)!;
        assert.equal(message.bucket, reader.bucket, 'a message came to another bucket');
        assert.equal(message.state, 'sent', `${short(message)} came again without a cause`);
        const next = line.find((each) => sortOf(each) === sortOf(message))!;
        assert.equal(message, next, `${short(message)} came before ${short(next)}`);
        line.splice(line.indexOf(message), 1);
        message.state = 'unacked';
        if (message.attempts > 0 || message.level > 0) this.redelivered++;
        reader.unacked.push(message);
      }
      const levels = new Set(reader.unacked.map(({ level }) => level));
      const [level] = [...levels] as [number];
      assert.equal(levels.size, 1, 'suspects came with others');
      if (level > 0)
        assert.ok(texts.length <= 2 ** (level - 1), 'more came than half of what died');
    }
    assert.equal(this.world.broker.counters.redeliveredMessages, this.redelivered);
    assert.equal(this.world.broker.buckets.unacked, this.unacked);
  }

  get unacked(): number {
    return this.readers.reduce((sum, { unacked }) => sum + unacked.length, 0);
  }

  /** One thing that the disk may do next. */
  disk(): void {
    const { random } = this;
    const { log } = this.world;
    if (log.appending && random.chance(0.6)) log.complete();
    if (log.indexing.length > 0 && random.chance(this.indexes)) {
      if (random.chance(0.3)) {
        this.indexFailures++;
        log.indexed(new Error('EIO'));
      } else log.indexed();
    }
    if (log.finds.length > 0 && random.chance(0.3)) {
      log.findMost = random.chance(0.5) ? 1 + random.below(3) : Number.POSITIVE_INFINITY;
      log.answered(undefined, random.below(log.finds.length));
    }
    if (log.saves.length > 0 && random.chance(0.5)) log.saved();
    if (log.loads.length > 0 && random.chance(0.5)) log.loaded();
    if (random.chance(0.1)) this.world.turn();
    else this.world.wake(); // a segment's release is seen half done
    this.observe();
  }

  step(): void {
    const { random, readers } = this;
    const reader = readers[random.below(Math.max(1, readers.length))];
    if (random.below(100) < this.publishes) {
      this.publish();
      this.observe();
      return;
    }
    const what = 30 + random.below(70);
    if (what < 55) this.disk();
    else if (what < 63 && readers.length < 8) this.consume();
    else if (what < 88 && reader !== undefined && reader.unacked.length > 0) {
      const all = random.chance(0.6);
      const count = all ? reader.unacked.length : 1 + random.below(reader.unacked.length);
      this.answer(reader, count, 0.15);
    } else if (what < 94 && reader !== undefined) this.vanish(reader);
    else if (what < 97) this.world.advance(25);
    else this.world.broker.indexing.retry();
    this.observe();
  }

  /** The disk does all there is to do. */
  quiet(): void {
    this.world.log.findMost = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 3; i++) {
      this.world.broker.indexing.retry();
      this.world.settle();
      this.observe();
      this.world.advance(100, true);
      this.observe();
    }
    this.checkCounts();
  }

  checkCounts(): void {
    const { broker } = this.world;
    const { buckets, retention } = broker;
    const waiting = this.lines.reduce((sum, line) => sum + line.length, 0);
    assert.deepEqual([buckets.ready, buckets.unacked], [waiting, this.unacked]);
    assert.equal(retention.live, waiting + this.unacked);
    for (let bucket = 0; bucket < this.buckets; bucket++) {
      const slot = buckets.find(bucket, 0);
      if (slot === 0) {
        if (!buckets.isPartial) assert.equal(this.lines[bucket]!.length, 0);
        continue;
      }
      const held = this.readers.filter((reader) => reader.bucket === bucket);
      const unacked = held.reduce((sum, reader) => sum + reader.unacked.length, 0);
      assert.equal(buckets.unackedOf(slot), unacked);
      const ready = buckets.readyOf(slot);
      if (buckets.isCounted(slot)) assert.equal(ready, this.lines[bucket]!.length);
      else assert.ok(ready >= 0 && ready <= this.lines[bucket]!.length, `${ready} ready`);
    }
  }

  /** Attempts of every message as the log has them. */
  checkAttempts(): void {
    const found = attemptsIn(this.world);
    for (const { text, attempts } of this.messages.values())
      assert.equal(found.get(text) ?? 0, attempts, `attempts of ${text}`);
  }

  /** Consumes everything. */
  drain(): void {
    for (const reader of [...this.readers]) this.vanish(reader);
    this.quiet();
    for (let bucket = 0; bucket < this.buckets; bucket++) {
      const reader = this.consume(bucket, 50);
      for (;;) {
        this.world.settle();
        this.observe();
        if (this.lines[bucket]!.length + reader.unacked.length === 0) break;
        assert.ok(reader.unacked.length > 0, `${this.lines[bucket]!.length} messages are lost`);
        this.answer(reader, reader.unacked.length, 0);
      }
      this.vanish(reader);
    }
    this.quiet();
    const { buckets, retention } = this.world.broker;
    assert.deepEqual([buckets.ready, buckets.unacked, retention.live], [0, 0, 0]);
  }
}

// Those that come in their own order: of a level, and what its consumer died of alone.
const sortOf = ({ level, attempts }: Message) => (level === 1 && attempts > 0 ? 'charged' : level);

const short = ({ bucket, text }: Message) => `message ${text.split('.')[0]} of bucket ${bucket}`;

/** Attempts by text, from the records of the log. */
function attemptsIn(world: World): Map<string, number> {
  const codec = codecOf();
  const texts = new Map<number, string>();
  const attempts = new Map<string, number>();
  for (const { position, bytes } of world.log.durable) {
    codec.memory.set(bytes);
    assert.equal(scanOf(codec, 0, bytes.length, position).status, SCAN_END);
    const rows = codec.rows.slice(0, codec.result[2]! * ROW_WORDS);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let at = 0; at < rows.length; at += ROW_WORDS) {
      let body = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
      for (let i = 0; i < rows[at + COUNT]!; i++) {
        if (rows[at + TYPE] === RECORD_MESSAGES) {
          const size = view.getUint32(body, true);
          texts.set(sequenceOf(rows, at) + i, textOf(bytes.subarray(body + 4, body + 4 + size)));
          body += 4 + size;
        } else if (rows[at + TYPE] === RECORD_RETURNED) {
          const first = Number(view.getBigUint64(body, true));
          for (let n = 0; n < view.getUint32(body + 8, true); n++)
            attempts.set(texts.get(first + n)!, view.getUint32(body + 12, true));
          body += MARK_BYTES;
        }
      }
    }
  }
  return attempts;
}

describe('a backlog beyond memory', () => {
  // Over all rounds: by chance one may have none.
  const seen = { indexFailures: 0, redelivered: 0 };
  after(() => assert.ok(seen.indexFailures > 0 && seen.redelivered > 0, JSON.stringify(seen)));
  for (let round = 0; round < 12; round++)
    test(`every bucket delivers its messages in order, once and all (round ${round})`, () => {
      const random = new Random(seed + round);
      const sequence = round % 2 === 0 ? 1 : PAGE - 200 - random.below(1500);
      const releaseMax = [1, 7, 32_768][round % 3]!;
      const twin = new Twin(random, [3, 12, 30, 80][round % 4]!, {
        resume: { sequence },
        releaseMax,
      });
      for (let step = 0; step < 4000; step++) {
        if (step % 250 === 0) {
          // Times of backlog and times in which almost everything is consumed.
          twin.publishes = [5, 15, 30, 50][random.below(4)]!;
          twin.indexes = [0.005, 0.05, 0.3][random.below(3)]!;
        }
        twin.step();
        if (step % 500 === 499) twin.quiet();
      }
      twin.quiet();
      twin.drain();
      twin.checkAttempts();
      seen.indexFailures += twin.indexFailures;
      seen.redelivered += twin.redelivered;
      assert.ok(twin.world.log.indexes.size > 20, 'the log was too short to try anything');
    });
});

/** Texts of what came to a consumer since the last call. */
function textsOf(peer: ConsumerPeer): string[] {
  const frames = new DeliveryDecoder('u64').push(peer.take());
  return frames.flatMap((frame) =>
    Array.from({ length: frame.count }, (_, i) => textOf(frame.body(i))),
  );
}

/** Publishes to a bucket of its own until the log has turned to its next segment, durably. */
function roll(world: World): void {
  const segments = world.broker.indexing.segments;
  const producer = world.producer();
  while (world.broker.indexing.segments === segments) {
    producer.send(batch('u64', [99, 'x'.repeat(900)]));
    world.turn();
    while (world.log.appending) {
      world.log.complete();
      world.turn();
    }
  }
}

const SMALL = { segmentBytes: 16 * KIB, heartbeatMs: 1e9 };

describe('a segment on its way from memory to its index', () => {
  test('what is released in part is not passed over', () => {
    const world = brokerOf({ limits: SMALL, releaseMax: 1 });
    for (const text of ['a', 'b', 'c']) world.publish(1, text);
    const consumer = world.consumer(1, 1);
    assert.deepEqual(textsOf(consumer), ['a']);
    roll(world);
    const producer = world.producer();
    producer.send(batch('u64', [1, 'd']));
    world.turn();
    world.log.complete();
    world.log.indexed();
    const { entries } = world.broker.buckets;
    while (entries.from < 3) assert.ok(world.wake(), 'nobody goes on with the release');
    assert.ok(world.broker.indexing.releasing, 'released at once: this tests nothing');
    consumer.send(acks(1));
    if (world.log.loads.length > 0) world.log.loaded();
    assert.deepEqual(textsOf(consumer), [], 'what is in no index yet was passed over');
    for (const text of ['b', 'c', 'd']) {
      world.settle();
      assert.deepEqual(textsOf(consumer), [text]);
      consumer.send(acks(1));
    }
  });

  test('the broker asks to go on with a release itself', () => {
    const world = brokerOf({ limits: SMALL, releaseMax: 1 });
    roll(world);
    world.log.indexed();
    assert.ok(world.broker.indexing.releasing);
    world.turn();
    assert.equal(world.broker.indexing.releasing, false);
    assert.equal(world.broker.indexing.segments, 1);
  });

  test('one that is given back before it has an index needs none', () => {
    const world = brokerOf({ limits: SMALL });
    const consumer = world.consumer(99, 100);
    roll(world);
    world.log.indexed(new Error('EIO'));
    assert.match(world.notices.at(-1)!.text, /index of the segment at position 0 .* EIO/);
    for (let i = 0; i < 20; i++) {
      const count = textsOf(consumer).length;
      if (count > 0) consumer.send(new Uint8Array(count).fill(1));
      world.advance(50);
      while (world.log.appending) {
        world.log.complete();
        world.turn();
      }
    }
    assert.deepEqual(world.log.trims.slice(0, 1), [16 * KIB]);
    world.broker.indexing.retry();
    world.turn();
    assert.equal(world.log.indexing.length, 0);
    assert.equal(world.broker.indexing.segments, 1);
  });

  test('an index that is given up because the broker stops is nothing to warn of', () => {
    const world = brokerOf({ limits: SMALL });
    roll(world);
    const { length } = world.notices;
    world.broker.close();
    world.log.indexed(new Error('the runs are closed'));
    assert.equal(world.notices.length, length);
  });

  test('a search that is given up because the broker stops is no loss to speak of', () => {
    for (const closing of [false, true]) {
      const world = brokerOf({ limits: SMALL });
      roll(world);
      world.log.indexed();
      world.turn();
      world.consumer(99, 1);
      world.turn();
      const { length } = world.notices;
      if (closing) world.broker.close();
      world.log.answered(new Error('the runs are closed'));
      assert.equal(world.notices.length, closing ? length : length + 1);
    }
  });

  test('an index that could not be written is tried again as time passes', () => {
    const world = brokerOf({ limits: SMALL });
    roll(world);
    world.log.indexed(new Error('EIO'));
    world.advance(900);
    assert.equal(world.log.indexing.length, 0);
    world.advance(200);
    world.log.indexed();
    assert.equal(world.broker.indexing.segments, 1);
  });
});

test('what is found in a segment that was given back meanwhile is not delivered again', () => {
  // Bucket 1 is forgotten and known again, so that it is looked up from the oldest segment on.
  const sequence = PAGE - 40;
  const world = brokerOf({ limits: SMALL, resume: { sequence }, slotsMax: 1 });
  const first = world.consumer(1, 10);
  world.publish(1, 'a', 'b', 'c');
  world.publish(2, 'd');
  first.send(acks(1, 1, 1));
  const other = world.consumer(99, 100);
  let at = 0;
  // Everything of the first segment is acked, but for bucket 2; and of the next ones, too.
  for (; world.broker.indexing.segments + world.log.indexes.size < 6; at++) {
    roll(world);
    world.settle();
    world.publish(1, `e${at}`);
    for (let texts = textsOf(other); texts.length > 0; texts = textsOf(other)) {
      other.send(new Uint8Array(texts.length).fill(1));
      world.settle();
    }
    first.send(acks(1));
    world.settle();
  }
  first.vanish();
  world.publish(1, 'f');
  roll(world);
  world.settle();
  for (let bucket = 100; bucket < 120; bucket++) world.publish(bucket, 'g');
  assert.equal(world.broker.buckets.find(1, 0), 0, 'the bucket is known: this tests nothing');
  const last = world.consumer(2, 1);
  world.settle();
  assert.deepEqual(textsOf(last), ['d']);
  const again = world.consumer(1, 10);
  assert.equal(world.log.finds.length, 1);
  last.send(acks(1));
  for (let i = 0; i < 20; i++) {
    world.advance(50);
    while (world.log.appending) {
      world.log.complete();
      world.turn();
    }
  }
  assert.ok(world.log.startPosition > 0, 'nothing was given back: this tests nothing');
  world.settle();
  assert.deepEqual(textsOf(again), ['f']);
});
