// Spawned programs in tests: output collected, waits for a line or the end, nothing left behind.

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The built program. */
export const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A running program whose lines can be waited for. Kills it on disposal. */
export class Running implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';
  #checks: (() => void)[] = [];

  constructor(command: string, args: readonly string[], options: SpawnOptions = {}) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#check();
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#check();
    });
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code, signal) => {
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
        this.#check();
      });
    });
    this.ended.catch(() => {});
  }

  /** Settles when standard output matches; rejects when the program ends without it. */
  async output(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(pattern, () => this.stdout);
  }

  /** The same for standard error. */
  async errorOutput(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(pattern, () => this.stderr);
  }

  #until(pattern: RegExp, text: () => string): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const match = pattern.exec(text());
        if (match) resolve(match);
        else if (this.child.exitCode === null && this.child.signalCode === null) return;
        else reject(new Error(`ended without ${pattern}:\n${this.stdout}\n${this.stderr}`));
        this.#checks = this.#checks.filter((other) => other !== check);
      };
      this.#checks.push(check);
      check();
    });
  }

  #check(): void {
    for (const check of [...this.#checks]) check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.ended.catch(() => {});
  }
}

/** The environment of this process without what would change how the program behaves. */
export function plainEnvironment(
  extra: Record<string, string> = {},
): Record<string, string | undefined> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(THRUSTMQ_|NO_COLOR$|FORCE_COLOR$|NODE_TEST)/.test(name),
  );
  return { ...Object.fromEntries(kept), ...extra };
}

/** Runs `thrustmq ARGS` to its end. */
export function thrustmq(args: readonly string[], options: SpawnOptions = {}): Promise<Ended> {
  const settings = { env: plainEnvironment(), ...options };
  return new Running(process.execPath, [MAIN, ...args], settings).ended;
}
