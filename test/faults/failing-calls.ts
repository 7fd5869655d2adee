// Calls on the files of the log that fail, lie or take long: one call at a time, from the start of
// the broker to its orderly stop. After a failed sync of a segment no ack leaves and the broker
// ends with 74; after anything else it ends with 74 or goes on; and recovery has everything acked.

import { Ledger } from '../e2e/load.ts';
import { temporaryFolder } from '../support/broker.ts';
import { drain, publishAll, recoverTwice } from './account.ts';
import {
  type Call,
  callsOf,
  injectedLines,
  startTraced,
  type Traced,
  timeOf,
  wallClock,
} from './strace.ts';
import { type FaultOptions, spread, Tally, type Verdict } from './verdict.ts';

const BATCHES = 30;
// The proof marker stays out of it: what fails is then a sync that a producer waits for, or one of
// a segment being made.
const FLAGS = ['--proof-delay', '1h'];
const FAILED = 74;
const CANNOT_WORK = 78;

interface Kind {
  name: string;
  calls: readonly Call[];
  /** As strace says it, without the count. */
  fault: string;
  /** Calls that fail in a row, from the nth on. */
  times?: number;
  /** Whether the broker must outlive it once it serves. */
  survives?: boolean;
  /** What a start may be refused with instead of 74. */
  refused?: number;
}

// A batch is written as one piece or as two, and these are different calls.
const WRITES: readonly Call[] = ['pwrite64', 'pwritev'];

export const KINDS: readonly Kind[] = [
  { name: 'EIO on sync', calls: ['fdatasync'], fault: 'error=EIO' },
  { name: 'ENOSPC on sync', calls: ['fdatasync'], fault: 'error=ENOSPC' },
  { name: 'EIO on sync of a folder', calls: ['fsync'], fault: 'error=EIO' },
  { name: 'EIO on write', calls: WRITES, fault: 'error=EIO' },
  { name: 'ENOSPC on write', calls: WRITES, fault: 'error=ENOSPC', times: 3, survives: true },
  { name: 'no byte written', calls: WRITES, fault: 'retval=0' },
  { name: 'EIO on read', calls: ['pread64'], fault: 'error=EIO', survives: true },
  { name: 'EIO on rename', calls: ['rename'], fault: 'error=EIO', survives: true },
  {
    ...{ name: 'EMFILE on open', calls: ['openat'], fault: 'error=EMFILE' },
    survives: true,
    refused: CANNOT_WORK,
  },
  { name: 'sync that does nothing', calls: ['fdatasync'], fault: 'retval=0', survives: true },
  { name: 'slow sync', calls: ['fdatasync'], fault: 'delay_enter=400000', survives: true },
  { name: 'slow write', calls: WRITES, fault: 'delay_enter=400000', survives: true },
];

interface Life {
  traced: Traced;
  exit: number | string;
  ledger: Ledger;
  /** When the acks of each batch were there; the next one is sent after that, and not before. */
  ackedMs: number[];
}

async function live(dataDir: string, inject?: Parameters<typeof startTraced>[2]): Promise<Life> {
  const ledger = new Ledger();
  const ackedMs: number[] = [];
  const clock = wallClock();
  const traced = await startTraced(dataDir, FLAGS, inject);
  const { broker } = traced;
  if (broker !== undefined) {
    try {
      await publishAll(broker.intake, ledger, BATCHES, () => ackedMs.push(clock()));
      await drain(broker, ledger, [0, 1]);
      await broker.stop();
    } catch {
      // the broker has closed the connection: it stops by itself
    }
  }
  return { traced, exit: await traced.exited, ledger, ackedMs };
}

// A failed sync of a file that is a segment: its name says that it may hold what somebody waits
// for.
function failedSyncMs(lines: readonly string[]): number | undefined {
  const line = lines.find((one) => / fdatasync\(\d+<[^>]*\.log>\) += -1 /.test(one));
  return line === undefined ? undefined : timeOf(line);
}

function check(kind: Kind, where: string, { traced, exit, ackedMs }: Life, tally: Tally): void {
  const lines = injectedLines(traced.trace());
  tally.fire(lines.length);
  const failedMs = failedSyncMs(lines);
  if (failedMs !== undefined) {
    tally.late(ackedMs.filter((ms) => ms > failedMs).length);
    if (exit !== FAILED) throw new Error(`${where}: exit ${exit} after a failed sync, not 74`);
  }
  const isRefused = traced.broker === undefined && exit === kind.refused;
  const fine = exit === 0 || exit === FAILED || isRefused;
  if (!fine) throw new Error(`${where}: the broker ended with ${exit}`);
  if (kind.survives === true && traced.broker !== undefined && exit !== 0)
    throw new Error(`${where}: the broker did not outlive it: ${traced.broker.lines.at(-1)?.msg}`);
}

/** How many calls of each kind a life without a fault has. It is the same life for every fault. */
async function plainCounts(): Promise<Map<Call, number>> {
  const { exit, traced } = await live(temporaryFolder());
  if (exit !== 0) throw new Error(`the run without a fault ended with ${exit}`);
  return callsOf(traced.trace());
}
let counted: Promise<Map<Call, number>> | undefined;

/** One kind of failing call at up to `points` places. */
export async function failingCall(kind: Kind, options: FaultOptions): Promise<Verdict> {
  const tally = new Tally(kind.name);
  counted ??= plainCounts();
  const counts = await counted;
  const all = kind.calls.flatMap((call) =>
    Array.from({ length: counts.get(call) ?? 0 }, (_, i) => ({ call, nth: i + 1 })),
  );
  const ends = { ok: 0, refused: 0, failed: 0 };
  for (const { call, nth } of spread(all, options.points, options.random)) {
    if (tally.fired > 0 && performance.now() > options.untilMs) break;
    // How often the names of files are looked at goes by the clock: a life with fewer calls than
    // the first one has its fault earlier.
    for (let at = nth, before = tally.fired; tally.fired === before; at = Math.floor(at / 2)) {
      if (at === 0) break;
      const dataDir = temporaryFolder();
      const when = kind.times === undefined ? `${at}` : `${at}..${at + kind.times - 1}`;
      const life = await live(dataDir, { call, fault: `${kind.fault}:when=${when}` });
      check(kind, `${kind.name}, ${call} ${at}`, life, tally);
      if (life.exit === 0) ends.ok++;
      else if (life.traced.broker === undefined) ends.refused++;
      else ends.failed++;
      tally.found(await recoverTwice(dataDir, life.ledger));
    }
  }
  return tally.verdict(
    `of ${all.length} calls; ${ends.ok} outlived, ${ends.refused} starts refused, ${ends.failed} stopped with 74`,
  );
}
