// How a row of a bucket reads in every list of buckets.

import type { BucketRow } from '../contract/commands.ts';
import { count, duration, NOTHING, rate } from './format.ts';
import { BucketLink, type Column, Value, WhyBadge } from './parts.tsx';

/** The age of a bucket's oldest message, and how well it is known. */
export function ageOf({ oldestAgeMs, ageIs }: BucketRow): string {
  if (oldestAgeMs === null) return NOTHING;
  const mark = { exact: '', 'at-least': '≥ ', 'at-most': '≤ ' }[ageIs];
  return mark + duration(oldestAgeMs);
}

/** What waits; marked while the oldest part is not counted yet. */
export function readyOf({ ready, exact }: BucketRow): string {
  return (exact ? '' : '≥ ') + count(ready);
}

export const BUCKET_COLUMNS: Column<BucketRow>[] = [
  { head: 'Bucket', cell: (row) => <BucketLink id={row.id} /> },
  { head: 'Ready', isNumber: true, cell: (row) => <Value text={readyOf(row)} /> },
  {
    head: 'In flight',
    isNumber: true,
    isMinor: true,
    cell: (row) => <Value text={count(row.unacked)} />,
  },
  {
    head: 'Later',
    isNumber: true,
    isMinor: true,
    cell: (row) => <Value text={count(row.delayed)} />,
  },
  { head: 'Oldest', isNumber: true, cell: ageOf },
  { head: 'In/s', isNumber: true, isMinor: true, cell: (row) => rate(row.publishedRate) },
  { head: 'Settled/s', isNumber: true, isMinor: true, cell: (row) => rate(row.settledRate) },
  { head: 'Consumers', isNumber: true, isMinor: true, cell: (row) => count(row.consumers) },
  { head: 'State', cell: (row) => <WhyBadge why={row.why} /> },
];
