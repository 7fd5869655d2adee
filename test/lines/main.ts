// The command of release lines: npm run lines -- [VERSION …] [TEST …]. Builds and tests the project
// with each other Node.js that it promises to run on. Without names of tests it is a part of them:
// what uses Node.js, not what only computes for long. Ends with 1 if anything fails. With --fetch
// it only brings the executables, and leaves it to the next run to say what is missing.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchLines, linesIn, type Outcome, report, runLine, whyMissing } from './lines.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PINS = path.join(ROOT, '.ci', 'node-lines');
const FOLDER = path.join(ROOT, 'build', 'node-lines');

const PART = ['cli/', 'client/', 'config/', 'dashboard/', 'io/', 'load/', 'time/', 'wasm/']
  .concat(['log/backup', 'log/file-log', 'log/files/', 'log/golden', 'log/segments/', 'log/tools'])
  .concat(['test/server', 'test/setup', 'test/starting', 'e2e/following', 'e2e/hostile'])
  .concat(['e2e/metrics', 'e2e/package', 'e2e/quickstart', 'e2e/start']);
// They enumerate states of a log in memory, wait for servers of NATS to agree, or check types: no
// Node.js has a say in that. What speaks to those servers is among the others.
const LONG = ['log/tools/repair', 'log/tools/verify', 'cluster/opening', 'cluster/object-bucket'];
LONG.push('cluster/jetstream', 'client/typings');
// What verbs say. How a process begins, writes and ends is among the others.
const WORDS = ['admin', 'bench', 'bodies', 'cluster', 'log-tools', 'program', 'top', 'verbs'];
LONG.push(...WORDS.map((name) => `test/cli/${name}.`));

/** The files of the part, as names that match no other. */
function part(): string[] {
  const tests = path.join(ROOT, 'build', 'test');
  return fs
    .readdirSync(tests, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => `test/${name.replaceAll(path.sep, '/')}`)
    .filter((name) => PART.some((start) => name.includes(start)))
    .filter((name) => !LONG.some((start) => name.includes(start)));
}

function bring(): void {
  const complaint = fetchLines(PINS, FOLDER);
  if (complaint !== undefined) process.stderr.write(`lines: npm fails: ${complaint}\n`);
}

async function main(args: string[]): Promise<Outcome[]> {
  const versions = args.filter((arg) => /^\d/.test(arg));
  const tests = args.filter((arg) => !versions.includes(arg));
  const isWanted = (version: string) =>
    versions.length === 0
      ? version !== process.versions.node
      : versions.some((start) => `${version}.`.startsWith(`${start}.`));
  if (!linesIn(PINS).some(({ version }) => isWanted(version))) return [];
  bring();
  const outcomes: Outcome[] = [];
  for (const line of linesIn(FOLDER).filter(({ version }) => isWanted(version))) {
    const { version } = line;
    const missing = whyMissing(line);
    const log = path.join(FOLDER, `${version}.log`);
    const outcome =
      missing === undefined
        ? await runLine(line, ROOT, tests.length === 0 ? part() : tests, log)
        : { version, missing, ran: 0, skipped: 0, failed: 0, seconds: 0 };
    if (outcome.failed > 0) process.stdout.write(`${fs.readFileSync(log, 'utf8')}\n`);
    process.stderr.write(report([outcome]).replace(/\n.*\n$/, '\n'));
    outcomes.push(outcome);
  }
  return outcomes;
}

async function run(args: string[]): Promise<void> {
  const outcomes = await main(args);
  if (outcomes.length === 0) {
    process.stderr.write(`lines: none is pinned of ${args.join(' ')}: see .ci/node-lines\n`);
    process.exitCode = 2;
    return;
  }
  process.stdout.write(`\n${report(outcomes)}`);
  process.exitCode = outcomes.some(({ failed }) => failed > 0) ? 1 : 0;
}

const args = process.argv.slice(2);
if (args.join() === '--fetch') bring();
else await run(args);
