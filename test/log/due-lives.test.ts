// Whole brokers on files in memory in which messages wait for a time: each is ready at its time and
// never before, whatever happens in between: restarts, kills, lost power, compactions, files of due
// times that go, are damaged or cannot be written, and a clock that jumps.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CAUSE_FAILED } from '../../assembly/layout-placed.ts';
import { dueBaseOf } from '../../src/log/index/due-file.ts';
import { anyFate, loseAll, MemoryFiles } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { indexOf, TIME_MS, World, type WorldOptions } from './harness.ts';

const seed = seedOf('log/due-lives.test');
const HOUR = 3_600_000;
const WAITS = 1; // bucket whose messages nobody consumes
const TAKEN = 2;

/** A broker after another on one disk, and when each message is due. */
class Story {
  files: MemoryFiles;
  world!: World;
  readonly clock = { wallMs: TIME_MS };
  readonly notes: string[] = [];
  readonly options: WorldOptions;
  /** Turn and time of messages that were deferred, by sequence. */
  readonly deferred = new Map<number, { turn: number; dueMs: number }>();
  /** Those whose deferral was seen to be durable. */
  readonly durable = new Set<number>();

  constructor(files = new MemoryFiles(), options: WorldOptions = {}) {
    this.files = files;
    this.options = { ...options, clock: this.clock };
  }

  async open(): Promise<this> {
    this.world = await World.open(this.files, this.options);
    this.#look(true);
    return this;
  }

  get fired(): number {
    return this.world.broker.maintenance.waiting.firing.messages;
  }

  get due(): World['broker']['maintenance']['waiting']['due'] {
    return this.world.broker.maintenance.waiting.due;
  }

  waits(sequence: number): boolean {
    const { waiting, settled } = this.world.broker.buckets.outcomes;
    return waiting.has(sequence) && !settled.has(sequence);
  }

  /** Publishes messages of that size, each in a record of its own; gives their sequences. */
  async publish(bucket: number, count: number, bytes = 100): Promise<number[]> {
    const sequences: number[] = [];
    for (let i = 0; i < count; i++) {
      sequences.push(this.world.broker.nextSequence);
      const link = this.world.publish([{ bucket, body: '.'.repeat(bytes) }]);
      await this.world.settle();
      assert.deepEqual(link.received, [1]);
    }
    return sequences;
  }

  /** Asks for messages to wait; `settle` or time makes it durable. */
  ask(sequence: number, count: number, afterMs: number): void {
    const { broker } = this.world;
    const turn = (this.deferred.get(sequence)?.turn ?? 0) + 1;
    const dueMs = this.clock.wallMs + afterMs;
    for (let at = sequence; at < sequence + count; at++) {
      this.deferred.set(at, { turn, dueMs });
      this.durable.delete(at);
    }
    // As if a consumer had held them.
    broker.buckets.delayed.pending += count;
    broker.buckets.delayed.count += count;
    broker.commit.defer({
      sequence,
      count,
      turn,
      dueMs,
      bucket: BigInt(WAITS),
      attempts: turn,
      kind: 0,
      level: 0,
      cause: CAUSE_FAILED,
    });
    broker.stir();
  }

  async defer(sequence: number, count: number, afterMs: number): Promise<void> {
    this.ask(sequence, count, afterMs);
    for (let i = 0; i < 20 && !this.waits(sequence); i++) await this.advance(30);
    assert.ok(this.waits(sequence), `${sequence} does not wait`);
  }

  /** Takes everything of the bucket that is consumed. */
  async take(): Promise<void> {
    await this.world.drain(TAKEN);
    await this.advance(50);
  }

  /** Time passes, by both clocks; nobody may be ready before its time. */
  async advance(ms: number): Promise<void> {
    this.clock.wallMs += ms;
    await this.world.advance(ms);
    this.#look(false);
  }

  #look(isStart: boolean): void {
    for (const [sequence, { turn, dueMs }] of this.deferred) {
      const known = this.world.broker.buckets.outcomes.turns.get(sequence) === turn;
      if (this.waits(sequence) && known) this.durable.add(sequence);
      else if (this.durable.has(sequence)) {
        const when = `due at ${dueMs - TIME_MS}, now ${this.clock.wallMs - TIME_MS}`;
        assert.ok(this.clock.wallMs >= dueMs, `${sequence} is ready too early: ${when}`);
        assert.ok(!isStart || known, `${sequence} was deferred, and that is lost`);
        this.durable.delete(sequence);
      }
    }
  }

  dueFiles(): number[] {
    const names = indexOf(this.world.files).names();
    return names.map(dueBaseOf).filter((base) => base !== undefined);
  }

  bases(): readonly number[] {
    return this.world.log.bases();
  }

  /** All segments but the newest are complete and indexed. */
  async indexed(): Promise<void> {
    for (let i = 0; i < 50 && this.world.broker.indexing.segments > 1; i++) await this.advance(30);
    assert.equal(this.world.broker.indexing.segments, 1);
  }

  async kill(): Promise<void> {
    this.files = this.world.files.kill();
    await this.open();
  }

  async restart(): Promise<void> {
    this.files = await this.world.close();
    await this.open();
  }

  /** Everybody who waits is ready once the last time has come. */
  async end(): Promise<void> {
    const last = Math.max(this.clock.wallMs, ...[...this.deferred.values()].map((e) => e.dueMs));
    await this.advance(last - this.clock.wallMs);
    for (let i = 0; i < 100 && this.#left().length > 0; i++) await this.advance(1000);
    assert.deepEqual(this.#left(), [], 'who waits for ever');
  }

  #left(): number[] {
    return [...this.deferred.keys()].filter((sequence) => this.waits(sequence));
  }
}

function dueNames(files: MemoryFiles): string[] {
  const names = indexOf(files).names();
  return names.filter((name) => dueBaseOf(name) !== undefined).map((name) => `index/${name}`);
}

/** Segments complete and indexed behind the one that messages stand in which wait for an hour. */
async function severalSegments(files = new MemoryFiles()): Promise<Story> {
  const story = await new Story(files).open();
  const [first] = await story.publish(WAITS, 3);
  await story.defer(first!, 1, HOUR);
  for (let i = 0; i < 8; i++) {
    await story.publish(TAKEN, 8, 3500);
    await story.defer(first! + 1 + (i % 2), 1, HOUR + i);
  }
  await story.indexed();
  assert.ok(story.bases().length > 8);
  return story;
}

test('ready at its time and not before; deferred again, the last time counts', async () => {
  const story = await new Story().open();
  const [a, b, c] = (await story.publish(WAITS, 3)) as [number, number, number];
  await story.defer(a, 1, 10_000);
  await story.defer(b, 2, 5000);
  await story.defer(a, 1, 20_000);
  await story.advance(4000);
  assert.equal(story.fired, 0);
  for (let i = 0; i < 100; i++) await story.advance(20);
  assert.deepEqual(
    [story.fired, story.waits(a), story.waits(b), story.waits(c)],
    [2, true, false, false],
  );
  await story.advance(10_000);
  assert.ok(story.waits(a), 'a stale entry made it ready');
  await story.end();
  assert.equal(story.fired, 3);
  assert.equal(story.due.memoryEntries, 3, 'what was handed out stays for the file');
});

test('after an orderly stop, and after a kill, in the newest segments', async () => {
  const story = await new Story().open();
  const [a, b] = (await story.publish(WAITS, 2)) as [number, number];
  await story.defer(a, 1, 10_000);
  await story.restart();
  assert.ok(story.waits(a));
  await story.defer(b, 1, 20_000);
  await story.kill();
  await story.advance(9000);
  assert.equal(story.fired, 0);
  await story.advance(2000);
  assert.equal(story.fired, 1);
  await story.kill(); // what was fired and not taken waits again, for a time that is over
  await story.end();
  assert.equal(story.fired, 2);
});

test('each segment that may say a time has its file, and a start reads no more than those', async () => {
  const story = await severalSegments();
  const places = story.bases().slice(1, -1); // the first one is of the version before
  assert.deepEqual(
    story.dueFiles().sort((a, b) => a - b),
    places,
  );
  assert.equal(story.due.memoryEntries, 0);
  await story.restart();
  assert.ok(story.world.used.checkpoint && story.world.used.segments.length >= 4);
  assert.deepEqual(
    story.world.notes.filter((note) => note.includes('due')),
    [],
  );
  await story.advance(HOUR / 2);
  assert.equal(story.fired, 0);
  await story.end();
  assert.equal(story.fired, 3);
  const woken = story.world.broker.advance(story.clock.wallMs);
  assert.ok(woken > story.clock.wallMs, 'awake for nothing');
});

test('files that are gone, cut short, damaged or of another log are made again', async () => {
  const ruins: [string, (files: MemoryFiles, name: string) => void][] = [
    ['gone', (files, name) => files.take(name)],
    ['cut', (files, name) => files.put(name, files.image(name).slice(0, 5000))],
    ['page', (files, name) => files.flip(name, 4096 + 100, 1)],
    ['head', (files, name) => files.flip(name, 33, 1)],
  ];
  for (const [what, ruin] of ruins) {
    const story = await severalSegments();
    story.files = await story.world.close();
    const names = dueNames(story.files);
    assert.ok(names.length > 5);
    for (const name of names) ruin(story.files, name);
    await story.open();
    await story.advance(HOUR / 2);
    assert.equal(story.fired, 0, what);
    await story.end();
    assert.equal(story.fired, 3, what);
    const told = story.world.notes.filter((note) => note.includes('are read from the log'));
    assert.ok(told.length > 0, `${what}: ${story.world.notes.join()}`);
  }
});

test('a compaction joins what segments say of times', async () => {
  for (const after of ['nothing', 'kill', 'kill without files'] as const) {
    const story = await severalSegments();
    await story.take();
    const before = story.dueFiles().length;
    for (let i = 0; i < 100 && story.world.broker.compaction.count === 0; i++)
      await story.advance(1000);
    assert.ok(story.world.broker.compaction.count > 0, 'no compaction');
    await story.advance(1000);
    assert.ok(story.dueFiles().length < before);
    for (const base of story.dueFiles()) assert.ok(story.bases().includes(base), `${base}`);
    const compacted = story.bases()[0]!;
    assert.ok(story.dueFiles().includes(compacted) || story.bases().length > 1);
    if (after === 'kill without files')
      for (const name of dueNames(story.world.files)) story.world.files.take(name);
    if (after !== 'nothing') await story.kill();
    await story.advance(HOUR / 2);
    assert.equal(story.fired, 0, after);
    await story.end();
    assert.equal(story.fired, 3, after);
    const told = story.world.notes.filter((note) => note.includes('read from the log'));
    assert.equal(told.length > 0, after === 'kill without files', told.join());
  }
});

test('a clock that jumps: forward, all that is due is ready soon; back, it waits; both are told', async () => {
  const story = await new Story().open();
  const [a, b] = (await story.publish(WAITS, 2)) as [number, number];
  await story.defer(a, 1, HOUR);
  await story.defer(b, 1, 2 * HOUR);
  for (let i = 0; i < 200; i++) await story.advance(25);
  story.clock.wallMs += HOUR;
  for (let i = 0; i < 61; i++) await story.advance(1000); // asleep for an hour, and yet
  assert.deepEqual([story.fired, story.waits(b)], [1, true]);
  const jumps = () => story.world.notes.filter((note) => note.includes('the clock went'));
  assert.match(jumps().join(), /forward by 3600\.0 s/);
  story.clock.wallMs -= 24 * HOUR;
  for (let i = 0; i < 61; i++) await story.advance(1000);
  assert.match(jumps().at(-1)!, /back by 86400\.0 s/);
  assert.equal(story.fired, 1);
  await story.end();
  assert.deepEqual([story.fired, jumps().length], [2, 2]);
});

for (const how of ['kill', 'restart'] as const)
  test(`a day forward and a day back, each between two lives (${how}): nobody lost, nobody early`, async () => {
    const DAY = 24 * HOUR;
    const story = await new Story().open();
    const [soon, later, last] = (await story.publish(WAITS, 3)) as [number, number, number];
    await story.defer(soon, 1, HOUR);
    await story.defer(later, 1, DAY + HOUR);
    await story.defer(last, 1, 3 * DAY);
    const waiting = () => [soon, later, last].filter((sequence) => story.waits(sequence));
    const jump = async (ms: number) => {
      story.clock.wallMs += ms;
      await story[how]();
      for (let i = 0; i < 5; i++) await story.advance(1000);
    };
    await jump(DAY);
    assert.deepEqual(waiting(), [later, last], 'forward: what is due is ready');
    await jump(-DAY);
    assert.ok(waiting().includes(later) && waiting().includes(last), 'back: the others wait on');
    await jump(DAY);
    assert.deepEqual(waiting(), [later, last]);
    await story.defer(soon, 2, HOUR);
    await jump(-DAY);
    assert.deepEqual(waiting(), [soon, later, last]);
    await story.end();
    assert.equal(story.world.broker.buckets.ready, 3);
  });

test('while files of due times cannot be written, entries stay in memory and count', async () => {
  const story = await new Story().open();
  const [first] = (await story.publish(WAITS, 3)) as [number];
  await story.defer(first, 1, 60_000);
  const full = story.world.files.fail({
    op: 'open',
    nth: 1,
    name: /due\.tmp/,
    code: 'ENOSPC',
    times: Number.POSITIVE_INFINITY,
  });
  await story.publish(TAKEN, 8, 3500);
  await story.defer(first + 1, 1, 60_000);
  await story.publish(TAKEN, 8, 3500);
  await story.advance(2000);
  assert.ok(full.fired > 0);
  assert.ok(story.world.broker.indexing.segments > 1 && story.due.memoryEntries === 2);
  assert.match(story.world.notes.join(), /cannot be written/);
  await story.end();
  assert.equal(story.fired, 2);
});

test('life after life, cut off anywhere: nobody early, nobody for ever', async () => {
  const random = new Random(seed);
  for (let number = 0; number < 40; number++) await lives(new Random(random.next()), number);
});

async function lives(random: Random, number: number): Promise<void> {
  const story = await new Story(new MemoryFiles(), { random }).open();
  const known: number[] = [];
  for (let life = 0; life < 5; life++) {
    for (let acts = 5 + random.below(40); acts > 0; acts--) await act(story, known, random);
    for (let steps = random.below(60); steps > 0; steps--) {
      if (!story.world.files.step(random.below(3))) story.world.turn();
    }
    const fate = random.chance(0.5) ? loseAll : anyFate(random);
    const { files } = story.world;
    story.files = random.chance(0.5) ? files.kill() : files.crash(fate, random);
    for (const name of dueNames(story.files)) if (random.chance(0.1)) story.files.take(name);
    // Whether they were durable is not known, so they may be ready; but who was seen to wait waits.
    story.clock.wallMs += random.below(5000);
    await story.open();
  }
  story.world.files.auto = true;
  await story.end().catch((error: Error) => {
    error.message = `lives ${number}: ${error.message}`;
    throw error;
  });
}

async function act(story: Story, known: number[], random: Random): Promise<void> {
  const choice = random.below(10);
  if (choice < 2) known.push(...(await story.publish(WAITS, 1 + random.below(3))));
  else if (choice < 4) await story.publish(TAKEN, 1 + random.below(4), 3000);
  else if (choice < 7 && known.length > 0) {
    const sequence = known[random.below(known.length)]!;
    if (story.waits(sequence) || !isFree(story, sequence)) return;
    story.ask(sequence, 1, random.below(20_000));
  } else if (choice < 8) await story.take();
  else await story.advance(random.below(2000));
}

// Nobody defers what is deferred already: whoever holds it would have to.
function isFree(story: Story, sequence: number): boolean {
  const before = story.deferred.get(sequence);
  if (before === undefined) return true;
  const { turns } = story.world.broker.buckets.outcomes;
  return turns.get(sequence) === before.turn;
}
