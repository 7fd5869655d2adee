// A broker in one process for the tests of clients: the two listeners on free ports, scripted by
// the test, built on the broker-side half of src/codec/wire.ts. It stores nothing and decides
// nothing; every wait is for an event.

import { createServer, type Server, type Socket } from 'node:net';
import { CONSUMER_HEADER_BYTES } from '../../assembly/layout.ts';
import {
  BatchDecoder,
  type ConsumerHeader,
  decodeConsumerHeader,
  encodeDelivery,
  encodeHeartbeat,
  type Wire,
  type WireMessage,
} from '../../src/codec/wire.ts';

/** Items that come from events, waited for one by one. */
export class Inbox<T> {
  readonly #items: T[] = [];
  readonly #takers: ((item: T) => void)[] = [];

  put(item: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#items.push(item);
    else taker(item);
  }

  next(): Promise<T> {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift()!);
    return new Promise((resolve) => {
      this.#takers.push(resolve);
    });
  }

  get size(): number {
    return this.#items.length;
  }
}

abstract class Listener {
  readonly sockets = new Set<Socket>();
  protected readonly wire: Wire;
  #server: Server | undefined;
  #port = 0;

  constructor(wire: Wire) {
    this.wire = wire;
  }

  get port(): number {
    return this.#port;
  }

  /** Listens on a free port, or on the one it had before `stop`. */
  async start(): Promise<this> {
    const server = createServer({ noDelay: true }, (socket) => {
      this.sockets.add(socket);
      socket.on('error', () => {}); // peers vanish in these tests
      socket.on('close', () => this.sockets.delete(socket));
      this.onSocket(socket);
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (address !== null && typeof address === 'object') this.#port = address.port;
    return this;
  }

  /** Drops every connection and stops to listen. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  protected abstract onSocket(socket: Socket): void;
}

export interface IncomingBatch {
  readonly socket: Socket;
  readonly messages: readonly WireMessage[];
}

/** The producers' listener. `reply` answers each batch; without it the test does. */
export class FakeIntake extends Listener {
  readonly batches = new Inbox<IncomingBatch>();
  readonly goodbyes = new Inbox<Socket>();
  readonly stored: WireMessage[] = [];
  /** Ack bytes for a batch; default: all stored. `undefined` result: the test answers. */
  reply: (batch: IncomingBatch) => Uint8Array | undefined = ({ messages }) =>
    new Uint8Array(messages.length).fill(1);

  constructor(wire: Wire = 'u64') {
    super(wire);
  }

  protected onSocket(socket: Socket): void {
    const decoder = new BatchDecoder(this.wire);
    socket.on('data', (chunk) => {
      for (const messages of decoder.push(chunk)) {
        if (messages.length === 0) {
          this.goodbyes.put(socket);
          socket.end();
          continue;
        }
        const batch = { socket, messages };
        this.stored.push(...messages);
        const acks = this.reply(batch);
        if (acks !== undefined) socket.write(acks);
        this.batches.put(batch);
      }
    });
  }
}

/** One consumer, seen from the broker. */
export class FakeConsumerLink {
  readonly socket: Socket;
  readonly header: ConsumerHeader;
  readonly closed: Promise<void>;
  readonly #wire: Wire;
  readonly #acks = new Inbox<number>();

  constructor(socket: Socket, header: ConsumerHeader, wire: Wire) {
    this.socket = socket;
    this.header = header;
    this.#wire = wire;
    this.closed = new Promise((resolve) => {
      socket.on('close', () => resolve());
    });
  }

  deliver(...bodies: string[]): void {
    const bytes = bodies.map((body) => new TextEncoder().encode(body));
    this.socket.write(encodeDelivery(bytes, this.#wire));
  }

  heartbeat(): void {
    this.socket.write(encodeHeartbeat(this.#wire));
  }

  receive(chunk: Uint8Array): void {
    for (const byte of chunk) this.#acks.put(byte);
  }

  /** The next `count` ack bytes. */
  async acks(count: number): Promise<number[]> {
    const bytes: number[] = [];
    while (bytes.length < count) bytes.push(await this.#acks.next());
    return bytes;
  }

  /** Ack bytes that came and were not asked for. */
  get acksLeft(): number {
    return this.#acks.size;
  }
}

/** The consumers' listener. */
export class FakeExhaust extends Listener {
  readonly links = new Inbox<FakeConsumerLink>();

  constructor(wire: Wire = 'u64') {
    super(wire);
  }

  protected onSocket(socket: Socket): void {
    let link: FakeConsumerLink | undefined;
    let head = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      if (link !== undefined) {
        link.receive(chunk);
        return;
      }
      head = Buffer.concat([head, chunk]);
      const header = decodeConsumerHeader(head);
      if (header === undefined) return;
      link = new FakeConsumerLink(socket, header, this.wire);
      link.receive(head.subarray(CONSUMER_HEADER_BYTES));
      this.links.put(link);
    });
  }
}
