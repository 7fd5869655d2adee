// The load on a peer, in a process of its own: `node build/bench/peers/client.js PLAN`, PLAN a
// ClientPlan in JSON. Keeps so many messages unconfirmed on each connection, counts what comes
// back. Says `measuring` and `measured` at the two ends of the window, and `result` at the end.

import { setTimeout as sleep } from 'node:timers/promises';
import { onLeave, say } from '../process.ts';
import { AMQP } from './amqp.ts';
import { BEANSTALK } from './beanstalk.ts';
import { NATS } from './nats.ts';
import type { Protocol, Publisher, Speaker } from './protocol.ts';
import { REDIS } from './redis.ts';

export interface ClientPlan {
  protocol: Protocol;
  port: number;
  messageBytes: number;
  /** Publishing connections. */
  producers: number;
  /** Messages that each sends in one piece. */
  batchMessages: number;
  /** Such pieces that may be unconfirmed on each connection. */
  inFlight: number;
  /** With one consumer; producers wait while more than this waits for it. */
  backlogMessagesMax: number | undefined;
  /** Copies of the queue, where the protocol can say that. Default 1. */
  replicas?: number;
  warmupMs: number;
  durationMs: number;
}

export interface ClientResult {
  seconds: number;
  publishedPerSecond: number;
  deliveredPerSecond: number;
}

const SPEAKERS: Record<Protocol, Speaker> = {
  redis: REDIS,
  nats: NATS,
  amqp: AMQP,
  beanstalk: BEANSTALK,
};

onLeave(() => process.exit(0));
const plan = JSON.parse(process.argv[2] ?? '{}') as ClientPlan;
const { batchMessages, inFlight, backlogMessagesMax } = plan;
const speaker = SPEAKERS[plan.protocol];
const window = batchMessages * inFlight;
const consumes = backlogMessagesMax !== undefined;
const unconfirmed: number[] = new Array(plan.producers).fill(0);
const publishers: Publisher[] = [];
let published = 0;
let delivered = 0;

function fail(error: Error): never {
  say('failed', { why: error.message });
  process.exit(1);
}

function pump(index: number): void {
  while (unconfirmed[index] + batchMessages <= window) {
    if (backlogMessagesMax !== undefined && published - delivered > backlogMessagesMax) return;
    unconfirmed[index] += batchMessages;
    publishers[index].send();
  }
}

const pumpAll = (): void => {
  for (let index = 0; index < publishers.length; index++) pump(index);
};

const common = { port: plan.port, messageBytes: plan.messageBytes, batchMessages, onFailure: fail };

async function run(): Promise<ClientResult> {
  await speaker.prepare(plan.port, plan.replicas);
  for (let index = 0; index < plan.producers; index++) {
    const onMessages = (count: number): void => {
      unconfirmed[index] -= count;
      published += count;
      pump(index);
    };
    publishers.push(await speaker.publisher({ ...common, onMessages }));
  }
  if (consumes) {
    const onMessages = (count: number): void => {
      delivered += count;
      pumpAll();
    };
    await speaker.subscriber({ ...common, onMessages });
  }
  pumpAll();
  await sleep(plan.warmupMs);
  say('measuring');
  const from = { atMs: performance.now(), published, delivered };
  await sleep(plan.durationMs);
  const seconds = (performance.now() - from.atMs) / 1000;
  const result = {
    seconds,
    publishedPerSecond: (published - from.published) / seconds,
    deliveredPerSecond: (delivered - from.delivered) / seconds,
  };
  say('measured');
  return result;
}

try {
  say('result', { result: await run() });
} catch (error) {
  fail(error as Error);
}
process.stdin.destroy();
// Nobody is said goodbye to: the server is not wanted any more either.
process.exit(0);
