// Which log a stream holds: its messages say it, whatever strangers put before them; of an empty
// one what it was made for, whoever comes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STREAM_BEAT, STREAM_ENVELOPE_BYTES } from '../../assembly/layout-cluster.ts';
import { logIdIn } from '../../src/cluster/stream-log-id.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { writeEnvelope } from '../../src/core/cluster/envelope.ts';
import type { Failure } from '../../src/core/ports/basics.ts';
import type { StreamMessage, StreamState } from '../../src/core/ports/stream.ts';

function streamOf(messages: (Uint8Array | undefined)[], first = 1) {
  return {
    state: (done: (failure: Failure, state?: StreamState) => void) =>
      done(undefined, { first, last: first + messages.length - 1, bytes: 0, created: 'then' }),
    read: (sequence: number, done: (failure: Failure, message?: StreamMessage) => void) => {
      const bytes = messages[sequence - first];
      done(undefined, bytes && { sequence, bytes });
    },
  };
}

function beatOf(logId: bigint): Uint8Array {
  const bytes = new Uint8Array(STREAM_ENVELOPE_BYTES);
  const none = { closes: false, position: 4096, batchBytes: 0, offset: 0, jsonBytes: 0 };
  writeEnvelope(bytes, { ...none, kind: STREAM_BEAT, logId, epoch: 1, node: 1 }, undefined, crc32c);
  return bytes;
}

const ID = 0xf123_4567_89ab_cdefn;

test('the first message that is one says it', async () => {
  const torn = beatOf(1n);
  torn[20]! ^= 1;
  const messages = [new Uint8Array(3), torn, new Uint8Array(100), beatOf(ID), beatOf(5n)];
  assert.equal(await logIdIn(streamOf(messages, 40), 7n, crc32c), ID);
});

test('an empty stream is for the log that it was made for', async () => {
  assert.equal(await logIdIn(streamOf([], 9), ID, crc32c), ID);
});

test('no log is begun while what is there cannot be read', async () => {
  await assert.rejects(logIdIn(streamOf([undefined, undefined]), 7n, crc32c), /say no log yet/);
});
