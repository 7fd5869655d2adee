// A consumer in Python, the client as it is published, dies of one message in a batch of 1,000: it
// is started again and again, as a supervisor would, and all others are consumed while the one that
// it dies of is alone in the end.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type BrokerProcess, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish } from '../support/client.ts';
import { ask, until } from '../support/look.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const python = spawnSync('python3', ['--version']).status === 0 ? {} : { skip: 'needs python3' };
const MESSAGES = 1000;
const POISON = 'poison';
const DIED = 9;

// The name of each message is printed when it is done; `each`: acked one by one, else together.
const WORKER = `
import os, sys
sys.path.insert(0, "clients/python")
from consumer import Consumer
port, bucket, each = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "each"
with Consumer(port=port, bucket=bucket, batch=${MESSAGES}) as consumer:
    while True:
        bodies = [body.decode() for body in consumer.receive()]
        if not each and "${POISON}" in bodies:
            os._exit(${DIED})
        for body in bodies:
            if body == "${POISON}":
                os._exit(${DIED})
            consumer.ack()
            print(body, flush=True)
`;

let broker: BrokerProcess;

before(async () => {
  broker = await startBroker({ dataDir: temporaryFolder(), dashboard: true });
});

after(async () => {
  assert.equal(await broker.stop(), 0);
});

/** One life of the consumer; true: it died of the message. It is ended when `isOver`. */
function life(
  args: string[],
  done: (body: string) => void,
  isOver: () => boolean,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn('python3', ['-c', WORKER, ...args], { cwd: ROOT });
    let rest = '';
    child.stdout.on('data', (data) => {
      const lines = (rest + data).split('\n');
      rest = lines.pop()!;
      for (const line of lines) done(line);
      if (isOver()) child.kill();
    });
    child.once('error', reject);
    child.once('close', (code) => resolve(code === DIED));
    child.stderr.pipe(process.stderr);
  });
}

for (const [bucket, how] of [
  [5, 'together'],
  [6, 'each'],
] as const)
  test(`one message of ${MESSAGES} kills its consumer, acks ${how}`, python, async () => {
    const bodies = Array.from({ length: MESSAGES }, (_, i) => `m${i}`);
    bodies[617] = POISON;
    assert.ok((await publish(broker.intake, BigInt(bucket), bodies)).every((ack) => ack === 1));
    const done = new Set<string>();
    const twice: string[] = [];
    const note = (body: string) => (done.has(body) ? void twice.push(body) : void done.add(body));
    let deaths = 0;
    const args = [String(broker.exhaust), String(bucket), how];
    while (done.size < MESSAGES - 1)
      if (await life(args, note, () => done.size === MESSAGES - 1)) deaths++;
    assert.ok(!done.has(POISON));
    assert.deepEqual(twice, [], 'none was consumed twice');
    // The last consumer may have been ended as it held the message: it is given back by then.
    const { messages } = await until(
      () =>
        ask<{ messages: { attempts: number }[] }>(broker, `buckets/${bucket}/messages?limit=10`),
      (answer) => answer.messages.length > 0,
    );
    assert.equal(messages.length, 1);
    const charged = messages[0]!.attempts;
    const most = Math.ceil(Math.log2(MESSAGES)) + Math.max(1, charged);
    assert.ok(deaths <= most, `${deaths} deaths, ${charged} of them alone: ${most} are the bound`);
  });
