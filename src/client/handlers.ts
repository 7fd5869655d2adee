// Runs handlers over the messages of a consumer: so many at the same time, each message decided by
// how its handler ends. Where messages come from, and when it is over, is the consumer's business.

import { BATCH_MESSAGES_MAX } from '../../assembly/layout.ts';
import { onAbort } from './abort.ts';
import { ThrustError } from './errors.ts';
import type { Hooks } from './hooks.ts';
import type { Message } from './message.ts';
import { hook, whole } from './options.ts';

export interface RunOptions {
  /** Handlers running at the same time; more than `batchSize` has no effect. Default 1. */
  concurrency?: number;
  /** Stops politely: no new message, running handlers finish, then `run` resolves. */
  signal?: AbortSignal;
  /**
   * Told of each error that a handler threw; its message has been marked as failed. It is not
   * waited for. Without it such errors are warnings of the process, at most one a second.
   */
  onError?: (error: unknown, message: Message) => unknown;
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
}

export type Handler = (message: Message) => unknown;

/** Checked before the consumer is read. Throws USAGE. */
export function checkRun(handler: Handler, options: RunOptions): number {
  if (typeof handler !== 'function')
    throw new ThrustError('USAGE', `a handler is a function, not ${typeof handler}`);
  hook('onError', options.onError);
  return whole('concurrency', options.concurrency, {
    fallback: 1,
    least: 1,
    most: BATCH_MESSAGES_MAX,
  });
}

async function handle(message: Message, handler: Handler): Promise<{ error: unknown } | undefined> {
  try {
    await handler(message);
    message.ack();
    return undefined;
  } catch (error) {
    message.fail();
    return { error };
  }
}

function report(source: Source, message: Message, error: unknown, options: RunOptions): void {
  const { onError } = options;
  if (onError !== undefined) source.hooks.call('onError', () => onError(error, message));
  else if (error !== message.signal.reason)
    source.hooks.warn('a message failed, because its handler threw', error);
}

/** Resolves when the source is at its end and every handler is done; rejects with why it ended. */
export async function runHandlers(
  source: Source,
  handler: Handler,
  options: RunOptions,
  concurrency: number,
): Promise<void> {
  const { signal } = options;
  if (signal?.aborted === true) source.stop();
  const unlisten = signal === undefined ? undefined : onAbort(signal, () => source.stop());
  const work = async () => {
    for (;;) {
      const message = source.take();
      if (message !== undefined) {
        const failed = await handle(message, handler);
        if (failed !== undefined) report(source, message, failed.error, options);
      } else if (!(await source.more())) return;
    }
  };
  try {
    const workers = Math.min(concurrency, source.batchSize);
    const ends = await Promise.allSettled(Array.from({ length: workers }, work));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  } finally {
    unlisten?.();
  }
}
