// Plants one fault in a copy of the build and runs the test that must catch it there. The copy lies
// below build/ and is removed at the end; the build itself is never touched.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { copyOfBuild } from '../support/build-copy.ts';
import type { Plant } from './plant.ts';

const BUILD = fileURLToPath(new URL('../../', import.meta.url));
const ROOT = path.dirname(path.resolve(BUILD));

export interface Planted {
  plant: Plant;
  caught: boolean;
  /** Why not, or what ended the test. */
  note: string;
  ms: number;
}

/** A copy of the build, in which one fault after the other is planted. */
export class Garden {
  readonly #folder: string;
  readonly #timeoutMs: number;

  constructor(timeoutMs = 60_000) {
    this.#timeoutMs = timeoutMs;
    this.#folder = copyOfBuild('planted-');
  }

  /** Runs one plant's test on the faulty copy. Throws if the plant does not fit the code. */
  async try(plant: Plant, seed: number): Promise<Planted> {
    const compiled = plant.file.startsWith('assembly/');
    const file = path.join(this.#folder, compiled ? plant.file : `build/${script(plant.file)}`);
    const before = fs.readFileSync(file, 'utf8');
    const wasm = path.join(this.#folder, 'build', 'thrustmq.wasm');
    fs.writeFileSync(file, withFault(before, plant));
    try {
      if (compiled) this.#compile(plant);
      return await this.#run(plant, seed);
    } finally {
      fs.writeFileSync(file, before);
      if (compiled) fs.copyFileSync(path.join(BUILD, 'thrustmq.wasm'), wasm);
    }
  }

  #compile({ name }: Plant): void {
    const compiler = path.join(ROOT, 'node_modules', 'assemblyscript', 'bin', 'asc.js');
    const ran = spawnSync(process.execPath, [compiler, '--target', 'release'], {
      cwd: this.#folder,
      encoding: 'utf8',
    });
    if (ran.status !== 0) throw new Error(`"${name}" does not compile: ${ran.stderr}`);
  }

  async #run(plant: Plant, seed: number): Promise<Planted> {
    const begun = performance.now();
    const test = path.join('build', script(plant.test));
    const only = `--test-name-pattern=^${plant.caughtBy.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;
    const child = spawn(process.execPath, ['--test-reporter=tap', only, test], {
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
    const { caught, note } = verdictOf(plant, code as number | null, text, late);
    return { plant, caught, note, ms };
  }

  remove(): void {
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}

function script(source: string): string {
  return source.replace(/\.ts$/, '.js');
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of them have ended.
  }
}

/** The text with the fault in it. Throws unless what is replaced stands there exactly once. */
export function withFault(text: string, { name, file, find, replace }: Plant): string {
  const found = text.split(find).length - 1;
  if (found !== 1)
    throw new Error(
      `"${name}" does not fit ${file}: its text is there ${found} times, not once. Write it anew`,
    );
  return text.replace(find, () => replace);
}

/** Red by the named test counts, and that it never ends; anything else that fails does not. */
export function verdictOf(
  { caughtBy }: Plant,
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
