// The memory that a container or a service may take, as the kernel's control groups limit it: both
// versions of them, at any depth, the smallest limit on the way up. Reads, decides nothing.

import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { mountsIn } from '../os/mountinfo.ts';

export interface MemoryLimit {
  bytes: number;
  /** The file that says so. */
  name: string;
}

/** A mounted hierarchy: where it is, and which group stands at its top there. */
interface Mount {
  version: 1 | 2;
  point: string;
  top: string;
}

// Version 1 writes "no limit" as the largest number of whole pages.
const NO_LIMIT = 2 ** 60;
// Above `memory.high` a process is held up until it hardly moves: for a broker that is a limit.
const FILES = { 1: ['memory.limit_in_bytes'], 2: ['memory.max', 'memory.high'] };

/** What `path` holds, or undefined where it cannot be read. */
type Read = (path: string) => string | undefined;

const readFile: Read = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

/** The smallest limit on the memory of this process; undefined without one, or outside Linux. */
export function readMemoryLimit(read: Read = readFile): MemoryLimit | undefined {
  const groups = groupsOf(read('/proc/self/cgroup') ?? '');
  const limits: MemoryLimit[] = [];
  for (const mount of mountsOf(read('/proc/self/mountinfo') ?? '', groups))
    for (const folder of foldersOf(mount, groups[mount.version]!))
      limits.push(...limitsIn(folder, mount.version, read));
  limits.sort((a, b) => a.bytes - b.bytes);
  return limits[0];
}

type Groups = Partial<Record<1 | 2, string>>;

/** The group of this process in each version's hierarchy. */
function groupsOf(text: string): Groups {
  const groups: Groups = {};
  for (const line of text.split('\n')) {
    const match = /^(\d+):([^:]*):(.*)$/.exec(line);
    if (match === null) continue;
    const [, id, controllers, path] = match as unknown as [string, string, string, string];
    if (id === '0' && controllers === '') groups[2] = path;
    else if (controllers.split(',').includes('memory')) groups[1] = path;
  }
  return groups;
}

/** The hierarchies that can be seen here; those that show our group, if any does. */
function mountsOf(text: string, groups: Groups): Mount[] {
  const mounts: Mount[] = [];
  for (const { top, point, type, options } of mountsIn(text)) {
    if (type === 'cgroup2') mounts.push({ version: 2, point, top });
    else if (type === 'cgroup' && options.split(',').includes('memory'))
      mounts.push({ version: 1, point, top });
  }
  return ([1, 2] as const).flatMap((version) => {
    const group = groups[version];
    const all = mounts.filter((mount) => mount.version === version && group !== undefined);
    const showing = all.filter(({ top }) => isBelow(group!, top));
    return showing.length > 0 ? showing : all;
  });
}

function isBelow(group: string, top: string): boolean {
  return top === '/' || group === top || group.startsWith(`${top}/`);
}

/** The folders from our group up to the top of the mount. */
function foldersOf({ point, top }: Mount, group: string): string[] {
  // A group outside of what is mounted here (`/../x`): the top is the nearest that can be seen.
  const isHidden = !isBelow(group, top) || group.startsWith('/..');
  const below = isHidden ? '' : group.slice(top === '/' ? 0 : top.length);
  const folders = [point];
  for (const name of below.split('/').filter((part) => part !== ''))
    folders.push(posix.join(folders.at(-1)!, name));
  return folders;
}

function limitsIn(folder: string, version: 1 | 2, read: Read): MemoryLimit[] {
  const limits: MemoryLimit[] = [];
  const add = (name: string, text: string | undefined): void => {
    const bytes = /^\d+\s*$/.test(text ?? '') ? Number(text) : Number.NaN;
    if (bytes > 0 && bytes < NO_LIMIT) limits.push({ bytes, name });
  };
  for (const file of FILES[version]) add(posix.join(folder, file), read(posix.join(folder, file)));
  if (version === 1) {
    // Limits of groups above that cannot be seen from here.
    const name = posix.join(folder, 'memory.stat');
    add(name, /^hierarchical_memory_limit (\d+)$/m.exec(read(name) ?? '')?.[1]);
  }
  return limits;
}
