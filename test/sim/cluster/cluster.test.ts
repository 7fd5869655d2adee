// Worlds of several nodes in the test suite: new ones each time. A failure says the command that
// runs its world again. `main.ts` runs more of them.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { seedOf } from '../../support/random.ts';
import { runWorld } from './world.ts';

const WORLDS = 60;
/** As many as it takes until everything has struck often enough, and no more than that. */
const WORLDS_MAX = 5 * WORLDS;

const FLOORS: [what: string, times: number][] = [
  ['acked', 50_000],
  ['delivered', 25_000],
  ['took over', 50],
  ['deposed', 10],
  ['suspended', 20],
  ['went on', 10],
  ['told of bases', 200],
  ['starts', 50],
  ['partition', 10],
  ['pause', 10],
  ['leaderless', 10],
  ['full stream', 10],
  ['slow disk', 5],
  ['followings held', 5],
  ['crash', 10],
  ['torn tails', 1],
  ['hung writes', 3],
  ['hung for good', 1],
  ['resigned', 1],
  ['resigned at work', 5],
  ['published ahead', 5000],
  ['segments closed ahead', 1000],
  ['requests lost', 20],
  ['replies lost', 20],
  ['late parts', 20],
  ['cut off', 10],
  ['no leader', 20],
  ['full', 20],
  ['another number expected', 100],
  ['stale reads', 1],
  ['stale states', 1],
  ['server left behind', 3],
  ['left behind', 20],
  ['followers behind', 20],
  ['followings lost', 10],
  ['impatient', 1],
  ['delivered within the window of an old owner', 1],
  ['void: epoch', 5],
  ['void: place', 1],
  ['purges', 20],
  ['rebuilt', 1],
  ['compared', 20],
  ['amnesia', 1],
  ['amnesia, and all start again', 1],
  ['stopped with 74', 3],
];

test(`${WORLDS} worlds of three nodes and one stream: every promise holds in each`, (t) => {
  const first = seedOf('sim/cluster');
  const total: Record<string, number> = {};
  const short = () => FLOORS.filter(([what, times]) => (total[what] ?? 0) < times);
  let worlds = 0;
  for (; worlds < WORLDS || (worlds < WORLDS_MAX && short().length > 0); worlds++) {
    const { seed, failure, counts } = runWorld((first + worlds) >>> 0);
    const command = `node build/test/sim/cluster/main.js --seed ${seed}`;
    if (failure !== undefined) assert.fail(`${failure.stack}\n${command}`);
    for (const [what, times] of Object.entries(counts)) total[what] = (total[what] ?? 0) + times;
  }
  if (worlds > WORLDS) t.diagnostic(`${worlds} worlds, until everything had struck often enough`);
  assert.deepEqual(short(), [], `too few: ${JSON.stringify(total)}`);
});

test('by hand: the seed first, a line of JSON last, the same world each time', () => {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const ran = () => {
    const { stdout, status } = spawnSync(process.execPath, [main, '--seed', '5'], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stdout);
    const lines = stdout.trimEnd().split('\n');
    assert.equal(lines[0], 'seed 5');
    const { worlds, failures } = JSON.parse(lines.at(-1)!);
    assert.deepEqual([worlds, failures], [1, 0]);
    return lines.slice(0, -1);
  };
  assert.deepEqual(ran(), ran());
});
