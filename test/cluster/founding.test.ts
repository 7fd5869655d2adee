// A cluster that goes on with the log of a single broker, and one whose stream is lost and that
// goes on with a node's copy, over real servers: nothing that was acked is missing.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { toldCopies } from '../../src/cluster/copies.ts';
import type { Remembered } from '../../src/cluster/place-file.ts';
import { dial } from '../../src/io/cluster/nats.ts';
import { connectObjects } from '../../src/io/cluster/object-bucket.ts';
import { startBroker } from '../support/broker.ts';
import { thrustmq } from '../support/process.ts';
import type { NodeAddress } from './clients.ts';
import { NatsCluster, SERVERS } from './nats.ts';
import { CLUSTER, Nodes } from './nodes.ts';
import { optionsFor } from './stream-options.ts';
import { publish, take } from './traffic.ts';

const TIMEOUT_MS = 240_000;
const BUCKET = 7;
const last = SERVERS.findLast(({ program }) => program !== undefined) ?? SERVERS[0]!;

test(`${last.name}: cluster init and cluster restore`, { ...skipped(), timeout: TIMEOUT_MS }, run);

function skipped(): { skip?: string } {
  return last.skip === undefined ? {} : { skip: last.skip };
}

async function run(): Promise<void> {
  await using nats = await NatsCluster.start(last.program!);
  await using nodes = await Nodes.make({ nats });
  const folder = nodes.folders[0]!;
  const verb = (name: string, node = 0, ...flags: string[]) =>
    thrustmq([
      'cluster',
      name,
      '--data-dir',
      nodes.folders[node]!,
      ...nodes.flagsOf(node),
      ...flags,
    ]);

  const single = await startBroker({ dataDir: folder, flags: ['--segment-size', '8MiB'] });
  await single.line(({ event }) => event === 'ready');
  const running = await verb('init');
  assert.equal(running.code, 75, running.stderr);
  const sent = Array.from({ length: 300 }, (_, i) => `${i}`.padEnd(60_000, '.'));
  for (let at = 0; at < sent.length; at += 50)
    await publish(portOf(single.intake), BUCKET, sent.slice(at, at + 50));
  assert.deepEqual(await take(portOf(single.exhaust), BUCKET, 10), sent.slice(0, 10));
  await single.stop();

  const begun = await verb('init');
  assert.equal(begun.code, 0, begun.stderr);
  assert.match(begun.stdout, /cluster test goes on with it: \d+ segments/);
  const again = await verb('init');
  assert.equal(again.code, 78, again.stderr);
  assert.match(again.stderr, /cluster restore/);
  await Promise.all([0, 1, 2].map((i) => nodes.start(i)));
  await nodes.owner();
  assert.deepEqual(
    nodes
      .said('cluster.built')
      .map(({ node }) => node)
      .sort(),
    [1, 2],
  );
  await publish(nodes.intake[1]!, BUCKET, ['behind it']);
  assert.deepEqual(await take(nodes.exhaust[2]!, BUCKET, 40), sent.slice(10, 50));

  // The last one has all that the others have published.
  await Promise.all([0, 1, 2].map((i) => knowing(nodes.folders[i]!)));
  await nodes.stop(0);
  await publish(nodes.intake[1]!, BUCKET, ['without one']);
  for (const i of [2, 1]) await nodes.stop(i);
  const { manager, connection } = await dial(optionsFor(nats));
  const early = await verb('restore', 1, '--yes');
  assert.equal(early.code, 1, early.stderr);
  assert.match(early.stderr, /node 1 has not told how far .*\n.*node 3 has not told how far/);
  const first = await verb('restore', 0);
  assert.equal(first.code, 1, first.stderr);
  assert.match(first.stdout, / 1 .*│ this node/);
  assert.match(first.stdout, / 2 [ │]* nothing yet/);
  const short = await verb('restore', 1, '--yes');
  assert.equal(short.code, 1, short.stderr);
  assert.match(short.stderr, /node 3 has not told/);
  assert.doesNotMatch(short.stderr, /node 1 has not told/);
  const third = await verb('restore', 2);
  assert.equal(third.code, 1, third.stderr);
  const full = await verb('restore', 1, '--yes');
  assert.equal(full.code, 74, full.stderr);
  assert.match(full.stderr, /has messages .*nats stream rm TMQ_test_0/);
  await manager.streams.delete(`TMQ_${CLUSTER}_0`);
  const asked = await verb('restore', 1);
  assert.equal(asked.code, 1, asked.stderr);
  assert.match(asked.stderr, /ends at position \d+, behind message 302, as of epoch \d+/);
  assert.match(asked.stderr, /no copy has more than this one.*--yes begins stream TMQ_test_0/);
  assert.match(asked.stdout, / 1 .*│ +301 │/);
  const wrong = await verb('restore', 0, '--yes', '--without', '3');
  assert.equal(wrong.code, 1, wrong.stderr);
  assert.match(
    wrong.stderr,
    /copy of node 2 goes further: .*302, this one behind 301; .*--without 2/,
  );
  const itself = await verb('restore', 0, '--yes', '--without', '1');
  assert.equal(itself.code, 2, itself.stderr);
  const restored = await verb('restore', 1, '--yes');
  assert.equal(restored.code, 0, restored.stderr);
  const { objects, close } = await connectObjects(optionsFor(nats), false);
  const told = await toldCopies(objects!).finally(close);
  assert.deepEqual(told, [], 'what was told is settled');
  await connection.close();
  for (const i of [0, 2]) nodes.forget(i);
  await Promise.all([0, 1, 2].map((i) => nodes.start(i)));
  await nodes.owner(nodes.ownings.length > 1 ? 1 : 0);
  const rest = await take(nodes.exhaust[0]!, BUCKET, 252);
  const numbers = (bodies: string[]) => bodies.map((body) => body.replace(/\.+$/, ''));
  assert.deepEqual(numbers(rest), numbers([...sent.slice(50), 'behind it', 'without one']));

  // What was told before does not count the next time.
  await Promise.all([0, 1, 2].map((i) => knowing(nodes.folders[i]!)));
  for (const i of [0, 1, 2]) await nodes.stop(i);
  const anew = await verb('restore', 0, '--yes');
  assert.equal(anew.code, 1, anew.stderr);
  assert.match(anew.stderr, /node 2 has not told/);
  assert.match(anew.stderr, /node 3 has not told/);

  // What a node told goes when it starts, as its log does not stand still any more.
  const toldTwo = await verb('restore', 1);
  assert.equal(toldTwo.code, 1, toldTwo.stderr);
  await nodes.start(1);
  await nodes.stop(1);
  const later = await verb('restore', 0, '--yes');
  assert.match(later.stderr, /node 2 has not told/);
}

// Nothing tells when a node has heard of the others and written it down.
const LOOK_MS = 50;

/** Settles when the node of a folder remembers all three. */
async function knowing(folder: string): Promise<void> {
  for (;;) {
    const { nodes = [] } = JSON.parse(
      fs.readFileSync(path.join(folder, 'cluster.json'), 'utf8'),
    ) as Remembered;
    if (nodes.length === 3) return;
    await sleep(LOOK_MS);
  }
}

function portOf(port: number): NodeAddress {
  return { host: '127.0.0.1', port };
}
