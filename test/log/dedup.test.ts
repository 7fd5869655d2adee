// Messages that are published again, over lives of the broker that end at any moment: within the
// window each is stored once, whatever was compacted and whatever a start took from a checkpoint.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RECORD_IDS, RESULT_ID, SEGMENT_DATA_AT, WIRE_U64 } from '../../assembly/layout.ts';
import { sipHash128 } from '../../src/codec/plain-identify.ts';
import { encodeBatch } from '../../src/codec/wire.ts';
import { COUNT, OFFSET, TYPE } from '../../src/core/records/rows.ts';
import { open } from '../../src/log/files/promises.ts';
import { walk } from '../../src/log/scan/scan.ts';
import { baseOf, keyOf } from '../../src/log/segments/segment.ts';
import { type Doubt, type Fate, MemoryFiles } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { BUCKET, PLAIN, Story } from './dedup-story.ts';
import { codec, type FakeLink, indexOf, LOG_ID, SEGMENT_BYTES } from './harness.ts';

const seed = seedOf('log/dedup.test');

/** Ids that records say, segment by segment. */
async function idsIn(files: MemoryFiles): Promise<number[]> {
  const counts: number[] = [];
  for (const name of files.names().filter((each) => baseOf(each) !== undefined)) {
    const { handle, bytes } = await open(files, name);
    let count = 0;
    const source = { name, base: baseOf(name)!, bytes, handle, key: keyOf(LOG_ID) };
    await walk(files, codec, source, 0, {
      record: (rows, at) => {
        if (rows[at + TYPE] === RECORD_IDS) count += rows[at + COUNT]!;
        assert.ok(rows[at + OFFSET]! >= 0);
      },
      commit: () => {},
    });
    counts.push(count);
  }
  return counts;
}

test('a start knows what was published, and forgets it when the window is over', async () => {
  const story = new Story();
  await story.begin();
  assert.deepEqual(await story.send(BUCKET, 'a', 'b'), [1, 1]);
  await story.begin(story.world.files.crash(() => 'lose'));
  assert.deepEqual(await story.send(BUCKET, 'b', 'c', 'a'), [1, 1, 1]);
  assert.equal(story.duplicates, 2);
  assert.deepEqual(await story.world.drain(BUCKET), ['a', 'b', 'c']);
  story.clock.wallMs += 3_599_999;
  await story.begin(await story.world.close());
  await story.send(BUCKET, 'a');
  assert.equal(story.duplicates, 1);
  story.clock.wallMs += 1;
  await story.begin(story.world.files.kill());
  await story.send(BUCKET, 'a');
  assert.deepEqual([story.duplicates, await story.world.drain(BUCKET)], [0, ['a']]);
});

test('ids are made with the id of the log, which nobody is told', async () => {
  codec.setSecret(1, 2);
  const story = new Story();
  await story.begin();
  const message = encodeBatch([{ bucket: 7n, body: Uint8Array.of(5) }], 'u64').subarray(4);
  codec.inbox.set(message);
  codec.identify(0, message.length, WIRE_U64);
  const expected = Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0, 5);
  const id = sipHash128(expected, LOG_ID, BigInt.asUintN(64, ~LOG_ID));
  const found = codec.result.slice(RESULT_ID, RESULT_ID + 4);
  assert.deepEqual([...new Uint8Array(found.buffer)], [...id]);
});

test('what was not durable is not known to a start: it is stored when it comes again', async () => {
  const story = new Story();
  await story.begin();
  await story.send(BUCKET, 'a');
  const { world } = story;
  world.files.auto = false;
  const link = world.publish([{ bucket: BUCKET, body: 'b' }]);
  world.turn();
  assert.deepEqual(link.received, []);
  await story.begin(world.files.crash(() => 'lose'));
  assert.deepEqual(await story.send(BUCKET, 'b', 'a'), [1, 1]);
  assert.deepEqual([story.duplicates, await story.world.drain(BUCKET)], [1, ['a', 'b']]);
});

describe('segments', () => {
  test('with ids in them stay, become small, and go when they are over', async () => {
    const story = new Story({ rules: ['7 dedup=1m'] });
    await story.begin();
    const bodies = await story.fill(8);
    assert.deepEqual(await story.world.drain(BUCKET), bodies);
    assert.equal(story.world.broker.retention.live, 0);
    await story.rest(5000);
    const { log, broker } = story.world;
    assert.ok(broker.compaction.count > 0, 'nothing was compacted');
    const bytes = log.bases().reduce((sum, base) => sum + log.fileBytes(base), 0);
    assert.ok(bytes < 5 * SEGMENT_BYTES, `${bytes} bytes`);
    const known = await idsIn(story.world.files.clone());
    assert.equal(
      known.reduce((sum, count) => sum + count, 0),
      bodies.length,
    );
    // In the next life nothing of it is live from the beginning, and in the one after that, too.
    for (let life = 0; life < 2; life++) {
      await story.begin(story.world.files.crash(() => 'lose'));
      await story.rest(1000);
    }
    assert.ok((await story.send(BUCKET, ...bodies)).every((byte) => byte === 1));
    assert.deepEqual([story.duplicates, await story.world.drain(BUCKET)], [bodies.length, []]);
    await story.rest(75_000);
    assert.ok(story.world.log.bases().length <= 2, `${story.world.log.bases()}`);
    assert.equal(story.world.broker.maintenance.windows.ids.count, 0);
  });

  test('that are compacted leave out what is over', async () => {
    const story = new Story({ rules: ['7 dedup=20s'] });
    await story.begin();
    await story.send(PLAIN, 'stays');
    const old = await story.fill(4);
    story.clock.wallMs += 19_500;
    const young = await story.fill(8, 1000);
    await story.world.drain(BUCKET);
    await story.rest(8000);
    const counts = await idsIn(story.world.files.clone());
    const all = counts.reduce((sum, count) => sum + count, 0);
    assert.ok(all < old.length + young.length && all >= young.length, `${counts}`);
    await story.begin(story.world.files.kill());
    await story.send(BUCKET, ...young);
    assert.equal(story.duplicates, young.length);
    assert.deepEqual(await story.world.drain(PLAIN), ['stays']);
  });

  test('that a start need not read are read for their ids alone, and not when these are over', async () => {
    const story = new Story();
    await story.begin();
    const bodies = await story.fill(9);
    await story.rest(500);
    const files = await story.world.close();
    await story.begin(files.clone());
    const { used } = story.world;
    assert.ok(used.checkpoint && used.segments.length >= 3, `${used.segments}`);
    assert.ok((await story.send(BUCKET, ...bodies)).every((byte) => byte === 1));
    assert.equal(story.duplicates, bodies.length);
    assert.deepEqual(await story.world.drain(BUCKET), bodies);

    const damaged = files.clone();
    const name = damaged.names().find((each) => baseOf(each) === used.segments[1])!;
    damaged.flip(name, SEGMENT_DATA_AT + 100, 1);
    await assert.rejects(story.begin(damaged), /is damaged at offset 4096.*stored twice/);

    story.clock.wallMs += 3_600_000;
    const late = files.clone();
    late.flip(name, SEGMENT_DATA_AT + 100, 1);
    await story.begin(late);
    await story.rest(100);
    assert.equal(story.world.broker.maintenance.windows.ids.count, 0);
  });
});

test('killed at any moment, with everything sent again: each is stored once', async () => {
  const random = new Random(seed);
  for (let story = 0; story < 6; story++) {
    const lives = new Story({ random, checkpointBytes: 1 });
    let files = new MemoryFiles();
    const sent: string[] = [];
    const acked = new Set<string>();
    const stored: string[] = [];
    for (let life = 0; life < 8; life++) {
      await lives.begin(files);
      const { world } = lives;
      const links: { link: FakeLink; bodies: string[] }[] = [];
      for (let i = random.below(25); i >= 0; i--) {
        const bodies = Array.from({ length: 1 + random.below(30) }, () => {
          if (sent.length > 0 && random.chance(0.6)) return sent[random.below(sent.length)]!;
          const body = `${sent.length}:`.padEnd(4 + random.below(300), '-');
          sent.push(body);
          return body;
        });
        const messages = bodies.map((body) => ({ bucket: BUCKET, body }));
        links.push({ link: world.publish(messages), bodies });
        for (let k = random.below(8); k > 0 && world.files.step(); k--) world.turn();
        if (random.chance(0.3)) await world.settle();
        if (random.chance(0.1)) stored.push(...(await world.drain(BUCKET)));
        if (random.chance(0.2)) await lives.rest(1000);
      }
      for (const { link, bodies } of links)
        for (const [i, byte] of link.received.entries()) if (byte === 1) acked.add(bodies[i]!);
      const loses = (doubt: Doubt): Fate =>
        doubt.kind === 'entry' ? 'keep' : (['keep', 'lose', 'tear'] as const)[random.below(3)]!;
      files = random.chance(0.5) ? world.files.kill() : world.files.crash(loses, random);
      if (random.chance(0.3)) indexOf(files).clear();
    }
    await lives.begin(files);
    const all = [...sent];
    for (let at = 0; at < all.length; at += 100)
      assert.ok((await lives.send(BUCKET, ...all.slice(at, at + 100))).every((byte) => byte === 1));
    // Acks of what was drained may be lost with a life: then it comes again, with its sequence.
    const found = await lives.world.drain(BUCKET);
    assert.equal(new Set(found).size, found.length, 'stored twice');
    const seen = new Set([...stored, ...found]);
    for (const body of sent) assert.ok(seen.has(body), `lost ${body}`);
    for (const body of acked) assert.ok(seen.has(body));
  }
});
