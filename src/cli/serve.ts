// The verb `serve`: flags to configuration to a running broker. The flags come from the table of
// settings, so there is no second list to keep.

import { isatty } from 'node:tty';
import { type Command, Option } from 'commander';
import { readMemoryLimit } from '../config/cgroup.ts';
import { ConfigError, type LoadedConfig, loadConfig, withoutSecrets } from '../config/load.ts';
import {
  environmentNameOf,
  flagOf,
  metaOf,
  SETTING_KEYS,
  type SettingKey,
} from '../config/schema.ts';
import { formatSize } from '../core/text/units.ts';
import type { Setting } from '../dashboard/messages.ts';
import { createLogger } from '../io/logger.ts';
import { type LifecycleOptions, runBroker } from './lifecycle.ts';
import { CliError, emit, note, wantsColor } from './output.ts';
import { readVersion } from './version.ts';

const EXAMPLES = `
Each setting can also be given in the environment (--data-dir is THRUSTMQ_DATA_DIR) or in a file
(data_dir = "..." in thrustmq.toml or thrustmq.json). Flags win over the environment, the
environment over the file.

Examples:
  thrustmq serve --data-dir /var/lib/thrustmq
  thrustmq serve --intake-port 0 --exhaust-port 0 --dashboard-port 0
  thrustmq serve --intake 127.0.0.1:1889,wire=u32 --exhaust 127.0.0.1:2889,wire=u32
  thrustmq serve --print-config         show the settings and where they come from`;

/** Adds `serve`. */
export function registerServe(program: Command): void {
  const command = program.command('serve').description('run a broker').optionsGroup('Options:');
  addSettings(command)
    .option('--print-config', 'print the settings with their origins and exit')
    .option('--json', 'short for --log-format json')
    .addHelpText('after', EXAMPLES)
    .action(() => serve(command));
}

/** Adds what can be set, each with its flag, and the file that says it. */
export function addSettings(command: Command): Command {
  command.option(
    '-c, --config <FILE>',
    'config file (default: thrustmq.toml or thrustmq.json here)',
  );
  for (const group of ['Options:', 'Cluster options:', 'Advanced options:'])
    for (const key of SETTING_KEYS.filter((each) => groupOf(each) === group))
      command.addOption(optionOf(key).helpGroup(group));
  return command;
}

function groupOf(key: SettingKey): string {
  if (/^cluster(_|$)/.test(key)) return 'Cluster options:';
  return metaOf(key).advanced === true ? 'Advanced options:' : 'Options:';
}

function optionOf(key: SettingKey): Option {
  const { arg, description, fallback, repeatable } = metaOf(key);
  const placeholder = arg === undefined ? '' : ` <${arg}>`;
  const usual =
    arg === undefined || fallback === undefined || repeatable ? '' : ` (default: ${fallback})`;
  const text = fallback === true ? `do not ${description}` : `${description}${usual}`;
  const option = new Option(
    `${flagOf(key)}${placeholder}`,
    repeatable ? `${text}; repeatable` : text,
  );
  if (repeatable)
    option.argParser((value: string, previous: string[] | undefined) => [
      ...(previous ?? []),
      value,
    ]);
  return option;
}

/** What was given on the command line, by setting key. */
function flagsOf(command: Command): Partial<Record<SettingKey, unknown>> {
  const flags: Partial<Record<SettingKey, unknown>> = {};
  for (const key of SETTING_KEYS) {
    const attribute = key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    if (command.getOptionValueSource(attribute) === 'cli')
      flags[key] = command.getOptionValue(attribute);
  }
  if (command.opts().json === true) flags.log_format ??= 'json';
  return flags;
}

/** What is set, by a command that addSettings has seen. Throws CliError. */
export async function loadSettings(command: Command): Promise<LoadedConfig> {
  try {
    return await loadConfig({
      flags: flagsOf(command),
      configFile: command.opts().config,
      environment: process.env,
      memoryLimit: readMemoryLimit(),
      workingDir: process.cwd(),
      terminal: isatty(1),
    });
  } catch (error) {
    if (error instanceof ConfigError) throw new CliError(error.exitCode, error.message);
    throw error;
  }
}

async function serve(command: Command): Promise<void> {
  const loaded = await loadSettings(command);
  if (command.opts().printConfig === true) {
    await printConfig(loaded);
    return;
  }
  const { config } = loaded;
  const color = wantsColor({ isTTY: isatty(1) });
  const handle = await createLogger({ ...config.logging, color });
  if (loaded.file !== undefined)
    handle.log.info({ event: 'config.file', file: loaded.file }, `settings from ${loaded.file}`);
  const { rules } = loaded;
  if (rules !== undefined)
    handle.log.info(
      { event: 'config.rules', rules: rules.rules.length },
      `${rules.rules.length} rules from ${loaded.file}`,
    );
  if (loaded.unknownVariables.length > 0)
    handle.log.warn(
      { event: 'config.unknown-variables', names: loaded.unknownVariables },
      unknownText(loaded.unknownVariables),
    );
  const startServer = await starterOf(loaded);
  const settings = [...settingsOf(loaded), ...ruleSettingsOf(loaded)];
  const version = readVersion();
  const exitCode = await runBroker({ config, handle, version, startServer, settings });
  process.exit(exitCode);
}

// What a node of a cluster needs is not even read by a broker that is none.
async function starterOf({
  config,
  rules,
}: LoadedConfig): Promise<LifecycleOptions['startServer']> {
  if (config.cluster === undefined) {
    const server = await import('../server.ts');
    return (options) => server.startServer({ ...options, rules });
  }
  const cluster = await import('../cluster/starting.ts');
  return (options) => cluster.startNode({ ...options, rules });
}

function unknownText(names: readonly string[]): string {
  const are = names.length === 1 ? 'is no setting' : 'are no settings';
  return `${names.join(', ')} in the environment ${are} of this version: ignored`;
}

// Of more rules the rest is shown by `rule ls` only.
const RULES_SHOWN = 100;
const SECRET: readonly SettingKey[] = ['dashboard_token', 'cluster_token'];

/** The settings for people, with where each came from. */
function settingsOf({ config, written, origins }: LoadedConfig): Setting[] {
  return SETTING_KEYS.map((key) => {
    const { fallback, description } = metaOf(key);
    const { source, name: origin } = origins[key];
    const followed = source === 'cgroup' ? formatSize(config.memory.budgetBytes) : '';
    const value = written[key] ?? fallback ?? followed;
    const isHidden = SECRET.includes(key) && value !== '';
    return { key, value: isHidden ? '(set)' : textOf(value), source, origin, description };
  });
}

// Rules of the configuration file beside the settings; of many the first ones.
function ruleSettingsOf({ rules, file }: LoadedConfig): Setting[] {
  const all = rules?.rules ?? [];
  const description = all.length > RULES_SHOWN ? `rule 1 of ${all.length}` : 'rule';
  return all.slice(0, RULES_SHOWN).map(
    ({ name, text }, i): Setting => ({
      key: `rule ${name}`,
      value: text.slice(text.indexOf(' match=') + 1),
      source: 'file',
      origin: `${file}: rule`,
      description: description.replace('1 of', `${i + 1} of`),
    }),
  );
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOf).join(' ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

async function printConfig(loaded: LoadedConfig): Promise<void> {
  const { config, origins, file, rules, unknownVariables } = loaded;
  if (unknownVariables.length > 0) note(unknownText(unknownVariables));
  const settings = SETTING_KEYS.map((key) => [
    key,
    { ...origins[key], environment: environmentNameOf(key) },
  ]);
  const shown = withoutSecrets(config);
  const report = {
    file: file ?? null,
    config: shown,
    origins: Object.fromEntries(settings),
    rules: rules?.rules.map(({ name, text }) => ({ name, text, source: 'file' })) ?? [],
  };
  await emit(`${JSON.stringify(report, null, 2)}\n`);
}
