// Buckets that stop an intake: the module and its plain twin find the same rule for every id, stop
// at the same message, say the same of the run there, and trap on a table that is none.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as L from '../../assembly/layout.ts';
import { HEAD_BYTES } from '../../assembly/layout-placed.ts';
import { encodeBatch } from '../../src/codec/wire.ts';
import { type WatchedBuckets, writeWatched } from '../../src/core/fairness/watched-buckets.ts';
import type { Codec } from '../../src/core/ports/codec.ts';
import { NO_HEAD, readHead, writeHead } from '../../src/core/records/placed.ts';
import { Random, seedOf } from '../support/random.ts';
import { ringView, scanOf, Twins, takenFrom } from '../support/twins.ts';

const random = new Random(seedOf('assembly/rules.test'));
const twins = new Twins();
const U64_MAX = 2n ** 64n - 1n;
const SEGMENT = 1024 * 1024;
const MESSAGE_MAX = 64;
const NONE: WatchedBuckets = { masked: [], ranges: [] };

interface Take {
  left?: number;
  limit?: number;
  admitted?: boolean;
  wire?: number;
  end?: number;
}

/** An intake of what `bytes` holds, of a batch that goes on behind it, on a fresh segment. */
function intakeOf(codec: Codec, bytes: Uint8Array, options: Take = {}) {
  const { left = L.BATCH_MESSAGES_MAX, limit = SEGMENT, admitted, wire = L.WIRE_U64 } = options;
  codec.openSegment(0, 0, SEGMENT, 7);
  codec.openBatch(true);
  codec.setSequence(1);
  codec.setLimit(limit);
  codec.inbox.set(bytes);
  const end = options.end ?? bytes.length;
  const taken = takenFrom(codec, codec.intake(0, end, left, wire, MESSAGE_MAX, admitted));
  return Object.assign(taken, { ring: ringView(codec, taken.writeAt).slice() });
}

/** Messages of `size` bytes to these buckets, without the count in front. */
function messagesTo(buckets: readonly (bigint | number)[], size = 5, wire: 'u64' | 'u32' = 'u64') {
  const messages = buckets.map((bucket, i) => ({
    bucket: BigInt(bucket),
    body: new Uint8Array(size).fill(i),
  }));
  return encodeBatch(messages, wire).subarray(L.BATCH_HEADER_BYTES);
}

function watch(watched: WatchedBuckets): void {
  twins.same((codec) => writeWatched(codec.rules, watched));
}

const only = (...ids: bigint[]): WatchedBuckets => ({
  masked: ids.map((value, i) => ({ mask: U64_MAX, value, rule: i + 1 })),
  ranges: [],
});

/** Says plainly which rule is meant. */
function ruleFor(id: bigint, { masked, ranges }: WatchedBuckets): number {
  for (const mask of new Set(masked.map((each) => each.mask)))
    for (const each of masked)
      if (each.mask === mask && (id & mask) === each.value) return each.rule;
  return ranges.find(({ first, last }) => first <= id && id <= last)?.rule ?? 0;
}

function randomId(): bigint {
  const id = (BigInt(random.next()) << 32n) | BigInt(random.next());
  return id >> BigInt(random.below(64));
}

function randomWatched(most: number): WatchedBuckets {
  const masks = Array.from({ length: 1 + random.below(16) }, () =>
    random.chance(0.5) ? U64_MAX ^ ((1n << BigInt(random.below(65))) - 1n) : randomId(),
  );
  const masked = new Map<string, { mask: bigint; value: bigint; rule: number }>();
  for (let i = random.below(most); i > 0; i--) {
    const mask = masks[random.below(masks.length)]!;
    const value = randomId() & mask;
    masked.set(`${mask} ${value}`, { mask, value, rule: 1 + random.below(2 ** 32 - 1) });
  }
  const ends = [...new Set(Array.from({ length: 2 * random.below(9) }, randomId))].sort((a, b) =>
    a < b ? -1 : 1,
  );
  const ranges = [];
  for (let i = 0; i + 1 < ends.length; i += 2)
    ranges.push({ first: ends[i]!, last: ends[i + 1]!, rule: 1 + random.below(100) });
  return { masked: [...masked.values()], ranges };
}

describe('which rule', () => {
  const stopsAt = (id: bigint) => twins.same((codec) => intakeOf(codec, messagesTo([id])));

  test('tables of any masks and ranges, ids in and beside them', () => {
    for (let round = 0; round < 60; round++) {
      const watched = randomWatched(round % 10 === 0 ? 400 : 12);
      watch(watched);
      const near = [
        ...watched.masked.map(({ mask, value }) => value | (randomId() & ~mask & U64_MAX)),
        ...watched.ranges.flatMap(({ first, last }) => [first, last, first - 1n, last + 1n]),
      ].filter((id) => id >= 0n && id <= U64_MAX);
      for (const id of [...near.slice(0, 60), randomId(), 0n, U64_MAX]) {
        const { status, run } = stopsAt(id);
        const rule = ruleFor(id, watched);
        assert.equal(status, rule === 0 ? L.INTAKE_MORE : L.INTAKE_RULED, `id ${id}`);
        const low = Number(id & 0xffff_ffffn);
        if (rule !== 0) assert.deepEqual(run, [rule, low, Number(id >> 32n), 1, 5]);
      }
    }
    watch(NONE);
  });

  test('a table as large as there may be, of ids that differ in few bits', () => {
    const masks = Array.from({ length: L.RULES_MASKS_MAX }, (_, i) => U64_MAX ^ BigInt(i));
    const masked = Array.from({ length: L.RULES_SLOTS_MAX / 2 }, (_, i) => {
      const mask = masks[i % masks.length]!;
      return { mask, value: (BigInt(i) << 48n) & mask, rule: i + 1 };
    });
    const ranges = Array.from({ length: L.RULES_RANGES_MAX }, (_, i) => ({
      first: BigInt(3 * i + 1),
      last: BigInt(3 * i + 2),
      rule: 10_000 + i,
    }));
    const watched = { masked, ranges };
    watch(watched);
    const { length } = ranges;
    const ids = [3n * BigInt(length) - 1n, 3n * BigInt(length), 1n, 2n, 3n];
    for (const id of [...ids, masked.at(-1)!.value, masked[5]!.value | 5n])
      assert.equal(stopsAt(id).run?.[0] ?? 0, ruleFor(id, watched), `id ${id}`);
    watch(NONE);
  });

  test('the mask that comes first is named, then the range', () => {
    const ranges = [{ first: 0n, last: U64_MAX, rule: 9 }];
    const masked = [
      { mask: 0xf0n, value: 0x10n, rule: 3 },
      { mask: 0x0fn, value: 0x01n, rule: 4 },
    ];
    watch({ masked, ranges });
    assert.deepEqual(
      [0x11n, 0x21n, 0x22n].map((id) => stopsAt(id).run![0]),
      [3, 4, 9],
    );
    watch({ masked: [masked[1]!, masked[0]!], ranges });
    assert.equal(stopsAt(0x11n).run![0], 4);
    watch({ masked: [{ mask: 0n, value: 0n, rule: 8 }], ranges });
    assert.equal(stopsAt(77n).run![0], 8);
    watch(NONE);
    assert.equal(stopsAt(77n).status, L.INTAKE_MORE);
  });
});

describe('where it stops', () => {
  const A = messagesTo([1, 1, 2, 2, 2, 3, 2, 1]);

  test('at each run of a watched bucket, with all before it packed', () => {
    watch(only(2n));
    const taken = twins.same((codec) => intakeOf(codec, A));
    assert.deepEqual([taken.status, taken.messages], [L.INTAKE_RULED, 2]);
    assert.deepEqual(taken.run, [1, 2, 0, 3, 15]);
    const all = twins.same((codec) => intakeOf(codec, A, { admitted: true }));
    assert.deepEqual([all.status, all.messages], [L.INTAKE_MORE, 8]);
    watch(NONE);
    const without = twins.same((codec) => intakeOf(codec, A));
    assert.deepEqual(without, all);
  });

  test('the run counts what is whole, in bounds and within the count, in both dialects', () => {
    watch(only(2n));
    for (const wire of [L.WIRE_U32, L.WIRE_U64]) {
      const bytes = messagesTo([2, 2, 2, 3], 5, wire === L.WIRE_U64 ? 'u64' : 'u32');
      const each = L.BUCKET_BYTES + wire + 5;
      for (let end = 0; end <= bytes.length; end++) {
        const { status, run } = twins.same((codec) => intakeOf(codec, bytes, { wire, end }));
        const whole = Math.min(3, Math.floor(end / each));
        assert.equal(status, whole === 0 ? L.INTAKE_MORE : L.INTAKE_RULED);
        if (whole > 0) assert.deepEqual(run, [1, 2, 0, whole, 5 * whole]);
      }
      for (const left of [0, 1, 2, 3, 4]) {
        const { status, run } = twins.same((codec) => intakeOf(codec, bytes, { wire, left }));
        assert.equal(status, left === 0 ? L.INTAKE_DONE : L.INTAKE_RULED);
        if (left > 0) assert.equal(run![3], Math.min(3, left));
      }
      for (const length of [0, MESSAGE_MAX + 1, L.MESSAGE_BYTES_CEILING + 1, 2 ** 32 - 1]) {
        const bent = bytes.slice();
        new DataView(bent.buffer).setUint32(2 * each + L.BUCKET_BYTES, length, true);
        const { run } = twins.same((codec) => intakeOf(codec, bent, { wire }));
        assert.deepEqual(run, [1, 2, 0, 2, 10], `length ${length}`);
      }
    }
    watch(NONE);
  });

  test('of a long run no more is counted than is told', () => {
    watch(only(2n));
    for (const count of [L.RUN_MESSAGES_MAX, L.RUN_MESSAGES_MAX + 1]) {
      const bytes = messagesTo(new Array(count).fill(2), 1);
      const { run } = twins.same((codec) => intakeOf(codec, bytes));
      assert.equal(run![3], L.RUN_MESSAGES_MAX);
    }
    watch(NONE);
  });

  test('messages without room, empty ones and large ones are not asked about', () => {
    watch(only(1n, 2n));
    const bytes = messagesTo([1], 5);
    const room = L.RECORD_HEADER_BYTES + 16;
    const statusOf = (each: Uint8Array, limit = SEGMENT) =>
      twins.same((codec) => intakeOf(codec, each, { limit })).status;
    assert.equal(statusOf(bytes, room - 8), L.INTAKE_FULL);
    assert.equal(statusOf(bytes, room), L.INTAKE_RULED);
    assert.equal(statusOf(messagesTo([1], 0)), L.INTAKE_EMPTY);
    assert.equal(statusOf(messagesTo([1], MESSAGE_MAX + 1)), L.INTAKE_LARGE);
    const many = messagesTo([...Array(L.ROWS_MAX).keys(), 2].map((i) => i + 10_000));
    assert.equal(statusOf(many), L.INTAKE_ROWS);
    watch(NONE);
  });
});

describe('behind a head', () => {
  const head = { ...NO_HEAD, dueMs: 1_700_000_000_008, fromBucket: 2n ** 63n, hops: 255 };

  function placedOf(codec: Codec, bytes: Uint8Array, most: number, options: Take = {}) {
    const { limit = SEGMENT, wire = L.WIRE_U64 } = options;
    intakeOf(codec, new Uint8Array());
    codec.setLimit(limit);
    codec.inbox.set(bytes);
    writeHead(codec.marks, 0, head);
    const taken = takenFrom(codec, codec.intakePlaced(0, options.end ?? bytes.length, most, wire));
    return Object.assign(taken, { ring: ringView(codec, taken.writeAt).slice() });
  }

  test('one record, as many messages as are decided about, which a scan takes', () => {
    for (const wire of [L.WIRE_U32, L.WIRE_U64]) {
      const dialect = wire === L.WIRE_U64 ? 'u64' : 'u32';
      const bytes = messagesTo([U64_MAX, U64_MAX, U64_MAX, 3], 7, dialect);
      for (const most of [1, 2, 3]) {
        const { status, messages, payload, consumed, rows, sequence, ring } = twins.same((codec) =>
          placedOf(codec, bytes, most, { wire }),
        );
        assert.deepEqual([status, messages, payload], [L.INTAKE_DONE, most, 7 * most]);
        assert.deepEqual([consumed, sequence], [most * (L.BUCKET_BYTES + wire + 7), 1 + most]);
        const scanned = twins.same((codec) => {
          codec.memory.set(ring, 0);
          return scanOf(codec, 0, ring.length, 0);
        });
        assert.deepEqual([scanned.consumed, scanned.rows], [ring.length, rows]);
        const view = new DataView(ring.buffer);
        assert.equal(view.getUint8(L.RECORD_TYPE_AT), L.RECORD_PLACED);
        assert.deepEqual(readHead(view, L.RECORD_HEADER_BYTES), head);
        const first = L.RECORD_HEADER_BYTES + HEAD_BYTES;
        assert.deepEqual([view.getUint32(first, true), ring[first + 4]], [7, 0]);
      }
    }
  });

  test('as many as have room, with the head', () => {
    const bytes = messagesTo([2, 2, 2], 4);
    const room = L.RECORD_HEADER_BYTES + HEAD_BYTES;
    for (const count of [0, 1, 2, 3]) {
      const limit = room + 8 * count;
      const taken = twins.same((codec) => placedOf(codec, bytes, 3, { limit }));
      assert.deepEqual([taken.messages, taken.writeAt], [count, count > 0 ? limit : 0]);
      assert.equal(taken.status, count === 3 ? L.INTAKE_DONE : L.INTAKE_FULL);
      assert.equal(taken.rows.length, count > 0 ? L.ROW_BYTES / 4 : 0);
    }
  });

  test('what is not there, or for another bucket, was never decided about', () => {
    const bytes = messagesTo([2, 2, 3], 4);
    const trapped = (most: number, end = bytes.length) =>
      twins.trap((codec) => placedOf(codec, bytes, most, { end }));
    trapped(0);
    trapped(3);
    trapped(2, bytes.length / 3 + 1);
    trapped(1, bytes.length / 3 - 1);
    trapped(1, 4);
    const bent = bytes.slice();
    new DataView(bent.buffer).setUint32(L.BUCKET_BYTES, 0, true);
    twins.trap((codec) => placedOf(codec, bent, 1));
  });
});

describe('a table that is none', () => {
  const bent: [string, (rules: DataView) => void][] = [
    ['more masks', (rules) => rules.setUint32(L.RULES_MASKS_COUNT_AT, 17, true)],
    ['no slots', (rules) => rules.setUint32(L.RULES_SLOTS_COUNT_AT, 0, true)],
    ['one slot', (rules) => rules.setUint32(L.RULES_SLOTS_COUNT_AT, 1, true)],
    ['three slots', (rules) => rules.setUint32(L.RULES_SLOTS_COUNT_AT, 3, true)],
    ['more slots', (rules) => rules.setUint32(L.RULES_SLOTS_COUNT_AT, 32_768, true)],
    ['more ranges', (rules) => rules.setUint32(L.RULES_RANGES_COUNT_AT, 8193, true)],
    [
      'no empty slot',
      (rules) => {
        for (let i = 0; i < rules.getUint32(L.RULES_SLOTS_COUNT_AT, true); i++) {
          rules.setUint32(L.RULES_SLOTS_AT + 16 * i + L.RULE_SLOT_RULE_AT, 5, true);
          rules.setUint16(L.RULES_FILTER_AT + 2 * i, 0xffff, true);
        }
      },
    ],
  ];
  for (const [name, bend] of bent)
    test(name, () => {
      watch(only(1n, 2n, 3n));
      for (const codec of twins.codecs.values()) bend(codec.rules);
      twins.trap((codec) => intakeOf(codec, messagesTo([9])));
      // What was decided about goes in all the same: it does not look.
      const taken = twins.same((codec) => intakeOf(codec, messagesTo([9]), { admitted: true }));
      assert.equal(taken.messages, 1);
      watch(NONE);
    });
});
