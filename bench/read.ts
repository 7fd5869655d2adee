// What reading a log takes at least: every file of a folder in turn, 8 MiB at a time, with a CRC32C
// over what was read. A program of its own: `node build/bench/read.js FOLDER`.

import fs from 'node:fs';
import { join } from 'node:path';
import { Engine } from '../src/wasm/engine.ts';
import { say } from './process.ts';

const CHUNK_BYTES = 8 * 1024 * 1024;

const engine = new Engine();
const chunk = engine.memory.subarray(0, CHUNK_BYTES);
const folder = process.argv[2] ?? '.';

const startedMs = performance.now();
let bytes = 0;
let crc = 0;
for (const name of fs.readdirSync(folder).sort()) {
  const fd = fs.openSync(join(folder, name), 'r');
  for (;;) {
    const got = fs.readSync(fd, chunk, 0, CHUNK_BYTES, null);
    if (got === 0) break;
    crc ^= engine.crc32c(0, got);
    bytes += got;
  }
  fs.closeSync(fd);
}
const seconds = (performance.now() - startedMs) / 1000;
say('result', { bytes, crc, MBps: bytes / 1e6 / seconds });
