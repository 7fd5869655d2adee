// When to make one small segment of neighbouring ones: so that a few messages that nobody takes do
// not keep the disk space of all that stood around them. Decides which and when; the log does it.

import type { Buckets } from '../buckets/buckets.ts';
import type { Slice } from '../buckets/slice.ts';
import type { EntrySource, Failure, Position } from '../ports/basics.ts';
import type { SegmentSpace } from '../ports/segments.ts';
import type { Upkeep } from '../ports/upkeep.ts';
import { neededBytesOf, type Retention, type SegmentState } from './retention.ts';
import type { StoringTimes } from './storing-times.ts';

export interface CompactionOptions {
  buckets: Buckets<unknown>;
  retention: Retention;
  times: Pick<StoringTimes, 'of'>;
  space: Pick<SegmentSpace, 'segmentBytes' | 'fileBytes'>;
  upkeep: Pick<Upkeep, 'compact'>;
  /** From where on entries are in memory: those segments are left alone, and the one before. */
  memoryFrom: () => Position;
  /** Records that one segment should hold, about: memory has an entry of each meanwhile. */
  entriesMax: number;
  /** Records of the segments from `base` to before `end` stand elsewhere now. */
  moved: (base: Position, end: Position, where: (part: Slice) => void) => void;
  ended: (failure: Failure, smaller: boolean) => void;
  /** Whether somebody waits for what is under way. */
  isAwaited?: () => boolean;
}

// A segment is left alone while its messages are being consumed: soon it may hold none at all.
const QUIET_MS = 1000;
// After a failure nothing is tried for so long; then half as many segments, and one that fails
// alone is left out for a longer time, so that what is wrong with it does not keep the others.
const PAUSE_MS = 5000;
const SET_ASIDE_MS = 60_000;
// Segments that become one at a time.
const SEGMENTS_MAX = 16;
// Their bytes, as so many segments of full size: what is read is given back at the end only.
const INPUT_SEGMENTS_MAX = 4;
// While this much more is on disk than twice what is live, compaction takes what time it needs.
const EXCESS_BYTES = 256 * 1024 * 1024;
// So many small neighbours become one although nothing in them is settled.
const SMALL_MIN = 8;
// Between two looks at a log that changes all the time, for each segment that is looked at.
const LOOK_MS = 0.1;

export class Compaction {
  readonly #options: CompactionOptions;
  #running = false;
  #notBeforeMs = 0;
  /** Compactions that made something smaller, and bytes that they wrote. */
  count = 0;
  movedBytes = 0;
  #segmentsMax = SEGMENTS_MAX;
  // Segments that were no smaller for it, and bytes of them that were needed then.
  readonly #tried = new Map<Position, number>();
  // Segments that could not be compacted, and until when they are not tried.
  readonly #aside = new Map<Position, number>();
  // What the last look saw, when it was, and from when on another one may see more by that alone.
  #seen = { changes: -1, from: -1, urgent: false };
  #lookedMs = Number.NEGATIVE_INFINITY;
  #nextMs = 0;

  constructor(options: CompactionOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#running;
  }

  /** When `advance` may have something to begin, if nothing changes before that. */
  get dueMs(): number {
    if (this.#running) return Number.POSITIVE_INFINITY;
    const againMs = this.#isChanged ? this.#lookedMs + this.#pauseMs : Number.POSITIVE_INFINITY;
    return Math.max(this.#notBeforeMs, Math.min(this.#nextMs, againMs));
  }

  get #isChanged(): boolean {
    const { retention, memoryFrom } = this.#options;
    return retention.changes !== this.#seen.changes || memoryFrom() !== this.#seen.from;
  }

  // A look walks over all segments: it is to take a small share of the time.
  get #pauseMs(): number {
    return this.#options.retention.segments.length * LOOK_MS;
  }

  /** Time passes: begins a compaction if one is worth it; `urgent`: the disk is full. */
  advance(nowMs: number, urgent: boolean): void {
    if (this.#running || nowMs < this.#notBeforeMs) return;
    const range = this.#isNews(nowMs, urgent) ? this.#choose(nowMs, urgent) : undefined;
    if (range === undefined) return;
    const { space, upkeep, buckets, retention, times, moved, ended } = this.#options;
    const { settled, attempts } = buckets.outcomes;
    this.#running = true;
    upkeep.compact(
      {
        bases: range.map(({ base }) => base),
        isSettled: (sequence) => settled.has(sequence),
        attemptsOf: (sequence) => attempts.get(sequence),
        storedMs: (sequence) => times.of(sequence),
        start: retention.segments[0]!.base,
        oldestNeeded: retention.oldestSequence,
        hurry: () => this.#options.isAwaited?.() === true || this.excessBytes > EXCESS_BYTES,
        moved: (base, end, entries) => {
          this.count++;
          this.movedBytes += space.fileBytes(base);
          retention.merged(base, end);
          moved(base, end, (part) => relocate(part, entries));
        },
      },
      (failure, smaller) => {
        this.#running = false;
        this.#nextMs = 0;
        ended(failure, smaller); // sets the time, which may have stood still meanwhile
        if (failure !== undefined) this.#failed(range, retention.nowMs);
        else this.#segmentsMax = SEGMENTS_MAX;
        if (failure === undefined && !smaller)
          for (const each of range) this.#tried.set(each.base, this.#neededBytes(each));
      },
    );
  }

  #failed(range: SegmentState[], nowMs: number): void {
    this.#notBeforeMs = nowMs + PAUSE_MS;
    this.#segmentsMax = Math.max(1, Math.floor(range.length / 2));
    if (range.length > 1) return;
    this.#aside.set(range[0]!.base, nowMs + SET_ASIDE_MS);
    this.#segmentsMax = SEGMENTS_MAX;
  }

  /** Bytes of complete segments beyond twice what their live messages stand for. */
  get excessBytes(): number {
    const { retention, space, memoryFrom } = this.#options;
    const bound = memoryFrom();
    let excess = 0;
    for (const segment of retention.segments)
      if (segment.base < bound)
        excess += space.fileBytes(segment.base) - 2 * this.#neededBytes(segment);
    return excess;
  }

  // Bytes of a segment's file that its live messages stand for, about, and its ids.
  #neededBytes(segment: SegmentState): number {
    const { space, retention } = this.#options;
    return neededBytesOf(segment, space.fileBytes(segment.base), retention.wallMs);
  }

  // Whether a look may see something that the last one did not.
  #isNews(nowMs: number, urgent: boolean): boolean {
    const { retention, memoryFrom } = this.#options;
    const due = nowMs >= this.#nextMs || urgent !== this.#seen.urgent;
    if (!due && !(this.#isChanged && nowMs - this.#lookedMs >= this.#pauseMs)) return false;
    this.#seen = { changes: retention.changes, from: memoryFrom(), urgent };
    this.#lookedMs = nowMs;
    this.#nextMs = Number.POSITIVE_INFINITY;
    return true;
  }

  // The oldest neighbours worth it.
  #choose(nowMs: number, urgent: boolean): SegmentState[] | undefined {
    const { retention, memoryFrom, space, entriesMax } = this.#options;
    const bound = memoryFrom();
    const { segments } = retention;
    // The one before those in memory may still be read from the ring.
    const last = retention.indexFrom(bound) - 1;
    if (last < 0 || last === segments.length - 1) return undefined;
    for (const base of this.#tried.keys()) if (base < segments[0]!.base) this.#tried.delete(base);
    for (const [base, untilMs] of this.#aside) if (nowMs >= untilMs) this.#aside.delete(base);
    const eligible = ({ base, changedMs }: SegmentState) =>
      (urgent || nowMs - changedMs >= QUIET_MS) && !this.#aside.has(base);
    const dead = (segment: SegmentState) =>
      this.#tried.get(segment.base) !== this.#neededBytes(segment) &&
      this.#neededBytes(segment) * 2 <= space.fileBytes(segment.base);
    const small = ({ base }: SegmentState) =>
      space.fileBytes(base) * SMALL_MIN <= space.segmentBytes;
    // What is before the oldest that is needed is given back whole.
    const oldest = retention.oldestNeeded();
    if (oldest === undefined) return undefined;
    for (let from = retention.indexFrom(oldest.base); from < last; from++) {
      if (!eligible(segments[from]!)) {
        if (dead(segments[from]!) || small(segments[from]!)) this.#wait(segments[from]!);
        continue;
      }
      if (!dead(segments[from]!) && !small(segments[from]!)) continue;
      let to = from;
      let worth = false;
      let output = 0;
      let input = 0;
      let entries = 0;
      while (to < last && to - from < this.#segmentsMax) {
        const segment = segments[to]!;
        if (!(dead(segment) || small(segment))) break;
        if (!eligible(segment)) {
          this.#wait(segment);
          break;
        }
        output += this.#neededBytes(segment);
        if (output > space.segmentBytes) break;
        input += space.fileBytes(segment.base);
        entries += Math.min(segment.live, segment.records || segment.live);
        if (to > from && entries > entriesMax) break;
        if (to > from && input > INPUT_SEGMENTS_MAX * space.segmentBytes) break;
        worth ||= dead(segment) && !small(segment);
        to++;
      }
      const range = segments.slice(from, to);
      if (worth || range.length >= SMALL_MIN) return range;
      from = Math.max(from, to - 1);
    }
    return undefined;
  }

  // It is not its time yet: then is another look.
  #wait({ base, changedMs }: SegmentState): void {
    const readyMs = this.#aside.get(base) ?? changedMs + QUIET_MS;
    this.#nextMs = Math.min(this.#nextMs, Math.max(readyMs, this.#lookedMs + this.#pauseMs));
  }
}

// Finds a part's messages, which are unsettled, among the records that were kept.
function relocate(part: Slice, entries: EntrySource): void {
  let low = 0;
  let high = entries.count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (entries.sequence(middle) <= part.sequence) low = middle;
    else high = middle - 1;
  }
  part.position = entries.position(low);
  part.first = part.sequence - entries.sequence(low);
  part.messages = entries.messages(low);
  part.bodyBytes = entries.bodyBytes(low);
}
