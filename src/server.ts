// The composition root: one broker with its lock, log, sockets and timers, from start to stop.
// Contains order, not rules.

import type { Socket } from 'node:net';
import path from 'node:path';
import { BrokerLife } from './broker-life.ts';
import type { BrokerConfig } from './config/load.ts';
import type { Command, Outcome } from './contract/commands.ts';
import type { Side, Snapshot, StartSnapshot } from './contract/snapshot.ts';
import type { RuleTable } from './core/rules/rule-table.ts';
import { DataFolder, StartError } from './data-folder.ts';
import { type Addresses, openDoors } from './doors.ts';
import { failureText, type Health, healthOf } from './health.ts';
import { Clock } from './io/clock.ts';
import { demandDescriptors } from './io/descriptors.ts';
import type { Logger } from './io/logger.ts';
import { readPausedFile } from './io/paused-file.ts';
import { filesIn } from './io/storage.ts';
import { Listeners, type PassedOn } from './io/tcp/listeners.ts';
import type { FileLog } from './log/file-log.ts';
import { openLog } from './opening.ts';
import { startErrorOf } from './start-errors.ts';
import { stopInOrder } from './stopping.ts';

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
  readonly addresses: Addresses = { intake: [], exhaust: [] };
  /** Settles when the broker has stopped, by `close` or by itself. */
  readonly stopped: Promise<Stopped>;
  readonly #options: ServerOptions;
  readonly #folder: DataFolder;
  readonly #listeners: Listeners;
  readonly #life: BrokerLife;
  readonly #log: FileLog;
  #closing: Promise<void> | undefined;
  #stop!: (how: Stopped) => void;

  /** Recovers. What it throws leaves the folder to the caller; later `close` gives it back. */
  static async open(options: ServerOptions, folder: DataFolder): Promise<Server> {
    const { clock = new Clock() } = options;
    const earlier = readPausedFile(() => folder.path);
    const opened = await openLog(options, folder, clock);
    const listeners = new Listeners();
    let server: Server;
    const life = new BrokerLife({
      ...options,
      clock,
      dataDir: () => folder.path,
      listeners,
      opened,
      earlier,
      failed: (failure) => server.#failed(failure),
    });
    server = new Server(options, folder, listeners, life, opened.log);
    return server;
  }

  /** Goes on where recovery ended, and listens. Closes itself if it cannot. */
  async begin(): Promise<void> {
    try {
      this.#life.begin();
      const { config } = this.#options;
      await openDoors(this.#listeners, config, (side) => this.#life.doorTo(side), this.addresses);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  private constructor(
    options: ServerOptions,
    folder: DataFolder,
    listeners: Listeners,
    life: BrokerLife,
    log: FileLog,
  ) {
    this.#options = options;
    this.#folder = folder;
    this.#listeners = listeners;
    this.#life = life;
    this.#log = log;
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
  }

  /** Carries out an operator's command; `done` comes once, now or later. */
  command(command: Command, done: (outcome: Outcome) => void): void {
    this.#life.command(command, done);
  }

  /** Takes a client that a node passes on, over this socket, which is paused. */
  adopt(socket: Socket, side: Side, client: PassedOn & { wire: number }): void {
    const { wire } = client;
    this.#listeners.adopt(socket, client, { wire, ...this.#life.doorTo(side) });
  }

  #failed(failure: Error): void {
    this.#listeners.stop();
    this.#listeners.destroyAll();
    this.#options.log.fatal({ event: 'log.failed', err: failure }, failureText(failure));
    this.#finish({ exitCode: 74, reason: failure.message });
  }

  #finish(how: Stopped): void {
    this.#life.end();
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
    return this.#life.activity;
  }

  snapshot(): Snapshot {
    return this.#life.snapshot();
  }

  health(): Health {
    return healthOf({
      lateMs: this.#life.lateMs,
      blocked: this.#log.blocked(),
      failure: this.#life.failure,
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
    const { parts } = this.#life;
    const stopped = await stopInOrder({
      ...parts,
      listeners: this.#listeners,
      stopped: this.stopped,
    });
    // Else something may still be written: the lock ends with the process.
    if (stopped) this.#folder.release();
    const { failure } = this.#life;
    this.#finish({ exitCode: failure === undefined ? 0 : 74, reason: 'stopped' });
  }
}
