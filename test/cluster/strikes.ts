// What can strike a cluster, each once: under a load that goes on, with all put right again at the
// end. A strike throws if it did not bring about what it is for.

import assert from 'node:assert/strict';
import type { Random } from '../support/random.ts';
import type { Load } from './load.ts';
import { TTL_MS } from './nodes.ts';
import type { Rig } from './rig.ts';

/** What was measured, ms, by name. */
export type Figures = Record<string, number>;

export interface Strike {
  name: string;
  /** How many of it are the full count. */
  full: number;
  /** What a figure may be, ms; it is said how often it was more. */
  bounds?: Figures;
  run: (rig: Rig, load: Load, random: Random) => Promise<Figures>;
}

/** Enough that every bucket has some. */
export const SOME = 200;

/** Time until messages are acked again, from now. */
export async function untilAcked(load: Load): Promise<number> {
  const from = performance.now();
  await load.acked(1);
  return performance.now() - from;
}

/** Kills an owner, and `also`; gives how long it was until another one owned, and until it acked,
 * ms. An ack that the first one sent may still be on its way, so only those of connections that are
 * made anew count. */
async function killIt({ nodes }: Rig, load: Load, owner: number, also?: () => Promise<void>) {
  const before = nodes.ownings.length;
  const from = performance.now();
  const acked = load.ackedAnew();
  await Promise.all([nodes.kill(owner), also?.()]);
  await acked;
  const untilAcked = performance.now() - from;
  const next = await nodes.owner(before);
  assert.notEqual(next.node, owner, 'who was killed owns');
  return { untilOwned: next.ms - from, untilAcked };
}

/** Kills the owner; gives how long it was until the next ack. */
async function killOwner(rig: Rig, load: Load, random: Random) {
  const { nodes } = rig;
  const { node } = await nodes.owner();
  await load.acked(random.below(SOME));
  const { untilOwned, untilAcked } = await killIt(rig, load, node);
  await nodes.start(node);
  return { 'without an owner': untilOwned, 'until the next ack': untilAcked };
}

async function killFollower(rig: Rig, load: Load, random: Random) {
  const { nodes } = rig;
  const before = nodes.ownings.length;
  const node = await rig.follower(random);
  await nodes.kill(node);
  await load.acked(SOME);
  await nodes.start(node);
  await load.acked(SOME);
  assert.equal(nodes.ownings.length, before, 'a follower was lost, and the owner changed');
  return {};
}

async function killLeader(rig: Rig, load: Load, random: Random) {
  await load.acked(random.below(SOME));
  const leader = await rig.leader();
  await rig.nats.signal(leader, 'SIGKILL');
  const ms = await untilAcked(load);
  assert.notEqual(await rig.leader(leader), leader);
  rig.nats.startOne(leader);
  await rig.whole();
  return { 'without a leader': ms };
}

async function killBoth(rig: Rig, load: Load, random: Random) {
  const { nodes, nats } = rig;
  await load.acked(random.below(SOME));
  const { node } = await nodes.owner();
  const leader = await rig.leader();
  const withLeader = () => nats.signal(leader, 'SIGKILL');
  const { untilOwned, untilAcked } = await killIt(rig, load, node, withLeader);
  nats.startOne(leader);
  await Promise.all([nodes.start(node), rig.whole()]);
  return { 'without both': untilOwned, 'until the next ack': untilAcked };
}

async function stopOwner(rig: Rig, load: Load, random: Random) {
  const { nodes } = rig;
  await load.acked(random.below(SOME));
  const { node } = await nodes.owner();
  const before = nodes.ownings.length;
  const depositions = nodes.depositions(node);
  nodes.signal(node, 'SIGSTOP');
  const next = await nodes.owner(before);
  assert.notEqual(next.node, node);
  await load.acked(SOME);
  nodes.signal(node, 'SIGCONT');
  await nodes.deposed(node, depositions);
  return {};
}

async function stopLeader(rig: Rig, load: Load, random: Random) {
  await load.acked(random.below(SOME));
  const leader = await rig.leader();
  await rig.nats.signal(leader, 'SIGSTOP');
  await rig.leader(leader);
  await load.acked(SOME);
  await rig.nats.signal(leader, 'SIGCONT');
  await rig.whole();
  return {};
}

async function stepAside(rig: Rig, load: Load, random: Random) {
  const { nodes } = rig;
  await load.acked(random.below(SOME));
  const { node } = await nodes.owner();
  const before = nodes.ownings.length;
  const from = performance.now();
  assert.equal(await nodes.stop(node), 0);
  const next = await nodes.owner(before);
  assert.notEqual(next.node, node);
  const ms = next.ms - from;
  await nodes.start(node);
  return { 'orderly change': ms };
}

/** Every process of the cluster ends and comes again, one by one. */
async function restartAll(rig: Rig, load: Load) {
  const { nodes, nats } = rig;
  for (const node of nodes.running) {
    assert.equal(await nodes.stop(node), 0);
    await nodes.start(node);
    await load.acked(SOME);
  }
  for (const server of [0, 1, 2]) {
    await nats.signal(server, 'SIGTERM');
    nats.startOne(server);
    await rig.whole();
    await load.acked(SOME);
  }
  return {};
}

/** One node is all that is left, and must know everything; then the others come back. */
async function leaveAlone(rig: Rig, load: Load, node: number): Promise<void> {
  const { nodes } = rig;
  const before = nodes.ownings.length;
  const others = nodes.running.filter((each) => each !== node);
  await Promise.all(others.map((each) => nodes.kill(each)));
  const { node: owner } = await nodes.owner(before);
  assert.equal(owner, node);
  await load.acked(SOME);
  await Promise.all(others.map((each) => nodes.start(each)));
}

/** A node stands still while others go on, and is the only one left as soon as it moves. */
async function lagBehind(rig: Rig, load: Load, random: Random) {
  const node = await rig.follower(random);
  rig.nodes.signal(node, 'SIGSTOP');
  await load.acked(10 * SOME);
  rig.nodes.signal(node, 'SIGCONT');
  await leaveAlone(rig, load, node);
  return {};
}

/** A node comes with an empty folder, and is the only one left. */
async function beginAnew(rig: Rig, load: Load, random: Random) {
  const { nodes } = rig;
  const node = await rig.follower(random);
  await nodes.kill(node);
  nodes.forget(node);
  await load.acked(SOME);
  await nodes.start(node);
  await nodes.node(node).line(({ event }) => event === 'cluster.owner');
  await leaveAlone(rig, load, node);
  return {};
}

export const STRIKES: readonly Strike[] = [
  {
    name: 'kill -9 of the owner',
    full: 100,
    bounds: { 'until the next ack': TTL_MS + 500 },
    run: killOwner,
  },
  { name: 'kill -9 of a follower', full: 20, run: killFollower },
  { name: 'kill -9 of the leader of the stream', full: 20, run: killLeader },
  {
    name: 'kill -9 of both at once',
    full: 20,
    bounds: { 'until the next ack': 12_000 },
    run: killBoth,
  },
  { name: 'SIGSTOP of the owner', full: 20, run: stopOwner },
  { name: 'SIGSTOP of the leader of the stream', full: 20, run: stopLeader },
  { name: 'SIGTERM of the owner', full: 20, run: stepAside },
  { name: 'a node that lags behind', full: 10, run: lagBehind },
  { name: 'a node that begins anew', full: 10, run: beginAnew },
  { name: 'restart of everything, one by one', full: 5, run: restartAll },
];
