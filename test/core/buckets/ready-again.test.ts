// Lines with messages that come back, wait for a time and are ready again, against a plain list of
// all messages: none twice, none out of order, none left behind, and counts that equal the sets.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOf } from '../../support/random.ts';
import { Lines } from './lines.ts';

const seed = seedOf('core/buckets/ready-again.test');
const BUCKETS = [1, 2, 3, 4];

// All that waits is due and all that is there is taken: nothing may be left.
function drain(lines: Lines): void {
  while (lines.pending.length > 0) lines.durable(false);
  while (lines.due(1000));
  for (const bucket of BUCKETS) {
    if (!lines.consumers.some((each) => each.bucket === bucket)) lines.join(bucket);
    for (let idle = 0; idle < 3; ) {
      let moved = lines.work();
      for (const consumer of lines.consumers) {
        if (consumer.bucket !== bucket) continue;
        while (lines.deliver(consumer)) moved = true;
        while (consumer.held.length > 0) lines.ack(consumer);
      }
      idle = moved ? 0 : idle + 1;
    }
  }
  const left = lines.messages.filter(({ fate }) => fate !== 'gone');
  assert.deepEqual(left, [], 'messages are left');
}

function step(lines: Lines, random: Random): void {
  const kind = random.below(100);
  const consumer = lines.consumers[random.below(Math.max(1, lines.consumers.length))];
  const bucket = BUCKETS[random.below(BUCKETS.length)]!;
  if (kind < 18) lines.publish(bucket, 1 + random.below(6), random.chance(0.3));
  else if (kind < 22) lines.roll();
  else if (kind < 32) lines.due(1 + random.below(8));
  else if (kind < 40) lines.durable(random.chance(0.3));
  else if (kind < 50) lines.work();
  else if (kind < 55) lines.join(bucket);
  else if (consumer === undefined) return;
  else if (kind < 75) lines.deliver(consumer);
  else if (kind < 81) lines.ack(consumer);
  else if (kind < 86) lines.fail(consumer);
  else if (kind < 95) lines.defer(consumer);
  else if (kind < 99) lines.leave(consumer);
  else if (random.chance(0.3)) lines.restart();
}

function world(number: number, steps: number): Lines {
  const random = new Random(seed + number);
  const lines = new Lines({
    random,
    soughtMax: [0, 1, 3, 1000][number % 4]!,
    slotsMax: number % 3 === 0 ? 2 : 1000,
    payload: number % 5 === 0,
  });
  for (let i = 0; i < steps; i++) {
    step(lines, random);
    lines.check(BUCKETS);
  }
  drain(lines);
  lines.check(BUCKETS);
  return lines;
}

test('none twice, none out of order, none left, whatever comes back', () => {
  const worlds = Number(process.env.WORLDS ?? 400);
  for (let number = 0; number < worlds; number++) {
    try {
      world(number, 150);
    } catch (error) {
      throw new Error(`world ${number} of seed ${seed}`, { cause: error });
    }
  }
});
