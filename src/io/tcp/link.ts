// One connection as a Link: a bare handle until its peer has sent something, a socket from then on;
// its bytes go into a session, its end into `gone`. Decides nothing.

import type net from 'node:net';
import type { Session } from '../../core/connections/session.ts';
import type { Link } from '../../core/ports/link.ts';
import { keyOf, type PeerKey } from '../peers.ts';
import { isOver, type RawHandle, socketOf } from './raw-handle.ts';
import { turn } from './turn.ts';

// Idle peers that vanished are found by keep-alive: 10 s of silence, then a probe each second.
export const KEEP_ALIVE_MS = 10_000;
// Of what a peer sends first: its session decides whether there is memory for more.
const FIRST_READ_BYTES = 4096;

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
export interface Listening extends ListenOptions {
  /** Connections that are open. */
  links: Set<SocketLink>;
}

let nextId = 1;

interface PeerName extends PeerKey {
  /** Of a client that another node passes on: that node, and the connection it does it over. */
  via?: { node: string; remoteAddress: string; remotePort: number };
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

  /** The node that passes the client on, if one does. */
  get via(): string | undefined {
    return this.#name.via?.node;
  }

  /** As the system's table of sockets names it. */
  get key(): string {
    const { localPort, via } = this.#name;
    return keyOf(via === undefined ? this.#name : { localPort, ...via });
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
