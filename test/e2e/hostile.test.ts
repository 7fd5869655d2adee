// Bad input on a living broker. Each attack: the attacker is told or closed, one line is logged,
// and a healthy producer and consumer beside it notice nothing.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type BrokerProcess, RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { batchOf, publish, TestConsumer, texts } from '../support/client.ts';

const MESSAGE_MAX = 64 * 1024;
const CEILING = 64 * 1024 * 1024;

let broker: BrokerProcess;
let healthy: TestConsumer;
let turn = 0;

before(async () => {
  broker = await startBroker({
    dataDir: temporaryFolder(),
    flags: ['--max-message', String(MESSAGE_MAX), '--intake', '127.0.0.1:0,wire=u32'],
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
  assert.deepEqual(texts(await next.take(2)), ['one', 'two']);
  next.leave();
  await stillHealthy();
});

test('a consumer that never reads is held back, and takes nothing from the others', async () => {
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
  for (const peer of deaf) peer.destroy();
  const hungry = await TestConsumer.join(broker.exhaust, 5n, 1000);
  const got = await hungry.take(bodies.length);
  assert.ok(got.every((body) => body.length === MESSAGE_MAX && body[9] === 5));
  hungry.leave();
});

test('a producer that never reads its acks is held back', async () => {
  const peer = await RawPeer.connect(broker.intake);
  peer.socket.pause();
  const batch = batchOf(6n, Array(1000).fill(Buffer.from('y')));
  let held = false;
  for (let i = 0; i < 40 && !held; i++) held = !peer.socket.write(batch);
  await stillHealthy();
  peer.destroy();
});

test('peers that connect and reset at once leave nothing behind', async () => {
  for (let i = 0; i < 500; i++) {
    const peer = await RawPeer.connect(i % 2 === 0 ? broker.intake : broker.exhaust);
    peer.socket.resetAndDestroy();
    await peer.closed;
  }
  await stillHealthy();
});
