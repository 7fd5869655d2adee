// A broker that is short of descriptors or of memory, or that the system does not run for a while.

import { setTimeout as sleep } from 'node:timers/promises';
import { consume, Ledger } from '../e2e/load.ts';
import { RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish, TestConsumer } from '../support/client.ts';
import { publishAll, recoverTwice, SMALL } from './account.ts';
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
  // One that came in time goes on, while each second publish rolls the log into a new file.
  const idle = await TestConsumer.join(broker.exhaust, 900n, 1);
  const early = publishAll(broker.intake, ledger, 40);
  const peers: RawPeer[] = [];
  for (let i = 0; i < PEERS; i++) peers.push(await RawPeer.connect(broker.intake));
  await broker.line((line) => line.event === 'connections.full');
  await early;
  let turnedAway = 0;
  for (const peer of peers) {
    void peer.closed.then(() => turnedAway++);
  }
  await sleep(0);
  for (const peer of peers) peer.destroy();
  await Promise.all(peers.map((peer) => peer.closed));
  tally.fire();
  // Who left made room.
  let again: number[] | undefined;
  while (again === undefined)
    again = await publish(broker.intake, 900n, ['room again']).catch(() => undefined);
  if (again[0] !== 1) throw new Error('few descriptors: a publish was refused afterwards');
  const [body] = await idle.take(1);
  if (Buffer.from(body!).toString() !== 'room again')
    throw new Error('few descriptors: the consumer that was there got something else');
  idle.leave();
  await broker.kill();
  const found = await recoverTwice(dataDir, ledger);
  found.altered--; // the one message that is not of the ledger's
  tally.found(found);
  return tally.verdict(`${PEERS} peers, ${DESCRIPTORS} descriptors, ${turnedAway} turned away`);
}

/** The process gets no memory beyond what a start needs: it ends, or goes on; nothing is lost. */
export async function littleMemory({ points, untilMs }: FaultOptions): Promise<Verdict> {
  const tally = new Tally('little memory');
  const ends = new Map<number | string, number>();
  for (let i = 0; i < points && performance.now() < untilMs; i++) {
    const dataDir = temporaryFolder();
    const ledger = new Ledger();
    const env = { NODE_OPTIONS: `--max-old-space-size=${8 + 2 * i}` };
    const broker = await startBroker({ dataDir, flags: SMALL, env }).catch(() => undefined);
    tally.fire();
    if (broker === undefined) {
      ends.set('no start', (ends.get('no start') ?? 0) + 1);
      continue;
    }
    const work = Array.from({ length: 8 }, () =>
      publishAll(broker.intake, ledger, 30).catch(() => {}),
    );
    await Promise.all(work);
    const how = await broker.stop();
    ends.set(how, (ends.get(how) ?? 0) + 1);
    tally.found(await recoverTwice(dataDir, ledger));
  }
  return tally.verdict([...ends].map(([how, times]) => `${times} ended with ${how}`).join(', '));
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
  begun.send(Uint8Array.of(1, 0)); // half a header when it stalls, the rest afterwards
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
  begun.send(Buffer.from('000084030000000000000100000000000000', 'hex'));
  begun.send(Uint8Array.of(42));
  const [ack] = await begun.take(1);
  if (ack !== 1 || dropped > 0)
    throw new Error(`stalled process: ack ${ack}, ${dropped} consumers were dropped`);
  begun.destroy();
  for (const socket of sockets) socket.destroy();
  await broker.kill();
  const found = await recoverTwice(dataDir, ledger);
  found.altered--; // the one byte that is not of the ledger's
  tally.found(found);
  return tally.verdict(`${tally.fired} stalls of ${STALL_MS} ms, nobody dropped`);
}
