// What each segment holds: how many messages, how many of them are unsettled, which sequences, and
// until when ids in it are to be known. The log is given back from its oldest end; marks only ever
// point backwards, therefore nothing that remains can need them.

import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import { assert } from '../assert.ts';
import type { Position } from '../ports/basics.ts';

export interface SegmentState {
  base: Position;
  /** Sequence of its first message, or of the first one behind it. */
  first: number;
  /** Messages in it. */
  messages: number;
  /** Messages in it that are not settled. */
  live: number;
  /** Records of messages in it, and their bytes; 0 where they were not read since the start. */
  records: number;
  bytes: number;
  /** When `live` last changed, in the broker's monotonic ms. */
  changedMs: number;
  /** Until when ids in it are to be known, in ms since 1970, and bytes of their records, or 0. */
  idsUntilMs: number;
  idBytes: number;
}

/**
 * Bytes of a segment that are still needed, about: those of its records and its head, by the share
 * of messages that are not settled; of its `fileBytes` where nobody knows what the records take.
 */
export function liveBytesOf({ live, messages, bytes }: SegmentState, fileBytes: number): number {
  const whole = bytes > 0 ? SEGMENT_DATA_AT + bytes : fileBytes;
  return messages === 0 ? 0 : Math.round((whole * live) / messages);
}

/** The same with the ids that are to be known yet, by the wall clock at `wallMs`. */
export function neededBytesOf(segment: SegmentState, fileBytes: number, wallMs: number): number {
  const live = liveBytesOf(segment, fileBytes);
  return segment.idsUntilMs > wallMs ? Math.min(fileBytes, live + segment.idBytes) : live;
}

export class Retention {
  readonly #segments: SegmentState[] = [];
  #hint = 0;
  #live = 0;
  /** Monotonic ms, as of the last input. */
  nowMs = 0;
  /** Ms since 1970, as of the last look at the clock: what is over by that is not needed. */
  wallMs = 0;
  /** Grows with whatever changes here. */
  changes = 0;

  /** Segments, oldest first. */
  get segments(): readonly SegmentState[] {
    return this.#segments;
  }

  /** Unsettled messages in all segments. */
  get live(): number {
    return this.#live;
  }

  /** Sequence before which no message is in the log; 0: it has no segments. */
  get oldestSequence(): number {
    return this.#segments[0]?.first ?? 0;
  }

  /** The oldest segment with unsettled messages, of those based at `from` or behind. */
  oldestLive(from: Position = 0): SegmentState | undefined {
    for (let at = this.indexFrom(from); at < this.#segments.length; at++)
      if (this.#segments[at]!.live > 0) return this.#segments[at];
    return undefined;
  }

  /** A segment begins at `base`; the next message has sequence `first`. */
  open(base: Position, first: number, messages = 0, live = 0): void {
    this.changes++;
    const newest = this.#segments.at(-1);
    assert(base > (newest?.base ?? -1), 'segments were opened out of order');
    const changedMs = this.nowMs;
    const none = { records: 0, bytes: 0, idsUntilMs: 0, idBytes: 0 };
    this.#segments.push({ base, first, messages, live, changedMs, ...none });
    this.#live += live;
  }

  /** A record of messages from `sequence` on, `bytes` long, at `position`, became durable. */
  add(position: Position, sequence: number, messages: number, bytes = 0): void {
    this.changes++;
    const segment = this.#find(position);
    if (segment.messages === 0) segment.first = Math.max(segment.first, sequence);
    segment.messages += messages;
    segment.live += messages;
    segment.records++;
    segment.bytes += bytes;
    segment.changedMs = this.nowMs;
    this.#live += messages;
  }

  /** Ids in the segment of `position` are to be known until `untilMs`; their records have `bytes`. */
  keepIds(position: Position, untilMs: number, bytes: number): void {
    const segment = this.#find(position);
    segment.idsUntilMs = Math.max(segment.idsUntilMs, untilMs);
    segment.idBytes += bytes;
  }

  /** Bytes of the records of ids in the segment at `base`. */
  idBytesOf(base: Position): number {
    const segment = this.#segments[this.#indexAt(base)];
    return segment?.base === base ? segment.idBytes : 0;
  }

  /** The wall clock shows `wallMs`. Gives when the next ids are over, if any are to be known. */
  look(wallMs: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { idsUntilMs } of this.#segments) {
      if (idsUntilMs > this.wallMs !== idsUntilMs > wallMs) this.changes++;
      if (idsUntilMs > wallMs) next = Math.min(next, idsUntilMs);
    }
    this.wallMs = wallMs;
    return next;
  }

  #isNeeded({ live, idsUntilMs }: SegmentState): boolean {
    return live > 0 || idsUntilMs > this.wallMs;
  }

  /** The oldest segment of which anything is needed. */
  oldestNeeded(): SegmentState | undefined {
    return this.#segments.find((segment) => this.#isNeeded(segment));
  }

  /** Messages of a record at `position` were settled. */
  settle(position: Position, messages: number): void {
    this.changes++;
    const segment = this.#find(position);
    segment.live -= messages;
    segment.changedMs = this.nowMs;
    this.#live -= messages;
    assert(segment.live >= 0, 'a segment has fewer than no live messages');
  }

  /** Messages from sequence `first` on were settled that were not before; for recovery. */
  settleSequences(first: number, messages: number): void {
    this.changes++;
    const segment = this.#segments[this.indexOf(first)];
    if (segment === undefined) return;
    const live = Math.max(0, segment.live - messages);
    if (live < segment.live) segment.changedMs = this.nowMs;
    this.#live -= segment.live - live;
    segment.live = live;
  }

  /** `live` messages of the segment at `base` are unsettled; for recovery. */
  recount(base: Position, live: number): void {
    this.changes++;
    const segment = this.#find(base);
    this.#live += live - segment.live;
    segment.live = live;
  }

  /** Forgets the segments before `position`. */
  trimmed(position: Position): void {
    this.changes++;
    while (this.#segments.length > 1 && this.#segments[1]!.base <= position) {
      this.#live -= this.#segments.shift()!.live;
    }
    this.#hint = 0;
  }

  /**
   * The segments from `base` to before `end` are one now. Those that were trimmed while that one
   * took its name are a part of it again; nothing is left of it if all of them were.
   */
  merged(base: Position, end: Position): void {
    this.changes++;
    const from = this.#segments.findIndex((segment) => segment.base >= base);
    let to = from + 1;
    const merged = this.#segments[from];
    if (merged === undefined || merged.base >= end) return;
    merged.base = base;
    while (to < this.#segments.length && this.#segments[to]!.base < end) {
      const each = this.#segments[to]!;
      merged.live += each.live;
      merged.idsUntilMs = Math.max(merged.idsUntilMs, each.idsUntilMs);
      merged.idBytes += each.idBytes;
      to++;
    }
    merged.messages = merged.live;
    merged.records = 0;
    merged.bytes = 0; // its file holds little else
    merged.changedMs = this.nowMs;
    this.#segments.splice(from + 1, to - from - 1);
    this.#hint = 0;
  }

  /** Base of the oldest segment that is still needed; at most the one that holds `durable`. */
  needed(durable: Position): Position {
    const segments = this.#segments;
    let at = 0;
    while (
      at + 1 < segments.length &&
      !this.#isNeeded(segments[at]!) &&
      segments[at + 1]!.base <= durable
    )
      at++;
    return segments[at]?.base ?? 0;
  }

  /** Whether the segment at `base` is there and holds unsettled messages. */
  isLive(base: Position): boolean {
    const segment = this.#segments[this.#indexAt(base)];
    return segment?.base === base && segment.live > 0;
  }

  /** Whether there is a segment based at `base`. */
  has(base: Position): boolean {
    return this.#segments[this.#indexAt(base)]?.base === base;
  }

  /** Index of the first segment based at `base` or behind; their number if there is none. */
  indexFrom(base: Position): number {
    const at = this.#indexAt(base);
    const segment = this.#segments[at];
    return segment === undefined || segment.base >= base ? at : at + 1;
  }

  /** Index of the segment with the message of that sequence, or of the oldest one behind it. */
  indexOf(sequence: number): number {
    const segments = this.#segments;
    let low = 0;
    let high = segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (segments[middle]!.first <= sequence) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #find(position: Position): SegmentState {
    const segments = this.#segments;
    const hinted = segments[this.#hint];
    const behind = segments[this.#hint + 1];
    if (hinted !== undefined && hinted.base <= position)
      if (behind === undefined || position < behind.base) return hinted;
    const at = this.#indexAt(position);
    const found = segments[at];
    assert(found !== undefined && found.base <= position, `position ${position} is not in the log`);
    this.#hint = at;
    return found;
  }

  // Index of the segment that a position is in, if any.
  #indexAt(position: Position): number {
    const segments = this.#segments;
    let low = 0;
    let high = segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (segments[middle]!.base <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
