// The benchmarks: `npm run bench -- [NAME...] [OPTIONS]`. Runs scenarios one after the other,
// prints a table for each as it is done, and writes results where it was told to. Load, servers
// and disk work all run in other processes.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { Bed, MESSAGES } from './bed.ts';
import { toChart } from './chart.ts';
import { describeMachine } from './machine.ts';
import { SYSTEMS } from './peers/systems.ts';
import { type Report, replaceResults, toMarkdown, toTable } from './report.ts';
import type { Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';

interface Options {
  runs: number;
  seconds: number;
  warmup: number;
  idle: number;
  messages: number;
  many: number;
  peers?: string[];
  dir?: string;
  json?: string;
  chart?: string;
  write?: boolean;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url)); // of the project, from build/bench
const README = join(ROOT, 'bench', 'README.md');

const list = SCENARIOS.map(({ name, title }) => `  ${name.padEnd(12)}${title}`).join('\n');

const KEYS = SYSTEMS.map(({ key }) => key).join(',');

const program = new Command('npm run bench --')
  .description('Measure the broker against what this machine can do.')
  .argument('[name...]', 'scenarios to run (default: all)')
  .option('--runs <N>', 'samples of each figure', positive, 5)
  .option('--seconds <S>', 'length of each sample', positive, 4)
  .option('--warmup <S>', 'load before each sample', atLeastZero, 1)
  .option('--idle <N>', 'connections of the scenarios "idle" and "quiet"', positive, 10_000)
  .option('--messages <N>', 'messages of a backlog', positive, MESSAGES)
  .option('--many <N>', 'producers, consumers and buckets of "many"', positive, 1000)
  .option('--peers <NAMES>', `some of the peers only: ${KEYS}`, peerKeys)
  .option('--dir <DIR>', 'where brokers keep their data; on a disk (default: build/bench-data)')
  .option('--json <FILE>', 'write everything, samples included, to a file')
  .option('--chart <FILE>', 'draw the rates as bars, an SVG file')
  .option('--write', 'put the results into bench/README.md')
  .addHelpText('after', `\nScenarios:\n${list}`)
  .action(main);

await program.parseAsync();

function atLeastZero(text: string): number {
  const value = /^\d{1,9}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

function positive(text: string): number {
  const value = atLeastZero(text);
  if (value === 0) throw new InvalidArgumentError('It must be above 0.');
  return value;
}

function peerKeys(text: string): string[] {
  const keys = text.split(',');
  if (keys.some((key) => SYSTEMS.every((system) => system.key !== key)))
    throw new InvalidArgumentError(`There are: ${KEYS}.`);
  return keys;
}

function chosen(names: readonly string[]): Scenario[] {
  const unknown = names.find((name) => SCENARIOS.every((scenario) => scenario.name !== name));
  if (unknown !== undefined)
    program.error(`error: there is no scenario "${unknown}"; there are:\n${list}`, { exitCode: 2 });
  return SCENARIOS.filter(({ name }) => names.length === 0 || names.includes(name));
}

async function main(names: string[], options: Options): Promise<void> {
  const scenarios = chosen(names);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
  const dir = resolve(options.dir ?? join(ROOT, 'build', 'bench-data'));
  await mkdir(dir, { recursive: true });
  const note = (text: string): void => void process.stderr.write(`${text}\n`);
  const report: Report = {
    startedAt: new Date().toISOString(),
    version: await readVersion(),
    command: commandLine(names, options),
    machine: await describeMachine(dir),
    runs: options.runs,
    seconds: options.seconds,
    warmupSeconds: options.warmup,
    scenarios: [],
  };
  const { runs, seconds, warmup: warmupSeconds, idle, many, messages, peers } = options;
  const bed = new Bed({
    ...{ dir, runs, seconds, warmupSeconds, idle, many, messages, note },
    ...(peers === undefined ? {} : { peers }),
  });
  try {
    for (const { name, title, measure } of scenarios) {
      note(`== ${name}`);
      const remarks: string[] = [];
      const figures = await measure(bed, (text) => remarks.push(text));
      const measured = { name, title, figures, remarks };
      report.scenarios.push(measured);
      process.stdout.write(`${toTable(measured)}\n`);
    }
  } finally {
    if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
  }
  await keep(report, options);
}

async function keep(report: Report, { json, chart, write }: Options): Promise<void> {
  if (json !== undefined) await writeFile(resolve(json), `${JSON.stringify(report, null, 2)}\n`);
  if (chart !== undefined) await writeFile(resolve(chart), toChart(report));
  if (write)
    await writeFile(README, replaceResults(await readFile(README, 'utf8'), toMarkdown(report)));
}

/** How to do it again: without what says only where things were put. */
function commandLine(names: readonly string[], options: Options): string {
  const { runs, seconds, warmup, idle, many, messages, peers } = options;
  const parts = ['npm run bench --', ...names, `--runs ${runs} --seconds ${seconds}`];
  if (warmup !== 1) parts.push(`--warmup ${warmup}`);
  if (idle !== 10_000) parts.push(`--idle ${idle}`);
  if (many !== 1000) parts.push(`--many ${many}`);
  if (messages !== MESSAGES) parts.push(`--messages ${messages}`);
  if (peers !== undefined) parts.push(`--peers ${peers.join(',')}`);
  return parts.join(' ');
}

async function readVersion(): Promise<string> {
  const text = await readFile(join(ROOT, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
