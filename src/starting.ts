// How far a start is, for whoever waits for it: what the probes answer, and a line in the log at
// most once a second. Measures and tells; the start itself is server.ts.

import type { StartSnapshot } from './contract/snapshot.ts';
import { formatSize } from './core/text/units.ts';
import type { Logger } from './io/logger.ts';
import type { RecoveryStep } from './log/recovery/progress.ts';

const LINE_MS = 1000;

export class Starting {
  readonly #log: Logger;
  readonly #tell: (progress: StartSnapshot) => void;
  readonly #now: () => number;
  readonly #begunMs: number;
  #linedMs: number;
  #linedBytes = 0;
  #latest = startBegun(0);

  /** `tell` takes what is new, `now` is monotonic, in ms. */
  constructor(log: Logger, tell: (progress: StartSnapshot) => void, now: () => number) {
    this.#log = log;
    this.#tell = tell;
    this.#now = now;
    this.#begunMs = now();
    this.#linedMs = this.#begunMs;
  }

  /** Recovery went on. */
  step(step: Partial<RecoveryStep>): void {
    const now = this.#now();
    const progress = { ...this.#latest, ...step, elapsedMs: Math.round(now - this.#begunMs) };
    this.#latest = progress;
    this.#tell(progress);
    const sinceMs = now - this.#linedMs;
    if (sinceMs < LINE_MS) return;
    const bytesPerSecond = Math.round(((progress.bytes - this.#linedBytes) * 1000) / sinceMs);
    this.#linedMs = now;
    this.#linedBytes = progress.bytes;
    this.#log.info(
      { event: 'recovery.progress', ...progress, bytesPerSecond },
      `${startText(progress)}, ${formatSize(bytesPerSecond)} a second`,
    );
  }
}

const PHASES: Record<StartSnapshot['phase'], string> = {
  opening: 'opening the log',
  reading: 'reading the log',
  repairing: 'writing the end of the log again',
  counting: 'counting what waits',
  preparing: 'making the next segment',
};

/** Progress as a sentence. */
export function startText(progress: StartSnapshot): string {
  const { phase, segments, segmentsTotal, bytes, bytesTotal, records, elapsedMs } = progress;
  const percent = bytesTotal === 0 ? 0 : Math.floor((100 * bytes) / bytesTotal);
  const seconds = (elapsedMs / 1000).toFixed(1);
  const far = `${percent} %, ${segments} of ${segmentsTotal} segments`;
  const size = `${formatSize(bytes)} of ${formatSize(bytesTotal)}`;
  return `${PHASES[phase]}: ${far}, ${size}, ${records} records, ${seconds} s`;
}

/** Before the log is opened. */
export function startBegun(elapsedMs: number): StartSnapshot {
  const nothing = { segments: 0, segmentsTotal: 0, bytes: 0, bytesTotal: 0, records: 0 };
  return { phase: 'opening', ...nothing, elapsedMs };
}

interface Recovered {
  segments: readonly unknown[];
  records: number;
  cutBytes: number;
}

/** What a start found in the log, as numbers. */
export function recoveryReport(found: Recovered, messages: number, durationMs: number) {
  const { records, cutBytes } = found;
  return { durationMs, segments: found.segments.length, records, messages, cutBytes };
}

/** The same for people. */
export function recoveredText(report: ReturnType<typeof recoveryReport>): string {
  const { messages, segments, durationMs, cutBytes } = report;
  const cut = cutBytes > 0 ? `; cut off ${cutBytes} bytes that were never acked` : '';
  return `recovered ${messages} messages from ${segments} segments in ${durationMs} ms${cut}`;
}
