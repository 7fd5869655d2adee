// One strike as a test: what clients saw is judged. On servers that are known to lose what they
// have confirmed, a node may refuse, with 74, if what they did is seen in their copies of the
// stream; the test says it then, and counts as skipped. Whatever else fails is a failure.

import type { TestContext } from 'node:test';
import type { Random } from '../support/random.ts';
import { faultOf } from './faithless.ts';
import { Measured, strikeOnce } from './index.ts';
import { summary } from './load.ts';
import type { ServerProgram } from './nats.ts';
import type { Rig } from './rig.ts';
import type { Strike } from './strikes.ts';

export interface StrikingOptions {
  random: Random;
  /** Of the rig. */
  program: ServerProgram;
  /** Makes networks whole, where a strike that failed may have left them cut. */
  heal?: () => void;
}

const REFUSED = /ended (by itself, )?with 74: /;

/** Gives whether the servers have damaged the stream: the next strike needs others. */
export async function strikeIn(
  t: TestContext,
  strike: Strike,
  rig: Rig,
  { random, program, heal }: StrikingOptions,
): Promise<boolean> {
  let refusal: Error | undefined;
  try {
    await judged(strike, rig, random);
  } catch (error) {
    refusal = error as Error;
    if (!program.loses || !REFUSED.test(refusal.message)) throw error;
  }
  if (!program.loses) return false;
  heal?.();
  const fault = await faultOf(rig.nats);
  if (fault === undefined) {
    if (refusal !== undefined) throw refusal;
    return false;
  }
  t.diagnostic(`what these servers did to the stream: ${fault}`);
  if (refusal !== undefined) t.skip(`a node refused, as it should: ${fault}`);
  return true;
}

async function judged(strike: Strike, rig: Rig, random: Random): Promise<void> {
  const measured = new Measured(strike);
  const { load, judgement } = await strikeOnce(strike, rig, { random, measured });
  try {
    load.assertFine(judgement);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${rig.nodes.tell(40)}`, { cause: error });
  }
  console.log(`${strike.name}: ${summary(judgement)}${measured}`);
}
