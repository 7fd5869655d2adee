// What tests of nodes share: token files, notices that can be waited for, and both ends of a
// cluster port on loopback.

import { EventEmitter, once } from 'node:events';
import fs from 'node:fs';
import type net from 'node:net';
import path from 'node:path';
import type { Session } from '../../../src/core/connections/session.ts';
import type { Link } from '../../../src/core/ports/link.ts';
import {
  NodeListener,
  type NodeListenerOptions,
  type Notice,
} from '../../../src/io/cluster/node-listener.ts';
import { NodeToken } from '../../../src/io/cluster/node-token.ts';
import type { OrdersPreamble, Preamble, StreamPreamble } from '../../../src/io/cluster/preamble.ts';
import { Splicer, type SplicerOptions } from '../../../src/io/cluster/splicer.ts';
import type { SocketLink } from '../../../src/io/tcp/link.ts';
import { Listeners } from '../../../src/io/tcp/listeners.ts';
import { temporaryFolder } from '../../support/broker.ts';

export const LOG_ID = 0xfedc_ba98_7654_3210n;
export const TOKEN = 'a token of more than 16 characters';

/** A token file that only its owner may read. */
export function tokenFile(token = TOKEN): string {
  const file = path.join(temporaryFolder(), 'token');
  fs.writeFileSync(file, `${token}\n`, { mode: 0o600 });
  return file;
}

/** Notices as `kind: text`, to be waited for. */
export class Notices {
  readonly lines: string[] = [];
  readonly #said = new EventEmitter();
  readonly notice: Notice = (_level, kind, text) => {
    this.lines.push(`${kind}: ${text}`);
    this.#said.emit('line');
  };

  async like(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      await once(this.#said, 'line');
    }
  }
}

export interface Adopted {
  socket: net.Socket;
  client: Preamble;
}

export interface Ordering {
  socket: net.Socket;
  from: OrdersPreamble;
}

/** The owner's side: keeps what is handed on. */
export class OwnerSide {
  readonly notices = new Notices();
  readonly listener: NodeListener;
  readonly adopted: Adopted[] = [];
  /** Connections with orders. */
  readonly ordering: Ordering[] = [];
  /** Of nodes that follow the stream. */
  readonly following: { socket: net.Socket; from: StreamPreamble }[] = [];
  readonly #door = new EventEmitter();
  isOwner = true;
  /** Ends connections that their clients have ended. */
  endsToo = true;
  port = 0;

  constructor(options: Partial<NodeListenerOptions> = {}) {
    this.listener = new NodeListener({
      host: '127.0.0.1',
      port: 0,
      cluster: 'prod',
      logId: LOG_ID,
      connectionsMax: 100,
      isOwner: () => this.isOwner,
      adopt: (socket, client) => {
        socket.on('error', () => {});
        socket.on('end', () => this.endsToo && socket.end());
        this.adopted.push({ socket, client });
        this.#door.emit('adopted');
      },
      orders: (socket, from) => {
        socket.on('error', () => {});
        this.ordering.push({ socket, from });
        this.#door.emit('ordering');
      },
      follows: (socket, from) => {
        socket.on('error', () => {});
        this.following.push({ socket, from });
        this.#door.emit('following');
      },
      notice: this.notices.notice,
      ...options,
    });
  }

  async listen(): Promise<this> {
    this.port = (await this.listener.listen()).port;
    return this;
  }

  /** The next one that is handed on. */
  async next(): Promise<Adopted> {
    while (this.adopted.length === 0) await once(this.#door, 'adopted');
    return this.adopted.shift()!;
  }

  /** The next one with orders. */
  async nextOrdering(): Promise<Ordering> {
    while (this.ordering.length === 0) await once(this.#door, 'ordering');
    return this.ordering.shift()!;
  }

  /** The next one of a node that follows. */
  async nextFollowing(): Promise<{ socket: net.Socket; from: StreamPreamble }> {
    while (this.following.length === 0) await once(this.#door, 'following');
    return this.following.shift()!;
  }

  close(): void {
    this.listener.close();
    const all = [...this.adopted, ...this.ordering, ...this.following];
    for (const { socket } of all) socket.destroy();
  }
}

/** Another node: its client listeners, and its splicer. */
export class OtherNode {
  readonly notices = new Notices();
  readonly listeners = new Listeners();
  readonly splicer: Splicer;
  readonly links: SocketLink[] = [];
  intake = 0;
  exhaust = 0;

  constructor(options: Partial<SplicerOptions> = {}) {
    this.splicer = new Splicer({
      cluster: 'prod',
      node: 'b',
      token: new NodeToken(tokenFile()),
      limits: { connectionsMax: 100, connectionsPerAddressMax: 100 },
      bytesMax: 4 * 1024 * 1024,
      retryMs: 5,
      nowMs: () => performance.now(),
      notice: this.notices.notice,
      ...options,
    });
  }

  /** `addressOf`: stands in for where clients come from. */
  async listen(
    wire = 8,
    addressOf?: () => string,
    ports = { intake: 0, exhaust: 0 },
  ): Promise<this> {
    const readInto = new Uint8Array(65_536);
    const listen = async (side: 'intake' | 'exhaust') => {
      const accept = (link: Link): Session | undefined => {
        this.links.push(link as SocketLink);
        if (addressOf !== undefined) Object.defineProperty(link, 'address', { value: addressOf() });
        return this.splicer.splice(link, side);
      };
      const options = { host: '127.0.0.1', port: ports[side], wire, accept, readInto };
      return (await this.listeners.listen(options)).port;
    };
    this.intake = await listen('intake');
    this.exhaust = await listen('exhaust');
    return this;
  }

  close(): void {
    this.listeners.stop();
    this.listeners.destroyAll();
    this.splicer.close();
  }
}
