// What the tests of compaction share: a log of several segments with a model of what it holds, that
// can be added to, compacted and given back; and what a start makes of it, told by two readers.

import assert from 'node:assert/strict';
import { RECORD_START, RECORD_TRIM } from '../../assembly/layout.ts';
import type { Codec } from '../../src/core/ports/codec.ts';
import { createState } from '../../src/core/segments/state.ts';
import { type CompactOptions, compact } from '../../src/log/compaction/compact.ts';
import { type Compacted, removeReplaced, swap } from '../../src/log/compaction/swap.ts';
import { open } from '../../src/log/files/promises.ts';
import { type Recovered, recover, takeInventory } from '../../src/log/recovery/recovery.ts';
import { Replay } from '../../src/log/recovery/replay.ts';
import type { Sink } from '../../src/log/recovery/sink.ts';
import { segmentName } from '../../src/log/segments/segment.ts';
import type { MemoryFiles } from '../support/memory-files.ts';
import { paceOf } from '../support/pace.ts';
import type { Random } from '../support/random.ts';
import { smallPlainCodec } from '../support/twins.ts';
import {
  type BatchPlan,
  type Built,
  buildSegment,
  Collector,
  codec,
  filesOf,
  LOG_ID,
  type Mark,
  TIME_MS,
} from './harness.ts';

export const BUCKETS = 3;

/** One for compaction, which has a codec of its own. */
export const plain = smallPlainCodec();

/** `bucket: [sequence, attempts, body]` of what waits, in the order of delivery. */
export type Waiting = Record<string, [number, number, string][]>;

export interface Start {
  waiting: Waiting;
  recovered: Recovered;
}

/** What a start finds; the broker's replay and an independent reader must agree. Repairs `files`. */
export async function startOn(files: MemoryFiles): Promise<Start> {
  const collector = new Collector();
  const state = createState(3);
  const replay = new Replay(state);
  const both: Sink = {
    segment: (base, sparse) => replay.segment(base, sparse),
    known: () => assert.fail('nothing is known'),
    sealed: async () => {},
    restore: () => {},
    finish: async () => {},
    record: (rows, at, chunk, bytes) => {
      collector.record(rows, at, chunk, bytes);
      replay.record(rows, at, chunk, bytes);
    },
    commit: () => {
      collector.commit();
      replay.commit();
    },
    drop: () => {
      collector.drop();
      replay.drop();
    },
  };
  const recovered = await recover(files, codec, await takeInventory(files), both, () => {});
  await replay.finish(async () => assert.fail('nothing was indexed'));
  const waiting: Waiting = {};
  for (const [sequence, text] of collector.messages) {
    if (collector.settled.has(sequence)) continue;
    const colon = text.indexOf(':');
    waiting[text.slice(0, colon)] ??= [];
    const attempts = collector.attempts.get(sequence) ?? 0;
    waiting[text.slice(0, colon)]!.push([sequence, attempts, text.slice(colon + 1)]);
  }
  const replayed: Record<string, [number, number][]> = {};
  for (const slot of state.buckets.slots()) {
    const line: [number, number][] = [];
    const { buckets } = state;
    for (let part = buckets.peek(slot); part !== undefined; part = buckets.peek(slot)) {
      const { sequence, count, attempts } = buckets.setAside(part);
      for (let i = 0; i < count; i++) line.push([sequence + i, attempts]);
    }
    replayed[buckets.idOf(slot)] = line;
  }
  const collected = Object.entries(waiting).map(([bucket, line]) => [
    bucket,
    line.map(([sequence, attempts]) => [sequence, attempts]),
  ]);
  assert.deepEqual(replayed, Object.fromEntries(collected), 'replay and the reader differ');
  return { waiting, recovered };
}

interface Known {
  bucket: number;
  body: string;
  attempts: number;
  settled: boolean;
}

interface Sealed {
  base: number;
  /** Of the first message that ever was in it. */
  first: number;
}

/** A log with its model. Its last segment is open. */
export class ModelLog {
  files: MemoryFiles;
  readonly messages = new Map<number, Known>();
  /** Closed segments, oldest first. */
  readonly sealed: Sealed[] = [];
  readonly #random: Random;
  readonly #segmentBytes: number;
  #open!: Built;
  #epoch = 1;
  #next = 1;

  constructor(random: Random, segments: number, segmentBytes = 16 * 1024) {
    this.#random = random;
    this.#segmentBytes = segmentBytes;
    const built: Built[] = [];
    for (let n = 0; n < segments; n++) built.push(this.#segment(n, n < segments - 1));
    this.#open = built.at(-1)!;
    this.files = filesOf(...built);
  }

  get base(): number {
    return this.#open.base;
  }

  #segment(n: number, last: boolean): Built {
    const base = n * this.#segmentBytes;
    const sequence = this.#next;
    if (this.#random.below(3) === 0) this.#epoch++;
    const start: BatchPlan = { control: [[RECORD_START, sequence, TIME_MS]] };
    const batches = [start, ...Array.from({ length: 6 }, () => this.#batch(last ? 6 : 1))];
    if (last) {
      batches.push({ last });
      this.sealed.push({ base, first: sequence });
    }
    const bytes = last ? this.#segmentBytes : 4 * this.#segmentBytes;
    return buildSegment({ base, bytes, sequence, epoch: this.#epoch }, batches);
  }

  #batch(most: number): BatchPlan {
    const messages = Array.from({ length: this.#random.below(most + 1) }, () => {
      const bucket = this.#random.below(BUCKETS);
      const body = `${this.#next}-`.padEnd(5 + this.#random.below(200), '.');
      this.messages.set(this.#next++, { bucket, body, attempts: 0, settled: false });
      return { bucket, body };
    });
    return { messages, ...this.#marks() };
  }

  // Some of what waits is done, some comes back.
  #marks(): { settled: Mark[]; returned: Mark[] } {
    const settled: Mark[] = [];
    const returned: Mark[] = [];
    for (const [sequence, known] of this.messages) {
      if (known.settled) continue;
      const choice = this.#random.below(10);
      if (choice < 2) {
        known.settled = true;
        settled.push({ sequence, count: 1 });
      } else if (choice < 3) {
        returned.push({ sequence, count: 1, attempts: ++known.attempts });
      }
    }
    return { settled, returned };
  }

  /** More happens in the open segment, as long as there is room. */
  append(control: BatchPlan['control'] = []): void {
    const offset = this.#open.offsets.at(-1)!;
    if (offset > 3 * this.#segmentBytes) return;
    const { base, image: onto } = this.#open;
    const at = { base, bytes: onto.length, onto, offset, epoch: this.#epoch, sequence: this.#next };
    this.#open = buildSegment(at, [{ ...this.#batch(2), control }]);
    this.files.put(this.#open.name, this.#open.image);
  }

  /** Everything but a few is done. */
  settleMost(): void {
    const settled: Mark[] = [];
    for (const [sequence, known] of this.messages) {
      if (known.settled || sequence % 6 === 0) continue;
      known.settled = true;
      settled.push({ sequence, count: 1 });
    }
    const offset = this.#open.offsets.at(-1)!;
    const { base, image: onto } = this.#open;
    const at = { base, bytes: onto.length, onto, offset, epoch: this.#epoch, sequence: this.#next };
    this.#open = buildSegment(at, [{ settled }]);
    this.files.put(this.#open.name, this.#open.image);
  }

  /** Whether a sealed segment has messages that wait. */
  isLive(at: number): boolean {
    const to = this.sealed[at + 1]?.first ?? this.#next;
    for (let sequence = this.sealed[at]!.first; sequence < to; sequence++)
      if (this.messages.get(sequence)?.settled === false) return true;
    return false;
  }

  /** Gives the oldest segments back that nobody needs; `stale`: their files stay. */
  trim(stale: boolean): number {
    let count = 0;
    while (count < this.sealed.length && !this.isLive(count)) count++;
    if (count === 0) return 0;
    const given = this.sealed.splice(0, count);
    this.append([[RECORD_TRIM, this.sealed[0]?.base ?? this.base, 0]]);
    if (!stale) for (const { base } of given) this.files.take(segmentName(base));
    return count;
  }

  /** What compaction is told for the sealed segments `from` to before `to`. */
  async options(from: number, to: number, with_: Codec = plain): Promise<CompactOptions> {
    const { files, messages, sealed } = this;
    const segments: { base: number; bytes: number; handle: number }[] = [];
    for (const { base } of sealed.slice(from, to)) {
      const { handle, bytes } = await open(files, segmentName(base));
      segments.push({ base, bytes, handle });
    }
    return {
      files,
      codec: with_,
      logId: LOG_ID,
      segments,
      isSettled: (sequence) => messages.get(sequence)!.settled,
      attemptsOf: (sequence) => messages.get(sequence)!.attempts,
      start: sealed[0]!.base,
      oldestNeeded: sealed[0]!.first,
      wallMs: () => TIME_MS,
      pace: paceOf(setImmediate),
      turn: async () => {},
    };
  }

  /** Compacts; `keep`: the replaced files stay. Gives undefined if it would not be smaller. */
  async compact(from: number, to: number, keep = false): Promise<Compacted | undefined> {
    const options = await this.options(from, to);
    const made = await compact(options);
    for (const { handle } of options.segments) this.files.close(handle, () => {});
    if (made === undefined) return undefined;
    await swap(this.files, made);
    if (!keep) await removeReplaced(this.files, made);
    this.files.close(made.handle, () => {});
    this.sealed.splice(from, to - from, this.sealed[from]!);
    return made;
  }

  get expected(): Waiting {
    const waiting: Waiting = {};
    for (const [sequence, { bucket, body, attempts, settled }] of this.messages) {
      if (settled) continue;
      waiting[bucket] ??= [];
      waiting[bucket].push([sequence, attempts, body]);
    }
    return waiting;
  }

  /** A start on a copy finds what the model says, and where to go on. */
  async check(why: string, files = this.files.clone()): Promise<Start> {
    const start = await startOn(files);
    assert.deepEqual(start.waiting, this.expected, why);
    assert.equal(start.recovered.resume.sequence, this.#next, why);
    assert.equal(start.recovered.resume.base, this.base, why);
    assert.ok(start.recovered.resume.epoch > this.#epoch, why);
    return start;
  }
}
