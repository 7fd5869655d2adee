// A producer that publishes everything twice, since the broker was killed, or stopped, in between:
// each message is stored once, and consumed once.

import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BrokerProcess, RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { batchOf, publish, TestConsumer, texts } from '../support/client.ts';
import type { Random } from '../support/random.ts';

export interface OnceOnly {
  /** Ends of the broker, each in the middle of what is published. */
  kills: number;
  /** Of these, so many in a hundred are an orderly stop in place of a kill. */
  stopped: number;
  /** Messages that are published before each of them. */
  messages: (random: Random) => number;
  /** Messages in a batch that is sent the second time. */
  batch: number;
  /** The broker ends at most so long after the first of them was sent. */
  waitMs: number;
  random: Random;
}

/** What came of it. */
export interface OnceAccount {
  published: number;
  /** What was found in the bucket at the end, in order. */
  found: string[];
  /** All that was published. */
  all: string[];
  /** Messages that were answered as published before, in the last life alone. */
  duplicates: number;
  /** Answers other than "stored", of all that was sent with a broker that lives on. */
  refused: number;
  /** Messages of which the first answers had arrived when the broker ended. */
  answered: number;
  kills: number;
  stops: number;
  code: number | string;
}

const BUCKET = 7n;
const END = 'the end';
const RULE = '[[rule]]\nname = "once"\nmatch = 7\ndedup = "1h"\n';

/** Publishes and awaits the answers; how many of them are not "stored". */
async function send(broker: BrokerProcess, bodies: string[], batch: number): Promise<number> {
  let refused = 0;
  for (let at = 0; at < bodies.length; at += batch) {
    const acks = await publish(broker.intake, BUCKET, bodies.slice(at, at + batch));
    refused += acks.filter((byte) => byte !== 1).length;
  }
  return refused;
}

/** All that the bucket holds: up to what is published last. */
async function consumed(broker: BrokerProcess): Promise<string[]> {
  await publish(broker.intake, BUCKET, [END]);
  const consumer = await TestConsumer.join(broker.exhaust, BUCKET, 65_536);
  const found: string[] = [];
  while (found.at(-1) !== END) {
    const batch = texts(await consumer.batch());
    found.push(...batch);
    consumer.ack(...batch.map(() => 1));
  }
  consumer.leave();
  return found.slice(0, -1);
}

/** Everything that is published is, once more, when all was. */
export async function onceOnly(options: OnceOnly): Promise<OnceAccount> {
  const { random, batch } = options;
  const dataDir = temporaryFolder();
  const config = path.join(temporaryFolder(), 'rules.toml');
  fs.writeFileSync(config, RULE);
  const start = () => startBroker({ dataDir, dashboard: true, flags: ['--config', config] });
  let broker = await start();
  const all: string[] = [];
  const counts = { refused: 0, answered: 0, kills: 0, stops: 0 };
  for (let life = 0; life < options.kills; life++) {
    const bodies = Array.from({ length: options.messages(random) }, (_, i) => `${life}.${i}`);
    for (const body of bodies) all.push(body);
    // The first time nobody waits for the answers.
    const peer = await RawPeer.connect(broker.intake);
    for (let at = 0; at < bodies.length; at += 50) {
      const some = bodies.slice(at, at + 50).map((body) => Buffer.from(body));
      peer.send(batchOf(BUCKET, some));
    }
    await sleep(random.below(options.waitMs));
    const isStop = random.below(100) < options.stopped;
    if (isStop) await broker.stop();
    else await broker.kill();
    if (isStop) counts.stops++;
    else counts.kills++;
    counts.answered += peer.received.length;
    peer.destroy();
    broker = await start();
    counts.refused += await send(broker, bodies, batch);
  }
  counts.refused += await send(broker, all, batch);
  const metrics = await (await fetch(`http://127.0.0.1:${broker.dashboard}/metrics`)).text();
  const duplicates = Number(/thrustmq_messages_duplicate_total (\d+)/.exec(metrics)![1]);
  const found = await consumed(broker);
  const code = await broker.stop();
  return { ...counts, published: all.length, all, found, duplicates, code };
}
