// A real broker on a real disk that is full, with messages left in it that nobody takes: they are
// not to keep the disk full, and nothing that was acked is to be lost.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { type BrokerProcess, startBroker } from '../support/broker.ts';
import { publish, TestConsumer } from '../support/client.ts';
import { withDisk } from '../support/loop-disk.ts';
import { needsLoopDisk } from '../support/machine.ts';

const FLAGS = ['--segment-size', '8MiB', '--max-message', '64KiB', '--reserve', '1MiB'];
const BODY_BYTES = 20_000;

function bodyOf(id: number): Buffer {
  const body = Buffer.alloc(BODY_BYTES, id % 251);
  body.writeUInt32LE(id);
  return body;
}

function idOf(body: Uint8Array): number {
  const id = Buffer.from(body).readUInt32LE();
  assert.ok(bodyOf(id).equals(body), `message ${id} is altered`);
  return id;
}

test('full, with a message left in each segment: service returns alone, and after a kill, too', {
  ...needsLoopDisk,
  timeout: 180_000,
}, async () => {
  await withDisk(200, async (mount) => {
    const dataDir = path.join(mount, 'data');
    await using begun = await startBroker({ dataDir, flags: FLAGS });
    let broker: BrokerProcess = begun;
    const left: number[] = [];
    let next = 0;
    // Publishes until there is no room; each batch leaves one message in bucket 2.
    const fill = async (): Promise<number[]> => {
      const taken: number[] = [];
      for (let refused = false; !refused; ) {
        assert.ok(next < 100_000, 'the disk was never full');
        for (const bucket of [1n, 2n]) {
          const ids = Array.from({ length: bucket === 1n ? 99 : 1 }, () => next++);
          const acks = await publish(broker.intake, bucket, ids.map(bodyOf));
          const stored = ids.filter((_id, i) => acks[i] === 1);
          (bucket === 1n ? taken : left).push(...stored);
          refused ||= stored.length < ids.length;
        }
      }
      return taken;
    };
    const drain = async (taken: number[]): Promise<void> => {
      const consumer = await TestConsumer.join(broker.exhaust, 1n, 50);
      const owed = new Set(taken);
      while (owed.size > 0) for (const body of await consumer.take(1)) owed.delete(idOf(body));
      consumer.leave();
    };
    const untilServed = async (): Promise<void> => {
      for (let acks: number[] = [0]; acks[0] === 0; )
        acks = await publish(broker.intake, 3n, [Buffer.from('room again')]);
    };

    const first = await fill();
    await broker.line((line) => line.event === 'log.full');
    assert.ok(first.length > 3000, `only ${first.length} messages fit on the disk`);
    await drain(first);
    await untilServed();
    const second = await fill();
    // Service is back before all of the space is.
    assert.ok(second.length > 400, `only ${second.length} messages fit again`);

    await broker.kill();
    await using again = await startBroker({ dataDir, flags: FLAGS });
    broker = again;
    await drain(second);
    await untilServed();
    const consumer = await TestConsumer.join(broker.exhaust, 2n, left.length);
    assert.deepEqual((await consumer.take(left.length)).map(idOf), left);
    consumer.leave();
    assert.equal(await broker.stop(), 0);
  });
});
