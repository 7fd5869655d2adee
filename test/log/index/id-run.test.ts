// A page of ids is believed only as it was written, where it belongs; a filter never denies an id
// that was added, and seldom takes another one for it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../../src/codec/crc32c.ts';
import {
  ID_PAGE_BYTES,
  IdFilter,
  idRunName,
  idRunNumber,
  idSlotAt,
  idSlots,
  PAGE_SLOTS,
  sealIdPage,
} from '../../../src/log/index/id-run.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('log/index/id-run.test');

test('names say numbers', () => {
  for (const number of [0, 12, 999_999, 1_000_000, 2 ** 32 - 1])
    assert.equal(idRunNumber(idRunName(number)), number);
  for (const name of ['ids.list', '12.ids', '000012.due', '000012.ids.tmp'])
    assert.equal(idRunNumber(name), undefined);
});

test('a page is what was written, or nothing', () => {
  const page = new Uint8Array(ID_PAGE_BYTES).fill(7);
  const words = new Uint32Array(page.buffer);
  const expected = [...words.subarray(idSlotAt(0) / 4, idSlotAt(3) / 4)];
  sealIdPage(page, 3, 5, 12, crc32c);
  assert.deepEqual([...idSlots(page, 5, 12, crc32c)!], expected);
  assert.equal(idSlots(page, 4, 12, crc32c), undefined, 'another place');
  assert.equal(idSlots(page, 5, 13, crc32c), undefined, 'another file');
  for (const at of [0, 4, 9, 15, 17, ID_PAGE_BYTES - 1]) {
    page[at]! ^= 4;
    assert.equal(idSlots(page, 5, 12, crc32c), undefined, `byte ${at}`);
    page[at]! ^= 4;
  }
  sealIdPage(page, PAGE_SLOTS + 1, 5, 12, crc32c);
  assert.equal(idSlots(page, 5, 12, crc32c), undefined, 'more than fit');
  assert.ok(idSlotAt(PAGE_SLOTS) <= ID_PAGE_BYTES);
});

test('a filter has all that was added, and of others about one in 10,000, at 3 bytes an id', () => {
  const random = new Random(seed);
  const count = 50_000;
  const ids = Uint32Array.from({ length: 8 * count }, () => random.next());
  const wrong = (filter: IdFilter) => {
    let found = 0;
    for (let i = 0; i < count; i++) {
      assert.ok(filter.mayHave(ids, 4 * i));
      if (filter.mayHave(ids, 4 * (count + i))) found++;
    }
    return found;
  };
  const filled = (bytes: number) => {
    const filter = IdFilter.within(bytes, count)!;
    for (let i = 0; i < count; i++) filter.add(ids, 4 * i);
    return filter;
  };
  const filter = filled(1e9);
  const few = wrong(filter);
  assert.ok(few < count / 3000, `${few} of ${count}`);
  assert.ok(filter.bytes <= 3.01 * count, `${filter.bytes} bytes`);
  const small = filled(count);
  assert.ok(small.bytes <= count + 256);
  const often = wrong(small);
  assert.ok(often > 0 && often < count / 20, `${often} of ${count}`);
  assert.equal(IdFilter.within(count / 3, count), undefined, 'too small to be of use');
  const half = filter.halved()!;
  assert.equal(half.bytes, filter.bytes / 2);
  const some = wrong(half);
  assert.ok(some > few && some < count / 120, `${some} of ${count}`);
  const quarter = half.halved()!;
  assert.equal(quarter.bytes, half.bytes / 2);
  const more = wrong(quarter);
  assert.ok(more > some && more < count / 8, `${more} of ${count}`);
  assert.equal(quarter.halved(), undefined, 'half of it is of no use');
});
