// The test bed: starts what a sample needs, each in a process of its own, and stops it again. One
// sample is one fresh broker, sink or relay and one fresh load generator.

import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child, type PrivateBroker, startBroker } from '../src/load/child.ts';
import type { LoadPlan } from '../src/load/plan.ts';
import type { LoadResult } from '../src/load/result.ts';

export interface BedOptions {
  /** Data of brokers goes below it; must be on a disk. */
  dir: string;
  runs: number;
  /** Length of each measured window. */
  seconds: number;
  warmupSeconds: number;
  /** Connections of the scenario with idle consumers. */
  idle: number;
  /** Messages of the scenarios about backlogs. */
  messages: number;
  /** Told what is going on. */
  note: (text: string) => void;
}

/**
 * A server to put load on. 'stocked' is a broker that holds disk space ready for the whole run
 * (`--spare`), so that it writes where blocks exist already, as one does that has run for a while;
 * 'broker' starts on an empty folder.
 */
export type Server = 'broker' | 'stocked' | 'sink' | 'relay';

/** What differs from the default plan, as it goes to the generator's process in JSON. */
export type Load = Partial<Omit<LoadPlan, 'firstBucket'>> & { firstBucket?: string };

// The stock is made for this rate: more than a broker has reached on the machines tried.
const STOCKED_BYTES_PER_SECOND = 1600e6;
// Making it is gigabytes of writing, which the disk may still be busy with behind the last sync.
const REST_MS = 2000;
const STOCKED_MS = 180_000;
const SLOW_BYTES_PER_MS = 100_000;
// Slower than this a counted run is given up.
const SLOW_MESSAGES_PER_MS = 20;
const SEGMENT_BYTES = 64 * 1024 * 1024;

const script = (name: string): string => fileURLToPath(new URL(`./${name}.js`, import.meta.url));

export class Bed {
  readonly options: BedOptions;

  constructor(options: BedOptions) {
    this.options = options;
  }

  /** Puts load on a fresh server; gives what the generator measured. */
  async sample(server: Server, load: Load): Promise<LoadResult> {
    const { seconds, warmupSeconds } = this.options;
    const started = await this.start(server, load);
    try {
      const timing = { durationMs: seconds * 1000, warmupMs: warmupSeconds * 1000 };
      return await this.load({ ...timing, drain: false, ...load, ...started.ports });
    } finally {
      await started.stop();
    }
  }

  /**
   * Samples of two servers in turn, so that what changes on the machine hits both; `before` runs
   * before each pair.
   */
  async pairs(
    first: Server,
    second: Server,
    load: Load,
    before: () => Promise<void> = async () => {},
  ): Promise<[LoadResult, LoadResult][]> {
    const pairs: [LoadResult, LoadResult][] = [];
    for (let run = 1; run <= this.options.runs; run++) {
      this.options.note(`run ${run} of ${this.options.runs}: ${first}, ${second}`);
      await before();
      pairs.push([await this.sample(first, load), await this.sample(second, load)]);
    }
    return pairs;
  }

  /** Runs the load generator to its end in a process of its own. */
  async load(plan: Load): Promise<LoadResult> {
    const child = new Child(script('load'), { args: [JSON.stringify(plan)] });
    try {
      const { warmupMs = 0, durationMs = 0 } = plan;
      const counted = (plan.count ?? 0) / SLOW_MESSAGES_PER_MS;
      const said = await child.event('result', warmupMs + durationMs + counted + 120_000);
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

  /** Runs `disk` or `codec` to its end; gives what it says. */
  async tool(name: 'disk' | 'codec', what = 'sync'): Promise<Record<string, unknown>> {
    const ms = String(Math.ceil(this.options.seconds * 1000));
    await mkdir(this.options.dir, { recursive: true });
    const folder = await mkdtemp(join(resolve(this.options.dir), `${name}-`));
    const child = new Child(script(name), { args: name === 'disk' ? [folder, ms, what] : [ms] });
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

  broker(flags: readonly string[] = []): Promise<PrivateBroker> {
    return startBroker({ dir: this.options.dir, flags });
  }

  /** A broker that holds disk space ready for so many bytes of log. */
  async stocked(bytes: number, flags: readonly string[] = []): Promise<PrivateBroker> {
    const count = Math.ceil(bytes / SEGMENT_BYTES);
    const broker = await this.broker(['--spare', String(count * SEGMENT_BYTES), ...flags]);
    const log = join(broker.dataDir, 'log');
    const waitMs = STOCKED_MS + bytes / SLOW_BYTES_PER_MS;
    for (const until = Date.now() + waitMs; Date.now() < until; await sleep(100)) {
      const names = await readdir(log);
      if (names.filter((name) => name.startsWith('spare-')).length < count) continue;
      await sleep(REST_MS);
      return broker;
    }
    await broker.stop();
    throw new Error(
      `${count} files of the stock were not made within ${Math.round(waitMs / 1000)} s: is the disk full?`,
    );
  }

  /** What the disk could take at most while a sample lasts. */
  #stock(): number {
    const { seconds, warmupSeconds } = this.options;
    return (seconds + warmupSeconds) * STOCKED_BYTES_PER_SECOND;
  }

  async start(
    server: Server,
    load: Load,
  ): Promise<{ ports: { intakePort: number; exhaustPort: number }; stop(): Promise<void> }> {
    if (server === 'broker' || server === 'stocked') {
      const broker = server === 'broker' ? await this.broker() : await this.stocked(this.#stock());
      const { intakePort, exhaustPort } = broker;
      return { ports: { intakePort, exhaustPort }, stop: () => broker.stop() };
    }
    const args = ['u64', String(load.consumerBatchMessages ?? 1000)];
    const child = new Child(script(server), { args });
    try {
      const { intake, exhaust = 0 } = await child.event('ready');
      const ports = { intakePort: intake as number, exhaustPort: exhaust as number };
      return { ports, stop: () => child.stop() };
    } catch (error) {
      await child.stop();
      throw error;
    }
  }
}
