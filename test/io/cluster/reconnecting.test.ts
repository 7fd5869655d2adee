// How often servers of NATS are tried again: all the time while they are away, ever less often
// while they do not let this node in.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { dial } from '../../../src/io/cluster/nats.ts';
import { Reconnecting } from '../../../src/io/cluster/reconnecting.ts';

test('once all servers have refused it, a node waits ever longer, up to 5 s', () => {
  const reconnecting = new Reconnecting(3);
  const waits = () =>
    Array.from({ length: 3 }, () => {
      reconnecting.refused();
      return reconnecting.delayMs();
    });
  assert.equal(reconnecting.delayMs(), 100);
  assert.deepEqual(waits(), [100, 100, 200]);
  assert.deepEqual(waits(), [200, 200, 400]);
  for (let i = 0; i < 10_000; i++) waits();
  assert.deepEqual(waits(), [5000, 5000, 5000]);
  reconnecting.entered();
  assert.deepEqual(waits(), [100, 100, 200]);
});

/** A server of NATS that says what a server says while clients connect, and nothing more. */
class Door {
  letsIn = true;
  tries = 0;
  readonly #server = net.createServer((socket) => this.#greet(socket));
  #inside: net.Socket[] = [];

  async listen(): Promise<string> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    return `127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`;
  }

  #greet(socket: net.Socket): void {
    this.tries++;
    this.#inside.push(socket);
    const info = { server_id: 'X', version: '2.10.23', proto: 1, max_payload: 1024, headers: true };
    socket.on('error', () => {});
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on('data', (said) => {
      if (!this.letsIn) socket.end("-ERR 'Authorization Violation'\r\n");
      else if (/PING/.test(String(said))) socket.write('PONG\r\n');
    });
  }

  /** Whoever is inside is thrown out. */
  empty(): void {
    for (const socket of this.#inside.splice(0)) socket.destroy();
  }

  async tried(times: number): Promise<void> {
    const before = this.tries;
    while (this.tries < before + times) await once(this.#server, 'connection');
  }

  close(): void {
    this.#server.close();
    this.empty();
  }
}

test('who is refused is patient, who finds nobody is not, and who is let in begins anew', {
  timeout: 20_000,
}, async (t) => {
  const door = new Door();
  const reconnecting = new Reconnecting(1);
  const nats = await dial({ servers: [await door.listen()], reconnecting, warn: () => {} });
  t.after(async () => {
    door.close();
    await nats.connection.close();
  });
  const back = async () => {
    for await (const { type } of nats.connection.status()) if (type === 'reconnect') return;
  };
  for (let i = 0; i < 3; i++) {
    const isBack = back();
    door.empty();
    await isBack;
  }
  assert.equal(reconnecting.delayMs(), 100, 'it was away');
  door.letsIn = false;
  door.empty();
  while (reconnecting.delayMs() < 400) await door.tried(1);
  const isBack = back();
  door.letsIn = true;
  await isBack;
  assert.equal(reconnecting.delayMs(), 100);
});
