// Checkpoints: what is written is read again, and nothing that differs from it in a bit, in its
// length, in its version or in its log is believed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OUTBOX_BYTES } from '../../../assembly/layout.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { AttemptCounts, SequenceSet } from '../../../src/core/collections/sequence-set.ts';
import type { NumberPage } from '../../../src/core/ports/basics.ts';
import { settle } from '../../../src/log/files/promises.ts';
import {
  CHECKPOINT_NAME,
  type CheckpointState,
  decodeCheckpoint,
  encodeCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from '../../../src/log/index/checkpoint.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { LOG_ID } from '../harness.ts';

const random = new Random(seedOf('log/index/checkpoint.test'));
const BITS = Uint32Array.from({ length: 2048 }, () => random.next());
const COUNTS = Uint16Array.from({ length: 4096 }, () => random.below(65_536));
const BIG = 2 ** 52 + 1;

type Settled = [number: number, bits: Uint32Array | undefined][];
type Attempts = [number: number, page: number | Uint16Array][];
type Numbers = [number: number, page: NumberPage][];
interface Deferred {
  waiting: Settled;
  placed: Settled;
  dead: Settled;
  settings: Settled;
  turns: Numbers;
  levels: Numbers;
}
const NONE: Deferred = {
  waiting: [],
  placed: [],
  dead: [],
  settings: [],
  turns: [],
  levels: [],
};

type Stored = [end: number, least: number, most: number][];

function stateOf(
  settled: Settled,
  attempts: Attempts,
  deferred = NONE,
  stored: Stored = [],
): CheckpointState {
  return {
    start: 4096,
    segments: [
      { base: 0, first: 1, end: 10, messages: 9, live: 0, identity: 0xffffffff, idsUntilMs: 0 },
      {
        base: BIG,
        first: 10,
        end: BIG,
        messages: 2 ** 40,
        live: 3,
        identity: 0,
        idsUntilMs: 1_700_000_000_000,
      },
    ],
    behind: 0xfedcba98,
    settled: { pages: () => settled },
    attempts: { pages: () => attempts },
    numbers: {
      waiting: { pages: () => deferred.waiting },
      placed: { pages: () => deferred.placed },
      dead: { pages: () => deferred.dead },
      settings: { pages: () => deferred.settings },
      turns: { pages: () => deferred.turns },
      levels: { pages: () => deferred.levels },
    },
    stored,
  };
}

const FULL = stateOf(
  [
    [0, undefined],
    [2 ** 37, BITS],
  ],
  [
    [0, 7],
    [1, COUNTS],
    [2 ** 40, 65_535],
  ],
);
const DEFERRED = stateOf([[1, BITS]], [[1, COUNTS]], {
  waiting: [
    [3, undefined],
    [2 ** 37, BITS],
  ],
  placed: [[7, BITS]],
  dead: [
    [7, BITS],
    [8, undefined],
  ],
  settings: [[9, BITS]],
  turns: [
    [0, 2 ** 32 - 1],
    [1, COUNTS],
    [2, Uint32Array.from(COUNTS)],
    [2 ** 40, Uint8Array.from(COUNTS)],
  ],
  levels: [
    [0, 17],
    [1, Uint8Array.from(COUNTS)],
  ],
});
const SMALL = stateOf([[3, undefined]], [[1, 2]]);
const TIMED: Stored = [
  [7, 0, 1_700_000_000_000],
  [2 ** 52, 1_700_000_000_000.5, 2 ** 48],
];

const encode = (state: CheckpointState) => encodeCheckpoint(state, LOG_ID, crc32c);
const decode = (bytes: Uint8Array) => decodeCheckpoint(bytes, LOG_ID, crc32c);

function plain(state: CheckpointState): unknown {
  const { settled, attempts, numbers, ...rest } = state;
  const { waiting, placed, dead, settings, turns, levels } = numbers;
  return {
    ...rest,
    settled: settled.pages(),
    attempts: attempts.pages(),
    waiting: waiting.pages(),
    placed: placed.pages(),
    dead: dead.pages(),
    settings: settings.pages(),
    turns: turns.pages(),
    levels: levels.pages(),
  };
}

test('what is written is read again', () => {
  const timed = [stateOf([], [], NONE, TIMED), { ...DEFERRED, stored: TIMED }];
  for (const state of [FULL, SMALL, stateOf([], []), DEFERRED, ...timed])
    assert.deepEqual(decode(encode(state)), plain(state));
});

test('without what was deferred it is one of version 1, which an earlier release believes', () => {
  const versionOf = (state: CheckpointState) =>
    new DataView(encode(state).buffer).getUint32(8, true);
  assert.deepEqual([FULL, SMALL, DEFERRED].map(versionOf), [1, 1, 2]);
});

test('one that does not begin at an even address, too', () => {
  const bytes = encode(FULL);
  const shifted = new Uint8Array(bytes.length + 1).subarray(1);
  shifted.set(bytes);
  assert.deepEqual(decode(shifted), plain(FULL));
});

test('no truncation, no addition and no flipped bit is believed', () => {
  const bytes = encode(SMALL);
  for (let length = 0; length < bytes.length; length++)
    assert.equal(decode(bytes.slice(0, length)), undefined, `${length} bytes`);
  assert.equal(decode(Uint8Array.from([...bytes, 0])), undefined);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const bent = bytes.slice();
    bent[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(decode(bent), undefined, `bit ${bit}`);
  }
  assert.deepEqual(decode(bytes), plain(SMALL));
});

test('neither another log nor another version is believed, whole as it may be', () => {
  const bytes = encode(SMALL);
  assert.equal(decodeCheckpoint(bytes, LOG_ID + 1n, crc32c), undefined);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, view.getUint32(8, true) + 2, true);
  view.setUint32(12, crc32c(bytes.subarray(16)), true);
  assert.equal(decode(bytes), undefined);
});

test('it speaks of the messages before its end, and of no later one', () => {
  for (const end of [1, 50, 4096, 4097, 65_536, 65_537, 70_000]) {
    const [before, after] = [new SequenceSet(), new SequenceSet()];
    before.add(0, 100_000);
    for (const [number, bits] of before.pages(end)) after.restore(number, bits);
    assert.deepEqual([...after.runs(0, 200_000)], [[0, end]]);
    const [counts, restored] = [new AttemptCounts(), new AttemptCounts()];
    counts.set(0, 100_000, 3);
    for (const [number, page] of counts.pages(end)) restored.restore(number, page);
    assert.deepEqual([...restored.runs(0, 200_000)], [[0, end, 3]]);
  }
});

test('it gets its name when it is whole; a failed write leaves the one before', async () => {
  const files = new MemoryFiles();
  const write = (state: CheckpointState) =>
    settle((done) => writeCheckpoint(files, encode(state), done));
  await write(SMALL);
  assert.deepEqual(files.names(), [CHECKPOINT_NAME]);
  for (const op of ['open', 'write', 'close', 'rename'] as const) {
    const fault = files.fail({ op, nth: 1, code: 'EIO' });
    await assert.rejects(write(FULL), { code: 'EIO' }, op);
    assert.equal(fault.fired, 1);
    assert.deepEqual(await readCheckpoint(files, LOG_ID, crc32c), plain(SMALL), op);
  }
  await write(FULL);
  assert.deepEqual(files.names(), [CHECKPOINT_NAME], 'what failed attempts left is gone');
  assert.deepEqual(await readCheckpoint(files, LOG_ID, crc32c), plain(FULL));
  assert.equal(files.openHandles, 0);
});

test('none there, one that cannot be read, one that is read in pieces', async () => {
  const files = new MemoryFiles();
  const read = () => readCheckpoint(files, LOG_ID, crc32c);
  assert.equal(await read(), undefined);
  files.put(CHECKPOINT_NAME, encode(FULL));
  files.fail({ op: 'read', nth: 1, code: 'EIO' });
  assert.equal(await read(), undefined);
  const fault = files.fail({ op: 'read', nth: 1, short: 5, times: 4 });
  assert.deepEqual(await read(), plain(FULL));
  assert.equal(fault.fired, 4);
  assert.equal(files.openHandles, 0);
});

test('more than can be checked in one piece is refused before any memory is taken for it', () => {
  const pages = (count: number): Settled => Array.from({ length: count }, (_, i) => [i, BITS]);
  const most = Math.floor((OUTBOX_BYTES - 64 - 2 * 48) / (16 + 8192));
  const checked: number[] = [];
  const sizeOf = (bytes: Uint8Array) => checked.push(bytes.length);
  encodeCheckpoint(stateOf(pages(most), []), LOG_ID, sizeOf);
  assert.ok(checked[0]! <= OUTBOX_BYTES);
  assert.throws(
    () => encodeCheckpoint(stateOf(pages(most + 1), []), LOG_ID, sizeOf),
    /^RangeError: it would have \d+ bytes, at most \d+ can be checked$/,
  );
  assert.equal(decodeCheckpoint(new Uint8Array(OUTBOX_BYTES + 1), LOG_ID, sizeOf), undefined);
  assert.equal(checked.length, 1);
});
