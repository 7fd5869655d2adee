// The Files port as promises, for what runs before or without a broker: recovery and the tools.

import type { Files, FilesToRead, Handle } from './files.ts';
import { writeAll } from './files.ts';

export function list(files: FilesToRead): Promise<string[]> {
  return new Promise((resolve, reject) =>
    files.list((failure, names) => (failure === undefined ? resolve(names) : reject(failure))),
  );
}

export function open(files: FilesToRead, name: string): Promise<{ handle: Handle; bytes: number }> {
  return new Promise((resolve, reject) =>
    files.open(name, false, (failure, handle, bytes) =>
      failure === undefined ? resolve({ handle, bytes }) : reject(failure),
    ),
  );
}

export function read(
  files: FilesToRead,
  handle: Handle,
  into: Uint8Array,
  at: number,
): Promise<number> {
  return new Promise((resolve, reject) =>
    files.read(handle, into, at, (failure, bytes) =>
      failure === undefined ? resolve(bytes) : reject(failure),
    ),
  );
}

/** Writes all bytes at a position. */
export function write(files: Files, handle: Handle, bytes: Uint8Array, at: number): Promise<void> {
  return new Promise((resolve, reject) =>
    writeAll(files, handle, [bytes], at, (failure) =>
      failure === undefined ? resolve() : reject(failure),
    ),
  );
}

/** Turns a method that ends in a plain Done into a promise. */
export function settle(call: (done: (failure: Error | undefined) => void) => void): Promise<void> {
  return new Promise((resolve, reject) =>
    call((failure) => (failure === undefined ? resolve() : reject(failure))),
  );
}
