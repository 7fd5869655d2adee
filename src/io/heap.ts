// Keeps garbage a small share of the JavaScript heap. By itself V8 lets a heap grow to several
// times of what is alive as long as the machine has memory: with 10,000 busy consumers that was
// 300 MiB around 80 MiB. The budget of the broker counts on what is set here.
//
// A heap that is small anyway may grow more. What bounds it also bounds arrays outside of it, and
// with a few MiB between two collections there were ten a second, of 8 ms each, while somebody
// published to ever new buckets.

import v8 from 'node:v8';

/** By how much a heap may outgrow what was alive at the last collection, in percent. */
const GROWTH_PERCENT = 40;
const SMALL_GROWTH_PERCENT = 200;
/** Above it a heap is not small. */
const SMALL_BYTES = 48 * 1024 * 1024;

let percent = 0;

/** For this process, from its next collection on; to be called again about once a second. */
export function keepHeapSmall(): void {
  const { used_heap_size } = v8.getHeapStatistics();
  const wanted = used_heap_size > SMALL_BYTES ? GROWTH_PERCENT : SMALL_GROWTH_PERCENT;
  if (wanted === percent) return;
  percent = wanted;
  v8.setFlagsFromString(`--heap-growing-percent=${percent}`);
}
