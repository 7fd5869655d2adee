// Which dialect a peer speaks, by the first bytes that it sends. Until they have said so, a
// connection is one of the listener's own dialect: counted as such, given as much time, closed as
// such. Bytes that begin like a greeting and go on otherwise come to that dialect unchanged.
//
//                      first bytes of a greeting        all of it
//   listener's dialect ─────────────────────────► kept ───────────► dialect of the greeting
//            ▲                                      │ other bytes, or the end
//            └──────────────────────────────────────┘

import type { CloseReason } from '../../contract/close-reasons.ts';
import { assert } from '../assert.ts';
import type { Link } from '../ports/link.ts';
import type { Session } from './session.ts';

/** Longest greeting, in bytes. */
export const GREETING_BYTES_MAX = 8;

/** A dialect that its peers announce, on a listener of any other. */
export interface Dialect {
  /** How every peer begins: 1 to 8 bytes, with which no other dialect's greeting begins. */
  readonly greeting: Uint8Array;
  /**
   * Makes the session of a peer that began so; its `receive` gets what comes behind the greeting.
   * `left` must be called once, when the connection is gone: then its place is free.
   */
  open(link: Link, left: () => void): Session;
}

/** Checks a table of dialects: none may hide another. */
export function checkDialects(dialects: readonly Dialect[]): void {
  for (const [i, { greeting }] of dialects.entries()) {
    const fits = greeting.length > 0 && greeting.length <= GREETING_BYTES_MAX;
    assert(fits, `a greeting has 1 to ${GREETING_BYTES_MAX} bytes`);
    for (const other of dialects.slice(i + 1)) {
      const length = Math.min(greeting.length, other.greeting.length);
      const isSame = beginsAlike(greeting, other.greeting, length);
      assert(!isSame, 'a greeting begins with another one');
    }
  }
}

function beginsAlike(a: Uint8Array, b: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** What becomes of the session of the listener's own dialect. */
export interface OwnDialect {
  /** So many bytes are kept that may be its own. */
  begun(bytes: number): void;
  /** The connection speaks another dialect: forgets the session, as if it had never been. */
  dismiss(): void;
  /** The connection, which was counted, is gone. */
  left(): void;
}

export class Greeting implements Session {
  readonly #link: Link;
  readonly #dialects: readonly Dialect[];
  readonly #own: OwnDialect;
  #session: Session;
  #isDecided = false;
  // What came so far is the first bytes of this greeting: no copy of it has to be kept.
  #like: Uint8Array = new Uint8Array(0);
  #came = 0;

  /** `session`: of the listener's own dialect. */
  constructor(link: Link, session: Session, own: OwnDialect, dialects: readonly Dialect[]) {
    this.#link = link;
    this.#session = session;
    this.#own = own;
    this.#dialects = dialects;
  }

  get heardMs(): number {
    return this.#session.heardMs;
  }

  get closedFor(): CloseReason {
    return this.#session.closedFor;
  }

  set closedFor(reason: CloseReason) {
    this.#session.closedFor = reason;
  }

  /** Bytes from the peer, split anywhere. */
  receive(chunk: Uint8Array): void {
    if (this.#isDecided) {
      this.#session.receive(chunk);
      return;
    }
    const kept = this.#came;
    for (let at = 0; at < chunk.length; at++) {
      const dialect = this.#goesOnWith(chunk[at]!);
      if (dialect === undefined) {
        this.#isOwn(kept);
        this.#pass(chunk);
        return;
      }
      this.#like = dialect.greeting;
      this.#came++;
      if (this.#came === dialect.greeting.length) {
        this.#become(dialect);
        this.#pass(chunk.subarray(at + 1));
        return;
      }
    }
    this.#own.begun(this.#came);
  }

  // A dialect whose greeting is what came so far, and then this byte.
  #goesOnWith(byte: number): Dialect | undefined {
    return this.#dialects.find(
      ({ greeting }) =>
        greeting[this.#came] === byte && beginsAlike(greeting, this.#like, this.#came),
    );
  }

  // It is no greeting: the listener's own dialect gets what is kept.
  #isOwn(kept: number): void {
    this.#isDecided = true;
    if (kept === 0) return;
    this.#own.begun(0);
    this.#session.receive(this.#like.subarray(0, kept));
  }

  #become(dialect: Dialect): void {
    this.#isDecided = true;
    this.#own.dismiss();
    this.#session = dialect.open(this.#link, () => this.#own.left());
  }

  #pass(bytes: Uint8Array): void {
    if (bytes.length > 0 && !this.#link.destroyed) this.#session.receive(bytes);
  }

  /** The peer sends nothing more: what is kept is all that there is. */
  finished(): void {
    if (!this.#isDecided) this.#isOwn(this.#came);
    if (!this.#link.destroyed) this.#session.finished();
  }

  drained(): void {
    this.#session.drained();
  }

  gone(): void {
    this.#session.gone();
  }
}
