// Traffic that makes a broker compact, give back and use again what it has: messages of one bucket
// are consumed at once, one in ten is of another bucket and waits. Says what was acked when.

import { createConsumer, createProducer } from '../../src/client/index.ts';

/** The bucket that is consumed, and the one that waits. */
export const PASSING = 9;
export const WAITING = 7;

const BATCH = 100;
const BODY_BYTES = 2000;
const WAITING_EACH = 10;
// Between two batches: the disk of a test is not to be filled.
const PAUSE_MS = 25;

/** Flags of a broker whose segments come and go several times a second under this traffic. */
export const SMALL_SEGMENTS = [
  ...['--segment-size', '1MiB', '--max-message', '64KiB', '--reserve', '128KiB'],
  ...['--memory', '192MiB'],
];

export class Traffic {
  /** Messages acked to their producer, numbered from 0 in this order. */
  published = 0;
  /** Messages sent, acked or not. */
  sent = 0;
  /** Numbers of messages that the consumer acked. */
  readonly consumed = new Set<number>();
  readonly #producer: ReturnType<typeof createProducer>;
  readonly #consumer: ReturnType<typeof createConsumer>;
  #going = true;
  #producing: Promise<void>;
  #consuming: Promise<void>;
  #waiting: { published: number; resolve: () => void }[] = [];

  constructor(broker: { intake: number; exhaust: number }) {
    this.#producer = createProducer({ port: broker.intake });
    this.#consumer = createConsumer({ port: broker.exhaust, bucket: PASSING, batchSize: 500 });
    this.#producing = this.#produce();
    this.#consuming = this.#consume().catch(() => {}); // closed, or the broker is gone
    this.#producing.catch(() => {});
  }

  /** Whether the message of that number waits, as nobody takes its bucket. */
  static isWaiting(number: number): boolean {
    return number % WAITING_EACH === 0;
  }

  async #produce(): Promise<void> {
    while (this.#going) {
      const batch = Array.from({ length: BATCH }, (_, i) => {
        const number = this.sent + i;
        const bucket = Traffic.isWaiting(number) ? WAITING : PASSING;
        return { bucket, body: String(number).padEnd(BODY_BYTES, '.') };
      });
      this.sent += BATCH;
      await this.#producer.sendBatch(batch);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      this.published += BATCH;
      const ready = this.#waiting.filter(({ published }) => published <= this.published);
      this.#waiting = this.#waiting.filter(({ published }) => published > this.published);
      for (const { resolve } of ready) resolve();
    }
  }

  async #consume(): Promise<void> {
    for await (const messages of this.#consumer.batches())
      for (const message of messages) {
        message.ack();
        this.consumed.add(Number.parseInt(message.text(), 10));
      }
  }

  /** Resolves when that many messages were acked in all. */
  async reached(published: number): Promise<void> {
    if (this.published >= published) return;
    await Promise.race([
      new Promise<void>((resolve) => this.#waiting.push({ published, resolve })),
      this.#producing, // fails if it cannot get there
    ]);
  }

  /** Ends it, also when the broker is gone; throws what went wrong with publishing. */
  async stop(): Promise<void> {
    this.#going = false;
    // What is sent to a broker that is gone waits for its return, until the producer is closed.
    const [producing] = await Promise.allSettled([
      this.#producing,
      this.#producer.close(),
      this.#consumer.close(),
      this.#consuming,
    ]);
    if (producing.status === 'rejected') throw producing.reason;
  }
}
