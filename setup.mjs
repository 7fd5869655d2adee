#!/usr/bin/env node
// The two commands of a fresh clone, and the other npm scripts: makes sure that dependencies and
// build are there and current, then runs. Plain JavaScript without dependencies, because it runs
// before there are any. What the broker does is not decided here.
//
//   node setup.mjs start|test|build|bench|prove|coverage|lint|format [ARGS]

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = path.dirname(fileURLToPath(import.meta.url));
const BUILD = path.join(ROOT, 'build');
const STAMP = path.join(BUILD, '.stamp.json');
const NODE_LEAST = [20, 19];
const TEST_FILE_TIMEOUT_MS = 15 * 60_000;

/** What each half of the build is made from; a change in any of these makes it again. */
const INPUTS = {
  wasm: ['assembly', 'asconfig.json', 'package-lock.json'],
  script: ['src', 'test', 'bench', 'assembly', 'tsconfig.json', 'package-lock.json'],
};

const COMMANDS = { start, test, build: () => {}, bench, prove, coverage, lint, format };

function note(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function die(text, code = 1) {
  note(text);
  process.exit(code);
}

/** Runs one of our tools with this very node; quiet when it succeeds. */
function runTool(script, args, what) {
  const result = spawnSync(process.execPath, [path.join(ROOT, 'node_modules', script), ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  die(`${what} failed${result.error ? `: ${result.error.message}` : ''}`);
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

function ensureDependencies() {
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
  const result = /npm-cli\.[cm]?js$/.test(outer)
    ? spawnSync(process.execPath, [outer, 'ci', ...flags], { cwd: ROOT, env, encoding: 'utf8' })
    : spawnSync('npm', ['ci', ...flags], {
        cwd: ROOT,
        env,
        encoding: 'utf8',
        shell: process.platform === 'win32',
      });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  die(`npm ci failed${result.error ? `: ${result.error.message}` : ''}`);
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
  runTool('typescript/bin/tsc', ['-p', 'src/page/tsconfig.json'], 'tsc (page)');
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
    die(`the page does not build: ${error.message}`);
  }
  for (const name of ['index.html', 'icon.svg'])
    fs.copyFileSync(path.join(PAGE_SOURCE, name), path.join(PAGE, name));
}

async function ensureBuild() {
  const stamp = readJson(STAMP) ?? {};
  const wanted = { wasm: fingerprint(INPUTS.wasm), script: fingerprint(INPUTS.script) };
  const there = (file) => fs.existsSync(path.join(BUILD, file));
  const current = {
    wasm: stamp.wasm === wanted.wasm && there('thrustmq.wasm') && there('thrustmq.debug.wasm'),
    script: stamp.script === wanted.script && there('src/main.js') && isPageThere(),
  };
  if (current.wasm && current.script) return;
  note('building …');
  fs.mkdirSync(BUILD, { recursive: true });
  // Each half is stamped when it is done and not before: an interrupted build must not count.
  const done = { wasm: current.wasm ? wanted.wasm : '', script: '' };
  fs.writeFileSync(STAMP, JSON.stringify(done));
  if (!current.wasm) {
    for (const target of ['release', 'debug'])
      runTool('assemblyscript/bin/asc.js', ['--target', target], `asc (${target})`);
    done.wasm = wanted.wasm;
    fs.writeFileSync(STAMP, JSON.stringify(done));
  }
  if (!current.script) {
    removeOrphans();
    runTool('typescript/bin/tsc', ['-p', 'tsconfig.json'], 'tsc');
    await buildPage();
  }
  fs.writeFileSync(STAMP, JSON.stringify(wanted));
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

function prove(args) {
  return become('test/prove/main.js', args);
}

function coverage(args) {
  return become('test/coverage/main.js', args);
}

async function test(filters) {
  const { run } = await import('node:test');
  const { spec } = await import('node:test/reporters');
  const files = filesOf([path.join('build', 'test')])
    .map(([name]) => name)
    .filter((name) => name.endsWith('.test.js'))
    .filter((name) => filters.length === 0 || filters.some((part) => name.includes(part)));
  if (files.length === 0) die(`no test file matches ${filters.join(' ') || 'at all'}`);
  const skipped = [];
  const tally = { ran: 0, failed: 0 };
  const concurrency = Math.max(1, Math.min(4, os.availableParallelism()));
  const events = run({
    files: files.map((name) => path.join(ROOT, name)),
    concurrency,
    timeout: TEST_FILE_TIMEOUT_MS,
  });
  const count = (event, failed) => {
    if (failed) tally.failed += 1;
    const isFile = files.some((name) => path.join(ROOT, name) === event.name);
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

function summarise(skipped, { ran, failed }) {
  const lines = skipped.map(({ event, why }) => {
    const file = path.relative(BUILD, event.file ?? '').replace(/\.js$/, '');
    return `  ${file}: ${event.name}${typeof why === 'string' && why !== '' ? ` (${why})` : ''}`;
  });
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
ensureDependencies();
if (command !== 'lint' && command !== 'format') await ensureBuild();
await COMMANDS[command](args);
