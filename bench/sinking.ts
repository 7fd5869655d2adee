// What a sink does with a producer's connection: finds the ends of its batches, acks each with ones,
// keeps nothing.

import type net from 'node:net';
import { BATCH_MESSAGES_MAX, BUCKET_BYTES } from '../assembly/layout.ts';
import type { Wire } from '../src/codec/wire.ts';
import { FrameScanner } from '../src/load/scanner.ts';

const STORED = new Uint8Array(BATCH_MESSAGES_MAX).fill(1);

export function sink(socket: net.Socket, wire: Wire): void {
  const scanner = new FrameScanner(wire, BUCKET_BYTES, (messages) => {
    if (messages === 0) socket.end();
    else socket.write(STORED.subarray(0, messages));
  });
  socket.on('data', (chunk: Uint8Array) => scanner.push(chunk));
}
