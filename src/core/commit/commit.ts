// Group commit: messages and marks gather in the open batch in the ring; a sealed batch is written
// and synced, one at a time; when it is durable its acks are released, in `#appended` and nowhere
// else. Decides when to seal and when to go on to the next segment.
//
//   open ──seal──► sealed ──append──► in flight ──durable──► acks released, messages delivered
//        publish: producers wait and the disk is idle      acks: marks have waited long enough
//        proof: idle, last batch not yet proved            roll: the segment is full
//        control: the broker's own records
//
// On a full disk messages end with the open segment. Marks and trims go on, into the next segment,
// which is kept for them; when that is full, too, marks wait in memory (waiting-marks.ts) for what
// trims and compaction bring back.

import {
  BLOCK_BYTES,
  FLAG_LAST,
  MARK_BYTES,
  MARKS_MAX,
  MESSAGE_SIZE_BYTES,
  RECORD_ALIGN,
  RECORD_COMMIT,
  RECORD_HEADER_BYTES,
  RECORD_RETURNED,
  RECORD_SETTLED,
  RECORD_START,
  RECORD_TRIM,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import { assert } from '../assert.ts';
import type { Failure, Position } from '../ports/basics.ts';
import type { Journal, Resume } from '../ports/journal.ts';
import type { SegmentSpace } from '../ports/segments.ts';
import { Batch, type Reason, type Replyable } from './batch.ts';
import type { CommitOptions } from './options.ts';
import { attemptsBySequence, settledBySequence, WaitingMarks } from './waiting-marks.ts';

// Room at the end of a segment for what closes it: trim, start and commit records and one spare.
const CLOSING_BYTES = 4 * RECORD_HEADER_BYTES;
// Room of the reserve that acks leave to trims.
const TRIM_RESERVE_BYTES = 4096;
// What a trim must give back, as a share of a segment, when there is room for few more of them.
const TRIM_WORTH = 1 / 16;
// What could not be written when it was due is tried again after so long, if nothing else happens.
const OVERDUE_MS = 1000;
// From here on the rest of a segment is for who publishes little, if the next one is not there yet.
const SCARCE = 7 / 8;
// Bytes that may wait to become durable; beyond it producers are held back. One record of the
// largest message may always wait, or it could never be taken.
const DIRTY_BYTES_MAX = 16 * 1024 * 1024;

export class Commit {
  readonly #codec: CommitOptions['codec'];
  readonly #journal: Journal;
  readonly #space: SegmentSpace;
  readonly #options: CommitOptions;
  readonly #settled: WaitingMarks;
  readonly #requeued: WaitingMarks;
  // Two at most: the rest of a full segment, and what opened the next.
  readonly #sealed: Batch[] = [];
  readonly #spare: Batch[] = [];
  #open = new Batch();
  #opened = 0; // batches so far
  #inFlight: Batch | undefined;
  #base = 0;
  #segmentBytes = 0;
  #entries = 0; // in the open segment, since this start
  #previousBase = -1;
  #hotFrom = 0;
  #forAcks = false; // the open segment was begun for marks and trims
  #epoch = 0;
  #durable = 0;
  #trim = 0; // to be written; 0 = nothing
  #trimmed = 0; // the highest ever asked for, so that asking again costs nothing
  #marksDue = false;
  #marksSinceMs = -1;
  #proofSinceMs = -1;
  #unproved = false;
  #failure: Error | undefined;
  readonly reasons = { publish: 0, acks: 0, proof: 0, roll: 0, control: 0 };

  constructor(options: CommitOptions) {
    this.#codec = options.codec;
    this.#journal = options.journal;
    this.#space = options.space;
    this.#options = options;
    this.#settled = new WaitingMarks(options.marksMax, settledBySequence);
    this.#requeued = new WaitingMarks(options.marksMax, attemptsBySequence);
  }

  /** Goes on where recovery ended. The first batch holds the start record of this epoch. */
  resume(at: Resume): void {
    this.#segmentBytes = at.segmentBytes;
    this.#epoch = at.epoch;
    this.#base = at.base;
    this.#hotFrom = at.base + at.offset;
    this.#durable = this.#hotFrom;
    this.#codec.setSequence(at.sequence);
    this.#codec.openSegment(at.base, at.offset, at.segmentBytes, at.epoch);
    this.#begin();
    if (this.#room() < CLOSING_BYTES) {
      assert(this.#space.nextReady(), 'the log ends at a full segment and has no next one');
      this.#roll(!this.#space.mayGrow());
    } else if (!this.#space.nextReady() && this.#space.blocked() !== undefined) {
      // Who began it is not known any more; the first one is nobody's reserve.
      this.#forAcks = this.#space.bases().length > 1;
    }
    this.#codec.packControl(RECORD_START, 0, this.#codec.sequence(), this.#options.wallMs(), 0);
    this.#open.records++;
    this.#open.reason = 'control';
    this.#pump();
  }

  get durablePosition(): Position {
    return this.#durable;
  }

  get endPosition(): Position {
    return this.#base + this.#codec.writeAt();
  }

  get idle(): boolean {
    return this.#inFlight === undefined && this.#sealed.length === 0 && this.#open.records === 0;
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

  /** Whether a message larger than a portion is being written, or about to be. */
  get writesLarge(): boolean {
    return this.#inFlight?.large === true || this.#sealed.some(({ large }) => large);
  }

  /** Whether the rest of the open segment must do until it is known whether there is a next one. */
  get scarce(): boolean {
    const { entriesMax, lag } = this.#options;
    const full = this.#codec.writeAt() >= SCARCE * this.#segmentBytes;
    if (!full && this.#entries < SCARCE * entriesMax) return false;
    if (this.refuses) return false;
    return lag() === 'wait' || !this.#space.nextReady();
  }

  /** Lets the next intake write as far as segment, ring and unsynced bytes allow, but `most`. */
  allow(most = Number.POSITIVE_INFINITY): void {
    const at = this.#codec.writeAt();
    this.#codec.setLimit(Math.max(Math.min(this.#limit(), at + most), at));
  }

  #limit(): number {
    const { messageBytesMax } = this.#options;
    const recordBytesMax =
      RECORD_HEADER_BYTES + MESSAGE_SIZE_BYTES + messageBytesMax + RECORD_ALIGN;
    const share = Math.min(DIRTY_BYTES_MAX, this.#segmentBytes / 2);
    const dirtyMax = Math.max(share, recordBytesMax);
    let limit = Math.min(this.#end(), this.#durable + dirtyMax - this.#base);
    // The ring is an image of one segment: bytes of the one before that are not on disk yet are in
    // the way, and so is the whole block that they begin in, which is written with them.
    if (this.#durable < this.#base && this.#previousBase >= 0) {
      const begun = this.#durable - this.#previousBase;
      limit = Math.min(limit, begun - (begun % BLOCK_BYTES));
    }
    return Math.max(0, Math.floor(limit / 8) * 8);
  }

  // Where messages must stop in this segment.
  #end(): number {
    if (this.#entries >= this.#options.entriesMax) return this.#codec.writeAt();
    if (this.#space.nextReady()) return this.#segmentBytes - CLOSING_BYTES;
    if (this.#forAcks) return 0;
    return this.#segmentBytes - Math.max(CLOSING_BYTES, this.#options.reserveBytes);
  }

  #room(): number {
    return this.#segmentBytes - this.#codec.writeAt();
  }

  /**
   * Intake found no room for a record. 'again': the next segment is open, try again; 'wait':
   * `roomAgain` will come; 'refuse': the disk is full, for as long as it takes.
   */
  makeRoom(): 'again' | 'wait' | 'refuse' {
    if (this.stalled) return 'refuse';
    if (this.#limit() < this.#end()) return 'wait';
    const lag = this.#options.lag();
    if (lag !== 'none') return lag;
    if (this.#space.mayGrow()) {
      this.#roll(false);
      this.#pump();
      return 'again';
    }
    return this.#space.blocked() === undefined ? 'wait' : 'refuse';
  }

  /** Takes over what an intake packed. */
  packed(rows: number, messages: number, payload: number): void {
    const open = this.#open;
    if (open.messages === 0) open.sinceMs = this.#options.clockMs();
    open.add(this.#codec.rows, rows, messages, payload);
    this.#entries += rows;
  }

  /**
   * Calls `to.done(token)` when all that was packed so far is durable; what a token stands for is
   * up to `to`. False if nothing is on its way to disk: then it is durable already, and `done` is
   * not called. After a failure it never is.
   */
  reply(to: Replyable, token: number): boolean {
    if (this.#failure !== undefined) return true;
    let batch: Batch | undefined = this.#open;
    if (batch.rows.count === 0) batch = this.#sealed.at(-1) ?? this.#inFlight;
    if (batch === undefined) return false;
    batch.replyTo.push(to);
    batch.tokens.push(token);
    return true;
  }

  settle(sequence: number, count: number): void {
    this.#settled.add(sequence, count, 0);
  }

  /** Place in the marks of settled messages: durable once a batch whose `settledMarks` reach it is. */
  get settledMarks(): number {
    return this.#settled.end;
  }

  /** Marks that wait to be written; infinitely many while there are more than lists may hold. */
  get waitingMarks(): number {
    return this.#settled.waiting + this.#requeued.waiting;
  }

  requeue(sequence: number, count: number, attempts: number): void {
    this.#requeued.add(sequence, count, attempts);
  }

  /** Nothing before `position` is needed; segments go back once that is on disk. */
  trim(position: Position): void {
    if (position <= this.#trimmed || !this.#worthTrimming(position)) return;
    this.#trimmed = position;
    this.#trim = position;
  }

  // What room is left for trims must be enough until there is a further segment.
  #worthTrimming(position: Position): boolean {
    if (this.#space.nextReady() || this.#markRoom() > 0) return true;
    const given = this.#space.bases().filter((base) => base < position);
    const bytes = given.reduce((sum, base) => sum + this.#space.fileBytes(base), 0);
    return bytes >= TRIM_WORTH * this.#space.segmentBytes;
  }

  /** Seals and writes if the disk is idle and something is worth it. */
  flush(): void {
    this.#pump();
  }

  /** Time passes: marks that waited long enough are written, an idle log is proved. */
  advance(nowMs: number): void {
    const marks = this.#settled.count + this.#requeued.count;
    if (marks === 0) this.#marksSinceMs = -1;
    else if (this.#marksSinceMs < 0) this.#marksSinceMs = nowMs;
    this.#marksDue =
      marks >= MARKS_MAX || (marks > 0 && nowMs - this.#marksSinceMs >= this.#options.ackCommitMs);
    if (!this.#unproved || !this.idle) this.#proofSinceMs = -1;
    else if (this.#proofSinceMs < 0) this.#proofSinceMs = nowMs;
    this.#pump(this.#proofSinceMs >= 0 && nowMs - this.#proofSinceMs >= this.#options.proofMs);
  }

  /** When `advance` has something to write, if nothing comes in before that. */
  dueMs(nowMs: number): number {
    const { ackCommitMs, proofMs } = this.#options;
    const marksWait = this.#settled.count + this.#requeued.count > 0;
    const proofWaits = this.#unproved && this.idle;
    // The next tick notes that they wait, or do not wait any more.
    if (marksWait !== this.#marksSinceMs >= 0 || proofWaits !== this.#proofSinceMs >= 0)
      return nowMs;
    // Overdue: it waits for the batch in flight, whose end is heard of, or for room on the disk.
    const due = (atMs: number) => (atMs < nowMs ? nowMs + OVERDUE_MS : atMs);
    return Math.min(
      marksWait ? due(this.#marksSinceMs + ackCommitMs) : Number.POSITIVE_INFINITY,
      proofWaits ? due(this.#proofSinceMs + proofMs) : Number.POSITIVE_INFINITY,
    );
  }

  /** Writes everything that waits, marks and a last proof included; for an orderly stop. */
  drain(): void {
    this.#marksDue = this.#settled.count + this.#requeued.count > 0;
    this.#pump(this.#unproved && this.idle);
  }

  /** Whether everything that was accepted is on disk and proved. */
  get drained(): boolean {
    const marks = this.#settled.count + this.#requeued.count;
    return this.idle && marks === 0 && !(this.#unproved && this.#mayProve());
  }

  /** Place of a record in the ring, or -1 if it is not there any more. */
  hot(position: Position): number {
    if (position < this.#hotFrom) return -1;
    if (position >= this.#base) return this.#codec.coldBytes + position - this.#base;
    if (position < this.#previousBase) return -1;
    const offset = position - this.#previousBase;
    return offset >= this.#codec.writeAt() ? this.#codec.coldBytes + offset : -1;
  }

  #begin(): void {
    const proof = this.#options.strict || this.#journal.syncedPosition >= this.endPosition;
    this.#codec.openBatch(proof);
    this.#opened++;
    this.#open = this.#spare.pop() ?? new Batch();
    this.#open.reset(this.#base, this.#codec.writeAt());
  }

  #reason(proofDue: boolean): Reason | undefined {
    const open = this.#open;
    if (open.messages > 0) return 'publish';
    if (open.records > 0 || this.#trim > 0) return 'control';
    // Where no mark fits any more, they are what turns to the next segment.
    if (this.#marksDue && (this.#space.nextReady() || this.#markRoom() > 0)) return 'acks';
    return proofDue && this.#mayProve() ? 'proof' : undefined;
  }

  // On a full disk the rest of this segment and the next one are for what brings space back.
  #mayProve(): boolean {
    return this.#space.mayGrow() || this.#room() > 2 * TRIM_RESERVE_BYTES;
  }

  #pump(proofDue = false): void {
    if (this.#inFlight !== undefined || this.#failure !== undefined) return;
    if (this.#sealed.length === 0) {
      const reason = this.#reason(proofDue);
      if (reason === undefined) return;
      if (this.#room() < 2 * CLOSING_BYTES) {
        if (!this.#space.nextReady()) return; // comes again with segmentChanged
        this.#roll(!this.#space.mayGrow());
        if (this.#sealed.length === 0) return;
      } else {
        this.#seal(reason, 0);
        this.#begin();
      }
    }
    const batch = this.#sealed.shift()!;
    this.#inFlight = batch;
    batch.begunMs = this.#options.nowMs();
    this.reasons[batch.reason]++;
    this.#journal.append(batch.base + batch.offset, batch.bytes, (failure) =>
      this.#appended(failure),
    );
  }

  // Completes the open batch; the caller begins the next one.
  #seal(reason: Reason, flags: number): void {
    const open = this.#open;
    this.#packMarks(RECORD_SETTLED, this.#settled);
    this.#packMarks(RECORD_RETURNED, this.#requeued);
    open.settledMarks = this.#settled.written;
    if (this.#trim > 0) {
      this.#codec.packControl(RECORD_TRIM, 0, this.#trim, 0, 0);
      open.records++;
      open.trim = this.#trim;
      this.#trim = 0;
    }
    const { wallMs } = this.#options;
    this.#codec.packControl(RECORD_COMMIT, flags, this.#codec.sequence(), wallMs(), open.records);
    open.bytes = this.#codec.writeAt() - open.offset;
    open.reason = reason;
    open.last = (flags & FLAG_LAST) !== 0;
    this.#sealed.push(open);
  }

  // How many marks one more record may hold. Behind it come the trim and commit that close the
  // batch, and what closes a segment must fit even then. While there is no next segment, some room
  // is left for trims alone: only they can bring space back when acks have used up the reserve.
  #markRoom(): number {
    const kept = this.#space.nextReady() ? 0 : TRIM_RESERVE_BYTES;
    const room = this.#room() - CLOSING_BYTES - 3 * RECORD_HEADER_BYTES - kept;
    return Math.max(0, Math.floor(room / MARK_BYTES));
  }

  // As many marks as fit; the rest ride in the next batch.
  #packMarks(type: number, marks: WaitingMarks): void {
    const count = Math.min(marks.count, MARKS_MAX, this.#markRoom());
    if (count === 0) return;
    marks.unload(count, this.#codec.marks);
    this.#codec.packMarks(type, count);
    this.#open.records++;
    if (marks.count === 0) this.#marksDue = false;
  }

  // Closes the segment and turns to the next, which is ready; `forAcks`: messages may not use it.
  #roll(forAcks: boolean): void {
    this.#forAcks = forAcks;
    this.#seal(this.#open.messages > 0 ? 'publish' : 'roll', FLAG_LAST);
    this.#previousBase = this.#base;
    this.#base += this.#segmentBytes;
    this.#entries = 0;
    this.#segmentBytes = this.#space.segmentBytes;
    this.#codec.openSegment(this.#base, SEGMENT_DATA_AT, this.#segmentBytes, this.#epoch);
    this.#space.roll(this.#base);
    this.#begin();
  }

  #appended(failure: Failure): void {
    const batch = this.#inFlight;
    assert(batch !== undefined, 'an append ended that was never begun');
    this.#inFlight = undefined;
    batch.tookMs = this.#options.nowMs() - batch.begunMs;
    if (failure !== undefined) {
      this.#failure = failure;
      this.#options.events.failed(failure);
      return;
    }
    this.#durable = batch.last
      ? batch.base + this.#bytesOf(batch.base) + SEGMENT_DATA_AT
      : batch.base + batch.offset + batch.bytes;
    this.#unproved = this.#options.strict && batch.reason !== 'proof';
    this.#pump(); // the disk first: it works while the replies go out
    this.#release(batch);
    this.#options.events.durable(batch);
    if (batch.trim > 0) this.#journal.trim(batch.trim);
    this.#spare.push(batch);
    this.#options.events.roomAgain();
  }

  // Size of the segment based at `base`, which is the open one or the one before it.
  #bytesOf(base: Position): number {
    return base === this.#base ? this.#segmentBytes : this.#base - base;
  }

  // The only place that releases acks; its only caller is the completion of an append.
  #release(batch: Batch): void {
    const { replyTo, tokens } = batch;
    for (let i = 0; i < replyTo.length; i++) replyTo[i]!.done(tokens[i]!);
  }
}
