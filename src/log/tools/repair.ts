// Saves from a damaged log what can be read, into a new log that a broker starts on. The old one is
// only read: it stays the evidence, and what a better copy of the disk may still complete.
//
//   survey    every valid record on both sides of every bad spot: what is settled, where it ends
//   rewrite   the messages that are left, in their order, with their sequences and attempts
//   verify    the new log is read back and counted before anybody relies on it
//
// The new log is the old one, going on at a later position in a later epoch, with nothing before it
// needed. So an old segment that is put into its folder is no part of it, and no byte of it counts.

import { SEGMENT_HEADER_BYTES } from '../../../assembly/layout.ts';
import type { SequenceSet } from '../../core/collections/sequence-set.ts';
import type { Codec, RecordScanner } from '../../core/ports/codec.ts';
import { LogError } from '../files/errors.ts';
import type { Files, FilesToRead } from '../files/files.ts';
import { settle } from '../files/promises.ts';
import { readFully } from '../scan/scan.ts';
import { headerMatches } from '../segments/segment.ts';
import { countOf, LivePass, type LiveRun, payloadOf } from './live-pass.ts';
import { Rewriter, segmentBytesFor } from './rewrite.ts';
import { openForTools, type ToolSegment } from './segment-walk.ts';
import { type OpenBatch, Survey } from './survey.ts';
import { TolerantFiles } from './tolerant-files.ts';
import { type Suspect, type VerifyReport, verifyLog } from './verify.ts';

/** Sequences from (inclusive) to (exclusive); null where nobody knows. */
export interface SequenceRange {
  fromSequence: string | null;
  toSequence: string | null;
  /** How many of them no mark settles; null without both ends. */
  unsettled: number | null;
}

/** Bytes that were acked, or may have been, and cannot be read any more. */
export interface LostBytes extends SequenceRange {
  segment: string;
  /** From the start of the file, in bytes. */
  offset: number;
  bytes: number;
  position: string;
}

/** Log positions that no file holds: from (inclusive) to (exclusive, null to the log's end). */
export interface LostSegments extends SequenceRange {
  from: string;
  to: string | null;
}

/** A batch without its commit record. */
export interface DoubtfulBatch {
  segment: string;
  offset: number;
  position: string;
  fromSequence: string;
  toSequence: string;
  /** Messages of it that were saved; of a torn batch: that were left out. */
  messages: number;
}

export interface RepairReport {
  /** As `log verify` says it of the old log. */
  verdict: VerifyReport['verdict'];
  saved: { messages: number; bytes: number };
  /** Messages that are there but done with: acked by a consumer, or given up. */
  settled: number;
  /** Saved, although whether they were ever acked is not known: perhaps published again since. */
  doubtful: DoubtfulBatch[];
  /** The batch that the log ended in, never acked: left out. */
  torn: DoubtfulBatch | null;
  lost: LostBytes[];
  missing: LostSegments[];
  /** What the disk does not give back; the records in it are among the lost. */
  unreadable: { segment: string; offset: number; bytes: number }[];
  /** What is wrong with files as a whole, and what was done about it. */
  problems: { segment: string; text: string }[];
  unneeded: string[];
  leftovers: string[];
  foreign: string[];
  /** The new log; null if none was written. */
  written: {
    logId: string;
    position: string;
    segmentBytes: number;
    segments: number;
    nextSequence: string;
  } | null;
}

/** Where the new log goes. */
export interface RepairTarget {
  /** An empty folder. */
  files: Files;
  /** Not the one that the old log is read with. */
  codec: Codec;
  /** For the log if no header says its id. */
  newLogId: bigint;
  wallMs: () => number;
}

interface Old {
  files: TolerantFiles;
  codec: RecordScanner;
  segments: ToolSegment[];
  survey: Survey;
  report: RepairReport;
  logId: bigint | undefined;
}

/**
 * Reads the old log and, with a target, writes the new one, which is complete and synced when the
 * promise settles. Throws LogError `version` if another release wrote some of it, `io` if a file
 * cannot be read for another reason than the disk's or the new log not be written, `missing` if
 * there is nothing to save; or what the system says.
 */
export async function repairLog(
  from: FilesToRead,
  codec: RecordScanner,
  target: RepairTarget | undefined,
  progress: (done: number, total: number) => void,
): Promise<RepairReport> {
  const old = await surveyOld(from, codec, progress);
  const { report, segments } = old;
  const rewriter = target === undefined ? undefined : await begin(old, target);
  try {
    await copy(old, rewriter, progress);
  } finally {
    for (const { handle } of segments) await settle((done) => old.files.close(handle, done));
  }
  if (rewriter === undefined || target === undefined) return report;
  await rewriter.finish(old.survey.nextSequence);
  report.written!.segments = rewriter.segments;
  const check = await verifyLog(target.files, target.codec, () => {});
  const read = check.verdict === 'clean' && !check.unreadable && !check.unknownVersion;
  if (!read || check.messages !== report.saved.messages)
    throw new LogError(
      'io',
      `the new log does not read back as it was written: ${read ? '' : 'not all of it can be read, '}${check.messages} of ${report.saved.messages} messages are there. Do not use it; check the disk it is on`,
    );
  return report;
}

async function surveyOld(
  from: FilesToRead,
  codec: RecordScanner,
  progress: (done: number, total: number) => void,
): Promise<Old> {
  const files = new TolerantFiles(from);
  const { segments, logId, leftovers, foreign } = await openForTools(files);
  if (segments.length === 0) throw new LogError('missing', 'there is no segment to save from');
  refuseUnopened(segments);
  for (const segment of segments) await reconsider(files, segments, segment, logId);
  segments.sort((a, b) => a.base - b.base);
  const survey = new Survey();
  for (const [at, segment] of segments.entries()) {
    await survey.read(files, codec, segment);
    progress(at + 1, 2 * segments.length);
  }
  const verified = survey.finish();
  refuseUnread(segments, verified);
  if (verified.records === 0)
    throw new LogError('missing', 'no record of this log can be read: there is nothing to save');
  const report: RepairReport = {
    verdict: verified.verdict,
    saved: { messages: 0, bytes: 0 },
    settled: 0,
    doubtful: [],
    torn: survey.torn === undefined ? null : doubtOf(survey.torn, survey.torn.messages),
    lost: survey.lost().map((suspect) => lostBytes(suspect, survey.settled)),
    missing: verified.missing.map((range) => lostSegments(range, survey)),
    unreadable: [],
    problems: [],
    unneeded: verified.unneeded,
    leftovers,
    foreign,
    written: null,
  };
  return { files, codec, segments, survey, report, logId };
}

// Only what the disk itself does not give back is given up; anything else a person can put right.
function refuseUnopened(segments: ToolSegment[]): void {
  for (const { handle, name, problems } of segments)
    if (handle < 0)
      throw new LogError(
        'io',
        `${name} cannot be opened: ${problems[0]!.text}. Nothing was written. Make it readable, or move it out of the folder if it is no part of the log, and run this again`,
      );
}

// Settles what a person would: a segment under another name is one all the same, and a version
// that a bad sector made up is none.
async function reconsider(
  files: FilesToRead,
  segments: ToolSegment[],
  segment: ToolSegment,
  logId: bigint | undefined,
): Promise<void> {
  const { name, header, problems } = segment;
  const version = problems.find(({ code }) => code === 'version');
  if (version !== undefined) {
    const head = new Uint8Array(SEGMENT_HEADER_BYTES);
    const got = await readFully(files, segment.handle, head, 0);
    if (headerMatches(head.subarray(0, got))) throw new LogError('version', version.text);
    segment.skip = false;
  }
  if (header === undefined || header.logId !== logId || header.base === segment.base) return;
  const twin = segments.find(({ base }) => base === header.base);
  if (twin !== undefined) {
    const text = `is another copy of ${twin.name}, which was read instead`;
    problems.push({ code: 'damaged', text });
    return;
  }
  segment.base = header.base;
  segment.skip = false;
  problems.push({ code: 'damaged', text: `${name} was read as the segment it is` });
}

function refuseUnread(segments: ToolSegment[], verified: Pick<VerifyReport, 'segments'>): void {
  for (const [at, { name, problems }] of segments.entries()) {
    const io = problems.find(({ code }) => code === 'io');
    if (io !== undefined)
      throw new LogError('io', `${name} cannot be read: ${io.text}. Nothing was written`);
    const version = problems.find(({ code }) => code === 'version');
    if (version !== undefined && verified.segments[at]!.records === 0)
      throw new LogError(
        'version',
        `${version.text}. If no other release ever wrote here, its header is damaged and nothing in it can be read: move the file out of the folder and run this again`,
      );
  }
}

function doubtOf({ segment, position, ...batch }: OpenBatch, messages: number): DoubtfulBatch {
  return {
    segment: segment.name,
    offset: position - segment.base,
    position: String(position),
    fromSequence: String(batch.fromSequence),
    toSequence: String(batch.toSequence),
    messages,
  };
}

function lostBytes(suspect: Suspect, settled: SequenceSet): LostBytes {
  const { segment, offset, end, fromSequence, toSequence } = suspect;
  return {
    segment: segment.name,
    offset,
    bytes: end - offset,
    position: String(segment.base + offset),
    ...rangeOf(fromSequence, toSequence, settled),
  };
}

function lostSegments({ from, to }: VerifyReport['missing'][0], survey: Survey): LostSegments {
  let before: number | undefined;
  let behind: number | undefined;
  for (const [{ base }, sequences] of survey.sequences) {
    if (base < Number(from)) before = Math.max(before ?? 0, sequences.to);
    if (to !== null && base >= Number(to)) behind ??= sequences.from;
  }
  return { from, to, ...rangeOf(before, behind, survey.settled) };
}

// Counting takes a moment for each of them; a log that claims more is not counted.
const COUNTED_MAX = 2 ** 30;

function rangeOf(
  from: number | undefined,
  to: number | undefined,
  settled: SequenceSet,
): SequenceRange {
  let unsettled: number | null = null;
  if (from !== undefined && to !== undefined && to - from <= COUNTED_MAX) {
    unsettled = 0;
    for (let sequence = from; sequence < to; sequence++) if (!settled.has(sequence)) unsettled++;
  }
  return {
    fromSequence: from === undefined ? null : String(from),
    toSequence: to === undefined ? null : String(to),
    unsettled,
  };
}

async function begin(old: Old, target: RepairTarget): Promise<Rewriter> {
  const { segments, survey, report } = old;
  const { files, codec, wallMs } = target;
  const read = segments.filter(({ skip }) => !skip);
  const sizes = read.flatMap(({ header }) => header?.bytes ?? []);
  const found = Math.max(0, ...(sizes.length > 0 ? sizes : read.map(({ bytes }) => bytes)));
  const segmentBytes = segmentBytesFor(found, survey.bodyBytesMax);
  // Beyond all that is known of the old log, with a gap between them.
  const known = read.filter((one) => one.header !== undefined || survey.sequences.has(one));
  const end = Math.max(survey.start, ...known.map(({ base, bytes }) => base + bytes));
  const base = (Math.ceil(end / segmentBytes) + 1) * segmentBytes;
  const epoch = Math.max(survey.lastEpoch, ...read.map(({ header }) => header?.epoch ?? 0));
  const logId = old.logId ?? target.newLogId;
  const { bodyBytesMax } = survey;
  report.written = {
    logId: logId.toString(16).padStart(16, '0'),
    position: String(base),
    segmentBytes,
    segments: 1,
    nextSequence: String(survey.nextSequence),
  };
  return Rewriter.create({ files, codec, logId, base, segmentBytes, epoch, bodyBytesMax, wallMs });
}

async function copy(
  { files, codec, segments, survey, report }: Old,
  rewriter: Rewriter | undefined,
  progress: (done: number, total: number) => void,
): Promise<void> {
  const pass = new LivePass(survey);
  const doubtful = new Map<OpenBatch, number>();
  const runs: LiveRun[] = [];
  let epoch = 0;
  const take = (run: LiveRun) => {
    runs.push(run);
    report.saved.messages += countOf(run);
    report.saved.bytes += payloadOf(run);
    const batch = survey.doubtful.get(run.batch);
    if (batch !== undefined) doubtful.set(batch, (doubtful.get(batch) ?? 0) + countOf(run));
  };
  const write = async () => {
    for (const run of runs.splice(0)) await rewriter?.write(run);
    for (const ids of pass.ids()) await rewriter?.ids(ids);
  };
  for (const [at, segment] of segments.entries()) {
    if (!segment.skip) epoch = await pass.read(files, codec, segment, epoch, take, write);
    progress(segments.length + at + 1, 2 * segments.length);
  }
  for (const deferral of pass.deferrals()) rewriter?.defer(deferral);
  report.settled = pass.settled;
  report.doubtful = [...doubtful].map(([batch, messages]) => doubtOf(batch, messages));
  for (const { name: segment, offset, bytes } of files.unreadable)
    report.unreadable.push({ segment, offset, bytes });
  for (const { name, problems } of segments)
    for (const { text } of problems) report.problems.push({ segment: name, text });
  report.problems.push(...pass.impossible);
}
