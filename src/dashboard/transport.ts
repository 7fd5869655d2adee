// What the two HTTP servers of the dashboard have in common: their interface and their bounds.

import type { Live } from './live.ts';
import type { Router } from './routes.ts';

export interface Listening {
  port: number;
  /** Stops listening and drops what is open. */
  close(): void;
}

export interface ListenOptions {
  host: string;
  /** 0 = any free port. */
  port: number;
  router: Router;
  live: Live;
}

/** Settles when listening. Rejects with a ListenError. */
export type Listen = (options: ListenOptions) => Promise<Listening>;

/** Could not listen; `code` is that of the operating system where it is known. */
export class ListenError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'ListenError';
    this.code = code;
  }
}

/** Connections of browsers and probes at one time. */
export const CONNECTIONS_MAX = 256;
/** Request line and headers, in bytes. */
export const HEADER_BYTES_MAX = 8192;
export const REQUEST_TIMEOUT_MS = 10_000;
