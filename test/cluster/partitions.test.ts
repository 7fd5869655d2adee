// Each way to cut the networks of a cluster, once under load, and what its clients saw.

import { after, before, describe, test } from 'node:test';
import { Random, seedOf } from '../support/random.ts';
import { SERVERS } from './nats.ts';
import { Networks, needsNetworks } from './networks.ts';
import { PARTITIONS, strikesIn } from './partitions.ts';
import { Rig } from './rig.ts';
import { strikeIn } from './striking.ts';

const random = new Random(seedOf('partitions of a cluster'));
const last = SERVERS.findLast(({ program }) => program !== undefined) ?? SERVERS[0]!;
const needs = last.skip === undefined ? needsNetworks : { skip: last.skip };

describe(`networks that are cut, ${last.name}`, needs, () => {
  const program = last.program!;
  let networks: Networks;
  let rig: Rig;
  const begin = () => Rig.start(program, { places: networks.places });
  before(async () => {
    networks = new Networks();
    rig = await begin();
  });
  after(async () => {
    await rig[Symbol.asyncDispose]();
    networks[Symbol.dispose]();
  });

  for (const [at, { name }] of PARTITIONS.entries())
    test(name, { timeout: 300_000 }, async (t) => {
      const strike = strikesIn(networks)[at]!;
      const heal = () => networks.heal();
      if (!(await strikeIn(t, strike, rig, { random, program, heal }))) return;
      await rig[Symbol.asyncDispose]();
      rig = await begin();
    });
});
