// What the engine under a cluster takes by itself: appends to a stream of three copies, each behind
// the one before it, one in flight. A program of its own: `node build/bench/cluster/appends.js
// SPEC`, SPEC an AppendSpec in JSON; says `result`.

import { randomFillSync } from 'node:crypto';
import { connectStream, type JetStreamLink } from '../../src/io/cluster/jetstream.ts';
import { onLeave, say } from '../process.ts';

export interface AppendSpec {
  servers: string[];
  monitors: string[];
  /** Name of the stream's cluster; its stream is made, and left behind. */
  cluster: string;
  bytes: number;
  durationMs: number;
  warmupMs: number;
}

export interface AppendResult {
  appends: number;
  seconds: number;
  /** To the answer. */
  p50: number;
  p99: number;
}

const MAX_BYTES = 4 * 1024 ** 3;
const spec = JSON.parse(process.argv[2] ?? '{}') as AppendSpec;
onLeave(() => process.exit(0));

const link = await connectStream({
  ...{ servers: spec.servers, cluster: spec.cluster, shard: 0, maxBytes: MAX_BYTES, replicas: 3 },
  ...{ monitors: spec.monitors, synced: false, unsafeSync: false, unsafeServer: true },
  warn: () => {},
});
// Servers compress what they send each other: a body of zeros would be told for nothing.
const body = randomFillSync(new Uint8Array(spec.bytes));
const nothing = new Uint8Array(0);
let last = await lastOf(link);

function lastOf(stream: JetStreamLink): Promise<number> {
  return new Promise((resolve, reject) =>
    stream.state((failure, state) => (state === undefined ? reject(failure) : resolve(state.last))),
  );
}

function append(): Promise<void> {
  return new Promise((resolve, reject) =>
    link.append(nothing, body, last, (appended) => {
      if (!appended.ok) return reject(new Error(`an append failed: ${appended.why}`));
      last = appended.sequence;
      resolve();
    }),
  );
}

async function appendFor(ms: number): Promise<number[]> {
  const durations: number[] = [];
  for (let now = performance.now(), until = now + ms; now < until; ) {
    await append();
    const then = performance.now();
    durations.push(then - now);
    now = then;
  }
  return durations;
}

await appendFor(spec.warmupMs);
const begun = performance.now();
const durations = (await appendFor(spec.durationMs)).sort((a, b) => a - b);
const seconds = (performance.now() - begun) / 1000;
const at = (share: number) => durations[Math.floor((durations.length - 1) * share)] ?? Number.NaN;
const result: AppendResult = { appends: durations.length, seconds, p50: at(0.5), p99: at(0.99) };
say('result', { result });
await link.close();
process.exit(0);
