// Nodes of a cluster for tests: real brokers in processes of their own over three servers of NATS,
// which are started, stopped, continued and killed one by one; who owns the log is known from what
// they write. Their addresses stay the same from one start to the next.

import fs from 'node:fs';
import path from 'node:path';
import { freePorts } from '../../bench/free-ports.ts';
import {
  type BrokerProcess,
  type LogLine,
  startBroker,
  temporaryFolder,
} from '../support/broker.ts';
import type { NodeAddress } from './clients.ts';
import { LOOPBACK, type NatsCluster, type Place } from './nats.ts';

export interface NodesOptions {
  nats: NatsCluster;
  /** Default 3, of which the last ones may be started later. */
  count?: number;
  /** Further flags of every node. */
  flags?: readonly string[];
  places?: readonly Place[];
}

/** Short, so that a test may wait for it, and far above what a busy machine takes for a turn. */
export const TTL_MS = 1500;
const TIMES = [
  ...['--cluster-ttl', `${TTL_MS}ms`, '--cluster-own', '900ms', '--cluster-beat', '300ms'],
];
export const STREAM_BYTES = 1024 * 1024 * 1024;
export const SEGMENT_BYTES = 8 * 1024 * 1024;
const SIZES = [
  ...['--segment-size', String(SEGMENT_BYTES), '--max-message', '64KiB'],
  ...['--cluster-max-bytes', String(STREAM_BYTES)],
];

export const CLUSTER = 'test';

/** A node became the owner. */
export interface Owning {
  node: number;
  ms: number;
  line: LogLine;
}

interface Start {
  flags?: readonly string[];
  wrapper?: readonly string[];
  env?: NodeJS.ProcessEnv;
}

export class Nodes implements AsyncDisposable {
  readonly intake: NodeAddress[];
  readonly exhaust: NodeAddress[];
  readonly folders: string[];
  /** Every time that a node became the owner, in order. */
  readonly ownings: Owning[] = [];
  readonly #options: NodesOptions;
  readonly #ports: number[];
  readonly #running: (BrokerProcess | undefined)[] = [];
  // The last start of each.
  readonly #started: BrokerProcess[] = [];
  readonly #pids: number[] = [];
  // Who owned, and has said since that it does no more.
  readonly #deposed = new Set<number>();
  readonly #depositions: number[] = [];
  // Who owns, and is not suspended.
  readonly #serving = new Set<number>();
  #changed: (() => void)[] = [];
  #fails: (why: string) => void = () => {};
  /** Resolves once a node has ended by itself with a failure, with what it said last. */
  readonly failed = new Promise<string>((resolve) => {
    this.#fails = resolve;
  });

  private constructor(options: NodesOptions, ports: number[]) {
    const { count = 3, places = LOOPBACK } = options;
    this.#options = options;
    this.#ports = ports;
    const at = (i: number, from: number): NodeAddress => ({
      host: places[i % places.length]!.host,
      port: ports[i * 4 + from]!,
    });
    const all = Array.from({ length: count }, (_, i) => i);
    this.intake = all.map((i) => at(i, 0));
    this.exhaust = all.map((i) => at(i, 1));
    this.folders = all.map(() => path.join(temporaryFolder(), 'data'));
  }

  /** Does not start them. */
  static async make(options: NodesOptions): Promise<Nodes> {
    return new Nodes(options, await freePorts(4 * (options.count ?? 3)));
  }

  static async start(options: NodesOptions): Promise<Nodes> {
    const nodes = await Nodes.make(options);
    try {
      await Promise.all(nodes.folders.map((_, i) => nodes.start(i)));
      return nodes;
    } catch (error) {
      await nodes[Symbol.asyncDispose]();
      throw error;
    }
  }

  get running(): number[] {
    return this.folders.flatMap((_, i) => (this.#running[i] === undefined ? [] : [i]));
  }

  /** A running node. */
  node(i: number): BrokerProcess {
    return this.#running[i]!;
  }

  /** Where node `i` takes other nodes. */
  clusterPort(i: number): number {
    return this.#ports[i * 4 + 2]!;
  }

  /** How to start node `i`. */
  flagsOf(i: number): string[] {
    const { nats, flags = [], places = LOOPBACK } = this.#options;
    const port = (from: number) => String(this.#ports[i * 4 + from]);
    const { host } = places[i % places.length]!;
    return [
      ...['--host', host, '--intake-port', port(0), '--exhaust-port', port(1)],
      ...['--cluster', CLUSTER, '--cluster-node', String(i + 1)],
      ...['--cluster-listen', `${host}:${port(2)}`, '--cluster-unsafe-server'],
      ...['--cluster-token', 'a-token-of-the-tests-alone'],
      ...nats.urls.flatMap((url) => ['--cluster-nats', url]),
      ...nats.monitors.flatMap((url) => ['--cluster-nats-monitor', url]),
      ...[...TIMES, ...SIZES, ...flags],
    ];
  }

  /** Settles when it takes clients. */
  async start(i: number, { flags = [], wrapper = [], env = {} }: Start = {}): Promise<void> {
    const { places = LOOPBACK } = this.#options;
    const broker = await startBroker({
      dataDir: this.folders[i]!,
      flags: [...this.flagsOf(i), ...flags],
      wrapper: [...places[i % places.length]!.wrapper, ...wrapper],
      env,
    });
    this.#running[i] = broker;
    this.#started[i] = broker;
    const ready = await broker.line(({ event }) => event === 'ready');
    this.#pids[i] = ready.pid as number;
    void this.#watch(i, broker);
    void broker.exited.then((code) => {
      if (typeof code === 'number' && code !== 0)
        this.#fails(`node ${i} ended by itself, with ${code}: ${broker.lines.at(-1)?.msg}`);
      if (this.#running[i] === broker) this.#running[i] = undefined;
      this.#deposed.add(i);
      this.#serving.delete(i);
      this.#wake();
    });
  }

  async kill(i: number): Promise<void> {
    const broker = this.#running[i];
    if (broker === undefined) return;
    process.kill(this.#pids[i]!, 'SIGKILL');
    await broker.exited;
  }

  /** SIGTERM; the exit code. */
  async stop(i: number): Promise<number | string> {
    const broker = this.#running[i]!;
    process.kill(this.#pids[i]!, 'SIGTERM');
    return broker.exited;
  }

  signal(i: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.#pids[i]!, signal);
  }

  /** Removes what a node has stored; only while it does not run. */
  forget(i: number): void {
    fs.rmSync(this.folders[i]!, { recursive: true, force: true });
  }

  /** The owner as things stand, once there is one; `after`: only who became it behind so many. */
  async owner(after = 0): Promise<Owning> {
    for (;;) {
      const last = this.ownings.at(-1);
      if (this.ownings.length > after && last !== undefined && !this.#deposed.has(last.node))
        return last;
      await this.#change();
    }
  }

  /** Resolves once no node delivers or acks: none owns, or who does is suspended. */
  async nobodyServes(): Promise<void> {
    while (this.#serving.size > 0) await this.#change();
  }

  /** How often a node was deposed, and said so. */
  depositions(node: number): number {
    return this.#depositions.filter((each) => each === node).length;
  }

  /** Resolves once a node was deposed more often than `before`, whoever owns by then. */
  async deposed(node: number, before: number): Promise<void> {
    while (this.depositions(node) <= before) await this.#change();
  }

  /** Every line of every node that has one of these events. */
  said(event: string): { node: number; line: LogLine }[] {
    return this.running.flatMap((node) =>
      this.node(node)
        .lines.filter((line) => line.event === event)
        .map((line) => ({ node, line })),
    );
  }

  /** What went on, for a failing test: the last lines of each node, also of one that has ended. */
  tell(lines = 12): string {
    return this.#started
      .map((broker, i) => {
        const last = broker.lines.slice(-lines);
        const state = this.#running[i] === undefined ? 'has ended' : 'runs';
        return `node ${i} ${state}:\n${last.map((line) => `  ${JSON.stringify(line)}`).join('\n')}`;
      })
      .join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.running.map((i) => this.kill(i)));
  }

  async #watch(node: number, broker: BrokerProcess): Promise<void> {
    const seen = new Set<LogLine>();
    for (;;) {
      const line = await Promise.race([
        broker.exited.then(() => undefined),
        broker.line((each) => !seen.has(each) && each.event?.startsWith('cluster.') === true),
      ]);
      if (line === undefined) return;
      seen.add(line);
      const { event = '' } = line;
      if (['cluster.owning', 'cluster.goes-on'].includes(event)) this.#serving.add(node);
      if (['cluster.suspended', 'cluster.deposed'].includes(event)) this.#serving.delete(node);
      if (event === 'cluster.owning') {
        this.#deposed.delete(node);
        this.ownings.push({ node, ms: performance.now(), line });
      } else if (event === 'cluster.deposed') {
        this.#deposed.add(node);
        this.#depositions.push(node);
      }
      this.#wake();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }

  #wake(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const call of waiting) call();
  }
}
