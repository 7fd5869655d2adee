// Begins the stream of a cluster with a log that is there already: that of a single broker, or the
// copy of a node whose stream is lost. The log becomes the first base, and the stream's first message
// says so; from then on nodes without a log build themselves of it.

import fs from 'node:fs';
import path from 'node:path';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { STREAM_BASE, STREAM_ENVELOPE_BYTES } from '../../assembly/layout-cluster.ts';
import type { BrokerConfig } from '../config/load.ts';
import { writeEnvelope } from '../core/cluster/envelope.ts';
import type { Position } from '../core/ports/basics.ts';
import type { Appended, StreamMessage } from '../core/ports/stream.ts';
import { DataFolder, StartError } from '../data-folder.ts';
import { Clock } from '../io/clock.ts';
import { connectStream, type JetStreamLink, StreamRefused } from '../io/cluster/jetstream.ts';
import { streamName } from '../io/cluster/stream-settings.ts';
import { NodeFiles } from '../io/files.ts';
import type { Logger } from '../io/logger.ts';
import type { Cut } from '../log/backup.ts';
import { stateOf } from '../log/base/finding.ts';
import { type MadeBase, makeBase } from '../log/base/making.ts';
import { epochIn, isOfBase, streamTag } from '../log/base/manifest.ts';
import type { ObjectStore } from '../log/base/objects.ts';
import { LogError } from '../log/files/errors.ts';
import { open, settle } from '../log/files/promises.ts';
import { Follower } from '../log/following/follower.ts';
import { readFully } from '../log/scan/scan.ts';
import { baseOf, decodeHeader } from '../log/segments/segment.ts';
import { emptyState, logOptions, surroundings } from '../opening.ts';
import { startErrorOf } from '../start-errors.ts';
import { isCopy } from './copies.ts';
import { PlaceFile, type Remembered } from './place-file.ts';
import { streamOptions } from './stream-options.ts';

export interface FoundingOptions {
  config: BrokerConfig;
  log: Logger;
  version: string;
  /** `init`: the folder has never been that of a node. `restore`: it has. */
  purpose: 'init' | 'restore';
}

/** The log that is to be the cluster's. */
export interface LogFound {
  logId: bigint;
  end: Position;
  /** Sequence number behind the last message. */
  sequence: number;
  epoch: number;
  /** When a segment was last written to, in wall-clock ms. */
  writtenMs: number;
  /** What the node of the folder remembers, and where. */
  known: Remembered | undefined;
  placeFile: PlaceFile;
}

/**
 * Opens the folder's log, whose broker must not run; `agree` is told what was found, and gives whether
 * to go on. Then the stream is made, or must be empty, and begun. Rejects with StartError:
 * 75 a broker runs, 74 the log cannot be read, or the stream not be begun, 78 settings do not fit.
 */
export async function found(
  options: FoundingOptions,
  agree: (found: LogFound, stream: string) => Promise<boolean>,
): Promise<MadeBase | undefined> {
  const { config, log, version, purpose } = options;
  const folder = new DataFolder({ config, log, version });
  const placeFile = new PlaceFile(() => folder.path);
  let link: JetStreamLink | undefined;
  let follower: Follower | undefined;
  try {
    const known = placeFile.read();
    if (known !== undefined && purpose === 'init')
      throw new StartError(
        78,
        `${folder.path} is the folder of a node of cluster ${known.cluster}: see thrustmq cluster restore`,
      );
    const logId = await logIdIn(folder.path);
    const written = writtenMs(folder.path);
    const around = surroundings(new Clock());
    around.logId = logId;
    const crc32c = (bytes: Uint8Array) => around.codec.checksum(bytes);
    follower = await Follower.open({
      log: logOptions({ config, log }, folder, around),
      state: emptyState(config),
      segmentEntriesMax: config.limits.segmentEntriesMax,
    });
    const { end, sequence, epoch } = follower;
    const { name, node } = config.cluster!;
    const wanted = streamOptions(config.cluster!, log);
    const what = { logId, end, sequence, epoch, writtenMs: written, known, placeFile };
    if (!(await agree(what, streamName(wanted)))) return undefined;
    link = await connectStream(wanted);
    await demandEmpty(link);
    const objects = await link.objects(true);
    const made = await makeBase({
      objects,
      cut: await cutOf(follower),
      end: { position: end, sequence: 2 },
      all: { lastEpoch: epoch },
      epoch,
      number: 1,
      put: new Map(),
      crc32c,
      stream: link.name,
      created: link.created,
      logId,
      segmentBytes: config.limits.segmentBytes,
      tell: (json) => begin(link!, { logId, epoch, node, end, crc32c }, json),
      purge: async () => {},
      isOver: () => false,
    });
    const { created } = link;
    const { nodes, isTold } = known ?? {};
    const remembered = { cluster: name, node, created, logId: String(logId), nodes, isTold };
    const place = { sequence: 1, epoch, end, serial: 1 };
    await settle((done) => placeFile.save({ ...remembered, place, segments: [] }, done));
    await clean(objects, streamTag(link, crc32c));
    return made;
  } catch (error) {
    throw refusalOf(error, config.dataDir);
  } finally {
    await link?.close();
    await follower?.close();
    folder.release();
  }
}

// Bases of a stream that is gone are of no use to this one; and what nodes told of their copies is
// settled.
async function clean(objects: ObjectStore, tag: string): Promise<void> {
  const { names, unfinished } = await objects.held();
  for (const object of [...names, ...unfinished])
    if (isCopy(object) || (isOfBase(object) && epochIn(object, tag) === undefined))
      await objects.remove(object);
}

function segmentsIn(folder: string): string[] {
  const names = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  return names.filter((name) => baseOf(name) !== undefined).sort();
}

function writtenMs(dataDir: string): number {
  const folder = path.join(dataDir, 'log');
  const times = segmentsIn(folder).map((name) => fs.statSync(path.join(folder, name)).mtimeMs);
  return Math.max(0, ...times);
}

async function logIdIn(dataDir: string): Promise<bigint> {
  const folder = path.join(dataDir, 'log');
  const [name] = segmentsIn(folder);
  if (name === undefined) throw new StartError(74, `there is no log in ${dataDir}`);
  const files = new NodeFiles(folder, true);
  const { handle } = await open(files, name);
  try {
    const head = new Uint8Array(SEGMENT_HEADER_BYTES);
    await readFully(files, handle, head, 0);
    return decodeHeader(head, name).logId;
  } finally {
    await settle((done) => files.close(handle, done));
  }
}

async function demandEmpty(link: JetStreamLink): Promise<void> {
  const { first, last } = await stateOf(link);
  if (last === 0) return;
  throw new StartError(
    74,
    `stream ${link.name} has messages (${first} to ${last}): it is a cluster's already. If they are of no use, and all nodes are stopped, remove it: nats stream rm ${link.name}`,
  );
}

function cutOf(follower: Follower): Promise<Cut> {
  return new Promise((resolve, reject) =>
    follower.log.pin((failure, cut) => (cut === undefined ? reject(failure) : resolve(cut))),
  );
}

interface First {
  logId: bigint;
  epoch: number;
  node: number;
  end: Position;
  crc32c: (bytes: Uint8Array) => number;
}

// Only into an empty stream: whoever was first meanwhile has it.
async function begin(link: JetStreamLink, first: First, json: Uint8Array): Promise<void> {
  const { end: position, crc32c, ...others } = first;
  const envelope = new Uint8Array(STREAM_ENVELOPE_BYTES);
  const sizes = { batchBytes: 0, offset: 1, jsonBytes: json.length };
  const fields = { kind: STREAM_BASE, closes: false, position, ...sizes, ...others };
  writeEnvelope(envelope, fields, json, crc32c);
  const appended = await new Promise<Appended>((resolve) =>
    link.append(envelope, json, 0, resolve),
  );
  if (appended.ok) return;
  const found = await new Promise<StreamMessage | undefined>((resolve, reject) =>
    link.read(1, (failure, message) => (failure ? reject(failure) : resolve(message))),
  );
  if (found !== undefined && Buffer.from(found.bytes.subarray(0, envelope.length)).equals(envelope))
    return;
  const text = 'text' in appended ? appended.text : appended.why;
  throw new StartError(74, `stream ${link.name} could not be begun: ${text}`);
}

function refusalOf(error: unknown, dataDir: string): unknown {
  if (error instanceof StreamRefused)
    return new StartError(error.exitCode, error.message, { cause: error });
  if (error instanceof LogError && error.code === 'other')
    return new StartError(78, error.message, { cause: error });
  return startErrorOf(error, dataDir, 0);
}
