// The data folder before anything is in it: making it durably, and what kind of file system it is
// on. Some hold no files of ours at all, some lose them with the power.

import fs from 'node:fs';
import path from 'node:path';

// Numbers of statfs(2), as linux/magic.h has them.
const PSEUDO: Record<number, string> = {
  40864: 'proc',
  1650812274: 'sysfs',
  2613483: 'cgroup',
  1667723888: 'cgroup2',
  7377: 'devpts',
  427819522: 'mqueue',
  1684170528: 'debugfs',
  1953653091: 'tracefs',
  1935894131: 'securityfs',
  1650812272: 'configfs',
  4185718668: 'selinuxfs',
  3405662737: 'bpf',
  3730735588: 'efivarfs',
  1634035564: 'pstore',
  1112100429: 'binfmt_misc',
  1702057283: 'fusectl',
  1853056627: 'nsfs',
  2508478710: 'hugetlbfs',
};
const IN_MEMORY: Record<number, string> = { 16914836: 'tmpfs', 2240043254: 'ramfs' };

export interface Storage {
  /** Holds what the kernel shows, no files. */
  pseudo?: string;
  /** Its files are gone with the power. */
  inMemory?: string;
}

/** What kind of file system `folder`, or the nearest folder above it that exists, is on. */
export function storageOf(folder: string): Storage {
  try {
    const type = Number(fs.statfsSync(nearest(folder)).type);
    if (PSEUDO[type] !== undefined) return { pseudo: PSEUDO[type] };
    return IN_MEMORY[type] === undefined ? {} : { inMemory: IN_MEMORY[type] };
  } catch {
    return {}; // whoever then makes the folder has the better error
  }
}

function nearest(folder: string): string {
  let at = folder;
  while (!fs.existsSync(at) && at !== path.dirname(at)) at = path.dirname(at);
  return at;
}

/** How many files a folder has; 0 without one. */
export function filesIn(folder: string): number {
  try {
    return fs.readdirSync(folder).length;
  } catch {
    return 0;
  }
}

/**
 * Makes a folder and those above it, durably: a message is not on disk if the folder of its log is
 * not. Each by itself: the recursive call of Node.js never ends where a folder is there and none
 * can be made in it, as in /proc.
 * @throws the system's error.
 */
export function makeFolder(folder: string): void {
  if (fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  const above = path.dirname(folder);
  if (above !== folder) makeFolder(above);
  try {
    fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isMadeByAnother = code === 'EEXIST' && fs.statSync(folder).isDirectory();
    if (!isMadeByAnother) throw error;
  }
  syncFolder(above);
}

/** Makes what was made, renamed or removed in a folder durable. @throws the system's error. */
export function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, fs.constants.O_RDONLY);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
