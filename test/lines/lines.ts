// The other release lines of Node.js that the project promises to run on: which ones, where their
// executables come from, and a run of the tests with one of them.

import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

/** A Node.js of one release line. */
export interface Line {
  /** All of it, as in 24.21.0. */
  version: string;
  /** The executable, whether it is there or not. */
  program: string;
}

/** How the tests of one line ended. */
export interface Outcome {
  version: string;
  /** Why this line was not run at all. */
  missing?: string;
  ran: number;
  skipped: number;
  failed: number;
  seconds: number;
}

const HOUR_MS = 3_600_000;
const SILENT = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-bin-links'];

/** The lines that a folder's package.json pins, as they would be in its node_modules, oldest first. */
export function linesIn(folder: string): Line[] {
  const pinned = JSON.parse(read(path.join(folder, 'package.json'))) as {
    optionalDependencies: Record<string, string>;
  };
  const lines = new Map<string, Line>();
  for (const [name, spec] of Object.entries(pinned.optionalDependencies)) {
    const version = spec.slice(spec.lastIndexOf('@') + 1);
    const home = name.replace(/[^-]*$/, process.arch);
    const program = path.join(folder, 'node_modules', home, 'bin', 'node');
    lines.set(version, { version, program });
  }
  return [...lines.values()].sort((a, b) => majorOf(a) - majorOf(b));
}

function majorOf({ version }: Line): number {
  return Number.parseInt(version, 10);
}

/**
 * Brings the executables that `pins` names to `folder`, out of npm by their checksums and with no
 * script of theirs run. Does nothing when they are there. What could not be had is left out: each
 * line is asked for by itself. Gives what npm said if npm itself fails.
 */
export function fetchLines(pins: string, folder: string): string | undefined {
  const names = ['package.json', 'package-lock.json'];
  const isSame = names.every((name) => {
    const there = path.join(folder, name);
    return fs.existsSync(there) && read(there) === read(path.join(pins, name));
  });
  if (isSame && linesIn(folder).every(({ program }) => fs.existsSync(program))) return undefined;
  fs.mkdirSync(folder, { recursive: true });
  for (const name of names) fs.copyFileSync(path.join(pins, name), path.join(folder, name));
  const npm = process.env.npm_execpath ?? '';
  const [program, args] = /npm-cli\.[cm]?js$/.test(npm) ? [process.execPath, [npm]] : ['npm', []];
  const { status, error, stderr } = spawnSync(
    program,
    [...args, 'ci', ...SILENT, '--loglevel=error'],
    { cwd: folder, encoding: 'utf8', timeout: HOUR_MS / 6 },
  );
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
}

function read(file: string): string {
  return fs.readFileSync(file, 'utf8');
}

/** Why a line cannot be run here; undefined if it can. */
export function whyMissing({ version, program }: Line): string | undefined {
  if (!fs.existsSync(program)) return `npm has no executable of it for this machine, or no network`;
  const { stdout, stderr, error } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  const said = stdout?.trim();
  if (said === `v${version}`) return undefined;
  return `its executable does not run here: ${error?.message ?? (said || stderr.trim())}`;
}

/**
 * Builds and tests the project in `root` with that Node.js, as someone who has no other, and writes
 * everything that is said to `log`. A run that ends without its counts is a failure.
 */
export async function runLine(
  line: Line,
  root: string,
  tests: string[],
  log: string,
): Promise<Outcome> {
  const { version, program } = line;
  const startMs = performance.now();
  fs.mkdirSync(path.dirname(log), { recursive: true });
  const output = fs.openSync(log, 'w');
  const code = await new Promise<number | string>((resolve) => {
    const child = spawn(program, ['setup.mjs', 'test', ...tests], {
      cwd: root,
      stdio: ['ignore', output, output],
      env: {
        ...process.env,
        PATH: `${path.dirname(program)}${path.delimiter}${process.env.PATH}`,
        // How old servers of NATS behave has nothing to do with Node.js.
        THRUSTMQ_TEST_NATS: 'current',
      },
    });
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'nothing'));
  });
  fs.closeSync(output);
  const seconds = (performance.now() - startMs) / 1000;
  const [, ran, skipped, failed] = /^ran (\d+), skipped (\d+), failed (\d+)$/m
    .exec(read(log))
    ?.map(Number) ?? [0, 0, 0, 0];
  const failures = code === 0 && ran! > 0 ? 0 : Math.max(1, failed!);
  return { version, ran: ran!, skipped: skipped!, failed: failures, seconds };
}

/** A line for each line, and one that counts them all; what did not run counts as one skipped. */
export function report(outcomes: Outcome[]): string {
  const told = outcomes.map(({ version, missing, ran, skipped, failed, seconds }) => {
    const name = `Node.js ${version}`.padEnd(16);
    if (missing !== undefined) return `${name} SKIPPED: ${missing}`;
    return `${name} ran ${ran}, skipped ${skipped}, failed ${failed} in ${seconds.toFixed(0)} s`;
  });
  const sum = (count: (outcome: Outcome) => number) =>
    outcomes.reduce((all, outcome) => all + count(outcome), 0);
  const passed = sum(({ ran, failed }) => Math.max(0, ran - failed));
  const skipped = sum(({ missing, skipped }) => (missing === undefined ? skipped : 1));
  const failed = sum(({ failed }) => failed);
  const all = `lines: ${passed} passed, ${failed} failed, ${skipped} skipped`;
  return `${told.join('\n')}\n${all}\n`;
}
