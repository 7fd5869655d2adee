// What the load on a peer needs of its wire protocol, and how bytes are cut into units. Each
// protocol is spoken as far as that and no further; counting messages is all that is done with
// what comes back.

import type net from 'node:net';
import { connect, type LoadError } from '../../src/load/connect.ts';

export type Protocol = 'redis' | 'nats' | 'amqp' | 'beanstalk';

export interface Side {
  port: number;
  /** Of each body. */
  messageBytes: number;
  /** What is sent in one piece. */
  batchMessages: number;
  /** So many more messages were confirmed (publisher), or delivered and acked (subscriber). */
  onMessages: (count: number) => void;
  onFailure: (error: Error) => void;
}

export interface Publisher {
  /** Publishes a batch. */
  send(): void;
  close(): void;
}

export interface Subscriber {
  close(): void;
}

/** One peer's protocol. */
export interface Speaker {
  /** Makes the queue, once, before anybody else connects; of so many copies, where it can. */
  prepare(port: number, replicas?: number): Promise<void>;
  publisher(side: Side): Promise<Publisher>;
  /** Takes and acks as fast as it can. */
  subscriber(side: Side): Promise<Subscriber>;
}

const READ_BYTES = 256 * 1024;
const NOTHING = Buffer.alloc(0);

/**
 * Cuts a stream at any split. `take` is given what is there and where the next unit begins; it
 * returns where that ends, or -1 when it is not complete.
 */
export function cutter(take: (bytes: Buffer, at: number) => number): (chunk: Uint8Array) => void {
  let held: Buffer = NOTHING;
  return (chunk) => {
    const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    const bytes = held.length === 0 ? fresh : Buffer.concat([held, fresh]);
    let at = 0;
    while (at < bytes.length) {
      const next = take(bytes, at);
      if (next < 0) break;
      at = next;
    }
    // A copy, because the chunk is only lent.
    held = at < bytes.length ? Buffer.from(bytes.subarray(at)) : NOTHING;
  };
}

/** Where the line that begins at `at` ends, behind its newline; -1 when it is not complete. */
export function lineEnd(bytes: Buffer, at: number): number {
  for (let index = at; index < bytes.length; index++) if (bytes[index] === 10) return index + 1;
  return -1;
}

/** The decimal number that begins at `at`; a sign in front is skipped. */
export function decimal(bytes: Buffer, at: number): number {
  let value = 0;
  let index = bytes[at] === 45 ? at + 1 : at;
  for (; bytes[index] >= 48 && bytes[index] <= 57; index++) value = value * 10 + bytes[index] - 48;
  return bytes[at] === 45 ? -value : value;
}

/** A connection of a peer's client. Bytes that come are lent for the length of the call. */
export class Link {
  #socket: net.Socket | undefined;
  #closing = false;
  #onBytes: (bytes: Uint8Array) => void = () => {};

  static async to(port: number, onFailure: (error: Error) => void): Promise<Link> {
    const link = new Link();
    link.#socket = await connect({
      host: '127.0.0.1',
      port,
      readBytes: READ_BYTES,
      onBytes: (bytes) => link.#onBytes(bytes),
      onEnd: (error: LoadError) => {
        if (!link.#closing) onFailure(error);
      },
    });
    return link;
  }

  /** From now on, what comes goes there. */
  receive(onBytes: (bytes: Uint8Array) => void): void {
    this.#onBytes = onBytes;
  }

  write(bytes: Uint8Array | string): void {
    this.#socket!.write(bytes);
  }

  close(): void {
    this.#closing = true;
    this.#socket!.destroy();
  }
}

/** Bytes as many times as wanted, in one piece. */
export function repeated(bytes: Uint8Array, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => bytes));
}

/** A body as long as wanted, without bytes that a protocol could take for its own. */
export function bodyOf(messageBytes: number): Buffer {
  return Buffer.alloc(messageBytes, 'x');
}
