// One process of the simulated broker: the real core, log and module over the disk in memory, put
// together as server.ts does it, with every callback in queues that the world empties.

import assert from 'node:assert/strict';
import { INBOX_READ_BYTES, SEGMENT_DATA_AT } from '../../assembly/layout.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { Redrives } from '../../src/core/admin/redrives.ts';
import { Broker } from '../../src/core/broker.ts';
import { SequenceSet } from '../../src/core/collections/sequence-set.ts';
import { ForegroundTraffic } from '../../src/core/fairness/foreground.ts';
import { DEFAULT_LIMITS, type Limits } from '../../src/core/limits.ts';
import type { Codec } from '../../src/core/ports/codec.ts';
import type { CompactionRequest } from '../../src/core/ports/upkeep.ts';
import type { Settings } from '../../src/core/segments/settings.ts';
import { createState, type State } from '../../src/core/segments/state.ts';
import { TICK_MS } from '../../src/core/timing/alarm.ts';
import { FileLog } from '../../src/log/file-log.ts';
import type { Checkpoint } from '../../src/log/index/checkpoint.ts';
import type { Recovered } from '../../src/log/recovery/recovery.ts';
import { Replay } from '../../src/log/recovery/replay.ts';
import { segmentName } from '../../src/log/segments/segment.ts';
import { TRUST_MS } from '../../src/log/segments/watch.ts';
import { Folder } from '../support/folder.ts';
import type { MemoryFiles } from '../support/memory-files.ts';
import type { Checker } from './checker.ts';
import type { Taken } from './disk.ts';
import { Follower } from './follower.ts';
import type { SimRules } from './rules.ts';
import type { Trace } from './trace.ts';

/** What does not change from one life of a world to the next. */
export interface Setting {
  codec: Codec;
  sideCodec: Codec;
  checker: Checker;
  trace: Trace;
  limits: Limits;
  spareBytes: number;
  hashSeed: number;
  logId: bigint;
  slotsMax: number;
  releaseMax: number;
  /** Calls after which whoever follows messages breaks. */
  followedMax: number;
  /** Rules that are in force; undefined: a broker without any. */
  rules: SimRules | undefined;
  /** What the wall clock shows when a life begins, in ms since 1970; it may be set. */
  wall: { ms: number };
  /** Chances of what rules leave to it, from 0 to below 1. */
  jitter: () => number;
  /** The file that was moved away under the broker, if there is one. */
  taken: () => Taken | undefined;
  /** Called as the broker speaks, before it goes on. */
  noticed: (notice: Notice) => void;
}

export function limitsOf(segmentBytes: number, messageBytesMax: number): Limits {
  return {
    ...DEFAULT_LIMITS,
    messageBytesMax,
    segmentBytes,
    reserveBytes: 8192,
    // Peers of this world may take what time they like.
    consumerHeaderMs: 1e9,
    partialMessageMs: 1e9,
    deliveryBytesMax: 16 * 1024,
    deliveryBytesMaxU32: 8 * 1024,
  };
}

export interface Notice {
  level: string;
  kind: string;
  text: string;
  fields: { peer?: string; position?: number; sequence?: number; count?: number };
}

const LATE_MS = 100;
const FEW_ID_BYTES = 4000;
const RETRY_MS = 1000;
const LOOK_MS = 500;
const LATER_MS = 25;
const BREATH_MS = 1;
const PAUSE_MS = 4;

class CountingReplay extends Replay {
  /** What the checkpoint called settled; undefined: none was used. */
  checkpoint: SequenceSet | undefined;

  override restore(checkpoint: Checkpoint): void {
    this.checkpoint = new SequenceSet();
    for (const [number, bits] of checkpoint.settled) this.checkpoint.restore(number, bits?.slice());
    super.restore(checkpoint);
  }
}

export class Life {
  readonly files: MemoryFiles;
  readonly #setting: Setting;
  readonly #state: State;
  readonly #replay: CountingReplay;
  #soon: (() => void)[] = [];
  #timers: { dueMs: number; call: () => void }[] = [];
  #retryMs = 0;
  #lookMs = 0;
  #dueMs = 0; // when the broker is to be woken
  #wokenMs = 0;
  #slept = 0; // times it was not due
  nowMs = 0;
  broker!: Broker;
  redrives!: Redrives;
  log!: FileLog;
  recovered!: Recovered;
  /** The log failed: the process must end. */
  failure: Error | undefined;
  /** How the start ended; undefined: it has not. */
  opened: 'open' | Error | undefined;

  constructor(files: MemoryFiles, setting: Setting) {
    this.files = files;
    this.#setting = setting;
    this.#state = createState(setting.hashSeed, setting.slotsMax);
    if (setting.rules?.hasFewIds === true) this.#state.ids.bytesMax = FEW_ID_BYTES;
    this.#replay = new CountingReplay(this.#state);
    // A new process finds its memory empty.
    const { codec } = setting;
    codec.memory.fill(0, codec.coldBytes, codec.coldBytes + setting.limits.segmentBytes);
    this.#open().then(
      () => {
        this.opened = 'open';
      },
      (error: Error) => {
        this.opened = error;
      },
    );
  }

  /** Somebody has set the wall clock. */
  clockSet(): void {
    this.#dueMs = Math.min(this.#dueMs, this.nowMs + TICK_MS);
  }

  get wallMs(): number {
    return this.#setting.wall.ms + this.nowMs;
  }

  /** What was set while brokers ran. */
  get settings(): Settings {
    return this.#state.settings;
  }

  get idsOnDisk(): number {
    return this.#state.ids.countOnDisk;
  }

  get usedCheckpoint(): boolean {
    return this.#replay.checkpoint !== undefined;
  }

  /** The place in the module's memory that sockets read into. */
  get readInto(): Uint8Array {
    const { inbox } = this.#setting.codec;
    return inbox.subarray(inbox.length - Math.min(INBOX_READ_BYTES, inbox.length / 2));
  }

  async #open(): Promise<void> {
    const { codec, sideCodec, limits, spareBytes, hashSeed, logId } = this.#setting;
    const { segmentBytes } = limits;
    const foreground = new ForegroundTraffic();
    const opened = await FileLog.open(
      {
        files: this.files,
        indexFiles: new Folder(this.files, 'index'),
        codec,
        sideCodec: () => sideCodec,
        crc32c,
        hashSeed,
        checkpointDue: { bytes: segmentBytes, sizes: 0 },
        mode: 'commit',
        foreground,
        segmentBytes,
        spareBytes,
        newLogId: logId,
        now: () => this.nowMs,
        wallMs: () => this.wallMs,
        later: (call) => this.#after(LATER_MS, call),
        soon: (call) => void this.#soon.push(call),
        shortDelay: (call) => this.#after(BREATH_MS, call),
        idleDelay: (call) => this.#after(PAUSE_MS, call),
        note: (level, text) => this.#notice({ level, kind: 'log.note', text, fields: {} }),
        progress: () => {},
      },
      this.#replay,
    );
    this.log = opened.log;
    this.recovered = opened.recovered;
    this.#tap();
    this.broker = new Broker({
      ...this.#state,
      codec,
      log: this.log.ports,
      foreground,
      limits,
      notices: {
        notice: (level, kind, text, fields) =>
          this.#notice({ level, kind, text, fields: fields ?? {} }),
      },
      wake: {
        soon: () => void this.#soon.push(() => this.broker.flush()),
        rest: () => void this.#soon.push(() => this.broker.rested()),
        stirred: () => {
          this.#dueMs = Math.min(this.#dueMs, this.nowMs + TICK_MS);
          return this.nowMs;
        },
      },
      wallMs: () => this.wallMs,
      random: this.#setting.jitter,
      releaseMax: this.#setting.releaseMax,
      observer: new Follower(this.#setting.checker, this.#setting.followedMax),
      ruleTable: this.#setting.rules?.table,
      strict: true,
      onFailed: (failure) => {
        this.failure = failure;
      },
    });
    this.log.listen({
      segmentChanged: () => this.broker.segmentChanged(),
      failed: (failure) => this.broker.failed(failure),
      wrote: () => {},
    });
    const { checker } = this.#setting;
    const fates = this.#state.buckets.outcomes;
    const { checkpoint } = this.#replay;
    checker.check(() =>
      checker.recovered(opened.resume, this.log.startPosition, fates, checkpoint),
    );
    this.#tapDelays();
    this.#tapMoves();
    const { broker } = this;
    checker.isMoverFull = () => broker.mover.isFull;
    this.redrives = new Redrives({
      broker,
      wallMs: () => this.wallMs,
      soon: (call) => void this.#soon.push(call),
      after: (ms, call) => this.#after(ms, call),
    });
    this.#tapOverflow();
    this.broker.resume(opened.resume, this.#replay.builder.inMemory);
  }

  #notice(notice: Notice): void {
    this.#setting.trace.add(`notice ${notice.kind}: ${notice.text}`);
    this.#setting.noticed(notice);
  }

  #after(ms: number, call: () => void): void {
    this.#timers.push({ dueMs: this.nowMs + ms, call });
  }

  // Lets the checker see what goes into the log, and when it is called durable.
  #tap(): void {
    const { log } = this;
    const { codec, checker, trace } = this.#setting;
    const append = log.append.bind(log);
    log.append = (position, bytes, done) => {
      const base = log.bases().findLast((each) => each <= position)!;
      const at = codec.coldBytes + position - base;
      const given = codec.memory.subarray(at, at + bytes);
      trace.add(`append ${bytes} bytes at ${position}`);
      trace.bytes(given);
      checker.check(() => checker.append(position, given));
      append(position, bytes, (failure) => {
        trace.add(`appended ${failure?.message ?? ''}`);
        checker.check(() => checker.appended(failure, (from, size) => this.#onDisk(from, size)));
        done(failure);
      });
    };
    const compact = log.upkeep.compact.bind(log.upkeep);
    log.upkeep.compact = (request, done) => {
      checker.tally.add('compactions begun');
      trace.add(`compact ${request.bases.join(' ')}`);
      const end = log.bases().find((base) => base > request.bases.at(-1)!)!;
      checker.compacting = { base: request.bases[0]!, end };
      compact(this.#watched(request), (failure, smaller) => {
        if (failure === undefined) checker.compacting = undefined;
        trace.add(`compacted ${smaller} ${failure?.message ?? ''}`);
        if (failure !== undefined) checker.tally.add('compactions failed');
        done(failure, smaller);
      });
    };
  }

  // Lets it see what becomes of messages that failed: nothing else says when one is ready again.
  #tapDelays(): void {
    const { commit, buckets } = this.broker;
    const { checker } = this.#setting;
    const [defer, mark] = [commit.defer.bind(commit), commit.requeue.bind(commit)];
    commit.defer = (deferral) => {
      checker.check(() => checker.decisions.deferred(deferral));
      defer(deferral);
    };
    commit.requeue = (sequence, count, attempts) => {
      checker.check(() => checker.decisions.charged(sequence, count, attempts));
      mark(sequence, count, attempts);
    };
    const requeue = buckets.requeue.bind(buckets);
    buckets.requeue = (slice) => {
      checker.check(() => checker.decisions.requeued(slice.sequence, slice.count));
      requeue(slice);
    };
    const { delayed } = buckets;
    const readyAgain = delayed.readyAgain.bind(delayed);
    delayed.readyAgain = (low, high, kind, sequence, count) => {
      checker.check(() => checker.decisions.readyAgain(sequence, count));
      return readyAgain(low, high, kind, sequence, count);
    };
  }

  // Lets it see what is taken out of a line to be moved.
  #tapMoves(): void {
    const { settlement, mover, dying } = this.broker;
    const { checker } = this.#setting;
    const take = mover.take.bind(mover);
    mover.take = (part, order) => {
      const { sequence, count, attempts } = part;
      const to = typeof order.to === 'object' ? order.to.high * 2 ** 32 + order.to.low : undefined;
      const isTaken = take(part, order);
      const { reason } = order;
      if (isTaken)
        checker.check(() => checker.decisions.taken(sequence, count, attempts, { reason, to }));
      return isTaken;
    };
    const deliver = settlement.deliver.bind(settlement);
    settlement.deliver = (next, count, to) => {
      checker.check(() => checker.packs(next.sequence, count));
      return deliver(next, count, to);
    };
    const withdraw = settlement.withdraw.bind(settlement);
    settlement.withdraw = (next, count) => {
      checker.check(() => checker.decisions.withdrawn(next.sequence, count));
      return withdraw(next, count);
    };
    const discard = settlement.discard.bind(settlement);
    settlement.discard = (part, reason, by) => {
      checker.check(() => checker.decisions.discarded(part.sequence, part.count, reason));
      discard(part, reason, by);
    };
    const giveBack = settlement.giveBack.bind(settlement);
    settlement.giveBack = (part, charged, by) => {
      checker.check(() => checker.decisions.gaveBack(part.sequence, part.count, charged));
      giveBack(part, charged, by);
    };
    const rejected = dying.rejected.bind(dying);
    dying.rejected = (sequence, count) => {
      checker.check(() => assert.ok(mover.isFull, 'what was rejected goes back into its line'));
      rejected(sequence, count);
    };
  }

  // Lets it see what goes as it is too much, and that enough went.
  #tapOverflow(): void {
    const { settlement, buckets } = this.broker;
    const { delayed } = buckets;
    const { checker } = this.#setting;
    const drop = settlement.drop.bind(settlement);
    settlement.drop = (next, count, why) => {
      checker.check(() => checker.decisions.dropped(next.sequence, count, why));
      drop(next, count, why);
    };
    this.broker.onBatch(() => {
      // What has no room for its mark goes with a later batch.
      if (this.broker.commit.waitingMarks === Number.POSITIVE_INFINITY) return;
      for (const bucket of checker.lines.buckets) {
        const slot = buckets.find(bucket % 2 ** 32, Math.floor(bucket / 2 ** 32));
        if (slot === 0 || !buckets.isCounted(slot) || !delayed.isCounted(slot)) continue;
        if (buckets.peek(slot) !== undefined)
          checker.check(() => checker.decisions.bounded(bucket));
      }
    });
  }

  #watched(request: CompactionRequest): CompactionRequest {
    const { checker } = this.#setting;
    return {
      ...request,
      moved: (base, end, entries) => {
        checker.tally.add('compactions');
        const held = checker.check(() => checker.moved(base, end, entries));
        if (held > 0) checker.tally.add('compactions under held messages');
        this.#setting.trace.add(`moved ${base} to ${end}, ${held} held`);
        request.moved(base, end, entries);
      },
    };
  }

  // Bytes of the log as a power cut would leave them at worst.
  #onDisk(position: number, bytes: number): Uint8Array {
    const base = this.log.bases().findLast((each) => each <= position)!;
    const taken = this.#setting.taken();
    const name = segmentName(base);
    // A segment that is made anew, as the next one is after a failure, may have taken that name.
    const isTaken = taken?.name === name && this.files.durable(name) === undefined;
    if (isTaken && this.nowMs - taken.atMs > TRUST_MS)
      assert.fail(`acks go on ${this.nowMs - taken.atMs} ms after ${name} was moved away`);
    const durable = this.files.durable(isTaken ? taken.away : name);
    assert.ok(durable !== undefined, `the name ${segmentName(base)} is not on disk`);
    assert.ok(position - base >= SEGMENT_DATA_AT, 'a batch stands in a header');
    return durable.subarray(position - base, position - base + bytes);
  }

  // --- what the world lets happen ---------------------------------------------------------------

  get hasSoon(): boolean {
    return this.#soon.length > 0;
  }

  /** Work that waits for nothing but its turn. */
  get idle(): boolean {
    return this.#soon.length === 0 && this.#timers.length === 0 && this.files.pending.length === 0;
  }

  /** Asks for another turn of the event loop. */
  soon(call: () => void): void {
    this.#soon.push(call);
  }

  /** Runs what asked for another turn. */
  turn(): void {
    for (const call of this.#soon.splice(0)) call();
  }

  // The broker is not due. Now and then it is called all the same: it must find nothing to do.
  #sleepOn(): void {
    this.#slept++;
    if (this.#slept % 3 > 0) return;
    const before = this.#doings();
    this.#dueMs = this.broker.advance(this.nowMs);
    assert.deepEqual(this.#doings(), before, 'the broker slept although something was due');
  }

  // What time alone makes the broker do.
  #doings(): unknown {
    const { commit, counters, compaction } = this.broker;
    return [commit.reasons, counters.heartbeats, counters.closedConnections, compaction.dueMs].map(
      (each) => structuredClone(each),
    );
  }

  /** Time passes, at most 100 ms at once; the broker is woken when it said. */
  advance(ms: number): void {
    // A late tick, as after a standstill.
    if (ms >= LATE_MS && this.opened === 'open') this.broker.presence.stoodStill();
    this.nowMs += ms;
    const due = this.#timers.filter(({ dueMs }) => dueMs <= this.nowMs);
    this.#timers = this.#timers.filter(({ dueMs }) => dueMs > this.nowMs);
    due.sort((a, b) => a.dueMs - b.dueMs);
    for (const { call } of due) call();
    if (this.opened !== 'open') return;
    if (this.nowMs - this.#retryMs >= RETRY_MS) {
      this.#retryMs = this.nowMs;
      this.log.retry();
    }
    if (this.nowMs - this.#lookMs >= LOOK_MS) {
      this.#lookMs = this.nowMs;
      this.log.look();
    }
    if (this.nowMs < this.#dueMs) {
      this.#sleepOn();
      return;
    }
    this.#setting.checker.tally.add(this.#dueMs > this.#wokenMs + TICK_MS ? 'sleeps' : 'ticks');
    this.#wokenMs = this.nowMs;
    this.#dueMs = this.broker.advance(this.nowMs);
  }
}
