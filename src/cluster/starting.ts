// The start of a node: its folder, the stream, the log that both have in common, its ports; then it
// takes part. What is there must fit together, or it is refused before anything is changed.

import { randomBytes } from 'node:crypto';
import path from 'node:path';
import type { ClusterConfig } from '../config/cluster.ts';
import { StreamRoom, whyNoRoom } from '../core/cluster/stream-room.ts';
import { authority, parseAuthority } from '../core/text/address.ts';
import { DataFolder, StartError } from '../data-folder.ts';
import { Clock } from '../io/clock.ts';
import { removeUnfinished } from '../io/cluster/build-folder.ts';
import { connectStream, type JetStreamLink, StreamRefused } from '../io/cluster/jetstream.ts';
import { connectionLimits } from '../io/connection-limits.ts';
import { demandDescriptors } from '../io/descriptors.ts';
import { RateLimitedLog } from '../io/logger.ts';
import { filesIn } from '../io/storage.ts';
import { LogError } from '../log/files/errors.ts';
import { surroundings } from '../opening.ts';
import type { ServerOptions } from '../server.ts';
import { startErrorOf } from '../start-errors.ts';
import { untilAnswered } from './again.ts';
import { Bases } from './bases.ts';
import { mayBeTold, takeBackCopy } from './copies.ts';
import { dashboardAddress, layoutOf, type OwnerIdentity } from './identity.ts';
import { LocalLog, type LocalLogOptions } from './local-log.ts';
import { Member } from './member.ts';
import { ClusterNode } from './node.ts';
import { PlaceFile, type Remembered } from './place-file.ts';
import { NodePorts } from './ports.ts';
import { Standing } from './standing.ts';
import { logIdIn } from './stream-log-id.ts';
import { streamOptions } from './stream-options.ts';

/**
 * Starts a node; waits while NATS is away. Rejects with StartError: as a broker does, and 78 where
 * stream, folder and settings do not fit together.
 */
export async function startNode(options: ServerOptions): Promise<ClusterNode> {
  demandDescriptors((text) => new StartError(78, text));
  const folder = new DataFolder(options);
  const files = filesIn(path.join(folder.path, 'log'));
  let link: JetStreamLink | undefined;
  try {
    const placeFile = new PlaceFile(() => folder.path);
    const known = rememberedBy(placeFile, options.config.cluster!);
    link = await connect(options, known);
    await takeBack(options, link, known);
    const node = await openNode(options, folder, link, placeFile, known);
    node.begin();
    return node;
  } catch (error) {
    await link?.close();
    folder.release();
    throw refusalOf(error, options.config.dataDir, files);
  }
}

function rememberedBy(file: PlaceFile, { name }: ClusterConfig): Remembered | undefined {
  const known = file.read();
  if (known === undefined || known.cluster === name) return known;
  throw new StartError(
    78,
    `the data folder is that of a node of cluster ${known.cluster}, not of ${name}: choose another --data-dir, or the other --cluster`,
  );
}

function connect(options: ServerOptions, known: Remembered | undefined): Promise<JetStreamLink> {
  const { config, log } = options;
  return connectStream({
    ...streamOptions(config.cluster!, log),
    createdBefore: known?.created,
  });
}

// Its log is about to change.
async function takeBack(
  { config, log }: ServerOptions,
  link: JetStreamLink,
  known: Remembered | undefined,
): Promise<void> {
  if (!mayBeTold(known)) return;
  const { node } = config.cluster!;
  await untilAnswered(log, 'what was told of this node', async () =>
    takeBackCopy(await link.objects(false), node),
  );
}

async function openNode(
  options: ServerOptions,
  folder: DataFolder,
  link: JetStreamLink,
  placeFile: PlaceFile,
  known: Remembered | undefined,
): Promise<ClusterNode> {
  const { config, log, version, clock = new Clock() } = options;
  const cluster = config.cluster!;
  const { segmentBytes } = config.limits;
  const tooSmall = whyNoRoom(cluster.stream.maxBytes, segmentBytes);
  if (tooSmall !== undefined) throw new StartError(78, `${tooSmall} (--cluster-max-bytes)`);
  const around = surroundings(clock);
  const { codec } = around;
  const room = new StreamRoom(link, cluster.stream.maxBytes, segmentBytes);
  const slackBytes = cluster.baseSlackBytes;
  const bases = new Bases({ link, room, folder, codec, segmentBytes, slackBytes, clock, log });
  removeUnfinished(folder.path);
  const files = filesIn(path.join(folder.path, 'log'));
  const found = files === 0 ? await bases.build(known && BigInt(known.logId)) : undefined;
  const checksum = (bytes: Uint8Array) => codec.checksum(bytes);
  const logId = found?.logId ?? (await logIdOf(link, known, checksum, options));
  around.logId = logId;
  const { progress } = options;
  let member: Member | undefined;
  const syncedTo = () => (member?.standing.place ?? known?.place)?.end;
  const opening: LocalLogOptions = { config, log, folder, around, bases, syncedTo, progress };
  const local = await LocalLog.open(opening);
  const begun = local.built ?? found?.place;
  // A log that does not remember where it stands in the stream may end where a base does.
  const place = begun ?? known?.place ?? (files > 0 ? await bases.find(logId) : undefined)?.place;
  const notices = new RateLimitedLog(log);
  let node: ClusterNode | undefined;
  const ports = new NodePorts({
    config,
    cluster,
    limits: connectionLimits(config.limits, log),
    logId,
    maxPayload: link.maxPayload,
    inbox: codec.inbox,
    carryOut: (command, done) => node!.carryOut(command, done),
    status: () => node!.status(),
    accept: (side) => member?.life?.accept(side),
    notice: (level, kind, text) => notices.write(kind, {}, text, level),
  });
  try {
    await ports.open();
  } catch (error) {
    ports.close();
    await local.close();
    throw error;
  }
  link.relayBy(ports.relay);
  member = new Member({
    ...opening,
    cluster,
    version,
    life: {
      ...options,
      clock,
      dataDir: () => folder.path,
      listeners: ports.listeners,
    },
    stream: room,
    maxPayload: link.maxPayload,
    identity: identityOf(options, ports),
    local,
    standing: new Standing(place, begun === undefined ? (known?.segments ?? []) : []),
    events: {
      owner: (identity) => {
        const address = identity && parseAuthority(identity.address);
        ports.owner(address, identity !== undefined && identity === member?.identity);
      },
      stop: (code, why) => node?.fail(code, why),
    },
  });
  const remembered = {
    cluster: cluster.name,
    node: cluster.node,
    created: link.created,
    logId: String(logId),
    nodes: known?.nodes,
  };
  node = new ClusterNode({ options, folder, link, member, ports, placeFile, remembered, notices });
  return node;
}

// Of an empty folder and a stream with messages it is what these say.
async function logIdOf(
  link: JetStreamLink,
  known: Remembered | undefined,
  crc32c: (bytes: Uint8Array) => number,
  { log }: ServerOptions,
): Promise<bigint> {
  if (known !== undefined) return BigInt(known.logId);
  return untilAnswered(log, 'the stream', () => logIdIn(link, link.logId, crc32c));
}

function identityOf({ config, version }: ServerOptions, ports: NodePorts): OwnerIdentity {
  const { node, advertise } = config.cluster!;
  return {
    node,
    life: randomBytes(8).toString('hex'),
    // Port 0 is any free one.
    address: authority(advertise.host, advertise.port || ports.cluster!.port),
    dashboard: dashboardAddress(config.dashboard, advertise.host),
    version,
    ...layoutOf(config),
  };
}

function refusalOf(error: unknown, dataDir: string, files: number): unknown {
  if (error instanceof StreamRefused)
    return new StartError(error.exitCode, error.message, { cause: error });
  if (error instanceof LogError && error.code === 'other')
    return new StartError(
      78,
      `the log in ${dataDir} is none of this cluster: ${error.message}. Choose an empty --data-dir, and this node builds its log from the others`,
      { cause: error },
    );
  return startErrorOf(error, dataDir, files);
}
