// A peer that runs, and load on it: both in processes of their own, which end with this one.

import { randomUUID } from 'node:crypto';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../src/load/child.ts';
import { runWindow } from '../bed.ts';
import { type Cores, CpuWatch } from '../cpu.ts';
import { freePorts } from '../free-ports.ts';
import type { ClientPlan, ClientResult } from './client.ts';
import type { KeepSpec } from './keep.ts';
import { PORTS_NEEDED, type System } from './systems.ts';

const START_MS = 60_000;

export interface RunningSystem {
  port: number;
  /** Of its programs: each leads one. */
  sessions: number[];
  folder: string;
  /** Ends it and everything that it started, and removes its folder. */
  stop(): Promise<void>;
}

export type PeerSample = ClientResult & { cores: Cores | undefined };

const script = (name: string): string => fileURLToPath(new URL(`./${name}.js`, import.meta.url));

/**
 * Starts a peer on loopback, on a folder of its own inside `dir`.
 * @throws Error with what it wrote, when it does not come up.
 */
export async function startSystem(
  system: System,
  file: string,
  dir: string,
): Promise<RunningSystem> {
  // Only named here: the keeper makes it, once it is able to remove it again.
  const folder = join(resolve(dir), `${system.key}-${randomUUID()}`);
  const ports = await freePorts(PORTS_NEEDED);
  const { files, programs } = system.setup(file, folder, ports);
  const spec: KeepSpec = { folder, files, programs, port: ports[0], withinMs: START_MS };
  const keeper = new Child(script('keep'), { args: [JSON.stringify(spec)], cleansUp: true });
  try {
    const { sessions } = await orFailure(keeper, system.name, keeper.event('ready', START_MS * 2));
    return {
      port: ports[0],
      sessions: sessions as number[],
      folder,
      stop: () => keeper.stop(),
    };
  } catch (error) {
    await keeper.stop();
    throw error;
  }
}

/** Puts load on a running peer. Throws Error when the peer or its client fails. */
export async function loadSystem(
  system: System,
  running: RunningSystem,
  load: Omit<ClientPlan, 'protocol' | 'port'>,
): Promise<PeerSample> {
  const plan: ClientPlan = { ...load, protocol: system.protocol, port: running.port };
  const child = new Child(script('client'), { args: [JSON.stringify(plan)] });
  const watch = new CpuWatch(running.sessions, [child.pid]);
  const withinMs = plan.warmupMs + plan.durationMs + START_MS;
  const edge = (which: 'begin' | 'end'): void => watch.edge(which);
  const measured = runWindow<ClientResult>(child, withinMs, edge);
  const result = await orFailure(child, `load on ${system.name}`, measured);
  return { ...result, cores: watch.cores };
}

/** What was waited for, or the reason that the child gives for there being none. */
async function orFailure<T>(child: Child, what: string, waited: Promise<T>): Promise<T> {
  let why: string | undefined;
  child.event('failed', START_MS * 60).then(
    (said) => {
      why = String(said.why);
    },
    () => {},
  );
  try {
    return await waited;
  } catch (error) {
    throw new Error(`${what}: ${why ?? (error as Error).message}`);
  }
}
