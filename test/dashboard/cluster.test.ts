// What the dashboard of a node of a cluster answers: what it knows of it, stepping down, and on a
// node that follows what there is and why there is no more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command, Outcome } from '../../src/contract/commands.ts';
import { Live } from '../../src/dashboard/live.ts';
import type { Answer } from '../../src/dashboard/messages.ts';
import { OPENAPI } from '../../src/dashboard/openapi.ts';
import { createRouter, type RouterOptions } from '../../src/dashboard/routes.ts';
import { clusterHealth } from '../../src/health.ts';
import { fakeSnapshot } from '../cli/fake-server.ts';
import { fakeCluster, fakeFollower, fakeNode } from '../support/cluster.ts';
import { mismatches } from '../support/schema.ts';

const HEALTH = { started: true, live: true, ready: true, checks: {} };
const ALONE: Answer = { health: HEALTH, snapshot: fakeSnapshot() };
const OWNER: Answer = { ...ALONE, cluster: fakeCluster() };
const FOLLOWER: Answer = { health: HEALTH, cluster: fakeFollower() };
const LOST: Outcome = { ok: false, code: 'stopping', detail: 'node 1 does not answer' };
const STEPPING: Outcome = { ok: true, result: { of: 'owner', from: '1' } };

function desk(answer: Answer | undefined, outcome: Outcome, more: Partial<RouterOptions> = {}) {
  const commands: Command[] = [];
  const run = async (command: Command) => {
    commands.push(command);
    return outcome;
  };
  const options = { host: '127.0.0.1', allowedHosts: [], run, ask: async () => answer };
  const handle = createRouter({ ...options, ...more });
  const ask = async (method: string, url: string, action?: string) => {
    const reply = await handle({ method, url, host: 'localhost', hasBody: false, action });
    return { status: reply.status, body: JSON.parse(reply.body) };
  };
  return { commands, ask };
}

const schemaOf = (name: string) => ({ $ref: `#/components/schemas/${name}` });

test('what a node knows of the cluster, as the document says, whoever owns the log', async () => {
  const bare = fakeFollower({
    owner: null,
    self: fakeNode(2, { building: { bytes: 1, bytesTotal: 2 }, blocked: 'no space' }),
  });
  for (const cluster of [fakeCluster(), fakeFollower(), bare]) {
    const { ask, commands } = desk({ health: HEALTH, cluster }, LOST);
    const { status, body } = await ask('GET', '/api/v1/cluster');
    assert.equal(status, 200);
    assert.deepEqual(body, cluster);
    assert.deepEqual(mismatches(OPENAPI, schemaOf('Cluster'), body), []);
    assert.deepEqual(commands, []);
  }
});

test('stepping down: for the owner or the leader, a change like others', async () => {
  const { ask, commands } = desk(OWNER, STEPPING);
  const path = '/api/v1/cluster/step-down';
  const begun = await ask('POST', path, '1');
  assert.equal(begun.status, 202);
  assert.deepEqual(mismatches(OPENAPI, schemaOf('StepDown'), begun.body), []);
  assert.equal((await ask('POST', `${path}?leader=1`, '1')).status, 202);
  assert.deepEqual(commands, [
    { kind: 'cluster-step-down', leader: false },
    { kind: 'cluster-step-down', leader: true },
  ]);
  assert.equal((await ask('POST', `${path}?leader=yes`, '1')).status, 400);
  assert.equal((await ask('POST', path)).status, 403);
  assert.equal((await ask('GET', path)).status, 405);
  const reading = desk(OWNER, STEPPING, { readOnly: true });
  assert.equal((await reading.ask('POST', path, '1')).status, 403);
  assert.equal(commands.length + reading.commands.length, 2);
  const conflict: Outcome = { ok: false, code: 'conflict', detail: 'no other node follows' };
  assert.equal((await desk(OWNER, conflict).ask('POST', path, '1')).status, 409);
});

test('a broker that is no node of a cluster says so, and is not bothered', async () => {
  const { ask, commands } = desk(ALONE, STEPPING);
  for (const [method, path] of [
    ['GET', '/api/v1/cluster'],
    ['POST', '/api/v1/cluster/step-down'],
  ] as const) {
    const { status, body } = await ask(method, path, '1');
    assert.deepEqual([status, body.code], [404, 'no-cluster']);
  }
  assert.deepEqual(commands, []);
  assert.equal((await desk(undefined, STEPPING).ask('GET', '/api/v1/cluster')).status, 503);
  const starting = { health: { ...HEALTH, started: false } };
  const early = await desk(starting, STEPPING).ask('GET', '/api/v1/cluster');
  assert.deepEqual([early.status, early.body.detail], [503, 'the broker is starting']);
});

test('on a node that follows: who has the numbers, and where', async () => {
  const { ask } = desk(FOLLOWER, LOST, { settings: [] });
  for (const url of ['/dash', '/api/v1/overview']) {
    const { status, body } = await ask('GET', url);
    assert.deepEqual([status, body.code], [503, 'not-owner'], url);
    assert.equal(
      body.detail,
      'node 2 of cluster orders does not own the log: the numbers are those of node 1, whose dashboard is at 10.0.0.1:3888',
    );
  }
  const config = await ask('GET', '/api/v1/config');
  assert.deepEqual([config.status, config.body], [200, { settings: [] }]);
  assert.equal((await ask('GET', '/api/v1/history')).status, 200);
  const said = async (owner: ReturnType<typeof fakeCluster>['owner']) => {
    const cluster = fakeFollower({ owner });
    return (await desk({ health: HEALTH, cluster }, LOST).ask('GET', '/dash')).body.detail;
  };
  assert.match(await said(null), /knows of no node that does: ask again in a moment$/);
  const bare = { node: 1, address: '10.0.0.1:4888', dashboard: null };
  assert.match(await said(bare), /: node 1 does, which has no dashboard$/);
  // Between two lives it is its own owner and has no broker.
  assert.match(await said({ ...bare, node: 2 }), /knows of no node/);
});

test('the probes of a node say what it is about', async () => {
  const behind = fakeFollower({ self: fakeNode(2, { lag: 70, lagMs: 9000 }) });
  for (const [cluster, status] of [
    [fakeFollower(), 200],
    [behind, 503],
  ] as const) {
    const health = { started: true, ...clusterHealth(cluster) };
    const { ask } = desk({ health, cluster }, LOST);
    const ready = await ask('GET', '/readyz?verbose');
    assert.equal(ready.status, status);
    assert.match(ready.body.checks.cluster.detail, /^node 2 follows node 1, the owner: \d+ mess/);
    assert.equal((await ask('GET', '/livez?verbose')).status, 200);
    assert.equal((await ask('GET', '/startupz?verbose')).status, 200);
  }
});

test('pages are pushed the cluster, and the overview while it owns the log', async () => {
  const pushed = async (answer: Answer | undefined, readOnly = false) => {
    const frames: string[] = [];
    const run = async () => LOST;
    const hub = new Live({
      host: '127.0.0.1',
      allowedHosts: [],
      ask: async () => answer,
      run,
      readOnly,
    });
    const socket = { send: (text: string) => frames.push(text), queuedBytes: () => 0, close() {} };
    const follower = hub.open(socket);
    await hub.push();
    follower.closed();
    return frames.map((text) => JSON.parse(text));
  };
  const own = await pushed(OWNER);
  assert.deepEqual(
    own.map(({ type }) => type),
    ['cluster', 'overview'],
  );
  assert.deepEqual(own[0].data, { ...fakeCluster(), serves: true, readOnly: false });
  const followed = await pushed(FOLLOWER, true);
  assert.deepEqual(followed, [
    { type: 'cluster', data: { ...fakeFollower(), serves: false, readOnly: true } },
  ]);
  const [alone, silent] = [await pushed(ALONE), await pushed(undefined)];
  assert.deepEqual([alone.map(({ type }) => type), silent[0].type], [['overview'], 'problem']);
});
