// The set-up script in a small project of its own, with stand-ins for npm and the compilers that
// write down how they were called: when it installs, when it builds, what it runs.

import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Ended, plainEnvironment, Running } from './support/process.ts';

const SETUP = fileURLToPath(new URL('../../setup.mjs', import.meta.url));

/** Waits as long as there is a file of this name. */
const HOLD = (name: string) => `
  while (require('node:fs').existsSync('${name}'))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);`;

/** Writes down the call; the tools of the project are this plus a little. */
const LOG_CALL = `
  require('node:fs').appendFileSync('calls', process.argv.slice(2).join(' ') + '\\n');`;

const TOOLS: Record<string, string> = {
  'assemblyscript/bin/asc.js': `${LOG_CALL}
    const fs = require('node:fs');
    ${HOLD('hold-asc')}
    if (fs.existsSync('break-asc')) { console.error('asc says no'); process.exit(1); }
    const name = process.argv[3] === 'debug' ? 'thrustmq.debug.wasm' : 'thrustmq.wasm';
    fs.writeFileSync('build/' + name, '');`,
  // "Compiles" every .ts file by copying it.
  'typescript/bin/tsc': `${LOG_CALL}
    const fs = require('node:fs');
    ${HOLD('hold-tsc')}
    if (fs.existsSync('break-tsc')) { console.log('type error'); process.exit(2); }
    for (const dir of ['src', 'test', 'bench'])
      for (const name of fs.existsSync(dir) ? fs.readdirSync(dir) : []) {
        fs.mkdirSync('build/' + dir, { recursive: true });
        if (name.endsWith('.ts')) fs.copyFileSync(dir + '/' + name, 'build/' + dir + '/' + name.replace(/ts$/, 'js'));
      }`,
};

// The bundler is used as a library.
const ESBUILD = `
  const fs = require('node:fs');
  process.chdir(require('node:path').join(__dirname, '../..'));
  exports.build = async ({ entryPoints, outfile }) => {
    const name = require('node:path').basename(entryPoints[0]);
    fs.appendFileSync('calls', 'bundle ' + name + '\\n');
    if (fs.existsSync('break-esbuild')) throw new Error('esbuild says no');
    fs.mkdirSync(require('node:path').dirname(outfile), { recursive: true });
    fs.writeFileSync(outfile, 'bundled');
  };`;

const NPM = `${LOG_CALL}
  const fs = require('node:fs');
  ${HOLD('hold-npm')}
  if (fs.existsSync('break-npm')) { console.error('no network'); process.exit(1); }
  fs.appendFileSync('calls', 'dry run: ' + process.env.npm_config_dry_run + '\\n');
  fs.mkdirSync('node_modules/dep', { recursive: true });
  fs.writeFileSync('node_modules/dep/package.json', '{}');
  fs.copyFileSync('package-lock.json', 'node_modules/.package-lock.json');`;

let folder: string;

function put(name: string, text: string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
}

function lock(version: string): string {
  const packages = {
    '': { name: 'x' },
    'node_modules/dep': { version },
    'node_modules/other-platform': { version: '1.0.0', optional: true },
  };
  return JSON.stringify({ packages });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'thrustmq set up '));
  copyFileSync(SETUP, join(folder, 'setup.mjs'));
  for (const [name, text] of Object.entries(TOOLS)) put(`node_modules/${name}`, text);
  put('node_modules/esbuild/index.js', ESBUILD);
  put('node_modules/esbuild/package.json', '{"main":"index.js"}');
  put('package.json', '{"type":"module"}');
  put('node_modules/package.json', '{"type":"commonjs"}');
  put('npm/package.json', '{"type":"commonjs"}');
  put('npm/npm-cli.js', NPM);
  put('package-lock.json', lock('1.0.0'));
  put('node_modules/.package-lock.json', lock('1.0.0'));
  put('node_modules/dep/package.json', '{}');
  put('tsconfig.json', '{}');
  put('src/main.ts', `console.log('main', JSON.stringify(process.argv.slice(1)), process.pid);`);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function start(args: string[], env: Record<string, string> = {}): Running {
  return new Running(process.execPath, [join(folder, 'setup.mjs'), ...args], {
    cwd: tmpdir(),
    env: plainEnvironment({ npm_execpath: join(folder, 'npm/npm-cli.js'), ...env }),
  });
}

/** Runs to the end; gives what the tools were called with since the last time. */
async function run(...args: string[]): Promise<Ended & { calls: string }> {
  const ended = await start(args).ended;
  const file = join(folder, 'calls');
  const calls = existsSync(file) ? readFileSync(file, 'utf8') : '';
  rmSync(file, { force: true });
  return { ...ended, calls };
}

/** The file that says who installs or builds. */
function putLock(text: string): void {
  put('build/.setup.lock', text);
}

const isLocked = () => existsSync(join(folder, 'build/.setup.lock'));
const hasProc = existsSync('/proc/self/ns/pid');

/** The lock of `processes`, as somebody on this machine writes it. */
function lockOf(processes: { pid: number; start: string | undefined }[]): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const place = `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  return JSON.stringify({ id: 'another', place, processes });
}

const ASC = '--target release\n--target debug\n';
const TSC = '-p tsconfig.json\n';

/** The calls of each half of the build; the two are made at the same time. */
function halves(calls: string): [wasm: string, script: string] {
  const lines = calls.match(/.*\n/g) ?? [];
  const isWasm = (line: string) => ASC.includes(line);
  return [lines.filter(isWasm).join(''), lines.filter((line) => !isWasm(line)).join('')];
}

/** Settles when a tool was called with these arguments. */
async function called(line: string): Promise<void> {
  const file = join(folder, 'calls');
  while (!existsSync(file) || !readFileSync(file, 'utf8').includes(line))
    await new Promise((resolve) => setImmediate(resolve));
}

test('builds what is missing, once, and is quiet on standard output', async () => {
  const first = await run('build');
  assert.equal(first.code, 0, first.stderr);
  assert.deepEqual(halves(first.calls), [ASC, TSC]);
  assert.equal(first.stdout, '');
  const second = await run('build');
  assert.deepEqual([second.calls, second.stdout, second.stderr], ['', '', '']);
});

test('a change of a source builds its half again, also to an older file', async () => {
  put('assembly/a.ts', '1');
  await run('build');
  put('src/other.ts', '1');
  assert.equal((await run('build')).calls, TSC);
  utimesSync(join(folder, 'src/other.ts'), 1000, 1000);
  assert.equal((await run('build')).calls, TSC);
  put('assembly/a.ts', '22');
  assert.deepEqual(halves((await run('build')).calls), [ASC, TSC]);
  put('tsconfig.json', '{ }');
  assert.equal((await run('build')).calls, TSC);
  rmSync(join(folder, 'build/thrustmq.wasm'));
  assert.equal((await run('build')).calls, ASC);
});

test('the page is checked by itself, bundled, and made again when it is gone', async () => {
  for (const name of ['main.tsx', 'app.css', 'index.html', 'icon.svg']) put(`src/page/${name}`, '');
  const page = `${TSC}-p src/page/tsconfig.json\nbundle main.tsx\nbundle app.css\n`;
  assert.deepEqual(halves((await run('build')).calls), [ASC, page]);
  for (const name of ['app.js', 'app.css', 'index.html', 'icon.svg'])
    assert.ok(existsSync(join(folder, 'build/src/dashboard/page', name)), name);
  assert.equal((await run('build')).calls, '');
  rmSync(join(folder, 'build/src/dashboard/page/app.js'));
  assert.equal((await run('build')).calls, page);
  put('src/page/app.css', 'x{}');
  put('break-esbuild', '');
  const broken = await run('build');
  assert.notEqual(broken.code, 0);
  assert.match(broken.stderr, /the page does not build: esbuild says no/);
  rmSync(join(folder, 'break-esbuild'));
  assert.equal((await run('build')).calls, page, 'what broke off does not count as built');
});

test('outputs whose source is gone are deleted, others stay', async () => {
  put('src/gone.ts', '1');
  await run('build');
  put('build/src/gone.d.ts', '');
  put('build/src/gone.js.map', '');
  put('build/other/file.js', '');
  put('build/src/page.html', '');
  rmSync(join(folder, 'src/gone.ts'));
  await run('build');
  for (const name of ['gone.js', 'gone.d.ts', 'gone.js.map'])
    assert.ok(!existsSync(join(folder, 'build/src', name)), name);
  for (const name of ['src/main.js', 'src/page.html', 'other/file.js', 'thrustmq.wasm'])
    assert.ok(existsSync(join(folder, 'build', name)), name);
});

test('a failed build shows what the tool said, exits 1 and is tried again', async () => {
  put('break-tsc', '');
  const failed = await run('start');
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /type error\nsetup: tsc failed/);
  assert.equal(failed.stdout, '', 'nothing was started');
  rmSync(join(folder, 'break-tsc'));
  assert.equal((await run('build')).calls, TSC, 'the other half was done');
  put('assembly/a.ts', '1');
  put('break-asc', '');
  assert.match((await run('build')).stderr, /asc says no\nsetup: asc \(release\) failed/);
});

test('the halves are built at once, and who fails waits for the other', {
  timeout: 120_000,
}, async () => {
  put('hold-asc', '');
  await using good = start(['build']);
  await called(TSC);
  rmSync(join(folder, 'hold-asc'));
  assert.equal((await good.ended).code, 0, good.stderr);
  rmSync(join(folder, 'build'), { recursive: true });
  put('hold-asc', '');
  put('break-tsc', '');
  await using bad = start(['build']);
  await bad.errorOutput(/type error/);
  assert.ok(isLocked(), 'the other half is at work');
  rmSync(join(folder, 'hold-asc'));
  const { code, stderr } = await bad.ended;
  assert.equal(code, 1);
  assert.match(stderr, /setup: tsc failed\n$/);
  assert.ok(!isLocked());
  rmSync(join(folder, 'break-tsc'));
  rmSync(join(folder, 'calls'));
  assert.equal((await run('build')).calls, TSC, 'the other half was done');
});

test('who was killed is not waited for although two of its programs were, until both have ended', {
  skip: !hasProc && 'no /proc',
  timeout: 120_000,
}, async () => {
  put('hold-asc', '');
  put('hold-tsc', '');
  await using first = start(['build']);
  await Promise.all(['--target release', TSC].map(called));
  first.child.kill('SIGKILL');
  await first.ended;
  for (const name of ['hold-tsc', 'hold-asc']) {
    await using second = start(['build']);
    const [text] = await second.errorOutput(/waiting for it|building/);
    assert.match(text, /waiting/, `before ${name} is gone`);
    rmSync(join(folder, name));
  }
  const { code, stderr } = await start(['build']).ended;
  assert.equal(code, 0, stderr);
  assert.ok(!isLocked());
});

test('dependencies are installed when missing, changed, or no longer wanted', async () => {
  const install = (version: string) => {
    put('package-lock.json', lock(version));
    return run('build');
  };
  const fresh = await install('1.0.0');
  assert.ok(!fresh.calls.includes('ci '), 'an optional package of another platform may be missing');
  const changed = await install('2.0.0');
  assert.match(changed.calls, /^ci --ignore-scripts --no-audit --no-fund /);
  assert.match(changed.stderr, /installing dependencies \(node_modules\/dep has changed\)/);
  assert.ok(!(await install('2.0.0')).calls.includes('ci '));
  rmSync(join(folder, 'node_modules/dep'), { recursive: true });
  assert.match((await run('build')).stderr, /node_modules\/dep is missing/);
  rmSync(join(folder, 'node_modules/.package-lock.json'));
  assert.match((await run('build')).stderr, /there are none yet/);
  put('package-lock.json', JSON.stringify({ packages: { '': {} } }));
  assert.match((await run('build')).stderr, /no longer wanted/);
});

test('a failed install says so and builds nothing', async () => {
  put('package-lock.json', lock('3.0.0'));
  put('break-npm', '');
  const { code, stderr, calls } = await run('start');
  assert.equal(code, 1);
  assert.match(stderr, /no network\nsetup: npm ci failed/);
  assert.ok(!calls.includes('tsconfig'));
});

test('settings of a surrounding npm do not leak into the install', async () => {
  put('package-lock.json', lock('4.0.0'));
  await start(['build'], { npm_config_dry_run: 'true' }).ended;
  assert.match(readFileSync(join(folder, 'calls'), 'utf8'), /dry run: undefined/);
});

test('start runs serve with the arguments in the same process', async () => {
  const program = start(['start', '--data-dir', 'a b']);
  const { stdout, code } = await program.ended;
  assert.equal(code, 0);
  const [, argv, pid] = /^main (\[.*\]) (\d+)$/m.exec(stdout) ?? [];
  assert.deepEqual(JSON.parse(argv), [
    join(folder, 'build/src/main.js'),
    'serve',
    '--data-dir',
    'a b',
  ]);
  assert.equal(Number(pid), program.child.pid);
});

const PASSING = `import { test } from 'node:test'; test('fine', () => {});
  test('left out', { skip: 'no tool' }, () => {}); test('later', { todo: true }, () => {});`;
const said = (name: string) => `import { test } from 'node:test'; test('of ${name} ', () => {});`;
const FAILING = `import { test } from 'node:test'; test('broken', () => { throw 1; });`;

test('test runs every test file, names what was skipped, fails when one fails', async () => {
  put('test/a.test.ts', PASSING);
  const good = await run('test');
  assert.equal(good.code, 0, good.stdout + good.stderr);
  assert.match(good.stdout, /fine/);
  assert.match(good.stdout, /ran 1, skipped 2, failed 0\nskipped:\n/);
  assert.match(good.stdout, /^ {2}test\/a\.test: left out \(no tool\)$/m);
  put('test/b.test.ts', FAILING);
  const bad = await run('test');
  assert.equal(bad.code, 1);
  assert.match(bad.stdout, /broken/);
  assert.match(bad.stdout, /failed 1\n/);
  assert.equal((await run('test', 'a.test')).code, 0, 'a filter runs its files only');
});

test('files that are kept as the longest begin first; how long the longest took is told', async () => {
  for (const name of ['a', 'b', 'c']) put(`test/${name}.test.ts`, said(name));
  const order = async () => (await run('test')).stdout.match(/of [abc] /g)?.join('');
  assert.equal(await order(), 'of a of b of c ');
  put('test/longest.json', '["c", "b"]');
  const { stdout } = await run('test');
  assert.equal(stdout.match(/of [abc] /g)?.join(''), 'of c of b of a ');
  assert.match(stdout, /\nlongest files:(\n +\d+ s {2}test\/[abc]\.test){3}\n\nran 3, /);
});

test('no test at all is a failure: no file, no match, an empty or a dying file', async () => {
  assert.equal((await run('test')).code, 1);
  put('test/a.test.ts', PASSING);
  const none = await run('test', 'zzz');
  assert.equal(none.code, 1);
  assert.match(none.stderr, /no test file matches zzz/);
  put('test/empty.test.ts', '');
  const empty = await run('test', 'empty');
  assert.equal(empty.code, 1, empty.stdout);
  assert.match(empty.stdout, /no test ran/);
  put('test/dies.test.ts', `${PASSING} process.exit(3);`);
  assert.equal((await run('test', 'dies')).code, 1);
});

test('wrong usage exits 2 before anything is installed', async () => {
  put('package-lock.json', lock('5.0.0'));
  for (const args of [[], ['deploy'], ['constructor']]) {
    const { code, stderr, calls } = await run(...args);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /usage: node setup\.mjs start\|test\|build\|bench\|demo\|prove\|coverage\|lines\|lint\|f/,
    );
    assert.equal(calls, '');
  }
});

test('of two first starts one installs and builds, the other says that it waits', async () => {
  put('package-lock.json', lock('6.0.0'));
  put('hold-npm', '');
  await using first = start(['start']);
  await first.errorOutput(/installing dependencies/);
  await using second = start(['start']);
  const [said] = await second.errorOutput(/another one .*: waiting|installing/);
  assert.match(said, /another one installs or builds here \(process \d+\): waiting/);
  assert.ok(second.stderr.includes(`process ${first.child.pid})`), second.stderr);
  rmSync(join(folder, 'hold-npm'));
  for (const program of [first, second]) {
    const { code, stdout, stderr } = await program.ended;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^main /m);
  }
  const calls = readFileSync(join(folder, 'calls'), 'utf8');
  assert.equal(calls.match(/^ci /gm)?.length, 1);
  assert.equal(calls.match(/^-p tsconfig/gm)?.length, 1);
  assert.ok(!isLocked());
});

test('who was killed is not waited for, but what it had started is', {
  skip: !hasProc && 'no /proc',
}, async () => {
  put('package-lock.json', lock('7.0.0'));
  put('hold-npm', '');
  await using first = start(['build']);
  await first.errorOutput(/installing dependencies/);
  await called('ci ');
  first.child.kill('SIGKILL');
  await using second = start(['build']);
  const [said] = await second.errorOutput(/waiting for it|installing/);
  assert.match(said, /waiting/, 'npm of the first one is at work');
  rmSync(join(folder, 'hold-npm'));
  const { code, stderr } = await second.ended;
  assert.equal(code, 0, stderr);
  assert.ok(!isLocked());
});

test('a lock that nobody holds is taken: a dead process, a number used again, silence', async () => {
  const dead = { pid: 2 ** 22 + 1, start: '5' };
  const reused = { pid: process.pid, start: '1' };
  const unknown = { pid: dead.pid, start: undefined };
  const texts = hasProc ? [lockOf([dead]), lockOf([unknown, reused]), lockOf([])] : [];
  const elsewhere = JSON.stringify({ id: 'x', place: 'another machine', processes: [reused] });
  for (const text of [...texts, elsewhere, '']) {
    rmSync(join(folder, 'build'), { recursive: true, force: true });
    putLock(text);
    const { code, stderr } = await start(['build'], { THRUSTMQ_TEST_SETUP_SILENT_MS: '300' }).ended;
    assert.equal(code, 0, stderr);
    assert.ok(!isLocked(), text);
  }
});

test('who works elsewhere is waited for as long as its lock is kept fresh', async () => {
  putLock(JSON.stringify({ id: 'x', place: 'another machine', processes: [{ pid: 7 }] }));
  const file = join(folder, 'build/.setup.lock');
  let beats = 0;
  const beat = setInterval(() => utimesSync(file, 1000, ++beats), 20);
  await using program = start(['build'], { THRUSTMQ_TEST_SETUP_SILENT_MS: '5000' });
  await program.errorOutput(/process 7\): waiting/);
  clearInterval(beat);
  rmSync(file);
  assert.equal((await program.ended).code, 0);
});

test('what is current needs no lock, and a failure leaves none behind', async () => {
  await run('build');
  putLock(JSON.stringify({ id: 'x', place: 'another machine', processes: [{ pid: 7 }] }));
  const { code, stderr } = await run('build');
  assert.deepEqual([code, stderr], [0, '']);
  rmSync(join(folder, 'build/.setup.lock'));
  put('src/other.ts', '1');
  put('break-tsc', '');
  assert.equal((await run('build')).code, 1);
  assert.ok(!isLocked());
});
