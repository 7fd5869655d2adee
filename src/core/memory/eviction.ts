// Which connections are closed when the budget for all buffers is used up, although memory for
// large messages is reserved (reservations.ts): the one that holds the most, and those that have
// not read for long.

import type { Overdue } from '../timing/overdue.ts';
import type { Budget } from './budget.ts';
import { LARGE_BYTES } from './reservations.ts';

/** A session, as far as it holds memory. */
export interface MemoryHolder {
  /** Bytes it keeps; 0 once it is on its way out because of them. */
  readonly heldBytes: number;
  /** Whether it waits for memory for a large message. */
  readonly unreserved: boolean;
  /** Since when the peer has not taken what was sent to it, or -1. */
  readonly stuckSinceMs: number;
  /** Closes it, because its memory is needed. */
  evict(text: string): void;
}

// A reader that takes nothing for this long is closed when its memory is needed.
const STUCK_MS = 10_000;

export class Eviction {
  readonly #budget: Budget;
  readonly #sessions: readonly ReadonlySet<MemoryHolder>[];

  readonly #overdue: Overdue;

  constructor(budget: Budget, sessions: readonly ReadonlySet<MemoryHolder>[], overdue: Overdue) {
    this.#budget = budget;
    this.#overdue = overdue;
    this.#sessions = sessions;
  }

  /**
   * Closes the session that holds the most. One that waits for memory, and had sent more than a
   * first piece before it was known, goes before those whose messages are about to be whole.
   */
  relieve(): void {
    let worst: MemoryHolder | undefined;
    let worstWaits = false;
    let most = 0;
    for (const sessions of this.#sessions)
      for (const session of sessions) {
        const { heldBytes, unreserved } = session;
        const waits = unreserved && heldBytes > LARGE_BYTES;
        if (waits === worstWaits ? heldBytes <= most : worstWaits) continue;
        worst = session;
        worstWaits = waits;
        most = heldBytes;
      }
    if (worst === undefined) return;
    const what = worst.unreserved ? 'the most of those that wait' : 'the most';
    worst.evict(`it held ${worst.heldBytes} bytes, ${what}, ${this.#whenOver()}`);
  }

  /** Time passes: sessions that do not read are closed while the budget is used up. */
  advance(nowMs: number): void {
    if (!this.#budget.over) return;
    for (const session of this.#sessions.flatMap((sessions) => [...sessions])) {
      const since = session.stuckSinceMs;
      if (since < 0 || nowMs - since < STUCK_MS) continue;
      this.#overdue.add(session, since + STUCK_MS, () => {
        // Those before it may have been enough.
        if (this.#budget.over && session.stuckSinceMs === since) this.#evictStuck(session);
      });
    }
  }

  #evictStuck(session: MemoryHolder): void {
    session.evict(`it has not read what it was sent for ${STUCK_MS} ms, ${this.#whenOver()}`);
  }

  #whenOver(): string {
    return `when all buffers together were over ${this.#budget.bytesMax} bytes (--buffer)`;
  }
}
