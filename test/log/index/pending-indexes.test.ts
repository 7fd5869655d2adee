// Indexes that are held in memory: searched as the files would be, of the right state only.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EntrySource, Found } from '../../../src/core/ports/basics.ts';
import type { Indexed } from '../../../src/log/index/indexed.ts';
import { isPendingPlace, PendingIndexes } from '../../../src/log/index/pending-indexes.ts';
import { segmentName } from '../../../src/log/segments/segment.ts';
import { NO_ENTRIES } from '../../support/entries.ts';
import { Random, seedOf } from '../../support/random.ts';
import { BASE, bucket, type Entry, entriesOf, sourceOf } from '../run-harness.ts';

const random = new Random(seedOf('log/index/pending-indexes.test'));
const MOST = 4 * 1024 * 1024;

function segmentOf(identity: number, base = BASE): Indexed {
  return { base, name: segmentName(base), bytes: 4096, handle: 1, key: 1, identity };
}

function foundOf({ sequence, position, messages, bodyBytes, attempts, kind }: Entry): Found {
  return { sequence, position, messages, bodyBytes, attempts, kind };
}

/** An index of which only the size matters. */
function sized(count: number): EntrySource {
  return { ...NO_ENTRIES, count };
}

test('a search finds what is not wholly before the sequence, from a place on', () => {
  const entries = entriesOf(random, 300, (i) => i % 3);
  const held = new PendingIndexes();
  assert.ok(held.add(segmentOf(7), sourceOf(entries)));
  const mine = entries.filter((_, i) => i % 3 === 1);
  for (const [i, entry] of mine.entries()) {
    // The last message of a record is still looked for, what is behind it is not.
    for (const [sequence, first] of [
      [entry.sequence + entry.messages - 1, i],
      [entry.sequence + entry.messages, i + 1],
    ] as const) {
      const query = { ...bucket(1), kind: 0, sequence, at: 0 };
      const { found } = held.find(segmentOf(7), query, 1000)!;
      assert.deepEqual(found, mine.slice(first).map(foundOf));
    }
  }
  const query = { ...bucket(1), kind: 0, sequence: 0, at: 0 };
  const part = held.find(segmentOf(7), query, 10)!;
  assert.deepEqual(part.found, mine.slice(0, 10).map(foundOf));
  const rest = held.find(segmentOf(7), { ...query, at: part.next! }, 1000)!;
  assert.deepEqual(rest, { found: mine.slice(10).map(foundOf), next: undefined });
  // A place in a file says nothing here: by sequence, from the start.
  assert.ok(!isPendingPlace(2 ** 32) && isPendingPlace(2 ** 32 - 1));
  const anew = held.find(segmentOf(7), { ...query, at: 2 ** 32 + part.next! }, 1000)!;
  assert.deepEqual(anew.found, mine.map(foundOf));
});

test('a visit hands on all of it in order; of another state, or what is not held, nothing', () => {
  const entries = entriesOf(random, 50, (i) => i % 4);
  const held = new PendingIndexes();
  assert.ok(held.add(segmentOf(7), sourceOf(entries)));
  const got: unknown[] = [];
  const record = (low: number, high: number, found: Found) => got.push([low, high, found]);
  for (const other of [segmentOf(8), segmentOf(7, BASE + 4096)]) {
    assert.equal(held.visit(other, record), false);
    assert.equal(held.find(other, { ...bucket(1), kind: 0, sequence: 0, at: 0 }, 9), undefined);
  }
  assert.deepEqual(got, []);
  assert.equal(held.visit(segmentOf(7), record), true);
  assert.deepEqual(
    got,
    entries.map((entry) => [entry.low, entry.high, foundOf(entry)]),
  );
});

test('what is held has a bound, over all segments, and what is dropped makes room', () => {
  const held = new PendingIndexes();
  const [first, second] = [segmentOf(1), segmentOf(2, BASE + 4096)];
  assert.ok(held.add(first, sized(MOST - 10)));
  assert.equal(held.add(second, sized(11)), false);
  assert.equal(held.oldest()!.segment, first);
  assert.ok(held.add(second, sized(10)));
  // Another state of a segment takes the place of the one before.
  assert.ok(held.add(first, sized(MOST - 10)));
  held.drop(BASE + 2 * 4096); // was never held
  assert.equal(held.add(segmentOf(3, BASE + 3 * 4096), sized(1)), false);
  held.drop(second.base);
  assert.ok(held.add(segmentOf(3, BASE + 3 * 4096), sized(10)));
});

test('entries that are held: found by bucket, a part at a time, of the right state only', () => {
  const held = new PendingIndexes();
  const source = {
    count: 10,
    lines: { bucketLow: (i: number) => i % 2, bucketHigh: () => 0, kind: () => 0 },
    sequence: (i: number) => 100 + i * 2,
    position: (i: number) => 4096 + i * 64,
    messages: () => 2,
    bodyBytes: () => 8,
    attempts: () => 0,
  };
  const segment = { name: 's', base: 7, bytes: 1, handle: 1, key: 1, identity: 3 };
  assert.ok(held.add(segment, source));
  const query = { low: 1, high: 0, kind: 0, sequence: 103, at: 0 };
  const first = held.find(segment, query, 2)!;
  assert.deepEqual(
    first.found.map(({ sequence }) => sequence),
    [102, 106],
  );
  const second = held.find(segment, { ...query, at: first.next! }, 9)!;
  assert.deepEqual(
    second.found.map(({ sequence }) => sequence),
    [110, 114, 118],
  );
  assert.equal(second.next, undefined);
  assert.equal(held.find({ ...segment, identity: 4 }, query, 2), undefined);
  assert.ok(!held.add({ ...segment, base: 8 }, { ...source, count: 4 * 1024 * 1024 }));
  held.drop(7);
  assert.equal(held.oldest(), undefined);
  assert.ok(held.add({ ...segment, base: 8 }, { ...source, count: 4 * 1024 * 1024 }));
});
