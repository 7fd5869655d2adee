// A broker at work for tests of what goes on beside it: it publishes, consumes, begins segments,
// compacts and gives back, one call of its files at a time, and only when it is told to.

import assert from 'node:assert/strict';
import { encodeBatch } from '../../src/codec/wire.ts';
import type { Producer } from '../../src/core/connections/producer.ts';
import { MemoryFiles } from '../support/memory-files.ts';
import { bodiesOf, FakeLink, World } from './harness.ts';

/** The bucket of which some messages wait, and the one that is consumed. */
export const FEW = 1;
export const MANY = 2;
/** Messages of FEW in `startOfStory`. */
export const FEW_BEFORE = 5;

/** A log of several segments, at rest. */
export async function startOfStory(): Promise<MemoryFiles> {
  const world = await World.open(new MemoryFiles());
  for (let i = 0; i < 20; i++) {
    const body = `old${i}`.padEnd(900, '.');
    world.publish([
      ...(i % 4 === 0 ? [{ bucket: FEW, body }] : []),
      ...Array.from({ length: 7 }, () => ({ bucket: MANY, body })),
    ]);
    await world.settle();
  }
  return world.close();
}

/** A broker that goes on only when it is told to: some calls of its files at a time. */
export class Busy {
  readonly world: World;
  readonly #consumers: ReturnType<World['consume']>[] = [];
  readonly #producer: Producer;
  readonly #acks = new FakeLink();
  /** `bucket:body` of what was published in this life, in order. */
  readonly sent: string[] = [];
  /** What the consumers acked. */
  readonly consumed: string[] = [];
  #nowMs = 1_000_000;
  #acts = 0;
  constructor(world: World, all: boolean) {
    this.world = world;
    world.files.auto = false;
    for (const bucket of all ? [MANY, FEW] : [MANY])
      this.#consumers.push(world.consume(bucket, 1000));
    this.#producer = world.broker.openProducer(this.#acks)!;
  }

  static async open(files: MemoryFiles, all: boolean): Promise<Busy> {
    const world = await World.open(files);
    await world.settle();
    // A batch comes into its file in pieces.
    files.fail({ op: 'write', nth: 1, short: 1500, times: Number.POSITIVE_INFINITY });
    return new Busy(world, all);
  }

  /** Lets the oldest calls happen; if none waits, somebody publishes, acks, or time passes. */
  async go(calls: number): Promise<void> {
    const { world } = this;
    for (let call = 0; call < calls; call++) {
      if (!world.files.step()) this.#act();
      await new Promise((resolve) => setImmediate(resolve));
      world.turn();
    }
  }

  /** What was acked to its producer so far. */
  get published(): string[] {
    const { received } = this.#acks;
    assert.ok(received.every((ack) => ack === 1));
    return this.sent.slice(0, received.length);
  }

  /** Messages that are on disk for certain, of the bucket that nobody takes. */
  get few(): number {
    return FEW_BEFORE + this.published.filter((text) => text.startsWith(`${FEW}:`)).length;
  }

  #act(): void {
    const { world } = this;
    for (const { link, consumer } of this.#consumers) {
      const delivered = bodiesOf(link);
      link.received = [];
      if (delivered.length > 0) consumer.receive(new Uint8Array(delivered.length).fill(1));
      this.consumed.push(...delivered.map(nameOf));
    }
    this.#acts++;
    this.#nowMs += 2000;
    world.broker.advance(this.#nowMs);
    const buckets = Array.from({ length: 6 }, () => MANY);
    if (this.#acts % 8 === 0) buckets.unshift(FEW);
    const messages = buckets.map((bucket) => {
      const name = `${bucket}:${this.sent.length}`;
      this.sent.push(name);
      return { bucket: BigInt(bucket), body: Buffer.from(name.padEnd(900, '.')) };
    });
    this.#producer.receive(encodeBatch(messages, 'u64'));
  }

  get files(): MemoryFiles {
    return this.world.files;
  }
}

/** What tells messages of this story apart. */
export function nameOf(body: string): string {
  return body.slice(0, body.indexOf('.'));
}
