// A broker under strace, whose calls on the files of its log are counted, made to fail, slowed down
// or answered with SIGKILL. One thread does all its I/O, so that the nth call means what it says;
// calls on other files and on sockets are neither counted nor touched. (Not with --seccomp-bpf: it
// is faster, and leaves injected signals out.)

import fs from 'node:fs';
import path from 'node:path';
import { type BrokerProcess, startBroker, temporaryFolder } from '../support/broker.ts';
import { SEGMENT_BYTES, SMALL } from './account.ts';

/** Every call that the broker makes on the files of its log and index. */
export const CALLS = [
  'openat',
  'pwrite64',
  'pwritev',
  'pread64',
  'fdatasync',
  'fsync',
  'rename',
  'unlink',
  'ftruncate',
  'close',
] as const;

export type Call = (typeof CALLS)[number];

// strace takes paths, not patterns: those of the segments that a short run can come to.
const SEGMENTS = 40;
const STOCK = 10;

export interface Traced {
  /** The broker, or undefined if it ended before it was ready. */
  broker: BrokerProcess | undefined;
  /** Exit code, or the signal's name. */
  exited: Promise<number | string>;
  /** Lines of the trace so far. */
  trace: () => string[];
}

/**
 * Starts a broker with `fault` (as after `-e inject=…:`) injected into `call`; without them, calls
 * are only recorded.
 */
export async function startTraced(
  dataDir: string,
  flags: readonly string[],
  inject?: { call: string; fault: string },
): Promise<Traced> {
  const log = path.join(temporaryFolder(), 'strace');
  const paths = ['log', 'log/next.tmp', 'log/compact.tmp', 'log/spare-0.tmp', 'index'];
  for (let i = 1; i < STOCK; i += 2) paths.push(`log/fill-${i}.tmp`, `log/spare-${i}.tmp`);
  for (let i = 0; i < SEGMENTS; i++)
    paths.push(`log/${String(i * SEGMENT_BYTES).padStart(20, '0')}.log`);
  const wrapper = ['strace', '-f', '-y', '-ttt', '-qq', '-o', log];
  for (const name of paths) wrapper.push('-P', path.join(dataDir, name));
  wrapper.push('-e', `trace=${CALLS.join(',')}`, '-e', 'signal=none');
  if (inject !== undefined) wrapper.push('-e', `inject=${inject.call}:${inject.fault}`);
  const trace = () => fs.readFileSync(log, 'utf8').split('\n');
  const options = { dataDir, flags: [...SMALL, ...flags], wrapper };
  try {
    const broker = await startBroker({ ...options, env: { UV_THREADPOOL_SIZE: '1' } });
    return { broker, exited: broker.exited, trace };
  } catch (error) {
    const ended = /ended with (\w+):/.exec((error as Error).message)?.[1];
    if (ended === undefined) throw error;
    const code = /^\d+$/.test(ended) ? Number(ended) : ended;
    return { broker: undefined, exited: Promise.resolve(code), trace };
  }
}

/** How many calls of each kind a trace holds. */
export function callsOf(trace: readonly string[]): Map<Call, number> {
  const counts = new Map<Call, number>();
  for (const line of trace) {
    const call = /^\d+\s+[\d.]+ (\w+)\(/.exec(line)?.[1] as Call | undefined;
    if (call !== undefined) counts.set(call, (counts.get(call) ?? 0) + 1);
  }
  return counts;
}

/** The lines on which strace did what it was asked for. */
export function injectedLines(trace: readonly string[]): string[] {
  return trace.filter((line) => /\((?:INJECTED|DELAYED)\)/.test(line));
}

/** When the line's call began, ms since 1970. */
export function timeOf(line: string): number {
  return Number(/^\d+\s+([\d.]+) /.exec(line)![1]) * 1000;
}

/** A clock with the zero of `timeOf` and a resolution well below a millisecond. */
export function wallClock(): () => number {
  const begun = Date.now();
  let now = begun;
  while (now === begun) now = Date.now();
  const offset = now - performance.now();
  return () => offset + performance.now();
}
