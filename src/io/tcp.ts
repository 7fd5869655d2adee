// Sockets for the broker: each becomes a Link, its bytes go into a session, its end into `gone`.
// Decides nothing, except that a peer which is provably unreachable is disconnected.

import net from 'node:net';
import type { CloseReason } from '../contract/close-reasons.ts';
import type { Link } from '../core/ports.ts';
import type { Overdue } from '../core/timing/overdue.ts';
import { deadline } from '../time/deadline.ts';
import { cancel, sleep } from '../time/timers.ts';
import { keyOf, retransmissions } from './peers.ts';

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

/** What all connections of a listener share. */
interface Listening extends ListenOptions {
  /** Connections that are open. */
  links: Set<SocketLink>;
}

// Idle peers that vanished are found by keep-alive: 10 s of silence, then a probe each second.
const KEEP_ALIVE_MS = 10_000;
// How long a link that owes something must have been silent to be looked up.
const SUSPECT_AFTER_MS = 10_000;
// Five retransmissions without an answer are more than six seconds of silence from the peer's host.
const RETRANSMISSIONS_MIN = 5;

// What all sockets together may read in one turn of the event loop. A commit's write and sync end
// as events too: behind megabytes that one busy producer has sent, the disk would stand idle.
const TURN_BYTES = 128 * 1024;
// Of what a peer sends first: its session decides whether there is memory for more.
const FIRST_READ_BYTES = 4096;

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

interface PeerName {
  localPort: number;
  remoteAddress: string;
  remotePort: number;
}

export class SocketLink implements Link {
  readonly id = nextId++;
  readonly address: string;
  readonly #name: PeerName;
  readonly #listening: Listening;
  // A bare handle until the peer has sent something, a socket from then on. There is neither while
  // the broker decides about the connection.
  #handle: RawHandle | undefined;
  #socket: net.Socket | undefined;
  #session: Session | undefined;
  #destroyed = false; // before there was a socket
  #held = false; // by its session
  #waitsTurn = false;
  #queued = false; // the system did not take everything at once
  #written: (() => void) | undefined;

  constructor(name: PeerName, listening: Listening) {
    this.#name = name;
    this.#listening = listening;
    this.address = name.remoteAddress;
  }

  get wire(): number {
    return this.#listening.wire;
  }

  get peer(): string {
    const { remoteAddress, remotePort } = this.#name;
    return remoteAddress.includes(':')
      ? `[${remoteAddress}]:${remotePort}`
      : `${remoteAddress}:${remotePort}`;
  }

  /** As the system's table of sockets names it. */
  get key(): string {
    return keyOf(this.#name);
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** Whether it has cost a socket. */
  get hasSocket(): boolean {
    return this.#socket !== undefined;
  }

  /** The connection is wanted, and its peer has sent nothing yet. */
  openBare(session: Session, handle: RawHandle): void {
    this.#session = session;
    this.#handle = handle;
    this.#listening.links.add(this);
    handle.setKeepAlive(true, KEEP_ALIVE_MS / 1000);
    // From memory that large messages wait for, no more than the first piece of one is read.
    handle.useUserBuffer(this.#listening.readInto.subarray(0, FIRST_READ_BYTES));
    handle.onread = () => this.#heard(handle);
    this.#read();
  }

  /** The connection is wanted; what its socket reads comes to `receive`. */
  openSocket(session: Session, socket: net.Socket): void {
    this.#session = session;
    this.#listening.links.add(this);
    this.#hold(socket);
    this.#read();
  }

  // The peer's first bytes; or none, and mostly it has ended then or was reset.
  #heard(handle: RawHandle): void {
    const { bytesRead } = handle;
    if (bytesRead === 0 && isOver(handle)) {
      this.destroy(); // nothing is owed to a peer that has said nothing
      return;
    }
    this.#becomeSocket(handle);
    if (bytesRead > 0) this.receive(this.#listening.readInto.subarray(0, bytesRead));
    this.#read();
  }

  #becomeSocket(handle: RawHandle): void {
    this.#handle = undefined;
    this.#hold(socketOf(handle, this.#listening.readInto, (chunk) => this.receive(chunk)));
  }

  #hold(socket: net.Socket): void {
    this.#socket = socket;
    this.#written = () => {
      if (!this.#queued || this.queuedBytes > 0) return;
      this.#queued = false;
      this.#session?.drained();
    };
    socket.on('error', () => {});
    socket.on('end', () => {
      if (!socket.destroyed) this.#session?.finished();
    });
    socket.on('close', () => this.#gone());
  }

  #gone(): void {
    this.#listening.links.delete(this);
    this.#session?.gone();
  }

  /** Bytes from the peer. */
  receive(chunk: Uint8Array): void {
    if (this.destroyed) return;
    turn.spend(this, chunk.length);
    this.#session?.receive(chunk);
  }

  get destroyed(): boolean {
    return this.#socket?.destroyed ?? this.#destroyed;
  }

  get queuedBytes(): number {
    return this.#socket?.writableLength ?? 0;
  }

  send(bytes: Uint8Array): void {
    if (this.#handle !== undefined) {
      this.#becomeSocket(this.#handle);
      this.#read();
    }
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed || socket.writableEnded) return;
    socket.write(bytes, this.#written);
    if (socket.writableLength > 0) this.#queued = true;
  }

  end(): void {
    if (this.#handle !== undefined) this.destroy();
    else if (this.#socket?.writableEnded === false) this.#socket.end();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#socket?.destroy();
    const handle = this.#handle;
    this.#handle = undefined;
    handle?.close(() => this.#gone());
  }

  pause(): void {
    this.#held = true;
    this.#handle?.readStop();
    this.#socket?.pause();
  }

  resume(): void {
    if (!this.#held) return; // a handle that reads must not be told to again
    this.#held = false;
    this.#read();
  }

  /** Reads nothing more until `takeTurn`. */
  waitTurn(): void {
    this.#waitsTurn = true;
    this.#socket?.pause();
  }

  takeTurn(): void {
    this.#waitsTurn = false;
    this.#read();
  }

  #read(): void {
    if (this.#held || this.#waitsTurn) return;
    this.#socket?.resume();
    if (this.#handle !== undefined && this.#handle.readStart() !== 0) this.destroy();
  }
}

/** What Node has under a socket, as far as it is used here. */
export interface RawHandle {
  /** Reads go into this memory from now on. */
  useUserBuffer(buffer: Uint8Array): void;
  getpeername(into: { address?: string; port?: number }): number;
  setKeepAlive(on: boolean, delaySeconds: number): number;
  readStart(): number;
  readStop(): number;
  close(closed?: () => void): void;
  /** Called after each read, and must return nothing. */
  onread: () => void;
  /** In all: what an `onread` of ours can learn about a read. */
  readonly bytesRead: number;
}

interface RawServer {
  onconnection?: (status: number, handle: RawHandle | undefined) => void;
}

// Node makes a socket of every connection, which costs more than all that the system does for it;
// collecting the sockets of a flood stops everybody. So what the system hands over, one connection
// in a turn of the event loop, is taken before that: it is a bare handle, and costs a socket when
// its peer has sent something. It also lets all reads go into a buffer of our
// own (`onread`), which Node offers to sockets that connect, but not to those a server accepts; it
// would allocate 64 KiB for each read, and collecting them stops the broker dozens of times a
// second. Not on Windows, where reads are under way before there is anything to read. If a
// Node has no such handles, its sockets are used as they are.
function rawServerOf(server: net.Server): RawServer | undefined {
  const { _handle } = server as unknown as { _handle: RawServer | null };
  if (process.platform === 'win32' || typeof _handle?.onconnection !== 'function') return undefined;
  return _handle;
}

const NEEDED = [
  'useUserBuffer',
  'getpeername',
  'setKeepAlive',
  'readStart',
  'readStop',
  'close',
] as const;

function isUsable(handle: RawHandle): boolean {
  return (
    NEEDED.every((name) => typeof handle[name] === 'function') &&
    'onread' in handle &&
    handle.bytesRead === 0
  );
}

/** Whether a read that gave nothing was the last: there may just have been nothing to read. */
function isOver(handle: RawHandle): boolean {
  // At the end the system has stopped reading, so that it can be told to begin; after an error
  // there is no peer. If a system does neither, the socket that is made then reads it again.
  return handle.readStart() === 0 || handle.getpeername({}) !== 0;
}

// Keep-alive is on already.
function socketOf(
  handle: RawHandle,
  buffer: Uint8Array,
  receive: (chunk: Uint8Array) => void,
): net.Socket {
  const onread = {
    buffer,
    callback: (bytes: number) => {
      receive(buffer.subarray(0, bytes));
      return true;
    },
  };
  const options = { handle, allowHalfOpen: true, onread, pauseOnCreate: true };
  const socket = new net.Socket(options as unknown as net.SocketConstructorOpts);
  socket.setNoDelay(true);
  return socket;
}

type Suspect = Pick<SocketLink, 'session' | 'peer' | 'destroyed' | 'destroy'>;

/** Whether nothing was heard of the peer for so long that it may not be there any more. */
export function isSilent({ session }: Pick<Suspect, 'session'>, clockMs: number): boolean {
  return session !== undefined && clockMs - session.heardMs > SUSPECT_AFTER_MS;
}

/**
 * The peer does not answer as of `clockMs`: its connection is closed when it is its turn, and
 * `closing` called, unless it was heard by then.
 */
export function giveUp<T extends Suspect>(
  link: T,
  overdue: Overdue,
  clockMs: number,
  closing: (link: T) => void,
): void {
  const { session } = link;
  if (session === undefined) return;
  overdue.add(session, clockMs, () => {
    if (link.destroyed || !isSilent(link, clockMs)) return;
    closing(link);
    session.closedFor = 'unreachable';
    link.destroy();
  });
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
      (socket) => this.#acceptSocket(socket, { ...options, links: this.#links }),
    );
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      const { host, port } = options;
      server.listen({ host, port, exclusive: true, backlog: 4096 }, () => {
        server.off('error', reject);
        server.on('error', () => {}); // a failed accept costs that connection, nothing else
        const address = server.address() as net.AddressInfo;
        this.#takeRaw(server, { ...options, port: address.port, links: this.#links });
        resolve(address);
      });
    });
  }

  #takeRaw(server: net.Server, listening: Listening): void {
    const raw = rawServerOf(server);
    if (raw === undefined) return;
    const usual = raw.onconnection!;
    raw.onconnection = (status, handle) => {
      if (status === 0 && handle !== undefined && isUsable(handle))
        this.#acceptRaw(handle, listening);
      else usual.call(raw, status, handle);
    };
  }

  #acceptRaw(handle: RawHandle, listening: Listening): void {
    const name: { address?: string; port?: number } = {};
    // Fails if it was reset before we got to it.
    const failed = handle.getpeername(name) !== 0 || name.address === undefined;
    const peer = {
      localPort: listening.port,
      remoteAddress: name.address ?? '',
      remotePort: name.port ?? 0,
    };
    const link = failed ? undefined : new SocketLink(peer, listening);
    const session = link && listening.accept(link);
    if (link === undefined || session === undefined) handle.close();
    else link.openBare(session, handle);
  }

  #acceptSocket(socket: net.Socket, listening: Listening): void {
    // From the first tick on: a socket error without a listener would end the process.
    socket.on('error', () => {});
    const { remoteAddress, remotePort = 0, localPort = 0 } = socket;
    if (remoteAddress === undefined) {
      socket.destroy(); // reset before we got to it
      return;
    }
    const link = new SocketLink({ localPort, remoteAddress, remotePort }, listening);
    const session = listening.accept(link);
    if (session === undefined) {
      socket.destroy();
      return;
    }
    socket.on('data', (chunk) => link.receive(chunk));
    link.openSocket(session, socket);
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
    let late = false;
    const timer = deadline(withinMs, () => {
      late = true;
    });
    while (this.#links.size > 0 && !late) await sleep(10);
    cancel(timer);
    this.destroyAll();
  }
}
