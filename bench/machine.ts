// Where a run took place: figures mean nothing without it. Reads facts, changes nothing, names no
// paths or hosts.

import { readFileSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import os from 'node:os';

export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  node: string;
  kernel: string;
  /** File system that holds the data of the run, with the options that matter for syncs. */
  filesystem: string;
  /** 1-minute load average when the run began: above 0.5, others were working too. */
  loadBefore: number;
}

export async function describeMachine(dir: string): Promise<Machine> {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 1024 ** 3),
    node: process.versions.node,
    kernel: `${os.type()} ${os.release()}`,
    filesystem: filesystemOf(await realpath(dir), readText('/proc/self/mounts')),
    loadBefore: os.loadavg()[0],
  };
}

/** The type of the mount that holds `path`, from the text of a mount table. */
export function filesystemOf(path: string, mounts: string): string {
  let best = '';
  let found = 'unknown';
  for (const line of mounts.split('\n')) {
    const [, rawPoint = '', type = '', options = ''] = line.split(' ');
    const point = rawPoint.replaceAll('\\040', ' ');
    const holds = path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`);
    if (point === '' || !holds || point.length < best.length) continue;
    best = point;
    const telling = options.split(',').filter((option) => /^(data=|nobarrier|sync$)/.test(option));
    found = [type, ...telling].join(' ');
  }
  return found;
}

/** Resident memory of a process in MiB, where the system tells; else undefined. */
export function residentMiB(pid: number): number | undefined {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readText(`/proc/${pid}/status`));
  return match === null ? undefined : Number(match[1]) / 1024;
}

/** The most memory that a process has had resident, in MiB; undefined where nobody tells. */
export function peakResidentMiB(pid: number): number | undefined {
  const match = /^VmHWM:\s+(\d+) kB/m.exec(readText(`/proc/${pid}/status`));
  return match === null ? undefined : Number(match[1]) / 1024;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
