// What a connection is between the socket and the broker's core: where its bytes go, and what a
// listener gives to each.

import type { CloseReason } from '../../contract/close-reasons.ts';
import type { Link } from '../../core/ports/link.ts';

/** What a connection's bytes go into. */
export interface Session {
  receive(chunk: Uint8Array): void;
  /** The peer, which has sent something, sends nothing more. */
  finished(): void;
  drained(): void;
  gone(): void;
  /** When the peer was last heard, in the broker's monotonic ms. */
  readonly heardMs: number;
  /** Why it is being closed; counted when it is gone. */
  closedFor: CloseReason;
}

export interface ListenOptions {
  host: string;
  port: number;
  /** Dialect: bytes of Length. */
  wire: number;
  /** Makes a session for a link, or refuses it (and has destroyed it). */
  accept: (link: Link) => Session | undefined;
  /** Where all sockets read into; what is read is handed on before the next read. */
  readInto: Uint8Array;
}
