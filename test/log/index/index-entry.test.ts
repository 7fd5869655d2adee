// Entries of lines of several kinds: each is found as what it is, in the file and while that waits
// to be written, and files from before there were kinds are believed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIND_DEAD, KIND_LIVE, KIND_MAX } from '../../../assembly/layout-placed.ts';
import { hashOf, lineHashOf } from '../../../src/core/collections/hash.ts';
import { decodeEntry, ENTRY_BYTES, encodeEntry, isOf } from '../../../src/log/index/index-entry.ts';
import { indexName, pageBitsFor, pageOf } from '../../../src/log/index/index-file.ts';
import { PendingIndexes } from '../../../src/log/index/pending-indexes.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import {
  BASE,
  bucket,
  type Entry,
  entriesOf,
  expected,
  IDENTITY,
  movedTo,
  sourceOf,
  World,
} from '../run-harness.ts';

const random = new Random(seedOf('log/index/index-entry.test'));

/** The same, in lines of random kinds. */
function mixed(entries: readonly Entry[]): Entry[] {
  return entries.map((entry) => ({ ...entry, kind: random.below(KIND_MAX + 1) }));
}

function imageOf(entries: readonly Entry[]): Uint8Array {
  return new World().open().write(entries).files.image(indexName(BASE)).slice();
}

const versionOf = (image: Uint8Array) => new DataView(image.buffer).getUint32(8, true);

test('an entry says whose it is and what it is, as far as its version goes', () => {
  const [entry] = entriesOf(random, 1, () => 3);
  const view = new DataView(new ArrayBuffer(ENTRY_BYTES));
  const dead = { ...entry!, kind: KIND_DEAD, attempts: 7 };
  const { low, high, ...found } = dead;
  const origin = { first: dead.sequence, base: BASE, kinds: true };
  encodeEntry(view, 0, sourceOf([dead]), 0, origin);
  assert.deepEqual(decodeEntry(view, 0, origin), found);
  for (const kind of [0, 1, 2])
    assert.equal(isOf(view, 0, low, high, kind, origin), kind === KIND_DEAD);
  assert.equal(isOf(view, 0, low, high + 1, KIND_DEAD, origin), false);
  assert.equal(view.getUint8(27), 0);
  // More attempts than are counted do not run into the kind.
  encodeEntry(view, 0, sourceOf([{ ...dead, kind: KIND_LIVE, attempts: 70_000 }]), 0, origin);
  assert.deepEqual(decodeEntry(view, 0, origin), { ...found, kind: KIND_LIVE, attempts: 65_535 });
  // In version 1 all of the word is attempts.
  view.setUint32(24, 70_000, true);
  const before = { ...origin, kinds: false };
  assert.deepEqual(decodeEntry(view, 0, before), { ...found, kind: 0, attempts: 70_000 });
  assert.deepEqual(
    [0, 1].map((kind) => isOf(view, 0, low, high, kind, before)),
    [true, false],
  );
});

test('a line is searched for by its kind, in the page that this leads to', () => {
  for (const buckets of [1, 7, 300]) {
    const entries = mixed(entriesOf(random, 1500, (i) => i % buckets));
    const world = new World().open().write(entries);
    assert.equal(versionOf(world.files.image(indexName(BASE))), 2);
    for (let kind = 0; kind <= KIND_MAX; kind++)
      for (let number = 0; number < Math.min(buckets, 20); number++) {
        const answers = world.beginFind(number, 0, 0, 1e9, BASE, IDENTITY, kind);
        world.settle();
        assert.deepEqual(answers[0]!.found, expected(entries, number, 0, kind));
      }
    const visited = world.visit().entries.sort((a, b) => a.sequence - b.sequence);
    assert.deepEqual(visited, entries);
    world.close();
  }
});

test('kinds spread lines of one bucket over pages, and leave live ones where they were', () => {
  const pages = new Set<number>();
  for (let number = 0; number < 200; number++) {
    const { low, high } = bucket(number);
    assert.equal(lineHashOf(low, high, KIND_LIVE, 99), hashOf(low, high, 99));
    assert.equal(pageOf(low, high, 99, 9), hashOf(low, high, 99) & 511);
    pages.add(pageOf(low, high, 99, 9, KIND_DEAD) ^ pageOf(low, high, 99, 9));
  }
  assert.ok(pages.size > 100, `${pages.size} distances`);
});

test('without other kinds than live it is a file of version 1, which an earlier release believes', () => {
  const entries = entriesOf(random, 300, (i) => i % 7);
  const image = imageOf(entries);
  assert.equal(versionOf(image), 1);
  const files = new MemoryFiles();
  files.put(indexName(BASE), image);
  const world = new World(files).open();
  assert.ok(world.check());
  for (let number = 0; number < 7; number++) {
    assert.deepEqual(world.findAll(number).found, expected(entries, number));
    for (const kind of [1, 2]) {
      const answers = world.beginFind(number, 0, 0, 9, BASE, IDENTITY, kind);
      world.settle();
      assert.deepEqual(answers, [{ failure: undefined, found: [], next: undefined }]);
    }
  }
  assert.equal(
    versionOf(imageOf(entries.map((one, i) => (i === 9 ? { ...one, kind: 2 } : one)))),
    2,
  );
});

test('an index that waits to be written is searched by kind, too', () => {
  const entries = mixed(entriesOf(random, 300, (i) => i % 5));
  const segment = { name: 's', base: BASE, bytes: 1, handle: 1, key: 1, identity: IDENTITY };
  const held = new PendingIndexes();
  assert.ok(held.add(segment, sourceOf(movedTo(BASE, entries))));
  for (let kind = 0; kind <= KIND_MAX; kind++)
    for (let number = 0; number < 5; number++) {
      const query = { ...bucket(number), kind, sequence: 0, at: 0 };
      const { found } = held.find(segment, query, 1e9)!;
      assert.deepEqual(found, expected(entries, number, 0, kind));
    }
  const kinds: number[] = [];
  held.visit(segment, (_low, _high, found) => void kinds.push(found.kind));
  assert.deepEqual(
    kinds,
    entries.map(({ kind }) => kind),
  );
  assert.equal(pageBitsFor(entries.length), 2);
});
