// A full disk, with messages left that pin what stands around them: producers get 0 at once,
// consumers go on, compaction gets room to give room back, and service returns alone. Whichever
// write finds no space, and wherever it is cut off.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anyFate, loseAll, MemoryFiles, type Op } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { bodiesOf, FakeLink, LIMITS, type Message, SEGMENT_BYTES, World } from './harness.ts';

const seed = seedOf('log/full-disk.test');

const TAKEN = 1; // consumed as it comes
const LEFT = 2; // nobody takes it: stragglers
// Open and next segment, reserve and other spares, segments in memory and one before them, indexes
// and checkpoint.
const FIXED_BYTES = 12 * SEGMENT_BYTES;

/** A broker on a small disk, and what its clients know. */
class Story {
  files: MemoryFiles;
  world!: World;
  readonly taken = new Set<string>();
  readonly left = new Set<string>();
  #number = 0;
  readonly #random: Random;

  constructor(random: Random, segments: number) {
    this.#random = random;
    this.files = new MemoryFiles();
    this.files.capacity = segments * SEGMENT_BYTES;
  }

  async open(): Promise<void> {
    this.world = await World.open(this.files);
  }

  #message(bucket: number): Message {
    const size = 100 + this.#random.below(1500);
    return { bucket, body: `${bucket}-${++this.#number}-`.padEnd(size, '.') };
  }

  /** Publishes a batch, with a straggler now and then; gives how many were refused. */
  async publish(stragglers = true): Promise<number> {
    const batch = Array.from({ length: 6 }, () => this.#message(TAKEN));
    if (stragglers && this.#random.below(3) === 0) batch.push(this.#message(LEFT));
    const link = this.world.publish(batch);
    await this.world.settle();
    assert.equal(link.received.length, batch.length, 'a batch got no answer at once');
    let refused = 0;
    link.received.forEach((ack, i) => {
      const { bucket, body } = batch[i]!;
      if (ack === 1) (bucket === TAKEN ? this.taken : this.left).add(body as string);
      else refused++;
    });
    return refused;
  }

  async fill(): Promise<void> {
    for (let i = 0; i < 500; i++) {
      if ((await this.publish()) > 0) return;
      if (i % 10 === 0) await this.tick();
    }
    assert.fail('the disk was never full');
  }

  /** Fills until nothing comes back by itself. */
  async fillForGood(why: string): Promise<void> {
    for (let tries = 0; tries < 20; tries++) {
      await this.fill();
      const before = this.world.broker.compaction.count;
      await this.tick();
      const blocked = this.world.log.blocked();
      if (blocked !== undefined) return assert.match(blocked, /no space/, why);
      // What was consumed in the rounds before may be compacted away in that second.
      assert.ok(this.world.broker.compaction.count > before, `${why}: room came from nowhere`);
    }
    assert.fail(`${why}: compaction always finds more`);
  }

  /** A second passes. */
  async tick(): Promise<void> {
    for (let i = 0; i < 10; i++) await this.world.advance(100);
    this.world.log.retry();
    await this.world.settle();
  }

  /** Takes everything but the stragglers, some of it in the second attempt. */
  async consume(): Promise<void> {
    const { link, consumer } = this.world.consume(TAKEN, 20);
    for (let idle = 0; idle < 3; ) {
      await this.world.advance(60);
      const bodies = bodiesOf(link).filter((body) => body !== '');
      idle = bodies.length === 0 ? idle + 1 : 0;
      link.received = [];
      const acks = bodies.map((body) => {
        if (this.#random.below(20) === 0) return 0;
        assert.ok(this.taken.delete(body), `delivered, but not owed: ${body.slice(0, 20)}`);
        return 1;
      });
      consumer.receive(Uint8Array.from(acks));
    }
    assert.equal(this.taken.size, 0, 'not everything was delivered');
    consumer.gone();
    await this.world.settle();
  }

  async untilServed(why: string): Promise<void> {
    for (let seconds = 0; seconds < 90; seconds++) {
      if ((await this.publish(false)) === 0) return;
      await this.tick();
    }
    assert.fail(`${why}: service did not return; ${this.world.notes.slice(-3).join('; ')}`);
  }

  get liveBytes(): number {
    let bytes = 0;
    for (const body of this.taken) bytes += body.length + 128;
    // Alone in a compacted segment a message has at least two blocks of its own.
    for (const body of this.left) bytes += Math.max(body.length + 128, 4096);
    return bytes;
  }

  checkDisk(why: string): void {
    const most = 2 * this.liveBytes + FIXED_BYTES;
    assert.ok(this.files.usedBytes <= most, `${why}: ${this.files.usedBytes} bytes, not ${most}`);
  }

  /** What a start finds is what is owed. */
  async check(files: MemoryFiles, why: string): Promise<void> {
    const world = await World.open(files);
    const found = [...(await world.drain(LEFT)), ...(await world.drain(TAKEN))];
    const lost = [...this.left, ...this.taken].filter((body) => !found.includes(body));
    const short = (bodies: string[]) => bodies.map((body) => body.slice(0, 8)).join(' ');
    assert.deepEqual(short(lost), '', `${why}: lost; ${world.notes.join('; ')}`);
    const more = found.filter((body) => body.startsWith(`${LEFT}-`) && !this.left.has(body));
    assert.deepEqual(short(more), '', `${why}: more than was acked`);
    assert.equal(new Set(found).size, found.length, `${why}: twice`);
    assert.ok(!world.notes.some((note) => /cannot be (found|read)/.test(note)), why);
    await world.close();
  }
}

test('full with stragglers again and again: the disk comes back, service returns, nothing is lost', async () => {
  for (let run = 0; run < 6; run++) {
    const random = new Random((seed + run) >>> 0);
    const story = new Story(random, 12 + random.below(20));
    await story.open();
    for (let round = 0; round < 3; round++) {
      const why = `seed ${seed + run}, round ${round}`;
      await story.fillForGood(why);
      await story.consume();
      for (let i = 0; i < 30; i++) await story.tick();
      story.checkDisk(why);
      await story.untilServed(why);
      if (random.below(2) === 0) {
        await story.fill();
        story.files = random.below(2) === 0 ? story.files.kill() : story.files.crash(loseAll);
        await story.open();
        await story.consume();
        await story.untilServed(`${why}, started anew`);
      }
    }
    await story.check(story.files.crash(loseAll), `seed ${seed + run}`);
  }
});

test('without a byte free, compaction has its reserve and what it replaces is used again', async () => {
  const story = new Story(new Random(seed), 14);
  await story.open();
  await story.fill();
  await story.tick();
  // Somebody else takes the rest: there is no room for an index, nor for a compact.tmp.
  const rest = story.files.capacity - story.files.usedBytes;
  story.files.put('other', new Uint8Array(rest));
  const before = story.files.usedBytes;
  assert.equal(before, story.files.capacity);
  const created = story.files.count('open');
  await story.consume();
  for (let i = 0; i < 20; i++) await story.tick();
  assert.ok(story.files.count('truncate') > 0, 'nothing was compacted into a spare');
  assert.ok(story.files.count('open') > created, 'no index was written');
  assert.ok(story.files.usedBytes < before - SEGMENT_BYTES);
  await story.untilServed('no byte free');
  await story.check(story.files.crash(loseAll), 'no byte free');
});

/** Fills, takes and waits, on a log with stragglers in each segment. */
async function cycle(story: Story, why: string): Promise<void> {
  await story.fill();
  await story.consume();
  await story.untilServed(why);
}

test('no space for any one write or file of it: nothing is lost, and it goes on by itself', async () => {
  const ops: [Op, RegExp | undefined][] = [
    ['write', /(tmp|index\/.*)$/],
    ['write', /log$/],
    ['open', undefined],
    ['truncate', undefined],
  ];
  for (const [op, name] of ops) {
    let fired = true;
    for (let nth = 1; fired; nth += op === 'truncate' ? 1 : 7) {
      const why = `seed ${seed}, ${op} ${nth} ${name}`;
      const story = new Story(new Random(seed), 12);
      await story.open();
      const fault = story.files.fail({ op, nth, name: name ?? /./, code: 'ENOSPC', times: 2 });
      await cycle(story, why);
      fired = fault.fired > 0;
      assert.ok(fired || nth > 1, `${why}: no fault fired`);
      await story.check(story.files.crash(loseAll), why);
    }
  }
});

test('a crash at any time on a full disk: what was acked is there, and service returns', async () => {
  for (let run = 0; run < 40; run++) {
    const random = new Random((seed + 1000 + run) >>> 0);
    const why = `seed ${seed}, run ${run}`;
    const story = new Story(random, 11 + random.below(4));
    await story.open();
    await story.fill();
    await story.tick();
    await story.consume();
    // The files of compaction, reserve and next segment are in the middle of something.
    story.files.auto = false;
    story.world.broker.advance(1_000_000);
    for (let steps = random.below(150); steps > 0; steps--) {
      if (story.files.pending.length > 0)
        story.files.step(random.below(story.files.pending.length));
      story.world.turn();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const after = story.files.crash(anyFate(random), random);
    await story.check(after.clone(), why);
    story.files = after;
    await story.open();
    await story.consume();
    await story.untilServed(why);
    story.checkDisk(why);
    const names = after.names().filter((name) => name.startsWith('spare-'));
    assert.ok(names.length <= 4, `${why}: ${names.join(' ')}`);
  }
});

test('acks go on into the next segment, which messages may not use, and count after a crash', async () => {
  const story = new Story(new Random(seed), 5);
  await story.open();
  // Buckets in turn, whose marks do not merge, and too few of them for a compaction.
  const bodies = (bucket: number, i: number) => ({
    bucket,
    body: `${bucket}-${i}`.padEnd(20, '.'),
  });
  const link = new FakeLink();
  let count = 0;
  for (; !link.received.includes(0); count++) {
    const batch = [bodies(TAKEN, count), bodies(LEFT, count), bodies(LEFT + 1, count)];
    story.world.publish(Array.from({ length: 20 }, () => batch).flat(), link);
    await story.world.settle();
    assert.ok(count < 1000, 'the disk was never full');
  }
  await story.tick();
  const { link: got, consumer } = story.world.consume(TAKEN, 2);
  const from = story.world.broker.commit.endPosition;
  for (let idle = 0; idle < 3; ) {
    await story.world.advance(60);
    const bodies = bodiesOf(got).filter((body) => body !== '');
    idle = bodies.length === 0 ? idle + 1 : 0;
    got.received = [];
    consumer.receive(new Uint8Array(bodies.length).fill(1));
  }
  const written = story.world.broker.commit.endPosition - from;
  assert.ok(written > 3 * LIMITS.reserveBytes, `only ${written} bytes of acks`);
  assert.match(story.world.log.blocked() ?? '', /no space/);
  assert.equal(await story.publish(false), 6, 'a message came into the segment of the acks');
  assert.equal(story.world.log.spares, 1, 'the reserve was used for it');
  const again = await World.open(story.files.crash(loseAll));
  assert.match(again.log.blocked() ?? '', /no space/);
  const refused = again.publish([bodies(TAKEN, 0)]);
  await again.settle();
  assert.deepEqual(refused.received, [0], 'after a start a message came into it');
  assert.deepEqual(await again.drain(TAKEN), [], 'acks were lost');
});

test('an index that finds no space is searched in memory, and written when there is some', async () => {
  const story = new Story(new Random(seed), 14);
  await story.open();
  await story.fill();
  await story.consume();
  const fault = story.files.fail({
    op: 'write',
    nth: 1,
    name: /^index\//,
    code: 'ENOSPC',
    times: Number.MAX_SAFE_INTEGER,
  });
  for (let i = 0; i < 10; i++) await story.tick();
  const { notes } = story.world;
  assert.ok(fault.fired > 0 && fault.fired < 100, `${fault.fired} writes failed`);
  assert.ok(notes.some((note) => /It stays in memory/.test(note)));
  const left = await story.world.drain(LEFT);
  assert.deepEqual(left.sort(), [...story.left].sort());
  assert.ok(!notes.some((note) => /cannot be found/.test(note)));
});
