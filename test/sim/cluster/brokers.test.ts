// Worlds of whole brokers in the test suite: new ones each time. A failure says the command that
// runs its world again. `main.ts --brokers` runs more of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seedOf } from '../../support/random.ts';
import { runBrokers } from './broker-world.ts';

const WORLDS = 5;
/** As many as it takes until everything has struck often enough, and no more than that. */
const WORLDS_MAX = 8 * WORLDS;

const FLOORS: [what: string, times: number][] = [
  ['acked', 3000],
  ['applied', 2000],
  ['compared', 5],
  ['copies compared', 20],
  ['delivered', 2000],
  ['delivered again', 50],
  ['messages delayed', 50],
  ['messages put off', 50],
  ['messages died', 3],
  ['dead delivered', 3],
  ['once only', 50],
  ['published again', 5],
  ['took over', 10],
  ['deposed', 2],
  ['suspended', 3],
  ['went on', 1],
  ['consumers that went', 10],
  ['consumers that fell silent', 10],
  ['crash', 1],
  ['pause', 1],
  ['partition', 1],
  ['leaderless', 1],
  ['full disk', 1],
  ['torn tails', 1],
];

test(`${WORLDS} worlds of three brokers and one stream: every promise holds in each`, async (t) => {
  const first = seedOf('sim/cluster/brokers');
  const total: Record<string, number> = {};
  const short = () => FLOORS.filter(([what, times]) => (total[what] ?? 0) < times);
  let worlds = 0;
  for (; worlds < WORLDS || (worlds < WORLDS_MAX && short().length > 0); worlds++) {
    const { seed, failure, counts } = await runBrokers((first + worlds) >>> 0);
    const command = `node build/test/sim/cluster/main.js --brokers --seed ${seed}`;
    if (failure !== undefined) assert.fail(`${failure.stack}\n${command}`);
    for (const [what, times] of Object.entries(counts)) total[what] = (total[what] ?? 0) + times;
  }
  if (worlds > WORLDS) t.diagnostic(`${worlds} worlds, until everything had struck often enough`);
  assert.deepEqual(short(), [], `too few: ${JSON.stringify(total)}`);
});
