// Rights in NATS that are taken away while a cluster runs: nothing is acked or delivered without
// that to publish, each node runs on and says what it lacks, and all goes on once they are back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOf } from '../support/random.ts';
import { inFile, KnownUser, permissions } from './credentials.ts';
import { SERVERS } from './nats.ts';
import { CLUSTER } from './nodes.ts';
import { Rig } from './rig.ts';
import { SOME } from './strikes.ts';
import { assertSilent } from './traffic.ts';

const random = new Random(seedOf('rights in NATS'));
const TIMEOUT_MS = 240_000;

const STREAM = `TMQ_${CLUSTER}_0`;
const PUBLISHES = `"tmq\\.${CLUSTER}\\.>"`;
const ASKS = `"\\$JS[^"]*\\.${STREAM}[^"]*"`;

/** What is taken away, and whether an owner can still have its appends confirmed. */
const CASES = [
  { right: 'to publish on the stream', what: PUBLISHES, goesOn: false, says: 'publish into' },
  {
    right: 'to all of the stream',
    what: `${PUBLISHES}|${ASKS}`,
    goesOn: false,
    says: 'publish into',
  },
  { right: 'to ask for the stream', what: ASKS, goesOn: true, says: 'look at' },
];

for (const { name, program, skip } of SERVERS)
  for (const { right, what, goesOn, says } of CASES)
    test(`${name}: the right ${right} is taken away, and given back`, {
      ...(skip === undefined ? {} : { skip }),
      timeout: TIMEOUT_MS,
    }, async () => {
      const user = new KnownUser();
      const rights = permissions();
      const config = user.config(rights);
      await using rig = await Rig.start(program!, {
        config,
        flags: ['--cluster-nats-creds', inFile(user.creds)],
      });
      const { nodes, nats } = rig;
      await using load = rig.load(random);
      await load.acked(SOME);
      const { node: owner } = await nodes.owner();
      const less = rights.replace(new RegExp(what, 'g'), '"nothing"');
      assert.notEqual(less, rights);
      await nats.reload(user.config(less));
      const line = new RegExp(`may not ${says} the stream: .*; give its user in NATS the rights`);
      const lacking = goesOn ? nodes.running : [owner];
      const said = (what: RegExp) =>
        Promise.all(lacking.map((node) => nodes.node(node).line(({ msg }) => what.test(msg))));
      await said(line);
      if (goesOn) await load.acked(SOME);
      else {
        await nodes.nobodyServes();
        await assertSilent(rig, load);
      }

      await nats.reload(config);
      await load.acked(SOME);
      await said(new RegExp(`^nothing waits any more for the right to ${says} the stream`));
      assert.equal(nodes.running.length, 3, nodes.tell());
      load.assertFine(await load.judge());
    });
