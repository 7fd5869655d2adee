// Publishes messages: gathers what is sent in one tick into wire batches, keeps several of them
// on the wire within a window, and settles each call by the acks that come back in order. Order
// and window are pipeline.ts, the connection that comes back is connection.ts; this ties them.

import { ACK_STORED, BATCH_MESSAGES_MAX, MESSAGE_BYTES_CEILING } from '../../assembly/layout.ts';
import { type BucketLike, encodeGoodbye, messageBytes, parseU64 } from '../codec/wire.ts';
import { deadline } from '../time/deadline.ts';
import { cancel, type Timer } from '../time/timers.ts';
import { Connection } from './connection.ts';
import { abortError, ThrustError, usage } from './errors.ts';
import {
  type ConnectionOptions,
  duration,
  INTAKE_PORT,
  type Relocatable,
  resolveTarget,
  type Status,
  whole,
} from './options.ts';
import { Pipeline, type PipelineLimits } from './pipeline.ts';
import {
  bodyBytes,
  type Columns,
  EncodedBatch,
  type Outgoing,
  Publication,
  toColumns,
} from './publication.ts';

const GOODBYE_MS = 2000;
const CLOSE_MS = 30_000;

export interface SendOptions {
  /** Stops waiting, with ABORTED. A message already on the wire may be stored all the same. */
  signal?: AbortSignal;
}

export interface CloseOptions {
  /**
   * Longest wait for what is not settled, in ms; the rest is then rejected. Infinity waits until
   * it is settled. Default 30 s.
   */
  timeoutMs?: number;
}

export interface ProducerOptions extends ConnectionOptions {
  /** Most messages on the wire without an ack; further ones wait. Default 65,536. */
  maxInFlight?: number;
  /** The same in bytes; one larger message travels alone. Default 16 MiB. */
  maxInFlightBytes?: number;
  /** Most messages in one wire batch, at most 65,536. Default 8192. */
  batchMessagesMax?: number;
  /** Largest wire batch in bytes; one larger message travels alone. Default 1 MiB. */
  batchBytesMax?: number;
  /** Larger messages are rejected here; set it to the broker's --max-message. Default 64 MiB. */
  messageBytesMax?: number;
  /**
   * Time without any ack while some are due, after which the connection counts as dead;
   * 0 = never. Default 30 s.
   */
  ackTimeoutMs?: number;
  /**
   * true: what was in flight on a lost connection is sent again, which can store it twice.
   * false (default): such calls reject with UNKNOWN_OUTCOME and the caller decides.
   */
  retry?: boolean;
}

function resolveLimits(options: ProducerOptions): PipelineLimits {
  const size = (name: 'maxInFlight' | 'maxInFlightBytes' | 'batchBytesMax', fallback: number) =>
    whole(name, options[name], { fallback, least: 1, most: Number.MAX_SAFE_INTEGER });
  return {
    maxInFlight: size('maxInFlight', 65_536),
    maxInFlightBytes: size('maxInFlightBytes', 16_777_216),
    batchBytesMax: size('batchBytesMax', 1_048_576),
    batchMessagesMax: whole('batchMessagesMax', options.batchMessagesMax, {
      fallback: 8192,
      least: 1,
      most: BATCH_MESSAGES_MAX,
    }),
  };
}

/** Publishes to any number of buckets over one connection. Make one and share it. */
export class Producer implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #pipeline: Pipeline;
  readonly #messageBytesMax: number;
  readonly #ackTimeoutMs: number;
  readonly #retry: boolean;
  #blocked = false; // the socket has enough
  #scheduled = false;
  #closing: Promise<void> | undefined;
  #flushes: { readonly until: number; readonly resolve: () => void }[] = [];
  #watch: Timer | undefined;
  #progressAtMs = 0;

  /** Starts to connect at once; calls wait for the connection. Throws USAGE. */
  constructor(options: ProducerOptions & Relocatable = {}) {
    const target = resolveTarget(options, INTAKE_PORT);
    this.#pipeline = new Pipeline(target.wire, resolveLimits(options));
    this.#messageBytesMax = whole('messageBytesMax', options.messageBytesMax, {
      fallback: MESSAGE_BYTES_CEILING,
      least: 1,
      most: MESSAGE_BYTES_CEILING,
    });
    this.#ackTimeoutMs = duration('ackTimeoutMs', options.ackTimeoutMs, {
      fallback: 30_000,
      least: 0,
    });
    this.#retry = options.retry ?? false;
    this.#connection = new Connection(target, options, {
      opened: () => this.#onWritable(),
      received: (chunk) => this.#onAcks(chunk),
      writable: () => this.#onWritable(),
      lost: (error) => this.#onLost(error),
      closed: () => this.#onClosed(),
    });
    this.#connection.start();
  }

  get status(): Status {
    return this.#connection.status;
  }

  /** Resolves once, when closed for good: with the error that caused it, or undefined. */
  get closed(): Promise<ThrustError | undefined> {
    return this.#connection.closed;
  }

  /** Messages on the wire without an ack. */
  get inFlight(): number {
    return this.#pipeline.inFlight;
  }

  /** Messages taken from callers that are not on the wire yet: no connection, or window full. */
  get waiting(): number {
    return this.#pipeline.waiting;
  }

  /** Resolves when connected; rejects with CONNECTION when that has failed for good. */
  ready(): Promise<void> {
    return this.#connection.ready();
  }

  /**
   * Publishes one message, and resolves when it is stored. Rejects with REFUSED if it was not, with
   * UNKNOWN_OUTCOME if the connection was lost first, ABORTED by `signal`, USAGE; once it is closed,
   * with why. Waits while the window is full: await it, or bound the calls you leave open.
   */
  async send(
    bucket: BucketLike,
    body: Uint8Array | string,
    options: SendOptions = {},
  ): Promise<void> {
    const buckets = [usage(() => parseU64(bucket))];
    const bodies = [bodyBytes(body, this.#messageBytesMax)];
    const bytes = messageBytes(bodies[0].length, this.#connection.target.wire);
    const acks = await this.#publish({ buckets, bodies, bytes }, options.signal);
    if (acks[0] === ACK_STORED) return;
    throw new ThrustError(
      'REFUSED',
      `the broker did not store a message of ${bodies[0].length} bytes for bucket ${bucket}: ` +
        'it is larger than its --max-message, or its disk is full or failed',
    );
  }

  /**
   * Publishes messages in order. Resolves when all are answered: true = stored, false = refused.
   * Rejects like `send` when it could not be completed, with what is known in `error.results`.
   */
  async sendBatch(messages: readonly Outgoing[], options: SendOptions = {}): Promise<boolean[]> {
    if (messages.length === 0) return [];
    const { wire } = this.#connection.target;
    const columns = toColumns(messages, wire, this.#messageBytesMax);
    const acks = await this.#publish(columns, options.signal);
    return Array.from(acks, (ack) => ack === ACK_STORED);
  }

  /**
   * Publishes a batch that was encoded before, as one wire batch: nothing is done for each of its
   * messages. Resolves to one byte for each: 1 = stored, 0 = refused. Rejects like `sendBatch`.
   */
  async sendEncoded(batch: EncodedBatch, options: SendOptions = {}): Promise<Uint8Array> {
    const { wire } = this.#connection.target;
    if (!(batch instanceof EncodedBatch) || batch.wire !== wire)
      throw new ThrustError('USAGE', `sendEncoded needs an EncodedBatch of wire ${wire}`);
    return this.#publish(batch, options.signal);
  }

  /** Resolves when everything sent before has settled, whichever way; never rejects. */
  flush(): Promise<void> {
    const until = this.#pipeline.taken;
    if (this.#pipeline.left >= until) return Promise.resolve();
    return new Promise((resolve) => {
      this.#flushes.push({ until, resolve });
    });
  }

  /**
   * Takes no more, waits for what was sent, says goodbye. Safe to call again. Rejects with USAGE
   * when `timeoutMs` is no time, and then closes nothing; else never.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { timeoutMs = CLOSE_MS } = options;
    if (!(timeoutMs >= 0))
      throw new ThrustError('USAGE', `timeoutMs must be 0 or more, not ${timeoutMs}`);
    this.#closing ??= this.#close(timeoutMs);
    await this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number): Promise<void> {
    const connection = this.#connection;
    if (connection.status === 'closed') return;
    connection.closing();
    const timer = deadline(timeoutMs, () => {
      const open = this.inFlight + this.waiting;
      const text = `the producer was closed with ${open} messages open after ${timeoutMs} ms`;
      connection.close(new ThrustError('TIMEOUT', text));
    });
    await this.flush();
    cancel(timer);
    if (connection.isOpen) connection.write(encodeGoodbye());
    await connection.finish(GOODBYE_MS);
  }

  async #publish(
    content: Columns | EncodedBatch,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    if (this.#connection.status === 'closed') throw this.#connection.closedError();
    if (this.#closing !== undefined)
      throw new ThrustError('CLOSED', 'the producer is closing and takes no more messages');
    if (signal?.aborted === true) throw abortError(signal, 'a publish that was not sent');
    return new Promise<Uint8Array>((resolve, reject) => {
      const publication = new Publication(content, resolve, reject);
      this.#pipeline.add(publication);
      if (signal !== undefined)
        publication.listen(signal, () => this.#onAbort(publication, signal));
      this.#schedule();
    });
  }

  #onAbort(publication: Publication, signal: AbortSignal): void {
    const sent = publication.sent > 0 || publication.retried;
    const what = sent ? 'a publish that may be stored' : 'a publish that was not sent';
    this.#pipeline.abandon(publication, abortError(signal, what));
    this.#resolveFlushes();
    this.#schedule();
  }

  /** Sends at the end of this tick, so that everything published in it shares batches. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#connection.isOpen && !this.#blocked) {
      const idle = this.inFlight === 0;
      const batch = this.#pipeline.nextBatch();
      if (batch === undefined) return;
      if (idle) this.#progressAtMs = performance.now();
      if (this.#watch === undefined && this.#ackTimeoutMs > 0) this.#armWatch(this.#ackTimeoutMs);
      this.#blocked = !this.#connection.write(batch);
    }
  }

  #onWritable(): void {
    this.#blocked = false;
    this.#pump();
  }

  #onAcks(chunk: Uint8Array): void {
    this.#connection.confirm();
    this.#progressAtMs = performance.now();
    try {
      this.#pipeline.answer(chunk);
    } catch (cause) {
      const text = `${this.#connection.peer} does not answer like a broker's intake: `;
      const detail = cause instanceof Error ? cause.message : String(cause);
      this.#connection.close(new ThrustError('PROTOCOL', text + detail, { cause }));
      return;
    }
    this.#resolveFlushes();
    this.#schedule();
  }

  #onLost(error: ThrustError): void {
    this.#stopWatch();
    this.#pipeline.lost(error, this.#retry);
    this.#resolveFlushes();
  }

  #onClosed(): void {
    this.#stopWatch();
    this.#pipeline.failAll(() => this.#connection.closedError());
    this.#resolveFlushes();
  }

  #resolveFlushes(): void {
    if (this.#flushes.length === 0) return;
    const { left } = this.#pipeline;
    const still = this.#flushes.filter(({ until }) => until > left);
    const due = this.#flushes.filter(({ until }) => until <= left);
    this.#flushes = still;
    for (const { resolve } of due) resolve();
  }

  /** A broker that stays silent while acks are due is dead, also when its connection is not. */
  #armWatch(waitMs: number): void {
    this.#watch = deadline(waitMs, () => {
      this.#watch = undefined;
      if (this.inFlight === 0) return;
      const leftMs = this.#progressAtMs + this.#ackTimeoutMs - performance.now();
      if (leftMs >= 1) {
        this.#armWatch(leftMs);
        return;
      }
      const text = `no ack from ${this.#connection.peer} for ${this.#ackTimeoutMs} ms`;
      this.#connection.reset(new ThrustError('TIMEOUT', text));
    });
    this.#watch.unref(); // the connection keeps the process alive, not this
  }

  #stopWatch(): void {
    cancel(this.#watch);
    this.#watch = undefined;
  }
}

/** Makes a producer; it connects in the background. Throws USAGE for wrong options. */
export function createProducer(options: ProducerOptions & Relocatable = {}): Producer {
  return new Producer(options);
}
