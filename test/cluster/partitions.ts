// Networks that are cut between the machines of a cluster, each with a node and a server of NATS;
// clients reach all of them all the time. As `strikes`: under load, and whole again at the end.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import type { Load } from './load.ts';
import type { Networks } from './networks.ts';
import { TTL_MS } from './nodes.ts';
import type { Rig } from './rig.ts';
import { type Figures, SOME, type Strike, untilAcked } from './strikes.ts';

const FLAPS = 4;
const FLAP_MS = 1000;

/** Cuts the owner off; another one must own, and the first must know it once it can. */
async function cutOwner(rig: Rig, load: Load, networks: Networks, cut: (owner: number) => void) {
  const { nodes } = rig;
  const { node } = await nodes.owner();
  const before = nodes.ownings.length;
  const depositions = nodes.depositions(node);
  cut(node);
  const next = await nodes.owner(before);
  assert.notEqual(next.node, node, 'who is cut off owns');
  const ms = await untilAcked(load);
  await load.acked(SOME);
  assert.ok(networks.dropped() > 0, 'nothing was cut');
  networks.heal();
  await nodes.deposed(node, depositions);
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

/** Nothing that the owner relays arrives, as if it were silent: the stream has it all the same. */
async function mute(rig: Rig, load: Load, networks: Networks) {
  const { nodes } = rig;
  const { node } = await nodes.owner();
  const before = nodes.ownings.length;
  const others = nodes.running.filter((each) => each !== node);
  const tries = () => nodes.said('cluster.campaigning').length;
  const triesBefore = tries();
  await load.acked(SOME);
  for (const other of others) networks.mute(node, other, nodes.clusterPort(node));
  for (const from = performance.now(); performance.now() - from < 3 * TTL_MS; )
    await load.acked(SOME);
  assert.ok(networks.dropped() > 0, 'nothing was cut');
  assert.equal(tries(), triesBefore, 'somebody has heard nothing of the owner');
  await nodes.kill(node);
  const next = await nodes.owner(before);
  const ms = await untilAcked(load);
  await load.acked(SOME);
  networks.heal();
  await nodes.start(node);
  assert.notEqual(next.node, node);
  return { 'until the next ack': ms };
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
    name: 'what the owner relays does not arrive',
    full: 10,
    run: (rig, load, { networks }) => mute(rig, load, networks),
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
