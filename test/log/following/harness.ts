// What the tests of following share: the batches of a broker at work, life after life; what a start
// finds in a log of so many of them; and a follower over files in memory that is fed with them.

import assert from 'node:assert/strict';
import {
  RECORD_EPOCH_AT,
  SEGMENT_DATA_AT,
  SEGMENT_VERSION_PLACED,
} from '../../../assembly/layout.ts';
import type { Failure, Position } from '../../../src/core/ports/basics.ts';
import type { Journal } from '../../../src/core/ports/journal.ts';
import { ruleOfWords } from '../../../src/core/rules/rule.ts';
import { createState } from '../../../src/core/segments/state.ts';
import type { FileLog } from '../../../src/log/file-log.ts';
import type { FollowedBatch } from '../../../src/log/following/batch.ts';
import { Follower } from '../../../src/log/following/follower.ts';
import type { LogOptions } from '../../../src/log/recovery/log-options.ts';
import { recover, takeInventory } from '../../../src/log/recovery/recovery.ts';
import { Replay } from '../../../src/log/recovery/replay.ts';
import { encodeHeader, segmentName } from '../../../src/log/segments/segment.ts';
import type { Engine } from '../../../src/wasm/engine.ts';
import { sharedEngine } from '../../support/engine.ts';
import { loseAll, MemoryFiles } from '../../support/memory-files.ts';
import type { Random } from '../../support/random.ts';
import {
  bodiesOf,
  indexOf,
  LIMITS,
  LOG_ID,
  logOptions,
  SEGMENT_BYTES,
  TIME_MS,
  World,
} from '../harness.ts';

export type State = ReturnType<typeof createState>;

/** What each batch of a log says that was recorded. */
export interface Recorded extends FollowedBatch {
  /** Base of its segment. */
  base: Position;
  /** Position before which nothing is needed any more, once it is durable. */
  trim: Position;
}

// Copies, delays, retries, deaths and ids; all of it moves messages or defers them.
export const RULES = [
  '5 copy_to=6',
  '6 delay=1s',
  '7 retry=500ms max_deliveries=2 dead_letter=8',
  '9 dedup=2s',
];
export const BUCKETS = [5, 6, 7, 8, 9];
/** Paused and resumed; nobody consumes them. */
export const PAUSED = ['3', '10', '11'];

/** Takes down every batch that is durable. */
class RecordingJournal implements Journal {
  readonly depth = 1;
  readonly aheadBytes = Number.POSITIVE_INFINITY;
  readonly #log: FileLog;
  readonly #batches: Recorded[];

  constructor(log: FileLog, batches: Recorded[]) {
    this.#log = log;
    this.#batches = batches;
  }

  append(position: Position, bytes: number, done: (failure: Failure) => void): void {
    const image = this.#log.placeOf(position, bytes).slice();
    const base = this.#log.bases().findLast((each) => each <= position)!;
    const epoch = new DataView(image.buffer).getUint32(RECORD_EPOCH_AT, true);
    this.#log.append(position, bytes, (failure) => {
      const trim = this.#batches.at(-1)?.trim ?? 0;
      if (failure === undefined) this.#batches.push({ position, bytes: image, epoch, base, trim });
      done(failure);
    });
  }

  stalled(): boolean {
    return this.#log.stalled();
  }

  get syncedPosition(): Position {
    return this.#log.syncedPosition;
  }

  // Commit tells of the trim just when the batch is done that says it.
  trim(position: Position): void {
    this.#batches.at(-1)!.trim = position;
    this.#log.trim(position);
  }

  get startPosition(): Position {
    return this.#log.startPosition;
  }
}

/**
 * The batches of a broker that does a bit of everything, in `lives` lives. `old`: its first message
 * stays, so that no segment goes but by compaction. `acked`: for so many acts of each life consumers
 * ack what they get; what comes after that waits.
 */
export async function record(
  random: Random,
  lives = 2,
  acts = 220,
  old = false,
  rules: readonly string[] = RULES,
  acked = acts,
): Promise<Recorded[]> {
  const batches: Recorded[] = [];
  let files = new MemoryFiles();
  const clock = { wallMs: TIME_MS };
  for (let life = 0; life < lives; life++) {
    const world = await World.open(files, {
      rules: [...rules],
      clock,
      journal: (log) => new RecordingJournal(log, batches),
    });
    await world.settle();
    if (old && life === 0) world.publish([{ bucket: 99, body: 'old' }]);
    await work(world, random, clock, acts, acked);
    assert.equal(world.failure, undefined);
    files = life % 2 === 0 ? world.files.crash(loseAll) : await world.close();
  }
  return batches;
}

async function work(
  world: World,
  random: Random,
  clock: { wallMs: number },
  acts: number,
  acked: number,
): Promise<void> {
  const consumers = [5, 6, 7, 8, 9].map((bucket) => world.consume(bucket, 8));
  let number = 0;
  for (let act = 0; act < acts; act++) {
    const bodies = Array.from({ length: 1 + random.below(6) }, () => `m${number++}-`);
    const bucket = BUCKETS[random.below(BUCKETS.length)]!;
    const size = 20 + random.below(900);
    world.publish(bodies.map((body) => ({ bucket, body: body.padEnd(size, '.') })));
    await world.settle();
    for (const { link, consumer } of act < acked ? consumers : []) {
      const got = bodiesOf(link).filter((body) => body !== '');
      link.received = [];
      const verdicts = got.map(() => (random.below(6) === 0 ? 0 : 1));
      if (got.length > 0) consumer.receive(Uint8Array.from(verdicts));
    }
    if (random.below(40) === 0) {
      const words = `max_in_flight=${1 + random.below(5)}`;
      const rule = ruleOfWords('a', '4', [words]);
      world.broker.rulesInForce!.changes.ask({ name: 'a', rule, expected: undefined }, () => {});
    }
    if (random.below(30) === 0) {
      const bucket = PAUSED[random.below(PAUSED.length)]!;
      world.broker.pauses.ask(bucket, random.chance(0.6), () => {});
    }
    const ms = random.below(4) * 60;
    clock.wallMs += ms;
    await world.advance(ms);
  }
}

/** The segments that hold the first `count` batches, as a start finds them. */
export function filesAfter(batches: readonly Recorded[], count: number): MemoryFiles {
  const files = new MemoryFiles();
  for (const [base, image] of imagesAfter(batches, count)) files.put(segmentName(base), image);
  return files;
}

export function imagesAfter(batches: readonly Recorded[], count: number): Map<number, Uint8Array> {
  const images = new Map<number, Uint8Array>();
  const open = (base: Position) => {
    const known = images.get(base);
    if (known !== undefined) return known;
    const image = new Uint8Array(SEGMENT_BYTES);
    const header = { base, bytes: SEGMENT_BYTES, start: 0, logId: LOG_ID, timeMs: TIME_MS };
    image.set(encodeHeader({ ...header, epoch: 0, version: SEGMENT_VERSION_PLACED }));
    images.set(base, image);
    return image;
  };
  open(0);
  for (const { position, bytes, base } of batches.slice(0, count)) {
    open(base).set(bytes, position - base);
    open(base + SEGMENT_BYTES);
  }
  const trim = batches[count - 1]?.trim ?? 0;
  for (const base of images.keys()) if (base < trim) images.delete(base);
  return images;
}

const reader = sharedEngine('recovery begins with the key and the segment');

/** What a start makes of the first `count` batches. */
export async function startAfter(
  batches: readonly Recorded[],
  count: number,
): Promise<{ state: State; next: number }> {
  const state = createState(5);
  const replay = new Replay(state);
  const sink = {
    segment: (base: Position, sparse: boolean) => replay.segment(base, sparse),
    known: () => assert.fail('nothing is known'),
    sealed: async () => {},
    restore: () => {},
    finish: async () => {},
    record: (...row: Parameters<Replay['record']>) => replay.record(...row),
    commit: () => replay.commit(),
    drop: () => replay.drop(),
  };
  const files = filesAfter(batches, count);
  const { resume } = await recover(files, reader, await takeInventory(files), sink, () => {});
  await replay.finish(async () => assert.fail('nothing was indexed'));
  return { state, next: resume.sequence };
}

export interface Told {
  next: number;
  live: number;
  messages: number[][];
  texts: [number, string][];
}

/**
 * What a log says that was compacted and read again must be what one says that was not, but for
 * settled messages: of those that are not in it any more nobody knows what they were.
 */
export function assertHolds(told: Told, expected: Told, when: string): void {
  const { messages, ...others } = told;
  const sequences = new Set(expected.messages.map(([sequence]) => sequence));
  const there = messages.filter(([sequence]) => sequences.has(sequence!));
  assert.deepEqual({ ...others, messages: there }, expected, when);
}

/** What a state says of each message that is not settled, and how much is in each segment. */
export function tellOf({ buckets, retention, settings }: State, next: number): Told {
  const { settled, attempts, waiting, turns, levels, dead, placed } = buckets.outcomes;
  const messages: number[][] = [];
  for (let at = retention.oldestSequence; at < next; at++)
    if (!settled.has(at))
      messages.push([
        at,
        attempts.get(at),
        Number(waiting.has(at)),
        turns.get(at),
        levels.get(at),
        Number(dead.has(at)),
        Number(placed.has(at)),
      ]);
  const pauses = PAUSED.flatMap((id) =>
    settings.pausesOf(id).map((sequence): [number, string] => [sequence, id]),
  );
  const set = [...settings.texts, ...pauses];
  const texts = set.filter(([sequence]) => !settled.has(sequence));
  return { next, live: retention.live, messages, texts };
}

/** Bases and live messages of the segments; those of which nothing is left may have gone. */
export function segmentsOf({ retention }: State): [number, number][] {
  return retention.segments.map(({ base, live }) => [base, live]);
}

/** A follower over files in memory, whose calls happen by themselves unless a test says not. */
export class Copy {
  readonly follower: Follower;
  readonly files: MemoryFiles;
  readonly state: State;
  readonly notes: string[];
  readonly codec: Engine;
  nowMs = 0;

  private constructor(parts: Pick<Copy, 'follower' | 'files' | 'state' | 'notes' | 'codec'>) {
    this.follower = parts.follower;
    this.files = parts.files;
    this.state = parts.state;
    this.notes = parts.notes;
    this.codec = parts.codec;
  }

  static async open(
    files: MemoryFiles,
    codec: Engine,
    wallMs = TIME_MS,
    others: Partial<LogOptions> = {},
    idBytesMax = Number.POSITIVE_INFINITY,
  ): Promise<Copy> {
    const state = createState(11);
    state.ids.bytesMax = Math.min(state.ids.bytesMax, idBytesMax);
    const notes: string[] = [];
    const next = (call: () => void) => void setImmediate(call);
    const log = {
      ...logOptions(files, indexOf(files), { clock: { wallMs } }, [], notes),
      codec,
      later: next,
      shortDelay: next,
      ...others,
    };
    const segmentEntriesMax = LIMITS.segmentEntriesMax;
    const follower = await Follower.open({ log, state, segmentEntriesMax });
    return new Copy({ follower, files, state, notes, codec });
  }

  /** Applies a batch; gives how it ended. */
  apply(batch: FollowedBatch): Promise<Failure> {
    return new Promise((resolve) => {
      let within = true;
      this.follower.apply([batch], (failure, count) => {
        assert.equal(count, failure === undefined ? 1 : 0);
        assert.ok(!within, 'told within the call');
        resolve(failure);
      });
      within = false;
    });
  }

  /** Applies batches `from` to before `to`. */
  async follow(batches: readonly Recorded[], from: number, to: number): Promise<void> {
    for (const batch of batches.slice(from, to)) assert.equal(await this.apply(batch), undefined);
  }

  /** Time passes, and what is begun by that ends. */
  async advance(ms: number): Promise<void> {
    this.nowMs += ms;
    this.follower.advance(this.nowMs);
    for (let turn = 0; turn < 30; turn++) await this.files.settle();
  }

  tell(): Told {
    return tellOf(this.state, this.follower.sequence);
  }

  async takeOver(epoch: number): Promise<Parameters<Parameters<Follower['takeOver']>[1]>[1]> {
    return new Promise((resolve, reject) =>
      this.follower.takeOver(epoch, (failure, taken) =>
        failure === undefined ? resolve(taken) : reject(failure),
      ),
    );
  }
}

/** Where the batches before `count` end in a segment that they reach into. */
export function endIn(batches: readonly Recorded[], count: number, base: Position): number {
  const last = batches.slice(0, count).findLast((each) => each.base === base);
  return last === undefined ? SEGMENT_DATA_AT : last.position - base + last.bytes.length;
}

/** How many of the batches are before a position. */
export function batchesBefore(batches: readonly Recorded[], end: Position): number {
  const at = batches.findIndex(({ position }) => position === end);
  if (at >= 0) return at;
  const { position, bytes, base } = batches.at(-1)!;
  const ends = [position + bytes.length, base + SEGMENT_BYTES + SEGMENT_DATA_AT];
  assert.ok(ends.includes(end), `no batch ends at ${end}`);
  return batches.length;
}
