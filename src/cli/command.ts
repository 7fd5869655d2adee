// One command of `sub --exec`: started with a message on its standard input, ended when it takes too
// long or the message is gone, and its end as one number. It leads a group of processes, so that
// Ctrl-C does not reach it and what it started ends with it.

import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { after, cancel } from '../time/timers.ts';

/** From the request to end until it is ended. */
const GRACE_MS = 5000;
/** What timeout(1) ends with. */
const TIMED_OUT = 124;
/** Shells end with this and the signal's number. */
const SIGNALLED = 128;

export interface CommandOptions {
  /** A line for the shell. */
  command: string;
  /** Added to the environment. */
  variables: Record<string, string>;
  /** Longest time that it may take, in ms. */
  timeoutMs?: number | undefined;
}

/** How a command ended. */
export interface CommandEnd {
  /** Its exit code; 128 and more for signals, 124 when it took too long. */
  readonly code: number;
  /** For people. */
  readonly how: string;
}

/** What would end this process before it could take its commands along. */
const LEAVING = ['SIGHUP', 'SIGQUIT'] as const;

const running = new Set<ChildProcess>();

/** Whoever leaves in a hurry takes the commands along: their messages are given to others. */
function endAll(): void {
  for (const child of running) signalGroup(child, 'SIGKILL');
}

function leave(signal: (typeof LEAVING)[number]): void {
  process.exit(SIGNALLED + constants.signals[signal]);
}

function hold(child: ChildProcess): void {
  if (running.size === 0) {
    process.once('exit', endAll);
    for (const signal of LEAVING)
      if (process.listenerCount(signal) === 0) process.on(signal, leave);
  }
  running.add(child);
}

function letGo(child: ChildProcess): void {
  running.delete(child);
  if (running.size > 0) return;
  process.off('exit', endAll);
  for (const signal of LEAVING) process.off(signal, leave);
}

/** To the command and what it started. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    child.kill(signal); // no groups here, or all of it has ended
  }
}

/**
 * Runs the command with `body` on its standard input; whether it reads that is its business. It is
 * ended when `gone` fires. Rejects when there is nothing that could run it.
 */
export async function runCommand(
  body: Uint8Array,
  gone: AbortSignal,
  options: CommandOptions,
): Promise<CommandEnd> {
  const child = spawn(options.command, {
    shell: true,
    detached: process.platform !== 'win32',
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { ...process.env, ...options.variables },
  });
  hold(child);
  let hasTimedOut = false;
  let killing: ReturnType<typeof after> | undefined;
  const end = (): void => {
    if (killing !== undefined) return;
    signalGroup(child, 'SIGTERM');
    killing = after(GRACE_MS, () => signalGroup(child, 'SIGKILL'));
  };
  const { timeoutMs } = options;
  const late = (): void => {
    hasTimedOut = true;
    end();
  };
  const timer = timeoutMs === undefined ? undefined : after(timeoutMs, late);
  gone.addEventListener('abort', end, { once: true });
  child.stdin?.on('error', () => {}); // it may end, or close it, before it has read everything
  child.stdin?.end(body);
  try {
    const [code, signal] = await endOf(child);
    if (killing !== undefined) signalGroup(child, 'SIGKILL'); // what it started and left behind
    if (hasTimedOut) return { code: TIMED_OUT, how: 'took too long' };
    if (signal === null) return { code: code ?? 0, how: `ended with ${code}` };
    return { code: SIGNALLED + constants.signals[signal], how: `was ended by ${signal}` };
  } finally {
    cancel(timer);
    cancel(killing);
    gone.removeEventListener('abort', end);
    child.stdin?.destroy();
    letGo(child);
  }
}

function endOf(child: ChildProcess): Promise<[code: number | null, signal: NodeJS.Signals | null]> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve([code, signal]));
  });
}
