// Which log a stream holds: its messages say it, whatever strangers put before them; an empty one
// gives all nodes the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STREAM_BEAT, STREAM_ENVELOPE_BYTES } from '../../assembly/layout-cluster.ts';
import { logIdIn } from '../../src/cluster/stream-log-id.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { writeEnvelope } from '../../src/core/cluster/envelope.ts';
import type { Failure } from '../../src/core/ports/basics.ts';
import type { StreamMessage, StreamState } from '../../src/core/ports/stream.ts';

function streamOf(messages: (Uint8Array | undefined)[], first = 1, created = 'then') {
  return {
    state: (done: (failure: Failure, state?: StreamState) => void) =>
      done(undefined, { first, last: first + messages.length - 1, bytes: 0, created }),
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
  assert.equal(await logIdIn(streamOf(messages, 40), 'S', crc32c), ID);
});

test('an empty stream gives all that come to it the same, and another one another', async () => {
  const of = (name: string, created: string) => logIdIn(streamOf([], 9, created), name, crc32c);
  const id = await of('S', 'then');
  assert.equal(await of('S', 'then'), id);
  assert.notEqual(await of('S', 'later'), id);
  assert.notEqual(await of('T', 'then'), id);
  assert.ok(id >= 0n && id < 1n << 64n);
});

test('no log is begun while what is there cannot be read', async () => {
  await assert.rejects(logIdIn(streamOf([undefined, undefined]), 'S', crc32c), /say no log yet/);
});
