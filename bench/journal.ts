// The least that keeps the promise of an ack, in plain Node: what producers send is put one after
// the other, written past the page cache and synced, one at a time; then its batches are acked.
// Nothing is checked, nothing could be found again or delivered. A program of its own:
// `node build/bench/journal.js [u64|u32] FILE BYTES`: the file has so many and is written again and
// again.

import fs from 'node:fs';
import type net from 'node:net';
import { BATCH_MESSAGES_MAX, BLOCK_BYTES, BUCKET_BYTES } from '../assembly/layout.ts';
import type { Wire } from '../src/codec/wire.ts';
import { FrameScanner } from '../src/load/scanner.ts';
import { listen, onLeave, say } from './process.ts';

const MIB = 1024 * 1024;
// More than the loads of the benchmark have in flight.
const SIDE_BYTES = 8 * MIB;
const PAGE_BYTES = 65_536;
const STORED = new Uint8Array(BATCH_MESSAGES_MAX).fill(1);

const [wire = 'u64', file = '', bytes = ''] = process.argv.slice(2);
const FILE_BYTES = Math.ceil(Number(bytes) / SIDE_BYTES) * SIDE_BYTES;
// Begins at a page, as writes past the cache need; two sides, one fills while the other is written.
const memory = new WebAssembly.Memory({ initial: (2 * SIDE_BYTES) / PAGE_BYTES }).buffer;
const sides = [0, 1].map((side) => new Uint8Array(memory, side * SIDE_BYTES, SIDE_BYTES));
const fd = preallocated();
let open = 0;
let filled = 0;
let at = 0;
let owed: [net.Socket, number][] = [];
let busy = false;

/** A file whose blocks exist, opened past the page cache where the file system can do that. */
function preallocated(): number {
  const plain = fs.openSync(file, 'wx');
  for (let done = 0; done < FILE_BYTES; done += SIDE_BYTES)
    fs.writeSync(plain, sides[0]!, 0, SIDE_BYTES, done);
  fs.fsyncSync(plain);
  fs.closeSync(plain);
  const { O_WRONLY, O_DIRECT } = fs.constants;
  try {
    return fs.openSync(file, O_WRONLY | (O_DIRECT ?? 0));
  } catch {
    return fs.openSync(file, O_WRONLY);
  }
}

/** What is owed goes to the disk, one commit at a time; all that comes meanwhile is the next. */
function flush(): void {
  busy = false;
  if (owed.length === 0) return;
  busy = true;
  const side = sides[open]!;
  const acks = owed;
  const bytes = Math.ceil(filled / BLOCK_BYTES) * BLOCK_BYTES;
  if (at + bytes > FILE_BYTES) at = 0;
  open = 1 - open;
  filled = 0;
  owed = [];
  fs.write(fd, side, 0, bytes, at, (failure, written) => {
    if (failure !== null || written !== bytes) throw failure ?? new Error(`wrote ${written}`);
    fs.fdatasync(fd, (syncFailure) => {
      if (syncFailure !== null) throw syncFailure;
      for (const [socket, messages] of acks) socket.write(STORED.subarray(0, messages));
      flush();
    });
  });
  at += bytes;
}

const intake = await listen((socket) => {
  const scanner = new FrameScanner(wire as Wire, BUCKET_BYTES, (messages) => {
    if (messages === 0) return void socket.end();
    owed.push([socket, messages]);
    if (busy) return;
    busy = true;
    setImmediate(flush); // with what the other sockets have sent by now
  });
  socket.on('data', (chunk: Uint8Array) => {
    if (filled + chunk.length > SIDE_BYTES) throw new Error('more is in flight than fits');
    sides[open]!.set(chunk, filled);
    filled += chunk.length;
    scanner.push(chunk);
  });
});
onLeave(() => {
  fs.rmSync(file, { force: true });
  process.exit(0);
});
say('ready', { intake });
