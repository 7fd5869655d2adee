// How long each state of a consumer may last, and when that is looked at: never too early.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WIRE_U32, WIRE_U64 } from '../../../assembly/layout.ts';
import { encodeHeartbeat } from '../../../src/codec/wire.ts';
import { endsMs, heartbeatOf, lookMs } from '../../../src/core/connections/consumer-deadlines.ts';
import { DEFAULT_LIMITS } from '../../../src/core/limits.ts';

const limits = {
  ...DEFAULT_LIMITS,
  consumerHeaderMs: 5000,
  heartbeatMs: 10_000,
  heartbeatAckMs: 20_000,
};

test('a header and the ack of a heartbeat have their time, and silence has; what is held has all', () => {
  const ends = (state: Parameters<typeof endsMs>[0]) => endsMs(state, 1000, limits);
  assert.deepEqual([ends('header'), ends('waiting'), ends('heartbeat')], [6000, 11_000, 21_000]);
  assert.deepEqual([ends('unacked'), ends('closed')], [Infinity, Infinity]);
});

test('a time that must be over is looked at behind it, heartbeats together with others', () => {
  const look = (state: Parameters<typeof endsMs>[0], since: number) =>
    lookMs(state, endsMs(state, since, limits));
  assert.deepEqual([look('header', 1000), look('heartbeat', 1000)], [6001, 21_001]);
  assert.deepEqual([look('waiting', 1000), look('waiting', 1001)], [11_000, 11_100]);
  assert.equal(look('waiting', 1100), 11_100);
  assert.deepEqual([look('unacked', 1), look('closed', 1)], [Infinity, Infinity]);
});

test('a heartbeat is a batch of one message of no bytes', () => {
  assert.deepEqual(heartbeatOf(WIRE_U32), encodeHeartbeat('u32'));
  assert.deepEqual(heartbeatOf(WIRE_U64), encodeHeartbeat('u64'));
});
