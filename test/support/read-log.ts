// Reads what a data folder's log says, offline, without changing a byte: the judge of crash tests.

import fs from 'node:fs';
import path from 'node:path';
import {
  MARK_BYTES,
  MARK_COUNT_AT,
  MARK_SEQUENCE_AT,
  MESSAGE_SIZE_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_MESSAGES,
  RECORD_SETTLED,
} from '../../assembly/layout.ts';
import { COUNT, OFFSET, sequenceOf, TYPE } from '../../src/core/records/rows.ts';
import { NodeFiles } from '../../src/io/files.ts';
import { takeInventory } from '../../src/log/recovery/recovery.ts';
import { walk } from '../../src/log/scan/scan.ts';
import { sharedEngine } from './engine.ts';

export interface LogContents {
  /** Body of each message in a complete batch, by sequence. */
  messages: Map<number, Uint8Array>;
  /** Sequences that a durable mark settles. */
  settled: Set<number>;
}

const codec = sharedEngine('it only scans, and names the key first');

export async function readLog(dataDir: string): Promise<LogContents> {
  const folder = path.join(dataDir, 'log');
  const contents: LogContents = { messages: new Map(), settled: new Set() };
  if (!fs.existsSync(folder)) return contents; // a broker that died before it made it
  const files = new NodeFiles(folder, true);
  const { segments } = await takeInventory(files);
  let staged: (() => void)[] = [];
  let epoch = 0;
  for (const segment of segments) {
    const found = await walk(files, codec, segment, epoch, {
      record: (rows, at, _chunk, bytes) => {
        const body = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
        const count = rows[at + COUNT]!;
        if (rows[at + TYPE] === RECORD_MESSAGES) {
          const first = sequenceOf(rows, at);
          const bodies = split(bytes, body, count);
          staged.push(() => {
            for (let i = 0; i < count; i++) contents.messages.set(first + i, bodies[i]!);
          });
        } else if (rows[at + TYPE] === RECORD_SETTLED) {
          const sequences = marks(bytes, body, count);
          staged.push(() => {
            for (const sequence of sequences) contents.settled.add(sequence);
          });
        }
      },
      commit: () => {
        for (const apply of staged) apply();
        staged = [];
      },
    });
    staged = [];
    epoch = found.epoch;
  }
  for (const { handle } of segments) files.close(handle, () => {});
  return contents;
}

function split(bytes: Uint8Array, body: number, count: number): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const bodies: Uint8Array[] = [];
  for (let i = 0, at = body; i < count; i++) {
    const size = view.getUint32(at, true);
    at += MESSAGE_SIZE_BYTES;
    bodies.push(bytes.slice(at, at + size));
    at += size;
  }
  return bodies;
}

function marks(bytes: Uint8Array, body: number, count: number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const sequences: number[] = [];
  for (let at = body; at < body + count * MARK_BYTES; at += MARK_BYTES) {
    const first = Number(view.getBigUint64(at + MARK_SEQUENCE_AT, true));
    const run = view.getUint32(at + MARK_COUNT_AT, true);
    for (let i = 0; i < run; i++) sequences.push(first + i);
  }
  return sequences;
}
