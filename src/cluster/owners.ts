// Who owns the log, as the stream says it: each owner that was heard, why it followed the one
// before, and whether this node could hold the log that it writes.

import { STREAM_BEAT, STREAM_RESIGN, STREAM_START } from '../../assembly/layout-cluster.ts';
import type { TakeOver } from '../contract/cluster.ts';
import { type Layout, misfit, type OwnerIdentity, readIdentity } from './identity.ts';

const TAKE_OVERS_KEPT = 20;
/** A life of before may have sent a last beat: who goes on beating with this number is another. */
const NAMESAKE_BEATS = 3;

export interface OwnersOptions {
  /** Of this node. */
  identity: OwnerIdentity;
  layout: Layout;
  /** ISO 8601, UTC. */
  date: () => string;
  /** Another owner than before is heard. */
  changed: (owner: OwnerIdentity, epoch: number) => void;
  /** This node cannot be one of the cluster, and why. */
  refused: (why: string) => void;
}

export class Owners {
  readonly #options: OwnersOptions;
  #owner: OwnerIdentity | undefined;
  // Whose epoch was read of last, of the past: who it is may be there no more.
  #read: { identity: OwnerIdentity; epoch: number } | undefined;
  #takeOvers: TakeOver[] = [];
  #resigned = false;
  #namesakes = 0;
  /** Changes of the owner that were seen. */
  count = 0;

  constructor(options: OwnersOptions) {
    this.#options = options;
  }

  /** The last other node that was heard as the owner; undefined: none was since this one was. */
  get other(): OwnerIdentity | undefined {
    return this.#owner;
  }

  /** The newest first. */
  get takeOvers(): readonly TakeOver[] {
    return this.#takeOvers;
  }

  /**
   * Something counts. `isPast`: what is read of the past says nothing of now. But whose epoch that
   * was owns the log as soon as more of it comes, be that a part of a batch.
   */
  said(kind: number, json: Uint8Array, epoch: number, node: number, isPast: boolean): void {
    if (kind === STREAM_START) this.#tookOver(node, epoch, isPast);
    if (kind === STREAM_START || kind === STREAM_BEAT) {
      const said = readIdentity(json);
      if (said !== undefined) this.#heard(said, epoch, isPast);
    } else if (kind === STREAM_RESIGN) {
      this.#resigned = true;
    } else if (!isPast && this.#read?.epoch === epoch)
      this.#heard(this.#read.identity, epoch, false);
  }

  #heard(said: OwnerIdentity, epoch: number, isPast: boolean): void {
    const { identity, layout, changed, refused } = this.#options;
    if (said.life !== identity.life) {
      const why = misfit(layout, said);
      if (why !== undefined) refused(why);
    }
    this.#read = isPast && said.life !== identity.life ? { identity: said, epoch } : undefined;
    if (isPast) return;
    if (said.life !== identity.life && said.node === identity.node) this.#namesake(said);
    if (said.life === this.#owner?.life) return;
    this.#owner = said;
    changed(said, epoch);
  }

  #namesake({ node, address }: OwnerIdentity): void {
    if (++this.#namesakes === NAMESAKE_BEATS)
      this.#options.refused(
        `the owner of the log, at ${address}, is node ${node}, too: give each node another --cluster-node`,
      );
  }

  /** This node owns the log now. */
  own(epoch: number): void {
    this.#tookOver(this.#options.identity.node, epoch, false);
    this.#owner = undefined;
  }

  #tookOver(node: number, epoch: number, isPast: boolean): void {
    const why = epoch === 1 ? 'first' : this.#resigned ? 'resigned' : 'silence';
    this.#resigned = false;
    if (isPast) return;
    this.count++;
    const at = this.#options.date();
    this.#takeOvers = [{ at, node, epoch, why } as const, ...this.#takeOvers];
    this.#takeOvers.length = Math.min(this.#takeOvers.length, TAKE_OVERS_KEPT);
  }
}
