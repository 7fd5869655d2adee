// kill -9 before the nth call of each kind on the files of the log, for every n that a run from an
// empty folder to an orderly stop has; then recovery, twice.

import { consume, Ledger } from '../e2e/load.ts';
import { temporaryFolder } from '../support/broker.ts';
import { drain, publishAll, recoverTwice } from './account.ts';
import { CALLS, type Call, callsOf, startTraced, type Traced } from './strace.ts';
import { type FaultOptions, spread, Tally, type Verdict } from './verdict.ts';

const BATCHES = 40;

// The number of a call among those of its kind, and not its place among all, says which slice it is
// in: how many there are of each kind varies a little from run to run.
interface Point {
  call: Call;
  nth: number;
}

/**
 * Publishes, consumes two of four buckets, restarts on what is there, stops; or dies on the way.
 */
async function live(dataDir: string, ledger: Ledger, inject?: Parameters<typeof startTraced>[2]) {
  const traced = await startTraced(dataDir, [], inject);
  const { broker } = traced;
  if (broker !== undefined) {
    try {
      await consume(broker.exhaust, { bucket: 0, ledger });
      await publishAll(broker.intake, ledger, BATCHES);
      await drain(broker, ledger, [1]);
      await broker.stop();
    } catch {
      // killed: what this run is about
    }
  }
  return traced;
}

async function pointsOf(): Promise<Point[]> {
  const dataDir = temporaryFolder();
  const traced: Traced = await live(dataDir, new Ledger());
  const ended = await traced.exited;
  if (ended !== 0) throw new Error(`the run without a fault ended with ${ended}`);
  const counts = callsOf(traced.trace());
  return CALLS.flatMap((call) =>
    Array.from({ length: counts.get(call) ?? 0 }, (_, i) => ({ call, nth: i + 1 })),
  );
}

export async function killPoints(options: FaultOptions): Promise<Verdict> {
  const tally = new Tally('kill -9 at every I/O call');
  const { at, of } = options.slice ?? { at: 0, of: 1 };
  const all = (await pointsOf()).filter(({ nth }) => nth % of === at);
  const kinds = new Set<Call>();
  let tried = 0;
  for (const { call, nth } of spread(all, options.points, options.random)) {
    if (tally.fired > 0 && performance.now() > options.untilMs) break;
    tried++;
    const dataDir = temporaryFolder();
    const ledger = new Ledger();
    const fault = `signal=SIGKILL:when=${nth}`;
    const traced = await live(dataDir, ledger, { call, fault });
    // The number of calls varies a little from run to run: the last ones may not come.
    if ((await traced.exited) === 'SIGKILL') tally.fire();
    kinds.add(call);
    tally.found(await recoverTwice(dataDir, ledger));
  }
  return tally.verdict(`${tried} of ${all.length} calls, of ${kinds.size} kinds`);
}
