// The broker's side of the dashboard: starts the child, answers its questions, starts it again when
// it ends or falls silent. Whatever happens to the child stays its trouble: nothing here throws,
// waits for it, or queues more to it than an answer, a question and the outcomes of a few commands.

import { type ChildProcess, fork } from 'node:child_process';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Command, Outcome } from '../contract/commands.ts';
import { flagsWithoutDebugger } from '../io/debugger.ts';
import { deadline } from '../time/deadline.ts';
import { after, cancel, every, type Timer } from '../time/timers.ts';
import {
  type Answer,
  COMMANDS_MAX,
  type DashboardOptions,
  type FromChild,
  type Restarts,
  type ToChild,
} from './messages.ts';
import { longerStart, Pulse, type PulseClock, START_BEATS } from './pulse.ts';

/** The part of a logger that is used here. */
export interface SupervisorLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}

export interface SupervisorOptions {
  dashboard: DashboardOptions;
  log: SupervisorLog;
  /** State of the broker now; called at most once per question of the child. */
  answer(): Answer;
  /** A number that grows when something happens: while it does not, nobody need ask. */
  activity?: () => number | undefined;
  /** Carries out an operator's command; `done` comes once, now or later. */
  command?: (command: Command, done: (outcome: Outcome) => void) => void;
  /** Called on each (re)start that listens. */
  onListening?: (port: number) => void;
  /** Entry of the child; for tests. */
  childPath?: string;
  /** For tests. */
  clock?: PulseClock;
}

const CLOCK: PulseClock = {
  every: (ms, call) => {
    const timer = every(ms, call).unref();
    return () => cancel(timer);
  },
  // Timers come before what has arrived is read, immediates after it.
  afterReads: (call) => void setImmediate(call),
};

const BACKOFF_FIRST_MS = 500;
const BACKOFF_LAST_MS = 10_000;
/** A child that lived this long starts the backoff from the beginning. */
const STEADY_MS = 30_000;
const KILL_AFTER_MS = 500;
const NICENESS = 5;
const STDERR_CHARS_MAX = 2000;

export class DashboardSupervisor {
  readonly #options: SupervisorOptions;
  #child: ChildProcess | undefined;
  #port: number | null = null;
  #lastPort = 0;
  #closing = false;
  #sending = false;
  #telling = false;
  #commands = 0;
  #backoffMs = BACKOFF_FIRST_MS;
  #retry: Timer | undefined;
  #complaint = '';
  #pulse: Pulse | undefined;
  #startBeats = START_BEATS;
  readonly #restarts: Restarts = { ended: 0, silent: 0 };
  #firstResult: (port: number | null) => void = () => {};
  /** Settles with the port when the first child listens, or null when it could not. */
  readonly first: Promise<number | null>;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.first = new Promise((resolve) => {
      this.#firstResult = resolve;
    });
    this.#start();
  }

  /** Port of the child that listens now, or null. */
  get port(): number | null {
    return this.#port;
  }

  /** Process id of the child, or undefined between two. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Ends the child; settles when it is gone, at most half a second and a kill later. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#pulse?.stop();
    cancel(this.#retry);
    this.#firstResult(null);
    const child = this.#child;
    if (child === undefined) return;
    await new Promise<void>((resolve) => {
      const kill = deadline(KILL_AFTER_MS, () => child.kill('SIGKILL'));
      child.once('exit', () => {
        cancel(kill);
        resolve();
      });
      if (child.connected) child.disconnect();
    });
  }

  #start(): void {
    const path = this.#options.childPath ?? fileURLToPath(new URL('./child.js', import.meta.url));
    const startedAt = performance.now();
    let child: ChildProcess;
    try {
      const execArgv = flagsWithoutDebugger();
      child = fork(path, [], { execArgv, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    } catch (error) {
      this.#ended(0, `cannot start: ${(error as Error).message}`);
      return;
    }
    this.#child = child;
    this.#sending = false;
    this.#telling = false;
    this.#commands = 0;
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_CHARS_MAX);
    });
    child.stderr?.on('error', () => {});
    let gone = false;
    let silence: string | undefined;
    const end = (why: string): void => {
      if (gone) return;
      gone = true;
      this.#restarts[silence === undefined ? 'ended' : 'silent']++;
      this.#ended(performance.now() - startedAt, silence ?? why, stderr);
    };
    child.on('error', (error) => {
      // Also emitted when a message could not be sent; only a child that never ran ends by it.
      if (child.pid === undefined) end(`cannot start: ${error.message}`);
    });
    child.on('exit', (code, signal) => end(signal ?? `exit code ${code}`));
    child.on('message', (message: FromChild) => this.#receive(child, message));
    if (child.pid === undefined) return;
    lowerPriority(child.pid);
    this.#pulse = new Pulse({
      clock: this.#options.clock ?? CLOCK,
      startBeats: this.#startBeats,
      ask: (id) => this.#send(child, { type: 'ping', id }, () => {}),
      silent: (why) => {
        silence = why;
        this.#silent(child, why);
      },
    });
    const { dashboard } = this.#options;
    // After a restart the page should be where it was, also when any free port was asked for.
    const port = dashboard.port === 0 ? this.#lastPort : dashboard.port;
    this.#send(child, { type: 'start', options: { ...dashboard, port } }, () => {});
  }

  #receive(child: ChildProcess, message: FromChild): void {
    if (this.#closing || child !== this.#child) return;
    if (message.type === 'pong') this.#pulse?.answered(message.id);
    else if (message.type === 'ask') this.#answer(child, message.id);
    else if (message.type === 'look') this.#looked(child);
    else if (message.type === 'command') this.#command(child, message.id, message.command);
    else if (message.type === 'listening') this.#listening(message);
    else if (message.type === 'failed') this.#failed(message);
  }

  /** One answer under way at most: a child that does not read costs one message of memory. */
  #answer(child: ChildProcess, id: number): void {
    if (this.#sending) return;
    let answer: Answer;
    try {
      answer = this.#withRestarts(this.#options.answer());
    } catch (error) {
      this.#complain('dashboard.snapshot-failed', (error as Error).message);
      return;
    }
    this.#sending = true;
    this.#send(child, { type: 'answer', id, answer }, () => {
      this.#sending = false;
    });
  }

  /** One number under way at most, as with answers. */
  #looked(child: ChildProcess): void {
    if (this.#telling) return;
    this.#telling = true;
    const activity = this.#options.activity?.() ?? null;
    this.#send(child, { type: 'activity', activity }, () => {
      this.#telling = false;
    });
  }

  /** A few commands under way at most, until their outcomes have left. */
  #command(child: ChildProcess, id: number, command: Command): void {
    if (this.#commands >= COMMANDS_MAX) return;
    this.#commands++;
    const done = (outcome: Outcome): void => {
      if (child !== this.#child) return;
      this.#send(child, { type: 'outcome', id, outcome }, () => {
        if (child === this.#child) this.#commands--;
      });
    };
    const none: Outcome = { ok: false, code: 'failed', detail: 'the broker takes no commands' };
    try {
      if (this.#options.command === undefined) done(none);
      else this.#options.command(command, done);
    } catch (error) {
      this.#complain('dashboard.command-failed', (error as Error).message);
      done({ ...none, detail: `the broker failed to carry it out: ${(error as Error).message}` });
    }
  }

  #send(child: ChildProcess, message: ToChild, then: () => void): void {
    try {
      child.send(message, then);
    } catch {
      // The channel closed a moment ago; the exit event follows.
    }
  }

  /** What is known here only: a page that was away for seconds has a reason. */
  #withRestarts(answer: Answer): Answer {
    const { ended, silent, last } = this.#restarts;
    if (last === undefined) return answer;
    const count = ended + silent;
    const detail = `started again ${count === 1 ? 'once' : `${count} times`}, ${last}`;
    const checks = { ...answer.health.checks, dashboard: { ok: true, detail } };
    return { ...answer, health: { ...answer.health, checks }, restarts: this.#restarts };
  }

  /** It may be stopped, swapped out or in a loop: only the kernel can end it. */
  #silent(child: ChildProcess, why: string): void {
    const { pid } = child;
    if (this.#port === null) this.#startBeats = longerStart(this.#startBeats);
    this.#options.log.warn(
      { event: 'dashboard.silent', pid, why },
      `dashboard process is stuck, ${why}; killing it and starting it again, the broker is not affected`,
    );
    child.kill('SIGKILL');
  }

  #listening(message: Extract<FromChild, { type: 'listening' }>): void {
    const { port, transport, note } = message;
    this.#pulse?.listens();
    this.#startBeats = START_BEATS;
    this.#port = port;
    this.#lastPort = port;
    this.#complaint = '';
    const fields = { event: 'dashboard.listening', port, transport, pid: this.#child?.pid };
    this.#firstResult(port);
    this.#options.onListening?.(port);
    this.#options.log.info(fields, note ?? `dashboard listens on port ${port}`);
  }

  #failed(message: Extract<FromChild, { type: 'failed' }>): void {
    const { dashboard } = this.#options;
    const { host, port } = dashboard;
    const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    this.#complain('dashboard.failed', `dashboard cannot listen on ${where}: ${message.message}`);
    this.#lastPort = 0;
    this.#firstResult(null);
  }

  /** The first time as an error; the same again only for those who look closely. */
  #complain(event: string, text: string): void {
    const { log } = this.#options;
    if (text === this.#complaint) log.debug({ event }, text);
    else log.error({ event }, `${text}; trying again, the broker is not affected`);
    this.#complaint = text;
  }

  #ended(livedMs: number, why: string, stderr = ''): void {
    this.#child = undefined;
    this.#pulse?.stop();
    this.#pulse = undefined;
    const listened = this.#port !== null;
    this.#port = null;
    this.#firstResult(null);
    if (this.#closing) return;
    this.#restarts.last = `the last time at ${new Date().toISOString()}: ${why}`;
    if (livedMs >= STEADY_MS) this.#backoffMs = BACKOFF_FIRST_MS;
    const fields = { event: 'dashboard.ended', why, retryMs: this.#backoffMs, ...tail(stderr) };
    if (listened) this.#options.log.warn(fields, 'dashboard process ended; starting it again');
    else this.#options.log.debug(fields, 'dashboard process did not come up');
    this.#retry = after(this.#backoffMs, () => this.#start()).unref();
    this.#backoffMs = Math.min(BACKOFF_LAST_MS, this.#backoffMs * 2);
  }
}

function tail(stderr: string): { stderr?: string } {
  return stderr.trim() === '' ? {} : { stderr: stderr.trim() };
}

/** The page may wait for the broker, never the other way round. */
function lowerPriority(pid: number): void {
  try {
    os.setPriority(pid, NICENESS);
  } catch {
    // Not ours to set here; the dashboard then runs at the broker's priority.
  }
}
