// What the disk does without a broker: how long write + fdatasync take from Node, and how fast large
// writes become durable. A program of its own: `node build/bench/disk.js DIR MS`, MS for each of two.

import fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { say } from './process.ts';

const KIB = 1024;
const FILE_BYTES = 64 * 1024 * KIB; // a segment
const BLOCK_BYTES = 1024 * KIB;

const write = promisify(fs.write);

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

const [dir = '.', ms = '1000'] = process.argv.slice(2);
const file = join(dir, `disk-${process.pid}.bin`);
try {
  const fd = await preallocate(file);
  const small = await measure(fd, 4 * KIB, Number(ms));
  const large = await measure(fd, BLOCK_BYTES, Number(ms));
  fs.closeSync(fd);
  const seconds = large.reduce((sum, duration) => sum + duration, 0) / 1000;
  say('result', {
    sync4KiB: {
      count: small.length,
      p50: percentile(small, 50),
      p99: percentile(small, 99),
    },
    sync1MiB: { count: large.length, p50: percentile(large, 50), p99: percentile(large, 99) },
    sequentialMBps: (large.length * BLOCK_BYTES) / 1e6 / seconds,
  });
} finally {
  fs.rmSync(file, { force: true });
}
