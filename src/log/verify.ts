// Says of a log at rest whether every acked byte is what was written: counts per segment, and each
// bad spot with its verdict. The rule is recovery's (FORMAT.md): a bad spot is damage if something
// behind it was written after it had been synced, else a torn tail. Changes nothing.

import {
  FLAG_PROOF,
  RECORD_COMMIT,
  RECORD_MESSAGES,
  RECORD_START,
  RECORD_TRIM,
  SEGMENT_DATA_AT,
} from '../../assembly/layout.ts';
import type { Codec } from '../core/ports.ts';
import { BACK, COUNT, EPOCH, FLAGS, OFFSET, sequenceOf, TYPE } from '../core/rows.ts';
import type { FilesToRead } from './files.ts';
import type { Visitor } from './scan.ts';
import {
  type FileProblem,
  type Gap,
  openForTools,
  problemOf,
  type ToolSegment,
  tour,
} from './tour.ts';

export type Verdict = 'clean' | 'torn' | 'damaged';

/** A stretch of a segment that does not verify. 64-bit numbers are decimal strings. */
export interface BadRange {
  segment: string;
  /** From the start of the file, in bytes. */
  offset: number;
  bytes: number;
  /** Log position of its first byte. */
  position: string;
  /** Sequences of the messages that may be in it: from (inclusive) to (exclusive, if known). */
  fromSequence: string;
  toSequence: string | null;
  /** `torn`: it was never acked, and the next start cuts it off. */
  verdict: 'torn' | 'damaged';
}

export interface SegmentReport {
  name: string;
  position: string;
  bytes: number;
  records: number;
  batches: number;
  messages: number;
  problems: FileProblem[];
}

export interface VerifyReport {
  verdict: Verdict;
  /** A file has a format or a record that this release does not know. */
  unknownVersion: boolean;
  /** A file could not be read. */
  unreadable: boolean;
  segments: SegmentReport[];
  bad: BadRange[];
  /** Log positions that are needed and that no file holds: from (inclusive) to (exclusive). */
  missing: { from: string; to: string | null }[];
  /** Given back by the broker, but not gone yet; the next start removes them. */
  unneeded: string[];
  /** Half-made files and segments that were compacted; the next start removes them. */
  leftovers: string[];
  foreign: string[];
  records: number;
  batches: number;
  messages: number;
}

/** A bad spot, or just where a segment's records end. */
export interface Suspect extends Gap {
  segment: ToolSegment;
  /** As in BadRange; `toSequence` is known once something behind it says it. */
  fromSequence: number;
  toSequence: number | undefined;
  /** Something behind it was written when it had been synced. */
  proved: boolean;
}

/** Reads the whole log. Throws what the system says about the directory. */
export async function verifyLog(
  files: FilesToRead,
  codec: Codec,
  progress: (done: number, total: number) => void,
): Promise<VerifyReport> {
  const { segments, leftovers, foreign } = await openForTools(files);
  const verifier = new Verifier();
  for (const [at, segment] of segments.entries()) {
    await verifier.read(files, codec, segment);
    if (segment.handle >= 0)
      await new Promise<void>((resolve) => files.close(segment.handle, () => resolve()));
    progress(at + 1, segments.length);
  }
  return { ...verifier.report(), leftovers, foreign };
}

/** Judges segments that are read oldest first; `report` when all of them were. */
export class Verifier {
  readonly #segments: ToolSegment[] = [];
  readonly #reports: SegmentReport[] = [];
  readonly #suspects: Suspect[] = [];
  // Behind which complete segment the log goes on: its end.
  #goesOnAt = 0;
  #epoch = 0;
  #sequence = 1;
  #start = 0;

  /** What is no valid record, so far. */
  get suspects(): readonly Suspect[] {
    return this.#suspects;
  }

  /** Reads one segment; what it visits, `also` visits too. */
  async read(
    files: FilesToRead,
    codec: Codec,
    segment: ToolSegment,
    also?: Visitor,
  ): Promise<void> {
    const { name, base, bytes, problems } = segment;
    const report = {
      name,
      position: String(base),
      bytes,
      records: 0,
      batches: 0,
      messages: 0,
      problems,
    };
    this.#reports.push(report);
    if (segment.skip) return;
    this.#segments.push(segment);
    this.#start = Math.max(this.#start, segment.header?.start ?? 0);
    const visitor: Visitor = {
      record: (rows, at, chunk, bytes) => {
        this.#record(segment, report, rows, at, chunk);
        also?.record(rows, at, chunk, bytes);
      },
      commit: () => {
        report.batches++;
        also?.commit();
      },
    };
    try {
      const end = await tour(files, codec, segment, this.#epoch, visitor, (gap) =>
        this.#suspects.push({
          ...gap,
          segment,
          fromSequence: this.#sequence,
          toSequence: undefined,
          // A compacted segment was synced before it had its name.
          proved: segment.header?.end !== undefined,
        }),
      );
      this.#epoch = end.epoch;
      if (end.last) this.#goesOnAt = segment.end;
    } catch (error) {
      problems.push(problemOf(error));
    }
  }

  #record(
    segment: ToolSegment,
    report: SegmentReport,
    rows: Uint32Array,
    at: number,
    chunk: number,
  ): void {
    const type = rows[at + TYPE]!;
    const offset = chunk + rows[at + OFFSET]! - segment.base;
    report.records++;
    if ((rows[at + FLAGS]! & FLAG_PROOF) !== 0)
      this.#prove(segment, offset - rows[at + BACK]!, rows[at + EPOCH]!);
    if (type === RECORD_TRIM) this.#start = Math.max(this.#start, sequenceOf(rows, at));
    if (type !== RECORD_MESSAGES && type !== RECORD_COMMIT && type !== RECORD_START) return;
    const first = sequenceOf(rows, at);
    for (const suspect of this.#suspects) suspect.toSequence ??= first;
    const count = type === RECORD_MESSAGES ? rows[at + COUNT]! : 0;
    report.messages += count;
    this.#sequence = first + count;
  }

  // A batch that began here knew that everything before it was synced.
  #prove(segment: ToolSegment, batch: number, epoch: number): void {
    for (const suspect of this.#suspects)
      if (epoch >= suspect.epoch && (suspect.segment !== segment || batch > suspect.offset))
        suspect.proved = true;
  }

  report(): Omit<VerifyReport, 'leftovers' | 'foreign'> {
    const problems = this.#reports.flatMap((report) => report.problems);
    const unneeded = this.#unneeded();
    const bad = this.#judge(unneeded);
    const missing = this.#missing();
    const damaged =
      missing.length > 0 ||
      bad.some(({ verdict }) => verdict === 'damaged') ||
      problems.some(({ code }) => code === 'damaged');
    const sum = (what: 'records' | 'batches' | 'messages') =>
      this.#reports.reduce((all, report) => all + report[what], 0);
    return {
      verdict: damaged ? 'damaged' : bad.length > 0 ? 'torn' : 'clean',
      unknownVersion: problems.some(({ code }) => code === 'version'),
      unreadable: problems.some(({ code }) => code === 'io'),
      segments: this.#reports,
      bad,
      missing,
      unneeded: [...unneeded].map(({ name }) => name),
      records: sum('records'),
      batches: sum('batches'),
      messages: sum('messages'),
    };
  }

  // What a header says is not needed; and what stands before a gap, and before the position that
  // the log says it still needs.
  #unneeded(): Set<ToolSegment> {
    const segments = this.#segments;
    const start = Math.max(0, ...segments.map(({ header }) => header?.start ?? 0));
    let stale = 0;
    let gap = 0;
    for (let i = 1; i < segments.length; i++) {
      const { end } = segments[i - 1]!;
      if (end <= start) stale = i;
      if (segments[i]!.base > end) gap = i;
    }
    const oldest = Math.max(stale, gap);
    const needed = segments[oldest] !== undefined && segments[oldest].base > this.#start;
    return new Set(segments.slice(0, needed ? stale : oldest));
  }

  #missing(): { from: string; to: string | null }[] {
    const missing: { from: string; to: string | null }[] = [];
    let end = this.#start;
    for (const segment of this.#segments) {
      const { base } = segment;
      if (base > end) missing.push({ from: String(end), to: String(base) });
      end = Math.max(end, segment.end);
    }
    if (this.#goesOnAt === end && this.#segments.length > 0)
      missing.push({ from: String(end), to: null });
    return missing;
  }

  #judge(unneeded: Set<ToolSegment>): BadRange[] {
    const bad: BadRange[] = [];
    let cut = false;
    for (const segment of this.#segments) {
      if (unneeded.has(segment)) continue;
      const suspects = this.#suspects.filter((suspect) => suspect.segment === segment);
      for (const suspect of suspects)
        if (suspect.proved) bad.push(rangeOf(suspect, suspect.offset, suspect.end, 'damaged'));
      // What is left is one tail, though its records may lie in pieces; where nothing follows and
      // no batch is incomplete it is just the end. What stands in later segments goes with it.
      const torn = suspects.filter(({ proved }) => !proved);
      const [first] = torn;
      const last = torn.at(-1);
      const from = cut ? SEGMENT_DATA_AT : (first?.batch ?? 0);
      const to = last === undefined || last.goesOn ? segment.bytes : last.offset + last.begun;
      const suspect = first ?? this.#suspects[0];
      if ((cut || first !== undefined) && to > from && suspect !== undefined)
        bad.push(rangeOf({ ...suspect, segment }, from, to, 'torn'));
      cut ||= first !== undefined;
    }
    return bad;
  }
}

function rangeOf(
  suspect: Suspect,
  offset: number,
  end: number,
  verdict: BadRange['verdict'],
): BadRange {
  const { segment, fromSequence, toSequence } = suspect;
  return {
    segment: segment.name,
    offset,
    bytes: end - offset,
    position: String(segment.base + offset),
    fromSequence: String(fromSequence),
    toSequence: toSequence === undefined ? null : String(toSequence),
    verdict,
  };
}
