// What fails below a node or below NATS: a disk of the owner that gives errors, or is full, and
// servers of NATS that come back with nothing.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { failedStart, temporaryFolder } from '../support/broker.ts';
import { withDisk } from '../support/loop-disk.ts';
import { needsLoopDisk, needsStrace } from '../support/machine.ts';
import { Random, seedOf } from '../support/random.ts';
import { summary } from './load.ts';
import { NatsCluster, SERVERS } from './nats.ts';
import { Nodes } from './nodes.ts';
import { Rig } from './rig.ts';
import { SOME } from './strikes.ts';

const random = new Random(seedOf('disks of a cluster'));
const last = SERVERS.findLast(({ program }) => program !== undefined) ?? SERVERS[0]!;
const needs = (more: { skip?: string }) => (last.skip === undefined ? more : { skip: last.skip });

/** Makes a node the owner that is started in its own way: the others come behind it. */
async function startedFirst(
  nats: NatsCluster,
  first: (nodes: Nodes) => Promise<void>,
): Promise<Nodes> {
  const nodes = await Nodes.make({ nats });
  try {
    await first(nodes);
    assert.equal((await nodes.owner()).node, 0);
    await Promise.all([nodes.start(1), nodes.start(2)]);
    return nodes;
  } catch (error) {
    await nodes[Symbol.asyncDispose]();
    throw error;
  }
}

test('the disk of the owner fails: it ends with 74, and another one goes on', {
  ...needs(needsStrace),
  timeout: 180_000,
}, async () => {
  const trace = path.join(temporaryFolder(), 'strace');
  await using nats = await NatsCluster.start(last.program!);
  await using nodes = await startedFirst(nats, async (all) => {
    const wrapper = ['strace', '-f', '-o', trace, '-e', 'trace=fdatasync'];
    // One thread does all I/O, so that the nth call means what it says.
    const env = { UV_THREADPOOL_SIZE: '1' };
    wrapper.push('-e', 'inject=fdatasync:error=EIO:when=40+');
    await all.start(0, { wrapper, env });
  });
  await using load = new Rig(nats, nodes).load(random);
  assert.equal(await nodes.node(0).exited, 74);
  assert.match(fs.readFileSync(trace, 'utf8'), /\(INJECTED\)/, 'no sync was made to fail');
  const next = await nodes.owner(1);
  assert.notEqual(next.node, 0);
  await load.acked(SOME);
  await nodes.start(0);
  await load.acked(SOME);
  const judgement = await load.judge();
  load.assertFine(judgement);
  console.log(`failing disk: ${summary(judgement)}`);
});

test('the disk of the owner is full: refused with 0, consumers go on, service returns', {
  ...needs(needsLoopDisk),
  timeout: 180_000,
}, async () => {
  await withDisk(96, async (mount) => {
    await using nats = await NatsCluster.start(last.program!);
    const filler = path.join(mount, 'filler');
    await using nodes = await startedFirst(nats, async (all) => {
      all.folders[0] = path.join(mount, 'data');
      await all.start(0, { flags: ['--reserve', '1MiB'] });
      await all.owner(); // with a full disk it would leave that to others
      fill(filler);
    });
    await using load = new Rig(nats, nodes).load(random, { consumers: 0 });
    await nodes.node(0).line(({ event }) => event === 'log.full');
    await load.history.until(() => load.history.refused > 0);
    assert.equal((await nodes.owner()).node, 0, 'a full disk is no reason to change the owner');
    fs.rmSync(filler);
    await load.acked(SOME);
    load.consume();
    const judgement = await load.judge();
    load.assertFine(judgement);
    assert.ok(judgement.refused > 0, 'nothing was refused');
    console.log(`full disk: ${summary(judgement)}`);
  });
});

test('NATS comes back with nothing: every node that knew more ends with 74', {
  ...needs({}),
  timeout: 180_000,
}, async () => {
  await using rig = await Rig.start(last.program!);
  const { nats, nodes } = rig;
  await using load = rig.load(random);
  await load.acked(5 * SOME);
  load.assertFine(await load.judge());
  for (const node of nodes.running) await nodes.kill(node);
  for (const server of [0, 1, 2]) {
    await nats.signal(server, 'SIGKILL');
    nats.forget(server);
  }
  nats.startAll();
  const before = nodes.folders.map((folder) => contentOf(path.join(folder, 'log')));
  const ends = await Promise.all(
    nodes.folders.map((dataDir, i) => failedStart({ dataDir, flags: nodes.flagsOf(i) })),
  );
  for (const { code, text } of ends) {
    assert.equal(code, 74, text);
    assert.match(text, /stream/);
  }
  const behind = nodes.folders.map((folder) => contentOf(path.join(folder, 'log')));
  assert.deepEqual(behind, before, 'what the nodes have is as it was');
});

/** Takes all that a disk has, but for a little. */
function fill(file: string): void {
  const some = Buffer.alloc(256 * 1024, 1);
  const fd = fs.openSync(file, 'w');
  let bytes = 0;
  try {
    for (;;) bytes += fs.writeSync(fd, some);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    fs.ftruncateSync(fd, bytes - 2 * some.length);
  } finally {
    fs.closeSync(fd);
  }
}

/** The segments that a folder holds, each with a digest of its bytes. */
function contentOf(folder: string): string[] {
  return fs
    .readdirSync(folder)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .map((name) => {
      const bytes = fs.readFileSync(path.join(folder, name));
      return `${name} ${createHash('sha256').update(bytes).digest('hex')}`;
    });
}
