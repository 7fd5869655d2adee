// A load of recording clients on the nodes of a cluster: producers and consumers of many buckets,
// each of which begins at another node. It ends when all that was acked has been consumed, and is
// then judged.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import { check, type Judgement, type Rules } from './checker.ts';
import { type NodeAddress, RecordingConsumer, RecordingProducer } from './clients.ts';
import { History } from './history.ts';

export interface LoadOptions {
  intake: readonly NodeAddress[];
  exhaust: readonly NodeAddress[];
  random: Random;
  /** Default 8. */
  buckets?: number;
  /** Default 2. */
  producers?: number;
  /** Of each bucket. Default 2. */
  consumers?: number;
  /** Pause before each further batch of a producer, ms. Default 2. */
  pauseMs?: number;
}

// Without any event for so long nothing more is coming: heartbeats alone come every two seconds.
const SILENT_MS = 30_000;
const SHOWN = 5;
// What a load leaves behind, of unknown outcome or with its ack lost, is none of the next one's.
let nextBucket = 100;

export class Load implements AsyncDisposable {
  readonly history = new History();
  readonly #producers: RecordingProducer[];
  readonly #consumers: RecordingConsumer[] = [];
  readonly #consume: (each: number) => void;

  constructor(options: LoadOptions) {
    const { intake, exhaust, random, producers = 2, consumers = 2, pauseMs = 2 } = options;
    const buckets = Array.from({ length: options.buckets ?? 8 }, () => nextBucket++);
    const { history } = this;
    const from = <T>(list: readonly T[], at: number) =>
      list.map((_, i) => list[(i + at) % list.length]!);
    this.#producers = Array.from(
      { length: producers },
      (_, i) =>
        new RecordingProducer({
          ...{ history, name: `producer ${i}`, nodes: from(intake, i), buckets, pauseMs },
        }),
    );
    this.#consume = (each) => {
      for (const bucket of buckets)
        for (let i = 0; i < each; i++) {
          const name = `consumer ${i} of ${bucket}`;
          const nodes = from(exhaust, bucket + i);
          this.#consumers.push(new RecordingConsumer({ history, name, nodes, bucket, random }));
        }
    };
    this.#consume(consumers);
  }

  /** So many further consumers of each bucket. */
  consume(each = 1): void {
    this.#consume(each);
  }

  /** Resolves once so many further messages are acked to producers. */
  async acked(count: number): Promise<void> {
    let left = count;
    let seen = this.history.events.length;
    await this.history.until(() => {
      for (; seen < this.history.events.length; seen++)
        if (this.history.events[seen]!.kind === 'stored') left--;
      return left <= 0;
    });
  }

  /** Resolves once a message is acked on a connection that is made from now on. */
  async ackedAnew(): Promise<void> {
    const { events, connections } = this.history;
    const from = connections.length;
    let seen = events.length;
    await this.history.until(() => {
      for (; seen < events.length; seen++)
        if (events[seen]!.kind === 'stored' && events[seen]!.connection >= from) return true;
      return false;
    });
  }

  /** Publishes no more, waits for all that was acked, and judges. */
  async judge(rules: Partial<Rules> = {}): Promise<Judgement> {
    await Promise.all(this.#producers.map((producer) => producer.finish()));
    for (const consumer of this.#consumers) consumer.hurry();
    const isSettled = await this.#settled();
    await Promise.all(this.#consumers.map((consumer) => consumer.end()));
    const judgement = check(this.history, { isDrained: true, ...rules });
    if (!isSettled) assert.ok(judgement.problems.length > 0, 'nothing is owed, nothing is lost');
    return judgement;
  }

  /** Fails with what is wrong, and all that was seen of the first of it. */
  assertFine({ problems }: Judgement): void {
    const shown = problems.slice(0, SHOWN).map(({ text }) => text);
    const [first] = problems;
    const told = first === undefined ? '' : this.history.explain(first.number);
    assert.equal(problems.length, 0, `${problems.length} wrong: ${shown.join('; ')}\n${told}`);
  }

  /** Whether nothing is owed, or nothing is coming any more although it is. */
  async #settled(): Promise<boolean> {
    const { history } = this;
    const isPaid = history.until(() => history.owed.size === 0).then(() => true);
    for (;;) {
      const before = history.owed.size;
      const paid = await Promise.race([isPaid, sleep(SILENT_MS, false)]);
      if (paid || history.owed.size === before) return paid;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#producers, ...this.#consumers].map((client) => client.end()));
  }
}

/** What a judgement counts, for people. */
export function summary(judgement: Judgement): string {
  const { published, stored, refused, unknown, delivered, again, acksLost } = judgement;
  return `${published} published, ${stored} acked, ${refused} refused, ${unknown} unknown, ${delivered} delivered, ${again} again, ${acksLost} acks of consumers lost`;
}
