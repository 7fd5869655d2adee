// Log lines: pino as JSON, or pretty on a terminal, written to standard output without ever
// stopping the broker. What is worth a line, and its `event` id, is the caller's business.

import fs from 'node:fs';
import net from 'node:net';
import { type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';

/** The part of a pino logger that the broker uses. Fields first, then a sentence. */
export interface Logger {
  trace(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  fatal(fields: object, message: string): void;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export interface LoggerOptions {
  level: LogLevel;
  format: 'json' | 'pretty';
  /** Colour in pretty lines. */
  color: boolean;
}

export interface LoggerHandle {
  log: Logger;
  /** Writes an info line whatever the level is; for the one line that others wait for. */
  announce(fields: object, message: string): void;
  /** Writes text as it is, in order with the lines. */
  print(text: string): void;
  /** Settles when everything so far is written, or after 200 ms of a reader that does not read. */
  drained(): Promise<void>;
  /**
   * Writes what is queued now, for the last moment of a process; waits as long at most. Lines that
   * are being written at this moment may come out behind it.
   */
  flush(): void;
}

const STDOUT = 1;
/** Lines queued for a reader that does not read; further ones are dropped. */
const QUEUE_BYTES_MAX = 1024 * 1024;
const FLUSH_WAIT_MS = 200;

/** Opens the log on standard output. Never throws later on, also when the reader goes away. */
export async function createLogger(options: LoggerOptions): Promise<LoggerHandle> {
  let flushDeadline = Number.POSITIVE_INFINITY;
  const destination = pino.destination({
    dest: nonBlockingStdout(),
    sync: false,
    maxLength: QUEUE_BYTES_MAX,
    retryEAGAIN: () => Date.now() < flushDeadline,
  });
  // A full disk below a log file, or a closed reader: the queue keeps working without its log.
  destination.on('error', () => {});
  // pino flushes at exit too; neither flush may wait for ever or throw.
  const flushSync = destination.flushSync.bind(destination);
  destination.flushSync = () => {
    flushDeadline = Date.now() + FLUSH_WAIT_MS;
    try {
      flushSync();
    } catch {
      // Nobody reads any more; there is no better place to say so.
    }
    flushDeadline = Number.POSITIVE_INFINITY;
  };
  const settings = {
    level: options.level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const log: PinoLogger =
    options.format === 'json'
      ? pino(settings, destination)
      : pino(settings, await prettyStream(destination, options.color));
  const always = log.child({}, { level: 'info' });
  return {
    log,
    announce: (fields, message) => always.info(fields, message),
    print: (text) => void destination.write(text),
    drained: () =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, FLUSH_WAIT_MS);
        destination.flush(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
    flush: () => destination.flushSync(),
  };
}

async function prettyStream(destination: object, colorize: boolean) {
  const { default: pretty } = await import('pino-pretty');
  return pretty({
    destination: destination as NodeJS.WritableStream,
    colorize,
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
  });
}

/** Keeps the socket of standard output open for as long as the process lives. */
let stdoutSocket: net.Socket | undefined;

/**
 * Standard output for writes from the thread pool. A write to a pipe nobody reads from blocks its
 * thread for good, and a process cannot exit with a thread in a write; a non-blocking descriptor
 * gives EAGAIN instead. Of a pipe we open a second one, because the first may be shared with other
 * programs; of a socket (a service manager, another Node.js) there is no second one.
 */
function nonBlockingStdout(): number {
  try {
    const kind = fs.fstatSync(STDOUT);
    if (kind.isFIFO())
      return fs.openSync('/proc/self/fd/1', fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
    if (kind.isSocket()) {
      stdoutSocket ??= new net.Socket({ fd: STDOUT, readable: false, writable: true });
      stdoutSocket.on('error', () => {}).unref();
    }
  } catch {
    // No /proc, or a pipe of another user: the descriptor as it is will do.
  }
  return STDOUT;
}

interface Window {
  lines: number;
  suppressed: number;
  timer: NodeJS.Timeout;
}

/**
 * A log for things that a peer can cause as often as it likes. Of each kind the first 5 lines in
 * 10 s are written, then one line at the end of the window that counts the rest.
 */
export class RateLimitedLog {
  readonly #log: Logger;
  readonly #linesMax: number;
  readonly #windowMs: number;
  readonly #windows = new Map<string, Window>();

  constructor(log: Logger, options: { linesMax?: number; windowMs?: number } = {}) {
    this.#log = log;
    this.#linesMax = options.linesMax ?? 5;
    this.#windowMs = options.windowMs ?? 10_000;
  }

  /** `kind` is the stable event id and one of a fixed set, never text from a peer. */
  write(kind: string, fields: object, message: string, level: LogLevel = 'warn'): void {
    let window = this.#windows.get(kind);
    if (window === undefined) {
      const timer = setTimeout(() => this.#close(kind), this.#windowMs);
      timer.unref();
      window = { lines: 0, suppressed: 0, timer };
      this.#windows.set(kind, window);
    }
    if (window.lines < this.#linesMax) {
      window.lines += 1;
      this.#log[level]({ event: kind, ...fields }, message);
    } else {
      window.suppressed += 1;
    }
  }

  /** Writes the summaries that are due later now; for the end of the process. */
  close(): void {
    for (const kind of [...this.#windows.keys()]) this.#close(kind);
  }

  #close(kind: string): void {
    const window = this.#windows.get(kind);
    if (window === undefined) return;
    clearTimeout(window.timer);
    this.#windows.delete(kind);
    if (window.suppressed > 0)
      this.#log.warn(
        { event: kind, suppressed: window.suppressed, windowMs: this.#windowMs },
        `${window.suppressed} more of the same kind`,
      );
  }
}
