// All fault runs, for tests and for the command beside this file.

import { needsCompiler, needsLoopDisk, needsPrlimit, needsStrace } from '../support/machine.ts';
import { fullDisk, powerCuts, readOnlyDisk } from './disks.ts';
import { failingCall, KINDS } from './failing-calls.ts';
import { hostileGreetings } from './greetings.ts';
import { killPoints } from './kill-points.ts';
import { fewDescriptors, noMemory, stalledProcess } from './processes.ts';
import { randomKills } from './random-kills.ts';
import { shortWrites } from './short-writes.ts';
import type { FaultRun } from './verdict.ts';

export type { FaultOptions, FaultRun, Verdict } from './verdict.ts';

const skipOf = (needs: { skip?: string }): string | undefined => needs.skip;

const traced = { skip: skipOf(needsStrace) };
const onDisk = { skip: skipOf(needsLoopDisk) };

/** Cheap and telling first. A run's options say how much of it is wanted. */
export const RUNS: readonly FaultRun[] = [
  { name: 'kill -9 at every I/O call', ...traced, small: 6, run: killPoints },
  { name: 'kill -9 at random under load', small: 2, run: randomKills },
  ...KINDS.map((kind) => ({
    name: kind.name,
    ...traced,
    small: 1,
    run: (options: Parameters<FaultRun['run']>[0]) => failingCall(kind, options),
  })),
  { name: 'short write', skip: skipOf(needsCompiler), small: 2, run: shortWrites },
  { name: 'power cut', ...onDisk, small: 2, run: powerCuts },
  { name: 'full disk', ...onDisk, small: 1, run: fullDisk },
  { name: 'read-only disk', ...onDisk, small: 1, run: readOnlyDisk },
  { name: 'few descriptors', skip: skipOf(needsPrlimit), small: 1, run: fewDescriptors },
  { name: 'no memory', skip: skipOf(needsPrlimit), small: 1, run: noMemory },
  { name: 'stalled process', small: 1, run: stalledProcess },
  { name: 'hostile greetings', small: 150, run: hostileGreetings },
];

/** What is wrong with a verdict, in one line, or undefined. */
export function faultOf(verdict: {
  ackedLost: number;
  altered: number;
  ackAfterFailedSync: number;
}): string | undefined {
  const { ackedLost, altered, ackAfterFailedSync } = verdict;
  if (ackedLost === 0 && altered === 0 && ackAfterFailedSync === 0) return undefined;
  return `${ackedLost} acked lost, ${altered} altered, ${ackAfterFailedSync} acks after a failed sync`;
}
