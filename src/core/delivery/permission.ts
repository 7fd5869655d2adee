// Whether messages may be handed out at all. Where a log has several copies only its owner may, and
// an owner that could confirm nothing for a while cannot know any more that it is one: then nothing
// is handed out, until it can again. What is ready waits in its line.
//
//   may ──dispatch: asked, no──► held back ──tick: asked, yes──► may
//    └────────suspend──► suspended ──goOn──► dispatched ──────────┘

import type { Notices } from '../ports/notices.ts';
import { goesOn, suspended } from './notices.ts';

export interface PermissionParts {
  readonly consumers: Iterable<{ suspend(): void }> & { readonly size: number };
  readonly notices: Notices;
  stir(): number;
  dispatch(slot: number): void;
}

export class Permission {
  readonly #parts: PermissionParts;
  readonly #may: (() => boolean) | undefined;
  // Buckets that were dispatched meanwhile.
  readonly #held = new Set<number>();
  /** Whether nothing is handed out, and no consumer let in, until `goOn`. */
  isSuspended = false;

  /** `may` is asked at each dispatch; without it only `suspend` forbids anything. */
  constructor(parts: PermissionParts, may: (() => boolean) | undefined) {
    this.#parts = parts;
    this.#may = may;
  }

  /** Whether nothing of the bucket is handed out now; then it is dispatched later. */
  holds(slot: number): boolean {
    if (!this.isSuspended && (this.#may === undefined || this.#may())) return false;
    this.#held.add(slot);
    return true;
  }

  /** Whether ticks have to look if it may be again. */
  get isWaiting(): boolean {
    return this.#held.size > 0 && !this.isSuspended;
  }

  /** A tick. */
  advance(): void {
    if (this.isWaiting && (this.#may === undefined || this.#may())) this.#release();
  }

  /** Consumers are closed, and what they held is ready again, uncharged. */
  suspend(): void {
    if (this.isSuspended) return;
    this.isSuspended = true;
    const { consumers, notices } = this.#parts;
    notices.notice('warn', 'delivery.suspended', suspended(consumers.size));
    for (const consumer of [...consumers]) consumer.suspend();
  }

  goOn(): void {
    if (!this.isSuspended) return;
    this.isSuspended = false;
    this.#parts.stir();
    this.#parts.notices.notice('info', 'delivery.goes-on', goesOn());
    this.#release();
  }

  #release(): void {
    const slots = [...this.#held];
    this.#held.clear();
    for (const slot of slots) this.#parts.dispatch(slot);
  }
}
