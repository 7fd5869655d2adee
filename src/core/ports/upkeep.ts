// Upkeep: what keeps the log small and its next start short. It may fail or be left out; no message
// depends on it.

import type { EntrySource, Failure, NumberPage, Position } from './basics.ts';

export interface Upkeep {
  /** Makes one segment of several, one request at a time. `done` comes later; `smaller` false: it
   * would not have been, nothing changed. After a failure the log is what it was. */
  compact(request: CompactionRequest, done: (failure: Failure, smaller: boolean) => void): void;
  /**
   * The segments before `end`, the base of one, are indexed: the log may save what they come to.
   * Calls `state` at once if it does. With `now` it does in any case. `done` comes later, whether
   * anything was saved or not; a failure is only noted, as the next start does without.
   */
  checkpoint(end: Position, state: () => CheckpointSource, now?: boolean, done?: () => void): void;
}

/** Neighbouring segments that are to become one smaller one, without what is settled. */
export interface CompactionRequest {
  /** Oldest first; none of them is open or read from the ring. */
  bases: readonly Position[];
  isSettled: (sequence: number) => boolean;
  attemptsOf: (sequence: number) => number;
  /** When a message was stored, or somewhat later; ms since 1970. */
  storedMs: (sequence: number) => number;
  /** Whether it is urgent; asked again and again. Otherwise it takes a small share of the time. */
  hurry: () => boolean;
  /** Base of the oldest segment that is needed. */
  start: Position;
  /** Sequence of the oldest message that marks may still speak of. */
  oldestNeeded: number;
  /** Called within the turn in which the records from `base` to before `end` changed places. */
  moved: (base: Position, end: Position, entries: EntrySource) => void;
}

/** What the complete segments come to, oldest first, for a start that need not read them. */
export interface CheckpointSource {
  /** Position before which nothing is needed. */
  start: Position;
  segments: SegmentSource[];
  /** Sequence behind the last message of these segments. */
  end: number;
  /** What became of messages before `end`; pages of later ones are left out. */
  settled: { pages(): Iterable<[number, bits: Uint32Array | undefined]> };
  attempts: { pages(): Iterable<[number, page: number | Uint16Array]> };
  numbers: NumbersSource;
  /** When messages before `end` were stored (segments/storing-times.ts). */
  stored: Iterable<readonly [end: number, least: number, most: number]>;
}

export interface SegmentSource {
  base: Position;
  /** Sequence of its first message. */
  first: number;
  messages: number;
  live: number;
  /** Until when ids in it are to be known, in ms since 1970; 0: there are none. */
  idsUntilMs: number;
}

/** What is known of messages that were moved or deferred (layout-placed.ts). */
export interface NumbersSource {
  waiting: { pages(): Iterable<[number, bits: Uint32Array | undefined]> };
  placed: { pages(): Iterable<[number, bits: Uint32Array | undefined]> };
  dead: { pages(): Iterable<[number, bits: Uint32Array | undefined]> };
  settings: { pages(): Iterable<[number, bits: Uint32Array | undefined]> };
  turns: { pages(): Iterable<[number, page: NumberPage]> };
  levels: { pages(): Iterable<[number, page: NumberPage]> };
}
