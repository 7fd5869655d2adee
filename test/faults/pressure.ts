// What attacks cost the others: memory of the broker, and the time from publish to ack of one
// healthy producer, quiet and under each attack. Prints a table; a measurement, not a test.
//
//   node build/test/faults/pressure.js [SECONDS]

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type BrokerProcess, RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { batchOf } from '../support/client.ts';
import { ATTACKS, type Attack } from './attacks.ts';

const MIB = 1024 * 1024;
const ATTACKS_FILE = fileURLToPath(new URL('./attacks.js', import.meta.url));
// Small enough for a short attack to use up. Beside it stand what a quiet broker has, the log's
// buffer of one segment as far as it was used, and places of messages in the newest segments.
const BUFFER = 64 * MIB;

interface Measured {
  p50Ms: number;
  p99Ms: number;
  peakMiB: number;
  acks: number;
}

function residentMiB(pid: number): number {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)![1]) / 1024;
}

/** One batch of ten every few milliseconds, for `seconds`. */
async function healthy(broker: BrokerProcess, pid: number, seconds: number): Promise<Measured> {
  const producer = await RawPeer.connect(broker.intake);
  const batch = batchOf(1n, Array(10).fill(Buffer.alloc(100, 1)));
  const took: number[] = [];
  let peakMiB = 0;
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    const begun = performance.now();
    producer.send(batch);
    await producer.take(10);
    took.push(performance.now() - begun);
    peakMiB = Math.max(peakMiB, residentMiB(pid));
    await sleep(3); // the rate of this producer
  }
  producer.destroy();
  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.min(took.length - 1, Math.floor(took.length * share))]!;
  return { p50Ms: at(0.5), p99Ms: at(0.99), peakMiB, acks: took.length };
}

/** Runs an attack in a process of its own beside a healthy producer. */
async function under(attack: Attack | undefined, seconds: number): Promise<Measured> {
  const flags = ['--buffer', String(BUFFER), '--max-message', '1MiB'];
  const broker = await startBroker({ dataDir: temporaryFolder(), flags });
  const pid = (await broker.line((line) => line.event === 'ready')).pid as number;
  await healthy(broker, pid, 1); // everything is compiled and touched once
  const ports = [String(broker.intake), String(broker.exhaust)];
  const attacker =
    attack === undefined
      ? undefined
      : spawn(process.execPath, [ATTACKS_FILE, attack, ...ports], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
  if (attacker !== undefined) await once(createInterface({ input: attacker.stdout! }), 'line');
  try {
    return await healthy(broker, pid, seconds);
  } finally {
    attacker?.kill('SIGKILL');
    await broker.kill();
  }
}

const seconds = Number(process.argv[2] ?? 5);
const quiet = await under(undefined, seconds);
const row = (name: string, { p50Ms, p99Ms, peakMiB, acks }: Measured) =>
  [
    name.padEnd(24),
    `${p50Ms.toFixed(2)} ms`.padStart(10),
    `${p99Ms.toFixed(2)} ms`.padStart(10),
    `${(p99Ms / quiet.p99Ms).toFixed(1)} x`.padStart(8),
    `${peakMiB.toFixed(0)} MiB`.padStart(9),
    `${(peakMiB - quiet.peakMiB).toFixed(0)} MiB`.padStart(10),
    String(acks).padStart(6),
  ].join(' ');
console.log(`buffers ${BUFFER / MIB} MiB; ${seconds} s each`);
console.log('attack                          p50        p99    quiet  resident  beyond it   acks');
console.log(row('quiet', quiet));
for (const attack of Object.keys(ATTACKS) as Attack[])
  console.log(row(attack, await under(attack, seconds)));
process.exit();
