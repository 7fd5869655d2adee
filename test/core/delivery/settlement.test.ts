// Every cell of the table of states and events, against the real settlement, buckets, segments and
// commit: what becomes of a message, what is counted, which mark waits to be written, and what
// another broker finds in the log.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CAUSE_LINK_LOST, KIND_LIVE, REASON_REJECTED } from '../../../assembly/layout-placed.ts';
import { BugError } from '../../../src/core/assert.ts';
import type { Slice } from '../../../src/core/buckets/slice.ts';
import type { Commit } from '../../../src/core/commit/commit.ts';
import { Settlement, type SettlementParts } from '../../../src/core/delivery/settlement.ts';
import {
  type MessageEvent,
  type MessageState,
  NEVER,
  type Outcome,
  SAME,
  TRANSITIONS,
} from '../../../src/core/delivery/states.ts';
import { Following } from '../../../src/core/following/following.ts';
import { Counters } from '../../../src/core/metrics/counters.ts';
import type { Deferral } from '../../../src/core/records/placed.ts';
import { NO_HEAD } from '../../../src/core/records/placed.ts';
import {
  ATTEMPTS,
  BODY_BYTES,
  BUCKET_LOW,
  COUNT,
  ROW_WORDS,
  SEQUENCE_LOW,
} from '../../../src/core/records/rows.ts';
import { Apply } from '../../../src/core/segments/apply.ts';
import { createState } from '../../../src/core/segments/state.ts';

const BUCKET = 7;
const SEQUENCE = 5;
const POSITION = 4096;
const MESSAGES = 3;
const BEFORE = 2; // attempts that the record carries

const DEFERRAL: Deferral = {
  sequence: SEQUENCE,
  count: MESSAGES,
  turn: 1,
  dueMs: 1,
  bucket: BigInt(BUCKET),
  attempts: 0,
  kind: KIND_LIVE,
  level: 0,
  cause: 0,
};

const NOW_MS = 1_700_000_000_000;
const DELAY_MS = 256;

const STATES: MessageState[] = [
  'unseen',
  'ready',
  'held',
  'pending',
  'waiting',
  'dying',
  'gone',
  'aside',
];

type MarkOf = [
  kind: 'settled' | 'returned' | 'deferred',
  sequence: number,
  count: number,
  attempts: number,
];

/** What can be seen of the messages of one record. */
interface Seen {
  ready: number;
  unacked: number;
  /** To be ready at a time, and those of them of which the log says so. */
  delayed: number;
  waiting: number;
  live: number;
  settled: number;
  /** Of what is next in line. */
  attempts: number | undefined;
  marks: MarkOf[];
}

/** One record of three messages, which go through their life together. */
class Life {
  readonly state = createState(1);
  readonly counters = new Counters();
  readonly marks: MarkOf[] = [];
  readonly deferred: Deferral[] = [];
  readonly durable: Deferral[] = [];
  readonly apply = new Apply(this.state);
  readonly settlement: Settlement;
  readonly slot: number;
  // The handle that whoever is to do something to the messages has: as `peek` or `deliver` gave it.
  #part: Slice;
  // What the mover has.
  #moving: Slice | undefined;
  // Whether the next failure is the last one.
  #isLast = false;

  constructor(from: MessageState) {
    const { buckets, retention } = this.state;
    const commit: SettlementParts['commit'] = {
      settle: (sequence, count) => void this.marks.push(['settled', sequence, count, 0]),
      requeue: (sequence, count, attempts) =>
        void this.marks.push(['returned', sequence, count, attempts]),
      marks: { mayDefer: (_refuses: boolean) => true, places: true } as Commit['marks'],
      refuses: false,
      defer: (deferral) => {
        const { sequence, count, attempts } = deferral;
        this.marks.push(['deferred', sequence, count, attempts]);
        this.deferred.push(deferral);
      },
    };
    const following = new Following(undefined, { buckets, notices: { notice: () => {} } });
    const dying = {
      isOver: () => this.#isLast,
      areDropped: () => false,
      rejected: () => {},
      gone: () => {},
    };
    const mover = {
      take: (part: Slice) => {
        this.#moving = part;
        return true;
      },
    };
    const parts = { buckets, retention, commit, counters: this.counters, following, dying, mover };
    this.settlement = new Settlement(parts, { wallMs: () => NOW_MS });
    this.apply.goOn(SEQUENCE);
    this.apply.segment(0);
    this.slot = buckets.open(BUCKET, 0);
    // Somebody stands in line, so that the bucket is there whatever becomes of its messages.
    buckets.openSubscription(this.slot).consumers++;
    const rest = { messages: MESSAGES, bodyBytes: 30, attempts: BEFORE, level: 0 };
    const where = { slot: this.slot, position: POSITION, sequence: SEQUENCE, first: 0 };
    this.#part = { ...where, count: MESSAGES, ...rest };
    if (from === 'unseen') return;
    this.become('durable');
    if (from !== 'ready' && from !== 'aside') this.become('delivered');
    if (from === 'gone') this.become('done');
    if (from === 'pending' || from === 'waiting') this.become('released later');
    if (from === 'waiting') this.become('put off');
    if (from === 'dying') this.become('rejected');
    if (from === 'aside') this.become('unreadable');
    this.marks.length = 0;
  }

  get seen(): Seen {
    const { buckets, retention } = this.state;
    const { slot, marks } = this;
    const settled = buckets.outcomes.settled.within(SEQUENCE, MESSAGES);
    const waiting = buckets.outcomes.waiting.within(SEQUENCE, MESSAGES);
    const delayed = buckets.delayed.of(slot);
    assert.deepEqual(
      [buckets.ready, buckets.unacked, buckets.delayed.count],
      [buckets.readyOf(slot), buckets.unackedOf(slot), delayed],
    );
    assert.equal(retention.live, retention.segments[0]!.live);
    buckets.subscription(slot)?.suspects?.all();
    const attempts = buckets.peek(slot)?.attempts;
    const ready = buckets.readyOf(slot);
    const unacked = buckets.unackedOf(slot);
    const { live } = retention;
    return { ready, unacked, delayed, waiting, live, settled, attempts, marks: [...marks] };
  }

  become(event: MessageEvent): void {
    const { settlement } = this;
    const { buckets } = this.state;
    if (this.#moving !== undefined && typeof TRANSITIONS[event].dying !== 'string') {
      this.#becomeOfDying(event, this.#moving);
      return;
    }
    // Its consumer has no handle of it any more, and the link may end without it.
    const isOfHolder = event !== 'due' && event !== 'purged';
    if (this.#moving !== undefined && isOfHolder && TRANSITIONS[event].dying === SAME) return;
    if (event === 'durable') {
      this.apply.messages(rowOf(BEFORE), 0, POSITION);
      this.#part = buckets.peek(this.slot) ?? this.#part;
    } else if (event === 'durable later') {
      const head = { ...NO_HEAD, dueMs: NOW_MS + DELAY_MS };
      this.apply.placed(rowOf(BEFORE), 0, POSITION, head);
    } else if (event === 'delivered') this.#part = settlement.deliver(this.#part, MESSAGES);
    else if (event === 'done') settlement.done(this.#part, 0, MESSAGES);
    else if (event === 'failed') settlement.failed(this.#part, 0, MESSAGES);
    else if (event === 'released') settlement.released(this.#part, 0, MESSAGES);
    else if (event === 'failed later')
      settlement.failed(this.#part, 0, MESSAGES, undefined, DELAY_MS);
    else if (event === 'released later')
      settlement.released(this.#part, 0, MESSAGES, undefined, DELAY_MS);
    else if (event === 'put off') this.#putOff();
    else if (event === 'due') this.#due();
    else if (event === 'withdrawn') {
      const part = settlement.withdraw(this.#part, MESSAGES);
      this.#moving = part;
    } else if (event === 'rejected' || event === 'failed for good' || event === 'discarded')
      this.#die(event);
    else if (event === 'unreadable') settlement.setAside(this.#part);
    else if (event === 'purged') {
      // Takes what is in line, and nothing else.
      const next = buckets.peek(this.slot);
      if (next !== undefined) settlement.purge(next, next.count);
    } else if (event === 'dropped') {
      const next = buckets.peek(this.slot);
      if (next !== undefined) settlement.drop(next, next.count, 'overflow');
    } else if (event === 'lost') {
      // A link that ends gives back what its consumer holds.
      if (buckets.unackedOf(this.slot) > 0) lose(settlement, this.#part, MESSAGES, MESSAGES);
    } else if (event === 'lost alone') {
      if (buckets.unackedOf(this.slot) > 0) lose(settlement, this.#part, MESSAGES, 1);
    } else if (event === 'taken back') {
      if (buckets.unackedOf(this.slot) > 0) settlement.takenBack(this.#part, 0, MESSAGES);
    }
  }

  // Only who holds them can say so.
  #die(event: MessageEvent): void {
    const { settlement } = this;
    if (this.state.buckets.unackedOf(this.slot) === 0) return;
    this.#isLast = event === 'failed for good';
    if (event === 'rejected') settlement.rejected(this.#part, 0, MESSAGES);
    else if (event === 'discarded') settlement.discard(this.#part, REASON_REJECTED);
    else settlement.failed(this.#part, 0, MESSAGES);
  }

  #becomeOfDying(event: MessageEvent, part: Slice): void {
    const { settlement } = this;
    if (event === 'discarded') settlement.discard(part, REASON_REJECTED);
    else if (event === 'not moved') settlement.giveBack(part, true);
    else if (event === 'unreadable') settlement.setHeldAside(part);
    else if (event === 'moved') {
      // Here it is settled; where it is now is another line, which this test does not see.
      this.apply.settled({ sequence: SEQUENCE, count: MESSAGES, attempts: 0 });
      settlement.moved(part);
    } else assert.fail(event);
  }

  // The record of what was put off, or of what was not, is on disk.
  #putOff(): void {
    const deferral = this.deferred.at(-1) ?? DEFERRAL;
    this.apply.putOff(deferral);
    this.durable.push(deferral);
  }

  #due(): void {
    const { buckets } = this.state;
    const { waiting } = buckets.outcomes;
    if (waiting.remove(SEQUENCE, MESSAGES) === 0) return;
    buckets.delayed.readyAgain(BUCKET, 0, KIND_LIVE, SEQUENCE, MESSAGES);
  }

  /** What another broker makes of the log: the record, if it is there, and all marks, or none. */
  restart(from: MessageState, marks: boolean): Seen {
    const again = new Life('unseen');
    const read = new Apply(again.state);
    if (from !== 'unseen') read.messages(rowOf(BEFORE), 0, POSITION);
    for (const [kind, sequence, count, attempts] of this.written) {
      if (kind === 'settled') read.settled({ sequence, count, attempts });
      else if (kind === 'returned') read.returned({ sequence, count, attempts });
    }
    for (const deferral of marks ? this.deferred : this.durable) read.deferred(deferral);
    again.state.buckets.recovered(read.nextSequence, again.state.retention.live, false);
    const { buckets } = again.state;
    if (buckets.find(BUCKET, 0) === 0) assert.equal(buckets.open(BUCKET, 0), again.slot);
    return again.seen;
  }

  // What its log says of how it came to where it is.
  get written(): MarkOf[] {
    const { settled } = this.state.buckets.outcomes;
    const marks = [...settled.runs(0, 100)].map(
      ([sequence, count]): MarkOf => ['settled', sequence, count, 0],
    );
    return [...marks, ...this.marks];
  }
}

function lose(settlement: Settlement, part: Slice, count: number, together: number): void {
  settlement.lost(part, 0, count, together, CAUSE_LINK_LOST);
}

function rowOf(attempts: number): Uint32Array {
  const row = new Uint32Array(ROW_WORDS);
  row[BUCKET_LOW] = BUCKET;
  row[SEQUENCE_LOW] = SEQUENCE;
  row[COUNT] = MESSAGES;
  row[BODY_BYTES] = 30;
  row[ATTEMPTS] = attempts;
  return row;
}

/** What a state looks like from outside. */
function looks(state: MessageState, attempts = BEFORE): Omit<Seen, 'marks'> {
  const counts = { ready: 0, unacked: 0, delayed: 0, waiting: 0, live: 0, settled: 0 };
  const nothing = { ...counts, attempts: undefined };
  if (state === 'ready') return { ...nothing, ready: MESSAGES, live: MESSAGES, attempts };
  if (state === 'held' || state === 'dying')
    return { ...nothing, unacked: MESSAGES, live: MESSAGES };
  if (state === 'pending') return { ...nothing, delayed: MESSAGES, live: MESSAGES };
  if (state === 'waiting')
    return { ...nothing, delayed: MESSAGES, waiting: MESSAGES, live: MESSAGES };
  if (state === 'gone') return { ...nothing, settled: MESSAGES };
  if (state === 'aside') return { ...nothing, live: MESSAGES };
  return nothing;
}

function after({ to, attempt, mark }: Outcome): Seen {
  const attempts = attempt ? BEFORE + 1 : BEFORE;
  const marks: Record<string, MarkOf> = {
    settled: ['settled', SEQUENCE, MESSAGES, 0],
    returned: ['returned', SEQUENCE, MESSAGES, attempts],
    deferred: ['deferred', SEQUENCE, MESSAGES, attempts],
  };
  return { ...looks(to, attempts), marks: mark === undefined ? [] : [marks[mark]!] };
}

describe('a message', () => {
  for (const state of STATES)
    test(`${state}: is what it looks like`, () => {
      assert.deepEqual(new Life(state).seen, { ...looks(state), marks: [] });
    });

  for (const [event, row] of Object.entries(TRANSITIONS) as [MessageEvent, object][]) {
    assert.deepEqual(Object.keys(row), STATES);
    for (const state of STATES) {
      const cell = TRANSITIONS[event][state];
      const result = typeof cell === 'string' ? cell : cell.to;
      test(`${state}, ${event}: ${result}`, () => {
        const life = new Life(state);
        const before = life.seen;
        if (event === 'restarted' || event === 'killed') {
          const now = life.restart(state, event === 'restarted');
          assert.deepEqual(now, cell === SAME ? before : after(cell as Outcome));
          return;
        }
        if (cell === NEVER) {
          assert.throws(() => life.become(event), BugError);
          assert.deepEqual(life.seen, before, 'nothing has changed before that');
          return;
        }
        life.become(event);
        assert.deepEqual(life.seen, cell === SAME ? before : after(cell));
      });
    }
  }

  test('each message of a part may go its own way, at its own place', () => {
    const { state, settlement, slot, marks, apply, counters } = new Life('unseen');
    const { buckets } = state;
    apply.messages(rowOf(BEFORE), 0, POSITION);
    const held = settlement.deliver(buckets.peek(slot)!, 2);
    assert.equal(buckets.peek(slot)!.sequence, SEQUENCE + 2, 'the rest stays in line');
    settlement.done(held, 0, 1);
    settlement.failed(held, 1, 1);
    assert.deepEqual(marks, [
      ['settled', SEQUENCE, 1, 0],
      ['returned', SEQUENCE + 1, 1, BEFORE + 1],
    ]);
    const back = { ...buckets.peek(slot)! };
    assert.deepEqual(back, {
      slot,
      position: POSITION,
      sequence: SEQUENCE + 1,
      first: 1,
      count: 1,
      messages: MESSAGES,
      bodyBytes: 30,
      attempts: BEFORE + 1,
      level: 0,
    });
    lose(settlement, settlement.deliver(buckets.peek(slot)!, 1), 1, 1);
    buckets.subscription(slot)!.suspects!.all();
    assert.equal(buckets.peek(slot)!.attempts, BEFORE + 2);
    settlement.purge(buckets.peek(slot)!, 1);
    assert.deepEqual(marks.slice(2), [
      ['deferred', SEQUENCE + 1, 1, BEFORE + 2],
      ['settled', SEQUENCE + 1, 1, 0],
    ]);
    settlement.setAside(buckets.peek(slot)!);
    assert.equal(buckets.peek(slot), undefined);
    assert.equal(state.retention.live, 1);
    const { ackedMessages, failedMessages, purgedMessages, unreadableMessages } = counters;
    const counts = [ackedMessages, failedMessages, purgedMessages, unreadableMessages];
    assert.deepEqual(counts, [1, 1, 1, 1], 'a link that is lost is no failure of its consumer');
    assert.equal(counters.redeliveredMessages, 3);
  });
});
