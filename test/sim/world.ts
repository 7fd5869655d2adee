// A world with one seed: a broker that is started, used, hurt and killed again and again, its disk,
// its clock and its clients. Every choice comes from the seed; every event is in the trace.

import assert from 'node:assert/strict';
import { KIND_DEAD } from '../../assembly/layout-placed.ts';
import type { RedriveState } from '../../src/contract/dead-messages.ts';
import type { Codec } from '../../src/core/ports/codec.ts';
import { LogError } from '../../src/log/files/errors.ts';
import { MemoryFiles } from '../support/memory-files.ts';
import { Random } from '../support/random.ts';
import { Bodies } from './bodies.ts';
import { isOfCache } from './caches.ts';
import { chancesOf } from './chances.ts';
import { Checker } from './checker.ts';
import {
  ConsumerPeer,
  type Peer,
  ProducerPeer,
  type Surroundings,
  type Temper,
} from './clients.ts';
import { Disk } from './disk.ts';
import type { FaultKind } from './faults.ts';
import { BROKEN } from './follower.ts';
import { Life, limitsOf, type Notice, type Setting } from './life.ts';
import { LogSettings } from './log-settings.ts';
import { Repeats } from './repeats.ts';
import { leftOver, overdue, overstayed } from './rest.ts';
import { SimRules } from './rules.ts';
import { SimSettings } from './settings.ts';
import { Trace } from './trace.ts';
import { givable, SimVirtual } from './virtual.ts';

export interface SeededWorldOptions {
  seed: number;
  steps: number;
  faults: ReadonlySet<FaultKind>;
  codec: Codec;
  sideCodec: Codec;
  /** Prints every event. */
  print?: boolean;
}

const KIB = 1024;
const TIME_MS = 1_700_000_000_000;
const DAY_MS = 24 * 3_600_000;
// Nobody else has anything to do: so late a message may be ready.
const LATE_MS = 150;
const MESSAGE_BYTES_MAX = 2000;
const BACKLOG_MAX = 1500;
const HALF_OPEN_MS = 5000;
// Rounds of a rest, of 50 ms each.
const ROUNDS_MIN = 60;
const ROUNDS_MAX = 1000;
// So long messages go on dying in the end, where the dead go from bucket to bucket.
const CHAIN_ROUNDS = 50;
// A start, a stop or a rest that takes more events than this hangs.
const EVENTS_MAX = 20_000;
const TEMPERS: Temper[] = ['eager', 'eager', 'eager', 'mixed', 'holder', 'holder', 'silent'];

const microtasks = () => new Promise<void>((resolve) => setImmediate(resolve));

export class SeededWorld {
  readonly checker = new Checker();
  readonly trace: Trace;
  readonly #random: Random;
  readonly #faults: ReadonlySet<FaultKind>;
  readonly #disk: Disk;
  readonly #setting: Setting;
  readonly #bodies = new Bodies();
  readonly #buckets: number[];
  readonly #works: Random | undefined;
  readonly #steps: number;
  // Shares of 100 that publishing takes, by the time of the world.
  #publishing = 30;
  readonly #wall = { ms: TIME_MS };
  // Chances of what consumers say of time, and of the clock; undefined: neither happens.
  readonly #later: Random | undefined;
  // Chances of messages that die, and of what is given back; undefined: neither happens.
  readonly #deaths: Random | undefined;
  // Buckets that have sources; undefined: none has.
  readonly #virtual: SimVirtual | undefined;
  #life!: Life;
  #around!: Surroundings;
  // Buckets of which messages cannot be found or read, in this life.
  readonly #leftOut = new Set<number>();
  #producers: ProducerPeer[] = [];
  #consumers: ConsumerPeer[] = [];
  #vanished: { peer: Peer; atMs: number }[] = [];
  #nextLink = 1;
  /** Whether the last process ended as it should, and no power was lost. */
  #orderly = false;
  /** The process ends now, while names of files change. */
  #sudden = false;
  /** Steps done. */
  step = 0;

  constructor(options: SeededWorldOptions) {
    const random = new Random(options.seed);
    this.#random = random;
    this.#faults = options.faults;
    this.#steps = options.steps;
    this.trace = new Trace(options.print);
    this.#disk = new Disk(new MemoryFiles(), random, this.checker.tally, options.faults);
    const count = [1, 2, 5, 12, 40, 200][random.below(6)]!;
    this.#buckets = Array.from({ length: count }, (_, i) => (i % 4 === 3 ? 2 ** 40 + i : i));
    const limits = limitsOf([32, 32, 64][random.below(3)]! * KIB, MESSAGE_BYTES_MAX);
    const marksMax = [8, 50, limits.marksMax][options.seed % 3]!;
    this.checker.coalesces = marksMax < limits.marksMax;
    const chances = chancesOf(options.seed);
    const { later, deaths, leases, dedups, changes } = chances;
    this.#later = later;
    this.#deaths = deaths;
    if (chances.rules !== undefined) {
      this.#virtual = SimVirtual.draw(options.seed, this.#buckets);
      const rules = new SimRules(chances, chances.rules, this.#buckets, this.#virtual);
      rules.segmentBytes = limits.segmentBytes - limits.reserveBytes;
      const { checker } = this;
      checker.rules = rules;
      if (dedups !== undefined) checker.repeats = new Repeats(dedups, rules, checker.tally);
      rules.hasFewIds = dedups?.chance(0.2) === true;
      const free = this.#buckets.filter(rules.others);
      if (free.length > 0 && changes !== undefined) {
        rules.settings = new SimSettings(changes, free, checker.tally);
      }
      this.#works = leases;
    }
    this.checker.settings = LogSettings.of(chances, this.#buckets, this.checker);
    this.#setting = {
      codec: options.codec,
      sideCodec: options.sideCodec,
      checker: this.checker,
      trace: this.trace,
      limits: { ...limits, marksMax },
      spareBytes: random.chance(0.2) ? 128 * KIB : 0,
      hashSeed: random.next() | 0,
      logId: (BigInt(random.next()) << 32n) | BigInt(random.next()),
      slotsMax: [2, 10, 1 << 20][random.below(3)]!,
      releaseMax: [1, 7, 32_768][random.below(3)]!,
      followedMax: [Number.POSITIVE_INFINITY, 0, 1e9, 100][options.seed % 4]!,
      rules: this.checker.rules,
      wall: this.#wall,
      jitter: () => (later ?? leases).below(1000) / 1000,
      taken: () => this.#disk.taken,
      noticed: (notice) => this.checker.check(() => this.#noticed(notice)),
    };
  }

  get #tally() {
    return this.checker.tally;
  }

  /** Lives to the end; throws what was wrong first. */
  async run(): Promise<void> {
    try {
      while (this.step < this.#steps) {
        await this.#start();
        await this.#live();
        await this.#end();
      }
      await this.#finish();
    } catch (error) {
      throw this.checker.violation ?? error;
    }
    if (this.checker.violation !== undefined) throw this.checker.violation;
  }

  // A chance that is drawn whether or not the fault is allowed, so that worlds with fewer faults
  // stay alike.
  #strikes(kind: FaultKind, share: number): boolean {
    const strikes = this.#random.chance(share);
    return strikes && this.#faults.has(kind);
  }

  #ok(): void {
    this.checker.check(() => {
      for (const { model } of this.#consumers) this.checker.judgeLease(model);
    });
    if (this.checker.violation !== undefined) throw this.checker.violation;
  }

  // --- starts -----------------------------------------------------------------------------------

  async #start(): Promise<void> {
    for (;;) {
      const nestedAt = this.#strikes('nested', 0.25) ? this.#random.below(80) : -1;
      if (this.#random.chance(0.1)) this.#disk.arm();
      this.trace.add(`start, power to be lost at ${nestedAt}`);
      const life = new Life(this.#disk.files, this.#setting);
      this.#life = life;
      for (let events = 0; life.opened === undefined && events !== nestedAt; events++) {
        assert.ok(events < EVENTS_MAX, 'a start does not end');
        await this.#progress();
      }
      this.#ok();
      this.#disk.poll();
      if (life.opened === undefined) {
        this.#tally.add('nested');
        this.#cut();
      } else if (life.opened === 'open') break;
      else this.#refused(life.opened);
    }
    this.#opened();
  }

  // Whatever is next, as the event loop would take it.
  async #progress(): Promise<void> {
    const life = this.#life;
    if (life.hasSoon && this.#random.chance(0.5)) life.turn();
    else if (!this.#disk.step()) {
      if (life.hasSoon) life.turn();
      else life.advance(25);
    }
    await microtasks();
  }

  #refused(error: Error): void {
    this.trace.add(`refused: ${error.message}`);
    const refused = error instanceof LogError && error.code !== 'io';
    if (this.#disk.damaged && refused) {
      this.#tally.add('damage refused');
      this.#disk.repair();
    } else {
      const excused = this.#disk.struck.size > 0 && (!refused || this.#disk.struck.has('read'));
      if (!excused) throw new Error(`a start failed: ${error.message}`, { cause: error });
      this.#tally.add('starts failed');
    }
    this.#disk.heal();
    this.#disk.exit();
  }

  #opened(): void {
    const life = this.#life;
    const { checker } = this;
    this.trace.add('open');
    this.#tally.add('recoveries');
    if (life.usedCheckpoint) this.#tally.add('checkpoints used');
    if (life.recovered.cutBytes > 0) this.#tally.add('torn tails');
    const gone = (peer: Peer) => {
      this.#producers = this.#producers.filter((each) => each !== peer);
      this.#consumers = this.#consumers.filter((each) => each !== peer);
    };
    const [later, works, deaths] = [this.#later, this.#works, this.#deaths];
    this.#around = { life, checker, random: this.#random, later, works, deaths, gone };
    checker.now = () => life.nowMs;
    checker.settings?.opened(life);
    checker.wall = () => life.wallMs;
    this.#leftOut.clear();
    checker.knows = (bucket) => {
      if (this.#leftOut.has(bucket)) return false;
      const { buckets } = life.broker;
      const slot = buckets.find(bucket % 2 ** 32, Math.floor(bucket / 2 ** 32));
      if (slot === 0) return !buckets.isPartial;
      return buckets.isCounted(slot) && buckets.delayed.isCounted(slot);
    };
    this.#count();
  }

  // --- a life -----------------------------------------------------------------------------------

  async #live(): Promise<void> {
    const until = Math.min(this.#steps, this.step + 20 + this.#random.below(500));
    this.#sudden = false;
    while (this.step < until && this.#life.failure === undefined && !this.#sudden) {
      if (this.step % 60 === 0) this.#publishing = [5, 15, 30, 60][this.#random.below(4)]!;
      await this.#act();
      this.step++;
      this.#after();
    }
  }

  #after(): void {
    this.#ok();
    const { log, failure } = this.#life;
    this.#disk.poll();
    if (this.#disk.limited && (log.blocked() !== undefined || log.stalled())) this.#disk.wasFull();
    if (failure === undefined) this.#count();
  }

  // The broker's numbers are those of the model.
  #count(): void {
    const { counters, retention, buckets } = this.#life.broker;
    const { settings } = this.checker;
    this.checker.check(() => settings?.judge());
    const live = retention.live - (settings?.count ?? 0);
    const { ready, unacked, dead } = buckets;
    const delayed = buckets.delayed.count;
    const numbers = { counters, live, ready, unacked, delayed, dead };
    this.checker.check(() => this.checker.counts(numbers));
  }

  // Somebody has what is dead of a bucket given back.
  #redrive(): void {
    const random = this.#deaths;
    if (random === undefined || !random.chance(0.02)) return;
    const dead = [...this.checker.deaths.dead];
    const any = this.#buckets[random.below(this.#buckets.length)]!;
    const bucket = dead.length > 0 ? dead[random.below(dead.length)]!.bucket : any;
    // Two copies of a message may not come together: nobody could tell them apart.
    const isFree = this.checker.rules?.isCopying !== true;
    const to = random.chance(0.3) && isFree ? any : undefined;
    const left = random.chance(0.4) ? 1 + random.below(20) : Number.POSITIVE_INFINITY;
    const rate = random.chance(0.3) ? [1, 30, 400][random.below(3)]! : Number.POSITIVE_INFINITY;
    this.#giveBack(bucket, to, left, rate);
  }

  #giveBack(bucket: number, to: number | undefined, left: number, rate: number): void {
    const { broker, redrives } = this.#life;
    const { buckets } = broker;
    const id = `${bucket}`;
    if (redrives.stateOf(id)?.done === false) return;
    this.trace.add(`redrive ${bucket} to ${to}, ${left}, ${rate}`);
    const [low, high] = [bucket % 2 ** 32, Math.floor(bucket / 2 ** 32)];
    const slotOf = () => {
      const slot = buckets.find(low, high, KIND_DEAD);
      return slot !== 0 || !buckets.isPartial ? slot : buckets.open(low, high, KIND_DEAD);
    };
    const where = to === undefined ? {} : { to: `${to}` };
    const end = broker.nextSequence;
    const outcome = redrives.begin({ kind: 'redrive', id, ...where, limit: left, rate }, slotOf);
    assert.ok(outcome.ok || outcome.code === 'too-many', 'a redrive is refused');
    if (!outcome.ok) return;
    const begun = outcome.result as RedriveState;
    const state = begun.done ? begun : redrives.stateOf(id)!;
    this.checker.check(() => this.checker.deaths.redrive(bucket, { to, end, left, rate }, state));
  }

  // Somebody sets the wall clock.
  #setClock(): void {
    const random = this.#later;
    if (random === undefined || !random.chance(0.004)) return;
    const ms = random.chance(0.2) ? DAY_MS : random.below(3000);
    this.checker.clock();
    this.#wall.ms += random.chance(0.5) ? ms : -ms;
    this.checker.clock();
    this.#tally.add('clock set');
    this.#life.clockSet();
    this.trace.add(`the clock shows ${this.#life.wallMs}`);
  }

  async #act(): Promise<void> {
    const random = this.#random;
    this.#setClock();
    this.#redrive();
    if (this.#disk.wasLimited || this.#disk.armed || this.#disk.struck.size > 0)
      this.checker.mayRefuse = true;
    const choice = random.below(100);
    if (choice < 30) await this.#hazard(1 + random.below(15));
    else if (choice < 42) this.#life.turn();
    else if (choice < 60) this.#pass(0.6);
    else if (choice < 75) this.#answers();
    else if (choice < 88) this.#clients();
    else if (choice < 95) this.#life.advance(random.chance(0.7) ? 25 : 100);
    else if (choice < 97) await this.#nap();
    else if (choice < 99) this.#trouble();
    else if (random.chance(0.3)) await this.#rest();
    const { rules, settings } = this.checker;
    this.checker.check(() => settings?.maybe(rules?.common));
    await microtasks();
  }

  async #disks(calls: number): Promise<void> {
    for (let i = 0; i < calls && this.#disk.step(); i++) await microtasks();
  }

  // The same where the process may end at once, rather when the names of files are changing.
  async #hazard(calls: number): Promise<void> {
    for (let i = 0; i < calls && !this.#sudden && this.#disk.step(); i++) {
      await microtasks();
      if (this.#random.chance(this.#disk.renamed ? 0.02 : 0)) this.#sudden = true;
    }
  }

  // Seconds in which nobody but the broker does much.
  async #nap(): Promise<void> {
    this.trace.add('nap');
    for (let ticks = 12 + this.#random.below(10); ticks > 0; ticks--) {
      if (this.#life.failure !== undefined) return;
      this.#life.advance(100);
      this.#life.turn();
      await this.#hazard(4 + this.#random.below(30));
      this.#ok();
    }
  }

  // --- peers ------------------------------------------------------------------------------------

  get #peers(): Peer[] {
    return [...this.#producers, ...this.#consumers];
  }

  // Lets bytes pass, both ways, on some connections.
  #pass(share: number): void {
    for (const peer of this.#peers) {
      if (!this.#random.chance(share)) continue;
      while (peer.link.readable && this.#life.failure === undefined) {
        this.#receive(peer);
        if (this.#strikes('split', 0.1)) break;
      }
      if (!peer.link.dead) peer.read();
    }
  }

  #receive(peer: Peer): void {
    const { link } = peer;
    const random = this.#random;
    if (link.inbound.length === 0) {
      link.finishing = false;
      link.session!.finished();
      return;
    }
    const { readInto } = this.#life;
    let most = readInto.length;
    if (this.#strikes('split', 0.3)) {
      most = 1 + random.below(random.chance(0.5) ? 12 : 900);
      this.#tally.add('split');
    }
    const bytes = link.take(most);
    this.trace.add(`link ${link.id} gets ${bytes.length} bytes`);
    if (random.chance(0.5)) peer.arrive(bytes);
    else {
      readInto.set(bytes);
      peer.arrive(readInto.subarray(0, bytes.length));
    }
  }

  // Consumers answer, each as it is.
  #answers(): void {
    const random = this.#random;
    const isOften = this.checker.rules?.isChain === true;
    const some = this.#later === undefined && this.#deaths === undefined ? 0 : 0.15;
    const few = isOften ? 0.8 : some;
    for (const consumer of this.#consumers) {
      const { unanswered, temper, link } = consumer;
      if (link.destroyed || link.dead) continue;
      consumer.work();
      if (unanswered === 0) continue;
      if (temper === 'eager' && random.chance(0.8)) consumer.answer(unanswered, few);
      else if (temper === 'mixed' && random.chance(0.6))
        consumer.answer(1 + random.below(unanswered), 0.3);
      else if (temper === 'holder' && random.chance(0.04))
        consumer.answer(1 + random.below(unanswered), 0.4);
    }
  }

  #clients(): void {
    const random = this.#random;
    if (random.below(100) < this.#publishing) {
      for (let batches = 1 + random.below(6); batches > 0; batches--) this.#publish();
      return;
    }
    const what = random.below(100);
    if (what < 45) this.#connect();
    else if (what < 60) this.#leave();
    else {
      const peer = this.#peers[random.below(Math.max(1, this.#peers.length))];
      if (peer === undefined) return;
      if (peer.link.slow) peer.link.drain();
      else if (this.#strikes('slow', 0.5)) {
        this.#tally.add('slow');
        peer.link.slow = true;
      }
    }
  }

  #publish(): void {
    const random = this.#random;
    if (this.checker.lines.readyCount > BACKLOG_MAX) return;
    let producer = this.#producers[random.below(4)];
    if (producer === undefined) {
      producer = new ProducerPeer(this.#around, this.#nextLink++, this.#wire());
      this.#producers.push(producer);
    }
    const { link, model } = producer;
    if (link.destroyed || link.dead || link.finishing || model.owed.length > 12) return;
    const hot = random.chance(0.5) ? this.#bucket() : undefined;
    producer.publish(this.#bodies, () => hot ?? this.#bucket(), MESSAGE_BYTES_MAX);
  }

  #wire(): 'u64' | 'u32' {
    return this.#random.chance(0.7) ? 'u64' : 'u32';
  }

  // Some buckets get more than others.
  #bucket(): number {
    const { length } = this.#buckets;
    const few = 1 + this.#random.below(length);
    return this.#buckets[this.#random.below(few)]!;
  }

  #connect(): void {
    const random = this.#random;
    if (this.#consumers.length > 30) return;
    let bucket = this.#bucket();
    if (random.chance(0.6))
      for (const each of this.#buckets)
        if (this.checker.lines.of(each).length > this.checker.lines.of(bucket).length)
          bucket = each;
    bucket = this.#virtual?.asked(bucket) ?? bucket;
    const temper = TEMPERS[random.below(TEMPERS.length)]!;
    const batchSize = 1 + random.below(temper === 'eager' ? 60 : 8);
    const options = { wire: this.#wire(), bucket, batchSize, temper };
    this.trace.add(`consumer ${this.#nextLink} of ${bucket}, ${temper}`);
    this.#consumers.push(new ConsumerPeer(this.#around, this.#nextLink++, options));
  }

  #leave(): void {
    const random = this.#random;
    const peer = this.#peers[random.below(Math.max(1, this.#peers.length))];
    if (peer === undefined || peer.link.destroyed || peer.link.dead) return;
    const { link } = peer;
    this.trace.add(`link ${link.id} leaves`);
    if (this.#strikes('reset', 0.5)) {
      this.#tally.add('reset');
      link.destroy();
    } else if (this.#strikes('halfopen', 0.3)) {
      this.#tally.add('halfopen');
      link.dead = true;
      this.#vanished.push({ peer, atMs: this.#life.nowMs });
    } else if (peer instanceof ProducerPeer && random.chance(0.5)) peer.goodbye();
    else link.finishing = true;
  }

  // Whoever vanished is found by the system after a while.
  #findVanished(): void {
    const { nowMs } = this.#life;
    for (const { peer, atMs } of this.#vanished)
      if (nowMs - atMs > HALF_OPEN_MS) peer.link.destroy();
    this.#vanished = this.#vanished.filter(({ peer }) => !peer.link.destroyed);
  }

  // --- trouble ----------------------------------------------------------------------------------

  #trouble(): void {
    const random = this.#random;
    this.#findVanished();
    const what = random.below(11);
    if (what < 4) this.#disk.arm();
    else if (what < 6 && !this.#disk.limited)
      this.#disk.fill(random.below(3 * this.#setting.limits.segmentBytes));
    else if (what < 9) this.#disk.files.capacity = Number.POSITIVE_INFINITY;
    else if (what < 10) this.#disk.flipCache();
    else if (random.chance(0.3)) this.#disk.take(this.#life.nowMs);
    this.trace.add(`trouble ${what}`);
  }

  #noticed({ level, kind, text, fields }: Notice): void {
    const { struck, wasLimited, damaged, armed } = this.#disk;
    const excused = struck.size > 0 || wasLimited || damaged || armed;
    const { position, sequence, count } = fields;
    if (level === 'info') return;
    if (kind === 'consumer.lease') {
      this.#leaseOver(fields.peer!, count!);
      return;
    }
    const torn = this.#tally.get('power cuts') + this.#tally.get('flip') > 0;
    if (isOfCache(kind, text, torn, this.#orderly)) return;
    if (kind === 'pauses.left') return;
    if (kind === 'clock.jumped' && this.#tally.get('clock set') > 0) return;
    if (kind === 'dedup.full' && this.checker.rules?.hasFewIds === true) return;
    const broke = text.includes(BROKEN);
    if (broke) this.#tally.add('observers that broke');
    assert.ok(excused || broke, `nothing was wrong, but: ${text}`);
    this.#tally.add(`notice ${kind}`);
    if (kind !== 'log.unreadable') return;
    const all = text.startsWith('what waits for virtual buckets') ? this.#buckets : [];
    for (const each of all) this.#notFound(each, position!);
    if (all.length > 0) return;
    // Until the next start the broker counts without them.
    const bucket = Number(/bucket (\d+)/.exec(text)![1]);
    this.#leftOut.add(bucket);
    if (sequence !== undefined && count !== undefined) this.checker.setAside(sequence, count);
    else this.#notFound(bucket, position!);
  }

  #notFound(bucket: number, base: number): void {
    const end = this.#life.log.bases().find((each) => each > base) ?? Number.MAX_SAFE_INTEGER;
    this.#leftOut.add(bucket);
    this.checker.notFound(bucket, base, end);
  }

  // What it holds is ready again, and it is closed; a byte of it may still be on its way.
  #leaseOver(peer: string, count: number): void {
    const { model, link } = this.#consumers.find((each) => each.link.peer === peer)!;
    this.checker.leaseOver(model, count);
    if (this.#works!.chance(0.5))
      this.#life.soon(() => link.session!.receive(new Uint8Array(count).fill(1)));
  }

  // --- rest -------------------------------------------------------------------------------------

  // Nothing new comes, nothing fails: what is owed must come.
  async #rest(): Promise<void> {
    this.trace.add('rest');
    if (this.#random.chance(0.7)) this.#disk.heal();
    // Work beside the broker, as the making of an index again, takes its time.
    for (let i = 0; i < ROUNDS_MAX; i++) {
      if (this.#life.failure !== undefined) return;
      this.checker.settings?.calm();
      await this.#round();
      if (i >= ROUNDS_MIN && this.#waits() === undefined) break;
    }
    this.checker.check(() => assert.equal(this.#waits(), undefined));
    this.#count();
  }

  async #round(): Promise<void> {
    for (const { link } of this.#peers) if (link.slow) link.drain();
    this.#pass(1);
    this.#life.turn();
    for (let calls = 0; this.#disk.files.pending.length > 0 && calls < 400; calls++)
      await this.#disks(1);
    this.#life.advance(50);
    this.#life.turn();
    await microtasks();
    this.#ok();
  }

  // Who does not get what it is owed.
  #waits(): string | undefined {
    const { deaths, settings } = this.checker;
    const isPausing = settings?.isPausing === true;
    if (!this.#disk.limited) {
      for (const { bucket } of deaths.dying) return `the dead of bucket ${bucket} are not moved`;
      const bucket = deaths.judgeRedrives()[0];
      if (bucket !== undefined) return `the dead of bucket ${bucket} are not given back`;
    }
    for (const { link, model } of this.#producers) {
      if (link.dead || link.destroyed) continue;
      if (link.paused) return `producer ${link.id} is held back for ever`;
      if (model.owed.length > 0) return `producer ${link.id} gets no replies`;
    }
    for (const { link, model, joined } of this.#consumers) {
      if (link.dead || link.destroyed || !joined || model.heartbeat || isPausing) continue;
      if (model.held.length > 0 || this.checker.rules?.isFull(model.bucket)) continue;
      for (const bucket of this.#virtual?.givenTo(model.bucket) ?? [model.bucket]) {
        const waiting = givable(this.checker, bucket, model.bucket, this.#disk.limited);
        if (waiting > 0) return `consumer ${link.id} gets none of ${waiting} messages of ${bucket}`;
      }
    }
    // What is too old may not be found where an index cannot be read.
    const { limited, struck } = this.#disk;
    const isSearched = !limited && struck.size === 0 && this.#tally.get('flip') === 0;
    const old = isSearched ? overstayed(this.checker) : undefined;
    return old ?? overdue(this.checker, LATE_MS);
  }

  // --- ends -------------------------------------------------------------------------------------

  async #end(): Promise<void> {
    if (this.#life.failure !== undefined) {
      this.#tally.add('logs failed');
      this.trace.add('the log failed');
      this.#cut();
      return;
    }
    if (this.#sudden) this.#cut();
    else if (this.#random.chance(0.25)) await this.#stop();
    else {
      await this.#disks(this.#random.below(4));
      this.#ok();
      this.#cut();
    }
  }

  // The process or the power goes.
  #cut(): void {
    const worst = this.#random.chance(0.3);
    if (this.#strikes('crash', 0.6)) this.#disk.crash(worst);
    else if (this.#strikes('kill', 0.9)) this.#disk.kill();
    else this.#disk.exit();
    this.#dead();
  }

  #dead(orderly = false): void {
    this.trace.add('dead');
    this.#tally.add('ids on disk', this.#life.idsOnDisk);
    this.#orderly = orderly;
    if (this.#life.opened === 'open') this.checker.died();
    this.#wall.ms += this.#life.nowMs;
    this.#producers = [];
    this.#consumers = [];
    this.#vanished = [];
    const what = this.#random.below(10);
    if (what === 0) this.#disk.damage(this.checker.provedTo);
    else if (what === 1) this.#disk.flipCache();
  }

  // As Server.close does it.
  async #stop(): Promise<void> {
    const { broker, log } = this.#life;
    this.trace.add('stop');
    this.#disk.heal();
    broker.close();
    const failed = () => this.#life.failure !== undefined;
    for (let i = 0; i < 20 && broker.buckets.unacked > 0; i++) {
      this.#answers();
      await this.#round();
    }
    for (const consumer of broker.consumers) {
      consumer.closedFor = 'shutdown';
      consumer.link.destroy();
    }
    for (let i = 0; i < 60 && !(broker.commit.drained && broker.consumers.size === 0); i++) {
      broker.commit.drain();
      await this.#round();
      if (failed()) return this.#end();
    }
    assert.ok(broker.commit.drained, 'the broker does not come to rest');
    broker.flush();
    let closed = false;
    log.sync(() => broker.saveCheckpoint(true, () => log.close().then(() => (closed = true))));
    for (let events = 0; !closed; events++) {
      assert.ok(events < EVENTS_MAX, 'the log is not closed');
      await this.#progress();
    }
    this.#ok();
    this.checker.stopped();
    if (this.#disk.struck.size === 0)
      assert.equal(this.#disk.files.openHandles, 0, 'files were left open');
    this.#tally.add('orderly stops');
    const crash = this.#strikes('crash', 0.5);
    const { struck } = this.#disk;
    const orderly = !crash && struck.size === 0; // or its checkpoint may be one from before
    if (crash) this.#disk.crash(true);
    else this.#disk.exit();
    this.#dead(orderly);
  }

  // Takes everything out and compares it with the model, twice.
  async #finish(): Promise<void> {
    this.#disk.repair();
    this.#disk.heal();
    this.trace.add('finish');
    await this.#quietStart();
    // All that waits for a time does so no more.
    this.#wall.ms = Math.max(this.#wall.ms, this.checker.lines.lastDueMs + 1);
    this.#life.clockSet();
    const { checker } = this;
    const { deaths, lines } = checker;
    this.#consumeAll();
    const out = () => checker.heldCount - checker.unsureCount;
    const left = () => lines.readyCount + lines.delayed.size + out() + (deaths.size - deaths.stuck);
    // A rule may let few go in a second, so it is how long none goes that counts.
    const most = checker.rules === undefined ? 1000 : 3000;
    for (let [rounds, least, since] = [0, left(), 0]; left() > 0; rounds++) {
      if (left() < least) [least, since] = [left(), rounds];
      assert.ok(rounds - since < most, `${left()} are not delivered: ${leftOver(checker)}`);
      checker.settings?.calm();
      await this.#round();
      const rejects = checker.rules?.isChain === true && rounds < CHAIN_ROUNDS;
      for (const consumer of this.#consumers)
        if (rejects) consumer.reject();
        else consumer.answer(consumer.unanswered, 0);
      if (rejects) this.#consumeAll();
      if (rejects || rounds % 10 > 0) continue;
      // What its bucket cannot hold dies again at once, unless somebody waits for it.
      this.#consumeAll([...deaths.dead].map(({ origin }) => origin));
      for (const each of new Set([...deaths.dead].map(({ bucket }) => bucket))) {
        const room = checker.rules?.of(each).max_messages || Number.POSITIVE_INFINITY;
        this.#giveBack(each, undefined, room, Number.POSITIVE_INFINITY);
      }
      this.#consumeAll();
    }
    await this.#rest();
    this.#count();
    await this.#stop();
    this.#disk.repair();
    await this.#quietStart();
    this.#disk.exit();
  }

  // Somebody consumes each bucket of which there is something, and others.
  #consumeAll(others: readonly number[] = []): void {
    const { lines } = this.checker;
    const consumed = new Set(this.#consumers.map(({ model }) => model.bucket));
    const some = [...lines.buckets].filter((each) => lines.countOf(each) > 0);
    for (const each of [...some, ...others]) {
      const bucket = this.#virtual?.parentOf(each) ?? each;
      if (consumed.has(bucket)) continue;
      consumed.add(bucket);
      const options = { wire: this.#wire(), bucket, batchSize: 50, temper: 'eager' } as const;
      this.#consumers.push(new ConsumerPeer(this.#around, this.#nextLink++, options));
    }
  }

  async #quietStart(): Promise<void> {
    this.#life = new Life(this.#disk.files, this.#setting);
    for (let events = 0; this.#life.opened === undefined; events++) {
      assert.ok(events < EVENTS_MAX, 'a start does not end');
      await this.#progress();
    }
    if (this.#life.opened !== 'open') throw this.#life.opened;
    this.#opened();
  }
}
