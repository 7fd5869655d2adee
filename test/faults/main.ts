// The command: node build/test/faults/main.js [--points N] [--seconds N] [NAME…]
//
// Runs all fault runs, or those whose name contains one of the given texts, each with at most N
// points (default: all there are) and N seconds. One line of JSON for each; ends with 1 if a
// message was lost or altered, an ack was late, or a fault never fired.

import { parseArgs } from 'node:util';
import { Random, seedOf } from '../support/random.ts';
import { faultOf, RUNS } from './index.ts';

// Runs that have no end of their own stop here.
const POINTS = 10_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    points: { type: 'string', default: String(POINTS) },
    seconds: { type: 'string', default: '60' },
  },
});
const random = new Random(seedOf('faults'));
const wanted = RUNS.filter(
  ({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
);
if (wanted.length === 0) throw new Error(`no fault run is called ${positionals.join(' or ')}`);
for (const { name, skip, run } of wanted) {
  if (skip !== undefined) {
    console.log(JSON.stringify({ name, skipped: skip }));
    continue;
  }
  try {
    const untilMs = performance.now() + Number(values.seconds) * 1000;
    const verdict = await run({ points: Number(values.points), untilMs, random });
    console.log(JSON.stringify(verdict));
    if (faultOf(verdict) !== undefined) process.exitCode = 1;
  } catch (error) {
    console.log(JSON.stringify({ name, failed: (error as Error).message }));
    process.exitCode = 1;
  }
}
process.exit(); // consumers of killed brokers may still hold sockets
