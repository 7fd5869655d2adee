// A delivered message and the batch it came in. The wire wants one decision for each message in
// order; users decide in any order, so the batch keeps decisions and gives out the longest decided
// prefix. Knows nothing of sockets.

import {
  ACK_DONE,
  ACK_FAILED,
  ACK_REJECTED,
  ACK_RELEASED,
  ACK_WORKING,
} from '../../assembly/layout.ts';
import { retryByte } from '../codec/retry-bytes.ts';
import type { Frame } from '../codec/wire.ts';
import { type ThrustError, usage } from './errors.ts';

const UNDECIDED = ACK_WORKING; // the one byte that decides nothing

/** What a delivery asks of the consumer that it came to. */
export interface DeliveryHooks {
  /** There is something to send. */
  decided(): void;
  /** Its consumer works on it. */
  working(): void;
}

export interface RetryOptions {
  /** Whether this delivery counts as an attempt. Default true. */
  charge?: boolean;
}

export class Delivery {
  readonly frame: Frame;
  readonly bucket: bigint;
  readonly #decisions: Uint8Array; // ack bytes
  readonly #hooks: DeliveryHooks;
  #taken = 0;
  #sent = 0; // decisions given out
  #gone: ThrustError | undefined; // why the connection that it came on stands no more
  #controllers: Map<number, AbortController> | undefined; // of messages that were asked for it

  constructor(frame: Frame, bucket: bigint, hooks: DeliveryHooks) {
    this.frame = frame;
    this.bucket = bucket;
    this.#decisions = new Uint8Array(frame.count).fill(UNDECIDED);
    this.#hooks = hooks;
  }

  /** Every decision has been given out; the broker may send the next batch. */
  get settled(): boolean {
    return this.#sent === this.frame.count;
  }

  /** The next message that nobody took; undefined when there is none, or the connection is gone. */
  take(): Message | undefined {
    if (this.#gone !== undefined || this.#taken === this.frame.count) return undefined;
    return new Message(this, this.#taken++);
  }

  /** Message `index` was not decided yet, and still can be. */
  isOpen(index: number): boolean {
    return this.#gone === undefined && this.#decisions[index] === UNDECIDED;
  }

  /** The first decision, an ack byte, counts. false: it came too late. */
  decide(index: number, byte: number): boolean {
    if (!this.isOpen(index)) return false;
    this.#decisions[index] = byte;
    this.#hooks.decided();
    return true;
  }

  /** Somebody works on message `index`. false: it came too late. */
  work(index: number): boolean {
    if (!this.isOpen(index)) return false;
    this.#hooks.working();
    return true;
  }

  /** Ack bytes of the decided messages right behind those given out before; may be empty. */
  nextAcks(): Uint8Array {
    let end = this.#sent;
    while (end < this.frame.count && this.#decisions[end] !== UNDECIDED) end += 1;
    return this.#give(end);
  }

  /**
   * Before leaving: the rest up to the last decided message. Undecided ones in between are
   * released: nobody said that they failed.
   */
  lastAcks(): Uint8Array {
    let end = this.frame.count;
    while (end > this.#sent && this.#decisions[end - 1] === UNDECIDED) end -= 1;
    return this.#give(end).map((byte) => (byte === UNDECIDED ? ACK_RELEASED : byte));
  }

  #give(end: number): Uint8Array {
    const decisions = this.#decisions.slice(this.#sent, end);
    this.#sent = end;
    return decisions;
  }

  /** Its connection is gone: what was not decided will be delivered again. */
  end(reason: ThrustError): void {
    if (this.#gone !== undefined) return;
    this.#gone = reason;
    for (const [index, controller] of this.#controllers ?? [])
      if (this.#decisions[index] === UNDECIDED) controller.abort(reason);
  }

  /** The signal of message `index`; made when it is asked for. */
  signal(index: number): AbortSignal {
    this.#controllers ??= new Map();
    let controller = this.#controllers.get(index);
    if (controller === undefined) {
      controller = new AbortController();
      this.#controllers.set(index, controller);
      if (this.#gone !== undefined && this.#decisions[index] === UNDECIDED)
        controller.abort(this.#gone);
    }
    return controller.signal;
  }
}

/** One delivery of a message. */
export class Message {
  readonly #delivery: Delivery;
  readonly #index: number;
  #body: Uint8Array | undefined;

  constructor(delivery: Delivery, index: number) {
    this.#delivery = delivery;
    this.#index = index;
  }

  get bucket(): bigint {
    return this.#delivery.bucket;
  }

  /** Size of the body in bytes, without copying it. */
  get size(): number {
    const { frame } = this.#delivery;
    return frame.end(this.#index) - frame.start(this.#index);
  }

  /** The payload: your own copy, made on first use and never touched again. */
  get body(): Uint8Array {
    this.#body ??= new Uint8Array(this.#delivery.frame.body(this.#index));
    return this.#body;
  }

  /**
   * Fires when this delivery is gone before it was decided, because the connection was lost or the
   * consumer closed: what is done now counts for nothing, and the message is delivered again. Its
   * `reason` is the ThrustError. Hand it on to what a handler waits for.
   */
  get signal(): AbortSignal {
    return this.#delivery.signal(this.#index);
  }

  /** The payload as UTF-8. */
  text(): string {
    const bytes = this.#body ?? this.#delivery.frame.body(this.#index);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  }

  /** The payload as JSON; throws SyntaxError. */
  json<T = unknown>(): T {
    return JSON.parse(this.text()) as T;
  }

  /** Whether it can be decided: nothing was yet, and the connection that it came on stands. */
  get isOpen(): boolean {
    return this.#delivery.isOpen(this.#index);
  }

  /**
   * Done: the broker forgets the message. Sent at the end of this tick, once every earlier message
   * of the batch is decided too. false: too late, because it was decided before or the connection
   * it came on is gone; then it is delivered again.
   */
  ack(): boolean {
    return this.#delivery.decide(this.#index, ACK_DONE);
  }

  /**
   * Failed: the message is ready again at its old place, after the delay that a rule sets for its
   * bucket, without one at once. Returns like `ack`.
   */
  fail(): boolean {
    return this.#delivery.decide(this.#index, ACK_FAILED);
  }

  /**
   * Failed: ready again after `ms`, whatever the rule says. The delay is rounded up to a power of
   * two of ms, up to 2^31 (24.8 days). `charge: false`: no attempt is counted, as for a service that
   * is away. Returns like `ack`; throws USAGE for another delay.
   */
  retry(ms: number, options: RetryOptions = {}): boolean {
    const byte = usage(() => retryByte(ms, options.charge ?? true));
    return this.#delivery.decide(this.#index, byte);
  }

  /** Rejected: it will never succeed, so it is dead now, which a rule may keep. Returns like `ack`. */
  reject(): boolean {
    return this.#delivery.decide(this.#index, ACK_REJECTED);
  }

  /** Given back: ready again at once, and no attempt is counted. Returns like `ack`. */
  release(): boolean {
    return this.#delivery.decide(this.#index, ACK_RELEASED);
  }

  /**
   * Still at work: renews the lease of the delivery that it came in, where a rule sets one. Decides
   * nothing. Only for a broker that knows the byte 0xff (PROTOCOL.md): an older one takes it for an
   * ack, and each ack behind it for that of another message. false: too late, like `ack`.
   */
  working(): boolean {
    return this.#delivery.work(this.#index);
  }
}
