// A delivered message and the batch it came in. The wire wants one decision for each message in
// order; users decide in any order, so the batch keeps decisions and gives out the longest decided
// prefix. Knows nothing of sockets.

import { ACK_DONE } from '../../assembly/layout.ts';
import type { Frame } from '../codec/wire.ts';
import type { ThrustError } from './errors.ts';

const ACK_FAILED = 0;

const UNDECIDED = 0;
const DONE = 1;
const FAILED = 2;

export class Delivery {
  readonly frame: Frame;
  readonly bucket: bigint;
  readonly #decisions: Uint8Array;
  readonly #onDecision: () => void;
  #taken = 0;
  #sent = 0; // decisions given out
  #gone: ThrustError | undefined; // why the connection that it came on stands no more
  #controllers: Map<number, AbortController> | undefined; // of messages that were asked for it

  constructor(frame: Frame, bucket: bigint, onDecision: () => void) {
    this.frame = frame;
    this.bucket = bucket;
    this.#decisions = new Uint8Array(frame.count);
    this.#onDecision = onDecision;
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

  /** The first decision counts. false: it came too late. */
  decide(index: number, done: boolean): boolean {
    if (this.#gone !== undefined || this.#decisions[index] !== UNDECIDED) return false;
    this.#decisions[index] = done ? DONE : FAILED;
    this.#onDecision();
    return true;
  }

  /** Ack bytes of the decided messages right behind those given out before; may be empty. */
  nextAcks(): Uint8Array {
    let end = this.#sent;
    while (end < this.frame.count && this.#decisions[end] !== UNDECIDED) end += 1;
    return this.#give(end);
  }

  /**
   * Before leaving: the rest up to the last decided message. Undecided ones in between count as
   * failed, which is what the end of the connection would make of them too.
   */
  lastAcks(): Uint8Array {
    let end = this.frame.count;
    while (end > this.#sent && this.#decisions[end - 1] === UNDECIDED) end -= 1;
    return this.#give(end);
  }

  #give(end: number): Uint8Array {
    const decisions = this.#decisions.subarray(this.#sent, end);
    this.#sent = end;
    return decisions.map((decision) => (decision === DONE ? ACK_DONE : ACK_FAILED));
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

  /**
   * Done: the broker forgets the message. Sent at the end of this tick, once every earlier message
   * of the batch is decided too. false: too late, because it was decided before or the connection
   * it came on is gone; then it is delivered again.
   */
  ack(): boolean {
    return this.#delivery.decide(this.#index, true);
  }

  /** Failed: the message is ready again at once, at its old place. Returns like `ack`. */
  fail(): boolean {
    return this.#delivery.decide(this.#index, false);
  }
}
