// The bytes of a file of due times: laid out as due-file.ts draws them, and none of them believed
// that was changed, cut off, moved, or belongs elsewhere.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { crc32c } from '../../../src/codec/crc32c.ts';
import type { DueEntry } from '../../../src/core/records/due.ts';
import { LogError } from '../../../src/log/files/errors.ts';
import {
  DUE_PAGE_BYTES,
  DUE_PAGE_ENTRIES,
  decodeDueHeader,
  dueBaseOf,
  dueName,
  faultOfDuePage,
  sealDuePage,
} from '../../../src/log/index/due-file.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { BASE, DueWorld, dueEntries, IDENTITY, inDueOrder, LOG_ID, NOW } from '../due-harness.ts';

const random = new Random(seedOf('log/index/due-file.test'));
const NAME = dueName(BASE);

function imageOf(entries: readonly DueEntry[]): Uint8Array {
  return new DueWorld().write(entries).files.image(NAME).slice();
}

// A world whose only file is this one, of a segment that cannot be read.
function worldOf(image: Uint8Array, identity = IDENTITY): DueWorld {
  const files = new MemoryFiles();
  files.put(NAME, image);
  const world = new DueWorld(files);
  world.identities.set(BASE, identity);
  return world.open();
}

function codeOf(image: Uint8Array, base = BASE, logId = LOG_ID, identity = IDENTITY): string {
  const expected = { base, logId, identity, fileBytes: image.length };
  try {
    decodeDueHeader(image.subarray(0, DUE_PAGE_BYTES), expected, crc32c);
  } catch (failure) {
    assert.ok(failure instanceof LogError);
    return failure.code;
  }
  return 'believed';
}

test('a file is what its picture says', () => {
  const entries = dueEntries(random, 250, 1000);
  const image = imageOf(entries);
  const view = new DataView(image.buffer);
  const u32 = (at: number) => view.getUint32(at, true);
  const u48 = (at: number) => view.getUint16(at + 4, true) * 2 ** 32 + u32(at);
  const ordered = inDueOrder(entries);
  assert.equal(image.length, 4 * 4096);
  assert.equal(DUE_PAGE_ENTRIES, 102);
  assert.equal(new TextDecoder().decode(image.subarray(16, 24)), 'TMQTIMES');
  assert.deepEqual([u32(24), u32(28)], [1, 250]);
  assert.equal(view.getBigUint64(32, true), LOG_ID);
  assert.equal(view.getBigUint64(40, true), BigInt(BASE));
  assert.equal(view.getBigUint64(48, true), BigInt(ordered.at(-1)!.when));
  for (const [page, held] of [0, 102, 102, 46].entries()) {
    const at = page * 4096;
    assert.equal(u32(at), crc32c(image.subarray(at + 4, at + 4096)));
    assert.deepEqual(
      [view.getUint16(at + 4, true), u32(at + 8), u32(at + 12)],
      [held, page, IDENTITY],
    );
  }
  for (const [i, entry] of ordered.entries()) {
    const at = (1 + Math.floor(i / 102)) * 4096 + 16 + (i % 102) * 40;
    assert.equal(u48(at), entry.when);
    assert.deepEqual([u32(at + 6), u32(at + 10)], [entry.low, entry.high]);
    assert.deepEqual([u48(at + 14), u48(at + 20)], [entry.sequence, entry.position]);
    assert.deepEqual(
      [u32(at + 26), u32(at + 30), u32(at + 34)],
      [entry.turn, entry.count, entry.bodyBytes],
    );
    assert.deepEqual([image[at + 38], image[at + 39]], [entry.kind, entry.what]);
  }
});

test('FORMAT.md has the entry as it is drawn', () => {
  const read = (name: string) =>
    fs.readFileSync(new URL(`../../../../src/log/${name}`, import.meta.url), 'utf8').split('\n');
  const drawn = read('index/due-file.ts').flatMap((line) => {
    const [, at, bytes, name] = /^\/\/ +(\d+) +(\d+) {4}([A-Z_]+)/.exec(line) ?? [];
    return name === undefined ? [] : [[at, bytes, name]];
  });
  const lines = read('FORMAT.md');
  const head = lines.findIndex((line) => /^\| at .*\| in an entry +\|$/.test(line));
  const rows = lines.slice(head + 2, head + 11).map((line) =>
    line
      .split('|')
      .slice(1, 4)
      .map((cell) => cell.trim()),
  );
  assert.deepEqual(drawn.slice(-9), rows);
});

test('names are those of segments, and no others', () => {
  assert.equal(NAME, '00035184372117504.due'.padStart(24, '0'));
  assert.equal(dueBaseOf(NAME), BASE);
  for (const name of ['1.due', `${NAME}x`, NAME.replace('.due', '.run'), 'due.tmp'])
    assert.equal(dueBaseOf(name), undefined);
});

test('a file of no entries is one page', () => {
  const image = imageOf([]);
  assert.equal(image.length, 4096);
  const world = worldOf(image);
  assert.equal(world.check(), true);
  assert.deepEqual(world.all(), { failure: undefined, entries: [] });
});

test('no byte can be changed without notice', () => {
  const entries = dueEntries(random, 110, 1000);
  const ordered = inDueOrder(entries);
  const image = imageOf(entries);
  const expected = { base: BASE, logId: LOG_ID, identity: IDENTITY, fileBytes: image.length };
  const header = decodeDueHeader(image.subarray(0, DUE_PAGE_BYTES), expected, crc32c);
  for (let at = 0; at < image.length; at++) {
    const bits = 1 + random.below(255);
    image[at]! ^= bits;
    const number = Math.floor(at / DUE_PAGE_BYTES);
    const page = image.subarray(number * DUE_PAGE_BYTES, (number + 1) * DUE_PAGE_BYTES);
    if (number === 0) assert.notEqual(codeOf(image), 'believed', `byte ${at}`);
    else assert.ok(faultOfDuePage(page, number, header, crc32c) !== undefined, `byte ${at}`);
    if (random.chance(0.03)) {
      const { failure, entries: found } = worldOf(image).all();
      assert.ok(failure !== undefined, `byte ${at}: all of it was believed`);
      assert.deepEqual(found, ordered.slice(0, found.length), `byte ${at}`);
    }
    image[at]! ^= bits;
  }
  assert.deepEqual(worldOf(image).all().entries, ordered);
});

test('no end can be cut off without notice, nor anything be put behind it', () => {
  const image = imageOf(dueEntries(random, 210, 1000));
  for (let bytes = 0; bytes < image.length; bytes += 1 + random.below(60)) {
    const world = worldOf(image.slice(0, bytes));
    assert.deepEqual([world.check(), world.all().entries.length], [false, 0], `${bytes} bytes`);
  }
  for (const more of [1, 4096]) {
    const longer = new Uint8Array(image.length + more);
    longer.set(image);
    assert.equal(worldOf(longer).check(), false);
    assert.equal(codeOf(longer), 'damaged');
  }
});

test('what is damaged, foreign and stale is told apart', () => {
  const image = imageOf(dueEntries(random, 10, 1000));
  assert.equal(codeOf(image), 'believed');
  assert.equal(codeOf(image.subarray(0, 100)), 'damaged');
  assert.equal(codeOf(new Uint8Array(image.length)), 'damaged');
  assert.equal(codeOf(image, BASE + 4096), 'missing');
  assert.equal(codeOf(image, BASE, LOG_ID + 1n), 'missing');
  assert.equal(codeOf(image, BASE, LOG_ID, IDENTITY + 1), 'missing');
  const newer = image.slice();
  newer[24] = 2;
  sealDuePage(newer.subarray(0, 4096), 0, 0, IDENTITY, crc32c);
  assert.equal(codeOf(newer), 'version');
  assert.equal(worldOf(image, IDENTITY + 1).check(), false);
});

test('a whole page at another place, or of another file, is not taken for what was asked for', () => {
  const entries = dueEntries(random, 300, 1000);
  const image = imageOf(entries);
  const swapped = image.slice();
  swapped.copyWithin(4096, 2 * 4096, 3 * 4096);
  const why = (bytes: Uint8Array) => {
    const world = worldOf(bytes);
    assert.deepEqual(world.all().entries, []);
    return world.notes.join('\n');
  };
  assert.match(why(swapped), /page 1 .* does not match its checksum/);
  const stale = image.slice();
  const other = new DueWorld().write(entries, BASE, IDENTITY + 1).files.image(NAME);
  stale.set(other.subarray(4096, 2 * 4096), 4096);
  assert.match(why(stale), /page 1 .* is of another state/);
});

test('entries that no file can hold are refused, and leave nothing', () => {
  const [entry] = dueEntries(random, 1, 1000);
  for (const wrong of [
    { when: 2 ** 48 },
    { when: -1 },
    { when: NOW + 0.5 },
    { sequence: 2 ** 48 },
    { position: 2 ** 48 },
    { count: 0 },
  ]) {
    const world = new DueWorld();
    const failure = world.tryWrite([entry!, { ...entry!, ...wrong }]);
    assert.match(failure!.message, /can't be written: entry 1 is about/);
    assert.deepEqual(world.files.names(), []);
    assert.equal(world.files.openHandles, 0);
  }
});
