// Worlds of several nodes by hand: node build/test/sim/cluster/main.js --seed N [--worlds N]
// [--budget 60s] [--brokers]. It ends after so many worlds, or when the budget is used up. With
// --brokers nodes are whole brokers with clients. What happened goes to the standard output, one
// line of JSON last. Exit code 1 if a world failed.

import { parseArgs } from 'node:util';
import { runBrokers } from './broker-world.ts';
import { runWorld } from './world.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    worlds: { type: 'string' },
    budget: { type: 'string', default: '0s' },
    brokers: { type: 'boolean', default: false },
  },
});
const first = Number(values.seed);
const budgetMs = Number(/^(\d+)s$/.exec(values.budget)?.[1] ?? Number.NaN) * 1000;
const most = Number(values.worlds ?? (budgetMs > 0 ? Number.MAX_SAFE_INTEGER : 1));
if (![first, budgetMs, most].every((value) => Number.isSafeInteger(value) && value >= 0)) {
  process.stderr.write('sim: --seed and --worlds are whole numbers, --budget is as in 60s\n');
  process.exit(2);
}
process.stdout.write(`seed ${first}\n`);

const begun = performance.now();
const total: Record<string, number> = {};
let worlds = 0;
let failures = 0;
for (; worlds < most && (budgetMs === 0 || performance.now() - begun < budgetMs); worlds++) {
  const seed = (first + worlds) >>> 0;
  const verdict = values.brokers ? await runBrokers(seed) : runWorld(seed);
  for (const [what, times] of Object.entries(verdict.counts))
    total[what] = (total[what] ?? 0) + times;
  if (verdict.failure === undefined) continue;
  failures++;
  const which = values.brokers ? ' --brokers' : '';
  const command = `node build/test/sim/cluster/main.js${which} --seed ${verdict.seed}`;
  process.stdout.write(`world ${verdict.seed}: ${verdict.failure.stack}\n  ${command}\n\n`);
}
for (const what of Object.keys(total).sort())
  process.stdout.write(`${what.padEnd(44)}${String(total[what]).padStart(10)}\n`);
const seconds = Math.round((performance.now() - begun) / 100) / 10;
process.stdout.write(`${JSON.stringify({ seed: first, worlds, failures, seconds })}\n`);
process.exitCode = failures > 0 ? 1 : 0;
