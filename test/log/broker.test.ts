// The log under the broker's commit: when acks leave, what a failed sync and a full disk do, and what
// is served from disk.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { segmentName } from '../../src/log/segments/segment.ts';
import { loseAll, MemoryFiles } from '../support/memory-files.ts';
import {
  bodiesOf,
  buildSegment,
  FakeLink,
  filesOf,
  type Message,
  recoverFrom,
  SEGMENT_BYTES,
  World,
} from './harness.ts';

const HELLO: Message = { bucket: 1, body: 'hello' };

function batch(count: number, size = 500): Message[] {
  return Array.from({ length: count }, (_, i) => ({ bucket: 1, body: `${i}-`.padEnd(size, '.') }));
}

test('an ack leaves after the sync that began after the write, and its message is on disk', async () => {
  const world = await World.open(new MemoryFiles());
  await world.settle();
  world.files.auto = false;
  const link = world.publish([HELLO]);
  const waiting = world.consume(1, 10);
  world.turn();
  const ops: string[] = [];
  while (link.received.length === 0) {
    assert.equal(waiting.link.received.length, 0, 'delivered before it was durable');
    ops.push(world.files.pending[0]!.op);
    assert.ok(world.files.step());
    world.turn();
  }
  assert.deepEqual(ops, ['write', 'sync']);
  assert.deepEqual(link.received, [1]);
  assert.deepEqual(bodiesOf(waiting.link), ['hello']);
  const { got } = await recoverFrom(world.files.crash(loseAll));
  assert.deepEqual([...got.messages.values()], ['1:hello']);
});

test('after a failed sync no ack ever leaves; the next start reads the disk, not the cache', async () => {
  const world = await World.open(new MemoryFiles());
  const first = world.publish([HELLO]);
  await world.settle();
  assert.deepEqual(first.received, [1]);
  const fault = world.files.fail({ op: 'sync', nth: 1, code: 'EIO' });
  const links = [world.publish([{ bucket: 1, body: 'unsynced' }])];
  await world.settle();
  assert.equal(fault.fired, 1);
  assert.equal((world.failure as NodeJS.ErrnoException).code, 'EIO');
  assert.ok(links[0]!.closed);
  const late = new FakeLink();
  assert.equal(world.broker.openProducer(late), undefined);
  await world.advance(1000);
  await world.advance(1000);
  for (const link of links) assert.deepEqual(link.received, []);

  // The cache still shows it; the next life serves it, so it must be on disk by then.
  const next = await World.open(world.files.kill());
  await next.settle();
  const { got } = await recoverFrom(next.files.crash(loseAll));
  assert.deepEqual([...got.messages.values()], ['1:hello', '1:unsynced']);
});

test('a full disk: refused with 0, consumers drain, and it recovers alone', async () => {
  const files = new MemoryFiles();
  files.capacity = 4.5 * SEGMENT_BYTES;
  const world = await World.open(files);
  const acks: number[] = [];
  for (let i = 0; i < 40; i++) {
    const link = world.publish(batch(4));
    await world.settle();
    assert.equal(link.received.length, 4, `batch ${i} got no answer`);
    acks.push(...link.received);
  }
  const stored = acks.filter((ack) => ack === 1).length;
  assert.ok(stored > 60 && stored < 160, `${stored} were stored`);
  assert.ok(acks.slice(stored).every((ack) => ack === 0));
  assert.match(world.log.blocked() ?? '', /no space left/);
  assert.ok(world.log.full);

  assert.equal((await world.drain(1)).length, stored);
  for (let i = 0; i < 10; i++) await world.advance(50);
  world.log.retry();
  await world.settle();
  assert.equal(world.log.blocked(), undefined);
  assert.ok(!world.log.full);
  const link = world.publish([HELLO]);
  await world.settle();
  assert.deepEqual(link.received, [1]);
  const after = await World.open(files.crash(loseAll));
  assert.deepEqual(await after.drain(1), ['hello']);
});

test('a full disk at the start: it comes up and consumers drain', async () => {
  const files = new MemoryFiles();
  files.capacity = 3.5 * SEGMENT_BYTES;
  const world = await World.open(files);
  let stored = 0;
  for (let i = 0; i < 40; i++) {
    const link = world.publish(batch(4));
    await world.settle();
    stored += link.received.filter((ack) => ack === 1).length;
  }
  const again = await World.open(files.crash(loseAll));
  assert.match(again.log.blocked() ?? '', /no space left/);
  assert.equal((await again.drain(1)).length, stored);
});

test('no space on a write: nothing is acked until there is room, then it is', async () => {
  const world = await World.open(new MemoryFiles());
  await world.settle();
  const fault = world.files.fail({ op: 'write', nth: 1, code: 'ENOSPC', times: 2, short: 10 });
  const link = world.publish([HELLO]);
  world.turn();
  await world.files.settle();
  assert.deepEqual([fault.fired, link.received], [1, []]);
  assert.ok(world.log.full);
  await world.settle();
  assert.deepEqual([fault.fired, link.received], [2, [1]]);
  assert.ok(!world.log.full);
});

test('the backlog behind the ring is served from disk, in order, byte for byte', async () => {
  const world = await World.open(new MemoryFiles());
  const sent = Array.from({ length: 400 }, (_, i) => `${i}-`.padEnd(300 + (i % 7), 'x'));
  for (let i = 0; i < sent.length; i += 10) {
    world.publish(sent.slice(i, i + 10).map((body) => ({ bucket: 1, body })));
    await world.settle();
  }
  assert.ok(world.log.bases().length > 3);
  assert.deepEqual(await world.drain(1), sent);
  assert.ok(world.log.coldReads.reads > 0);
  const again = await World.open(await world.close());
  assert.deepEqual(await again.drain(1), []);
});

test('a record that cannot be read is set aside and said; the others are served', async () => {
  const files = new MemoryFiles();
  const world = await World.open(files);
  for (let i = 0; i < 40; i++) {
    world.publish([{ bucket: 1, body: `${i}-`.padEnd(2000, 'x') }]);
    await world.settle();
  }
  // The first message stands behind start and commit record; it is long out of the ring.
  const image = files.image(segmentName(0));
  const at = Buffer.from(image.buffer).indexOf('5-xxxx', 4096 + 4 * 2100);
  assert.ok(at > 0);
  image[at + 100]! ^= 1;
  const bodies = await world.drain(1);
  assert.equal(bodies.length, 39);
  assert.ok(!bodies.some((body) => body.startsWith('5-')));
  assert.equal(world.notes.filter((text) => /cannot be read/.test(text)).length, 1);
});

test('an idle log is proved, and an orderly stop leaves nothing to cut', async () => {
  const world = await World.open(new MemoryFiles());
  world.publish([HELLO]);
  await world.settle();
  for (let i = 0; i < 5; i++) await world.advance(50);
  const image = world.files.image(segmentName(0));
  const idle = await recoverFrom(world.files.clone());
  // Nothing that was acked can be bent without being noticed any more.
  for (let offset = 4096; offset < idle.recovered.resume.offset - 56; offset += 7) {
    const bent = world.files.clone();
    bent.image(segmentName(0))[offset]! ^= 16;
    const seen = await recoverFrom(bent).then(
      ({ got }) => got.messages.size,
      (error) => error.code,
    );
    const padding = image[offset] === 0 && seen === 1;
    assert.ok(seen === 'damaged' || padding, `offset ${offset}: ${seen}`);
  }
  const { recovered } = await recoverFrom(await world.close());
  assert.equal(recovered.cutBytes, 0);
});

test('acks that use up the last of a segment on a full disk leave a log that starts again', async () => {
  for (let room = 456; room < 800; room += 8) {
    // 60 messages in buckets of their own, so that marks do not merge, and what fills the segment.
    const own = Array.from({ length: 60 }, (_, i) => ({ bucket: 100 + (i % 2), body: 'm' }));
    const start = buildSegment({}, [{ messages: own }]).offsets[1]!;
    const size = SEGMENT_BYTES - start - room - 56 - 4 - 56 - 112;
    const files = filesOf(
      buildSegment({}, [{ messages: own }, { messages: [{ bucket: 1, body: 'x'.repeat(size) }] }]),
    );
    files.capacity = 1.5 * SEGMENT_BYTES;
    const world = await World.open(files);
    await world.settle();
    const { link, consumer } = world.consume(100, 30);
    await world.settle();
    assert.equal(bodiesOf(link).length, 30);
    consumer.receive(Uint8Array.from({ length: 30 }, (_, i) => i % 2));
    await world.advance(100);
    await world.advance(100);
    assert.ok(world.log.blocked() !== undefined);
    const again = await World.open(files.crash(loseAll)).catch((error) => {
      throw new Error(`with ${room} bytes left: ${error.message}`);
    });
    await again.settle();
    assert.equal(again.failure, undefined);
  }
});

test('a segment is given back while it is compacted: what stays of the others is delivered', async () => {
  const world = await World.open(new MemoryFiles());
  const { broker, files } = world;
  // A few messages that stay among many that are consumed, in six segments; bucket 2 in the first.
  for (let i = 0; i < 48; i++) {
    const [few, many] = [{ bucket: i < 7 ? 2 : 3, body: `${i}` }, batch(7, 600)];
    world.publish([few, ...many]);
    await world.settle();
  }
  await world.drain(1);
  const { link, consumer } = world.consume(2, 10);
  await world.settle();
  assert.equal(bodiesOf(link).length, 7);
  files.auto = false;
  let nowMs = 10_000;
  const turn = async () => {
    nowMs += 10;
    broker.advance(nowMs);
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      world.turn();
    }
  };
  // All calls but the renaming of the new segment, which waits.
  const renaming = () =>
    files.pending.findIndex(({ op, name }) => op === 'rename' && !/^fill|run|check/.test(name));
  const others = () => files.pending.findIndex((_call, i) => i !== renaming());
  while (renaming() < 0) {
    await turn();
    if (others() >= 0) files.step(others());
  }
  const before = broker.retention.segments.length;
  consumer.receive(new Uint8Array(7).fill(1));
  for (let i = 0; i < 1000 && broker.retention.segments.length === before; i++) {
    await turn();
    while (others() >= 0) files.step(others());
  }
  assert.ok(broker.retention.segments.length < before, 'nothing was given back');
  assert.ok(renaming() >= 0);
  files.auto = true;
  while (files.step());
  await world.settle();
  assert.deepEqual([world.notes, broker.compaction.count], [[], 1]);
  const rest = Array.from({ length: 41 }, (_, i) => `${i + 7}`);
  assert.deepEqual(await world.drain(3), rest);
  consumer.gone();
  const again = await World.open(await world.close());
  assert.deepEqual([broker.retention.live, await again.drain(3)], [0, []]);
});

test('a record that compaction puts where another one stood is delivered as what it is', async () => {
  const world = await World.open(new MemoryFiles(), { limits: { heartbeatMs: 1_000_000 } });
  const { broker } = world;
  const publish = async (...messages: Message[]) => {
    world.publish(messages);
    await world.settle();
  };
  const of = (bucket: number, ...bodies: string[]) => bodies.map((body) => ({ bucket, body }));
  await publish(...of(2, 'aa', 'a'.repeat(8)));
  await publish(...of(2, 'b'.repeat(8), 'bb'));
  await publish(...of(4, ...'settledlater'));
  for (const bucket of [1, 5, 5])
    for (let i = 0; i < 16; i++) await publish(...batch(7, 600).map((m) => ({ ...m, bucket })));
  const ones = Array.from({ length: 3 }, () => world.consume(2, 1));
  const others = [world.consume(4, 100)];
  await world.settle();
  assert.deepEqual(
    ones.map(({ link }) => bodiesOf(link)),
    [['aa'], ['aaaaaaaa'], ['bbbbbbbb']],
  );
  const compacted = async (count: number) => {
    for (let i = 0; i < 20 && broker.compaction.count < count; i++) await world.advance(1500);
    assert.equal(broker.compaction.count, count);
  };
  await world.drain(1);
  await compacted(1);
  // All of bucket 5 that stands in the compacted segment.
  others.push(world.consume(5, broker.retention.segments[0]!.live - 16));
  await world.settle();

  // The last delivery ends behind the first message of the record that is then settled.
  ones.shift()!.consumer.gone();
  const last = world.consume(2, 1);
  await world.settle();
  assert.deepEqual(bodiesOf(last.link), ['aa']);
  for (const bucket of ['2', '5']) broker.paused.set(bucket, true);
  for (const { link, consumer } of [last, ones[0]!, ...others])
    consumer.receive(new Uint8Array(bodiesOf(link).length).fill(1));
  await compacted(2);

  last.link.received = [];
  broker.paused.set('2', false);
  broker.dispatch(last.consumer.slot);
  await world.settle();
  assert.deepEqual(bodiesOf(last.link), ['bb']);
  assert.deepEqual(world.notes, []);
});
