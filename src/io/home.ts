// The data folder of a running broker: held open, so that it is known where it is when somebody
// renames it, and noticed when it is deleted or something is mounted over it.

import fs from 'node:fs';
import path from 'node:path';
import type { Leads } from '../log/files/files.ts';
import { follow, identityOf } from './identity.ts';

export class Home {
  readonly #fd: number;
  readonly #identity: string;
  readonly #moved: (path: string) => void;
  #path: string;

  /** Opens a folder that is there. `moved`: it has another path now. Throws what the system says. */
  constructor(folder: string, moved: (path: string) => void) {
    this.#path = path.resolve(folder);
    this.#moved = moved;
    this.#fd = fs.openSync(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    this.#identity = identityOf(fs.fstatSync(this.#fd, { bigint: true }));
  }

  /** Where it is, as far as is known. */
  get path(): string {
    return this.#path;
  }

  /** Whether it can still be reached. A new path is taken over; only Linux tells it. */
  check(done: (failure: Error | undefined, leads: Leads) => void): void {
    follow(this.#path, this.#fd, this.#identity, (failure, leads) => {
      if (failure !== undefined || leads === 'to it') done(failure, leads);
      else this.#find(leads, done);
    });
  }

  #find(leads: Leads, done: (failure: Error | undefined, leads: Leads) => void): void {
    fs.readlink(`/proc/self/fd/${this.#fd}`, (unknown, now) => {
      if (unknown !== null) return this.#judge(leads, done);
      // Of a deleted folder that is no path, of one that is mounted over it is the old one.
      follow(now, this.#fd, this.#identity, (failure, leadsNow) => {
        if (failure !== undefined || leadsNow !== 'to it') return done(failure, leads);
        this.#path = now;
        this.#moved(now);
        done(undefined, 'to it');
      });
    });
  }

  // Without a way to ask for the new path: a folder that still has a name was renamed.
  #judge(leads: Leads, done: (failure: Error | undefined, leads: Leads) => void): void {
    fs.fstat(this.#fd, (failure, { nlink } = {} as fs.Stats) =>
      done(failure ?? undefined, leads === 'nowhere' && nlink > 0 ? 'to it' : leads),
    );
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}
