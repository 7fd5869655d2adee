// Sees to bases of a log while its owner lives: looks whether one is due, and makes it, one at a
// time. What fails is tried again; nothing but the size of the stream waits for it.

import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import { isBaseDue } from '../../core/cluster/base-due.ts';
import type { Ownership } from '../../core/cluster/ownership.ts';
import type { Failure, Position } from '../../core/ports/basics.ts';
import type { Cut } from '../backup.ts';
import type { FileLog } from '../file-log.ts';
import { type MadeBase, makeBase } from './making.ts';
import type { BaseIdentity } from './manifest.ts';
import type { ObjectStore, StoredObject } from './objects.ts';

export interface BaseKeeperOptions extends BaseIdentity {
  log: Pick<FileLog, 'pin' | 'bases' | 'fileBytes' | 'syncedPosition'>;
  ownership: Pick<Ownership, 'base' | 'trimmed' | 'segments'>;
  /** What the stream holds, and from where on it takes no messages. */
  room: { readonly bytes: number; readonly blockedFrom: number };
  /** Opens the place of objects; undefined if there is none, and it is not to be made. */
  objects: (make: boolean) => Promise<ObjectStore | undefined>;
  /** Of this life. */
  epoch: number;
  crc32c: (bytes: Uint8Array) => number;
  /** What may lie about beside twice of what is live; by default 1 GiB. */
  slackBytes?: number | undefined;
  /** How long after one the next may begin, in ms, at the least; by default a second. */
  restMs?: number | undefined;
  /** A base was made. */
  made?: (base: MadeBase) => void;
  /** A line for the operator. */
  note: (level: 'info' | 'warn', text: string) => void;
}

const SLACK_BYTES = 1024 * 1024 * 1024;
// One is due once the stream has grown by more than it costs. A longer rest would let the stream
// grow by whatever is published meanwhile.
const REST_MS = 1000;
const FAILED_REST_MS = 10_000;
const LOOK_MS = 1000;

export class BaseKeeper {
  readonly #options: BaseKeeperOptions;
  readonly #put = new Map<string, StoredObject>();
  // What bases of earlier lives take is asked for once; from then on it is known.
  #objectBytes: number | undefined;
  #number = 0;
  #working: Promise<void> | undefined;
  #nextMs = Number.NEGATIVE_INFINITY;
  #nowMs = 0;
  #over = false;
  #last: MadeBase | undefined;

  constructor(options: BaseKeeperOptions) {
    this.#options = options;
  }

  /** The last base of this life. */
  get last(): MadeBase | undefined {
    return this.#last;
  }

  /** Monotonic time in ms; to be called about once a second, or more often. */
  advance(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#over || this.#working !== undefined || nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + LOOK_MS;
    if (this.#objectBytes === undefined) {
      this.#work(this.#ask());
      return;
    }
    const end = this.#end();
    if (end !== undefined && this.#isDue(end.position, this.#objectBytes))
      this.#work(this.#make(end));
  }

  // It rests for as long as it worked: half of the time may go into bases, not all of it.
  #work(work: Promise<number>): void {
    const begunMs = this.#nowMs;
    this.#working = work.then((restMs) => {
      this.#working = undefined;
      this.#nextMs = this.#nowMs + Math.max(restMs, this.#nowMs - begunMs);
    });
  }

  /** Begins nothing more; settles when what was under way has ended. */
  async end(): Promise<void> {
    this.#over = true;
    await this.#working;
  }

  // The last segment of which it is known where it begins in the stream.
  #end(): { position: Position; sequence: number } | undefined {
    const { log, ownership } = this.#options;
    const starts = new Set(log.bases().map((base) => base + SEGMENT_DATA_AT));
    return ownership.segments.findLast(
      ({ position }) => starts.has(position) && position <= log.syncedPosition,
    );
  }

  // These never reject, and give the least rest behind them, in ms.
  async #ask(): Promise<number> {
    try {
      const objects = await this.#options.objects(false);
      this.#objectBytes = (await objects?.held())?.bytes ?? 0;
    } catch {
      // Asked again.
    }
    return LOOK_MS;
  }

  #isDue(position: Position, objects: number): boolean {
    const { log, room, slackBytes = SLACK_BYTES } = this.#options;
    const files = log
      .bases()
      .filter((base) => base < position - SEGMENT_DATA_AT)
      .reduce((sum, base) => sum + log.fileBytes(base), 0);
    const behind = log.syncedPosition - position;
    const { bytes: stream, blockedFrom } = room;
    return isBaseDue({ stream, behind, files, objects, blockedFrom }, slackBytes);
  }

  async #make(end: { position: Position; sequence: number }): Promise<number> {
    const { note, ownership, restMs = REST_MS } = this.#options;
    try {
      const objects = await this.#options.objects(true);
      const made = await makeBase({
        ...this.#options,
        objects: objects!,
        cut: await this.#pin(),
        end,
        number: ++this.#number,
        put: this.#put,
        tell: (json) => settled((done) => ownership.base(json, done)),
        purge: () => settled((done) => ownership.trimmed(end.position, done)),
        isOver: () => this.#over,
      });
      if (made === undefined) return restMs;
      this.#last = made;
      this.#options.made?.(made);
      this.#objectBytes = made.bytes;
      const { segments, bytes, putBytes, sequence } = made;
      note(
        'info',
        `a base of the log was made: ${segments} segments, ${bytes} bytes, ${putBytes} of them put now; the stream begins at message ${sequence}`,
      );
      return restMs;
    } catch (error) {
      if (!this.#over)
        note(
          'warn',
          `no base of the log was made: ${(error as Error).message}; trying again later`,
        );
      return Math.max(restMs, FAILED_REST_MS);
    }
  }

  #pin(): Promise<Cut> {
    return new Promise((resolve, reject) =>
      this.#options.log.pin((failure, cut) => (cut === undefined ? reject(failure) : resolve(cut))),
    );
  }
}

function settled(call: (done: (failure: Failure) => void) => void): Promise<void> {
  return new Promise((resolve, reject) =>
    call((failure) => (failure === undefined ? resolve() : reject(failure))),
  );
}
