// The life of a message, as data: which states there are, what can happen, and what becomes of a
// message then. settlement.ts and, for what becomes durable, segments/apply.ts do it; a test walks
// every cell.

/**
 * - `unseen`: it may be stored, but it is not durable, so nobody sees it.
 * - `ready`: it waits in its bucket's line.
 * - `held`: a consumer has it and has not answered.
 * - `pending`: it is to be ready at a time, and the record that says so is not durable yet.
 * - `waiting`: that record is durable, and the time has not come.
 * - `dying`: the mover has it: it died, or is given back, and is not durable in another line yet.
 * - `gone`: settled, for good.
 * - `aside`: its record cannot be read; it stays on disk, and is ready again at the next start.
 */
export type MessageState =
  | 'unseen'
  | 'ready'
  | 'held'
  | 'pending'
  | 'waiting'
  | 'dying'
  | 'gone'
  | 'aside';

/**
 * - `durable`: its record is on disk.
 * - `durable later`: its record is on disk, and says that it is to be ready at a time.
 * - `delivered`: it was sent to a consumer.
 * - `done`, `failed`, `released`: what the consumer answers.
 * - `failed later`, `released later`: the same, and it is to be ready only after a time.
 * - `put off`: the record that says so is on disk.
 * - `due`: that time has come.
 * - `rejected`: the consumer says that nobody is to have it again.
 * - `failed for good`: the consumer says that it failed, and it may not be delivered again.
 * - `discarded`: it died, and the dead of its bucket are kept nowhere.
 * - `withdrawn`: it comes next in its line and is dead, too old or too many, or is given back.
 * - `moved`: the record that stores it in another line is on disk.
 * - `not moved`: the broker stops before it is packed, or there is no room where it was to go.
 * - `lost`: the link of the consumer ended, or its lease was over, before it answered for
 *   them and others.
 * - `lost alone`: the same, and it owed an answer for nothing else.
 * - `taken back`: the broker, or an operator, ended that link.
 * - `purged`: an operator empties the line.
 * - `dropped`: it is the oldest of a bucket that has more than its rule allows, or waited longer
 *   than that.
 * - `unreadable`: its record cannot be read back when it is to be delivered.
 * - `restarted`: the broker ended, with all marks written, and another one read its log.
 * - `killed`: the same, but the marks that waited are lost.
 */
export type MessageEvent =
  | 'durable'
  | 'durable later'
  | 'delivered'
  | 'done'
  | 'failed'
  | 'released'
  | 'failed later'
  | 'released later'
  | 'put off'
  | 'due'
  | 'rejected'
  | 'failed for good'
  | 'discarded'
  | 'withdrawn'
  | 'moved'
  | 'not moved'
  | 'lost'
  | 'lost alone'
  | 'taken back'
  | 'purged'
  | 'dropped'
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
// Where the log is one that may say so.
const APART: Outcome = { to: 'ready', mark: 'deferred' };
const APART_BACK: Outcome = { to: 'ready', attempt: true, mark: 'deferred' };
const LATER: Outcome = { to: 'pending', attempt: true, mark: 'deferred' };
const FREE_LATER: Outcome = { to: 'pending', mark: 'deferred' };

// Nothing else than what is said of some states may happen, or the event is not about the others.
const ONLY: Row = {
  unseen: NEVER,
  ready: NEVER,
  held: NEVER,
  pending: NEVER,
  waiting: NEVER,
  dying: NEVER,
  gone: NEVER,
  aside: NEVER,
};
const ABOUT: Row = {
  unseen: SAME,
  ready: SAME,
  held: SAME,
  pending: SAME,
  waiting: SAME,
  dying: SAME,
  gone: SAME,
  aside: SAME,
};

// Who held it has answered and says nothing of it any more: it counts as held until it is moved.
const ANSWERED: Row = { ...ONLY, dying: SAME };
const DYING: Outcome = { to: 'dying' };

/** What becomes of a message, by event and by the state that it is in. */
export const TRANSITIONS: Record<MessageEvent, Row> = {
  durable: { ...ONLY, unseen: READY },
  'durable later': { ...ONLY, unseen: { to: 'waiting' } },
  delivered: { ...ONLY, ready: { to: 'held' } },
  done: { ...ANSWERED, held: SETTLED },
  failed: { ...ANSWERED, held: BACK },
  released: { ...ANSWERED, held: READY },
  'failed later': { ...ANSWERED, held: LATER },
  'released later': { ...ANSWERED, held: FREE_LATER },
  'put off': { ...ONLY, pending: { to: 'waiting' } },
  due: { ...ABOUT, waiting: READY },
  rejected: { ...ABOUT, held: DYING },
  'failed for good': { ...ABOUT, held: DYING },
  discarded: { ...ABOUT, held: SETTLED, dying: SETTLED },
  withdrawn: { ...ONLY, ready: DYING },
  moved: { ...ABOUT, dying: { to: 'gone' } },
  'not moved': { ...ABOUT, dying: BACK },
  lost: { ...ABOUT, held: APART },
  'lost alone': { ...ABOUT, held: APART_BACK },
  'taken back': { ...ABOUT, held: READY },
  purged: { ...ABOUT, ready: SETTLED },
  dropped: { ...ABOUT, ready: SETTLED },
  unreadable: { ...ONLY, ready: { to: 'aside' }, dying: { to: 'aside' } },
  restarted: {
    ...ABOUT,
    held: READY,
    pending: { to: 'waiting' },
    dying: READY,
    aside: READY,
  },
  killed: { ...ABOUT, held: READY, pending: READY, dying: READY, aside: READY },
};
