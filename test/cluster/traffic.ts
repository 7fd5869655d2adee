// A few messages through a node of a cluster, by the project's own client.

import assert from 'node:assert/strict';
import { createConsumer, createProducer } from '../../src/client/index.ts';
import type { NodeAddress } from './clients.ts';

const BATCH = 20;

/** Publishes, and fails if anything is refused. */
export async function publish(at: NodeAddress, bucket: number, bodies: string[]): Promise<void> {
  const producer = createProducer(at);
  try {
    const acks = await producer.sendBatch(bodies.map((body) => ({ bucket, body })));
    assert.ok([...acks].every(Boolean));
  } finally {
    await producer.close();
  }
}

/** Takes and acks so many messages of a bucket. */
export async function take(at: NodeAddress, bucket: number, count: number): Promise<string[]> {
  const bodies: string[] = [];
  const consumer = createConsumer({ ...at, bucket, batchSize: Math.min(BATCH, count) });
  for await (const message of consumer) {
    bodies.push(Buffer.from(message.body).toString());
    message.ack();
    if (bodies.length === count) break;
  }
  await consumer.close();
  return bodies;
}
