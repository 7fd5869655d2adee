// Producers and consumers for crash tests, over raw sockets, with an account of every message: what
// was sent, what the broker acked, what was delivered, what the consumer acked. A message's body is
// its number and bytes that follow from it, so an altered or invented one shows.

import { once } from 'node:events';
import net from 'node:net';
import { DeliveryDecoder, encodeBatch, encodeConsumerHeader } from '../../src/codec/wire.ts';
import type { Random } from '../support/random.ts';

export const BUCKETS = 4;
const BATCH = 50;
const IN_FLIGHT = 8;

/** The account of one test. */
export class Ledger {
  sent = 0;
  /** Messages the broker acked with 1. */
  readonly acked = new Set<number>();
  /** How often each message was delivered. */
  readonly delivered = new Map<number, number>();
  /** Messages for which an ack byte 1 was handed to the socket. */
  readonly consumed = new Set<number>();
  /** Messages that may not come again: their settlement was on disk at a crash. */
  readonly settled = new Set<number>();
  readonly violations: string[] = [];
}

/** Body of message `id`. */
export function bodyOf(id: number): Buffer {
  const body = Buffer.alloc(8 + (id % 113));
  body.writeBigUInt64LE(BigInt(id));
  for (let i = 8; i < body.length; i++) body[i] = (id * 31 + i * 7) & 0xff;
  return body;
}

/** Number of the message, or undefined if no such body was ever made. */
export function idOf(body: Uint8Array): number | undefined {
  if (body.length < 8) return undefined;
  const id = Number(Buffer.from(body.buffer, body.byteOffset, 8).readBigUInt64LE());
  return bodyOf(id % 2 ** 40).equals(body) ? id : undefined;
}

export function bucketOf(id: number): number {
  return Math.floor(id / 10) % BUCKETS;
}

/** Publishes as fast as acks allow until the connection ends. */
export async function produce(port: number, ledger: Ledger): Promise<net.Socket> {
  const socket = await connect(port);
  const pending: number[][] = [];
  const publish = () => {
    const ids = Array.from({ length: BATCH }, () => ledger.sent++);
    pending.push(ids);
    const messages = ids.map((id) => ({ bucket: BigInt(bucketOf(id)), body: bodyOf(id) }));
    socket.write(encodeBatch(messages, 'u64'));
  };
  let at = 0;
  socket.on('data', (bytes) => {
    for (const byte of bytes) {
      const batch = pending[0];
      if (batch === undefined || byte !== 1) {
        ledger.violations.push(
          `a producer got ${byte} where it was owed ${pending.length} batches`,
        );
        return;
      }
      ledger.acked.add(batch[at++]!);
      if (at < batch.length) continue;
      at = 0;
      pending.shift();
      if (!socket.destroyed) publish();
    }
  });
  for (let i = 0; i < IN_FLIGHT; i++) publish();
  return socket;
}

export interface ConsumeOptions {
  bucket: number;
  ledger: Ledger;
  /** Absent: acks everything. Present: sometimes fails messages, or leaves with some unacked. */
  random?: Random;
  /** Called for each heartbeat: the bucket had nothing for this consumer. */
  idle?: () => void;
}

/** Consumes until the connection ends; a moody consumer comes back when it has left. */
export async function consume(port: number, options: ConsumeOptions): Promise<net.Socket> {
  const { bucket, ledger, random } = options;
  const socket = await connect(port);
  const decoder = new DeliveryDecoder('u64');
  socket.write(encodeConsumerHeader({ consumerId: 777n, bucket: BigInt(bucket), batchSize: 64 }));
  socket.on('data', (chunk) => {
    for (const frame of decoder.push(chunk)) {
      if (frame.isHeartbeat) {
        socket.write(Uint8Array.of(1));
        options.idle?.();
        continue;
      }
      const ids: number[] = [];
      for (let i = 0; i < frame.count; i++) ids.push(take(frame.body(i), bucket, ledger));
      const leave = random?.chance(0.02) === true;
      const acks = Uint8Array.from(leave ? ids.slice(0, random!.below(ids.length)) : ids, () =>
        random?.chance(0.01) ? 0 : 1,
      );
      acks.forEach((ack, i) => {
        if (ack === 1) ledger.consumed.add(ids[i]!);
      });
      if (!leave) {
        socket.write(acks);
        continue;
      }
      socket.end(acks);
      consume(port, options).catch(() => {}); // the broker may be gone by now
      return;
    }
  });
  return socket;
}

function take(body: Uint8Array, bucket: number, ledger: Ledger): number {
  const id = idOf(body);
  if (id === undefined || id >= ledger.sent) {
    ledger.violations.push(`foreign or altered bytes: ${Buffer.from(body).toString('hex')}`);
    return -1;
  }
  if (bucketOf(id) !== bucket) ledger.violations.push(`${id} came out of bucket ${bucket}`);
  if (ledger.settled.has(id)) ledger.violations.push(`${id} came again although it was settled`);
  ledger.delivered.set(id, (ledger.delivered.get(id) ?? 0) + 1);
  return id;
}

async function connect(port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}
