// Each way to cut the networks of a cluster, once under load, and what its clients saw.

import { after, before, describe, test } from 'node:test';
import { Random, seedOf } from '../support/random.ts';
import { Measured, strikeOnce } from './index.ts';
import { summary } from './load.ts';
import { SERVERS } from './nats.ts';
import { Networks, needsNetworks } from './networks.ts';
import { PARTITIONS, strikesIn } from './partitions.ts';
import { Rig } from './rig.ts';

const random = new Random(seedOf('partitions of a cluster'));
const last = SERVERS.findLast(({ program }) => program !== undefined) ?? SERVERS[0]!;
const needs = last.skip === undefined ? needsNetworks : { skip: last.skip };

describe(`networks that are cut, ${last.name}`, needs, () => {
  let networks: Networks;
  let rig: Rig;
  before(async () => {
    networks = new Networks();
    rig = await Rig.start(last.program!, { places: networks.places });
  });
  after(async () => {
    await rig[Symbol.asyncDispose]();
    networks[Symbol.dispose]();
  });

  for (const [at, { name }] of PARTITIONS.entries())
    test(name, { timeout: 300_000 }, async () => {
      const measured = new Measured();
      const strike = strikesIn(networks)[at]!;
      const { load, judgement } = await strikeOnce(strike, rig, { random, measured });
      load.assertFine(judgement);
      console.log(`${name}: ${summary(judgement)}${measured}`);
    });
});
