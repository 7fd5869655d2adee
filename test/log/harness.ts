// What the tests of the log share: logs built byte by byte, an independent reader of recovered
// records, and a whole broker over files in memory whose power can be cut.

import assert from 'node:assert/strict';
import {
  FLAG_LAST,
  MARK_ATTEMPTS_AT,
  MARK_BYTES,
  MARK_COUNT_AT,
  MARK_SEQUENCE_AT,
  MESSAGE_SIZE_BYTES,
  RECORD_COMMIT,
  RECORD_CRC_AT,
  RECORD_DEFERRED,
  RECORD_FORM_AT,
  RECORD_HEADER_BYTES,
  RECORD_IDS,
  RECORD_MESSAGES,
  RECORD_PLACED,
  RECORD_PRODUCERS,
  RECORD_RETURNED,
  RECORD_SETTLED,
  RECORD_TYPE_AT,
  RESULT_MESSAGES,
  RESULT_ROWS,
  SEGMENT_DATA_AT,
  WIRE_U64,
} from '../../assembly/layout.ts';
import {
  FIELDS_SIZE_BYTES,
  FORM_FIELDS,
  FORM_SETTLES,
  HEAD_BYTES,
  ID_BYTES,
  PRODUCER_BYTES,
  PRODUCER_NUMBER_AT,
} from '../../assembly/layout-placed.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { encodeBatch, encodeConsumerHeader } from '../../src/codec/wire.ts';
import { Broker } from '../../src/core/broker.ts';
import type { Consumer } from '../../src/core/connections/consumer.ts';
import { ForegroundTraffic } from '../../src/core/fairness/foreground.ts';
import { DEFAULT_LIMITS, type Limits } from '../../src/core/limits.ts';
import type { EntrySource, Found } from '../../src/core/ports/basics.ts';
import type { Journal } from '../../src/core/ports/journal.ts';
import type { Link } from '../../src/core/ports/link.ts';
import type { SegmentSpace } from '../../src/core/ports/segments.ts';
import {
  type Deferral,
  deferralsIn,
  type Head,
  hasFields,
  kindOf,
  NO_HEAD,
  readHead,
  settlesFrom,
  writeDeferral,
  writeHead,
} from '../../src/core/records/placed.ts';
import {
  ATTEMPTS,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  OFFSET,
  sequenceOf,
  TYPE,
} from '../../src/core/records/rows.ts';
import { idOf } from '../../src/core/rules/match.ts';
import { createState } from '../../src/core/segments/state.ts';
import { FileLog } from '../../src/log/file-log.ts';
import type { Files } from '../../src/log/files/files.ts';
import { IDLE } from '../../src/log/files/throttle.ts';
import type { Checkpoint, KnownSegment } from '../../src/log/index/checkpoint.ts';
import type { LogOptions } from '../../src/log/recovery/log-options.ts';
import { type Recovered, recover, takeInventory } from '../../src/log/recovery/recovery.ts';
import { Replay } from '../../src/log/recovery/replay.ts';
import type { Sink } from '../../src/log/recovery/sink.ts';
import { encodeHeader, keyOf, segmentName } from '../../src/log/segments/segment.ts';
import type { SyncMode } from '../../src/log/segments/writer.ts';
import { forgetRules, sharedEngine } from '../support/engine.ts';
import { NO_ENTRIES } from '../support/entries.ts';
import { Folder } from '../support/folder.ts';
import { MemoryFiles } from '../support/memory-files.ts';
import type { Random } from '../support/random.ts';
import { smallPlainCodec } from '../support/twins.ts';
import { rulesOf } from '../support/world.ts';

/** Builds the segments, reads them, and is the codec of the brokers of a test, one at a time. */
export const codec = sharedEngine('building and recovery both begin with the key and the segment');

/** For reading segments beside the broker. */
const sideCodec = smallPlainCodec();

export const SEGMENT_BYTES = 32 * 1024;
export const LOG_ID = 0x1122334455667788n;
export const TIME_MS = 1_700_000_000_000;

export const LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  messageBytesMax: 4096,
  segmentBytes: SEGMENT_BYTES,
  reserveBytes: 4096,
};

// --- logs built by hand -------------------------------------------------------------------------

export interface Message {
  bucket: number;
  body: string | Uint8Array;
}

export interface Mark {
  sequence: number;
  count: number;
  attempts?: number;
}

export interface PlacedPlan {
  bucket: number;
  bodies: string[];
  fields?: string;
  kind?: number;
  head?: Partial<Head>;
  settles?: boolean;
  attempts?: number;
}

/** One commit batch. */
export interface BatchPlan {
  messages?: Message[];
  settled?: Mark[];
  returned?: Mark[];
  /** Placed records, each of some bodies, with a block of fields in front of each if it says so. */
  placed?: PlacedPlan[];
  deferred?: Deferral[];
  /** The last number of each producer, by the first byte of its id. */
  producers?: [id: number, number: number][];
  ids?: { bucket: number; timeMs: number; count: number };
  /** Other records: type, sequence, time. */
  control?: [type: number, sequence: number, time: number][];
  proof?: boolean;
  last?: boolean;
  /** Leaves the commit record away. */
  unfinished?: boolean;
}

export interface SegmentPlan {
  base?: number;
  bytes?: number;
  start?: number;
  logId?: bigint;
  /** SEGMENT_VERSION_PLACED, if it is not an ordinary one. */
  version?: number;
  epoch?: number;
  sequence?: number;
  /** Offset of the first batch, to go on in a segment. */
  offset?: number;
  /** An earlier image of the segment to go on in. */
  onto?: Uint8Array;
}

export interface Built {
  name: string;
  base: number;
  image: Uint8Array;
  /** Start of each batch, and behind them the end of the last. */
  offsets: number[];
  sequence: number;
}

/** The image of a segment that holds these batches. */
export function buildSegment(plan: SegmentPlan, batches: BatchPlan[]): Built {
  const base = plan.base ?? 0;
  const bytes = plan.bytes ?? SEGMENT_BYTES;
  const epoch = plan.epoch ?? 1;
  const offset = plan.offset ?? SEGMENT_DATA_AT;
  const logId = plan.logId ?? LOG_ID;
  const image = plan.onto?.slice() ?? new Uint8Array(bytes);
  const { start = 0, version } = plan;
  const header = { base, bytes, start, logId, timeMs: TIME_MS, epoch };
  if (plan.onto === undefined)
    image.set(encodeHeader(version === undefined ? header : { ...header, version }));
  codec.setKey(keyOf(logId));
  codec.openSegment(base, offset, bytes, epoch);
  codec.setSequence(plan.sequence ?? 1);
  const offsets = [offset];
  for (const batch of batches) {
    packBatch(batch, bytes);
    offsets.push(codec.writeAt());
  }
  image.set(
    codec.memory.subarray(codec.coldBytes + offset, codec.coldBytes + codec.writeAt()),
    offset,
  );
  return { name: segmentName(base), base, image, offsets, sequence: codec.sequence() };
}

function packBatch(batch: BatchPlan, bytes: number): void {
  forgetRules(codec);
  codec.openBatch(batch.proof ?? true);
  codec.setLimit(bytes);
  let records = 0;
  for (const [type, sequence, time] of batch.control ?? []) {
    codec.packControl(type, 0, sequence, time, 0);
    records++;
  }
  const messages = batch.messages ?? [];
  if (messages.length > 0) {
    const frame = encodeBatch(
      messages.map(({ bucket, body }) => ({ bucket: BigInt(bucket), body: bytesOf(body) })),
      'u64',
    );
    codec.inbox.set(frame);
    codec.intake(4, frame.length, messages.length, WIRE_U64, bytes);
    assert.equal(codec.result[RESULT_MESSAGES], messages.length, 'the test log is too full');
    records += codec.result[RESULT_ROWS]!;
  }
  for (const plan of batch.placed ?? []) records += packPlaced(plan);
  records += packMarks(RECORD_SETTLED, batch.settled ?? []);
  records += packMarks(RECORD_RETURNED, batch.returned ?? []);
  records += packOthers(batch);
  if (batch.unfinished) return;
  codec.packControl(RECORD_COMMIT, batch.last ? FLAG_LAST : 0, codec.sequence(), TIME_MS, records);
}

// The messages stand in a record in cold memory first, as where they came from would.
function packPlaced(plan: PlacedPlan): number {
  const { bucket, bodies, fields, kind = 0, head = {}, settles = false, attempts = 0 } = plan;
  const parts = bodies.map((body) => {
    const inside = fields === undefined ? [] : [u16(fields.length), Buffer.from(fields)];
    const whole = Buffer.concat([...inside, Buffer.from(body)]);
    return Buffer.concat([u32(whole.length), whole]);
  });
  if (fields !== undefined) parts.unshift(Buffer.alloc(HEAD_BYTES));
  const body = Buffer.concat(parts);
  codec.memory.fill(0, 0, RECORD_HEADER_BYTES);
  codec.memory[RECORD_TYPE_AT] = fields === undefined ? RECORD_MESSAGES : RECORD_PLACED;
  codec.memory[RECORD_FORM_AT] = fields === undefined ? 0 : FORM_FIELDS;
  codec.memory.set(body, RECORD_HEADER_BYTES);
  writeHead(codec.marks, 0, { ...NO_HEAD, ...head });
  const form = settles ? FORM_SETTLES : 0;
  const [from, size, count] = [RECORD_HEADER_BYTES, body.length, bodies.length];
  const isPlaced = codec.place(from, size, 0, count, bucket, 0, kind, form, attempts);
  assert.ok(isPlaced, 'the test log is too full');
  return 1;
}

function u16(number: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(number);
  return bytes;
}

function u32(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return bytes;
}

function packOthers({ deferred = [], producers = [], ids }: BatchPlan): number {
  for (const [i, deferral] of deferred.entries()) writeDeferral(codec.marks, i, deferral);
  if (deferred.length > 0) codec.packMarks(RECORD_DEFERRED, deferred.length);
  const area = new Uint8Array(codec.marks.buffer, codec.marks.byteOffset, 64 * PRODUCER_BYTES);
  area.fill(0);
  for (const [i, [id, number]] of producers.entries()) {
    area[i * PRODUCER_BYTES] = id;
    codec.marks.setUint32(i * PRODUCER_BYTES + PRODUCER_NUMBER_AT, number, true);
  }
  if (producers.length > 0) codec.packMarks(RECORD_PRODUCERS, producers.length);
  if (ids !== undefined) {
    for (let i = 0; i < ids.count; i++) area.fill(i + 1, i * ID_BYTES, (i + 1) * ID_BYTES);
    codec.packMarks(RECORD_IDS, ids.count, ids.timeMs, ids.bucket, 0);
  }
  return Number(deferred.length > 0) + Number(producers.length > 0) + Number(ids !== undefined);
}

function bytesOf(body: string | Uint8Array): Uint8Array {
  return typeof body === 'string' ? Buffer.from(body) : body;
}

function packMarks(type: number, marks: Mark[]): number {
  if (marks.length === 0) return 0;
  marks.forEach(({ sequence, count, attempts }, i) => {
    codec.marks.setBigUint64(i * MARK_BYTES + MARK_SEQUENCE_AT, BigInt(sequence), true);
    codec.marks.setUint32(i * MARK_BYTES + MARK_COUNT_AT, count, true);
    codec.marks.setUint32(i * MARK_BYTES + MARK_ATTEMPTS_AT, attempts ?? 0, true);
  });
  codec.packMarks(type, marks.length);
  return 1;
}

/** Makes the header at `at` hold again after a change, with the log's key or another. */
export function seal(image: Uint8Array, at: number, key = keyOf(LOG_ID)): void {
  const crc = crc32c(image.subarray(at + 4, at + RECORD_HEADER_BYTES)) ^ key;
  new DataView(image.buffer, image.byteOffset).setUint32(at + RECORD_CRC_AT, crc, true);
}

/** Files that hold these segments. */
export function filesOf(...segments: Built[]): MemoryFiles {
  const files = new MemoryFiles();
  for (const { name, image } of segments) files.put(name, image);
  return files;
}

// --- an independent reader ----------------------------------------------------------------------

/** Collects what recovery hands on: only complete batches count. */
export class Collector implements Sink {
  /** `bucket:body` by sequence. */
  readonly messages = new Map<number, string>();
  readonly settled = new Set<number>();
  readonly attempts = new Map<number, number>();
  batches = 0;
  #staged: (() => void)[] = [];

  segment(): void {}

  record(rows: Uint32Array, at: number, _chunk: number, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const type = rows[at + TYPE]!;
    const count = rows[at + COUNT]!;
    let from = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
    if (type === RECORD_DEFERRED) {
      for (const deferral of deferralsIn(bytes, from, count))
        this.#staged.push(() => this.#defer(deferral));
    } else if (type === RECORD_MESSAGES || type === RECORD_PLACED) {
      const bucket = idOf(rows[at + BUCKET_LOW]!, rows[at + BUCKET_HIGH]!);
      const kind = kindOf(rows, at);
      const name = kind === 0 ? `${bucket}` : `${bucket}/${kind}`;
      if (type === RECORD_PLACED) {
        const head = readHead(view, from);
        const settles = settlesFrom(rows, at);
        const before = sequenceOf(rows, at);
        this.#staged.push(() => this.#place(before, count, head, settles));
        from += HEAD_BYTES;
      }
      const fields = hasFields(rows, at);
      const first = sequenceOf(rows, at);
      const carried = rows[at + ATTEMPTS]!;
      for (let i = 0; i < count; i++) {
        if (carried > 0) this.#staged.push(() => this.#raise(first + i, carried));
        const size = view.getUint32(from, true);
        from += MESSAGE_SIZE_BYTES;
        const skipped = fields ? FIELDS_SIZE_BYTES + view.getUint16(from, true) : 0;
        const body = Buffer.from(bytes.subarray(from + skipped, from + size)).toString('latin1');
        from += size;
        this.#staged.push(() => this.messages.set(first + i, `${name}:${body}`));
      }
    } else if (type === RECORD_SETTLED || type === RECORD_RETURNED) {
      for (let i = 0; i < count; i++, from += MARK_BYTES) {
        const first = Number(view.getBigUint64(from + MARK_SEQUENCE_AT, true));
        const run = view.getUint32(from + MARK_COUNT_AT, true);
        const attempts = view.getUint32(from + MARK_ATTEMPTS_AT, true);
        this.#staged.push(() => {
          for (let s = first; s < first + run; s++) {
            if (type === RECORD_SETTLED) this.settled.add(s);
            else this.#raise(s, attempts);
          }
        });
      }
    }
  }

  /** Turn, level and due time of messages that have one, by sequence. */
  readonly deferred = new Map<number, [turn: number, level: number, dueMs: number]>();

  #place(first: number, count: number, head: Head, settles: boolean): void {
    for (let i = 0; i < count; i++) {
      if (settles) this.settled.add(head.from + i);
      if (head.turn + head.level + head.dueMs > 0) this.#turn(first + i, head);
    }
  }

  #defer(deferral: Deferral): void {
    for (let i = 0; i < deferral.count; i++) {
      this.#raise(deferral.sequence + i, deferral.attempts);
      this.#turn(deferral.sequence + i, deferral);
    }
  }

  #turn(sequence: number, { turn, level, dueMs }: Pick<Head, 'turn' | 'level' | 'dueMs'>): void {
    if ((this.deferred.get(sequence)?.[0] ?? 0) > turn) return;
    this.deferred.set(sequence, [turn, level, dueMs]);
  }

  #raise(sequence: number, attempts: number): void {
    this.attempts.set(sequence, Math.max(attempts, this.attempts.get(sequence) ?? 0));
  }

  commit(): void {
    this.batches++;
    for (const apply of this.#staged) apply();
    this.#staged = [];
  }

  drop(): void {
    this.#staged = [];
  }

  /** Segments that were not read. */
  readonly knownSegments: KnownSegment[] = [];
  restored: Checkpoint | undefined;

  known(segment: KnownSegment): void {
    this.knownSegments.push(segment);
  }

  async sealed(index: (source: EntrySource) => Promise<void>): Promise<void> {
    await index(NO_ENTRIES);
  }

  restore(checkpoint: Checkpoint): void {
    this.restored = checkpoint;
  }

  async finish(
    _visit: (base: number, record: (found: Found) => void) => Promise<void>,
  ): Promise<void> {}
}

/** The folder of indexes on the disk of a log. */
export function indexOf(files: MemoryFiles): Folder {
  return new Folder(files, 'index');
}

/** Recovers a log without a broker. Throws what recovery throws. */
export async function recoverFrom(files: Files): Promise<{ got: Collector; recovered: Recovered }> {
  const got = new Collector();
  const inventory = await takeInventory(files);
  const recovered = await recover(files, codec, inventory, got, () => {});
  return { got, recovered };
}

// --- a broker on files in memory ----------------------------------------------------------------

export class FakeLink implements Link {
  readonly id = 1;
  readonly peer = 'test:1';
  readonly wire = WIRE_U64;
  readonly queuedBytes = 0;
  closed = false;
  #received: number[] = [];
  #frames: Uint8Array[] = [];

  send(bytes: Uint8Array): void {
    this.#frames.push(bytes.slice());
  }

  get destroyed(): boolean {
    return this.closed;
  }

  /** All bytes that came, one by one; a test may take some of them away. */
  get received(): number[] {
    for (const frame of this.#frames.splice(0)) for (const byte of frame) this.#received.push(byte);
    return this.#received;
  }

  set received(bytes: number[]) {
    this.#received = bytes;
    this.#frames = [];
  }

  /** The same in one piece, which costs less. */
  get bytes(): Buffer {
    return Buffer.concat([Uint8Array.from(this.#received), ...this.#frames]);
  }

  end(): void {
    this.closed = true;
  }

  destroy(): void {
    this.closed = true;
  }

  pause(): void {}
  resume(): void {}
}

export interface WorldOptions {
  mode?: SyncMode;
  limits?: Partial<Limits>;
  /** Order of completions; in order without it. */
  random?: Random;
  /** Growth of the log after which a checkpoint is saved, in bytes; default: one segment. */
  checkpointBytes?: number;
  /** The wall clock, which the test moves; without it, it stands still. */
  clock?: { wallMs: number };
  /** Rules, each as words: `7 rate=10`. */
  rules?: readonly string[];
  /** Memory for ids of messages; without it there is no bound. */
  idBytesMax?: number;
  /** Another journal in the place of the log's own, which it is given. */
  journal?: (log: FileLog) => Journal;
  /** The same of its segments. */
  space?: (log: FileLog) => SegmentSpace;
}

// Says what of the caches was used.
class CountingReplay extends Replay {
  readonly used = { segments: [] as number[], checkpoint: false };

  override known(segment: KnownSegment): void {
    this.used.segments.push(segment.base);
    super.known(segment);
  }

  override restore(checkpoint: Checkpoint): void {
    this.used.checkpoint = true;
    super.restore(checkpoint);
  }
}

/** One life of a broker. Time moves only by `advance`; callers wait with `settle`. */
export class World {
  readonly broker: Broker;
  readonly log: FileLog;
  readonly files: MemoryFiles;
  readonly recovered: Recovered;
  readonly notes: string[];
  /** Segments that the start did not read, and whether it believed a checkpoint. */
  readonly used: { segments: number[]; checkpoint: boolean };
  readonly random: Random | undefined;
  failure: Error | undefined;
  #nowMs = 0;
  #later: (() => void)[];

  private constructor(parts: {
    files: MemoryFiles;
    log: FileLog;
    foreground: ForegroundTraffic;
    recovered: Recovered;
    state: ReturnType<typeof createState>;
    options: WorldOptions;
    later: (() => void)[];
    notes: string[];
    used: World['used'];
  }) {
    const { files, log, foreground, recovered, state, options, later, notes } = parts;
    this.used = parts.used;
    this.files = files;
    this.log = log;
    this.recovered = recovered;
    this.random = options.random;
    this.notes = notes;
    this.#later = later;
    this.broker = new Broker({
      ...state,
      codec,
      log: {
        ...log.ports,
        journal: options.journal?.(log) ?? log,
        space: options.space?.(log) ?? log,
      },
      foreground,
      limits: { ...LIMITS, ...options.limits },
      notices: { notice: (_level, _kind, text) => void notes.push(text) },
      wake: {
        soon: () => void later.push(() => this.broker.flush()),
        rest: () => void later.push(() => this.broker.rested()),
        stirred: () => this.broker.reportMs,
      },
      wallMs: () => options.clock?.wallMs ?? TIME_MS,
      ...(options.rules === undefined ? {} : { ruleTable: rulesOf(...options.rules) }),
      strict: (options.mode ?? 'commit') === 'commit',
      onFailed: (failure) => {
        this.failure = failure;
      },
    });
    log.listen({
      segmentChanged: () => this.broker.segmentChanged(),
      failed: (failure) => this.broker.failed(failure),
      wrote: () => {},
    });
  }

  static async open(files: MemoryFiles, options: WorldOptions = {}): Promise<World> {
    forgetRules(codec);
    const state = createState(7);
    state.ids.bytesMax = options.idBytesMax ?? state.ids.bytesMax;
    const replay = new CountingReplay(state);
    const later: (() => void)[] = [];
    const notes: string[] = [];
    const settings = logOptions(files, indexOf(files), options, later, notes);
    const foreground = new ForegroundTraffic();
    let opening = true;
    const soon = (call: () => void) => (opening ? void setImmediate(call) : void later.push(call));
    const opened = await FileLog.open({ ...settings, soon, foreground }, replay);
    opening = false;
    const { log, recovered, resume } = opened;
    if (options.random !== undefined) files.auto = false;
    const { used } = replay;
    const parts = { files, log, foreground, recovered, state, options, later, notes };
    const world = new World({ ...parts, used });
    world.broker.resume(resume, replay.builder.inMemory);
    return world;
  }

  /** Goes on as the owner of a log that was followed until now, with this file's codec. */
  static takeOver(
    parts: Pick<World, 'files' | 'log' | 'recovered' | 'notes'> & {
      state: ReturnType<typeof createState>;
    },
    begin: Parameters<Broker['resume']>,
    options: WorldOptions = {},
  ): World {
    const foreground = new ForegroundTraffic();
    const used = { segments: [], checkpoint: false };
    const world = new World({ ...parts, foreground, options, later: [], used });
    world.broker.resume(...begin);
    return world;
  }

  /** Lets everything that can happen without time passing happen. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 2; idle++) {
      await this.files.settle(this.random);
      const calls = this.#later.splice(0);
      for (const call of calls) call();
      if (calls.length > 0) idle = -1;
    }
  }

  /** Runs what asked for another turn, without waiting for files. */
  turn(): void {
    for (const call of this.#later.splice(0)) call();
  }

  async advance(ms: number): Promise<void> {
    this.#nowMs += ms;
    this.broker.advance(this.#nowMs);
    await this.settle();
  }

  /** Publishes one wire batch; the acks arrive in `received` of the link. */
  publish(messages: Message[], link = new FakeLink()): FakeLink {
    const producer = this.broker.openProducer(link)!;
    const frame = encodeBatch(
      messages.map(({ bucket, body }) => ({ bucket: BigInt(bucket), body: bytesOf(body) })),
      'u64',
    );
    producer.receive(frame);
    return link;
  }

  /** Connects a consumer; deliveries arrive in `received` of the link. */
  consume(bucket: number, batchSize: number): { link: FakeLink; consumer: Consumer } {
    const link = new FakeLink();
    const consumer = this.broker.openConsumer(link)!;
    consumer.receive(encodeConsumerHeader({ consumerId: 1n, bucket: BigInt(bucket), batchSize }));
    return { link, consumer };
  }

  /** Everything a bucket delivers until it is empty; all of it is acked. */
  async drain(bucket: number): Promise<string[]> {
    const { link, consumer } = this.consume(bucket, 10_000);
    const bodies: string[] = [];
    for (;;) {
      await this.settle();
      const more = bodiesOf(link);
      if (more.length === 0) break;
      link.received = [];
      bodies.push(...more);
      consumer.receive(new Uint8Array(more.length).fill(1));
    }
    consumer.gone();
    return bodies;
  }

  /** An orderly stop. */
  async close(): Promise<MemoryFiles> {
    for (let i = 0; i < 100 && !this.broker.commit.drained; i++) {
      this.broker.commit.drain();
      await this.settle();
    }
    assert.ok(this.broker.commit.drained, 'the broker did not come to rest');
    const closed = this.log.close();
    await this.settle();
    await closed;
    assert.equal(this.files.openHandles, 0);
    return this.files.kill();
  }
}

export function logOptions(
  files: Files,
  indexFiles: Files,
  options: WorldOptions,
  later: (() => void)[],
  notes: string[],
): LogOptions {
  return {
    files,
    indexFiles,
    codec,
    sideCodec: () => sideCodec,
    crc32c,
    hashSeed: 7,
    checkpointDue: { bytes: options.checkpointBytes ?? SEGMENT_BYTES, sizes: 0 },
    mode: options.mode ?? 'commit',
    foreground: IDLE,
    segmentBytes: options.limits?.segmentBytes ?? SEGMENT_BYTES,
    spareBytes: 0,
    newLogId: LOG_ID,
    now: () => 0,
    wallMs: () => options.clock?.wallMs ?? TIME_MS,
    later: (call) => void later.push(call),
    soon: (call) => void setImmediate(call),
    shortDelay: (call) => void later.push(call),
    idleDelay: (call) => void setImmediate(call),
    note: (_level, text) => void notes.push(text),
    progress: () => {},
  };
}

/** Bodies of all messages in the delivery frames that a link received. */
export function bodiesOf(link: FakeLink): string[] {
  const { bytes } = link;
  const bodies: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    let count = bytes.readUInt32LE(at);
    for (at += 4; count > 0; count--) {
      const size = Number(bytes.readBigUInt64LE(at));
      at += 8;
      bodies.push(bytes.toString('latin1', at, at + size));
      at += size;
    }
  }
  return bodies;
}
