// Connections of the simulated world: bytes wait in both directions until the world lets some of
// them pass, in pieces of any size. The broker's end is a Link; what it sends is judged at once.

import { assert } from '../../src/core/assert.ts';
import type { Link } from '../../src/core/ports/link.ts';

/** What the broker's side of a connection is, once it was accepted. */
export interface Session {
  /** Who closed it, or what for. */
  readonly closedFor: string;
  receive(chunk: Uint8Array): void;
  finished(): void;
  drained(): void;
  gone(): void;
}

export interface LinkEvents {
  /** The broker sends: called before anything else happens to the bytes. */
  sent(bytes: Uint8Array, lost: boolean): void;
  /** The broker says that nothing more will be sent. */
  ended(): void;
  /** The connection is closed on the broker's side; its session is told in another turn. */
  closed(): void;
}

export class SimLink implements Link {
  readonly id: number;
  readonly peer: string;
  readonly wire: number;
  readonly #events: LinkEvents;
  /** On their way to the broker. */
  readonly inbound: Uint8Array[] = [];
  /** On their way to the client. */
  outbound: Uint8Array[] = [];
  /** Sent by the broker while the peer reads nothing: the very arrays, and what was in them. */
  readonly #stuck: { bytes: Uint8Array; copy: Uint8Array }[] = [];
  session: Session | undefined;
  paused = false;
  slow = false;
  ended = false;
  destroyed = false;
  /** The client vanished: nothing passes any more. */
  dead = false;
  /** The client has sent all that it will. */
  finishing = false;
  queuedBytes = 0;

  constructor(id: number, wire: number, events: LinkEvents) {
    this.id = id;
    this.peer = `sim:${id}`;
    this.wire = wire;
    this.#events = events;
  }

  send(bytes: Uint8Array): void {
    if (this.ended) return;
    // Also what goes to a closed connection: the broker counts it until it is told.
    this.#events.sent(bytes, this.destroyed);
    if (this.destroyed) return;
    const copy = bytes.slice();
    if (!this.slow && !this.dead) {
      this.outbound.push(copy);
      return;
    }
    this.#stuck.push({ bytes, copy });
    this.queuedBytes += bytes.length;
  }

  end(): void {
    if (this.destroyed || this.ended) return;
    this.ended = true;
    this.#events.ended();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.inbound.length = 0;
    this.#events.closed();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** Whether bytes may pass to the broker. */
  get readable(): boolean {
    if (this.destroyed || this.dead || this.paused) return false;
    return this.inbound.length > 0 || this.finishing;
  }

  /** The peer reads again: the system takes all that was queued. */
  drain(): void {
    this.slow = false;
    if (this.dead || this.destroyed || this.#stuck.length === 0) return;
    for (const { bytes, copy } of this.#stuck.splice(0)) {
      const same = Buffer.compare(bytes, copy) === 0;
      assert(same, 'bytes changed that were sent and not yet taken');
      this.outbound.push(copy);
    }
    this.queuedBytes = 0;
    this.session!.drained();
  }

  /** At most `most` bytes of what is on its way to the broker. */
  take(most: number): Uint8Array {
    const first = this.inbound[0]!;
    if (first.length <= most) return this.inbound.shift()!;
    this.inbound[0] = first.subarray(most);
    return first.subarray(0, most);
  }
}
