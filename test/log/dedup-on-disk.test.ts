// Windows that are larger than their memory: ids leave it for the disk, are found there, also by a
// next start, and whatever becomes of their files, nothing is stored twice and nothing is lost.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Doubt, Fate, MemoryFiles } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { BUCKET, PLAIN, Story } from './dedup-story.ts';
import { indexOf, type WorldOptions } from './harness.ts';

const seed = seedOf('log/dedup-on-disk.test');
const FEW_BYTES = 16 * 1024;

const storyOf = (options: WorldOptions = {}) => new Story({ idBytesMax: FEW_BYTES, ...options });
const idsOf = ({ world }: Story) => world.broker.maintenance.windows.ids;
const idFiles = (files: MemoryFiles) =>
  indexOf(files)
    .names()
    .filter((name) => name.endsWith('.ids'));

const flip = (files: MemoryFiles, name: string, random: Random) =>
  files.flip(`index/${name}`, 20 + random.below(500), 1 << random.below(8));

/** Sends everything again; gives how many were stored before. */
async function again(story: Story, bodies: readonly string[]): Promise<number> {
  const before = story.duplicates;
  for (let at = 0; at < bodies.length; at += 64) {
    const replies = await story.send(BUCKET, ...bodies.slice(at, at + 64));
    assert.ok(replies.length > 0 && replies.every((byte) => byte === 1));
  }
  return story.duplicates - before;
}

test('ids that find no memory leave it, and are known where they went', async () => {
  const story = storyOf();
  await story.begin();
  const bodies = await story.fill(20);
  const ids = idsOf(story);
  assert.ok(bodies.length > 1500 && ids.countOnDisk > 1000, `${ids.countOnDisk}`);
  assert.ok(ids.bytes <= FEW_BYTES + 8192, `${ids.bytes} bytes`);
  assert.equal(ids.count, bodies.length);
  assert.equal(await again(story, bodies), bodies.length);
  assert.deepEqual(await story.send(PLAIN, 'x', 'x'), [1, 1]);
  assert.deepEqual(await story.world.drain(BUCKET), bodies);
  assert.deepEqual(
    story.world.notes.filter((text) => /refused|cannot/.test(text)),
    [],
  );
  assert.ok(idFiles(story.world.files).length < 12, 'files became one');
});

test('a producer that waits for the disk is answered in order, and nobody else waits', async () => {
  const story = storyOf();
  await story.begin();
  const bodies = await story.fill(12);
  const { world } = story;
  world.files.auto = false;
  const asks = world.publish(
    [bodies[0]!, 'new', bodies[1]!].map((body) => ({ bucket: BUCKET, body })),
  );
  world.turn();
  assert.deepEqual(asks.received, []);
  const other = world.publish([{ bucket: PLAIN, body: 'x' }]);
  world.files.auto = true;
  await world.settle();
  assert.deepEqual([asks.received, other.received], [[1, 1, 1], [1]]);
  assert.equal(story.duplicates, 2);
});

describe('a start', () => {
  test('takes over what is on disk, and reads no segment for it', async () => {
    const story = storyOf();
    await story.begin();
    const bodies = await story.fill(20);
    await story.rest(1000);
    const files = await story.world.close();
    await story.begin(files.clone());
    assert.ok(story.world.used.segments.length > 10);
    assert.ok(idsOf(story).countOnDisk > 1000);
    assert.equal(await again(story, bodies), bodies.length);
    assert.deepEqual(await story.world.drain(BUCKET), bodies);
    // Damage that only whoever reads the segment would see.
    const damaged = files.clone();
    const base = story.world.used.segments[1]!;
    damaged.flip(damaged.names().find((name) => Number.parseInt(name, 10) === base)!, 4196, 1);
    await story.begin(damaged);
    assert.equal(await again(story, bodies), bodies.length);
  });

  const spoiled: [what: string, spoil: (files: MemoryFiles, random: Random) => void][] = [
    ['a file of ids that is damaged', (files, random) => flip(files, idFiles(files)[0]!, random)],
    ['a file of ids that is gone', (files) => indexOf(files).take(idFiles(files)[0]!)],
    ['a list that is damaged', (files, random) => flip(files, 'ids.list', random)],
    ['no list', (files) => indexOf(files).take('ids.list')],
    ['nothing at all', (files) => indexOf(files).clear()],
  ];
  for (const [what, spoil] of spoiled)
    test(`makes ids again from the log: ${what}`, async () => {
      const story = storyOf();
      await story.begin();
      const bodies = await story.fill(20);
      await story.rest(1000);
      const files = await story.world.close();
      spoil(files, new Random(seed));
      await story.begin(files);
      const ids = idsOf(story);
      assert.equal(await again(story, bodies), bodies.length);
      assert.ok(ids.countOnDisk > 1000, `${ids.countOnDisk}`);
      assert.deepEqual(await story.world.drain(BUCKET), bodies);
    });

  test('believes nothing that an older copy of the log does not hold', async () => {
    const story = storyOf();
    await story.begin();
    const early = await story.fill(6);
    const copy = (await story.world.close()).clone();
    await story.begin(copy.clone());
    const late = await story.fill(14, 1000);
    assert.ok(
      idsOf(story).bytes <= FEW_BYTES + 8192 && idsOf(story).countOnDisk > early.length + 300,
    );
    const files = await story.world.close();
    const index = indexOf(copy);
    index.clear();
    for (const name of indexOf(files).names()) index.put(name, indexOf(files).image(name));
    await story.begin(copy);
    assert.ok((await story.send(BUCKET, ...late.slice(0, 50))).every((byte) => byte === 1));
    assert.equal(story.duplicates, 0, 'what is not in the log is not known');
    assert.equal(await again(story, early), early.length);
  });
});

test('a page that cannot be believed while the broker runs: refused, said, made again later', async () => {
  const story = storyOf();
  await story.begin();
  const bodies = await story.fill(12);
  await story.rest(500);
  const index = indexOf(story.world.files);
  for (const name of idFiles(story.world.files)) story.world.files.flip(`index/${name}`, 1000, 1);
  const replies: number[] = [];
  for (const body of bodies.slice(0, 300)) replies.push(...(await story.send(BUCKET, body)));
  assert.ok(replies.includes(0) && replies.includes(1));
  assert.ok(story.world.notes.some((text) => /cannot be read back from disk/.test(text)));
  assert.ok(!index.names().includes('ids.list'));
  await story.begin(await story.world.close());
  assert.equal(await again(story, bodies), bodies.length);
  assert.deepEqual(await story.world.drain(BUCKET), bodies);
});

test('windows end on disk, too, and the files go', async () => {
  const story = storyOf({ rules: ['7 dedup=1m'] });
  await story.begin();
  const bodies = await story.fill(12);
  await story.rest(75_000);
  assert.deepEqual([idsOf(story).countOnDisk, idFiles(story.world.files)], [0, []]);
  assert.ok((await story.send(BUCKET, ...bodies.slice(0, 50))).every((byte) => byte === 1));
  assert.equal(story.duplicates, 0);
});

test('an id whose window is over is new again, although it stands in a file that others keep', async () => {
  const story = storyOf({ rules: ['7 dedup=1m'] });
  await story.begin();
  const early = await story.fill(8);
  await story.rest(30_000);
  const late = await story.fill(16, 1000);
  await story.rest(35_000);
  const { countOnDisk } = idsOf(story);
  assert.ok(countOnDisk > late.length + 500, `${countOnDisk} ids, ${late.length} of them late`);
  assert.equal(await again(story, early), 0);
  assert.equal(await again(story, late), late.length);
});

test('ids outlive their messages: through compaction, and what a start knows after it', async () => {
  const story = storyOf();
  await story.begin();
  await story.send(PLAIN, 'stays');
  const bodies = await story.fill(16);
  assert.deepEqual(await story.world.drain(BUCKET), bodies);
  await story.rest(8000);
  assert.ok(story.world.broker.compaction.count > 0, 'nothing was compacted');
  assert.equal(await again(story, bodies), bodies.length);
  await story.begin(story.world.files.kill());
  assert.equal(await again(story, bodies), bodies.length);
  assert.deepEqual(await story.world.drain(PLAIN), ['stays']);
});

test('a disk without room: refused when memory is full, and not before', async () => {
  const story = storyOf();
  await story.begin();
  const bodies = await story.fill(4);
  const { world } = story;
  const fault = world.files.fail({
    op: 'write',
    nth: 1,
    name: /\.ids$/,
    code: 'ENOSPC',
    times: 1e9,
  });
  const replies: number[] = [];
  for (let i = 0; i < 600; i++) replies.push(...(await story.send(BUCKET, `late ${i}`)));
  assert.ok(replies.includes(1) && replies.at(-1) === 0);
  assert.ok(world.notes.some((text) => /they may take/.test(text)));
  assert.ok(fault.fired > 0);
  fault.times = 0;
  await story.rest(11_000);
  assert.deepEqual(await story.send(BUCKET, 'late 599', 'late 0'), [1, 1]);
  assert.equal(await again(story, bodies), bodies.length);
});

test('killed at any moment, with everything sent again: each is stored once', async () => {
  const random = new Random(seed);
  let onDisk = 0;
  for (let round = 0; round < 6; round++) {
    const story = storyOf({ random, checkpointBytes: 1, idBytesMax: 8 * 1024 });
    let files: MemoryFiles | undefined;
    const sent: string[] = [];
    const stored: string[] = [];
    for (let life = 0; life < 8; life++) {
      await story.begin(files);
      const { world } = story;
      for (let i = 10 + random.below(30); i >= 0; i--) {
        const bodies = Array.from({ length: 1 + random.below(30) }, () => {
          if (sent.length > 0 && random.chance(0.5)) return sent[random.below(sent.length)]!;
          const body = `${sent.length}:`.padEnd(4 + random.below(200), '-');
          sent.push(body);
          return body;
        });
        world.publish(bodies.map((body) => ({ bucket: BUCKET, body })));
        for (let k = random.below(12); k > 0 && world.files.step(); k--) world.turn();
        if (random.chance(0.5)) await world.settle();
        if (random.chance(0.1)) stored.push(...(await world.drain(BUCKET)));
        if (random.chance(0.2)) await story.rest(1000);
      }
      onDisk = Math.max(onDisk, idsOf(story).countOnDisk);
      const loses = (doubt: Doubt): Fate =>
        doubt.kind === 'entry' ? 'keep' : (['keep', 'lose', 'tear'] as const)[random.below(3)]!;
      files = random.chance(0.5) ? world.files.kill() : world.files.crash(loses, random);
      if (random.chance(0.2)) indexOf(files).clear();
    }
    await story.begin(files);
    await again(story, sent);
    const found = await story.world.drain(BUCKET);
    assert.equal(new Set(found).size, found.length, 'stored twice');
    const seen = new Set([...stored, ...found]);
    for (const body of sent) assert.ok(seen.has(body), `lost ${body}`);
  }
  assert.ok(onDisk > 300, `${onDisk} ids were on disk`);
});
