// The ceiling for publishing: finds the ends of a producer's batches, acks each with ones, keeps
// nothing. A program of its own: `node build/bench/sink.js [u64|u32]`.

import { BATCH_MESSAGES_MAX, BUCKET_BYTES } from '../assembly/layout.ts';
import type { Wire } from '../src/codec/wire.ts';
import { FrameScanner } from '../src/load/scanner.ts';
import { listen, onLeave, say } from './process.ts';

const STORED = new Uint8Array(BATCH_MESSAGES_MAX).fill(1);

const wire: Wire = process.argv[2] === 'u32' ? 'u32' : 'u64';
const intake = await listen((socket) => {
  const scanner = new FrameScanner(wire, BUCKET_BYTES, (messages) => {
    if (messages === 0) socket.end();
    else socket.write(STORED.subarray(0, messages));
  });
  socket.on('data', (chunk: Uint8Array) => scanner.push(chunk));
});
onLeave(() => process.exit(0));
say('ready', { intake });
