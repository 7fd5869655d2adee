// Which sets of limits hold together.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BATCH_MESSAGES_MAX, MESSAGE_BYTES_CEILING, RING_BYTES } from '../../assembly/layout.ts';
import {
  checkLimits,
  DEFAULT_LIMITS,
  type Limits,
  segmentBytesMin,
} from '../../src/core/limits.ts';

describe('limits', () => {
  const MIB = 1024 * 1024;
  const cases: [string, Partial<Limits>, RegExp | undefined][] = [
    ['defaults', {}, undefined],
    [
      'the largest of all',
      { messageBytesMax: MESSAGE_BYTES_CEILING, segmentBytes: RING_BYTES },
      undefined,
    ],
    ['a message over the ceiling', { messageBytesMax: MESSAGE_BYTES_CEILING + 1 }, /64 MiB/],
    ['no message at all', { messageBytesMax: 0 }, /messageBytesMax must be a positive/],
    ['a negative time', { heartbeatMs: -1 }, /heartbeatMs must be/],
    ['a fraction', { proofMs: 0.5 }, /proofMs must be/],
    ['not a number', { ackCommitMs: Number.NaN }, /ackCommitMs must be/],
    ['a batch too long', { batchMessagesMax: BATCH_MESSAGES_MAX + 1 }, /65536 messages/],
    ['an odd segment', { segmentBytes: 64 * MIB + 8 }, /multiple of 4096/],
    ['a segment over the ring', { segmentBytes: RING_BYTES + 4096 }, /256 MiB/],
    ['a reserve too small', { reserveBytes: 65_535 }, /at least 65536 bytes/],
    ['a segment too small', { messageBytesMax: 40 * MIB }, /is too small/],
    [
      'the smallest segment',
      { messageBytesMax: 1024, reserveBytes: 67_360, segmentBytes: 73_728 },
      undefined,
    ],
    [
      'one page less',
      { messageBytesMax: 1024, reserveBytes: 67_361, segmentBytes: 73_728 },
      /needs 73729/,
    ],
  ];
  for (const [name, changed, expected] of cases) {
    test(name, () => {
      const verdict = checkLimits({ ...DEFAULT_LIMITS, ...changed });
      if (expected === undefined) assert.equal(verdict, undefined);
      else assert.match(verdict ?? '', expected);
    });
  }

  test('the least segment takes two messages of the largest size and the reserve', () => {
    assert.equal(segmentBytesMin(1000, 500), 4096 + 2 * (1000 + 112) + 500);
  });
});
