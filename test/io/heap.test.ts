// Garbage stays a small share of the heap: a program that keeps much and replaces it all the time
// must not grow to several times of what it keeps.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const HEAP = new URL('../../src/io/heap.js', import.meta.url);
// Half a million objects that live long enough to be promoted, each replaced ten times.
const PROGRAM = `
import { keepHeapSmall } from ${JSON.stringify(HEAP.href)};
if (process.argv[1] === 'small') keepHeapSmall();
const kept = [];
for (let i = 0; i < 500_000; i++) kept.push({ at: i, text: [i, i + 1, i + 2] });
globalThis.gc();
const alive = process.memoryUsage().heapUsed;
let most = 0;
for (let i = 0; i < 5_000_000; i++) {
  kept[i % kept.length] = { at: i, text: [i, i + 1, i + 2] };
  if (i % 10_000 !== 0) continue;
  most = Math.max(most, process.memoryUsage().heapTotal);
  if (process.argv[1] === 'small') keepHeapSmall();
}
console.log(JSON.stringify({ alive, most }));
`;

function grown(mode: string): number {
  const args = ['--expose-gc', '--input-type=module', '-e', PROGRAM, mode];
  const { alive, most } = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  return most / alive;
}

test('the heap outgrows what is alive by little', () => {
  const [small, usual] = [grown('small'), grown('usual')];
  assert.ok(small < 0.8 * usual, `${small} of what is alive, against ${usual} by itself`);
});
