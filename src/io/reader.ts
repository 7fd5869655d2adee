// Notices that the reader of standard output has gone, also while nothing is written to it: a
// program in front of `head` would otherwise wait for ever. Writes nothing and takes nothing.

import fs from 'node:fs';
import net from 'node:net';
import { isatty } from 'node:tty';
import { cancel, every } from '../time/timers.ts';

const STDOUT = 1;
const LOOK_MS = 500;
const NOTHING = new Uint8Array(0);

/**
 * Calls `gone` once when the reader of standard output leaves; gives what ends the watch, which
 * does not keep the process alive. Where nobody can leave (a file), or the system does not let us
 * know (a pipe that was opened by another user), it never calls: then the next write tells.
 */
export function watchReader(gone: () => void): () => void {
  try {
    const kind = fs.fstatSync(STDOUT);
    if (kind.isFIFO()) return watchPipe(gone);
    if (kind.isSocket() || isatty(STDOUT)) return look(gone);
  } catch {
    // What cannot be watched is as good as what cannot leave.
  }
  return () => {};
}

interface TcpBinding {
  TCP: new (type: number) => { open(descriptor: number): number; close(): void };
  constants: { SOCKET: number };
}

/**
 * A pipe tells its writer of the last reader's end by an error condition, which is seen by who
 * waits for input. Nothing in Node.js does that for a descriptor that can only be written, except
 * the handle of TCP, which does not look at what it was given.
 */
function watchPipe(gone: () => void): () => void {
  const { binding } = process as unknown as { binding(name: 'tcp_wrap'): TcpBinding };
  const { TCP, constants } = binding('tcp_wrap');
  const flags = fs.constants.O_WRONLY | fs.constants.O_NONBLOCK;
  const descriptor = fs.openSync('/proc/self/fd/1', flags);
  const handle = new TCP(constants.SOCKET);
  if (handle.open(descriptor) !== 0) {
    fs.closeSync(descriptor);
    handle.close();
    return () => {};
  }
  const options = { handle, readable: true, writable: false } as net.SocketConstructorOpts;
  const socket = new net.Socket(options);
  let watching = true;
  socket.on('error', () => {});
  socket.on('close', () => {
    if (watching) gone();
  });
  socket.resume().unref();
  return () => {
    watching = false;
    socket.destroy();
  };
}

/** Sockets and terminals refuse even to write nothing when the other side is gone. */
function look(gone: () => void): () => void {
  const timer = every(LOOK_MS, () => {
    try {
      fs.writeSync(STDOUT, NOTHING);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return;
      cancel(timer);
      gone();
    }
  });
  timer.unref();
  return () => cancel(timer);
}
