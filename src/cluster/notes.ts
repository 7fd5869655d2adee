// What is told of a node's way through the cluster: lines of the log, and counts of what happened
// since the process started.

import type { NodeState } from '../contract/cluster.ts';
import type { Logger } from '../io/logger.ts';
import type { OwnerIdentity } from './identity.ts';

/** While a right is wanting, it is said so often, in ms. */
const LACKING_MS = 60_000;

export class Notes {
  readonly counts = { deposed: 0, doubts: 0, suspensions: 0, rebuilds: 0 };
  readonly #log: Logger;
  #doubts = false;
  // What this node may not do, and when that was said last.
  readonly #lacking = new Map<string, number>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Looked at again and again: appends are in doubt from one state to another. */
  state(state: NodeState): void {
    const doubts = state === 'doubting' || state === 'suspended';
    if (doubts && !this.#doubts) this.counts.doubts++;
    this.#doubts = doubts;
  }

  /** Looked at again and again: what NATS says to what this node has no right to, if anything. */
  rights(to: 'publish into' | 'look at', why: string | undefined): void {
    const saidMs = this.#lacking.get(to);
    if (why === undefined) {
      if (!this.#lacking.delete(to)) return;
      const text = `nothing waits any more for the right to ${to} the stream`;
      this.#log.info({ event: 'cluster.rights' }, text);
    } else if (saidMs === undefined || performance.now() - saidMs >= LACKING_MS) {
      this.#lacking.set(to, performance.now());
      const text = `this node may not ${to} the stream: ${why}; give its user in NATS the rights that docs/cluster.md lists: what waits for them goes on by itself then`;
      this.#log.warn({ event: 'cluster.rights' }, text);
    }
  }

  owner({ node, address }: OwnerIdentity, epoch: number): void {
    this.#log.info(
      { event: 'cluster.owner', node, epoch, address },
      `node ${node} (${address}) owns the log, as of epoch ${epoch}`,
    );
  }

  campaigning(epoch: number): void {
    const text = `nobody owns the log: trying epoch ${epoch}`;
    this.#log.info({ event: 'cluster.campaigning', epoch }, text);
  }

  owning(epoch: number): void {
    const text = `this node owns the log, as of epoch ${epoch}`;
    this.#log.info({ event: 'cluster.owning', epoch }, text);
  }

  suspended(epoch: number): void {
    this.counts.suspensions++;
    this.#log.warn(
      { event: 'cluster.suspended', epoch },
      'the stream has confirmed nothing for a while: nothing is delivered until it does, or another node owns the log',
    );
  }

  goesOn(epoch: number): void {
    this.#log.info({ event: 'cluster.goes-on', epoch }, 'the stream confirms again');
  }

  deposed(why: string): void {
    this.counts.deposed++;
    this.#log.warn({ event: 'cluster.deposed' }, `this node owns the log no more: ${why}`);
  }

  notFirst(why: string): void {
    this.#log.info({ event: 'cluster.not-first' }, `another node was first: ${why}`);
  }

  rebuilding(why: string): void {
    this.counts.rebuilds++;
    this.#log.warn(
      { event: 'cluster.rebuilding' },
      `the stream does not reach back to where the log here ends (${why}): it is built again from the other nodes`,
    );
  }
}
