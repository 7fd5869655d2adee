// Messages that wait for a time, put together: what is durable of them goes to the due times, what
// is due becomes ready, and what a start finds is gone through once. Costs a look at a batch that
// says nothing of times, and nothing else.

import { KIND_LIVE } from '../../assembly/layout-placed.ts';
import type { Log } from './broker-options.ts';
import type { Buckets } from './buckets/buckets.ts';
import type { Batch } from './commit/batch.ts';
import { DueAudit } from './delivery/due-audit.ts';
import { DueTimes } from './delivery/due-times.ts';
import { Firing } from './delivery/firing.ts';
import * as notices from './delivery/notices.ts';
import type { Position } from './ports/basics.ts';
import type { Notices } from './ports/notices.ts';
import { emptyDueEntry } from './records/due.ts';
import { dueOfDeferral, dueOfPlaced } from './records/due-of.ts';
import { OFFSET, ROW_WORDS } from './records/rows.ts';
import type { Retention } from './segments/retention.ts';
import type { InMemory } from './segments/state-builder.ts';

/** The parts of the broker that it looks after or asks. */
export interface WaitingParts {
  readonly buckets: Buckets<unknown>;
  readonly retention: Retention;
  readonly notices: Notices;
  readonly nextSequence: number;
  stir(): void;
  flushSoon(): void;
  dispatch(slot: number): void;
}

export class Waiting {
  readonly due: DueTimes;
  readonly firing: Firing;
  readonly #parts: WaitingParts;
  readonly #log: Pick<Log, 'due' | 'index'>;
  readonly #entry = emptyDueEntry();
  #audit: DueAudit | undefined;
  #memoryFrom: () => Position = () => 0;

  /** `opened` gives the slot of a bucket that nobody knows, if it is to be known; else 0. */
  constructor(
    parts: WaitingParts,
    log: Pick<Log, 'due' | 'index'>,
    wallMs: () => number,
    opened: (low: number, high: number) => number = () => 0,
  ) {
    this.#parts = parts;
    this.#log = log;
    const { buckets } = parts;
    this.due = new DueTimes({
      store: log.due,
      wake: () => parts.flushSoon(),
      failed: (base, failure) => {
        parts.stir();
        parts.notices.notice('warn', 'due.read', notices.dueUnreadable(base, failure), {
          position: base,
        });
      },
    });
    this.firing = new Firing({
      due: this.due,
      outcomes: buckets.outcomes,
      lines: {
        readyAgain: (low, high, kind, sequence, count) => {
          const known = buckets.delayed.readyAgain(low, high, kind, sequence, count);
          return known === 0 && kind === KIND_LIVE ? opened(low, high) : known;
        },
      },
      dispatch: (slot) => parts.dispatch(slot),
      soon: () => parts.flushSoon(),
      wallMs,
      jumped: (byMs) => parts.notices.notice('warn', 'clock.jumped', notices.clockJumped(byMs)),
    });
  }

  /** Goes on with what a start found; `inMemory`: the segments whose entries are in memory. */
  resume(inMemory: readonly InMemory[]): void {
    for (const { base, due } of inMemory) {
      for (let i = 0; i < (due?.count ?? 0); i++) {
        due!.read(i, this.#entry);
        this.due.add(base, this.#entry);
      }
    }
    const { buckets, retention, nextSequence } = this.#parts;
    const { outcomes } = buckets;
    // Nobody waits: then no entry counts, whatever segments say.
    if (outcomes.waiting.runs(0, nextSequence).next().done === true) return;
    const from = inMemory[0]?.base ?? Number.POSITIVE_INFINITY;
    const bases = retention.segments
      .map(({ base }) => base)
      .filter((base) => base < from && this.#log.due.expects(base));
    for (const base of bases) this.due.indexed(base);
    this.#audit = new DueAudit(
      {
        store: this.#log.due,
        outcomes,
        segments: () => retention.segments,
        visit: (base, record, done) => this.#visit(base, record, done),
        ready: (low, high, sequence, count) => {
          this.firing.ready(low, high, KIND_LIVE, sequence, count);
          this.#parts.flushSoon();
        },
        ended: (freed) => this.#audited(freed),
        stir: () => this.#parts.stir(),
      },
      bases,
      nextSequence,
    );
    for (const { due } of inMemory) if (due !== undefined) this.#audit.seeAll(due);
  }

  /** Entries of segments from there on are in memory. */
  inMemoryFrom(memoryFrom: () => Position): void {
    this.#memoryFrom = memoryFrom;
  }

  #visit(
    base: Position,
    record: (low: number, high: number, sequence: number, count: number) => void,
    done: (failure: Error | undefined) => void,
  ): void {
    if (base < this.#memoryFrom()) {
      const found = (low: number, high: number, at: { sequence: number; messages: number }) =>
        record(low, high, at.sequence, at.messages);
      this.#log.index.visit(base, found, done);
      return;
    }
    const { entries } = this.#parts.buckets;
    const source = entries.source(entries.from, entries.end);
    for (let i = 0; i < source.count; i++)
      record(
        source.lines.bucketLow(i),
        source.lines.bucketHigh(i),
        source.sequence(i),
        source.messages(i),
      );
    done(undefined);
  }

  #audited(freed: number): void {
    this.#audit = undefined;
    if (freed === 0) return;
    this.#parts.notices.notice('warn', 'due.missing', notices.dueMissing(freed), {
      messages: freed,
    });
  }

  /** A batch became durable and is applied: what it says of times counts from now on. */
  durable({ base, deferred, heads, rows, trim }: Batch): void {
    for (const deferral of deferred) if (dueOfDeferral(deferral, this.#entry)) this.#add(base);
    for (const [i, head] of heads) {
      const at = i * ROW_WORDS;
      const position = base + rows.words[at + OFFSET]!;
      if (dueOfPlaced(rows.words, at, position, head, this.#entry)) this.#add(base);
    }
    if (trim === 0) return;
    const oldest = this.#parts.retention.segments[0]?.base ?? 0;
    this.due.trimmed(oldest);
    this.#audit?.trimmed(oldest);
  }

  #add(base: Position): void {
    this.due.add(base, this.#entry);
    this.#audit?.see(this.#entry);
  }

  /** The segments from `base` to before `end` are one now. */
  merged(base: Position, end: Position): void {
    this.due.merged(base, end);
    this.#audit?.merged(base, end);
  }

  /** Monotonic time. */
  advance(nowMs: number): void {
    this.#audit?.advance();
    this.firing.advance(nowMs);
  }

  /** Whether there is more to do in each tick. */
  get isBusy(): boolean {
    return this.#audit?.isBusy === true;
  }
}
