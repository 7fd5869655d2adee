// Ids leave memory as a whole table, once all of them are durable; until they are gone they are
// known in memory, and there is room for new ones, or will be soon.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SLOT_WORDS } from '../../../src/core/collections/id-page.ts';
import {
  NO_ROOM,
  PublishedIds,
  ROOM,
  ROOM_SOON,
} from '../../../src/core/collections/published-ids.ts';
import type { Known, LeavingIds, OlderIds } from '../../../src/core/ports/older-ids.ts';

const TIME_MS = 1_700_000_000_000;
const FEW_BYTES = 4000;

/** Takes ids when the test says so. */
class Elsewhere implements OlderIds {
  count = 0;
  bytes = 0;
  bytesMax = 0;
  takes = true;
  told = () => {};
  swept = 0;
  asked: { leaving: LeavingIds; done: (failure: Error | undefined) => void }[] = [];
  readonly known = new Set<number>();

  find(ids: Uint32Array, at: number): Known {
    return this.known.has(ids[at]!) ? 'known' : 'new';
  }

  take(leaving: LeavingIds, _nowMs: number, done: (failure: Error | undefined) => void): void {
    this.asked.push({ leaving, done });
  }

  end(failure?: Error): void {
    const { leaving, done } = this.asked.shift()!;
    if (failure === undefined) {
      for (const piece of leaving.inOrder())
        for (let at = 0; at < piece.length; at += SLOT_WORDS) this.known.add(piece[at]!);
      this.count += leaving.count;
    }
    done(failure);
  }

  sweep(): void {
    this.swept++;
  }
}

function parts() {
  const ids = new PublishedIds((base) => base + 1);
  const older = new Elsewhere();
  ids.older = older;
  ids.bytesMax = FEW_BYTES;
  let told = 0;
  ids.told = () => told++;
  return { ids, older, told: () => told };
}

const id = (i: number) => Uint32Array.of(i, i, i, i);

/** Adds ids from `from` on while there is room; gives the first that found none, and what it is. */
function addFrom(ids: PublishedIds, from: number, most = 200): [number, number] {
  for (let i = from; i < from + most; i++) {
    const room = ids.room(id(i), 0, TIME_MS);
    if (room !== ROOM) return [i, room];
    ids.add(id(i), 0, TIME_MS, 60);
    ids.packed(16);
  }
  return [from + most, ROOM];
}

const isKnown = (ids: PublishedIds, i: number) => ids.find(id(i), 0, TIME_MS, 60_000) === 'known';

describe('a table that is full', () => {
  test('leaves when all of it is durable, and is known all the time', () => {
    const { ids, older, told } = parts();
    const [full, room] = addFrom(ids, 0);
    assert.ok(full > 57 && room === ROOM_SOON, `${full}`);
    assert.equal(older.asked.length, 0);
    ids.durable(4096, 5000, 16, TIME_MS);
    assert.equal(older.asked.length, 0, 'most are not');
    ids.durable(8192, 9000, 16 * full, TIME_MS);
    assert.equal(older.asked.length, 1);
    const { leaving } = older.asked[0]!;
    assert.equal(leaving.upTo, 9000);
    assert.deepEqual(
      leaving.parts.map(({ base }) => base),
      [4096, 8192],
    );
    for (let i = 0; i < full; i++) assert.ok(isKnown(ids, i), `${i}`);
    assert.equal(addFrom(ids, full)[1], ROOM_SOON);
    assert.equal(told(), 0);
    older.end();
    assert.equal(told(), 1);
    for (let i = 0; i < full; i++) assert.ok(isKnown(ids, i), `${i}`);
    assert.equal(addFrom(ids, full, 1)[1], ROOM);
  });

  test('says of a segment that it has the rest of it only if nothing of it comes later', () => {
    const { ids, older } = parts();
    ids.durable(4096, 5000, 0, TIME_MS);
    ids.durable(8192, 9000, 0, TIME_MS);
    const [full] = addFrom(ids, 0);
    ids.durable(12_288, 12_500, 16 * full, TIME_MS);
    const said = () => older.asked[0]!.leaving.parts.map(({ base, complete }) => [base, complete]);
    assert.deepEqual(said(), [
      [4096, true],
      [8192, false],
      [12_288, false],
    ]);
    assert.equal(older.asked[0]!.leaving.parts[1]!.idBytes, 8193);
    older.end();
    const [again] = addFrom(ids, full);
    ids.durable(16_384, 17_000, 16 * (again - full), TIME_MS);
    assert.deepEqual(said()[0], [8192, true]);
  });

  test('that cannot leave is kept, and tried again; new ones find no room', () => {
    const { ids, older } = parts();
    const [full] = addFrom(ids, 0);
    ids.durable(4096, 5000, 16 * full, TIME_MS);
    older.end(new Error('no space'));
    assert.equal(addFrom(ids, full)[1], NO_ROOM);
    for (let i = 0; i < full; i++) assert.ok(isKnown(ids, i));
    assert.ok(ids.sweep(TIME_MS, 10));
    older.end();
    assert.equal(addFrom(ids, full, 1)[1], ROOM);
  });
});

test('without anywhere to go, all of the memory is for one table', () => {
  const ids = new PublishedIds(() => 0);
  ids.bytesMax = 100_000;
  const [full, room] = addFrom(ids, 0, 10_000);
  assert.ok(room === NO_ROOM && full > 1500, `${full}`);
  assert.ok(ids.bytes <= ids.bytesMax);
  assert.equal(ids.countOnDisk, 0);
});

test('a start makes it smaller between segments, with all that was read', () => {
  const { ids, older } = parts();
  for (const base of [0, 4096]) {
    for (let i = 0; i < 100; i++) ids.add(id(base + i), 0, TIME_MS, 60);
    ids.read(base, base + 100);
  }
  assert.ok(ids.isLarge);
  let done = false;
  ids.shrink(8192, 12_288, TIME_MS, () => {
    done = true;
  });
  const { leaving } = older.asked[0]!;
  assert.deepEqual(
    leaving.parts.map(({ base, complete }) => [base, complete]),
    [
      [0, true],
      [4096, true],
    ],
  );
  assert.deepEqual([leaving.upTo, leaving.count, done], [12_288, 200, false]);
  older.end();
  assert.ok(done && !ids.isLarge);
});
