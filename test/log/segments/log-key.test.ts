// The key of a log whose headers do not hold: told by records that stand where they say, never by
// bytes that only look like one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RECORD_CRC_AT,
  RECORD_HEADER_BYTES,
  RECORD_KIND_AT,
  RECORD_POSITION_AT,
  SEGMENT_HEADER_BYTES,
  SEGMENT_LOG_ID_AT,
} from '../../../assembly/layout.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { open } from '../../../src/log/files/promises.ts';
import { type FoundKey, findKey } from '../../../src/log/segments/log-key.ts';
import { keyOf, segmentName } from '../../../src/log/segments/segment.ts';
import { buildSegment, filesOf, LOG_ID } from '../harness.ts';

const KEY = keyOf(LOG_ID);
const OTHER = 0x0badc0de;
const CHUNK_BYTES = 1024 * 1024;

/** What the records of this file say. */
async function keyIn(image: Uint8Array, base: number): Promise<FoundKey | undefined> {
  const name = segmentName(base);
  const files = filesOf({ name, base, image, offsets: [], sequence: 1 });
  const { handle, bytes } = await open(files, name);
  return findKey(files, [{ name, base, bytes, handle, key: 0 }]);
}

interface Bent {
  key?: number;
  position?: bigint;
  zero?: number;
}

/** Puts a header of a record at an offset, with a checksum that fits. */
function put(image: Uint8Array, base: number, offset: number, bent: Bent = {}): void {
  const head = image.subarray(offset, offset + RECORD_HEADER_BYTES);
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  view.setBigUint64(RECORD_POSITION_AT, bent.position ?? BigInt(base + offset), true);
  view.setUint16(RECORD_KIND_AT, bent.zero ?? 0, true);
  const crc = crc32c(head.subarray(RECORD_CRC_AT + 4));
  view.setUint32(RECORD_CRC_AT, (crc ^ (bent.key ?? OTHER)) >>> 0, true);
}

test('three records that agree tell the key, two do not; one is enough where a header spells it', async () => {
  const base = 5 * 2 ** 32 + 64 * 1024;
  const image = new Uint8Array(64 * 1024);
  for (const offset of [4096, 8192]) put(image, base, offset);
  put(image, base, 9000, { key: OTHER + 1 });
  assert.equal(await keyIn(image, base), undefined);
  put(image, base, 12_000);
  assert.deepEqual(await keyIn(image, base), { key: OTHER, logId: undefined });
  const built = buildSegment({ base }, [{}]);
  built.image[0]! ^= 1; // the header does not hold, its log id is there
  assert.deepEqual(await keyIn(built.image, base), { key: KEY, logId: LOG_ID });
});

test('a header of another place, or with something where zeros belong, has no vote', async () => {
  const base = 5 * 2 ** 32 + 64 * 1024;
  const image = new Uint8Array(64 * 1024);
  for (const offset of [4096, 8192]) put(image, base, offset);
  // The low half of the position alone is that of a record 4 GiB away.
  for (const offset of [10_000, 12_000, 14_000])
    put(image, base, offset, { position: BigInt(base + offset) - 2n ** 32n });
  for (const offset of [20_000, 22_000, 24_000]) put(image, base, offset, { zero: 0x0400 });
  for (const offset of [30_004, 32_004, 34_004]) put(image, base, offset); // not aligned
  assert.equal(await keyIn(image, base), undefined);
});

test('records are found over the whole file, also where two chunks of it meet', async () => {
  const base = 2 ** 40;
  // The last one ends exactly where the file does, and the file where a chunk does.
  const step = CHUNK_BYTES - RECORD_HEADER_BYTES + 8;
  const image = new Uint8Array(4096 + 2 * step + RECORD_HEADER_BYTES - 8);
  const ends = [4096 + CHUNK_BYTES - 24, 4096 + step, image.length - RECORD_HEADER_BYTES];
  for (const [i, offset] of ends.entries()) {
    assert.equal(await keyIn(image, base), undefined, `${i} records`);
    put(image, base, offset);
  }
  assert.deepEqual(await keyIn(image, base), { key: OTHER, logId: undefined });
});

test('a file that ends within its header spells no key', async () => {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES - 1);
  new DataView(bytes.buffer).setBigUint64(SEGMENT_LOG_ID_AT, LOG_ID, true);
  assert.equal(await keyIn(bytes, 0), undefined);
  // Nor may it take the one that was read before for its own.
  const base = 2 ** 33;
  const good = buildSegment({ base, logId: 77n }, [{}]);
  const short = { name: segmentName(base * 2), base: base * 2, image: bytes };
  const files = filesOf(good, { ...short, offsets: [], sequence: 1 });
  const segments = [];
  for (const { name, base, image } of [good, short]) {
    const { handle } = await open(files, name);
    segments.push({ name, base, bytes: image.length, handle, key: 0 });
  }
  assert.deepEqual(await findKey(files, segments), { key: keyOf(77n), logId: 77n });
});
