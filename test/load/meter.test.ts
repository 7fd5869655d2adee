// What is timed: everything that was due in the window, and nothing else, however late its answer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latencyOf, Meter, recordMs } from '../../src/load/meter.ts';
import { runLoad } from '../../src/load/run.ts';
import { FaultyBroker } from './faulty.ts';

test('the window is one of due times', () => {
  const meter = new Meter();
  assert.equal(meter.times(5), false, 'before it began');
  meter.beginTiming(10);
  assert.deepEqual(
    [9.9, 10, 1e9].map((ms) => meter.times(ms)),
    [false, true, true],
  );
  meter.endTiming(20);
  assert.deepEqual(
    [9.9, 10, 19.9, 20].map((ms) => meter.times(ms)),
    [false, true, true, false],
  );
});

test('percentiles are exact to three digits at any magnitude', () => {
  const { ack } = new Meter();
  for (let ms = 1; ms <= 100_000; ms++) recordMs(ack, ms / 10);
  const { count, p50, p90, p99, p999, max } = latencyOf(ack)!;
  assert.equal(count, 100_000);
  const expected = [5000, 9000, 9900, 9990, 10_000];
  for (const [index, value] of [p50, p90, p99, p999, max].entries())
    assert.ok(Math.abs(value / expected[index] - 1) < 0.002, `${value}, not ${expected[index]}`);
});

test('a broker that stops answering in the window is charged for all that was due', async () => {
  // It keeps every answer from the third batch on until the window is over: with two batches in
  // flight, the third and fourth are on the way and the other 16 of the window are not even sent.
  const held: (() => void)[] = [];
  let over = false;
  await using broker = await FaultyBroker.start({
    hold: (batch, answer) => {
      if (batch < 2 || over) answer();
      else held.push(answer);
    },
  });
  const plan = broker.plan({
    rate: 1000,
    batchMessages: 10,
    producers: 1,
    inFlight: 2,
    durationMs: 200,
    consumers: 1,
  });
  const { publish, consume } = await runLoad(plan, {
    onWindow: (edge) => {
      if (edge === 'begin') return;
      over = true;
      for (const answer of held) answer();
    },
  });
  assert.ok(publish!.latencyMs!.count >= 20, `${publish!.latencyMs!.count} batches were timed`);
  assert.ok(consume!.endToEndMs!.count >= 200, `${consume!.endToEndMs!.count} messages`);
  // Half of what was due had to wait for at least half of the window.
  assert.ok(publish!.latencyMs!.p50 >= 50, `${publish!.latencyMs!.p50} ms`);
  assert.ok(publish!.lateMs!.p50 >= 50 && publish!.lateMs!.count === publish!.latencyMs!.count);
  assert.ok(consume!.endToEndMs!.p50 >= 50, `${consume!.endToEndMs!.p50} ms`);
});
