// Log lines: pino as JSON, or pretty on a terminal, written to standard output without ever
// stopping the broker. What is worth a line, and its `event` id, is the caller's business.

import { pino, stdTimeFunctions } from 'pino';
import { after, cancel, type Timer } from '../time/timers.ts';
import { StdoutQueue } from './stdout.ts';

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

/** Opens the log on standard output. Never throws later on, also when the reader goes away. */
export async function createLogger(options: LoggerOptions): Promise<LoggerHandle> {
  const output = new StdoutQueue();
  const format = options.format === 'pretty' ? await prettyFormat(options.color) : undefined;
  const destination = {
    write: (line: string) => output.write(format === undefined ? line : format(line)),
    // pino looks for this before a fatal line may be the last.
    flushSync: () => output.flushSync(),
  };
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
    },
    destination,
  );
  const always = log.child({}, { level: 'info' });
  return {
    log,
    announce: (fields, message) => always.info(fields, message),
    print: (text) => output.write(text),
    drained: () => output.drained(),
    flush: () => output.flushSync(),
  };
}

async function prettyFormat(colorize: boolean): Promise<(line: string) => string> {
  const { prettyFactory } = await import('pino-pretty');
  return prettyFactory({
    colorize,
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
  });
}

interface Window {
  lines: number;
  suppressed: number;
  timer: Timer;
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
      const timer = after(this.#windowMs, () => this.#close(kind)).unref();
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
    cancel(window.timer);
    this.#windows.delete(kind);
    if (window.suppressed > 0)
      this.#log.warn(
        { event: kind, suppressed: window.suppressed, windowMs: this.#windowMs },
        `${window.suppressed} more of the same kind`,
      );
  }
}
