// The composition root: one broker with its lock, log, sockets and timers, from start to stop.
// Contains order, not rules.

import type { AddressInfo, Socket } from 'node:net';
import path from 'node:path';
import { INBOX_READ_BYTES, WIRE_U32, WIRE_U64 } from '../assembly/layout.ts';
import type { BrokerConfig, Listener } from './config/load.ts';
import type { Command, Outcome } from './contract/commands.ts';
import type { Side, Snapshot, StartSnapshot } from './contract/snapshot.ts';
import { Admin } from './core/admin/admin.ts';
import { Broker } from './core/broker.ts';
import type { Paused } from './core/delivery/paused.ts';
import { compileRules } from './core/rules/compile.ts';
import type { RuleTable } from './core/rules/rule-table.ts';
import { DataFolder, StartError } from './data-folder.ts';
import { failureText, type Health, healthOf } from './health.ts';
import { Backups } from './io/backups.ts';
import { Clock } from './io/clock.ts';
import { connectionLimits } from './io/connection-limits.ts';
import { demandDescriptors } from './io/descriptors.ts';
import { MessageChannels } from './io/following.ts';
import { type Logger, RateLimitedLog } from './io/logger.ts';
import { readPaused, SettingsFile } from './io/settings.ts';
import { filesIn } from './io/storage.ts';
import type { ListenOptions } from './io/tcp/link.ts';
import { Listeners, type PassedOn } from './io/tcp/listeners.ts';
import { SilentPeers } from './io/tcp/silence.ts';
import { HOST, Ticker } from './io/ticker.ts';
import type { FileLog } from './log/file-log.ts';
import { type OpenedLog, openLog } from './opening.ts';
import { Reporter } from './reporter.ts';
import { startErrorOf } from './start-errors.ts';
import { stopInOrder } from './stopping.ts';
import { after, cancel, every, type Timer } from './time/timers.ts';

export interface ServerOptions {
  config: BrokerConfig;
  log: Logger;
  version: string;
  /** Rules of the configuration file. */
  rules?: RuleTable | undefined;
  /** What time it is, for tests. */
  clock?: Clock;
  /** Told how far the start is, again and again until it is over. */
  progress?: (progress: StartSnapshot) => void;
}

export interface Stopped {
  exitCode: number;
  reason: string;
}

// A timer that is later than this: the process stood still, and peers may have lost their patience.
const STILL_MS = 1000;
const RETRY_MS = 1000;
// Others may fill the disk while nothing is missing and nothing comes in.
const RETRY_IDLE_MS = 5000;
const PEERS_MS = 5000;
// Between two looks whether the files of the log still have their names (log/segments/watch.ts).
const LOOK_MS = 500;

/**
 * Starts a broker: locks the data folder, recovers the log, listens. Rejects with StartError:
 * 75 locked, 74 disk or damaged log, 78 the configuration cannot work, 1 a port cannot be had.
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  demandDescriptors((text) => new StartError(78, text));
  const folder = new DataFolder(options);
  const files = filesIn(path.join(folder.path, 'log'));
  let server: Server;
  try {
    server = await Server.open(options, folder);
  } catch (error) {
    folder.release();
    throw startErrorOf(error, options.config.dataDir, files);
  }
  await server.begin();
  return server;
}

export class Server {
  readonly addresses: { intake: AddressInfo[]; exhaust: AddressInfo[] } = {
    intake: [],
    exhaust: [],
  };
  /** Settles when the broker has stopped, by `close` or by itself. */
  readonly stopped: Promise<Stopped>;
  readonly #options: ServerOptions;
  readonly #folder: DataFolder;
  readonly #listeners = new Listeners();
  readonly #notices: RateLimitedLog;
  readonly #following: MessageChannels;
  readonly #timers: Timer[] = [];
  readonly #broker: Broker;
  readonly #log: FileLog;
  readonly #reporter: Reporter;
  readonly #admin: Admin;
  readonly #backups: Backups;
  readonly #recovered: Parameters<Broker['resume']>;
  readonly #clock: Clock;
  readonly #ticker: Ticker;
  #retriedMs = 0;
  #closing: Promise<void> | undefined;
  #failure: Error | undefined;
  #stop!: (how: Stopped) => void;

  /** Recovers. What it throws leaves the folder to the caller; later `close` gives it back. */
  static async open(options: ServerOptions, folder: DataFolder): Promise<Server> {
    const { clock = new Clock() } = options;
    const settings = new SettingsFile(() => folder.path, 'paused.json');
    const paused = readPaused(settings);
    const opened = await openLog(options, folder, clock);
    const server = new Server(options, folder, { ...opened, paused, settings, clock });
    server.#reporter.recovered(opened.report, opened.recovered[0].epoch);
    return server;
  }

  /** Goes on where recovery ended, and listens. Closes itself if it cannot. */
  async begin(): Promise<void> {
    try {
      this.#broker.resume(...this.#recovered);
      this.#startTimers();
      await this.#listen();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  private constructor(
    options: ServerOptions,
    folder: DataFolder,
    parts: OpenedLog & { paused: Paused; settings: SettingsFile; clock: Clock },
  ) {
    const { config, log } = options;
    this.#options = options;
    this.#folder = folder;
    this.#notices = new RateLimitedLog(log);
    this.#log = parts.log;
    this.#recovered = parts.recovered;
    this.#clock = parts.clock;
    const wallMs = () => parts.clock.wallMs();
    this.#following = new MessageChannels({ log, ...config.logging, wallMs });
    this.#ticker = new Ticker({
      ...HOST,
      tick: (clockMs) => this.#tick(clockMs),
      late: (ms) => this.#late(ms),
    });
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
    this.#broker = new Broker({
      ...parts.state,
      paused: parts.paused,
      ruleTable: options.rules ?? compileRules([]),
      codec: parts.codec,
      log: parts.log.ports,
      foreground: parts.foreground,
      limits: connectionLimits(config.limits, log),
      notices: {
        notice: (level, kind, text, fields) => this.#notices.write(kind, fields ?? {}, text, level),
      },
      wake: {
        soon: () => void setImmediate(() => this.#broker.flush()),
        rest: (ms) => void after(ms, () => this.#broker.rested()),
        stirred: () => {
          this.#reporter.stirred();
          return this.#ticker.stirred();
        },
      },
      observer: this.#following,
      wallMs,
      clockMs: () => this.#clock.nowMs,
      nowMs: () => this.#ticker.clockMs,
      random: Math.random,
      isLate: () => this.#ticker.lateMs > STILL_MS,
      strict: config.log.sync === 'commit',
      onFailed: (failure) => this.#failed(failure),
    });
    this.#backups = new Backups({
      log: this.#log,
      dataDir: () => folder.path,
      zeros: parts.codec.zeros,
      wallMs,
      notice: (level, kind, text, fields) => this.#notices.write(kind, fields, text, level),
    });
    this.#reporter = new Reporter({
      config,
      version: options.version,
      broker: this.#broker,
      log: parts.log.ports,
      status: parts.log,
      clock: this.#clock,
      dataDir: () => folder.path,
    });
    this.#log.listen({
      segmentChanged: () => this.#segmentChanged(),
      failed: (failure) => this.#broker.failed(failure),
      wrote: (bytes, writeMs, syncMs) => this.#reporter.wrote(bytes, writeMs, syncMs),
    });
    this.#admin = new Admin({
      broker: this.#broker,
      log: parts.log.ports,
      settings: parts.settings,
      backups: this.#backups,
      wallMs,
      base64: (bytes) =>
        Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
      soon: (call) => void setImmediate(call),
      after: (ms, call) => void after(ms, call),
    });
  }

  /** Carries out an operator's command; `done` comes once, now or later. */
  command(command: Command, done: (outcome: Outcome) => void): void {
    this.#admin.ask(command, done);
  }

  async #listen(): Promise<void> {
    const { config } = this.#options;
    for (const side of ['intake', 'exhaust'] as const)
      for (const listener of config[side])
        this.addresses[side].push(await this.#open(listener, side));
  }

  // What each listener of a side does with a connection.
  #doorTo(side: Side): Pick<ListenOptions, 'accept' | 'readInto'> {
    const { connections, codec } = this.#broker;
    const accept: ListenOptions['accept'] = (link) =>
      side === 'intake' ? connections.acceptProducer(link) : connections.acceptConsumer(link);
    return { accept, readInto: codec.inbox.subarray(codec.inbox.length - INBOX_READ_BYTES) };
  }

  /** Takes a client that another node passes on, over this socket, which is paused. */
  adopt(socket: Socket, side: Side, client: PassedOn & { wire: number }): void {
    this.#listeners.adopt(socket, client, { wire: client.wire, ...this.#doorTo(side) });
  }

  async #open({ host, port, wire }: Listener, side: Side): Promise<AddressInfo> {
    try {
      const bytes = wire === 'u64' ? WIRE_U64 : WIRE_U32;
      return await this.#listeners.listen({ host, port, wire: bytes, ...this.#doorTo(side) });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const hint =
        code === 'EADDRINUSE'
          ? 'another program uses that port; stop it or choose another port (0 = any free one)'
          : message;
      const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      throw new StartError(1, `cannot listen on ${where}: ${hint}`, { cause: error });
    }
  }

  #startTimers(): void {
    const { log } = this.#options.config;
    const again = (ms: number, call: () => void) => this.#timers.push(every(ms, call));
    this.#ticker.start();
    this.#log.look();
    again(LOOK_MS, () => this.#log.look());
    const silent = new SilentPeers(this.#listeners.links, this.#broker.overdue, ({ peer }) => {
      const text = `${peer} does not answer the network any more: closed`;
      this.#notices.write('peer.unreachable', { peer }, text, 'info');
    });
    again(PEERS_MS, () => void silent.look(this.#ticker.clockMs));
    if (log.sync === 'interval') again(log.syncIntervalMs, () => this.#log.sync(() => {}));
  }

  #late(ms: number): void {
    this.#reporter.late(ms);
    if (ms > STILL_MS) this.#broker.presence.stoodStill();
  }

  // Gives when the next tick is due.
  #tick(clockMs: number): number {
    const dueMs = this.#broker.advance(clockMs);
    if (clockMs - this.#retriedMs >= RETRY_MS) {
      this.#retriedMs = clockMs;
      this.#log.retry();
    }
    const retryMs = this.#retriedMs + (this.#log.lacks ? RETRY_MS : RETRY_IDLE_MS);
    return Math.min(dueMs, retryMs, clockMs + this.#reporter.tick());
  }

  #segmentChanged(): void {
    const blocked = this.#log.blocked();
    if (blocked !== undefined)
      this.#notices.write(
        'log.full',
        {},
        `no further segment can be made: ${blocked}. Publishes will be refused with 0 when this one is full, consumers go on; service returns by itself when there is space`,
        'error',
      );
    this.#broker.segmentChanged();
  }

  #failed(failure: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    this.#backups.cancel();
    this.#listeners.stop();
    this.#listeners.destroyAll();
    this.#options.log.fatal({ event: 'log.failed', err: failure }, failureText(failure));
    this.#finish({ exitCode: 74, reason: failure.message });
  }

  #finish(how: Stopped): void {
    for (const timer of this.#timers) cancel(timer);
    this.#ticker.stop();
    this.#notices.close();
    this.#following.close();
    this.#stop(how);
  }

  /** Where the data folder is now. */
  get dataDir(): string {
    return this.#folder.path;
  }

  /** Tells this broker from every other one. */
  get instance(): string {
    return this.#folder.instance;
  }

  /** Grows when something happens that a snapshot tells of; heartbeats are nothing. */
  activity(): number {
    return this.#reporter.activity;
  }

  snapshot(): Snapshot {
    this.#broker.at(this.#ticker.clockMs);
    return this.#reporter.snapshot();
  }

  health(): Health {
    return healthOf({
      lateMs: this.#ticker.lateMs,
      blocked: this.#log.blocked(),
      failure: this.#failure,
      memory: this.#options.config.memory,
      closing: this.#closing !== undefined,
    });
  }

  /** Stops: no new connections, what is in flight finishes, everything is synced. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const stopped = await stopInOrder({
      broker: this.#broker,
      log: this.#log,
      listeners: this.#listeners,
      backups: this.#backups,
      failed: () => this.#failure !== undefined,
      stopped: this.stopped,
    });
    // Else something may still be written: the lock ends with the process.
    if (stopped) this.#folder.release();
    this.#finish({ exitCode: this.#failure === undefined ? 0 : 74, reason: 'stopped' });
  }
}
