// This node's part in the stream: follows it into the log here, takes the log over when it is its
// turn, and gives it up when another one has. What core/cluster decides is carried out here, one
// change of the log's form at a time.
//
//   a copy ──campaign──► taken over ──own──► serves ──depose──► closed, opened anew ──► a copy

import { SEGMENT_DATA_AT } from '../../assembly/layout.ts';
import { STREAM_BEAT, STREAM_RESIGN, STREAM_START } from '../../assembly/layout-cluster.ts';
import { BrokerLife, type BrokerLifeOptions } from '../broker-life.ts';
import type { ClusterConfig } from '../config/cluster.ts';
import type { AppendTimes, TakeOver } from '../contract/cluster.ts';
import { POWERS } from '../contract/snapshot.ts';
import type { Place } from '../core/cluster/counting.ts';
import { Ownership } from '../core/cluster/ownership.ts';
import type { OwnershipEffects } from '../core/cluster/ownership-options.ts';
import type { SegmentPlace } from '../core/cluster/segment-places.ts';
import type { StreamRoom } from '../core/cluster/stream-room.ts';
import { Histogram } from '../core/metrics/histogram.ts';
import type { Position } from '../core/ports/basics.ts';
import type { OpenedLog } from '../opening.ts';
import { layoutOf, misfit, type OwnerIdentity, readIdentity } from './identity.ts';
import { LocalLog, type LocalLogOptions } from './local-log.ts';
import { OwnerPublisher } from './owner-publisher.ts';

/** What it needs of the largest message that servers take, beside a part: envelope and headers. */
const ENVELOPE_BYTES = 1024;
const PART_BYTES_MAX = 900 * 1024;
const IN_FLIGHT_BYTES = 4 * 1024 * 1024;
const QUEUE_BYTES = 16 * 1024 * 1024;
/** Between the first tries of two nodes, in ms; and how much chance adds. */
const RANK_MS = 150;
const RANKS = 5;
const JITTER_MS = 100;
const TAKE_OVERS_KEPT = 20;

export interface MemberEvents {
  /** Who owns the log now, as far as is known. */
  owner(identity: OwnerIdentity | undefined): void;
  /** The process has to end with this code. */
  stop(code: number, why: Error): void;
}

export interface MemberOptions extends LocalLogOptions {
  cluster: ClusterConfig;
  version: string;
  /** What each broker of it is made with, beside its log. */
  life: Omit<BrokerLifeOptions, 'opened' | 'failed' | 'mayDeliver'>;
  stream: StreamRoom;
  /** The largest message that the servers take, in bytes. */
  maxPayload: number;
  identity: OwnerIdentity;
  local: LocalLog;
  /** Where the log here stands in the stream, if it is remembered. */
  place: Place | undefined;
  segments: readonly SegmentPlace[];
  /** Brings what is to be begun with into the empty log folder; gives where that stands in the
   * stream, or undefined: it is read from its first message. */
  build: () => Promise<Place | undefined>;
  events: MemberEvents;
}

export class Member {
  readonly counts = { takeOvers: 0, deposed: 0, doubts: 0, suspensions: 0, rebuilds: 0 };
  readonly #options: MemberOptions;
  #ownership: Ownership;
  #local: LocalLog;
  #life: BrokerLife | undefined;
  readonly #times = new Histogram();
  #serving = false;
  // The log's changes of form, one after the other.
  #turn: Promise<void> = Promise.resolve();
  #place: Place | undefined;
  #segments: readonly SegmentPlace[];
  #owner: OwnerIdentity | undefined;
  #takeOvers: TakeOver[] = [];
  #resigned = false;
  #namesake = 0;
  #doubted = false;
  // After it has stepped down it lets others go first, until then.
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #advancedMs = 0;
  #ended = false;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.#local = options.local;
    this.#place = options.place;
    this.#segments = options.segments;
    this.#ownership = this.#make();
  }

  get ownership(): Ownership {
    return this.#ownership;
  }

  get identity(): OwnerIdentity {
    return this.#options.identity;
  }

  /** Why messages find no room in the stream, or undefined. */
  get blocked(): string | undefined {
    return this.#options.stream.blocked();
  }

  get local(): LocalLog {
    return this.#local;
  }

  /** The broker that serves clients here; undefined while another node does. */
  get life(): BrokerLife | undefined {
    return this.#serving ? this.#life : undefined;
  }

  /** From when a batch was given until it counted, in ms, since the process started; null where this
   * node does not own. */
  get appends(): AppendTimes | null {
    const times = this.#times;
    return this.#serving ? { ...times.summary(), upTo: times.upTo(POWERS.ms) } : null;
  }

  /** Who owns the log, as far as is known. */
  get owner(): OwnerIdentity | undefined {
    return this.#serving ? this.#options.identity : this.#owner;
  }

  /** The newest first. */
  get takeOvers(): readonly TakeOver[] {
    return this.#takeOvers;
  }

  /** Where the log here certainly stands in the stream, and each of its segments. */
  get standing(): { place: Place | undefined; segments: readonly SegmentPlace[] } {
    return { place: this.#place, segments: this.#segments };
  }

  #make(): Ownership {
    const { cluster, stream, around, identity, config, maxPayload } = this.#options;
    const { ttlMs, ownMs, beatMs, node } = cluster;
    const { segmentBytes } = config.limits;
    return new Ownership({
      stream,
      effects: this.#effects(),
      logId: BigInt.asUintN(64, around.logId!),
      crc32c: (bytes) => around.codec.checksum(bytes),
      nextSegment: (position) => this.#baseOf(position) + segmentBytes + SEGMENT_DATA_AT,
      batchBytesMax: segmentBytes,
      clockMs: () => performance.now(),
      node,
      json: new TextEncoder().encode(JSON.stringify(identity)),
      beginning: SEGMENT_DATA_AT,
      ttlMs,
      ownMs,
      beatMs,
      rankMs: ((node - 1) % RANKS) * RANK_MS,
      jitterMs: () => Math.random() * JITTER_MS,
      partBytes: Math.min(PART_BYTES_MAX, maxPayload - ENVELOPE_BYTES),
      inFlightBytes: IN_FLIGHT_BYTES,
      queueBytes: QUEUE_BYTES,
      isIdle: () => !this.#local.isWriting,
      isAble: () => this.#isAble(),
    });
  }

  // All segments have one size from where this log begins to go by the stream.
  #baseOf(position: Position): Position {
    const { segmentBytes } = this.#options.config.limits;
    const known = this.#local.follower.log.bases().at(-1)!;
    return position - ((((position - known) % segmentBytes) + segmentBytes) % segmentBytes);
  }

  #isAble(): boolean {
    const { log } = this.#local.follower;
    const isFull = log.blocked() !== undefined;
    return !isFull && this.#local.failure === undefined && performance.now() >= this.#restUntilMs;
  }

  /** Begins to read the stream. */
  join(): void {
    const { end } = this.#local;
    this.#ownership.join({ end, place: this.#place, segments: this.#segments });
  }

  /** To be called every 50 ms or so. */
  tick(nowMs: number): void {
    if (this.#ended) return;
    if (nowMs - this.#advancedMs >= 100) {
      this.#advancedMs = nowMs;
      this.#local.advance(nowMs);
      this.#stand();
    }
    this.#ownership.tick(nowMs);
    const { state } = this.#ownership;
    const doubts = state === 'doubting' || state === 'suspended';
    if (doubts && !this.#doubted) this.counts.doubts++;
    this.#doubted = doubts;
    const { failure } = this.#local;
    if (failure !== undefined && this.#life === undefined) this.#stop(74, failure);
  }

  // What was published may not be on this disk yet.
  #stand(): void {
    const { place } = this.#ownership;
    if (place === undefined || place.end > this.#local.end) return;
    this.#place = place;
    this.#segments = this.#ownership.segments;
  }

  #effects(): OwnershipEffects {
    return {
      apply: (batch, done) => this.#local.apply(batch, done),
      said: (kind, json, epoch, node) => this.#said(kind, json, epoch, node),
      campaign: (epoch) => void this.#campaign(epoch),
      own: (epoch) => this.#own(epoch),
      suspend: () => this.#suspend(),
      goOn: () => this.#goOn(),
      depose: (why) => this.#depose(why),
      rebuild: (why) => this.#rebuild(why),
      stop: (code, why) => this.#stop(code, new Error(why)),
    };
  }

  #said(kind: number, json: Uint8Array, epoch: number, node: number): void {
    if (kind === STREAM_RESIGN) this.#resigned = true;
    if (kind !== STREAM_START && kind !== STREAM_BEAT) return;
    const { identity, events, log } = this.#options;
    if (kind === STREAM_START) this.#tookOver(node, epoch);
    const said = readIdentity(json);
    if (said === undefined) return;
    if (said.life !== identity.life) {
      const why = misfit(layoutOf(this.#options.config), said);
      if (why !== undefined) this.#stop(78, new Error(why));
      if (node === identity.node) this.#metNamesake(said);
    }
    // What is read of the past says nothing of who owns now.
    if (this.#ownership.state === 'joining' || said.life === this.#owner?.life) return;
    this.#owner = said;
    const { address } = said;
    log.info(
      { event: 'cluster.owner', node, epoch, address },
      `node ${node} (${address}) owns the log, as of epoch ${epoch}`,
    );
    events.owner(said);
  }

  // A life of before may have sent a last beat; who goes on beating is another one.
  #metNamesake({ address }: OwnerIdentity): void {
    if (this.#ownership.state !== 'following' || ++this.#namesake < 3) return;
    const { node } = this.#options.identity;
    this.#stop(
      78,
      new Error(
        `the owner of the log, at ${address}, is node ${node}, too: give each node another --cluster-node`,
      ),
    );
  }

  #tookOver(node: number, epoch: number): void {
    const why = epoch === 1 ? 'first' : this.#resigned ? 'resigned' : 'silence';
    this.#resigned = false;
    if (this.#ownership.state === 'joining') return;
    this.counts.takeOvers++;
    const at = new Date(this.#options.life.clock.wallMs()).toISOString();
    this.#takeOvers = [{ at, node, epoch, why } as const, ...this.#takeOvers];
    this.#takeOvers.length = Math.min(this.#takeOvers.length, TAKE_OVERS_KEPT);
  }

  async #campaign(epoch: number): Promise<void> {
    const { log } = this.#options;
    log.info({ event: 'cluster.campaigning', epoch }, `nobody owns the log: trying epoch ${epoch}`);
    const publisher = new OwnerPublisher({
      ownership: this.#ownership,
      blocked: () => this.#options.stream.blocked(),
      times: this.#times,
      nowMs: () => performance.now(),
    });
    let opened: OpenedLog;
    try {
      opened = await this.#local.takeOver(epoch, publisher);
    } catch (error) {
      this.#stop(74, error as Error);
      return;
    }
    // Meanwhile another one may have been first.
    if (this.#ownership.state !== 'campaigning' || this.#ended) return;
    const life = new BrokerLife({
      ...this.#options.life,
      opened,
      mayDeliver: () => this.#ownership.mayDeliver(performance.now()),
      failed: (failure) => this.#failed(failure),
    });
    this.#life = life;
    life.begin();
  }

  // One that was deposed, or has ended, fails as nothing of it is confirmed any more.
  #failed(failure: Error): void {
    const { state } = this.#ownership;
    if (state !== 'deposed' && state !== 'stopped') this.#stop(74, failure);
  }

  #own(epoch: number): void {
    const { log, identity, events } = this.#options;
    this.#tookOver(identity.node, epoch);
    this.#serving = true;
    this.#owner = undefined;
    log.info({ event: 'cluster.owning', epoch }, `this node owns the log, as of epoch ${epoch}`);
    events.owner(identity);
  }

  #suspend(): void {
    this.counts.suspensions++;
    this.#options.log.warn(
      { event: 'cluster.suspended', epoch: this.#ownership.epoch },
      'the stream has confirmed nothing for a while: nothing is delivered until it does, or another node owns the log',
    );
    this.#life?.suspend();
  }

  #goOn(): void {
    const { epoch } = this.#ownership;
    this.#options.log.info({ event: 'cluster.goes-on', epoch }, 'the stream confirms again');
    this.#life?.goOn();
  }

  #depose(why: string): void {
    const wasServing = this.#serving;
    const { log } = this.#options;
    if (wasServing) {
      this.counts.deposed++;
      log.warn({ event: 'cluster.deposed' }, `this node owns the log no more: ${why}`);
    } else log.info({ event: 'cluster.not-first' }, `another node was first: ${why}`);
    this.#drop(new Error(`another node owns the log: ${why}`));
    this.#next(async () => {
      await this.#reopen();
      this.join();
    });
  }

  // The broker is over, without a word to anybody.
  #drop(failure: Error): void {
    const wasServing = this.#serving;
    this.#serving = false;
    this.#stand();
    this.#local.depose(failure);
    this.#life?.drop(failure);
    this.#life = undefined;
    if (wasServing) this.#options.events.owner(undefined);
  }

  async #reopen(): Promise<void> {
    await this.#local.close();
    if (this.#ended) return;
    this.#local = await LocalLog.open(this.#options);
  }

  #rebuild(why: string): void {
    const { log, folder, build } = this.#options;
    this.counts.rebuilds++;
    log.warn(
      { event: 'cluster.rebuilding' },
      `the stream does not reach back to where the log here ends (${why}): it is built again from the other nodes`,
    );
    this.#drop(new Error(why));
    this.#next(async () => {
      await this.#local.close();
      const aside = await folder.setLogAside(new Date());
      if (aside !== undefined)
        log.warn({ event: 'log.set-aside', folder: aside }, `the log of before is in ${aside} now`);
      this.#place = await build();
      this.#segments = [];
      if (this.#ended) return;
      this.#local = await LocalLog.open(this.#options);
      this.join();
    });
  }

  #next(change: () => Promise<void>): void {
    this.#turn = this.#turn.then(async () => {
      if (this.#ended) return;
      try {
        await change();
      } catch (error) {
        this.#stop(74, error as Error);
      }
    });
  }

  #stop(code: number, why: Error): void {
    if (this.#ended) return;
    this.#end();
    this.#options.events.stop(code, why);
  }

  #end(): void {
    this.#ended = true;
    this.#ownership.end();
  }

  /** Tells all that this owner is about to end, if it owns; others need not wait then. */
  resign(done: () => void): void {
    this.#ownership.resign(() => done());
  }

  /** The owner has ended in order, its log is closed: lets others go first for `restMs`, and follows. */
  stepDown(restMs: number): void {
    this.#restUntilMs = performance.now() + restMs;
    this.#ownership.end();
    this.#drop(new Error('it has stepped down'));
    this.#next(async () => {
      await this.#reopen();
      this.#ownership = this.#make();
      this.join();
    });
  }

  /** Nothing more is done here. A copy's files are closed; an owner's log is whoever stops it's. */
  async end(): Promise<void> {
    const isCopy = this.#life === undefined;
    this.#end();
    await this.#turn;
    this.#stand();
    if (isCopy) await this.#local.close();
  }
}
