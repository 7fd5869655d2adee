// Receives messages of one bucket: one delivered batch at a time, decisions coalesced per tick,
// heartbeats answered and hidden, silence taken for death. Pull only: messages wait in the one
// batch the broker may send, so a slow reader holds at most `batchSize` of them.

import { ACK_DONE, ACK_WORKING, BATCH_HEADER_BYTES, WIRE_U32 } from '../../assembly/layout.ts';
import {
  type ConsumerHeader,
  DeliveryDecoder,
  encodeConsumerHeader,
  type Frame,
} from '../codec/wire.ts';
import { deadline } from '../time/deadline.ts';
import { cancel, type Timer } from '../time/timers.ts';
import { Connection } from './connection.ts';
import { type ConsumerOptions, resolveConsumer } from './consumer-options.ts';
import { ThrustError } from './errors.ts';
import { checkRun, type RunOptions, runHandlers } from './handlers.ts';
import { Delivery, type Message } from './message.ts';
import { EXHAUST_PORT, type Relocatable, resolveTarget, type Status } from './options.ts';

const LEAVE_MS = 1000;
const U32_HEARTBEAT_BYTES = BATCH_HEADER_BYTES + WIRE_U32;

/** Consumes one bucket over one connection. Reading it ends it: leave a loop and it closes. */
export class Consumer implements AsyncIterable<Message>, AsyncDisposable {
  readonly bucket: bigint;
  readonly #connection: Connection;
  readonly #header: ConsumerHeader;
  readonly #auto: boolean;
  readonly #messageBytesMax: number;
  readonly #idleTimeoutMs: number;
  readonly #deliveryHooks = {
    decided: () => this.#schedule(),
    working: () => this.#sendWorking(),
  };
  #decoder: DeliveryDecoder;
  #delivery: Delivery | undefined;
  #waiters: (() => void)[] = [];
  #reading = false;
  #stopped = false; // nobody takes messages any more
  #scheduled = false;
  #watch: Timer | undefined;
  #heardAtMs = 0;

  /** Starts to connect at once. Throws USAGE. */
  constructor(options: ConsumerOptions & Relocatable) {
    const target = resolveTarget(options, EXHAUST_PORT);
    const { header, auto, messageBytesMax, idleTimeoutMs } = resolveConsumer(options);
    this.bucket = header.bucket;
    this.#header = header;
    this.#auto = auto;
    this.#messageBytesMax = messageBytesMax;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#connection = new Connection(target, options, {
      opened: () => this.#onOpened(),
      received: (chunk) => this.#onReceived(chunk),
      writable: () => {}, // acks are at most batchSize bytes between two deliveries
      lost: (error) => this.#onLost(error),
      closed: () => this.#wake(),
    });
    this.#decoder = this.#newDecoder();
    this.#connection.start();
  }

  get status(): Status {
    return this.#connection.status;
  }

  /** Resolves once, when closed for good: with the error that caused it, or undefined. */
  get closed(): Promise<ThrustError | undefined> {
    return this.#connection.closed;
  }

  /** Resolves when connected; rejects with CONNECTION when that has failed for good. */
  ready(): Promise<void> {
    return this.#connection.ready();
  }

  /**
   * Messages until `close()`. Throws when the connection has failed for good. Leaving the loop
   * closes the consumer, and what was not acked is ready again for others at once.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    return this.#leavable(this.#read(() => this.#take()));
  }

  /** The same with all messages that are there at once, in order: 1 … batchSize. */
  batches(): AsyncGenerator<Message[], void, undefined> {
    return this.#leavable(this.#read(() => this.#takeAll()));
  }

  /**
   * Hands each message to `handler`: acked when it resolves, failed when it throws, unless the
   * handler or `onFail` decided before. Resolves after `close()` or `signal`, when every handler is
   * done; rejects when the connection has failed for good. Either way the consumer is closed then.
   * When the connection is lost, handlers go on and the same messages come again: `message.signal`
   * tells them. Nothing that `handler`, `onFail` or `onError` throws ends the run.
   */
  async run(handler: (message: Message) => unknown, options: RunOptions = {}): Promise<void> {
    const run = checkRun(handler, options);
    this.#claim();
    const source = {
      hooks: this.#connection.userHooks,
      batchSize: this.#header.batchSize,
      take: () => this.#take(),
      more: () => this.#more(),
      stop: () => {
        this.#stopped = true;
        this.#wake();
      },
      working: () => this.#sendWorking(),
    };
    try {
      await runHandlers(source, run);
    } finally {
      await this.close();
    }
  }

  /**
   * Sends the decisions made so far and ends; what was not decided is ready again for others at
   * once. Safe to call again. Never rejects.
   */
  async close(): Promise<void> {
    this.#stopped = true;
    const delivery = this.#delivery;
    if (delivery !== undefined && this.#connection.isOpen) this.#write(delivery.lastAcks());
    const text = 'the consumer was closed before this message was decided';
    this.#onLost(new ThrustError('CLOSED', text)); // nothing can be decided from here on
    this.#wake();
    await this.#connection.finish(LEAVE_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #claim(): void {
    if (this.#reading)
      throw new ThrustError('USAGE', 'a consumer is read once: make another one for another loop');
    this.#reading = true;
  }

  async *#read<T extends Message | Message[]>(
    take: () => T | undefined,
  ): AsyncGenerator<T, void, undefined> {
    this.#claim();
    try {
      for (;;) {
        const taken = take();
        if (taken !== undefined) {
          yield taken;
          if (this.#auto) for (const one of Array.isArray(taken) ? taken : [taken]) one.ack();
        } else if (!(await this.#more())) return;
      }
    } finally {
      await this.close();
    }
  }

  /** A generator alone would first wait for its next item, and one never begun would not close. */
  #leavable<T>(items: AsyncGenerator<T, void, undefined>): AsyncGenerator<T, void, undefined> {
    const leave = items.return.bind(items);
    items.return = async (value) => {
      await this.close();
      return leave(value);
    };
    return items;
  }

  /** The next message that is here now. Looking and taking are one step: workers share them. */
  #take(): Message | undefined {
    return this.#stopped ? undefined : this.#delivery?.take();
  }

  #takeAll(): Message[] | undefined {
    const messages: Message[] = [];
    for (let one = this.#take(); one !== undefined; one = this.#take()) messages.push(one);
    return messages.length === 0 ? undefined : messages;
  }

  /**
   * Waits until there may be something to take, which others may take first; false at the end.
   * Throws why it ended.
   */
  async #more(): Promise<boolean> {
    if (this.#stopped) return false;
    if (this.#connection.status === 'closed') {
      if (this.#connection.error !== undefined) throw this.#connection.closedError();
      return false;
    }
    await new Promise<void>((resolve) => {
      this.#waiters.push(resolve);
    });
    return true;
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  #newDecoder(): DeliveryDecoder {
    return new DeliveryDecoder(this.#connection.target.wire, {
      batchMessagesMax: this.#header.batchSize,
      messageBytesMax: this.#messageBytesMax,
    });
  }

  #onOpened(): void {
    this.#decoder = this.#newDecoder();
    this.#connection.write(encodeConsumerHeader(this.#header));
    this.#listen();
  }

  #onReceived(chunk: Uint8Array): void {
    if (this.#stopped) return; // leaving: what comes now goes back to the bucket
    this.#heardAtMs = performance.now();
    try {
      for (const frame of this.#decoder.push(chunk)) this.#onFrame(frame);
    } catch (cause) {
      this.#foreign(cause instanceof Error ? cause.message : String(cause), cause);
    }
  }

  #foreign(detail: string, cause?: unknown): void {
    const { wire } = this.#connection.target;
    const text =
      `${this.#connection.peer} does not speak like a broker's exhaust in dialect ${wire}: ` +
      `${detail}; check port and wire`;
    this.#connection.close(new ThrustError('PROTOCOL', text, { cause }));
  }

  #onFrame(frame: Frame): void {
    this.#connection.confirm();
    if (this.#delivery !== undefined)
      throw new ThrustError('PROTOCOL', 'a batch came before the last one was acked');
    if (frame.isHeartbeat) {
      this.#write(Uint8Array.of(ACK_DONE));
      return;
    }
    cancel(this.#watch); // while messages are unacked the broker has nothing to say
    this.#delivery = new Delivery(frame, this.bucket, this.#deliveryHooks);
    this.#wake();
  }

  /** Sends decisions at the end of this tick, so that those made in it share a write. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.#sendAcks();
    });
  }

  #sendAcks(): void {
    const delivery = this.#delivery;
    if (delivery === undefined) return;
    this.#write(delivery.nextAcks());
    if (!delivery.settled) return;
    this.#delivery = undefined;
    this.#listen();
  }

  /** Not behind the last ack of a delivery: there it would say nothing. */
  #sendWorking(): void {
    if (this.#delivery !== undefined) this.#write(Uint8Array.of(ACK_WORKING));
  }

  #write(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#connection.write(bytes);
  }

  #onLost(error: ThrustError): void {
    cancel(this.#watch);
    const delivery = this.#delivery;
    this.#delivery = undefined;
    delivery?.end(error); // calls listeners of signals, which may call us
  }

  /** From now on the broker must be heard every so often. */
  #listen(): void {
    if (this.#idleTimeoutMs === 0) return;
    cancel(this.#watch);
    this.#heardAtMs = performance.now();
    this.#armWatch(this.#idleTimeoutMs);
  }

  #armWatch(waitMs: number): void {
    this.#watch = deadline(waitMs, () => {
      const leftMs = this.#heardAtMs + this.#idleTimeoutMs - performance.now();
      if (leftMs >= 1) {
        this.#armWatch(leftMs);
        return;
      }
      if (this.#decoder.pendingBytes === U32_HEARTBEAT_BYTES) {
        this.#foreign('what came looks like a heartbeat in dialect u32');
        return;
      }
      const text = `nothing was heard from ${this.#connection.peer} for ${this.#idleTimeoutMs} ms`;
      this.#connection.reset(new ThrustError('TIMEOUT', text));
    });
  }
}

/** Makes a consumer; it connects in the background. Throws USAGE for wrong options. */
export function createConsumer(options: ConsumerOptions & Relocatable): Consumer {
  return new Consumer(options);
}
