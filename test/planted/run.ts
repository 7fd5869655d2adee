// Plants one bug in a copy of the build and runs the test that must catch it there. The copy lies
// below build/ and is removed at the end; neither the build nor a source is ever touched.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { copyOfBuild } from '../support/build-copy.ts';
import type { Mutant } from './mutant.ts';
import { mutate } from './mutate.ts';
import { Sources } from './sources.ts';

const BUILD = fileURLToPath(new URL('../../', import.meta.url));
const ROOT = path.dirname(path.resolve(BUILD));
const MODULES = path.join(ROOT, 'node_modules');

export interface Planted {
  mutant: Mutant;
  caught: boolean;
  /** Why not, or what ended the test. */
  note: string;
  ms: number;
}

/** Runs mutants one after the other, in one copy of the build. */
export class MutationRunner {
  readonly #folder: string;
  readonly #timeoutMs: number;
  readonly #sources = Sources.below(ROOT);

  constructor(timeoutMs = 60_000) {
    this.#timeoutMs = timeoutMs;
    this.#folder = copyOfBuild('planted-');
  }

  /** Runs one mutant's test on the faulty copy. Throws if the mutant does not fit, or compile. */
  async try(mutant: Mutant, seed: number): Promise<Planted> {
    const text = mutate(mutant, this.#sources);
    const isModule = mutant.file.startsWith('assembly/');
    const restore = isModule ? this.#changeModule(mutant, text) : this.#changeScript(mutant, text);
    try {
      return await this.#run(mutant, seed);
    } finally {
      restore();
    }
  }

  #changeModule(mutant: Mutant, text: string): () => void {
    const file = path.join(this.#folder, mutant.file);
    const before = fs.readFileSync(file, 'utf8');
    const wasm = path.join('build', 'thrustmq.wasm');
    const restore = () => {
      fs.writeFileSync(file, before);
      fs.copyFileSync(path.join(ROOT, wasm), path.join(this.#folder, wasm));
    };
    fs.writeFileSync(file, text);
    this.#compile(mutant, 'assemblyscript/bin/asc.js', ['--target', 'release'], restore);
    return restore;
  }

  // As the build does it, but for this one file, and without a look at its types.
  #changeScript(mutant: Mutant, text: string): () => void {
    const script = path.join(this.#folder, 'build', scriptOf(mutant.file));
    const before = fs.readFileSync(script, 'utf8');
    const folder = path.join(this.#folder, 'mutant');
    const source = path.join(folder, mutant.file);
    fs.mkdirSync(path.dirname(source), { recursive: true });
    fs.writeFileSync(source, text);
    const compilerOptions = {
      rootDir: folder,
      outDir: path.join(this.#folder, 'build'),
      noCheck: true,
      noResolve: true,
      types: [],
      declaration: false,
      sourceMap: false,
    };
    const extended = path.join(ROOT, 'tsconfig.json');
    const config = { extends: extended, compilerOptions, files: [source], include: [] };
    fs.writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(config));
    const restore = () => {
      fs.writeFileSync(script, before);
      fs.rmSync(folder, { recursive: true });
    };
    this.#compile(mutant, 'typescript/bin/tsc', ['-p', folder], restore);
    return restore;
  }

  #compile({ name }: Mutant, compiler: string, args: string[], restore: () => void): void {
    const ran = spawnSync(process.execPath, [path.join(MODULES, compiler), ...args], {
      cwd: this.#folder,
      encoding: 'utf8',
    });
    if (ran.status === 0) return;
    restore();
    throw new Error(`"${name}" does not compile: ${ran.stdout}${ran.stderr}`);
  }

  async #run(mutant: Mutant, seed: number): Promise<Planted> {
    const begun = performance.now();
    const test = path.join('build', scriptOf(mutant.test));
    const only = `--test-name-pattern=^${mutant.caughtBy.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;
    // As all tests are run: what a test that fails leaves open does not keep it from its end.
    const args = ['--test-force-exit', '--test-reporter=tap', only, test];
    const child = spawn(process.execPath, args, {
      cwd: this.#folder,
      // A group of its own: brokers that the test started end with it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, THRUSTMQ_TEST_SEED: String(seed), NODE_TEST_CONTEXT: '' },
    });
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    child.stderr.on('data', (chunk) => (text += chunk));
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      endGroup(child.pid!);
    }, this.#timeoutMs);
    const [code] = await once(child, 'close');
    clearTimeout(timer);
    endGroup(child.pid!);
    const ms = Math.round(performance.now() - begun);
    const { caught, note } = verdictOf(mutant, code as number | null, text, late);
    return { mutant, caught, note, ms };
  }

  remove(): void {
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}

function scriptOf(source: string): string {
  return source.replace(/\.ts$/, '.js');
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of them have ended.
  }
}

/** Red by the named test counts, and that it never ends; anything else that fails does not. */
export function verdictOf(
  { caughtBy }: Mutant,
  code: number | null,
  text: string,
  late: boolean,
): { caught: boolean; note: string } {
  if (late) return { caught: true, note: 'it did not end' };
  if (code === 0) return { caught: false, note: 'the test stays green' };
  const failed = [...text.matchAll(/^\s*not ok \d+ - (.*)$/gm)].map(([, name]) => plain(name!));
  if (failed.includes(caughtBy)) return { caught: true, note: '' };
  const last = text.trim().split('\n').slice(-5).join(' | ');
  return { caught: false, note: `not the named test failed, but: ${failed.join(', ') || last}` };
}

// TAP puts a backslash before these.
function plain(name: string): string {
  return name.replace(/\\([\\#])/g, '$1');
}
