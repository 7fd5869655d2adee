// One client joined to the owner: bytes both ways, no more of them under way than is allowed, and
// the end of either side is the end of both, in the way it came: half-closed, ended or broken off.
// To the listeners it is a session, so that a client is accepted, read and closed as any other.
//
//   held ──► connecting ──► joined ──► leaving ──► gone
//     ▲          │ refused     (read both ways)
//     └──────────┘

import type net from 'node:net';
import type { CloseReason } from '../../contract/close-reasons.ts';
import type { Side } from '../../contract/snapshot.ts';
import type { Session } from '../../core/connections/session.ts';
import type { Link } from '../../core/ports/link.ts';
import { deadline } from '../../time/deadline.ts';
import { cancel, type Timer } from '../../time/timers.ts';
import { keyOf } from '../peers.ts';
import type { Joining } from './node-connection.ts';

/** What is sent last has so long to leave, in ms. */
const LEAVE_MS = 1000;
/** A client whose broker has ended its connection has so long to end it, too. */
const LINGER_MS = 10_000;

/** A connection of a client, as the listeners make it: named in the system's table of sockets. */
export type ClientLink = Link & { readonly key?: string };

/** What a splice asks and tells who made it. */
export interface Share {
  /** What one direction may hold before its sender is not read any more. */
  bytesMax(): number;
  holds(bytes: number): void;
  refused(splice: Splice, why: string): void;
  gone(splice: Splice): void;
}

export class Splice implements Session {
  readonly link: ClientLink;
  readonly side: Side;
  heardMs: number;
  closedFor: CloseReason = 'peer';
  holdTimer: Timer | undefined;
  retryTimer: Timer | undefined;
  /** How often the owner that is known has taken it not. */
  refusals = 0;
  #endTimer: Timer | undefined;
  readonly #share: Share;
  readonly #nowMs: () => number;
  #owner: net.Socket | undefined;
  #isJoined = false;
  #isLeaving = false;
  #isGone = false;
  #ended = false; // the client has sent all
  #clientWaits = false; // not read: the owner's side is full
  #heldBytes = 0;
  readonly #written = () => this.#ownerTook();

  constructor(link: ClientLink, side: Side, share: Share, nowMs: () => number) {
    this.link = link;
    this.side = side;
    this.#share = share;
    this.#nowMs = nowMs;
    this.heardMs = nowMs();
    link.pause(); // until an owner has said welcome
  }

  get isJoined(): boolean {
    return this.#isJoined;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Both connections as the system's table of sockets names them. */
  get keys(): string[] {
    const { localPort, remoteAddress, remotePort } = this.#owner ?? {};
    const keys = this.link.key === undefined ? [] : [this.link.key];
    if (localPort !== undefined && remoteAddress !== undefined && remotePort !== undefined)
      keys.push(keyOf({ localPort, remoteAddress, remotePort }));
    return keys;
  }

  /** Tries an owner; throws what `connect` does. */
  join(connect: (joining: Joining) => net.Socket): void {
    this.#owner = connect({
      joined: (owner) => this.#joined(owner),
      read: (owner, bytes) => this.#fromOwner(owner, bytes),
      closed: (owner, why) => {
        if (owner !== this.#owner) return;
        this.#owner = undefined;
        if (this.#isJoined) this.#ownerGone();
        else if (!this.#isLeaving) this.#share.refused(this, why);
      },
    });
  }

  /** Tries no owner any more. */
  abandon(): void {
    const owner = this.#owner;
    this.#owner = undefined;
    owner?.destroy();
  }

  #joined(owner: net.Socket): void {
    cancel(this.holdTimer);
    this.#isJoined = true;
    owner.on('end', () => this.#ownerEnded());
    this.link.resume();
  }

  // Bytes to the client.
  #fromOwner(owner: net.Socket, bytes: Uint8Array): void {
    if (this.#isLeaving || this.link.destroyed) return;
    const copy = copyOf(bytes);
    this.link.send(copy);
    if (this.link.queuedBytes === 0) useAgain(copy);
    this.#count();
    if (this.link.queuedBytes > this.#share.bytesMax()) owner.pause();
  }

  drained(): void {
    this.#count();
    this.#owner?.resume();
  }

  /** Bytes of the client. */
  receive(chunk: Uint8Array): void {
    this.heardMs = this.#nowMs();
    const owner = this.#owner;
    if (owner === undefined || this.#isLeaving) return;
    const copy = copyOf(chunk);
    owner.write(copy, this.#written);
    if (owner.writableLength === 0) useAgain(copy);
    this.#count();
    if (owner.writableLength <= this.#share.bytesMax() || this.#clientWaits) return;
    this.#clientWaits = true;
    this.link.pause();
  }

  #ownerTook(): void {
    this.#count();
    if (!this.#clientWaits || (this.#owner?.writableLength ?? 0) > 0) return;
    this.#clientWaits = false;
    this.link.resume();
  }

  #count(): void {
    const held = this.#isGone ? 0 : this.link.queuedBytes + (this.#owner?.writableLength ?? 0);
    const more = held - this.#heldBytes;
    this.#heldBytes = held;
    if (more !== 0) this.#share.holds(more);
  }

  /** The client sends nothing more. */
  finished(): void {
    this.#ended = true;
    if (this.#isLeaving) this.link.destroy();
    else this.#owner?.end();
  }

  // The broker has ended the connection: so does the client, when it has read what was sent.
  #ownerEnded(): void {
    this.link.end();
    this.#dropIn(LINGER_MS);
  }

  #ownerGone(): void {
    if (this.link.destroyed || this.#isLeaving) return;
    // After an end there may be bytes on their way; without one, both are broken off.
    if (this.#endTimer === undefined) this.link.destroy();
    this.#count();
  }

  #dropIn(ms: number): void {
    cancel(this.#endTimer);
    this.#endTimer = deadline(ms, () => this.drop());
  }

  /** Lets the client have what came for it, then closes: it connects again. */
  leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.abandon();
    if (this.#isJoined && this.link.queuedBytes > 0) {
      this.#dropIn(LEAVE_MS);
      this.link.resume(); // its end is seen
      this.link.end();
    } else this.link.destroy();
  }

  /** Closes at once. */
  drop(): void {
    this.#isLeaving = true;
    this.link.destroy();
  }

  /** The client's connection is gone; the owner's goes in the same way. */
  gone(): void {
    this.#isGone = true;
    cancel(this.holdTimer);
    cancel(this.retryTimer);
    cancel(this.#endTimer);
    const owner = this.#owner;
    this.#owner = undefined;
    this.#count();
    if (owner !== undefined) {
      if (!this.#isJoined) owner.destroy();
      else if (this.#ended) finish(owner);
      else breakOff(owner);
    }
    this.#share.gone(this);
  }
}

// What was read stands in memory that the next read uses, and the system mostly takes it at once:
// one copy is enough for all then, and what has to wait keeps its own.
const COPY_BYTES = 64 * 1024;
const SMALL_BYTES = 4096;
let spare: Buffer | undefined;

function copyOf(bytes: Uint8Array): Buffer {
  if (bytes.length <= SMALL_BYTES || bytes.length > COPY_BYTES) return Buffer.from(bytes);
  const copy = (spare ?? Buffer.allocUnsafeSlow(COPY_BYTES)).subarray(0, bytes.length);
  spare = undefined;
  copy.set(bytes);
  return copy;
}

function useAgain(copy: Buffer): void {
  if (copy.buffer.byteLength === COPY_BYTES && copy.length > SMALL_BYTES)
    spare = Buffer.from(copy.buffer);
}

// The client has sent all, and the broker is still to have it.
function finish(owner: net.Socket): void {
  const timer = deadline(LINGER_MS, () => owner.destroy());
  owner.once('close', () => cancel(timer));
  owner.destroySoon();
}

// As a client's broken connection looks to its broker; over TLS there is no reset.
function breakOff(owner: net.Socket): void {
  try {
    owner.resetAndDestroy();
  } catch {
    owner.destroy();
  }
}
