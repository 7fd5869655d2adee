// A broker that is short of descriptors or of memory, or that the system does not run for a while.

import { setTimeout as sleep } from 'node:timers/promises';
import { encodeBatch } from '../../src/codec/wire.ts';
import { bodyOf, bucketOf, consume, Ledger } from '../e2e/load.ts';
import { RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { run } from '../support/machine.ts';
import { publishAll, recoverTwice, SMALL } from './account.ts';
import { load } from './random-kills.ts';
import { type FaultOptions, Tally, type Verdict } from './verdict.ts';

const DESCRIPTORS = 100;
const PEERS = 300;

/** More peers than there are descriptors: they are turned away in plain words, the log goes on. */
export async function fewDescriptors(): Promise<Verdict> {
  const tally = new Tally('few descriptors');
  const dataDir = temporaryFolder();
  const ledger = new Ledger();
  const wrapper = ['prlimit', `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`];
  const broker = await startBroker({ dataDir, flags: SMALL, wrapper });
  await broker.line((line) => line.event === 'connections.limit');
  const early = await RawPeer.connect(broker.intake);
  const peers: RawPeer[] = [];
  let turnedAway = 0;
  for (let i = 0; i < PEERS; i++) {
    const peer = await RawPeer.connect(i % 2 === 0 ? broker.intake : broker.exhaust);
    peers.push(peer);
    void peer.closed.then(() => turnedAway++);
  }
  await broker.line((line) => line.event === 'connections.full');
  // Who came in time publishes, and the log goes on from file to file beside them.
  const refused = await publishAll(early, ledger, 60);
  if (refused > 0) throw new Error(`few descriptors: ${refused} messages were refused`);
  tally.fire();
  const away = turnedAway;
  for (const peer of peers) peer.destroy();
  await Promise.all(peers.map((peer) => peer.closed));
  let back = false; // who left makes room, when the broker has seen it
  while (!back)
    back = await publishAll(broker.intake, ledger, 1).then(
      () => true,
      () => false,
    );
  await broker.kill();
  tally.found(await recoverTwice(dataDir, ledger));
  return tally.verdict(`${PEERS} peers, ${DESCRIPTORS} descriptors, ${away} turned away`);
}

/** The system gives the process no further memory under load: it dies, and nothing is lost. */
export async function noMemory({ points, untilMs, random }: FaultOptions): Promise<Verdict> {
  const tally = new Tally('no memory');
  const ends: (number | string)[] = [];
  for (let i = 0; i < points && performance.now() < untilMs; i++) {
    const dataDir = temporaryFolder();
    const ledger = new Ledger();
    const broker = await startBroker({ dataDir, flags: SMALL });
    await load(broker, ledger, random);
    const { pid } = await broker.line((line) => line.event === 'ready');
    // What it has now, and not a page more.
    run('prlimit', '--pid', String(pid), '--data=1:1');
    const peers: RawPeer[] = [];
    const crowd = async () => {
      while (peers.length < 2000) peers.push(await RawPeer.connect(broker.exhaust));
    };
    const refused = crowd().catch(() => 'refused');
    const how = await Promise.race([broker.exited, refused.then(() => sleep(3000, 'alive'))]);
    if (how === 'alive') await broker.kill();
    else tally.fire();
    ends.push(how);
    for (const peer of peers) peer.destroy();
    tally.found(await recoverTwice(dataDir, ledger));
  }
  return tally.verdict(`ended with ${ends.join(', ')}`);
}

const STALL_MS = 5000;

/** The process stands still for 5 s, longer than a heartbeat may take: nobody is dropped for it. */
export async function stalledProcess({ points, untilMs }: FaultOptions): Promise<Verdict> {
  const tally = new Tally('stalled process');
  const dataDir = temporaryFolder();
  const ledger = new Ledger();
  // Consumers have less time than the stall takes: it must not count against them.
  const flags = [...SMALL, '--heartbeat-timeout', '2s', '--partial-timeout', '2s'];
  const broker = await startBroker({ dataDir, flags });
  const { pid } = await broker.line((line) => line.event === 'ready');
  const sockets = await Promise.all(
    [0, 1, 2, 3].map((bucket) => consume(broker.exhaust, { bucket, ledger })),
  );
  const begun = await RawPeer.connect(broker.intake);
  const id = ledger.sent++;
  const batch = encodeBatch([{ bucket: BigInt(bucketOf(id)), body: bodyOf(id) }], 'u64');
  begun.send(batch.subarray(0, 2)); // half a header when it stalls, the rest afterwards
  let dropped = 0;
  for (const socket of sockets) socket.once('close', () => dropped++);
  for (let i = 0; i < points && performance.now() < untilMs; i++) {
    const publishing = publishAll(broker.intake, ledger, 20);
    process.kill(pid as number, 'SIGSTOP');
    await sleep(STALL_MS); // the fault itself
    process.kill(pid as number, 'SIGCONT');
    await publishing;
    tally.fire();
  }
  begun.send(batch.subarray(2));
  const [ack] = await begun.take(1);
  if (ack !== 1 || dropped > 0)
    throw new Error(`stalled process: ack ${ack}, ${dropped} consumers were dropped`);
  ledger.acked.add(id);
  begun.destroy();
  for (const socket of sockets) socket.destroy();
  await broker.kill();
  tally.found(await recoverTwice(dataDir, ledger));
  return tally.verdict(`${tally.fired} stalls of ${STALL_MS} ms, nobody dropped`);
}
