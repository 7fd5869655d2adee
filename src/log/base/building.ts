// Builds the log of a node that has none, or none behind which the stream goes on: the segments of
// a base, fetched and checked, and the segment behind them, in which the stream goes on.

import { SEGMENT_DATA_AT, SEGMENT_HEADER_BYTES } from '../../../assembly/layout.ts';
import type { Position } from '../../core/ports/basics.ts';
import { LogError } from '../files/errors.ts';
import type { Files, Handle } from '../files/files.ts';
import { list, settle, write } from '../files/promises.ts';
import { createFirst } from '../recovery/folder.ts';
import { decodeHeader, endOf, type SegmentHeader, segmentName } from '../segments/segment.ts';
import {
  type FindingOptions,
  type Found,
  findPlan,
  hex,
  type Plan,
  stateOf,
  tried,
} from './finding.ts';
import type { BaseSegment, Manifest } from './manifest.ts';

export interface BuildingOptions extends FindingOptions {
  /** Of an empty folder; after a failure it holds nothing that is of use. */
  into: Files;
  /** As many zeros as are written at a time. */
  zeros: Uint8Array;
  wallMs: () => number;
  progress?: (progress: BuildProgress) => void;
}

export interface BuildProgress {
  segments: number;
  totalSegments: number;
  bytes: number;
  totalBytes: number;
}

const SYNC_BYTES = 4 * 1024 * 1024;
/** How many bases in a row may be replaced while they are fetched. */
const ROUNDS = 10;

/**
 * Builds a log, synced with its names when the promise settles; undefined: there is nothing to
 * build of, and the stream is read from its first message. Rejects with LogError: `other` if the base is
 * of another log or another layout, `version` if a later release made it, `damaged` if it is not
 * what was put, `missing` if it is not all there, time and again; or what store, stream or system
 * said last.
 */
export async function buildLog(options: BuildingOptions): Promise<Found | undefined> {
  const whole = new Set<string>();
  return await tried(options, async () => {
    const plan = await fetched(options, whole);
    if (plan === undefined) return undefined;
    const { logId, end, place, manifest } = plan;
    const segments = manifest?.segments ?? [];
    const last = segments.at(-1);
    const isWithin = last !== undefined && end < last.base + last.bytes;
    if (!isWithin) await beginAt(options, plan, segments[0]?.base);
    await settle((done) => options.into.syncDirectory(done));
    return { logId, end, place };
  });
}

// It takes long, and the stream may have been purged up to a newer base by then: of that one only
// what is new is fetched, where otherwise all would be built, set aside and built again.
async function fetched(options: BuildingOptions, whole: Set<string>): Promise<Plan | undefined> {
  for (let round = 1; ; round++) {
    const plan = await findPlan(options);
    if (plan === undefined) return undefined;
    await removeOthers(options.into, whole, plan.manifest?.segments ?? []);
    await fetchAll(options, plan.manifest, whole);
    const { first } = await stateOf(options.stream);
    if (first <= plan.place.sequence + 1 || round === ROUNDS) return plan;
  }
}

async function removeOthers(
  files: Files,
  whole: Set<string>,
  segments: readonly BaseSegment[],
): Promise<void> {
  const kept = new Map(segments.map(({ base, object }) => [segmentName(base), object]));
  for (const name of await list(files)) {
    const object = kept.get(name);
    if (object !== undefined && whole.has(object)) continue;
    await settle((done) => files.remove(name, done));
  }
  for (const object of whole) if (![...kept.values()].includes(object)) whole.delete(object);
}

async function fetchAll(
  options: BuildingOptions,
  manifest: Manifest | undefined,
  whole: Set<string>,
): Promise<void> {
  const segments = manifest?.segments ?? [];
  const totalBytes = segments.reduce((sum, { objectBytes }) => sum + objectBytes, 0);
  let bytes = 0;
  let end: Position | undefined;
  for (const [at, segment] of segments.entries()) {
    const tell = (more: number) => {
      bytes += more;
      options.progress?.({ segments: at, totalSegments: segments.length, bytes, totalBytes });
    };
    if (whole.has(segment.object)) tell(segment.objectBytes);
    else end = endOf(await fetchOne(options, manifest!, segment, end, tell));
    whole.add(segment.object);
  }
}

async function fetchOne(
  options: BuildingOptions,
  manifest: Manifest,
  segment: BaseSegment,
  behind: Position | undefined,
  tell: (bytes: number) => void,
): Promise<SegmentHeader> {
  const { into, objects, zeros } = options;
  const { base, bytes, object, objectBytes } = segment;
  const name = segmentName(base);
  const handle = await create(into, name);
  try {
    const head = new Uint8Array(SEGMENT_HEADER_BYTES);
    let at = 0;
    let unsynced = 0;
    const got = await objects!.get(object, async (piece) => {
      if (at + piece.length > objectBytes) throw changed(object, 'it is longer');
      if (at < head.length) head.set(piece.subarray(0, head.length - at), at);
      await write(into, handle, piece, at);
      at += piece.length;
      unsynced += piece.length;
      if (unsynced >= SYNC_BYTES) {
        await settle((done) => into.sync(handle, done));
        unsynced = 0;
      }
      tell(piece.length);
    });
    if (got === undefined) throw new LogError('missing', `${object}, of the base, is not there`);
    if (at < objectBytes) throw changed(object, 'it is shorter');
    if (got.digest !== segment.digest) throw changed(object, 'it has another digest');
    for (; at < bytes; at += zeros.length)
      await write(into, handle, zeros.subarray(0, Math.min(zeros.length, bytes - at)), at);
    await settle((done) => into.sync(handle, done));
    return judged(decodeHeader(head, object), manifest, segment, behind);
  } finally {
    await settle((done) => into.close(handle, done)).catch(() => {});
  }
}

function changed(object: string, how: string): LogError {
  return new LogError('damaged', `${object} is not what the base was made of: ${how}`);
}

function judged(
  header: SegmentHeader,
  { logId }: Manifest,
  { base, bytes, object }: BaseSegment,
  behind: Position | undefined,
): SegmentHeader {
  if (header.logId !== logId) throw changed(object, `it is of log ${hex(header.logId)}`);
  if (header.base !== base || header.bytes !== bytes)
    throw changed(object, 'it is another segment');
  if (behind !== undefined && base !== behind)
    throw changed(object, `the segment before it ends at ${behind}`);
  return header;
}

// The segment that the stream goes on in. It says that all before the oldest one is not needed, as
// what says so in the log may come only with the stream.
async function beginAt(
  options: BuildingOptions,
  { logId, end, place }: Plan,
  start: Position | undefined,
): Promise<void> {
  const { into, zeros, segmentBytes, wallMs } = options;
  const base = end - SEGMENT_DATA_AT;
  const newStart = { base, epoch: place.epoch, start: start ?? base };
  const of = { files: into, codec: { zeros }, segmentBytes, newLogId: logId, wallMs };
  await createFirst({ ...of, newStart, isCopy: true });
}

function create(files: Files, name: string): Promise<Handle> {
  return new Promise((resolve, reject) =>
    files.open(name, true, (failure, handle) =>
      failure === undefined ? resolve(handle) : reject(failure),
    ),
  );
}
