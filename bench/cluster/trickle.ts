// A trickle of numbered messages through a cluster, by clients that know all of its nodes: each is
// published until it is stored, and counted when it arrives.

import { setTimeout as sleep } from 'node:timers/promises';
import { createConsumer, createProducer } from '../../src/client/index.ts';

const BUCKET = 1;
const PAUSE_MS = 50;
// More than the servers of NATS take to elect.
const SILENT_MS = 15_000;

export class Trickle {
  /** Stored so far; messages 1 to this one. */
  stored = 0;
  /** Arrived at least once, and how often one came again. */
  readonly arrived = new Set<number>();
  again = 0;
  /** The longest time between two stored messages since it was asked for last, ms. */
  #longestMs = 0;
  #storedMs = performance.now();
  readonly #producer;
  readonly #consumer;
  readonly #published: Promise<void>;
  readonly #work: Promise<unknown>;
  #isOver = false;

  constructor(intakes: readonly number[], exhausts: readonly number[]) {
    const at = (ports: readonly number[]) => ports.map((port) => `127.0.0.1:${port}`);
    const reconnect = { min: 10, max: 200, initial: true };
    this.#producer = createProducer({
      hosts: at(intakes),
      reconnect,
      ackTimeoutMs: SILENT_MS,
    });
    this.#consumer = createConsumer({ hosts: at(exhausts), bucket: BUCKET, reconnect });
    this.#published = this.#publish();
    this.#work = Promise.all([this.#published, this.#consume()]);
    this.#work.catch(() => {});
  }

  /** Longest wait for an answer since the last call, ms. */
  takeLongest(): number {
    const ms = Math.max(this.#longestMs, performance.now() - this.#storedMs);
    this.#longestMs = 0;
    return ms;
  }

  /** Stored, and never arrived. */
  get missing(): number {
    let missing = 0;
    for (let number = 1; number <= this.stored; number++) if (!this.arrived.has(number)) missing++;
    return missing;
  }

  /** Publishes no more; waits until all that was stored has arrived, or for so long. */
  async end(withinMs: number): Promise<void> {
    this.#isOver = true;
    const until = performance.now() + withinMs;
    // One may be on its way, whose answer is still to come.
    await Promise.race([this.#published, sleep(withinMs, undefined, { ref: false })]);
    while (performance.now() < until) {
      if (this.missing === 0) break;
      await sleep(PAUSE_MS);
    }
    await Promise.all([this.#producer.close({ timeoutMs: 0 }), this.#consumer.close()]);
    await this.#work.catch(() => {});
  }

  async #publish(): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.#producer.send(BUCKET, String(this.stored + 1));
        const now = performance.now();
        this.#longestMs = Math.max(this.#longestMs, now - this.#storedMs);
        this.#storedMs = now;
        this.stored++;
      } catch {
        // Refused, or its connection was lost: it may be stored, and is published again.
      }
      await sleep(PAUSE_MS);
    }
  }

  async #consume(): Promise<void> {
    for await (const message of this.#consumer) {
      const number = Number(message.text());
      if (this.arrived.has(number)) this.again++;
      this.arrived.add(number);
      message.ack();
    }
  }
}
