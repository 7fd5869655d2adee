// The rule, message by message: what counts, what is void, and where nobody may go on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  STREAM_BASE,
  STREAM_BEAT,
  STREAM_ENVELOPE_BYTES,
  STREAM_PART,
  STREAM_START,
  STREAM_VERSION_AT,
} from '../../../assembly/layout-cluster.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { Counting, type Place } from '../../../src/core/cluster/counting.ts';
import { type Fields, writeEnvelope } from '../../../src/core/cluster/envelope.ts';

const LOG = 77n;
const options = {
  logId: LOG,
  crc32c,
  nextSegment: (position: number) => Math.ceil((position + 1) / 1000) * 1000 + 100,
  batchBytesMax: 1000,
};
const PLACE: Place = { sequence: 10, epoch: 3, end: 500, serial: 0 };
const BASE = { closes: false, logId: LOG, node: 1, jsonBytes: 0, offset: 0 };

function message(fields: Partial<Fields> & { kind: number; epoch: number }, part = ''): Uint8Array {
  const body = new TextEncoder().encode(part);
  const bytes = new Uint8Array(STREAM_ENVELOPE_BYTES + body.length);
  bytes.set(body, STREAM_ENVELOPE_BYTES);
  const whole = { ...BASE, position: 500, batchBytes: body.length, ...fields };
  writeEnvelope(bytes, whole, body.length === 0 ? undefined : body, crc32c);
  return bytes;
}

const start = (epoch: number, position = 500) =>
  message({ kind: STREAM_START, epoch, position }, 'start');
const part = (epoch: number, text: string, fields: Partial<Fields> = {}) =>
  message({ kind: STREAM_PART, epoch, ...fields }, text);
const told = (epoch: number, offset: number) => message({ kind: STREAM_BASE, epoch, offset });

/** What each message means to a reader who stands at `place`: a word each. */
function heard(messages: Uint8Array[], place: Place | undefined = PLACE): string[] {
  const counting = new Counting(options, place, 10);
  return messages.map((bytes) => {
    const verdict = counting.hear({ sequence: counting.sequence + 1, bytes });
    if (verdict.is === 'counts')
      return verdict.batch === undefined
        ? 'counts'
        : `${Buffer.from(verdict.batch.bytes)} ${verdict.batch.sequence} to ${counting.end}`;
    return verdict.is === 'void' ? verdict.why : verdict.is;
  });
}

test('a batch in parts counts when its last one has come, and names the first', () => {
  const whole = { batchBytes: 8 };
  const second = { batchBytes: 8, offset: 3 };
  assert.deepEqual(heard([part(3, 'abc', whole), part(3, 'defgh', second)]), [
    'counts',
    'abcdefgh 11 to 508',
  ]);
  assert.deepEqual(
    heard([part(3, 'abc', whole), part(3, 'abc', whole), part(3, 'defgh', second)]),
    ['counts', 'offset', 'abcdefgh 11 to 508'],
  );
});

test('the part that closes a segment moves the end to the next one', () => {
  assert.deepEqual(heard([part(3, 'abc', { closes: true }), part(3, 'x', { position: 1100 })]), [
    'abc 11 to 1100',
    'x 12 to 1101',
  ]);
});

test('a start counts if its epoch is higher, and voids what was coming in', () => {
  assert.deepEqual(
    heard([
      part(3, 'abc', { batchBytes: 8 }),
      start(3),
      start(4),
      part(3, 'defgh', { batchBytes: 8, offset: 3 }),
      start(4, 505),
      part(4, 'new', { position: 505 }),
    ]),
    ['counts', 'epoch', 'start 12 to 505'.replace('12', '13'), 'epoch', 'epoch', 'new 16 to 508'],
  );
});

test('who has counted something else than the sender of a message goes no further', () => {
  const beat = (position: number) => message({ kind: STREAM_BEAT, epoch: 3, position });
  assert.deepEqual(heard([part(3, 'abc'), beat(503), beat(500)]), [
    'abc 11 to 503',
    'counts',
    'counts',
  ]);
  for (const odd of [start(4, 501), beat(501), part(5, 'abc')])
    assert.deepEqual(heard([odd]), ['stop']);
  // A fence that fails lets it in behind what its sender has not counted.
  assert.deepEqual(heard([start(4, 499), part(3, 'abc')]), ['position', 'abc 12 to 503']);
  const counting = new Counting(options, PLACE);
  // What belongs before it may still come, until the owner has counted that.
  const ahead = part(3, 'abc', { position: 503 });
  assert.equal(counting.hear({ sequence: 11, bytes: ahead }).is, 'void');
  assert.deepEqual(counting.hear({ sequence: 12, bytes: beat(506) }), {
    is: 'stop',
    code: 74,
    why: 'message 12 of the stream says that the log goes to position 506, but what came before it ends at log position 500, in epoch 3: servers of NATS have lost something that they confirmed, or have not all the same',
  });
});

test('old epochs, other places, other sizes and damage are void', () => {
  const damaged = part(3, 'abc');
  damaged[STREAM_ENVELOPE_BYTES]! ^= 1;
  assert.deepEqual(
    heard([
      part(2, 'abc'),
      part(3, 'abc', { position: 499 }),
      part(3, 'abc', { offset: 1, batchBytes: 4 }),
      part(3, 'abc', { logId: 78n }),
      damaged,
      new Uint8Array(3),
      part(3, 'abc', { batchBytes: 1001 }),
      message({ kind: STREAM_BEAT, epoch: 2 }),
      message({ kind: STREAM_BEAT, epoch: 3 }),
      part(3, 'abc', { batchBytes: 8 }),
      part(3, 'def', { batchBytes: 6, offset: 3 }),
    ]),
    [
      'epoch',
      'position',
      'offset',
      'log',
      'crc',
      'short',
      'size',
      'epoch',
      'counts',
      'counts',
      'size',
    ],
  );
});

test('what is told once counts once, in its order, in each epoch', () => {
  assert.deepEqual(heard([told(3, 2), told(3, 1), told(3, 1), told(3, 2), start(4), told(4, 1)]), [
    'serial',
    'counts',
    'serial',
    'counts',
    'start 15 to 505',
    'counts',
  ]);
});

test('a missing number changes nothing, and a newer version stops', () => {
  const counting = new Counting(options, PLACE);
  assert.equal(counting.hear({ sequence: 12, bytes: start(4) }).is, 'gap');
  assert.equal(counting.hear({ sequence: 10, bytes: start(4) }).is, 'gap');
  assert.equal(counting.hear({ sequence: 11, bytes: start(4) }).is, 'counts');
  const newer = start(4);
  newer[STREAM_VERSION_AT]!++;
  new DataView(newer.buffer).setUint32(0, crc32c(newer.subarray(4, STREAM_ENVELOPE_BYTES)), true);
  assert.deepEqual(heard([newer]), ['stop']);
});

test('who finds a purged stream begins with its first batch', () => {
  const counting = new Counting(options, undefined, 10);
  assert.equal(counting.end, undefined);
  assert.equal(counting.hear({ sequence: 11, bytes: part(3, 'abc') }).is, 'counts');
  assert.deepEqual([counting.epoch, counting.end], [3, 503]);
  assert.equal(counting.hear({ sequence: 12, bytes: told(3, 5) }).is, 'counts');
  assert.equal(counting.hear({ sequence: 13, bytes: told(3, 5) }).is, 'void');
});
