// The journal of a log of which there are other copies: each batch is published first, then written
// here, and only then is it done. So what is on this disk is always a part of what was published,
// and nothing that others refused ever has to be cut off again. While one is written, those behind
// it are being published already.

import { RECORD_EPOCH_AT } from '../../../assembly/layout.ts';
import type { Failure, Position } from '../../core/ports/basics.ts';
import type { Journal } from '../../core/ports/journal.ts';
import type { SegmentSpace } from '../../core/ports/segments.ts';

/** Makes batches known to others, in one order. */
export interface Publisher {
  /**
   * Publishes a batch, behind those that are under way. The bytes do not change, and may be sent
   * again until `done`. That comes later, never within the call, in the order of the batches, and at
   * most once: without a failure it is published for certain, with one it may be or not, and this
   * owner's life is over.
   */
  publish(position: Position, bytes: Uint8Array, done: (failure: Failure) => void): void;
  /** Whether a batch waits for longer than usual: nothing more should be accepted. */
  stalled(): boolean;
  /** Why messages find no room there and will not for now, or undefined. */
  blocked(): string | undefined;
  /** It is durable that nothing before `position`, the base of a segment, is needed any more. */
  trimmed(position: Position): void;
}

/** The journal below; `placeOf` gives where the bytes of a batch stand, `epoch` is what segments
 * say that are made from then on. */
export type LocalJournal = Omit<Journal, 'depth' | 'aheadBytes'> & {
  placeOf(position: Position, bytes: number): Uint8Array;
  epoch: number;
};

/** So many batches are on their way at once, small ones alone: servers take large ones for less. */
const DEPTH = 4;
const AHEAD_BYTES = 768 * 1024;

interface Append {
  readonly position: Position;
  readonly bytes: number;
  readonly done: (failure: Failure) => void;
  isPublished: boolean;
}

export class ShippedJournal implements Journal {
  readonly aheadBytes: number;
  readonly #local: LocalJournal;
  readonly #publisher: Publisher;
  readonly #soon: (call: () => void) => void;
  #failure: Error | undefined;
  #epoch = 0;
  #isBegun = false;
  #writing = false;
  // Those that are on their way, in their order.
  readonly #appends: Append[] = [];
  #rested: (() => void)[] = [];

  /** `soon` calls back in a turn of its own. */
  constructor(
    local: LocalJournal,
    publisher: Publisher,
    soon: (call: () => void) => void,
    aheadBytes = AHEAD_BYTES,
  ) {
    this.aheadBytes = aheadBytes;
    this.#local = local;
    this.#publisher = publisher;
    this.#soon = soon;
  }

  // The first is what makes this node the owner, and nothing follows it before that counts.
  get depth(): number {
    return this.#isBegun ? DEPTH : 1;
  }

  append(position: Position, bytes: number, done: (failure: Failure) => void): void {
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#soon(() => done(failure));
      return;
    }
    const image = this.#local.placeOf(position, bytes);
    // No segment may speak of a life before that has begun: an earlier one may go on.
    if (this.#epoch === 0)
      this.#epoch = new DataView(image.buffer, image.byteOffset).getUint32(RECORD_EPOCH_AT, true);
    const append: Append = { position, bytes, done, isPublished: false };
    this.#appends.push(append);
    this.#publisher.publish(position, image, (failure) => {
      this.#failure ??= failure;
      append.isPublished = true;
      this.#writeNext();
    });
  }

  // Each is synced here before the next one is written, as that claims it.
  #writeNext(): void {
    if (this.#writing) return;
    if (this.#failure !== undefined) {
      for (const { done } of this.#appends.splice(0)) done(this.#failure);
      return;
    }
    const next = this.#appends[0];
    if (next?.isPublished !== true) return;
    this.#local.epoch = this.#epoch;
    this.#writing = true;
    this.#local.append(next.position, next.bytes, (failure) => {
      this.#writing = false;
      for (const call of this.#rested.splice(0)) this.#soon(call);
      this.#failure ??= failure;
      this.#isBegun = true;
      this.#appends.shift();
      next.done(this.#failure);
      this.#writeNext();
    });
  }

  /** Whether a batch is on its way to the disk here: it may hang. */
  get isWriting(): boolean {
    return this.#writing;
  }

  /** Calls back in a turn of its own when nothing is on its way to the disk here. */
  whenRested(call: () => void): void {
    if (this.#writing) this.#rested.push(call);
    else this.#soon(call);
  }

  /** Nothing is called done from now on, not even what is under way: somebody else owns the log. */
  fail(failure: Error): void {
    this.#failure ??= failure;
  }

  stalled(): boolean {
    return this.#publisher.stalled() || this.#local.stalled();
  }

  get syncedPosition(): Position {
    return this.#local.syncedPosition;
  }

  // Others may forget only what is durably not needed here.
  trim(position: Position): void {
    this.#local.trim(position);
    this.#publisher.trimmed(position);
  }

  get startPosition(): Position {
    return this.#local.startPosition;
  }
}

/** The segments of that log: messages need room where they are published, too. */
export class ShippedSpace implements SegmentSpace {
  readonly #local: SegmentSpace;
  readonly #publisher: Pick<Publisher, 'blocked'>;

  constructor(local: SegmentSpace, publisher: Pick<Publisher, 'blocked'>) {
    this.#local = local;
    this.#publisher = publisher;
  }

  get segmentBytes(): number {
    return this.#local.segmentBytes;
  }

  nextReady(): boolean {
    return this.#local.nextReady();
  }

  mayGrow(): boolean {
    return this.#publisher.blocked() === undefined && this.#local.mayGrow();
  }

  blocked(): string | undefined {
    return this.#local.blocked() ?? this.#publisher.blocked();
  }

  raise(): boolean {
    return this.#local.raise();
  }

  roll(base: Position): void {
    this.#local.roll(base);
  }

  bases(): readonly Position[] {
    return this.#local.bases();
  }

  fileBytes(base: Position): number {
    return this.#local.fileBytes(base);
  }
}
