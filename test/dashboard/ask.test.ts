// Asking the broker from the dashboard process: one question at a time, answers kept for a moment.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Asker } from '../../src/dashboard/ask.ts';
import type { Answer } from '../../src/dashboard/messages.ts';

const ANSWER: Answer = { health: { started: true, live: true, ready: true, checks: {} } };

test('any number of requests is one question, and its answer is good for 250 ms', async () => {
  const sent: number[] = [];
  let now = 0;
  const asker = new Asker(
    (id) => sent.push(id),
    () => now,
  );
  const many = Array.from({ length: 100 }, () => asker.ask());
  assert.deepEqual(sent, [1]);
  asker.answered(1, ANSWER);
  for (const answer of await Promise.all(many)) assert.equal(answer, ANSWER);
  now = 249;
  assert.equal(await asker.ask(), ANSWER);
  assert.deepEqual(sent, [1]);
  now = 250;
  void asker.ask();
  void asker.ask();
  assert.deepEqual(sent, [1, 2]);
});

test('without an answer each request waits a second; a late answer serves the next', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const sent: number[] = [];
    const asker = new Asker(
      (id) => sent.push(id),
      () => 0,
    );
    const first = asker.ask();
    mock.timers.tick(999);
    const second = asker.ask();
    mock.timers.tick(1);
    assert.equal(await first, undefined);
    asker.answered(1, ANSWER);
    assert.equal(await second, ANSWER);
    assert.deepEqual(sent, [1], 'no second question while the first is open');
  } finally {
    mock.timers.reset();
  }
});

test('an answer nobody waits for is ignored', async () => {
  const asker = new Asker(
    () => {},
    () => 0,
  );
  asker.answered(1, ANSWER);
  const asked = asker.ask();
  asker.answered(7, { ...ANSWER, snapshot: undefined });
  asker.answered(1, ANSWER);
  assert.equal(await asked, ANSWER);
});
