// Looks in a data folder for a log, and for what only an earlier one leaves behind.

import fs from 'node:fs';
import path from 'node:path';
import { tracesOf } from '../log/recovery/earlier.ts';
import { baseOf } from '../log/segments/segment.ts';
import { mountsIn } from '../os/mountinfo.ts';

/** In the root of a file system that was made for it. */
const OF_FILE_SYSTEMS = ['lost+found'];

/** Says nothing of a folder that cannot be read: whoever uses it finds out. */
export function tracesIn(dataDir: string): { hasLog: boolean; traces: string[] } {
  const logNames = namesIn(path.join(dataDir, 'log')) ?? [];
  const hasLog = logNames.some((name) => baseOf(name) !== undefined);
  return { hasLog, traces: tracesOf(namesIn(dataDir) ?? [], logNames, hasIndex(dataDir)) };
}

function hasIndex(dataDir: string): boolean {
  const folder = path.join(dataDir, 'index');
  const names = namesIn(folder)?.filter((name) => !OF_FILE_SYSTEMS.includes(name));
  if (names === undefined) return false;
  if (names.length > 0) return true;
  // An empty one that was mounted, or is a link, was there before the first start.
  const own = fs.lstatSync(folder);
  return own.isDirectory() && own.dev === fs.statSync(dataDir).dev && !isMounted(folder);
}

// One that is bound into its place may be on the same file system, as volumes of a container are.
function isMounted(folder: string): boolean {
  try {
    const at = fs.realpathSync(folder);
    const mounts = mountsIn(fs.readFileSync('/proc/self/mountinfo', 'utf8'));
    return mounts.some(({ point }) => point === at);
  } catch {
    return false; // no such file outside Linux
  }
}

function namesIn(folder: string): string[] | undefined {
  try {
    return fs.readdirSync(folder);
  } catch {
    return undefined;
  }
}
