// What `pub` sends: batches that go out whole, a bounded number of them under way, a broker that
// went away waited for while that is safe, and of every message what became of it.

import {
  createProducer,
  EncodedBatch,
  type Outgoing,
  type Producer,
  type Status,
  ThrustError,
} from '../client/index.ts';
import type { Relocatable } from '../client/options.ts';
import { formatDuration } from '../core/text/units.ts';
import { deadline } from '../time/deadline.ts';
import { cancel, type Timer } from '../time/timers.ts';
import type { Target } from './target.ts';

export interface Tally {
  published: number;
  refused: number;
  /** Sent and not answered: stored or not. */
  unknown: number;
  /** Taken from the input and never sent. */
  unsent: number;
  /** Of those that were published. */
  bytes: number;
}

export interface SenderOptions {
  target: Target & Relocatable;
  bucket: bigint;
  /** Most messages in one batch. */
  batch: number;
  /** Longest wait for an ack, or for a broker that went away while something is to be sent. */
  timeoutMs: number;
  /** Told of a broker that went away. */
  onTrouble?: (text: string) => void;
}

/** Calls under way at most; the producer bounds what is on the wire beyond that. */
const WINDOW = 16;
/** Largest batch; one larger message travels alone. */
const BATCH_BYTES_MAX = 1_048_576;
const CONNECT_MS_MAX = 5000;

export class Sender {
  readonly tally: Tally = { published: 0, refused: 0, unknown: 0, unsent: 0, bytes: 0 };
  /** Fires when nothing more can be sent. */
  readonly failed: Promise<void>;
  readonly #options: SenderOptions;
  readonly #producer: Producer;
  readonly #open = new Set<Promise<void>>();
  #failure: unknown;
  #onFailed: () => void = () => {};
  #trouble: ThrustError | undefined;
  #patience: Timer | undefined;

  /** Starts to connect at once. */
  constructor(options: SenderOptions) {
    this.#options = options;
    this.failed = new Promise((resolve) => {
      this.#onFailed = resolve;
    });
    this.#producer = createProducer({
      ...options.target,
      connectTimeoutMs: Math.max(1, Math.min(CONNECT_MS_MAX, options.timeoutMs)),
      ackTimeoutMs: options.timeoutMs,
      onStatus: (status, error) => this.#onStatus(status, error),
    });
  }

  /** Settles when connected; throws when the broker cannot be reached. */
  ready(): Promise<void> {
    return this.#producer.ready();
  }

  /**
   * Sends messages in order; settles when the last is under way. Throws what went wrong with any
   * so far; those that are not sent for that are counted.
   */
  async send(bodies: readonly Uint8Array[]): Promise<void> {
    for (let from = 0; from < bodies.length; ) {
      while (this.#open.size >= WINDOW) await Promise.race(this.#open);
      if (this.#failure !== undefined) {
        this.tally.unsent += bodies.length - from;
        throw this.#failure;
      }
      const to = batchEnd(bodies, from, this.#options.batch);
      const sending = this.#sendBatch(bodies.slice(from, to));
      this.#open.add(sending);
      void sending.then(() => this.#open.delete(sending));
      this.#bePatient();
      from = to;
    }
  }

  /** Settles when it is known of every message what became of it; throws what went wrong. */
  async settled(): Promise<void> {
    await Promise.all(this.#open);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async close(timeoutMs: number): Promise<void> {
    cancel(this.#patience);
    await this.#producer.close({ timeoutMs });
  }

  /** Never rejects. */
  async #sendBatch(bodies: readonly Uint8Array[]): Promise<void> {
    const { bucket, target } = this.#options;
    const messages: Outgoing[] = bodies.map((body) => ({ bucket, body }));
    try {
      // One that was encoded is on the wire as a whole or not at all, so it is known which.
      const acks = await this.#producer.sendEncoded(new EncodedBatch(messages, target.wire));
      this.#count(
        bodies,
        Array.from(acks, (ack) => ack === 1),
      );
    } catch (error) {
      if (error instanceof ThrustError && error.code === 'UNKNOWN_OUTCOME')
        this.#count(bodies, error.results ?? bodies.map(() => undefined));
      else this.tally.unsent += bodies.length;
      this.#fail(error);
    }
  }

  #count(bodies: readonly Uint8Array[], results: readonly (boolean | undefined)[]): void {
    results.forEach((stored, index) => {
      if (stored === undefined) this.tally.unknown += 1;
      else if (!stored) this.tally.refused += 1;
      else {
        this.tally.published += 1;
        this.tally.bytes += bodies[index].length;
      }
    });
  }

  #onStatus(status: Status, error: ThrustError | undefined): void {
    if (status === 'reconnecting') {
      this.#trouble = error;
      if (this.#failure === undefined) this.#options.onTrouble?.(`${error?.message}; trying again`);
      this.#bePatient();
    } else if (status === 'connected') {
      this.#trouble = undefined;
      cancel(this.#patience);
      this.#patience = undefined;
    }
  }

  /** With nothing to send it costs nothing to wait for a broker; else only for so long. */
  #bePatient(): void {
    if (this.#trouble === undefined || this.#open.size === 0 || this.#patience !== undefined)
      return;
    const { timeoutMs } = this.#options;
    this.#patience = deadline(timeoutMs, () => {
      const text = `${this.#trouble?.message}; it did not come back within ${formatDuration(timeoutMs)}`;
      this.#fail(new ThrustError('CONNECTION', text));
    });
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#onFailed();
    // What waits for a connection is not sent any more; what is under way on one is waited for.
    if (this.#producer.status !== 'connected') void this.close(0);
  }
}

/** Where the batch ends that begins with `from`. */
function batchEnd(bodies: readonly Uint8Array[], from: number, countMax: number): number {
  let bytes = bodies[from].length;
  let to = from + 1;
  while (to < bodies.length && to - from < countMax) {
    bytes += bodies[to].length;
    if (bytes > BATCH_BYTES_MAX) break;
    to += 1;
  }
  return to;
}
