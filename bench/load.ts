// The load generator in a process of its own: `node build/bench/load.js PLAN`, PLAN a JSON object
// with what differs from the default plan. Says `connected`, `measuring` and `measured` at the two
// ends of the window, and `result` at the end; SIGTERM ends it early.

import { DEFAULT_PLAN, type LoadPlan } from '../src/load/plan.ts';
import { runLoad } from '../src/load/run.ts';
import { onLeave, say } from './process.ts';

const given = JSON.parse(process.argv[2] ?? '{}') as Partial<LoadPlan>;
const plan: LoadPlan = { ...DEFAULT_PLAN, ...given };
plan.firstBucket = BigInt(given.firstBucket ?? DEFAULT_PLAN.firstBucket);

const leave = new AbortController();
onLeave(() => leave.abort());
const result = await runLoad(plan, {
  signal: leave.signal,
  onConnected: () => say('connected'),
  onWindow: (edge) => say(edge === 'begin' ? 'measuring' : 'measured'),
});
say('result', { result });
process.stdin.destroy();
