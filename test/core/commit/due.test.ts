// When marks and proofs are due: after their time, when they are many, and not before.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MARKS_MAX } from '../../../assembly/layout.ts';
import { CommitDue } from '../../../src/core/commit/due.ts';

const TIMES = { ackCommitMs: 10, proofMs: 100 };

test('marks are due when the first of them has waited long enough, or when they are many', () => {
  const due = new CommitDue(TIMES);
  due.note(1000, 1, false);
  assert.equal(due.marks, false);
  due.note(1009, 2, false);
  assert.equal(due.marks, false);
  assert.equal(due.nextMs(1009, true, false), 1010);
  due.note(1010, 2, false);
  assert.equal(due.marks, true);
  due.note(1011, 0, false);
  assert.equal(due.marks, false);
  due.note(1012, MARKS_MAX, false);
  assert.equal(due.marks, true);
});

test('a proof is due when nothing but it has waited for so long', () => {
  const due = new CommitDue(TIMES);
  due.note(1000, 0, true);
  assert.equal(due.proof(1099), false);
  due.note(1050, 0, false); // something came in between
  due.note(1060, 0, true);
  assert.equal(due.nextMs(1060, false, true), 1160);
  assert.equal(due.proof(1100), false);
  assert.equal(due.proof(1160), true);
});

test('what has just begun or ended to wait is noted by the next tick', () => {
  const due = new CommitDue(TIMES);
  assert.equal(due.nextMs(1000, false, false), Number.POSITIVE_INFINITY);
  assert.equal(due.nextMs(1000, true, false), 1000);
  due.note(1000, 1, true);
  assert.equal(due.nextMs(1001, false, true), 1001);
  assert.equal(due.nextMs(1001, true, false), 1001);
});

test('what could not be written when it was due is tried again after a while', () => {
  const due = new CommitDue(TIMES);
  due.note(1000, 1, false);
  assert.equal(due.nextMs(1011, true, false), 2011);
});
