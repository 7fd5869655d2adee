// Peers that speak something else, or stop in the middle: greetings of other protocols and headers
// of both dialects, cut at each byte, on both ports of both dialects; the peer then goes, resets,
// or says nothing more. A producer and a consumer beside it go on, and nothing strange is stored.

import { BATCH_HEADER_BYTES } from '../../assembly/layout.ts';
import { encodeBatch, encodeConsumerHeader, type Wire } from '../../src/codec/wire.ts';
import { type BrokerProcess, RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish, TestConsumer } from '../support/client.ts';
import { readLog } from '../support/read-log.ts';
import { SMALL } from './account.ts';
import { type FaultOptions, spread, Tally, type Verdict } from './verdict.ts';

const TLS_HELLO =
  '16030100a5010000a10303d4c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a392817';
const KAFKA_HELLO = '00000023001200030000000000096b61666b612d636c6900';

const FOREIGN: Record<string, Uint8Array> = {
  HTTP: Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  TLS: Buffer.from(TLS_HELLO, 'hex'),
  SSH: Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n'),
  Redis: Buffer.from('*1\r\n$4\r\nPING\r\n'),
  'Redis, inline': Buffer.from('PING\r\n'),
  AMQP: Buffer.from('AMQP\x00\x00\x09\x01'),
  MQTT: Buffer.from('100c00044d5154540402003c0000', 'hex'),
  Kafka: Buffer.from(KAFKA_HELLO, 'hex'),
  PROXY: Buffer.from('PROXY TCP4 10.0.0.1 10.0.0.2 56324 443\r\n'),
};
type Side = 'intake' | 'exhaust';
const ENDS = ['end', 'reset', 'silence'] as const;

interface Case {
  bytes: Uint8Array;
  side: Side;
  wire: Wire;
  end: (typeof ENDS)[number];
}

const SIDES = ['intake', 'exhaust'] as const;
const WIRES = ['u64', 'u32'] as const;

// Foreign greetings go everywhere, our own headers where they belong, and never whole: in the other
// dialect, what begins as one message may be another.
function cases(): Case[] {
  const all: Case[] = [];
  const cuts = (whole: Uint8Array, most: number, side: Side, wire: Wire) => {
    for (let cut = 1; cut <= most; cut++)
      all.push({ bytes: whole.subarray(0, cut), side, wire, end: ENDS[all.length % 3]! });
  };
  for (const wire of WIRES) {
    for (const bytes of Object.values(FOREIGN))
      for (const side of SIDES) cuts(bytes, bytes.length, side, wire);
    const batch = encodeBatch([{ bucket: 901n, body: Buffer.from('cut') }], wire);
    cuts(batch, batch.length - 1, 'intake', wire);
    // Between two messages of a batch nothing is begun: such a producer may be silent.
    for (const one of all)
      if (one.bytes.buffer === batch.buffer && one.bytes.length === BATCH_HEADER_BYTES)
        one.end = 'end';
    const header = encodeConsumerHeader({ consumerId: 1n, bucket: 902n, batchSize: 1 });
    cuts(header, header.length - 1, 'exhaust', wire);
  }
  return all;
}

async function meet(ports: Record<Side, Record<Wire, number>>, one: Case): Promise<number> {
  const peer = await RawPeer.connect(ports[one.side][one.wire]);
  peer.send(one.bytes);
  if (one.end === 'end') peer.socket.end();
  if (one.end === 'reset') peer.socket.resetAndDestroy();
  await peer.closed; // of silence, when the time for a header or a message is over
  return peer.received.length;
}

async function portsOf(broker: BrokerProcess): Promise<Record<Side, Record<Wire, number>>> {
  const ready = await broker.line((line) => line.event === 'ready');
  const listeners = ready.listeners as Record<Side, { port: number; wire: Wire }[]>;
  const of = (side: Side) =>
    Object.fromEntries(listeners[side].map(({ port, wire }) => [wire, port])) as Record<
      Wire,
      number
    >;
  return { intake: of('intake'), exhaust: of('exhaust') };
}

/** `points` greetings, cuts and ends. */
export async function hostileGreetings(options: FaultOptions): Promise<Verdict> {
  const tally = new Tally('hostile greetings');
  const dataDir = temporaryFolder();
  const timeouts = ['--consumer-header-timeout', '300ms', '--partial-timeout', '300ms'];
  const second = ['--intake', '127.0.0.1:0,wire=u32', '--exhaust', '127.0.0.1:0,wire=u32'];
  const broker = await startBroker({ dataDir, flags: [...SMALL, ...timeouts, ...second] });
  const ports = await portsOf(broker);
  // Idle producers are welcome for as long as they like: only what is begun must end.
  const silent = await RawPeer.connect(broker.intake);
  const healthy = await TestConsumer.join(broker.exhaust, 1n, 10);
  const all = spread(cases(), options.points, options.random);
  let stored = 0;
  let replied = 0;
  for (let at = 0; at < all.length && performance.now() < options.untilMs; at += 50) {
    const some = all.slice(at, at + 50);
    for (const bytes of await Promise.all(some.map((one) => meet(ports, one)))) replied += bytes;
    tally.fire(some.length);
    const [ack] = await publish(broker.intake, 1n, [`turn ${at}`]);
    const [body] = await healthy.take(1);
    if (ack !== 1 || Buffer.from(body!).toString() !== `turn ${at}`)
      throw new Error('hostile greetings: a healthy peer was disturbed');
    stored++;
  }
  if (replied > 0) throw new Error(`hostile greetings: ${replied} bytes were sent back`);
  silent.send(encodeBatch([{ bucket: 2n, body: Buffer.from('at last') }], 'u64'));
  if ((await silent.take(1))[0] !== 1) throw new Error('an idle producer was refused');
  silent.destroy();
  healthy.leave();
  await broker.kill();
  const { messages } = await readLog(dataDir);
  const strange = [...messages.values()].filter(
    (body) => !/^(turn \d+|at last)$/.test(Buffer.from(body).toString()),
  );
  tally.found({ lost: 0, altered: strange.length });
  return tally.verdict(`${tally.fired} of ${cases().length} cuts, ${stored} publishes beside them`);
}
