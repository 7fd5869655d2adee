// A folder of the disk in memory, as a Files port of its own: its files are those of the disk whose
// names begin with the folder's, so that all folders share one crash and one plan of faults.

import type { Done, Files, Handle, Leads } from '../../src/log/files/files.ts';
import type { MemoryFiles } from './memory-files.ts';

export class Folder implements Files {
  readonly #disk: MemoryFiles;
  readonly #prefix: string;

  constructor(disk: MemoryFiles, name: string) {
    this.#disk = disk;
    this.#prefix = `${name}/`;
  }

  // --- what tests ask and do ------------------------------------------------------------------

  names(): string[] {
    return this.#shorten(this.#disk.namesIn(this.#prefix)).sort();
  }

  image(name: string): Uint8Array {
    return this.#disk.image(this.#prefix + name);
  }

  put(name: string, bytes: Uint8Array): void {
    this.#disk.put(this.#prefix + name, bytes);
  }

  take(name: string): void {
    this.#disk.take(this.#prefix + name);
  }

  /** Removes all files behind everybody's back, durably. */
  clear(): void {
    for (const name of this.names()) this.take(name);
  }

  #shorten(names: string[]): string[] {
    return names.map((name) => name.slice(this.#prefix.length));
  }

  // --- the port -------------------------------------------------------------------------------

  list(done: (failure: Error | undefined, names: string[]) => void): void {
    this.#disk.listIn(this.#prefix, (failure, names) => done(failure, this.#shorten(names)));
  }

  open(
    name: string,
    create: boolean,
    done: (failure: Error | undefined, handle: Handle, bytes: number) => void,
  ): void {
    this.#disk.open(this.#prefix + name, create, done);
  }

  read(
    handle: Handle,
    into: Uint8Array,
    at: number,
    done: (failure: Error | undefined, bytes: number) => void,
  ): void {
    this.#disk.read(handle, into, at, done);
  }

  write(
    handle: Handle,
    parts: readonly Uint8Array[],
    at: number,
    done: (failure: Error | undefined, bytes: number) => void,
  ): void {
    this.#disk.write(handle, parts, at, done);
  }

  truncate(handle: Handle, bytes: number, done: Done): void {
    this.#disk.truncate(handle, bytes, done);
  }

  sync(handle: Handle, done: Done): void {
    this.#disk.sync(handle, done);
  }

  syncDirectory(done: Done): void {
    this.#disk.syncFolder(this.#prefix, done);
  }

  rename(from: string, to: string, done: Done): void {
    this.#disk.rename(this.#prefix + from, this.#prefix + to, done);
  }

  remove(name: string, done: Done): void {
    this.#disk.remove(this.#prefix + name, done);
  }

  close(handle: Handle, done: Done): void {
    this.#disk.close(handle, done);
  }

  follow(
    name: string,
    handle: Handle,
    done: (failure: Error | undefined, leads: Leads) => void,
  ): void {
    this.#disk.follow(this.#prefix + name, handle, done);
  }

  followDirectory(
    done: (failure: Error | undefined, leads: Leads, names: string[] | undefined) => void,
  ): void {
    this.#disk.followFolder(this.#prefix, (failure, leads, names) =>
      done(failure, leads, names === undefined ? undefined : this.#shorten(names)),
    );
  }

  free(done: (failure: Error | undefined, bytes: number) => void): void {
    this.#disk.free(done);
  }
}
