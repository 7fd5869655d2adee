// The verb `rule`: lists, sets and removes the rules of a running broker, and explains what is in
// force for a bucket, through the admin API.

import type { Command } from 'commander';
import {
  type BucketRule,
  ROWS_MAX,
  type RulePage,
  type RulePreview,
  type RuleRow,
} from '../contract/commands.ts';
import { type AdminOptions, addAdminVerb } from './admin-verbs.ts';
import { Dashboard } from './dashboard.ts';
import { CliError, EXIT, emit, note } from './output.ts';
import { count, newTable } from './tables.ts';
import { bucketId, wholeNumber } from './target.ts';

const EXAMPLES = `
Rules stand in the configuration file of the broker, as [[rule]], and are read when it starts.
Or they are set while it runs: then they are in its log, and in force until they are removed.

Examples:
  thrustmq rule set tenants --match 100-199 max_messages=5000 batch=10
  thrustmq rule set tenants --match 100-199 batch=20 --if-match 4711
                                        only if nobody has changed it since version 4711
  thrustmq rule set tenants --match '*' rate=5 --preview
                                        which buckets that would change, and how
  thrustmq rule rm tenants              the rule goes
  thrustmq rule ls                      rules, what they match, and what they set
  thrustmq rule explain 42              what is in force for bucket 42, and which rule says so`;

/** Adds `rule` and its verbs. */
export function registerRule(program: Command): void {
  const rule = program
    .command('rule')
    .description('list, set and remove rules, and explain what is in force for a bucket')
    .addHelpText('after', EXAMPLES);
  const verb = (name: string, text: string) => addAdminVerb(rule, name, text);
  const order = (name: string, text: string) =>
    verb(name, text)
      .argument('<name>', 'name of the rule')
      .option('--if-match <version>', 'only if it has that version', version)
      .option('--preview', 'only say which of the known buckets it would change, and how');
  order('set', 'set a rule, or replace the one of that name as a whole')
    .argument('<key=value...>', 'what it sets')
    .requiredOption('--match <match>', 'buckets: 7, 100-199, value/mask, or *')
    .option('--new', 'only if there is no rule of that name')
    .action(set);
  order('rm', 'remove a rule').action(remove);
  verb('ls', 'list rules by name')
    .option('-n, --limit <N>', 'rows at most', wholeNumber, 100)
    .action(list);
  verb('explain', 'show each value that is in force for a bucket, and the rule it is from')
    .argument('<bucket>', 'number of the bucket', bucketId)
    .action(explain);
}

/** @throws CliError */
function version(text: string): string {
  if (/^\d{1,16}$/.test(text)) return text;
  throw new CliError(EXIT.usage, `${JSON.stringify(text)} is no version: rule ls shows them`);
}

interface Order extends AdminOptions {
  ifMatch?: string;
  new?: boolean;
  preview?: boolean;
}

async function set(
  name: string,
  words: readonly string[],
  options: Order & { match: string },
): Promise<void> {
  const query = new URLSearchParams({ match: options.match });
  for (const word of words) {
    const at = word.indexOf('=');
    if (at <= 0) throw new CliError(EXIT.usage, `${JSON.stringify(word)}: write key=value`);
    query.append(word.slice(0, at), word.slice(at + 1));
  }
  const rule = (await change('PUT', name, query, options)) as RuleRow | undefined;
  if (rule !== undefined) await emit(`rule ${rule.name} is in force, version ${rule.version}\n`);
}

async function remove(name: string, options: Order): Promise<void> {
  const gone = await change('DELETE', name, new URLSearchParams(), options);
  if (gone !== undefined) await emit(`rule ${name} is removed\n`);
}

// Undefined: what was answered is written.
async function change(
  method: 'PUT' | 'DELETE',
  name: string,
  query: URLSearchParams,
  { ifMatch, new: isNew, preview, json, ...target }: Order,
): Promise<object | undefined> {
  if (preview) query.set('preview', '1');
  const headers: Record<string, string> = {};
  if (ifMatch !== undefined) headers['if-match'] = `"${ifMatch}"`;
  if (isNew) headers['if-none-match'] = '*';
  const path = `/api/v1/rules/${encodeURIComponent(name)}?${query}`;
  const answer = (await new Dashboard(target).change(method, path, headers)) as object;
  if (json) await emit(`${JSON.stringify(answer)}\n`);
  else if (preview) await emit(previewText(answer as RulePreview));
  else return answer;
  return undefined;
}

function previewText({ looked, more, changed, buckets }: RulePreview): string {
  const rest = more ? '; there may be more on disk' : '';
  const head = `${count(changed)} of ${count(looked)} known buckets would change${rest}\n`;
  if (buckets.length === 0) return head;
  const table = newTable(['bucket', 'key', 'now', 'then'], ['bucket', 'key', 'now', 'then']);
  for (const { bucket, changes } of buckets)
    for (const { key, before, after } of changes) table.push([bucket, key, before, after]);
  return `${head}${table.toString()}\n`;
}

async function list(options: AdminOptions & { limit: number }): Promise<void> {
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
  for (const { name, match, keys, source, version: last } of all.rules) {
    const sets = Object.entries(keys).map(([key, value]) => `${key}=${value}`);
    table.push([name, match, sets.join(' '), last === undefined ? source : `version ${last}`]);
  }
  await emit(`${table.toString()}\n`);
  if (all.rules.length < all.count)
    note(`${all.rules.length} of ${count(all.count)} rules; more with --limit`);
}

async function explain(id: bigint, options: AdminOptions): Promise<void> {
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
  const { virtual } = answer;
  if (virtual !== null && virtual !== undefined)
    note(
      `consumers of virtual bucket ${virtual.bucket} are given what waits here (rule ${virtual.rule})`,
    );
}
