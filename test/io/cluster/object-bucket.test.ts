// Objects of bases over real servers of NATS: put, listed, read, replaced and removed without a
// trace; what is not all there is told, and a bucket that would lose them is refused.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { connectStream, type JetStreamLink } from '../../../src/io/cluster/jetstream.ts';
import { dial } from '../../../src/io/cluster/nats.ts';
import type { ObjectBucket } from '../../../src/io/cluster/object-bucket.ts';
import { NatsCluster, SERVERS, untilAnswered } from '../../cluster/nats.ts';
import { optionsFor } from '../../cluster/stream-options.ts';

const TIMEOUT_MS = 120_000;
const STREAM = 'OBJ_TMQ_test_0_base';
const NOTHING = { names: [], unfinished: [], bytes: 0 };

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function got(bucket: ObjectBucket, name: string): Promise<Buffer | undefined> {
  const pieces: Uint8Array[] = [];
  const stored = await bucket.get(name, async (piece) => {
    await new Promise((resolve) => setImmediate(resolve));
    pieces.push(piece.slice());
  });
  return stored && Buffer.concat(pieces);
}

/** Tries until it succeeds, as a leader may still be sought. */
async function untilDone<T>(call: () => Promise<T>): Promise<T> {
  for (let left = 20; ; left--) {
    try {
      return await call();
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

for (const { name, program, skip } of SERVERS)
  test(`${name}: objects of a base`, { skip, timeout: TIMEOUT_MS }, async (t) => {
    await using nats = await NatsCluster.start(program!);
    const link = await connectStream(optionsFor(nats));
    try {
      await put(t, link);
      await cut(t, link, nats);
      await damage(t, link, nats);
    } finally {
      await link.close();
    }
  });

type Tests = { test(name: string, run: () => Promise<void>): Promise<void> };

async function put(t: Tests, link: JetStreamLink): Promise<void> {
  await t.test('there is no bucket before it is made', async () => {
    assert.equal(await link.objects(false), undefined);
  });

  await t.test('what is put is there as it was, and goes without a trace', async () => {
    const bucket = await untilDone(() => link.objects(true));
    assert.deepEqual((await bucket.held()).names, []);
    const large = randomBytes(3_000_017);
    const small = randomBytes(10);
    const stored = await bucket.put('segment-1', inPieces(large, 100_001));
    assert.equal(stored.bytes, large.length);
    await bucket.put('manifest', inPieces(small, 100));
    const held = await bucket.held();
    assert.deepEqual(held.names.sort(), ['manifest', 'segment-1']);
    assert.ok(held.bytes > large.length && held.bytes < large.length + 20_000, `${held.bytes}`);
    assert.ok((await got(bucket, 'segment-1'))!.equals(large));
    const again = await bucket.get('segment-1', () => {});
    assert.deepEqual(again, stored);
    assert.equal(await got(bucket, 'segment-2'), undefined);
    const other = (await link.objects(false))!;
    assert.ok((await got(other, 'manifest'))!.equals(small));
    await bucket.put('manifest', inPieces(large, 1000));
    assert.ok((await got(bucket, 'manifest'))!.equals(large));
    await bucket.remove('segment-1');
    await bucket.remove('manifest');
    await bucket.remove('manifest');
    assert.deepEqual(await bucket.held(), NOTHING);
    assert.equal(await got(bucket, 'manifest'), undefined);
  });

  await t.test('what cannot be read to its end is not put', async () => {
    const bucket = await link.objects(true);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield randomBytes(600_000);
      throw new Error('the disk failed');
    }
    await assert.rejects(bucket.put('segment-3', broken()), /the disk failed/);
    assert.deepEqual(await bucket.held(), NOTHING);
    const taken = bucket.put('segment-3', inPieces(randomBytes(600_000), 5000));
    await taken;
    const fails = bucket.get('segment-3', () => {
      throw new Error('no space');
    });
    await assert.rejects(fails, /no space/);
    await bucket.remove('segment-3');
  });
}

/** A put of which two chunks are stored when its process is gone. */
async function cutOff(name: string, nats: NatsCluster): Promise<void> {
  const link = await connectStream(optionsFor(nats));
  const bucket = await link.objects(true);
  await new Promise<void>((stored) => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield randomBytes(600_000);
      stored();
      await new Promise(() => {});
    }
    void bucket.put(name, endless());
  });
  await link.close();
}

async function cut(t: Tests, link: JetStreamLink, nats: NatsCluster): Promise<void> {
  await t.test('what is left of a put that was cut off is told, and goes by its name', async () => {
    const bucket = await link.objects(true);
    await cutOff('segment-5', nats);
    const left = await bucket.held();
    assert.deepEqual([left.names, left.unfinished], [[], ['segment-5']]);
    assert.ok(left.bytes > 500_000, `${left.bytes}`);
    assert.equal(await got(bucket, 'segment-5'), undefined);
    await bucket.put('other', inPieces(randomBytes(1000), 100));
    await bucket.remove('segment-5');
    const after = await bucket.held();
    assert.deepEqual([after.names, after.unfinished], [['other'], []]);
    await bucket.remove('other');
    assert.deepEqual(await bucket.held(), NOTHING);
  });

  await t.test('the next put of that name leaves nothing of it', async () => {
    const bucket = await link.objects(true);
    await cutOff('segment-6', nats);
    const bytes = randomBytes(1000);
    await bucket.put('segment-6', inPieces(bytes, 100));
    const held = await bucket.held();
    assert.deepEqual([held.names, held.unfinished], [['segment-6'], []]);
    assert.ok(held.bytes < 10_000, `${held.bytes}`);
    assert.ok((await got(bucket, 'segment-6'))!.equals(bytes));
    await bucket.remove('segment-6');
    assert.deepEqual(await bucket.held(), NOTHING);
  });
}

async function damage(t: Tests, link: JetStreamLink, nats: NatsCluster): Promise<void> {
  const { manager, connection } = await dial(optionsFor(nats));

  await t.test('an object of which a piece is gone is refused', async () => {
    const bucket = await link.objects(true);
    await bucket.put('segment-4', inPieces(randomBytes(900_000), 5000));
    const { state } = await untilAnswered(() => manager.streams.info(STREAM));
    // Behind its pieces comes what tells of it.
    await manager.streams.deleteMessage(STREAM, state.last_seq - 1);
    await assert.rejects(got(bucket, 'segment-4'), /digests do not match|nothing came/);
  });

  await t.test('a bucket that would not keep them is refused', async () => {
    const { config } = await untilAnswered(() => manager.streams.info(STREAM));
    const aged = { ...config, max_age: 3_600_000_000_000 };
    await untilAnswered(() => manager.streams.update(STREAM, aged));
    await assert.rejects(link.objects(true), /would not keep .*: its objects go after a time/);
    const alone = { ...config, num_replicas: 1 };
    await untilAnswered(() => manager.streams.update(STREAM, alone));
    await assert.rejects(link.objects(false), /it has 1 replicas, not 3/);
    await connection.close();
  });
}
