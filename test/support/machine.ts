// What this machine lets a test do, as `skip` options that name what is missing.

import { spawnSync } from 'node:child_process';

const isRoot = process.getuid?.() === 0 && process.platform === 'linux';

function has(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
}

/** Mounting needs root on Linux, and mkfs for a disk of our own. */
export const needsLoopDisk =
  isRoot && has('mkfs.ext4') && has('losetup') ? {} : { skip: 'needs root and mkfs.ext4' };

export const needsStrace =
  process.platform === 'linux' && has('strace') ? {} : { skip: 'needs strace' };

/** A library to be preloaded is made from C. */
export const needsCompiler =
  process.platform === 'linux' && has('cc') ? {} : { skip: 'needs a C compiler (cc)' };

export const needsPrlimit = has('prlimit') ? {} : { skip: 'needs prlimit' };

export const needsNamespaces = canMakeNamespaces() ? {} : { skip: 'needs root and ip netns' };

function canMakeNamespaces(): boolean {
  if (!isRoot || !has('ip')) return false;
  if (spawnSync('ip', ['netns', 'add', 'tmq-probe']).status !== 0) return false;
  return spawnSync('ip', ['netns', 'del', 'tmq-probe']).status === 0;
}

/** Runs a command that must succeed. */
export function run(command: string, ...args: string[]): string {
  const ran = spawnSync(command, args, { encoding: 'utf8' });
  if (ran.status !== 0)
    throw new Error(`${command} ${args.join(' ')} failed: ${ran.stderr || ran.error?.message}`);
  return ran.stdout;
}
