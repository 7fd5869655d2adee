// A consumer of the stream, behind a number: it lives on one server, and whatever ends it is told
// once. What it brings is in order and without a gap until then.

import type { Consumer, ConsumerMessages, DeliverPolicy, Nats } from './nats.ts';

// Asked for in bytes, never in messages: a consumer of many large ones has stalled.
const PULL_BYTES = 16 * 1024 * 1024;
/** The server says so often that it is there; twice missed, the consumer is given up. */
const SILENCE_MS = 500;
const PULL_MS = 30_000;

/** What the client tells of a consumer that no more can be trusted to come from. */
const ENDS = ['heartbeats_missed', 'consumer_not_found', 'consumer_deleted', 'reset'];

/** A message that came; `isNearEnd`: few wait behind it. */
export type Came = (sequence: number, bytes: Uint8Array, isNearEnd: () => boolean) => void;

const NEAR_END = 8;

export class StreamConsumer {
  /** Settles when nothing more comes. */
  readonly ended: Promise<void>;
  readonly #consumer: Consumer;
  readonly #came: Came;
  #messages: ConsumerMessages | undefined;
  #isEnded = false;
  #settle: () => void = () => {};

  private constructor(consumer: Consumer, came: Came) {
    this.#consumer = consumer;
    this.#came = came;
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Rejects where the servers refuse it, or do not answer. */
  static async make(nats: Nats, stream: string, from: number, came: Came): Promise<StreamConsumer> {
    const consumer = await nats.publisher.consumers.get(stream, {
      deliver_policy: 'by_start_sequence' as DeliverPolicy,
      opt_start_seq: from,
    });
    const made = new StreamConsumer(consumer, came);
    await made.#consume();
    return made;
  }

  async #consume(): Promise<void> {
    const messages = await this.#consumer.consume({
      max_bytes: PULL_BYTES,
      idle_heartbeat: SILENCE_MS,
      expires: PULL_MS,
      callback: (message) => {
        if (this.#isEnded) return;
        this.#came(message.seq, message.data, () => message.info.pending <= NEAR_END);
      },
    });
    this.#messages = messages;
    const end = () => this.end();
    void (async () => {
      for await (const { type } of messages.status()) if (ENDS.includes(type)) end();
    })();
    messages.closed().then(end, end);
  }

  /** Nothing more comes. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#messages?.stop();
    this.#consumer.delete().catch(() => {}); // it goes by itself, later
    this.#settle();
  }
}
