// Networks that are cut between the machines of a cluster, each with a node and a server of NATS;
// clients reach all of them all the time. As `strikes`: under load, and whole again at the end.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import type { Load } from './load.ts';
import type { Networks } from './networks.ts';
import type { Rig } from './rig.ts';
import { type Figures, SOME, type Strike, untilAcked } from './strikes.ts';

const FLAPS = 4;
const FLAP_MS = 1000;

/** Cuts the owner off; another one must own, and the first must know it once it can. */
async function cutOwner(rig: Rig, load: Load, networks: Networks, cut: (owner: number) => void) {
  const { nodes } = rig;
  const { node } = await nodes.owner();
  const before = nodes.ownings.length;
  cut(node);
  const next = await nodes.owner(before);
  assert.notEqual(next.node, node, 'who is cut off owns');
  const ms = await untilAcked(load);
  await load.acked(SOME);
  assert.ok(networks.dropped() > 0, 'nothing was cut');
  networks.heal();
  await nodes.deposed(node);
  await rig.whole();
  await load.acked(SOME);
  return { 'until the next ack': ms };
}

async function serverElsewhere(rig: Rig, random: Random): Promise<void> {
  const { node } = await rig.nodes.owner();
  await rig.moveLeader((node + 1 + random.below(2)) % 3);
}

async function flap(rig: Rig, load: Load, networks: Networks) {
  const { node } = await rig.nodes.owner();
  let dropped = 0;
  for (let i = 0; i < FLAPS; i++) {
    networks.isolate(node);
    await sleep(FLAP_MS); // the fault itself
    dropped += networks.dropped();
    networks.heal();
    await sleep(FLAP_MS);
  }
  assert.ok(dropped > 0, 'nothing was cut');
  await rig.whole();
  await load.acked(SOME);
  return {};
}

/** A strike that needs networks of its own. */
export interface Partition {
  name: string;
  full: number;
  run: (rig: Rig, load: Load, more: { random: Random; networks: Networks }) => Promise<Figures>;
}

export const PARTITIONS: readonly Partition[] = [
  {
    name: 'the owner is cut off with the leader of the stream',
    full: 20,
    run: async (rig, load, { networks }) => {
      await rig.moveLeader((await rig.nodes.owner()).node);
      return cutOwner(rig, load, networks, (owner) => networks.isolate(owner));
    },
  },
  {
    name: 'the owner is cut off from the leader of the stream',
    full: 20,
    run: async (rig, load, { random, networks }) => {
      await serverElsewhere(rig, random);
      return cutOwner(rig, load, networks, (owner) => networks.isolate(owner));
    },
  },
  {
    name: 'the owner hears nothing, and is heard',
    full: 20,
    run: async (rig, load, { random, networks }) => {
      await serverElsewhere(rig, random);
      return cutOwner(rig, load, networks, (owner) => {
        for (const other of [0, 1, 2].filter((each) => each !== owner)) networks.cut(other, owner);
      });
    },
  },
  {
    name: 'the network of the owner comes and goes',
    full: 10,
    run: (rig, load, { networks }) => flap(rig, load, networks),
  },
];

/** The partitions as strikes on a rig in these networks. */
export function strikesIn(networks: Networks): Strike[] {
  return PARTITIONS.map(({ name, full, run }) => ({
    name,
    full,
    run: (rig, load, random) => run(rig, load, { random, networks }),
  }));
}
