// What a base consists of, as JSON, and how its objects are named. Names say which stream, made at
// which time, and which life of an owner they are of: no two owners ever put the same object, so
// what a late one puts or removes is its own.
//
//   segment-<stream>-<epoch>-<base>-<crc of its header>   a file; one that has not changed since
//                                                         has the same name
//   intent-<stream>-<epoch>-<number>-<sequence>           a manifest that may come to count
//   manifest-<stream>-<epoch>-<number>-<sequence>         one that counts: the last of them

import type { Position } from '../../core/ports/basics.ts';
import { LogError } from '../files/errors.ts';

export const MANIFEST_FORMAT = 1;

/** The cluster's log, as a base says whose it is. */
export interface BaseIdentity {
  /** Name of the stream. */
  readonly stream: string;
  /** When that was made, as its servers say it. */
  readonly created: string;
  readonly logId: bigint;
  /** Of a segment that is begun. */
  readonly segmentBytes: number;
}

export interface BaseSegment {
  readonly base: Position;
  /** Of the file; what the object has not of it is zeros. */
  readonly bytes: number;
  readonly object: string;
  readonly digest: string;
  readonly objectBytes: number;
}

export interface Manifest extends BaseIdentity {
  /** Which life of which owner made it, and which of that one's it is. */
  readonly epoch: number;
  readonly number: number;
  /** Where the log goes on: behind the last batch of its segments. */
  readonly end: Position;
  /** The message of the stream that goes on there. */
  readonly sequence: number;
  /** Of the last batch before that; where it is not said, the message itself tells. */
  readonly lastEpoch?: number;
  /** Oldest first, without a gap. */
  readonly segments: readonly BaseSegment[];
}

/** Which manifest a name is of; the later, the higher. */
export interface ManifestName {
  readonly name: string;
  readonly kind: 'intent' | 'manifest';
  readonly stream: string;
  readonly epoch: number;
  readonly number: number;
  readonly sequence: number;
}

type Checksum = (bytes: Uint8Array) => number;

const digits = (value: number, count: number): string => String(value).padStart(count, '0');
const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');

/** Tells a stream from another one of that name, in eight characters. */
export function streamTag({ created }: Pick<BaseIdentity, 'created'>, crc32c: Checksum): string {
  return hex(crc32c(new TextEncoder().encode(created)));
}

export function segmentObject(
  stream: string,
  epoch: number,
  base: Position,
  identity: number,
): string {
  return `segment-${stream}-${digits(epoch, 10)}-${digits(base, 20)}-${hex(identity)}`;
}

export function manifestObject({
  kind,
  stream,
  epoch,
  number,
  sequence,
}: Omit<ManifestName, 'name'>) {
  return `${kind}-${stream}-${digits(epoch, 10)}-${digits(number, 6)}-${digits(sequence, 20)}`;
}

const MANIFEST_NAME = /^(intent|manifest)-([0-9a-f]{8})-(\d{10})-(\d{6,})-(\d{20})$/;

/** Of the names those of manifests of a stream, the newest first. */
export function manifestsIn(names: readonly string[], stream: string): ManifestName[] {
  return names
    .flatMap((name): ManifestName[] => {
      const [, kind, tag, epoch, number, sequence] = MANIFEST_NAME.exec(name) ?? [];
      if (tag !== stream) return [];
      const of = { name, kind: kind as 'intent' | 'manifest', stream };
      return [{ ...of, epoch: Number(epoch), number: Number(number), sequence: Number(sequence) }];
    })
    .sort((a, b) => b.epoch - a.epoch || b.number - a.number);
}

/** Whether an object is one of a base, of this stream or of one that had its name before. */
export function isOfBase(name: string): boolean {
  return /^(segment|intent|manifest)-[0-9a-f]{8}-\d{10}-/.test(name);
}

/** Which life put an object of a stream; undefined: it is of another stream, or none of these. */
export function epochIn(name: string, stream: string): number | undefined {
  const [, tag, epoch] = /^(?:segment|intent|manifest)-([0-9a-f]{8})-(\d{10})-/.exec(name) ?? [];
  return tag === stream ? Number(epoch) : undefined;
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const { logId, ...others } = manifest;
  const text = { format: MANIFEST_FORMAT, logId: String(logId), ...others };
  return new TextEncoder().encode(`${JSON.stringify(text)}\n`);
}

/** Throws LogError: `version` if a later release made it, `damaged` if it is no such thing. */
export function decodeManifest(bytes: Uint8Array, name: string): Manifest {
  let said: Record<string, unknown>;
  try {
    said = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch (error) {
    throw damaged(name, (error as Error).message);
  }
  const { format, logId, ...others } = said ?? {};
  if (Number.isInteger(format) && (format as number) > MANIFEST_FORMAT)
    throw new LogError(
      'version',
      `${name} is of format ${format}, this program reads ${MANIFEST_FORMAT}: use the release that made it`,
    );
  if (format !== MANIFEST_FORMAT) throw damaged(name, 'it has no format');
  if (typeof logId !== 'string' || !/^\d{1,20}$/.test(logId)) throw damaged(name, 'no log id');
  const manifest = { ...others, logId: BigInt(logId) } as unknown as Manifest;
  const why = whyOdd(manifest);
  if (why !== undefined) throw damaged(name, why);
  return manifest;
}

const isNumber = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;

function whyOdd(manifest: Manifest): string | undefined {
  const { stream, created, segmentBytes, epoch, number, end, sequence, lastEpoch = 0 } = manifest;
  if (typeof stream !== 'string' || typeof created !== 'string') return 'it names no stream';
  if (![segmentBytes, epoch, number, end, sequence, lastEpoch].every(isNumber))
    return 'a number is missing';
  const { segments } = manifest;
  if (!Array.isArray(segments) || segments.length === 0) return 'it has no segments';
  let least = 0;
  for (const segment of segments as Partial<BaseSegment>[]) {
    const { base, bytes, object, digest, objectBytes } = segment ?? {};
    if (![base, bytes, objectBytes].every(isNumber)) return 'a number of a segment is missing';
    if (typeof object !== 'string' || typeof digest !== 'string') return 'an object has no name';
    if (base! < least || base! >= end) return `its segments are not in order at ${base}`;
    if (objectBytes! > bytes!) return `the segment at ${base} is smaller than its object`;
    least = base! + bytes!;
  }
  return undefined;
}

function damaged(name: string, why: string): LogError {
  return new LogError('damaged', `${name} says of no base what it is made of: ${why}`);
}
