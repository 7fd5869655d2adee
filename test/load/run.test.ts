// Whole runs against a broker in this process: what is counted is what happened, each fault of the
// broker is found and named, and a run ends whatever the broker does.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { WireMessage } from '../../src/codec/wire.ts';
import { LoadError } from '../../src/load/connect.ts';
import type { Verdict } from '../../src/load/ledger.ts';
import { type LoadProgress, runLoad } from '../../src/load/run.ts';
import { STAMP_BYTES } from '../../src/load/stamp.ts';
import { type Faults, FaultyBroker } from './faulty.ts';

describe('counting', () => {
  test('a count is published, consumed and acked to the last message', async () => {
    await using broker = await FaultyBroker.start({ heartbeat: true });
    const { publish, consume, leftMessages, interrupted } = await runLoad(
      broker.plan({ count: 1234, producers: 3, buckets: 2, consumers: 3 }),
    );
    assert.equal(publish?.messages, 1234);
    assert.equal(publish.latencyMs?.count, 124);
    assert.equal(consume?.messages, 1234);
    assert.equal(consume.heartbeats, 3);
    assert.equal(consume.endToEndMs, undefined);
    assert.equal(broker.acked, 1234);
    assert.equal(leftMessages, 0);
    assert.equal(interrupted, false);
  });

  test('rates follow from messages, bytes and seconds', async () => {
    await using broker = await FaultyBroker.start();
    const { publish, consume } = await runLoad(broker.plan());
    for (const flow of [publish!, consume!]) {
      assert.ok(flow.messages > 0 && flow.seconds >= 0.05, JSON.stringify(flow));
      assert.equal(flow.msgPerSecond, flow.messages / flow.seconds);
      assert.equal(flow.MBperSecond, (flow.messages * 40) / 1e6 / flow.seconds);
    }
    const { p50, p90, p99, p999, max } = publish!.latencyMs!;
    assert.deepEqual(
      [p50, p90, p99, p999, max],
      [p50, p90, p99, p999, max].sort((a, b) => a - b),
    );
  });

  test('refused messages are counted apart', async () => {
    await using broker = await FaultyBroker.start({ stored: (index) => index !== 3 });
    const { publish } = await runLoad(broker.plan({ count: 100, consumers: 0 }));
    assert.equal(publish?.messages, 90);
    assert.equal(publish.refused, 10);
  });

  test('without a count, a warm-up is not part of the result', async () => {
    await using broker = await FaultyBroker.start();
    const { publish } = await runLoad(broker.plan({ warmupMs: 50, consumers: 0 }));
    assert.ok(publish!.messages < broker.published);
  });

  test('with a count, a warm-up is over before counting begins', async () => {
    await using broker = await FaultyBroker.start();
    const { publish, consume } = await runLoad(broker.plan({ warmupMs: 20, count: 50 }));
    assert.equal(publish?.messages, 50);
    assert.equal(consume?.messages, 50);
    assert.ok(broker.published > 50);
  });

  test('an open loop sends the count by its schedule and times from end to end', async () => {
    await using broker = await FaultyBroker.start();
    const { publish, consume } = await runLoad(broker.plan({ count: 400, rate: 10_000 }));
    assert.equal(publish?.messages, 400);
    assert.equal(publish.latencyMs?.count, 40);
    assert.equal(consume?.endToEndMs?.count, 400);
    // The last batch is due 39 intervals of 1 ms after the first: no run can be over sooner.
    assert.ok(publish.seconds >= 0.039, String(publish.seconds));
  });

  test('consumers alone take what is there', async () => {
    await using broker = await FaultyBroker.start();
    const left = await runLoad(broker.plan({ count: 70, consumers: 0 }));
    assert.equal(left.leftMessages, 70);
    const { publish, consume } = await runLoad(broker.plan({ count: 70, producers: 0 }));
    assert.equal(publish, undefined);
    assert.equal(consume?.messages, 70);
  });

  test('producers are held back while too much waits', async () => {
    await using broker = await FaultyBroker.start({ deliver: () => [] });
    await runLoad(broker.plan({ backlogMessagesMax: 100, inFlight: 2, drain: false }));
    assert.ok(broker.published > 100 && broker.published <= 130, String(broker.published));
  });
});

describe('verifying', () => {
  const cases: [string, Faults, Partial<Verdict>][] = [
    ['nothing wrong', {}, { ok: true }],
    [
      'a duplicate',
      { deliver: (all, batch) => (batch === 2 ? [...all, all[4]] : all) },
      { duplicates: 1 },
    ],
    [
      'a changed byte',
      { deliver: (all, batch) => (batch === 1 ? [changed(all[0]), ...all.slice(1)] : all) },
      { damaged: 1 },
    ],
    [
      'two in the wrong order',
      { deliver: (all, batch) => (batch === 1 ? [all[1], all[0], ...all.slice(2)] : all) },
      { disordered: 1 },
    ],
    [
      'messages of somebody else',
      { deliver: (all, batch) => (batch === 0 ? [foreign(all[0]), ...all] : all) },
      { ok: true, foreign: 1 },
    ],
  ];
  for (const [name, faults, expected] of cases)
    test(name, async () => {
      await using broker = await FaultyBroker.start(faults);
      const plan = broker.plan({ count: 50, verify: true, producers: 1 });
      const clean = {
        lost: 0,
        duplicates: 0,
        disordered: 0,
        damaged: 0,
        unexpected: 0,
        foreign: 0,
      };
      const { verify } = await runLoad(plan);
      assert.deepEqual(verify, { ok: false, ...clean, ...expected });
    });

  test('a loss, told when the run is interrupted', async () => {
    const leave = new AbortController();
    const deliver = (all: WireMessage[], batch: number): WireMessage[] =>
      batch === 4 ? all.slice(1) : all;
    await using broker = await FaultyBroker.start({ deliver });
    const plan = broker.plan({ count: 50, verify: true });
    const { verify, interrupted } = await runLoad(plan, {
      signal: leave.signal,
      progressMs: 10,
      onProgress: ({ published, delivered }) => {
        if (published === 50 && delivered === 49) leave.abort();
      },
    });
    assert.equal(verify?.lost, 1);
    assert.equal(verify.ok, false);
    assert.equal(interrupted, true);
  });
});

describe('ends', () => {
  const isLoadError = (code: LoadError['code']) => (error: unknown) =>
    error instanceof LoadError && error.code === code;

  test('a plan that cannot be run', async () => {
    await using broker = await FaultyBroker.start();
    await assert.rejects(runLoad(broker.plan({ inFlight: 0 })), RangeError);
  });

  test('nobody there', async () => {
    const broker = await FaultyBroker.start();
    const plan = broker.plan();
    await broker[Symbol.asyncDispose]();
    await assert.rejects(runLoad(plan), isLoadError('unreachable'));
  });

  test('nobody at one of several nodes', async () => {
    await using broker = await FaultyBroker.start();
    const plan = broker.plan({ hosts: ['127.0.0.1', '127.0.0.2'], producers: 1, consumers: 1 });
    assert.ok((await runLoad(plan)).publish!.messages > 0, 'one of each goes to the first');
    const two = runLoad({ ...plan, producers: 2 });
    await assert.rejects(two, (error: Error) => /127\.0\.0\.2:\d+/.test(error.message));
  });

  test('a connection that is cut', async () => {
    const onBatch: Faults['onBatch'] = (socket, batch) => {
      if (batch === 3) socket.destroy();
    };
    await using broker = await FaultyBroker.start({ onBatch });
    await assert.rejects(runLoad(broker.plan({ count: 1000 })), isLoadError('lost'));
  });

  test('acks that nobody asked for', async () => {
    const onBatch: Faults['onBatch'] = (socket, batch) => {
      if (batch === 0) socket.write(new Uint8Array(1000).fill(1));
    };
    await using broker = await FaultyBroker.start({ onBatch });
    const plan = broker.plan({ count: 10, consumers: 0 });
    await assert.rejects(runLoad(plan), isLoadError('protocol'));
  });

  test('an interrupt gives what was measured until then', async () => {
    const leave = new AbortController();
    const reports: LoadProgress[] = [];
    await using broker = await FaultyBroker.start();
    const { publish, interrupted } = await runLoad(broker.plan({ durationMs: 600_000 }), {
      signal: leave.signal,
      progressMs: 20,
      onProgress: (report) => {
        reports.push(report);
        if (report.delivered > 0) leave.abort();
      },
    });
    assert.equal(interrupted, true);
    assert.ok(publish!.messages > 0);
    assert.ok(reports.length > 0 && reports.at(-1)!.phase === 'measure');
  });
});

function changed(message: WireMessage): WireMessage {
  const body = Uint8Array.from(message.body);
  body[STAMP_BYTES + 5] ^= 1;
  return { ...message, body };
}

function foreign({ bucket }: WireMessage): WireMessage {
  return { bucket, body: new TextEncoder().encode('not a stamp') };
}
