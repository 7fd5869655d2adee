// The test bed: starts what a sample needs, each in a process of its own, and stops it again. One
// sample is one fresh broker, sink or relay and one fresh load generator.

import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child, type PrivateBroker, startBroker } from '../src/load/child.ts';
import type { LoadPlan } from '../src/load/plan.ts';
import type { LoadResult } from '../src/load/result.ts';
import { type Commits, commitsOf, shareBetween } from './commits.ts';
import { type Cores, CpuWatch } from './cpu.ts';

export interface BedOptions {
  /** Data of brokers goes below it; must be on a disk. */
  dir: string;
  runs: number;
  /** Length of each measured window. */
  seconds: number;
  warmupSeconds: number;
  /** Connections of the scenario with idle consumers. */
  idle: number;
  /** Messages of the scenarios about backlogs; default MESSAGES. */
  messages?: number;
  /** Producers, consumers and buckets of the scenario `many`; default 1000. */
  many?: number;
  /** Peers of the scenario `peers`, by their keys; default: every one that is there. */
  peers?: readonly string[];
  /** Bytes of disk that are written beforehand for each second of load; default STOCKED_BYTES. */
  stock?: number;
  /** Further flags of every broker. */
  flags?: readonly string[];
  /** Told what is going on. */
  note: (text: string) => void;
}

/**
 * A server to put load on. 'stocked' is a broker that holds disk space ready for the whole run
 * (`--spare`), so that it writes where blocks exist already, as one does that has run for a while;
 * 'broker' starts on an empty folder.
 */
export type Server = 'broker' | 'stocked' | 'journal' | 'sink' | 'relay';

/** What one sample gives. */
export interface Sample extends LoadResult {
  /** Who was busy in the window, where the system tells. */
  cores: Cores | undefined;
  /** Share of the window in which a commit was being written or synced; 'stocked' only. */
  commitShare: number | undefined;
}

export interface Started {
  ports: { intakePort: number; exhaustPort: number };
  pid: number;
  dashboardPort?: number | undefined;
  stop(): Promise<void>;
}

/** What differs from the default plan, as it goes to the generator's process in JSON. */
export type Load = Partial<Omit<LoadPlan, 'firstBucket'>> & { firstBucket?: string };

/** Messages of a backlog where nothing else is said. */
export const MESSAGES = 10_000_000;

// The stock is made for this rate: more than a broker has reached on the machines tried.
const STOCKED_BYTES = 1600e6;
// Making it is gigabytes of writing, which the disk may still be busy with behind the last sync.
const REST_MS_MAX = 2000;
const REST_BYTES_PER_MS = 500_000;
const STOCKED_MS = 180_000;
const SLOW_BYTES_PER_MS = 100_000;
// Slower than this a counted run is given up.
const SLOW_MESSAGES_PER_MS = 20;
const SEGMENT_BYTES = 64 * 1024 * 1024;
// More than a disk's cache holds; a short run needs less.
const JOURNAL_BYTES_MAX = 1024 ** 3;

const script = (name: string): string => fileURLToPath(new URL(`./${name}.js`, import.meta.url));

export class Bed {
  readonly options: BedOptions;

  constructor(options: BedOptions) {
    this.options = options;
  }

  /** Puts load on a fresh server; gives what the generator measured. */
  async sample(server: Server, load: Load): Promise<Sample> {
    const started = await this.start(server, load);
    try {
      return await this.measure(started, load);
    } finally {
      await started.stop();
    }
  }

  /** Puts load on a running server, for the length of a sample. */
  async measure(started: Started, load: Load): Promise<Sample> {
    const { seconds, warmupSeconds } = this.options;
    const timing = { durationMs: seconds * 1000, warmupMs: warmupSeconds * 1000 };
    const plan = { ...timing, drain: false, ...load, ...started.ports };
    const child = new Child(script('load'), { args: [JSON.stringify(plan)] });
    const watch = new CpuWatch([started.pid], [child.pid]);
    const commits: Commits[] = [];
    const { dashboardPort } = started;
    const result = await runWindow<LoadResult>(child, windowMs(plan), async (edge) => {
      watch.edge(edge);
      if (dashboardPort !== undefined) commits.push(await commitsOf(dashboardPort));
    });
    const [from, to] = commits;
    const commitShare = to === undefined ? undefined : shareBetween(from, to);
    return { ...result, cores: watch.cores, commitShare };
  }

  /**
   * Samples of several servers in turn, so that what changes on the machine hits all; `before` runs
   * before each round. Gives the samples of each server.
   */
  async turns<const Servers extends readonly Server[]>(
    servers: Servers,
    load: Load,
    before: () => Promise<void> = async () => {},
  ): Promise<{ [At in keyof Servers]: Sample[] }> {
    const samples = servers.map((): Sample[] => []);
    for (let run = 1; run <= this.options.runs; run++) {
      this.options.note(`run ${run} of ${this.options.runs}: ${servers.join(', ')}`);
      await before();
      for (const [at, server] of servers.entries())
        samples[at].push(await this.sample(server, load));
    }
    return samples as { [At in keyof Servers]: Sample[] };
  }

  /** Runs the load generator to its end in a process of its own. */
  async load(plan: Load): Promise<LoadResult> {
    const child = new Child(script('load'), { args: [JSON.stringify(plan)] });
    try {
      const said = await child.event('result', windowMs(plan));
      return said.result as LoadResult;
    } finally {
      await child.stop();
    }
  }

  /** Opens connections that stay until `stop`, which gives what they measured. */
  async hold(plan: Load): Promise<{ stop(): Promise<LoadResult> }> {
    const child = new Child(script('load'), { args: [JSON.stringify(plan)] });
    try {
      await child.event('connected', 120_000);
    } catch (error) {
      await child.stop();
      throw error;
    }
    return {
      stop: async () => {
        const result = child.event('result');
        await child.stop();
        return (await result).result as LoadResult;
      },
    };
  }

  /** Starts a program that computes and speaks to nobody; `stop` ends it and gives 0. */
  async spin(): Promise<{ stop(): Promise<number> }> {
    const child = new Child(script('spin'));
    await child.event('ready');
    return { stop: () => child.stop().then(() => 0) };
  }

  /** Runs `disk` or `codec` to its end; gives what it says. */
  async tool(name: 'disk' | 'codec', what = 'sync'): Promise<Record<string, unknown>> {
    const ms = String(Math.ceil(this.options.seconds * 1000));
    await mkdir(this.options.dir, { recursive: true });
    const folder = await mkdtemp(join(resolve(this.options.dir), `${name}-`));
    const written = this.options.stock === undefined ? [] : [String(this.#stock())];
    const args = name === 'disk' ? [folder, ms, what, ...written] : [ms];
    const child = new Child(script(name), { args });
    try {
      return await child.event('result', this.options.seconds * 4000 + 120_000);
    } finally {
      await child.stop();
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Reads every file of a folder with a checksum; gives how fast that was. */
  async read(folder: string): Promise<Record<string, unknown>> {
    const child = new Child(script('read'), { args: [folder] });
    try {
      return await child.event('result', 600_000);
    } finally {
      await child.stop();
    }
  }

  broker(flags: readonly string[] = [], dashboard = false): Promise<PrivateBroker> {
    const { dir, flags: further = [] } = this.options;
    return startBroker({ dir, flags: [...flags, ...further], dashboard });
  }

  /** A broker that holds disk space ready for so many bytes of log. */
  async stocked(bytes: number, flags: readonly string[] = []): Promise<PrivateBroker> {
    const count = Math.ceil(bytes / SEGMENT_BYTES);
    const broker = await this.broker(['--spare', String(count * SEGMENT_BYTES), ...flags], true);
    const log = join(broker.dataDir, 'log');
    const waitMs = STOCKED_MS + bytes / SLOW_BYTES_PER_MS;
    for (const until = performance.now() + waitMs; performance.now() < until; await sleep(100)) {
      const names = await readdir(log);
      if (names.filter((name) => name.startsWith('spare-')).length < count) continue;
      await sleep(Math.min(REST_MS_MAX, bytes / REST_BYTES_PER_MS));
      return broker;
    }
    await broker.stop();
    throw new Error(
      `${count} files of the stock were not made within ${Math.round(waitMs / 1000)} s: is the disk full?`,
    );
  }

  /** What the disk could take at most while a sample lasts. */
  #stock(): number {
    const { seconds, warmupSeconds, stock = STOCKED_BYTES } = this.options;
    return (seconds + warmupSeconds) * stock;
  }

  async #argumentsOf(server: Server, load: Load): Promise<string[]> {
    if (server !== 'journal') return [String(load.consumerBatchMessages ?? 1000)];
    await mkdir(this.options.dir, { recursive: true });
    const file = join(resolve(this.options.dir), `journal-${process.pid}-${Date.now()}`);
    const bytes = Math.max(SEGMENT_BYTES, Math.min(JOURNAL_BYTES_MAX, this.#stock()));
    return [file, String(bytes)];
  }

  async start(server: Server, load: Load): Promise<Started> {
    if (server === 'broker' || server === 'stocked')
      return startedOf(
        server === 'broker' ? await this.broker() : await this.stocked(this.#stock()),
      );
    const args = ['u64', ...(await this.#argumentsOf(server, load))];
    const child = new Child(script(server), { args });
    try {
      const { intake, exhaust = 0 } = await child.event('ready');
      const ports = { intakePort: intake as number, exhaustPort: exhaust as number };
      return { ports, pid: child.pid, stop: () => child.stop() };
    } catch (error) {
      await child.stop();
      throw error;
    }
  }
}

/** A broker as something to put load on. */
export function startedOf(broker: PrivateBroker): Started {
  const { pid, intakePort, exhaustPort, dashboardPort } = broker;
  return { ports: { intakePort, exhaustPort }, pid, dashboardPort, stop: () => broker.stop() };
}

/** How long a load generator may take in all, ms. */
function windowMs({ warmupMs = 0, durationMs = 0, count = 0 }: Load): number {
  return warmupMs + durationMs + count / SLOW_MESSAGES_PER_MS + 120_000;
}

/**
 * Runs a generator of load to its end, calling `edge` when it says that its window begins
 * (`measuring`) and ends (`measured`); gives its `result`.
 */
export async function runWindow<T>(
  child: Child,
  withinMs: number,
  edge: (which: 'begin' | 'end') => void | Promise<void>,
): Promise<T> {
  try {
    const [said] = await Promise.all([
      child.event('result', withinMs),
      child.event('measuring', withinMs).then(() => edge('begin')),
      child.event('measured', withinMs).then(() => edge('end')),
    ]);
    return said.result as T;
  } finally {
    await child.stop();
  }
}
