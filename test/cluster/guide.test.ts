// docs/cluster.md as it is written: its settings are accepted, its cluster on one machine runs,
// loses its owner and goes on; with the rights at NATS that the guide lists, for bases, too.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { connectStream } from '../../src/io/cluster/jetstream.ts';
import { MAIN, temporaryFolder } from '../support/broker.ts';
import { readGuide } from '../support/guide.ts';
import { Random, seedOf } from '../support/random.ts';
import { SERVERS } from './nats.ts';

const PORTS = 70;
const CLUSTER = 'demo';
const random = new Random(seedOf('cluster/guide.test'));
const { blocks } = readGuide('cluster.md');
const of = (kind: string) => blocks.filter((block) => block.kind === kind).map(({ text }) => text);
const [server = '', permissions = ''] = of('nats');
const current = SERVERS[1]!;

/** A folder with programs of these names, to stand first on the path. */
function programs(): string {
  const folder = temporaryFolder();
  fs.symlinkSync(current.program!.command, path.join(folder, 'nats-server'));
  const script = `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`;
  fs.writeFileSync(path.join(folder, 'thrustmq'), script, { mode: 0o755 });
  return folder;
}

async function isFree(port: number): Promise<boolean> {
  const listener = net.createServer().listen(port, '127.0.0.1');
  const events = ['listening', 'error'].map((event) => once(listener, event).then(() => event));
  const event = await Promise.race(events.map((each) => each.catch(() => 'error')));
  listener.close();
  return event === 'listening';
}

/** The first of so many ports that nobody has. */
async function freeRange(): Promise<number> {
  for (;;) {
    const first = 12_000 + random.below(18_000);
    const ports = Array.from({ length: PORTS }, (_, i) => first + i);
    const free = await Promise.all(ports.map(isFree));
    if (free.every((each) => each)) return first;
  }
}

test('the settings of the guide go together', async () => {
  const folder = temporaryFolder();
  const [settings = ''] = of('toml');
  fs.writeFileSync(path.join(folder, 'token'), 'a-token-of-some-length\n');
  const file = path.join(folder, 'thrustmq.toml');
  fs.writeFileSync(file, settings.replaceAll('/etc/thrustmq', folder));
  const args = [MAIN, 'serve', '--config', file, '--print-config'];
  const ran = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(ran.status, 0, ran.stderr);
  const { cluster } = JSON.parse(ran.stdout).config;
  assert.equal(cluster.name, 'orders');
  assert.equal(cluster.nats.servers.length, 3);
  assert.equal(cluster.nats.monitors.length, 3);
});

const { skip } = current;

test('servers take the configuration of the guide', { skip: skip ?? false }, () => {
  const file = path.join(temporaryFolder(), 'nats.conf');
  for (const text of [
    server,
    `${server}\nauthorization: { users: [{ user: u, ${permissions} }] }`,
  ]) {
    fs.writeFileSync(file, text.replace('/var/lib/nats', path.dirname(file)));
    const ran = spawnSync(current.program!.command, ['-t', '-c', file], { encoding: 'utf8' });
    assert.equal(ran.status, 0, ran.stderr);
  }
});

test('the cluster of the guide runs with the rights of the guide, and loses its owner', {
  skip: skip ?? false,
  timeout: 300_000,
}, async () => {
  const folder = temporaryFolder();
  const first = await freeRange();
  // Whoever comes without a name has these rights, and no others.
  const rights = permissions.replaceAll('orders', CLUSTER).replaceAll('$', '\\$');
  const user = `authorization { users = [ { user: node, password: none, ${rights} } ] }`;
  const [block = ''] = of('sh');
  const heredoc = 'END\n  nats-server';
  assert.ok(block.includes(heredoc));
  const script = block.replace(heredoc, () => `${user}\nno_auth_user: node\n${heredoc}`);
  const child = spawn('bash', ['-c', `${script}\necho\nsleep 600`], {
    cwd: folder,
    env: { ...process.env, first: String(first), PATH: `${programs()}:${process.env.PATH}` },
    detached: true, // ended as a group
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    let said = '';
    for await (const piece of child.stdout.setEncoding('utf8')) {
      said += piece;
      if (said.endsWith('\n\n')) break;
    }
    assert.equal(said, `${of('text')[0]}\n`);
    await useObjects(first);
    for (const i of [1, 2, 3]) {
      const log = fs.readFileSync(path.join(folder, `nats${i}.log`), 'utf8');
      assert.deepEqual(log.match(/.*Violation.*/g), null);
    }
  } finally {
    process.kill(-child.pid!, 'SIGKILL');
  }
});

/** As a node does with the bases of its log. */
async function useObjects(first: number): Promise<void> {
  const link = await connectStream({
    servers: [1, 2, 3].map((i) => `127.0.0.1:${first + i}`),
    monitors: [11, 12, 13].map((i) => `http://127.0.0.1:${first + i}`),
    ...{ cluster: CLUSTER, shard: 0, maxBytes: 1024 ** 3, replicas: 3 },
    ...{ synced: false, unsafeSync: false, unsafeServer: false },
    warn: () => {},
  });
  try {
    assert.equal(link.verdict.safe, true);
    const objects = await link.objects(true);
    const pieces = async function* () {
      for (let i = 0; i < 3; i++) yield new Uint8Array(700_000).fill(i);
    };
    await objects.put('one', pieces());
    assert.deepEqual((await objects.held()).names, ['one']);
    let bytes = 0;
    await objects.get('one', (piece) => {
      bytes += piece.length;
    });
    assert.equal(bytes, 2_100_000);
    await objects.remove('one');
    assert.deepEqual((await objects.held()).names, []);
  } finally {
    await link.close();
  }
}
