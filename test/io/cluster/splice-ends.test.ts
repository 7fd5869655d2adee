// A consumer that goes while another node passes it on: whenever and however it goes, the owner
// learns of it, and what the consumer held is given to the next one.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Outcome } from '../../../src/contract/commands.ts';
import { NodeToken } from '../../../src/io/cluster/node-token.ts';
import { publish, TestConsumer, texts } from '../../support/client.ts';
import { OtherNode, OwnerSide, tokenFile } from './rig.ts';
import { startOwner } from './serving.ts';

const MESSAGES = 6;
// A consumer that nobody misses would be waited for without end.
const options = { timeout: 10_000 };
// The broker finds out by itself what a node does not tell it, but not while a case runs.
const PATIENT = { consumer_header_timeout: '1h', heartbeat: '1h', heartbeat_timeout: '1h' };
// What the systems between both do not take of so much is held by the node.
const LARGE_BYTES = 16 * 1024 * 1024;

const WAYS: Record<string, (consumer: TestConsumer) => void> = {
  'ends its side': ({ peer }) => void peer.socket.end(),
  closes: ({ peer }) => void peer.socket.destroy(),
  'breaks off': ({ peer }) => void peer.socket.resetAndDestroy(),
};

interface Passing {
  node: OtherNode;
  at: { host: string; port: number };
  /** Called as the owner takes a connection, before it reads of it. */
  taken: (call: () => void) => void;
  /** A consumer of the bucket of this case. */
  join: () => Promise<TestConsumer>;
  until: Until;
}

/** When it goes; gives how many messages it has answered by then. */
const MOMENTS: Record<string, (passing: Passing, go: Go) => Promise<number>> = {
  'before an owner is known': async ({ node, at, join, until }, go) => {
    node.splicer.owner(undefined);
    const consumer = await join();
    await until(() => node.splicer.open > 0); // what is reset before that, it never sees
    go(consumer);
    node.splicer.owner(at);
    return 0;
  },
  'while it is joined to the owner': async ({ node, join, until }, go) => {
    const consumer = await join();
    await until(() => node.splicer.open > 0);
    go(consumer);
    return 0;
  },
  'as the owner takes it': async ({ taken, join }, go) => {
    let consumer: TestConsumer | undefined;
    const isTaken = new Promise<void>((resolve) =>
      taken(() => {
        if (consumer !== undefined) go(consumer);
        resolve();
      }),
    );
    consumer = await join();
    await isTaken;
    go(consumer);
    return 0;
  },
  'with a delivery': async ({ join }, go) => {
    const consumer = await join();
    assert.equal((await consumer.batch()).length, MESSAGES);
    go(consumer);
    return 0;
  },
  'with half of a delivery': async ({ join }, go) => {
    const consumer = await join();
    assert.equal((await consumer.batch()).length, MESSAGES);
    consumer.ack(1, 1, 1);
    go(consumer);
    return 3;
  },
};

type Go = (consumer: TestConsumer) => void;

type Until = (isSo: () => boolean | Promise<boolean>) => Promise<void>;

/** Looks in each turn of the event loop whether it is so, as long as the test goes on. */
const untilIn =
  ({ signal }: TestContext): Until =>
  async (isSo) => {
    while (!(await isSo())) {
      signal.throwIfAborted();
      await new Promise(setImmediate);
    }
  };

async function passing(t: TestContext) {
  const { server } = await startOwner(t, PATIENT);
  let taken: (() => void) | undefined;
  const owner = await new OwnerSide({
    token: new NodeToken(tokenFile()),
    adopt: (socket, client) => {
      taken?.();
      taken = undefined;
      server.adopt(socket, client.side, client);
    },
  }).listen();
  const node = await new OtherNode().listen();
  t.after(() => {
    node.close();
    owner.close();
  });
  const at = { host: '127.0.0.1', port: owner.port };
  node.splicer.owner(at);
  const open = () =>
    new Promise<number>((resolve, reject) =>
      server.command({ kind: 'connections', limit: 10 }, (outcome: Outcome) =>
        outcome.ok
          ? resolve((outcome.result as { connections: unknown[] }).connections.length)
          : reject(new Error(outcome.detail)),
      ),
    );
  const [intake, exhaust] = [server.addresses.intake, server.addresses.exhaust].map(
    ([address]) => address!.port,
  ) as [number, number];
  return { node, at, open, intake, exhaust, taken: (call: () => void) => (taken = call) };
}

for (const [moment, goIn] of Object.entries(MOMENTS))
  for (const [way, go] of Object.entries(WAYS))
    test(`${moment} a consumer ${way}`, options, async (t) => {
      const until = untilIn(t);
      const { open, intake, exhaust, ...parts } = await passing(t);
      const { node } = parts;
      const isOver = async () => (await open()) === 0 && node.splicer.open === 0;
      const bodies = Array.from({ length: MESSAGES }, (_, i) => `${i}`);
      await publish(intake, 7n, bodies);
      await until(isOver);
      const join = () => TestConsumer.join(node.exhaust, 7n, MESSAGES);
      const answered = await goIn({ ...parts, join, until }, go);
      // As the node passes only that one on, nothing else's end stands in for it.
      const next = await TestConsumer.join(exhaust, 7n, MESSAGES);
      // Acks that were on their way when the connection broke off may be lost.
      const came = new Set<string>();
      while (came.size < MESSAGES - answered)
        for (const body of texts(await next.take(1))) came.add(body);
      for (const body of bodies.slice(answered)) assert.ok(came.has(body), `${body} is missing`);
      next.leave();
      await until(isOver);
    });

for (const [way, go] of Object.entries(WAYS))
  test(`without having read what came a consumer ${way}`, options, async (t) => {
    const until = untilIn(t);
    const owner = await new OwnerSide({ token: new NodeToken(tokenFile()) }).listen();
    const node = await new OtherNode().listen();
    t.after(() => {
      node.close();
      owner.close();
    });
    node.splicer.owner({ host: '127.0.0.1', port: owner.port });
    const consumer = await TestConsumer.join(node.exhaust, 7n, 1);
    const { socket } = await owner.next();
    consumer.peer.socket.pause();
    const isOver = new Promise((resolve) => socket.on('close', resolve));
    socket.on('end', () => socket.destroy()).resume(); // as a broker does
    socket.write(Buffer.alloc(LARGE_BYTES));
    await until(() => node.splicer.heldBytes > 0);
    go(consumer);
    await isOver;
    consumer.leave();
    await until(() => node.splicer.open === 0);
  });
