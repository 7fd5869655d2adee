// Bytes out: what was sent to a peer and waits because it does not read. That counts in the budget
// for all buffers, and a peer that leaves too much of it unread is not read from either.

import type { Budget } from '../memory/budget.ts';
import type { Link } from '../ports/link.ts';
import { type Backpressure, OUTPUT } from './backpressure.ts';

/** What it needs of the broker. */
export interface OutboundHost {
  /** Unread bytes above which a peer is held back. */
  readonly limits: { readonly peerBytesMax: number };
  readonly memory: { readonly budget: Budget };
  readonly turns: {
    /** Monotonic time in ms. */
    nowMs(): number;
  };
}

export class Outbound {
  readonly #host: OutboundHost;
  readonly #link: Link;
  readonly #backpressure: Backpressure;
  #queuedBytes = 0;
  #sinceMs = -1;
  #gone = false;

  constructor(host: OutboundHost, link: Link, backpressure: Backpressure) {
    this.#host = host;
    this.#link = link;
    this.#backpressure = backpressure;
  }

  /** Bytes that the peer has not taken. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Since when it has not taken all of them, or -1. */
  get stuckSinceMs(): number {
    return this.#queuedBytes > 0 ? this.#sinceMs : -1;
  }

  /** Sends bytes that nobody will change; to nobody if the peer is gone. */
  send(bytes: Uint8Array): void {
    if (this.#gone) return;
    this.#link.send(bytes);
    this.#count(this.#link.queuedBytes);
    if (this.#queuedBytes > this.#host.limits.peerBytesMax) this.#backpressure.hold(OUTPUT);
  }

  /** The system has taken what was queued. True: that was why the peer was held back. */
  drained(): boolean {
    if (this.#gone) return false;
    this.#count(this.#link.queuedBytes);
    if (!this.#backpressure.has(OUTPUT)) return false;
    this.#backpressure.lift(OUTPUT);
    return true;
  }

  #count(queuedBytes: number): void {
    const { memory, turns } = this.#host;
    if (this.#queuedBytes === 0) this.#sinceMs = turns.nowMs();
    memory.budget.bytes += queuedBytes - this.#queuedBytes;
    this.#queuedBytes = queuedBytes;
  }

  /** The connection is gone, and what was queued with it. */
  gone(): void {
    this.#gone = true;
    this.#host.memory.budget.bytes -= this.#queuedBytes;
    this.#queuedBytes = 0;
  }
}
