// Rules that are set while a broker runs, by the API and by the command line: guarded by versions,
// in force at once, and there after a kill -9 with the versions that they had.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { RuleRow } from '../../src/contract/commands.ts';
import {
  type BrokerProcess,
  failedStart,
  MAIN,
  startBroker,
  temporaryFolder,
} from '../support/broker.ts';

const start = (dataDir: string, flags: string[] = []) =>
  startBroker({ dataDir, dashboard: true, flags });

async function call(
  { dashboard }: BrokerProcess,
  method: string,
  path: string,
  headers: Record<string, string> = {},
) {
  const url = `http://127.0.0.1:${dashboard}/api/v1/rules/${path}`;
  const response = await fetch(url, { method, headers: { ...headers, 'x-thrustmq-request': '1' } });
  const body = (await response.json()) as RuleRow & { code?: string; detail?: string };
  return { status: response.status, etag: response.headers.get('etag'), body };
}

function run({ dataDir }: BrokerProcess, ...args: string[]) {
  const env = { ...process.env, NO_COLOR: '1' };
  const all = [MAIN, ...args, '--data-dir', dataDir];
  const { stdout, stderr, status } = spawnSync(process.execPath, all, { env });
  return { status, text: `${stdout}${stderr}` };
}

// Of two dialects of HTTP each has its own way to headers.
for (const transport of ['uws', 'node'])
  describe(`over ${transport}`, () => {
    const flags = ['--dashboard-transport', transport];

    test('a rule is set, replaced and removed, each from the version that was seen', async () => {
      await using broker = await start(temporaryFolder(), flags);
      const made = await call(broker, 'PUT', 'tenants?match=100-199&max_messages=2&batch=10', {
        'if-none-match': '*',
      });
      assert.equal(made.status, 200, JSON.stringify(made.body));
      assert.deepEqual(made.body.keys, { max_messages: '2', batch: '10' });
      assert.equal(made.etag, `"${made.body.version}"`);
      const again = await call(broker, 'PUT', 'tenants?match=1&batch=1', { 'if-none-match': '*' });
      assert.deepEqual([again.status, again.body.code], [412, 'changed']);
      const two = await Promise.all(
        [3, 4].map((batch) =>
          call(broker, 'PUT', `tenants?match=100-199&batch=${batch}`, { 'if-match': made.etag! }),
        ),
      );
      assert.deepEqual(two.map(({ status }) => status).sort(), [200, 412]);
      const { etag } = two.find(({ status }) => status === 200)!;
      assert.equal((await call(broker, 'GET', 'tenants')).etag, etag);
      const stale = await call(broker, 'DELETE', 'tenants', { 'if-match': made.etag! });
      assert.equal(stale.status, 412);
      const other = await call(broker, 'PUT', 'other?match=150-250&batch=4');
      assert.equal(other.status, 409);
      assert.match(other.body.detail!, /"tenants".*"other".*in bucket 150/);
      for (const bad of [
        'x?match=1&bacth=1',
        'x?batch=1',
        'x?match=1&match=2&batch=1',
        '.x?match=1',
      ])
        assert.equal((await call(broker, 'PUT', bad)).status, 400, bad);
      assert.equal(
        (await call(broker, 'PUT', 'x?match=1&batch=1', { 'if-match': 'x' })).status,
        400,
      );
      const preview = await call(broker, 'DELETE', 'tenants?preview=1');
      assert.equal(preview.status, 200);
      assert.equal((await call(broker, 'GET', 'tenants')).status, 200);
      assert.equal((await call(broker, 'DELETE', 'tenants', { 'if-match': etag! })).status, 200);
      assert.equal((await call(broker, 'GET', 'tenants')).status, 404);
    });
  });

test('what was answered is there after kill -9, by the command line, too', async () => {
  const dataDir = temporaryFolder();
  let broker = await start(dataDir);
  assert.match(
    run(broker, 'rule', 'set', 'one', '--match', '7', 'max_messages=2').text,
    /in force/,
  );
  assert.match(run(broker, 'pub', '7', 'a', 'b', 'c', '--json').text, /"published":2,"refused":1/);
  assert.equal(run(broker, 'rule', 'set', 'gone', '--match', '8', 'batch=2').status, 0);
  const gone = run(broker, 'rule', 'rm', 'gone');
  assert.match(gone.text, /rule gone is removed/);
  await broker.kill();

  broker = await start(dataDir);
  const { body } = await call(broker, 'GET', 'one');
  assert.deepEqual([body.keys, body.source], [{ max_messages: '2' }, 'set']);
  assert.match(run(broker, 'rule', 'ls').text, new RegExp(`one .*version ${body.version}`));
  assert.match(run(broker, 'pub', '7', 'd', '--json').text, /"published":0,"refused":1/);
  const preview = run(broker, 'rule', 'set', 'one', '--match', '7', 'batch=3', '--preview');
  assert.match(
    preview.text,
    /1 of 1 known buckets would change[\s\S]*max_messages[\s\S]*2[\s\S]*0/,
  );
  const args = ['rule', 'set', 'one', '--match', '7', 'max_messages=3', '--if-match'];
  const stale = run(broker, ...args, '99999');
  assert.deepEqual([stale.status, /has version/.test(stale.text)], [1, true]);
  assert.equal(run(broker, ...args, body.version!).status, 0);
  assert.match(run(broker, 'pub', '7', 'd', '--json').text, /"published":1,"refused":0/);
  assert.equal(run(broker, 'rule', 'set', 'one', '--match', '7', 'x=1').status, 2);
  assert.equal(run(broker, 'rule', 'set', 'one', '--match', '7', 'batch=1', '--new').status, 1);
  await broker.kill();

  broker = await start(dataDir);
  assert.deepEqual((await call(broker, 'GET', 'one')).body.keys, { max_messages: '3' });
  assert.equal((await call(broker, 'GET', 'gone')).status, 404);
  assert.equal(await broker.stop(), 0);

  const into = path.join(temporaryFolder(), 'repaired');
  assert.equal(run(broker, 'log', 'repair', '--into', into).status, 0);
  broker = await start(into);
  assert.deepEqual((await call(broker, 'GET', 'one')).body.keys, { max_messages: '3' });
  assert.equal((await call(broker, 'GET', 'gone')).status, 404);
  assert.equal(await broker.stop(), 0);

  const file = path.join(temporaryFolder(), 'rules.toml');
  fs.writeFileSync(file, '[[rule]]\nname = "file"\nmatch = 7\nmax_messages = 9\n');
  const { code, text } = await failedStart({ dataDir, flags: ['--config', file] });
  assert.equal(code, 78);
  assert.match(text, /"file" .*"one" .*match the same buckets, 7 for one/);
});
