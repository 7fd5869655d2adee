// What a start reads back of segments that it need not read as a whole: the records that an index
// names, and one of them.

import type { Found, Position } from '../../core/ports/basics.ts';
import type { RecordReader } from '../../core/ports/reader.ts';
import { LogError } from '../files/errors.ts';
import { settle } from '../files/promises.ts';

/** Hands on the records of an indexed segment. */
export type VisitRecords = (base: Position, record: (found: Found) => void) => Promise<void>;

/** Gives a verified record from its header on, to be looked at before anything else is read. */
export type ReadRecord = (position: Position, recordBytes: number) => Promise<DataView>;

/** Reads records one by one through `reader`, which brings them into `memory`. */
export function readRecords(reader: RecordReader, memory: Uint8Array): ReadRecord {
  return async (position, recordBytes) => {
    await settle((done) => reader.load(position, recordBytes, done));
    const place = reader.resident(position, recordBytes);
    if (place < 0) throw new LogError('io', `the record at ${position} did not stay in memory`);
    return new DataView(memory.buffer, memory.byteOffset + place, recordBytes);
  };
}
