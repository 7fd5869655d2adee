// Where a client's connection may go: one address, or those of several nodes in turn.

import type { Address, Target } from './options.ts';

export function textOf({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Addresses that are tried in turn: one round of attempts is one attempt of the connection. */
export class Addresses {
  readonly #all: readonly Address[];
  #at = 0;
  #tried = 0; // in a row, in this round

  constructor(target: Target) {
    this.#all = target.addresses ?? [target];
  }

  get isOne(): boolean {
    return this.#all.length === 1;
  }

  /** All of them, for people. */
  get text(): string {
    return this.#all.map(textOf).join(', ');
  }

  /**
   * The address after one that could not be reached, or was lost after it `wasOpen`; at once, where
   * this round has not tried it. Nothing new where there is only one.
   */
  next(wasOpen: boolean): { address: Address | undefined; atOnce: boolean } {
    if (this.isOne) return { address: undefined, atOnce: false };
    this.#at = (this.#at + 1) % this.#all.length;
    this.#tried = wasOpen ? 0 : (this.#tried + 1) % this.#all.length;
    return { address: this.#all[this.#at], atOnce: this.#tried > 0 };
  }
}

/**
 * Of a name with several addresses Node.js gives each but the last a quarter of a second, by a
 * plain timer: a program that stood still for as long has lost an address that did answer.
 */
export function wasCutShort(reason: Error | undefined): boolean {
  return (
    reason instanceof AggregateError &&
    reason.errors.some((error: { code?: string }) => error.code === 'ETIMEDOUT')
  );
}
