// The state of the broker in one plain sentence, the worst first. Pure.

import type { BucketRow } from '../contract/commands.ts';
import { count, plural } from './format.ts';
import type { Overview } from './types.ts';

export interface Status {
  level: 'good' | 'note' | 'warn' | 'bad';
  text: string;
}

/** What stands in the way of more than one bucket, in the order of how bad it is. */
const TROUBLES: [code: string, words: string][] = [
  ['no-consumer', 'without a consumer'],
  ['consumer-silent', 'for consumers that have fallen silent'],
  ['consumer-not-reading', 'for consumers that do not read'],
];

/** `largest`: the buckets with the largest backlog; `isAll`: there are no others that wait. */
export function statusOf(overview: Overview, largest: BucketRow[], isAll: boolean): Status {
  const { log, buckets, warning } = overview;
  if (log.state === 'failed')
    return { level: 'bad', text: 'The disk failed: nothing is stored until the broker restarts' };
  if (log.state === 'full')
    return { level: 'bad', text: 'The disk is full: publishes are refused, deliveries go on' };
  const waiting = largest.filter(({ ready }) => ready > 0);
  for (const [code, words] of TROUBLES) {
    const hit = waiting.filter(({ why }) => why.code === code).length;
    if (hit === 0) continue;
    const least = isAll ? '' : 'At least ';
    return { level: 'warn', text: `${least}${plural(hit, 'bucket')} ${waits(hit)} ${words}` };
  }
  if (warning !== undefined) return { level: 'warn', text: sentence(warning) };
  if (buckets.paused > 0)
    return {
      level: 'note',
      text: `${plural(buckets.paused, 'bucket')} ${are(buckets.paused)} paused`,
    };
  const { ready, unacked, delayed } = buckets;
  if (ready > 0)
    return { level: 'good', text: `${plural(ready, 'message')} ${waits(ready)}; deliveries go on` };
  if (unacked > 0)
    return { level: 'good', text: `Everything is delivered, ${count(unacked)} not acked yet` };
  if (delayed > 0)
    return { level: 'good', text: `${plural(delayed, 'message')} ${waits(delayed)} for a time` };
  return { level: 'good', text: 'Everything is delivered' };
}

function waits(many: number): string {
  return many === 1 ? 'waits' : 'wait';
}

function are(many: number): string {
  return many === 1 ? 'is' : 'are';
}

/** With a capital letter. */
export function sentence(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/**
 * Time until the disk is full at the pace of the last minutes, in ms; undefined if it does not
 * grow.
 * `points`: time in ms and bytes used, oldest first.
 */
export function msToFull(points: [number, number][], freeBytes: number): number | undefined {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || last[0] - first[0] < 30_000) return undefined;
  const pace = (last[1] - first[1]) / (last[0] - first[0]);
  return pace > 0 ? freeBytes / pace : undefined;
}
