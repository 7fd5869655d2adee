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
const limited = { skip: skipOf(needsPrlimit) };
const EVERY = Number.POSITIVE_INFINITY;
const onDisk = { skip: skipOf(needsLoopDisk) };

/** Cheap and telling first. A run's options say how much of it is wanted. */
export const RUNS: readonly FaultRun[] = [
  {
    name: 'kill -9 at every I/O call',
    counted: 'kills at I/O calls',
    ...traced,
    small: 6,
    full: { runs: 12, points: EVERY },
    run: killPoints,
  },
  {
    name: 'kill -9 at random under load',
    counted: 'random kills',
    small: 2,
    // On a data folder of their own each time: the account of all messages must fit into memory.
    full: { runs: 0, points: 25, more: true },
    run: randomKills,
  },
  ...KINDS.map((kind) => ({
    name: kind.name,
    ...traced,
    small: 1,
    full: { runs: 1, points: 20 },
    run: (options: Parameters<FaultRun['run']>[0]) => failingCall(kind, options),
  })),
  {
    name: 'short write',
    counted: 'short writes',
    skip: skipOf(needsCompiler),
    small: 2,
    full: { runs: 1, points: 12 },
    run: shortWrites,
  },
  {
    name: 'power cut',
    counted: 'power cuts',
    ...onDisk,
    small: 2,
    full: { runs: 0, points: 10, more: true },
    run: powerCuts,
  },
  { name: 'full disk', ...onDisk, small: 1, full: { runs: 3, points: 1 }, run: fullDisk },
  { name: 'read-only disk', ...onDisk, small: 1, full: { runs: 3, points: 1 }, run: readOnlyDisk },
  {
    name: 'few descriptors',
    ...limited,
    small: 1,
    full: { runs: 3, points: 1 },
    run: fewDescriptors,
  },
  { name: 'no memory', ...limited, small: 1, full: { runs: 1, points: 4 }, run: noMemory },
  { name: 'stalled process', small: 1, full: { runs: 1, points: 3 }, run: stalledProcess },
  {
    name: 'hostile greetings',
    small: 150,
    full: { runs: 1, points: EVERY },
    run: hostileGreetings,
  },
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
