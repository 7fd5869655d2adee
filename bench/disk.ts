// What the disk does without a broker. `sync`: how long write + fdatasync of 4 KiB take from Node
// in a file that has its blocks, and how fast 1 MiB at a time becomes durable there. `grow`: the
// same into blocks that are new, which is what a log that nobody consumes needs. A program of its
// own: `node build/bench/disk.js DIR MS sync|grow`, MS for each figure.

import fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { say } from './process.ts';

const KIB = 1024;
const FILE_BYTES = 64 * 1024 * KIB; // a segment
const BLOCK_BYTES = 1024 * KIB;

const GROWN_BYTES_MAX = 4 * 1024 ** 3;

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

/** Writes and syncs `bytes` at a time for `ms`; gives the durations in ms. */
function measure(fd: number, bytes: number, ms: number): Promise<number[]> {
  const data = new Uint8Array(bytes).fill(0x5a);
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
          at = at + 2 * bytes > FILE_BYTES ? 0 : at + bytes;
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

function summary(durations: number[]): object {
  const { length: count } = durations;
  return { count, p50: percentile(durations, 50), p99: percentile(durations, 99) };
}

const [dir = '.', ms = '1000', what = 'sync'] = process.argv.slice(2);
const file = join(dir, `disk-${process.pid}.bin`);
try {
  if (what === 'grow') {
    const fd = fs.openSync(file, 'wx+');
    say('result', { newMBps: await grow(fd, Number(ms)) });
    fs.closeSync(fd);
  } else {
    const fd = await preallocate(file);
    const small = await measure(fd, 4 * KIB, Number(ms));
    const large = await measure(fd, BLOCK_BYTES, Number(ms));
    fs.closeSync(fd);
    const seconds = large.reduce((sum, duration) => sum + duration, 0) / 1000;
    const againMBps = (large.length * BLOCK_BYTES) / 1e6 / seconds;
    say('result', { sync4KiB: summary(small), sync1MiB: summary(large), againMBps });
  }
} finally {
  fs.rmSync(file, { force: true });
}
