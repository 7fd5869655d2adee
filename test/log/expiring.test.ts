// What waits too long, over a real log and over restarts: how long it waited is known from the
// checkpoint, or from commit records where all is read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryFiles } from '../support/memory-files.ts';
import { TIME_MS, World } from './harness.ts';

const RULES = ['1 ttl=10m expired=drop', '2 ttl=10m'];
const BATCHES = 60;
const STEP_MS = 10_000;
const TTL_MS = 600_000;
const BODY = 'x'.repeat(2000);

async function publish(world: World, clock: { wallMs: number }): Promise<void> {
  for (let i = 0; i < BATCHES; i++) {
    clock.wallMs = TIME_MS + i * STEP_MS;
    world.publish([1, 2, 3].map((bucket) => ({ bucket, body: `${i} ${BODY}` })));
    await world.advance(25);
  }
}

const numbers = (bodies: string[]) => bodies.map((body) => Number.parseInt(body, 10));
const from = (first: number) => Array.from({ length: BATCHES - first }, (_, i) => first + i);

for (const [mode, name] of [
  ['commit', 'what a checkpoint knows'],
  ['interval', 'what is read again'],
] as const)
  test(`${name} expires when its time has come, not before, after a start`, async () => {
    const clock = { wallMs: TIME_MS };
    const options = { rules: RULES, clock, mode };
    const first = await World.open(new MemoryFiles(), options);
    await first.settle();
    await publish(first, clock);
    assert.ok(first.log.bases().length > 5, 'several segments');
    await first.close();
    // The first 30 batches are older than ten minutes by a ms, or not by one.
    for (const [beyondMs, old] of [
      [-1, 29],
      [0, 30],
    ] as const) {
      clock.wallMs = TIME_MS + TTL_MS + 29 * STEP_MS + beyondMs;
      const world = await World.open(first.files.fork(), options);
      assert.equal(world.used.checkpoint, mode === 'commit');
      assert.equal(world.used.segments.length > 0, mode === 'commit', 'segments are not read');
      assert.deepEqual(numbers(await world.drain(1)), from(old), `${beyondMs}`);
      assert.deepEqual(numbers(await world.drain(3)), from(0));
      await world.close();
    }
  });

test('buckets that nobody knows after a start: found in indexes, and in memory', async () => {
  const clock = { wallMs: TIME_MS };
  const options = { rules: RULES, clock };
  const first = await World.open(new MemoryFiles(), options);
  await first.settle();
  await publish(first, clock);
  await first.close();
  clock.wallMs = TIME_MS + TTL_MS + 29 * STEP_MS;
  const world = await World.open(first.files.fork(), options);
  for (let i = 0; i < 200; i++) await world.advance(50);
  const { counters, retention } = world.broker;
  assert.deepEqual([counters.dropped.expired, counters.dead[3]], [30, 30]);
  assert.equal(retention.live, 3 * BATCHES - 30);
  clock.wallMs += 40 * STEP_MS;
  for (let i = 0; i < 4000 && counters.dead[3]! < BATCHES; i++) await world.advance(50);
  assert.deepEqual([counters.dropped.expired, counters.dead[3]], [BATCHES, BATCHES]);
  assert.deepEqual(numbers(await world.drain(3)), from(0));
  await world.close();
});
