// What the tests of bases share: objects in memory, whose calls a test may stop or let fail; the
// stream that carried the batches of a recorded log; and nodes that make a base or are built of it.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import {
  STREAM_BASE,
  STREAM_ENVELOPE_BYTES,
  STREAM_PART,
  STREAM_START,
} from '../../../assembly/layout-cluster.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { writeEnvelope } from '../../../src/core/cluster/envelope.ts';
import type { SegmentPlace } from '../../../src/core/cluster/segment-places.ts';
import type { Failure, Position } from '../../../src/core/ports/basics.ts';
import type { StreamMessage, StreamState } from '../../../src/core/ports/stream.ts';
import type { Cut } from '../../../src/log/backup.ts';
import { type BuildingOptions, buildLog } from '../../../src/log/base/building.ts';
import type { Found } from '../../../src/log/base/finding.ts';
import { type MadeBase, makeBase } from '../../../src/log/base/making.ts';
import type { ObjectStore, StoredObject } from '../../../src/log/base/objects.ts';
import { freshEngine } from '../../support/engine.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { assertHolds, Copy, type Recorded, startAfter, tellOf } from '../following/harness.ts';
import { codec, LOG_ID, SEGMENT_BYTES, TIME_MS } from '../harness.ts';

export const STREAM = 'TMQ_test_0';
export const CREATED = '2026-11-30T08:00:00Z';

/** Each call is told to `before`, which may wait or fail. */
export class MemoryObjects implements ObjectStore {
  readonly objects = new Map<string, Uint8Array>();
  /** Pieces of what is being put, or of a put that was cut off. */
  readonly pieces = new Map<string, Uint8Array[]>();
  readonly calls: string[] = [];
  before: (call: string) => Promise<void> | void = () => {};

  async #call(call: string): Promise<void> {
    this.calls.push(call);
    await this.before(call);
  }

  get bytes(): number {
    return [...this.objects.values()].reduce((sum, { length }) => sum + length, 0);
  }

  get names(): string[] {
    return [...this.objects.keys()].sort();
  }

  async held() {
    await this.#call('held');
    const unfinished = [...this.pieces.keys()].filter((name) => !this.objects.has(name));
    return { names: this.names, unfinished, bytes: this.bytes };
  }

  async put(name: string, pieces: AsyncIterable<Uint8Array>): Promise<StoredObject> {
    await this.#call(`put ${name}`);
    const parts: Uint8Array[] = [];
    this.pieces.set(name, []);
    for await (const piece of pieces) {
      parts.push(piece.slice());
      this.pieces.get(name)?.push(piece.slice());
    }
    const bytes = new Uint8Array(Buffer.concat(parts));
    await this.#call(`finish ${name}`);
    // What was removed meanwhile is not there.
    this.objects.set(name, new Uint8Array(Buffer.concat(this.pieces.get(name) ?? [])));
    this.pieces.delete(name);
    return { digest: digestOf(bytes), bytes: bytes.length };
  }

  async get(name: string, take: (piece: Uint8Array) => Promise<void> | void) {
    await this.#call(`get ${name}`);
    const bytes = this.objects.get(name);
    if (bytes === undefined) return undefined;
    for (let at = 0; at < bytes.length; at += 5000) await take(bytes.subarray(at, at + 5000));
    return { digest: digestOf(bytes), bytes: bytes.length };
  }

  async remove(name: string): Promise<void> {
    await this.#call(`remove ${name}`);
    this.objects.delete(name);
    this.pieces.delete(name);
  }
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64');
}

export function message(
  kind: number,
  epoch: number,
  position: Position,
  body: Uint8Array,
  logId = LOG_ID,
): Uint8Array {
  const isBatch = kind === STREAM_START || kind === STREAM_PART;
  const bytes = new Uint8Array(STREAM_ENVELOPE_BYTES + body.length);
  bytes.set(body, STREAM_ENVELOPE_BYTES);
  const sizes = { batchBytes: isBatch ? body.length : 0, jsonBytes: isBatch ? 0 : body.length };
  const fields = { kind, closes: false, logId, epoch, node: 1, position, offset: 0, ...sizes };
  writeEnvelope(bytes, fields, body.length > 0 ? body : undefined, crc32c);
  return bytes;
}

/** The first batches of a log, each in one message; then what is told of bases. */
export class RecordedStream {
  readonly messages = new Map<number, Uint8Array>();
  /** Number of the message of each batch, in order. */
  readonly numbers: number[] = [];
  readonly places: SegmentPlace[] = [];
  first = 1;
  last = 0;
  epoch = 0;
  created = CREATED;
  readonly #batches: readonly Recorded[];

  constructor(batches: readonly Recorded[]) {
    this.#batches = batches;
  }

  /** Carries the batches before `count`. */
  carry(count: number): void {
    while (this.numbers.length < count) {
      const { position, bytes, epoch, base } = this.#batches[this.numbers.length]!;
      const kind = epoch > this.epoch ? STREAM_START : STREAM_PART;
      const before = this.#batches[this.numbers.length - 1]?.base;
      this.epoch = epoch;
      this.messages.set(++this.last, message(kind, epoch, position, bytes));
      this.numbers.push(this.last);
      if (before !== base) this.places.push({ position, sequence: this.last });
    }
  }

  /** A base is told of: counts if nobody of a later epoch has begun. */
  tell(epoch: number, json: Uint8Array): boolean {
    this.messages.set(++this.last, message(STREAM_BASE, epoch, 0, json));
    return epoch >= this.epoch;
  }

  purge(before: number): void {
    for (; this.first < before && this.first <= this.last; this.first++)
      this.messages.delete(this.first);
  }

  state(done: (failure: Failure, state?: StreamState) => void): void {
    const { first, last, created } = this;
    setImmediate(() => done(undefined, { first, last, bytes: 0, created }));
  }

  read(sequence: number, done: (failure: Failure, found?: StreamMessage) => void): void {
    const bytes = this.messages.get(sequence);
    setImmediate(() =>
      bytes === undefined ? done(undefined) : done(undefined, { sequence, bytes }),
    );
  }
}

/** A node with a log of its own, which it keeps small, and from which it makes bases. */
export class Maker {
  readonly copy: Copy;
  readonly stream: RecordedStream;
  readonly put = new Map<string, StoredObject>();
  readonly epoch: number;
  number = 0;
  isOver = false;

  private constructor(copy: Copy, stream: RecordedStream, epoch: number) {
    this.copy = copy;
    this.stream = stream;
    this.epoch = epoch;
  }

  /** Follows the first batches, and time passes, so that it compacts. */
  static async after(
    batches: readonly Recorded[],
    count: number,
    stream: RecordedStream,
    epoch: number,
  ): Promise<Maker> {
    const copy = await Copy.open(new MemoryFiles(), freshEngine());
    const maker = new Maker(copy, stream, epoch);
    await maker.follow(batches, 0, count);
    return maker;
  }

  async follow(batches: readonly Recorded[], from: number, to: number): Promise<void> {
    for (let at = from; at < to; at++) {
      await this.copy.follow(batches, at, at + 1);
      if (at % 10 === 0) await this.copy.advance(2000);
    }
    for (let i = 0; i < 5; i++) await this.copy.advance(2000);
  }

  /** The places at which a base may end, the newest last. */
  get ends(): SegmentPlace[] {
    const starts = this.copy.follower.log.bases().map((base) => base + SEGMENT_DATA_AT);
    return this.stream.places.filter(({ position }) => starts.includes(position));
  }

  get end(): SegmentPlace {
    return this.ends.at(-1)!;
  }

  cut(): Promise<Cut> {
    return new Promise((resolve, reject) =>
      this.copy.follower.log.pin((failure, cut) => {
        if (cut === undefined) reject(failure);
        else resolve({ ...cut, piece: () => 4096, turn: async () => {} });
      }),
    );
  }

  /** `step`: is told of each thing that is done beside the objects, and may fail. */
  async make(
    objects: MemoryObjects,
    end = this.end,
    step: (what: 'tell' | 'purge') => Promise<void> | void = () => {},
  ): Promise<MadeBase | undefined> {
    const { stream, put, epoch } = this;
    return await makeBase({
      objects,
      cut: await this.cut(),
      end,
      epoch,
      number: ++this.number,
      put,
      crc32c,
      stream: STREAM,
      created: CREATED,
      logId: LOG_ID,
      segmentBytes: SEGMENT_BYTES,
      tell: async (json) => {
        await step('tell');
        if (!stream.tell(epoch, json)) throw new Error('another owns the log');
      },
      purge: async () => {
        await step('purge');
        stream.purge(end.sequence);
      },
      isOver: () => this.isOver,
    });
  }
}

export function buildingOf(
  objects: MemoryObjects | undefined,
  stream: Pick<RecordedStream, 'state' | 'read'>,
  changed: Partial<BuildingOptions> = {},
): BuildingOptions {
  return {
    objects,
    stream,
    streamName: STREAM,
    segmentBytes: SEGMENT_BYTES,
    crc32c,
    rest: async () => {},
    into: new MemoryFiles(),
    zeros: codec.zeros,
    wallMs: () => TIME_MS,
    ...changed,
  };
}

/**
 * A node that has nothing builds itself, follows the rest and holds what a start from all of it
 * would find. Gives what it was built of.
 */
export async function assertBuilds(
  batches: readonly Recorded[],
  objects: MemoryObjects | undefined,
  stream: RecordedStream,
  why: string,
): Promise<Found | undefined> {
  const options = buildingOf(objects, stream);
  const found = await buildLog(options);
  const copy = await Copy.open(options.into as MemoryFiles, freshEngine());
  const { end = SEGMENT_DATA_AT, place } = found ?? {};
  assert.equal(copy.follower.end, end, why);
  assert.equal(place?.end ?? SEGMENT_DATA_AT, end, why);
  const sequence = place?.sequence ?? 0;
  const from = stream.numbers.findIndex((number) => number > sequence);
  const first = batches[from < 0 ? stream.numbers.length : from];
  if (from >= 0) {
    assert.equal(first!.position, end, why);
    assert.ok(stream.numbers[from]! >= stream.first, `${why}: what comes next is gone`);
    assert.ok(first!.epoch >= copy.follower.epoch, why);
    await copy.follow(batches, from, stream.numbers.length);
  }
  const { state, next } = await startAfter(batches, stream.numbers.length);
  const told = copy.tell();
  const expected = tellOf(state, next);
  if (copy.follower.isInDoubt) told.live = expected.live;
  assertHolds(told, expected, why);
  assert.deepEqual(copy.notes, [], why);
  await copy.follower.close();
  return found;
}
