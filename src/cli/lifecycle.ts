// The life of a broker process: start, announce, wait, stop, exit code. What the broker does is
// server.ts; what the settings are is config/.

import type { AddressInfo } from 'node:net';
import { isLoopback } from '../config/address.ts';
import type { BrokerConfig, Listener } from '../config/load.ts';
import { memoryComplaint } from '../config/memory.ts';
import type { ClusterSnapshot } from '../contract/cluster.ts';
import type { Command, Outcome } from '../contract/commands.ts';
import type { Snapshot, StartSnapshot } from '../contract/snapshot.ts';
import type { Answer, Health, Setting } from '../dashboard/messages.ts';
import { DashboardSupervisor } from '../dashboard/supervisor.ts';
import { keepHeapSmall } from '../io/heap.ts';
import type { Logger, LoggerHandle } from '../io/logger.ts';
import { startBegun, startText } from '../starting.ts';
import { every, sleep } from '../time/timers.ts';
import { identityHere } from './announced.ts';
import { banner } from './banner.ts';
import { exitOnBugs } from './bugs.ts';
import { EXIT } from './output.ts';
import { type RuntimeInfo, removeRuntime, writeRuntime } from './runtime.ts';
import { takeSignals } from './signals.ts';
import { stateOf } from './state.ts';

/** The broker as it is seen from here. */
export interface RunningServer {
  readonly addresses: { intake: AddressInfo[]; exhaust: AddressInfo[] };
  /** Where the data folder is now, if it is not where the settings say. */
  readonly dataDir?: string;
  /** Tells this broker from every other one. */
  readonly instance?: string;
  /** Undefined: another node of its cluster serves. */
  snapshot(): Snapshot | undefined;
  cluster?(): ClusterSnapshot;
  activity?(): number;
  health(): { live: boolean; ready: boolean; checks: Health['checks'] };
  command?(command: Command, done: (outcome: Outcome) => void): void;
  close(): Promise<void>;
  readonly stopped: Promise<{ exitCode: number; reason: string }>;
}

export interface LifecycleOptions {
  config: BrokerConfig;
  handle: LoggerHandle;
  version: string;
  /** For the dashboard: where each setting came from. */
  settings?: Setting[];
  /** Rejects with an error that has an `exitCode` when the broker cannot run. */
  startServer(options: {
    config: BrokerConfig;
    log: Logger;
    version: string;
    progress?: (progress: StartSnapshot) => void;
  }): Promise<RunningServer>;
}

/** Stopping must be over in 5 s; what is not synced by then was never acked. */
const STOP_MS = 4500;
/** How long the ready line waits for the dashboard, which the broker does not depend on. */
const DASHBOARD_WAIT_MS = 2000;
// How often the growth of the heap is bounded anew.
const HEAP_MS = 1000;

type Stop = { exitCode: number; reason: string };

class Lifecycle {
  readonly #options: LifecycleOptions;
  #server: RunningServer | undefined;
  #dashboard: DashboardSupervisor | undefined;
  #runtime: RuntimeInfo | undefined;
  #stopping = false;
  readonly #begunMs = performance.now();
  #progress: StartSnapshot | undefined;

  constructor(options: LifecycleOptions) {
    this.#options = options;
  }

  async run(): Promise<number> {
    const { config, handle, version, startServer } = this.#options;
    const signalled = this.#listenForSignals();
    // Whatever ends the process, if it lets us: a bug, a second signal, a disk that failed.
    process.on('exit', () => this.#removeRuntime());
    this.#warn();
    if (config.dashboard.enabled) this.#startDashboard();
    let server: RunningServer;
    try {
      // A signal before anything was acked needs no polite end.
      const progress = (now: StartSnapshot) => {
        this.#progress = now;
      };
      const started = startServer({ config, log: handle.log, version, progress });
      const first = await Promise.race([started, signalled]);
      if (typeof first === 'string') return await this.#leave({ exitCode: EXIT.ok, reason: first });
      server = first;
    } catch (error) {
      return await this.#couldNotStart(error);
    }
    this.#server = server;
    await this.#announce(server);
    const end = await Promise.race([server.stopped, signalled]);
    return await this.#leave(typeof end === 'string' ? await this.#stop(server, end) : end);
  }

  #warn(): void {
    const { config, handle } = this.#options;
    if (config.log.sync !== 'commit')
      handle.log.warn(
        { event: 'sync.weak', sync: config.log.sync },
        `--sync ${config.log.sync}: acks are weaker, they do not mean "on disk"; a crash can lose acked messages`,
      );
    const complaint = memoryComplaint(config.memory);
    if (complaint !== undefined) handle.log.warn({ event: 'memory.limit' }, complaint);
    const open = [...config.intake, ...config.exhaust].filter(({ host }) => !isLoopback(host));
    if (open.length > 0)
      handle.log.warn(
        { event: 'bind.open', hosts: [...new Set(open.map(({ host }) => host))] },
        'listening beyond loopback: whoever reaches these ports can publish and consume',
      );
    if (open.length > 0 && config.dashboard.enabled && isLoopback(config.dashboard.host))
      handle.log.info(
        { event: 'dashboard.loopback' },
        'the dashboard stays on loopback: to open it, too, give it a token (--dashboard-token-file) and, with it, --dashboard-host',
      );
  }

  /** Before the server, so that /startupz can answer while recovery runs. */
  #startDashboard(): void {
    const { config, handle, version } = this.#options;
    const { enabled, ...dashboard } = config.dashboard;
    this.#dashboard = new DashboardSupervisor({
      dashboard: { ...dashboard, version, settings: this.#options.settings },
      log: handle.log,
      answer: () => this.#answer(),
      activity: () => this.#server?.activity?.(),
      command: (command, done) => {
        if (this.#server?.command !== undefined) this.#server.command(command, done);
        else done({ ok: false, code: 'stopping', detail: 'the broker is starting: ask again' });
      },
      onListening: (bound) => {
        if (this.#runtime === undefined || this.#stopping) return;
        this.#runtime.dashboard = bound;
        this.#writeRuntime(this.#runtime);
      },
    });
  }

  #answer(): Answer {
    const server = this.#server;
    if (server === undefined) {
      const elapsedMs = Math.round(performance.now() - this.#begunMs);
      const progress = { ...(this.#progress ?? startBegun(elapsedMs)), elapsedMs };
      const checks = { startup: { ok: false, detail: startText(progress) } };
      return { health: { started: false, live: true, ready: false, checks, progress } };
    }
    const { live, ready, checks } = server.health();
    const health: Health = { started: true, live, ready: ready && !this.#stopping, checks };
    if (this.#stopping)
      health.checks = { ...checks, stopping: { ok: false, detail: 'the broker is stopping' } };
    return { health, snapshot: server.snapshot(), cluster: server.cluster?.() };
  }

  async #announce(server: RunningServer): Promise<void> {
    const { config, handle } = this.#options;
    const dashboard = this.#dashboard
      ? await Promise.race([this.#dashboard.first, sleep(DASHBOARD_WAIT_MS)])
      : null;
    this.#runtime = this.#describe(server, dashboard ?? null);
    this.#writeRuntime(this.#runtime);
    if (config.logging.format === 'json') handle.announce(this.#runtime, 'ready');
    else handle.print(banner(this.#runtime));
  }

  #describe(server: RunningServer, dashboard: number | null): RuntimeInfo {
    const { config, version } = this.#options;
    const ports = (listeners: Listener[], addresses: AddressInfo[]): Listener[] =>
      listeners.map((listener, index) => ({ ...listener, port: addresses[index].port }));
    const { intake, exhaust } = server.addresses;
    return {
      event: 'ready',
      intake: intake[0].port,
      exhaust: exhaust[0].port,
      dashboard,
      pid: process.pid,
      version,
      startedAt: new Date().toISOString(),
      host: config.intake[0].host,
      dashboardHost: config.dashboard.host,
      wire: config.intake[0].wire,
      listeners: { intake: ports(config.intake, intake), exhaust: ports(config.exhaust, exhaust) },
      identity: identityHere(server.instance ?? '', this.#dataDir, config.unsafeNoLock),
    };
  }

  get #dataDir(): string {
    return this.#server?.dataDir ?? this.#options.config.dataDir;
  }

  #writeRuntime(info: RuntimeInfo): void {
    try {
      writeRuntime(this.#dataDir, info);
    } catch (error) {
      // A full disk stops no broker: publishers are refused, consumers go on.
      const message = `cannot write runtime.json: ${(error as Error).message}`;
      this.#options.handle.log.error({ event: 'runtime.failed' }, message);
    }
  }

  /** Settles with the first signal that stops; the next one ends the process at once. */
  #listenForSignals(): Promise<string> {
    const { log, announce, flush } = this.#options.handle;
    return new Promise((resolve) => {
      takeSignals({
        stop: (signal) => {
          this.#stopping = true;
          resolve(signal);
        },
        force: (signal) => {
          log.warn({ event: 'stop.forced', signal }, 'second signal: exiting at once');
          flush();
          process.exit(EXIT.failed);
        },
        reload: () => {
          const text = 'SIGHUP: nothing to read again, settings take effect at the next start';
          log.info({ event: 'signal.hup' }, text);
        },
        reopen: () => {
          const text = 'SIGUSR1: nothing to open again, these lines go to standard output';
          log.info({ event: 'signal.usr1' }, text);
        },
        dump: () => {
          const uptimeMs = Math.round(performance.now() - this.#begunMs);
          const dashboard = this.#dashboard?.port ?? null;
          const state = { uptimeMs, dashboard, stopping: this.#stopping };
          const { fields, text } = stateOf(this.#answer(), state);
          announce(fields, text);
        },
      });
    });
  }

  #removeRuntime(): void {
    const info = this.#runtime;
    this.#runtime = undefined;
    try {
      if (info !== undefined) removeRuntime(this.#dataDir, info);
    } catch {
      // A hint that outlives its broker does no harm; readers check.
    }
  }

  async #stop(server: RunningServer, signal: string): Promise<Stop> {
    const { handle } = this.#options;
    handle.log.info({ event: 'stopping', signal }, `${signal}: finishing what is in flight`);
    // Before the lock goes: a broker that follows at once writes its own.
    this.#removeRuntime();
    const closed = server.close().then(() => server.stopped);
    const end = await Promise.race([closed, sleep(STOP_MS)]);
    if (end !== undefined) return end;
    handle.log.error({ event: 'stop.timeout' }, `not finished after ${STOP_MS} ms, exiting anyway`);
    return { exitCode: EXIT.failed, reason: 'stopping took too long' };
  }

  async #couldNotStart(error: unknown): Promise<number> {
    const { exitCode, message, stack } = error as Error & { exitCode?: unknown };
    if (typeof exitCode !== 'number') {
      this.#options.handle.log.fatal({ event: 'bug', stack }, `cannot start: ${message}`);
      return this.#end(EXIT.bug);
    }
    this.#options.handle.log.fatal({ event: 'start.failed', exitCode }, message);
    return this.#end(exitCode);
  }

  async #leave({ exitCode, reason }: Stop): Promise<number> {
    this.#stopping = true;
    const { handle } = this.#options;
    this.#removeRuntime();
    const fields = { event: 'stopped', exitCode, reason };
    if (exitCode === EXIT.ok) handle.log.info(fields, 'stopped');
    else handle.log.error(fields, `stopped: ${reason}`);
    return this.#end(exitCode);
  }

  async #end(exitCode: number): Promise<number> {
    await this.#dashboard?.close();
    await this.#options.handle.drained();
    return exitCode;
  }
}

/** Runs a broker until it stops; gives the exit code. The caller then exits the process. */
export function runBroker(options: LifecycleOptions): Promise<number> {
  exitOnBugs(options.handle);
  keepHeapSmall();
  every(HEAP_MS, keepHeapSmall).unref();
  return new Lifecycle(options).run();
}
