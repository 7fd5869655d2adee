// What the disk does without a broker. `sync`: how long write + fdatasync of 4 KiB take from Node
// in a file that has its blocks, and how fast 1 MiB at a time becomes durable there. `grow`: the
// same into blocks that are new, which is what a log that nobody consumes needs. `direct`: what the
// log's own way of writing could reach, past the page cache in pieces of a commit's size, over more
// blocks than a disk's cache holds. A program of its own: `node build/bench/disk.js DIR MS
// sync|grow|direct [BYTES]`, MS for each figure, `direct` over so many bytes.

import fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { instantiateModule } from '../src/wasm/instance.ts';
import { say } from './process.ts';

const KIB = 1024;
const FILE_BYTES = 64 * 1024 * KIB; // a segment
const BLOCK_BYTES = 1024 * KIB;

const GROWN_BYTES_MAX = 4 * 1024 ** 3;
const DIRECT_BYTES = 784 * KIB;
const DIRECT_FILE_BYTES_MAX = 3 * 1024 ** 3;
/** A short run needs no more blocks than it could write at this rate. */
const DIRECT_BYTES_PER_MS = 2e6;

const write = promisify(fs.write);
const fdatasync = promisify(fs.fdatasync);

/** Fills a new file with zeros and syncs it: later writes change no metadata. */
async function preallocate(file: string): Promise<number> {
  const fd = fs.openSync(file, 'wx+');
  const zeros = new Uint8Array(BLOCK_BYTES);
  for (let at = 0; at < FILE_BYTES; at += BLOCK_BYTES) await write(fd, zeros, 0, BLOCK_BYTES, at);
  fs.fsyncSync(fd);
  return fd;
}

/** Writes and syncs `data` again and again for `ms`, over the file; gives the durations in ms. */
function measure(fd: number, data: Uint8Array, ms: number, fileBytes: number): Promise<number[]> {
  const bytes = data.length;
  const durations: number[] = [];
  const until = performance.now() + ms;
  let at = 0;
  return new Promise((resolve, reject) => {
    const next = (): void => {
      const from = performance.now();
      fs.write(fd, data, 0, bytes, at, (writeError, written) => {
        if (writeError !== null) return reject(writeError);
        if (written !== bytes) return reject(new Error(`wrote ${written} of ${bytes} bytes`));
        fs.fdatasync(fd, (syncError) => {
          if (syncError !== null) return reject(syncError);
          const now = performance.now();
          durations.push(now - from);
          at = at + 2 * bytes > fileBytes ? 0 : at + bytes;
          if (now < until) next();
          else resolve(durations);
        });
      });
    };
    next();
  });
}

function percentile(durations: number[], percent: number): number {
  const sorted = [...durations].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))];
}

/** Appends to a new file, synced each MiB, for `ms` or until it is large enough; MB/s. */
async function grow(fd: number, ms: number): Promise<number> {
  const data = new Uint8Array(BLOCK_BYTES).fill(0x5a);
  const from = performance.now();
  let at = 0;
  while (performance.now() < from + ms && at < GROWN_BYTES_MAX) {
    await write(fd, data, 0, BLOCK_BYTES, at);
    await fdatasync(fd);
    at += BLOCK_BYTES;
  }
  return at / 1e6 / ((performance.now() - from) / 1000);
}

/**
 * Writes and syncs past the page cache for `ms`, over blocks that were written before; MB/s, or
 * undefined where the file system cannot do that.
 */
async function direct(file: string, ms: number, bytes: number): Promise<number | undefined> {
  const fileBytes = Math.min(DIRECT_FILE_BYTES_MAX, Math.max(FILE_BYTES, bytes));
  // Memory that begins at a page, as the log's own does; the module in it is never called.
  const data = new Uint8Array(instantiateModule().memory.buffer, 0, DIRECT_BYTES);
  data.fill(0x5a);
  const fd = openDirect(file);
  if (fd === undefined) return undefined;
  try {
    for (let at = 0; at + DIRECT_BYTES <= fileBytes; at += DIRECT_BYTES)
      await write(fd, data, 0, DIRECT_BYTES, at);
    fs.fsyncSync(fd);
    const durations = await measure(fd, data, ms, fileBytes);
    const seconds = durations.reduce((sum, duration) => sum + duration, 0) / 1000;
    return (durations.length * DIRECT_BYTES) / 1e6 / seconds;
  } finally {
    fs.closeSync(fd);
  }
}

function openDirect(file: string): number | undefined {
  const { O_CREAT, O_RDWR, O_DIRECT } = fs.constants;
  if (O_DIRECT === undefined) return undefined;
  try {
    return fs.openSync(file, O_CREAT | O_RDWR | O_DIRECT);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return undefined;
    throw error;
  }
}

function summary(durations: number[]): object {
  const { length: count } = durations;
  return { count, p50: percentile(durations, 50), p99: percentile(durations, 99) };
}

const [dir = '.', ms = '1000', what = 'sync', written] = process.argv.slice(2);
const file = join(dir, `disk-${process.pid}.bin`);
try {
  if (what === 'grow') {
    const fd = fs.openSync(file, 'wx+');
    say('result', { newMBps: await grow(fd, Number(ms)) });
    fs.closeSync(fd);
  } else if (what === 'direct') {
    const bytes = Number(written ?? Number(ms) * DIRECT_BYTES_PER_MS);
    say('result', { directMBps: await direct(file, Number(ms), bytes) });
  } else {
    const fd = await preallocate(file);
    const some = (bytes: number): Promise<number[]> =>
      measure(fd, new Uint8Array(bytes).fill(0x5a), Number(ms), FILE_BYTES);
    const small = await some(4 * KIB);
    const large = await some(BLOCK_BYTES);
    fs.closeSync(fd);
    const seconds = large.reduce((sum, duration) => sum + duration, 0) / 1000;
    const againMBps = (large.length * BLOCK_BYTES) / 1e6 / seconds;
    say('result', { sync4KiB: summary(small), sync1MiB: summary(large), againMBps });
  }
} finally {
  fs.rmSync(file, { force: true });
}
