// The workloads of rules that crashes are tried in: together they write every kind of record, and
// some of the states of each hold. `prove` tries the rest.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anyFate, loseAll } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { RECORD_NAMES, ruledWorkload } from './crash-rules.ts';

const seed = seedOf('prove/crash-rules.test');
const WORKLOADS = 16;
const JUDGED = 4;
const EVERY = 6;

test('a crash amid what rules do: each message in one place, rules and times as they were', async () => {
  const random = new Random(seed);
  const written = new Set<string>();
  let states = 0;
  for (let i = 0; i < WORKLOADS; i++) {
    const { moments, records, judge } = await ruledWorkload(seed + i, 8, 28);
    for (const name of records) written.add(name);
    if (i >= JUDGED) continue;
    for (let at = random.below(EVERY); at < moments.length; at += EVERY)
      for (const fate of [loseAll, anyFate(random)]) {
        const { files, known } = moments[at]!;
        await judge(files.fork().crash(fate), known).catch((error) => {
          throw new Error(`workload ${seed + i}, step ${at}: ${error.message}`, { cause: error });
        });
        states++;
      }
  }
  assert.deepEqual([...written].sort(), [...RECORD_NAMES].sort());
  assert.ok(states > 50, `${states}`);
});
