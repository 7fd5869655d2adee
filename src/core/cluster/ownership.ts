// Whether this node owns the log. Who hears nothing for a while may try to; the one append that is
// its start decides, and fences whoever owned before. Clocks only decide who tries, and when an
// owner that can't confirm anything stops delivering: no acknowledgement rests on them.
//
//   joining ──► following ──► campaigning ──► owning ◄──► doubting ◄──► suspended
//                                 │              └───────────┴──────────────┴──► deposed
//                                 └► deposed (another was first)
//
// A deposed node throws away what it had as an owner and joins anew, from what its disk has. An
// orderly stop is resigning. Whatever nobody may go on from is stopped.

import { STREAM_BASE, STREAM_RESIGN } from '../../../assembly/layout-cluster.ts';
import type { NodeState } from '../../contract/cluster.ts';
import { assert } from '../assert.ts';
import type { Failure, Position } from '../ports/basics.ts';
import type { StreamMessage } from '../ports/stream.ts';
import type { Place, Verdict } from './counting.ts';
import { type Envelope, isSignOfLife, jsonOf } from './envelope.ts';
import type { OwnershipOptions } from './ownership-options.ts';
import { Publishing } from './publishing.ts';
import type { Done } from './publishing-options.ts';
import { Reading } from './reading.ts';
import type { Saved } from './reading-options.ts';
import type { SegmentPlace } from './segment-places.ts';

export class Ownership {
  readonly #options: OwnershipOptions;
  #state: 'joining' | 'following' | 'campaigning' | 'owning' | 'resigning' | 'deposed' | 'stopped' =
    'deposed';
  #reading: Reading | undefined;
  #publishing: Publishing | undefined;
  #suspended = false;
  #started = false;
  #heardMs = 0;
  #waitMs = 0;
  #resigned = false;
  #confirmedMs = 0;
  // When it last said who it is, as owner.
  #namedMs = 0;
  // No epoch is tried twice: a start that was given up may still come.
  #tried = 0;
  // Of an owner that was campaigned against although it was alive; -1: none was.
  #vainEpoch = -1;

  constructor(options: OwnershipOptions) {
    const { ownMs, ttlMs, beatMs } = options;
    assert(ownMs < ttlMs - beatMs - 100, 'an owner must stop delivering before others campaign');
    this.#options = options;
  }

  get state(): NodeState {
    if (this.#state !== 'owning') return this.#state;
    if (this.#suspended) return 'suspended';
    return this.#publishing!.doubting ? 'doubting' : 'owning';
  }

  /** Of the owner that counts, which may be this node. */
  get epoch(): number {
    return this.#reading?.counting?.epoch ?? 0;
  }

  /** Behind the last batch that is applied, or was published here and counts, and ends at `end`
   * or before it, where the own disk ends, which may be a few batches behind. */
  placeAt(end: Position): Place | undefined {
    return this.#reading?.placeAt(end);
  }

  get segments(): readonly SegmentPlace[] {
    return this.#reading?.segments.all ?? [];
  }

  /** Messages of the stream that were passed over since it was joined. */
  get voids(): number {
    return this.#reading?.counting?.voids ?? 0;
  }

  /** The last number of the stream that was heard. */
  get sequence(): number {
    return this.#reading?.counting?.sequence ?? 0;
  }

  /** Whether publishes wait for the stream, which has no room. */
  get isFull(): boolean {
    return this.#publishing?.full ?? false;
  }

  /** Why it has no right to publish, where it would have to. */
  get forbidden(): string | undefined {
    return this.#publishing?.forbidden;
  }

  /** Whether this node may hand out messages at this time. */
  mayDeliver(nowMs: number): boolean {
    const fresh = nowMs - this.#confirmedMs < this.#options.ownMs;
    return this.#state === 'owning' && fresh && !this.#suspended;
  }

  /** Begins to read the stream; also after it was deposed, or was told to rebuild. */
  join(saved: Saved): void {
    const { stream, clockMs, beginning, queueBytes } = this.#options;
    assert(this.#state === 'deposed', `joined while ${this.#state}`);
    this.#state = 'joining';
    this.#started = false;
    this.#heard();
    const reading: Reading = new Reading(
      {
        ...this.#options,
        stream,
        clockMs,
        beginning,
        queueBytes,
        events: {
          apply: (batches, done) => this.#options.effects.apply(batches, done),
          heard: (verdict, message) => this.#listen(verdict, message),
          joined: () => {
            if (this.#state === 'joining') this.#state = 'following';
            this.#heardMs = Math.max(this.#heardMs, clockMs());
          },
          rebuild: (why) => this.#leave(() => this.#options.effects.rebuild(why), why),
          stop: (code, why) => this.#stop(code, why),
        },
      },
      saved,
    );
    this.#reading = reading;
  }

  /** To be called every 50 ms or so. */
  tick(nowMs: number): void {
    this.#reading?.tick(nowMs);
    if (this.#state === 'following' && this.#mayCampaign(nowMs)) this.#campaign();
    this.#publishing?.tick(nowMs);
    if (this.#state === 'owning') this.#watch(nowMs);
  }

  /**
   * Publishes a commit batch at `position`, the start first; `closes`: it closes its segment. More
   * may be published before it counts, each where the one before it ends. `done` is called when it
   * counts, and all before it; or with a failure when this node owns no more: in the order of the
   * batches, and none counts behind one that failed. Behind a resign nothing is sent: that fails as
   * this ends. The bytes stay as they are until then.
   */
  publish(position: Position, bytes: Uint8Array, closes: boolean, done: Done): void {
    const publishing = this.#publishing;
    if (publishing === undefined) throw new Error(`published while ${this.#state}`);
    const start = !this.#started;
    this.#started = true;
    publishing.batch(position, bytes, closes, start, done);
    // One that always has something to say says who it is as often as one that has not: who joins
    // holds clients until it hears that. Beside a batch that is no further sign of life.
    const nowMs = this.#options.clockMs();
    if (this.#state === 'owning' && nowMs - this.#namedMs >= this.#options.beatMs) {
      this.#namedMs = nowMs;
      publishing.beat();
    }
  }

  /** Tells all nodes of a base: once that counts, the stream may go up to where the base ends. */
  base(json: Uint8Array, done: Done): void {
    if (this.#state !== 'owning') throw new Error(`a base was told of while ${this.#state}`);
    this.#publishing!.tell(STREAM_BASE, json, done);
  }

  /** Nothing of the stream before log position `position` is needed, and what says so is durable. */
  trimmed(position: Position, done: (failure: Failure) => void = () => {}): void {
    const before = this.#reading?.segments.numberOf(position);
    // What stays behind a purge that failed goes with the next.
    if (before === undefined) done(undefined);
    else this.#options.stream.purge(before, done);
  }

  /** Orderly end, with everything published: others need not wait. `done` comes when they know, or
   * with a failure. */
  resign(done: Done): void {
    if (this.#state !== 'owning') {
      done(new Error(`resigned while ${this.#state}`));
      return;
    }
    this.#state = 'resigning';
    this.#publishing!.tell(STREAM_RESIGN, undefined, done);
  }

  /** Nothing is called any more. */
  end(): void {
    this.#state = 'stopped';
    this.#reading?.end();
    this.#publishing?.end('ended');
  }

  #heard(): void {
    this.#heardMs = this.#options.clockMs();
    this.#waitMs = this.#options.jitterMs() + this.#options.rankMs;
    this.#resigned = false;
  }

  #listen({ envelope }: Verdict & { is: 'counts' }, message: StreamMessage): void {
    const { kind } = envelope;
    if (isSignOfLife(kind)) this.#heard();
    if (kind === STREAM_RESIGN) {
      this.#resigned = true;
      this.#reading?.applyAll();
    }
    this.#said(envelope, message);
  }

  #said(envelope: Envelope, { bytes }: StreamMessage): void {
    const { kind, epoch, node } = envelope;
    this.#options.effects.said(kind, jsonOf(bytes, envelope), epoch, node);
  }

  #mayCampaign(nowMs: number): boolean {
    const { ttlMs, isAble, stream } = this.#options;
    // Who is heard of so seldom is waited for longer: to try in vain costs a node its place.
    const silenceMs = this.epoch === this.#vainEpoch ? 2 * ttlMs : ttlMs;
    const wait = this.#waitMs + (this.#resigned ? 0 : silenceMs);
    if (nowMs - this.#heardMs < wait) return false;
    return this.#reading!.isCurrent && stream.connected() && isAble();
  }

  #campaign(): void {
    const { effects } = this.#options;
    const counting = this.#reading!.counting!;
    this.#reading!.hold();
    this.#state = 'campaigning';
    const epoch = Math.max(counting.epoch, this.#tried) + 1;
    this.#tried = epoch;
    this.#publishing = new Publishing({
      ...this.#options,
      counting,
      epoch,
      events: {
        confirmed: (verdict, sentMs) => this.#confirmed(verdict, sentMs),
        lost: (why, envelope, message) => {
          if (envelope.epoch < epoch) this.#vainEpoch = envelope.epoch;
          this.#leave(() => effects.depose(why), why);
          // Nobody has to wait until this is read again to learn who owns.
          if (this.state !== 'stopped') this.#said(envelope, message);
        },
        stop: (code, why) => this.#stop(code, why),
      },
    });
    effects.campaign(epoch);
  }

  #confirmed(verdict: Verdict, sentMs: number): void {
    const { effects, clockMs, ownMs } = this.#options;
    this.#reading!.note(verdict);
    // Followers don't take others for a sign of life.
    if (verdict.is !== 'counts' || !isSignOfLife(verdict.envelope.kind)) return;
    this.#confirmedMs = Math.max(this.#confirmedMs, sentMs);
    if (this.#state === 'campaigning') {
      this.#state = 'owning';
      this.#confirmedMs = sentMs;
      this.#namedMs = sentMs;
      this.#suspended = false;
      effects.own(this.epoch);
    } else if (this.#suspended && clockMs() - this.#confirmedMs < ownMs) {
      this.#suspended = false;
      if (this.#state === 'owning') effects.goOn();
    }
  }

  // An owner that can't confirm anything delivers no more; one that has said nothing for a while
  // beats, also behind what takes long to be stored, as others hear only what is. But not while
  // its own disk has to answer, so that a disk that hangs falls silent.
  #watch(nowMs: number): void {
    const { effects, ownMs, beatMs, isIdle } = this.#options;
    const publishing = this.#publishing!;
    if (!this.#suspended && nowMs - this.#confirmedMs >= ownMs) {
      this.#suspended = true;
      effects.suspend();
    }
    if (publishing.doubting || nowMs - publishing.signMs < beatMs) return;
    if (isIdle()) {
      this.#namedMs = nowMs;
      publishing.beat();
    } else if (this.#suspended) publishing.look();
  }

  #leave(effect: () => void, why: string): void {
    if (this.#state === 'stopped' || this.#state === 'deposed') return;
    this.#state = 'deposed';
    this.#reading?.end();
    this.#publishing?.end(why);
    this.#publishing = undefined;
    // Who hears that its publish or resign failed may have ended all of this.
    if (this.state !== 'stopped') effect();
  }

  #stop(code: number, why: string): void {
    this.#leave(() => {
      this.#state = 'stopped';
      this.#options.effects.stop(code, why);
    }, why);
  }
}
