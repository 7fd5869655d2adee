// Rules over a take-over: what waits for its time comes at its time, once; who may hold one message
// holds one; what was published before is known again. Clients come through nodes that do not own.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../support/broker.ts';
import { publish, TestConsumer, texts } from '../support/client.ts';
import { SERVERS } from './nats.ts';
import { Rig } from './rig.ts';

const DELAY_MS = 4000;
const RETRY_MS = 4000;
const LATER = 6n;
const AGAIN = 7n;
const LEASED = 8n;
const ONCE = 9n;
const ONE = 10n;
const PLAIN = 99n;
const RULES = `
[[rule]]
name = "later"
match = 6
delay = "${DELAY_MS}ms"
[[rule]]
name = "again"
match = 7
retry = "${RETRY_MS}ms"
[[rule]]
name = "leased"
match = 8
lease = "1h"
[[rule]]
name = "once"
match = 9
dedup = "1h"
[[rule]]
name = "one"
match = 10
max_in_flight = 1
`;

const last = SERVERS.findLast(({ program }) => program !== undefined) ?? SERVERS[0]!;
const needs = last.skip === undefined ? {} : { skip: last.skip };

test('rules outlive their owner: nothing early, nothing twice', {
  ...needs,
  timeout: 180_000,
}, async () => {
  const config = path.join(temporaryFolder(), 'rules.toml');
  fs.writeFileSync(config, RULES);
  await using rig = await Rig.start(last.program!, { flags: ['--config', config] });
  const { nodes } = rig;
  const { node: owner } = await nodes.owner();
  const other = (owner + 1) % 3;
  const intake = nodes.intake[other]!.port;
  const join = (bucket: bigint, most: number) =>
    TestConsumer.join(nodes.exhaust[other]!.port, bucket, most);

  const sentMs = Date.now();
  assert.deepEqual(await publish(intake, LATER, ['later']), [1]);
  assert.deepEqual(await publish(intake, AGAIN, ['a', 'b']), [1, 1]);
  assert.deepEqual(await publish(intake, LEASED, ['held', 'waits']), [1, 1]);
  assert.deepEqual(await publish(intake, ONCE, ['once']), [1]);
  assert.deepEqual(await publish(intake, ONE, ['first', 'second']), [1, 1]);
  const failing = await join(AGAIN, 1);
  assert.deepEqual(texts(await failing.batch()), ['a']);
  const failedMs = Date.now();
  failing.ack(0);
  assert.deepEqual(texts(await failing.batch()), ['b']);
  failing.ack(1);
  const silent = await join(LEASED, 1);
  assert.deepEqual(texts(await silent.batch()), ['held']);
  const alone = await join(ONE, 1);
  assert.deepEqual(texts(await alone.batch()), ['first']);
  // What was said is written with the next commit: who says nothing more proves that it was heard.
  assert.equal((await join(AGAIN, 1).then((next) => next.peer)).received.length, 0);
  assert.deepEqual(await publish(intake, PLAIN, ['x']), [1]);
  assert.deepEqual(await publish(intake, PLAIN, ['y']), [1]);

  const before = nodes.ownings.length;
  await nodes.kill(owner);
  await nodes.owner(before);

  assert.deepEqual(await publish(intake, ONCE, ['once', 'twice']), [1, 1]);
  const once = await join(ONCE, 10);
  assert.deepEqual(texts(await once.take(2)), ['once', 'twice']);
  const held = await join(LEASED, 10);
  assert.deepEqual(texts(await held.take(2)), ['held', 'waits']);
  const one = await join(ONE, 1);
  assert.deepEqual(texts(await one.batch()), ['first']);
  const beside = await join(ONE, 1);
  const next = beside.batch();
  const again = await join(AGAIN, 10);
  assert.deepEqual(texts(await again.take(1)), ['a']);
  const retriedMs = Date.now() - failedMs;
  assert.ok(retriedMs >= RETRY_MS, `again after ${retriedMs} ms`);
  const later = await join(LATER, 10);
  assert.deepEqual(texts(await later.take(1)), ['later']);
  const laterMs = Date.now() - sentMs;
  assert.ok(laterMs >= DELAY_MS, `later after ${laterMs} ms`);
  // All this time the bucket had one of its messages under way.
  assert.equal(beside.peer.received.length, 0);
  one.ack(1);
  const second = await Promise.race([next, one.batch()]);
  assert.deepEqual(texts(second), ['second']);
  // Nothing comes twice: each has what is published now, and only that.
  for (const [bucket, consumer] of [
    [AGAIN, again],
    [ONCE, once],
    [LEASED, held],
  ] as const) {
    assert.deepEqual(await publish(intake, bucket, ['end']), [1]);
    assert.deepEqual(texts(await consumer.take(1)), ['end'], `of ${bucket}`);
  }
});
