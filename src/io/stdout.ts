// Standard output for a process that must not wait for whoever reads it: a bounded queue, writes
// that never block the event loop, no error that ends the process. Knows nothing of log lines.

import fs from 'node:fs';
import net from 'node:net';
import { after, cancel, type Timer } from '../time/timers.ts';

const STDOUT = 1;
/** Text queued for a reader that does not read; what comes then is dropped. */
const QUEUE_CHARS_MAX = 1024 * 1024;
const RETRY_MS = 50;
const FLUSH_WAIT_MS = 200;
const PAUSE_MS = 5;

/** Keeps the socket of standard output open for as long as the process lives. */
let stdoutSocket: net.Socket | undefined;

/**
 * A descriptor of standard output whose writes give EAGAIN instead of waiting, or undefined where
 * there is none. A blocked write would hold up the event loop, or, from the thread pool, the exit
 * of the process. Of a pipe or terminal we open a second descriptor, as the first may be shared
 * with other programs; of a socket (a service manager, another Node.js) there is no second one.
 */
function openNonBlocking(): number | undefined {
  try {
    const kind = fs.fstatSync(STDOUT);
    if (kind.isFIFO() || kind.isCharacterDevice())
      return fs.openSync('/proc/self/fd/1', fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
    if (kind.isSocket()) {
      stdoutSocket ??= new net.Socket({ fd: STDOUT, readable: false, writable: true });
      stdoutSocket.on('error', () => {}).unref();
      return STDOUT;
    }
  } catch {
    // No /proc, or a pipe of another user: the thread pool will do.
  }
  return undefined;
}

export class StdoutQueue {
  readonly #descriptor: number | undefined;
  #queue: string[] = [];
  #chars = 0;
  /** What is being written now, or waits for room in the pipe. */
  #rest: Uint8Array = new Uint8Array(0);
  #inPool = false;
  #retry: Timer | undefined;
  #gone = false;
  #drains: (() => void)[] = [];

  constructor() {
    this.#descriptor = openNonBlocking();
  }

  /** Queues text, or drops it when a megabyte waits already. Never throws. */
  write(text: string): void {
    if (this.#gone || this.#chars + text.length > QUEUE_CHARS_MAX) return;
    this.#queue.push(text);
    this.#chars += text.length;
    this.#pump();
  }

  /** Settles when everything so far is written, or after 200 ms of a reader that does not read. */
  drained(): Promise<void> {
    if (this.#isEmpty()) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = after(FLUSH_WAIT_MS, resolve);
      this.#drains.push(() => {
        cancel(timer);
        resolve();
      });
    });
  }

  /**
   * Writes what is queued now, for the last moment of a process; waits as long at most. Lines on
   * their way to a file at this moment may come out behind it.
   */
  flushSync(): void {
    const deadline = performance.now() + FLUSH_WAIT_MS;
    if (this.#inPool) this.#rest = new Uint8Array(0);
    while (this.#next()) {
      const error = this.#writeSome();
      if (error === undefined) continue;
      if (error.code !== 'EAGAIN' || performance.now() >= deadline) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }

  #isEmpty(): boolean {
    return this.#rest.length === 0 && this.#queue.length === 0;
  }

  /** Makes sure that there is something to write; false at the end. */
  #next(): boolean {
    if (this.#rest.length === 0 && this.#queue.length > 0) {
      this.#rest = Buffer.from(this.#queue.join(''));
      this.#queue = [];
      this.#chars = 0;
    }
    return this.#rest.length > 0;
  }

  #pump(): void {
    if (this.#inPool || this.#retry !== undefined) return;
    if (this.#descriptor === undefined) this.#writeInPool();
    else this.#writeHere();
    if (this.#isEmpty()) for (const resolve of this.#drains.splice(0)) resolve();
  }

  #writeHere(): void {
    while (this.#next()) {
      const error = this.#writeSome();
      if (error === undefined) continue;
      this.#fail(error);
      return;
    }
  }

  #writeSome(): NodeJS.ErrnoException | undefined {
    try {
      const written = fs.writeSync(this.#descriptor ?? STDOUT, this.#rest);
      this.#rest = this.#rest.subarray(written);
      return undefined;
    } catch (error) {
      return error as NodeJS.ErrnoException;
    }
  }

  #writeInPool(): void {
    if (!this.#next()) return;
    this.#inPool = true;
    fs.write(STDOUT, this.#rest, (error, written) => {
      this.#inPool = false;
      if (error) this.#fail(error);
      else this.#rest = this.#rest.subarray(written);
      this.#pump();
    });
  }

  /** A full pipe is tried again; a reader that left is for good; else these bytes are lost. */
  #fail(error: NodeJS.ErrnoException): void {
    if (error.code === 'EAGAIN') {
      this.#retry = after(RETRY_MS, () => {
        this.#retry = undefined;
        this.#pump();
      }).unref();
      return;
    }
    this.#rest = new Uint8Array(0);
    if (error.code !== 'EPIPE') return;
    this.#gone = true;
    this.#queue = [];
    this.#chars = 0;
  }
}
