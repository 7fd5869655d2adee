// `cluster status` and `cluster step-down` as programs against the routes of a dashboard, and what
// verbs that need a broker say of a node that follows.

import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { stateOf } from '../../src/cli/state.ts';
import type { ClusterSnapshot } from '../../src/contract/cluster.ts';
import type { Command, Outcome } from '../../src/contract/commands.ts';
import { createRouter } from '../../src/dashboard/routes.ts';
import { fakeCluster, fakeFollower, fakeNode, UNSAFE_ACK } from '../support/cluster.ts';
import { thrustmq } from '../support/process.ts';
import { fakeSnapshot } from './fake-server.ts';

const HEALTH = { started: true, live: true, ready: true, checks: {} };

interface Node {
  cluster: ClusterSnapshot | undefined;
  run?: (command: Command) => Outcome;
  owns?: boolean;
}

/** The dashboard of a node, which says what `node` holds at the time. */
async function dashboardOf(node: Node) {
  const handle = createRouter({
    host: '127.0.0.1',
    allowedHosts: [],
    ask: async () => ({
      health: HEALTH,
      cluster: node.cluster,
      ...(node.owns === false ? {} : { snapshot: fakeSnapshot() }),
    }),
    run: async (command) => node.run?.(command) ?? { ok: true, result: node.cluster! },
  });
  const server = http.createServer((request, response) => {
    const { method, url, headers } = request;
    const action = headers['x-thrustmq-request'] as string | undefined;
    const asked = { method: method!, url: url!, host: headers.host, hasBody: false, action };
    void handle(asked).then(({ status, headers: sent, body }) => {
      response.writeHead(status, sent).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: String((server.address() as AddressInfo).port),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('status: the owner, the stream, each node and whether it would take over', async () => {
  await using page = await dashboardOf({ cluster: fakeCluster() });
  const { code, stdout, stderr } = await thrustmq(['cluster', 'status', '-p', page.port]);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^cluster orders: node 1 owns the log, epoch 7$/m);
  assert.match(stdout, /^an ack means: on the disks of two of three servers, and on/m);
  assert.match(stdout, /^stream TMQ_orders_0: 4 GiB of 16 GiB \(25 %\), led by n2$/m);
  assert.match(stdout, /1 +│ owning +│ +7 │ +0 │ +│ 9\.9\.9 +│ 10\.0\.0\.1:3888 │ owns the log/);
  assert.match(stdout, /2 +│ following +│ +7 │ +0 │ 250 ms ago │ .* │ yes/);
  assert.match(stdout, /3 .* 900, 6s 500ms|900, 6.* │ no: 900 messages of the stream behind/);
  assert.match(stdout, /^node 1 owns it since 2026-01-02T04.* was silent; .*has seen: 2$/m);
  assert.match(stdout, /\nappends in doubt: 5, void messages: 4\n$/);
  const json = await thrustmq(['cluster', 'status', '--json', '-p', page.port]);
  assert.deepEqual(JSON.parse(json.stdout), fakeCluster());
});

test('status of what is not as it should be: said, and no owner is exit 1', async () => {
  const { stream } = fakeCluster();
  const blocked = 'the stream is full';
  const cluster = fakeFollower({
    name: 'or\x1bders',
    owner: null,
    ack: UNSAFE_ACK,
    stream: { ...stream, connected: false, leader: null, blocked },
    takeOvers: [],
  });
  await using page = await dashboardOf({ cluster, owns: false });
  const { code, stdout } = await thrustmq(['cluster', 'status', '-p', page.port]);
  assert.equal(code, 1);
  assert.match(stdout, /^cluster or·ders: no node owns the log, epoch 7$/m);
  assert.match(stdout, /an ack means: in the memory of two of .* \(unsafe\)$/m);
  assert.match(stdout, /^warning: servers of NATS ack before they sync/m);
  assert.match(stdout, /NATS is not reached, publishes are refused: the stream is full$/m);
});

test('a broker that is no node of a cluster says so', async () => {
  await using page = await dashboardOf({ cluster: undefined });
  for (const verb of ['status', 'step-down']) {
    const { code, stderr } = await thrustmq(['cluster', verb, '-p', page.port]);
    assert.equal(code, 1);
    assert.match(stderr, /this broker is no node of a cluster: see --cluster \(no-cluster\)/);
  }
});

test('step-down: begun, and waited for until another node owns the log', async () => {
  let looks = 0;
  const ours = fakeFollower({ owner: null, self: fakeNode(1, { state: 'resigning' }) });
  const theirs = fakeCluster({
    self: fakeNode(2, { state: 'owning', epoch: 8 }),
    owner: { node: 2, address: '10.0.0.2:4888', dashboard: null },
  });
  let begun = false;
  const node: Node = {
    // First nobody owns it, then nobody answers, then node 2.
    get cluster() {
      if (!begun) return fakeCluster();
      looks++;
      return looks === 1 ? ours : looks === 2 ? undefined : theirs;
    },
    run: () => {
      begun = true;
      return { ok: true, result: { of: 'owner', from: '1' } };
    },
    owns: false,
  };
  await using page = await dashboardOf(node);
  const { code, stdout, stderr } = await thrustmq(['cluster', 'step-down', '-p', page.port]);
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(stdout, 'node 2 owns the log, epoch 8; it was node 1\n');
  assert.equal(looks, 3);
});

test('step-down --leader: another server leads the stream', async () => {
  const node: Node = { cluster: fakeCluster() };
  const orders: Command[] = [];
  node.run = (command) => {
    orders.push(command);
    const { stream } = fakeCluster();
    node.cluster = fakeCluster({ stream: { ...stream, leader: 'n3' } });
    return { ok: true, result: { of: 'leader', from: 'n2' } };
  };
  await using page = await dashboardOf(node);
  const flags = ['cluster', 'step-down', '--leader', '-p', page.port];
  const { code, stdout } = await thrustmq(flags);
  assert.deepEqual([code, stdout], [0, 'n3 leads the stream; it was n2\n']);
  assert.deepEqual(orders, [{ kind: 'cluster-step-down', leader: true }]);
});

test('step-down where nobody would take over: refused, unless it is forced', async () => {
  const nodes = [1, 2].map((node) => ({ ...fakeNode(node), seenMs: node === 1 ? 0 : 9000 }));
  const node: Node = { cluster: fakeCluster({ nodes }) };
  const kinds: string[] = [];
  node.run = ({ kind }) => {
    kinds.push(kind);
    node.cluster = fakeCluster({ nodes, self: fakeNode(1, { epoch: 8 }) });
    return { ok: true, result: { of: 'owner', from: '1' } };
  };
  await using page = await dashboardOf(node);
  const refused = await thrustmq(['cluster', 'step-down', '-p', page.port]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /no other node would take over: node 2 not heard of for 9 s\./);
  assert.deepEqual(kinds, []);
  const forced = await thrustmq(['cluster', 'step-down', '--force', '-p', page.port]);
  assert.deepEqual([forced.code, forced.stdout], [0, 'node 1 owns the log again, epoch 8\n']);
  const alone = { cluster: fakeCluster({ nodes: nodes.slice(0, 1) }) };
  await using lonely = await dashboardOf(alone);
  assert.match(
    (await thrustmq(['cluster', 'step-down', '-p', lonely.port])).stderr,
    /would take over: there is none\. Nothing was changed; --force/,
  );
});

test('stats, top and why on a node that follows: a sentence, or the answer of the owner', async () => {
  const run = (command: Command): Outcome =>
    command.kind === 'buckets'
      ? { ok: true, result: { buckets: [], cursor: null, count: 0, more: false } }
      : { ok: false, code: 'stopping', detail: 'node 1 does not answer' };
  await using page = await dashboardOf({ cluster: fakeFollower(), run, owns: false });
  for (const verb of ['stats', 'top']) {
    const { code, stdout, stderr } = await thrustmq([verb, '-p', page.port]);
    assert.deepEqual([code, stdout], [69, ''], verb);
    assert.match(stderr, /node 2 of cluster orders does not own the log: the numbers are those of/);
    assert.match(stderr, /node 1, whose dashboard is at 10\.0\.0\.1:3888\n$/);
  }
  const why = await thrustmq(['why', '42', '-p', page.port]);
  assert.equal(why.code, 69);
  assert.match(why.stderr, /node 1 does not answer/);
  const listed = await thrustmq(['bucket', 'ls', '-p', page.port]);
  assert.equal(listed.code, 0, listed.stderr);
});

test('the line of SIGUSR2 says what the node is about', () => {
  const state = { uptimeMs: 5000, dashboard: null, stopping: false };
  const { fields, text } = stateOf({ health: HEALTH, cluster: fakeFollower() }, state);
  assert.match(text, /ready, node 2 follows node 1, the owner: 12 messages behind, 30 ms$/);
  assert.deepEqual((fields as { cluster: object }).cluster, fakeFollower());
  const alone = stateOf({ health: HEALTH, snapshot: fakeSnapshot() }, state);
  assert.ok(!('cluster' in alone.fields));
});
