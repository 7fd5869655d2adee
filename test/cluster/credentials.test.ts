// Servers of NATS that do not let everybody in: what a node is refused for at its start, that the
// rights which the guide lists are enough, and an owner whose credentials end while it owns.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { connectStream } from '../../src/io/cluster/jetstream.ts';
import { ELSEWHERE } from '../io/cluster/certificates.ts';
import { temporaryFolder } from '../support/broker.ts';
import { Random, seedOf } from '../support/random.ts';
import { inFile, KnownUser, Operator, permissions, tlsIn } from './credentials.ts';
import { NatsCluster, SERVERS } from './nats.ts';
import { CLUSTER, Nodes, STREAM_BYTES } from './nodes.ts';
import { Rig } from './rig.ts';
import { optionsFor } from './stream-options.ts';
import { SOME } from './strikes.ts';
import { assertSilent, publish, take } from './traffic.ts';

const random = new Random(seedOf('credentials for NATS'));
const TIMEOUT_MS = 240_000;
const last = SERVERS.findLast(({ program }) => program !== undefined) ?? SERVERS[0]!;
const { program, skip } = last;
const options = { ...(skip === undefined ? {} : { skip }), timeout: TIMEOUT_MS };
const MIB = 1024 * 1024;

/** Publishes and takes until the owner has made a base of its log. */
async function untilBase({ nodes }: Rig, owner: number): Promise<void> {
  let isMade = false;
  const made = nodes.node(owner).line(({ event }) => event === 'cluster.base');
  const line = made.then((found) => {
    isMade = true;
    return found;
  });
  for (let bytes = 0; !isMade; bytes += MIB) {
    assert.ok(bytes < 400 * MIB, nodes.tell());
    await publish(nodes.intake[owner]!, 8, Array(20).fill('.'.repeat(50_000)));
    await take(nodes.exhaust[owner]!, 8, 20);
  }
  assert.match((await line).msg as string, /^a base of the log was made/);
}

for (const server of SERVERS)
  test(`${server.name}: over TLS, with certificates and the rights of the guide`, {
    skip: server.skip,
    timeout: TIMEOUT_MS,
  }, async () => {
    const user = new KnownUser();
    const tls = tlsIn(temporaryFolder());
    const credsFile = inFile(user.creds);
    await using rig = await Rig.start(server.program!, {
      config: `${tls.config}\n${user.config(permissions())}`,
      flags: [...tls.flags, '--cluster-nats-creds', credsFile, '--cluster-base-slack', '8MiB'],
    });
    const { nodes, nats } = rig;
    const { node: owner } = await nodes.owner();
    const [late, other] = nodes.running.filter((each) => each !== owner) as [number, number];
    await nodes.stop(late);
    nodes.forget(late);
    await publish(nodes.intake[other]!, 7, ['old']);
    await untilBase(rig, owner);
    await nodes.start(late);
    assert.equal(nodes.said('cluster.built').length, 1, nodes.tell());

    const [, caFile, , certFile, , keyFile] = tls.flags;
    const access = { caFile, certFile, keyFile, credsFile };
    const link = await connectStream(
      optionsFor(nats, { cluster: CLUSTER, maxBytes: STREAM_BYTES, ...access }),
    );
    assert.equal(await link.stepDownLeader(), true);
    await link.close();
    await rig.whole();

    const owned = nodes.ownings.length;
    await nodes.kill(owner);
    const { node: next } = await nodes.owner(owned);
    await publish(nodes.intake[next]!, 7, ['new']);
    assert.deepEqual(await take(nodes.exhaust[late]!, 7, 2), ['old', 'new']);
    const said = [0, 1, 2].flatMap((i) => nats.logOf(i).match(/^.*Violation.*$/gm) ?? []);
    assert.deepEqual(said, [], 'a right is missing');
  });

test('a node that no server would take ends with 78, and says why', options, async () => {
  const user = new KnownUser();
  const folder = temporaryFolder();
  const tls = tlsIn(folder);
  const good = inFile(user.creds, folder);
  await using nats = await NatsCluster.start(program!, {
    config: `${tls.config}\n${user.config()}`,
  });
  const file = (name: string, contents: string) => {
    fs.writeFileSync(path.join(folder, name), contents);
    return path.join(folder, name);
  };
  const [, ca, ...own] = tls.flags as [string, string, ...string[]];
  const trusts = (caFile: string) => ['--cluster-nats-ca', caFile, ...own];
  const shows = (creds: string) => ['--cluster-nats-creds', creds];
  const none = file('none.creds', 'nothing of the kind');
  const cases: [string[], RegExp][] = [
    [
      [...trusts(file('other.ca', ELSEWHERE.ca)), ...shows(good)],
      /certificate that is not trusted/,
    ],
    [[...tls.flags], /does not let this node in: .*--cluster-nats-creds/i],
    [
      [...tls.flags, ...shows(file('other.creds', new KnownUser().creds))],
      /does not let this node/,
    ],
    [[...tls.flags, ...shows(none)], /cannot use the credentials.*unable to parse/],
    [[...tls.flags, ...shows(path.join(folder, 'gone'))], /cannot read the credentials.*ENOENT/],
    [
      [...trusts(file('bent.ca', ca)).slice(0, 4), '--cluster-nats-key', none],
      /cannot use the cert/,
    ],
  ];
  for (const [flags, why] of cases) {
    const nodes = await Nodes.make({ nats, count: 1, flags });
    await assert.rejects(nodes.start(0), (error: Error) => {
      assert.match(error.message, /the broker ended with 78: /);
      assert.match(error.message, why);
      return true;
    });
  }
});

interface Ending {
  config: string;
  creds: string;
  /** Nobody is let in any more, now or soon. */
  end: (nats: NatsCluster) => Promise<void>;
  /** They are good again. */
  mend: (nats: NatsCluster, file: string) => Promise<void>;
}

// In which a busy machine starts a cluster.
const RUN_S = 25;

function expiring(): Ending {
  const operator = new Operator();
  return {
    config: operator.config,
    creds: operator.creds(Math.floor(Date.now() / 1000) + RUN_S),
    end: async () => {},
    mend: async (_, file) => fs.writeFileSync(file, operator.creds()),
  };
}

function removed(): Ending {
  const user = new KnownUser();
  const config = user.config();
  return {
    config,
    creds: user.creds,
    end: (nats) => nats.reload(new KnownUser().config()),
    mend: (nats) => nats.reload(config),
  };
}

for (const [how, make] of [
  ['expire, and come anew in their file', expiring],
  ['are taken away by the servers, and given back', removed],
] as const)
  test(`credentials that ${how}: nothing is acked meanwhile, and it goes on`, options, async () => {
    const { config, creds, end, mend } = make();
    const file = inFile(creds);
    await using rig = await Rig.start(program!, {
      config,
      flags: ['--cluster-nats-creds', file],
    });
    const { nodes, nats } = rig;
    await using load = rig.load(random);
    await load.acked(SOME);
    await end(nats);
    const out = (node: number) =>
      nodes.node(node).line(({ msg }) => /does not let this node in any more/.test(msg));
    await Promise.all(nodes.running.map(out));
    await nodes.nobodyServes();
    await assertSilent(rig, load);

    await mend(nats, file);
    await load.acked(SOME);
    const back = nodes.running.map((node) =>
      nodes.node(node).line(({ msg }) => msg === 'NATS lets this node in again'),
    );
    await Promise.all(back);
    assert.equal(nodes.running.length, 3, nodes.tell());
    load.assertFine(await load.judge());
  });
