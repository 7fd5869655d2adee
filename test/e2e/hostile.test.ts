// Bad input on a living broker. Each attack: the attacker is told or closed, one line is logged,
// and a healthy producer and consumer beside it notice nothing.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import type { BucketRow } from '../../src/contract/commands.ts';
import type { ConnectionSnapshot, Snapshot } from '../../src/contract/snapshot.ts';
import { type BrokerProcess, RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { batchOf, publish, TestConsumer, texts } from '../support/client.ts';
import { ask, until } from '../support/look.ts';

const KIB = 1024;
const MESSAGE_MAX = 64 * KIB;
const CEILING = 64 * KIB * KIB;
const PEER_BUFFER = 256 * KIB;
const DELIVERY_MAX = KIB * KIB;
// Of the smallest messages, with as many acks as systems take for a peer that does not read them.
const READ_AHEAD_MAX = 1024 * KIB * KIB;
// For counts that are waited for and never come.
const patience = { timeout: 30_000 };

let broker: BrokerProcess;
let healthy: TestConsumer;
let turn = 0;

before(async () => {
  broker = await startBroker({
    dataDir: temporaryFolder(),
    dashboard: true,
    flags: [
      ['--max-message', String(MESSAGE_MAX)],
      ['--peer-buffer', String(PEER_BUFFER)],
      ['--intake', '127.0.0.1:0,wire=u32'],
    ].flat(),
  });
  healthy = await TestConsumer.join(broker.exhaust, 1n, 10);
});

after(async () => {
  healthy.leave();
  assert.equal(await broker.stop(), 0);
});

async function stillHealthy(): Promise<void> {
  const text = `turn ${turn++}`;
  assert.deepEqual(await publish(broker.intake, 1n, [text]), [1]);
  assert.deepEqual(texts(await healthy.take(1)), [text]);
}

interface Counts {
  intake: number;
  exhaust: number;
  buffered: number;
  reserved: number;
  ready: number;
  unacked: number;
  descriptors: number | undefined;
}

/** What connections could leave behind, as it was at most a quarter of a second ago. */
async function countsNow(): Promise<Counts> {
  const { connections, memory, buckets } = await ask<Snapshot>(broker, 'overview');
  const { pid } = broker.child;
  return {
    intake: connections.intake,
    exhaust: connections.exhaust,
    buffered: memory.bufferedBytes,
    reserved: memory.reservedBytes,
    ready: buckets.ready,
    unacked: buckets.unacked,
    descriptors:
      process.platform === 'linux' ? fs.readdirSync(`/proc/${pid}/fd`).length : undefined,
  };
}

/** The same once nothing of the tests before it is on its way any more, and this is so. */
async function countsAtRest(isSo = (_: Counts) => true): Promise<Counts> {
  return until(
    countsNow,
    (counts) =>
      counts.intake === 0 && counts.exhaust === 1 && counts.buffered === 0 && isSo(counts),
  );
}

let looks = 0;

async function connectionOf(peer: RawPeer): Promise<ConnectionSnapshot> {
  // An answer is kept for a while: another question gets another one.
  const path = `connections?limit=${50 + (looks++ % 50)}`;
  const { connections } = await ask<{ connections: ConnectionSnapshot[] }>(broker, path);
  const found = connections.find((each) => each.peer === `127.0.0.1:${peer.socket.localPort}`);
  assert.ok(found !== undefined, `its connection is gone: ${JSON.stringify(connections)}`);
  return found;
}

function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => {
    bytes.writeUInt32LE(value, i * 4);
  });
  return bytes;
}

function u64(...values: bigint[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => {
    bytes.writeBigUInt64LE(value, i * 8);
  });
  return bytes;
}

const TLS_HELLO = Buffer.from(
  '16030100a5010000a10303d4c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a392817',
  'hex',
);

const FOREIGN: [string, Buffer][] = [
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n')],
  ['an HTTP POST', Buffer.from('POST /publish HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello')],
  ['a TLS hello', TLS_HELLO],
  ['an SSH greeting', Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n')],
  ['a Redis command', Buffer.from('*1\r\n$4\r\nPING\r\n and some more bytes')],
  ['an AMQP header', Buffer.from('AMQP\x00\x00\x09\x01 and some more bytes')],
  ['all ones', Buffer.alloc(64, 0xff)],
];

for (const [name, bytes] of FOREIGN) {
  test(`${name} is closed on both ports`, async () => {
    for (const [port, event] of [
      [broker.intake, 'protocol.intake'],
      [broker.exhaust, 'protocol.exhaust'],
    ] as const) {
      const logged = broker.line((line) => line.event === event);
      const peer = await RawPeer.connect(port);
      peer.send(bytes);
      await peer.closed;
      await logged;
      assert.equal(peer.received.length, 0);
    }
    await stillHealthy();
  });
}

test('half a header or none, then silence or the end, costs nobody else anything', async () => {
  const half = await RawPeer.connect(broker.intake);
  half.send(Buffer.from([5, 0]));
  const begun = await RawPeer.connect(broker.intake);
  begun.send(Buffer.concat([u32(3), u64(9n, 100n), Buffer.from('only some')]));
  const header = await RawPeer.connect(broker.exhaust);
  header.send(Buffer.alloc(11));
  const silent = await RawPeer.connect(broker.exhaust);
  await stillHealthy();
  half.destroy();
  begun.destroy();
  await header.closed; // 5 s after it connected
  await silent.closed;
  await broker.line((line) => line.msg.includes('no complete header within 5000 ms'));
  await stillHealthy();
});

test('batch sizes: 0 is goodbye, the limit is fine, more is closed', async () => {
  const goodbye = await RawPeer.connect(broker.intake);
  goodbye.send(Buffer.concat([batchOf(2n, [Buffer.from('last words')]), u32(0)]));
  assert.deepEqual([...(await goodbye.take(1))], [1]);
  await goodbye.closed;

  const most = await RawPeer.connect(broker.intake);
  most.send(batchOf(2n, Array(65_536).fill(Buffer.from('x'))));
  assert.ok((await most.take(65_536)).every((ack) => ack === 1));
  most.destroy();

  for (const size of [65_537, 2 ** 31, 2 ** 32 - 1]) {
    const peer = await RawPeer.connect(broker.intake);
    peer.send(u32(size));
    await peer.closed;
    assert.equal(peer.received.length, 0);
  }
  for (const size of [0, 65_537, 2 ** 32 - 1]) {
    const peer = await RawPeer.connect(broker.exhaust);
    peer.send(Buffer.concat([u64(1n, 2n), u32(size)]));
    await peer.closed;
  }
  await stillHealthy();
});

test('lengths: 0 and limit + 1 are refused in place, the limit is stored', async () => {
  const peer = await RawPeer.connect(broker.intake);
  const bodies = [
    Buffer.from('before'),
    Buffer.alloc(0),
    Buffer.alloc(MESSAGE_MAX, 1),
    Buffer.alloc(MESSAGE_MAX + 1, 2),
    Buffer.from('after'),
  ];
  const parts = bodies.flatMap((body) => [u64(3n, BigInt(body.length)), body]);
  peer.send(Buffer.concat([u32(bodies.length), ...parts]));
  assert.deepEqual([...(await peer.take(5))], [1, 0, 1, 0, 1]);
  peer.destroy();
  const consumer = await TestConsumer.join(broker.exhaust, 3n, 10);
  const got = await consumer.take(3);
  assert.deepEqual(
    got.map((body) => body.length),
    [6, MESSAGE_MAX, 5],
  );
  consumer.leave();
  await stillHealthy();
});

test('a message of the ceiling is drained, never buffered; a longer one is closed', async () => {
  const peer = await RawPeer.connect(broker.intake);
  peer.send(Buffer.concat([u32(2), u64(3n, BigInt(CEILING))]));
  const piece = Buffer.alloc(1024 * 1024, 7);
  for (let i = 0; i < 64; i++) peer.send(piece);
  peer.send(Buffer.concat([u64(3n, 2n), Buffer.from('ok')]));
  assert.deepEqual([...(await peer.take(2))], [0, 1]);
  peer.destroy();
  for (const length of [BigInt(CEILING) + 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n]) {
    const other = await RawPeer.connect(broker.intake);
    other.send(Buffer.concat([u32(1), u64(3n, length)]));
    await other.closed;
    assert.equal(other.received.length, 0, `length ${length} got a reply`);
  }
  await stillHealthy();
});

test('a consumer that acks more than it got is closed, and what it had comes again', async () => {
  assert.deepEqual(await publish(broker.intake, 4n, ['one', 'two']), [1, 1]);
  const greedy = await TestConsumer.join(broker.exhaust, 4n, 2);
  assert.equal((await greedy.batch()).length, 2);
  greedy.ack(1, 1, 1);
  await greedy.peer.closed;
  const early = await RawPeer.connect(broker.exhaust);
  early.send(Buffer.concat([u64(1n, 4n), u32(2), Buffer.from([1, 1, 1, 1, 1])]));
  await early.closed;
  const next = await TestConsumer.join(broker.exhaust, 4n, 2);
  // They come apart, and the one that the second consumer was closed with comes last.
  assert.deepEqual(texts(await next.take(2)), ['two', 'one']);
  next.leave();
  await stillHealthy();
});

test('64 MiB of "still working", before, in and between deliveries, cost nobody else anything', async () => {
  const flood = Buffer.alloc(CEILING, 0xff);
  const bucket = 11n;
  const consumer = await TestConsumer.join(broker.exhaust, bucket, 10);
  const send = () => new Promise((resolve) => consumer.peer.socket.write(flood, resolve));
  const beside = async (work: Promise<unknown>) => {
    let isOver = false;
    const over = work.then(() => {
      isOver = true;
    });
    let turns = 0;
    for (; !isOver; turns++) await stillHealthy();
    await over;
    return turns;
  };
  await beside(send());
  assert.deepEqual(await publish(broker.intake, bucket, ['a', 'b', 'c']), [1, 1, 1]);
  assert.deepEqual(texts(await consumer.batch()), ['a', 'b', 'c']);
  consumer.ack(1);
  assert.ok((await beside(send())) > 0);
  consumer.ack(0, 0xff, 1);
  assert.deepEqual(texts(await consumer.batch()), ['b'], 'each ack is for its own message');
  consumer.ack(1);
  // While it owes a heartbeat, too.
  const { heartbeats } = consumer;
  const next = consumer.batch();
  await until(tick, () => consumer.heartbeats > heartbeats);
  await beside(send());
  assert.deepEqual(await publish(broker.intake, bucket, ['d']), [1]);
  assert.deepEqual(texts(await next), ['d']);
  consumer.ack(1);
  const { ready, unacked } = await until(
    () => ask<BucketRow>(broker, `buckets/${bucket}`),
    (row) => row.unacked === 0,
  );
  assert.deepEqual([ready, unacked], [0, 0]);
  consumer.leave();
});

test(
  'a consumer that never reads is held back, and takes nothing from the others',
  patience,
  async () => {
    const bodies = Array(512).fill(Buffer.alloc(MESSAGE_MAX, 5)); // 32 MiB
    const producer = await RawPeer.connect(broker.intake);
    producer.send(batchOf(5n, bodies));
    assert.ok((await producer.take(bodies.length)).every((ack) => ack === 1));
    producer.destroy();
    const deaf: RawPeer[] = [];
    for (let i = 0; i < 20; i++) {
      const peer = await RawPeer.connect(broker.exhaust);
      peer.socket.pause();
      peer.send(Buffer.concat([u64(1n, 5n), u32(65_536)]));
      deaf.push(peer);
    }
    await stillHealthy();
    const row = await until(
      () => ask<BucketRow>(broker, 'buckets/5'),
      ({ consumers }) => consumers === deaf.length,
    );
    // Each may have 65,536 and is given one delivery, as large as those may be; then it has to ack.
    const each = Math.floor(DELIVERY_MAX / MESSAGE_MAX);
    assert.ok(row.unacked > 0 && row.unacked <= deaf.length * each, `${row.unacked} unacked`);
    assert.equal(row.ready, bodies.length - row.unacked);
    const { buffered } = await countsNow();
    assert.ok(buffered <= deaf.length * DELIVERY_MAX, `${buffered} bytes wait for them`);
    for (const peer of deaf) peer.destroy();
    const hungry = await TestConsumer.join(broker.exhaust, 5n, 1000);
    const got = await hungry.take(bodies.length);
    assert.ok(got.every((body) => body.length === MESSAGE_MAX && body[9] === 5));
    hungry.leave();
  },
);

test('a producer that never reads its acks is held back until it does', patience, async () => {
  await countsAtRest();
  using peer = await RawPeer.connect(broker.intake);
  peer.socket.pause();
  // Messages of length 0 are refused, each with a byte: replies are made as fast as can be.
  const messages = 65_536;
  const batch = Buffer.alloc(4 + messages * 16);
  batch.writeUInt32LE(messages);
  let sent = 0;
  let reading = true;
  // One batch is with the system, the next one waits: as long as the broker reads, more come.
  const go = (): void => {
    if (!reading || peer.socket.destroyed) return;
    sent++;
    peer.socket.write(batch, go);
  };
  go();
  go();
  // Its acks are more than the system takes and more than may wait: from then on nothing is read.
  const most = PEER_BUFFER + messages + KIB; // the last reply, and what came of the next message
  const { buffered } = await until(countsNow, (counts) => counts.buffered > PEER_BUFFER);
  assert.ok(buffered <= most, `${buffered} bytes wait for it`);
  // The system may go on taking some of them for a moment, and then more is read; but not for ever.
  let read = -1;
  for (let seen = 0; seen !== read; seen = (await connectionOf(peer)).bytes) {
    read = seen;
    assert.ok(read < READ_AHEAD_MAX, `${read} bytes are read although its acks wait`);
    for (let i = 0; i < 10; i++) await stillHealthy();
  }
  assert.ok(read < sent * batch.length, 'there was nothing more to read');
  assert.ok(peer.socket.writableLength > 0, 'its own socket takes all it has');
  assert.ok((await countsNow()).buffered <= most);
  // It reads: then the rest is taken, too, and every message has its ack.
  reading = false;
  let acks = 0;
  peer.socket.removeAllListeners('data').on('data', (chunk) => {
    acks += chunk.length;
    assert.ok(chunk.every((ack) => ack === 0));
  });
  peer.socket.resume();
  await until(tick, () => acks === sent * messages);
  assert.equal((await connectionOf(peer)).bytes, sent * batch.length);
  peer.destroy();
  await countsAtRest();
});

test('peers that connect and reset at once leave nothing behind', patience, async () => {
  const rest = await countsAtRest();
  await publish(broker.intake, 7n, ['for whoever stays']);
  const before = await countsAtRest(({ ready }) => ready === rest.ready + 1);
  const begun: Record<number, Uint8Array> = {
    2: Buffer.concat([u32(3), u64(9n, 40_000n), Buffer.alloc(20_000)]),
    3: Buffer.concat([u64(1n, 7n), u32(10)]),
    4: Buffer.of(5, 0),
    5: Buffer.alloc(11),
  };
  for (let i = 0; i < 600; i++) {
    const peer = await RawPeer.connect(i % 2 === 0 ? broker.intake : broker.exhaust);
    const bytes = begun[i % 6];
    if (bytes !== undefined) await new Promise((resolve) => peer.socket.write(bytes, resolve));
    peer.socket.resetAndDestroy();
    await peer.closed;
  }
  await stillHealthy();
  await publish(broker.intake, 7n, ['behind all that']);
  const left = await countsAtRest(({ ready }) => ready === rest.ready + 2);
  assert.deepEqual(left, { ...before, ready: rest.ready + 2 });
  const row = await ask<BucketRow>(broker, 'buckets/7');
  assert.deepEqual([row.consumers, row.ready, row.unacked], [0, 2, 0]);
});
