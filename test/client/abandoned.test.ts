// What calls leave in memory that were given up by their signal: nothing, whatever waits in front
// of them or is still on the wire.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createProducer, EncodedBatch, type Producer } from '../../src/client/index.ts';
import { FakeIntake } from './fake-broker.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

type Call = (producer: Producer, body: Uint8Array, signal: AbortSignal) => Promise<unknown>;

const CALLS: [string, Call][] = [
  ['send', (producer, body, signal) => producer.send(1, body, { signal })],
  [
    'sendBatch',
    (producer, body, signal) =>
      producer.sendBatch(
        [
          { bucket: 1, body },
          { bucket: 2, body },
        ],
        { signal },
      ),
  ],
  [
    'sendEncoded',
    (producer, body, signal) => {
      const batch = new EncodedBatch([{ bucket: 1, body }]);
      bodies.push(new WeakRef(batch.bytes));
      return producer.sendEncoded(batch, { signal });
    },
  ],
];

let bodies: WeakRef<object>[] = [];

/** Begins calls with bodies, and one signal for all or one each; gives up all of them. */
async function giveUp(producer: Producer, call: Call, shared: boolean): Promise<void> {
  const all = new AbortController();
  const controllers: AbortController[] = [];
  const ends = Array.from({ length: 20 }, (_, index) => {
    const body = new Uint8Array(5000).fill(index);
    const controller = shared ? all : new AbortController();
    controllers.push(controller);
    bodies.push(new WeakRef(body));
    if (!shared) bodies.push(new WeakRef(controller.signal));
    return call(producer, body, controller.signal);
  });
  await turn(); // what can be on the wire is
  for (const controller of controllers) controller.abort();
  for (const end of await Promise.allSettled(ends)) assert.equal(end.status, 'rejected');
}

async function leftInMemory(): Promise<number> {
  for (let count = 0; count < 3; count++) {
    await turn();
    collect();
  }
  return bodies.filter((one) => one.deref() !== undefined).length;
}

for (const [name, call] of CALLS)
  for (const shared of [true, false]) {
    const how = `${name}, ${shared ? 'one signal for all' : 'a signal each'}`;

    test(`${how}, while the broker is away, behind one that waits`, async () => {
      bodies = [];
      const intake = await new FakeIntake().start();
      await intake.stop();
      await using producer = createProducer({
        port: intake.port,
        reconnect: { initial: true, min: 1, max: 1 },
      });
      const waits = producer.send(1, 'first');
      await giveUp(producer, call, shared);
      assert.equal(await leftInMemory(), 0);
      assert.equal(producer.waiting, 1);
      await intake.start();
      await waits;
      await intake.stop();
      assert.equal(intake.stored.length, 1);
    });

    test(`${how}, while acks are due`, async () => {
      bodies = [];
      await using intake = await new FakeIntake().start();
      intake.reply = () => undefined;
      const producer = createProducer({ port: intake.port, maxInFlight: 4 });
      await producer.ready();
      await giveUp(producer, call, shared);
      const onTheWire = producer.inFlight;
      assert.ok(onTheWire > 0);
      assert.equal(await leftInMemory(), 0);
      await producer.close({ timeoutMs: 1 });
    });
  }
