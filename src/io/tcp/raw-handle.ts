// What Node has under its sockets and does not document: bare handles of accepted connections. All
// that relies on it stands here; where a Node has none, its sockets are used as they are.

import net from 'node:net';

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

/** A server's handle, which takes what the system accepted. */
export interface RawServer {
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
export function rawServerOf(server: net.Server): RawServer | undefined {
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

export function isUsable(handle: RawHandle): boolean {
  return (
    NEEDED.every((name) => typeof handle[name] === 'function') &&
    'onread' in handle &&
    handle.bytesRead === 0
  );
}

/** Whether a read that gave nothing was the last: there may just have been nothing to read. */
export function isOver(handle: RawHandle): boolean {
  // At the end the system has stopped reading, so that it can be told to begin; after an error
  // there is no peer. If a system does neither, the socket that is made then reads it again.
  return handle.readStart() === 0 || handle.getpeername({}) !== 0;
}

// Keep-alive is on already.
export function socketOf(
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
