// Nodes whose clocks stand days apart: who owns is decided by the time that passes, never by what a
// clock shows, so owners change as ever, and nothing is lost.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../support/broker.ts';
import { needsCompiler, run } from '../support/machine.ts';
import { Random, seedOf } from '../support/random.ts';
import { summary } from './load.ts';
import { NatsCluster, SERVERS } from './nats.ts';
import { Nodes } from './nodes.ts';
import { Rig } from './rig.ts';
import { SOME } from './strikes.ts';

const random = new Random(seedOf('clocks of a cluster'));
const last = SERVERS.findLast(({ program }) => program !== undefined) ?? SERVERS[0]!;
const needs = last.skip === undefined ? needsCompiler : { skip: last.skip };
const DAY_S = 86_400;
const DAY_MS = DAY_S * 1000;
const SOURCE = new URL('../../../test/cluster/shifted-clock.c', import.meta.url);

test('clocks a day apart: owners change as ever', { ...needs, timeout: 180_000 }, async () => {
  const library = path.join(temporaryFolder(), 'shifted-clock.so');
  run('cc', '-shared', '-fPIC', '-O1', '-o', library, fileURLToPath(SOURCE), '-ldl');
  await using nats = await NatsCluster.start(last.program!);
  await using nodes = await Nodes.make({ nats });
  const start = (i: number) =>
    nodes.start(i, { env: { LD_PRELOAD: library, CLOCK_SHIFT_S: String((i - 1) * DAY_S) } });
  await Promise.all([0, 1, 2].map(start));
  const apart = nodes.running.map((i) => {
    const { time } = nodes.node(i).lines.find(({ event }) => event === 'ready')!;
    return Math.round((Date.parse(String(time)) - Date.now()) / DAY_MS) + 0; // no -0
  });
  assert.deepEqual(apart, [-1, 0, 1], 'the clocks are shifted');
  await using load = new Rig(nats, nodes).load(random);
  for (let kills = 0; kills < 2; kills++) {
    await load.acked(SOME);
    const before = nodes.ownings.length;
    const { node } = await nodes.owner();
    await nodes.kill(node);
    await nodes.owner(before);
    await load.acked(SOME);
    await start(node);
  }
  const judgement = await load.judge();
  load.assertFine(judgement);
  console.log(`clocks: ${summary(judgement)}`);
});
