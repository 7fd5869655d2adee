// Runs handlers over the messages of a consumer: so many at the same time, each message decided by
// how its handler ends. Where messages come from, and when it is over, is the consumer's business.

import { BATCH_MESSAGES_MAX } from '../../assembly/layout.ts';
import { cancel, every } from '../time/timers.ts';
import { onAbort } from './abort.ts';
import { ThrustError } from './errors.ts';
import type { Hooks } from './hooks.ts';
import type { Message } from './message.ts';
import { duration, hook, whole } from './options.ts';

export interface RunOptions {
  /** Handlers running at the same time; more than `batchSize` has no effect. Default 1. */
  concurrency?: number;
  /** Stops politely: no new message, running handlers finish, then `run` resolves. */
  signal?: AbortSignal;
  /**
   * Decides about a message whose handler threw before it had decided: `message.retry(5000)`,
   * `reject()`, `release()` … It is waited for; what is not decided then has failed, which is the
   * default. What it throws is a warning of the process.
   */
  onFail?: (error: unknown, message: Message) => unknown;
  /**
   * Told of each error that a handler threw; its message has been decided. It is not waited for.
   * Without it, and `onFail`, such errors are warnings of the process, at most one a second.
   */
  onError?: (error: unknown, message: Message) => unknown;
  /**
   * Says `working()` this often while a handler runs, in ms; a third of the lease is plenty. 0, the
   * default, is never: the byte harms at a broker that does not know it. A handler that hangs keeps
   * its message.
   */
  workingMs?: number;
}

/** The options of a run, checked. */
export interface Run extends RunOptions {
  readonly handler: Handler;
  readonly concurrency: number;
  readonly workingMs: number;
}

/** A consumer as its handlers see it. */
export interface Source {
  readonly hooks: Hooks;
  readonly batchSize: number;
  /** The next message that is here now. */
  take(): Message | undefined;
  /** Waits until there may be one; false at the end. Throws why it ended. */
  more(): Promise<boolean>;
  /** Nothing is taken any more. */
  stop(): void;
  /** Work goes on; of no effect when nothing is unacked. */
  working(): void;
}

export type Handler = (message: Message) => unknown;

/** Checked before the consumer is read. Throws USAGE. */
export function checkRun(handler: Handler, options: RunOptions): Run {
  if (typeof handler !== 'function')
    throw new ThrustError('USAGE', `a handler is a function, not ${typeof handler}`);
  hook('onError', options.onError);
  hook('onFail', options.onFail);
  const concurrency = whole('concurrency', options.concurrency, {
    fallback: 1,
    least: 1,
    most: BATCH_MESSAGES_MAX,
  });
  const workingMs = duration('workingMs', options.workingMs, { fallback: 0, least: 0 });
  return { ...options, handler, concurrency, workingMs };
}

async function handle(source: Source, message: Message, run: Run): Promise<void> {
  try {
    await run.handler(message);
    message.ack();
  } catch (error) {
    const asked = await ask(source, message, error, run);
    message.fail();
    report(source, message, error, run, asked);
  }
}

/** Lets `onFail` decide, if there is something to decide. */
async function ask(source: Source, message: Message, error: unknown, run: Run): Promise<boolean> {
  const { onFail } = run;
  if (onFail === undefined || !message.isOpen) return false;
  try {
    await onFail(error, message);
  } catch (thrown) {
    source.hooks.warn('onFail threw', thrown);
  }
  return true;
}

function report(source: Source, message: Message, error: unknown, run: Run, asked: boolean): void {
  const { onError } = run;
  if (onError !== undefined) source.hooks.call('onError', () => onError(error, message));
  else if (!asked && error !== message.signal.reason)
    source.hooks.warn('a message failed, because its handler threw', error);
}

/** Resolves when the source is at its end and every handler is done; rejects with why it ended. */
export async function runHandlers(source: Source, run: Run): Promise<void> {
  const { signal, workingMs } = run;
  if (signal?.aborted === true) source.stop();
  const unlisten = signal === undefined ? undefined : onAbort(signal, () => source.stop());
  // What is unacked has a handler, or waits for one that runs: workers take what is there.
  const beats = workingMs === 0 ? undefined : every(workingMs, () => source.working());
  const work = async () => {
    for (;;) {
      const message = source.take();
      if (message !== undefined) await handle(source, message, run);
      else if (!(await source.more())) return;
    }
  };
  try {
    const workers = Math.min(run.concurrency, source.batchSize);
    const ends = await Promise.allSettled(Array.from({ length: workers }, work));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  } finally {
    cancel(beats);
    unlisten?.();
  }
}
