// kill -9 at random moments under load, again and again on one data folder, with an exact account.

import { setTimeout as sleep } from 'node:timers/promises';
import { BUCKETS, consume, Ledger, produce } from '../e2e/load.ts';
import { type BrokerProcess, startBroker, temporaryFolder } from '../support/broker.ts';
import type { Random } from '../support/random.ts';
import { drain, judge } from './account.ts';
import { type FaultOptions, Tally, type Verdict } from './verdict.ts';

// Small segments, so that rolling, trimming and using files again happen between the kills.
const FLAGS = ['--segment-size', '8MiB', '--max-message', '64KiB'];

/** Two producers; five consumers, who sometimes fail messages and sometimes leave. */
export async function load(broker: BrokerProcess, ledger: Ledger, random: Random): Promise<void> {
  for (let i = 0; i < 2; i++) await produce(broker.intake, ledger);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    await consume(broker.exhaust, { bucket, ledger, random });
    if (bucket === 0) await consume(broker.exhaust, { bucket, ledger, random });
  }
}

/** `points` kills. */
export async function randomKills({ points, untilMs, random }: FaultOptions): Promise<Verdict> {
  const tally = new Tally('kill -9 at random under load');
  const dataDir = temporaryFolder();
  const ledger = new Ledger();
  for (let cycle = 0; cycle < points && performance.now() < untilMs; cycle++) {
    const before = ledger.acked.size;
    const broker = await startBroker({ dataDir, flags: FLAGS });
    await load(broker, ledger, random);
    // The moment of the kill is what is random here; nothing is waited for.
    await sleep(50 + random.below(350));
    await broker.kill();
    if (ledger.acked.size > before) tally.fire();
    tally.found(await judge(dataDir, ledger));
  }
  const broker = await startBroker({ dataDir, flags: FLAGS });
  await drain(broker, ledger);
  const code = await broker.stop();
  if (code !== 0) throw new Error(`after the kills the broker stopped with ${code}`);
  const lost = [...ledger.acked].filter((id) => !ledger.delivered.has(id)).length;
  tally.found({ lost, altered: ledger.violations.length });
  const again = [...ledger.delivered.values()].reduce((sum, n) => sum + n - 1, 0);
  return tally.verdict(
    `${ledger.sent} sent, ${ledger.acked.size} acked, ${again} delivered again${ledger.violations
      .slice(0, 3)
      .map((text) => `; ${text}`)
      .join('')}`,
  );
}
