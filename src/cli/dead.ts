// The verb `dead`: messages that died, by bucket; looks at them, gives them back or throws them
// away, all through the admin API.

import { type Command, InvalidArgumentError } from 'commander';
import {
  type BucketInfo,
  type BucketPage,
  PEEK_MAX,
  type PeekResult,
  type PurgeState,
  ROWS_MAX,
} from '../contract/commands.ts';
import { type DeadReasons, REASONS_MAX, type RedriveState } from '../contract/dead-messages.ts';
import { formatDuration } from '../core/text/units.ts';
import { type AdminOptions, addBucketList, addBucketVerb, untilDone } from './admin-verbs.ts';
import { previewOf } from './bucket.ts';
import { Dashboard } from './dashboard.ts';
import { CliError, EXIT, emit, emitDone, note } from './output.ts';
import { count, newTable } from './tables.ts';
import { bucketId, wholeNumber } from './target.ts';

const EXAMPLES = `
Examples:
  thrustmq dead ls                           which buckets have dead messages
  thrustmq dead peek 42 --count 3            the first of them, and why they died
  thrustmq dead peek 42 --after 1234         the next, behind the one with this sequence
  thrustmq dead info 42                      how many died of what, and how a redrive goes
  thrustmq dead redrive 42 --rate 100        give them back, 100 a second
  thrustmq dead redrive 42 --to 43 --limit 1 give one of them to another bucket
  thrustmq dead cancel 42                    no more of them, the others stay dead
  thrustmq dead purge 42 --yes               throw them away`;

/** Adds `dead` and its verbs. */
export function registerDead(program: Command): void {
  const dead = program
    .command('dead')
    .description('list dead messages, look at them, give them back or purge them')
    .addHelpText('after', EXAMPLES);
  const onOne = (name: string, text: string) => addBucketVerb(dead, name, text);
  addBucketList(dead, 'list buckets that have dead messages').action(list);
  onOne('peek', 'show the next dead messages, why and when they died')
    .option('-n, --count <N>', 'messages at most', wholeNumber, 10)
    .option('--after <SEQUENCE>', 'only those behind this one', wholeNumber)
    .option('--bytes <N>', 'bytes of each at most', wholeNumber, 4096)
    .action(peek);
  onOne('info', 'count why the dead of a bucket died, and show how a redrive or purge goes')
    .option('-n, --limit <N>', `messages looked at, up to ${REASONS_MAX}`, wholeNumber, REASONS_MAX)
    .action(info);
  onOne('redrive', 'give dead messages back; their attempts begin anew')
    .option('--to <BUCKET>', 'to another bucket than the one that they died in', bucketId)
    .option('-n, --limit <N>', 'messages at most', wholeNumber)
    .option('--rate <N>', 'messages a second', rateOf)
    .action(redrive);
  onOne('cancel', 'end a redrive: what is not given back yet stays dead').action(cancel);
  onOne('purge', 'settle every dead message: they are gone for good')
    .option('-y, --yes', 'yes, throw them away')
    .action(purge);
}

function rateOf(text: string): number {
  const rate = Number(text);
  if (!/^\d+(\.\d{1,3})?$/.test(text) || rate <= 0)
    throw new InvalidArgumentError('Give messages a second, as in 100 or 0.5.');
  return rate;
}

async function list(options: AdminOptions & { sort: string; limit: number }): Promise<void> {
  const query = new URLSearchParams({ sort: options.sort });
  query.set('limit', String(Math.min(ROWS_MAX, options.limit)));
  const page = (await new Dashboard(options).get(`/api/v1/dead?${query}`)) as BucketPage;
  if (options.json) {
    await emit(`${JSON.stringify(page)}\n`);
    return;
  }
  const table = newTable(['bucket', 'dead', 'oldest']);
  for (const { id, ready, unacked, exact, oldestAgeMs } of page.buckets) {
    const age = oldestAgeMs === null ? '' : formatDuration(Math.round(oldestAgeMs / 100) * 100);
    table.push([id, `${count(ready + unacked)}${exact ? '' : '+'}`, age]);
  }
  await emit(`${table.toString()}\n`);
  if (page.cursor !== null) note('there are more; see --limit');
  if (page.more) note('there may be more that died in the last seconds, or before the start');
}

interface PeekOptions extends AdminOptions {
  count: number;
  bytes: number;
  after?: number;
}

/** The next dead messages, in as many answers as it takes. */
async function peeked(id: bigint, options: PeekOptions): Promise<PeekResult> {
  const dashboard = new Dashboard(options);
  const all: PeekResult = { id: String(id), messages: [], cut: false };
  let after = options.after === undefined ? undefined : String(options.after);
  for (;;) {
    const limit = Math.min(PEEK_MAX, options.count - all.messages.length);
    const query = new URLSearchParams({ limit: String(limit), bytes: String(options.bytes) });
    if (after !== undefined) query.set('after', after);
    const path = `/api/v1/buckets/${id}/dead/messages?${query}`;
    const { messages, cut } = (await dashboard.get(path)) as PeekResult;
    all.messages.push(...messages);
    const isDone = all.messages.length >= options.count || (messages.length < limit && !cut);
    // An answer that is cut shows something, unless its first record cannot be read.
    if (isDone || messages.length === 0) return { ...all, cut };
    after = messages.at(-1)!.sequence;
  }
}

async function peek(id: bigint, options: PeekOptions): Promise<void> {
  const result = await peeked(id, options);
  if (options.json) {
    await emit(`${JSON.stringify(result)}\n`);
    return;
  }
  const head = ['sequence', 'bytes', 'reason', 'attempts', 'died', 'begins with'];
  const table = newTable(head, ['reason', 'died', 'begins with']);
  for (const { sequence, length, payload, moved } of result.messages) {
    const { reason = '', attempts = 0, movedAt } = moved ?? {};
    table.push([sequence, count(length), reason, attempts, movedAt ?? '', previewOf(payload)]);
  }
  await emit(`${table.toString()}\n`);
  if (result.cut) note('the answer was cut: ask for fewer messages, or fewer bytes of each');
}

async function info(id: bigint, options: AdminOptions & { limit: number }): Promise<void> {
  const dashboard = new Dashboard(options);
  const path = `/api/v1/buckets/${id}/dead`;
  const limit = Math.min(REASONS_MAX, options.limit);
  const counted = (await dashboard.get(`${path}/reasons?limit=${limit}`)) as DeadReasons;
  const line = (await dashboard.get(path)) as BucketInfo;
  const { purge: purged, redrive: driven = null } = line;
  if (options.json) {
    await emit(`${JSON.stringify({ ...counted, redrive: driven, purge: purged })}\n`);
    return;
  }
  const table = newTable(['reason', 'messages']);
  for (const [reason, many] of Object.entries(counted.reasons)) table.push([reason, count(many)]);
  const lines = [table.toString()];
  if (driven !== null)
    lines.push(`redrive of ${driven.startedAt}: ${count(driven.moved)} given back${endOf(driven)}`);
  if (purged !== null)
    lines.push(`purge of ${purged.startedAt}: ${count(purged.purged)}${endOf(purged)}`);
  await emit(`${lines.join('\n')}\n`);
  if (counted.more) note(`only the first ${count(counted.looked)} were looked at; see --limit`);
}

function endOf(state: { done: boolean; stopped?: string | null }): string {
  if (!state.done) return ' so far';
  return state.stopped ? `, ended (${state.stopped})` : '';
}

async function cancel(id: bigint, options: AdminOptions): Promise<void> {
  const path = `/api/v1/buckets/${id}/dead/redrive/cancel`;
  const state = (await new Dashboard(options).change('POST', path)) as RedriveState;
  if (options.json) await emitDone(`${JSON.stringify(state)}\n`);
  else
    await emitDone(
      `${count(state.moved)} dead messages of bucket ${id} were given back, the others stay dead\n`,
    );
}

interface RedriveOptions extends AdminOptions {
  to?: bigint;
  limit?: number;
  rate?: number;
}

async function redrive(id: bigint, options: RedriveOptions): Promise<void> {
  const dashboard = new Dashboard(options);
  const path = `/api/v1/buckets/${id}/dead`;
  const query = new URLSearchParams();
  for (const name of ['to', 'limit', 'rate'] as const)
    if (options[name] !== undefined) query.set(name, String(options[name]));
  const state = await untilDone(
    (await dashboard.change('POST', `${path}/redrive?${query}`)) as RedriveState,
    async () => ((await dashboard.get(path)) as BucketInfo).redrive ?? null,
    (last) =>
      `the broker stopped while the dead of bucket ${id} were being given back: ${count(last.moved)} are back for sure, and each message is in one place. Begin again`,
  );
  if (options.json) await emitDone(`${JSON.stringify(state)}\n`);
  else await emitDone(`${count(state.moved)} dead messages of bucket ${id} were given back\n`);
  if (state.stopped === 'full') note('the bucket that they go to takes no more');
  if (state.stopped === 'cancelled') note('it was cancelled: the others stay dead');
}

async function purge(id: bigint, options: AdminOptions & { yes?: boolean }): Promise<void> {
  const dashboard = new Dashboard(options);
  const path = `/api/v1/buckets/${id}/dead`;
  if (!options.yes) {
    const { ready } = (await dashboard.get(path)) as BucketInfo;
    const text = `bucket ${id} has ${count(ready)} dead messages; say --yes to throw them away`;
    throw new CliError(EXIT.usage, text);
  }
  const state = await untilDone(
    (await dashboard.change('POST', `${path}/purge`)) as PurgeState,
    async () => ((await dashboard.get(path)) as BucketInfo).purge,
    (last) =>
      `the broker stopped while the dead of bucket ${id} were being purged: ${count(last.purged)} are gone for sure. Purge them again`,
  );
  if (options.json) await emitDone(`${JSON.stringify(state)}\n`);
  else await emitDone(`${count(state.purged)} dead messages of bucket ${id} were purged\n`);
}
