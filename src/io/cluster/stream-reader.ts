// Hears a stream from a number on, in order. At its end the owner relays what comes, which costs
// the servers nothing; further back, or without an owner, a consumer brings messages fastest. That
// lives on one server and needs the leader of all to be made; so while there is none, messages are
// got one by one by their numbers, of which any server is asked that has a copy.

import type { StreamMessage } from '../../core/ports/stream.ts';
import { after, cancel, sleep } from '../../time/timers.ts';
import { codeOf, type Nats } from './nats.ts';
import { Relayed, type RelaySource } from './relayed.ts';
import { StreamConsumer } from './stream-consumer.ts';

// Whoever brings messages asks for more as they come in, heard or not: when so much waits to be
// heard, it is ended, and asked again later.
const QUEUE_BYTES_MAX = 16 * 1024 * 1024;
/** So long a consumer may take to be made before messages are got without it. */
const MAKING_MS = 500;
const MAKE_AGAIN_MS = 1000;
const GETS_AHEAD = 16;
/** Between two looks for what was not there yet, and after one that failed. */
const LOOK_MS = 25;
const FAILED_MS = 100;
/** After so many looks it is asked whether what is looked for was purged. */
const LOOKS_TO_ASK = 8;
/** The relay has brought nothing for so long: the stream is looked at, for an owner that is cut off
 * from it, or is one no more, does not say so. */
const QUIET_MS = 200;
const RELAY_AGAIN_MS = 1000;

const STREAM_NOT_FOUND = 10_059;

export interface Heard {
  hear: (message: StreamMessage) => boolean;
  lost: (why: string) => void;
  /** The first number that is still there; undefined if that cannot be told now. */
  firstNow: () => Promise<number | undefined>;
}

export class StreamReader {
  readonly #nats: Nats;
  readonly #stream: string;
  readonly #heard: Heard;
  /** Number of the last message that came, be it heard or waiting. */
  #last: number;
  readonly #queue: StreamMessage[] = [];
  #queuedBytes = 0;
  #isPaused = false;
  #isStopped = false;
  #wake: () => void = () => {};
  #consumer: StreamConsumer | undefined;
  readonly #relay: RelaySource | undefined;
  #relayed: Relayed | undefined;
  #relayMs = 0;
  #looks = 0;

  /** Begins at once; nothing is heard within this call. */
  constructor(nats: Nats, stream: string, from: number, heard: Heard, relay?: RelaySource) {
    this.#nats = nats;
    this.#relay = relay;
    this.#stream = stream;
    this.#last = from - 1;
    this.#heard = heard;
    void this.#run();
  }

  stop(): void {
    this.#isStopped = true;
    this.#queue.length = 0;
    this.#end();
    this.#relayed?.end();
    this.#wake();
  }

  resume(): void {
    this.#isPaused = false;
    queueMicrotask(() => this.#drain());
  }

  /** The connection broke: the consumer may be gone without a word. */
  disconnected(): void {
    this.#end();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const making = this.#make();
      const made = await this.#until(making);
      if (made === undefined) await this.#until(sleep(MAKE_AGAIN_MS));
      else await made.ended;
      await this.#room();
      await this.#listen();
    }
  }

  /** Gets messages by their numbers for as long as something takes. */
  async #until<T>(something: Promise<T>): Promise<T> {
    let isOver = false;
    const over = something.finally(() => {
      isOver = true;
    });
    await Promise.race([over, sleep(MAKING_MS)]);
    while (!isOver && !this.#isStopped) await this.#get();
    return over;
  }

  #end(): void {
    this.#consumer?.end();
    this.#consumer = undefined;
  }

  // --- hearing --------------------------------------------------------------------------------

  #arrive(sequence: number, bytes: Uint8Array): void {
    if (this.#isStopped || sequence <= this.#last) return;
    this.#last = sequence;
    this.#looks = 0;
    if (!this.#isPaused && this.#queue.length === 0) {
      this.#isPaused = !this.#heard.hear({ sequence, bytes });
      return;
    }
    this.#queue.push({ sequence, bytes });
    this.#queuedBytes += bytes.length;
    if (this.#queuedBytes <= QUEUE_BYTES_MAX) return;
    this.#end();
    this.#relayed?.end();
  }

  /** A message came from the stream itself. */
  #came(sequence: number, bytes: Uint8Array): void {
    this.#arrive(sequence, bytes);
    this.#relayed?.passed();
  }

  /** Hears what waits, until it is too much again. */
  #drain(): void {
    while (!this.#isPaused && !this.#isStopped) {
      const message = this.#queue.shift();
      if (message === undefined) {
        this.#wake();
        return;
      }
      this.#queuedBytes -= message.bytes.length;
      this.#isPaused = !this.#heard.hear(message);
    }
  }

  /** Nothing waits, and more may be heard; or it was stopped. */
  async #room(): Promise<void> {
    while (!this.#isStopped && (this.#isPaused || this.#queue.length > 0))
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  #fail(why: string): void {
    if (this.#isStopped) return;
    this.stop();
    this.#heard.lost(why);
  }

  // --- through a consumer ---------------------------------------------------------------------

  // It begins behind the last that came: it leaves no gap to what is got by number meanwhile.
  async #make(): Promise<StreamConsumer | undefined> {
    if (this.#nats.connection.isClosed()) this.#fail('the connection to NATS was closed');
    if (this.#isStopped) return undefined;
    const came = (sequence: number, bytes: Uint8Array, isNearEnd: () => boolean): void => {
      this.#came(sequence, bytes);
      if (this.#mayRelay && isNearEnd()) this.#startRelay();
    };
    try {
      const from = this.#last + 1;
      const consumer = await StreamConsumer.make(this.#nats, this.#stream, from, came);
      this.#consumer = consumer;
      if (this.#isStopped || this.#relayed?.isInTouch) this.#end();
      return consumer;
    } catch (error) {
      if (codeOf(error as Error) === STREAM_NOT_FOUND) this.#fail('the stream is gone');
      return undefined;
    }
  }

  // --- through the relay ----------------------------------------------------------------------

  get #mayRelay(): boolean {
    const isFree = this.#relay !== undefined && this.#relayed === undefined && !this.#isStopped;
    return isFree && performance.now() >= this.#relayMs;
  }

  #startRelay(): void {
    this.#relayMs = performance.now() + RELAY_AGAIN_MS;
    this.#relayed = Relayed.of(this.#relay!, {
      last: () => this.#last,
      arrive: (sequence, bytes) => this.#arrive(sequence, bytes),
      inTouch: () => this.#end(),
      ended: () => {
        this.#relayed = undefined;
        this.#relayMs = performance.now() + RELAY_AGAIN_MS;
        this.#wake();
      },
    });
  }

  /** Lets the relay bring what comes, for as long as it does; the stream is looked at beside it. */
  async #listen(): Promise<void> {
    while (!this.#isStopped && this.#relayed?.isInTouch) {
      const before = this.#last;
      await this.#quiet();
      const isHeard = !this.#isPaused && this.#queue.length === 0;
      if (!this.#isStopped && isHeard && this.#last === before) await this.#lookBeside();
    }
  }

  #quiet(): Promise<void> {
    return new Promise((resolve) => {
      const timer = after(QUIET_MS, resolve);
      this.#wake = () => {
        cancel(timer);
        resolve();
      };
    });
  }

  // A failure says nothing: the relay may know the way to a stream that this node does not reach.
  async #lookBeside(): Promise<void> {
    const seq = this.#last + 1;
    const get = this.#nats.manager.direct.getMessage(this.#stream, { seq });
    const found = await get.catch(() => undefined);
    if (found === undefined || this.#last >= seq) return;
    if (found !== null) this.#came(found.seq, found.data);
    this.#relayed?.looked(found !== null);
  }

  // --- by numbers -----------------------------------------------------------------------------

  async #get(): Promise<void> {
    await this.#room();
    if (this.#isStopped) return;
    const from = this.#last + 1;
    const direct = this.#nats.manager.direct;
    const count = this.#looks === 0 ? GETS_AHEAD : 1;
    const gets = Array.from({ length: count }, (_, i) =>
      direct.getMessage(this.#stream, { seq: from + i }).catch((error: Error) => error),
    );
    for (const get of gets) {
      const found = await get;
      if (found instanceof Error) return sleep(FAILED_MS);
      if (found === null) return this.#look();
      this.#came(found.seq, found.data);
    }
  }

  /** What is next is not there: not yet, or not on the server that was asked, or no more. */
  async #look(): Promise<void> {
    this.#looks += 1;
    if (this.#mayRelay) this.#startRelay();
    if (this.#looks % LOOKS_TO_ASK !== 0) return sleep(LOOK_MS);
    const first = await this.#heard.firstNow();
    if (first !== undefined && first - 1 > this.#last) this.#last = first - 1;
  }
}
