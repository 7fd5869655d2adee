// A few messages through a node of a cluster, by the project's own client.

import assert from 'node:assert/strict';
import { createConsumer, createProducer } from '../../src/client/index.ts';
import type { NodeAddress } from './clients.ts';
import type { Load } from './load.ts';
import type { Rig } from './rig.ts';

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

/** Whether a message is acked within a second. */
async function isAcked(address: NodeAddress): Promise<boolean> {
  const producer = createProducer({ ...address, ackTimeoutMs: 1000, reconnect: false });
  try {
    return (await producer.send(9, 'while nobody may')) !== undefined;
  } catch {
    return false;
  } finally {
    await producer.close({ timeoutMs: 0 });
  }
}

/** Nothing is acked and nothing delivered, now that nobody serves. */
export async function assertSilent({ nodes }: Rig, load: Load): Promise<void> {
  // What was on its way to clients by then arrives during the first.
  assert.equal(await isAcked(nodes.intake[0]!), false);
  const before = load.history.events.length;
  assert.equal(await isAcked(nodes.intake[0]!), false);
  const meanwhile = load.history.events.slice(before).map(({ kind }) => kind);
  const isSilent = !meanwhile.includes('stored') && !meanwhile.includes('deliver');
  assert.ok(isSilent, `${meanwhile}\n${nodes.tell()}`);
}
