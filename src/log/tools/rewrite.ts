// Writes messages into a new log as a broker would: through the same group commit, into such
// segments. What differs is that they keep the sequences they had.

import {
  BLOCK_BYTES,
  INTAKE_FULL,
  MESSAGE_BYTES_CEILING,
  MESSAGE_SIZE_BYTES,
  RECORD_HEADER_BYTES,
  RESULT_CONSUMED,
  RESULT_MESSAGES,
  RESULT_PAYLOAD,
  RESULT_ROWS,
  RING_BYTES,
  SEGMENT_DATA_AT,
  WIRE_U32,
} from '../../../assembly/layout.ts';
import { assert } from '../../core/assert.ts';
import { Commit } from '../../core/commit/commit.ts';
import { place } from '../../core/commit/placing.ts';
import { DEFAULT_LIMITS } from '../../core/limits.ts';
import type { Position } from '../../core/ports/basics.ts';
import type { Codec } from '../../core/ports/codec.ts';
import { idRecordBytes, untilOf } from '../../core/records/ids.ts';
import type { Deferral } from '../../core/records/placed.ts';
import { FileLog } from '../file-log.ts';
import { LogError } from '../files/errors.ts';
import type { Files } from '../files/files.ts';
import { WITHOUT_INDEXES } from '../files/no-files.ts';
import type { Sink } from '../recovery/sink.ts';
import { type BucketIds, countOf, type LiveRun, type PlacedRun } from './live-pass.ts';

export interface RewriterOptions {
  /** An empty folder. */
  files: Files;
  /** Not the one that the messages are read with. */
  codec: Codec;
  logId: bigint;
  base: Position;
  segmentBytes: number;
  /** Highest epoch that was used before. */
  epoch: number;
  /** Largest body of a record, in bytes. */
  bodyBytesMax: number;
  wallMs: () => number;
}

// A new log has nothing to say.
const nothing = (): void => {};
const nothingLater = async (): Promise<void> => {};
const NOBODY: Sink = {
  segment: nothing,
  known: nothing,
  record: nothing,
  commit: nothing,
  drop: nothing,
  sealed: nothingLater,
  restore: nothing,
  finish: nothingLater,
};

const HEAD_BYTES = 8 + WIRE_U32;
// Beside the largest record of a segment: header, commit, and what closes it.
const AROUND_BYTES = SEGMENT_DATA_AT + 8 * RECORD_HEADER_BYTES;

/** Segment size for a log that had segments of `found` bytes and records of `bodyBytesMax`. */
export function segmentBytesFor(found: number, bodyBytesMax: number): number {
  const least = Math.max(found, bodyBytesMax + AROUND_BYTES, 2 * BLOCK_BYTES);
  return Math.min(RING_BYTES, Math.ceil(least / BLOCK_BYTES) * BLOCK_BYTES);
}

// What happened since somebody waited; a failure stays, and ends the writing, so there is but one.
class Events {
  failure: Error | undefined;
  #changed: (() => void) | undefined;

  wake(): void {
    this.#changed?.();
    this.#changed = undefined;
  }

  fail(failure: Error): void {
    this.failure = failure;
    this.wake();
  }

  change(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve;
    });
  }
}

export class Rewriter {
  readonly #codec: Codec;
  readonly #log: FileLog;
  readonly #commit: Commit;
  readonly #events: Events;
  readonly #wallMs: () => number;
  #sequence = 1;

  private constructor(options: RewriterOptions, log: FileLog, events: Events) {
    const { codec, bodyBytesMax, wallMs } = options;
    this.#codec = codec;
    this.#log = log;
    this.#events = events;
    this.#wallMs = wallMs;
    const failed = (failure: Error) => events.fail(failure);
    this.#commit = new Commit({
      codec,
      journal: log,
      space: log,
      events: {
        durable: () => events.wake(),
        roomAgain: () => events.wake(),
        failed,
      },
      wallMs,
      clockMs: () => 0,
      nowMs: () => 0,
      marksMax: DEFAULT_LIMITS.marksMax,
      strict: true,
      reserveBytes: 0,
      messageBytesMax: bodyBytesMax,
      entriesMax: Number.POSITIVE_INFINITY,
      ackCommitMs: 0,
      proofMs: 0,
      lag: () => 'none',
    });
    log.listen({
      segmentChanged: () => events.wake(),
      failed,
      wrote: () => {},
    });
  }

  /** Makes the log. Throws what the system says, or LogError `io` if there is no space. */
  static async create(options: RewriterOptions): Promise<Rewriter> {
    const { files, codec, logId, base, epoch, segmentBytes, wallMs } = options;
    const events = new Events();
    const { log, resume } = await FileLog.open(
      {
        ...WITHOUT_INDEXES,
        files,
        codec,
        sideCodec: () => codec,
        mode: 'commit',
        segmentBytes,
        spareBytes: 0,
        newLogId: logId,
        newStart: { base, epoch },
        now: () => 0,
        wallMs,
        // Asked for when a write found no space: a tool does not wait for it.
        later: () => events.fail(noSpace('no space left on the disk')),
        note: () => {},
        progress: () => {},
      },
      NOBODY,
    );
    const rewriter = new Rewriter(options, log, events);
    rewriter.#commit.resume(resume);
    return rewriter;
  }

  /** Segments of the new log so far. */
  get segments(): number {
    return this.#log.bases().length;
  }

  /** Messages of a placed record, with what it says of them; what they were before is settled. */
  async #place(run: LiveRun, { kind, head, first, body, bodyBytes }: PlacedRun): Promise<void> {
    const whole = RECORD_HEADER_BYTES + bodyBytes;
    const from = body - RECORD_HEADER_BYTES;
    const count = countOf(run);
    const move = {
      first,
      count,
      low: Number(run.bucket & 0xffffffffn),
      high: Number(run.bucket >> 32n),
      kind,
      head: head.from === 0 ? head : { ...head, from: head.from + first },
      settles: false,
      attempts: run.attempts,
    };
    await this.#untilMayPlace();
    for (;;) {
      if (this.#events.failure !== undefined) throw this.#events.failure;
      this.#codec.memory.set(run.chunk.subarray(from, from + whole));
      this.#codec.setSequence(run.sequence);
      const isPlaced = place(this.#commit, this.#codec, RECORD_HEADER_BYTES, bodyBytes, move);
      this.#sequence = Math.max(this.#sequence, this.#codec.sequence());
      this.#codec.setSequence(this.#sequence);
      if (isPlaced) return;
      await this.#room();
    }
  }

  // The first placed record opens a segment, whose batches know the sequence as it is by then.
  async #untilMayPlace(): Promise<void> {
    while (!this.#commit.mayPlace()) {
      if (this.#events.failure !== undefined) throw this.#events.failure;
      if (this.#log.blocked() !== undefined) throw noSpace(this.#log.blocked()!);
      this.#commit.flush();
      await this.#events.change();
    }
  }

  /** Defers messages of the new log as they were in the old one. */
  defer(deferral: Deferral): void {
    this.#commit.defer(deferral);
  }

  /** Writes ids of messages that were published, unless that need not be known any more. */
  async ids({ low, high, ...ids }: BucketIds): Promise<void> {
    if (untilOf(ids) <= this.#wallMs()) return;
    await this.#untilMayPlace();
    const size = idRecordBytes(ids.count);
    while (this.#commit.allow(size, size) < this.#codec.writeAt() + size) await this.#room(size);
    this.#commit.ids(ids, low, high);
  }

  /** Writes the messages of a run. Throws LogError `io`, or what the system says. */
  async write(run: LiveRun): Promise<void> {
    if (run.placed !== undefined) return this.#place(run, run.placed);
    const { chunk, offsets, bucket, attempts } = run;
    const { inbox } = this.#codec;
    const view = new DataView(inbox.buffer, inbox.byteOffset, inbox.length);
    const count = countOf(run);
    for (let i = 0; i < count; ) {
      const sequence = run.sequence + i;
      let bytes = 0;
      let packed = 0;
      for (; i < count; i++, packed++) {
        const from = offsets[i]! + MESSAGE_SIZE_BYTES;
        const length = offsets[i + 1]! - from;
        if (bytes + HEAD_BYTES + length > inbox.length) break;
        view.setBigUint64(bytes, bucket, true);
        view.setUint32(bytes + 8, length, true);
        inbox.set(chunk.subarray(from, from + length), bytes + HEAD_BYTES);
        bytes += HEAD_BYTES + length;
      }
      assert(packed > 0, 'a message is larger than the inbox');
      await this.#pack(bytes, packed, sequence);
      if (attempts > 0) this.#commit.requeue(sequence, packed, attempts);
    }
  }

  // Packs what the inbox holds, over as many segments as it takes.
  async #pack(bytes: number, count: number, sequence: number): Promise<void> {
    const { result } = this.#codec;
    let from = 0;
    let left = count;
    while (left > 0) {
      if (this.#events.failure !== undefined) throw this.#events.failure;
      this.#codec.setSequence(sequence + count - left);
      this.#commit.allow();
      const status = this.#codec.intake(from, bytes, left, WIRE_U32, MESSAGE_BYTES_CEILING);
      const messages = result[RESULT_MESSAGES]!;
      from += result[RESULT_CONSUMED]!;
      left -= messages;
      this.#commit.packed(result[RESULT_ROWS]!, messages, result[RESULT_PAYLOAD]!);
      // Commit records say the next one to be given out.
      this.#sequence = Math.max(this.#sequence, this.#codec.sequence());
      this.#codec.setSequence(this.#sequence);
      // One bucket makes one record, so there is no lack of rows.
      assert(left === 0 || status === INTAKE_FULL, 'a message that was in a log is none');
      if (status === INTAKE_FULL) await this.#room();
    }
  }

  async #room(least = 0): Promise<void> {
    if (this.#events.failure !== undefined) throw this.#events.failure;
    const answer = this.#commit.makeRoom(least);
    // An append without space has failed already: it is the next segment that there is none for.
    if (answer === 'refuse') throw noSpace(this.#log.blocked()!);
    if (answer === 'wait') {
      this.#commit.flush();
      await this.#events.change();
    }
  }

  /** Completes the log: all of it synced and proved, its files closed. */
  async finish(nextSequence: number): Promise<void> {
    this.#codec.setSequence(Math.max(nextSequence, this.#sequence));
    for (;;) {
      if (this.#events.failure !== undefined) throw this.#events.failure;
      this.#commit.drain();
      if (this.#commit.drained) break;
      if (this.#log.blocked() !== undefined) throw noSpace(this.#log.blocked()!);
      await this.#events.change();
    }
    await this.#log.close();
  }
}

function noSpace(why: string): LogError {
  return new LogError('io', `the new log cannot be written: ${why}`);
}
