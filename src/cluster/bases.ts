// Bases of the log as this node makes and uses them: fetched where it has no log that the stream
// goes on from, made while it owns the log (log/base).

import type { ClusterSnapshot } from '../contract/cluster.ts';
import type { Ownership } from '../core/cluster/ownership.ts';
import type { StreamRoom } from '../core/cluster/stream-room.ts';
import type { DataFolder } from '../data-folder.ts';
import type { Clock } from '../io/clock.ts';
import { buildLogIn } from '../io/cluster/build-folder.ts';
import type { JetStreamLink } from '../io/cluster/jetstream.ts';
import type { Logger } from '../io/logger.ts';
import { BaseKeeper } from '../log/base/base-keeper.ts';
import type { Found } from '../log/base/finding.ts';
import type { FileLog } from '../log/file-log.ts';
import { sleep } from '../time/timers.ts';
import type { Engine } from '../wasm/engine.ts';

const REST_MS = 500;

export interface BasesOptions {
  link: JetStreamLink;
  room: StreamRoom;
  folder: DataFolder;
  codec: Engine;
  segmentBytes: number;
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
   * Builds the log of the data folder, which has none; undefined: the stream holds all of it.
   * Rejects as buildLogIn does.
   */
  async build(logId: bigint | undefined): Promise<Found | undefined> {
    const { link, folder, codec, segmentBytes, clock, log } = this.#options;
    let linedMs = performance.now();
    this.#building = { bytes: 0, bytesTotal: 0 };
    try {
      return await buildLogIn(folder.path, {
        objects: await link.objects(false),
        stream: link,
        streamName: link.name,
        logId,
        segmentBytes,
        crc32c: (bytes) => codec.checksum(bytes),
        zeros: codec.zeros,
        wallMs: () => clock.wallMs(),
        rest: () => sleep(REST_MS),
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
    const { link, room, codec, segmentBytes, log } = this.#options;
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
      note: (level, text) => log[level]({ event: 'cluster.base' }, text),
    });
  }

  /** A base is over: what it put is counted. */
  made(bytes: number): void {
    this.#putBytes += bytes;
  }
}
