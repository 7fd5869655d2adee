// The configuration file: TOML or JSON with settings and rules. What its settings may hold is
// schema.ts, where else they come from is load.ts.

import { extname } from 'node:path';
import { RuleError } from '../core/rules/rule-error.ts';
import type { RuleTable } from '../core/rules/rule-table.ts';
import { nearestName } from '../core/text/nearest.ts';
import { RULE_KEY, rulesOf } from './rules.ts';
import { SETTING_KEYS, type SettingKey } from './schema.ts';
import { readTextFile } from './text-file.ts';

/** Wrong configuration; the message names the source and holds a hint where there is one. */
export class ConfigError extends Error {
  /** 2 when the command line is at fault, else 78. */
  readonly exitCode: number;
  constructor(message: string, exitCode = 78) {
    super(message);
    this.name = 'ConfigError';
    this.exitCode = exitCode;
  }
}

export interface Origin {
  /** `cgroup`: a default that follows from the limit of the control group. */
  source: 'flag' | 'environment' | 'file' | 'default' | 'cgroup';
  /** What a person would look for: `--wire`, `THRUSTMQ_WIRE`, `thrustmq.toml: wire`. */
  name: string;
}

/** A value as its source wrote it. */
export interface Found {
  value: unknown;
  origin: Origin;
}

/**
 * Reads the settings of a configuration file; gives the rules that stand in it.
 * @throws ConfigError with what is wrong, and where.
 */
export async function readConfigFile(
  path: string,
  found: Map<SettingKey, Found>,
): Promise<RuleTable | undefined> {
  const table = await readTable(path);
  const { [RULE_KEY]: rules, ...settings } = table;
  for (const [name, value] of Object.entries(settings)) {
    const key = name.replaceAll('-', '_') as SettingKey;
    if (!SETTING_KEYS.includes(key)) throw unknownKey(path, name);
    if (found.has(key)) throw new ConfigError(`${path}: "${key}" is given twice`);
    found.set(key, { value, origin: { source: 'file', name: `${path}: ${name}` } });
  }
  if (!Object.hasOwn(table, RULE_KEY)) return undefined;
  try {
    return rulesOf(rules);
  } catch (error) {
    if (error instanceof RuleError) throw new ConfigError(`${path}: ${error.message}`);
    throw error;
  }
}

const FILE_KEYS = [...SETTING_KEYS, RULE_KEY];

async function readTable(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = readTextFile(path);
  } catch (error) {
    throw new ConfigError(`cannot read the config file ${path}: ${(error as Error).message}`);
  }
  let table: unknown;
  try {
    if (extname(path).toLowerCase() === '.json') table = JSON.parse(text);
    else table = (await import('smol-toml')).parse(text);
  } catch (error) {
    throw new ConfigError(`${path} does not parse: ${(error as Error).message}`);
  }
  if (typeof table !== 'object' || table === null || Array.isArray(table))
    throw new ConfigError(`${path} must hold a table of settings`);
  return table as Record<string, unknown>;
}

function unknownKey(path: string, name: string): ConfigError {
  const near = nearestName(name, FILE_KEYS);
  const hint = near === undefined ? '' : `; did you mean "${near}"?`;
  return new ConfigError(`${path}: unknown key "${name}"${hint}`);
}

interface Issue {
  message: string;
  path: PropertyKey[];
  errors?: Issue[][];
}

/** The first complaint that says something: unions hide theirs one level down. */
export function issueText(issues: readonly unknown[]): string {
  const issue = issues[0] as Issue;
  const inner = issue.errors?.flat().find(({ message }) => message !== '');
  const where = issue.path.length > 0 ? `[${issue.path.join('.')}] ` : '';
  return `${where}${inner ? inner.message : issue.message}`;
}
