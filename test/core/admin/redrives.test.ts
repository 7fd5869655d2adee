// What redrives an operator may begin, and how those that run and ended are told of.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command, Outcome } from '../../../src/contract/commands.ts';
import { Redrives } from '../../../src/core/admin/redrives.ts';
import { brokerOf, WALL_MS } from '../../support/world.ts';

function setUp() {
  const world = brokerOf({ resume: { places: true } });
  let soon: (() => void)[] = [];
  const redrives = new Redrives({
    broker: world.broker,
    wallMs: () => WALL_MS,
    soon: (call) => void soon.push(call),
    after: () => {},
  });
  const begin = (more: Partial<Extract<Command, { kind: 'redrive' }>> = {}): Outcome =>
    redrives.begin({ kind: 'redrive', id: '9', ...more }, () => world.broker.buckets.find(9, 0));
  const run = () => {
    while (soon.length > 0) {
      const calls = soon;
      soon = [];
      for (const call of calls) call();
      world.settle();
    }
  };
  return { world, redrives, begin, run };
}

const startedAt = new Date(WALL_MS).toISOString();

test('an empty line is done at once, and nothing is remembered of it', () => {
  const { redrives, begin } = setUp();
  const state = { bucket: '9', startedAt, moved: 0, done: true, stopped: null };
  assert.deepEqual(begin(), { ok: true, result: state });
  assert.equal(redrives.stateOf('9'), undefined);
});

test('a second one is refused while the first runs; both are told of in the log', () => {
  const { world, redrives, begin, run } = setUp();
  world.publish(9, 'a', 'b', 'c');
  const first = begin({ limit: 2, to: '18446744073709551615' });
  assert.equal(first.ok, true);
  assert.deepEqual(begin(), {
    ok: false,
    code: 'conflict',
    detail: 'the dead of bucket 9 are being given back: let that end',
  });
  run();
  const state = { bucket: '9', startedAt, moved: 2, done: true, stopped: 'limit' };
  assert.deepEqual(redrives.stateOf('9'), state);
  const { buckets } = world.broker;
  assert.equal(buckets.readyOf(buckets.find(2 ** 32 - 1, 2 ** 32 - 1)), 2);
  assert.equal(begin({ to: '8' }).ok, true, 'another one may follow');
  run();
  assert.deepEqual(
    world.notices.map(({ text }) => text),
    [
      'giving back what is dead of bucket 9 to bucket 18446744073709551615',
      '2 dead messages of bucket 9 were given back',
      'giving back what is dead of bucket 9 to bucket 8',
      '1 dead messages of bucket 9 were given back',
    ],
  );
});

test('one that is cancelled ends: the others stay dead, and that is said', () => {
  const { world, redrives, begin, run } = setUp();
  const text = 'nothing dead of bucket 9 was given back since the broker started';
  assert.deepEqual(redrives.cancel('9'), { ok: false, code: 'not-found', detail: text });
  world.publish(9, 'a', 'b', 'c');
  begin({ to: '8', rate: 0.001 });
  run();
  const state = { bucket: '9', startedAt, moved: 1, done: false, stopped: null };
  assert.deepEqual(redrives.cancel('9'), { ok: true, result: state });
  run();
  const end = { ...state, done: true, stopped: 'cancelled' };
  assert.deepEqual(redrives.stateOf('9'), end);
  assert.deepEqual(redrives.cancel('9'), { ok: true, result: end }, 'once more changes nothing');
  const { buckets } = world.broker;
  assert.equal(buckets.readyOf(buckets.find(9, 0)), 2);
  assert.match(world.notices.at(-1)!.text, /1 dead .* given back; an operator ended it/);
  assert.equal(begin({ to: '8' }).ok, true, 'another one may follow');
});

test('what makes no sense is refused, and nothing begins', () => {
  const { world, redrives, begin } = setUp();
  world.publish(9, 'a');
  for (const wrong of [
    { to: 'nine' },
    { to: '18446744073709551616' },
    { limit: 0 },
    { limit: Number.NaN },
    { rate: 0 },
    { rate: -1 },
    { rate: Number.NaN },
    { rate: 1_000_001 },
  ]) {
    const outcome = begin(wrong);
    assert.equal(!outcome.ok && outcome.code, 'bad-request', JSON.stringify(wrong));
  }
  assert.equal(redrives.stateOf('9'), undefined);
});
