// Whether a name still leads to what was opened by it: the same device and inode.

import fs, { type BigIntStats } from 'node:fs';
import type { Leads } from '../log/files/files.ts';

/** Tells a file from every other one that exists while it is open. */
export function identityOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

/**
 * Follows a name and compares what it finds with an open file, whose `identity` was that when it was
 * opened. `failure`: it could not be found out.
 */
export function follow(
  name: string,
  fd: number,
  identity: string,
  done: (failure: Error | undefined, leads: Leads, found?: BigIntStats) => void,
): void {
  fs.stat(name, { bigint: true }, (failure, found) => {
    if (failure !== null) {
      if (isAbsence(failure)) done(undefined, 'nowhere');
      else done(failure, 'to it');
      return;
    }
    if (identityOf(found) === identity) return done(undefined, 'to it', found);
    // Some file systems give another number later: what counts is what both say now.
    fs.fstat(fd, { bigint: true }, (openFailure, open) => {
      if (openFailure !== null) done(isAbsence(openFailure) ? undefined : openFailure, 'nowhere');
      else done(undefined, identityOf(open) === identityOf(found) ? 'to it' : 'elsewhere', found);
    });
  });
}

// ESTALE: the server of a network file system does not have it any more.
function isAbsence({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ESTALE' || code === 'ELOOP';
}
