// What servers are worth: which are refused, which are served with a warning, and what is said.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  factsOf,
  judgeServers,
  type ServerFacts,
  type ServerFindings,
} from '../../../src/io/cluster/server-verdict.ts';

const three = (version: string | undefined, syncs: boolean | undefined): ServerFacts[] =>
  ['n0', 'n1', 'n2'].map((name) => ({ name, version, syncs }));

const judge = (servers: ServerFacts[], more: Partial<ServerFindings> = {}) =>
  judgeServers({
    stream: 'S',
    replicas: 3,
    servers,
    maxPayload: 1024 * 1024,
    synced: false,
    unsafeSync: false,
    unsafeServer: false,
    ...more,
  });

const problemsOf = (servers: ServerFacts[], more: Partial<ServerFindings> = {}) =>
  judge(servers, more).problems.map(({ text }) => text);

test('new servers that sync are safe, without a word', () => {
  for (const version of ['2.14.4', '2.15.1', '3.0.0', '2.100.0']) {
    const verdict = judge(three(version, true));
    assert.deepEqual([verdict.safe, verdict.problems, verdict.warnings], [true, [], []]);
    assert.match(verdict.means, /disks of two of three servers/);
  }
});

test('older ones that sync are safe as far as is known, with a warning', () => {
  for (const version of ['2.10.23', '2.12.8', '2.14.3']) {
    const verdict = judge(three(version, true));
    assert.deepEqual([verdict.safe, verdict.problems], [true, []]);
    assert.match(verdict.warnings.join(), /known faults: n0 \([\d.]+\), n1.*2\.14\.4/);
  }
});

test('servers that lose what they acked are refused, or accepted with a warning', () => {
  for (const version of ['2.9.10', '2.10.22', '1.99.99']) {
    const [mixed] = [[...three('2.15.1', true).slice(1), { name: 'old', version, syncs: true }]];
    assert.match(problemsOf(mixed!).join(), /old \(.*--cluster-unsafe-server/);
    const verdict = judge(mixed!, { unsafeServer: true });
    assert.deepEqual([verdict.safe, verdict.problems], [false, []]);
    assert.match(verdict.warnings.join(), /may lose what they acked: old/);
    assert.match(verdict.means, /^on the disk of the owner/);
  }
});

test('fewer than three copies are refused', () => {
  const one = three('2.15.1', true).slice(1);
  assert.match(problemsOf(one).join(), /S is on 2 servers with 3 replicas, three are needed/);
  assert.match(problemsOf(three('2.15.1', true), { replicas: 1 }).join(), /with 1 replica, three/);
  assert.deepEqual(problemsOf(one, { unsafeServer: true }), []);
});

test('a server that does not sync is refused, whatever is stated', () => {
  const servers = three('2.15.1', true);
  servers[1] = { name: 'n1', version: '2.15.1', syncs: false };
  for (const more of [{}, { synced: true }])
    assert.match(problemsOf(servers, more).join(), /before they sync: n1 .*sync_interval: always/);
  const verdict = judge(servers, { unsafeSync: true });
  assert.deepEqual([verdict.safe, verdict.problems, verdict.warnings.length], [false, [], 1]);
  assert.match(verdict.means, /^in the memory of two/);
});

test('what nobody can see is refused, unless it is stated or accepted', () => {
  const servers = three(undefined, undefined);
  assert.match(problemsOf(servers).join(), /could not be seen: n0, n1, n2; .*monitor/);
  assert.deepEqual(judge(servers, { synced: true }).safe, true);
  assert.match(judge(servers, { synced: true }).warnings.join(), /stated/);
  assert.deepEqual(judge(servers, { unsafeSync: true }).safe, false);
});

test('servers that take small messages only are refused', () => {
  const problems = problemsOf(three('2.15.1', true), { maxPayload: 65_535 });
  assert.match(problems.join(), /messages of 65535 bytes at most: set max_payload/);
  assert.deepEqual(problemsOf(three('2.15.1', true), { maxPayload: 65_536 }), []);
});

test('a monitoring page is read; one of something else says nothing', () => {
  const page = {
    server_name: 'n0',
    version: '2.15.1',
    jetstream: { config: { sync_always: true } },
  };
  assert.deepEqual(factsOf(page), { name: 'n0', version: '2.15.1', syncs: true });
  assert.equal(factsOf({ ...page, jetstream: {} })!.syncs, false);
  for (const other of [{}, null, 'hello', []]) assert.equal(factsOf(other), undefined);
});
