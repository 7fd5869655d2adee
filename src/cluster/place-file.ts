// What a node remembers of the stream from one start to the next, in cluster.json: which stream it
// is, and where in it the log here ends. The place is a shortcut: without the file the stream is
// read from its first message. Beside it what a restore of the cluster has to know.

import type { Place } from '../core/cluster/counting.ts';
import type { SegmentPlace } from '../core/cluster/segment-places.ts';
import { StateFile, StateFileError } from '../io/state-file.ts';

export interface Remembered {
  cluster: string;
  node: number;
  /** When the stream was made, as its servers said it. */
  created: string;
  /** LOG_ID, in decimal, unsigned. */
  logId: string;
  place?: Place | undefined;
  segments: readonly SegmentPlace[];
  /** Numbers of all nodes that were ever heard of. */
  nodes?: readonly number[] | undefined;
  /** Whether others may have been told how far the log here goes (copies.ts). */
  isTold?: boolean | undefined;
}

const NAME = 'cluster.json';
const VERSION = 1;

export class PlaceFile {
  readonly #file: StateFile;

  /** `folder` tells where the data folder is. */
  constructor(folder: () => string) {
    this.#file = new StateFile(folder, NAME);
  }

  /** @throws StateFileError where it is there and can't be used. */
  read(): Remembered | undefined {
    try {
      const text = this.#file.read();
      if (text === undefined) return undefined;
      const { version, ...said } = JSON.parse(text) as Remembered & { version: number };
      if (version !== VERSION || !isWhole(said))
        throw new SyntaxError(`it is none of version ${VERSION}`);
      return said;
    } catch (error) {
      const text = `${this.#file.path} cannot be used: ${(error as Error).message}. It says where the log here stands in the stream of its cluster: make it readable, or remove it, and the stream is read from its first message`;
      throw new StateFileError(text, { cause: error });
    }
  }

  /** Replaces it; `done` comes when it is on disk, or with why it is not. */
  save(what: Remembered, done: (failure: Error | undefined) => void): void {
    this.#file.save(() => `${JSON.stringify({ version: VERSION, ...what })}\n`, done);
  }
}

function isWhole(said: Remembered): boolean {
  const { cluster, node, created, logId, place, segments, nodes = [] } = said;
  const isPlace =
    place === undefined || [place.sequence, place.epoch, place.end].every(Number.isSafeInteger);
  return (
    [cluster, created].every((text) => typeof text === 'string') &&
    Number.isInteger(node) &&
    /^\d{1,20}$/.test(logId) &&
    isPlace &&
    Array.isArray(segments) &&
    Array.isArray(nodes) &&
    nodes.every(Number.isSafeInteger) &&
    segments.every((one) => [one.position, one.sequence].every(Number.isSafeInteger))
  );
}
