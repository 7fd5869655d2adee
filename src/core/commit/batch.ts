// One batch of a commit: what is written and synced together, and whom that is owed to.

import { REASON_COPIED } from '../../../assembly/layout-placed.ts';
import type { Position } from '../ports/basics.ts';
import type { Deferral, Head } from '../records/placed.ts';
import { RowList } from '../records/rows.ts';
import { costOf, QUANTUM_BYTES } from './cost.ts';

export type Reason = 'publish' | 'acks' | 'proof' | 'roll' | 'control';

/** Whoever is owed a reply when a batch is durable. */
export interface Replyable {
  /** What `token` stands for is durable. */
  done(token: number): void;
}

/** Messages and replies that became, or become, durable together. */
export class Batch {
  base = 0;
  offset = 0;
  bytes = 0;
  messages = 0;
  payload = 0;
  records = 0;
  reason: Reason = 'publish';
  readonly rows = new RowList();
  /** Heads of those rows that have one, by the number of the row. */
  readonly heads = new Map<number, Head>();
  /** Of its messages, those that nobody published just now, and their payload. */
  moved = 0;
  movedPayload = 0;
  /** Of these, the copies of what was published. */
  copied = 0;
  #copyOf = 0;
  #bytesOfCopies = 0;
  /** Bytes of its records of ids, and until when those are to be known, in ms since 1970. */
  idBytes = 0;
  idsUntilMs = 0;
  /** What is deferred when it is durable. */
  deferred: readonly Deferral[] = [];
  readonly replyTo: Replyable[] = [];
  readonly tokens: number[] = [];
  trim = 0;
  /** Marks of settled messages written up to here, counted since the broker started. */
  settledMarks = 0;
  /** When its first message was taken in, in ms of the clock that latencies are measured with. */
  sinceMs = 0;
  /** Sequence behind its last message, or the last of those before it. */
  end = 0;
  /** When it was complete, by the wall clock, in ms since 1970; so its commit record says. */
  storedMs = 0;
  /** When it began to be written, in ms of the broker's time. */
  begunMs = 0;
  /** How long that took, in ms. */
  tookMs = 0;
  /** Closes its segment: the log goes on at the start of the next one. */
  last = false;
  /** Whether it holds a message larger than a quantum (cost.ts). */
  large = false;

  /** What its messages cost (cost.ts). */
  get cost(): number {
    return costOf(this.payload, this.rows.count);
  }

  /** Takes over what an intake packed. */
  add(codecRows: Uint32Array, rows: number, messages: number, payload: number): void {
    this.rows.add(codecRows, rows);
    this.records += rows;
    this.messages += messages;
    this.payload += payload;
    if (messages === 1 && payload > QUANTUM_BYTES) this.large = true;
  }

  /** What is added next stands behind a head. */
  hasHead(head: Head, messages: number, payload: number): void {
    this.heads.set(this.rows.count, head);
    if (head.from === 0) return;
    this.moved += messages;
    this.movedPayload += payload;
    if (head.reason !== REASON_COPIED) return;
    this.copied += messages;
    // A message is as large as all of its copies and itself.
    if (this.#copyOf !== head.from) this.#bytesOfCopies = payload;
    this.#copyOf = head.from;
    this.#bytesOfCopies += payload;
    if (messages === 1 && this.#bytesOfCopies > QUANTUM_BYTES) this.large = true;
  }

  /** Ids of its messages stand behind them, to be known until `untilMs`. */
  hasIds(bytes: number, untilMs: number): void {
    this.records++;
    this.idBytes += bytes;
    this.idsUntilMs = Math.max(this.idsUntilMs, untilMs);
  }

  /** It is complete with what is before sequence `end`, at `storedMs`. */
  stamp(end: number, storedMs: number): void {
    this.end = end;
    this.storedMs = storedMs;
  }

  /** It is complete, up to offset `end` of its segment. */
  close(end: number, reason: Reason, last: boolean): void {
    this.bytes = end - this.offset;
    this.reason = reason;
    this.last = last;
  }

  reset(base: Position, offset: number): void {
    this.base = base;
    this.offset = offset;
    this.bytes = 0;
    this.messages = 0;
    this.payload = 0;
    this.records = 0;
    this.rows.clear();
    // A map is emptied at the price of a new one: most commits are spared that.
    if (this.heads.size > 0) this.heads.clear();
    this.moved = 0;
    this.movedPayload = 0;
    this.copied = 0;
    this.idBytes = 0;
    this.idsUntilMs = 0;
    if (this.deferred.length > 0) this.deferred = [];
    this.replyTo.length = 0;
    this.tokens.length = 0;
    this.trim = 0;
    this.settledMarks = 0;
    this.last = false;
    this.large = false;
  }
}
