// What sessions share: the broker's parts as they see them. Assembled once by broker.ts.

import type { Commit } from '../commit/commit.ts';
import type { Intake } from '../fairness/fair-share.ts';
import type { Limits } from '../limits.ts';
import type { Budget } from '../memory/budget.ts';
import type { Blocks } from '../memory/partial-input.ts';
import type { Reservations } from '../memory/reservations.ts';
import type { Counters } from '../metrics/counters.ts';
import type { Latency } from '../metrics/latency.ts';
import type { Codec } from '../ports/codec.ts';
import type { Link } from '../ports/link.ts';
import type { Notices } from '../ports/notices.ts';
import type { Overdue } from '../timing/overdue.ts';
import type { Producer } from './producer.ts';

/** How a peer went too far: not our protocol, too slow, or too much memory when that ran out. */
export type BreachKind = 'protocol' | 'timeout' | 'memory';

export interface Context {
  readonly codec: Codec;
  readonly limits: Limits;
  readonly commit: Commit;
  readonly intake: Intake;
  readonly counters: Counters;
  readonly latency: Latency;
  readonly notices: Notices;
  /** Bytes of partial input and unread output of all connections. */
  readonly budget: Budget;
  /** Memory for large messages that are not complete. */
  readonly reservations: Reservations;
  /** Memory for messages that are not complete. */
  readonly blocks: Blocks;
  /** Whose time is up. */
  readonly overdue: Overdue;
  /** Monotonic time in ms, to be asked for with each input: after a sleep it sets ticks going. */
  nowMs(): number;
  /** The next tick looks at the producer. */
  lookAt(producer: Producer): void;
  /** Asks for a flush after the inputs that wait now. */
  flushSoon(): void;
  /** The producer has replies to send when the current input is done. */
  replyLater(producer: Producer): void;
  /** The peer went too far: one line of kind `why.side`, counted, connection closed at once. */
  breach(link: Link, side: 'intake' | 'exhaust', why: BreachKind, text: string): void;
  closed(producer: Producer): void;
  /** The budget is used up: closes the connection that holds the most. */
  relieve(): void;
}
