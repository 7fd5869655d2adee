// The replicated stream: one order of messages that all nodes of a cluster read alike, and into
// which each may append if it knows the last number. Callbacks only, so that a simulator owns the
// order in which they come.

import type { Failure } from './basics.ts';

/** What became of an append, as far as is known. */
export type Appended =
  | { ok: true; sequence: number }
  /** Not stored: another number than the expected one is the last. Says nothing of whose it is. */
  | { ok: false; why: 'expected' }
  /** Timed out, no leader, connection lost: it may be stored, now or later, or never. */
  | { ok: false; why: 'unknown' }
  /** Not stored: the stream or its store is full. */
  | { ok: false; why: 'full' }
  /** Not stored: this node has no right to, as long as nobody gives it back. */
  | { ok: false; why: 'forbidden'; text: string }
  /** Not stored, and an operator is needed: settings, the stream is gone. */
  | { ok: false; why: 'refused'; text: string };

/** A message of the stream, envelope first; its bytes are valid only within the call. */
export interface StreamMessage {
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

export interface StreamState {
  /** The first number that is there; `last` + 1 if none is. */
  readonly first: number;
  /** The last number that was given out; 0 if none was. Purging does not change it. */
  readonly last: number;
  readonly bytes: number;
  /** When the stream was made, as its servers say it; another one is another stream. */
  readonly created: string;
  /** The server that leads it, where that is known. */
  readonly leader?: string;
}

/** No `done`, and nothing heard, ever comes within the call; each `done` comes exactly once. */
export interface ReplicatedStream {
  /**
   * Appends `envelope` and `body` as one message if the last number is `expect`. Both are copied
   * within the call. Many may be in flight.
   */
  append(
    envelope: Uint8Array,
    body: Uint8Array | undefined,
    expect: number,
    done: (appended: Appended) => void,
  ): void;
  /**
   * Hears messages from number `from` on, in order. A jump may be heard, where some were purged: the
   * reader looks. `hear` gives false if it can take no more; then nothing comes until `resume`.
   * `lost`: it has ended by itself, and may be asked for again.
   */
  follow(
    from: number,
    hear: (message: StreamMessage) => boolean,
    lost: (why: string) => void,
  ): { stop(): void; resume(): void };
  /** One message by its number. It may be asked of a server that is behind: undefined says that it
   * is not there, or not yet seen, or no more. */
  read(sequence: number, done: (failure: Failure, message?: StreamMessage) => void): void;
  /** Of the leader, where it can be had; may be out of date all the same. */
  state(done: (failure: Failure, state?: StreamState) => void): void;
  /** Everything below number `before` may go. */
  purge(before: number, done: (failure: Failure) => void): void;
  connected(): boolean;
}
