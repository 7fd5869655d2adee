// Says of a log whether every acked byte is what was written: counts per segment, and each bad spot
// with its verdict. The rule is recovery's (FORMAT.md): a bad spot is damage if something behind it
// was written after it had been synced, else a torn tail. Of a log in service it says what stood
// still while it was looked at (look.ts). Changes nothing.

import {
  FLAG_PROOF,
  RECORD_COMMIT,
  RECORD_START,
  RECORD_TRIM,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import { holdsMessages } from '../../core/records/placed.ts';
import { BACK, COUNT, EPOCH, FLAGS, OFFSET, sequenceOf, TYPE } from '../../core/records/rows.ts';
import type { FilesToRead } from '../files/files.ts';
import { open, settle } from '../files/promises.ts';
import type { Visitor } from '../scan/scan.ts';
import { isThere, type Look, type Looked, lookThrough } from './look.ts';
import {
  type FileProblem,
  type Gap,
  goesOnAt,
  noteProblem,
  problemOf,
  type ToolSegment,
  walkSegments,
} from './segment-walk.ts';

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
  /** Segments that a broker began, compacted or gave back meanwhile: judged as what they became. */
  moved: string[];
  /** What nothing can be said of, as it changed each time it was looked at. */
  unjudged: string[];
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
  /** It was still there when it was looked at again, after what proves it was seen. */
  stands?: boolean;
}

/** What reading a log finds out of it, without what its folder says. */
export type Findings = Omit<VerifyReport, 'leftovers' | 'foreign' | 'moved' | 'unjudged'>;

/** Reads the whole log. Throws what the system says about the directory. */
export async function verifyLog(
  files: FilesToRead,
  codec: RecordScanner,
  progress: (done: number, total: number) => void,
): Promise<VerifyReport> {
  const verifier = new Verifier();
  const look: Look = {
    read: (segment) => verifier.read(files, codec, segment),
    backTo: (base) => verifier.backTo(base),
    pass: (segment) => verifier.pass(segment),
    doubt: () => verifier.doubt(files, codec),
  };
  return verifier.reportOf(await lookThrough(files, look, progress));
}

// What was known before a segment was read.
interface Before {
  base: number;
  reports: number;
  segments: number;
  suspects: number;
  goesOnAt: number;
  epoch: number;
  sequence: number;
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
  readonly #before: Before[] = [];

  /** What is no valid record, so far. */
  get suspects(): readonly Suspect[] {
    return this.#suspects;
  }

  /**
   * Reads one segment; what it visits, `also` visits too. Gives whether the log says that it goes on
   * behind it.
   */
  async read(
    files: FilesToRead,
    codec: RecordScanner,
    segment: ToolSegment,
    also?: Visitor,
  ): Promise<boolean> {
    const { name, base, bytes, problems } = segment;
    this.#save(base);
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
    if (segment.skip) return false;
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
      const end = await walkSegments(files, codec, segment, this.#epoch, visitor, (gap) =>
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
      return end.last;
    } catch (error) {
      problems.push(problemOf(error));
      return false;
    }
  }

  #save(base: number): void {
    this.#before.push({
      base,
      reports: this.#reports.length,
      segments: this.#segments.length,
      suspects: this.#suspects.length,
      goesOnAt: this.#goesOnAt,
      epoch: this.#epoch,
      sequence: this.#sequence,
    });
  }

  /**
   * The segments from there on are read again. What their records proved of others, and what they
   * said to be needed, holds: only what was missing in them may have been on its way.
   */
  backTo(base: number): void {
    const at = this.#before.findIndex((before) => before.base >= base);
    const before = this.#before[at];
    if (before === undefined) return;
    this.#before.splice(at);
    this.#reports.splice(before.reports);
    this.#segments.splice(before.segments);
    this.#suspects.splice(before.suspects);
    this.#goesOnAt = before.goesOnAt;
    this.#epoch = before.epoch;
    this.#sequence = before.sequence;
  }

  /** Counts a segment as there without having read it. */
  pass(segment: ToolSegment): void {
    this.#save(segment.base);
    this.#segments.push(segment);
  }

  /**
   * Looks again at what something behind it proves to have been synced: what was only on its way is
   * there by now. Gives a segment in which something was.
   */
  async doubt(files: FilesToRead, codec: RecordScanner): Promise<ToolSegment | undefined> {
    for (const suspect of this.#suspects) {
      if (!suspect.proved || suspect.stands) continue;
      if (await isGone(files, codec, suspect)) return suspect.segment;
      suspect.stands = true;
    }
    return undefined;
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
    if (!holdsMessages(type) && type !== RECORD_COMMIT && type !== RECORD_START) return;
    const first = sequenceOf(rows, at);
    for (const suspect of this.#suspects) suspect.toSequence ??= first;
    const count = holdsMessages(type) ? rows[at + COUNT]! : 0;
    report.messages += count;
    this.#sequence = first + count;
  }

  // A batch that began here knew that everything before it was synced.
  #prove(segment: ToolSegment, batch: number, epoch: number): void {
    for (const suspect of this.#suspects)
      if (epoch >= suspect.epoch && (suspect.segment !== segment || batch > suspect.offset))
        suspect.proved = true;
  }

  /** The report on what was looked through. */
  reportOf({ leftovers, foreign, moved, unjudged, ended }: Looked): VerifyReport {
    const isWhole = ended && unjudged.length === 0;
    const findings = this.report(isWhole);
    const unsure = isWhole ? [] : this.#missing().map(({ from, to }) => gapText(from, to));
    return { ...findings, leftovers, foreign, moved, unjudged: [...unjudged, ...unsure] };
  }

  /** `isWhole`: all that the log says of what it needs was read. */
  report(isWhole = true): Findings {
    const problems = this.#reports.flatMap((report) => report.problems);
    const unneeded = this.#unneeded();
    const bad = this.#judge(unneeded);
    const missing = isWhole ? this.#missing() : [];
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

// Whether a bad spot is none any more, or its segment is another one.
async function isGone(files: FilesToRead, codec: RecordScanner, spot: Suspect): Promise<boolean> {
  const { segment, offset, batch, epoch } = spot;
  try {
    const { handle } = await open(files, segment.name);
    const at = { stopped: offset, committed: batch };
    try {
      if (await goesOnAt(files, codec, { ...segment, handle }, epoch, at)) return true;
    } finally {
      await settle((done) => files.close(handle, done));
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // It was found before, whatever the disk says now.
    if (code !== 'ENOENT') noteProblem(segment, error);
  }
  return !(await isThere(files, segment));
}

function gapText(from: string, to: string | null): string {
  return `log positions ${from} to ${to ?? 'the end'}`;
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
