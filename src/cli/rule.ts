// The verb `rule`: lists the rules of a running broker, and explains what is in force for a bucket,
// through the admin API.

import type { Command } from 'commander';
import { type BucketRule, ROWS_MAX, type RulePage } from '../contract/commands.ts';
import { Dashboard, type DashboardTarget } from './dashboard.ts';
import { emit, note } from './output.ts';
import { count, newTable } from './tables.ts';
import { addTargetOptions, bucketId, wholeNumber } from './target.ts';

const EXAMPLES = `
Rules stand in the configuration file of the broker, as [[rule]]; they are read when it starts.

Examples:
  thrustmq rule ls                      rules, what they match, and what they set
  thrustmq rule explain 42              what is in force for bucket 42, and which rule says so`;

interface Options extends DashboardTarget {
  json?: boolean;
}

/** Adds `rule` and its verbs. */
export function registerRule(program: Command): void {
  const rule = program
    .command('rule')
    .description('list rules, and explain what is in force for a bucket')
    .addHelpText('after', EXAMPLES);
  const verb = (name: string, text: string) =>
    addTargetOptions(rule.command(name).description(text), 'dashboard').option(
      '--json',
      'the answer of the API as one line of JSON',
    );
  verb('ls', 'list rules by name')
    .option('-n, --limit <N>', 'rows at most', wholeNumber, 100)
    .action(list);
  verb('explain', 'show each value that is in force for a bucket, and the rule it is from')
    .argument('<bucket>', 'number of the bucket', bucketId)
    .action(explain);
}

async function list(options: Options & { limit: number }): Promise<void> {
  const dashboard = new Dashboard(options);
  const all: RulePage = { rules: [], cursor: null, count: 0 };
  do {
    const limit = Math.min(ROWS_MAX, options.limit - all.rules.length);
    const cursor = all.cursor === null ? '' : `&cursor=${all.cursor}`;
    const page = (await dashboard.get(`/api/v1/rules?limit=${limit}${cursor}`)) as RulePage;
    Object.assign(all, { ...page, rules: [...all.rules, ...page.rules] });
  } while (all.cursor !== null && all.rules.length < options.limit);
  if (options.json) {
    await emit(`${JSON.stringify(all)}\n`);
    return;
  }
  const table = newTable(['rule', 'match', 'sets', 'from'], ['rule', 'match', 'sets', 'from']);
  for (const { name, match, keys, source } of all.rules) {
    const sets = Object.entries(keys).map(([key, value]) => `${key}=${value}`);
    table.push([name, match, sets.join(' '), source]);
  }
  await emit(`${table.toString()}\n`);
  if (all.rules.length < all.count)
    note(`${all.rules.length} of ${count(all.count)} rules; more with --limit`);
}

async function explain(id: bigint, options: Options): Promise<void> {
  const path = `/api/v1/buckets/${id}/rule`;
  const answer = (await new Dashboard(options).get(path)) as BucketRule;
  if (options.json) {
    await emit(`${JSON.stringify(answer)}\n`);
    return;
  }
  const table = newTable(['key', 'value', 'from'], ['key', 'value', 'from']);
  for (const { key, value, rule } of answer.keys)
    table.push([key, value, rule === null ? 'default' : `rule ${rule}`]);
  await emit(`${table.toString()}\n`);
}
