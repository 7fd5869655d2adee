// One message that kills whoever works on it, among others that are given away together: how many
// deaths it takes until it is put aside, and how many innocent messages go with it.

import type net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ACK_DONE } from '../assembly/layout.ts';
import { DeliveryDecoder, encodeBatch, encodeConsumerHeader } from '../src/codec/wire.ts';
import type { PrivateBroker } from '../src/load/child.ts';
import { connect } from '../src/load/connect.ts';
import { deadline } from '../src/time/deadline.ts';
import { cancel } from '../src/time/timers.ts';
import type { Bed } from './bed.ts';
import { ackUpTo, type Channel, confirming, consuming, declare, publishing } from './peers/amqp.ts';
import { bodyOf } from './peers/protocol.ts';
import { startSystem } from './peers/running.ts';
import { SYSTEMS } from './peers/systems.ts';
import { withRules } from './ruled.ts';
import { absent, type Figure, figure } from './samples.ts';
import type { Scenario } from './scenario.ts';

const MESSAGES = 5000;
const POISON_AT = 500;
const PREFETCH = 1024;
const DELIVERIES = 5;
const BODY_BYTES = 100;
const POISON_BYTES = 101;
/** A queue that gives nothing for so long is empty. */
const QUIET_MS = 2000;
/** The broker is killed behind each so many deaths. */
const KILL_EVERY = 3;
/** What it had no time to write, some 50 ms, it forgets: then a death was for nothing. */
const WRITTEN_MS = 200;
const BUCKET = 7_000_000n;
const BOUND = Math.log2(PREFETCH) + DELIVERIES;

/** What became of the work. */
interface Outcome {
  /** How often a consumer died of the message. */
  deaths: number;
  /** Messages done; what came again because an ack was lost counts once where it is known. */
  done: Set<number>;
}

/** One life of a consumer: true if it died of the message. `done` is told what it did. */
type Life = (done: (number: number) => void) => Promise<boolean>;

async function workOff(life: Life, died: (deaths: number) => Promise<void>): Promise<Outcome> {
  const outcome: Outcome = { deaths: 0, done: new Set() };
  while (await life((number) => outcome.done.add(number))) {
    outcome.deaths++;
    if (outcome.deaths > MESSAGES) throw new Error('the message is never put aside');
    await died(outcome.deaths);
  }
  return outcome;
}

/** A message, which begins with its number. */
function body(number: number): Buffer {
  const bytes = bodyOf(number === POISON_AT ? POISON_BYTES : BODY_BYTES);
  bytes.writeUInt32BE(number);
  return bytes;
}

/** Calls `quiet` when nothing was heard for a while. */
function whenQuiet(quiet: () => void): { heard(): void; stop(): void } {
  let timer = deadline(QUIET_MS, quiet);
  return {
    heard() {
      cancel(timer);
      timer = deadline(QUIET_MS, quiet);
    },
    stop: () => cancel(timer),
  };
}

/** Takes messages, does them one after the other and acks each, until it dies or nothing comes. */
function lifeOf(port: number, done: (number: number) => void): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let socket: net.Socket | undefined;
    let over = false;
    const end = (died: boolean): void => {
      over = true;
      silence.stop();
      socket?.destroy();
      resolve(died);
    };
    const silence = whenQuiet(() => end(false));
    const decoder = new DeliveryDecoder('u64');
    const ack = Uint8Array.of(ACK_DONE);
    const onBytes = (bytes: Uint8Array): void => {
      for (const frame of decoder.push(bytes.slice()))
        for (let i = 0; i < frame.count && !over; i++) {
          const body = frame.body(i);
          if (body.length === POISON_BYTES) {
            end(true);
            return;
          }
          socket!.write(ack);
          if (frame.isHeartbeat) continue;
          done(new DataView(body.buffer, body.byteOffset).getUint32(0));
          silence.heard();
        }
    };
    const onEnd = (error: Error): void => {
      if (!over) reject(error);
    };
    connect({ host: '127.0.0.1', port, readBytes: 65_536, onBytes, onEnd }).then((connected) => {
      socket = connected;
      const header = { consumerId: 1n, bucket: BUCKET, batchSize: PREFETCH };
      socket.write(encodeConsumerHeader(header));
    }, reject);
  });
}

async function publishAll(port: number): Promise<void> {
  let acked = 0;
  let all: () => void = () => {};
  const stored = new Promise<void>((resolve) => {
    all = resolve;
  });
  const socket = await connect({
    host: '127.0.0.1',
    port,
    readBytes: 65_536,
    onBytes: (bytes) => {
      acked += bytes.length;
      if (acked >= MESSAGES) all();
    },
    onEnd: () => {},
  });
  const messages = Array.from({ length: MESSAGES }, (_, i) => ({ bucket: BUCKET, body: body(i) }));
  socket.write(encodeBatch(messages, 'u64'));
  await stored;
  socket.destroy();
}

async function here(bed: Bed): Promise<Figure[]> {
  const rules = `[[rule]]\nname = "r"\nmatch = "*"\nmax_deliveries = ${DELIVERIES}\n`;
  return withRules(bed, rules, async (flags) => {
    let broker: PrivateBroker = await bed.broker(flags, true);
    try {
      await publishAll(broker.intakePort);
      let kills = 0;
      const { deaths, done } = await workOff(
        (took) => lifeOf(broker.exhaustPort, took),
        async (count) => {
          if (count % KILL_EVERY !== 0) return;
          await sleep(WRITTEN_MS);
          kills++;
          broker = await broker.crash();
        },
      );
      const url = `http://127.0.0.1:${broker.dashboardPort}/api/v1/buckets/${BUCKET}/dead/messages?limit=10&bytes=200`;
      const { messages } = (await (await fetch(url)).json()) as { messages: { length: number }[] };
      if (messages.length !== 1 || messages[0]!.length !== POISON_BYTES)
        throw new Error(`not the one message is dead: ${JSON.stringify(messages)}`);
      return [
        figure('deaths until it is dead', 'count', [deaths]),
        figure('bound: log2 of the batch + max_deliveries', 'count', [BOUND]),
        figure('kill -9 of the broker between them', 'count', [kills]),
        figure('others done', 'count', [done.size]),
        figure('others dead or lost', 'count', [MESSAGES - 1 - done.size]),
      ];
    } finally {
      await broker.stop();
    }
  });
}

const QUEUE = 'work';
const DEAD = 'work.dead';

function rabbitLife(port: number, done: (number: number) => void): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let over = false;
    let last = 0;
    const end = (died: boolean, channel: Channel | undefined): void => {
      over = true;
      silence.stop();
      channel?.close();
      resolve(died);
    };
    let open: Channel | undefined;
    let died = false;
    const silence = whenQuiet(() => end(false, open));
    const onMessage = (tag: number, bytes: number): void => {
      if (over || died) return;
      if (bytes === POISON_BYTES) {
        died = true;
        return;
      }
      last = tag;
      done(++number);
      silence.heard();
    };
    const onChunk = (self: Channel): void => {
      open = self;
      if (over) return;
      if (last > 0) self.write(ackUpTo(last));
      last = 0;
      if (died) setImmediate(() => end(true, self)); // behind the acks of what it had done
    };
    consuming({ port, onFailure: reject }, QUEUE, PREFETCH, { onMessage, onChunk }).then(
      (channel) => {
        open = channel;
      },
      reject,
    );
  });
}

// Its messages are told apart by their size only, so each one that is done counts.
let number = 0;

/** How many messages a queue has, taken out of it. */
function emptied(port: number, queue: string): Promise<{ innocent: number; poison: number }> {
  return new Promise((resolve, reject) => {
    const found = { innocent: 0, poison: 0 };
    let open: Channel | undefined;
    const silence = whenQuiet(() => {
      open?.close();
      resolve(found);
    });
    const onMessage = (_: number, bytes: number): void => {
      found[bytes === POISON_BYTES ? 'poison' : 'innocent']++;
      silence.heard();
    };
    const hooks = { onMessage, onChunk: (): void => {} };
    consuming({ port, onFailure: reject }, queue, 0, hooks).then((channel) => {
      open = channel;
    }, reject);
  });
}

async function rabbit(bed: Bed): Promise<Figure[]> {
  const system = SYSTEMS.find(({ key }) => key === 'rabbitmq')!;
  const found = system.find();
  const name = 'RabbitMQ, quorum queue, delivery limit 5, prefetch 1024: ';
  const { peers } = bed.options;
  if (peers !== undefined && !peers.includes(system.key)) return [];
  if ('absent' in found) return [absent(`${name}others dead`, 'count', found.absent)];
  const running = await startSystem(system, found.file, bed.options.dir);
  try {
    const { port } = running;
    await declare(port, DEAD, { 'x-queue-type': 'quorum' });
    await declare(port, QUEUE, {
      'x-queue-type': 'quorum',
      'x-delivery-limit': DELIVERIES,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': DEAD,
    });
    await new Promise<void>((resolve, reject) => {
      let acked = 0;
      const onMessages = (count: number): void => {
        acked += count;
        if (acked === MESSAGES) resolve();
      };
      confirming({ port, onMessages, onFailure: reject }).then((channel) => {
        for (let i = 0; i < MESSAGES; i++) channel.write(publishing(body(i), QUEUE));
      }, reject);
    });
    const { deaths, done } = await workOff(
      (took) => rabbitLife(port, took),
      async () => {},
    );
    const dead = await emptied(port, DEAD);
    if (dead.poison !== 1) throw new Error(`${dead.poison} copies of the message are dead`);
    return [
      figure(`${name}deaths until it is dead`, 'count', [deaths]),
      figure(`${name}others done`, 'count', [done.size]),
      figure(`${name}others dead`, 'count', [dead.innocent]),
    ];
  } finally {
    await running.stop();
  }
}

export const poison: Scenario = {
  name: 'poison',
  title: `a message that kills its consumer, among ${MESSAGES}, batches of ${PREFETCH}, acked one by one`,
  measure: async (bed) => [...(await here(bed)), ...(await rabbit(bed))],
};
