// What the verbs of `log` share: opening the folder for reading, progress, whether a broker runs on
// it, and their exit codes.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import { tracesIn } from '../io/earlier.ts';
import { NodeFiles } from '../io/files.ts';
import { holderOf } from '../io/lock.ts';
import type { FilesToRead } from '../log/files/files.ts';
import { lossText } from '../log/recovery/earlier.ts';
import { INCOMPLETE_FOLDER } from '../log/segments/segment.ts';
import type { VerifyReport } from '../log/tools/verify.ts';
import { CliError, EXIT, note, OutputError } from './output.ts';

/** Runs a tool on the log folder; what the system refuses becomes exit code 74. */
export async function reading<T>(
  dataDir: string,
  run: (files: FilesToRead) => Promise<T>,
): Promise<T> {
  try {
    return await run(new NodeFiles(join(dataDir, 'log'), true));
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    if (syscall === undefined || error instanceof OutputError) throw error;
    const isCutOff = existsSync(join(dataDir, INCOMPLETE_FOLDER));
    const none = isCutOff
      ? `${dataDir} holds a repair that was cut off, or a backup (${INCOMPLETE_FOLDER}): it is no log`
      : `there is no log in ${dataDir}`;
    const why = code === 'ENOENT' ? none : message;
    throw new CliError(EXIT.disk, why);
  }
}

/** What a look at a log ends with. */
export function exitCodeOf(
  report: Pick<VerifyReport, 'verdict' | 'unknownVersion' | 'unreadable'>,
): number {
  if (report.unknownVersion) return EXIT.config;
  if (report.unreadable) return EXIT.disk;
  return report.verdict === 'damaged' ? EXIT.failed : EXIT.ok;
}

/** Progress for a person: on a terminal only. `unit` names what is counted. */
export function progressBar(unit = 'segments'): {
  update: (done: number, total: number) => void;
  stop: () => void;
} {
  if (process.stderr.isTTY !== true) return { update: () => {}, stop: () => {} };
  const bar = new SingleBar({
    stream: process.stderr,
    format: `${unit} [{bar}] {value}/{total}`,
    clearOnComplete: true,
  });
  bar.start(1, 0);
  return {
    update: (done, total) => {
      bar.setTotal(total);
      bar.update(done);
    },
    stop: () => bar.stop(),
  };
}

/** A path as a person can paste it into a shell. */
export function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/**
 * @throws CliError when a folder holds no log, but what only an earlier one leaves behind.
 */
export function refuseLoss(dataDir: string): void {
  const { hasLog, traces } = tracesIn(dataDir);
  if (hasLog || traces.length === 0) return;
  throw new CliError(EXIT.failed, `the log in ${dataDir} is MISSING: ${lossText(traces)}`);
}

/** Whether a broker has the log; if so the person is told what that means for a look at it. */
export function noteRunning(dataDir: string): boolean {
  const isRunning = holderOf(dataDir) === 'somebody';
  if (isRunning)
    note(
      `a broker is running on ${dataDir}: what it writes, compacts or gives back now is read as it is afterwards, or not judged`,
    );
  return isRunning;
}

/** What changed while a log was looked at, for people. */
export function motionLines({
  moved,
  unjudged,
}: Pick<VerifyReport, 'moved' | 'unjudged'>): string[] {
  const lines: string[] = [];
  if (moved.length > 0)
    lines.push(
      `${moved.length} segments were begun, compacted or given back meanwhile: judged as what they became`,
    );
  for (const what of unjudged)
    lines.push(`${what}: changed each time it was looked at, so nothing can be said of it`);
  return lines;
}
