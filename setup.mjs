#!/usr/bin/env node
// The two commands of a fresh clone, and the other npm scripts: makes sure that dependencies and
// build are there and current, then runs. Plain JavaScript without dependencies, because it runs
// before there are any. What the broker does is not decided here.
//
//   node setup.mjs start|test|build|bench|demo|prove|coverage|lines|lint|format [ARGS]

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = path.dirname(fileURLToPath(import.meta.url));
const BUILD = path.join(ROOT, 'build');
const STAMP = path.join(BUILD, '.stamp.json');
const NODE_LEAST = [20, 19];
const TEST_FILE_TIMEOUT_MS = 10 * 60_000;
/** How many of the test files are named with their times. */
const LONGEST = 20;

/** What each half of the build is made from; a change in any of these makes it again. */
const INPUTS = {
  wasm: ['assembly', 'asconfig.json', 'package-lock.json'],
  script: ['src', 'test', 'bench', 'assembly', 'tsconfig.json', 'package-lock.json'],
};

/** The lock, while something is installed or built. */
let held;

const COMMANDS = {
  start,
  test,
  build: () => {},
  bench,
  demo,
  prove,
  coverage,
  lines,
  lint,
  format,
};

/** Why a build or an install cannot go on, in words for people. */
class Failure extends Error {}

function note(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function die(text, code = 1) {
  note(text);
  process.exit(code);
}

/** Runs a program that writes into this folder; quiet when it succeeds. */
async function run(program, args, what, options = {}) {
  const child = spawn(program, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.push(chunk));
  held?.works(child.pid);
  const failure = await new Promise((resolve) => {
    child.once('error', (error) => resolve(`: ${error.message}`));
    child.once('close', (code) => resolve(code === 0 ? undefined : ''));
  });
  held?.rests(child.pid);
  if (failure === undefined) return;
  process.stderr.write(Buffer.concat(said));
  throw new Failure(`${what} failed${failure}`);
}

/** Runs one of our tools with this very node. */
function runTool(script, args, what) {
  return run(process.execPath, [path.join(ROOT, 'node_modules', script), ...args], what);
}

// ---- dependencies ----------------------------------------------------------------------------

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Why node_modules does not match the lock file, or undefined if it does. npm leaves a list of
 * what it installed; comparing it with the lock file also notices an install made by hand.
 */
function staleDependencies() {
  const wanted = readJson(path.join(ROOT, 'package-lock.json'))?.packages;
  if (wanted === undefined) return die('package-lock.json is missing or does not parse');
  const present = readJson(path.join(ROOT, 'node_modules', '.package-lock.json'))?.packages;
  if (present === undefined) return 'there are none yet';
  for (const [name, entry] of Object.entries(wanted)) {
    if (name === '') continue;
    const found = present[name];
    const absent = found === undefined || !fs.existsSync(path.join(ROOT, name, 'package.json'));
    if (absent && !entry.optional && !entry.peer) return `${name} is missing`;
    if (found !== undefined && found.version !== entry.version) return `${name} has changed`;
  }
  const extra = Object.keys(present).find((name) => wanted[name] === undefined);
  return extra === undefined ? undefined : `${extra} is no longer wanted`;
}

async function ensureDependencies() {
  const reason = staleDependencies();
  if (reason === undefined) return;
  note(`installing dependencies (${reason}) …`);
  // A surrounding `npm pack --dry-run` or NODE_ENV=production must not leak into this install.
  const env = { ...process.env };
  for (const name of ['dry_run', 'omit', 'production', 'only', 'global', 'json', 'workspace'])
    delete env[`npm_config_${name}`];
  const flags = [
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--include=dev',
    '--loglevel=error',
  ];
  const outer = process.env.npm_execpath ?? '';
  if (/npm-cli\.[cm]?js$/.test(outer))
    await run(process.execPath, [outer, 'ci', ...flags], 'npm ci', { env });
  else await run('npm', ['ci', ...flags], 'npm ci', { env, shell: process.platform === 'win32' });
}

// ---- build -----------------------------------------------------------------------------------

/** Every file below the given files and folders, relative to the root, sorted. */
function filesOf(inputs) {
  const files = [];
  const visit = (name) => {
    const stat = fs.statSync(path.join(ROOT, name), { throwIfNoEntry: false });
    if (stat?.isFile()) files.push([name, stat]);
    if (stat?.isDirectory())
      for (const child of fs.readdirSync(path.join(ROOT, name))) visit(path.join(name, child));
  };
  for (const name of inputs) visit(name);
  return files.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Changes when a file is added, removed or written, also when a checkout brings an older one. */
function fingerprint(inputs) {
  const hash = createHash('sha256').update(process.version);
  for (const [name, stat] of filesOf(inputs))
    hash.update(`${name}\0${stat.mtimeMs}\0${stat.size}\n`);
  return hash.digest('hex');
}

/** Deletes what the compiler emitted for sources that are gone; it never does so itself. */
function removeOrphans() {
  const roots = ['src', 'test', 'bench', 'assembly'];
  for (const [name] of filesOf(roots.map((root) => path.join('build', root)))) {
    const source = path.relative('build', name).replace(/(\.d)?\.([cm]?)[jt]s(\.map)?$/, '.$2ts');
    if (/\.[cm]?[jt]s(\.map)?$/.test(name) && !fs.existsSync(path.join(ROOT, source)))
      fs.rmSync(path.join(ROOT, name));
  }
}

const PAGE_SOURCE = path.join(ROOT, 'src', 'page');
const PAGE = path.join(BUILD, 'src', 'dashboard', 'page');

function isPageThere() {
  const names = ['app.js', 'app.css', 'index.html', 'icon.svg'];
  return !fs.existsSync(PAGE_SOURCE) || names.every((name) => fs.existsSync(path.join(PAGE, name)));
}

/** The files of the dashboard's page: type-checked by itself, because it runs in a browser. */
async function buildPage() {
  if (!fs.existsSync(PAGE_SOURCE)) return;
  await runTool('typescript/bin/tsc', ['-p', 'src/page/tsconfig.json'], 'tsc (page)');
  const { build } = await import('esbuild');
  const options = { bundle: true, minify: true, legalComments: 'none', logLevel: 'silent' };
  try {
    for (const name of ['main.tsx', 'app.css'])
      await build({
        ...options,
        entryPoints: [path.join(PAGE_SOURCE, name)],
        outfile: path.join(PAGE, name === 'main.tsx' ? 'app.js' : name),
        // No module: browsers ask for one with an Origin, which a proxy's name may not be here.
        format: 'iife',
        target: ['es2022'],
        jsx: 'automatic',
        jsxImportSource: 'preact',
      });
  } catch (error) {
    throw new Failure(`the page does not build: ${error.message}`);
  }
  for (const name of ['index.html', 'icon.svg'])
    fs.copyFileSync(path.join(PAGE_SOURCE, name), path.join(PAGE, name));
}

/** Which halves of the build are current, and what they would be stamped with. */
function judgeBuild() {
  const stamp = readJson(STAMP) ?? {};
  const wanted = { wasm: fingerprint(INPUTS.wasm), script: fingerprint(INPUTS.script) };
  const there = (file) => fs.existsSync(path.join(BUILD, file));
  const current = {
    wasm: stamp.wasm === wanted.wasm && there('thrustmq.wasm') && there('thrustmq.debug.wasm'),
    script: stamp.script === wanted.script && there('src/main.js') && isPageThere(),
  };
  return { current, wanted };
}

async function ensureBuild() {
  const { current, wanted } = judgeBuild();
  if (current.wasm && current.script) return;
  note('building …');
  fs.mkdirSync(BUILD, { recursive: true });
  // Each half is stamped when it is done and not before: an interrupted build must not count.
  const done = {};
  const stamp = (half) => {
    done[half] = wanted[half];
    fs.writeFileSync(STAMP, JSON.stringify(done));
  };
  const make = async (half, work) => {
    if (!current[half]) await work();
    stamp(half);
  };
  fs.writeFileSync(STAMP, JSON.stringify(done));
  const halves = await Promise.allSettled([
    make('wasm', async () => {
      for (const target of ['release', 'debug'])
        await runTool('assemblyscript/bin/asc.js', ['--target', target], `asc (${target})`);
    }),
    make('script', async () => {
      removeOrphans();
      await runTool('typescript/bin/tsc', ['-p', 'tsconfig.json'], 'tsc');
      await buildPage();
    }),
  ]);
  // Whoever fails waits for the other half: it must not go on writing behind the lock.
  for (const { reason } of halves) if (reason !== undefined) throw reason;
}

/** Whether nothing has to be installed or built. */
function isReady(builds) {
  if (staleDependencies() !== undefined) return false;
  const { current } = judgeBuild();
  return !builds || (current.wasm && current.script);
}

// ---- one at a time ---------------------------------------------------------------------------

// Two that install or build at once destroy each other's work. There is nothing but Node.js yet, which
// has no lock that dies with its process; so there is a file that says who works, and whoever waits
// looks whether that one still lives: by its number and when it started if it can be seen from here,
// and if not (another container on a shared volume) by the file's time, which it keeps changing.
const LOCK = path.join(BUILD, '.setup.lock');
const LOOK_MS = 200;
const BEAT_MS = 2000;
const SILENT_MS = Number(process.env.THRUSTMQ_TEST_SETUP_SILENT_MS ?? 20_000);
// Of file systems that know no second name for a file.
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

/** When a process started, in ticks since the boot; undefined when there is none or nobody tells. */
function startOf(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function isThere({ pid, start }) {
  return start !== undefined && startOf(pid) === start;
}

/** Where process numbers mean the same; undefined where nobody tells. */
function placeOf() {
  try {
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${fs.readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return undefined;
  }
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What the lock says, and the time of its file; undefined without one. */
function readLock() {
  try {
    const { mtimeMs } = fs.statSync(LOCK);
    return { text: fs.readFileSync(LOCK, 'utf8'), mtimeMs };
  } catch {
    return undefined;
  }
}

class Lock {
  #text;
  #processes;
  #beat;

  /** Waits until nobody else installs or builds here. */
  static async take() {
    const lock = new Lock();
    let seen;
    let seenMs = 0;
    let told = '';
    while (!lock.#make()) {
      const found = readLock();
      const now = performance.now();
      const isNews = found?.text !== seen?.text || found?.mtimeMs !== seen?.mtimeMs;
      if (isNews) [seen, seenMs] = [found, now];
      const [alive, pid, id] = Lock.#judge(found, now - seenMs);
      if (found !== undefined && !alive) await lock.#takeAway(found.text);
      else if (found !== undefined && id !== told) {
        note(`another one installs or builds here (process ${pid}): waiting for it …`);
        told = id;
      }
      await wait(LOOK_MS);
    }
    return lock;
  }

  /** Whether who holds it lives, its number, and what tells it from others. */
  static #judge(found, silentMs) {
    let said = {};
    try {
      said = JSON.parse(found?.text ?? '');
    } catch {
      // Being written, or by somebody who died over it.
    }
    const { place, processes } = said;
    const pid = processes?.[0]?.pid;
    if (place !== undefined && place === placeOf())
      return [processes?.some(isThere) === true, pid, said.id];
    return [silentMs < SILENT_MS, pid, said.id];
  }

  #make() {
    const id = `${process.pid} ${Date.now()} ${Math.random()}`;
    this.#processes = [{ pid: process.pid, start: startOf(process.pid) }];
    this.#text = JSON.stringify({ id, place: placeOf(), processes: this.#processes });
    try {
      fs.mkdirSync(BUILD, { recursive: true });
      // Written whole before it is there: nobody finds an empty one.
      const draft = `${LOCK}.${process.pid}`;
      fs.writeFileSync(draft, this.#text);
      try {
        fs.linkSync(draft, LOCK);
      } catch (error) {
        if (!NO_LINKS.includes(error.code)) throw error;
        fs.writeFileSync(LOCK, this.#text, { flag: 'wx' });
      } finally {
        fs.rmSync(draft);
      }
    } catch (error) {
      if (error.code === 'EEXIST') return false;
      die(`${LOCK} cannot be made: ${error.message}`);
    }
    this.#beat = setInterval(() => this.#touch(), BEAT_MS);
    this.#beat.unref();
    process.once('exit', () => this.release());
    return true;
  }

  /** Another one may have taken it away, too, and made its own: that one is put back. */
  async #takeAway(text) {
    const away = `${LOCK}.${process.pid}.old`;
    try {
      if (readLock()?.text !== text) return;
      fs.renameSync(LOCK, away);
      if (fs.readFileSync(away, 'utf8') !== text) fs.linkSync(away, LOCK);
      fs.rmSync(away);
    } catch {
      // Gone already, or there again: the next look tells.
    }
    await wait(Math.random() * LOOK_MS);
  }

  #touch() {
    try {
      fs.utimesSync(LOCK, new Date(), new Date());
    } catch {
      // Somebody cleaned up; what is being built is stamped at its end only.
    }
  }

  /** A program that was started here goes on after us if we are killed: until it ends, we live. */
  works(pid) {
    this.#say([...this.#processes, { pid, start: startOf(pid) }]);
  }

  rests(pid) {
    this.#say(this.#processes.filter((each) => each.pid !== pid));
  }

  #say(processes) {
    this.#processes = processes;
    const said = { ...JSON.parse(this.#text), processes };
    if (readLock()?.text !== this.#text) return; // somebody cleaned up
    this.#text = JSON.stringify(said);
    try {
      const draft = `${LOCK}.${process.pid}`;
      fs.writeFileSync(draft, this.#text);
      fs.renameSync(draft, LOCK);
    } catch {
      // As above.
    }
  }

  release() {
    clearInterval(this.#beat);
    if (readLock()?.text === this.#text) fs.rmSync(LOCK, { force: true });
  }
}

// ---- commands --------------------------------------------------------------------------------

/** Runs a built program in this very process, so that every signal reaches it directly. */
async function become(file, args) {
  const program = path.join(BUILD, file);
  if (!fs.existsSync(program)) die(`build/${file} does not exist`);
  process.argv = [process.execPath, program, ...args];
  await import(pathToFileURL(program).href);
}

function start(args) {
  return become('src/main.js', ['serve', ...args]);
}

function bench(args) {
  return become('bench/run.js', args);
}

function demo(args) {
  return become('bench/cluster/demo.js', args);
}

function prove(args) {
  return become('test/prove/main.js', args);
}

function coverage(args) {
  return become('test/coverage/main.js', args);
}

function lines(args) {
  return become('test/lines/main.js', args);
}

/**
 * The order in which test files begin: first those that are kept as the longest, as one of them that
 * began last would run alone; the others by name.
 */
function inOrder(names) {
  const longest = (readJson(path.join(ROOT, 'test', 'longest.json')) ?? []).map((name) =>
    path.join('build', 'test', `${name}.test.js`),
  );
  const rank = (name) => (longest.includes(name) ? longest.indexOf(name) : longest.length);
  return names.sort((a, b) => rank(a) - rank(b));
}

async function test(filters) {
  const { run } = await import('node:test');
  const { spec } = await import('node:test/reporters');
  const names = filesOf([path.join('build', 'test')])
    .map(([name]) => name)
    .filter((name) => name.endsWith('.test.js'))
    .filter((name) => filters.length === 0 || filters.some((part) => name.includes(part)));
  const files = inOrder(names);
  if (files.length === 0) die(`no test file matches ${filters.join(' ') || 'at all'}`);
  const skipped = [];
  const tally = { ran: 0, failed: 0, ms: new Map() };
  // One more saves a twentieth of the time, and has what waits for an answer wait longer for a core.
  const concurrency = Math.max(1, Math.min(4, os.availableParallelism()));
  const events = run({
    files: files.map((name) => path.join(ROOT, name)),
    concurrency,
    timeout: TEST_FILE_TIMEOUT_MS,
    // A test that failed half way leaves sockets and brokers, for which its file would wait.
    forceExit: true,
  });
  const count = (event, failed) => {
    if (failed) tally.failed += 1;
    const isFile = files.some((name) => path.join(ROOT, name) === event.name);
    if (event.nesting === 0 && !isFile)
      tally.ms.set(event.file, (tally.ms.get(event.file) ?? 0) + event.details.duration_ms);
    if (event.details?.type === 'suite' || isFile) return;
    if (event.skip === undefined && event.todo === undefined) tally.ran += 1;
    else skipped.push({ event, why: event.skip ?? event.todo });
  };
  events.on('test:pass', (event) => count(event, false));
  events.on('test:fail', (event) => count(event, event.todo === undefined));
  await new Promise((resolve, reject) => {
    const report = events.compose(new spec());
    report.on('end', resolve).on('error', reject);
    report.pipe(process.stdout, { end: false });
  });
  summarise(skipped, tally);
}

function summarise(skipped, { ran, failed, ms }) {
  const nameOf = (file = '') => path.relative(BUILD, file).replace(/\.js$/, '');
  const lines = skipped.map(({ event, why }) => {
    const reason = typeof why === 'string' && why !== '' ? ` (${why})` : '';
    return `  ${nameOf(event.file)}: ${event.name}${reason}`;
  });
  const longest = [...ms].sort(([, a], [, b]) => b - a).slice(0, LONGEST);
  const told = longest.map(
    ([file, each]) => `\n${String(Math.round(each / 1000)).padStart(5)} s  ${nameOf(file)}`,
  );
  process.stdout.write(`\nlongest files:${told.join('')}\n`);
  process.stdout.write(`\nran ${ran}, skipped ${skipped.length}, failed ${failed}\n`);
  if (lines.length > 0) process.stdout.write(`skipped:\n${lines.sort().join('\n')}\n`);
  if (ran === 0) process.stdout.write('no test ran: that counts as a failure\n');
  process.exitCode = failed > 0 || ran === 0 ? 1 : 0;
}

const PRETTIER = ['--plugin', 'assemblyscript-prettier', '--single-quote', '--print-width', '100'];

/** Like runTool, but the tool's output is what was asked for. */
function showTool(script, args) {
  const tool = path.join(ROOT, 'node_modules', script);
  const result = spawnSync(process.execPath, [tool, ...args], { cwd: ROOT, stdio: 'inherit' });
  if (result.status !== 0) process.exitCode = 1;
}

function lint() {
  showTool('@biomejs/biome/bin/biome', ['check', '.']);
  showTool('prettier/bin/prettier.cjs', ['--check', ...PRETTIER, 'assembly/*.ts']);
}

function format() {
  showTool('@biomejs/biome/bin/biome', ['check', '--write', '.']);
  showTool('prettier/bin/prettier.cjs', ['--write', ...PRETTIER, 'assembly/*.ts']);
}

// ---- main ------------------------------------------------------------------------------------

process.on('SIGUSR1', () => {}); // else Node.js opens its debugger for whoever connects
const [command, ...args] = process.argv.slice(2);
if (!Object.hasOwn(COMMANDS, command ?? ''))
  die(`usage: node setup.mjs ${Object.keys(COMMANDS).join('|')} [ARGS]`, 2);
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < NODE_LEAST[0] || (major === NODE_LEAST[0] && minor < NODE_LEAST[1]))
  die(`Node.js ${NODE_LEAST.join('.')} or newer is needed, this is ${process.versions.node}`);
const builds = command !== 'lint' && command !== 'format';
if (!isReady(builds)) {
  held = await Lock.take();
  try {
    await ensureDependencies();
    if (builds) await ensureBuild();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    die(error.message);
  }
  held.release();
}
await COMMANDS[command](args);
