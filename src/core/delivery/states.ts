// The life of a message, as data: which states there are, what can happen, and what becomes of a
// message then. settlement.ts and, for what becomes durable, segments/apply.ts do it; a test walks
// every cell.

/**
 * - `unseen`: it may be stored, but it is not durable, so nobody sees it.
 * - `ready`: it waits in its bucket's line.
 * - `held`: a consumer has it and has not answered.
 * - `gone`: settled, for good.
 * - `aside`: its record cannot be read; it stays on disk, and is ready again at the next start.
 */
export type MessageState = 'unseen' | 'ready' | 'held' | 'gone' | 'aside';

/**
 * - `durable`: its record is on disk.
 * - `delivered`: it was sent to a consumer.
 * - `done`, `failed`: what the consumer answers.
 * - `lost`: the link of the consumer ended, or its lease was over, before it answered.
 * - `purged`: an operator empties the line.
 * - `unreadable`: its record cannot be read back when it is to be delivered.
 * - `restarted`: the broker ended, with all marks written, and another one read its log.
 */
export type MessageEvent =
  | 'durable'
  | 'delivered'
  | 'done'
  | 'failed'
  | 'lost'
  | 'purged'
  | 'unreadable'
  | 'restarted';

/** What becomes of a message. */
export interface Outcome {
  readonly to: MessageState;
  /** It counts as one more attempt. */
  readonly attempt?: true;
  /** The mark about it that waits to be written. */
  readonly mark?: 'settled' | 'returned';
}

/** Nothing happens: the event is not about messages in that state. */
export const SAME = 'same';
/** It cannot happen; if it does, the broker is wrong, and says so before anything has changed. */
export const NEVER = 'never';

type Cell = Outcome | typeof SAME | typeof NEVER;

const READY: Outcome = { to: 'ready' };
const SETTLED: Outcome = { to: 'gone', mark: 'settled' };
const BACK: Outcome = { to: 'ready', attempt: true, mark: 'returned' };

/** What becomes of a message, by event and by the state that it is in. */
export const TRANSITIONS: Record<MessageEvent, Record<MessageState, Cell>> = {
  durable: { unseen: READY, ready: NEVER, held: NEVER, gone: NEVER, aside: NEVER },
  delivered: { unseen: NEVER, ready: { to: 'held' }, held: NEVER, gone: NEVER, aside: NEVER },
  done: { unseen: NEVER, ready: NEVER, held: SETTLED, gone: NEVER, aside: NEVER },
  failed: { unseen: NEVER, ready: NEVER, held: BACK, gone: NEVER, aside: NEVER },
  lost: { unseen: SAME, ready: SAME, held: BACK, gone: SAME, aside: SAME },
  purged: { unseen: SAME, ready: SETTLED, held: SAME, gone: SAME, aside: SAME },
  unreadable: { unseen: NEVER, ready: { to: 'aside' }, held: NEVER, gone: NEVER, aside: NEVER },
  restarted: { unseen: SAME, ready: SAME, held: READY, gone: SAME, aside: READY },
};
