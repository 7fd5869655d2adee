// Messages that were moved, most of them because they died: why, from where, and how they are given
// back. What operators ask of them is in commands.ts.

/** The closed list of reasons, with what each means; a message that died has one of the first. */
export const REASONS = {
  'max-deliveries': 'as many deliveries of it failed as a rule allows (max_deliveries)',
  rejected: 'a consumer rejected it',
  expired: 'it waited for longer than a rule allows (ttl)',
  overflow: 'more waited in its bucket than a rule allows (max_messages, max_bytes)',
  redriven: 'an operator gave it back after it had died',
  copied: 'it is a copy of what was published to another bucket (copy_to)',
  replaced: 'it was set anew',
} as const;

export type Reason = keyof typeof REASONS;

/** Messages whose reasons are counted at most. */
export const REASONS_MAX = 1000;

/** Where a message was before, and why it is there no more. */
export interface MovedMessage {
  reason: string;
  bucket: string;
  line: string;
  sequence: string;
  /** Deliveries that ended there without an ack. */
  attempts: number;
  /** When it was first stored; null: not known. */
  publishedAt: string | null;
  movedAt: string | null;
}

export interface RedriveState {
  /** Whose dead messages are given back. */
  bucket: string;
  startedAt: string;
  /** Messages that are in their new place, durably. */
  moved: number;
  done: boolean;
  /** What ended it before the line was empty: as many as were asked for are moved, or where they go
   * takes no more,
   * or an operator wanted no more. */
  stopped: 'limit' | 'full' | 'cancelled' | null;
}

/** Why messages of a bucket's dead line died: of the first ones, as many as were looked at. */
export interface DeadReasons {
  id: string;
  looked: number;
  /** Whether there are others behind them. */
  more: boolean;
  /** How many, by the reason of their move. */
  reasons: Record<string, number>;
}
