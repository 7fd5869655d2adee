// Connections as the core sees them.

/** Who is at the other end, and how it speaks. */
export interface RemoteEnd {
  /** Tells the connection from all others of this start. */
  readonly id: number;
  /** Remote address and port, for people. */
  readonly peer: string;
  /** Remote address alone, for the cap per address; absent where there is none. */
  readonly address?: string | undefined;
  /** Name of the node that passes it on, where the peer is connected to another one. */
  readonly via?: string | undefined;
  /** Dialect: bytes of Length, 4 or 8. */
  readonly wire: number;
}

/** Bytes out, and whether more may come in. No method throws, also not after the peer is gone. */
export interface ByteStream {
  /** Sends bytes that the core will not touch until `queuedBytes` is 0 or the link is gone. */
  send(bytes: Uint8Array): void;
  /** Sends what is queued, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  /** Nothing more is received until `resume`. */
  pause(): void;
  resume(): void;
  /** Whether it was closed: nothing that is sent arrives any more. */
  readonly destroyed: boolean;
  /** Bytes accepted by `send` that the system has not taken yet. */
  readonly queuedBytes: number;
}

/** One connection. */
export type Link = RemoteEnd & ByteStream;
