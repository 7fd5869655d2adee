// Clients that record what they see: producers and consumers over plain sockets, which go to any
// node of a cluster, and to the next one when theirs is lost or says nothing for too long. Many
// buckets, numbered messages whose bytes follow from the number.

import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeliveryDecoder, encodeBatch, encodeConsumerHeader } from '../../src/codec/wire.ts';
import type { Random } from '../support/random.ts';
import type { Connection, History } from './history.ts';

export interface NodeAddress {
  host: string;
  port: number;
}

// A node that is not there refuses at once; the rest of a round waits.
const ROUND_MS = 50;
// Who is refused will be refused again for a while.
const REFUSED_MS = 50;
const DIAL_MS = 1000;
/** Silence after which a client tries another node, ms: a broker's heartbeat is 2 s by default. */
export const PATIENCE_MS = 3500;

/** Body of message `number`. */
export function bodyOf(number: number): Buffer {
  const body = Buffer.alloc(12 + (number % 89));
  body.write('tmq ', 'latin1');
  body.writeBigUInt64LE(BigInt(number), 4);
  for (let i = 12; i < body.length; i++) body[i] = (number * 31 + i * 7) & 0xff;
  return body;
}

/** Number of the message, or -1 if no such body is ever made. */
export function numberOf(body: Uint8Array): number {
  if (body.length < 12) return -1;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  const number = Number(bytes.readBigUInt64LE(4) & 0xff_ffff_ffffn);
  return bodyOf(number).equals(bytes) ? number : -1;
}

export interface ClientOptions {
  history: History;
  name: string;
  /** Tried in turn, beginning with the first. */
  nodes: readonly NodeAddress[];
  /** Silence that is too long, ms, while something is owed. */
  patienceMs?: number;
}

/** Keeps one connection at a time until it is told to end. */
abstract class RecordingClient {
  protected readonly options: ClientOptions;
  protected connection = -1;
  protected socket: net.Socket | undefined;
  protected isEnding = false;
  readonly #running: Promise<void>;
  #end = () => {};
  readonly #ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });

  constructor(options: ClientOptions) {
    this.options = options;
    this.#running = Promise.resolve().then(() => this.#run());
  }

  /** Ends its connection, whatever is open on it; resolves when it is closed. */
  async end(): Promise<void> {
    this.isEnding = true;
    this.#end();
    this.socket?.destroy();
    await this.#running;
  }

  protected abstract describe(to: string): Connection;
  protected abstract begin(): void;
  protected abstract read(chunk: Uint8Array): void;
  /** Something should come. */
  protected abstract isOwed(): boolean;

  async #run(): Promise<void> {
    const { nodes } = this.options;
    for (let at = 0; !this.isEnding; at++) {
      const wasOpen = await this.#connection(nodes[at % nodes.length]!);
      if (!wasOpen && (at + 1) % nodes.length === 0)
        await Promise.race([sleep(ROUND_MS), this.#ended]);
    }
  }

  /** One connection, from beginning to end; whether it came to be. */
  #connection({ host, port }: NodeAddress): Promise<boolean> {
    const { history, patienceMs = PATIENCE_MS } = this.options;
    const socket = net.connect({ host, port, noDelay: true });
    this.socket = socket;
    const dialing = setTimeout(() => socket.destroy(), DIAL_MS);
    let isOpen = false;
    let heardMs = 0;
    let watching: NodeJS.Timeout | undefined;
    return new Promise((resolve) => {
      socket.once('connect', () => {
        clearTimeout(dialing);
        isOpen = true;
        heardMs = performance.now();
        this.connection = history.open(this.describe(`${host}:${port}`));
        this.begin();
        watching = setInterval(() => {
          const now = performance.now();
          if (!this.isOwed()) heardMs = now;
          else if (now - heardMs > patienceMs) socket.destroy();
        }, patienceMs / 10);
      });
      socket.on('data', (chunk) => {
        heardMs = performance.now();
        this.read(chunk);
      });
      socket.on('error', () => {});
      socket.once('close', () => {
        clearTimeout(dialing);
        clearInterval(watching);
        if (isOpen) history.close(this.connection);
        this.connection = -1;
        resolve(isOpen);
      });
    });
  }
}

export interface ProducerOptions extends ClientOptions {
  /** Buckets that it publishes to in turn. */
  buckets: readonly number[];
  /** Messages of a batch. Default 20. */
  batch?: number;
  /** Batches that wait for their answers at most. Default 4. */
  inFlight?: number;
  /** Pause before each further batch, ms. Default 2. */
  pauseMs?: number;
  /** Messages of unknown outcome are published again, once a connection is there. Default no. */
  again?: boolean;
}

/** Publishes batch after batch; what has no answer when a connection ends is unknown. */
export class RecordingProducer extends RecordingClient {
  declare protected readonly options: ProducerOptions;
  // Of this connection, in the order of their bytes.
  #waiting: number[] = [];
  #batches: number[] = []; // how many of them are unanswered, for each batch
  #again: number[] = [];
  #isPublishing = true;
  #finished = () => {};
  #made = 0;

  constructor(options: ProducerOptions) {
    super(options);
  }

  /** Publishes no more; resolves once all that is on its way is answered, or has been lost. */
  async finish(): Promise<void> {
    this.#isPublishing = false;
    if (this.#waiting.length + this.#again.length > 0)
      await new Promise<void>((resolve) => {
        this.#finished = resolve;
      });
    await this.end();
  }

  protected describe(to: string): Connection {
    return { side: 'producer', client: this.options.name, to, bucket: -1, batch: 0 };
  }

  protected begin(): void {
    if (this.options.again === true) this.#again.push(...this.#waiting);
    this.#waiting = [];
    this.#batches = [];
    for (let i = 0; i < (this.options.inFlight ?? 4); i++) this.#publish();
    this.#lookWhetherFinished();
  }

  protected isOwed(): boolean {
    return this.#waiting.length > 0;
  }

  protected read(chunk: Uint8Array): void {
    const { history } = this.options;
    const pauseMs = chunk.includes(0) ? REFUSED_MS : (this.options.pauseMs ?? 2);
    for (const byte of chunk) {
      const number = this.#waiting.shift();
      if (number === undefined || byte > 1) {
        history.foreign(this.connection);
        continue;
      }
      history.answered(this.connection, number, byte === 1);
      this.#batches[0]!--;
      if (this.#batches[0] !== 0) continue;
      this.#batches.shift();
      const { connection } = this;
      setTimeout(() => {
        if (connection === this.connection && !this.isEnding) this.#publish();
      }, pauseMs);
    }
    this.#lookWhetherFinished();
  }

  #publish(): void {
    const { history, buckets, batch = 20 } = this.options;
    let numbers = this.#again.splice(0, batch);
    if (numbers.length === 0 && this.#isPublishing)
      numbers = Array.from({ length: batch }, () =>
        history.next(buckets[this.#made++ % buckets.length]!),
      );
    if (numbers.length === 0) return;
    this.#waiting.push(...numbers);
    this.#batches.push(numbers.length);
    for (const number of numbers) history.publish(this.connection, number);
    const messages = numbers.map((number) => ({
      bucket: BigInt(history.buckets[number]!),
      body: bodyOf(number),
    }));
    this.socket!.write(encodeBatch(messages, 'u64'));
  }

  #lookWhetherFinished(): void {
    if (!this.#isPublishing && this.#waiting.length + this.#again.length === 0) this.#finished();
  }
}

export interface ConsumerOptions extends ClientOptions {
  bucket: number;
  /** Most messages at once. Default 16. */
  batch?: number;
  /** Absent: acks all at once. Present: fails some, holds some for a while, leaves sometimes. */
  random?: Random;
  /** How long it holds what it holds, ms. Default 1500. */
  holdMs?: number;
}

/** Consumes one bucket. */
export class RecordingConsumer extends RecordingClient {
  declare protected readonly options: ConsumerOptions;
  #decoder = new DeliveryDecoder('u64');
  #isHasty = false;
  #holding: { answer: () => void; timer: NodeJS.Timeout } | undefined;

  constructor(options: ConsumerOptions) {
    super(options);
  }

  /** From now on acks everything at once, also what it holds. */
  hurry(): void {
    this.#isHasty = true;
    const held = this.#holding;
    this.#holding = undefined;
    clearTimeout(held?.timer);
    held?.answer();
  }

  override async end(): Promise<void> {
    clearTimeout(this.#holding?.timer);
    await super.end();
  }

  protected describe(to: string): Connection {
    const { name, bucket, batch = 16 } = this.options;
    return { side: 'consumer', client: name, to, bucket, batch };
  }

  protected begin(): void {
    const { bucket, batch = 16 } = this.options;
    this.#decoder = new DeliveryDecoder('u64');
    clearTimeout(this.#holding?.timer);
    this.#holding = undefined;
    const header = { consumerId: 777n, bucket: BigInt(bucket), batchSize: batch };
    this.socket!.write(encodeConsumerHeader(header));
  }

  protected isOwed(): boolean {
    return this.#holding === undefined;
  }

  protected read(chunk: Uint8Array): void {
    const { history } = this.options;
    for (const frame of this.#decoder.push(Uint8Array.from(chunk))) {
      if (frame.isHeartbeat) {
        history.beat(this.connection);
        this.socket!.write(Uint8Array.of(1));
        continue;
      }
      const numbers = Array.from({ length: frame.count }, (_, i) => numberOf(frame.body(i)));
      if (numbers.some((number) => number < 0)) history.foreign(this.connection);
      else this.#take(numbers);
    }
  }

  #take(numbers: readonly number[]): void {
    const { history, random, holdMs = 1500 } = this.options;
    for (const number of numbers) history.deliver(this.connection, number);
    const isMoody = random !== undefined && !this.#isHasty;
    if (isMoody && random.chance(0.01)) {
      this.#answer(numbers.slice(0, random.below(numbers.length)));
      this.socket!.destroySoon();
    } else if (isMoody && random.chance(0.02)) {
      const { connection } = this;
      const answer = () => {
        this.#holding = undefined;
        if (this.connection === connection) this.#answer(numbers);
      };
      this.#holding = { answer, timer: setTimeout(answer, holdMs) };
    } else this.#answer(numbers);
  }

  #answer(numbers: readonly number[]): void {
    const { history, random } = this.options;
    const isMoody = random !== undefined && !this.#isHasty;
    const acks = Uint8Array.from(numbers, () => (isMoody && random.chance(0.01) ? 0 : 1));
    // Before the bytes go: what they bring about comes behind them.
    numbers.forEach((number, i) => {
      history.acked(this.connection, number, acks[i] === 1);
    });
    this.socket!.write(acks);
  }
}
