// Whether there was a log once where there is none: an empty folder looks like a first start, but
// what an earlier life left beside its log, or in its folder, says that the log is lost, or not
// mounted.

import { LogError } from '../files/errors.ts';
import { isSpare } from '../segments/segment.ts';
import type { Inventory } from './recovery.ts';

// They come to be only when a log is there.
const LATER_THAN_LOG = ['paused.json', 'runtime.json'];

/**
 * What in a data folder speaks of an earlier log, as paths below it: `names` are in the folder,
 * `logNames` in its folder `log`; `index`: it has that folder, and nobody else can have made it.
 */
export function tracesOf(
  names: readonly string[],
  logNames: readonly string[],
  index: boolean,
): string[] {
  return [
    ...(index ? ['index'] : []),
    ...logNames.filter(isSpare).map((name) => `log/${name}`),
    ...names.filter((name) => LATER_THAN_LOG.includes(name)).sort(),
  ];
}

/**
 * Throws LogError if there is no segment, but something that only a log leaves behind. What a first
 * start that was cut off leaves is not among it.
 */
export function refuseLost(
  { segments, leftovers }: Pick<Inventory, 'segments' | 'leftovers'>,
  traces: readonly string[],
): void {
  if (segments.length > 0) return;
  const found = new Set([...tracesOf([], leftovers, false), ...traces]);
  if (found.size > 0) throw new LogError('missing', lossText([...found]));
}

/** For people: that the log is lost, how that is known, and what to do. */
export function lossText(traces: readonly string[]): string {
  const list = traces.join(', ');
  return `there is none, but beside it is what only an earlier one leaves behind (${list}): the log was deleted, or its volume is not mounted. Nothing was changed. Mount it, or restore it from a copy; to begin a new, empty log on purpose, remove from the data folder: ${list}`;
}
