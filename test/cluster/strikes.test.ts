// Each strike on a cluster of real servers, once or twice under load, and what its clients saw.
// `npm run prove -- --only cluster` does many of each.
//
// Servers that are known to lose what they have confirmed may do so in any of them. Then a node has
// to refuse, with 74; what they did is looked for in their copies of the stream, the test says it,
// and counts as skipped. Whatever else fails there is a failure, as on all others.

import { after, before, describe, test } from 'node:test';
import { Random, seedOf } from '../support/random.ts';
import type { Judgement } from './checker.ts';
import { faultOf } from './faithless.ts';
import { Measured, strikeOnce } from './index.ts';
import { type Load, summary } from './load.ts';
import { SERVERS } from './nats.ts';
import { Rig } from './rig.ts';
import { STRIKES } from './strikes.ts';

const random = new Random(seedOf('strikes on a cluster'));
// What differs from one version of NATS to the next; the rest runs on the last of them.
const ON_EACH = /^kill -9 of both/;
const last = SERVERS.findLast(({ program }) => program !== undefined) ?? SERVERS[0];
const REFUSED = /ended (by itself, )?with 74: /;

for (const server of SERVERS) {
  const { name, program, skip } = server;
  const loses = program?.loses === true;
  const about = loses ? `${name}, which may lose what it has confirmed` : name;
  describe(about, { ...(skip === undefined ? {} : { skip }) }, () => {
    let rig: Rig;
    before(async () => {
      rig = await Rig.start(program!);
    });
    after(() => rig[Symbol.asyncDispose]());

    for (const strike of STRIKES) {
      if (server !== last && !ON_EACH.test(strike.name)) continue;
      test(strike.name, { timeout: 300_000 }, async (t) => {
        const measured = new Measured(strike);
        let refusal: Error | undefined;
        try {
          const { load, judgement } = await strikeOnce(strike, rig, { random, measured });
          assertFine(rig, load, judgement);
          console.log(`${strike.name}: ${summary(judgement)}${measured}`);
        } catch (error) {
          refusal = error as Error;
          if (!loses || !REFUSED.test(refusal.message)) throw error;
        }
        if (!loses) return;
        const fault = await faultOf(rig.nats);
        if (refusal !== undefined && fault === undefined) throw refusal;
        if (fault === undefined) return;
        // What it is to the next strike is no matter of that.
        await rig[Symbol.asyncDispose]();
        rig = await Rig.start(program!);
        if (refusal !== undefined) t.skip(`a node refused, as the stream was damaged: ${fault}`);
      });
    }
  });
}

function assertFine(rig: Rig, load: Load, judgement: Judgement): void {
  try {
    load.assertFine(judgement);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${rig.nodes.tell(40)}`, { cause: error });
  }
}
