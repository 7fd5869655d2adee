// Series of single buckets as Prometheus text, at /metrics/buckets only, and only of so many: there
// may be millions.

import type { BucketRow } from '../contract/commands.ts';
import { WHY_CODES, type WhyCode } from '../contract/why.ts';
import { type Labels, SECONDS, Text } from './metrics-text.ts';

/** Series of single buckets, for as many as were asked for. */
export function bucketMetricsText(rows: readonly BucketRow[]): string {
  const text = new Text();
  const gauge = (name: string, help: string, value: (row: BucketRow) => number) => {
    const values = rows.map((row): [Labels, number] => [{ bucket: row.id }, value(row)]);
    text.family(`bucket_${name}`, 'gauge', help, values);
  };
  gauge('messages_ready', 'Messages that wait.', ({ ready }) => ready);
  gauge('messages_unacked', 'Messages held.', ({ unacked }) => unacked);
  gauge('messages_delayed', 'Messages to be ready at a time.', ({ delayed }) => delayed);
  gauge('messages_dead_kept', 'Dead messages that are kept.', ({ dead }) => dead);
  gauge('consumers', 'Consumers.', ({ consumers }) => consumers);
  const published = 'Messages stored per second, about.';
  gauge('published_rate', published, ({ publishedRate }) => publishedRate);
  const settled = 'Messages acked or purged per second, about.';
  gauge('settled_rate', settled, ({ settledRate }) => settledRate);
  const age = 'Age of the oldest message that waits.';
  const aged = rows.filter((row) => row.oldestAgeMs !== null);
  text.family(
    'bucket_oldest_message_age_seconds',
    'gauge',
    age,
    aged.map((row) => [{ bucket: row.id }, row.oldestAgeMs! * SECONDS]),
  );
  text.family(
    'bucket_why',
    'gauge',
    'Why nothing more is delivered: always 1, the reason is the code.',
    rows.map(({ id, why }) => [{ bucket: id, code: why.code }, 1]),
  );
  const until = 'Unix time until which that reason holds, where it is known.';
  const ends = rows.filter(({ why }) => why.until !== undefined);
  const endOf = ({ id, why }: BucketRow): [Labels, number] => [
    { bucket: id },
    Date.parse(why.until!) * SECONDS,
  ];
  text.family('bucket_why_until_seconds', 'gauge', until, ends.map(endOf));
  const counts = new Map<WhyCode, number>(WHY_CODES.map((code) => [code, 0]));
  for (const { why } of rows) counts.set(why.code, counts.get(why.code)! + 1);
  text.family(
    'buckets_by_why',
    'gauge',
    'How many of these buckets have which reason.',
    [...counts].map(([code, count]) => [{ code }, count]),
  );
  return text.toString();
}
