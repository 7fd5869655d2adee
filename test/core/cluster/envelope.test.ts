// Envelopes: read as they were written, and whatever is bent about them is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  STREAM_BEAT,
  STREAM_ENVELOPE_BYTES,
  STREAM_JSON_MAX,
  STREAM_KIND_AT,
  STREAM_PART,
  STREAM_START,
  STREAM_UNUSED,
  STREAM_VERSION_AT,
} from '../../../assembly/layout-cluster.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import {
  type Fields,
  jsonOf,
  partOf,
  readEnvelope,
  writeEnvelope,
} from '../../../src/core/cluster/envelope.ts';

const LOG = 0x1122_3344_5566_7788n;
const PART: Fields = {
  kind: STREAM_PART,
  closes: true,
  logId: LOG,
  epoch: 7,
  node: 3,
  position: 2 ** 52 + 8,
  batchBytes: 100,
  offset: 60,
  jsonBytes: 0,
};

function message(fields: Fields, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(STREAM_ENVELOPE_BYTES + body.length);
  bytes.set(body, STREAM_ENVELOPE_BYTES);
  writeEnvelope(bytes, fields, body.length === 0 ? undefined : body, crc32c);
  return bytes;
}

const read = (bytes: Uint8Array) => readEnvelope(bytes, LOG, crc32c);

test('fields, JSON and part come back as they were written', () => {
  const body = new Uint8Array(40).fill(9);
  assert.deepEqual(read(message(PART, body)), { ...PART, partBytes: 40 });
  const json = new TextEncoder().encode('{"node":"a"}');
  const start = { ...PART, kind: STREAM_START, offset: 0, jsonBytes: json.length };
  const bytes = message(start, new Uint8Array([...json, ...new Uint8Array(100).fill(5)]));
  const envelope = read(bytes);
  assert.deepEqual(envelope, { ...start, partBytes: 100 });
  assert.ok(typeof envelope === 'object');
  assert.deepEqual(jsonOf(bytes, envelope), json);
  assert.deepEqual(partOf(bytes, envelope), new Uint8Array(100).fill(5));
});

test('every flipped bit and every cut is told', () => {
  const whole = message(PART, new Uint8Array(40).fill(9));
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const bent = whole.slice();
    bent[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(typeof read(bent), 'string', `bit ${bit}`);
  }
  for (let length = 0; length < whole.length; length++)
    assert.equal(typeof read(whole.subarray(0, length)), 'string', `${length} bytes`);
});

test('another log, another version and what does not fit itself are told apart', () => {
  const body = new Uint8Array(40);
  assert.equal(read(message({ ...PART, logId: 1n }, body)), 'log');
  const bad: Fields[] = [
    { ...PART, offset: 61 },
    { ...PART, kind: STREAM_START },
    { ...PART, kind: STREAM_BEAT, batchBytes: 0, offset: 0 },
    { ...PART, kind: 9 },
    { ...PART, kind: STREAM_UNUSED, batchBytes: 0, offset: 1, jsonBytes: 40 },
    { ...PART, kind: 0 },
    { ...PART, jsonBytes: 41 },
    { ...PART, position: 2 ** 60 },
  ];
  for (const fields of bad) assert.equal(read(message(fields, body)), 'kind');
  assert.equal(read(message(PART, new Uint8Array(0))), 'kind');
  const newer = message(PART, body);
  newer[STREAM_VERSION_AT]!++;
  assert.equal(read(newer), 'crc');
  // As whoever writes that version would write it.
  const view = new DataView(newer.buffer);
  view.setUint32(0, crc32c(newer.subarray(4, STREAM_ENVELOPE_BYTES)), true);
  assert.equal(read(newer), 'version');
  assert.equal(newer[STREAM_KIND_AT], 0x82);
});

test('JSON that does not fit its size is a bug', () => {
  const long = { ...PART, jsonBytes: STREAM_JSON_MAX + 1 };
  assert.throws(() => message(long, new Uint8Array(40)), /too long/);
});
