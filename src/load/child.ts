// Programs that a run starts beside itself: a private broker, sinks, relays. Each speaks lines of
// JSON on standard output, and ends when its standard input does, so that none outlives this
// process.

import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Wire } from '../codec/wire.ts';
import { deadline } from '../time/deadline.ts';
import { cancel, type Timer } from '../time/timers.ts';

export interface ChildOptions {
  args?: readonly string[];
  cwd?: string;
  /** It has something to clean up and is never killed before it was asked. */
  cleansUp?: boolean;
  /** Is given every line of JSON that it says. */
  heard?: ((line: Record<string, unknown>) => void) | undefined;
}

const READY_MS = 60_000;
/** A broker reads its whole log again when the index is gone. */
const RECOVERED_MS = 600_000;
const STOP_MS = 10_000;
const OUTPUT_KEPT = 4096;

const running = new Set<Child>();
let watching = false;

/** A running program. */
export class Child {
  readonly #process: ChildProcess;
  readonly #script: string;
  readonly #cleansUp: boolean;
  readonly #heard: ChildOptions['heard'];
  readonly #ended: Promise<void>;
  readonly #waits: { event: string; found: (line: Record<string, unknown>) => void }[] = [];
  #output = '';
  #line = '';

  constructor(script: string, options: ChildOptions = {}) {
    this.#script = script;
    this.#cleansUp = options.cleansUp === true;
    this.#heard = options.heard;
    this.#process = spawn(process.execPath, [script, ...(options.args ?? [])], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true, // Ctrl-C is for us: a run that is interrupted still sums up
      env: plainEnvironment(),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.#process.stdin?.on('error', () => {});
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => this.#keep(text));
    this.#ended = new Promise((done) => {
      this.#process.once('error', () => done());
      this.#process.once('close', () => done());
    });
    running.add(this);
    void this.#ended.then(() => running.delete(this));
    watchExit();
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** The next line of JSON with this `event`; rejects when the program ends or takes too long. */
  async event(name: string, withinMs: number = READY_MS): Promise<Record<string, unknown>> {
    let timer: Timer | undefined;
    const found = new Promise<Record<string, unknown>>((resolveLine, reject) => {
      this.#waits.push({ event: name, found: resolveLine });
      const fail = (why: string): void =>
        reject(new Error(`${this.#script} ${why}: ${this.#output}`));
      timer = deadline(withinMs, () => fail(`said no "${name}" in ${withinMs} ms`));
      void this.#ended.then(() => fail(`ended without "${name}"`));
    });
    try {
      return await found;
    } finally {
      cancel(timer);
    }
  }

  /** Asks it to stop, then makes it; settles when it is gone. */
  async stop(): Promise<void> {
    this.#process.kill('SIGTERM');
    const timer = deadline(STOP_MS, () => this.kill());
    await this.#ended;
    cancel(timer);
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /** As `kill`; settles when it is gone. */
  async killed(): Promise<void> {
    this.kill();
    await this.#ended;
  }

  /** For when this process ends and cannot wait. */
  leave(): void {
    this.#process.kill(this.#cleansUp ? 'SIGTERM' : 'SIGKILL');
  }

  #keep(text: string): void {
    this.#output = (this.#output + text).slice(-OUTPUT_KEPT);
  }

  #read(text: string): void {
    this.#keep(text);
    const lines = (this.#line + text).split('\n');
    this.#line = lines.pop() ?? '';
    for (const line of lines) {
      const parsed = parse(line);
      if (parsed !== undefined) this.#heard?.(parsed);
      const index = this.#waits.findIndex(({ event }) => event === parsed?.event);
      if (parsed !== undefined && index >= 0) this.#waits.splice(index, 1)[0].found(parsed);
    }
  }
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(line) as unknown;
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Settings of the person's own broker have no place in a private one. */
function plainEnvironment(): Record<string, string | undefined> {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('THRUSTMQ_'));
  return Object.fromEntries(kept);
}

function watchExit(): void {
  if (watching) return;
  watching = true;
  process.on('exit', () => {
    for (const child of running) child.leave();
    for (const folder of folders) {
      try {
        rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
      } catch {
        // It may still be writing its last; a folder left behind does no harm.
      }
    }
  });
}

const folders = new Set<string>();

/** A broker of our own on free ports and an empty folder. */
export interface PrivateBroker {
  /** Its data folder. */
  dataDir: string;
  pid: number;
  intakePort: number;
  exhaustPort: number;
  /** From the start of the process until it took connections. */
  readyMs: number;
  /** Of its dashboard, if it has one. */
  dashboardPort: number | undefined;
  /** Stops it and removes its folder. */
  stop(): Promise<void>;
  /** Ends it with SIGKILL, calls `between`, starts it again on its folder. */
  crash(between?: () => Promise<void>): Promise<PrivateBroker>;
}

export interface PrivateBrokerOptions {
  /** Its data folder is made, and removed again, inside this one. */
  dir: string;
  wire?: Wire;
  /** With a dashboard on a free port; default: without one. */
  dashboard?: boolean;
  /** Further flags of `thrustmq serve`. */
  flags?: readonly string[];
  /** Is given every line that it logs. */
  heard?: (line: Record<string, unknown>) => void;
}

const LEASH = fileURLToPath(new URL('./leash.js', import.meta.url));
const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));

/** Starts a broker on loopback; settles when it accepts connections. */
export async function startBroker(options: PrivateBrokerOptions): Promise<PrivateBroker> {
  const { dir, wire = 'u64', dashboard = false, flags = [] } = options;
  await mkdir(dir, { recursive: true });
  const folder = await mkdtemp(join(resolve(dir), 'thrustmq-'));
  folders.add(folder);
  const ports = ['--host', '127.0.0.1', '--intake-port', '0', '--exhaust-port', '0'];
  const page = dashboard ? ['--dashboard-port', '0'] : ['--no-dashboard'];
  const quiet = [...page, '--log-format', 'json'];
  const place = ['--data-dir', join(folder, 'data'), '--wire', wire];
  return startIn(folder, [MAIN, 'serve', ...place, ...ports, ...quiet, ...flags], options.heard);
}

async function startIn(
  folder: string,
  args: readonly string[],
  heard: PrivateBrokerOptions['heard'],
): Promise<PrivateBroker> {
  const remove = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true });
    folders.delete(folder);
  };
  const startedMs = performance.now();
  const child = new Child(LEASH, { args, cwd: folder, heard });
  try {
    const ready = await child.event('ready', RECOVERED_MS);
    return {
      pid: child.pid,
      dataDir: join(folder, 'data'),
      intakePort: ready.intake as number,
      exhaustPort: ready.exhaust as number,
      readyMs: performance.now() - startedMs,
      dashboardPort: (ready.dashboard as number | null) ?? undefined,
      stop: () => child.stop().then(remove),
      crash: async (between = async () => {}) => {
        await child.killed();
        await between();
        return startIn(folder, args, heard);
      },
    };
  } catch (error) {
    await child.stop();
    await remove();
    throw error;
  }
}
