// Messages stop long before the stream is full: what is kept free is for what makes room again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reserveOf, StreamRoom, whyNoRoom } from '../../../src/core/cluster/stream-room.ts';
import type { Appended, ReplicatedStream, StreamState } from '../../../src/core/ports/stream.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const ENVELOPE = new Uint8Array(48);

/** Answers when the test says so. */
class Stream implements ReplicatedStream {
  readonly appends: ((appended: Appended) => void)[] = [];
  readonly states: ((failure: undefined, state: StreamState) => void)[] = [];
  readonly others: string[] = [];
  append(_: Uint8Array, _body: unknown, _expect: number, done: (appended: Appended) => void) {
    this.appends.push(done);
  }
  state(done: (failure: undefined, state: StreamState) => void) {
    this.states.push(done);
  }
  say(bytes: number) {
    this.states.shift()!(undefined, { first: 1, last: 9, bytes, created: 'then' });
  }
  follow(from: number) {
    this.others.push(`follow ${from}`);
    return { stop() {}, resume() {} };
  }
  read(sequence: number) {
    this.others.push(`read ${sequence}`);
  }
  readonly purges: ((failure: Error | undefined) => void)[] = [];
  purge(before: number, done: (failure: Error | undefined) => void) {
    this.others.push(`purge ${before}`);
    this.purges.push(done);
  }
  connected() {
    return false;
  }
}

function rig(maxBytes: number, segmentBytes: number) {
  const stream = new Stream();
  const room = new StreamRoom(stream, maxBytes, segmentBytes);
  const answers: Appended[] = [];
  const append = (bytes: number) =>
    room.append(ENVELOPE, new Uint8Array(bytes), 0, (appended) => answers.push(appended));
  const look = (bytes: number) => {
    room.state(() => {});
    stream.say(bytes);
  };
  return { stream, room, answers, append, look };
}

test('64 MiB are kept free, of a small stream an eighth', () => {
  assert.equal(reserveOf(16 * 1024 * MIB), 64 * MIB);
  assert.equal(reserveOf(80 * MIB), 10 * MIB);
});

test('a further segment of messages has to fit, and the reserve behind it', () => {
  const { room, look } = rig(1024 * MIB, 32 * MIB);
  const most = 1024 * MIB - 64 * MIB - 32 * MIB;
  look(most);
  assert.equal(room.blocked(), undefined);
  look(most + 1);
  assert.equal(
    room.blocked(),
    'the stream holds 928.0 MiB of 1 GiB, and the rest is kept for acks',
  );
  look(most - 1);
  assert.equal(room.blocked(), undefined);
});

test('what is on its way counts, and what is in doubt until the stream was looked at', () => {
  const { stream, room, answers, append, look } = rig(64 * MIB, 4 * MIB);
  look(room.blockedFrom - 100 * KIB);
  append(99 * KIB);
  assert.equal(room.blocked(), undefined);
  append(99 * KIB);
  assert.match(room.blocked()!, /64 MiB/);
  stream.appends.shift()!({ ok: true, sequence: 1 });
  stream.appends.shift()!({ ok: false, why: 'expected' });
  assert.equal(room.blocked(), undefined, 'what was refused holds no room');
  append(99 * KIB);
  stream.appends.shift()!({ ok: false, why: 'unknown' });
  assert.match(room.blocked()!, /64 MiB/);
  look(room.blockedFrom);
  assert.equal(room.blocked(), undefined);
  assert.deepEqual(
    answers.map((answer) => (answer.ok ? 'ok' : answer.why)),
    ['ok', 'expected', 'unknown'],
  );
});

test('what was stored after the stream was asked is not forgotten with the answer', () => {
  const { stream, room, append } = rig(64 * MIB, 4 * MIB);
  append(10 * KIB);
  stream.appends.shift()!({ ok: true, sequence: 1 });
  const before = room.bytes;
  assert.ok(before > 10 * KIB);
  room.state(() => {});
  append(20 * KIB);
  stream.appends.shift()!({ ok: true, sequence: 2 });
  stream.say(10 * KIB);
  assert.ok(room.bytes > 30 * KIB && room.bytes < 31 * KIB, `${room.bytes}`);
});

test('servers without room block until something is stored again', () => {
  const { stream, room, append } = rig(64 * MIB, 4 * MIB);
  append(KIB);
  stream.appends.shift()!({ ok: false, why: 'full' });
  assert.equal(room.blocked(), 'the servers of the stream have no room for it');
  append(KIB);
  stream.appends.shift()!({ ok: true, sequence: 1 });
  assert.equal(room.blocked(), undefined);
});

test('what a purge has left is looked for at once', () => {
  const { stream, room, look } = rig(64 * MIB, 4 * MIB);
  look(room.blockedFrom + 1);
  const ended: unknown[] = [];
  room.purge(9, (failure) => ended.push(failure));
  room.purge(9, (failure) => ended.push(failure?.message));
  stream.purges.shift()!(undefined);
  stream.purges.shift()!(new Error('timed out'));
  assert.deepEqual(ended, [undefined, 'timed out']);
  assert.equal(stream.states.length, 1);
  stream.say(MIB);
  assert.equal(room.bytes, MIB);
  assert.equal(room.blocked(), undefined);
});

test('a failed look changes nothing; the rest is passed on', () => {
  const { stream, room, look } = rig(64 * MIB, 4 * MIB);
  look(5 * MIB);
  let failed: unknown;
  room.state((failure) => {
    failed = failure;
  });
  (stream.states.shift() as (failure: unknown) => void)(new Error('timed out'));
  assert.match(String(failed), /timed out/);
  assert.equal(room.bytes, 5 * MIB);
  room.follow(
    7,
    () => true,
    () => {},
  );
  room.read(8, () => {});
  room.purge(9, () => {});
  assert.deepEqual(stream.others, ['follow 7', 'read 8', 'purge 9']);
  assert.equal(room.connected(), false);
});

test('a stream that could never hold a segment of messages is refused', () => {
  assert.equal(whyNoRoom(256 * MIB, 64 * MIB), undefined);
  assert.equal(
    whyNoRoom(64 * MIB, 64 * MIB),
    'a stream of 64 MiB is too small for segments of 64 MiB: it takes 256 MiB or more',
  );
});
