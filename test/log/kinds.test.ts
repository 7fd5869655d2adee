// A dead line is a line like any other, in a broker over its log: what is in it is found in memory,
// in indexes and after a start, with its head; compaction, checkpoints and lost caches keep it; and
// operators see, count and purge it apart from the bucket's own line.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_HEADER_BYTES } from '../../assembly/layout.ts';
import {
  KIND_DEAD,
  KIND_LIVE,
  KIND_MAX,
  KIND_SETTINGS,
  REASON_REJECTED,
} from '../../assembly/layout-placed.ts';
import type {
  BucketInfo,
  BucketPage,
  Command,
  Line,
  PeekResult,
  PurgeState,
} from '../../src/contract/commands.ts';
import { Admin } from '../../src/core/admin/admin.ts';
import { largest } from '../../src/core/admin/report.ts';
import { type Move, place } from '../../src/core/commit/placing.ts';
import { NO_HEAD } from '../../src/core/records/placed.ts';
import { indexName } from '../../src/log/index/index-file.ts';
import { baseOf } from '../../src/log/segments/segment.ts';
import { loseAll, MemoryFiles } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { codec, indexOf, TIME_MS, World } from './harness.ts';

const seed = seedOf('log/kinds.test');
const BODY = 900;

/** A broker, an operator of it, and what is in its lines by then. */
class Yard {
  readonly world: World;
  readonly admin: Admin;
  /** Sequences by `kind/bucket`, in order. */
  readonly model: Map<string, number[]>;

  private constructor(world: World, model: Map<string, number[]>) {
    this.world = world;
    this.model = model;
    this.admin = new Admin({
      broker: world.broker,
      log: world.log.ports,
      wallMs: () => TIME_MS,
      base64: (bytes) => Buffer.from(bytes).toString('latin1'),
      soon: (call) => void setImmediate(call),
      after: () => {},
    });
  }

  static async open(files = new MemoryFiles(), model = new Map<string, number[]>()) {
    return new Yard(await World.open(files), model);
  }

  get buckets() {
    return this.world.broker.buckets;
  }

  line(bucket: number, kind = KIND_LIVE): number[] {
    const key = `${kind}/${bucket}`;
    const line = this.model.get(key) ?? [];
    this.model.set(key, line);
    return line;
  }

  /** Messages in all lines of a kind. */
  count(kind: number): number {
    const lines = [...this.model].filter(([key]) => key.startsWith(`${kind}/`));
    return lines.reduce((sum, [, { length }]) => sum + length, 0);
  }

  /** Publishes a message, and puts a copy of it into another line, if one is named. */
  async publish(bucket: number, copy?: { bucket: number; kind: number }): Promise<void> {
    const { broker } = this.world;
    const sequence = broker.nextSequence;
    this.world.publish([{ bucket, body: `${sequence}.`.padEnd(BODY, '~') }]);
    await this.world.settle();
    this.line(bucket).push(sequence);
    if (copy === undefined) return;
    const head = { ...NO_HEAD, from: sequence, fromBucket: BigInt(bucket), fromAttempts: 3 };
    const move: Move = {
      ...{ first: 0, count: 1, low: copy.bucket, high: 0, kind: copy.kind },
      head: { ...head, reason: REASON_REJECTED, publishedMs: TIME_MS - 1000, movedMs: TIME_MS },
      settles: false,
      attempts: 0,
    };
    const position = this.buckets.entries.position(this.buckets.entries.end - 1);
    const isMoved = () => {
      const at = broker.commit.hot(position);
      assert.ok(at >= 0, 'the record is not in memory any more');
      return place(broker.commit, codec, at + RECORD_HEADER_BYTES, BODY + 4, move);
    };
    for (let tries = 0; !isMoved(); tries++) {
      assert.ok(tries < 100, 'there is never room');
      if (broker.commit.mayPlace()) broker.commit.makeRoom();
      await this.world.settle();
    }
    broker.flushSoon();
    await this.world.settle();
    this.line(copy.bucket, copy.kind).push(broker.nextSequence - 1);
  }

  /** Takes up to `most` messages of a line, as whatever takes lines does, and settles them. */
  async take(bucket: number, kind: number, most = Number.POSITIVE_INFINITY): Promise<number[]> {
    const { dispatcher, settlement } = this.world.broker;
    const slot = this.buckets.open(bucket, 0, kind);
    const taker = () => {};
    dispatcher.occupy(slot, taker);
    const taken: number[] = [];
    for (let turns = 0; taken.length < most; turns++) {
      assert.ok(turns < 1000, `a lookup for ${kind}/${bucket} does not end`);
      if (this.buckets.peek(slot) === undefined) {
        dispatcher.lookup(slot);
        await this.world.settle();
      }
      const part = this.buckets.peek(slot);
      if (part === undefined && !this.buckets.headOf(slot).isOlder) break;
      if (part === undefined) continue;
      taken.push(part.sequence);
      settlement.purge(part, 1);
    }
    dispatcher.release(slot, taker);
    await this.world.settle();
    return taken;
  }

  async ask<T>(command: Command): Promise<T> {
    let result: T | undefined;
    this.admin.ask(command, (outcome) => {
      assert.ok(outcome.ok, JSON.stringify(outcome));
      result = outcome.result as T;
    });
    for (let turn = 0; result === undefined && turn < 1000; turn++) {
      await this.world.settle();
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(result !== undefined, `no answer to ${command.kind}`);
    return result;
  }

  async peek(bucket: number, line: Line): Promise<PeekResult['messages']> {
    const command = { kind: 'peek', id: String(bucket), limit: 100, bytes: 8, line } as const;
    return (await this.ask<PeekResult>(command)).messages;
  }

  /** Lets acks be written, and what time alone brings about happen. */
  async rest(ms = 3000): Promise<void> {
    for (let at = 0; at < ms; at += 500) await this.world.advance(500);
  }

  /** What the broker counts is what there is. */
  check(why: string): void {
    const { retention } = this.world.broker;
    const counts = Array.from({ length: KIND_MAX + 1 }, (_, kind) => this.count(kind));
    const { ready, unacked, dead } = this.buckets;
    assert.deepEqual([ready, unacked, dead], [counts[KIND_LIVE], 0, counts[KIND_DEAD]], why);
    assert.equal(retention.live, counts[KIND_LIVE]! + counts[KIND_DEAD]! + counts[KIND_SETTINGS]!);
    for (const slot of this.buckets.slots()) {
      const { low, kind } = this.buckets.placeOf(slot);
      const wanted = this.line(low, kind).length;
      if (this.buckets.isCounted(slot)) assert.equal(this.buckets.readyOf(slot), wanted, why);
      else assert.ok(this.buckets.readyOf(slot) <= wanted, why);
    }
  }
}

const names = (files: MemoryFiles) => files.names().filter((name) => baseOf(name) !== undefined);

test('a dead line is peeked, counted, listed and purged apart, live and after a start', async () => {
  const dead = { bucket: 1, kind: KIND_DEAD };
  let yard = await Yard.open();
  for (let i = 0; i < 5; i++) await yard.publish(1, i < 3 ? dead : undefined);
  await yard.publish(2);
  for (const when of ['live', 'after a start', 'once more, without indexes']) {
    yard.check(when);
    assert.deepEqual(
      (await yard.peek(1, 'live')).map(({ sequence }) => Number(sequence)),
      yard.line(1),
    );
    const [first, ...others] = await yard.peek(1, 'dead');
    assert.deepEqual(
      [first!, ...others].map(({ sequence }) => Number(sequence)),
      yard.line(1, KIND_DEAD),
    );
    assert.equal(Buffer.from(first!.payload, 'latin1').toString(), '1.~~~~~~');
    assert.deepEqual(first!.moved, {
      reason: 'rejected',
      bucket: '1',
      line: 'live',
      sequence: '1',
      attempts: 3,
      publishedAt: new Date(TIME_MS - 1000).toISOString(),
      movedAt: new Date(TIME_MS).toISOString(),
    });
    const info = await yard.ask<BucketInfo>({ kind: 'bucket', id: '1', line: 'dead' });
    assert.deepEqual([info.ready, info.unacked, info.why.code], [3, 0, 'no-consumer']);
    assert.equal(info.paused, false);
    const own = await yard.ask<BucketInfo>({ kind: 'bucket', id: '1' });
    // After a start what is in indexes is counted when it is found.
    assert.ok(own.exact ? own.ready === 5 : own.ready <= 5);
    const list = { kind: 'buckets', sort: 'id', limit: 9 } as const;
    for (const line of [undefined, 'live', 'dead'] as const) {
      const page = await yard.ask<BucketPage>({ ...list, line });
      assert.deepEqual(
        page.buckets.map(({ id }) => id),
        line === 'dead' ? ['1'] : ['1', '2'],
      );
      assert.equal(page.count, page.buckets.length);
      const first = await yard.ask<BucketPage>({ ...list, limit: 1, line });
      assert.equal(first.buckets[0]?.id, '1', 'others took the room of what was asked for');
    }
    assert.deepEqual(
      largest(yard.buckets, 9).map((slot) => yard.buckets.kindOf(slot)),
      [KIND_LIVE, KIND_LIVE],
    );
    await yard.rest();
    const files = yard.world.files.crash(loseAll);
    for (const name of when === 'live' ? [] : indexOf(files).names()) indexOf(files).take(name);
    yard = await Yard.open(files, yard.model);
  }
  const { bucket, line } = await yard.ask<PurgeState>({ kind: 'purge', id: '2', line: 'dead' });
  assert.deepEqual([bucket, line], ['2', 'dead']);
  await yard.ask<PurgeState>({ kind: 'purge', id: '1', line: 'dead' });
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    await yard.rest(500);
  }
  yard.line(1, KIND_DEAD).length = 0;
  yard.check('purged');
  const after = await yard.ask<BucketInfo>({ kind: 'bucket', id: '1', line: 'dead' });
  assert.deepEqual([after.purge?.purged, after.purge?.done, after.purge?.line], [3, true, 'dead']);
  assert.equal((await yard.ask<BucketInfo>({ kind: 'bucket', id: '1' })).purge, null);
  const again = await Yard.open(yard.world.files.crash(loseAll), yard.model);
  again.check('purged, after a start');
  assert.deepEqual(await again.take(1, KIND_LIVE), yard.line(1));
});

test('no other line can be asked for', async () => {
  const yard = await Yard.open();
  const outcomes: unknown[] = [];
  const command = { kind: 'purge', id: '1', line: 'settings' } as unknown as Command;
  yard.admin.ask(command, (outcome) => void outcomes.push(outcome));
  assert.deepEqual(outcomes, [
    { ok: false, code: 'bad-request', detail: 'there are lines live and dead' },
  ]);
});

test('an index names lines, and stays of the first version in segments without others', async () => {
  const yard = await Yard.open();
  for (let i = 0; i < 120; i++) {
    await yard.publish(1 + (i % 3));
    if (i === 40) await yard.publish(3, { bucket: 3, kind: KIND_DEAD });
  }
  const files = indexOf(yard.world.files);
  const versions = names(yard.world.files).flatMap((name) => {
    const index = indexName(baseOf(name)!);
    if (!files.names().includes(index)) return [];
    return [new DataView(files.image(index).slice().buffer).getUint32(8, true)];
  });
  assert.deepEqual([...new Set(versions)].sort(), [1, 2]);
  assert.equal(versions.filter((version) => version === 2).length, 1);
  const slot = yard.buckets.find(3, 0, KIND_DEAD);
  assert.equal(slot === 0 || yard.buckets.headOf(slot).isOlder, true);
  assert.deepEqual(await yard.take(3, KIND_DEAD), yard.line(3, KIND_DEAD));
  assert.deepEqual(await yard.take(3, KIND_LIVE), yard.line(3));
});

test(`random lines of all kinds, taken, compacted, lost and read back (seed ${seed})`, async () => {
  const seen = { compactions: 0, known: 0, dead: 0 };
  for (let round = 0; round < 4; round++) {
    const random = new Random(seed + round);
    let yard = await Yard.open();
    for (let life = 0; life < 5; life++) {
      const why = `life ${life} of round ${round}, THRUSTMQ_TEST_SEED=${seed}`;
      for (let step = 0; step < 40; step++) {
        const [bucket, kind] = [1 + random.below(3), random.below(KIND_SETTINGS)];
        if (random.chance(0.7)) {
          const copy = { bucket: 1 + random.below(3), kind };
          await yard.publish(bucket, random.chance(0.5) ? copy : undefined);
        } else {
          const line = yard.line(bucket, kind);
          const most = random.chance(0.2) ? line.length : Math.min(line.length, 3);
          const taken = await yard.take(bucket, kind, most);
          assert.deepEqual(taken, line.splice(0, most), `${kind}/${bucket} in ${why}`);
        }
        if (random.chance(0.1)) await yard.rest(1000);
      }
      await yard.rest();
      yard.check(why);
      seen.compactions += yard.world.broker.compaction.count;
      seen.dead += yard.count(KIND_DEAD);
      const files = random.chance(0.5) ? yard.world.files.crash(loseAll) : await yard.world.close();
      for (const name of indexOf(files).names()) if (random.chance(0.2)) indexOf(files).take(name);
      yard = await Yard.open(files, yard.model);
      if (yard.world.used.checkpoint) seen.known++;
      yard.check(`after ${why}`);
      for (const line of ['live', 'dead'] as const)
        for (let bucket = 1; bucket <= 3; bucket++) {
          const kind = line === 'dead' ? KIND_DEAD : KIND_LIVE;
          const there = await yard.peek(bucket, line);
          assert.deepEqual(
            there.map(({ sequence }) => Number(sequence)),
            yard.line(bucket, kind).slice(0, 100),
            `${line} ${bucket} after ${why}`,
          );
        }
    }
    for (const [key, line] of yard.model) {
      const [kind, bucket] = key.split('/').map(Number);
      assert.deepEqual(await yard.take(bucket!, kind!), line, key);
      line.length = 0;
    }
    yard.check('at the end');
  }
  assert.ok(seen.compactions > 0 && seen.known > 0 && seen.dead > 0, JSON.stringify(seen));
});
