// One run of the load generator: connects, warms up, measures a window, lets everything settle,
// sums up. Owns the timers and the order of phases; bytes are the business of its connections.

import { randomInt } from 'node:crypto';
import { deadline } from '../time/deadline.ts';
import { after, cancel, every, type Timer } from '../time/timers.ts';
import { createSources } from './batches.ts';
import { LoadError } from './connect.ts';
import { LoadConsumer } from './consumer.ts';
import { Ledger } from './ledger.ts';
import { Meter } from './meter.ts';
import { Pacer } from './pacer.ts';
import { checkPlan, type LoadPlan } from './plan.ts';
import { LoadProducer } from './producer.ts';
import { addLatencies, type LoadResult, type Mark, sumUp } from './result.ts';

export type Phase = 'connect' | 'warmup' | 'measure' | 'settle' | 'drain';

export interface LoadProgress {
  phase: Phase;
  /** Since the load began, ms. */
  elapsedMs: number;
  published: number;
  delivered: number;
  /** Since the last report, per second. */
  publishedPerSecond: number;
  deliveredPerSecond: number;
}

export interface LoadHooks {
  onProgress?: (progress: LoadProgress) => void;
  /** Time between reports, ms; default 1000. */
  progressMs?: number;
  /** Every connection is open; load begins now. */
  onConnected?: () => void;
  /** The measured window begins or ends now. */
  onWindow?: (edge: 'begin' | 'end') => void;
  /** Ends the measured window early; what was measured until then is the result. */
  signal?: AbortSignal;
}

/** Connections opened at the same time. */
const CONNECTS_MAX = 128;
/** Nothing moved for this long although something should: the broker is stuck. */
const STALL_MS = 10_000;
/** An open loop sleeps while the next batch is further away than this; timers are that coarse. */
const COARSE_MS = 2;
const LEAVE_MS = 1000;

/**
 * Runs a plan to its end.
 * @throws RangeError for a plan that cannot be run; LoadError when the broker fails it.
 */
export async function runLoad(plan: LoadPlan, hooks: LoadHooks = {}): Promise<LoadResult> {
  const fault = checkPlan(plan);
  if (fault !== undefined) throw new RangeError(fault);
  const run = new LoadRun(plan, hooks);
  try {
    return await run.run();
  } finally {
    await run.close();
  }
}

/** Without producers, everything that the one producer of an earlier run published is awaited. */
function createLedger({ producers, count = 0 }: LoadPlan): Ledger {
  const ledger = new Ledger(Math.max(1, producers));
  if (producers === 0)
    for (let sequence = 0; sequence < count; sequence++) ledger.stored(0, sequence);
  return ledger;
}

class LoadRun {
  readonly #plan: LoadPlan;
  readonly #hooks: LoadHooks;
  readonly #meter = new Meter();
  readonly #ledger: Ledger | undefined;
  readonly #pacer: Pacer;
  readonly #producers: LoadProducer[];
  readonly #consumers: LoadConsumer[];
  readonly #failed: Promise<never>;
  readonly #startedMs = performance.now();
  #fail: (error: LoadError) => void = () => {};
  #failure: LoadError | undefined;
  #phase: Phase = 'connect';
  #wanted: { holds: () => boolean; met: (value: boolean) => void } | undefined;
  #tick: Timer | undefined;
  #closed = false;
  #turn = 0; // producer that an open loop asks first
  readonly #held = new Set<LoadProducer>(); // by the backlog

  constructor(plan: LoadPlan, hooks: LoadHooks) {
    this.#plan = plan;
    this.#hooks = hooks;
    const { consumers, batchMessages, rate, backlogMessagesMax } = plan;
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => {});
    this.#ledger = plan.verify ? createLedger(plan) : undefined;
    const waiting = (): number => this.#meter.waiting;
    this.#pacer = new Pacer({ batchMessages, rate, backlogMessagesMax, waiting });
    const run = plan.run ?? randomInt(1, 65_536);
    const common = {
      plan,
      meter: this.#meter,
      ledger: this.#ledger,
      onFailure: (error: LoadError) => this.#stopWith(error),
    };
    const sources = createSources(plan, run);
    const onAcks = (): void => this.#check();
    const onHeld = (producer: LoadProducer): void => void this.#held.add(producer);
    const onFrame = (): void => this.#onFrame();
    this.#producers = sources.map(
      (source, index) =>
        new LoadProducer({ ...common, index, source, pacer: this.#pacer, onAcks, onHeld }),
    );
    this.#consumers = Array.from(
      { length: consumers },
      (_, index) => new LoadConsumer({ ...common, index, run, onFrame }),
    );
  }

  async run(): Promise<LoadResult> {
    await this.#connect();
    const begun = this.#mark();
    for (const consumer of this.#consumers) consumer.begin();
    this.#hooks.onConnected?.();
    this.#report();
    if (this.#plan.warmupMs > 0) await this.#warmUp();
    this.#phase = 'measure';
    // Who only reads a backlog has it coming from its first word on.
    const reading = this.#plan.producers === 0 && this.#plan.warmupMs === 0;
    const from = reading ? begun : this.#mark();
    this.#meter.beginTiming(from.atMs);
    this.#hooks.onWindow?.('begin');
    if (this.#plan.count === undefined) {
      if (this.#pacer.exhausted) this.#open(Number.POSITIVE_INFINITY);
      await this.#pause(this.#plan.durationMs);
    } else await this.#countTo(from, this.#plan.count);
    const to = this.#mark();
    this.#meter.endTiming(to.atMs);
    this.#hooks.onWindow?.('end');
    const interrupted = this.#hooks.signal?.aborted === true;
    const result = sumUp(this.#plan, this.#meter, { from, to, interrupted });
    await this.#settle();
    await this.#drain();
    addLatencies(result, this.#meter);
    result.verify = this.#ledger?.verdict();
    result.leftMessages = this.#plan.producers === 0 ? 0 : this.#waiting();
    return result;
  }

  async #connect(): Promise<void> {
    const all = [...this.#consumers, ...this.#producers];
    for (let from = 0; from < all.length; from += CONNECTS_MAX) {
      const some = all.slice(from, from + CONNECTS_MAX);
      await Promise.all(some.map((connection) => connection.connect()));
    }
  }

  /** With a count, the warm-up's messages are out of the way before counting begins. */
  async #warmUp(): Promise<void> {
    this.#phase = 'warmup';
    this.#open(Number.POSITIVE_INFINITY);
    await this.#pause(this.#plan.warmupMs);
    if (this.#plan.count === undefined) return;
    await this.#settle();
    await this.#drain();
  }

  async #countTo(from: Mark, count: number): Promise<void> {
    const { producers, consumers } = this.#plan;
    this.#open(count);
    await this.#until(() => {
      if (producers === 0) return this.#meter.delivered - from.delivered >= count;
      if (!this.#pacer.exhausted || this.#inFlight() > 0) return false;
      return consumers === 0 || this.#waiting() <= 0;
    }, 'count');
    this.#pacer.close();
  }

  /** Waits for the answers to everything that was due. */
  async #settle(): Promise<void> {
    this.#phase = 'settle';
    this.#pacer.finish(performance.now());
    await this.#until(() => this.#pacer.exhausted && this.#inFlight() === 0, 'answers');
    this.#pacer.close();
  }

  /** Consumes what is left; gives up quietly when nothing comes any more. */
  async #drain(): Promise<void> {
    if (!this.#plan.drain || this.#consumers.length === 0 || this.#producers.length === 0) return;
    this.#phase = 'drain';
    await this.#until(() => this.#waiting() <= 0, undefined);
  }

  #waiting(): number {
    return this.#ledger?.waiting ?? Math.max(0, this.#meter.waiting);
  }

  #inFlight(): number {
    return this.#producers.reduce((sum, producer) => sum + producer.inFlight, 0);
  }

  #open(messages: number): void {
    this.#pacer.open(messages, performance.now());
    this.#pump();
    if (this.#pacer.openLoop) this.#keepSchedule();
  }

  #pump(): void {
    const nowMs = performance.now();
    const { length } = this.#producers;
    for (let index = 0; index < length; index++) {
      const producer = this.#producers[(this.#turn + index) % length];
      if (producer.pump(nowMs)) this.#held.add(producer);
    }
    this.#turn += 1;
  }

  // Only those that are held back, longest first: asking all of them for each frame would make the
  // generator what is measured.
  #release(): void {
    const nowMs = performance.now();
    for (const producer of this.#held) {
      if (producer.pump(nowMs)) return;
      this.#held.delete(producer);
    }
  }

  /** Wakes when the next batch is due; turns in circles when that is too soon for a timer. */
  #keepSchedule(): void {
    if (this.#closed || this.#pacer.exhausted) return;
    const awayMs = this.#pacer.nextDueMs - performance.now();
    const again = (): void => {
      if (this.#pacer.nextDueMs <= performance.now()) this.#pump();
      this.#keepSchedule();
    };
    if (awayMs > COARSE_MS) after(awayMs - COARSE_MS, again);
    else setImmediate(again);
  }

  #onFrame(): void {
    if (this.#plan.backlogMessagesMax !== undefined) this.#release();
    this.#check();
  }

  #check(): void {
    if (this.#wanted?.holds()) this.#wanted.met(true);
  }

  #stopWith(error: LoadError): void {
    this.#failure ??= error;
    this.#fail(this.#failure);
  }

  /** Waits this long, or until the run is interrupted or fails. */
  async #pause(ms: number): Promise<void> {
    const { signal } = this.#hooks;
    if (signal?.aborted) return;
    let timer: Timer | undefined;
    let stop: (() => void) | undefined;
    const over = new Promise<void>((resolve) => {
      stop = resolve;
      timer = after(ms, resolve);
      signal?.addEventListener('abort', stop);
    });
    try {
      await Promise.race([over, this.#failed]);
    } finally {
      cancel(timer);
      signal?.removeEventListener('abort', stop!);
    }
  }

  /** Waits until `holds`. When nothing moves: an error about `what`, or just the end of waiting. */
  async #until(holds: () => boolean, what: string | undefined): Promise<void> {
    const { signal } = this.#hooks;
    if (holds() || signal?.aborted) return;
    let moved = -1;
    const met = new Promise<boolean>((resolve) => {
      this.#wanted = { holds, met: resolve };
    });
    const give = (): void => this.#wanted?.met(true);
    signal?.addEventListener('abort', give);
    const look = (): void => {
      const { stored, refused, delivered } = this.#meter;
      if (moved === stored + refused + delivered && !this.#slow()) this.#wanted?.met(false);
      moved = stored + refused + delivered;
      watch = deadline(STALL_MS, look);
    };
    let watch = deadline(STALL_MS, look);
    try {
      const reached = await Promise.race([met, this.#failed]);
      if (!reached && what !== undefined)
        throw new LoadError('stalled', `nothing happened for ${STALL_MS / 1000} s, in "${what}"`);
    } finally {
      cancel(watch);
      signal?.removeEventListener('abort', give);
      this.#wanted = undefined;
    }
  }

  /** An open loop of few messages is silent by intention. */
  #slow(): boolean {
    return (
      this.#pacer.openLoop && this.#pacer.nextDueMs > performance.now() && this.#inFlight() === 0
    );
  }

  #mark(): Mark {
    const { stored, refused, delivered, deliveredBytes } = this.#meter;
    return { atMs: performance.now(), stored, refused, delivered, deliveredBytes };
  }

  #report(): void {
    const { onProgress, progressMs = 1000 } = this.#hooks;
    if (onProgress === undefined) return;
    let before = this.#mark();
    this.#tick = every(progressMs, () => {
      const now = this.#mark();
      const seconds = (now.atMs - before.atMs) / 1000;
      onProgress({
        phase: this.#phase,
        elapsedMs: now.atMs - this.#startedMs,
        published: now.stored,
        delivered: now.delivered,
        publishedPerSecond: (now.stored - before.stored) / seconds,
        deliveredPerSecond: (now.delivered - before.delivered) / seconds,
      });
      before = now;
    });
  }

  /** Leaves politely; destroys what is not gone soon. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#pacer.close();
    cancel(this.#tick);
    const all = [...this.#producers, ...this.#consumers];
    const timer = deadline(LEAVE_MS, () => {
      for (const connection of all) connection.destroy();
    });
    await Promise.all(all.map((connection) => connection.leave()));
    cancel(timer);
  }
}
