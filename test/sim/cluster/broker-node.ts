// A node of the world with a whole broker: the real ownership, follower, journal and broker, on a
// disk in memory, put together as a node does it. What an owner had in memory is thrown away when
// it is deposed: its log is closed once its disk is at rest, opened again as a copy, and follows.

import assert from 'node:assert/strict';
import {
  FLAG_LAST,
  RECORD_FLAGS_AT,
  RECORD_HEADER_BYTES,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import { Standing } from '../../../src/cluster/standing.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { PlainCodec } from '../../../src/codec/plain.ts';
import { Broker } from '../../../src/core/broker.ts';
import type { CountedBatch } from '../../../src/core/cluster/counting.ts';
import { Ownership } from '../../../src/core/cluster/ownership.ts';
import type { OwnershipEffects } from '../../../src/core/cluster/ownership-options.ts';
import type { Session } from '../../../src/core/connections/session.ts';
import { ForegroundTraffic } from '../../../src/core/fairness/foreground.ts';
import type { Failure, Position } from '../../../src/core/ports/basics.ts';
import type { Link } from '../../../src/core/ports/link.ts';
import { createState, type State } from '../../../src/core/segments/state.ts';
import { TICK_MS as BROKER_TICK_MS } from '../../../src/core/timing/alarm.ts';
import { LogError } from '../../../src/log/files/errors.ts';
import { type Applied, Follower, type TakenOver } from '../../../src/log/following/follower.ts';
import {
  type Publisher,
  ShippedJournal,
  ShippedSpace,
} from '../../../src/log/following/shipped-journal.ts';
import type { LogOptions } from '../../../src/log/recovery/log-options.ts';
import { BrokerDisk } from './broker-disk.ts';
import { LIMITS, rules, SHAPE } from './broker-log.ts';
import type { BrokerTruth, Handing } from './broker-truth.ts';
import type { Clock } from './clock.ts';
import { BEAT_MS, OWN_MS, TTL_MS } from './node.ts';
import { Connection, type SimStream } from './stream.ts';
import { sameBytes } from './stream-truth.ts';

const TICK_MS = 50;
const RETRY_MS = 1000;
const LATE_MS = 100;
const WALL_MS = 1_700_000_000_000;

export interface BrokerWorld {
  readonly clock: Clock;
  readonly stream: SimStream;
  readonly truth: BrokerTruth;
  readonly isImpatient: boolean;
  stopped(node: BrokerNode, code: number, why: string): void;
  /** Something went wrong where nobody waits for it. */
  fail(error: Error): void;
}

/** A log as it is opened once, and what is made of it: dropped as a whole. */
interface Form {
  readonly name: string;
  readonly follower: Follower;
  readonly state: State;
  readonly foreground: ForegroundTraffic;
  broker: Broker | undefined;
  journal: ShippedJournal | undefined;
  dueMs: number;
  /** What uses its files and was not begun by the log itself. */
  writing: number;
  isOver: boolean;
}

export class BrokerNode {
  readonly number: number;
  readonly disk: BrokerDisk;
  readonly #world: BrokerWorld;
  readonly #rate: number;
  readonly #startMs: number;
  readonly #skewMs: number;
  readonly #codec: PlainCodec;
  readonly #sideCodec: PlainCodec;
  // What survives the process beside the log.
  readonly #saved = new Standing(undefined, []);
  #life = 0;
  #forms = 0;
  #isUp = false;
  #isPaused = false;
  #waiting: (() => void)[] = [];
  #ownership: Ownership | undefined;
  #connection: Connection | undefined;
  #form: Form | undefined;
  #rests: (() => void) | undefined;
  #epoch = 0;
  #isServing = false;
  #tickedMs = 0;
  #retriedMs = 0;
  #ends: (() => void)[] = [];
  stoppedWith: number | undefined;

  constructor(world: BrokerWorld, number: number) {
    const { clock } = world;
    this.#world = world;
    this.number = number;
    this.#rate = clock.between(0.99, 1.01);
    this.#startMs = clock.between(0, 1e6);
    this.#skewMs = clock.between(-50, 50);
    this.disk = new BrokerDisk(clock);
    const sizes = { inboxBytes: 1 << 16, outboxBytes: 1 << 16, coldBytes: 1 << 17 };
    this.#codec = new PlainCodec({ ...sizes, ringBytes: LIMITS.segmentBytes });
    this.#sideCodec = new PlainCodec({ ...sizes, ringBytes: LIMITS.segmentBytes });
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get isServing(): boolean {
    return this.#isUp && this.#isServing;
  }

  get isHung(): boolean {
    return this.disk.isHung;
  }

  get broker(): Broker | undefined {
    return this.isServing ? this.#form?.broker : undefined;
  }

  /** Behind what is on its disk. */
  get end(): number {
    return this.#form?.journal?.syncedPosition ?? this.#form?.follower.end ?? 0;
  }

  /** Of a copy: what its state says. */
  get copy(): { state: State; next: number; end: number } | undefined {
    const form = this.#form;
    if (form === undefined || form.journal !== undefined) return undefined;
    return { state: form.state, next: form.follower.sequence, end: form.follower.end };
  }

  get says(): string {
    const { state = 'down', epoch = 0, sequence = 0 } = this.#ownership ?? {};
    const hung = this.isHung ? ', hung' : '';
    const role = this.#isUp ? `${state}, epoch ${epoch}, heard ${sequence}` : 'down';
    const writing = this.#form?.writing ?? 0;
    return `${this.number}: ${role}, ${this.end}${hung}, ${writing} under way`;
  }

  // --- the process ------------------------------------------------------------------------------

  start(): void {
    const { stream } = this.#world;
    const life = ++this.#life;
    this.#isUp = true;
    this.#connection = new Connection(stream, (what) => this.enter(life, what));
    this.#ownership = this.#owns(life);
    this.#open();
    this.#every(TICK_MS / this.#rate, () => this.#tick());
    this.#every(BROKER_TICK_MS / this.#rate, () => this.#wake());
  }

  #owns(life: number): Ownership {
    const { clock } = this.#world;
    const jitterMs = () =>
      this.#world.isImpatient ? clock.between(-TTL_MS - 300, 100) : clock.between(0, 100);
    return new Ownership({
      stream: this.#connection!,
      effects: this.#effects(),
      logId: SHAPE.logId,
      crc32c,
      nextSegment: SHAPE.nextSegment,
      batchBytesMax: LIMITS.segmentBytes,
      clockMs: () => this.#clockMs(),
      node: this.number,
      json: new TextEncoder().encode(JSON.stringify({ node: this.number, life })),
      beginning: SHAPE.beginning,
      ttlMs: TTL_MS,
      rankMs: this.number * 150,
      jitterMs,
      ownMs: OWN_MS,
      beatMs: BEAT_MS,
      partBytes: 3000,
      inFlightBytes: 12_000,
      queueBytes: 100_000,
      isIdle: () => this.#form?.writing === 0,
      isAble: () => !this.isHung && this.#form?.follower.log.blocked() === undefined,
    });
  }

  #every(ms: number, what: () => void): void {
    const { clock } = this.#world;
    const life = this.#life;
    const again = () => {
      if (life !== this.#life) return;
      this.enter(life, what);
      clock.after(ms, again);
    };
    clock.after(ms, again);
  }

  /** Runs what comes in at a life of the process, which may be paused, or gone. */
  enter(life: number, what: () => void): void {
    if (life !== this.#life || !this.#isUp) return;
    if (this.#isPaused) this.#waiting.push(() => this.enter(life, what));
    else what();
  }

  #after(ms: number, call: () => void): void {
    const life = this.#life;
    this.#world.clock.after(ms, () => this.enter(life, call));
  }

  #clockMs(): number {
    return this.#startMs + this.#world.clock.nowMs * this.#rate;
  }

  #wallMs(): number {
    return Math.floor(WALL_MS + this.#skewMs + this.#world.clock.nowMs * this.#rate);
  }

  /** kill -9, or the power goes. */
  crash(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#life++;
    this.#ownership!.end();
    this.#connection!.close();
    this.#form = undefined;
    this.#rests = undefined;
    this.#isServing = false;
    this.#waiting = [];
    this.#isPaused = false;
    this.disk.crash();
    for (const call of this.#ends.splice(0)) call();
  }

  pause(): void {
    this.#isPaused = true;
    this.disk.isPaused = true;
  }

  goOn(): void {
    this.#isPaused = false;
    this.disk.isPaused = false;
    for (const what of this.#waiting.splice(0)) what();
  }

  slow(isSlow: boolean): void {
    this.disk.isSlow = isSlow;
  }

  hang(): void {
    this.disk.isHung = true;
  }

  cut(isCut: boolean): void {
    if (this.#connection !== undefined) this.#connection.isCut = isCut;
  }

  // --- the log ----------------------------------------------------------------------------------

  #open(): void {
    const { clock } = this.#world;
    const life = this.#life;
    const codec = this.#codec;
    // Nothing of what was there before may be taken for what the segment holds.
    codec.memory.fill(0, codec.coldBytes, codec.coldBytes + LIMITS.segmentBytes);
    const state = createState(this.number * 31 + life);
    const foreground = new ForegroundTraffic();
    const name = `${this.number}.${life}.${++this.#forms}`;
    const log = this.#logOptions(foreground);
    const { segmentEntriesMax } = LIMITS;
    Follower.open({ log, state, segmentEntriesMax }).then(
      (follower) =>
        this.enter(life, () => {
          const none = { broker: undefined, journal: undefined, dueMs: 0, writing: 0 };
          this.#form = { name, follower, state, foreground, ...none, isOver: false };
          clock.count('copies opened');
          this.#join();
        }),
      (error: Error) => this.#opened(life, error),
    );
  }

  #opened(life: number, error: Error): void {
    if (life !== this.#life) return;
    const isTorn = error instanceof LogError && error.code === 'damaged';
    if (this.disk.hasFailed || /ENOSPC/.test(error.message))
      this.enter(life, () => this.#stop(74, error.message));
    else if (isTorn && this.#saved.place === undefined) this.enter(life, () => this.#heal());
    else this.#world.fail(new Error(`node ${this.number} cannot open its log: ${error.stack}`));
  }

  // It does not remember what of its log was synced: that is set aside, and begun anew.
  #heal(): void {
    this.#world.clock.count('set aside');
    this.disk.empty();
    this.#open();
  }

  #logOptions(foreground: ForegroundTraffic): LogOptions {
    const { clock } = this.#world;
    return {
      files: this.disk.files,
      indexFiles: this.disk.folder('index'),
      codec: this.#codec,
      sideCodec: () => this.#sideCodec,
      crc32c,
      hashSeed: this.number * 1000 + this.#life,
      checkpointDue: { bytes: LIMITS.segmentBytes, sizes: 0 },
      mode: 'commit',
      foreground,
      segmentBytes: LIMITS.segmentBytes,
      spareBytes: 0,
      newLogId: SHAPE.logId,
      syncedTo: this.#saved.place?.end,
      now: () => this.#clockMs(),
      wallMs: () => this.#wallMs(),
      later: (call) => this.#after(25, call),
      soon: (call) => this.#after(clock.between(0, 0.1), call),
      shortDelay: (call) => this.#after(1, call),
      idleDelay: (call) => this.#after(4, call),
      note: () => {},
      progress: () => {},
    };
  }

  #join(): void {
    const isKnown = this.#world.clock.chance(0.8);
    const { place, segments } = this.#saved;
    const { end } = this.#form!.follower;
    assert.ok(place === undefined || place.end <= end, 'it remembers more than its log has');
    this.#ownership!.join({ end, place: isKnown ? place : undefined, segments });
  }

  // Remembered now and then. What was published may not be on this disk yet.
  #stand(form: Form): void {
    if (form.isOver || !this.#world.clock.chance(0.3)) return;
    if (this.#ownership === undefined) return;
    this.#saved.note(this.#ownership, form.journal?.syncedPosition ?? form.follower.end);
  }

  // --- what ownership brings about --------------------------------------------------------------

  #effects(): OwnershipEffects {
    const { clock } = this.#world;
    return {
      apply: (batches, done) => this.#apply(this.#form!, batches, done),
      said: () => {},
      campaign: (epoch) => this.#campaign(this.#form!, epoch),
      own: (epoch) => {
        clock.count('took over');
        assert.equal(epoch, this.#epoch);
        this.#isServing = true;
      },
      suspend: () => {
        clock.count('suspended');
        this.#form!.broker!.suspend();
      },
      goOn: () => {
        clock.count('went on');
        this.#form!.broker!.goOn();
      },
      depose: (why) => {
        clock.count(this.#isServing ? 'deposed' : 'not first');
        this.#drop(why, () => this.#open());
      },
      rebuild: (why) => {
        clock.count('rebuilt');
        this.#drop(why, () => {
          this.disk.empty();
          this.#saved.begin(undefined);
          this.#open();
        });
      },
      stop: (code, why) => this.#stop(code, why),
    };
  }

  #apply(form: Form, batches: readonly CountedBatch[], done: Applied): void {
    const { clock, truth } = this.#world;
    const { follower } = form;
    const { position, bytes } = batches[0]!;
    for (const batch of batches) truth.holds(this.number, batch.position, batch.bytes);
    if (position < follower.end) {
      clock.count('compared');
      this.#after(0.1, () => done(undefined, 1));
      const { log } = follower;
      if (position < log.bases().at(-1)!) return;
      const here = log.placeOf(position, bytes.length);
      assert.ok(sameBytes(here, bytes), `node ${this.number} has others at ${position}`);
      return;
    }
    form.writing++;
    const given = [...batches];
    follower.apply(batches, (failure, count) => {
      clock.count('applied');
      if (count > 1) clock.count('applied together');
      for (const each of given.slice(0, count))
        this.disk.holds(each.position, each.bytes, follower.log.bases());
      if (failure === undefined)
        assert.equal(follower.end, given[count - 1]!.place.end, 'both know where the next goes');
      this.#wrote(form);
      if (!form.isOver) done(failure, count);
      if (failure === undefined) this.#stand(form);
    });
  }

  #wrote(form: Form): void {
    form.writing--;
    if (form.writing > 0 || !form.isOver) return;
    const rests = this.#rests;
    this.#rests = undefined;
    rests?.();
  }

  #campaign(form: Form, epoch: number): void {
    this.#world.clock.count('campaigns');
    this.#epoch = epoch;
    form.writing++;
    form.follower.takeOver(epoch, (failure, taken) => {
      const isWanted = !form.isOver && this.#ownership!.state === 'campaigning';
      if (isWanted && failure === undefined) this.#begin(form, taken!);
      else if (isWanted) this.#stop(74, failure!.message);
      this.#wrote(form);
    });
  }

  #begin(form: Form, taken: TakenOver): void {
    const { follower } = form;
    const { log } = follower;
    const publisher = this.#publisher(form);
    const local = {
      append: (position: Position, bytes: number, done: (failure: Failure) => void) =>
        this.#appendHere(form, position, bytes, done),
      stalled: () => log.stalled(),
      get syncedPosition() {
        return log.syncedPosition;
      },
      trim: (position: Position) => log.trim(position),
      get startPosition() {
        return log.startPosition;
      },
      placeOf: (position: Position, bytes: number) => log.placeOf(position, bytes),
      set epoch(epoch: number) {
        log.epoch = epoch;
      },
    };
    const soon = (call: () => void) => this.#after(0.01, call);
    // Batches go out one behind the other in some lives.
    const aheadBytes = this.#world.clock.chance(0.7) ? 300 : undefined;
    const journal = new ShippedJournal(local, publisher, soon, aheadBytes);
    form.journal = journal;
    const ports = { ...log.ports, journal, space: new ShippedSpace(log, publisher) };
    const broker: Broker = new Broker({
      ...(form.state as State<never>),
      codec: this.#codec,
      log: ports,
      foreground: form.foreground,
      limits: LIMITS,
      notices: { notice: () => {} },
      wake: {
        soon: () => this.#later(form, 0.01, () => broker.flush()),
        rest: (ms) => this.#later(form, ms, () => broker.rested()),
        stirred: () => {
          form.dueMs = Math.min(form.dueMs, this.#clockMs() + BROKER_TICK_MS);
          return this.#clockMs();
        },
      },
      wallMs: () => this.#wallMs(),
      nowMs: () => this.#clockMs(),
      random: () => this.#world.clock.between(0, 0.999),
      isLate: () => this.#isLate,
      mayDeliver: () => this.#ownership!.mayDeliver(this.#clockMs()),
      ruleTable: rules(),
      strict: true,
      onFailed: (failure) => {
        // Of one that is deposed nothing is confirmed any more.
        if (!/deposed|stopped/.test(this.#ownership!.state)) this.#stop(74, failure.message);
      },
    });
    form.broker = broker;
    log.listen({
      segmentChanged: () => {
        if (!form.isOver) broker.segmentChanged();
      },
      failed: (failure) => {
        if (!form.isOver) broker.failed(failure);
      },
      wrote: () => {},
    });
    broker.resume(taken.resume, taken.inMemory);
  }

  #later(form: Form, ms: number, call: () => void): void {
    this.#after(ms, () => {
      if (!form.isOver) call();
    });
  }

  #publisher(form: Form): Publisher {
    let underWay = 0;
    return {
      publish: (position, bytes, done) => {
        if (underWay++ > 0) this.#world.clock.count('published ahead');
        // Its commit record, which has no body, is its last.
        const flags = bytes[bytes.length - RECORD_HEADER_BYTES + RECORD_FLAGS_AT]!;
        this.#ownership!.publish(position, bytes, (flags & FLAG_LAST) !== 0, (failure) => {
          underWay--;
          done(failure);
        });
      },
      stalled: () => this.#ownership!.isFull || this.#ownership!.state === 'suspended',
      blocked: () => undefined,
      trimmed: (position) => {
        if (!form.isOver) this.#ownership!.trimmed(position + SEGMENT_DATA_AT);
      },
    };
  }

  // What is written here counts already; what is called done is on this disk.
  #appendHere(
    form: Form,
    position: Position,
    bytes: number,
    done: (failure: Failure) => void,
  ): void {
    const { log } = form.follower;
    const given = log.placeOf(position, bytes).slice();
    this.#world.truth.holds(this.number, position, given);
    form.writing++;
    log.append(position, bytes, (failure) => {
      if (failure === undefined) this.disk.holds(position, given, log.bases());
      done(failure);
      if (failure === undefined) this.#stand(form);
      this.#wrote(form);
    });
  }

  // The broker is over without a word to anybody; `then`: once nothing is on its way to the files.
  #drop(why: string, then: () => void): void {
    const form = this.#form!;
    const failure = new Error(why);
    this.#isServing = false;
    form.isOver = true;
    form.journal?.fail(failure);
    form.broker?.failed(failure);
    const life = this.#life;
    const close = () => {
      form.follower.close().then(
        () => this.enter(life, then),
        (error: Error) => this.#world.fail(error),
      );
    };
    if (form.writing > 0) this.#rests = close;
    else close();
  }

  /** Whether it stopped after its disk had failed. */
  hadBadDisk = false;

  #stop(code: number, why: string): void {
    this.stoppedWith = code;
    this.hadBadDisk = this.disk.hasFailed || /ENOSPC/.test(why);
    this.crash();
    this.#world.stopped(this, code, why);
  }

  // --- time -------------------------------------------------------------------------------------

  get #isLate(): boolean {
    return this.#clockMs() - this.#tickedMs >= LATE_MS;
  }

  #tick(): void {
    const nowMs = this.#clockMs();
    const form = this.#form;
    if (form?.journal === undefined) form?.follower.advance(nowMs);
    if (nowMs - this.#retriedMs >= RETRY_MS) {
      this.#retriedMs = nowMs;
      form?.follower.log.retry();
    }
    this.#ownership!.tick(nowMs);
  }

  #wake(): void {
    const nowMs = this.#clockMs();
    const form = this.#form;
    const broker = form?.broker;
    if (broker !== undefined && !form!.isOver) {
      if (this.#isLate) broker.presence.stoodStill();
      if (nowMs >= form!.dueMs) form!.dueMs = broker.advance(nowMs);
    }
    this.#tickedMs = nowMs;
  }

  // --- clients ----------------------------------------------------------------------------------

  /** The node as a client finds it that connects now. */
  host() {
    const life = this.#life;
    return {
      enter: (what: () => void) => this.enter(life, what),
      accept: (side: 'intake' | 'exhaust', link: Link) => this.#accept(side, link),
      handing: this.#handing(),
      mayDeliver: () => this.#mayDeliver(),
      onEnd: (call: () => void) => void this.#ends.push(call),
    };
  }

  #accept(side: 'intake' | 'exhaust', link: Link): Session | undefined {
    const broker = this.broker;
    if (broker === undefined) return undefined;
    const { connections } = broker;
    return side === 'intake' ? connections.acceptProducer(link) : connections.acceptConsumer(link);
  }

  #handing(): Handing {
    const self = this;
    return {
      node: this.number,
      get epoch() {
        return self.#epoch;
      },
      get life() {
        return self.#form?.name ?? '';
      },
      get wallMs() {
        return self.#wallMs();
      },
    };
  }

  #mayDeliver(): void {
    const may = this.#ownership!.mayDeliver(this.#clockMs());
    assert.ok(may, `${this.says} delivers, and may not`);
    assert.ok(!this.#form!.broker!.permission.isSuspended, `${this.says} is suspended`);
    this.#world.clock.count('delivered');
  }

  /** An orderly stop, as of a process that is told to end. */
  resign(): void {
    const form = this.#form;
    const { broker } = this;
    if (form === undefined || broker === undefined || this.#ownership!.state !== 'owning') return;
    broker.close();
    for (const consumer of broker.consumers) {
      consumer.closedFor = 'shutdown';
      consumer.link.destroy();
    }
    const look = (tries: number) => {
      if (form.isOver || this.#form !== form) return;
      broker.commit.drain();
      const isReady = broker.commit.drained && this.#ownership!.state === 'owning';
      if (!isReady && tries > 0) this.#after(20, () => look(tries - 1));
      else if (!isReady) this.crash();
      else {
        this.#world.clock.count('resigned');
        this.#ownership!.resign(() => this.#after(0, () => this.crash()));
      }
    };
    look(100);
  }
}
