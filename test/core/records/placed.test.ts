// Heads and deferrals are read as they were written, and a row says what a placed record is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as L from '../../../assembly/layout.ts';
import * as P from '../../../assembly/layout-placed.ts';
import {
  bytesAt,
  type Deferral,
  deferralsIn,
  formOf,
  type Head,
  hasFields,
  headBytesOf,
  isEmptyHead,
  kindOf,
  NO_HEAD,
  readHead,
  settlesFrom,
  writeDeferral,
  writeHead,
} from '../../../src/core/records/placed.ts';
import { FLAGS, ROW_WORDS, TYPE } from '../../../src/core/records/rows.ts';

const DEFERRAL: Deferral = {
  sequence: 2 ** 52,
  count: 2 ** 32 - 1,
  turn: 70_000,
  dueMs: 2 ** 47,
  bucket: 2n ** 63n + 5n,
  attempts: 300,
  kind: P.KIND_DEAD,
  level: 9,
  cause: P.CAUSE_LEASE_OVER,
};

test('a deferral is read as it was written', () => {
  const view = new DataView(new ArrayBuffer(3 * P.DEFERRAL_BYTES));
  const all = [DEFERRAL, { ...DEFERRAL, dueMs: 0, level: 0 }, { ...DEFERRAL, sequence: 1 }];
  for (const [i, each] of all.entries()) writeDeferral(view, i, each);
  assert.deepEqual(deferralsIn(new Uint8Array(view.buffer), 0, 3), all);
});

test('of attempts a deferral has room for 65,535', () => {
  const view = new DataView(new ArrayBuffer(P.DEFERRAL_BYTES));
  writeDeferral(view, 0, { ...DEFERRAL, attempts: 70_000 });
  assert.equal(deferralsIn(new Uint8Array(view.buffer), 0, 1)[0]!.attempts, 65_535);
});

test('a head is read as it was written, over whatever stood there', () => {
  const bytes = new Uint8Array(80).fill(0xa5);
  const view = new DataView(bytes.buffer);
  const head: Head = {
    dueMs: 1,
    expiresMs: 2 ** 47,
    publishedMs: 3,
    from: 2 ** 52 + 1,
    fromBucket: 2n ** 64n - 1n,
    movedMs: 4,
    turn: 2 ** 32 - 1,
    fromAttempts: 65_535,
    reason: P.REASON_OVERFLOW,
    fromKind: P.KIND_DEAD,
    hops: 255,
    level: 17,
  };
  writeHead(view, 8, head);
  assert.deepEqual(readHead(view, 8), head);
  assert.equal(isEmptyHead(head), false);
  for (const [name, value] of Object.entries(head))
    assert.equal(isEmptyHead({ ...NO_HEAD, [name]: value }), false, name);
  writeHead(view, 8, NO_HEAD);
  assert.deepEqual(readHead(view, 8), NO_HEAD);
  assert.ok(bytes.subarray(8, 72).every((byte) => byte === 0));
  assert.ok(isEmptyHead(NO_HEAD));
  assert.deepEqual([bytes[7], bytes[72]], [0xa5, 0xa5]);
});

test('kind, form and flags of a row do not touch each other', () => {
  const words = new Uint32Array(2 * ROW_WORDS);
  words[ROW_WORDS + TYPE] = L.RECORD_PLACED;
  words[ROW_WORDS + FLAGS] = L.FLAG_PROOF | (P.KIND_SETTINGS << 8) | (P.FORM_FIELDS << 16);
  const of = (at: number) => [kindOf(words, at), formOf(words, at), headBytesOf(words, at)];
  assert.deepEqual(of(ROW_WORDS), [P.KIND_SETTINGS, P.FORM_FIELDS, P.HEAD_BYTES]);
  assert.deepEqual([settlesFrom(words, ROW_WORDS), hasFields(words, ROW_WORDS)], [false, true]);
  words[ROW_WORDS + FLAGS] = P.FORM_SETTLES << 16;
  assert.deepEqual([settlesFrom(words, ROW_WORDS), hasFields(words, ROW_WORDS)], [true, false]);
  assert.deepEqual(of(0), [0, 0, 0]);
});

test('what was published begins behind the size, or behind the fields', () => {
  const view = new DataView(new ArrayBuffer(32));
  view.setUint16(8, 10, true);
  assert.equal(bytesAt(view, 4, false), 8);
  assert.equal(bytesAt(view, 4, true), 20);
});
