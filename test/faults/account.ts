// The account after a crash: what the log holds, what the broker makes of it, twice. Nothing acked
// is lost, nothing is invented, and what was settled on disk stays settled.

import assert from 'node:assert/strict';
import { encodeBatch } from '../../src/codec/wire.ts';
import { BUCKETS, bodyOf, bucketOf, consume, idOf, Ledger } from '../e2e/load.ts';
import { type BrokerProcess, RawPeer, startBroker } from '../support/broker.ts';
import { readLog } from '../support/read-log.ts';

/** Small segments, so that a short run rolls, gives back, compacts and uses files again. */
export const SEGMENT_BYTES = 128 * 1024;
export const SMALL = [
  ...['--segment-size', String(SEGMENT_BYTES)],
  ...['--max-message', '16KiB', '--reserve', '64KiB', '--heartbeat', '100ms'],
];

const BATCH = 200;
const DRAINS_MAX = 10;

export interface Found {
  lost: number;
  altered: number;
}

/** A ledger as it stands now, for the judgement of a copy while the original goes on. */
export function copyOf(ledger: Ledger): Ledger {
  const copy = new Ledger();
  copy.sent = ledger.sent;
  for (const id of ledger.acked) copy.acked.add(id);
  for (const id of ledger.consumed) copy.consumed.add(id);
  for (const id of ledger.settled) copy.settled.add(id);
  for (const [id, times] of ledger.delivered) copy.delivered.set(id, times);
  return copy;
}

/**
 * Reads the log of a broker that is not running. What it holds right after a crash decides what
 * must and what must not come again.
 */
export async function judge(dataDir: string, ledger: Ledger): Promise<Found> {
  const { messages, settled } = await readLog(dataDir);
  const found: Found = { lost: 0, altered: 0 };
  const inLog = new Set<number>();
  for (const [sequence, body] of messages) {
    const id = idOf(body);
    if (id === undefined) {
      found.altered++;
      continue;
    }
    inLog.add(id);
    if (settled.has(sequence)) ledger.settled.add(id);
  }
  for (const id of ledger.acked) {
    if (inLog.has(id)) continue;
    // Gone from the log: only a consumer's ack may have done that.
    if (ledger.consumed.has(id)) ledger.settled.add(id);
    else found.lost++;
  }
  for (const id of ledger.settled) {
    if (!ledger.consumed.has(id))
      ledger.violations.push(`message ${id} is settled although no consumer acked it`);
  }
  return found;
}

/**
 * Publishes batches to a port, or on a connection, one by one, each when the last is acked;
 * resolves with how many messages were refused, rejects when the connection ends.
 */
export async function publishAll(
  to: number | RawPeer,
  ledger: Ledger,
  batches: number,
  acked: () => void = () => {},
): Promise<number> {
  const producer = typeof to === 'number' ? await RawPeer.connect(to) : to;
  let refused = 0;
  try {
    for (let i = 0; i < batches; i++) {
      const ids = Array.from({ length: BATCH }, () => ledger.sent++);
      const messages = ids.map((id) => ({ bucket: BigInt(bucketOf(id)), body: bodyOf(id) }));
      producer.send(encodeBatch(messages, 'u64'));
      const acks = await producer.take(BATCH);
      ids.forEach((id, at) => {
        if (acks[at] === 1) ledger.acked.add(id);
        else if (acks[at] === 0) refused++;
        else ledger.violations.push(`an ack of ${acks[at]}`);
      });
      if (acks.includes(1)) acked();
    }
    return refused;
  } finally {
    producer.destroy();
  }
}

/** Consumes and acks everything of these buckets, until each has sent a heartbeat or has closed. */
export async function drain(
  broker: BrokerProcess,
  ledger: Ledger,
  buckets: readonly number[] = Array.from({ length: BUCKETS }, (_, bucket) => bucket),
): Promise<void> {
  await Promise.all(
    buckets.map(async (bucket) => {
      let idle = () => {};
      const isIdle = new Promise<void>((resolve) => {
        idle = resolve;
      });
      const socket = await consume(broker.exhaust, { bucket, ledger, idle });
      await Promise.race([isIdle, new Promise<void>((resolve) => socket.once('close', resolve))]);
      socket.destroy();
    }),
  );
}

/**
 * Recover, append, kill, recover again: what an interrupted life left behind must hold for the
 * second one, too. Drains everything at the end, so that each acked message is seen.
 */
export async function recoverTwice(dataDir: string, ledger: Ledger): Promise<Found> {
  const before = await judge(dataDir, ledger);
  const first = await startBroker({ dataDir, flags: SMALL });
  await publishAll(first.intake, ledger, 2);
  await first.kill();
  const between = await judge(dataDir, ledger);
  const second = await startBroker({ dataDir, flags: SMALL });
  const waiting = () => [...ledger.acked].filter((id) => !ledger.delivered.has(id)).length;
  // A heartbeat says that nothing was ready in time, which a slow machine may say too early.
  for (let turn = 0; turn === 0 || (turn < DRAINS_MAX && waiting() > 0); turn++)
    await drain(second, ledger);
  assert.equal(await second.stop(), 0, `after recovery in ${dataDir} the broker did not stop well`);
  const gone = waiting();
  if (before.lost + between.lost + gone > 0)
    console.log(
      `lost: ${before.lost} at the first recovery, ${between.lost} at the second, ${gone} never came`,
    );
  const found = {
    lost: Math.max(before.lost, between.lost, gone),
    altered: before.altered + between.altered + ledger.violations.length,
  };
  ledger.violations.length = 0;
  return found;
}
