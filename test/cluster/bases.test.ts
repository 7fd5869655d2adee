// The stream of a cluster stays small although one old message is never taken, and a node without a
// log builds itself of the base, over real servers; it has every message that is left.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { crc32c } from '../../src/codec/crc32c.ts';
import { connectStream, type JetStreamLink } from '../../src/io/cluster/jetstream.ts';
import { stateOf } from '../../src/log/base/finding.ts';
import { segmentObject, streamTag } from '../../src/log/base/manifest.ts';
import { until } from '../support/look.ts';
import { SERVERS } from './nats.ts';
import { CLUSTER, STREAM_BYTES } from './nodes.ts';
import { Rig } from './rig.ts';
import { optionsFor } from './stream-options.ts';
import { publish, take } from './traffic.ts';

const TIMEOUT_MS = 240_000;
const MIB = 1024 * 1024;
const BODY = 50_000;
const BATCH = 20;

for (const { name, program, skip } of SERVERS)
  test(`${name}: bases of a log`, { skip, timeout: TIMEOUT_MS }, async () => {
    await using rig = await Rig.start(program!, { flags: ['--cluster-base-slack', '8MiB'] });
    const { nodes } = rig;
    const [one, two, three] = nodes.running as [number, number, number];
    const { node: owner } = await nodes.owner();
    const late = [one, two, three].find((each) => each !== owner)!;
    await nodes.stop(late);
    nodes.forget(late);

    await leave(rig);
    await publish(nodes.intake[owner]!, 7, ['old 1', 'old 2']);
    const made = nodes.node(owner).line(({ event }) => event === 'cluster.base');
    let bytes = 0;
    let isMade = false;
    const told = made.then((line) => {
      isMade = true;
      return line;
    });
    // More is published and taken until most of the log is settled, and is made smaller.
    while (!isMade) {
      const bodies = Array.from({ length: BATCH }, (_, i) => `${bytes + i}`.padEnd(BODY, '.'));
      await publish(nodes.intake[owner]!, 8, bodies);
      await take(nodes.exhaust[owner]!, 8, BATCH);
      bytes += BATCH * BODY;
      assert.ok(bytes < 400 * MIB, nodes.tell());
    }
    assert.match((await told).msg as string, /^a base of the log was made/);
    // The next base may be on its way already, and its own pieces with it.
    const left = () => linked(rig, async (link) => (await heldBy(link)).unfinished);
    assert.deepEqual(await until(left, ({ length }) => length === 0), []);
    const state = await linked(rig, stateOf);
    assert.ok(state.first > 1 && state.bytes < bytes, `${state.first}, ${state.bytes}`);

    await publish(nodes.intake[owner]!, 7, ['new']);
    await nodes.start(late);
    const built = nodes.node(late).lines.find(({ event }) => event === 'cluster.built');
    assert.ok(built !== undefined, nodes.tell());
    const owned = nodes.ownings.length;
    const other = [one, two, three].find((each) => each !== owner && each !== late)!;
    await nodes.kill(other);
    await nodes.stop(owner);
    assert.equal((await nodes.owner(owned)).node, late);
    assert.deepEqual(await take(nodes.exhaust[late]!, 7, 3), ['old 1', 'old 2', 'new']);

    // One that lost its log, and one whose log is damaged, are built again.
    nodes.forget(other);
    damage(nodes.folders[owner]!);
    await Promise.all([nodes.start(owner), nodes.start(other)]);
    // Who builds itself while the next base is made already may have to do so again.
    const said = (event: string) => nodes.said(event).map(({ node }) => node);
    const damaged = said('log.set-aside').filter((node) => node === owner);
    assert.equal(damaged.length, 1, nodes.tell());
    assert.deepEqual([...new Set(said('cluster.built'))].sort(), [0, 1, 2]);
    await publish(nodes.intake[other]!, 7, ['last']);
    assert.deepEqual(await take(nodes.exhaust[owner]!, 7, 1), ['last']);
  });

/** Bends the header of the oldest segment. */
function damage(dataDir: string): void {
  const folder = path.join(dataDir, 'log');
  const [oldest] = fs
    .readdirSync(folder)
    .filter((each) => each.endsWith('.log'))
    .sort();
  const file = fs.openSync(path.join(folder, oldest!), 'r+');
  fs.writeSync(file, 'bent', 8);
  fs.closeSync(file);
}

/** What an owner leaves that is lost in the middle of a base: pieces of a segment. */
async function leave(rig: Rig): Promise<void> {
  const link = await connectStream(optionsOf(rig));
  const name = segmentObject(streamTag(link, crc32c), 1, 0, 1);
  const bucket = await link.objects(true);
  await new Promise<void>((stored) => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(MIB);
      stored();
      await new Promise(() => {});
    }
    void bucket.put(name, endless());
  });
  await link.close();
  assert.deepEqual(await linked(rig, async (other) => (await heldBy(other)).unfinished), [name]);
}

const heldBy = async (link: JetStreamLink) => (await link.objects(true)).held();

const optionsOf = ({ nats }: Rig) => optionsFor(nats, { cluster: CLUSTER, maxBytes: STREAM_BYTES });

async function linked<T>(rig: Rig, call: (link: JetStreamLink) => Promise<T>): Promise<T> {
  const link = await connectStream(optionsOf(rig));
  try {
    return await call(link);
  } finally {
    await link.close();
  }
}
