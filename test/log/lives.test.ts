// Whole brokers on files in memory, life after life: random publishing, consuming, rolling and
// giving back of segments, completions in random order, and a power cut or kill at a random point.
// What was acked must be there afterwards, and nothing else than what was published; and a start
// with checkpoint and indexes must find what one without them finds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBatch } from '../../src/codec/wire.ts';
import type { Consumer } from '../../src/core/connections/consumer.ts';
import type { Producer } from '../../src/core/connections/producer.ts';
import type { SyncMode } from '../../src/log/segments/writer.ts';
import { anyFate, loseAll, MemoryFiles } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { FakeLink, indexOf, SEGMENT_BYTES, World } from './harness.ts';

const seed = seedOf('log/lives.test');
const BUCKETS = 3;
// Nobody consumes this one: what waits in it keeps segments from being given back.
const BACKLOG = BUCKETS;

/** What clients know: which messages they sent, which were acked, which they got and acked. */
class Clients {
  readonly sent = new Set<string>();
  readonly acked = new Set<string>();
  readonly delivered = new Set<string>();
  readonly done = new Set<string>();
  refused = 0;
  redelivered = 0;
  /** Whether some messages go to the bucket that nobody consumes. */
  readonly backlog: boolean;
  #number = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
    this.backlog = random.below(3) > 0;
  }

  body(): string {
    const body = `m${++this.#number}-`.padEnd(20 + this.#random.below(900), '.');
    this.sent.add(body);
    return body;
  }
}

/** One producer and a few consumers of one life. */
class Life {
  readonly world: World;
  readonly #clients: Clients;
  readonly #random: Random;
  readonly #intake = new FakeLink();
  readonly #producer: Producer;
  readonly #waiting: string[] = [];
  readonly #consumers: { link: FakeLink; consumer: Consumer; read: number }[] = [];

  constructor(world: World, clients: Clients, random: Random) {
    this.world = world;
    this.#clients = clients;
    this.#random = random;
    this.#producer = world.broker.openProducer(this.#intake)!;
    for (let bucket = 0; bucket < BUCKETS; bucket++)
      this.#consumers.push({ ...world.consume(bucket, 1 + random.below(20)), read: 0 });
  }

  publish(): void {
    if (this.#waiting.length > 300) return;
    const messages = Array.from({ length: 1 + this.#random.below(8) }, () => this.#clients.body());
    this.#waiting.push(...messages);
    const bucket = () => BigInt(this.#random.below(this.#clients.backlog ? BACKLOG + 1 : BUCKETS));
    const frame = messages.map((body) => ({ bucket: bucket(), body: Buffer.from(body) }));
    this.#producer.receive(encodeBatch(frame, 'u64'));
  }

  /** Takes note of acks and deliveries, and acks some of what was delivered. */
  listen(): void {
    for (const ack of this.#intake.received.splice(0)) {
      const body = this.#waiting.shift();
      assert.ok(body !== undefined, 'an ack that nobody waits for');
      if (ack === 1) this.#clients.acked.add(body);
      else this.#clients.refused++;
    }
    for (const each of this.#consumers) {
      const acks: number[] = [];
      for (const body of newBodies(each)) acks.push(this.#take(body));
      if (acks.length > 0) each.consumer.receive(Uint8Array.from(acks));
    }
  }

  #take(body: string): number {
    if (body === '') return 1; // a heartbeat
    const { sent, delivered, done } = this.#clients;
    assert.ok(sent.has(body), `delivered, but never published: ${body.slice(0, 20)}`);
    if (delivered.has(body)) this.#clients.redelivered++;
    delivered.add(body);
    if (this.#random.below(5) === 0) return 0;
    done.add(body);
    return 1;
  }

  async act(): Promise<void> {
    const { world } = this;
    const choice = this.#random.below(10);
    if (choice < 4) this.publish();
    else if (choice < 9) {
      for (let steps = this.#random.below(30); steps > 0; steps--) await this.#step();
    } else await this.#advance();
    world.turn();
    this.listen();
  }

  /** Ends in the middle of something. */
  async end(): Promise<void> {
    for (let batches = this.#random.below(12); batches > 0; batches--) this.publish();
    this.world.turn();
    for (let steps = this.#random.below(5); steps > 0; steps--) await this.#step();
    this.listen();
  }

  async #step(): Promise<void> {
    const { files } = this.world;
    files.step(files.pending.length === 0 ? 0 : this.#random.below(files.pending.length));
    this.world.turn();
    await null;
  }

  #now = 0;

  async #advance(): Promise<void> {
    this.#now += 30;
    this.world.broker.advance(this.#now);
    if (this.#random.below(3) === 0) this.world.log.retry();
  }
}

function* newBodies(each: { link: FakeLink; read: number }): Generator<string> {
  const bytes = Buffer.from(each.link.received.splice(0));
  for (let at = 0; at < bytes.length; ) {
    let count = bytes.readUInt32LE(at);
    for (at += 4; count > 0; count--) {
      const size = Number(bytes.readBigUInt64LE(at));
      yield bytes.toString('latin1', at + 8, at + 8 + size);
      at += 8 + size;
    }
  }
}

/** What a start finds, on a copy: the bodies that each bucket delivers. */
async function found(files: MemoryFiles, cached: boolean, why: string): Promise<string[][]> {
  const copy = files.clone();
  copy.capacity = Number.POSITIVE_INFINITY; // what is found on a full disk is found on another, too
  if (!cached) indexOf(copy).clear();
  const world = await World.open(copy);
  if (!cached) assert.deepEqual(world.used, { segments: [], checkpoint: false });
  const { live } = world.broker.retention;
  const lines: string[][] = [];
  for (let bucket = 0; bucket <= BACKLOG; bucket++) lines.push(await world.drain(bucket));
  assert.equal(lines.flat().length, live, `${why}: the count is not what is there`);
  assert.deepEqual(
    world.notes.filter((note) => /cannot be (found|read)/.test(note)),
    [],
  );
  await world.close();
  return lines;
}

/**
 * What the next life finds: every acked message that nobody has done, and nothing unknown. `weak`:
 * power was lost with acks that did not mean durable; then clients forget what is not there. With
 * checkpoint and indexes it is the same as without, but for acks that only the checkpoint has seen.
 */
async function judge(
  files: MemoryFiles,
  clients: Clients,
  why: string,
  weak: boolean,
): Promise<void> {
  const lines = await found(files, true, why);
  const known = new Set<string>();
  for (const body of lines.flat()) {
    assert.ok(!known.has(body), `${why}: twice in the log: ${body.slice(0, 20)}`);
    known.add(body);
  }
  const whole = await found(files, false, `${why}, no indexes`);
  const missing = whole.flat().filter((body) => !known.has(body));
  for (const body of missing)
    assert.ok(clients.done.has(body), `${why}: not found with indexes: ${body.slice(0, 20)}`);
  assert.deepEqual(
    lines,
    whole.map((line) => line.filter((body) => known.has(body))),
    `${why}: another order or more with indexes`,
  );
  for (const body of known) assert.ok(clients.sent.has(body), `${why}: invented`);
  for (const set of [clients.acked, clients.delivered])
    for (const body of set) {
      if (known.has(body) || clients.done.has(body)) continue;
      assert.ok(weak, `${why}: lost ${body.slice(0, 20)}`);
      set.delete(body);
    }
}

interface Seen {
  rolls: number;
  renames: number;
  cuts: number;
  /** Starts with a checkpoint. */
  checkpoints: number;
  /** Segments that starts did not read. */
  known: number;
  /** Lives that ended on a full disk. */
  full: number;
}

const NOTHING: Seen = { rolls: 0, renames: 0, cuts: 0, checkpoints: 0, known: 0, full: 0 };

async function lives(seed: number, mode: SyncMode): Promise<Seen> {
  const random = new Random(seed);
  const clients = new Clients(random);
  const seen = { ...NOTHING };
  let files = new MemoryFiles();
  for (let life = 0; life < 5; life++) {
    const why = `seed ${seed}, mode ${mode}, life ${life}`;
    // Now and then the disk is small.
    const full = random.below(3) === 0;
    files.capacity = full
      ? Math.max(files.usedBytes, 2 * SEGMENT_BYTES) + random.below(4 * SEGMENT_BYTES)
      : Number.POSITIVE_INFINITY;
    const world = await World.open(files, { random, mode }).catch((error) => {
      throw new Error(`${why}: ${error.message}`, { cause: error });
    });
    if (world.recovered.cutBytes > 0) seen.cuts++;
    if (world.used.checkpoint) seen.checkpoints++;
    seen.known += world.used.segments.length;
    const { base } = world.recovered.resume;
    const each = new Life(world, clients, random);
    for (let acts = random.below(250); acts > 0; acts--) {
      await each.act();
      if (mode === 'interval' && random.chance(0.05)) world.log.sync(() => {});
    }
    await each.end();
    seen.rolls += (world.log.bases().at(-1)! - base) / world.log.segmentBytes;
    seen.renames += files.count('rename');
    if (world.log.blocked() !== undefined) seen.full++;
    assert.equal(world.failure, undefined, why);
    const power = random.below(5);
    if (power < 2) files = files.kill();
    else files = files.crash(power === 2 ? loseAll : anyFate(random), random);
    await judge(files, clients, why, mode !== 'commit' && power >= 2);
  }
  return seen;
}

const PROMISES: [SyncMode, string][] = [
  ['commit', 'acked is there, nothing is invented'],
  ['interval', 'a kill loses nothing, no power cut leaves a log that is refused'],
  ['none', 'a kill loses nothing, no power cut leaves a log that is refused'],
];

for (const [mode, promise] of PROMISES) {
  test(`power cuts and kills over several lives, mode ${mode}: ${promise}`, async () => {
    const seen: Seen = { ...NOTHING };
    for (let run = 0; run < (mode === 'commit' ? 100 : 50); run++) {
      const each = await lives((seed + run) >>> 0, mode);
      for (const key of Object.keys(seen) as (keyof Seen)[]) seen[key] += each[key];
    }
    const { rolls, renames, cuts, checkpoints, known } = seen;
    assert.ok(rolls > 100 && renames > rolls && cuts > 2, JSON.stringify(seen));
    assert.ok(seen.full > 10, JSON.stringify(seen));
    if (mode === 'commit') assert.ok(checkpoints > 50 && known > 200, JSON.stringify(seen));
  });
}
