// A broker that stands still, as in a machine that is suspended: what peers did meanwhile is read
// before it goes on delivering, so that connections which were given up cost no attempt.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { encodeBatch, encodeConsumerHeader } from '../../src/codec/wire.ts';
import type { BucketInfo } from '../../src/contract/commands.ts';
import { RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';

const header = encodeConsumerHeader({ consumerId: 1n, bucket: 1n, batchSize: 10 });

test('consumers that gave up while the broker stood still are charged nothing', {
  skip: process.platform === 'win32' ? 'there is no SIGSTOP' : false,
}, async () => {
  await using broker = await startBroker({ dataDir: temporaryFolder(), dashboard: true });
  const url = `http://127.0.0.1:${broker.dashboard}/api/v1/buckets/1`;
  const producer = await RawPeer.connect(broker.intake);
  const body = new Uint8Array(Buffer.from('message'));
  // One, as of several that are lost together none is charged.
  producer.send(encodeBatch([{ bucket: 1n, body }], 'u64'));
  await producer.take(1);

  process.kill(broker.child.pid!, 'SIGSTOP');
  for (let i = 0; i < 12; i++) {
    const socket = net.connect(broker.exhaust, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    // The system has them all: the header, and the end.
    if (i % 2 === 0) {
      socket.end(header);
      await once(socket, 'finish');
      socket.destroy();
    } else {
      await new Promise((resolve) => socket.write(header, resolve));
      socket.resetAndDestroy();
    }
    if (!socket.closed) await once(socket, 'close');
  }
  process.kill(broker.child.pid!, 'SIGCONT');
  // It comes behind them in the system's queue.
  const living = await RawPeer.connect(broker.exhaust);
  living.send(header);
  assert.equal((await living.take(4)).readUInt32LE(), 1);
  living.destroy();
  for (;;) {
    const bucket = (await (await fetch(url)).json()) as BucketInfo;
    if (bucket.consumers === 0) break;
  }
  const { messages } = (await (await fetch(`${url}/messages`)).json()) as {
    messages: { attempts: number }[];
  };
  assert.deepEqual(
    messages.map(({ attempts }) => attempts),
    [1],
  );
  producer.destroy();
  assert.equal(await broker.stop(), 0);
});
