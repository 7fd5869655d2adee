// Group commit: messages and marks gather in the open batch in the ring; a sealed batch is written
// and synced, one at a time, or large ones as many as the journal takes (appends.ts); when it is
// durable its acks are released, in `#appended` and nowhere else. Decides when to seal and roll.
//
//   open ──seal──► sealed ──append──► in flight ──durable──► acks released, messages delivered
//        publish: producers wait and the disk is idle      acks: marks have waited long enough
//        proof: idle, last batch not yet proved            roll: the segment is full
//        control: the broker's own records
//
// On a full disk messages end with the open segment. Marks and trims go on, into the next one, kept
// for them; when that is full, too, marks wait in memory (waiting-marks.ts) until there is space.

import {
  FLAG_LAST,
  RECORD_COMMIT,
  RECORD_START,
  RECORD_TRIM,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import { assert } from '../assert.ts';
import type { Failure, Position } from '../ports/basics.ts';
import type { Journal, Resume } from '../ports/journal.ts';
import type { SegmentSpace } from '../ports/segments.ts';
import { packIds, type RecordedIds, untilOf } from '../records/ids.ts';
import type { Deferral, Head } from '../records/placed.ts';
import { Appends } from './appends.ts';
import { Batch, type Reason, type Replyable } from './batch.ts';
import { CommitDue } from './due.ts';
import { CLOSING_BYTES, OpenSegment } from './open-segment.ts';
import type { CommitOptions } from './options.ts';
import { UnwrittenMarks } from './unwritten-marks.ts';

export class Commit {
  readonly #codec: CommitOptions['codec'];
  readonly #journal: Journal;
  readonly #space: SegmentSpace;
  readonly #options: CommitOptions;
  readonly marks: UnwrittenMarks;
  readonly #sealed: Appends;
  readonly #spare: Batch[] = [];
  #open = new Batch();
  #opened = 0; // batches so far
  readonly #segment: OpenSegment;
  #hotFrom = 0;
  #epoch = 0;
  #trim = 0; // to be written; 0 = nothing
  #trimmed = 0; // the highest ever asked for, so that asking again costs nothing
  readonly #due: CommitDue;
  #unproved = false;
  #failure: Error | undefined;
  readonly reasons = { publish: 0, acks: 0, proof: 0, roll: 0, control: 0 };

  constructor(options: CommitOptions) {
    this.#codec = options.codec;
    this.#journal = options.journal;
    this.#space = options.space;
    this.#options = options;
    this.#segment = new OpenSegment(options);
    this.#sealed = new Appends(options, (failure) => this.#appended(failure));
    this.#due = new CommitDue(options);
    this.marks = new UnwrittenMarks(options, this.#segment);
  }

  /** Goes on where recovery ended. The first batch holds the start record of this epoch. */
  resume(at: Resume): void {
    this.#epoch = at.epoch;
    this.#segment.resume(at);
    this.#hotFrom = this.#segment.durable;
    this.#codec.setSequence(at.sequence);
    this.#codec.openSegment(at.base, at.offset, at.segmentBytes, at.epoch);
    this.#begin();
    if (this.#segment.room() < CLOSING_BYTES) {
      assert(this.#space.nextReady(), 'the log ends at a full segment and has no next one');
      this.#roll(!this.#space.mayGrow());
    } else this.#segment.keepIfLast();
    this.#codec.packControl(RECORD_START, 0, this.#codec.sequence(), this.#options.wallMs(), 0);
    this.#open.records++;
    this.#open.reason = 'control';
    this.#pump();
  }

  get durablePosition(): Position {
    return this.#segment.durable;
  }

  get endPosition(): Position {
    return this.#segment.base + this.#codec.writeAt();
  }

  get idle(): boolean {
    return this.#sealed.isEmpty && this.#open.records === 0;
  }

  /** Whether the disk has no room for what was accepted already. */
  get stalled(): boolean {
    return this.#journal.stalled();
  }

  /** Whether publishes are refused, or soon will be, because the disk has no room. */
  get refuses(): boolean {
    return this.stalled || this.#space.blocked() !== undefined;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Batches that were opened: the number of the open one. */
  get openNumber(): number {
    return this.#opened;
  }

  /** What the messages of the open batch cost. */
  get openCost(): number {
    return this.#open.cost;
  }

  /** Whether a message larger than a quantum is being written, or about to be. */
  get writesLarge(): boolean {
    return this.#sealed.hasLarge;
  }

  /** Whether the rest of the open segment must do until it is known whether there is a next one. */
  get scarce(): boolean {
    return this.#segment.scarce && !this.refuses;
  }

  /** Lets the next intake write `most`, and as far as segment, ring and disk allow, but `behind`. */
  allow(most = Number.POSITIVE_INFINITY, least = 0, behind = 0): number {
    const at = this.#codec.writeAt();
    const limit = Math.max(Math.min(this.#segment.limit(least), at + most) - behind, at);
    this.#codec.setLimit(limit);
    return limit;
  }

  /**
   * Intake found no room for a record, or for `least` bytes together. 'again': the next segment is open, try again; 'wait':
   * `roomAgain` will come; 'refuse': the disk is full, for as long as it takes.
   */
  makeRoom(least = 0): 'again' | 'wait' | 'refuse' {
    if (this.stalled) return 'refuse';
    if (this.#segment.isBehind || this.#segment.limit(least) < this.#segment.end()) return 'wait';
    const lag = this.#options.lag();
    if (lag !== 'none') return lag;
    if (this.#space.mayGrow()) {
      this.#roll(false);
      this.#pump();
      return 'again';
    }
    return this.#space.blocked() === undefined ? 'wait' : 'refuse';
  }

  /** Takes over what an intake packed, or one placed record with its head. */
  packed(rows: number, messages: number, payload: number, head?: Head): void {
    const open = this.#open;
    if (open.messages === 0) open.sinceMs = this.#options.clockMs();
    if (head !== undefined) open.hasHead(head, messages, payload);
    open.add(this.#codec.rows, rows, messages, payload);
    this.#segment.entries += head !== undefined && head.dueMs > 0 ? rows + 1 : rows;
  }

  /** Packs the ids of messages of a bucket that were packed just now; room for them was kept. */
  ids(ids: RecordedIds, low: number, high: number): void {
    this.#open.hasIds(packIds(this.#codec, ids, low, high), untilOf(ids));
  }

  /**
   * Calls `to.done(token)` when all that was packed so far is durable; what a token stands for is
   * up to `to`. False if nothing is on its way to disk: then it is durable already, and `done` is
   * not called. After a failure it never is.
   */
  reply(to: Replyable, token: number): boolean {
    if (this.#failure !== undefined) return true;
    const batch = this.#open.rows.count > 0 ? this.#open : this.#sealed.last;
    if (batch === undefined) return false;
    batch.replyTo.push(to);
    batch.tokens.push(token);
    return true;
  }

  settle(sequence: number, count: number): void {
    this.marks.settled.add(sequence, count, 0);
  }

  /** Place in the marks of settled messages: durable once a batch whose `settledMarks` reach it is. */
  get settledMarks(): number {
    return this.marks.settled.end;
  }

  /** Marks that wait to be written; infinitely many while there are more than lists may hold. */
  get waitingMarks(): number {
    return this.marks.settled.waiting + this.marks.requeued.waiting;
  }

  requeue(sequence: number, count: number, attempts: number): void {
    this.marks.requeued.add(sequence, count, attempts);
  }

  /** Messages are not ready before a time, or only apart from others: once that is durable. */
  defer(deferral: Deferral): void {
    this.marks.defer(deferral);
  }

  /**
   * Whether records of types 7 to 10 may be packed. The first of them in a log's life needs a segment
   * of their own version: it is seen to, and `roomAgain` comes when it may be so.
   */
  mayPlace(): boolean {
    if (this.#segment.places) return true;
    if (!this.#segment.mayTurnToPlace()) return false;
    this.#roll(!this.#space.mayGrow());
    this.#pump();
    return true;
  }

  /** Nothing before `position` is needed; segments go back once that is on disk. */
  trim(position: Position): void {
    if (position <= this.#trimmed || !this.#segment.worthTrimming(position)) return;
    this.#trimmed = position;
    this.#trim = position;
  }

  /** Seals and writes if the disk is idle and something is worth it. */
  flush(): void {
    if (this.marks.deferred.count > 0) this.#placeForDeferrals();
    this.#pump();
  }

  /** Time passes: marks that waited long enough are written, an idle log is proved. */
  advance(nowMs: number): void {
    if (this.marks.deferred.count > 0) this.#placeForDeferrals();
    this.#due.note(nowMs, this.marks.ready, this.#unproved && this.idle);
    this.#pump(this.#due.proof(nowMs));
  }

  // Where none fits any more, by bytes or entries, they turn to the next segment, as messages do.
  #placeForDeferrals(): void {
    if (this.mayPlace() && this.#segment.deferralRoom() === 0) this.makeRoom();
  }

  /** When `advance` has something to write, if nothing comes in before that. */
  dueMs(nowMs: number): number {
    return this.#due.nextMs(nowMs, this.marks.ready > 0, this.#unproved && this.idle);
  }

  /** Writes everything that waits, marks and a last proof included; for an orderly stop. */
  drain(): void {
    if (this.marks.deferred.count > 0) this.#placeForDeferrals();
    this.#due.marks = this.marks.drain() > 0;
    this.#pump(this.#unproved && this.idle);
  }

  /** Whether everything that was accepted is on disk and proved. */
  get drained(): boolean {
    return this.idle && this.marks.count === 0 && !(this.#unproved && this.#segment.mayProve());
  }

  /** Place of a record in the ring, or -1 if it is not there any more. */
  hot(position: Position): number {
    return position < this.#hotFrom ? -1 : this.#segment.hot(position);
  }

  #begin(): void {
    this.#codec.openBatch(this.#options.strict || this.#journal.syncedPosition >= this.endPosition);
    this.#opened++;
    this.#open = this.#spare.pop() ?? new Batch();
    this.#open.reset(this.#segment.base, this.#codec.writeAt());
  }

  #reason(proofDue: boolean): Reason | undefined {
    const open = this.#open;
    if (open.messages > 0) return 'publish';
    if (open.records > 0 || this.#trim > 0) return 'control';
    // Where no mark fits any more, they are what turns to the next segment.
    if (this.#due.marks && (this.#space.nextReady() || this.#segment.markRoom() > 0)) return 'acks';
    return proofDue && this.#segment.mayProve() ? 'proof' : undefined;
  }

  #pump(proofDue = false): void {
    const sealed = this.#sealed;
    while (this.#failure === undefined && sealed.hasRoom) {
      if (!sealed.waits && !this.#sealNext(proofDue)) return;
      this.reasons[sealed.next().reason]++;
    }
  }

  // Whether there is a batch that is worth to be written now.
  #sealNext(proofDue: boolean): boolean {
    const isNext = this.#sealed.isResting;
    const bytes = this.#codec.writeAt() - this.#open.offset;
    const reason = isNext || this.#sealed.isWorth(bytes) ? this.#reason(proofDue) : undefined;
    if (reason === undefined) return false;
    if (this.#segment.room() < 2 * CLOSING_BYTES) {
      // Comes again with segmentChanged, or when nothing is in flight any more.
      if (!isNext || !this.#space.nextReady()) return false;
      this.#roll(!this.#space.mayGrow());
    } else {
      this.#seal(reason, 0);
      this.#begin();
    }
    return true;
  }

  // Completes the open batch; the caller begins the next one.
  #seal(reason: Reason, flags: number): void {
    const open = this.#open;
    if (this.marks.pack(open)) this.#due.marks = false;
    if (this.#trim > 0) {
      this.#codec.packControl(RECORD_TRIM, 0, this.#trim, 0, 0);
      open.records++;
      open.trim = this.#trim;
      this.#trim = 0;
    }
    const { codec, wallMs, following } = this.#options;
    open.stamp(codec.sequence(), wallMs());
    codec.packControl(RECORD_COMMIT, flags, open.end, open.storedMs, open.records);
    open.close(codec.writeAt(), reason, (flags & FLAG_LAST) !== 0);
    this.#sealed.add(open);
    if (following?.active) following.sealed(open);
  }

  // Closes the segment and turns to the next, which is ready; `forAcks`: messages may not use it.
  #roll(forAcks: boolean): void {
    this.#segment.forAcks = forAcks;
    this.#seal(this.#open.messages > 0 ? 'publish' : 'roll', FLAG_LAST);
    this.#segment.turn();
    this.#codec.openSegment(this.#segment.base, SEGMENT_DATA_AT, this.#segment.bytes, this.#epoch);
    this.#space.roll(this.#segment.base);
    this.#begin();
  }

  #appended(failure: Failure): void {
    const batch = this.#sealed.ended();
    if (this.#failure !== undefined) return; // of one before it, and was told
    const { events, following } = this.#options;
    if (failure !== undefined) {
      this.#failure = failure;
      events.failed(failure);
      return;
    }
    this.#segment.durable = this.#segment.endOf(batch);
    this.#unproved = this.#options.strict && batch.reason !== 'proof';
    this.#pump(); // the disk first: it works while the replies go out
    if (following?.active) following.durable(batch);
    this.#release(batch);
    events.durable(batch);
    if (batch.trim > 0) this.#journal.trim(batch.trim);
    this.#spare.push(batch);
    events.roomAgain();
  }

  // The only place that releases acks; its only caller is the completion of an append.
  #release(batch: Batch): void {
    const { replyTo, tokens } = batch;
    for (let i = 0; i < replyTo.length; i++) replyTo[i]!.done(tokens[i]!);
  }
}
