// The other nodes' side of passed-on clients: every client is joined to the owner, whoever that is.
// Until an owner is known and has said welcome, a client is held and not read; then it is closed.
// Where the owner changes, all that were joined to it are closed, and connect again.

import type { Side } from '../../contract/snapshot.ts';
import { Admission, type AdmissionLimits } from '../../core/connections/admission.ts';
import type { Session } from '../../core/connections/session.ts';
import * as notices from '../../core/delivery/notices.ts';
import { authority, type HostPort } from '../../core/text/address.ts';
import { deadline } from '../../time/deadline.ts';
import { after, cancel, type Timer } from '../../time/timers.ts';
import { retransmissions } from '../peers.ts';
import { RETRANSMISSIONS_MIN } from '../tcp/silence.ts';
import { connectTo, type NodeIdentity } from './node-connection.ts';
import type { Notice } from './node-listener.ts';
import { type ClientLink, type Share, Splice } from './splice.ts';

/** How long a client waits for an owner, in ms. */
const HOLD_MS = 10_000;
const RETRY_MS = 200;
// The first time. A new owner may be known here before it knows itself that its start counts.
const RETRY_SOON_MS = 10;
// What one client may have under way in each direction, where there is memory for it.
const SHARE_BYTES_MAX = 128 * 1024;
const SHARE_BYTES_MIN = 4096;

export interface SplicerOptions extends NodeIdentity {
  limits: AdmissionLimits;
  /** What all clients together may have under way; beyond twice of it, who holds most goes. */
  bytesMax: number;
  holdMs?: number;
  /** How long it is waited at most between two tries at an owner that takes no client. */
  retryMs?: number;
  /** Monotonic ms. */
  nowMs: () => number;
  notice: Notice;
}

export class Splicer implements Share {
  readonly #options: SplicerOptions;
  readonly #admission: Admission;
  readonly #splices = new Set<Splice>();
  #owner: HostPort | undefined;
  #heldBytes = 0;

  constructor(options: SplicerOptions) {
    this.#options = options;
    this.#admission = new Admission(options.limits);
  }

  /** Clients that are held or joined to the owner. */
  get open(): number {
    return this.#splices.size;
  }

  /** Bytes that were read on one side and not taken yet by the other. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Where the owner is; undefined: nobody knows. Clients of another one are closed. */
  owner(address: HostPort | undefined): void {
    const before = this.#owner;
    if (before?.host === address?.host && before?.port === address?.port) return;
    this.#owner = address;
    for (const splice of [...this.#splices]) {
      splice.refusals = 0;
      if (splice.isJoined) splice.leave();
      else this.#tryNow(splice);
    }
  }

  /** A client is connected; undefined: it was turned away. */
  splice(link: ClientLink, side: Side): Session | undefined {
    const refusal = this.#admission.enter(link.address);
    if (refusal !== undefined) {
      const text = notices.refused(link.peer, refusal, this.#options.limits);
      this.#options.notice('warn', `connections.${refusal}`, text);
      link.destroy();
      return undefined;
    }
    const splice = new Splice(link, side, this, this.#options.nowMs);
    this.#splices.add(splice);
    splice.holdTimer = deadline(this.#options.holdMs ?? HOLD_MS, () => {
      this.#options.notice('warn', 'cluster.held', `${link.peer} closed: no owner to serve it`);
      splice.leave();
    });
    this.#tryNow(splice);
    return splice;
  }

  /** Looks for clients and owners that are gone with data in flight to them. */
  async look(): Promise<void> {
    if (this.#splices.size === 0) return;
    const counts = await retransmissions();
    for (const splice of [...this.#splices])
      if (splice.keys.some((key) => (counts.get(key) ?? 0) >= RETRANSMISSIONS_MIN)) splice.drop();
  }

  /** Closes all at once. */
  close(): void {
    for (const splice of [...this.#splices]) splice.drop();
  }

  #tryNow(splice: Splice): void {
    cancel(splice.retryTimer);
    splice.retryTimer = undefined;
    splice.abandon();
    const owner = this.#owner;
    if (owner === undefined) return;
    const { link, side } = splice;
    const { address = '::', wire } = link;
    const port = Number(/:(\d+)$/.exec(link.peer)?.[1] ?? 0);
    try {
      splice.join((joining) =>
        connectTo(owner, this.#options, { side, wire, address, port }, joining),
      );
    } catch (error) {
      this.refused(splice, (error as Error).message);
    }
  }

  /** The owner is not there, or does not want it: again soon, while the client is held. */
  refused(splice: Splice, why: string): void {
    const { host = '', port = 0 } = this.#owner ?? {};
    const text = `the owner at ${authority(host, port)} takes no client: ${why}`;
    this.#options.notice('warn', 'cluster.owner', text);
    const { retryMs = RETRY_MS } = this.#options;
    const ms = Math.min(retryMs, RETRY_SOON_MS * 2 ** splice.refusals++);
    const timer: Timer = after(ms, () => this.#tryNow(splice));
    splice.retryTimer = timer;
  }

  /** What one direction may hold before its sender is not read any more. */
  bytesMax(): number {
    const fair = Math.floor(this.#options.bytesMax / (2 * Math.max(1, this.#splices.size)));
    return Math.max(SHARE_BYTES_MIN, Math.min(SHARE_BYTES_MAX, fair));
  }

  /** A client holds so many bytes more, or less. */
  holds(bytes: number): void {
    this.#heldBytes += bytes;
    if (bytes <= 0 || this.#heldBytes <= 2 * this.#options.bytesMax) return;
    let most: Splice | undefined;
    for (const splice of this.#splices)
      if (most === undefined || splice.heldBytes > most.heldBytes) most = splice;
    most?.drop();
  }

  /** A client's connection is gone. */
  gone(splice: Splice): void {
    if (!this.#splices.delete(splice)) return;
    this.#admission.leave(splice.link.address);
  }
}
