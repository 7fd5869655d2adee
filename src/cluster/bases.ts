// Bases of the log as this node makes and uses them: fetched where it has no log that the stream
// goes on from, made while it owns the log (log/base).

import type { ClusterSnapshot } from '../contract/cluster.ts';
import type { Ownership } from '../core/cluster/ownership.ts';
import type { StreamRoom } from '../core/cluster/stream-room.ts';
import { type DataFolder, StartError } from '../data-folder.ts';
import type { Clock } from '../io/clock.ts';
import { buildLogIn } from '../io/cluster/build-folder.ts';
import type { JetStreamLink } from '../io/cluster/jetstream.ts';
import type { Logger } from '../io/logger.ts';
import { BaseKeeper } from '../log/base/base-keeper.ts';
import { type FindingOptions, type Found, findPlace } from '../log/base/finding.ts';
import type { FileLog } from '../log/file-log.ts';
import { LogError } from '../log/files/errors.ts';
import { sleep } from '../time/timers.ts';
import type { Engine } from '../wasm/engine.ts';
import { REST_MS, untilAnswered } from './again.ts';

export interface BasesOptions {
  link: JetStreamLink;
  room: StreamRoom;
  folder: DataFolder;
  codec: Engine;
  segmentBytes: number;
  /** What the stream may hold beside twice of what is live, in bytes, before a base is made. */
  slackBytes: number;
  clock: Clock;
  log: Logger;
}

export class Bases {
  readonly #options: BasesOptions;
  #building: ClusterSnapshot['self']['building'] = null;
  #putBytes = 0;

  constructor(options: BasesOptions) {
    this.#options = options;
  }

  /** How far a log that is being built is. */
  get building(): ClusterSnapshot['self']['building'] {
    return this.#building;
  }

  /** Bytes that were put into bases since the process started. */
  get putBytes(): number {
    return this.#putBytes;
  }

  /**
   * Builds the log of the data folder, which has none; undefined: the stream holds all of it. Waits
   * while the stream cannot be read. Rejects with StartError: 78 where a base is of another log or
   * layout, or of a later release; 74 where it is damaged, or nothing can be written.
   */
  async build(logId: bigint | undefined): Promise<Found | undefined> {
    const begun = performance.now();
    const found = await this.#tried(() => this.#build(logId));
    if (found === undefined) return undefined;
    const { end, place } = found;
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    this.#options.log.info(
      { event: 'cluster.built', position: end, sequence: place.sequence },
      `the log was built up to position ${end} in ${seconds} s: it goes on behind message ${place.sequence} of the stream`,
    );
    return found;
  }

  /** Where the stream goes on from a log that does not remember it; undefined: it is read from its
   * first message. Waits and rejects as `build` does. */
  find(logId: bigint): Promise<Found | undefined> {
    return this.#tried(async () => findPlace(await this.#finding(logId)));
  }

  #tried(call: () => Promise<Found | undefined>): Promise<Found | undefined> {
    return untilAnswered(this.#options.log, 'the bases of the log', call, refusal);
  }

  async #finding(logId: bigint | undefined): Promise<FindingOptions> {
    const { link, codec, segmentBytes } = this.#options;
    return {
      objects: await link.objects(false),
      stream: link,
      streamName: link.name,
      logId,
      segmentBytes,
      crc32c: (bytes) => codec.checksum(bytes),
      rest: () => sleep(REST_MS),
    };
  }

  async #build(logId: bigint | undefined): Promise<Found | undefined> {
    const { folder, codec, clock, log } = this.#options;
    let linedMs = performance.now();
    this.#building = { bytes: 0, bytesTotal: 0 };
    try {
      return await buildLogIn(folder.path, {
        ...(await this.#finding(logId)),
        zeros: codec.zeros,
        wallMs: () => clock.wallMs(),
        progress: ({ bytes, totalBytes, segments, totalSegments }) => {
          this.#building = { bytes, bytesTotal: totalBytes };
          if (performance.now() - linedMs < 1000) return;
          linedMs = performance.now();
          const text = `building the log from the other nodes: ${segments} of ${totalSegments} segments, ${bytes} of ${totalBytes} bytes`;
          log.info({ event: 'cluster.building', bytes, totalBytes }, text);
        },
      });
    } finally {
      this.#building = null;
    }
  }

  /** Sees to bases while this node owns the log, as of `epoch`. */
  keeper(fileLog: FileLog, ownership: Ownership, epoch: number, logId: bigint): BaseKeeper {
    const { link, room, codec, segmentBytes, slackBytes, log } = this.#options;
    return new BaseKeeper({
      stream: link.name,
      created: link.created,
      logId,
      segmentBytes,
      log: fileLog,
      ownership,
      room,
      epoch,
      objects: (make) => link.objects(make),
      crc32c: (bytes) => codec.checksum(bytes),
      slackBytes,
      made: ({ putBytes }) => {
        this.#putBytes += putBytes;
      },
      note: (level, text) => log[level]({ event: 'cluster.base' }, text),
    });
  }
}

function refusal(error: Error): StartError | undefined {
  const { syscall } = error as NodeJS.ErrnoException;
  if (!(error instanceof LogError) && syscall === undefined) return undefined;
  const isOther = error instanceof LogError && ['other', 'version'].includes(error.code);
  const text = `the log cannot be built from what the other nodes have put: ${error.message}`;
  return new StartError(isOther ? 78 : 74, text, { cause: error });
}
