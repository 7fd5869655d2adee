// Rows of the history: a snapshot each second while something happens, and one in ten seconds else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REFRESH_MS, Sampler } from '../../src/dashboard/sampler.ts';
import { fakeSnapshot } from '../cli/fake-server.ts';

function setUp() {
  const rows: (string | number)[] = [];
  const host = { nowMs: 0, activity: 0 as number | null, answers: true };
  let looks = 0;
  const sampler = new Sampler({
    look: () => void looks++,
    ask: async () => (host.answers ? fakeSnapshot() : undefined),
    history: { add: () => void rows.push('sample'), quiet: (ms) => void rows.push(ms) },
    now: () => host.nowMs,
  });
  // A second, and the broker's answer.
  const second = async (isBusy: boolean) => {
    host.nowMs += 1000;
    if (isBusy) host.activity = (host.activity ?? 0) + 1;
    const asked = looks;
    sampler.look();
    assert.equal(looks, asked + 1);
    await sampler.heard(host.activity);
    return rows.splice(0);
  };
  return { host, second };
}

test('while something happens each second is a sample', async () => {
  const { second } = setUp();
  for (let i = 0; i < 30; i++) assert.deepEqual(await second(true), ['sample']);
});

test('then one more, and quiet rows until something happens or the sample is old', async () => {
  const { second } = setUp();
  await second(true);
  assert.deepEqual(await second(false), ['sample'], 'the rates of what happened have to end');
  for (let i = 1; i < REFRESH_MS / 1000; i++) assert.deepEqual(await second(false), [1000]);
  assert.deepEqual(await second(false), ['sample'], 'memory and disk may have changed');
  assert.deepEqual(await second(false), [1000]);
  assert.deepEqual(await second(true), ['sample'], 'at once');
  assert.deepEqual(await second(false), ['sample']);
});

test('a broker that does not answer, or is starting, is asked again', async () => {
  const { host, second } = setUp();
  host.answers = false;
  assert.deepEqual(await second(false), []);
  host.answers = true;
  host.activity = null;
  for (let i = 0; i < 3; i++) assert.deepEqual(await second(false), ['sample']);
});
