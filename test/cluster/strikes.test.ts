// Each strike on a cluster of real servers, once or twice under load, and what its clients saw.
// `npm run prove -- --only cluster` does many of each.

import { after, before, describe, test } from 'node:test';
import { Random, seedOf } from '../support/random.ts';
import { SERVERS } from './nats.ts';
import { Rig } from './rig.ts';
import { STRIKES } from './strikes.ts';
import { strikeIn } from './striking.ts';

const random = new Random(seedOf('strikes on a cluster'));
// What differs from one version of NATS to the next; the rest runs on the last of them.
const ON_EACH = /^kill -9 of both/;
const last = SERVERS.findLast(({ program }) => program !== undefined) ?? SERVERS[0];

for (const server of SERVERS) {
  const { name, program, skip } = server;
  const about = program?.loses ? `${name}, which may lose what it has confirmed` : name;
  describe(about, { ...(skip === undefined ? {} : { skip }) }, () => {
    let rig: Rig;
    before(async () => {
      rig = await Rig.start(program!);
    });
    after(() => rig[Symbol.asyncDispose]());

    for (const strike of STRIKES) {
      if (server !== last && !ON_EACH.test(strike.name)) continue;
      test(strike.name, { timeout: 300_000 }, async (t) => {
        if (!(await strikeIn(t, strike, rig, { random, program: program! }))) return;
        await rig[Symbol.asyncDispose]();
        rig = await Rig.start(program!);
      });
    }
  });
}
