// Folds the log back into buckets at start, segment by segment. Records count batch by batch, when
// their commit record is seen. What a checkpoint knows is taken over; entries of segments that have
// an index are released, so that memory holds those of the newest ones only.

import {
  RECORD_COMMIT,
  RECORD_DEFERRED,
  RECORD_HEADER_BYTES,
  RECORD_IDS,
  RECORD_MESSAGES,
  RECORD_PLACED,
  RECORD_RETURNED,
  RECORD_SETTLED,
} from '../../../assembly/layout.ts';
import { KIND_SETTINGS } from '../../../assembly/layout-placed.ts';
import type { Buckets } from '../buckets/buckets.ts';
import { ID_WORDS } from '../collections/id-page.ts';
import type { Position } from '../ports/basics.ts';
import { DueEntries, emptyDueEntry, type SegmentEntries } from '../records/due.ts';
import { dueOfDeferral, dueOfPlaced } from '../records/due-of.ts';
import { idRecordBytes, idsIn, type RecordedIds, untilOf } from '../records/ids.ts';
import { marksIn } from '../records/marks.ts';
import { type Deferral, deferralsIn, type Head, kindOf, readHead } from '../records/placed.ts';
import { COUNT, OFFSET, ROW_WORDS, sequenceOf, TYPE, timeOf } from '../records/rows.ts';
import { Apply } from './apply.ts';
import { type KnownMessages, restoreMessages } from './restoring.ts';
import type { Retention } from './retention.ts';
import { type Settings, settingText, unreadSettings } from './settings.ts';
import { Staged } from './staged.ts';
import type { KnownState, State } from './state.ts';

/** A segment whose entries are in memory: where these begin, and what it says of times. */
export interface InMemory {
  base: Position;
  from: number;
  due?: DueEntries;
}

export class StateBuilder {
  readonly #buckets: Buckets<unknown>;
  readonly #retention: Retention;
  readonly #settings: Settings;
  readonly #state: State<unknown>;
  readonly #apply: Apply;
  #staged = new Staged();
  readonly #whole: Staged[] = []; // batches before it that count together with it
  /** Segments whose entries are in memory. */
  readonly inMemory: InMemory[] = [];
  readonly #entry = emptyDueEntry();
  // Whether the ids of the segment that is read are known without it.
  #knowsIds = false;
  #base: Position = 0;
  // The last segment of a checkpoint: what is found up to its end is known, and maybe more.
  #toldTo: Position = -1;
  records = 0;

  constructor(state: State<unknown>) {
    this.#buckets = state.buckets;
    this.#retention = state.retention;
    this.#settings = state.settings;
    this.#state = state;
    this.#apply = new Apply(state);
  }

  /** Unsettled messages, once `finish` was called; settings are none that anybody published. */
  get messages(): number {
    return this.#retention.live - this.#settings.size;
  }

  /** A segment begins whose records follow; `sparse`: it was compacted; `knowsIds`: all of its ids
   * are on disk beside the log. */
  segment(base: Position, sparse = false, knowsIds = false): void {
    this.#apply.segment(base, sparse, base <= this.#toldTo);
    this.#knowsIds = knowsIds;
    this.#base = base;
    this.inMemory.push({ base, from: this.#buckets.entries.end });
  }

  /** Takes over what a checkpoint says of messages. */
  restore(checkpoint: KnownMessages): void {
    restoreMessages(this.#state, checkpoint);
    this.#toldTo = checkpoint.segments.at(-1)?.base ?? -1;
  }

  /** A segment that a checkpoint and an index on disk know; its records do not follow. */
  known(segment: KnownState): void {
    const { base, idsUntilMs = 0, idBytes } = segment;
    this.#apply.known(segment);
    this.#knowsIds = false;
    this.#base = base;
    if (idBytes !== undefined && idsUntilMs > 0) this.#retention.keepIds(base, idsUntilMs, idBytes);
  }

  /**
   * The last segment is complete, and another one follows: the entries for its index. Undefined if
   * those of an older one could not be written: then all stay in memory.
   */
  complete(): SegmentEntries | undefined {
    const { entries } = this.#buckets;
    if (this.inMemory.length > 1) return undefined;
    const { from, due } = this.inMemory[0]!;
    return { ...entries.source(from, entries.end), due };
  }

  /** What `complete` gave is in an index now. */
  indexed(): void {
    this.#buckets.indexed.release(this.#buckets.entries.end, Number.POSITIVE_INFINITY);
    this.inMemory.pop();
  }

  /**
   * Takes one verified record: row `at` of `rows`, found in a chunk whose first byte stands at log
   * position `chunk` and in `bytes` at offset 0. Counts when `commit` follows.
   */
  record(rows: Uint32Array, at: number, chunk: Position, bytes: Uint8Array): void {
    const type = rows[at + TYPE]!;
    this.records++;
    const { marks } = this.#staged;
    const body = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
    const count = rows[at + COUNT]!;
    if (type === RECORD_MESSAGES || type === RECORD_PLACED) {
      this.#staged.add(rows, at, chunk);
      if (type === RECORD_PLACED) this.#stageHead(rows, at, bytes, body);
    } else if (type === RECORD_SETTLED) {
      for (const mark of marksIn(bytes, body, count)) marks.push(() => this.#apply.settled(mark));
    } else if (type === RECORD_RETURNED) {
      for (const mark of marksIn(bytes, body, count)) marks.push(() => this.#apply.returned(mark));
    } else if (type === RECORD_DEFERRED) {
      for (const deferral of deferralsIn(bytes, body, count)) this.#deferred(deferral);
    } else if (type === RECORD_IDS) {
      const ids = idsIn(rows, at, bytes, body);
      marks.push(() => this.#published(ids, chunk));
    } else if (type === RECORD_COMMIT) {
      // Compaction leaves it to a later batch to say when messages were stored.
      const [end, ms] = [sequenceOf(rows, at), timeOf(rows, at)];
      if (ms > 0) marks.push(() => this.#state.times.note(end, ms));
    }
  }

  // The segment of `position` holds ids of messages that were published.
  #published(ids: RecordedIds, position: Position): void {
    const { words, count, timeMs, windowS } = ids;
    if (!this.#knowsIds) {
      for (let i = 0; i < count; i++) this.#state.ids.add(words, i * ID_WORDS, timeMs, windowS);
      this.#state.ids.read(this.#base, position);
    }
    this.#retention.keepIds(position, untilOf(ids), idRecordBytes(count));
  }

  #deferred(deferral: Deferral): void {
    this.#staged.marks.push(() => {
      this.#apply.deferred(deferral);
      if (dueOfDeferral(deferral, this.#entry)) this.#due.add(this.#entry);
    });
  }

  #stageHead(rows: Uint32Array, at: number, bytes: Uint8Array, body: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const head = readHead(view, body);
    if (kindOf(rows, at) === KIND_SETTINGS) head.text = settingText(view, body);
    this.#staged.heads.set(this.#staged.rows.count - 1, head);
    const from = this.#apply.from(rows, at, head);
    if (from !== undefined) this.#staged.marks.push(() => this.#apply.settled(from));
  }

  /** The batch is complete, and counts with the one that is staged behind it from now on. */
  whole(): void {
    this.#whole.push(this.#staged);
    this.#staged = new Staged();
  }

  /** The batch is complete: what was staged counts. */
  commit(): void {
    for (const before of this.#whole.splice(0)) this.#count(before);
    this.#count(this.#staged);
    this.drop();
  }

  #count({ rows: { words, count }, positions, heads, marks }: Staged): void {
    for (let i = 0; i < count; i++) {
      const at = i * ROW_WORDS;
      const position = positions[i]! + words[at + OFFSET]!;
      const head = heads.get(i);
      if (head !== undefined) this.#placed(words, at, position, head);
      else this.#apply.messages(words, at, position);
    }
    for (const mark of marks) mark();
  }

  #placed(words: Uint32Array, at: number, position: Position, head: Head): void {
    this.#apply.placed(words, at, position, head);
    if (dueOfPlaced(words, at, position, head, this.#entry)) this.#due.add(this.#entry);
  }

  // What the last segment says of times.
  get #due(): DueEntries {
    const last = this.inMemory.at(-1)!;
    last.due ??= new DueEntries();
    return last.due;
  }

  /** The batch turned out to be incomplete: what was staged of it never happened. */
  drop(): void {
    this.#staged.clear();
  }

  /** Of messages that were published. */
  get ids(): State<unknown>['ids'] {
    return this.#state.ids;
  }

  /** Segments whose records must be counted again, because marks spoke of what is not in them. */
  get doubtful(): Iterable<Position> {
    return this.#apply.compacted.doubtful;
  }

  /** Messages of a record that are unsettled. */
  unsettledIn(sequence: number, messages: number): number {
    return messages - this.#buckets.outcomes.settled.within(sequence, messages);
  }

  /** Unsettled messages of a segment whose entries are in memory; undefined if they are not. */
  unsettledInMemory(base: Position): number | undefined {
    const at = this.inMemory.findIndex((each) => each.base === base);
    if (at < 0) return undefined;
    const { entries } = this.#buckets;
    const to = this.inMemory[at + 1]?.from ?? entries.end;
    let live = 0;
    for (let entry = this.inMemory[at]!.from; entry < to; entry++)
      live += this.unsettledIn(entries.sequence(entry), entries.count(entry));
    return live;
  }

  /** A segment holds so many unsettled messages. */
  recount(base: Position, live: number): void {
    this.#retention.recount(base, live);
    this.#apply.compacted.counted(base, false);
  }

  /**
   * A compacted segment holds these records and no other message: what is missing between them was
   * settled, whether a mark about it is still there or not. From then on marks need no other count.
   */
  counted(base: Position, records: readonly { sequence: number; messages: number }[]): void {
    const { settled } = this.#buckets.outcomes;
    const ordered = [...records].sort((a, b) => a.sequence - b.sequence);
    let [live, from] = [0, ordered[0]?.sequence ?? 0];
    for (const { sequence, messages } of ordered) {
      settled.add(from, sequence - from);
      live += this.unsettledIn(sequence, messages);
      from = sequence + messages;
    }
    this.#retention.recount(base, live);
    this.#apply.compacted.counted(base, true);
  }

  /** Nothing before `position` is needed any more: segments are given back. */
  trimmed(position: Position): void {
    this.#apply.trimmed(position);
    for (const each of this.inMemory) if (!this.#retention.has(each.base)) delete each.due;
  }

  /** The segments from `base` to before `end` are one now, made by what was applied here. */
  merged(base: Position, end: Position): void {
    this.#apply.merged(base, end);
  }

  get nextSequence(): number {
    return this.#apply.nextSequence;
  }

  /** Settings in force of which no record was read, by the base of their segment. */
  get unreadSettings(): ReadonlyMap<Position, ReadonlySet<number>> {
    return unreadSettings(this.#state, this.#apply.nextSequence);
  }

  /** The record of such a setting was read: its body begins at offset `body` of a view. */
  setting(sequence: number, view: DataView, body: number): void {
    this.#settings.set(sequence, settingText(view, body));
  }

  /** Every record was seen, and every segment in doubt was counted again. */
  finished(): void {
    const { settled } = this.#buckets.outcomes;
    for (const sequence of this.#settings.sequences())
      if (settled.has(sequence)) this.#settings.remove(sequence);
    this.#apply.forgetGone();
    const oldest = this.#retention.oldestLive();
    const forgetful = oldest !== undefined && oldest.base < (this.inMemory[0]?.base ?? 0);
    // Marks were read before it was known which messages are the oldest that are there; of those
    // before them it may be on disk that they wait, and not any more that they are settled. The
    // oldest segments may hold none.
    const { waiting } = this.#buckets.outcomes;
    const holding = this.#retention.segments.find(({ messages }) => messages > 0);
    const from = holding?.first ?? Number.MAX_SAFE_INTEGER;
    for (const [first, count] of [...waiting.runs(0, from)]) waiting.remove(first, count);
    this.#buckets.recovered(this.#apply.nextSequence, this.#retention.live, forgetful);
  }
}
