// A node's way through the stream: where it begins, what it hears in order, what waits to be applied
// to its own log, and the look at the stream itself once a second, which must never be behind what
// was seen of it. No single answer says so: servers that are out of date answer, too.

import type { Position } from '../ports/basics.ts';
import type { StreamMessage, StreamState } from '../ports/stream.ts';
import { type CountedBatch, Counting, type Place, type Verdict } from './counting.ts';
import type { ReadingOptions, Saved } from './reading-options.ts';
import { Repeated } from './repeated.ts';
import { SegmentPlaces } from './segment-places.ts';

/** Small batches wait for each other until so many bytes are there, or a tick comes: nobody waits
 * for a copy's disk, and whoever may need it shares it with the servers. */
const TOGETHER_BYTES = 256 * 1024;
const CHECK_MS = 1000;
const FOLLOW_MS = 250;
/** So many looks in a row may find more than comes: who brings it may be a server that is stuck. */
const STUCK_LOOKS = 3;
/** More than an owner has batches under way, to the stream and to its disk. */
const PLACES_MAX = 64;

export class Reading {
  readonly #options: ReadingOptions;
  readonly #saved: Saved;
  readonly segments: SegmentPlaces;
  readonly #queue: CountedBatch[] = [];
  #queued = 0;
  #applying = false;
  #counting: Counting | undefined;
  #following: { stop(): void; resume(): void } | undefined;
  #follows = false;
  #joined = false;
  #paused = false;
  #ended = false;
  #goal = 0;
  // What was seen at the last look: the stream can't be behind that.
  #mark = 0;
  // Where the stream ended at the last look, and how often in a row that was more than comes.
  #last = 0;
  #stuckLooks = 0;
  readonly #wentBack = new Repeated();
  readonly #gap = new Repeated();
  #checkMs = Number.NEGATIVE_INFINITY;
  #followMs = 0;
  #created: string | undefined;
  // Behind the last batches, the newest last.
  readonly #places: Place[] = [];

  constructor(options: ReadingOptions, saved: Saved) {
    this.#options = options;
    this.#saved = saved;
    this.segments = new SegmentPlaces(saved.segments);
  }

  /** Undefined until it is known where to begin. */
  get counting(): Counting | undefined {
    return this.#counting;
  }

  /** Whether all that was heard is applied. */
  get drained(): boolean {
    return !this.#applying && this.#queue.length === 0;
  }

  /** Whether nothing that was stored is known to be missing here. */
  get isCurrent(): boolean {
    const isBehind = this.#last > (this.#counting?.sequence ?? 0) || this.#gap.isSaid;
    return this.drained && this.#following !== undefined && !isBehind;
  }

  /** Behind the last batch that is applied, or that this node published and counted itself, and
   * that ends at `end` or before it; of the last few. */
  placeAt(end: Position): Place | undefined {
    return this.#places.findLast((place) => place.end <= end);
  }

  tick(nowMs: number): void {
    if (this.#ended) return;
    this.applyAll();
    if (nowMs >= this.#checkMs) this.#check(nowMs);
    const wanted = this.#follows && this.#following === undefined;
    if (wanted && nowMs >= this.#followMs) this.#follow();
  }

  /** From now on this node itself says what comes next; nothing is heard. */
  hold(): void {
    this.#follows = false;
    this.#following?.stop();
    this.#following = undefined;
  }

  end(): void {
    this.#ended = true;
    this.hold();
  }

  /** Takes what a message of this node itself has brought about. */
  note(verdict: Verdict): void {
    if (verdict.is !== 'counts' || verdict.batch === undefined) return;
    this.segments.add(verdict.batch, verdict.envelope.closes);
    this.#passed(verdict.batch.place);
  }

  #passed(place: Place): void {
    this.#places.push(place);
    if (this.#places.length > PLACES_MAX) this.#places.shift();
  }

  #check(nowMs: number): void {
    this.#checkMs = nowMs + CHECK_MS;
    this.#options.stream.state((failure, state) => {
      if (this.#ended || failure !== undefined || state === undefined) return;
      if (this.#counting === undefined) this.#begin(state);
      else this.#look(state);
    });
  }

  #begin(state: StreamState): void {
    const { beginning } = this.#options;
    const { end } = this.#saved;
    const saved = this.#saved.place;
    // What was saved may be ahead of a disk that lost its last writes; or so old that the stream
    // was purged past it, and the log may go further: then all that is there is read, and compared.
    const isPurged = saved !== undefined && state.first > saved.sequence + 1;
    const place = saved !== undefined && saved.end <= end && !isPurged ? saved : undefined;
    if (saved !== undefined && state.last < saved.sequence) {
      this.#strike(`it ends at ${state.last}, and ${saved.sequence} was seen here`);
      return;
    }
    if (isPurged && end === beginning) {
      this.#options.events.rebuild(`it begins at ${state.first}, and here is nothing`);
      return;
    }
    if (state.last === 0 && end > beginning) {
      this.#strike(`it is empty, and the log here ends at ${end}`);
      return;
    }
    this.#wentBack.unsaid();
    this.#created = state.created;
    const empty: Place = { sequence: 0, epoch: 0, end: beginning, serial: 0 };
    const from = place ?? (state.first === 1 ? empty : undefined);
    this.#counting = new Counting(this.#options, from, state.first - 1);
    if (from !== undefined) this.#passed(from);
    this.#goal = state.last;
    this.#mark = Math.max(this.#mark, saved?.sequence ?? 0);
    this.#follow();
    this.#maybeJoined();
  }

  #look(state: StreamState): void {
    const { events } = this.#options;
    const counting = this.#counting!;
    this.#last = state.last;
    if (state.created !== this.#created) {
      events.stop(74, 'it is another stream');
      return;
    }
    if (state.last < this.#mark) {
      this.#strike(`it ends at ${state.last}, and ${this.#mark} was seen`);
      return;
    }
    if (state.first > counting.sequence + 1) {
      // What it was purged past may be in the log, which is still being compared.
      const { end } = this.#saved;
      if (end > this.#options.beginning && (counting.end ?? 0) < end) {
        this.hold();
        this.#begin(state);
      } else events.rebuild(`it begins at ${state.first}, behind ${counting.sequence}`);
      return;
    }
    const isShort = !this.#joined && this.drained && counting.sequence >= state.last;
    if (isShort && (counting.end ?? 0) < this.#saved.end) {
      this.#strike(`it ends at log position ${counting.end}, here is ${this.#saved.end}`);
      return;
    }
    this.#wentBack.unsaid();
    const isStuck = counting.sequence === this.#mark && state.last > this.#mark && !this.#paused;
    this.#stuckLooks = isStuck ? this.#stuckLooks + 1 : 0;
    if (this.#stuckLooks >= STUCK_LOOKS && this.#following !== undefined) {
      this.#stuckLooks = 0;
      this.#unfollow(this.#options.clockMs()); // and is followed again, from there
    }
    this.#mark = counting.sequence;
    if (!this.#joined) this.#goal = Math.max(this.#goal, state.last);
    this.#maybeJoined();
  }

  #strike(why: string): void {
    const { events, clockMs } = this.#options;
    if (this.#wentBack.said(clockMs())) events.stop(74, `the stream went back: ${why}`);
  }

  #follow(): void {
    const { stream, clockMs } = this.#options;
    this.#follows = true;
    this.#paused = false;
    const following = stream.follow(
      this.#counting!.sequence + 1,
      (message) => this.#following !== following || this.#hear(message),
      () => {
        if (this.#following === following) this.#unfollow(clockMs() + FOLLOW_MS);
      },
    );
    this.#following = following;
  }

  #unfollow(againMs: number): void {
    this.#following?.stop();
    this.#following = undefined;
    this.#followMs = againMs;
  }

  #hear(message: StreamMessage): boolean {
    const { events, clockMs, queueBytes } = this.#options;
    const counting = this.#counting!;
    if (message.sequence <= counting.sequence) return true;
    const isFirst = counting.end === undefined;
    const verdict = counting.hear(message);
    if (isFirst && this.#isBehind(verdict)) return false;
    if (verdict.is === 'stop') events.stop(verdict.code, verdict.why);
    if (verdict.is === 'gap') {
      // Purged, which the look at the stream tells; or heard wrong, and then it is asked for again.
      if (this.#gap.said(clockMs()))
        events.stop(74, `message ${counting.sequence + 1} of the stream is missing`);
      else this.#unfollow(clockMs() + CHECK_MS);
    }
    if (verdict.is === 'gap' || verdict.is === 'stop') return false;
    this.#gap.unsaid();
    if (verdict.is === 'counts') this.#take(verdict, message);
    this.#maybeJoined();
    this.#paused = this.#queued >= queueBytes;
    return !this.#paused;
  }

  // Whether the stream, which was read from its first number, begins behind the end of this log.
  #isBehind(verdict: Verdict): boolean {
    const { end } = this.#saved;
    const at = verdict.is === 'counts' ? verdict.envelope.position : end;
    if (at <= end || end === this.#options.beginning) return false;
    this.#options.events.rebuild(`the stream begins at log position ${at}, behind ${end}`);
    return true;
  }

  #take(verdict: Verdict & { is: 'counts' }, message: StreamMessage): void {
    if (verdict.batch !== undefined) {
      this.segments.add(verdict.batch, verdict.envelope.closes);
      this.#queue.push(verdict.batch);
      this.#queued += verdict.batch.bytes.length;
      if (this.#queued >= TOGETHER_BYTES || !this.#joined) this.applyAll();
    }
    this.#options.events.heard(verdict, message);
  }

  /** Has what waits applied, however little that is. */
  applyAll(): void {
    if (this.#applying || this.#queue.length === 0 || this.#ended) return;
    this.#applying = true;
    const { length } = this.#queue;
    this.#options.events.apply(this.#queue, (failure, count) => {
      this.#applying = false;
      if (this.#ended) return;
      if (failure !== undefined) {
        this.#options.events.stop(74, failure.message);
        return;
      }
      this.#applied(count);
      const isMore = count < length || this.#queued >= TOGETHER_BYTES;
      if (isMore || !this.#joined) this.applyAll();
      this.#maybeJoined();
    });
  }

  #applied(count: number): void {
    for (const { bytes, place } of this.#queue.splice(0, count)) {
      this.#queued -= bytes.length;
      this.#passed(place);
    }
    if (this.#paused && this.#queued < this.#options.queueBytes) {
      this.#paused = false;
      this.#following?.resume();
    }
  }

  #maybeJoined(): void {
    const { sequence, end } = this.#counting!;
    if (this.#joined || !this.drained || sequence < this.#goal) return;
    if ((end ?? 0) < this.#saved.end || end === undefined) return;
    this.#joined = true;
    this.#options.events.joined();
  }
}
