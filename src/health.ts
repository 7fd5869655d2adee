// Whether a broker is well, for whoever decides if it is to be restarted or sent traffic;
// and what is said of one that must stop.

import { type MemoryConfig, memoryText } from './config/memory.ts';
import { LogError } from './log/files/errors.ts';

export interface Health {
  /** False: only a new start helps. */
  live: boolean;
  /** False: clients are better served elsewhere for now. */
  ready: boolean;
  checks: Record<string, { ok: boolean; detail: string }>;
}

/** What it is judged by. */
export interface Condition {
  /** How late the event loop is, in ms. */
  lateMs: number;
  /** Why the log gets no further segment, if it does not. */
  blocked: string | undefined;
  /** Why the log cannot be written any more. */
  failure: Error | undefined;
  memory: MemoryConfig;
  /** An orderly stop has begun. */
  closing: boolean;
}

export function healthOf({ lateMs, blocked, failure, memory, closing }: Condition): Health {
  const checks = {
    eventLoop: { ok: lateMs < 1000, detail: `${Math.round(lateMs)} ms late` },
    log: { ok: failure === undefined, detail: failure?.message ?? 'writable' },
    disk: { ok: blocked === undefined, detail: blocked ?? 'next segment ready or being made' },
    // No reason to send nobody here: it may never need all of its budget.
    memory: { ok: true, detail: memoryText(memory) },
  };
  const ready = !closing && Object.values(checks).every(({ ok }) => ok);
  return { live: checks.eventLoop.ok && checks.log.ok, ready, checks };
}

/** What is said when the log failed: what is certain now, and what to do. */
export function failureText(failure: Error): string {
  if (!(failure instanceof LogError) || failure.code !== 'lost')
    return `the log could not be written: ${failure.message}. No further message was acked. The broker stops; start it again to recover from what is on the disk`;
  return `${failure.message}. What the broker writes would not be found by the next start, so nothing is acked any more and the broker stops. Unmount what hides it, or put back what was moved away, or restore a copy; find out what else uses that folder; then start it again`;
}
