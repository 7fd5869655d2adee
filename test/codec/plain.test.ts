// The WebAssembly module, release and debug, against its plain twin: every status, every result
// slot that means something, every row, every byte of the ring and of the outbox.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  BATCH_HEADER_BYTES,
  BUCKET_BYTES,
  INTAKE_DONE,
  INTAKE_EMPTY,
  INTAKE_FOREIGN,
  INTAKE_FULL,
  INTAKE_LARGE,
  INTAKE_MORE,
  INTAKE_ROWS,
  MARK_BYTES,
  MARKS_MAX,
  MESSAGE_BYTES_CEILING,
  MESSAGE_SIZE_BYTES,
  RECORD_COMMIT,
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RECORD_POSITION_AT,
  RECORD_RETURNED,
  RECORD_SETTLED,
  RECORD_START,
  RECORD_TRIM,
  RECORD_TYPE_AT,
  RECORD_TYPE_MAX,
  ROWS_MAX,
  SCAN_BAD,
  SCAN_END,
  SCAN_MORE,
  SCAN_ROWS,
  SCAN_UNKNOWN,
  WIRE_U32,
  WIRE_U64,
} from '../../assembly/layout.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import type { Codec } from '../../src/core/ports/codec.ts';
import { BODY_BYTES, COUNT, OFFSET, ROW_WORDS } from '../../src/core/records/rows.ts';
import { seedOf } from '../support/random.ts';
import { deliveryOf, ring, scanOf, Twins, takenFrom } from '../support/twins.ts';

const seed = seedOf('codec/plain.test');
const twins = new Twins();
const U64_MAX = 2n ** 64n - 1n;
const SEGMENT = 256 * 1024;
const LIMIT = 48; // largest message in these tests, unless they say otherwise
const STRAY = 0xa5; // what the ring holds before; whoever writes too far destroys it

/** A message as a hostile peer may announce it: `body` need not have `length` bytes. */
interface Announced {
  bucket: bigint;
  length: bigint;
  body: Uint8Array;
}

function encode(messages: readonly Announced[], wire: number): Uint8Array {
  const parts = messages.map(({ bucket, length, body }) => {
    const bytes = new Uint8Array(BUCKET_BYTES + wire + body.length);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, bucket, true);
    if (wire === WIRE_U64) view.setBigUint64(BUCKET_BYTES, length, true);
    else view.setUint32(BUCKET_BYTES, Number(length & 0xffffffffn), true);
    bytes.set(body, BUCKET_BYTES + wire);
    return bytes;
  });
  return new Uint8Array(Buffer.concat(parts));
}

const honest = (bucket: bigint, body: Uint8Array): Announced => ({
  bucket,
  length: BigInt(body.length),
  body,
});

const wires = fc.constantFrom(WIRE_U32, WIRE_U64);
const buckets = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(0n, 1n) },
  { weight: 1, arbitrary: fc.constantFrom(2n ** 32n, 2n ** 32n + 1n, U64_MAX) },
  { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: U64_MAX }) },
);
const bodies = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 24 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 7, 8, 15, 16, 17).map((n) => new Uint8Array(n)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(LIMIT - 1, LIMIT, LIMIT + 1).map((n) => new Uint8Array(n).fill(n)),
  },
);
const hostileLengths = fc.constantFrom(
  BigInt(MESSAGE_BYTES_CEILING),
  BigInt(MESSAGE_BYTES_CEILING) + 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 32n + 5n,
  2n ** 63n,
  U64_MAX,
);
const messages: fc.Arbitrary<Announced> = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(buckets, bodies).map(([b, body]) => honest(b, body)) },
  {
    weight: 1,
    arbitrary: fc.record({
      bucket: buckets,
      length: hostileLengths,
      body: fc.uint8Array({ maxLength: 8 }),
    }),
  },
);

interface Setup {
  wire: number;
  offset: number;
  limit: number;
  proof: boolean;
  sequence: number;
  base: number;
}

const setups: fc.Arbitrary<Setup> = fc.record({
  wire: wires,
  offset: fc.nat(64).map((n) => n * 8),
  limit: fc.oneof(fc.constant(SEGMENT), fc.nat(2000)),
  proof: fc.boolean(),
  sequence: fc.constantFrom(0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 2 ** 20),
  base: fc.constantFrom(0, SEGMENT, 2 ** 40, 2 ** 52),
});

function prepare(codec: Codec, setup: Setup): void {
  codec.memory.fill(STRAY, codec.coldBytes, codec.coldBytes + 8192);
  codec.openSegment(setup.base, setup.offset, SEGMENT, 7);
  codec.openBatch(setup.proof);
  codec.setSequence(setup.sequence);
  codec.setLimit(Math.max(setup.offset, Math.min(setup.limit, SEGMENT)));
}

function intakeOf(codec: Codec, setup: Setup, bytes: Uint8Array, at: number, left: number) {
  prepare(codec, setup);
  codec.inbox.set(bytes, at);
  const status = codec.intake(at, at + bytes.length, left, setup.wire, LIMIT);
  return { ...takenFrom(codec, status), written: ring(codec, 0, 8192) };
}

describe('intake', () => {
  test('random messages, cuts, limits and counts', () => {
    const seen = new Set<number>();
    fc.assert(
      fc.property(
        fc.array(messages, { maxLength: 24 }),
        setups,
        fc.nat(),
        fc.nat(40),
        fc.integer({ min: -2, max: 2 }),
        (sent, setup, cut, at, more) => {
          const whole = encode(sent, setup.wire);
          const bytes = cut % 3 === 0 ? whole.subarray(0, cut % (whole.length + 1)) : whole;
          const left = Math.max(0, sent.length + more);
          seen.add(twins.same((codec) => intakeOf(codec, setup, bytes, at, left)).status);
        },
      ),
      { seed, numRuns: 600 },
    );
    for (const status of [INTAKE_DONE, INTAKE_MORE, INTAKE_EMPTY, INTAKE_LARGE, INTAKE_FULL])
      assert.ok(seen.has(status), `status ${status} never came up`);
    assert.ok(seen.has(INTAKE_FOREIGN));
  });

  test('every prefix of a batch of several records', () => {
    const sent = [1, 1, 2, 1, 0, U64_MAX, U64_MAX].map((bucket, i) =>
      honest(BigInt(bucket), new Uint8Array(i + 1).fill(i)),
    );
    for (const wire of [WIRE_U32, WIRE_U64]) {
      const setup = { wire, offset: 0, limit: SEGMENT, proof: true, sequence: 5, base: 0 };
      const bytes = encode(sent, wire);
      for (let cut = 0; cut <= bytes.length; cut++) {
        const part = bytes.subarray(0, cut);
        const taken = twins.same((codec) => intakeOf(codec, setup, part, 3, sent.length));
        assert.equal(taken.status, cut === bytes.length ? INTAKE_DONE : INTAKE_MORE);
      }
    }
  });

  test('every write limit, from nothing to enough', () => {
    const sent = [1n, 1n, 2n].map((bucket) => honest(bucket, new Uint8Array(20).fill(9)));
    const bytes = encode(sent, WIRE_U64);
    const counts = new Set<number>();
    for (let limit = 0; limit <= 240; limit++) {
      const setup = { wire: WIRE_U64, offset: 0, limit, proof: false, sequence: 0, base: 0 };
      const taken = twins.same((codec) => intakeOf(codec, setup, bytes, 0, 3));
      assert.ok(taken.writeAt <= limit);
      assert.equal(taken.status, taken.messages === 3 ? INTAKE_DONE : INTAKE_FULL);
      counts.add(taken.messages);
    }
    assert.deepEqual([...counts], [0, 1, 2, 3]);
  });

  test('lengths at the limit, the ceiling and the ends of 32 and 64 bits', () => {
    const cases: [bigint, number, number][] = [
      [0n, WIRE_U64, INTAKE_EMPTY],
      [0n, WIRE_U32, INTAKE_EMPTY],
      [BigInt(LIMIT), WIRE_U64, INTAKE_MORE],
      [BigInt(LIMIT) + 1n, WIRE_U64, INTAKE_LARGE],
      [BigInt(LIMIT) + 1n, WIRE_U32, INTAKE_LARGE],
      [BigInt(MESSAGE_BYTES_CEILING), WIRE_U64, INTAKE_LARGE],
      [BigInt(MESSAGE_BYTES_CEILING), WIRE_U32, INTAKE_LARGE],
      [BigInt(MESSAGE_BYTES_CEILING) + 1n, WIRE_U64, INTAKE_FOREIGN],
      [BigInt(MESSAGE_BYTES_CEILING) + 1n, WIRE_U32, INTAKE_FOREIGN],
      [2n ** 32n - 1n, WIRE_U32, INTAKE_FOREIGN],
      [2n ** 32n, WIRE_U64, INTAKE_FOREIGN],
      [2n ** 63n, WIRE_U64, INTAKE_FOREIGN],
      [U64_MAX, WIRE_U64, INTAKE_FOREIGN],
    ];
    for (const [length, wire, expected] of cases) {
      const setup = { wire, offset: 0, limit: SEGMENT, proof: true, sequence: 1, base: 0 };
      const bytes = encode([{ bucket: 4n, length, body: new Uint8Array(3) }], wire);
      const taken = twins.same((codec) => intakeOf(codec, setup, bytes, 0, 1));
      assert.equal(taken.status, expected, `length ${length}, wire ${wire}`);
      const headTaken = expected === INTAKE_EMPTY || expected === INTAKE_LARGE;
      assert.equal(taken.consumed, headTaken ? BUCKET_BYTES + wire : 0);
      if (expected === INTAKE_LARGE) assert.equal(taken.length, Number(length));
      assert.equal(taken.writeAt, 0);
    }
  });

  test('rows run out', () => {
    const setup = { wire: WIRE_U32, offset: 0, limit: 1, proof: true, sequence: 0, base: 0 };
    const count = ROWS_MAX + 10;
    const sent = Array.from({ length: count }, (_, i) => honest(BigInt(i), new Uint8Array(1)));
    const bytes = encode(sent, WIRE_U32);
    const first = twins.same((codec) => {
      prepare(codec, setup);
      codec.openSegment(0, 0, 2 ** 20, 1);
      codec.setLimit(2 ** 20);
      codec.inbox.set(bytes);
      const { rows, ...rest } = takenFrom(codec, codec.intake(0, bytes.length, count, 4, LIMIT));
      const checksum = codec.crc32c(codec.coldBytes, rest.writeAt);
      return { ...rest, rows: rows.length, checksum };
    });
    assert.equal(first.status, INTAKE_ROWS);
    assert.equal(first.messages, ROWS_MAX);
    const second = twins.same((codec) =>
      takenFrom(
        codec,
        codec.intake(first.consumed, bytes.length, count - ROWS_MAX, WIRE_U32, LIMIT),
      ),
    );
    assert.equal(second.status, INTAKE_DONE);
    assert.equal(second.messages, 10);
  });

  test('messages of any size from 1 to 600 keep every byte', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 600 }), wires, (body, wire) => {
        const bytes = encode([honest(3n, body), honest(3n, body)], wire);
        const setup = { wire, offset: 0, limit: SEGMENT, proof: true, sequence: 0, base: 0 };
        const written = twins.same((codec) => {
          prepare(codec, setup);
          codec.inbox.set(bytes);
          const status = codec.intake(0, bytes.length, 2, wire, 600);
          return { ...takenFrom(codec, status), ring: ring(codec, 0, 8192) };
        });
        const from = RECORD_HEADER_BYTES + 2 * MESSAGE_SIZE_BYTES + body.length;
        assert.deepEqual(written.ring.slice(from, from + body.length), body);
        const behind = written.ring.subarray(written.writeAt);
        assert.ok(
          behind.every((byte) => byte === STRAY),
          'bytes behind the record changed',
        );
      }),
      { seed, numRuns: 150 },
    );
  });
});

describe('skim', () => {
  test('walks as intake does and writes nothing', () => {
    fc.assert(
      fc.property(fc.array(messages, { maxLength: 16 }), setups, fc.nat(), (sent, setup, cut) => {
        const whole = encode(sent, setup.wire);
        const bytes = cut % 2 === 0 ? whole : whole.subarray(0, cut % (whole.length + 1));
        const skimmed = twins.same((codec) => {
          prepare(codec, setup);
          codec.inbox.set(bytes);
          const status = codec.skim(0, bytes.length, sent.length, setup.wire, LIMIT);
          assert.ok(ring(codec, 0, 8192).every((byte) => byte === STRAY));
          return takenFrom(codec, status);
        });
        const roomy = { ...setup, limit: SEGMENT };
        const taken = twins.same((codec) => intakeOf(codec, roomy, bytes, 0, sent.length));
        assert.equal(skimmed.status, taken.status);
        assert.equal(skimmed.consumed, taken.consumed);
        assert.equal(skimmed.messages, taken.messages);
        assert.equal(skimmed.length, taken.length);
        assert.equal(skimmed.writeAt, setup.offset);
      }),
      { seed, numRuns: 300 },
    );
  });
});

function writeMarks(codec: Codec, marks: readonly [number, number, number][]): void {
  marks.forEach(([sequence, count, attempts], i) => {
    codec.marks.setBigUint64(i * MARK_BYTES, BigInt(sequence), true);
    codec.marks.setUint32(i * MARK_BYTES + 8, count, true);
    codec.marks.setUint32(i * MARK_BYTES + 12, attempts, true);
  });
}

describe('marks and control records', () => {
  const marksOf = fc.array(
    fc.tuple(
      fc.maxSafeNat(),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    ),
    { minLength: 1, maxLength: 60 },
  );

  test('marks of any values', () => {
    fc.assert(
      fc.property(
        marksOf,
        setups,
        fc.constantFrom(RECORD_SETTLED, RECORD_RETURNED),
        (marks, setup, type) => {
          const { writeAt, bytes } = twins.same((codec) => {
            prepare(codec, setup);
            writeMarks(codec, marks);
            codec.packMarks(type, marks.length);
            return { writeAt: codec.writeAt(), bytes: ring(codec, 0, 8192) };
          });
          const size = RECORD_HEADER_BYTES + marks.length * MARK_BYTES;
          assert.equal(writeAt, setup.offset + size);
          assert.equal(bytes[writeAt], STRAY);
        },
      ),
      { seed, numRuns: 150 },
    );
  });

  test('as many marks as the area holds', () => {
    const checksum = twins.same((codec) => {
      codec.openSegment(0, 0, 1.5 * 2 ** 20, 1);
      codec.openBatch(true);
      writeMarks(codec, [[1, 1, 1]]);
      codec.marks.setUint32((MARKS_MAX - 1) * MARK_BYTES, 0xfeedbeef, true);
      const area = new Uint8Array(codec.marks.buffer, codec.marks.byteOffset + 16, MARK_BYTES);
      area.fill(3);
      codec.packMarks(RECORD_SETTLED, MARKS_MAX);
      assert.equal(scanOf(codec, codec.coldBytes, codec.writeAt(), 0).status, SCAN_END);
      return codec.writeAt();
    });
    assert.equal(checksum, RECORD_HEADER_BYTES + MARKS_MAX * MARK_BYTES);
  });

  test('control records of any values', () => {
    fc.assert(
      fc.property(
        setups,
        fc.constantFrom(RECORD_COMMIT, RECORD_START, RECORD_TRIM),
        fc.constantFrom(0, 2),
        fc.maxSafeNat(),
        fc.maxSafeNat(),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (setup, type, flags, sequence, time, count) => {
          twins.same((codec) => {
            prepare(codec, setup);
            codec.packControl(type, flags, sequence, time, count);
            codec.packControl(RECORD_COMMIT, flags, sequence, time, count);
            return { writeAt: codec.writeAt(), bytes: ring(codec, 0, 8192) };
          });
        },
      ),
      { seed, numRuns: 150 },
    );
  });

  test('what would break an invariant stops', () => {
    twins.trap((codec) => codec.openSegment(0, 4, SEGMENT, 1));
    twins.trap((codec) => codec.openSegment(0, SEGMENT + 8, SEGMENT, 1));
    twins.trap((codec) => codec.openSegment(0, 0, 2 ** 30, 1));
    const open = (codec: Codec, offset: number) => {
      codec.openSegment(0, offset, SEGMENT, 1);
      codec.openBatch(true);
    };
    twins.trap((codec) => {
      open(codec, 0);
      codec.setLimit(SEGMENT + 1);
    });
    twins.trap((codec) => {
      open(codec, SEGMENT - RECORD_HEADER_BYTES + 8);
      codec.packControl(RECORD_COMMIT, 0, 0, 0, 0);
    });
    twins.trap((codec) => {
      open(codec, SEGMENT - RECORD_HEADER_BYTES - MARK_BYTES + 8);
      codec.packMarks(RECORD_SETTLED, 1);
    });
    twins.trap((codec) => {
      open(codec, 0);
      codec.packMarks(RECORD_SETTLED, 0);
    });
    twins.trap((codec) => {
      open(codec, 0);
      codec.packMarks(RECORD_SETTLED, MARKS_MAX + 1);
    });
  });
});

/** Packs one record of messages of the given sizes at the start of the ring. */
function packBody(codec: Codec, sizes: readonly number[]): number {
  prepare(codec, { wire: 8, offset: 0, limit: SEGMENT, proof: true, sequence: 1, base: 0 });
  const sent = sizes.map((size, i) => honest(1n, new Uint8Array(size).fill(i + 1)));
  const bytes = encode(sent, WIRE_U64);
  codec.inbox.set(bytes);
  const status = codec.intake(0, bytes.length, sizes.length, WIRE_U64, 2 ** 16);
  assert.equal(status, INTAKE_DONE);
  return codec.rows[BODY_BYTES]!;
}

describe('deliver', () => {
  test('every first and count of a body, at every frame limit', () => {
    const sizes = [1, 16, 3, 40, 8];
    const bodyBytes = twins.same((codec) => packBody(codec, sizes));
    for (const wire of [WIRE_U32, WIRE_U64]) {
      for (let first = 0; first < sizes.length; first++) {
        for (let count = 0; count <= sizes.length - first; count++) {
          for (let outMax = 0; outMax <= 130; outMax += 3) {
            const delivery = twins.same((codec) => {
              const body = codec.coldBytes + RECORD_HEADER_BYTES;
              return deliveryOf(codec, body, bodyBytes, first, count, wire, 4, outMax);
            });
            assert.ok(delivery.packed >= Math.min(1, count), 'the first one always fits');
            assert.ok(delivery.bytesOut <= outMax || delivery.packed <= 1);
          }
        }
      }
    }
  });

  test('random bodies behind what a frame already holds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 12 }),
        wires,
        fc.nat(),
        fc.nat(),
        fc.nat(3000),
        fc.nat(500),
        (sizes, wire, firstOf, countOf, outMax, ahead) => {
          const bodyBytes = twins.same((codec) => packBody(codec, sizes));
          const first = firstOf % sizes.length;
          const count = countOf % (sizes.length - first + 1);
          const outAt = BATCH_HEADER_BYTES + ahead;
          twins.same((codec) => {
            // The frame starts with the same bytes everywhere: a message of the size `ahead`.
            const at = codec.coldBytes + RECORD_HEADER_BYTES;
            const delivery = deliveryOf(codec, at, bodyBytes, first, count, wire, outAt, outMax);
            return { ...delivery, frame: delivery.frame.slice(outAt) };
          });
        },
      ),
      { seed, numRuns: 200 },
    );
  });

  test('a body that is not what its record says stops, and nothing outside it is read', () => {
    const bodyBytes = twins.same((codec) => packBody(codec, [5, 5]));
    const at = (codec: Codec) => codec.coldBytes + RECORD_HEADER_BYTES;
    twins.trap((codec) => codec.deliver(at(codec), bodyBytes, 2, 1, WIRE_U64, 4, 1000));
    twins.trap((codec) => codec.deliver(at(codec), bodyBytes, 0, 3, WIRE_U64, 4, 1000));
    twins.trap((codec) => codec.deliver(at(codec), bodyBytes - 1, 0, 2, WIRE_U64, 4, 1000));
    for (const lie of [6 + 9, 2 ** 31, 2 ** 32 - 1, 2 ** 32 - 4, 2 ** 32 - 9]) {
      twins.same((codec) => {
        new DataView(codec.memory.buffer, codec.memory.byteOffset).setUint32(at(codec), lie, true);
      });
      twins.trap((codec) => codec.deliver(at(codec), bodyBytes, 0, 1, WIRE_U64, 4, 1000));
      twins.trap((codec) => codec.deliver(at(codec), bodyBytes, 1, 1, WIRE_U64, 4, 1000));
    }
  });
});

test('where a delivery stopped in one record says nothing about another of its size', () => {
  const body = (bytes: number) => new Uint8Array(bytes).fill(bytes);
  const sent = [honest(1n, body(2)), honest(1n, body(8)), honest(2n, body(8)), honest(2n, body(2))];
  const bytes = encode(sent, WIRE_U64);
  const setup = { wire: 8, offset: 0, limit: SEGMENT, proof: true, sequence: 1, base: 0 };
  const bodyBytes = 2 * MESSAGE_SIZE_BYTES + 10;
  const { frame } = twins.same((codec) => {
    prepare(codec, setup);
    codec.inbox.set(bytes);
    const taken = takenFrom(codec, codec.intake(0, bytes.length, 4, WIRE_U64, LIMIT));
    const [one, two] = [0, 1].map((row) => taken.rows[row * ROW_WORDS + OFFSET]!);
    const at = codec.coldBytes + RECORD_HEADER_BYTES;
    codec.deliver(at + one!, bodyBytes, 0, 1, WIRE_U64, 4, 1000);
    return deliveryOf(codec, at + two!, bodyBytes, 1, 1, WIRE_U64, 4, 1000);
  });
  assert.deepEqual(frame.slice(BATCH_HEADER_BYTES + WIRE_U64), body(2));
});

test('where a delivery stopped says nothing about what stands at its position later', () => {
  const body = (bytes: number) => new Uint8Array(bytes).fill(bytes);
  const take = (codec: Codec, sizes: number[]) => {
    codec.openSegment(0, 0, SEGMENT, 1);
    codec.openBatch(true);
    codec.setLimit(SEGMENT);
    const bytes = encode(
      sizes.map((size) => honest(1n, body(size))),
      WIRE_U64,
    );
    codec.inbox.set(bytes);
    assert.equal(codec.intake(0, bytes.length, 2, WIRE_U64, LIMIT), INTAKE_DONE);
    return codec.rows[BODY_BYTES]!;
  };
  const deliver = (codec: Codec, bodyBytes: number, first: number) =>
    deliveryOf(codec, codec.coldBytes + RECORD_HEADER_BYTES, bodyBytes, first, 1, 8, 4, 1000);
  for (const [before, after] of [
    [
      [2, 8],
      [8, 2],
    ],
    [
      [8, 2],
      [2, 8],
    ],
    [
      [4, 12],
      [12, 4],
    ],
  ]) {
    const { frame } = twins.same((codec) => {
      codec.setSequence(1);
      deliver(codec, take(codec, before!), 0);
      return deliver(codec, take(codec, after!), 1);
    });
    assert.deepEqual(frame.slice(BATCH_HEADER_BYTES + WIRE_U64), body(after![1]!));
  }
  // Where sequences begin again, as at a start, so does what is known of them.
  const { frame } = twins.same((codec) => {
    codec.setSequence(1);
    deliver(codec, take(codec, [2, 8]), 0);
    codec.setSequence(1);
    return deliver(codec, take(codec, [8, 2]), 1);
  });
  assert.deepEqual(frame.slice(BATCH_HEADER_BYTES + WIRE_U64), body(2));
});

test('a record of which only the beginning is left is delivered from where it stopped', () => {
  const sizes = [3, 9, 5, 7];
  for (let first = 0; first < 3; first++) {
    const { frame } = twins.same((codec) => {
      const whole = packBody(codec, sizes);
      const at = codec.coldBytes + RECORD_HEADER_BYTES;
      deliveryOf(codec, at, whole, 0, first, WIRE_U64, 4, 1000);
      const left = whole - MESSAGE_SIZE_BYTES - 7;
      return deliveryOf(codec, at, left, first, 1, WIRE_U64, 4, 1000);
    });
    const body = new Uint8Array(sizes[first]!).fill(first + 1);
    assert.deepEqual(frame.slice(BATCH_HEADER_BYTES + WIRE_U64), body);
  }
});

/** Writes a small log of every record type at the start of the ring; returns its size in bytes. */
function smallLog(codec: Codec, base: number): number {
  const setup = { wire: 8, offset: 0, limit: SEGMENT, proof: true, sequence: 10, base };
  prepare(codec, setup);
  codec.packControl(RECORD_START, 0, 10, 1234567890123, 0);
  codec.packControl(RECORD_COMMIT, 0, 10, 1234567890123, 1);
  codec.openBatch(false);
  const sent = [
    honest(1n, new Uint8Array(5).fill(1)),
    honest(1n, new Uint8Array(1)),
    honest(U64_MAX, new Uint8Array(16).fill(255)),
  ];
  const bytes = encode(sent, WIRE_U64);
  codec.inbox.set(bytes);
  assert.equal(codec.intake(0, bytes.length, 3, WIRE_U64, LIMIT), INTAKE_DONE);
  writeMarks(codec, [
    [3, 2, 0],
    [2 ** 40, 1, 0],
  ]);
  codec.packMarks(RECORD_SETTLED, 2);
  codec.packMarks(RECORD_RETURNED, 1);
  codec.packControl(RECORD_TRIM, 0, base, 0, 0);
  codec.packControl(RECORD_COMMIT, 2, codec.sequence(), 1234567890124, 5);
  return codec.writeAt();
}

describe('scan and seek', () => {
  const BASE = 4096;
  const size = twins.same((codec) => smallLog(codec, BASE));
  const log = twins.same((codec) => ring(codec, 0, size));
  // Scans a log that was put into a cold window at `place`.
  const scanned = (bytes: Uint8Array, position = BASE, place = 8) =>
    twins.same((codec) => {
      codec.memory.fill(0, 0, size + 4096);
      codec.memory.set(bytes, place);
      return scanOf(codec, place, bytes.length, position);
    });
  const sought = (bytes: Uint8Array, position = BASE) =>
    twins.same((codec) => {
      codec.memory.set(bytes, 16);
      const found = codec.seek(16, bytes.length, position);
      const row = found < bytes.length ? [...codec.rows.subarray(0, ROW_WORDS)] : [];
      return { found, row };
    });
  const whole = scanned(log);
  const starts = Array.from(
    { length: whole.rows.length / ROW_WORDS },
    (_, i) => whole.rows[i * ROW_WORDS + OFFSET]!,
  );

  test('a valid log, in the ring and in a window at any place', () => {
    assert.equal(whole.status, SCAN_END);
    assert.equal(whole.consumed, size);
    assert.equal(starts.length, 8);
    assert.equal(whole.rows[2 * ROW_WORDS + COUNT], 2);
    for (let place = 0; place < 24; place++) assert.deepEqual(scanned(log, BASE, place), whole);
  });

  test('every truncation', () => {
    for (let bytes = 0; bytes < size; bytes++) {
      const cut = scanned(log.subarray(0, bytes));
      assert.equal(cut.status, starts.includes(bytes) || bytes === 0 ? SCAN_END : SCAN_MORE);
      assert.equal(cut.consumed, starts.filter((start) => start <= bytes).at(-1) ?? 0);
    }
  });

  test('every single flipped bit', () => {
    const seen = new Set<number>();
    for (let bit = 0; bit < size * 8; bit++) {
      const flipped = log.slice();
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      const found = scanned(flipped);
      seen.add(found.status);
      const record = starts.filter((start) => start <= bit >>> 3).at(-1)!;
      const index = starts.indexOf(record);
      const body = whole.rows[index * ROW_WORDS + BODY_BYTES]!;
      if ((bit >>> 3) - record >= RECORD_HEADER_BYTES + body) {
        assert.equal(found.status, SCAN_END, 'padding carries nothing');
        continue;
      }
      assert.equal(found.status, SCAN_BAD, `bit ${bit}`);
      assert.equal(found.consumed, record);
      const next = sought(flipped.subarray(record)).found;
      assert.ok(next > 0 || (bit >>> 3) - record >= RECORD_HEADER_BYTES);
    }
    assert.ok(seen.has(SCAN_BAD));
  });

  test('the wrong position', () => {
    for (const off of [8, -8, 4096, 2 ** 32]) {
      assert.deepEqual(scanned(log, BASE + off).status, SCAN_BAD);
      assert.equal(sought(log, BASE + off).found, size);
    }
  });

  test('records that stand twice or elsewhere', () => {
    const records = starts.map((start, i) => log.slice(start, starts[i + 1] ?? size));
    fc.assert(
      fc.property(
        fc.array(fc.nat(records.length - 1), { minLength: 1, maxLength: 12 }),
        (order) => {
          const shuffled = new Uint8Array(Buffer.concat(order.map((i) => records[i]!)));
          const found = scanned(shuffled);
          let right = 0;
          while (right < order.length && order[right] === right) right++;
          assert.equal(found.consumed, starts[right] ?? size);
          sought(shuffled);
        },
      ),
      { seed, numRuns: 200 },
    );
  });

  test('a type this version does not know, and a body that claims 2^31 bytes and more', () => {
    const forge = (change: (view: DataView) => void) => {
      const forged = log.slice();
      const view = new DataView(forged.buffer);
      change(view);
      view.setUint32(0, crc32c(forged.subarray(4, RECORD_HEADER_BYTES)), true);
      return scanned(forged);
    };
    for (const type of [0, RECORD_TYPE_MAX + 1, 255])
      assert.equal(forge((v) => v.setUint8(RECORD_TYPE_AT, type)).status, SCAN_UNKNOWN);
    for (const bytes of [2 ** 31, 2 ** 32 - 1, 2 ** 32 - RECORD_HEADER_BYTES])
      assert.equal(forge((v) => v.setUint32(8, bytes, true)).status, SCAN_BAD);
    for (const bytes of [2 ** 31 - 1, 2 ** 20, 1000]) {
      const more = forge((v) => v.setUint32(8, bytes, true));
      assert.equal(more.status, SCAN_MORE);
      assert.equal(more.length, RECORD_HEADER_BYTES + Math.ceil(bytes / 8) * 8);
    }
    assert.equal(forge((v) => v.setBigUint64(RECORD_POSITION_AT, 8n, true)).status, SCAN_BAD);
  });

  test('seek finds the first header that holds, wherever the search begins', () => {
    for (let from = 0; from < size; from += 8) {
      const expected = starts.find((start) => start >= from) ?? size;
      const rest = log.subarray(from);
      const { found, row } = sought(rest, BASE + from);
      assert.equal(found, expected - from);
      if (expected < size) assert.equal(row[OFFSET], expected - from);
    }
    assert.equal(sought(new Uint8Array(4096)).found, 4096);
  });

  test('seek finds a header that ends with what is given, and none that is cut', () => {
    starts.forEach((start, i) => {
      const from = i === 0 ? 0 : starts[i - 1]! + 8;
      const end = start + RECORD_HEADER_BYTES;
      assert.equal(sought(log.subarray(from, end), BASE + from).found, start - from);
      for (const cut of [1, 8]) {
        const { found } = sought(log.subarray(from, end - cut), BASE + from);
        assert.equal(found, end - cut - from);
      }
    });
  });

  test('rows run out', () => {
    const records = ROWS_MAX + 3;
    const first = twins.same((codec) => {
      codec.openSegment(BASE, 0, 2 ** 20, 1);
      codec.openBatch(true);
      for (let i = 0; i < records; i++) codec.packControl(RECORD_COMMIT, 0, i, 0, 0);
      const found = scanOf(codec, codec.coldBytes, codec.writeAt(), BASE);
      return { ...found, rows: found.rows.length / ROW_WORDS, end: codec.writeAt() };
    });
    assert.equal(first.status, SCAN_ROWS);
    assert.equal(first.rows, ROWS_MAX);
    const rest = twins.same((codec) =>
      scanOf(
        codec,
        codec.coldBytes + first.consumed,
        first.end - first.consumed,
        BASE + first.consumed,
      ),
    );
    assert.equal(rest.status, SCAN_END);
    assert.equal(rest.rows.length / ROW_WORDS, 3);
  });
});

test('a record of messages says what it holds', () => {
  const bodyBytes = twins.same((codec) => packBody(codec, [3, 5]));
  assert.equal(bodyBytes, 2 * MESSAGE_SIZE_BYTES + 3 + 5);
  const row = twins.same((codec) => [...codec.rows.subarray(0, ROW_WORDS)]);
  assert.equal(row[0], RECORD_MESSAGES);
  assert.equal(row[COUNT], 2);
});
