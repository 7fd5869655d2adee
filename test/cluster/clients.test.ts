// The recording clients and the checker on a single broker that is killed: what they record holds,
// and what is wrong with a broker shows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePorts } from '../../bench/free-ports.ts';
import { startBroker, temporaryFolder } from '../support/broker.ts';
import { Random, seedOf } from '../support/random.ts';
import { Load, summary } from './load.ts';

const random = new Random(seedOf('clients of a cluster'));

test('what clients of a broker see that is killed holds', { timeout: 60_000 }, async () => {
  const dataDir = temporaryFolder();
  const [intake, exhaust] = (await freePorts(2)) as [number, number];
  const ports = ['--intake-port', String(intake), '--exhaust-port', String(exhaust)];
  const start = () => startBroker({ dataDir, flags: [...ports, '--segment-size', '8MiB'] });
  const host = '127.0.0.1';
  await using load = new Load({
    intake: [{ host, port: intake }],
    exhaust: [{ host, port: exhaust }],
    random,
  });
  for (let kills = 0; kills < 3; kills++) {
    await using broker = await start();
    await load.acked(2000);
    await broker.kill();
  }
  await using broker = await start();
  const judgement = await load.judge();
  load.assertFine(judgement);
  console.log(`clients: ${summary(judgement)}`);
  assert.ok(judgement.stored >= 6000 && judgement.again > 0);
  assert.equal(await broker.stop(), 0);
});
