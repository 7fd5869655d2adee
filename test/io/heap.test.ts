// Garbage stays a small share of the heap: a program that keeps much and replaces it all the time
// must not grow to several times of what it keeps.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const HEAP = new URL('../../src/io/heap.js', import.meta.url);
// Half a million objects that live long enough to be promoted, each replaced ten times. What it
// grew to before the first collection under the new rule is not what the rule allows.
const PROGRAM = `
import v8 from 'node:v8';
import { keepHeapSmall } from ${JSON.stringify(HEAP.href)};
if (process.argv[1] === 'small') keepHeapSmall();
const kept = [];
for (let i = 0; i < 500_000; i++) kept.push({ at: i, text: [i, i + 1, i + 2] });
globalThis.gc();
const alive = process.memoryUsage().heapUsed;
let [most, young] = [0, 0];
for (let i = 0; i < 5_000_000; i++) {
  kept[i % kept.length] = { at: i, text: [i, i + 1, i + 2] };
  if (i % 10_000 !== 0) continue;
  if (i >= 2_500_000) most = Math.max(most, process.memoryUsage().heapTotal);
  const { space_size } = v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space');
  young = Math.max(young, space_size);
  if (process.argv[1] === 'small') keepHeapSmall();
}
console.log(JSON.stringify({ alive, most, young }));
`;

/** What `npm start` gives to Node.js. */
function flags(): string[] {
  const file = new URL('../../../package.json', import.meta.url);
  const { scripts } = JSON.parse(readFileSync(file, 'utf8'));
  return /node (.*)setup/.exec(scripts.start)![1]!.trim().split(' ');
}

function run(mode: string): { grown: number; young: number } {
  const args = [...flags(), '--expose-gc', '--input-type=module', '-e', PROGRAM, mode];
  const text = execFileSync(process.execPath, args, { encoding: 'utf8' });
  const { alive, most, young } = JSON.parse(text);
  return { grown: most / alive, young };
}

test('the heap outgrows what is alive by little', () => {
  const [small, usual] = [run('small'), run('usual')];
  assert.ok(
    small.grown < 0.7 * usual.grown,
    `${small.grown} of what is alive, against ${usual.grown} by itself`,
  );
  // Two halves of 16 MiB, and what their pages need.
  assert.ok(small.young < 36 * 1024 * 1024, `young objects took ${small.young} bytes`);
});
