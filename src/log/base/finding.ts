// Where in the stream a node goes on, and of what its log is to be built, if it has none of its
// own: of the newest base; or, where the stream begins behind all bases, as the log was trimmed up
// to there, of nothing but what the stream holds.
//
//   the stream begins                     a base ends there or behind     the log is built
//   with its first message                no                              of all of the stream
//   later, trimmed up to there            no                              of what it holds
//   anywhere                              yes                             of that base, and on
//
// Streams are trimmed where a segment of the log begins: one that begins in the middle of one has
// lost what nobody can tell, and nothing is built of it.
//
// Where the stream begins is asked before bases are looked for: it is purged up to a base only once
// that one can be found.

import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import { STREAM_PART, STREAM_START } from '../../../assembly/layout-cluster.ts';
import type { Place } from '../../core/cluster/counting.ts';
import { logIdOf, readEnvelope } from '../../core/cluster/envelope.ts';
import type { Position } from '../../core/ports/basics.ts';
import type { ReplicatedStream, StreamMessage, StreamState } from '../../core/ports/stream.ts';
import { LogError } from '../files/errors.ts';
import { decodeManifest, type Manifest, manifestsIn, streamTag } from './manifest.ts';
import { getWhole, type ObjectStore } from './objects.ts';

export interface FindingOptions {
  /** Undefined: there are none, as no base was ever made. */
  objects: ObjectStore | undefined;
  stream: Pick<ReplicatedStream, 'state' | 'read'>;
  /** Its name. */
  streamName: string;
  /** Of the log that is wanted; undefined: whatever is there. */
  logId?: bigint | undefined;
  segmentBytes: number;
  crc32c: (bytes: Uint8Array) => number;
  /** Waits a little before something is tried again. */
  rest: () => Promise<void>;
}

/** Where a node goes on in the stream, and at which position of the log. */
export interface Found {
  logId: bigint;
  end: Position;
  place: Place;
}

/** What a log is built of. */
export interface Plan extends Found {
  manifest: Manifest | undefined;
}

/** How often in a row it may fail before it is given up. */
const TRIES = 5;

/**
 * Where a log goes on that has no place of its own in the stream, by the newest base or the
 * beginning of the stream; undefined if that is its first message. Rejects as
 * `buildLog` does.
 */
export async function findPlace(options: FindingOptions): Promise<Found | undefined> {
  return await tried(options, async () => {
    const plan = await findPlan(options);
    if (plan === undefined) return undefined;
    const { logId, end, place } = plan;
    return { logId, end, place };
  });
}

/** Again, a few times: what is gone may be of a base that has been replaced meanwhile. */
export async function tried<T>(options: FindingOptions, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const code = error instanceof LogError ? error.code : undefined;
      if (code === 'other' || code === 'version' || attempt === TRIES) throw error;
      await options.rest();
    }
  }
}

/** Undefined: the stream is read from its first message. */
export async function findPlan(options: FindingOptions): Promise<Plan | undefined> {
  const state = await stateOf(options.stream);
  const manifest = await newest(options, state.created);
  if (manifest !== undefined) refuseOther(options, manifest);
  if (manifest !== undefined && manifest.sequence >= state.first)
    return { ...(await endOfBase(options, manifest, state)), manifest };
  if (state.first === 1) return undefined;
  return { ...(await startOfStream(options, state, manifest)), manifest: undefined };
}

async function newest(options: FindingOptions, created: string): Promise<Manifest | undefined> {
  const { objects, crc32c } = options;
  if (objects === undefined) return undefined;
  const { names } = await objects.held();
  const all = manifestsIn(names, streamTag({ created }, crc32c));
  const found = all.find(({ kind }) => kind === 'manifest');
  if (found === undefined) return undefined;
  const bytes = await getWhole(objects, found.name);
  if (bytes === undefined) throw new LogError('missing', `${found.name} is gone`);
  const manifest = decodeManifest(bytes, found.name);
  const { epoch, number, sequence } = manifest;
  const isOne = epoch === found.epoch && number === found.number && sequence === found.sequence;
  if (!isOne || manifest.created !== created)
    throw new LogError('damaged', `${found.name} holds the manifest of another base`);
  return manifest;
}

function refuseOther(options: FindingOptions, manifest: Manifest): void {
  const { streamName, logId, segmentBytes } = options;
  if (manifest.stream !== streamName)
    throw new LogError('other', `the base is of stream ${manifest.stream}, not ${streamName}`);
  if (logId !== undefined && manifest.logId !== logId)
    throw new LogError('other', `the base is of log ${hex(manifest.logId)}, not ${hex(logId)}`);
  if (manifest.segmentBytes !== segmentBytes)
    throw new LogError(
      'other',
      `the base has segments of ${manifest.segmentBytes} bytes, this node of ${segmentBytes}: the size follows from --memory. Set all nodes alike`,
    );
}

/** A LOG_ID as people read it. */
export const hex = (logId: bigint): string => logId.toString(16).padStart(16, '0');

// The message that goes on there says who wrote it. There may be none yet, where the base is all
// that there is of the log.
async function endOfBase(
  options: FindingOptions,
  manifest: Manifest,
  { last }: StreamState,
): Promise<Found> {
  const { logId, end, sequence, lastEpoch } = manifest;
  if (lastEpoch !== undefined) {
    const serial = undefined;
    return { logId, end, place: { sequence: sequence - 1, epoch: lastEpoch, end, serial } };
  }
  if (sequence > last)
    throw new LogError('damaged', `the stream ends at ${last}, the base goes on at ${sequence}`);
  const place = placeBefore(options, await messageAt(options, sequence), logId);
  if (place.end !== end)
    throw new LogError(
      'damaged',
      `message ${sequence} of the stream goes on at log position ${place.end}, the base ends at ${end}`,
    );
  return { logId, end, place };
}

async function startOfStream(
  options: FindingOptions,
  { first }: StreamState,
  before: Manifest | undefined,
): Promise<Found> {
  const message = await messageAt(options, first);
  const logId = logIdOf(message.bytes, options.crc32c);
  if (logId === undefined)
    throw new LogError(
      'damaged',
      `message ${first}, with which the stream begins, is none of a log`,
    );
  if (options.logId !== undefined && options.logId !== logId)
    throw new LogError('other', `the stream is of log ${hex(logId)}, not ${hex(options.logId)}`);
  const place = placeBefore(options, message, logId);
  if ((place.end - SEGMENT_DATA_AT - segmentBehind(before)) % options.segmentBytes !== 0)
    throw new LogError(
      'damaged',
      `message ${first}, with which the stream begins, is in the middle of a segment, at log position ${place.end}: no owner of the log has purged it, and what is gone may be needed`,
    );
  return { logId, end: place.end, place };
}

// Base of a segment from where on all have the same size: of the first one behind a base.
function segmentBehind(before: Manifest | undefined): Position {
  if (before === undefined) return 0;
  const { base, bytes } = before.segments.at(-1)!;
  return Math.max(base + bytes, before.end - SEGMENT_DATA_AT);
}

// Streams are purged up to a message that begins a batch.
function placeBefore(
  { crc32c }: FindingOptions,
  { sequence, bytes }: StreamMessage,
  logId: bigint,
): Place {
  const envelope = readEnvelope(bytes, logId, crc32c);
  if (typeof envelope === 'string')
    throw new LogError(
      envelope === 'version' ? 'version' : 'damaged',
      `message ${sequence}, with which the stream goes on, cannot be read (${envelope})`,
    );
  const { kind, offset, epoch, position } = envelope;
  if ((kind !== STREAM_START && kind !== STREAM_PART) || offset !== 0)
    throw new LogError('damaged', `message ${sequence} of the stream begins no batch`);
  const before = kind === STREAM_START ? epoch - 1 : epoch;
  return { sequence: sequence - 1, epoch: before, end: position, serial: undefined };
}

async function messageAt({ stream }: FindingOptions, sequence: number): Promise<StreamMessage> {
  const message = await messageIn(stream, sequence);
  if (message !== undefined) return message;
  throw new LogError('missing', `message ${sequence} of the stream is not there`);
}

/** A message with bytes of its own; undefined: it is not there, or not yet seen. */
export function messageIn(
  stream: Pick<ReplicatedStream, 'read'>,
  sequence: number,
): Promise<StreamMessage | undefined> {
  return new Promise((resolve, reject) =>
    stream.read(sequence, (failure, found) => {
      if (failure !== undefined) reject(failure);
      else resolve(found && { sequence: found.sequence, bytes: found.bytes.slice() });
    }),
  );
}

/** Rejects with what the stream says. */
export function stateOf(stream: Pick<ReplicatedStream, 'state'>): Promise<StreamState> {
  return new Promise((resolve, reject) =>
    stream.state((failure, state) => (state === undefined ? reject(failure) : resolve(state))),
  );
}
