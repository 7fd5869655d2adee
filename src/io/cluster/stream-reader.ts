// Hears a stream from a number on, in order. A consumer brings messages fastest, but lives on one
// server and needs the leader of all to be made; so while there is none, messages are got one by
// one by their numbers, of which any server is asked that has a copy.

import type { StreamMessage } from '../../core/ports/stream.ts';
import { sleep } from '../../time/timers.ts';
import {
  type Consumer,
  type ConsumerMessages,
  codeOf,
  type DeliverPolicy,
  type Nats,
} from './nats.ts';

// Asked for in bytes, never in messages: a consumer of many large ones has stalled.
const PULL_BYTES = 16 * 1024 * 1024;
// The client asks for more as messages come in, heard or not: when so much waits to be heard, the
// consumer is ended, and another one made later.
const QUEUE_BYTES_MAX = 16 * 1024 * 1024;
/** The server says so often that it is there; twice missed, the consumer is given up. */
const SILENCE_MS = 500;
const PULL_MS = 30_000;
/** So long a consumer may take to be made before messages are got without it. */
const MAKING_MS = 500;
const MAKE_AGAIN_MS = 1000;
const GETS_AHEAD = 16;
/** Between two looks for what was not there yet, and after one that failed. */
const LOOK_MS = 25;
const FAILED_MS = 100;
/** After so many looks it is asked whether what is looked for was purged. */
const LOOKS_TO_ASK = 8;

const STREAM_NOT_FOUND = 10_059;

/** What the client tells of a consumer that no more can be trusted to come from. */
const ENDS = ['heartbeats_missed', 'consumer_not_found', 'consumer_deleted', 'reset'];

export interface Heard {
  hear: (message: StreamMessage) => boolean;
  lost: (why: string) => void;
  /** The first number that is still there; undefined if that cannot be told now. */
  firstNow: () => Promise<number | undefined>;
}

interface Feed {
  ended: Promise<void>;
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
  /** Tells messages of the consumer from those of one that was ended. */
  #token: object | undefined;
  #end: () => void = () => {};
  #looks = 0;

  /** Begins at once; nothing is heard within this call. */
  constructor(nats: Nats, stream: string, from: number, heard: Heard) {
    this.#nats = nats;
    this.#stream = stream;
    this.#last = from - 1;
    this.#heard = heard;
    void this.#run();
  }

  stop(): void {
    this.#isStopped = true;
    this.#queue.length = 0;
    this.#end();
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
    if (this.#queuedBytes > QUEUE_BYTES_MAX) this.#end();
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
  async #make(): Promise<Feed | undefined> {
    if (this.#nats.connection.isClosed()) this.#fail('the connection to NATS was closed');
    if (this.#isStopped) return undefined;
    const token = {};
    this.#token = token;
    try {
      const consumer = await this.#nats.publisher.consumers.get(this.#stream, {
        deliver_policy: 'by_start_sequence' as DeliverPolicy,
        opt_start_seq: this.#last + 1,
      });
      const messages = await consumer.consume({
        max_bytes: PULL_BYTES,
        idle_heartbeat: SILENCE_MS,
        expires: PULL_MS,
        callback: (message) => {
          if (this.#token === token) this.#arrive(message.seq, message.data);
        },
      });
      return this.#feed(consumer, messages, token);
    } catch (error) {
      if (codeOf(error as Error) === STREAM_NOT_FOUND) this.#fail('the stream is gone');
      return undefined;
    }
  }

  #feed(consumer: Consumer, messages: ConsumerMessages, token: object): Feed {
    const ended = new Promise<void>((resolve) => {
      this.#end = () => {
        if (this.#token === token) this.#token = undefined;
        messages.stop();
        consumer.delete().catch(() => {}); // it goes by itself, later
        this.#end = () => {};
        resolve();
      };
    });
    const end = this.#end;
    void (async () => {
      for await (const { type } of messages.status()) if (ENDS.includes(type)) end();
    })();
    messages.closed().then(end, end);
    if (this.#isStopped) end();
    return { ended };
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
      this.#arrive(found.seq, found.data);
    }
  }

  /** What is next is not there: not yet, or not on the server that was asked, or no more. */
  async #look(): Promise<void> {
    this.#looks += 1;
    if (this.#looks % LOOKS_TO_ASK !== 0) return sleep(LOOK_MS);
    const first = await this.#heard.firstNow();
    if (first !== undefined && first - 1 > this.#last) this.#last = first - 1;
  }
}
