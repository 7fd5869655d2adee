// Many keys under `max_in_flight = 1`, several consumers for each, or any number for all of them
// behind a virtual bucket; some fail messages or leave, and the broker is killed in between. What
// happened is recorded as it happens, and each step is held against what one at a time and in order
// allow.

import { EventEmitter, once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeBatch } from '../../src/codec/wire.ts';
import { type BrokerProcess, RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { TestConsumer } from '../support/client.ts';
import type { Random } from '../support/random.ts';

export interface OneAtATime {
  keys: number;
  /** Messages that are published to each key, at least. */
  messages: number;
  /** Consumers of each key, or of the virtual bucket, where there is one. */
  consumers: number;
  /** All keys are consumed through a virtual bucket, so many messages at a time. */
  virtualBatch?: number;
  /** Kills of the broker, spread over the messages. */
  kills: number;
  /** Share of deliveries that fail, by three bytes in turn. */
  failed: number;
  /** Share of deliveries whose consumer leaves. */
  left: number;
  /** A message is held for less than so long. */
  holdMs: number;
  random: Random;
  /** Of the rule; null: there is none, and much must be found to be wrong. */
  maxInFlight?: number | null;
}

/** What came of it; `violations` is empty if all was as it must be. */
export interface Account {
  violations: string[];
  deliveries: number;
  failures: number;
  departures: number;
  /** Deliveries of messages that were acked before: their acks were lost in kills. */
  again: number;
}

const FIRST_KEY = 0x2a00_0000_0000_0000n;
const KEYS_MATCH = '0x2a00000000000000/0xff00000000000000';
const VIRTUAL = 42n;
const RETRY_MS = 40;
/** How long a message waits at least that was answered with a byte. */
const FAILURES: [byte: number, waitsMs: number][] = [
  [0, RETRY_MS],
  [0x44, 16],
  [3, 0],
];
/** Rounds of messages that are published before the earlier ones are done. */
const AHEAD = 3;
/** Violations that are told in full. */
const TOLD = 1000;
const isStored = (ack: number) => ack === 1;

/** One key: what was published to it, in order, and what became of it. */
class Key {
  published = 0;
  readonly stored = new Set<number>();
  readonly done = new Set<number>();
  /** Number of the last delivery of this life of the broker; -1: there was none. */
  last = -1;
  /** Who holds a message now. */
  holder: TestConsumer | undefined;
  /** The last delivery of this life was answered with 1. */
  isPast = false;
  notBeforeMs = 0;
}

class History extends EventEmitter {
  readonly keys: Key[];
  readonly account: Account = {
    violations: [],
    deliveries: 0,
    failures: 0,
    departures: 0,
    again: 0,
  };
  done = 0;

  constructor(keys: number) {
    super();
    this.keys = Array.from({ length: keys }, () => new Key());
  }

  #wrong(text: string): void {
    const { violations } = this.account;
    if (violations.length < TOLD) violations.push(text);
  }

  delivered(which: number, number: number, consumer: TestConsumer): void {
    const key = this.keys[which]!;
    const { last, isPast, holder } = key;
    this.account.deliveries++;
    if (key.done.has(number)) this.account.again++;
    const at = `key ${which}: ${number} was delivered`;
    if (holder !== undefined) this.#wrong(`${at} while another consumer held ${last}`);
    if (!(number < key.published)) this.#wrong(`${at}, which nobody published`);
    if (last >= 0 && !isPast && number !== last) this.#wrong(`${at} before ${last} was done`);
    if (last >= 0 && isPast && number <= last) this.#wrong(`${at} after ${last} was done`);
    // What is before it in the order of publishing is done, in this life or an earlier one.
    for (let each = Math.max(0, isPast ? last : 0); each < number; each++)
      if (key.stored.has(each) && !key.done.has(each)) this.#wrong(`${at}, ${each} was not`);
    const earlyMs = key.notBeforeMs - performance.now();
    // Of two clocks.
    if (earlyMs > 1) this.#wrong(`${at} ${earlyMs.toFixed(1)} ms early`);
    key.last = number;
    key.isPast = false;
    key.holder = consumer;
  }

  /** It was done, or failed and waits. Called before the broker is told. */
  answered(which: number, number: number, waitsMs: number | undefined): void {
    const key = this.keys[which]!;
    key.holder = undefined;
    key.isPast = waitsMs === undefined;
    if (waitsMs !== undefined) {
      this.account.failures++;
      key.notBeforeMs = performance.now() + waitsMs;
      return;
    }
    if (key.done.has(number)) return;
    key.done.add(number);
    this.done++;
    this.emit('done');
  }

  /** Its consumer leaves. Called before the connection ends. */
  left(held: readonly number[]): void {
    this.account.departures++;
    for (const which of held) this.keys[which]!.holder = undefined;
  }

  /** The broker was killed, and all that it sent was seen. */
  restarted(): void {
    for (const key of this.keys) {
      key.holder = undefined;
      key.last = -1;
      key.isPast = false;
      key.notBeforeMs = 0;
    }
  }

  /** `isOver`: nobody waits for it any more, which is looked at with each `done`. */
  async untilDone(count: number, isOver = () => false): Promise<void> {
    while (this.done < count && !isOver()) await once(this, 'done');
  }

  get isComplete(): boolean {
    return this.keys.every(({ stored, done }) => [...stored].every((number) => done.has(number)));
  }
}

/** From a start of the broker to its end. */
class Life {
  readonly #options: OneAtATime;
  readonly #history: History;
  readonly #broker: BrokerProcess;
  readonly #peers = new Set<{ destroy(): void }>();
  readonly #running: Promise<void>[];
  isOver = false;

  constructor(options: OneAtATime, history: History, broker: BrokerProcess) {
    this.#options = options;
    this.#history = history;
    this.#broker = broker;
    const { keys, virtualBatch } = options;
    const perKey = virtualBatch === undefined ? keys : 1;
    const consumers = Array.from({ length: perKey * options.consumers }, (_, i) =>
      this.#untilOver(() => this.#consume(i % keys)),
    );
    this.#running = [this.#untilOver(() => this.#produce()), ...consumers];
  }

  // Connections end when the broker does.
  async #untilOver(work: () => Promise<void>): Promise<void> {
    while (!this.isOver) {
      try {
        await work();
        return;
      } catch (error) {
        if (!this.isOver) throw error;
      }
    }
  }

  /** A message for each key after the other, a little ahead of those that are done. */
  async #produce(): Promise<void> {
    const { messages, keys } = this.#options;
    const history = this.#history;
    const peer = await RawPeer.connect(this.#broker.intake);
    this.#peers.add(peer);
    while (history.keys[0]!.stored.size < messages) {
      const round = history.keys[0]!.published;
      const bodies = history.keys.map((key, which) => ({
        bucket: FIRST_KEY + BigInt(which),
        body: Buffer.from(`${which} ${key.published++}`),
      }));
      peer.send(encodeBatch(bodies, 'u64'));
      const acks = await peer.take(keys);
      if (!acks.every(isStored)) throw new Error('the broker refused messages');
      for (const key of history.keys) key.stored.add(round);
      const behind = (history.keys[0]!.stored.size - AHEAD) * keys;
      await history.untilDone(behind, () => this.isOver);
      if (this.isOver) return;
    }
  }

  async #consume(which: number): Promise<void> {
    const { virtualBatch } = this.#options;
    const bucket = virtualBatch === undefined ? FIRST_KEY + BigInt(which) : VIRTUAL;
    while (!this.isOver) {
      const consumer = await TestConsumer.join(this.#broker.exhaust, bucket, virtualBatch ?? 10);
      this.#peers.add(consumer.peer);
      while (await this.#handle(which, consumer));
      this.#peers.delete(consumer.peer);
    }
  }

  /** One delivery; false: the consumer left. */
  async #handle(which: number, consumer: TestConsumer): Promise<boolean> {
    const { failed, left, holdMs, random, virtualBatch } = this.#options;
    const history = this.#history;
    const messages: [key: number, number: number][] = [];
    for (const body of await consumer.batch()) {
      const [key, number] = Buffer.from(body).toString().split(' ').map(Number);
      if (virtualBatch === undefined && key !== which)
        throw new Error(`key ${which} was given a message of key ${key}`);
      history.delivered(key!, number!, consumer);
      messages.push([key!, number!]);
    }
    await sleep(random.below(holdMs));
    if (this.isOver) return false;
    if (random.chance(left)) {
      history.left(messages.map(([key]) => key));
      consumer.leave();
      return false;
    }
    for (const [key, number] of messages) {
      const [byte, waitsMs] = random.chance(failed)
        ? FAILURES[random.below(FAILURES.length)]!
        : [1, undefined];
      history.answered(key, number, waitsMs);
      consumer.ack(byte);
    }
    return true;
  }

  /** Until what `ends` the broker has ended it, or all are told to go, and everything was seen. */
  async end(ends: () => Promise<void>): Promise<void> {
    this.isOver = true;
    await ends();
    for (const peer of this.#peers) peer.destroy();
    this.#history.emit('done'); // for whoever waits for it
    await Promise.all(this.#running);
  }

  /** Rejects if it cannot go on. */
  async runs(until: Promise<void>): Promise<void> {
    await Promise.race([until, Promise.all(this.#running).then(() => until)]);
  }
}

function configOf({ maxInFlight, virtualBatch }: OneAtATime): string {
  const file = path.join(temporaryFolder(), 'rules.toml');
  const limit = maxInFlight === null ? '' : `max_in_flight = ${maxInFlight ?? 1}\n`;
  let text = `[[rule]]\nname = "keys"\nmatch = "${KEYS_MATCH}"\nretry = "${RETRY_MS}ms"\n${limit}`;
  if (virtualBatch !== undefined)
    text += `[[rule]]\nname = "workers"\nmatch = ${VIRTUAL}\nsources = "${KEYS_MATCH}"\n`;
  fs.writeFileSync(file, text);
  return file;
}

export async function oneAtATime(options: OneAtATime): Promise<Account> {
  const { keys, messages, kills } = options;
  const history = new History(keys);
  const flags = ['--config', configOf(options)];
  const dataDir = temporaryFolder();
  for (let life = 0; life <= kills; life++) {
    await using broker = await startBroker({ dataDir, flags });
    const running = new Life(options, history, broker);
    if (life < kills) {
      await running.runs(
        history.untilDone(Math.ceil((keys * messages * (life + 1)) / (kills + 1))),
      );
      await running.end(() => broker.kill());
      history.restarted();
      continue;
    }
    await running.runs(history.untilDone(keys * messages));
    while (!history.isComplete) await running.runs(once(history, 'done').then(() => {}));
    await running.end(async () => {});
    const code = await broker.stop();
    if (code !== 0) history.account.violations.push(`the broker ended with ${code}`);
  }
  return history.account;
}
