// Each strike on a cluster of real servers, once or twice under load, and what its clients saw.
// `npm run prove -- --only cluster` does many of each.

import { after, before, describe, test } from 'node:test';
import { Random, seedOf } from '../support/random.ts';
import { Measured, strikeOnce } from './index.ts';
import { summary } from './load.ts';
import { SERVERS } from './nats.ts';
import { Rig } from './rig.ts';
import { STRIKES } from './strikes.ts';

const random = new Random(seedOf('strikes on a cluster'));
// What differs from one version of NATS to the next; the rest runs on the last of them.
const ON_EACH = /^kill -9 of both/;
const last = SERVERS.findLast(({ program }) => program !== undefined) ?? SERVERS[0];

for (const server of SERVERS) {
  const { name, program, skip } = server;
  describe(name, { ...(skip === undefined ? {} : { skip }) }, () => {
    let rig: Rig;
    before(async () => {
      rig = await Rig.start(program!);
    });
    after(() => rig[Symbol.asyncDispose]());

    for (const strike of STRIKES) {
      if (server !== last && !ON_EACH.test(strike.name)) continue;
      test(strike.name, { timeout: 300_000 }, async () => {
        const measured = new Measured(strike);
        const { load, judgement } = await strikeOnce(strike, rig, { random, measured });
        try {
          load.assertFine(judgement);
        } catch (error) {
          throw new Error(`${(error as Error).message}\n${rig.nodes.tell(40)}`, { cause: error });
        }
        console.log(`${strike.name}: ${summary(judgement)}${measured}`);
      });
    }
  });
}
