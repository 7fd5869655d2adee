// Keeps garbage a small share of the JavaScript heap. By itself V8 lets a heap grow to several
// times of what is alive as long as the machine has memory: with 10,000 busy consumers that was
// 300 MiB around 80 MiB. The budget of the broker counts on what is set here.
//
// A heap that is small anyway may grow more. What bounds it also bounds arrays outside of it, and
// with a few MiB between two collections there were ten a second, of 8 ms each, while somebody
// published to ever new buckets.
//
// Young objects have a space of their own, of at most 32 MiB with Node.js 20 and 22, but 128 with
// 24: it is kept from growing further than there. As it can double more than once between two
// calls, the start script says --max-semi-space-size=16 besides, which binds from the start.

import v8 from 'node:v8';

/** By how much a heap may outgrow what was alive at the last collection, in percent. */
const GROWTH_PERCENT = 40;
const SMALL_GROWTH_PERCENT = 200;
/** Above it a heap is not small. */
const SMALL_BYTES = 48 * 1024 * 1024;

/** Young objects, with room to copy them to, get no more: what Node.js 20 and 22 allow. */
const YOUNG_BYTES = 32 * 1024 * 1024;

const set = new Map<string, number>();

/** For this process, from its next collection on; to be called again about once a second. */
export function keepHeapSmall(): void {
  const { used_heap_size } = v8.getHeapStatistics();
  const isSmall = used_heap_size <= SMALL_BYTES;
  setFlag('heap-growing-percent', isSmall ? SMALL_GROWTH_PERCENT : GROWTH_PERCENT);
  const spaces = v8.getHeapSpaceStatistics();
  const young = spaces.find(({ space_name }) => space_name === 'new_space')?.space_size ?? 0;
  setFlag('semi-space-growth-factor', young < YOUNG_BYTES ? 2 : 1);
}

function setFlag(name: string, value: number): void {
  if (set.get(name) === value) return;
  set.set(name, value);
  v8.setFlagsFromString(`--${name}=${value}`);
}
