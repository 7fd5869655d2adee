// What a connection is to whoever carries its bytes: one conversation with one peer.

import type { CloseReason } from '../../contract/close-reasons.ts';

/** What a connection's bytes go into, and its end. */
export interface Session {
  /** Bytes from the peer, split anywhere; not kept beyond the call. */
  receive(chunk: Uint8Array): void;
  /** The peer, which has sent something, sends nothing more. */
  finished(): void;
  /** The system has taken everything that was queued for the peer. */
  drained(): void;
  /** The connection is gone. */
  gone(): void;
  /** When the peer was last heard, in the broker's monotonic ms. */
  readonly heardMs: number;
  /** Why it is being closed; counted when it is gone. */
  closedFor: CloseReason;
}
