// The verb `why`: why a bucket's messages are not delivered, and what of it waits until when.

import type { Command } from 'commander';
import type { BucketInfo } from '../contract/commands.ts';
import { Dashboard, type DashboardTarget } from './dashboard.ts';
import { emit } from './output.ts';
import { count } from './tables.ts';
import { addTargetOptions, bucketId } from './target.ts';

interface Options extends DashboardTarget {
  json?: boolean;
}

/** Adds `why`. */
export function registerWhy(program: Command): void {
  const verb = program
    .command('why')
    .description("say why a bucket's messages are not delivered, and what waits until when")
    .argument('<bucket>', 'number of the bucket', bucketId);
  addTargetOptions(verb, 'dashboard')
    .option('--json', 'what the API says of the bucket as one line of JSON')
    .action(why);
}

async function why(id: bigint, options: Options): Promise<void> {
  const bucket = (await new Dashboard(options).get(`/api/v1/buckets/${id}`)) as BucketInfo;
  if (options.json) {
    await emit(`${JSON.stringify(bucket)}\n`);
    return;
  }
  const { ready, unacked, exact } = bucket;
  const counts = [`${count(ready)}${exact ? '' : ' or more'} ready`, `${count(unacked)} held`];
  await emit(`${[...whyLines(bucket), counts.join(', ')].join('\n')}\n`);
}

/** The reason, and what waits for something, a line each. */
export function whyLines(bucket: BucketInfo): string[] {
  const { id, why: reason, delayed, nextDueAt, returned, suspects, dead } = bucket;
  const since = reason.since === undefined ? '' : `, since ${reason.since}`;
  const until = reason.until === undefined ? '' : `, until ${reason.until}`;
  const lines = [`${reason.code}: ${reason.text}${since}${until}`];
  if (delayed > 0) {
    const next = nextDueAt === null ? '' : `, the next at ${nextDueAt}`;
    lines.push(`${count(delayed)} come later${next}`);
  }
  if (returned > suspects) lines.push(`${count(returned - suspects)} came back and are next`);
  if (suspects > 0) lines.push(`${count(suspects)} were lost with others, and come apart`);
  if (dead > 0) lines.push(`${count(dead)} are dead: thrustmq dead peek ${id}`);
  return lines;
}
