// Slots of ids, and files of them, for the tests of what is on disk of windows.

import { crc32c } from '../../../src/codec/crc32c.ts';
import { SLOT_WORDS } from '../../../src/core/collections/id-page.ts';
import { RecentIds } from '../../../src/core/collections/recent-ids.ts';
import { IDLE, Throttle } from '../../../src/log/files/throttle.ts';
import type { RunPlan } from '../../../src/log/index/id-writer.ts';
import { Folder } from '../../support/folder.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import type { Random } from '../../support/random.ts';

export const TIME_MS = 1_700_000_000_000;
export const HOUR_S = 3600;

/** Random ids, published at TIME_MS for an hour. */
export function tableOf(random: Random, count: number, timeMs = TIME_MS): RecentIds {
  const table = new RecentIds();
  for (let i = 0; i < count; i++)
    table.add(
      Uint32Array.from({ length: 4 }, () => random.next()),
      0,
      timeMs,
      HOUR_S,
    );
  return table;
}

/** Each of the ids, as text, in the order in which they come. */
export function idsIn(pieces: Iterable<Uint32Array>): string[] {
  const ids: string[] = [];
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at += SLOT_WORDS)
      ids.push(piece.subarray(at, at + 4).join());
  return ids;
}

/** What a file of a number needs to be written. */
export function planOf(number: number, more: Partial<RunPlan> = {}): RunPlan {
  const calls = { soon: setImmediate, shortDelay: setImmediate, idleDelay: setImmediate };
  return {
    files: new Folder(new MemoryFiles(), 'index'),
    crc32c,
    pace: new Throttle(calls, IDLE),
    number,
    count: 0,
    nowMs: TIME_MS,
    filter: undefined,
    stopped: () => undefined,
    ...more,
  };
}
