// One message at a time for each of many keys, in order, with several consumers for each key, or
// some for all of them behind a virtual bucket, while messages fail, consumers leave and the broker
// is killed; by what was recorded of every delivery. `full-size.ts` runs it with more of everything.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOf } from '../support/random.ts';
import { oneAtATime } from './one-at-a-time.ts';

const options = {
  keys: 200,
  messages: 10,
  consumers: 2,
  kills: 3,
  failed: 0.08,
  left: 0.02,
  holdMs: 4,
  random: new Random(seedOf('e2e/one-at-a-time.test')),
};

test('max_in_flight = 1: never two at once, in order for each key, across kills', async () => {
  const { violations, ...counts } = await oneAtATime(options);
  console.log(`one at a time: ${JSON.stringify(counts)}`);
  assert.deepEqual(violations.slice(0, 20), []);
  assert.ok(counts.failures > 0 && counts.departures > 0, JSON.stringify(counts));
});

test('behind a virtual bucket: any consumer is given any key, one at a time and in order', async () => {
  const many = { ...options, keys: 1000, messages: 4, consumers: 20, virtualBatch: 8 };
  const { violations, ...counts } = await oneAtATime(many);
  console.log(`behind a virtual bucket: ${JSON.stringify(counts)}`);
  assert.deepEqual(violations.slice(0, 20), []);
  assert.ok(counts.failures > 0 && counts.departures > 0, JSON.stringify(counts));
});

test('without the rule much is found to be wrong', async () => {
  const few = { ...options, keys: 20, kills: 0, maxInFlight: null };
  const { violations } = await oneAtATime(few);
  assert.ok(violations.some((text) => text.includes('while another consumer held')));
  assert.ok(violations.some((text) => text.includes('was done')));
});

test('behind a virtual bucket much is found to be wrong without the rule, too', async () => {
  const some = { keys: 20, consumers: 10, virtualBatch: 8, kills: 0, maxInFlight: null };
  const { violations } = await oneAtATime({ ...options, ...some });
  assert.ok(violations.some((text) => text.includes('while another consumer held')));
  assert.ok(violations.some((text) => text.includes('was done')));
});
