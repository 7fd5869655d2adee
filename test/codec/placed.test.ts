// Placed records, deferrals, producers and ids: packed and read back alike by the module and its
// plain twin, whole and bent; and nothing of them is believed that their header does not say.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as L from '../../assembly/layout.ts';
import * as P from '../../assembly/layout-placed.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import type { Codec } from '../../src/core/ports/codec.ts';
import {
  type Deferral,
  formOf,
  type Head,
  kindOf,
  NO_HEAD,
  readHead,
  settlesFrom,
  writeDeferral,
  writeHead,
} from '../../src/core/records/placed.ts';
import { BODY_BYTES, COUNT, ROW_WORDS, sequenceOf } from '../../src/core/records/rows.ts';
import { Random, seedOf } from '../support/random.ts';
import { deliveryOf, ring, scanOf, Twins } from '../support/twins.ts';

const twins = new Twins();
const SEGMENT = 256 * 1024;
const BASE = 7 * SEGMENT;
const FIRST = 1000; // sequence
const HEAD: Head = {
  dueMs: 1_800_000_000_123,
  expiresMs: 1_900_000_000_456,
  publishedMs: 1_700_000_000_789,
  from: 17,
  fromBucket: 2n ** 64n - 2n,
  movedMs: 1_750_000_000_321,
  turn: 2 ** 32 - 3,
  fromAttempts: 65_535,
  reason: P.REASON_REJECTED,
  fromKind: P.KIND_LIVE,
  hops: 8,
  level: P.LEVEL_MAX,
};
const DEFERRAL: Deferral = {
  sequence: 2 ** 52,
  count: 2 ** 32 - 1,
  turn: 70_000,
  dueMs: 2 ** 47,
  bucket: 2n ** 63n + 5n,
  attempts: 300,
  kind: P.KIND_DEAD,
  level: 9,
  cause: P.CAUSE_LEASE_OVER,
};

function open(codec: Codec, limit = SEGMENT): void {
  codec.setKey(0x1234);
  codec.openSegment(BASE, 0, SEGMENT, 3);
  codec.openBatch(true);
  codec.setLimit(limit);
  codec.setSequence(FIRST);
}

/** The first record of the ring: `bodies` for bucket 5. Gives the bytes of its body. */
function publish(codec: Codec, bodies: readonly Uint8Array[]): number {
  let at = 0;
  const view = new DataView(codec.inbox.buffer, codec.inbox.byteOffset);
  for (const body of bodies) {
    view.setBigUint64(at, 5n, true);
    view.setUint32(at + 8, body.length, true);
    codec.inbox.set(body, at + 12);
    at += 12 + body.length;
  }
  assert.equal(codec.intake(0, at, bodies.length, L.WIRE_U32, 2 ** 16), L.INTAKE_DONE);
  return codec.rows[BODY_BYTES]!;
}

const BODIES = [1, 16, 3, 40, 8].map((size, i) => new Uint8Array(size).fill(i + 1));

/** Body of a placed record whose messages have fields. */
function fieldedBody(head: Head, messages: readonly { fields: Uint8Array; body: Uint8Array }[]) {
  const parts: Uint8Array[] = [new Uint8Array(P.HEAD_BYTES)];
  writeHead(new DataView(parts[0]!.buffer), 0, head);
  for (const { fields, body } of messages) {
    const sizes = new Uint8Array(6);
    const view = new DataView(sizes.buffer);
    view.setUint32(0, 2 + fields.length + body.length, true);
    view.setUint16(4, fields.length, true);
    parts.push(sizes, fields, body);
  }
  return new Uint8Array(Buffer.concat(parts));
}

interface Made {
  type: number;
  count: number;
  body: Uint8Array;
  kind?: number;
  form?: number;
  sequence?: bigint;
}

/** A record with checksums that hold, whatever it says, as it would stand at BASE. */
function record({ type, count, body, kind = 0, form = 0, sequence = 1000n }: Made): Uint8Array {
  const bytes = new Uint8Array(L.RECORD_HEADER_BYTES + Math.ceil(body.length / 8) * 8);
  bytes.set(body, L.RECORD_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(L.RECORD_BODY_CRC_AT, crc32c(body), true);
  view.setUint32(L.RECORD_BODY_BYTES_AT, body.length, true);
  view.setUint8(L.RECORD_TYPE_AT, type);
  view.setUint8(L.RECORD_KIND_AT, kind);
  view.setUint8(L.RECORD_FORM_AT, form);
  view.setBigUint64(L.RECORD_POSITION_AT, BigInt(BASE), true);
  view.setBigUint64(L.RECORD_SEQUENCE_AT, sequence, true);
  view.setUint32(L.RECORD_COUNT_AT, count, true);
  const crc = crc32c(bytes.subarray(4, L.RECORD_HEADER_BYTES)) ^ 0x1234;
  view.setUint32(L.RECORD_CRC_AT, crc >>> 0, true);
  return bytes;
}

function scanned(bytes: Uint8Array) {
  return twins.same((codec) => {
    codec.setKey(0x1234);
    codec.memory.set(bytes, 0);
    return scanOf(codec, 0, bytes.length, BASE);
  });
}

describe('place', () => {
  test('every first and count of a record of messages, and again of what came of it', () => {
    for (let first = 0; first < BODIES.length; first++) {
      for (let count = 1; count <= BODIES.length - first; count++) {
        const placed = twins.same((codec) => {
          open(codec);
          const bodyBytes = publish(codec, BODIES);
          const body = codec.coldBytes + L.RECORD_HEADER_BYTES;
          writeHead(codec.marks, 0, HEAD);
          const at = codec.writeAt();
          assert.ok(codec.place(body, bodyBytes, first, count, 6, 7, 1, P.FORM_SETTLES, 4));
          assert.equal(codec.sequence(), FIRST + BODIES.length + count);
          assert.equal(sequenceOf(codec.rows, 0), FIRST + BODIES.length);
          assert.deepEqual([kindOf(codec.rows, 0), settlesFrom(codec.rows, 0)], [1, true]);
          const size = codec.rows[BODY_BYTES]!;
          const from = codec.coldBytes + at + L.RECORD_HEADER_BYTES;
          const view = new DataView(codec.memory.buffer, codec.memory.byteOffset);
          assert.deepEqual(readHead(view, from), HEAD);
          const taken = [codec.result[L.RESULT_MESSAGES]!, codec.result[L.RESULT_PAYLOAD]!];
          // The last of them once more, into the settings.
          writeHead(codec.marks, 0, NO_HEAD);
          assert.ok(codec.place(from, size, count - 1, 1, 9, 0, 2, 0, 0));
          assert.deepEqual([kindOf(codec.rows, 0), settlesFrom(codec.rows, 0)], [2, false]);
          const { status, rows } = scanOf(codec, codec.coldBytes, codec.writeAt(), BASE);
          assert.equal(status, L.SCAN_END);
          const frame = deliveryOf(codec, from, size, 0, count, L.WIRE_U32, 4, 2000).frame;
          return { taken, rows, frame, ring: ring(codec, 0, 2048) };
        });
        const sent = BODIES.slice(first, first + count);
        assert.deepEqual(placed.taken, [count, sent.reduce((sum, { length }) => sum + length, 0)]);
        const expected = sent.flatMap((body) => [body.length, 0, 0, 0, ...body]);
        assert.deepEqual([...placed.frame.subarray(4)], expected);
      }
    }
  });

  test('fields go with their messages, and are no part of what is delivered', () => {
    const messages = BODIES.map((body, i) => ({ fields: new Uint8Array(i * 5).fill(200), body }));
    const source = record({
      type: L.RECORD_PLACED,
      count: messages.length,
      form: P.FORM_FIELDS,
      body: fieldedBody(NO_HEAD, messages),
    });
    const bodyBytes = source.length - L.RECORD_HEADER_BYTES;
    const { frame, payload } = twins.same((codec) => {
      open(codec);
      codec.memory.set(source, 0);
      const whole = new DataView(source.buffer).getUint32(L.RECORD_BODY_BYTES_AT, true);
      writeHead(codec.marks, 0, HEAD);
      assert.ok(codec.place(L.RECORD_HEADER_BYTES, whole, 1, 3, 1, 0, 1, P.FORM_SETTLES, 0));
      assert.equal(formOf(codec.rows, 0), P.FORM_SETTLES | P.FORM_FIELDS);
      const size = codec.rows[BODY_BYTES]!;
      const sum = codec.result[L.RESULT_PAYLOAD]!;
      assert.equal(scanOf(codec, codec.coldBytes, codec.writeAt(), BASE).status, L.SCAN_END);
      const from = codec.coldBytes + L.RECORD_HEADER_BYTES;
      // Message by message, as when each fills a frame.
      const frames = [0, 1, 2].map((i) =>
        deliveryOf(codec, from, size, i, 1, L.WIRE_U64, 4, 2000).frame.subarray(12),
      );
      return { frame: new Uint8Array(Buffer.concat(frames)), payload: sum };
    });
    assert.ok(bodyBytes > 0);
    assert.deepEqual(
      [...frame],
      BODIES.slice(1, 4).flatMap((body) => [...body]),
    );
    assert.equal(payload, frame.length);
  });

  test('from the ring, where the write cursor is about to come by', () => {
    for (let offset = 0; offset <= 2 * L.RECORD_HEADER_BYTES + P.HEAD_BYTES; offset += 8) {
      const { rows, frame } = twins.same((codec) => {
        codec.setKey(0x1234);
        codec.openSegment(BASE - SEGMENT, offset, SEGMENT, 3);
        codec.openBatch(true);
        codec.setLimit(SEGMENT);
        const bodyBytes = publish(codec, BODIES);
        open(codec);
        codec.setSequence(2 * FIRST + 8 * offset); // one that no record has had
        writeHead(codec.marks, 0, HEAD);
        const body = codec.coldBytes + offset + L.RECORD_HEADER_BYTES;
        assert.ok(codec.place(body, bodyBytes, 0, BODIES.length, 6, 7, 1, 0, 4));
        const size = codec.rows[BODY_BYTES]!;
        const from = codec.coldBytes + L.RECORD_HEADER_BYTES;
        const view = new DataView(codec.memory.buffer, codec.memory.byteOffset);
        assert.deepEqual(readHead(view, from), HEAD);
        const { rows } = scanOf(codec, codec.coldBytes, codec.writeAt(), BASE);
        const { frame } = deliveryOf(codec, from, size, 0, BODIES.length, L.WIRE_U32, 4, 2000);
        return { rows, frame };
      });
      assert.equal(rows.length, ROW_WORDS, `${offset}`);
      const expected = BODIES.flatMap((body) => [body.length, 0, 0, 0, ...body]);
      assert.deepEqual([...frame.subarray(4)], expected, `${offset}`);
    }
  });

  test('nothing is written where it does not fit before the limit', () => {
    const needed = L.RECORD_HEADER_BYTES + P.HEAD_BYTES + 24;
    for (const room of [needed - 8, needed]) {
      const before = twins.same((codec) => {
        open(codec);
        const bodyBytes = publish(codec, [BODIES[1]!]);
        const at = codec.writeAt();
        codec.setLimit(at + room);
        writeHead(codec.marks, 0, HEAD);
        const body = codec.coldBytes + L.RECORD_HEADER_BYTES;
        const is = codec.place(body, bodyBytes, 0, 1, 0, 0, 0, 0, 0);
        return { is, moved: codec.writeAt() - at, taken: codec.sequence() - FIRST - 1 };
      });
      if (room < needed) assert.deepEqual(before, { is: false, moved: 0, taken: 0 });
      else assert.deepEqual(before, { is: true, moved: needed, taken: 1 });
    }
  });

  test('what would break an invariant stops', () => {
    const prepared = (codec: Codec) => {
      open(codec);
      writeHead(codec.marks, 0, NO_HEAD);
      return publish(codec, BODIES);
    };
    const at = (codec: Codec) => codec.coldBytes + L.RECORD_HEADER_BYTES;
    twins.trap((codec) => codec.place(at(codec), prepared(codec), 0, 0, 0, 0, 0, 0, 0));
    twins.trap((codec) => codec.place(at(codec), prepared(codec), 0, 6, 0, 0, 0, 0, 0));
    twins.trap((codec) => codec.place(at(codec), prepared(codec), 5, 1, 0, 0, 0, 0, 0));
    twins.trap((codec) => codec.place(at(codec), prepared(codec), 0, 1, 0, 0, 3, 0, 0));
    twins.trap((codec) => codec.place(at(codec), prepared(codec), 0, 1, 0, 0, 0, 1, 0));
  });
});

test('deferrals, producers and ids: as many as the area holds, and one more stops', () => {
  const sizes = [
    [L.RECORD_DEFERRED, P.DEFERRAL_BYTES, P.DEFERRALS_MAX],
    [L.RECORD_PRODUCERS, P.PRODUCER_BYTES, P.PRODUCERS_MAX],
    [L.RECORD_IDS, P.ID_BYTES, L.MARKS_MAX],
  ] as const;
  for (const [type, bytes, most] of sizes) {
    const begin = (codec: Codec) => {
      codec.setKey(0x1234);
      codec.openSegment(BASE, 0, 1.5 * 2 ** 20, 3);
      codec.openBatch(true);
      new Uint8Array(codec.marks.buffer, codec.marks.byteOffset, codec.marks.byteLength).fill(0);
    };
    const packed = twins.same((codec) => {
      begin(codec);
      for (let i = 0; type === L.RECORD_DEFERRED && i < most; i++)
        writeDeferral(codec.marks, i, DEFERRAL);
      codec.packMarks(type, most, type === L.RECORD_IDS ? 1_700_000_000_000 : 0, 3, 4);
      const found = scanOf(codec, codec.coldBytes, codec.writeAt(), BASE);
      return { ...found, sequence: sequenceOf(codec.rows, 0) };
    });
    assert.equal(packed.status, L.SCAN_END);
    assert.equal(packed.consumed, L.RECORD_HEADER_BYTES + most * bytes);
    assert.equal(packed.rows[COUNT], most);
    assert.equal(packed.sequence, type === L.RECORD_IDS ? 1_700_000_000_000 : 0);
    twins.trap((codec) => {
      begin(codec);
      codec.packMarks(type, most + 1);
    });
  }
});

describe('what is no valid record', () => {
  const message = { fields: new Uint8Array(3), body: new Uint8Array(4) };
  const placed = (head: Partial<Head> = {}, more: Partial<Made> = {}): Made => ({
    type: L.RECORD_PLACED,
    count: 1,
    form: P.FORM_FIELDS | P.FORM_SETTLES,
    body: fieldedBody({ ...HEAD, ...head }, [message]),
    ...more,
  });
  const deferred = (mark: Partial<Deferral> = {}, more: Partial<Made> = {}): Made => {
    const view = new DataView(new ArrayBuffer(P.DEFERRAL_BYTES));
    writeDeferral(view, 0, { ...DEFERRAL, ...mark });
    return { type: L.RECORD_DEFERRED, count: 1, body: new Uint8Array(view.buffer), ...more };
  };
  const bent = (made: Made, at: number, value: number): Made => {
    const body = made.body.slice();
    body[at] = value;
    return { ...made, body };
  };
  const holds = (made: Made) => scanned(record(made)).status === L.SCAN_END;

  test('kind, form, zeros and bounds', () => {
    assert.ok(holds(placed()));
    assert.ok(holds(deferred()));
    assert.ok(holds({ type: L.RECORD_PRODUCERS, count: 1, body: new Uint8Array(32) }));
    assert.ok(holds({ type: L.RECORD_IDS, count: 2, body: new Uint8Array(32) }));
    const bad: [string, Made][] = [
      ['kind', placed({}, { kind: 3 })],
      ['form', placed({}, { form: 4 })],
      ['no message', placed({}, { count: 0 })],
      ['more messages', placed({}, { count: 2 })],
      ['bytes behind the last', { ...placed(), body: new Uint8Array([...placed().body, 0]) }],
      ['no head', placed({}, { body: new Uint8Array(P.HEAD_BYTES - 1) })],
      ['settles nothing', placed({ from: 0 })],
      ['settles itself', placed({ from: 1000 })],
      ['settles what follows', placed({ from: 2 ** 52 })],
      ['reason', placed({ reason: P.REASON_MAX + 1 })],
      ['kind it came from', placed({ fromKind: 3 })],
      ['level', placed({ level: P.LEVEL_MAX + 1 })],
      ['due', bent(placed(), P.HEAD_DUE_AT + 6, 1)],
      ['expires', bent(placed(), P.HEAD_EXPIRES_AT + 7, 1)],
      ['published', bent(placed(), P.HEAD_PUBLISHED_AT + 6, 1)],
      ['moved', bent(placed(), P.HEAD_MOVED_AT + 6, 1)],
      ['from', bent(placed({}, { form: P.FORM_FIELDS }), P.HEAD_FROM_AT + 6, 0x20)],
      ['fields beyond the message', bent(placed(), P.HEAD_BYTES + 4, 200)],
      ['a message beyond the body', bent(placed(), P.HEAD_BYTES, 200)],
      ['deferral of a kind', deferred({ kind: 3 })],
      ['deferral of a level', deferred({ level: P.LEVEL_MAX + 1 })],
      ['deferral of a cause', deferred({ cause: P.CAUSE_MAX + 1 })],
      ['deferral of nothing', deferred({ count: 0 })],
      ['deferral due', bent(deferred(), P.DEFERRAL_DUE_AT + 6, 1)],
      ['deferral beyond 2^53', bent(deferred(), P.DEFERRAL_SEQUENCE_AT + 6, 0x20)],
      ['deferrals of another size', deferred({}, { count: 2 })],
      ['deferral with a kind in its header', deferred({}, { kind: 1 })],
      ['deferral with a form', deferred({}, { form: 1 })],
      [
        'producers of another size',
        { type: L.RECORD_PRODUCERS, count: 2, body: new Uint8Array(32) },
      ],
      ['ids of another size', { type: L.RECORD_IDS, count: 1, body: new Uint8Array(32) }],
      ['no ids', { type: L.RECORD_IDS, count: 0, body: new Uint8Array(0) }],
      [
        'ids of no time',
        { type: L.RECORD_IDS, count: 1, body: new Uint8Array(16), sequence: 1n << 48n },
      ],
    ];
    for (let i = P.HEAD_ZERO_AT; i < P.HEAD_BYTES; i++) bad.push(['zero', bent(placed(), i, 1)]);
    for (let i = P.DEFERRAL_ZERO_AT; i < P.DEFERRAL_BYTES; i++)
      bad.push(['zero of a deferral', bent(deferred(), i, 1)]);
    for (const [name, made] of bad) assert.equal(scanned(record(made)).status, L.SCAN_BAD, name);
  });

  test('a type behind the last is unknown', () => {
    const made = { type: L.RECORD_TYPE_MAX + 1, count: 1, body: new Uint8Array(16) };
    assert.equal(scanned(record(made)).status, L.SCAN_UNKNOWN);
  });

  test('bodies of random bytes, and sound ones with some changed, with checksums that hold', () => {
    const random = new Random(seedOf('codec/placed.test'));
    let sound = 0;
    for (let i = 0; i < 6000; i++) {
      const type = L.RECORD_PLACED + random.below(4);
      const made: Made = random.below(2) === 0 ? placed() : deferred();
      if (random.below(3) === 0) made.body = new Uint8Array(random.below(200));
      else made.body = made.body.slice();
      const times = random.below(3);
      for (let j = 0; j < times && made.body.length > 0; j++)
        made.body[random.below(made.body.length)] = random.below(4) * 85;
      if (random.below(2) === 0) made.type = type;
      made.count = 1 + random.below(random.below(4) === 0 ? 5 : 1);
      made.form = random.below(5);
      made.kind = random.below(4);
      if (random.below(2) === 0) made.form = made.type === L.RECORD_PLACED ? 3 : 0;
      if (random.below(2) === 0) made.kind = 0;
      if (scanned(record(made)).status === L.SCAN_END) sound++;
    }
    assert.ok(sound > 100, `only ${sound} were sound`);
  });
});
