// Copies for other buckets, over a real log whose power is cut at every step: a message is in its
// bucket and in each that gets copies of it, once, or in none; and what was acked is in all.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recover, takeInventory } from '../../src/log/recovery/recovery.ts';
import { sharedEngine } from '../support/engine.ts';
import { anyFate, loseAll, MemoryFiles } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { Collector, type FakeLink, World } from './harness.ts';

const seed = seedOf('log/copying.test');

// A ring, a bucket that waits, and one that takes few.
const RULES = ['6 copy_to=7,8', '7 copy_to=6', '8 delay=1h', '9 copy_to=5', '5 max_messages=8'];
const PLACES = new Map([
  [6, ['6', '7', '8']],
  [7, ['7', '6']],
  [8, ['8']],
  [9, ['9', '5']],
]);
const STEPS = 150;
const WORLDS = 5;

const reader = sharedEngine('recovery begins with the key and the segment');

/** Buckets of each message, in a log that is read by nobody's broker. */
async function bucketsOf(files: MemoryFiles): Promise<Map<string, string[]>> {
  const got = new Collector();
  await recover(files, reader, await takeInventory(files), got, () => {});
  const buckets = new Map<string, string[]>();
  for (const [, text] of [...got.messages].sort(([a], [b]) => a - b)) {
    const [bucket, body] = text.split(':') as [string, string];
    const name = body.replace(/\.+$/, '');
    buckets.set(name, [...(buckets.get(name) ?? []), bucket]);
  }
  return buckets;
}

for (let world = 1; world <= WORLDS; world++)
  test(`whenever the power goes, all copies are there or none, world ${world}`, () =>
    live(seed + world));

async function live(worldSeed: number): Promise<void> {
  const random = new Random(worldSeed);
  const world = await World.open(new MemoryFiles(), { rules: RULES });
  const { files } = world;
  await world.settle();
  files.auto = false;
  const sent: { link: FakeLink; bucket: number; bodies: string[] }[] = [];
  let count = 0;
  const seen = new Set<string>();
  for (let step = 0; step < STEPS; step++) {
    if (random.chance(0.5)) {
      const bucket = 6 + random.below(4);
      const bodies = Array.from({ length: 1 + random.below(4) }, () => `m${count++}-${bucket}`);
      const size = random.chance(0.3) ? 1500 : 1;
      const messages = bodies.map((body) => ({ bucket, body: body.padEnd(size, '.') }));
      sent.push({ link: world.publish(messages), bucket, bodies });
    }
    if (files.pending.length > 0) files.step();
    await new Promise((resolve) => setImmediate(resolve));
    world.turn();
    world.broker.advance(step * 20);
    assert.equal(world.failure, undefined);
    for (const fate of [loseAll, anyFate(random)]) {
      const buckets = await bucketsOf(files.fork().crash(fate));
      for (const [body, where] of buckets) {
        const bucket = Number(body.split('-')[1]);
        assert.deepEqual(where, PLACES.get(bucket), `step ${step}: ${body}`);
        seen.add(body);
      }
      for (const { link, bodies } of sent)
        for (const [i, body] of bodies.entries())
          if (link.received[i] === 1) assert.ok(buckets.has(body), `step ${step}: ${body} is lost`);
    }
  }
  const refused = sent.flatMap(({ link, bodies }) =>
    bodies.filter((_, i) => link.received[i] === 0),
  );
  const few = [...seen].filter((body) => body.endsWith('-9'));
  assert.ok(seen.size > 40, `only ${seen.size}`);
  assert.equal(few.length, 8);
  assert.ok(refused.length > 0 && refused.every((body) => body.endsWith('-9') && !seen.has(body)));
}
