// This node's part in the stream: follows it into the log here, takes the log over when it is its
// turn, and gives it up when another one has. What core/cluster decides is carried out here, one
// change of the log's form at a time.
//
//   a copy ──campaign──► taken over ──own──► serves ──depose──► closed, opened anew ──► a copy

import { BrokerLife, type BrokerLifeOptions } from '../broker-life.ts';
import type { ClusterConfig } from '../config/cluster.ts';
import type { AppendTimes } from '../contract/cluster.ts';
import { POWERS } from '../contract/snapshot.ts';
import type { Ownership } from '../core/cluster/ownership.ts';
import type { OwnershipEffects } from '../core/cluster/ownership-options.ts';
import type { StreamRoom } from '../core/cluster/stream-room.ts';
import { Histogram } from '../core/metrics/histogram.ts';
import type { BaseKeeper } from '../log/base/base-keeper.ts';
import type { OpenedLog } from '../opening.ts';
import type { Bases } from './bases.ts';
import { layoutOf, type OwnerIdentity } from './identity.ts';
import type { LocalLog } from './local-log.ts';
import { LogTurns, type LogTurnsOptions } from './log-turns.ts';
import { Notes } from './notes.ts';
import { OwnerPublisher } from './owner-publisher.ts';
import { Owners } from './owners.ts';
import { ownershipOf } from './ownership-of.ts';
import type { Standing } from './standing.ts';

export interface MemberEvents {
  /** Who owns the log now, as far as is known. */
  owner(identity: OwnerIdentity | undefined): void;
  /** The process has to end with this code. */
  stop(code: number, why: Error): void;
}

export interface MemberOptions extends Omit<LogTurnsOptions, 'failed'> {
  cluster: ClusterConfig;
  version: string;
  /** What each broker of it is made with, beside its log. */
  life: Omit<BrokerLifeOptions, 'opened' | 'failed' | 'mayDeliver'>;
  stream: StreamRoom;
  /** The largest message that the servers take, in bytes. */
  maxPayload: number;
  identity: OwnerIdentity;
  standing: Standing;
  events: MemberEvents;
}

export class Member {
  readonly identity: OwnerIdentity;
  readonly owners: Owners;
  readonly standing: Standing;
  readonly notes: Notes;
  readonly #options: MemberOptions;
  #ownership: Ownership;
  readonly #log: LogTurns;
  #life: BrokerLife | undefined;
  readonly #times = new Histogram();
  #serving = false;
  #keeper: BaseKeeper | undefined;
  // After it has stepped down it lets others go first, until then.
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #advancedMs = 0;
  #ended = false;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.#log = new LogTurns({ ...options, failed: (failure) => this.#stop(74, failure) });
    this.standing = options.standing;
    const { identity, config, life, events } = options;
    this.identity = identity;
    this.notes = new Notes(options.log);
    this.owners = new Owners({
      identity,
      layout: layoutOf(config),
      date: () => life.clock.date(),
      changed: (owner, epoch) => {
        this.notes.owner(owner, epoch);
        events.owner(owner);
      },
      refused: (why) => this.#stop(78, new Error(why)),
    });
    this.#ownership = this.#make();
  }

  get ownership(): Ownership {
    return this.#ownership;
  }

  get bases(): Bases {
    return this.#options.bases;
  }

  /** Why messages find no room in the stream, or undefined. */
  get blocked(): string | undefined {
    return this.#options.stream.blocked();
  }

  get local(): LocalLog {
    return this.#log.local;
  }

  /** The broker that serves clients here; undefined while another node does. */
  get life(): BrokerLife | undefined {
    return this.#serving ? this.#life : undefined;
  }

  /** How long it was until a batch counted; null where this node does not own. */
  get appends(): AppendTimes | null {
    const times = this.#times;
    return this.#serving ? { ...times.summary(), upTo: times.upTo(POWERS.ms) } : null;
  }

  /** Who owns the log, as far as is known. */
  get owner(): OwnerIdentity | undefined {
    return this.#serving ? this.#options.identity : this.owners.other;
  }

  #make(): Ownership {
    const { cluster, stream, around, identity, config, maxPayload } = this.#options;
    return ownershipOf({
      cluster,
      identity,
      stream,
      maxPayload,
      effects: this.#effects(),
      logId: around.logId!,
      crc32c: (bytes) => around.codec.checksum(bytes),
      segmentBytes: config.limits.segmentBytes,
      base: () => this.local.follower.log.bases().at(-1)!,
      isIdle: () => !this.local.isWriting,
      isAble: () => this.#isAble(),
    });
  }

  #isAble(): boolean {
    const { log } = this.local.follower;
    const isFull = log.blocked() !== undefined;
    return !isFull && this.local.failure === undefined && performance.now() >= this.#restUntilMs;
  }

  /** Begins to read the stream. */
  join(): void {
    const { end } = this.local;
    const { place, segments } = this.standing;
    this.#ownership.join({ end, place, segments });
  }

  /** To be called every 50 ms or so. */
  tick(nowMs: number): void {
    if (this.#ended) return;
    if (nowMs - this.#advancedMs >= 100) {
      this.#advancedMs = nowMs;
      this.local.advance(nowMs);
      if (this.#ownership.state !== 'deposed') this.standing.note(this.#ownership, this.local.end);
    }
    this.#ownership.tick(nowMs);
    if (this.#ownership.state === 'owning') this.#keeper?.advance(nowMs);
    this.notes.state(this.#ownership.state);
    this.notes.rights('publish into', this.#ownership.forbidden);
    const { failure } = this.local;
    if (failure !== undefined && this.#life === undefined) this.#stop(74, failure);
  }

  #effects(): OwnershipEffects {
    return {
      apply: (batches, done) => this.local.apply(batches, done),
      said: (kind, json, epoch, node) =>
        this.owners.said(kind, json, epoch, node, this.#ownership.state === 'joining'),
      campaign: (epoch) => void this.#campaign(epoch),
      own: (epoch) => this.#own(epoch),
      suspend: () => {
        this.notes.suspended(this.#ownership.epoch);
        this.#life?.suspend();
      },
      goOn: () => {
        this.notes.goesOn(this.#ownership.epoch);
        this.#life?.goOn();
      },
      depose: (why) => this.#depose(why),
      rebuild: (why) => this.#rebuild(why),
      stop: (code, why) => this.#stop(code, new Error(why)),
    };
  }

  async #campaign(epoch: number): Promise<void> {
    this.notes.campaigning(epoch);
    const publisher = new OwnerPublisher({
      ownership: this.#ownership,
      blocked: () => this.#options.stream.blocked(),
      times: this.#times,
      nowMs: () => performance.now(),
    });
    let opened: OpenedLog;
    try {
      opened = await this.local.takeOver(epoch, publisher);
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
    const { identity, events, bases, around } = this.#options;
    this.owners.own(epoch);
    this.notes.owning(epoch);
    this.#keeper = bases.keeper(this.local.follower.log, this.#ownership, epoch, around.logId!);
    this.#serving = true;
    events.owner(identity);
  }

  #depose(why: string): void {
    if (this.#serving) this.notes.deposed(why);
    else this.notes.notFirst(why);
    this.#drop(new Error(`another node owns the log: ${why}`));
    this.#log.reopen(() => this.join());
  }

  /** No base is made any more: the log is about to be closed, which waits for what reads it. */
  endBases(): void {
    void this.#keeper?.end();
    this.#keeper = undefined;
  }

  // The broker is over, without a word to anybody.
  #drop(failure: Error): void {
    const wasServing = this.#serving;
    this.#serving = false;
    this.standing.note(this.#ownership, this.local.end);
    this.local.depose(failure);
    this.endBases();
    this.#life?.drop(failure);
    this.#life = undefined;
    if (wasServing) this.#options.events.owner(undefined);
  }

  #rebuild(why: string): void {
    this.notes.rebuilding(why);
    this.#drop(new Error(why));
    this.#log.beginAnew((place) => {
      this.standing.begin(place);
      this.join();
    });
  }

  #stop(code: number, why: Error): void {
    if (this.#ended) return;
    this.#end();
    this.#options.events.stop(code, why);
  }

  #end(): void {
    this.#ended = true;
    this.endBases();
    void this.#log.end();
    this.#ownership.end();
  }

  /** Tells all that this owner is about to end, if it owns; others need not wait then. */
  resign(done: () => void): void {
    this.#ownership.resign(() => done());
  }

  /** The owner of `life` has ended in order: lets others go first for `restMs`, and follows. */
  stepDown(life: BrokerLife, restMs: number): void {
    this.#restUntilMs = performance.now() + restMs;
    if (life !== this.#life) return; // another one was first, and is followed already, or soon
    this.#ownership.end();
    this.#drop(new Error('it has stepped down'));
    this.#log.reopen(() => {
      this.#ownership = this.#make();
      this.join();
    });
  }

  /** Nothing more is done here. A copy's files are closed; an owner's log is whoever stops it's. */
  async end(): Promise<void> {
    if (!this.#serving) this.#drop(new Error('this node stops')); // a candidate has told nobody
    const isCopy = this.#life === undefined;
    this.#end();
    await this.#log.end();
    this.standing.note(this.#ownership, this.local.end);
    if (isCopy) await this.local.close();
  }
}
