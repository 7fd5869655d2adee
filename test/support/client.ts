// Small wire conversations for tests: publish and see the acks, consume and see the messages.

import {
  DeliveryDecoder,
  encodeBatch,
  encodeConsumerHeader,
  type Wire,
} from '../../src/codec/wire.ts';
import { RawPeer } from './broker.ts';

/** A batch for one bucket. */
export function batchOf(bucket: bigint, bodies: Uint8Array[], wire: Wire = 'u64'): Uint8Array {
  return encodeBatch(
    bodies.map((body) => ({ bucket, body })),
    wire,
  );
}

/** Publishes one batch on a connection of its own; resolves with the ack bytes. */
export async function publish(
  port: number,
  bucket: bigint,
  bodies: (Uint8Array | string)[],
  wire: Wire = 'u64',
): Promise<number[]> {
  const peer = await RawPeer.connect(port);
  peer.send(
    batchOf(
      bucket,
      bodies.map((body) => Buffer.from(body as string)),
      wire,
    ),
  );
  const acks = [...(await peer.take(bodies.length))];
  peer.destroy();
  return acks;
}

/** A consumer whose batches are awaited one by one; heartbeats are acked and skipped. */
export class TestConsumer {
  readonly peer: RawPeer;
  readonly #decoder: DeliveryDecoder;
  readonly #frames: Uint8Array[][] = [];
  heartbeats = 0;

  private constructor(peer: RawPeer, wire: Wire) {
    this.peer = peer;
    this.#decoder = new DeliveryDecoder(wire);
  }

  static async join(
    port: number,
    bucket: bigint,
    batchSize: number,
    wire: Wire = 'u64',
  ): Promise<TestConsumer> {
    const peer = await RawPeer.connect(port);
    peer.send(encodeConsumerHeader({ consumerId: 777n, bucket, batchSize }));
    return new TestConsumer(peer, wire);
  }

  /** The next batch of messages; acks heartbeats on the way. */
  async batch(): Promise<Uint8Array[]> {
    for (;;) {
      const ready = this.#frames.shift();
      if (ready !== undefined) return ready;
      const chunk = await this.peer.take(Math.max(1, this.peer.received.length));
      for (const frame of this.#decoder.push(Uint8Array.from(chunk))) {
        if (frame.isHeartbeat) {
          this.heartbeats++;
          this.ack(1);
          continue;
        }
        this.#frames.push(Array.from({ length: frame.count }, (_, i) => frame.body(i)));
      }
    }
  }

  ack(...acks: number[]): void {
    this.peer.send(Uint8Array.from(acks));
  }

  /** Takes messages, acking each batch, until there are `count`. */
  async take(count: number): Promise<Uint8Array[]> {
    const taken: Uint8Array[] = [];
    while (taken.length < count) {
      const batch = await this.batch();
      taken.push(...batch);
      this.ack(...batch.map(() => 1));
    }
    return taken;
  }

  leave(): void {
    this.peer.destroy();
  }
}

/** Takes the next messages of a bucket on a connection of its own, and answers all with a byte. */
export async function answer(
  port: number,
  bucket: bigint,
  messages: number,
  byte: number,
): Promise<void> {
  const consumer = await TestConsumer.join(port, bucket, messages);
  for (let left = messages; left > 0; ) {
    const { length } = await consumer.batch();
    consumer.ack(...new Array<number>(length).fill(byte));
    left -= length;
  }
  consumer.leave();
}

export function texts(bodies: Uint8Array[]): string[] {
  return bodies.map((body) => Buffer.from(body).toString());
}
