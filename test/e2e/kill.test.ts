// Kill -9 under load, again and again on one data folder, with an exact account: nothing acked is
// lost (P1, P2), nothing is invented or altered (P3), and what was settled on disk stays settled.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BrokerProcess, startBroker, temporaryFolder } from '../support/broker.ts';
import { Random, seedOf } from '../support/random.ts';
import { readLog } from '../support/read-log.ts';
import { BUCKETS, consume, idOf, Ledger, produce } from './load.ts';

const CYCLES = Number(process.env.THRUSTMQ_TEST_KILLS ?? 20);
// Small segments, so that rolling, trimming and using files again happen between the kills.
const FLAGS = ['--segment-size', '8MiB', '--max-message', '64KiB'];

test(`${CYCLES} kill -9 cycles under load lose nothing that was acked`, async () => {
  const random = new Random(seedOf('kill'));
  const dataDir = temporaryFolder();
  const ledger = new Ledger();
  let ackedBefore = 0;
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    const broker = await startBroker({ dataDir, flags: FLAGS });
    await load(broker, ledger, random);
    // The moment of the kill is what is random here; nothing is waited for.
    await sleep(50 + random.below(350));
    await broker.kill();
    await judge(dataDir, ledger);
    assert.deepEqual(ledger.violations, []);
  }
  assert.ok(ledger.acked.size > ackedBefore, 'no load was accepted');
  ackedBefore = ledger.acked.size;
  const broker = await startBroker({ dataDir, flags: FLAGS });
  await drain(broker, ledger);
  const code = await broker.stop();
  assert.equal(code, 0);
  assert.deepEqual(ledger.violations, []);
  const lost = [...ledger.acked].filter((id) => !ledger.delivered.has(id));
  assert.deepEqual(lost, [], `${lost.length} of ${ledger.acked.size} acked messages were lost`);
  const again = [...ledger.delivered.values()].reduce((sum, n) => sum + n - 1, 0);
  console.log(
    `kill: ${CYCLES} cycles, ${ledger.sent} sent, ${ledger.acked.size} acked, 0 lost, ${again} delivered again`,
  );
});

async function load(broker: BrokerProcess, ledger: Ledger, random: Random): Promise<void> {
  for (let i = 0; i < 2; i++) await produce(broker.intake, ledger);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    await consume(broker.exhaust, { bucket, ledger, random });
    if (bucket === 0) await consume(broker.exhaust, { bucket, ledger, random });
  }
}

// What the log holds right after the kill decides what must and what must not come again.
async function judge(dataDir: string, ledger: Ledger): Promise<void> {
  const { messages, settled } = await readLog(dataDir);
  const inLog = new Set<number>();
  for (const [sequence, body] of messages) {
    const id = idOf(body);
    assert.ok(id !== undefined, 'the log holds bytes that nobody published');
    inLog.add(id);
    if (settled.has(sequence)) ledger.settled.add(id);
  }
  for (const id of ledger.acked) {
    if (inLog.has(id)) continue;
    // Gone from the log: only a consumer's ack may have done that.
    assert.ok(ledger.consumed.has(id), `acked message ${id} is neither in the log nor consumed`);
    ledger.settled.add(id);
  }
  for (const id of ledger.settled)
    assert.ok(ledger.consumed.has(id), `message ${id} is settled although no consumer acked it`);
}

async function drain(broker: BrokerProcess, ledger: Ledger): Promise<void> {
  await Promise.all(
    Array.from({ length: BUCKETS }, async (_, bucket) => {
      await new Promise<void>((idle) => {
        void consume(broker.exhaust, { bucket, ledger, idle });
      });
    }),
  );
}
