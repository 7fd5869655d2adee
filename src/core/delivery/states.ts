// The life of a message, as data: which states there are, what can happen, and what becomes of a
// message then. settlement.ts and, for what becomes durable, segments/apply.ts do it; a test walks
// every cell.

/**
 * - `unseen`: it may be stored, but it is not durable, so nobody sees it.
 * - `ready`: it waits in its bucket's line.
 * - `held`: a consumer has it and has not answered.
 * - `pending`: it is to be ready at a time, and the record that says so is not durable yet.
 * - `waiting`: that record is durable, and the time has not come.
 * - `gone`: settled, for good.
 * - `aside`: its record cannot be read; it stays on disk, and is ready again at the next start.
 */
export type MessageState = 'unseen' | 'ready' | 'held' | 'pending' | 'waiting' | 'gone' | 'aside';

/**
 * - `durable`: its record is on disk.
 * - `delivered`: it was sent to a consumer.
 * - `done`, `failed`, `released`: what the consumer answers.
 * - `failed later`, `released later`: the same, and it is to be ready only after a time.
 * - `put off`: the record that says so is on disk.
 * - `due`: that time has come.
 * - `lost`: the link of the consumer ended, or its lease was over, before it answered.
 * - `taken back`: the broker, or an operator, ended that link.
 * - `purged`: an operator empties the line.
 * - `unreadable`: its record cannot be read back when it is to be delivered.
 * - `restarted`: the broker ended, with all marks written, and another one read its log.
 * - `killed`: the same, but the marks that waited are lost.
 */
export type MessageEvent =
  | 'durable'
  | 'delivered'
  | 'done'
  | 'failed'
  | 'released'
  | 'failed later'
  | 'released later'
  | 'put off'
  | 'due'
  | 'lost'
  | 'taken back'
  | 'purged'
  | 'unreadable'
  | 'restarted'
  | 'killed';

/** What becomes of a message. */
export interface Outcome {
  readonly to: MessageState;
  /** It counts as one more attempt. */
  readonly attempt?: true;
  /** The mark about it that waits to be written. */
  readonly mark?: 'settled' | 'returned' | 'deferred';
}

/** Nothing happens: the event is not about messages in that state. */
export const SAME = 'same';
/** It cannot happen; if it does, the broker is wrong, and says so before anything has changed. */
export const NEVER = 'never';

type Cell = Outcome | typeof SAME | typeof NEVER;
type Row = Record<MessageState, Cell>;

const READY: Outcome = { to: 'ready' };
const SETTLED: Outcome = { to: 'gone', mark: 'settled' };
const BACK: Outcome = { to: 'ready', attempt: true, mark: 'returned' };
const LATER: Outcome = { to: 'pending', attempt: true, mark: 'deferred' };
const FREE_LATER: Outcome = { to: 'pending', mark: 'deferred' };

// Nothing else than what is said of some states may happen, or the event is not about the others.
const ONLY: Row = {
  unseen: NEVER,
  ready: NEVER,
  held: NEVER,
  pending: NEVER,
  waiting: NEVER,
  gone: NEVER,
  aside: NEVER,
};
const ABOUT: Row = {
  unseen: SAME,
  ready: SAME,
  held: SAME,
  pending: SAME,
  waiting: SAME,
  gone: SAME,
  aside: SAME,
};

/** What becomes of a message, by event and by the state that it is in. */
export const TRANSITIONS: Record<MessageEvent, Row> = {
  durable: { ...ONLY, unseen: READY },
  delivered: { ...ONLY, ready: { to: 'held' } },
  done: { ...ONLY, held: SETTLED },
  failed: { ...ONLY, held: BACK },
  released: { ...ONLY, held: READY },
  'failed later': { ...ONLY, held: LATER },
  'released later': { ...ONLY, held: FREE_LATER },
  'put off': { ...ONLY, pending: { to: 'waiting' } },
  due: { ...ABOUT, waiting: READY },
  lost: { ...ABOUT, held: BACK },
  'taken back': { ...ABOUT, held: READY },
  purged: { ...ABOUT, ready: SETTLED },
  unreadable: { ...ONLY, ready: { to: 'aside' } },
  restarted: { ...ABOUT, held: READY, pending: { to: 'waiting' }, aside: READY },
  killed: { ...ABOUT, held: READY, pending: READY, aside: READY },
};
