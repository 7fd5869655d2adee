// A broker's start in this process: one that fails leaves nothing open, and says what it was.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../src/config/load.ts';
import { StartError } from '../src/data-folder.ts';
import type { Logger } from '../src/io/logger.ts';
import { Server, startServer } from '../src/server.ts';
import { temporaryFolder } from './support/broker.ts';

const silent = () => {};
const log: Logger = {
  trace: silent,
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  fatal: silent,
};

async function start(dataDir: string, flags: object = {}): Promise<Server> {
  const { config } = await loadConfig({
    flags: { data_dir: dataDir, intake_port: 0, exhaust_port: 0, ...flags },
    environment: {},
    workingDir: process.cwd(),
    terminal: false,
  });
  return startServer({ config, log, version: '9.9.9' });
}

async function failureOf(starting: Promise<Server>): Promise<StartError> {
  const failure: unknown = await starting.catch((error) => error);
  if (failure instanceof Server) await failure.close();
  assert.ok(failure instanceof StartError, String(failure));
  return failure;
}

/** Files of the data folder that this process has open; none where the system does not tell. */
function openFiles(dataDir: string): string[] {
  const folder = '/proc/self/fd';
  if (!fs.existsSync(folder)) return [];
  const names = fs.readdirSync(folder).map((fd) => {
    try {
      return fs.readlinkSync(path.join(folder, fd));
    } catch {
      return ''; // that of the listing itself
    }
  });
  return names.filter((name) => name.startsWith(dataDir));
}

test('a start that cannot listen closes its log and gives the folder back', async (t) => {
  const dataDir = temporaryFolder();
  const taken = net.createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as net.AddressInfo;
  const failure = await failureOf(start(dataDir, { exhaust_port: port }));
  assert.equal(failure.exitCode, 1);
  assert.match(failure.message, /cannot listen on .*another program uses that port/);
  assert.deepEqual(openFiles(dataDir), []);
  const server = await start(dataDir);
  assert.ok(process.platform !== 'linux' || openFiles(dataDir).length > 0);
  await server.close();
  assert.deepEqual(await server.stopped, { exitCode: 0, reason: 'stopped' });
  assert.deepEqual(openFiles(dataDir), []);
});

test('pauses that cannot be read end a start before it touches the log', async () => {
  const dataDir = temporaryFolder();
  const file = path.join(dataDir, 'paused.json');
  // A folder can be read by nobody, not even by root.
  fs.mkdirSync(file);
  const failure = await failureOf(start(dataDir));
  assert.equal(failure.exitCode, 74);
  assert.match(failure.message, /paused\.json cannot be used: EISDIR.*make it readable.*remove it/);
  assert.deepEqual(openFiles(dataDir), []);
  assert.ok(!fs.existsSync(path.join(dataDir, 'log')));
  fs.rmdirSync(file);
  await (await start(dataDir)).close();
});
