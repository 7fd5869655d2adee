// A node by itself, on a stream whose every answer the test gives: when it campaigns, and when it
// does not. What several nodes do to each other is in test/sim/cluster.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  STREAM_BEAT,
  STREAM_KIND_AT,
  STREAM_PART,
  STREAM_RESIGN,
  STREAM_START,
} from '../../../assembly/layout-cluster.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { Ownership } from '../../../src/core/cluster/ownership.ts';
import type { OwnershipOptions } from '../../../src/core/cluster/ownership-options.ts';
import type { Saved } from '../../../src/core/cluster/reading-options.ts';
import type { Appended, StreamMessage, StreamState } from '../../../src/core/ports/stream.ts';

const LOG = 5n;
const TICK_MS = 50;

/** A stream whose messages are all there; appends are answered when the test says so. */
class Stream {
  readonly messages: Uint8Array[] = [];
  /** Number of the first that was not purged. */
  first = 1;
  readonly appends: { bytes: Uint8Array; expect: number; done: (a: Appended) => void }[] = [];
  #hear: ((message: StreamMessage) => boolean) | undefined;
  #next = 1;

  append(
    envelope: Uint8Array,
    body: Uint8Array | undefined,
    expect: number,
    done: (appended: Appended) => void,
  ): void {
    this.appends.push({
      bytes: Buffer.concat([envelope, body ?? envelope.subarray(0, 0)]),
      expect,
      done,
    });
  }

  /** From which numbers it was asked to be heard. */
  readonly followed: number[] = [];

  follow(from: number, hear: (message: StreamMessage) => boolean) {
    this.followed.push(from);
    this.#hear = hear;
    this.#next = from;
    return { stop: () => (this.#hear = undefined), resume: () => {} };
  }

  read(sequence: number, done: (failure: undefined, message?: StreamMessage) => void): void {
    const bytes = this.messages[sequence - 1];
    if (bytes === undefined) done(undefined);
    else done(undefined, { sequence, bytes });
  }

  state(done: (failure: undefined, state: StreamState) => void): void {
    done(undefined, { first: this.first, last: this.messages.length, bytes: 0, created: 'then' });
  }

  purge(_before: number, _done: (failure: undefined) => void): void {}

  connected(): boolean {
    return true;
  }

  /** Whoever follows hears all that it has not heard yet. */
  tell(): void {
    for (; this.#next <= this.messages.length; this.#next++)
      this.#hear?.({ sequence: this.#next, bytes: this.messages[this.#next - 1]! });
  }

  /** The oldest append that has no answer gets this one; 'stored': it is. */
  answer(what: 'stored' | 'expected' | 'unknown' | 'forbidden'): void {
    const { bytes, expect, done } = this.appends.shift()!;
    if (what === 'forbidden') {
      done({ ok: false, why: what, text: 'no right' });
      return;
    }
    if (what !== 'stored') {
      done({ ok: false, why: what });
      return;
    }
    assert.equal(expect, this.messages.length);
    this.messages.push(bytes);
    done({ ok: true, sequence: this.messages.length });
  }
}

const EMPTY: Saved = { end: 100, place: undefined, segments: [] };

function node(
  stream: Stream,
  number: number,
  changed: Partial<OwnershipOptions> = {},
  saved = EMPTY,
) {
  const told: string[] = [];
  const held: (() => void)[] = [];
  let nowMs = 1000;
  let said: OwnershipOptions['effects']['said'] = () => {};
  const tell = (what: string) => told.push(what);
  const ownership: Ownership = new Ownership({
    stream,
    effects: {
      apply: (batches, done) => {
        tell(`apply ${batches.map(({ position }) => position).join(', ')}`);
        const { length } = batches;
        held.push(() => done(undefined, length));
      },
      said: (...what) => said(...what),
      campaign: (epoch) => tell(`campaign ${epoch}`),
      own: (epoch) => tell(`own ${epoch}`),
      suspend: () => tell('suspend'),
      goOn: () => tell('go on'),
      depose: () => tell('depose'),
      rebuild: () => tell('rebuild'),
      stop: (code) => tell(`stop ${code}`),
    },
    logId: LOG,
    crc32c,
    nextSegment: () => 200,
    batchBytesMax: 1000,
    clockMs: () => nowMs,
    node: number,
    json: new TextEncoder().encode(`{"node":${number}}`),
    beginning: 100,
    ttlMs: 2000,
    rankMs: 0,
    jitterMs: () => 0,
    ownMs: 1200,
    beatMs: 500,
    partBytes: 4,
    inFlightBytes: 100,
    queueBytes: 100,
    isIdle: () => true,
    isAble: () => true,
    ...changed,
  });
  ownership.join(saved);
  return {
    ownership,
    told,
    held,
    after: (ms: number) => {
      for (const until = nowMs + ms; nowMs < until; ) {
        nowMs += TICK_MS;
        ownership.tick(nowMs);
      }
    },
    saidTo: (to: typeof said) => {
      said = to;
    },
    mayDeliver: () => ownership.mayDeliver(nowMs),
  };
}

const bytes = (text: string) => new TextEncoder().encode(text);

/** A node that owns an empty stream. */
function owner(stream: Stream, changed: Partial<OwnershipOptions> = {}) {
  const one = node(stream, 1, changed);
  one.after(2100);
  assert.deepEqual(one.told, ['campaign 1']);
  one.ownership.publish(100, bytes('start'), false, () => {});
  stream.answer('stored');
  assert.deepEqual(one.told.splice(0), ['campaign 1', 'own 1']);
  return one;
}

// An owner, and a node that has followed it so far.
function followed() {
  const stream = new Stream();
  const one = owner(stream);
  const two = node(stream, 2);
  two.after(50);
  stream.tell();
  two.held.shift()!();
  return { stream, one, two };
}

test('who hears nothing campaigns, and owns when its start is stored', () => {
  const one = owner(new Stream());
  assert.equal(one.ownership.state, 'owning');
  assert.ok(one.mayDeliver());
});

test('a candidate waits until its own disk has all that it heard', () => {
  const { stream, one, two } = followed();
  one.ownership.publish(105, bytes('1234'), false, () => {});
  stream.answer('stored');
  stream.tell();
  two.after(5000);
  assert.deepEqual(two.told, ['apply 100', 'apply 105']);
  two.held.shift()!();
  two.after(TICK_MS);
  assert.deepEqual(two.told.at(-1), 'campaign 2');
});

test('an owner that hears nothing delivers no more, and goes on when a beat is stored', () => {
  const stream = new Stream();
  const one = owner(stream);
  one.after(1300);
  assert.ok(!one.mayDeliver());
  assert.deepEqual(one.told, ['suspend']);
  const sent = new Set(stream.appends.map(({ bytes }) => bytes.toString()));
  assert.equal(sent.size, 1, 'one beat is under way, however often it was sent');
  stream.answer('unknown');
  one.after(100);
  stream.answer('stored');
  assert.deepEqual(one.told, ['suspend', 'go on']);
  assert.ok(one.mayDeliver());
});

test('an owner that always has a batch under way still says who it is', () => {
  const stream = new Stream();
  const one = owner(stream);
  const begun = stream.messages.length;
  for (let position = 105, turn = 0; turn < 50; turn++, position += 4) {
    one.ownership.publish(position, bytes('1234'), false, () => {});
    one.after(TICK_MS);
    while (stream.appends.length > 0) stream.answer('stored');
  }
  const kinds = stream.messages.slice(begun).map((message) => message[STREAM_KIND_AT]);
  assert.equal(kinds.filter((kind) => kind === STREAM_BEAT).length, 4, 'after each beat');
});

test('one whose disk is never at rest says who it is beside its batches', () => {
  const stream = new Stream();
  const one = owner(stream, { isIdle: () => false });
  const begun = stream.messages.length;
  for (let position = 105, turn = 0; turn < 50; turn++, position += 4) {
    one.ownership.publish(position, bytes('1234'), false, () => {});
    one.after(TICK_MS);
    while (stream.appends.length > 0) stream.answer('stored');
  }
  const kinds = stream.messages.slice(begun).map((message) => message[STREAM_KIND_AT]);
  assert.equal(kinds.filter((kind) => kind === STREAM_BEAT).length, 4, 'after each beat');
  one.after(1000);
  assert.equal(stream.appends.length, 0, 'but does not beat with nothing else to say');
});

test('an owner is heard behind what takes long to be stored', () => {
  const stream = new Stream();
  const one = owner(stream, { beatMs: 200 });
  one.ownership.publish(105, bytes('1234'), false, () => {});
  one.after(200);
  const kinds = stream.appends.map((each) => each.bytes[STREAM_KIND_AT]);
  assert.deepEqual(kinds, [STREAM_PART, STREAM_BEAT]);
  stream.answer('stored');
  stream.answer('stored');
  assert.equal(one.ownership.state, 'owning');
});

test('who gives up, as another one was first, hears at once who that is', () => {
  const { stream, one, two } = followed();
  const names: string[] = [];
  const said: OwnershipOptions['effects']['said'] = (kind, json, epoch, number) => {
    if (kind === STREAM_START) names.push(`${new TextDecoder().decode(json)} ${epoch} ${number}`);
  };
  const three = node(stream, 3);
  three.after(50);
  stream.tell();
  three.held.shift()!();
  for (const each of [one, two, three]) each.saidTo(said);
  two.after(2000);
  three.after(2000);
  two.ownership.publish(105, bytes('two'), false, () => {});
  three.ownership.publish(105, bytes('three'), false, () => {});
  stream.answer('stored');
  stream.answer('expected');
  assert.deepEqual(three.told.splice(0), ['apply 100', 'campaign 2', 'depose']);
  assert.deepEqual(names.splice(0), ['{"node":2} 2 2'], 'who only tried');
  one.after(500);
  stream.answer('expected');
  assert.deepEqual([one.told.at(-1), names], ['depose', ['{"node":2} 2 2']], 'who owned');
});

test('an orderly stop lets others campaign at once', () => {
  const stream = new Stream();
  const one = owner(stream);
  let ended = false;
  one.ownership.resign(() => {
    ended = true;
  });
  assert.ok(!one.mayDeliver());
  const two = node(stream, 2);
  two.after(50);
  stream.answer('stored');
  assert.ok(ended);
  stream.tell();
  two.held.shift()!();
  two.after(TICK_MS);
  assert.deepEqual(two.told, ['apply 100', 'campaign 2']);
});

test('who ends as its resign fails hears nothing more', () => {
  const { stream, one, two } = followed();
  two.after(2000);
  one.ownership.resign(() => one.ownership.end());
  const resign = stream.appends.shift()!;
  two.ownership.publish(105, bytes('start'), false, () => {});
  stream.answer('stored');
  resign.done({ ok: false, why: 'expected' });
  assert.deepEqual([one.ownership.state, one.told], ['stopped', []]);
});

test('a batch is done when all its parts are stored in one unbroken row', () => {
  const stream = new Stream();
  const one = owner(stream);
  const done: string[] = [];
  one.ownership.publish(105, bytes('12345678'), false, (failure) => done.push(`${failure}`));
  assert.deepEqual(
    stream.appends.map(({ expect }) => expect),
    [1, 2],
  );
  // The second is told first; the answer to the first is lost, though it is stored.
  const [first, second] = stream.appends.splice(0);
  stream.messages.push(first!.bytes, second!.bytes);
  second!.done({ ok: true, sequence: 3 });
  assert.deepEqual(done, []);
  first!.done({ ok: false, why: 'unknown' });
  assert.deepEqual(done, ['undefined']);
  assert.equal(stream.appends.length, 0, 'nothing had to be sent again');
});

const kindsOf = (appends: { bytes: Uint8Array }[]) =>
  appends.map((append) => append.bytes[STREAM_KIND_AT]);

test('batches behind a start are not sent before it counts', () => {
  const stream = new Stream();
  const one = node(stream, 1);
  one.after(2100);
  const done: string[] = [];
  const tell = (what: string) => (failure: unknown) => done.push(failure ? `no ${what}` : what);
  one.ownership.publish(100, bytes('start'), false, tell('start'));
  one.ownership.publish(105, bytes('1234'), false, tell('second'));
  one.ownership.publish(109, bytes('5678'), false, tell('third'));
  assert.deepEqual(kindsOf(stream.appends), [STREAM_START]);
  stream.answer('stored');
  assert.deepEqual(done, ['start']);
  assert.deepEqual(
    stream.appends.map(({ expect }) => expect),
    [1, 2],
  );
  stream.answer('stored');
  stream.answer('stored');
  assert.deepEqual(done, ['start', 'second', 'third']);
});

test('batches behind a start of which another was first are never sent, and fail in order', () => {
  const { stream, two } = followed();
  two.after(2000);
  const done: string[] = [];
  const tell = (what: string) => (failure: unknown) => done.push(failure ? `no ${what}` : what);
  two.ownership.publish(105, bytes('start'), false, tell('start'));
  two.ownership.publish(110, bytes('1234'), false, tell('second'));
  const other = node(stream, 3);
  other.after(50);
  stream.tell();
  other.held.shift()!();
  other.after(2100);
  other.ownership.publish(105, bytes('START'), false, () => {});
  stream.appends.splice(1).forEach((append) => void stream.appends.unshift(append));
  stream.answer('stored');
  stream.answer('expected');
  assert.deepEqual(two.told.at(-1), 'depose');
  assert.deepEqual(done, ['no start', 'no second']);
  assert.equal(stream.appends.length, 0);
});

test('of several batches none is done before those in front of it', () => {
  const stream = new Stream();
  const one = owner(stream);
  const done: number[] = [];
  // Two closes its segment: the next stands where one begins.
  one.ownership.publish(105, bytes('12345678'), false, () => done.push(1));
  one.ownership.publish(113, bytes('1234'), true, () => done.push(2));
  one.ownership.publish(200, bytes('1234'), false, () => done.push(3));
  const [a, b, c, d] = stream.appends.splice(0);
  for (const { bytes } of [a!, b!, c!, d!]) stream.messages.push(bytes);
  d!.done({ ok: true, sequence: 5 });
  c!.done({ ok: true, sequence: 4 });
  assert.deepEqual(done, []);
  assert.equal(one.ownership.placeAt(Infinity)!.end, 105);
  a!.done({ ok: true, sequence: 2 });
  assert.deepEqual(done, []);
  b!.done({ ok: true, sequence: 3 });
  assert.deepEqual(done, [1, 2, 3]);
  // The own disk may be as many behind.
  const ends = [112, 113, 199, 200, 204].map((end) => one.ownership.placeAt(end)?.sequence);
  assert.deepEqual(ends, [1, 3, 3, 4, 5]);
  assert.deepEqual(one.ownership.placeAt(Infinity), { sequence: 5, epoch: 1, end: 204, serial: 0 });
});

test('a batch whose number was free only as the one in front of it failed is sent again', () => {
  const stream = new Stream();
  const one = owner(stream);
  const done: number[] = [];
  one.ownership.publish(105, bytes('1234'), false, () => done.push(1));
  one.ownership.publish(109, bytes('5678'), false, () => done.push(2));
  const [first, second] = stream.appends.splice(0);
  // Somebody of no epoch took the number of the first; that of the second holds again.
  stream.messages.push(stream.messages[0]!, second!.bytes);
  second!.done({ ok: true, sequence: 3 });
  first!.done({ ok: false, why: 'expected' });
  assert.deepEqual(done, []);
  stream.answer('stored');
  assert.deepEqual(done, [1]);
  stream.answer('stored');
  assert.deepEqual(done, [1, 2]);
  assert.equal(one.ownership.voids, 2);
});

test('a resign waits for the batches in front of it', () => {
  const stream = new Stream();
  const one = owner(stream);
  const done: string[] = [];
  one.ownership.publish(105, bytes('1234'), false, () => done.push('batch'));
  one.ownership.resign(() => done.push('resigned'));
  assert.deepEqual(kindsOf(stream.appends), [STREAM_PART]);
  one.ownership.publish(109, bytes('1'), false, (failure) => done.push(failure!.message));
  stream.answer('stored');
  assert.deepEqual(kindsOf(stream.appends), [STREAM_RESIGN]);
  stream.answer('stored');
  assert.deepEqual(done, ['batch', 'resigned']);
  assert.equal(stream.appends.length, 0, 'nothing goes behind a resign');
  one.ownership.end();
  assert.deepEqual(done, ['batch', 'resigned', 'ended']);
});

test('a success behind the start of another is none', () => {
  const { stream, one, two } = followed();
  two.after(2000);
  const done: string[] = [];
  one.ownership.publish(105, bytes('12345678'), false, (failure) => done.push(failure!.message));
  const parts = stream.appends.splice(0);
  two.ownership.publish(105, bytes('start'), false, () => {});
  stream.answer('stored');
  assert.deepEqual(two.told, ['apply 100', 'campaign 2', 'own 2']);
  // Its number is the one that the second part expects.
  stream.messages.push(parts[1]!.bytes);
  parts[1]!.done({ ok: true, sequence: 3 });
  parts[0]!.done({ ok: false, why: 'expected' });
  assert.deepEqual(one.told, ['depose']);
  assert.match(done.join(), /epoch 2/);
});

test('a log that goes further than the stream begins is not built anew, however old its place', () => {
  const stream = new Stream();
  const one = owner(stream);
  for (const position of [105, 109])
    one.ownership.publish(position, bytes('1234'), false, () => {});
  while (stream.appends.length > 0) stream.answer('stored');
  stream.first = 3;
  const place = { sequence: 1, epoch: 1, end: 105, serial: 0 };
  const two = node(stream, 2, {}, { end: 113, place, segments: [] });
  two.after(50);
  stream.tell();
  assert.deepEqual(two.told, ['apply 109']);
  two.held.shift()!();
  two.after(1000);
  assert.equal(two.ownership.state, 'following');
  const three = node(stream, 3, {}, { end: 105, place, segments: [] });
  three.after(50);
  stream.tell();
  assert.deepEqual(three.told, ['rebuild']);
  const begun = { sequence: 0, epoch: 0, end: 100, serial: 0 };
  const four = node(stream, 4, {}, { end: 100, place: begun, segments: [] });
  four.after(50);
  assert.deepEqual(four.told, ['rebuild']);
});

test('who hears nothing of what is there asks for it anew, as a server may be stuck', () => {
  const stream = new Stream();
  const one = owner(stream);
  const publish = (position: number) => {
    one.ownership.publish(position, bytes('1234'), false, () => {});
    while (stream.appends.length > 0) stream.answer('stored');
  };
  publish(105);
  const [begun] = stream.followed.splice(0);
  assert.equal(begun, 1);
  const two = node(stream, 2);
  two.after(50);
  assert.deepEqual(stream.followed, [1]);
  two.after(3000);
  assert.deepEqual(stream.followed, [1, 1]);
  stream.tell();
  two.after(1000);
  for (const position of [109, 113]) {
    publish(position);
    two.after(2000); // it is slow, and gets on
    stream.tell();
  }
  const { length } = stream.messages;
  assert.deepEqual(stream.followed, [1, 1]);
  two.after(1900); // there is nothing more
  assert.deepEqual([stream.followed, two.ownership.sequence], [[1, 1], length]);
});

test('who has not heard all that is there does not campaign, however long it hears nothing', () => {
  const { stream, one, two } = followed();
  one.ownership.publish(105, bytes('1234'), false, () => {});
  while (stream.appends.length > 0) stream.answer('stored');
  two.told.length = 0;
  two.after(10_000);
  assert.deepEqual([two.told, two.ownership.state], [[], 'following']);
  stream.tell();
  two.after(1000);
  two.held.shift()!();
  two.after(2000);
  assert.deepEqual(two.told, ['apply 105', 'campaign 2']);
});

test('nor if the stream is purged further while the log is being compared', () => {
  const stream = new Stream();
  const one = owner(stream);
  const two = node(stream, 2, {}, { end: 113, place: undefined, segments: [] });
  two.after(50);
  stream.tell();
  assert.deepEqual(two.told, ['apply 100']);
  for (const position of [105, 109])
    one.ownership.publish(position, bytes('1234'), false, () => {});
  while (stream.appends.length > 0) stream.answer('stored');
  stream.first = 3;
  two.after(1000);
  two.held.shift()!();
  stream.tell();
  assert.deepEqual(two.told, ['apply 100', 'apply 109']);
  two.held.shift()!();
  two.after(1000);
  assert.equal(two.ownership.state, 'following');
});

test('a base is told of by its owner alone, and the stream goes up to where it ends', () => {
  const { stream, one, two } = followed();
  const ended: unknown[] = [];
  const end = (what: string) => (failure: unknown) => ended.push(failure ?? what);
  one.ownership.base(bytes('{"end":100}'), end('told'));
  assert.deepEqual(ended, []);
  stream.answer('stored');
  assert.deepEqual(ended, ['told']);
  const purged: number[] = [];
  stream.purge = (before, done) => {
    purged.push(before);
    done(undefined);
  };
  one.ownership.trimmed(100, end('purged'));
  one.ownership.trimmed(50, end('nothing to purge'));
  assert.deepEqual([purged, ended], [[1], ['told', 'purged', 'nothing to purge']]);
  assert.throws(() => two.ownership.base(bytes('{}'), end('never')), /while following/);
});

/** An owner and one who follows it, on a stream that takes `lateMs` for each answer. */
function slow(lateMs: number) {
  const { stream, one, two } = followed();
  const due: { atMs: number; what: () => void }[] = [];
  const counts = { done: 0, again: 0 };
  let nowMs = 0;
  let position = 105;
  const late = (what: () => void) => due.push({ atMs: nowMs + lateMs, what });
  const read = stream.read.bind(stream);
  stream.read = (sequence, done) => late(() => read(sequence, done));
  stream.append = (envelope, body, expect, done) => {
    const bytes = Buffer.concat([envelope, body ?? envelope.subarray(0, 0)]);
    late(() => {
      if (expect === stream.messages.length)
        done({ ok: true, sequence: stream.messages.push(bytes) });
      else {
        counts.again++;
        done({ ok: false, why: 'expected' });
      }
    });
  };
  const publish = () =>
    one.ownership.publish(position, bytes('1234'), false, (failure) => {
      if (failure !== undefined) return;
      counts.done++;
      position += 4;
      publish();
    });
  publish();
  const after = (ms: number) => {
    for (const until = nowMs + ms; nowMs < until; ) {
      nowMs += TICK_MS;
      while (due.length > 0 && due[0]!.atMs <= nowMs) due.shift()!.what();
      stream.tell();
      for (const applied of two.held.splice(0)) applied();
      one.after(TICK_MS);
      two.after(TICK_MS);
    }
  };
  return { one, two, counts, after, end: () => position };
}

test('an owner that may not publish any more waits, says why, and goes on when it may again', () => {
  const stream = new Stream();
  const one = owner(stream);
  const done: string[] = [];
  one.ownership.publish(105, bytes('1234'), false, (failure) => done.push(`${failure}`));
  one.ownership.publish(109, bytes('1234'), false, (failure) => done.push(`${failure}`));
  stream.answer('forbidden');
  stream.answer('forbidden');
  assert.equal(one.ownership.forbidden, 'no right');
  one.after(900);
  assert.equal(stream.appends.length, 0, 'it is not asked for all the time');
  one.after(400);
  assert.deepEqual([one.told, done], [['suspend'], []]);
  stream.answer('unknown');
  assert.equal(one.ownership.forbidden, 'no right', 'nobody has said anything else');
  one.after(100);
  stream.answer('stored');
  assert.equal(one.ownership.forbidden, undefined);
  stream.answer('stored');
  assert.deepEqual(
    [one.told, done],
    [
      ['suspend', 'go on'],
      ['undefined', 'undefined'],
    ],
  );
  assert.equal(one.ownership.state, 'owning');
});

test('who waits long for each answer stays the owner, and gets on', () => {
  // Longer than it may deliver without an answer, but others hear of it.
  const lateMs = 1300;
  const { one, two, counts, after } = slow(lateMs);
  after(60_000);
  assert.deepEqual(one.told, ['suspend'], 'what it hears is too old to deliver by');
  assert.ok(!two.told.some((what) => what.startsWith('campaign')), two.told.at(-1));
  assert.ok(counts.again > 10, 'it lost its patience');
  const turnMs = 60_000 / counts.done;
  assert.ok(turnMs <= lateMs + 2 * TICK_MS, `${turnMs} ms for each batch`);
});

test('who is heard of too seldom loses nothing to whoever is as slow', () => {
  const { one, two, counts, after, end } = slow(2600);
  const isCandidate = () => two.told.some((what) => what.startsWith('campaign'));
  while (!isCandidate()) after(TICK_MS);
  two.ownership.publish(end(), bytes('start'), false, () => {});
  const before = counts.done;
  while (two.told.at(-1) !== 'depose') after(TICK_MS);
  two.told.length = 0;
  two.ownership.join({ end: 100, place: undefined, segments: [] });
  after(60_000);
  assert.deepEqual(one.told, ['suspend']);
  assert.ok(counts.done > before + 15);
  assert.ok(!isCandidate(), 'it tries again, and in vain again');
});
