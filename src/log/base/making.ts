// Makes a base of a log at work: its complete segments, pinned as they are at one moment, so that
// compaction and trims go on beside it. The order of steps is what keeps every message:
//
//   1  segments that are not there yet, each whole before the next
//   2  an intent: the manifest, under a name that nobody builds from
//   3  no other owner's intent goes further in the stream
//   4  a message says so in the stream: it counts only for who owns the log, and all before it
//   5  the manifest, under its name: from now on nodes build from it
//   6  the stream goes, up to the message where the base ends
//   7  objects of this life and earlier ones that the manifest does not name, whole or not
//
// Whatever stops between two steps, there is a manifest, or none, and a stream that goes on where
// it ends. An owner that was replaced meanwhile does no harm: either the next one finds its intent
// (3), and makes none that ends earlier, or the message of 4 comes behind that one's start, and
// does not count. What it removes is of its own life or earlier ones; no object is ever taken over.
// A put of an earlier life may go on while its pieces are removed (7): what comes of it is broken,
// and nobody builds of it, as there is a manifest of a later life by then.

import { SEGMENT_DATA_AT, SEGMENT_HEADER_BYTES } from '../../../assembly/layout.ts';
import type { Position } from '../../core/ports/basics.ts';
import type { Cut, Pinned } from '../backup.ts';
import { baseOf, identityOf } from '../segments/segment.ts';
import {
  type BaseIdentity,
  type BaseSegment,
  encodeManifest,
  epochIn,
  type Manifest,
  manifestObject,
  manifestsIn,
  segmentObject,
  streamTag,
} from './manifest.ts';
import { type ObjectStore, putWhole, type StoredObject } from './objects.ts';

export interface MakingOptions extends BaseIdentity {
  objects: ObjectStore;
  /** Of the log; all of it is let go in the end. */
  cut: Cut;
  /** Where the base ends, which is the first batch of a segment, and in which message it begins. */
  end: { position: Position; sequence: number };
  /** Of a log that stands still, and ends there, all of it: who wrote the last batch. */
  all?: { lastEpoch: number };
  epoch: number;
  /** Of this base in this life: counted from 1, and another one for each attempt. */
  number: number;
  /** What this life has put so far, by name; what is put now comes to it. */
  put: Map<string, StoredObject>;
  crc32c: (bytes: Uint8Array) => number;
  /** Settles when a message with this JSON counts; rejects when this life is over. */
  tell: (json: Uint8Array) => Promise<void>;
  /** Settles when the stream is gone up to where the base ends. */
  purge: () => Promise<void>;
  /** Nothing more is begun once it gives true. */
  isOver: () => boolean;
}

/** What a base consists of, for whoever shows it. */
export interface MadeBase {
  end: Position;
  sequence: number;
  segments: number;
  /** Of its objects, and of those put just now. */
  bytes: number;
  putBytes: number;
}

/** So often it is looked whether the own intent is seen: a server may be behind. */
const LOOKS = 5;

/**
 * Gives undefined if there is no complete segment before that end. Rejects if a step failed, or was
 * not begun because it is over; then it may be tried again, as another one.
 */
export async function makeBase(options: MakingOptions): Promise<MadeBase | undefined> {
  const { objects, cut, end, put } = options;
  try {
    const whole = options.all !== undefined;
    const pinned = whole ? cut.pinned : completeBefore(cut, end.position - SEGMENT_DATA_AT);
    if (pinned.length === 0) return undefined;
    const before = new Set(put.keys());
    const segments: BaseSegment[] = [];
    for (const each of pinned) segments.push(await putSegment(options, each));
    const bytes = encodeManifest(manifestOf(options, segments));
    const name = namer(options);
    await step(options, () => putWhole(objects, name('intent'), bytes));
    await refuseOlder(options, name('intent'));
    await step(options, () => options.tell(messageOf(options, name('manifest'), bytes)));
    await step(options, () => putWhole(objects, name('manifest'), bytes));
    await step(options, options.purge);
    await clean(options, new Set([name('manifest'), ...segments.map(({ object }) => object)]));
    const fresh = segments.filter(({ object }) => !before.has(object));
    return {
      end: end.position,
      sequence: end.sequence,
      segments: segments.length,
      bytes: sum(segments),
      putBytes: sum(fresh),
    };
  } finally {
    for (const segment of cut.pinned) segment.release();
  }
}

const sum = (segments: BaseSegment[]): number =>
  segments.reduce((bytes, { objectBytes }) => bytes + objectBytes, 0);

async function step<T>({ isOver }: MakingOptions, call: () => Promise<T>): Promise<T> {
  if (isOver()) throw new Error('this node owns the log no more, or is about to stop');
  return await call();
}

function namer({ epoch, number, end, ...others }: MakingOptions) {
  const stream = streamTag(others, others.crc32c);
  const { sequence } = end;
  return (kind: 'intent' | 'manifest') => manifestObject({ kind, stream, epoch, number, sequence });
}

function completeBefore({ pinned }: Cut, base: Position): Pinned[] {
  const complete = pinned.filter((each) => baseOf(each.name)! < base);
  const odd = complete.find(({ upTo, bytes }) => upTo !== bytes);
  if (odd !== undefined) throw new Error(`${odd.name} is written to still`);
  if (!pinned.some((each) => baseOf(each.name) === base))
    throw new Error(`no segment begins at ${base} any more`);
  return complete;
}

function manifestOf(options: MakingOptions, segments: BaseSegment[]): Manifest {
  const { stream, created, logId, segmentBytes, epoch, number, end, all } = options;
  const { position, sequence } = end;
  const identity = { stream, created, logId, segmentBytes };
  return { ...identity, epoch, number, end: position, sequence, ...all, segments };
}

async function putSegment(options: MakingOptions, pinned: Pinned): Promise<BaseSegment> {
  const { objects, put, cut, epoch, crc32c } = options;
  const base = baseOf(pinned.name)!;
  const head = new Uint8Array(SEGMENT_HEADER_BYTES);
  await step(options, () => pinned.read(head, 0));
  const object = segmentObject(streamTag(options, crc32c), epoch, base, identityOf(head));
  let stored = put.get(object);
  if (stored === undefined) {
    stored = await step(options, () => objects.put(object, piecesOf(options, pinned, cut)));
    if (stored.bytes !== pinned.upTo)
      throw new Error(`${object} has ${stored.bytes} bytes, not the ${pinned.upTo} of its segment`);
    put.set(object, stored);
  }
  pinned.release();
  const { digest, bytes } = stored;
  return { base, bytes: pinned.bytes, object, digest, objectBytes: bytes };
}

async function* piecesOf(
  options: MakingOptions,
  pinned: Pinned,
  { piece, turn }: Cut,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < pinned.upTo; ) {
    const part = new Uint8Array(Math.min(piece(), pinned.upTo - at));
    await step(options, () => pinned.read(part, at));
    yield part;
    at += part.length;
    await turn();
  }
}

// What was stored before the own intent is seen with it. Whoever stores one behind it tells of it
// behind this owner's start, where it does not count.
async function refuseOlder(options: MakingOptions, own: string): Promise<void> {
  const { objects, epoch, end, crc32c } = options;
  for (let look = 0; look < LOOKS; look++) {
    const { names } = await step(options, () => objects.held());
    if (!names.includes(own)) continue;
    const further = manifestsIn(names, streamTag(options, crc32c)).find(
      (each) => each.epoch < epoch && each.sequence > end.sequence,
    );
    if (further === undefined) return;
    throw new Error(`an earlier owner's base ends behind message ${end.sequence}`);
  }
  throw new Error('what was put among the objects of the base is not found there');
}

function messageOf({ end, crc32c }: MakingOptions, manifest: string, bytes: Uint8Array) {
  const { position, sequence } = end;
  const said = { manifest, bytes: bytes.length, crc32c: crc32c(bytes), end: position, sequence };
  return new TextEncoder().encode(JSON.stringify(said));
}

// What is left behind goes with the next base.
async function clean(options: MakingOptions, named: ReadonlySet<string>): Promise<void> {
  const { objects, put, epoch, crc32c } = options;
  const stream = streamTag(options, crc32c);
  for (const name of put.keys()) if (!named.has(name)) put.delete(name);
  const { names, unfinished } = await step(options, () => objects.held());
  for (const name of [...names, ...unfinished]) {
    const of = epochIn(name, stream);
    if (of === undefined || of > epoch || named.has(name)) continue;
    await step(options, () => objects.remove(name));
  }
}
