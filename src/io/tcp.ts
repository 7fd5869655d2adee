// Sockets for the broker: each becomes a Link, its bytes go into a session, its end into `gone`.
// Decides nothing, except that a peer which is provably unreachable is disconnected.

import net from 'node:net';
import type { Link } from '../core/ports.ts';
import { keyOf, retransmissions } from './peers.ts';

/** What a connection's bytes go into. */
export interface Session {
  receive(chunk: Uint8Array): void;
  /** The peer sends nothing more. */
  finished(): void;
  drained(): void;
  gone(): void;
  /** When the peer was last heard, in the broker's monotonic ms. */
  readonly heardMs: number;
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

// Idle peers that vanished are found by keep-alive: 10 s of silence, then a probe each second.
const KEEP_ALIVE_MS = 10_000;
/** How long a link that owes something must have been silent to be looked up. */
export const SUSPECT_AFTER_MS = 10_000;
// Five retransmissions without an answer are more than six seconds of silence from the peer's host.
const RETRANSMISSIONS_MIN = 5;

// What all sockets together may read in one turn of the event loop. A commit's write and sync end
// as events too: behind megabytes that one busy producer has sent, the disk would stand idle.
const TURN_BYTES = 128 * 1024;

/** Shares out the event loop: who reads past the turn's bytes goes on in the next one. */
class Turn {
  #left = TURN_BYTES;
  #begun = false;
  #waiting: SocketLink[] = [];

  /** Counts what a link has read; the link waits if the turn is used up. */
  spend(link: SocketLink, bytes: number): void {
    this.#left -= bytes;
    if (!this.#begun) {
      this.#begun = true;
      setImmediate(() => this.#next());
    }
    if (this.#left > 0) return;
    link.waitTurn();
    this.#waiting.push(link);
  }

  #next(): void {
    this.#begun = false;
    this.#left = TURN_BYTES;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const link of waiting) link.takeTurn();
  }
}

const turn = new Turn();

let nextId = 1;

export class SocketLink implements Link {
  readonly id = nextId++;
  readonly peer: string;
  readonly address: string;
  readonly wire: number;
  readonly key: string;
  readonly #socket: net.Socket;
  #session: Session | undefined;
  #held = false; // by its session
  #waitsTurn = false;
  #queued = false; // the system did not take everything at once
  readonly #written = () => {
    if (!this.#queued || this.#socket.writableLength > 0) return;
    this.#queued = false;
    this.#session?.drained();
  };

  constructor(socket: net.Socket, wire: number) {
    this.#socket = socket;
    this.wire = wire;
    const { remoteAddress = '?', remotePort = 0, localPort = 0 } = socket;
    this.address = remoteAddress;
    this.peer = remoteAddress.includes(':')
      ? `[${remoteAddress}]:${remotePort}`
      : `${remoteAddress}:${remotePort}`;
    this.key = keyOf({ localPort, remoteAddress, remotePort });
  }

  attach(session: Session): void {
    this.#session = session;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  get destroyed(): boolean {
    return this.#socket.destroyed;
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  send(bytes: Uint8Array): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.write(bytes, this.#written);
    if (this.#socket.writableLength > 0) this.#queued = true;
  }

  end(): void {
    if (!this.#socket.writableEnded) this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#held = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#held = false;
    if (!this.#waitsTurn) this.#socket.resume();
  }

  /** Reads nothing more until `takeTurn`. */
  waitTurn(): void {
    this.#waitsTurn = true;
    this.#socket.pause();
  }

  takeTurn(): void {
    this.#waitsTurn = false;
    if (!this.#held) this.#socket.resume();
  }
}

// Node offers reading into a buffer of one's own (`onread`) to sockets that connect, but not to those
// a server accepts; it would allocate 64 KiB for each read, and collecting them stops the broker
// dozens of times a second. So an accepted socket's handle moves to a socket made with that option.
// Not on Windows, where reads are under way before there is anything to read. If a Node has no such
// handle, the accepted socket is used as it is.
function readingInto(
  accepted: net.Socket,
  buffer: Uint8Array,
  receive: (chunk: Uint8Array) => void,
): net.Socket {
  const holder = accepted as unknown as { _handle: { useUserBuffer?: unknown } | null };
  const handle = holder._handle;
  if (process.platform === 'win32' || typeof handle?.useUserBuffer !== 'function') {
    accepted.on('data', receive);
    return accepted;
  }
  holder._handle = null;
  const onread = {
    buffer,
    callback: (bytes: number) => {
      receive(buffer.subarray(0, bytes));
      return true;
    },
  };
  const options = { handle, allowHalfOpen: true, onread, pauseOnCreate: true };
  return new net.Socket(options as unknown as net.SocketConstructorOpts);
}

/** The data listeners of a broker. */
export class Listeners {
  readonly #servers: net.Server[] = [];
  readonly #links = new Set<SocketLink>();

  get links(): ReadonlySet<SocketLink> {
    return this.#links;
  }

  /** Listens; rejects with what the system said, for example that the port is taken. */
  listen(options: ListenOptions): Promise<net.AddressInfo> {
    const server = net.createServer(
      {
        allowHalfOpen: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_MS,
        pauseOnConnect: true,
      },
      (socket) => this.#accept(socket, options),
    );
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      const { host, port } = options;
      server.listen({ host, port, exclusive: true, backlog: 4096 }, () => {
        server.off('error', reject);
        server.on('error', () => {}); // a failed accept costs that connection, nothing else
        resolve(server.address() as net.AddressInfo);
      });
    });
  }

  #accept(accepted: net.Socket, options: ListenOptions): void {
    let session: Session | undefined;
    let socket = accepted;
    let link: SocketLink | undefined;
    const receive = (chunk: Uint8Array) => {
      if (socket.destroyed || link === undefined) return;
      turn.spend(link, chunk.length);
      session?.receive(chunk);
    };
    socket = readingInto(accepted, options.readInto, receive);
    // From the first tick on: a socket error without a listener would end the process.
    socket.on('error', () => {});
    if (socket.remoteAddress === undefined) {
      socket.destroy(); // reset before we got to it
      return;
    }
    const opened = new SocketLink(socket, options.wire);
    link = opened;
    session = options.accept(opened);
    if (session === undefined) return;
    const joined = session;
    opened.attach(joined);
    this.#links.add(opened);
    socket.on('end', () => {
      if (!socket.destroyed) joined.finished();
    });
    socket.on('close', () => {
      this.#links.delete(opened);
      joined.gone();
    });
    socket.resume();
  }

  /**
   * Looks for peers that are gone with data in flight among `suspects`: links that have sent
   * nothing for a while although something is owed. Returns those the system cannot reach.
   */
  async unreachable(suspects: SocketLink[]): Promise<SocketLink[]> {
    if (suspects.length === 0) return [];
    const counts = await retransmissions();
    return suspects.filter(
      (link) => !link.destroyed && (counts.get(link.key) ?? 0) >= RETRANSMISSIONS_MIN,
    );
  }

  /** Stops accepting; open connections stay. */
  stop(): void {
    for (const server of this.#servers) server.close();
  }

  /** Disconnects everybody at once. */
  destroyAll(): void {
    for (const link of this.#links) link.destroy();
  }

  /** Sends what is queued, then disconnects; settles when all are gone or the time is up. */
  async endAll(withinMs: number): Promise<void> {
    for (const link of this.#links) link.end();
    const until = performance.now() + withinMs;
    while (this.#links.size > 0 && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 10));
    this.destroyAll();
  }
}
