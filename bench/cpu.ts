// Processor time of what takes part in a sample, so that a figure can say who was busy: a load
// generator that has its core to the full measures itself. Linux only; elsewhere it is unknown.

import { readdirSync, readFileSync } from 'node:fs';

/** How many cores were busy with each side during a measured window, on average. */
export interface Cores {
  server: number;
  client: number;
}

// The unit of /proc/PID/stat: a hundredth of a second wherever Node.js runs.
const TICK_MS = 10;
// Behind the name, which may hold anything but ends with the last parenthesis.
const SESSION_AT = 3;
const USER_AT = 11;
const SYSTEM_AT = 12;

/** The session and the processor time of a process, from the text of its /proc/PID/stat. */
export function parseStat(text: string): { session: number; cpuMs: number } {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[USER_AT]) + Number(fields[SYSTEM_AT]);
  return { session: Number(fields[SESSION_AT]), cpuMs: ticks * TICK_MS };
}

/** Processor time that the living processes of some sessions have used so far, in ms. */
function sessionsCpuMs(sessions: readonly number[]): number | undefined {
  try {
    let sum = 0;
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const { session, cpuMs } = parseStat(readFileSync(`/proc/${name}/stat`, 'utf8'));
        if (sessions.includes(session)) sum += cpuMs;
      } catch {
        // It has ended since.
      }
    }
    return sum;
  } catch {
    return undefined;
  }
}

/** What processes have used so far. */
export interface Usage {
  /** Processor time, ms. */
  cpuMs: number;
  /** How often one of their threads went to sleep and was woken. */
  wakes: number;
}

/** Processor time of a thread in ms, from the text of its /proc/PID/task/TID/schedstat. */
export function parseSchedstat(text: string): number {
  return Number(text.split(' ')[0]) / 1e6;
}

/** How often a thread went to sleep, from the text of its /proc/PID/task/TID/status. */
export function parseWakes(text: string): number {
  return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1]);
}

/** What the living processes of some sessions have used; undefined: the system does not tell. */
export function usageOf(sessions: readonly number[]): Usage | undefined {
  const usage: Usage = { cpuMs: 0, wakes: 0 };
  let threads = 0;
  try {
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name) || !isOf(name, sessions)) continue;
      for (const thread of readdirSync(`/proc/${name}/task`)) {
        const folder = `/proc/${name}/task/${thread}`;
        usage.cpuMs += parseSchedstat(readFileSync(`${folder}/schedstat`, 'utf8'));
        usage.wakes += parseWakes(readFileSync(`${folder}/status`, 'utf8'));
        threads++;
      }
    }
  } catch {
    return undefined;
  }
  return threads === 0 || Number.isNaN(usage.cpuMs + usage.wakes) ? undefined : usage;
}

function isOf(process: string, sessions: readonly number[]): boolean {
  try {
    return sessions.includes(parseStat(readFileSync(`/proc/${process}/stat`, 'utf8')).session);
  } catch {
    return false; // it has ended since
  }
}

/** Looks at both sides at the begin and at the end of a window. */
export class CpuWatch {
  readonly #server: readonly number[];
  readonly #client: readonly number[];
  #from: { atMs: number; server: number; client: number } | undefined;
  /** Known when the window is over, where the system tells. */
  cores: Cores | undefined;

  /** Each side is one or more sessions, named by the process that leads them. */
  constructor(server: readonly number[], client: readonly number[]) {
    this.#server = server;
    this.#client = client;
  }

  edge(which: 'begin' | 'end'): void {
    const server = sessionsCpuMs(this.#server);
    const client = sessionsCpuMs(this.#client);
    if (server === undefined || client === undefined) return;
    const now = { atMs: performance.now(), server, client };
    if (which === 'begin') this.#from = now;
    else if (this.#from !== undefined) {
      const ms = now.atMs - this.#from.atMs;
      this.cores = {
        server: (server - this.#from.server) / ms,
        client: (client - this.#from.client) / ms,
      };
    }
  }
}
