// Peers whose machine is gone: no FIN, no RST, only silence. Found within 30 s, with data in flight
// and without, in a network of two namespaces whose link is cut.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { startBroker, temporaryFolder } from '../support/broker.ts';
import { needsNamespaces, run } from '../support/machine.ts';

const SERVER = 'tmq-server';
const CLIENT = 'tmq-client';

function network(): void {
  for (const name of [SERVER, CLIENT]) run('ip', 'netns', 'add', name);
  run(
    'ip',
    'link',
    'add',
    'tmq0',
    'netns',
    SERVER,
    'type',
    'veth',
    'peer',
    'name',
    'tmq1',
    'netns',
    CLIENT,
  );
  for (const [name, device, address] of [
    [SERVER, 'tmq0', '10.97.0.1/24'],
    [CLIENT, 'tmq1', '10.97.0.2/24'],
  ] as const) {
    run('ip', '-n', name, 'addr', 'add', address, 'dev', device);
    run('ip', '-n', name, 'link', 'set', device, 'up');
    run('ip', '-n', name, 'link', 'set', 'lo', 'up');
  }
}

test('a consumer whose machine vanished is found within 30 s', {
  ...needsNamespaces,
  timeout: 120_000,
}, async () => {
  network();
  const peers: ChildProcess[] = [];
  try {
    await using broker = await startBroker({
      dataDir: temporaryFolder(),
      flags: ['--host', '0.0.0.0'],
      wrapper: ['ip', 'netns', 'exec', SERVER],
    });
    const consumer = `
      const [port, bucket] = process.argv.slice(1).map(Number);
      const header = Buffer.alloc(20);
      header.writeUInt32LE(10, 16);
      header.writeBigUInt64LE(BigInt(bucket), 8);
      const socket = require('node:net').connect(port, '10.97.0.1', () => socket.write(header));
      socket.on('data', () => {
        socket.write(Buffer.of(1));
        console.log(socket.localPort);
      });`;
    const producer = `
      const socket = require('node:net').connect(Number(process.argv[1]), '10.97.0.1', () =>
        socket.write(Buffer.from('01000000020000000000000001000000000000002a', 'hex')));
      socket.once('data', () => process.exit());`;
    const inside = (name: string, script: string, ...args: number[]) => {
      const command = [process.execPath, '-e', script, ...args.map(String)];
      const child = spawn('ip', ['netns', 'exec', name, ...command]);
      peers.push(child);
      return child;
    };
    const idle = inside(CLIENT, consumer, broker.exhaust, 1);
    const busy = inside(CLIENT, consumer, broker.exhaust, 2);
    const ports = await Promise.all(
      [idle, busy].map(async (child) => String((await once(child.stdout, 'data'))[0]).trim()),
    );
    run('ip', '-n', CLIENT, 'link', 'set', 'tmq1', 'down');
    const cut = Date.now();
    // A message for bucket 2 is on its way to a machine that is not there any more.
    const published = inside(SERVER, producer, broker.intake);
    await once(published, 'exit');
    for (const port of ports) {
      const found = await broker.line(
        ({ event, msg }) =>
          (event === 'consumer.dead' || event === 'peer.unreachable') &&
          msg.includes(`10.97.0.2:${port}`),
      );
      console.log(`half-open: ${found.event} after ${Date.now() - cut} ms`);
      assert.ok(Date.now() - cut < 30_000, 'it took longer than promised');
    }
    await broker.kill();
  } finally {
    for (const child of peers) child.kill('SIGKILL');
    for (const name of [SERVER, CLIENT]) run('ip', 'netns', 'del', name);
  }
});
