// What Ownership is given, and what it brings about.

import type { Failure, Position } from '../ports/basics.ts';
import type { ReplicatedStream } from '../ports/stream.ts';
import type { CountedBatch, CountingOptions } from './counting.ts';

/** What it brings about; not within `join`, `publish` or `base`. */
export interface OwnershipEffects {
  /** Batches that count, while this node does not own, or the first few of them: into its log, or
   * compared if they are there. `done` is given how many. */
  apply(batches: readonly CountedBatch[], done: (failure: Failure, count: number) => void): void;
  /** What another said beside its batches: a kind of layout-cluster.ts, and its JSON, valid within
   * the call. */
  said(kind: number, json: Uint8Array, epoch: number, node: number): void;
  /** Make what owns, as of epoch `epoch`: the first batch that it publishes is the start. */
  campaign(epoch: number): void;
  /** The start counts: serve. */
  own(epoch: number): void;
  /** Nothing may be delivered for now; what consumers hold is ready again. */
  suspend(): void;
  goOn(): void;
  /** No more an owner, or never one: no ack, no answer; then `join`. */
  depose(why: string): void;
  /** The stream was purged past this log: set it aside, and `join` with an empty one. */
  rebuild(why: string): void;
  /** The process has to end with this code. */
  stop(code: number, why: string): void;
}

export interface OwnershipOptions extends CountingOptions {
  readonly stream: ReplicatedStream;
  readonly effects: OwnershipEffects;
  readonly clockMs: () => number;
  readonly node: number;
  /** Who this owner is, as JSON; has to differ from that of each other life of the node. */
  readonly json: Uint8Array;
  readonly beginning: Position;
  /** How long it is silent before a node campaigns, and how much longer this one waits, in ms. */
  readonly ttlMs: number;
  readonly rankMs: number;
  /** A little more, by chance, in ms: asked for at each silence. */
  readonly jitterMs: () => number;
  /** How long an owner may deliver after what was confirmed last; less than `ttlMs` by a beat. */
  readonly ownMs: number;
  readonly beatMs: number;
  readonly partBytes: number;
  readonly inFlightBytes: number;
  readonly queueBytes: number;
  /** Whether nothing is on its way to the own disk: a beat says that this works, too. */
  readonly isIdle: () => boolean;
  /** Whether this node could own. */
  readonly isAble: () => boolean;
}
