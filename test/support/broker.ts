// A real broker in a process of its own, for tests that kill it, fill its disk or talk nonsense to
// it. Starts on free ports with the dashboard off, unless told; whoever waits, waits for an event.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));

export interface LogLine {
  level: string;
  event?: string;
  msg: string;
  [field: string]: unknown;
}

export interface BrokerProcess {
  readonly child: ChildProcess;
  readonly intake: number;
  readonly exhaust: number;
  /** Port of the dashboard; null: it is off. */
  readonly dashboard: number | null;
  readonly dataDir: string;
  /** Lines logged so far. */
  readonly lines: LogLine[];
  /** Resolves with the first line, past or future, that `wanted` accepts. */
  line(wanted: (line: LogLine) => boolean): Promise<LogLine>;
  /** Exit code, or the signal's name. */
  readonly exited: Promise<number | string>;
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | string>;
  /** Kills it if it still runs: `await using` ends it also where an assertion throws half way. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface BrokerOptions {
  dataDir: string;
  flags?: string[];
  /** With its dashboard, on a free port. */
  dashboard?: boolean;
  /** Command in front of node, for example strace with its arguments. */
  wrapper?: string[];
  env?: NodeJS.ProcessEnv;
}

const folders: string[] = [];
const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  if (children.size > 0 && !process.exitCode) {
    console.error(`left running: ${[...children].map((child) => child.spawnargs.join(' '))}`);
    process.exitCode = 1;
  }
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
});

/** A new empty folder, removed when the test process ends. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'thrustmq-test-'));
  folders.push(folder);
  return folder;
}

function launch(options: BrokerOptions): { child: ChildProcess; lines: LogLine[]; watch: Watch } {
  const dashboard = options.dashboard ? ['--dashboard-port', '0'] : ['--no-dashboard'];
  const ports = ['--intake-port', '0', '--exhaust-port', '0', ...dashboard];
  const serve = [MAIN, 'serve', '--data-dir', options.dataDir, '--log-format', 'json', ...ports];
  const [command, ...args] = [...(options.wrapper ?? []), process.execPath, ...serve];
  const child = spawn(command!, [...args, ...(options.flags ?? [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  children.add(child);
  child.once('close', () => children.delete(child));
  const lines: LogLine[] = [];
  const watch = new Watch(lines);
  const take = (text: string) => {
    let line: LogLine;
    try {
      line = JSON.parse(text) as LogLine;
    } catch {
      line = { level: 'raw', msg: text };
    }
    lines.push(line);
    watch.seen(line);
  };
  createInterface({ input: child.stdout! }).on('line', take);
  createInterface({ input: child.stderr! }).on('line', take);
  return { child, lines, watch };
}

class Watch {
  readonly #lines: LogLine[];
  readonly #waiting = new Set<(line: LogLine) => void>();

  constructor(lines: LogLine[]) {
    this.#lines = lines;
  }

  seen(line: LogLine): void {
    for (const waiting of [...this.#waiting]) waiting(line);
  }

  line(wanted: (line: LogLine) => boolean): Promise<LogLine> {
    const past = this.#lines.find(wanted);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve) => {
      const waiting = (line: LogLine) => {
        if (!wanted(line)) return;
        this.#waiting.delete(waiting);
        resolve(line);
      };
      this.#waiting.add(waiting);
    });
  }
}

/** Starts a broker and waits until it is ready. Rejects with its last words if it ends instead. */
export async function startBroker(options: BrokerOptions): Promise<BrokerProcess> {
  const { child, lines, watch } = launch(options);
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  const ready = await Promise.race([watch.line((line) => line.event === 'ready'), exited]);
  if (typeof ready !== 'object')
    throw new Error(`the broker ended with ${ready}: ${lines.map((l) => l.msg).join(' | ')}`);
  let dashboard = ready.dashboard as number | null;
  if (options.dashboard && dashboard === null) {
    // On a busy machine it may come up behind the broker.
    const up = (line: LogLine) => line.event === 'dashboard.listening';
    const listening = await Promise.race([watch.line(up), exited]);
    if (typeof listening === 'object') dashboard = listening.port as number;
  }
  // By the broker's own pid: the child may be a tracer around it.
  const kill = async () => {
    process.kill(ready.pid as number, 'SIGKILL');
    await exited;
  };
  return {
    child,
    lines,
    exited,
    dataDir: options.dataDir,
    intake: ready.intake as number,
    exhaust: ready.exhaust as number,
    dashboard,
    line: (wanted) => watch.line(wanted),
    kill,
    stop: () => {
      process.kill(ready.pid as number, 'SIGTERM');
      return exited;
    },
    [Symbol.asyncDispose]: async () => {
      if (children.has(child)) await kill();
    },
  };
}

/** Starts a broker that is expected to refuse; resolves with its exit code and lines. */
export async function failedStart(
  options: BrokerOptions,
): Promise<{ code: number | string; text: string }> {
  const { child, lines } = launch(options);
  const [code, signal] = await once(child, 'close');
  return { code: (code ?? signal) as number | string, text: lines.map((l) => l.msg).join('\n') };
}

/** A bare connection that collects what comes back. */
export class RawPeer {
  readonly socket: net.Socket;
  received = Buffer.alloc(0);
  readonly closed: Promise<void>;
  #changed: (() => void)[] = [];
  #isClosed = false;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true;
        this.#wake();
        resolve();
      });
    });
  }

  static async connect(port: number): Promise<RawPeer> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new RawPeer(socket);
  }

  #wake(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const call of waiting) call();
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Takes exactly `bytes` bytes off what was received, waiting for them; throws if it closes. */
  async take(bytes: number): Promise<Buffer> {
    while (this.received.length < bytes) {
      if (this.#isClosed)
        throw new Error(`closed with ${this.received.length} of ${bytes} bytes received`);
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
    const taken = this.received.subarray(0, bytes);
    this.received = this.received.subarray(bytes);
    return taken;
  }

  destroy(): void {
    this.socket.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}
