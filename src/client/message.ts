// A delivered message and the batch it came in. The wire wants one decision for each message in
// order; users decide in any order, so the batch keeps decisions and gives out the longest decided
// prefix. Knows nothing of sockets.

import { ACK_DONE } from '../../assembly/layout.ts';
import type { Frame } from '../codec/wire.ts';

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
  #open = true; // the connection that it came on stands

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
    if (!this.#open || this.#taken === this.frame.count) return undefined;
    return new Message(this, this.#taken++);
  }

  /** The first decision counts. false: it came too late. */
  decide(index: number, done: boolean): boolean {
    if (!this.#open || this.#decisions[index] !== UNDECIDED) return false;
    this.#decisions[index] = done ? DONE : FAILED;
    this.#onDecision();
    return true;
  }

  /** Ack bytes of the decided messages right behind those given out before; may be empty. */
  nextAcks(): Uint8Array {
    const from = this.#sent;
    while (this.#sent < this.frame.count && this.#decisions[this.#sent] !== UNDECIDED)
      this.#sent += 1;
    return this.#decisions
      .subarray(from, this.#sent)
      .map((decision) => (decision === DONE ? ACK_DONE : ACK_FAILED));
  }

  /**
   * Before leaving: the rest up to the last decided message. Undecided ones in between count as
   * failed, which is what the end of the connection would make of them too.
   */
  lastAcks(): Uint8Array {
    let last = this.frame.count;
    while (last > this.#sent && this.#decisions[last - 1] === UNDECIDED) last -= 1;
    for (let index = this.#sent; index < last; index++)
      if (this.#decisions[index] === UNDECIDED) this.#decisions[index] = FAILED;
    return this.nextAcks();
  }

  /** Its connection is gone: what was not decided will be delivered again. */
  end(): void {
    this.#open = false;
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
