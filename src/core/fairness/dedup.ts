// Messages that are published again, by the rule of their bucket: `dedup`. Who publishes and gets no
// answer publishes again; within the window the second one is answered as stored, and not stored.
// A message is told by the id that its bucket and its bytes make (assembly/identify.ts).
//
//   run ──► known ────────────► skip: their answer waits for all that is on its way
//       └─► new ──► quotas … ─► taken; their ids stand in the same batch, behind them
//       └─► new, and no memory for their ids: refused
//       └─► not sure before the disk was read: the producer waits
//
// What is known is looked up first, so that no bound refuses what is stored. Ids are known from
// when they are packed: if that is lost, so is everybody who might be told of it.

import { RESULT_ID, RUN_MESSAGES_MAX } from '../../../assembly/layout.ts';
import type { BucketRules } from '../buckets/bucket-rules.ts';
import { ID_WORDS } from '../collections/id-page.ts';
import { NO_ROOM, type PublishedIds, ROOM } from '../collections/published-ids.ts';
import type { Commit } from '../commit/commit.ts';
import type { Counters } from '../metrics/counters.ts';
import type { MessageIds } from '../ports/codec.ts';
import { idRecordBytes } from '../records/ids.ts';
import type { IntakePolicy, WatchedRun } from './intake-policy.ts';
import type { WatchedBuckets } from './watched-buckets.ts';

export interface DedupParts {
  readonly codec: Pick<MessageIds, 'identify' | 'result'>;
  readonly commit: Pick<Commit, 'ids'>;
  readonly rules: Pick<BucketRules, 'for'>;
  readonly ids: PublishedIds;
  readonly counters: Counters;
  /** Ms since 1970, since windows survive the process. */
  readonly wallMs: () => number;
  /** New messages are refused, because there is no room for their ids. */
  readonly full: () => void;
  /** Messages are refused, because nobody can tell whether they are new. */
  readonly unreadable: () => void;
}

export class Dedup implements IntakePolicy {
  readonly #inner: IntakePolicy;
  readonly #parts: DedupParts;
  // Ids of the first messages of the run that was asked about last, which are new.
  readonly #ids = new Uint32Array(RUN_MESSAGES_MAX * ID_WORDS);
  readonly #run = new RunIds(this.#ids);
  #count = 0;
  #timeMs = 0;
  #windowS = 0;

  /** `inner` is asked about messages that are new. */
  constructor(inner: IntakePolicy, parts: DedupParts) {
    this.#inner = inner;
    this.#parts = parts;
  }

  get watched(): WatchedBuckets {
    return this.#inner.watched;
  }

  admit(run: WatchedRun): void {
    this.#count = 0;
    const { dedupMs } = this.#parts.rules.for(run.low, run.high);
    if (dedupMs > 0) this.#look(run, dedupMs);
    if (run.waits || run.skip > 0 || run.take === 0) return;
    this.#inner.admit(run);
    if (run.take > 0 && this.#count > 0)
      run.behindBytes += idRecordBytes(Math.min(run.take, this.#count));
  }

  // Narrows the run to its first messages of which the same is to become.
  #look(run: WatchedRun, dedupMs: number): void {
    this.#timeMs = this.#parts.wallMs();
    this.#windowS = Math.ceil(dedupMs / 1000);
    this.#run.clear();
    let place = run.at;
    let first: Fate | typeof NONE = NONE;
    let [bytes, count] = [0, 0];
    while (count < run.messages) {
      const next = run.behind(place, run.payloadAt(place));
      this.#identify(place, next, run.wire, count);
      const fate = this.#fateOf(count, dedupMs);
      if (fate !== first && count > 0) break;
      // One that is in the run before is asked about again when that is packed.
      if (fate === TAKEN && !this.#run.add(count)) break;
      first = fate;
      bytes += run.payloadAt(place);
      count++;
      place = next;
    }
    run.skip = first === SKIPPED ? count : 0;
    run.take = first === TAKEN ? count : 0;
    run.refuse = first === REFUSED ? count : 0;
    run.waits = first === WAITS || first === SOON;
    if (first === WAITS) this.#lookAhead(run, place, run.messages - count, dedupMs);
    if (first !== TAKEN) return;
    this.#count = count;
    run.messages = count;
    run.bytes = bytes;
  }

  // The rest of a run that waits is looked up with it, as far as nobody is sure.
  #lookAhead(run: WatchedRun, from: number, messages: number, dedupMs: number): void {
    let place = from;
    for (let i = 0; i < messages; i++) {
      const next = run.behind(place, run.payloadAt(place));
      this.#identify(place, next, run.wire, 0);
      this.#parts.ids.find(this.#ids, 0, this.#timeMs, dedupMs);
      place = next;
    }
  }

  // What becomes of the `i`-th message.
  #fateOf(i: number, dedupMs: number): Fate {
    const { ids, full, unreadable } = this.#parts;
    const at = i * ID_WORDS;
    const known = ids.find(this.#ids, at, this.#timeMs, dedupMs);
    if (known === 'known') return SKIPPED;
    if (known === 'unsure') return WAITS;
    if (known === 'failed') {
      unreadable();
      return REFUSED;
    }
    const room = ids.room(this.#ids, at, this.#timeMs);
    if (room === ROOM) return TAKEN;
    if (room !== NO_ROOM) return SOON;
    full();
    return REFUSED;
  }

  #identify(place: number, end: number, wire: number, i: number): void {
    const { codec } = this.#parts;
    codec.identify(place, end, wire);
    for (let word = 0; word < ID_WORDS; word++)
      this.#ids[i * ID_WORDS + word] = codec.result[RESULT_ID + word]!;
  }

  packed(run: WatchedRun, messages: number, bytes: number): void {
    this.#inner.packed(run, messages, bytes);
    if (this.#count === 0) return;
    const { ids, commit } = this.#parts;
    const published = {
      words: this.#ids,
      count: messages,
      timeMs: this.#timeMs,
      windowS: this.#windowS,
    };
    for (let i = 0; i < messages; i++)
      ids.add(this.#ids, i * ID_WORDS, this.#timeMs, this.#windowS);
    ids.packed(idRecordBytes(messages));
    commit.ids(published, run.low, run.high);
  }
}

// What becomes of the first messages of a run.
const NONE = 0;
const SKIPPED = 1;
const TAKEN = 2;
const REFUSED = 3;
const WAITS = 4;
const SOON = 5;
type Fate = typeof SKIPPED | typeof TAKEN | typeof REFUSED | typeof WAITS | typeof SOON;

const SLOTS = 2 * RUN_MESSAGES_MAX;

// The ids of one run, to find one that is there twice.
class RunIds {
  readonly #ids: Uint32Array;
  readonly #slots = new Uint16Array(SLOTS); // number of an id, from 1 on
  // Those that are taken.
  readonly #used = new Uint16Array(RUN_MESSAGES_MAX);
  #count = 0;

  constructor(ids: Uint32Array) {
    this.#ids = ids;
  }

  clear(): void {
    for (let i = 0; i < this.#count; i++) this.#slots[this.#used[i]!] = 0;
    this.#count = 0;
  }

  // False: one before the `i`-th is the same.
  add(i: number): boolean {
    const slots = this.#slots;
    let slot = this.#ids[i * ID_WORDS + 1]! & (SLOTS - 1);
    while (slots[slot] !== 0) {
      if (this.#isSame(i, slots[slot]! - 1)) return false;
      slot = (slot + 1) & (SLOTS - 1);
    }
    slots[slot] = i + 1;
    this.#used[this.#count++] = slot;
    return true;
  }

  #isSame(i: number, other: number): boolean {
    for (let word = 0; word < ID_WORDS; word++)
      if (this.#ids[i * ID_WORDS + word] !== this.#ids[other * ID_WORDS + word]) return false;
    return true;
  }
}
