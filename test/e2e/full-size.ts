// node build/test/e2e/full-size.js [--seed N] [one-at-a-time|once-only]: what tests of the same
// names run small, at the size that is promised: 10,000 keys one at a time behind a virtual bucket
// with 100 consumers, across 8 kills; 100,000 messages, each published twice, across 20 ends of the
// broker, of which some are orderly. A line of JSON for each; ends with 1 if anything was wrong.

import { parseArgs } from 'node:util';
import { Random } from '../support/random.ts';
import { onceOnly } from './once-only.ts';
import { oneAtATime } from './one-at-a-time.ts';

const KEYS = 10_000;
const MESSAGES_PER_KEY = 20;
const PUBLISHES = 100_000;
const ENDS = 20;
/** Of violations. */
const TOLD = 20;

const RUNS: Record<string, (random: Random) => Promise<{ wrong: string[] }>> = {
  'one-at-a-time': async (random) => {
    const { violations, ...counts } = await oneAtATime({
      keys: KEYS,
      messages: MESSAGES_PER_KEY,
      consumers: 100,
      virtualBatch: 16,
      kills: 8,
      failed: 0.08,
      left: 0.02,
      holdMs: 4,
      random,
    });
    return { ...counts, wrong: violations.slice(0, TOLD) };
  },
  'once-only': async (random) => {
    const { all, found, ...counts } = await onceOnly({
      kills: ENDS,
      stopped: 25,
      messages: () => PUBLISHES / ENDS,
      batch: 1000,
      waitMs: 120,
      random,
    });
    const stored = new Set(found);
    const lost = all.filter((body) => !stored.has(body)).length;
    const twice = found.length - stored.size;
    const { refused, code } = counts;
    const bad = Object.entries({ lost, twice, refused, code });
    const wrong = bad.flatMap(([what, count]) => (count === 0 ? [] : [`${what}: ${count}`]));
    return { ...counts, wrong };
  },
};

const { values, positionals } = parseArgs({
  options: { seed: { type: 'string' } },
  allowPositionals: true,
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
for (const name of positionals.length > 0 ? positionals : Object.keys(RUNS)) {
  const run = RUNS[name];
  if (run === undefined) throw new Error(`there is no ${name}: give ${Object.keys(RUNS)}`);
  const begun = performance.now();
  const result = await run(new Random(seed));
  const seconds = Math.round((performance.now() - begun) / 100) / 10;
  process.stdout.write(`${JSON.stringify({ name, seed, seconds, ...result })}\n`);
  if (result.wrong.length > 0) process.exitCode = 1;
}
