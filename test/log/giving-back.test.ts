// Segments are given back with their indexes, but none while another one takes a name.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GivingBack } from '../../src/log/giving-back.ts';
import type { IndexedSegments } from '../../src/log/indexed-segments.ts';
import type { Segments } from '../../src/log/segments/segments.ts';

test('what is not needed goes with its index, later where another takes a name', () => {
  const calls: string[] = [];
  const segments = {
    trim: (position: number) => {
      calls.push(`trim ${position}`);
      return [{ base: position - 1 }];
    },
  } as unknown as Segments;
  const index = {
    drop: (base: number) => void calls.push(`drop ${base}`),
  } as unknown as IndexedSegments;
  let swapping = false;
  const back = new GivingBack(segments, index, () => swapping);
  back.before(10);
  swapping = true;
  back.before(20);
  back.before(30);
  assert.deepEqual(calls, ['trim 10', 'drop 9']);
  swapping = false;
  back.goOn();
  back.goOn();
  assert.deepEqual(calls.slice(2), ['trim 30', 'drop 29']);
});
