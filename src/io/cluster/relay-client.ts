// The other nodes' side of the relay: one connection to whoever owns the log, over which come the
// messages that the stream has confirmed to it. It is made when somebody wants to hear, and never
// made again by itself.

import type net from 'node:net';
import type { HostPort } from '../../core/text/address.ts';
import { connectTo, type NodeIdentity } from './node-connection.ts';
import type { Notice } from './node-listener.ts';
import { RelayReader } from './relay-frames.ts';
import type { RelayEar, RelaySource } from './relayed.ts';

export interface RelayClientOptions extends NodeIdentity {
  /** LOG_ID, unsigned, of the log that the stream is of. */
  logId: bigint;
  /** Bytes of a message of the stream. */
  bytesMax: number;
  notice: Notice;
}

export class RelayClient implements RelaySource {
  readonly #options: RelayClientOptions;
  readonly #stops = new Set<() => void>();
  #owner: HostPort | undefined;

  constructor(options: RelayClientOptions) {
    this.#options = options;
  }

  /** Where the owner is; undefined: nobody knows, or it is this node. */
  owner(address: HostPort | undefined): void {
    const before = this.#owner;
    if (before?.host === address?.host && before?.port === address?.port) return;
    this.#owner = address;
    for (const stop of [...this.#stops]) stop();
  }

  listen(ear: RelayEar): (() => void) | undefined {
    if (this.#owner === undefined) return undefined;
    const { bytesMax, logId } = this.#options;
    const reader = new RelayReader(bytesMax);
    let socket: net.Socket | undefined;
    const stop = (): void => {
      if (!this.#stops.delete(stop)) return;
      socket?.destroy();
      ear.ended();
    };
    const hear: RelayEar['hear'] = (message) => this.#stops.has(stop) && ear.hear(message);
    try {
      socket = connectTo(
        this.#owner,
        this.#options,
        { side: 'stream', logId },
        {
          joined: (joined) => void joined.on('end', () => joined.destroy()),
          read: (_, bytes) => {
            if (!this.#stops.has(stop) || reader.push(bytes, hear)) return;
            const text = 'the owner sent what is no message of the stream: it is read from NATS';
            this.#options.notice('warn', 'cluster.relay', text);
            stop();
          },
          closed: stop,
        },
      );
    } catch {
      return undefined; // the token file is not right, which orders tell
    }
    this.#stops.add(stop);
    return stop;
  }
}
