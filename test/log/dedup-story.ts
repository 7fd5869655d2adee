// Lives of a broker, one after the other, that is sent messages which it may have already.

import assert from 'node:assert/strict';
import { MemoryFiles } from '../support/memory-files.ts';
import { type FakeLink, TIME_MS, World, type WorldOptions } from './harness.ts';

/** Where what is sent again is stored once, and where it is not. */
export const BUCKET = 7;
export const PLAIN = 8;
const RULES = ['7 dedup=1h'];

export class Story {
  readonly clock = { wallMs: TIME_MS };
  readonly options: WorldOptions;
  world!: World;

  constructor(options: WorldOptions = {}) {
    this.options = { rules: RULES, clock: this.clock, ...options };
  }

  async begin(files = new MemoryFiles()): Promise<void> {
    this.world = await World.open(files, this.options);
  }

  async send(bucket: number, ...bodies: string[]): Promise<number[]> {
    const link: FakeLink = this.world.publish(bodies.map((body) => ({ bucket, body })));
    await this.world.settle();
    return link.received;
  }

  /** Publishes until so many segments are there. */
  async fill(segments: number, from = 0): Promise<string[]> {
    const bodies: string[] = [];
    for (let i = from; this.world.log.bases().length < segments; i++) {
      const some = Array.from({ length: 10 }, (_, k) => `${i}.${k}`.padEnd(200, '-'));
      bodies.push(...some);
      assert.ok((await this.send(BUCKET, ...some)).every((byte) => byte === 1));
      await this.world.advance(100);
    }
    return bodies;
  }

  async rest(ms: number): Promise<void> {
    for (let i = 0; i < ms; i += 100) {
      this.clock.wallMs += 100;
      await this.world.advance(100);
    }
  }

  get duplicates(): number {
    return this.world.broker.counters.duplicateMessages;
  }
}
