// The bytes of a run: as index-file.ts draws them, and none of them believed that was changed,
// cut off, or belongs elsewhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../../src/codec/crc32c.ts';
import {
  CHUNK_ENTRIES,
  decodeIndexHeader,
  INDEX_HEADER_BYTES,
  indexName,
  pageOf,
} from '../../../src/log/index/index-file.ts';
import type { Indexes } from '../../../src/log/index/indexes.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import {
  BASE,
  bucket,
  type Entry,
  entriesOf,
  expected,
  IDENTITY,
  inOrder,
  LOG_ID,
  SEED,
  World,
} from '../run-harness.ts';

const random = new Random(seedOf('log/index/index-file.test'));
const NAME = indexName(BASE);

// The file of these entries.
function imageOf(entries: readonly Entry[]): Uint8Array {
  const { files } = new World().write(entries);
  return files.image(NAME).slice();
}

// A world whose only file is this one.
function worldOf(
  image: Uint8Array,
  options: ConstructorParameters<typeof Indexes>[0] | object = {},
) {
  const files = new MemoryFiles();
  files.put(NAME, image);
  return new World(files, options).open();
}

test('a file is what its picture says', () => {
  const entries = entriesOf(random, 300, (i) => i % 7);
  const image = imageOf(entries);
  const view = new DataView(image.buffer);
  const u32 = (at: number) => view.getUint32(at, true);
  assert.equal(new TextDecoder().decode(image.subarray(0, 8)), 'TMQINDEX');
  assert.deepEqual([u32(8), u32(12)], [1, 2]);
  assert.equal(view.getBigUint64(16, true), LOG_ID);
  assert.equal(view.getBigUint64(24, true), BigInt(BASE));
  assert.equal(view.getBigUint64(32, true), BigInt(entries[0]!.sequence));
  assert.deepEqual([u32(40), u32(44), u32(48), u32(56)], [300, IDENTITY, SEED, 0]);
  assert.equal(u32(52), crc32c(image.subarray(64, 64 + 5 * 8)));
  assert.equal(u32(60), crc32c(image.subarray(0, 60)));
  assert.equal(image.length, 64 + 5 * 8 + 300 * 28);
  const pages = [0, 1, 2, 3].map((page) =>
    entries.filter(({ low, high }) => pageOf(low, high, SEED, 2) === page),
  );
  let at = 64 + 5 * 8;
  for (const [page, wanted] of pages.entries()) {
    const end = at + wanted.length * 28;
    assert.equal(u32(64 + page * 8), (at - 64 - 5 * 8) / 28);
    assert.equal(u32(64 + page * 8 + 4), crc32c(image.subarray(at, end)));
    for (const one of wanted) {
      const { low, high, sequence, position, messages, bodyBytes, attempts } = one;
      const numbers = [sequence - entries[0]!.sequence, position - BASE];
      const words = [low, high, ...numbers, messages, bodyBytes, attempts];
      assert.deepEqual(
        [0, 4, 8, 12, 16, 20, 24].map((word) => u32(at + word)),
        words,
      );
      at += 28;
    }
  }
  assert.deepEqual([u32(64 + 4 * 8), u32(64 + 4 * 8 + 4)], [300, 0]);
});

test('a long page has a checksum for every 64 KiB', () => {
  const entries = entriesOf(random, 2 * CHUNK_ENTRIES + 1, () => 0);
  const image = imageOf(entries);
  const view = new DataView(image.buffer);
  assert.equal(view.getUint32(12, true), 6);
  assert.equal(view.getUint32(56, true), 3);
  const chunks = 64 + 65 * 8;
  const first = chunks + 3 * 4;
  for (const [row, length] of [CHUNK_ENTRIES, CHUNK_ENTRIES, 1].entries()) {
    const at = first + row * CHUNK_ENTRIES * 28;
    const crc = crc32c(image.subarray(at, at + length * 28));
    assert.equal(view.getUint32(chunks + row * 4, true), crc);
  }
  assert.equal(image.length, first + entries.length * 28);
});

// Every answer is right, or a failure, and something notices each flipped bit: in header and tables
// before anything is read of the entries.
function assertNoticed(image: Uint8Array, bits: number[], entries: readonly Entry[]): void {
  const buckets = new Set(entries.map(({ low }) => low)).size;
  for (const bit of bits) {
    const what = `bit ${bit & 7} of byte ${bit >> 3}`;
    image[bit >> 3]! ^= 1 << (bit & 7);
    const world = worldOf(image);
    let noticed = !world.check();
    assert.equal(noticed, bit >> 3 < image.length - entries.length * 28, what);
    for (let number = 0; number < buckets; number++) {
      const { failure, found } = world.findAll(number);
      if (failure === undefined) assert.deepEqual(found, expected(entries, number), what);
      else noticed = true;
    }
    assert.ok(noticed, `${what}: no search noticed`);
    assert.ok(world.visit().failure !== undefined, `${what}: all of it was believed`);
    image[bit >> 3]! ^= 1 << (bit & 7);
  }
  assert.deepEqual(inOrder(worldOf(image).visit().entries), entries);
}

function numbers(count: number): number[] {
  return [...Array(count).keys()];
}

test('no flipped bit is believed', () => {
  const entries = entriesOf(random, 40, (i) => i % 3);
  const image = imageOf(entries);
  assertNoticed(image, numbers(image.length * 8), entries);
});

test('no flipped bit of several pages, some of them empty, is believed', () => {
  const entries = entriesOf(random, 1000, (i) => i % 3);
  const image = imageOf(entries);
  const bits = numbers((64 + 9 * 8) * 8);
  for (let i = 0; i < 300; i++) bits.push(random.below(image.length * 8));
  assertNoticed(image, bits, entries);
});

test('no flipped bit of a long page is believed', () => {
  const entries = entriesOf(random, 2 * CHUNK_ENTRIES + 9, (i) => (i % 40 === 7 ? 1 : 0));
  const image = imageOf(entries);
  const bits = numbers(3 * 4 * 8).map((bit) => (64 + 65 * 8) * 8 + bit);
  for (let i = 0; i < 60; i++) bits.push(random.below(image.length * 8));
  assertNoticed(image, bits, entries);
});

test('a file cut off anywhere, or with something behind its end, is no run', () => {
  const entries = entriesOf(random, 130, (i) => i % 3);
  const image = imageOf(entries);
  for (let length = 0; length < image.length; length++)
    assert.equal(worldOf(image.slice(0, length)).check(), false, `${length} bytes`);
  const longer = new Uint8Array(image.length + 1);
  longer.set(image);
  assert.equal(worldOf(longer).check(), false);
  assert.equal(worldOf(image).check(), true);
});

test('a file that is cut off after its tables were loaded', () => {
  const entries = entriesOf(random, 130, () => 0);
  const image = imageOf(entries);
  for (const length of [0, 70, 130 * 28 - 1]) {
    const world = worldOf(image);
    assert.deepEqual(world.find(0).found, expected(entries, 0));
    world.files.fail({ op: 'read', nth: 1, short: length });
    world.files.fail({ op: 'read', nth: 2, times: 9, short: 0 });
    assert.match(String(world.find(0).failure), /it ends at .*make it again from the log/);
    world.close();
  }
});

test('another state of the segment, another log, another name: absent, and said so', () => {
  const entries = entriesOf(random, 20, (i) => i % 3);
  const image = imageOf(entries);
  const refused = (world: World, text: RegExp, base = BASE, identity = IDENTITY) => {
    assert.equal(world.check(base, identity), false);
    assert.match(String(world.visit(base, identity).failure), text);
    assert.match(String(world.find(0, 0, 0, 9, base, identity).failure), text);
  };
  refused(worldOf(image), /it is of another state of the segment/, BASE, IDENTITY + 1);
  refused(worldOf(image, { logId: LOG_ID + 1n }), /belongs to another log/);
  const renamed = new MemoryFiles();
  renamed.put(indexName(BASE + 4096), image);
  const other = new RegExp(`is the run of the segment at ${BASE}`);
  refused(new World(renamed).open(), other, BASE + 4096);
  refused(new World().open(), /there is none/);
  const signed = worldOf(image);
  assert.ok(signed.check(BASE, IDENTITY | 0), 'the sign of 32 bits makes no difference');
});

// Sets a word and makes both checksums right again: a file that was made, not damaged.
function forge(image: Uint8Array, at: number, value: number): Uint8Array {
  const forged = image.slice();
  const view = new DataView(forged.buffer);
  view.setUint32(at, value, true);
  const pages = 2 ** new DataView(image.buffer).getUint32(12, true);
  const chunks = new DataView(image.buffer).getUint32(56, true);
  view.setUint32(52, crc32c(forged.subarray(64, 64 + (pages + 1) * 8 + chunks * 4)), true);
  view.setUint32(60, crc32c(forged.subarray(0, 60)), true);
  return forged;
}

test('tables that make no sense are refused although their checksums hold', () => {
  const short = imageOf(entriesOf(random, 300, (i) => i % 7));
  const wide = imageOf(entriesOf(random, 300, (i) => i));
  const long = imageOf(entriesOf(random, CHUNK_ENTRIES + 1, () => 0));
  const row = pageOf(bucket(0).low, bucket(0).high, SEED, 5);
  const forgeries: [Uint8Array, number, number][] = [
    [short, 8, 3], // version
    [short, 12, 3], // pages
    [short, 40, 0xffffffff], // entries
    [short, 56, 0x7fffffff], // chunks
    [short, 64, 1], // first entry of the first page, which is empty
    [wide, 64, 1], // and of one that is not
    [short, 64 + 8, 301], // beyond the end
    [short, 64 + 4 * 8, 299], // entries in all
    [short, 64 + 4 * 8 + 4, 1], // chunks in all
    [long, 64 + row * 8 + 4, 1], // a page's first chunk
    [long, 64 + (row + 1) * 8, CHUNK_ENTRIES], // no page that has chunks, though there are some
  ];
  for (const [image, at, value] of forgeries) {
    assert.ok(worldOf(forge(image, 44, IDENTITY)).check(), 'forged as it was, it holds');
    assert.equal(worldOf(forge(image, at, value)).check(), false, `${value} at ${at}`);
  }
  const { failure } = worldOf(forge(short, 8, 3)).visit();
  assert.match(String(failure), /has version 3, this program reads 1 and 2/);
});

test('what does not fit is refused, by name', () => {
  const entries = entriesOf(random, 5, (i) => i);
  const { sequence } = entries[0]!;
  const wrong: [Partial<Entry>, RegExp][] = [
    [{ low: -1 }, /bucketLow is -1, not a whole number in 0 … 4294967295, in entry 3/],
    [{ high: 2 ** 32 }, /bucketHigh is 4294967296/],
    [{ sequence: 1.5 }, /sequence is 1.5/],
    [{ sequence: Number.NaN }, /sequence is NaN/],
    [{ sequence: sequence + 2 ** 32 }, /distance of sequences is 4294967296/],
    [{ sequence: sequence - 2 ** 32 }, /distance of sequences/],
    [{ sequence: 2 ** 53 }, /sequence is 9007199254740992/],
    [{ position: BASE - 8 }, /position less the base is -8/],
    [{ position: BASE + 2 ** 32 }, /position less the base is 4294967296/],
    [{ messages: 0 }, /messages is 0, not a whole number in 1/],
    [{ bodyBytes: -4 }, /bodyBytes is -4/],
    [{ attempts: 2 ** 32 }, /attempts is 4294967296/],
    [{ kind: 3 }, /kind is 3, not a whole number in 0 … 2/],
  ];
  for (const [change, text] of wrong) {
    const world = new World().open();
    const failure = world.tryWrite(
      entries.map((one, i) => (i === 3 ? { ...one, ...change } : one)),
    );
    assert.match(String(failure), text);
    assert.match(String(failure), new RegExp(`${NAME} can't be written`));
    assert.deepEqual(world.files.names(), []);
    assert.equal(world.runs.bytes, 0);
  }
  for (const count of [5_000_000, -1, 1.5]) {
    const world = new World();
    const [failure] = world.ask<[Error | undefined]>((done) =>
      world.runs.write(BASE, IDENTITY, sourceOfCount(count), done),
    );
    assert.match(String(failure), new RegExp(`: ${count} entries, it holds 0 … 4793490`));
    assert.deepEqual(world.files.names(), []);
  }
});

test('fewer bytes than a header has are none', () => {
  const image = imageOf(entriesOf(random, 5, (i) => i));
  const expected = { base: BASE, logId: LOG_ID, fileBytes: image.length };
  assert.equal(decodeIndexHeader(image, expected, crc32c).count, 5);
  for (let length = 0; length < INDEX_HEADER_BYTES; length++)
    assert.throws(() => decodeIndexHeader(image.slice(0, length), expected, crc32c), {
      name: 'LogError',
      message: `${NAME} does not begin like an index run`,
    });
});

function sourceOfCount(count: number) {
  const none = () => assert.fail('nothing of it was to be asked for');
  return {
    count,
    lines: { bucketLow: none, bucketHigh: none, kind: none },
    sequence: none,
    position: none,
    messages: none,
    bodyBytes: none,
    attempts: none,
  };
}
