// Sockets of the load generator: one fixed read buffer for each, errors in words. The read buffer
// is reused, so bytes must be used up before the callback returns.

import net from 'node:net';
import { deadline } from '../time/deadline.ts';
import { cancel } from '../time/timers.ts';

/** Why a run could not be done. */
export class LoadError extends Error {
  override readonly name = 'LoadError';
  /** `unreachable`: never connected; `lost`: a connection ended; `stalled`: no answer any more. */
  readonly code: 'unreachable' | 'lost' | 'protocol' | 'stalled';
  constructor(code: LoadError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export interface ConnectOptions {
  host: string;
  port: number;
  readBytes: number;
  /** The bytes are valid during the call only. */
  onBytes: (bytes: Uint8Array) => void;
  /** The connection is over, for this reason; never called before it was there. */
  onEnd: (error: LoadError) => void;
}

const CONNECT_MS = 10_000;

/** Connects, or throws LoadError `unreachable`. */
export function connect(options: ConnectOptions): Promise<net.Socket> {
  const { host, port, readBytes, onBytes, onEnd } = options;
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    let connected = false;
    let reason = 'the broker closed the connection';
    const buffer = new Uint8Array(readBytes);
    const onread = {
      buffer,
      callback: (bytes: number) => {
        onBytes(buffer.subarray(0, bytes));
        return true;
      },
    };
    const socket = net.connect({ host, port, noDelay: true, onread } as net.NetConnectOpts);
    const watch = deadline(CONNECT_MS, () => socket.destroy(new Error('no answer')));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.message;
    });
    socket.on('close', () => {
      cancel(watch);
      if (connected) onEnd(new LoadError('lost', `connection to ${where} lost: ${reason}`));
      else reject(new LoadError('unreachable', `nothing answers at ${where}: ${reason}`));
    });
    socket.once('connect', () => {
      connected = true;
      cancel(watch);
      resolve(socket);
    });
  });
}

/** Sends what is queued and `last`, then closes; settles when the connection is gone. */
export function endSocket(socket: net.Socket | undefined, last?: Uint8Array): Promise<void> {
  if (socket === undefined || socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    if (last === undefined) socket.end();
    else socket.end(last);
  });
}
