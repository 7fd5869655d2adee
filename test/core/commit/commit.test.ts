// Group commit over a log by hand: what is sealed when and why, what a batch looks like on disk,
// how segments follow each other, and that what is durable replays to what is owed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  FLAG_LAST,
  FLAG_PROOF,
  INTAKE_DONE,
  INTAKE_FULL,
  MARK_BYTES,
  RECORD_COMMIT,
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RECORD_RETURNED,
  RECORD_SETTLED,
  RECORD_START,
  RECORD_TRIM,
  SCAN_END,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import { Commit } from '../../../src/core/commit/commit.ts';
import type { CommitEvents } from '../../../src/core/commit/options.ts';
import type { Codec } from '../../../src/core/ports/codec.ts';
import { marksIn } from '../../../src/core/records/marks.ts';
import {
  BACK,
  COUNT,
  EPOCH,
  FLAGS,
  OFFSET,
  ROW_WORDS,
  sequenceOf,
  TYPE,
  timeOf,
} from '../../../src/core/records/rows.ts';
import { createState, type State } from '../../../src/core/segments/state.ts';
import { Replay } from '../../../src/log/recovery/replay.ts';
import { freshEngine } from '../../support/engine.ts';
import { Random, seedOf } from '../../support/random.ts';
import { scanOf } from '../../support/twins.ts';
import {
  acks,
  batch,
  brokerOf,
  FakeLog,
  smallCodec,
  textOf,
  WALL_MS,
  type World,
} from '../../support/world.ts';

const seed = seedOf('core/commit/commit.test');
const SEGMENT = 64 * 1024;

interface Row {
  type: number;
  flags: number;
  offset: number;
  count: number;
  sequence: number;
  back: number;
  epoch: number;
}

/** The records of one durable append. */
function records(append: { position: number; bytes: Uint8Array }): Row[] {
  const codec = smallCodec();
  codec.memory.set(append.bytes);
  const found = scanOf(codec, 0, append.bytes.length, append.position);
  assert.equal(found.status, SCAN_END);
  assert.equal(found.consumed, append.bytes.length);
  const words = Uint32Array.from(found.rows);
  return Array.from({ length: words.length / ROW_WORDS }, (_, i) => {
    const at = i * ROW_WORDS;
    return {
      type: words[at + TYPE]!,
      flags: words[at + FLAGS]!,
      offset: words[at + OFFSET]!,
      count: words[at + COUNT]!,
      sequence: sequenceOf(words, at),
      back: words[at + BACK]!,
      epoch: words[at + EPOCH]!,
    };
  });
}

/** A Commit without a broker around it. */
class Bench implements CommitEvents {
  readonly codec: Codec;
  readonly log: FakeLog;
  readonly commit: Commit;
  readonly events: string[] = [];
  nowMs = 0;

  constructor(
    options: {
      strict?: boolean;
      offset?: number;
      codec?: Codec;
      start?: boolean;
      entriesMax?: number;
      marksMax?: number;
    } = {},
  ) {
    this.codec = options.codec ?? smallCodec();
    this.log = new FakeLog(this.codec, SEGMENT, 0);
    this.commit = new Commit({
      codec: this.codec,
      journal: this.log,
      space: this.log,
      events: this,
      wallMs: () => WALL_MS,
      clockMs: () => 0,
      nowMs: () => 0,
      strict: options.strict ?? true,
      reserveBytes: 4096,
      messageBytesMax: 1024,
      entriesMax: options.entriesMax ?? 1000,
      marksMax: options.marksMax ?? 10_000,
      ackCommitMs: 50,
      proofMs: 100,
      lag: () => 'none',
    });
    const offset = options.offset ?? SEGMENT_DATA_AT;
    this.commit.resume({ base: 0, offset, segmentBytes: SEGMENT, epoch: 3, sequence: 1 });
    if (options.start !== false) this.finish();
  }

  durable(): void {
    this.events.push('durable');
  }

  roomAgain(): void {
    this.events.push('room');
  }

  failed(failure: Error): void {
    this.events.push(`failed ${failure.message}`);
  }

  finish(): void {
    while (this.log.appending) this.log.complete();
  }

  advance(ms: number): void {
    this.nowMs += ms;
    this.commit.advance(this.nowMs);
  }

  /** Packs one message for bucket 1 through an intake; returns its status. */
  pack(body: Uint8Array): number {
    const bytes = batch('u64', [1, body]).subarray(4);
    this.codec.inbox.set(bytes);
    this.commit.allow();
    const status = this.codec.intake(0, bytes.length, 1, 8, 1024);
    const [, messages, rows, , , payload] = this.codec.result;
    this.commit.packed(rows!, messages!, payload!);
    return status;
  }
}

describe('batches', () => {
  test('the first holds the start record of this life', () => {
    const bench = new Bench();
    assert.equal(bench.log.durable.length, 1);
    const [start, commit] = records(bench.log.durable[0]!);
    assert.equal(start!.type, RECORD_START);
    assert.equal(start!.epoch, 3);
    assert.equal(start!.sequence, 1);
    assert.equal(commit!.type, RECORD_COMMIT);
    assert.equal(commit!.count, 1);
    assert.deepEqual(bench.commit.reasons, { publish: 0, acks: 0, proof: 0, roll: 0, control: 1 });
  });

  test('messages, then marks, then the commit record, each knowing its distance', () => {
    const bench = new Bench();
    bench.pack(new Uint8Array(10));
    bench.commit.settle(100, 5);
    bench.commit.settle(105, 2);
    bench.commit.settle(200, 1);
    bench.commit.requeue(300, 1, 4);
    bench.commit.trim(64);
    bench.commit.flush();
    bench.finish();
    const rows = records(bench.log.durable[1]!);
    assert.deepEqual(
      rows.map((row) => [row.type, row.count]),
      [
        [RECORD_MESSAGES, 1],
        [RECORD_SETTLED, 2],
        [RECORD_RETURNED, 1],
        [RECORD_TRIM, 0],
        [RECORD_COMMIT, 4],
      ],
    );
    for (const row of rows) {
      assert.equal(row.back, row.offset);
      assert.equal(row.epoch, 3);
      assert.equal(row.flags, FLAG_PROOF);
    }
    assert.equal(rows.at(-1)!.sequence, 2, 'the next sequence to be given out');
    assert.deepEqual(bench.log.trims, [64]);
  });

  test('times in commit records are the wall clock', () => {
    const bench = new Bench();
    bench.codec.memory.set(bench.log.durable[0]!.bytes);
    scanOf(bench.codec, 0, bench.log.durable[0]!.bytes.length, SEGMENT_DATA_AT);
    assert.equal(timeOf(bench.codec.rows, 0), WALL_MS);
    assert.equal(timeOf(bench.codec.rows, ROW_WORDS), WALL_MS);
  });

  test('one in flight; what comes meanwhile goes together behind it', () => {
    const bench = new Bench();
    bench.pack(new Uint8Array(1));
    bench.commit.flush();
    for (let i = 0; i < 5; i++) {
      bench.pack(new Uint8Array(1));
      bench.commit.flush();
    }
    bench.log.complete();
    assert.ok(bench.log.appending, 'the disk goes on before anybody asks');
    bench.finish();
    assert.deepEqual(
      bench.log.durable.map((append) => records(append).length),
      [2, 2, 6],
    );
    assert.equal(bench.commit.reasons.publish, 2);
  });

  test('where the journal takes more, what is large goes behind what is in flight, in order', () => {
    const bench = new Bench();
    const told: number[] = [];
    const to = { done: (token: number) => void told.push(token) };
    bench.log.depth = 3;
    bench.log.aheadBytes = 2000;
    const pack = (size: number, token: number) => {
      bench.pack(new Uint8Array(size));
      bench.commit.reply(to, token);
      bench.commit.flush();
    };
    pack(100, 1);
    pack(900, 2);
    assert.equal(bench.log.underWay, 1, 'what is small waits');
    pack(900, 3);
    pack(900, 4);
    assert.equal(bench.log.underWay, 2, 'not from so many bytes on');
    pack(900, 5);
    pack(900, 6);
    pack(900, 7);
    pack(900, 8);
    pack(900, 9);
    pack(900, 10);
    assert.equal(bench.log.underWay, 3, 'more than the journal takes');
    assert.deepEqual(told, []);
    const at = bench.commit.durablePosition;
    bench.log.complete();
    assert.deepEqual(told, [1]);
    assert.ok(bench.commit.durablePosition > at);
    assert.equal(bench.log.underWay, 3, 'it goes on');
    bench.finish();
    assert.deepEqual(told, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.ok(bench.commit.idle);
    assert.equal(bench.commit.durablePosition, bench.commit.endPosition);
  });

  test('nothing to say, nothing written', () => {
    const bench = new Bench({ strict: false });
    bench.advance(10_000);
    bench.commit.flush();
    assert.equal(bench.log.appending, false);
    assert.ok(bench.commit.idle);
  });

  test('as many marks as there are ride in one record', () => {
    const bench = new Bench();
    for (let i = 0; i < 500; i++) bench.commit.settle(i * 2, 1);
    bench.commit.drain();
    bench.finish();
    const rows = records(bench.log.durable.at(-1)!);
    assert.deepEqual(
      rows.map((row) => [row.type, row.count]),
      [
        [RECORD_SETTLED, 500],
        [RECORD_COMMIT, 1],
      ],
    );
  });

  test('more marks than fit a segment ride in several batches', () => {
    const bench = new Bench();
    const marks = 6000; // 94 KiB of marks, segments of 64 KiB
    for (let i = 0; i < marks; i++) bench.commit.settle(i * 2, 1);
    for (let i = 0; i < 20; i++) {
      bench.advance(50);
      bench.finish();
    }
    const settled = bench.log.durable.flatMap((append) =>
      records(append).filter((row) => row.type === RECORD_SETTLED),
    );
    assert.ok(settled.length > 1);
    assert.equal(
      settled.reduce((sum, row) => sum + row.count, 0),
      marks,
    );
    assert.ok(bench.commit.drained);
  });

  test('marks that wait while they cannot be written take bounded memory, and none is lost', () => {
    const bench = new Bench({ marksMax: 200 });
    const random = new Random(seed);
    const sequences = Array.from({ length: 3000 }, (_, i) => i * 2);
    for (let i = sequences.length - 1; i > 0; i--) {
      const j = random.below(i + 1);
      [sequences[i], sequences[j]] = [sequences[j]!, sequences[i]!];
    }
    for (const sequence of sequences) {
      bench.commit.settle(sequence, 1);
      bench.commit.requeue(sequence + 1, 1, 2);
    }
    assert.equal(bench.commit.waitingMarks, Number.POSITIVE_INFINITY);
    const place = bench.commit.settledMarks;
    for (let i = 0; i < 100 && !bench.commit.drained; i++) {
      bench.commit.drain();
      bench.finish();
    }
    assert.ok(bench.commit.drained);
    assert.equal(bench.commit.waitingMarks, 0);
    assert.ok(bench.commit.settledMarks >= place);
    const got = (type: number) =>
      bench.log.durable.flatMap((append) =>
        records(append)
          .filter((row) => row.type === type)
          .flatMap(({ offset, count }) =>
            marksIn(append.bytes, offset + RECORD_HEADER_BYTES, count),
          ),
      );
    const ascending = [...sequences].sort((a, b) => a - b);
    const one = ({ count }: { count: number }) => assert.equal(count, 1);
    for (const [type, more, attempts] of [
      [RECORD_SETTLED, 0, 0],
      [RECORD_RETURNED, 1, 2],
    ] as const) {
      const marks = got(type);
      marks.forEach(one);
      assert.deepEqual(
        marks.map(({ sequence }) => sequence).sort((a, b) => a - b),
        ascending.map((sequence) => sequence + more),
      );
      assert.ok(marks.every((mark) => mark.attempts === attempts));
    }
  });

  test('marks are written however little room a segment has left, though nobody publishes', () => {
    // What closes a segment always fits: a batch leaves at least a trim and a commit record's room.
    for (let room = 2 * RECORD_HEADER_BYTES; room <= 1200; room += 8) {
      const bench = new Bench({ offset: SEGMENT - room });
      for (let i = 0; i < 6; i++) {
        bench.advance(50);
        bench.finish();
      }
      bench.commit.settle(1, 1);
      for (let i = 0; i < 4; i++) {
        bench.advance(50);
        bench.finish();
      }
      const types = bench.log.durable.flatMap(records).map(({ type }) => type);
      assert.ok(types.includes(RECORD_SETTLED), `the ack waits for ever with ${room} bytes left`);
    }
  });
});

describe('proof', () => {
  test('an idle log is proved once, by an empty batch', () => {
    const bench = new Bench();
    bench.pack(new Uint8Array(1));
    bench.commit.flush();
    bench.finish();
    assert.equal(bench.commit.drained, false);
    bench.advance(1);
    bench.advance(99);
    assert.equal(bench.log.appending, false);
    bench.advance(1);
    bench.finish();
    assert.ok(bench.commit.drained);
    bench.advance(1000);
    assert.equal(bench.log.appending, false);
    const last = records(bench.log.durable.at(-1)!);
    assert.deepEqual(
      last.map((row) => [row.type, row.flags]),
      [[RECORD_COMMIT, FLAG_PROOF]],
    );
    assert.equal(bench.commit.reasons.proof, 1);
  });

  test('drain writes marks and proof at once', () => {
    const bench = new Bench();
    bench.commit.settle(1, 1);
    bench.commit.drain();
    bench.finish();
    assert.equal(bench.commit.drained, false);
    bench.commit.drain();
    bench.finish();
    assert.ok(bench.commit.drained);
    assert.deepEqual(bench.commit.reasons, { publish: 0, acks: 1, proof: 1, roll: 0, control: 1 });
  });

  test('without a sync at each commit, only what is known to be synced is called proved', () => {
    const bench = new Bench({ strict: false });
    bench.log.syncedPosition = 0;
    bench.pack(new Uint8Array(1));
    bench.commit.flush();
    bench.log.complete();
    const flags = () => records(bench.log.durable.at(-1)!).map((row) => row.flags);
    assert.deepEqual(flags(), [0, 0]);
    // An empty batch would prove nothing, so none is written.
    bench.advance(1000);
    bench.advance(1000);
    assert.equal(bench.log.appending, false);
    assert.ok(bench.commit.drained);
  });
});

describe('failure', () => {
  test('ends everything: no reply, no further append', () => {
    const bench = new Bench();
    const replies: number[] = [];
    const to = { done: (token: number) => void replies.push(token) };
    bench.pack(new Uint8Array(1));
    assert.ok(bench.commit.reply(to, 1));
    bench.commit.flush();
    bench.pack(new Uint8Array(1));
    assert.ok(bench.commit.reply(to, 2));
    bench.log.complete(new Error('EIO'));
    assert.deepEqual(bench.events.slice(-1), ['failed EIO']);
    assert.ok(bench.commit.reply(to, 3), 'owed, and never answered');
    bench.commit.flush();
    bench.commit.drain();
    bench.advance(1000);
    assert.equal(bench.log.appending, false);
    assert.deepEqual(replies, []);
    assert.equal(bench.commit.failure?.message, 'EIO');
  });

  test('of one of several in flight, it is told once, and no reply of those behind it is given', () => {
    const bench = new Bench();
    bench.log.depth = 3;
    bench.log.aheadBytes = 500;
    const replies: number[] = [];
    const to = { done: (token: number) => void replies.push(token) };
    for (const token of [1, 2, 3]) {
      bench.pack(new Uint8Array(900));
      bench.commit.reply(to, token);
      bench.commit.flush();
    }
    assert.equal(bench.log.underWay, 3);
    bench.log.complete();
    bench.log.complete(new Error('EIO'));
    bench.log.complete();
    assert.deepEqual(replies, [1]);
    assert.equal(bench.events.filter((event) => event.startsWith('failed')).length, 1);
    assert.equal(bench.log.appending, false);
  });

  test('a reply with nothing on its way may be given at once', () => {
    const bench = new Bench();
    assert.equal(bench.commit.reply({ done: () => assert.fail() }, 1), false);
  });
});

describe('segments', () => {
  test('the last batch says that the log goes on in the next one', () => {
    const bench = new Bench();
    let status = 0;
    while (status === 0) {
      status = bench.pack(new Uint8Array(1000));
      bench.commit.flush();
      bench.finish();
    }
    assert.equal(bench.commit.makeRoom(), 'again');
    bench.finish();
    const last = records(bench.log.durable.at(-1)!).at(-1)!;
    assert.equal(last.flags, FLAG_LAST | FLAG_PROOF);
    assert.equal(bench.commit.durablePosition, SEGMENT + SEGMENT_DATA_AT);
    assert.equal(bench.commit.endPosition, SEGMENT + SEGMENT_DATA_AT);
    assert.equal(bench.commit.reasons.roll, 1);
  });

  test('a segment is complete at its number of records, however much room it has', () => {
    const bench = new Bench({ entriesMax: 3 });
    for (let i = 0; i < 3; i++) assert.equal(bench.pack(new Uint8Array(10)), INTAKE_DONE);
    assert.equal(bench.pack(new Uint8Array(10)), INTAKE_FULL);
    assert.equal(bench.commit.makeRoom(), 'again');
    assert.equal(bench.commit.endPosition, SEGMENT + SEGMENT_DATA_AT);
    bench.finish();
    const last = bench.log.durable.map((each) => records(each).at(-1)!).at(-1)!;
    assert.equal(last.flags, FLAG_LAST | FLAG_PROOF);
    assert.equal(bench.pack(new Uint8Array(10)), INTAKE_DONE, 'the next one counts from 0');
  });

  test('a life that begins where there is no room for its start record begins in the next', () => {
    for (let left = 0; left <= 600; left += 8) {
      const bench = new Bench({ offset: SEGMENT - left - 56 });
      assert.ok(bench.log.durable.length > 0);
      const rows = bench.log.durable.flatMap(records);
      assert.ok(rows.some((row) => row.type === RECORD_START));
      for (let i = 0; i < 5; i++) {
        bench.pack(new Uint8Array(100));
        bench.commit.makeRoom();
        bench.commit.flush();
        bench.finish();
      }
    }
  });

  test('nothing is written over the end of a segment that is still on its way to disk', () => {
    // The open segment is from a time of smaller ones, so that the new one reaches all over it.
    const world = brokerOf({
      limits: { segmentBytes: 128 * 1024, messageBytesMax: 4096 },
      resume: { segmentBytes: 16 * 1024, offset: 4096 },
    });
    const producer = world.producer();
    // What is on its way begins within a block, and the block's head is written with it.
    producer.send(batch('u64', [1, new Uint8Array(1000)]));
    world.settle();
    for (let i = 0; i < 20; i++) {
      producer.send(batch('u64', [1, new Uint8Array(i < 3 ? 4000 : 100).fill(i)]));
      world.turn();
    }
    assert.ok(producer.link.paused);
    world.settle(); // the log compares what it was given with what is there when it is done
    assert.deepEqual(producer.take(), new Uint8Array(21).fill(1));
  });

  test('hot says where a record is, and not when the ring has moved over it', () => {
    const bench = new Bench();
    const positions: number[] = [];
    for (let i = 0; i < 120; i++) {
      const at = bench.commit.endPosition;
      if (bench.pack(new Uint8Array(1000).fill(i)) !== 0) {
        bench.commit.makeRoom();
        bench.finish();
        i--;
        continue;
      }
      positions.push(at);
      bench.commit.flush();
      bench.finish();
      positions.forEach((position, n) => {
        const place = bench.commit.hot(position);
        if (place < 0) return;
        const { memory } = bench.codec;
        assert.equal(
          memory[place + RECORD_HEADER_BYTES + 4],
          n,
          `message ${n} is not at its place`,
        );
        const view = new DataView(memory.buffer, memory.byteOffset + place);
        assert.equal(Number(view.getBigUint64(16, true)), position);
      });
      assert.ok(bench.commit.hot(at) >= 0, 'the newest is hot');
    }
    assert.equal(bench.commit.hot(positions[0]!), -1);
    assert.equal(new Bench({ offset: 8192 }).commit.hot(SEGMENT_DATA_AT), -1);
  });

  test('segments are given back once, by one trim record', () => {
    const world = brokerOf({ limits: { segmentBytes: 16 * 1024 } });
    const consumer = world.consumer(1, 10);
    for (let i = 0; i < 30; i++) {
      world.publish(1, 'x'.repeat(900));
      consumer.send(acks(1));
      world.broker.advance(++world.nowMs); // more often than the disk can follow
      world.broker.advance(++world.nowMs);
    }
    world.advance(500, true);
    const trims = world.log.durable.flatMap(records).filter((row) => row.type === RECORD_TRIM);
    assert.ok(trims.length > 0);
    const positions = trims.map((row) => row.sequence);
    assert.deepEqual([...new Set(positions)], positions);
    assert.deepEqual(world.log.trims, positions);
  });
});

/** Rebuilds a state from what is durable, as recovery does. */
async function replayed(world: World): Promise<State & { replay: Replay }> {
  const state = createState(9);
  const replay = new Replay(state);
  const codec = smallCodec();
  const segmentBytes = world.limits.segmentBytes;
  let base = -1;
  for (const { position, bytes } of world.log.durable) {
    const segment = Math.floor(position / segmentBytes) * segmentBytes;
    if (segment > base) replay.segment(segment);
    base = segment;
    codec.memory.set(bytes);
    assert.equal(scanOf(codec, 0, bytes.length, position).status, SCAN_END);
    const rows = codec.rows.slice();
    const count = codec.result[2]!;
    for (let i = 0; i < count; i++) {
      replay.record(rows, i * ROW_WORDS, position, bytes);
      if (rows[i * ROW_WORDS + TYPE] === RECORD_COMMIT) replay.commit();
    }
  }
  await replay.finish(async () => assert.fail('nothing was compacted'));
  return { ...state, replay };
}

describe('the log', () => {
  test('what is durable replays to what is owed', async () => {
    const random = new Random(seed);
    for (let round = 0; round < 25; round++) {
      const codec = round % 5 === 0 ? freshEngine() : smallCodec();
      const limits = { segmentBytes: 16 * 1024, messageBytesMax: 1024 };
      const world = brokerOf({ codec, limits });
      const producers = [world.producer(), world.producer(), world.producer()];
      const consumers = [1, 1, 2].map((bucket) => world.consumer(bucket, 1 + random.below(5)));
      const acked = new Set<string>();
      const settled = new Set<string>();
      const sent = producers.map((): string[] => []);
      let number = 0;
      for (let step = 0; step < 250; step++) {
        const who = random.below(producers.length);
        if (random.chance(0.5)) {
          const size = 1 + random.below(6);
          const texts = Array.from({ length: size }, () =>
            `${number++}.`.padEnd(8 + random.below(random.chance(0.1) ? 1000 : 60), '~'),
          );
          sent[who]!.push(...texts);
          const some = texts.map((text): [number, string] => [1 + random.below(2), text]);
          producers[who]!.send(batch('u64', ...some));
        }
        if (random.chance(0.5)) world.turn();
        if (random.chance(0.3) && world.log.appending) world.log.complete();
        if (random.chance(0.3) && world.log.loads.length > 0) world.log.loaded();
        if (random.chance(0.2)) world.advance(25);
        for (const consumer of consumers) {
          const got = new DeliveryDecoder('u64').push(consumer.take());
          for (const frame of got) {
            const bytes = Array.from({ length: frame.count }, () => (random.chance(0.8) ? 1 : 0));
            bytes.forEach((byte, i) => {
              const text = textOf(frame.body(i));
              if (byte === 1 && text !== '') settled.add(text);
            });
            consumer.send(Uint8Array.from(bytes));
          }
        }
        producers.forEach((producer, i) => {
          for (const byte of producer.take()) {
            assert.equal(byte, 1);
            acked.add(sent[i]!.shift()!);
          }
        });
      }
      // The power goes here. Everything acked must be in the log unless a consumer had acked it.
      const { buckets } = await replayed(world);
      const found = new Set<string>();
      for (const slot of buckets.slots()) {
        let last = -1;
        for (let part = buckets.peek(slot); part !== undefined; part = buckets.peek(slot)) {
          assert.ok(part.sequence > last, 'the order changed');
          last = part.sequence;
          const record = world.log.read(part.position, RECORD_HEADER_BYTES + part.bodyBytes);
          const view = new DataView(record.buffer);
          let at = RECORD_HEADER_BYTES;
          for (let i = 0; i < part.first + part.count; i++) {
            const size = view.getUint32(at, true);
            if (i >= part.first) found.add(textOf(record.subarray(at + 4, at + 4 + size)));
            at += 4 + size;
          }
          buckets.take(part, part.count);
        }
      }
      for (const text of acked)
        assert.ok(found.has(text) || settled.has(text), `${text} was acked and is lost`);
      assert.ok(acked.size > 50);
    }
  });

  test('attempts survive', async () => {
    const world = brokerOf();
    world.publish(1, 'a', 'b', 'c');
    const consumer = world.consumer(1, 3);
    consumer.send(acks(1, 0, 0)); // b and c: one attempt
    consumer.send(acks(1, 0)); // c: two
    consumer.vanish(); // c: three
    world.advance(500, true);
    const { buckets, replay } = await replayed(world);
    assert.equal(replay.builder.messages, 1);
    const [slot] = [...buckets.slots()];
    const part = buckets.peek(slot!)!;
    assert.deepEqual([part.first, part.count, part.attempts], [2, 1, 3]);
  });

  test('marks are what the layout says', () => {
    const bench = new Bench();
    bench.commit.requeue(2 ** 33 + 7, 3, 9);
    bench.commit.drain();
    bench.finish();
    const append = bench.log.durable.at(-1)!;
    const [row] = records(append);
    assert.equal(row!.type, RECORD_RETURNED);
    const view = new DataView(append.bytes.buffer, row!.offset + RECORD_HEADER_BYTES, MARK_BYTES);
    assert.equal(view.getBigUint64(0, true), 2n ** 33n + 7n);
    assert.equal(view.getUint32(8, true), 3);
    assert.equal(view.getUint32(12, true), 9);
  });
});
