// The segment header against bytes written down by hand, and against every flipped bit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  SEGMENT_CRC_AT,
  SEGMENT_DATA_AT,
  SEGMENT_HEADER_BYTES,
  SEGMENT_VERSION_AT,
} from '../../../assembly/layout.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { LogError } from '../../../src/log/files/errors.ts';
import {
  baseOf,
  decodeHeader,
  encodeHeader,
  endOf,
  headerMatches,
  isSpare,
  numberIn,
  segmentName,
  spareName,
} from '../../../src/log/segments/segment.ts';

const HEADER = {
  base: 67108864,
  bytes: 67108864,
  start: 4096,
  logId: 0x1122334455667788n,
  timeMs: 1_700_000_000_000,
  epoch: 3,
};

const GOLDEN_PARTS = [
  '5468727573744d51', // "ThrustMQ"
  '01000000', // version 1
  '00000004', // 64 MiB
  '0000000400000000', // base
  '0010000000000000', // start
  '8877665544332211', // log id
  '0068e5cf8b010000', // time
  '03000000', // epoch
  '0000000000000000',
];
const GOLDEN = GOLDEN_PARTS.join('');

const COMPACTED = { ...HEADER, bytes: 8192, end: 3 * 67108864 };

const GOLDEN_COMPACTED = [
  '5468727573744d51', // "ThrustMQ"
  '02000000', // version 2
  '00200000', // 8 KiB
  ...GOLDEN_PARTS.slice(3, -1),
  '0000000c00000000', // end
].join('');

function code(bytes: Uint8Array): string {
  try {
    decodeHeader(bytes, 'x.log');
    return 'holds';
  } catch (error) {
    assert.ok(error instanceof LogError);
    assert.match(error.message, /x\.log/);
    return error.code;
  }
}

test('a header is the bytes that the table says', () => {
  const bytes = encodeHeader(HEADER);
  assert.equal(bytes.length, SEGMENT_DATA_AT);
  assert.equal(Buffer.from(bytes.subarray(0, SEGMENT_CRC_AT)).toString('hex'), GOLDEN);
  const crc = new DataView(bytes.buffer).getUint32(SEGMENT_CRC_AT, true);
  assert.equal(crc, crc32c(Buffer.from(GOLDEN, 'hex')));
  assert.ok(bytes.subarray(SEGMENT_HEADER_BYTES).every((byte) => byte === 0));
  assert.deepEqual(decodeHeader(bytes.subarray(0, SEGMENT_HEADER_BYTES), 'x.log'), HEADER);
});

test('a compacted one says where the next segment begins', () => {
  const bytes = encodeHeader(COMPACTED);
  assert.equal(Buffer.from(bytes.subarray(0, SEGMENT_CRC_AT)).toString('hex'), GOLDEN_COMPACTED);
  assert.deepEqual(decodeHeader(bytes, 'x.log'), COMPACTED);
  assert.equal(endOf(COMPACTED), 3 * 67108864);
  assert.equal(endOf(HEADER), 2 * 67108864);
  const { base } = HEADER;
  assert.equal(code(encodeHeader({ ...COMPACTED, end: base + 8192 })), 'holds');
  assert.equal(code(encodeHeader({ ...COMPACTED, end: base + 8191 })), 'damaged');
});

test('no flipped bit of a header goes unnoticed', () => {
  for (const header of [HEADER, COMPACTED]) {
    const bytes = encodeHeader(header).subarray(0, SEGMENT_HEADER_BYTES);
    for (let bit = 0; bit < SEGMENT_HEADER_BYTES * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      // A version that is known, but not what was written, is a flipped bit.
      const inVersion =
        bit >> 3 === SEGMENT_VERSION_AT && ![1, 2, 3].includes(bytes[SEGMENT_VERSION_AT]!);
      assert.equal(code(bytes), inVersion ? 'version' : 'damaged', `bit ${bit}`);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
    assert.equal(code(bytes), 'holds');
  }
});

test('a header of another version is told apart from damage', () => {
  const bytes = encodeHeader(HEADER);
  const view = new DataView(bytes.buffer);
  for (const version of [0, 4, 255, 70_000]) {
    view.setUint32(SEGMENT_VERSION_AT, version, true);
    view.setUint32(SEGMENT_CRC_AT, crc32c(bytes.subarray(0, SEGMENT_CRC_AT)), true);
    assert.equal(code(bytes), 'version', `version ${version}`);
  }
  // A later version may keep its checksum elsewhere; its number alone must do.
  view.setUint32(SEGMENT_VERSION_AT, 4, true);
  view.setUint32(SEGMENT_CRC_AT, 0, true);
  assert.equal(code(bytes), 'version');
});

test('what is too short or something else is no header', () => {
  const bytes = encodeHeader(HEADER);
  for (let length = 0; length < SEGMENT_HEADER_BYTES; length++)
    assert.equal(code(bytes.slice(0, length)), 'damaged', `${length} bytes`);
  // Whoever asks only for the checksum may have a file that has just become shorter.
  for (let length = 0; length <= SEGMENT_HEADER_BYTES; length++)
    assert.equal(headerMatches(bytes.slice(0, length)), length === SEGMENT_HEADER_BYTES);
  assert.equal(code(new Uint8Array(4096)), 'damaged');
});

test('names are positions, in an order that sorts', () => {
  assert.equal(segmentName(0), '00000000000000000000.log');
  assert.equal(segmentName(67108864), '00000000000067108864.log');
  for (const base of [0, 4096, 2 ** 40, Number.MAX_SAFE_INTEGER])
    assert.equal(baseOf(segmentName(base)), base);
  for (const name of [
    '0.log',
    'next.tmp',
    '00000000000000000000.log~',
    'x00000000000000000000.log',
  ])
    assert.equal(baseOf(name), undefined, name);
});

test('files held ready are told by their names, and numbered by them', () => {
  for (const number of [0, 7, 67108864]) {
    assert.ok(isSpare(spareName(number)));
    assert.equal(numberIn(spareName(number)), number);
  }
  for (const name of ['fill-1.tmp', 'spare-.tmp', 'spare-1.tmp~', 'xspare-1.tmp', 'next.tmp']) {
    assert.ok(!isSpare(name));
    assert.equal(numberIn(name), Number.NaN, name);
  }
});
