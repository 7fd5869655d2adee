// An orderly stop: nobody new is let in, what is in flight finishes or is given up after a while,
// and everything that was accepted is on disk.

import type { Broker } from './core/broker.ts';
import type { Backups } from './io/backups.ts';
import type { Listeners } from './io/tcp/listeners.ts';
import type { FileLog } from './log/file-log.ts';
import { LogError } from './log/files/errors.ts';
import { deadline } from './time/deadline.ts';
import { cancel, sleep } from './time/timers.ts';

// Time for consumers to ack what they hold, then for the log, then for replies.
const DRAIN_MS = 1500;
const LOG_MS = 2000;
const END_MS = 500;

export interface StoppingParts {
  broker: Broker;
  log: FileLog;
  listeners: Pick<Listeners, 'stop' | 'endAll'>;
  backups: Backups;
  /** Whether the log failed, before the stop or meanwhile. */
  failed: () => boolean;
  /** Says that nothing more comes, where others wait for that; never rejects. */
  resign?: () => Promise<void>;
  /** Settles when the broker has stopped by itself. */
  stopped: Promise<unknown>;
}

/** Never rejects. True if the log is closed and all of it on disk: its folder may be given up. */
export async function stopInOrder(parts: StoppingParts): Promise<boolean> {
  const { broker, log, listeners, failed } = parts;
  listeners.stop();
  const backup = parts.backups.close();
  await lookAgain(parts);
  if (failed()) return false;
  broker.close();
  await until(parts, () => broker.buckets.unacked === 0, DRAIN_MS);
  for (const consumer of broker.consumers) {
    consumer.closedFor = 'shutdown';
    consumer.link.destroy();
  }
  await until(parts, () => broker.consumers.size === 0, END_MS);
  const drained = () => {
    broker.commit.drain();
    return broker.commit.drained;
  };
  await until(parts, drained, LOG_MS);
  if (!failed()) await parts.resign?.();
  broker.flush();
  await listeners.endAll(END_MS);
  await new Promise<void>((resolve) => log.sync(() => resolve()));
  await lookAgain(parts);
  await Promise.race([backup, sleep(END_MS)]);
  if (failed() || !broker.commit.idle) return false;
  await new Promise<void>((resolve) => broker.saveCheckpoint(true, resolve));
  await log.close();
  return true;
}

// An orderly end is one whose files are found again.
async function lookAgain({ broker, log, failed, stopped }: StoppingParts): Promise<void> {
  if (failed()) return;
  await new Promise<void>((resolve) => {
    const late = new LogError('io', `the folder of the log did not answer within ${LOG_MS} ms`);
    const timer = deadline(LOG_MS, () => broker.failed(late));
    log.lookAgain(() => {
      cancel(timer);
      resolve();
    });
    void stopped.then(() => resolve());
  });
}

async function until(
  { failed }: StoppingParts,
  done: () => boolean,
  withinMs: number,
): Promise<void> {
  let late = false;
  const timer = deadline(withinMs, () => {
    late = true;
  });
  while (!done() && !failed() && !late) await sleep(5);
  cancel(timer);
}
