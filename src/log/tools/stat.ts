// Sums up a log: its size, what it holds, what of that still waits, and whose message keeps
// its oldest segment. Two passes, as marks stand behind what they speak of. Changes nothing.

import { KIND_LIVE } from '../../../assembly/layout-placed.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import type { FilesToRead } from '../files/files.ts';
import { countOf, LivePass, type LiveRun, payloadOf } from './live-pass.ts';
import { type Look, lookThrough } from './look.ts';
import { problemOf, type ToolSegment } from './segment-walk.ts';
import { Survey } from './survey.ts';
import type { VerifyReport } from './verify.ts';

/** 64-bit numbers are decimal strings; sizes are in bytes, times ISO 8601. */
export interface StatReport {
  /** As `log verify` says it. */
  verdict: VerifyReport['verdict'];
  unknownVersion: boolean;
  unreadable: boolean;
  segments: {
    count: number;
    bytes: number;
    /** Log position of the first byte, and behind the last one; null without segments. */
    oldest: string | null;
    newest: string | null;
  };
  batches: number;
  records: number;
  messages: number;
  /** Of all messages, without what the log adds. */
  payloadBytes: number;
  /** Messages that wait, as far as they can be read, and their payload. */
  live: { messages: number; bytes: number };
  buckets: {
    /** Buckets with live messages; at least so many if `more`. */
    live: number;
    /** There are more than were counted; those are in no other number of this object. */
    more: boolean;
    /** Most live messages first. */
    top: { bucket: string; messages: number; bytes: number }[];
  };
  /** The oldest live message: its bucket keeps this segment and all behind it. */
  oldest: { bucket: string; sequence: string; position: string; segment: string } | null;
  epochs: { first: number; last: number; starts: number };
  /** Of the first and last record that says when it was written. */
  time: { first: string | null; last: string | null };
  unneeded: string[];
  leftovers: string[];
  foreign: string[];
  /** As `log verify` says it. */
  moved: string[];
  unjudged: string[];
}

export interface StatOptions {
  /** How many buckets to name. */
  top: number;
  /** How many buckets to count at most; each takes some 100 bytes of memory. */
  bucketsMax?: number;
  progress: (done: number, total: number) => void;
}

const BUCKETS_MAX = 1_000_000;

/** Reads the log twice. Throws what the system says about the directory. */
export async function statLog(
  files: FilesToRead,
  codec: RecordScanner,
  options: StatOptions,
): Promise<StatReport> {
  const survey = new Survey();
  let first = 0;
  const looked = await lookThrough(files, survey.look(files, codec), (done, total) => {
    first = total;
    options.progress(done, 2 * total);
  });
  const { segments } = looked;
  const verified = survey.report(looked);
  const counter = new Counter(options.bucketsMax ?? BUCKETS_MAX);
  const pass = new LivePass(survey);
  const epochs = new Map<ToolSegment['base'], number>();
  let epoch = 0;
  const live: Look = {
    read: async (segment) => {
      epochs.set(segment.base, epoch);
      // What cannot be read is in the verdict already. A message is counted once, also if what it
      // is in is read again; those that came since the first pass are not.
      if (!segment.skip)
        epoch = await pass
          .read(files, codec, segment, epoch, (run) => {
            if (run.sequence < survey.nextSequence) counter.take(run);
          })
          .catch((error) => {
            problemOf(error);
            return epoch;
          });
      return false;
    },
    backTo: (base) => {
      for (const [read, before] of epochs) if (read >= base) epoch = Math.min(epoch, before);
    },
  };
  await lookThrough(files, live, (done, total) => options.progress(first + done, first + total));
  const { verdict, unknownVersion, unreadable, batches, records, messages, unneeded } = verified;
  return {
    verdict,
    unknownVersion,
    unreadable,
    segments: sizeOf(segments),
    batches,
    records,
    messages,
    payloadBytes: survey.payloadBytes,
    ...counter.report(options.top),
    epochs: { first: survey.firstEpoch, last: survey.lastEpoch, starts: survey.starts },
    time: { first: timeOf(survey.firstMs), last: timeOf(survey.lastMs) },
    unneeded,
    leftovers: looked.leftovers,
    foreign: looked.foreign,
    moved: looked.moved,
    unjudged: verified.unjudged,
  };
}

function sizeOf(segments: ToolSegment[]): StatReport['segments'] {
  const newest = segments.at(-1);
  return {
    count: segments.length,
    bytes: segments.reduce((sum, { fileBytes }) => sum + fileBytes, 0),
    oldest: segments[0] === undefined ? null : String(segments[0].base),
    newest: newest === undefined ? null : String(newest.base + newest.bytes),
  };
}

// A record may hold any number; only some of them are dates.
function timeOf(ms: bigint | undefined): string | null {
  const date = new Date(Number(ms ?? Number.NaN));
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

class Counter {
  readonly #bucketsMax: number;
  readonly #buckets = new Map<bigint, { messages: number; bytes: number }>();
  readonly #live = { messages: 0, bytes: 0 };
  #more = false;
  #oldest: StatReport['oldest'] = null;

  constructor(bucketsMax: number) {
    this.#bucketsMax = bucketsMax;
  }

  take(run: LiveRun): void {
    const { bucket, sequence, position, segment } = run;
    this.#oldest ??= {
      bucket: String(bucket),
      sequence: String(sequence),
      position: String(position),
      segment: segment.name,
    };
    add(this.#live, run);
    if (run.placed !== undefined && run.placed.kind !== KIND_LIVE) return; // of no bucket's own line
    let counts = this.#buckets.get(bucket);
    if (counts === undefined) {
      if (this.#buckets.size === this.#bucketsMax) {
        this.#more = true;
        return;
      }
      counts = { messages: 0, bytes: 0 };
      this.#buckets.set(bucket, counts);
    }
    add(counts, run);
  }

  report(top: number): Pick<StatReport, 'live' | 'buckets' | 'oldest'> {
    const sorted = [...this.#buckets].sort(
      ([a, one], [b, other]) => other.messages - one.messages || (a < b ? -1 : 1),
    );
    return {
      live: this.#live,
      buckets: {
        live: this.#buckets.size,
        more: this.#more,
        top: sorted
          .slice(0, top)
          .map(([bucket, counts]) => ({ bucket: String(bucket), ...counts })),
      },
      oldest: this.#oldest,
    };
  }
}

function add(counts: { messages: number; bytes: number }, run: LiveRun): void {
  counts.messages += countOf(run);
  counts.bytes += payloadOf(run);
}
