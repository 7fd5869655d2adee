// What the plain twin makes of a producer's messages before anything is written: which of them go
// into which record, and why it goes no further. Must not share code with assembly/ beyond its
// layout.

import * as L from '../../assembly/layout.ts';
import { HEAD_BYTES } from '../../assembly/layout-placed.ts';
import { assert } from '../core/assert.ts';
import { type Frame, look, runAt } from './plain-frame.ts';
import { ruleOf } from './plain-rules.ts';

/** Neighbouring messages for one bucket: one record to be. */
export interface Run {
  bucket: bigint;
  /** Of the record in its segment. */
  offset: number;
  bodyBytes: number;
  messages: { bodyAt: number; length: number }[];
}

export interface Decided {
  /** An INTAKE status. */
  status: number;
  /** Where the first message stands that was not taken; a refused one was. */
  cursor: number;
  runs: Run[];
  /** Only with the statuses that have one. */
  length?: number | undefined;
  /** The rule that stopped it, and what there is of the run. */
  ruled?: number[];
}

/** Where the first record is to stand in the segment, and what none may end beyond. */
export interface Room {
  from: number;
  limit: number;
}

const endOf = (offset: number, bodyBytes: number): number =>
  offset + L.RECORD_HEADER_BYTES + Math.ceil(bodyBytes / 8) * 8;

/** Up to `left` messages from `at` on; `rules`: the table that stops it, if there is one. */
export function decide(
  frame: Frame,
  at: number,
  left: number,
  { from, limit }: Room,
  rules: DataView | undefined,
): Decided {
  const runs: Run[] = [];
  let cursor = at;
  for (let messages = 0; messages < left; messages++) {
    const seen = look(frame, cursor);
    if ('status' in seen)
      return { status: seen.status, cursor: cursor + seen.taken, runs, length: seen.length };
    const last = runs.at(-1);
    const isNew = last?.bucket !== seen.bucket;
    if (isNew && runs.length === L.ROWS_MAX) return { status: L.INTAKE_ROWS, cursor, runs };
    const offset = last === undefined ? from : endOf(last.offset, last.bodyBytes);
    const run = isNew ? { bucket: seen.bucket, offset, bodyBytes: 0, messages: [] } : last;
    const bodyBytes = run.bodyBytes + L.MESSAGE_SIZE_BYTES + seen.length;
    if (endOf(run.offset, bodyBytes) > limit) return { status: L.INTAKE_FULL, cursor, runs };
    const rule = rules !== undefined && isNew ? ruleOf(rules, seen.bucket) : 0;
    if (rule !== 0) {
      const ruled = [rule, ...runAt(frame, cursor, left - messages)];
      return { status: L.INTAKE_RULED, cursor, runs, ruled };
    }
    if (isNew) runs.push(run);
    run.bodyBytes = bodyBytes;
    run.messages.push({ bodyAt: seen.bodyAt, length: seen.length });
    cursor = seen.bodyAt + seen.length;
  }
  return { status: L.INTAKE_DONE, cursor, runs };
}

/** Up to `most` messages of the run at `at`, which are there, behind a head. */
export function decidePlaced(
  frame: Frame,
  at: number,
  most: number,
  { from, limit }: Room,
): Decided {
  assert(most > 0, 'no messages were decided about');
  let run: Run | undefined;
  let cursor = at;
  for (let messages = 0; messages < most; messages++) {
    const seen = look(frame, cursor);
    assert('bucket' in seen, 'a message of a run is not there');
    const { bucket, bodyAt, length } = seen;
    assert(bucket === (run?.bucket ?? bucket), 'a message of a run is for another bucket');
    const bodyBytes = (run?.bodyBytes ?? HEAD_BYTES) + L.MESSAGE_SIZE_BYTES + length;
    if (endOf(from, bodyBytes) > limit)
      return { status: L.INTAKE_FULL, cursor, runs: run === undefined ? [] : [run] };
    run ??= { bucket, offset: from, bodyBytes, messages: [] };
    run.bodyBytes = bodyBytes;
    run.messages.push({ bodyAt, length });
    cursor = bodyAt + length;
  }
  return { status: L.INTAKE_DONE, cursor, runs: [run!] };
}
