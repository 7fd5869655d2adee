// The runs on other release lines of Node.js themselves, with stand-ins for their executables: what
// is pinned, what counts as missing, and that nothing which fails is counted as passed.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Line, linesIn, type Outcome, report, runLine, whyMissing } from './lines.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PINS = path.join(ROOT, '.ci', 'node-lines');
const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

const json = (...names: string[]) => JSON.parse(fs.readFileSync(path.join(...names), 'utf8'));

let folder = '';

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'thrustmq-lines-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

/** A program that does as the shell is told, in the place of a Node.js. */
function standIn(script: string): Line {
  const program = path.join(folder, 'bin', 'node');
  fs.mkdirSync(path.dirname(program), { recursive: true });
  fs.writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { version: '24.21.0', program };
}

test('each line that is promised is pinned with its checksum, the oldest as it is promised', () => {
  const lines = linesIn(PINS).map(({ version }) => version);
  assert.deepEqual(
    lines.map((version) => Number.parseInt(version, 10)),
    [20, 22, 24, 26],
  );
  assert.equal(json(ROOT, 'package.json').engines.node, `>=${lines[0]!.replace(/\.0$/, '')}`);
  const { optionalDependencies } = json(PINS, 'package.json');
  const { packages } = json(PINS, 'package-lock.json');
  for (const [name, spec] of Object.entries<string>(optionalDependencies)) {
    const { name: real, version, integrity } = packages[`node_modules/${name}`];
    assert.equal(spec, `npm:${real}@${version}`);
    assert.match(integrity, /^sha512-/);
  }
});

test('a line is missing that is not there, does not run, or is another one', () => {
  const absent = { version: '24.21.0', program: path.join(folder, 'none') };
  assert.match(whyMissing(absent)!, /no executable of it for this machine/);
  assert.match(whyMissing(standIn('echo no glibc >&2; exit 1'))!, /run here: no glibc/);
  assert.match(whyMissing(standIn('echo v24.20.0'))!, /does not run here: v24.20.0/);
  assert.equal(whyMissing(standIn('echo v24.21.0')), undefined);
});

test('a run has the counts that it printed; one that ends otherwise has failed', async () => {
  const log = path.join(folder, 'logs', 'run.log');
  const ran = async (script: string) => {
    const outcome = await runLine(standIn(script), folder, ['a', 'b'], log);
    return [outcome.ran, outcome.skipped, outcome.failed];
  };
  assert.deepEqual(await ran('echo "$@"; which node; echo ran 7, skipped 2, failed 0'), [7, 2, 0]);
  const called = `setup.mjs test a b\n${folder}/bin/node\n`;
  assert.ok(fs.readFileSync(log, 'utf8').startsWith(called));
  assert.deepEqual(await ran('echo ran 7, skipped 2, failed 3; exit 1'), [7, 2, 3]);
  assert.deepEqual(await ran('echo ran 7, skipped 2, failed 0; exit 1'), [7, 2, 1]);
  assert.deepEqual(await ran('echo ran 0, skipped 2, failed 0'), [0, 2, 1]);
  assert.deepEqual(await ran('echo the build fails; exit 1'), [0, 0, 1]);
  assert.deepEqual(await ran('kill -9 $$'), [0, 0, 1]);
  fs.rmSync(path.join(folder, 'bin'), { recursive: true });
  const gone = { version: '24.21.0', program: path.join(folder, 'bin', 'node') };
  assert.equal((await runLine(gone, folder, [], log)).failed, 1);
});

test('the report names each line and closes with all counts; a missing line is one skipped', () => {
  const base: Outcome = { version: '22.23.3', ran: 0, skipped: 0, failed: 0, seconds: 0 };
  const outcomes = [
    { ...base, ran: 9, skipped: 1, seconds: 61.4 },
    { ...base, version: '24.21.0', missing: 'no network' },
    { ...base, version: '26.10.0', ran: 9, failed: 2, seconds: 5 },
    { ...base, version: '20.19.0', failed: 1 },
  ];
  assert.equal(
    report(outcomes),
    `Node.js 22.23.3  ran 9, skipped 1, failed 0 in 61 s
Node.js 24.21.0  SKIPPED: no network
Node.js 26.10.0  ran 9, skipped 0, failed 2 in 5 s
Node.js 20.19.0  ran 0, skipped 0, failed 1 in 0 s
lines: 16 passed, 3 failed, 2 skipped
`,
  );
});

test('a line that is not pinned is refused before anything is fetched', () => {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, '19'], { encoding: 'utf8' });
  assert.equal(stderr, 'lines: none is pinned of 19: see .ci/node-lines\n');
  assert.equal(status, 2);
});
