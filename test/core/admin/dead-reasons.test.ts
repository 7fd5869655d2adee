// Counting why messages died: by reason, of as many as are wanted, and what is said if there are
// more, or if they cannot be read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIND_DEAD } from '../../../assembly/layout-placed.ts';
import { REASONS } from '../../../src/contract/dead-messages.ts';
import { countReasons } from '../../../src/core/admin/dead-reasons.ts';
import type { LogPorts } from '../../../src/core/ports/log.ts';
import { REASON_NAMES } from '../../../src/core/records/names.ts';
import { acks, brokerOf, type World } from '../../support/world.ts';

const REJECTED = 2;

/** A world in which messages of bucket 7 were rejected, and others were delivered too often. */
function worldWith(rejected: number, failed: number): World {
  const world = brokerOf({ rules: ['7 max_deliveries=1'], resume: { places: true } });
  const bytes = [
    ...new Array<number>(rejected).fill(REJECTED),
    ...new Array<number>(failed).fill(0),
  ];
  world.publish(7, ...bytes.map((_, i) => `dead ${i}`));
  const consumer = world.consumer(7, bytes.length);
  consumer.send(acks(...bytes));
  world.settle();
  consumer.vanish();
  world.settle();
  return world;
}

function counted(world: World, limit: number, log: Partial<LogPorts> = {}) {
  const answers: unknown[] = [];
  const turns: (() => void)[] = [];
  countReasons(
    {
      broker: world.broker,
      log: { ...world.log.ports, ...log },
      slot: world.broker.buckets.find(7, 0, KIND_DEAD),
      limit,
      soon: (call) => void turns.push(call),
    },
    (failure, found) => answers.push(failure ?? found),
  );
  while (answers.length === 0) {
    turns.shift()?.();
    if (turns.length === 0 && answers.length === 0) assert.ok(world.log.work());
  }
  return answers[0];
}

test('by reason, all of them', () => {
  const reasons = { rejected: 2, 'max-deliveries': 3 };
  assert.deepEqual(counted(worldWith(2, 3), 5), { id: '7', looked: 5, more: false, reasons });
});

test('of as many as are wanted, and whether there are more', () => {
  const first = { id: '7', looked: 3, more: true, reasons: { rejected: 2, 'max-deliveries': 1 } };
  assert.deepEqual(counted(worldWith(2, 3), 3), first);
});

test('what cannot be read is said, if nothing can', () => {
  const world = worldWith(1, 0);
  world.broker.commit.hot = () => -1;
  const reader = {
    resident: () => -1,
    load: (_at: number, _bytes: number, done: (failure: Error) => void) => done(new Error('EIO')),
  } as unknown as LogPorts['reader'];
  assert.equal(counted(world, 5, { reader }), 'EIO');
});

test('every reason that the log has is in the list, with its meaning', () => {
  const names = Object.values(REASON_NAMES);
  assert.deepEqual([...names].sort(), Object.keys(REASONS).sort());
});
