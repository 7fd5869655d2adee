// A cluster on this machine: three servers of NATS and three nodes on loopback, each in a process
// of its own, on folders that are removed at the end. For the benchmark, and to be shown.

import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, type PrivateBroker, startBroker } from '../../src/load/child.ts';
import { freePorts } from '../free-ports.ts';
import type { KeepSpec } from '../peers/keep.ts';
import { findProgram } from '../peers/systems.ts';

export const SIZE = 3;
export const CLUSTER = 'here';
const START_MS = 60_000;
const BYTES = '8GiB';

const KEEP = fileURLToPath(new URL('../peers/keep.js', import.meta.url));
// Where `.ci/nats-server` puts a current one.
const BROUGHT = fileURLToPath(new URL('../../nats/nats-server', import.meta.url));

export interface NatsProgram {
  file: string;
  version: string;
  /** Whether it can sync before it acks. */
  syncs: boolean;
}

/** The newest nats-server that this machine is known to have; undefined if there is none. */
export function findNats(): NatsProgram | undefined {
  const named = process.env.THRUSTMQ_NATS_SERVER;
  const file = named ?? (existsSync(BROUGHT) ? BROUGHT : findProgram('nats-server'));
  if (file === undefined) return undefined;
  const { stdout } = spawnSync(file, ['--version'], { encoding: 'utf8' });
  const version = /\d+\.\d+\.\d+/.exec(stdout ?? '')?.[0];
  if (version === undefined) return undefined;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return { file, version, syncs: major > 2 || minor >= 10 };
}

/** Three servers, one cluster. */
export class NatsServers {
  readonly program: NatsProgram;
  readonly ports: readonly number[];
  readonly monitors: readonly string[];
  /** Where each keeps what it stores. */
  readonly folders: readonly string[];
  readonly #keepers: Child[];

  private constructor(
    program: NatsProgram,
    ports: readonly number[],
    folders: readonly string[],
    keepers: Child[],
  ) {
    this.program = program;
    this.folders = folders;
    this.ports = ports.slice(0, SIZE);
    this.monitors = ports.slice(2 * SIZE).map((port) => `http://127.0.0.1:${port}`);
    this.#keepers = keepers;
  }

  get urls(): string[] {
    return this.ports.map((port) => `127.0.0.1:${port}`);
  }

  /** Settles when they take connections; their folders are made inside `dir`. */
  static async start(program: NatsProgram, dir: string): Promise<NatsServers> {
    const ports = await freePorts(3 * SIZE);
    const folders = [0, 1, 2].map(() => join(resolve(dir), `nats-${randomUUID()}`));
    const keepers = folders.map((folder, i) => {
      const args = [JSON.stringify(specOf(program, { folder, ports, i }))];
      return new Child(KEEP, { args, cleansUp: true });
    });
    const servers = new NatsServers(program, ports, folders, keepers);
    try {
      await Promise.all(keepers.map((keeper) => keeper.event('ready', START_MS)));
      return servers;
    } catch (error) {
      await servers.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#keepers.map((keeper) => keeper.stop()));
  }
}

function specOf(
  { file, syncs }: NatsProgram,
  { folder, ports, i }: { folder: string; ports: readonly number[]; i: number },
): KeepSpec {
  const config = join(folder, 'nats.conf');
  const routes = [0, 1, 2].map((at) => `"nats://127.0.0.1:${ports[at + SIZE]}"`).join(', ');
  const text = `server_name: n${i}
listen: "127.0.0.1:${ports[i]}"
http: "127.0.0.1:${ports[i + 2 * SIZE]}"
jetstream { store_dir: ${JSON.stringify(folder)}, max_file_store: 32GB, max_memory_store: 64MB
${syncs ? 'sync_interval: always' : ''} }
cluster { name: HERE, listen: "127.0.0.1:${ports[i + SIZE]}", routes: [${routes}] }
`;
  const env = { PATH: process.env.PATH ?? '', LANG: 'C.UTF-8' };
  return {
    folder,
    files: { 'nats.conf': text },
    programs: [{ file, args: ['-c', config], env }],
    port: ports[i]!,
    withinMs: START_MS,
  };
}

export interface Owning {
  /** Index of the node. */
  node: number;
  epoch: number;
  /** performance.now() when it was heard. */
  ms: number;
}

/** Three nodes over those servers. */
export class ClusterNodes {
  /** Undefined: it was killed. */
  readonly nodes: (PrivateBroker | undefined)[] = [];
  readonly intakes: readonly number[];
  readonly exhausts: readonly number[];
  readonly dashboards: readonly number[];
  owning: Owning | undefined;
  /** Called with each new owner. */
  changed: (owning: Owning) => void = () => {};
  readonly #options: NodesOptions;
  readonly #listens: readonly number[];

  private constructor(options: NodesOptions, ports: readonly number[]) {
    const from = (at: number) => ports.slice(at * SIZE, (at + 1) * SIZE);
    this.#options = options;
    this.intakes = from(0);
    this.exhausts = from(1);
    this.dashboards = from(2);
    this.#listens = from(3);
  }

  /** Settles when one of them owns. */
  static async start(options: NodesOptions): Promise<ClusterNodes> {
    const nodes = new ClusterNodes(options, await freePorts(4 * SIZE));
    try {
      const owned = nodes.owner();
      await Promise.all([0, 1, 2].map((i) => nodes.start(i)));
      await owned;
      return nodes;
    } catch (error) {
      await nodes.stop();
      throw error;
    }
  }

  /** The owner, once there is one. */
  owner(): Promise<Owning> {
    if (this.owning !== undefined) return Promise.resolve(this.owning);
    return new Promise((resolve) => {
      const { changed } = this;
      this.changed = (owning) => {
        this.changed = changed;
        changed(owning);
        resolve(owning);
      };
    });
  }

  async start(i: number): Promise<void> {
    const { nats, dir, flags = [] } = this.#options;
    this.nodes[i] = await startBroker({
      dir,
      dashboard: true,
      heard: (line) => this.#hear(i, line),
      flags: [
        ...['--intake-port', String(this.intakes[i]), '--exhaust-port', String(this.exhausts[i])],
        ...['--dashboard-port', String(this.dashboards[i]), '--cluster', CLUSTER],
        ...['--cluster-node', String(i + 1), '--cluster-max-bytes', BYTES],
        ...['--cluster-listen', `127.0.0.1:${this.#listens[i]}`, '--cluster-unsafe-server'],
        ...nats.urls.flatMap((url) => ['--cluster-nats', url]),
        ...nats.monitors.flatMap((url) => ['--cluster-nats-monitor', url]),
        ...flags,
      ],
    });
  }

  /** Ends a node with SIGKILL, and starts it again on its folder behind `between`. */
  async crash(i: number, between: () => Promise<void>): Promise<void> {
    const node = this.nodes[i]!;
    this.nodes[i] = undefined;
    if (this.owning?.node === i) this.owning = undefined;
    this.nodes[i] = await node.crash(between);
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node?.stop()));
  }

  #hear(node: number, { event, epoch }: Record<string, unknown>): void {
    if (event !== 'cluster.owning') return;
    this.owning = { node, epoch: Number(epoch), ms: performance.now() };
    this.changed(this.owning);
  }
}

export interface NodesOptions {
  nats: NatsServers;
  /** Their folders are made inside it. */
  dir: string;
  flags?: readonly string[];
}
