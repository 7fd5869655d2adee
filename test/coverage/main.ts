// The command of coverage: npm run coverage. Runs the tests of the log and the codec on a copy of
// the build with a counter at every outcome of every branch. Prints what never happened; ends with
// 1 if that is anything, or if a test fails, with 2 for wrong usage.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { copyOfBuild } from '../support/build-copy.ts';
import { instrument } from './instrument.ts';
import { readCounts, reportOf, rowsOf, type Script } from './report.ts';

/** What is measured, and whose tests are run for it. */
const ROOMS = ['src/log', 'src/codec', 'src/wasm'];
const TESTS = ['assembly', 'codec', 'log', 'wasm'];
const TIMEOUT_MS = 15 * 60_000;

/** Files below a folder, in it and in those within, whose names end like that. */
function scriptsIn(folder: string, ending: string): string[] {
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith(ending)).sort();
}

function instrumented(build: string): Script[] {
  return ROOMS.flatMap((room) => {
    return scriptsIn(path.join(build, room), '.js').map((name) => {
      const file = path.join(build, room, name);
      const source = path.join(room, name.replace(/js$/, 'ts'));
      const text = fs.readFileSync(file, 'utf8');
      const map = fs.readFileSync(path.resolve(build, '../..', room, `${name}.map`), 'utf8');
      const counters = path.join(build, 'test', 'coverage', 'counters.js');
      const made = instrument(text, source, path.relative(path.dirname(file), counters));
      fs.writeFileSync(file, made.text);
      return { source, text, map, outcomes: made.outcomes };
    });
  });
}

function testsIn(build: string): string[] {
  return TESTS.flatMap((room) =>
    scriptsIn(path.join(build, 'test', room), '.test.js').map((name) =>
      path.join('build', 'test', room, name),
    ),
  );
}

/** Ends with the exit code: 0 if every test passes and every branch goes each way. */
function measure(folder: string): number {
  const build = path.join(folder, 'build');
  const scripts = instrumented(build);
  const ran = spawnSync(process.execPath, ['--test', ...testsIn(build)], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    timeout: TIMEOUT_MS,
  });
  const rows = rowsOf(scripts, readCounts(path.join(build, 'counts')));
  process.stdout.write(reportOf(rows));
  if (ran.status !== 0) {
    process.stdout.write(`\n${ran.stdout}${ran.stderr}`);
    process.stdout.write(`\na test fails, so the figures above say little: ${ran.error ?? ''}\n`);
  }
  return ran.status === 0 && rows.every(({ missing }) => missing.length === 0) ? 0 : 1;
}

if (process.argv.length > 2) {
  process.stderr.write('usage: npm run coverage\n');
  process.exit(2);
}
const folder = copyOfBuild('coverage-');
try {
  process.exitCode = measure(folder);
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
