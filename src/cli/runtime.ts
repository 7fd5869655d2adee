// runtime.json in the data folder: how others find a running broker. Written by the broker when it
// is ready, removed when it stops; a broker that was killed leaves it behind, so it is a hint, no
// proof: announced.ts judges it.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Listener } from '../config/load.ts';
import type { Identity } from './announced.ts';

export interface RuntimeInfo {
  event: 'ready';
  pid: number;
  version: string;
  /** ISO 8601, UTC. */
  startedAt: string;
  host: string;
  /** Dialect of the two main listeners. */
  wire: 'u64' | 'u32';
  intake: number;
  exhaust: number;
  dashboard: number | null;
  dashboardHost: string;
  /** All data listeners with the ports they got. */
  listeners: { intake: Listener[]; exhaust: Listener[] };
  /** Whose it is (announced.ts). */
  identity?: Identity;
}

const FILE_NAME = 'runtime.json';

/** Replaces the file in one step: a reader sees the old one or the new one, never a part. */
export function writeRuntime(dataDir: string, info: RuntimeInfo): void {
  mkdirSync(dataDir, { recursive: true });
  const temporary = join(dataDir, `${FILE_NAME}.${process.pid}.tmp`);
  writeFileSync(temporary, `${JSON.stringify(info)}\n`, { mode: 0o644 });
  renameSync(temporary, join(dataDir, FILE_NAME));
}

/** Removes it; with `own`, unless a broker that came later has written another one. */
export function removeRuntime(dataDir: string, own?: RuntimeInfo): void {
  const found = own && readRuntime(dataDir);
  if (found && (found.pid !== own.pid || found.startedAt !== own.startedAt)) return;
  rmSync(join(dataDir, FILE_NAME), { force: true });
}

/** What the file says, or undefined when there is none that makes sense. */
export function readRuntime(dataDir: string): RuntimeInfo | undefined {
  try {
    const info = JSON.parse(readFileSync(join(dataDir, FILE_NAME), 'utf8')) as RuntimeInfo;
    const whole = Number.isInteger(info.intake) && Number.isInteger(info.exhaust);
    return whole && typeof info.host === 'string' ? info : undefined;
  } catch {
    return undefined;
  }
}

/** An address to connect to for an address that was bound: nobody can connect to "any". */
export function connectHost(bound: string): string {
  if (bound === '0.0.0.0') return '127.0.0.1';
  return bound === '::' || bound === '[::]' ? '::1' : bound.replace(/^\[|\]$/g, '');
}
