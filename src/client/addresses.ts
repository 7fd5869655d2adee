// Where a client's connection may go: one address, or those of several nodes in turn.

import type { Address, Target } from './options.ts';

export function textOf({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Addresses that are tried in turn: one round of attempts is one attempt of the connection. */
export class Addresses {
  readonly #all: readonly Address[];
  #at = 0;

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

  /** All of them, in the order of the next round. */
  get round(): Address[] {
    return [...this.#all.slice(this.#at), ...this.#all.slice(0, this.#at)];
  }

  /** The next round begins behind an address that was reached: it may be lost. */
  reached(address: Address): void {
    this.#at = (this.#all.indexOf(address) + 1) % this.#all.length;
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
