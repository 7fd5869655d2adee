// Messages that die, over a real log whose power is cut at every step: each is in exactly one
// place, and none that was acked to its producer is nowhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIND_DEAD } from '../../assembly/layout-placed.ts';
import type { PeekedMessage } from '../../src/contract/commands.ts';
import { peek } from '../../src/core/admin/peek.ts';
import { recover, takeInventory } from '../../src/log/recovery/recovery.ts';
import { sharedEngine } from '../support/engine.ts';
import { anyFate, loseAll, MemoryFiles } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { bodiesOf, Collector, type FakeLink, TIME_MS, World } from './harness.ts';

const seed = seedOf('log/moving.test');

// Kept by bucket 6, moved from 7 to 9, dropped by 8.
const RULES = [
  '6 max_deliveries=2',
  '7 max_deliveries=2 dead_letter=9',
  '8 max_deliveries=1 dead_letter=drop',
];
const BUCKETS = [6, 7, 8, 9];
const STEPS = 150;
const WORLDS = 5;

const reader = sharedEngine('recovery begins with the key and the segment');

/** What clients know of messages, by body. */
class Clients {
  readonly world: World;
  readonly #random: Random;
  readonly sent: { link: FakeLink; bodies: string[] }[] = [];
  readonly consumers: { link: FakeLink; consumer: ReturnType<World['consume']>['consumer'] }[];
  /** Their consumer was done with them, or let them die where the dead are dropped. */
  readonly gone = new Set<string>();
  #next = 0;

  constructor(world: World, random: Random) {
    this.world = world;
    this.#random = random;
    this.consumers = BUCKETS.map((bucket) => world.consume(bucket, 4));
  }

  act(): void {
    const random = this.#random;
    if (random.chance(0.4) && this.#next < 60) {
      const count = 1 + random.below(3);
      const bucket = BUCKETS[random.below(3)]!;
      const bodies = Array.from({ length: count }, () => `m${this.#next++}`);
      const link = this.world.publish(bodies.map((body) => ({ bucket, body })));
      this.sent.push({ link, bodies });
    }
    for (const [i, { link, consumer }] of this.consumers.entries()) {
      if (!random.chance(0.5)) continue;
      const bodies = bodiesOf(link);
      link.received = [];
      if (bodies.length === 0) continue;
      const bytes = bodies.map(() => [0, 1, 2, 2][random.below(4)]!);
      for (const [at, body] of bodies.entries())
        if (bytes[at] === 1 || BUCKETS[i] === 8) this.gone.add(body);
      consumer.receive(Uint8Array.from(bytes));
    }
  }

  /** Those that a producer was told are stored. */
  get stored(): string[] {
    return this.sent.flatMap(({ link, bodies }) => bodies.filter((_, i) => link.received[i] === 1));
  }
}

/** Where each message is, in a log that is read by nobody's broker: `line:body`. */
async function placesOf(files: MemoryFiles): Promise<Map<string, string[]>> {
  const got = new Collector();
  await recover(files, reader, await takeInventory(files), got, () => {});
  const places = new Map<string, string[]>();
  for (const [sequence, text] of got.messages) {
    if (got.settled.has(sequence)) continue;
    const at = text.lastIndexOf(':');
    const body = text.slice(at + 1);
    places.set(body, [...(places.get(body) ?? []), text.slice(0, at)]);
  }
  return places;
}

for (let world = 1; world <= WORLDS; world++)
  test(`whenever the power goes, each message is in one place, world ${world}`, () =>
    live(seed + world));

async function live(worldSeed: number): Promise<void> {
  const random = new Random(worldSeed);
  const world = await World.open(new MemoryFiles(), { rules: RULES });
  const { files } = world;
  await world.settle();
  files.auto = false;
  const clients = new Clients(world, random);
  const seen = new Set<string>();
  for (let step = 0; step < STEPS; step++) {
    clients.act();
    if (files.pending.length > 0) files.step();
    await new Promise((resolve) => setImmediate(resolve));
    world.turn();
    world.broker.advance(step * 20);
    assert.equal(world.failure, undefined);
    const { stored } = clients;
    for (const fate of [loseAll, anyFate(random)]) {
      const left = files.fork().crash(fate);
      const places = await placesOf(left);
      for (const [body, at] of places) {
        assert.equal(at.length, 1, `step ${step}: ${body} is in ${at}`);
        seen.add(at[0]!);
      }
      for (const body of stored)
        assert.ok(places.has(body) || clients.gone.has(body), `step ${step}: ${body} is lost`);
    }
  }
  assert.ok(seen.size >= 5, `only ${[...seen]}`);
  const { counters } = world.broker;
  assert.ok(counters.deadDroppedMessages > 0);
  // Another broker goes on with it.
  files.auto = true;
  await world.settle();
  const { stored } = clients;
  const next = await World.open(await world.close(), { rules: RULES });
  const delivered = (await next.drain(9)).concat(await next.drain(7), await next.drain(6));
  assert.equal(new Set(delivered).size, delivered.length);
  const places = await placesOf(await next.close());
  const dead = [...places.values()].flat();
  for (const body of stored)
    assert.ok(delivered.includes(body) || places.has(body) || clients.gone.has(body), body);
  assert.ok(dead.length > 0, 'the dead that are kept are in the log');
}

/** What a bucket's dead line shows of itself. */
async function deadOf(world: World, bucket: number): Promise<PeekedMessage[]> {
  const slot = world.broker.buckets.open(bucket, 0, KIND_DEAD);
  let shown: PeekedMessage[] | undefined;
  const parts = { broker: world.broker, log: world.log.ports, slot, limit: 10, bytes: 10 };
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  const soon = (call: () => void) => void setImmediate(call);
  const done = (messages: PeekedMessage[]) => {
    shown = messages;
  };
  peek({ ...parts, base64, soon, done });
  await world.settle();
  return shown!;
}

test('the dead say when they were published, also if brokers ended between that and their death', async () => {
  const clock = { wallMs: TIME_MS };
  const options = { rules: RULES, clock };
  const first = await World.open(new MemoryFiles(), options);
  first.publish([{ bucket: 6, body: 'early' }]);
  await first.settle();
  clock.wallMs += 60_000;
  first.publish([{ bucket: 6, body: 'late' }]);
  await first.settle();
  const files = (await first.close()).crash(loseAll);
  clock.wallMs += 60_000;
  const second = await World.open(files, options);
  const { consumer } = second.consume(6, 4);
  await second.settle();
  consumer.receive(Uint8Array.of(2, 2));
  await second.settle();
  const times = (await deadOf(second, 6)).map(({ moved }) => [moved!.publishedAt, moved!.movedAt]);
  const at = (ms: number) => new Date(TIME_MS + ms).toISOString();
  assert.deepEqual(times, [
    [at(0), at(120_000)],
    [at(60_000), at(120_000)],
  ]);
  await second.close();
});
