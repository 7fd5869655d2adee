// The verb `bucket`: lists the buckets of a running broker, looks into one, purges, pauses and
// resumes it, all through the admin API.

import type { Command } from 'commander';
import {
  type BucketInfo,
  type BucketPage,
  type BucketRow,
  PEEK_MAX,
  type PeekResult,
  type PurgeState,
  ROWS_MAX,
} from '../contract/commands.ts';
import { formatDuration } from '../core/text/units.ts';
import { type AdminOptions, addBucketList, addBucketVerb, untilDone } from './admin-verbs.ts';
import { Dashboard } from './dashboard.ts';
import { CliError, EXIT, emit, emitDone, note } from './output.ts';
import { count, newTable, printable } from './tables.ts';
import { wholeNumber } from './target.ts';
import { whyLines } from './why.ts';

const EXAMPLES = `
Examples:
  thrustmq bucket ls --sort age         what waits longest
  thrustmq bucket info 42               why it is not being delivered
  thrustmq bucket peek 42 --count 3     the next messages, without taking them
  thrustmq bucket purge 42 --yes        throw away what waits
  thrustmq bucket pause 42              stop deliveries; publishes go on`;

const PREVIEW_CHARS = 72;

/** Adds `bucket` and its verbs. */
export function registerBucket(program: Command): void {
  const bucket = program
    .command('bucket')
    .description('list buckets, look into them, purge, pause and resume them')
    .addHelpText('after', EXAMPLES);
  const onOne = (name: string, text: string) => addBucketVerb(bucket, name, text);
  addBucketList(bucket, 'list buckets')
    .option('--prefix <DIGITS>', 'only ids that begin so')
    .action(list);
  onOne('info', 'show one bucket, its consumers, and why nothing more is delivered').action(info);
  onOne('peek', 'show the next messages without taking them')
    .option('-n, --count <N>', `messages at most, up to ${PEEK_MAX}`, wholeNumber, 10)
    .option('--bytes <N>', 'bytes of each at most', wholeNumber, 4096)
    .action(peek);
  onOne('purge', 'settle every message that waits: none of them is delivered any more')
    .option('-y, --yes', 'yes, throw them away')
    .action(purge);
  onOne('pause', 'stop deliveries; publishes go on').action(pauser('pause'));
  onOne('resume', 'let deliveries go on').action(pauser('resume'));
}

interface ListOptions extends AdminOptions {
  sort: string;
  limit: number;
  prefix?: string;
}

async function list(options: ListOptions): Promise<void> {
  const dashboard = new Dashboard(options);
  const all: BucketPage = { buckets: [], cursor: null, count: 0, more: false };
  do {
    const query = new URLSearchParams({ sort: options.sort });
    query.set('limit', String(Math.min(ROWS_MAX, options.limit - all.buckets.length)));
    if (options.prefix !== undefined) query.set('prefix', options.prefix);
    if (all.cursor !== null) query.set('cursor', all.cursor);
    const page = (await dashboard.get(`/api/v1/buckets?${query}`)) as BucketPage;
    Object.assign(all, { ...page, buckets: [...all.buckets, ...page.buckets] });
  } while (all.cursor !== null && all.buckets.length < options.limit);
  if (options.json) {
    await emit(`${JSON.stringify(all)}\n`);
    return;
  }
  await emit(`${bucketTable(all.buckets)}\n`);
  if (all.buckets.length < all.count && options.prefix === undefined)
    note(`${all.buckets.length} of ${count(all.count)} buckets; more with --limit`);
  if (all.more)
    note('more buckets may have messages on disk that nobody asked for since the start');
}

/** Buckets as a table. */
export function bucketTable(rows: readonly BucketRow[]): string {
  const head = [
    'bucket',
    'ready',
    'unacked',
    'later',
    'consumers',
    'in/s',
    'out/s',
    'oldest',
    'why',
  ];
  const table = newTable(head, ['why']);
  for (const row of rows) {
    const ready = `${count(row.ready)}${row.exact ? '' : '+'}`;
    const rates = [rate(row.publishedRate), rate(row.settledRate)];
    const counts = [ready, count(row.unacked), count(row.delayed), count(row.consumers)];
    table.push([row.id, ...counts, ...rates, ageText(row), row.why.code]);
  }
  return table.toString();
}

function rate(value: number): string {
  return value >= 10 ? count(value) : value.toFixed(1);
}

function ageText({ oldestAgeMs, ageIs }: BucketRow): string {
  if (oldestAgeMs === null) return '';
  const sign = { exact: '', 'at-least': '> ', 'at-most': '< ' }[ageIs];
  return `${sign}${formatDuration(Math.round(oldestAgeMs / 100) * 100)}`;
}

async function info(id: bigint, options: AdminOptions): Promise<void> {
  const bucket = (await new Dashboard(options).get(`/api/v1/buckets/${id}`)) as BucketInfo;
  if (options.json) {
    await emit(`${JSON.stringify(bucket)}\n`);
    return;
  }
  const { rules, consumersList, purge: last } = bucket;
  const lines = [bucketTable([bucket]), ...whyLines(bucket)];
  for (const { key, value, rule } of rules) lines.push(`${key}=${value} by rule ${rule}`);
  if (last !== null)
    lines.push(`purge of ${last.startedAt}: ${count(last.purged)}${last.done ? '' : ' so far'}`);
  if (consumersList.length > 0) {
    const table = newTable(
      ['connection', 'peer', 'id', 'state', 'batch', 'unacked', 'silent'],
      ['peer', 'id', 'state'],
    );
    for (const each of consumersList) {
      const { connection, peer, consumerId, state, batchSize, unacked, silentMs } = each;
      const numbers = [count(batchSize), count(unacked), formatDuration(silentMs)];
      table.push([connection, peer, consumerId, state, ...numbers]);
    }
    lines.push(table.toString());
  }
  await emit(`${lines.join('\n')}\n`);
}

interface PeekOptions extends AdminOptions {
  count: number;
  bytes: number;
}

async function peek(id: bigint, options: PeekOptions): Promise<void> {
  const query = `limit=${options.count}&bytes=${options.bytes}`;
  const path = `/api/v1/buckets/${id}/messages?${query}`;
  const result = (await new Dashboard(options).get(path)) as PeekResult;
  if (options.json) {
    await emit(`${JSON.stringify(result)}\n`);
    return;
  }
  const table = newTable(['sequence', 'bytes', 'attempts', 'begins with'], ['begins with']);
  for (const { sequence, length, attempts, payload } of result.messages)
    table.push([sequence, count(length), attempts, previewOf(payload)]);
  await emit(`${table.toString()}\n`);
  if (result.cut) note('the answer was cut: ask for fewer messages, or fewer bytes of each');
}

export function previewOf(payload: string): string {
  const text = Buffer.from(payload, 'base64').toString();
  return printable(text.slice(0, PREVIEW_CHARS));
}

async function purge(id: bigint, options: AdminOptions & { yes?: boolean }): Promise<void> {
  const dashboard = new Dashboard(options);
  const path = `/api/v1/buckets/${id}`;
  if (!options.yes) {
    const { ready } = (await dashboard.get(path)) as BucketInfo;
    const text = `bucket ${id} has ${count(ready)} messages waiting; say --yes to throw them away`;
    throw new CliError(EXIT.usage, text);
  }
  const state = await untilDone(
    (await dashboard.change('POST', `${path}/purge`)) as PurgeState,
    async () => ((await dashboard.get(path)) as BucketInfo).purge,
    (last) =>
      `the broker stopped while bucket ${id} was being purged: ${count(last.purged)} messages are gone for sure. Purge it again`,
  );
  if (options.json) await emitDone(`${JSON.stringify(state)}\n`);
  else await emitDone(`${count(state.purged)} messages of bucket ${id} were purged\n`);
}

function pauser(kind: 'pause' | 'resume') {
  return async (id: bigint, options: AdminOptions): Promise<void> => {
    const done = await new Dashboard(options).change('POST', `/api/v1/buckets/${id}/${kind}`);
    const text = kind === 'pause' ? 'are paused; publishes go on' : 'go on';
    await emitDone(
      options.json ? `${JSON.stringify(done)}\n` : `deliveries from bucket ${id} ${text}\n`,
    );
  };
}
