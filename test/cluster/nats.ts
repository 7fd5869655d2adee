// Servers of NATS for tests: three of one version, on loopback or each in a network of its own,
// each with a store of its own, which are started, stopped, continued and killed one by one, by
// their process ids.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../bench/free-ports.ts';

export interface ServerProgram {
  command: string;
  version: string;
  /** Whether it can be told to sync before it acks. */
  syncs: boolean;
  /** Whether it is known to lose what it has confirmed where servers are stopped or start again,
   * and nothing else fails (faithless.ts). */
  loses: boolean;
}

// Where `.ci/nats-server` puts a current one.
const BROUGHT = fileURLToPath(new URL('../../nats/nats-server', import.meta.url));

function look(command: string): ServerProgram | undefined {
  const asked = spawnSync(command, ['--version'], { encoding: 'utf8' });
  const version = /v(\d+\.\d+\.\d+)/.exec(asked.stdout ?? '')?.[1];
  if (asked.status !== 0 || version === undefined) return undefined;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isOld = major === 2 && minor < 10;
  return { command, version, syncs: !isOld, loses: isOld };
}

/** The server of this machine, and a current one: `THRUSTMQ_NATS_SERVER`, or one that was brought.
 * With THRUSTMQ_TEST_NATS=current that one alone. */
export const SERVERS: { name: string; program: ServerProgram | undefined; skip?: string }[] = [
  { name: 'nats-server of the system', command: 'nats-server' },
  { name: 'current nats-server', command: process.env.THRUSTMQ_NATS_SERVER ?? BROUGHT },
]
  .filter(({ name }) => name.startsWith(process.env.THRUSTMQ_TEST_NATS ?? ''))
  .map(({ name, command }) => {
    const program = look(command);
    return program === undefined
      ? { name, program, skip: `needs ${name} (.ci/nats-server brings it)` }
      : { name: `${name}, ${program.version}`, program };
  });

/** Asks servers again that have not answered in time, as they elect or have no time; what is asked
 * for must be the same twice. */
export async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await ask();
    } catch (error) {
      if ((error as Error).name !== 'TimeoutError') throw error;
    }
}

export interface ClusterOptions {
  /** `sync_interval: always`, where the server knows it. */
  syncs?: boolean;
  /** Further lines of every server's configuration. */
  config?: string;
  /** Where each listens, and the command in front of it. Default: loopback, and none. */
  places?: readonly Place[];
}

/** Where a program runs: its address, and the command in front of it. */
export interface Place {
  host: string;
  wrapper: readonly string[];
}

export const LOOPBACK: readonly Place[] = [0, 1, 2].map(() => ({ host: '127.0.0.1', wrapper: [] }));

/** Three servers that make one cluster. Ends them, and removes their stores, on disposal. */
export class NatsCluster implements AsyncDisposable {
  readonly urls: string[];
  readonly monitors: string[];
  readonly #program: ServerProgram;
  readonly #options: ClusterOptions;
  readonly #folder: string;
  readonly #places: readonly Place[];
  readonly #ports: number[];
  readonly #processes: (ChildProcess | undefined)[] = [];

  private constructor(program: ServerProgram, options: ClusterOptions, ports: number[]) {
    this.#program = program;
    this.#options = options;
    this.#ports = ports;
    this.#places = options.places ?? LOOPBACK;
    this.#folder = fs.mkdtempSync(path.join(os.tmpdir(), 'thrustmq-nats-'));
    this.urls = [0, 1, 2].map((i) => `${this.#places[i]!.host}:${ports[i]}`);
    this.monitors = [0, 1, 2].map((i) => `http://${this.#places[i]!.host}:${ports[i + 6]}`);
    for (const i of [0, 1, 2]) this.#configure(i);
  }

  /** Does not start them. */
  static async make(program: ServerProgram, options: ClusterOptions = {}): Promise<NatsCluster> {
    return new NatsCluster(program, options, await freePorts(9));
  }

  static async start(program: ServerProgram, options: ClusterOptions = {}): Promise<NatsCluster> {
    const cluster = await NatsCluster.make(program, options);
    cluster.startAll();
    return cluster;
  }

  /** Number of the server of a name, as streams tell it. */
  static numberOf(name: string): number {
    return Number(name.slice(1));
  }

  startAll(): void {
    for (const i of [0, 1, 2]) this.startOne(i);
  }

  startOne(i: number): void {
    const log = fs.openSync(path.join(this.#folder, `n${i}.log`), 'a');
    const { command: program } = this.#program;
    const [command, ...args] = [...this.#places[i]!.wrapper, program, '-c', this.#fileOf(i)];
    const child = spawn(command!, args, { stdio: ['ignore', log, log] });
    fs.closeSync(log);
    this.#processes[i] = child;
  }

  /** Sends a signal; SIGKILL and SIGTERM are waited for. */
  async signal(i: number, signal: NodeJS.Signals): Promise<void> {
    const child = this.#processes[i];
    if (child === undefined) return;
    const ended = child.exitCode === null && child.signalCode === null && once(child, 'exit');
    child.kill(signal);
    if (signal !== 'SIGKILL' && signal !== 'SIGTERM') return;
    await ended;
    this.#processes[i] = undefined;
  }

  /** All of them run: those that are stopped go on, those that have ended start again. */
  async wake(): Promise<void> {
    for (const i of [0, 1, 2]) {
      if (this.#processes[i] === undefined) this.startOne(i);
      else await this.signal(i, 'SIGCONT');
    }
  }

  /** Gives running servers other further lines of configuration. */
  async reload(config: string): Promise<void> {
    for (const i of [0, 1, 2]) {
      this.#configure(i, config);
      await this.signal(i, 'SIGHUP');
    }
  }

  /** Removes what a server has stored; only while it does not run. */
  forget(i: number): void {
    fs.rmSync(path.join(this.#folder, `n${i}`), { recursive: true, force: true });
  }

  /** What a server wrote, for a failing test. */
  logOf(i: number): string {
    return fs.readFileSync(path.join(this.#folder, `n${i}.log`), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([0, 1, 2].map((i) => this.signal(i, 'SIGKILL')));
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  #fileOf(i: number): string {
    return path.join(this.#folder, `n${i}.conf`);
  }

  #configure(i: number, config = this.#options.config ?? ''): void {
    const { syncs = true } = this.#options;
    const sync = syncs && this.#program.syncs ? 'sync_interval: always' : '';
    const { host } = this.#places[i]!;
    const routes = [0, 1, 2]
      .map((at) => `"nats://${this.#places[at]!.host}:${this.#ports[at + 3]}"`)
      .join(', ');
    fs.writeFileSync(
      this.#fileOf(i),
      `server_name: n${i}
listen: "${host}:${this.#ports[i]}"
http: "${host}:${this.#ports[i + 6]}"
jetstream { store_dir: "${this.#folder}/n${i}", max_file_store: 4GB, max_memory_store: 64MB
${sync} }
cluster { name: C, listen: "${host}:${this.#ports[i + 3]}", routes: [${routes}] }
${config}
`,
    );
  }
}
