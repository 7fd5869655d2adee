// One node of the world: who owns is decided by the real Ownership; around it a small broker, which
// batches items, acks them and hands them out, and a disk, which may lose what it was writing, or
// hang. A whole broker can take the place of both: it is driven by the same effects.

import assert from 'node:assert/strict';
import { STREAM_BASE } from '../../../assembly/layout-cluster.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import type { CountedBatch, Place } from '../../../src/core/cluster/counting.ts';
import { Ownership } from '../../../src/core/cluster/ownership.ts';
import type { SegmentPlace } from '../../../src/core/cluster/segment-places.ts';
import {
  BATCH_BYTES_MAX,
  DATA_AT,
  type Item,
  itemsOf,
  LOG_ID,
  nextSegment,
  SEGMENT_BYTES,
} from './batches.ts';
import type { Clock } from './clock.ts';
import { Pipeline } from './pipeline.ts';
import { Connection, type SimStream } from './stream.ts';
import { sameBytes } from './stream-truth.ts';
import type { Truth } from './truth.ts';

export const TTL_MS = 2000;
export const OWN_MS = 1200;
export const BEAT_MS = 500;
const TICK_MS = 50;

/** What survives the process. */
interface Disk {
  readonly batches: Map<number, Uint8Array>;
  end: number;
  place: Place | undefined;
  segments: readonly SegmentPlace[];
}

export interface NodeWorld {
  readonly clock: Clock;
  readonly stream: SimStream;
  readonly truth: Truth;
  readonly isImpatient: boolean;
  /** How much longer it is from one thing to the next that clients do. */
  readonly pace: number;
  /** How many batches an owner has under way. */
  readonly depth: number;
  readonly inFlightBytes: number;
  stopped(node: number, code: number, why: string): void;
}

export class SimNode {
  readonly number: number;
  readonly #world: NodeWorld;
  readonly #rate: number;
  readonly #startMs: number;
  #disk: Disk = { batches: new Map(), end: DATA_AT, place: undefined, segments: [] };
  #log: Item[] = [];
  #next = 0;
  #life = 0;
  #isUp = false;
  #isPaused = false;
  #isHung = false;
  #isSlow = false;
  #waiting: (() => void)[] = [];
  #ownership: Ownership | undefined;
  #connection: Connection | undefined;
  #isServing = false;
  #epoch = 0;
  #pipeline: Pipeline | undefined;
  #isWriting = false;
  #rejoins = false;
  #torn: (() => void) | undefined;
  #salt = 0;
  #told = 0;
  #baseHeard = '';
  stoppedWith: number | undefined;

  constructor(world: NodeWorld, number: number) {
    this.#world = world;
    this.number = number;
    this.#rate = world.clock.between(0.99, 1.01);
    this.#startMs = world.clock.between(0, 1e6);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get isServing(): boolean {
    return this.#isUp && this.#isServing;
  }

  get isHung(): boolean {
    return this.#isHung;
  }

  get end(): number {
    return this.#disk.end;
  }

  get sequence(): number {
    return this.#ownership?.sequence ?? 0;
  }

  get says(): string {
    const hung = this.#isHung ? ', hung' : '';
    const writing = this.#isWriting ? ', writing' : '';
    const state = this.#isUp ? this.#ownership!.state : 'down';
    return `${this.number}: ${state}, epoch ${this.#ownership?.epoch}, ${this.#disk.end}${hung}${writing}`;
  }

  /** The process starts, from what is on its disk. */
  start(): void {
    const { clock, stream } = this.#world;
    const life = ++this.#life;
    this.#isUp = true;
    this.#connection = new Connection(stream, (what) => this.#enter(life, what));
    this.#ownership = new Ownership({
      stream: this.#connection,
      effects: this.#effects(life),
      logId: LOG_ID,
      crc32c,
      nextSegment,
      batchBytesMax: BATCH_BYTES_MAX,
      clockMs: () => this.#clockMs(),
      node: this.number,
      json: new TextEncoder().encode(JSON.stringify({ node: this.number, life })),
      beginning: DATA_AT,
      ttlMs: TTL_MS,
      rankMs: this.number * 150,
      jitterMs: () =>
        this.#world.isImpatient ? clock.between(-TTL_MS - 300, 100) : clock.between(0, 100),
      ownMs: OWN_MS,
      beatMs: BEAT_MS,
      partBytes: 50,
      inFlightBytes: this.#world.inFlightBytes,
      queueBytes: 600,
      isIdle: () => !this.#isWriting && this.#pipeline?.isIdle !== false,
      isAble: () => !this.#isHung,
    });
    this.#join();
    const every = (ms: () => number, what: () => void) => {
      const again = () => {
        if (life !== this.#life) return;
        this.#enter(life, what);
        clock.after(ms(), again);
      };
      clock.after(ms(), again);
    };
    every(
      () => TICK_MS / this.#rate,
      () => this.#ownership!.tick(this.#clockMs()),
    );
    every(
      () => clock.between(5, 40) * this.#world.pace,
      () => this.#deliver(),
    );
  }

  /** kill -9, or the power goes: what was being written is there, or not. */
  crash(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#life++;
    if (this.#torn !== undefined && !this.#isHung) {
      if (this.#world.clock.chance(0.5)) this.#torn();
      else this.#world.clock.count('torn tails');
    }
    this.#torn = undefined;
    this.#ownership!.end();
    this.#connection!.close();
    this.#forget();
    this.#waiting = [];
    this.#isPaused = false;
    this.#isHung = false;
    this.#isWriting = false;
    this.#rejoins = false;
  }

  pause(): void {
    this.#isPaused = true;
  }

  goOn(): void {
    this.#isPaused = false;
    for (const what of this.#waiting.splice(0)) what();
  }

  /** Its disk is slow, or not any more. */
  slow(isSlow: boolean): void {
    this.#isSlow = isSlow;
  }

  hang(): void {
    this.#isHung = this.#isUp;
  }

  cut(isCut: boolean): void {
    if (this.#connection !== undefined) this.#connection.isCut = isCut;
  }

  /** An item of a producer that takes this node for the owner. */
  send(item: Item): void {
    this.#enter(this.#life, () => {
      if (this.#isServing) this.#pipeline!.take(item);
    });
  }

  /** Tells of a base, of which there is none: all that counts is that it is told once. */
  tell(): void {
    this.#enter(this.#life, () => {
      const ownership = this.#ownership!;
      if (!this.#isServing || !/owning|doubting|suspended/.test(ownership.state)) return;
      const json = JSON.stringify({ epoch: ownership.epoch, base: ++this.#told });
      const counts = () => this.#world.clock.count('told of bases');
      ownership.base(new TextEncoder().encode(json), (failure) => failure ?? counts());
    });
  }

  /** Nothing before a segment is needed any more. */
  trim(): void {
    this.#enter(this.#life, () => {
      if (!this.#isServing) return;
      const { clock } = this.#world;
      const keep = clock.chance(0.1) ? clock.random.below(3) : 20 + clock.random.below(20);
      const segment = Math.floor(this.#disk.end / SEGMENT_BYTES) - keep;
      if (segment > 0) this.#ownership!.trimmed(segment * SEGMENT_BYTES + DATA_AT);
    });
  }

  /** An orderly stop, if it owns and has nothing under way; or whatever it has, which is worse. */
  resign(): void {
    this.#enter(this.#life, () => {
      const { clock } = this.#world;
      const isBusy = this.#pipeline?.size !== 0 || this.#isWriting;
      const isOwning = /owning|doubting|suspended/.test(this.#ownership!.state);
      if (!this.#isServing || !isOwning || (isBusy && clock.chance(0.5))) return;
      clock.count(isBusy ? 'resigned at work' : 'resigned');
      this.#isServing = false;
      this.#pipeline!.close();
      this.#ownership!.resign(() => {
        this.crash();
        clock.after(clock.between(500, 3000), () => {
          if (!this.#isUp && this.stoppedWith === undefined) this.start();
        });
      });
    });
  }

  /** Everything on its disk is what counts, without a hole. */
  judge(): void {
    let at = Math.min(...this.#disk.batches.keys());
    for (const [position, bytes] of this.#disk.batches) {
      assert.equal(position, at, `node ${this.number} has a hole in its log`);
      this.#world.truth.holds(this.number, position, bytes);
      const end = position + bytes.length;
      at = this.#disk.batches.has(end) ? end : nextSegment(position);
    }
  }

  #clockMs(): number {
    return this.#startMs + this.#world.clock.nowMs * this.#rate;
  }

  #enter(life: number, what: () => void): void {
    if (life !== this.#life) return;
    if (this.#isPaused) this.#waiting.push(() => life === this.#life && what());
    else what();
  }

  #join(): void {
    const { end, place, segments } = this.#disk;
    const { clock } = this.#world;
    const isKnown = clock.chance(0.8);
    this.#baseHeard = '';
    this.#ownership!.join({ end, place: isKnown ? place : undefined, segments });
  }

  #effects(life: number) {
    const { clock } = this.#world;
    const soon = (what: () => void) =>
      clock.after(clock.between(0.1, 3), () => this.#enter(life, what));
    return {
      apply: (
        batches: readonly CountedBatch[],
        done: (failure: Error | undefined, count: number) => void,
      ) => this.#apply(life, batches[0]!, (failure) => done(failure, 1)),
      said: (kind: number, json: Uint8Array) => {
        if (kind === STREAM_BASE) this.#hearBase(json);
      },
      campaign: () => {
        clock.count('campaigns');
        soon(() => {
          if (this.#ownership!.state === 'campaigning') this.#begin(life);
        });
      },
      own: (epoch: number) => {
        clock.count('took over');
        this.#epoch = epoch;
        this.#isServing = true;
      },
      suspend: () => clock.count('suspended'),
      goOn: () => clock.count('went on'),
      depose: () => {
        clock.count('deposed');
        const isNeeded = !this.#isServing || this.#world.truth.epoch > this.#epoch;
        assert.ok(isNeeded, `node ${this.number} gives up, and nobody else owns`);
        this.#forget();
        this.#again(soon);
      },
      rebuild: () => {
        clock.count('rebuilt');
        this.#forget();
        this.#log = [];
        this.#next = 0;
        this.#disk = { batches: new Map(), end: DATA_AT, place: undefined, segments: [] };
        this.#again(soon);
      },
      stop: (code: number, why: string) => {
        this.stoppedWith = code;
        this.#world.stopped(this.number, code, why);
        this.crash();
      },
    };
  }

  #forget(): void {
    this.#isServing = false;
    this.#pipeline?.end();
    this.#pipeline = undefined;
  }

  // Joins anew once its disk is at rest.
  #again(soon: (what: () => void) => void): void {
    if (this.#isWriting) this.#rejoins = true;
    else soon(() => this.#join());
  }

  #hearBase(json: Uint8Array): void {
    const { epoch, base } = JSON.parse(new TextDecoder().decode(json));
    const heard = `${String(epoch).padStart(6)}:${String(base).padStart(6)}`;
    assert.ok(heard > this.#baseHeard, `base ${heard} after ${this.#baseHeard}`);
    this.#baseHeard = heard;
  }

  #apply(life: number, batch: CountedBatch, done: (failure: Error | undefined) => void): void {
    const { truth, clock } = this.#world;
    const { position, bytes, place } = batch;
    truth.holds(this.number, position, bytes);
    const known = this.#disk.batches.get(position);
    if (known !== undefined) {
      assert.ok(sameBytes(bytes, known), `node ${this.number} has others at ${position}`);
      clock.count('compared');
      clock.after(0.1, () => this.#enter(life, () => done(undefined)));
    } else this.#write(life, position, bytes, place, () => done(undefined));
  }

  #write(life: number, position: number, bytes: Uint8Array, place: Place, done: () => void): void {
    const { clock, truth } = this.#world;
    const disk = this.#disk;
    const isEmpty = disk.batches.size === 0;
    assert.ok(
      isEmpty || position === disk.end,
      `node ${this.number}: ${position}, not ${disk.end}`,
    );
    assert.ok(!this.#isWriting, 'one write at a time');
    truth.holds(this.number, position, bytes);
    this.#isWriting = true;
    const segments = this.#ownership!.segments.slice();
    const written = () => {
      disk.batches.set(position, bytes);
      disk.end = place.end;
      if (clock.chance(0.3)) {
        disk.place = place;
        disk.segments = segments.filter(({ sequence }) => sequence <= place.sequence);
      }
      for (const item of itemsOf(bytes)) this.#log.push(item);
    };
    this.#torn = written;
    if (this.#isHung) {
      clock.count('hung writes');
      return;
    }
    clock.after(this.#isSlow ? clock.between(300, 2500) : clock.between(0.2, 8), () => {
      if (life !== this.#life) return;
      this.#torn = undefined;
      written();
      this.#enter(life, () => {
        this.#isWriting = false;
        if (this.#rejoins) this.#join();
        else done();
        this.#rejoins = false;
      });
    });
  }

  // Its first batch is the start; what it has to say besides may come right behind it.
  #begin(life: number): void {
    const { clock, truth, depth } = this.#world;
    const ownership = this.#ownership!;
    const pipeline = new Pipeline({
      clock,
      depth,
      position: this.#disk.end,
      salt: () => this.number * 1e6 + life * 1000 + ++this.#salt,
      publish: (...batch) => ownership.publish(...batch),
      place: () => ownership.placeAt(Infinity)!,
      write: (position, bytes, place, done) =>
        this.#write(life, position, bytes, place, () => {
          assert.equal(ownership.placeAt(this.#disk.end), place, 'where the disk stands');
          done();
        }),
      written: (items) => {
        for (const item of items) truth.ack(item);
        clock.count('acked', items.length);
      },
    });
    this.#pipeline = pipeline;
    for (let i = clock.random.below(depth); i >= 0; i--) pipeline.empty();
  }

  // As long as nobody settles anything, something can be handed out.
  #deliver(): void {
    const { truth, clock } = this.#world;
    const ownership = this.#ownership!;
    if (!ownership.mayDeliver(this.#clockMs()) || this.#log.length === 0) return;
    clock.count('delivered');
    while (this.#next < this.#log.length - 1 && truth.delivered.has(this.#log[this.#next]!))
      this.#next++;
    const item = this.#log[this.#next]!;
    truth.deliver(this.number, ownership.epoch, item);
  }
}
