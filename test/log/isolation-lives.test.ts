// Consumers that die of a message, and a broker that is killed now and then while they do: whoever
// is to blame is alone after about log2(n) deaths, nobody beside it is charged, and everything else
// is consumed. Whole brokers on files in memory.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { MemoryFiles } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { bodiesOf, World, type WorldOptions } from './harness.ts';

const seed = seedOf('log/isolation-lives.test');
const BUCKET = 1;

interface Plan {
  messages: number;
  culprits: number;
  consumers: number;
  batchSize: number;
  /** A message that was charged so often is put away, as a dead one would be. */
  deaths: number;
  /** How likely the broker is killed after a consumer died. */
  kills: number;
  /** Whether a consumer acks one by one until it dies; else it dies with all that it was given. */
  acksEach: boolean;
}

interface Held {
  link: ReturnType<World['consume']>['link'];
  consumer: ReturnType<World['consume']>['consumer'];
  bodies: string[];
}

/** One bucket, whose consumers die of the culprits in it. */
class Story {
  readonly #random: Random;
  readonly #plan: Plan;
  readonly #options: WorldOptions;
  readonly #culprits = new Set<string>();
  #world!: World;
  #held: Held[] = [];
  /** Deaths with each culprit in what was lost. */
  readonly deaths = new Map<string, number>();
  /** How often each was lost alone. */
  readonly alone = new Map<string, number>();
  readonly done = new Set<string>();
  kills = 0;

  constructor(random: Random, plan: Plan) {
    this.#random = random;
    this.#plan = plan;
    this.#options = { limits: { segmentBytes: 64 * 1024, heartbeatMs: 1e9 }, rules: RULES };
    while (this.#culprits.size < plan.culprits)
      this.#culprits.add(`${random.below(plan.messages)}.`);
  }

  async run(): Promise<void> {
    const { messages, deaths } = this.#plan;
    this.#world = await World.open(new MemoryFiles(), this.#options);
    const all = Array.from({ length: messages }, (_, i) => `${i}.`);
    // In records of some neighbours each.
    for (let at = 0; at < messages; ) {
      const some = all.slice(at, at + 1 + this.#random.below(300));
      this.#world.publish(some.map((body) => ({ bucket: BUCKET, body })));
      await this.#world.settle();
      at += some.length;
    }
    for (let step = 0; this.done.size < messages; step++) {
      assert.ok(step < 50 * messages, `${messages - this.done.size} are not consumed`);
      await this.#serve();
      if (this.#held.length === 0) continue;
      const [held] = this.#held.splice(this.#random.below(this.#held.length), 1);
      await this.#work(held!);
    }
    for (const culprit of this.#culprits) {
      assert.equal(this.alone.get(culprit), deaths, `${culprit} was charged`);
      const bound = Math.ceil(Math.log2(Math.min(this.#plan.batchSize, messages))) + deaths;
      const seen = this.deaths.get(culprit)!;
      assert.ok(seen <= bound, `${seen} deaths of ${culprit}, ${bound} are the bound`);
    }
    const { attempts } = this.#world.broker.buckets.outcomes;
    for (const [i, body] of all.entries()) {
      if (this.#culprits.has(body)) continue;
      assert.ok(!this.alone.has(body), `${body} was lost alone, and is not to blame`);
      assert.equal(attempts.get(i + 1), 0, `${body} was charged, and is not to blame`);
    }
    await this.#world.settle();
    assert.equal(this.#world.broker.buckets.ready, 0);
  }

  // As many consumers as there are to be, each with what it is given.
  async #serve(): Promise<void> {
    const idle: Held[] = [];
    while (this.#held.length + idle.length < this.#plan.consumers) {
      const { link, consumer } = this.#world.consume(BUCKET, this.#plan.batchSize);
      idle.push({ link, consumer, bodies: [] });
    }
    await this.#world.settle();
    for (const each of idle) {
      each.bodies = bodiesOf(each.link);
      if (each.bodies.length > 0) this.#held.push(each);
      else this.#leave(each, false);
    }
    await this.#world.settle();
  }

  // Who does not die may have been given more meanwhile, and is not to blame for that.
  #leave({ link, consumer }: Held, died: boolean): void {
    if (!died) consumer.closedFor = 'operator';
    link.destroy();
    consumer.gone();
  }

  // A consumer works on what it holds, and is gone: for good, or dead.
  async #work(held: Held): Promise<void> {
    const { bodies } = held;
    const at = bodies.findIndex((body) => this.#culprits.has(body) && !this.done.has(body));
    if (at < 0) this.#acks(held, bodies.length);
    else if (this.#plan.acksEach && at > 0) this.#acks(held, at);
    const lost = held.bodies;
    if (at >= 0) this.#died(lost);
    const [dead] = lost;
    const isDead = lost.length === 1 && this.alone.get(dead!) === this.#plan.deaths;
    if (isDead) this.#acks(held, 1);
    this.#leave(held, at >= 0 && !isDead);
    await this.#world.settle();
    if (at >= 0 && this.#random.chance(this.#plan.kills)) await this.#kill();
  }

  #died(lost: readonly string[]): void {
    for (const body of lost)
      if (this.#culprits.has(body)) this.deaths.set(body, (this.deaths.get(body) ?? 0) + 1);
    if (lost.length === 1) this.alone.set(lost[0]!, (this.alone.get(lost[0]!) ?? 0) + 1);
  }

  #acks(held: Held, count: number): void {
    held.consumer.receive(new Uint8Array(count).fill(1));
    for (const body of held.bodies.splice(0, count)) this.done.add(body);
  }

  // With all that was decided before in the log: of what is lost with the broker, it is said in the
  // guide that it costs a death more.
  async #kill(): Promise<void> {
    this.kills++;
    await this.#world.advance(1000);
    for (let i = 0; i < 20 && !this.#world.broker.commit.drained; i++)
      await this.#world.advance(50);
    this.#held = [];
    this.#world = await World.open(this.#world.files.kill(), this.#options);
  }
}

// One that makes something of failures, so that the log may say how far apart messages come.
const RULES = ['* max_deliveries=100'];

describe('isolation', () => {
  const seen = { kills: 0, deaths: 0 };
  after(() => assert.ok(seen.kills > 0 && seen.deaths > 20, JSON.stringify(seen)));

  const plans: Partial<Plan>[] = [
    { messages: 1024, batchSize: 1024, consumers: 1, deaths: 1 },
    { messages: 1024, batchSize: 1024, consumers: 1, deaths: 5 },
    { messages: 1000, batchSize: 300, consumers: 4, culprits: 3 },
    { messages: 700, batchSize: 1024, consumers: 8, culprits: 5, deaths: 3 },
    { messages: 600, batchSize: 128, consumers: 3, culprits: 2, acksEach: true },
    { messages: 1024, batchSize: 1024, consumers: 1, kills: 0.5 },
    { messages: 800, batchSize: 256, consumers: 5, culprits: 4, kills: 0.2 },
    { messages: 20, batchSize: 1, consumers: 2, culprits: 2, deaths: 2 },
  ];
  for (const [i, some] of plans.entries())
    test(`${JSON.stringify(some)} (seed ${seed})`, async () => {
      const random = new Random(seed + i);
      const usual = { culprits: 1, deaths: 5, kills: 0, acksEach: false };
      const plan = { messages: 100, batchSize: 10, consumers: 1, ...usual, ...some };
      const story = new Story(random, plan);
      await story.run();
      seen.kills += story.kills;
      for (const deaths of story.deaths.values()) seen.deaths += deaths;
    });
});
