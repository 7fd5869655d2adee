// A broker's life over an open log: core, ticks, reports and operator's commands put together, from
// where recovery ended until it is over. Folder and sockets are somebody else's and outlive it.

import { INBOX_READ_BYTES } from '../assembly/layout.ts';
import type { BrokerConfig } from './config/load.ts';
import type { Command, Outcome } from './contract/commands.ts';
import type { Side, Snapshot } from './contract/snapshot.ts';
import { Admin } from './core/admin/admin.ts';
import { Broker } from './core/broker.ts';
import type { Earlier } from './core/earlier-pauses.ts';
import { compileRules } from './core/rules/compile.ts';
import type { RuleTable } from './core/rules/rule-table.ts';
import { Backups } from './io/backups.ts';
import type { Clock } from './io/clock.ts';
import { connectionLimits } from './io/connection-limits.ts';
import { MessageChannels } from './io/following.ts';
import { type Logger, RateLimitedLog } from './io/logger.ts';
import type { ListenOptions } from './io/tcp/link.ts';
import type { Listeners } from './io/tcp/listeners.ts';
import { SilentPeers } from './io/tcp/silence.ts';
import { HOST, Ticker } from './io/ticker.ts';
import type { OpenedLog } from './opening.ts';
import { Reporter } from './reporter.ts';
import type { StoppingParts } from './stopping.ts';
import { after, cancel, every, type Timer } from './time/timers.ts';

export interface BrokerLifeOptions {
  config: BrokerConfig;
  log: Logger;
  version: string;
  /** Rules of the configuration file. */
  rules?: RuleTable | undefined;
  clock: Clock;
  /** Where the data folder is now. */
  dataDir: () => string;
  /** Whose connections are looked at. */
  listeners: Listeners;
  opened: OpenedLog;
  /** Pauses that a file beside the log kept. */
  earlier?: Earlier | undefined;
  /** Whether anything may be delivered at this time; absent: it may. */
  mayDeliver?: (() => boolean) | undefined;
  /** The log failed: nothing is acked any more. Called once. */
  failed: (failure: Error) => void;
}

// A timer that is later than this: the process stood still, and peers may have lost their patience.
const STILL_MS = 1000;
const RETRY_MS = 1000;
// Others may fill the disk while nothing is missing and nothing comes in.
const RETRY_IDLE_MS = 5000;
const PEERS_MS = 5000;
// Between two looks whether the files of the log still have their names (log/segments/watch.ts).
const LOOK_MS = 500;

export class BrokerLife {
  readonly #options: BrokerLifeOptions;
  readonly #notices: RateLimitedLog;
  readonly #following: MessageChannels;
  readonly #timers: Timer[] = [];
  readonly #broker: Broker;
  readonly #reporter: Reporter;
  readonly #admin: Admin;
  readonly #backups: Backups;
  readonly #ticker: Ticker;
  #retriedMs = 0;
  #failure: Error | undefined;

  constructor(options: BrokerLifeOptions) {
    const { config, log, opened, clock } = options;
    this.#options = options;
    this.#notices = new RateLimitedLog(log);
    const wallMs = () => clock.wallMs();
    this.#following = new MessageChannels({ log, ...config.logging, wallMs });
    this.#ticker = new Ticker({
      ...HOST,
      tick: (clockMs) => this.#tick(clockMs),
      late: (ms) => this.#late(ms),
    });
    this.#broker = this.#core(wallMs);
    this.#backups = new Backups({
      log: opened.log,
      dataDir: options.dataDir,
      zeros: opened.codec.zeros,
      wallMs,
      notice: (level, kind, text, fields) => this.#notices.write(kind, fields, text, level),
    });
    this.#reporter = new Reporter({
      config,
      version: options.version,
      broker: this.#broker,
      log: opened.ports,
      status: opened.log,
      clock,
      dataDir: options.dataDir,
    });
    this.#reporter.recovered(opened.report, opened.recovered[0].epoch);
    opened.log.listen({
      segmentChanged: () => this.#segmentChanged(),
      failed: (failure) => this.#broker.failed(failure),
      wrote: (bytes, writeMs, syncMs) => this.#reporter.wrote(bytes, writeMs, syncMs),
    });
    this.#admin = new Admin({
      broker: this.#broker,
      log: opened.ports,
      backups: this.#backups,
      wallMs,
      base64: (bytes) =>
        Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
      soon: (call) => void setImmediate(call),
      after: (ms, call) => void after(ms, call),
    });
  }

  #core(wallMs: () => number): Broker {
    const { config, log, opened, rules, clock, mayDeliver } = this.#options;
    return new Broker({
      ...opened.state,
      ruleTable: rules ?? compileRules([]),
      codec: opened.codec,
      log: opened.ports,
      foreground: opened.foreground,
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
      clockMs: () => clock.nowMs,
      nowMs: () => this.#ticker.clockMs,
      random: Math.random,
      isLate: () => this.#ticker.lateMs > STILL_MS,
      ...(mayDeliver && { mayDeliver }),
      strict: config.log.sync === 'commit',
      onFailed: (failure) => this.#failed(failure),
    });
  }

  /** Goes on where recovery ended. */
  begin(): void {
    const { config, opened, earlier, listeners } = this.#options;
    this.#broker.resume(...opened.recovered);
    if (earlier !== undefined) this.#broker.pauses.takeOver(earlier);
    const again = (ms: number, call: () => void) => this.#timers.push(every(ms, call));
    this.#ticker.start();
    opened.log.look();
    again(LOOK_MS, () => opened.log.look());
    const silent = new SilentPeers(listeners.links, this.#broker.overdue, ({ peer }) => {
      const text = `${peer} does not answer the network any more: closed`;
      this.#notices.write('peer.unreachable', { peer }, text, 'info');
    });
    again(PEERS_MS, () => void silent.look(this.#ticker.clockMs));
    if (config.log.sync === 'interval')
      again(config.log.syncIntervalMs, () => opened.log.sync(() => {}));
  }

  /** What a listener of a side does with a connection. */
  doorTo(side: Side): Pick<ListenOptions, 'accept' | 'readInto'> {
    const { connections, codec } = this.#broker;
    const accept: ListenOptions['accept'] = (link) =>
      side === 'intake' ? connections.acceptProducer(link) : connections.acceptConsumer(link);
    return { accept, readInto: codec.inbox.subarray(codec.inbox.length - INBOX_READ_BYTES) };
  }

  /** The same where others may take the connection, or hold it; undefined: it is not wanted now.
   * Consumers that a suspended broker turns away would come again and again. */
  accept(side: Side): ListenOptions['accept'] | undefined {
    const isTurnedAway = side === 'exhaust' && this.#broker.permission.isSuspended;
    return isTurnedAway ? undefined : this.doorTo(side).accept;
  }

  /** Carries out an operator's command; `done` comes once, now or later. */
  command(command: Command, done: (outcome: Outcome) => void): void {
    this.#admin.ask(command, done);
  }

  #late(ms: number): void {
    this.#reporter.late(ms);
    if (ms > STILL_MS) this.#broker.presence.stoodStill();
  }

  // Gives when the next tick is due.
  #tick(clockMs: number): number {
    const { log } = this.#options.opened;
    const dueMs = this.#broker.advance(clockMs);
    if (clockMs - this.#retriedMs >= RETRY_MS) {
      this.#retriedMs = clockMs;
      log.retry();
    }
    const retryMs = this.#retriedMs + (log.lacks ? RETRY_MS : RETRY_IDLE_MS);
    return Math.min(dueMs, retryMs, clockMs + this.#reporter.tick());
  }

  #segmentChanged(): void {
    const blocked = this.#options.opened.log.blocked();
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
    this.#options.failed(failure);
  }

  /** Why the log cannot be written any more, if it cannot. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** How late the event loop is, in ms. */
  get lateMs(): number {
    return this.#ticker.lateMs;
  }

  /** Grows when something happens that a snapshot tells of; heartbeats are nothing. */
  get activity(): number {
    return this.#reporter.activity;
  }

  snapshot(): Snapshot {
    this.#broker.at(this.#ticker.clockMs);
    return this.#reporter.snapshot();
  }

  /** Nothing may be delivered for now: consumers are closed, producers stay. */
  suspend(): void {
    this.#broker.suspend();
  }

  goOn(): void {
    this.#broker.goOn();
  }

  /** Somebody else owns the log: all connections are closed without an answer, nothing is told. */
  drop(failure: Error): void {
    if (this.#failure === undefined) {
      this.#failure = failure;
      this.#backups.cancel();
      this.#broker.failed(failure);
    }
    this.end();
  }

  /** What an orderly stop goes through. */
  get parts(): Pick<StoppingParts, 'broker' | 'log' | 'backups' | 'failed'> {
    return {
      broker: this.#broker,
      log: this.#options.opened.log,
      backups: this.#backups,
      failed: () => this.#failure !== undefined,
    };
  }

  /** No more ticks, looks and lines. */
  end(): void {
    for (const timer of this.#timers.splice(0)) cancel(timer);
    this.#ticker.stop();
    this.#notices.close();
    this.#following.close();
  }
}
