// The wire in plain TypeScript: both dialects, every split, every truncation, every boundary.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  BATCH_MESSAGES_MAX,
  CONSUMER_HEADER_BYTES,
  MESSAGE_BYTES_CEILING,
} from '../../assembly/layout.ts';
import {
  BatchDecoder,
  BatchWriter,
  DeliveryDecoder,
  decodeAcks,
  decodeConsumerHeader,
  encodeAcks,
  encodeBatch,
  encodeConsumerHeader,
  encodeDelivery,
  encodeGoodbye,
  encodeHeartbeat,
  lengthBytes,
  messageBytes,
  parseU64,
  U64_MAX,
  type Wire,
  WireError,
  type WireMessage,
} from '../../src/codec/wire.ts';

const WIRES: readonly Wire[] = ['u64', 'u32'];
const seed = Number(process.env.THRUSTMQ_TEST_SEED ?? Date.now() % 2_147_483_647);
console.log(`wire.test seed ${seed} (THRUSTMQ_TEST_SEED=${seed} repeats it)`);

const bytes = (...values: number[]) => Uint8Array.from(values);
const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');
const text = (body: string) => new TextEncoder().encode(body);
const bodiesOf = (frame: { count: number; body(index: number): Uint8Array }) =>
  Array.from({ length: frame.count }, (_, index) => Uint8Array.from(frame.body(index)));
const plain = (messages: readonly WireMessage[]) =>
  messages.map(({ bucket, body }) => `${bucket}:${hex(body)}`);

/** A frame head whose message claims `length`. */
function claim(wire: Wire, prefix: number, length: bigint): Uint8Array {
  const head = new Uint8Array(4 + prefix + lengthBytes(wire));
  const view = new DataView(head.buffer);
  view.setUint32(0, 1, true);
  if (wire === 'u64') view.setBigUint64(4 + prefix, length, true);
  else view.setUint32(4 + prefix, Number(length), true);
  return head;
}

describe('exact bytes', () => {
  const message = { bucket: 0x0102030405060708n, body: text('ab') };
  test('a batch in dialect u64', () => {
    const expected = '01000000' + '0807060504030201' + '0200000000000000' + '6162';
    assert.equal(hex(encodeBatch([message], 'u64')), expected);
  });
  test('a batch in dialect u32', () => {
    const expected = '01000000' + '0807060504030201' + '02000000' + '6162';
    assert.equal(hex(encodeBatch([message], 'u32')), expected);
  });
  test('goodbye, consumer header, heartbeats, acks', () => {
    assert.equal(hex(encodeGoodbye()), '00000000');
    const header = { consumerId: 777n, bucket: U64_MAX, batchSize: 65536 };
    assert.equal(hex(encodeConsumerHeader(header)), '0903000000000000ffffffffffffffff00000100');
    assert.equal(hex(encodeHeartbeat('u64')), '010000000000000000000000');
    assert.equal(hex(encodeHeartbeat('u32')), '0100000000000000');
    assert.equal(hex(encodeAcks([true, false, true])), '010001');
  });
});

describe('ids', () => {
  test('accepts bigint, safe integer and decimal string up to 2^64-1', () => {
    const edges = [0n, 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n, U64_MAX];
    for (const value of edges) {
      assert.equal(parseU64(value), value);
      assert.equal(parseU64(String(value)), value);
    }
    assert.equal(parseU64(Number.MAX_SAFE_INTEGER), BigInt(Number.MAX_SAFE_INTEGER));
    assert.equal(parseU64('0007'), 7n);
  });
  for (const value of [-1n, U64_MAX + 1n, -1, 1.5, 2 ** 53, Number.NaN, '18446744073709551616'])
    test(`refuses ${typeof value} ${value}`, () =>
      assert.throws(() => parseU64(value), RangeError));
  for (const value of ['', ' 1', '-1', '0x10', '1e3', '1_000', 'queue', '0'.repeat(21)])
    test(`refuses string "${value}"`, () => assert.throws(() => parseU64(value), TypeError));
  test('refuses other types and names what was wrong', () => {
    assert.throws(() => parseU64(undefined as never), /bucket must be .*not undefined/);
    assert.throws(() => parseU64(2 ** 60, 'consumerId'), /consumerId .*bigint or a decimal string/);
  });
});

describe('consumer header', () => {
  test('round trip at the edges', () => {
    for (const batchSize of [1, 2, BATCH_MESSAGES_MAX])
      for (const id of [0n, 2n ** 63n, U64_MAX]) {
        const header = { consumerId: id, bucket: U64_MAX - id, batchSize };
        assert.deepEqual(decodeConsumerHeader(encodeConsumerHeader(header)), header);
      }
  });
  test('every truncation waits for more', () => {
    const whole = encodeConsumerHeader({ consumerId: 1n, bucket: 2n, batchSize: 3 });
    for (let size = 0; size < CONSUMER_HEADER_BYTES; size++)
      assert.equal(decodeConsumerHeader(whole.subarray(0, size)), undefined);
  });
  test('refuses batch sizes outside 1 … 65,536 both ways', () => {
    for (const batchSize of [0, BATCH_MESSAGES_MAX + 1, 1.5])
      assert.throws(
        () => encodeConsumerHeader({ consumerId: 1n, bucket: 1n, batchSize }),
        RangeError,
      );
    const raw = encodeConsumerHeader({ consumerId: 1n, bucket: 1n, batchSize: 1 });
    for (const batchSize of [0, BATCH_MESSAGES_MAX + 1, 0xffff_ffff]) {
      new DataView(raw.buffer).setUint32(16, batchSize, true);
      assert.throws(() => decodeConsumerHeader(raw), WireError);
    }
  });
});

describe('acks', () => {
  test('round trip, and no other byte', () => {
    assert.deepEqual(decodeAcks(encodeAcks([true, false])), [true, false]);
    assert.throws(() => decodeAcks(bytes(1, 2)), WireError);
  });
});

for (const wire of WIRES) {
  describe(`frames, wire ${wire}`, () => {
    const messages = [
      { bucket: 1n, body: text('a') },
      { bucket: U64_MAX, body: text('') },
      { bucket: 2n ** 63n, body: text('0123456789') },
    ];
    const batch = encodeBatch(messages, wire);
    const delivery = encodeDelivery(
      messages.map(({ body }) => body),
      wire,
    );

    test('every split of two batches and a goodbye', () => {
      const stream = Buffer.concat([batch, batch, encodeGoodbye()]);
      const expected = [plain(messages), plain(messages), []];
      for (let first = 0; first <= stream.length; first++)
        for (let second = first; second <= stream.length; second++) {
          const decoder = new BatchDecoder(wire);
          const seen = [
            ...decoder.push(stream.subarray(0, first)),
            ...decoder.push(stream.subarray(first, second)),
            ...decoder.push(stream.subarray(second)),
          ];
          assert.deepEqual(seen.map(plain), expected, `split at ${first}, ${second}`);
          assert.equal(decoder.pendingBytes, 0);
        }
    });

    test('every split of a delivery, a heartbeat and a delivery', () => {
      const stream = Buffer.concat([delivery, encodeHeartbeat(wire), delivery]);
      for (let first = 0; first <= stream.length; first++)
        for (let second = first; second <= stream.length; second++) {
          const decoder = new DeliveryDecoder(wire);
          const frames = [
            ...decoder.push(stream.subarray(0, first)),
            ...decoder.push(stream.subarray(first, second)),
            ...decoder.push(stream.subarray(second)),
          ];
          assert.deepEqual(
            frames.map((frame) => frame.isHeartbeat),
            [false, true, false],
          );
          assert.deepEqual(
            frames.map(bodiesOf)[0],
            messages.map(({ body }) => body),
          );
          assert.deepEqual(
            frames.map(bodiesOf)[2],
            messages.map(({ body }) => body),
          );
        }
    });

    test('byte by byte', () => {
      const decoder = new DeliveryDecoder(wire);
      const seen = Array.from(delivery, (byte) => decoder.push(bytes(byte))).flat();
      assert.deepEqual(seen.map(bodiesOf), [messages.map(({ body }) => body)]);
    });

    test('a frame that comes in pieces, larger than what is kept for one at first', () => {
      const bodies = [1, 2, 3].map((n) => Uint8Array.from({ length: 9001 * n }, (_, i) => i * n));
      const large = encodeDelivery(bodies, wire);
      for (const size of [1000, 4096, 4097, 30_000]) {
        const decoder = new DeliveryDecoder(wire);
        const frames = [];
        for (let at = 0; at < large.length; at += size) {
          frames.push(...decoder.push(large.subarray(at, at + size)));
          const pending = at + size < large.length ? at + size : 0;
          assert.equal(decoder.pendingBytes, pending);
        }
        assert.deepEqual(frames.map(bodiesOf), [bodies], `pieces of ${size}`);
      }
    });

    test('every truncation yields nothing and is counted as pending', () => {
      for (let size = 0; size < batch.length; size++) {
        const decoder = new BatchDecoder(wire);
        assert.deepEqual(decoder.push(batch.subarray(0, size)), []);
        assert.equal(decoder.pendingBytes, size);
      }
      for (let size = 0; size < delivery.length; size++) {
        const decoder = new DeliveryDecoder(wire);
        assert.deepEqual(decoder.push(delivery.subarray(0, size)), []);
        assert.equal(decoder.pendingBytes, size);
      }
    });

    test('a body at the limit passes, one above is refused before it arrives', () => {
      const limits = { messageBytesMax: 10 };
      assert.equal(new BatchDecoder(wire, limits).push(batch).length, 1);
      const large = encodeBatch([{ bucket: 1n, body: text('0123456789a') }], wire);
      const head = large.subarray(0, 4 + messageBytes(0, wire));
      assert.throws(() => new BatchDecoder(wire, limits).push(head), /11 bytes; at most 10/);
    });

    test('lengths beyond the ceiling are refused by their head alone', () => {
      const over = [BigInt(MESSAGE_BYTES_CEILING) + 1n, 2n ** 32n - 1n];
      if (wire === 'u64') over.push(2n ** 32n, 2n ** 32n + 5n, 2n ** 63n, U64_MAX);
      for (const length of over) {
        const expected = new RegExp(`message of ${length} bytes`);
        assert.throws(() => new DeliveryDecoder(wire).push(claim(wire, 0, length)), expected);
        assert.throws(() => new BatchDecoder(wire).push(claim(wire, 8, length)), expected);
      }
      const most = claim(wire, 0, BigInt(MESSAGE_BYTES_CEILING));
      assert.deepEqual(new DeliveryDecoder(wire).push(most), []);
    });

    test('counts: 0 is no delivery, the limit passes, one more does not', () => {
      assert.throws(() => new DeliveryDecoder(wire).push(bytes(0, 0, 0, 0)), /0 messages/);
      const two = encodeDelivery([text('a'), text('b')], wire);
      assert.equal(new DeliveryDecoder(wire, { batchMessagesMax: 2 }).push(two).length, 1);
      const strict = new DeliveryDecoder(wire, { batchMessagesMax: 1 });
      assert.throws(() => strict.push(two.subarray(0, 4)), WireError);
      assert.throws(() => new BatchDecoder(wire).push(bytes(1, 0, 1, 0)), WireError); // 65,537
      assert.deepEqual(new BatchDecoder(wire).push(bytes(0, 0, 1, 0)), []); // 65,536
      assert.throws(() => new BatchDecoder(wire).push(text('GET / HTTP/1.1\r\n')), WireError);
    });

    test('a frame at the byte limit passes, one byte more does not', () => {
      const limits = { batchBytesMax: delivery.length };
      assert.equal(new DeliveryDecoder(wire, limits).push(delivery).length, 1);
      const strict = new DeliveryDecoder(wire, { batchBytesMax: delivery.length - 1 });
      assert.throws(() => strict.push(delivery), WireError);
    });

    test('encoders refuse batches of 0 and of 65,537, take 65,536', () => {
      const one = { bucket: 1n, body: text('x') };
      assert.throws(() => encodeBatch([], wire), RangeError);
      assert.throws(() => encodeDelivery([], wire), RangeError);
      const most = new Array(BATCH_MESSAGES_MAX).fill(one);
      const [decoded] = new BatchDecoder(wire).push(encodeBatch(most, wire));
      assert.equal(decoded.length, BATCH_MESSAGES_MAX);
      assert.throws(() => encodeBatch([...most, one], wire), RangeError);
      assert.throws(
        () => encodeBatch([{ bucket: U64_MAX + 1n, body: one.body }], wire),
        RangeError,
      );
      assert.throws(() => new BatchWriter(new Uint8Array(4), 0, wire), RangeError);
    });

    test('bodies above 64 MiB cannot be encoded', () => {
      const body = new Uint8Array(MESSAGE_BYTES_CEILING + 1);
      assert.throws(() => encodeBatch([{ bucket: 1n, body }], wire), RangeError);
      assert.throws(() => encodeDelivery([body], wire), RangeError);
    });

    test('a batch writer that is given too little room fails instead of cutting', () => {
      const writer = new BatchWriter(new Uint8Array(batch.length - 1), 3, wire);
      assert.throws(() => {
        for (const { bucket, body } of messages) writer.add(bucket, body);
      }, RangeError);
    });

    test('frames handed out keep their bytes while the decoder goes on', () => {
      const decoder = new DeliveryDecoder(wire);
      const stream = Buffer.concat([delivery, delivery, delivery]);
      const frames = [];
      for (let at = 0; at < stream.length; at += 7)
        frames.push(...decoder.push(stream.subarray(at, at + 7)));
      for (const frame of frames)
        assert.deepEqual(
          bodiesOf(frame),
          messages.map(({ body }) => body),
        );
      assert.equal(frames.length, 3);
    });

    test('producer bodies are copies of the chunk', () => {
      const chunk = Buffer.from(batch);
      const [decoded] = new BatchDecoder(wire).push(chunk);
      chunk.fill(0xff);
      assert.deepEqual(plain(decoded), plain(messages));
    });

    test('property: any messages, any chunking', () => {
      const message = fc.record({
        bucket: fc.bigInt({ min: 0n, max: U64_MAX }),
        body: fc.uint8Array({ maxLength: 300 }),
      });
      const batches = fc.array(fc.array(message, { minLength: 1, maxLength: 20 }), {
        maxLength: 5,
      });
      const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 50 });
      const property = fc.property(batches, cuts, (all, sizes) => {
        const published = Buffer.concat(all.map((one) => encodeBatch(one, wire)));
        const delivered = Buffer.concat(
          all.map((one) =>
            encodeDelivery(
              one.map(({ body }) => body),
              wire,
            ),
          ),
        );
        const intake = new BatchDecoder(wire);
        const exhaust = new DeliveryDecoder(wire);
        const seen: WireMessage[][] = [];
        const bodies: Uint8Array[][] = [];
        const longest = Math.max(published.length, delivered.length);
        for (let at = 0, turn = 0; at < longest; turn++) {
          const size = sizes[turn % sizes.length];
          seen.push(...intake.push(published.subarray(at, at + size)));
          bodies.push(...exhaust.push(delivered.subarray(at, at + size)).map(bodiesOf));
          at += size;
        }
        assert.deepEqual(seen.map(plain), all.map(plain));
        assert.deepEqual(
          bodies.map((one) => one.map(hex)),
          all.map((one) => one.map(({ body }) => hex(body))),
        );
      });
      fc.assert(property, { seed, numRuns: 300 });
    });

    test('property: noise never yields a frame beyond the limits', () => {
      const limits = { batchMessagesMax: 4, messageBytesMax: 64, batchBytesMax: 128 };
      const property = fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 64 }), { maxLength: 20 }),
        fc.array(fc.nat(4), { maxLength: 20 }),
        (chunks, counts) => {
          const decoder = new DeliveryDecoder(wire, limits);
          try {
            chunks.forEach((chunk, turn) => {
              const start = bytes(counts[turn % (counts.length || 1)] ?? 1, 0, 0, 0);
              for (const part of [start, chunk])
                for (const frame of decoder.push(part)) {
                  assert.ok(frame.count <= 4 && frame.bytes.length <= 128);
                  for (const body of bodiesOf(frame)) assert.ok(body.length <= 64);
                }
              assert.ok(decoder.pendingBytes < 128);
            });
          } catch (error) {
            if (!(error instanceof WireError)) throw error;
          }
        },
      );
      fc.assert(property, { seed, numRuns: 500 });
    });
  });
}
