// Memory of delivery frames: used again only when it was given back, and never without bound.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FramePool } from '../../../src/core/memory/frame-pool.ts';

test('memory is used again after it was given back, never before', () => {
  const pool = new FramePool(16);
  const first = pool.take(100_000)!;
  const second = pool.take(100_000)!;
  assert.notEqual(first, second);
  pool.give(first);
  assert.equal(pool.take(5000), first);
  assert.ok(first.length >= 1024 * 1024 + 12, 'a frame of the limit does not fit');
});

test('small and huge frames are not its business, nor are many at one time', () => {
  const pool = new FramePool(16);
  assert.equal(pool.take(100), undefined);
  assert.equal(pool.take(64 * 1024 * 1024), undefined);
  const out: Uint8Array[] = [];
  for (let memory = pool.take(9000); memory !== undefined; memory = pool.take(9000))
    out.push(memory);
  assert.ok(out.length >= 1 && out.length <= 64, `${out.length} at one time`);
  pool.give(out[0]!);
  assert.equal(pool.take(9000), out[0]);
});
