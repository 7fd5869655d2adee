// When the log is put aside as a base: when the stream has become much larger than what is live,
// and compaction has made the log small; or when it would refuse messages soon and that would help.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BaseFigures, isBaseDue } from '../../../src/core/cluster/base-due.ts';

const GIB = 1024 ** 3;

const figures = (changed: Partial<BaseFigures>): BaseFigures => ({
  stream: 0,
  behind: 0,
  files: 0,
  objects: 0,
  blockedFrom: 16 * GIB,
  ...changed,
});

test('twice of what is live and the slack may be in the stream, beside what stays there', () => {
  const at = (stream: number) => isBaseDue(figures({ stream, files: 2 * GIB, behind: 500 }), GIB);
  assert.equal(at(5 * GIB + 500), false);
  assert.equal(at(5 * GIB + 501), true);
});

test('a log that is live all over stays in the stream, however full that is', () => {
  assert.equal(isBaseDue(figures({ stream: 15.9 * GIB, files: 15.9 * GIB }), GIB), false);
  assert.equal(isBaseDue(figures({ stream: 15.9 * GIB, files: 8 * GIB }), GIB), false);
});

test('a stream that is about to refuse messages does not wait for the slack', () => {
  const small = { files: 0.1 * GIB, blockedFrom: GIB };
  assert.equal(isBaseDue(figures({ ...small, stream: 0.74 * GIB }), GIB), false);
  assert.equal(isBaseDue(figures({ ...small, stream: 0.75 * GIB }), GIB), true);
  const behind = 0.5 * GIB;
  assert.equal(isBaseDue(figures({ ...small, stream: 0.75 * GIB, behind }), GIB), false);
});

test('bases that hold what is settled by now are made anew', () => {
  assert.equal(isBaseDue(figures({ files: GIB, objects: 3 * GIB }), GIB), false);
  assert.equal(isBaseDue(figures({ files: GIB, objects: 3 * GIB + 1 }), GIB), true);
});
