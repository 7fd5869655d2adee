// What attacks cost the others: memory of the broker against its budget, and the time from publish
// to ack of one healthy producer, quiet and under each attack. Prints a table; a measurement, not a
// test.
//
//   node build/test/faults/pressure.js [--seconds 5] [--rounds 3] [--memory 512MiB,192MiB] [NAME…]
//
// Rounds go through quiet and all attacks in turn, so that a slow minute of the machine meets them
// all; the table has medians of the rounds, and the greatest memory. Attackers run only where
// nobody else wants to (SCHED_IDLE): what is measured is the broker, not who gets a processor. The
// controls are the same attack beside a broker that is left alone: on a server that keeps nothing,
// which costs what the attacker itself takes of the machine; and on another broker, which costs
// what the work that it causes takes of processor and disk, wherever it is done.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { batchOf } from '../support/client.ts';
import { ATTACKS, type Attack } from './attacks.ts';

// /proc counts a process's time in these.
const TICKS_PER_SECOND = 100;
const PAUSE_MS = 3; // between two batches of the healthy producer

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

interface Measured {
  p50Ms: number;
  p99Ms: number;
  mostMs: number;
  /** Most that the broker's process ever had. */
  peakMiB: number;
  acks: number;
  /** Of one processor, while it was measured. */
  brokerShare: number;
  attackerShare: number;
}

function peakMiB(pid: number): number {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+)/m.exec(status)![1]) / 1024;
}

function secondsOf(pid: number | undefined): number {
  if (pid === undefined) return 0;
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** One batch of ten messages every few milliseconds for `seconds`; ms until each was acked. */
async function healthy(producer: RawPeer, seconds: number): Promise<number[]> {
  const batch = batchOf(1n, Array(10).fill(Buffer.alloc(100, 1)));
  const took: number[] = [];
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    const begun = performance.now();
    producer.send(batch);
    await producer.take(10);
    took.push(performance.now() - begun);
    await sleep(PAUSE_MS);
  }
  return took;
}

/** A program beside this file, where no other wants the processor; and its first line. */
async function idly(name: string, ...args: string[]): Promise<[ChildProcess, string]> {
  const child = spawn('chrt', ['-i', '0', process.execPath, file(name), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  return [child, line];
}

interface Scene {
  memory: string;
  attack: Attack | undefined;
  /** The attack meets the sink, or another broker on the same disk. */
  instead?: 'sink' | 'neighbour';
}

async function measure({ memory, attack, instead }: Scene, seconds: number): Promise<Measured> {
  const start = () => startBroker({ dataDir: temporaryFolder(), flags: ['--memory', memory] });
  const broker = await start();
  const neighbour = instead === 'neighbour' ? await start() : undefined;
  const pid = (await broker.line((line) => line.event === 'ready')).pid as number;
  // It is there before the attack: one that takes all connections lets nobody in after it.
  const producer = await RawPeer.connect(broker.intake);
  await healthy(producer, 1); // everything is compiled and touched once
  const children: ChildProcess[] = [];
  try {
    const { intake, exhaust } = neighbour ?? broker;
    let ports = [String(intake), String(exhaust)];
    if (instead === 'sink') {
      const [sink, line] = await idly('./sink.js');
      children.push(sink);
      ports = line.split(' ');
    }
    if (attack !== undefined) children.push((await idly('./attacks.js', attack, ...ports))[0]);
    const attacker = attack === undefined ? undefined : children.at(-1)!.pid;
    const begun = performance.now();
    const before = [secondsOf(pid), secondsOf(attacker)] as const;
    const took = await healthy(producer, seconds);
    const spent = (performance.now() - begun) / 1000;
    took.sort((a, b) => a - b);
    const at = (share: number) => took[Math.min(took.length - 1, Math.floor(took.length * share))]!;
    return {
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      mostMs: at(1),
      peakMiB: peakMiB(pid),
      acks: took.length,
      brokerShare: (secondsOf(pid) - before[0]) / spent,
      attackerShare: (secondsOf(attacker) - before[1]) / spent,
    };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await broker.kill();
    await neighbour?.kill();
  }
}

function median(numbers: number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function row(name: string, all: Measured[], quietMs: number, budgetMiB: number): string {
  const of = (field: keyof Measured) => median(all.map((one) => one[field]));
  const peak = Math.max(...all.map((one) => one.peakMiB));
  return [
    name.padEnd(44),
    `${of('p50Ms').toFixed(2)}`.padStart(7),
    `${of('p99Ms').toFixed(2)}`.padStart(8),
    `${(of('p99Ms') / quietMs).toFixed(1)} x`.padStart(8),
    `${of('mostMs').toFixed(1)}`.padStart(8),
    `${peak.toFixed(0)} MiB`.padStart(9),
    `${((100 * peak) / budgetMiB).toFixed(0)} %`.padStart(7),
    `${(100 * of('brokerShare')).toFixed(0)} %`.padStart(7),
    `${(100 * of('attackerShare')).toFixed(0)} %`.padStart(8),
    String(of('acks')).padStart(6),
  ].join(' ');
}

const HEAD = `${''.padEnd(44)}     p50      p99    quiet     most  resident  budget  broker attacker   acks`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    memory: { type: 'string', default: '512MiB,192MiB' },
  },
});
const names = (Object.keys(ATTACKS) as Attack[]).filter(
  (name) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
);
if (names.length === 0) throw new Error(`no attack is called ${positionals.join(' or ')}`);
const seconds = Number(values.seconds);
const budgets = values.memory.split(',');
const [cpu] = os.cpus();
console.log(`${os.cpus().length} x ${cpu?.model}, node ${process.version}`);
console.log(`${seconds} s each, ${values.rounds} rounds; times in ms, shares of one processor`);

for (const memory of budgets) {
  const scenes: [string, Scene][] = [['quiet', { memory, attack: undefined }]];
  for (const attack of names) {
    scenes.push([attack, { memory, attack }]);
    scenes.push([`  on the sink: ${attack}`, { memory, attack, instead: 'sink' }]);
    scenes.push([`  on another broker: ${attack}`, { memory, attack, instead: 'neighbour' }]);
  }
  const found = new Map<string, Measured[]>(scenes.map(([name]) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [name, scene] of scenes) found.get(name)!.push(await measure(scene, seconds));
  const quietMs = median(found.get('quiet')!.map((one) => one.p99Ms));
  console.log(`\n--memory ${memory}\n${HEAD}`);
  for (const [name, all] of found)
    console.log(row(name, all, quietMs, Number.parseInt(memory, 10)));
}
process.exit();
