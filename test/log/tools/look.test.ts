// Looks at the log of a broker at work: between any two calls of a tool's, segments are written,
// begun, compacted, given back and used again, at every point of the story and at several speeds.
// Whatever moves, nothing of it is damage; and what is damaged is found although all of that moves.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import type { FilesToRead } from '../../../src/log/files/files.ts';
import { baseOf } from '../../../src/log/segments/segment.ts';
import { dumpLog } from '../../../src/log/tools/dump.ts';
import { statLog } from '../../../src/log/tools/stat.ts';
import { type VerifyReport, verifyLog } from '../../../src/log/tools/verify.ts';
import type { MemoryFiles } from '../../support/memory-files.ts';
import { smallPlainCodec } from '../../support/twins.ts';
import { Busy, FEW, startOfStory } from '../busy.ts';

const plain = smallPlainCodec();

interface Speed {
  burst: number;
  each: number;
  /** Whether the few messages are taken, too, so that segments are given back whole. */
  all: boolean;
}

const SPEEDS: Speed[] = [
  { burst: 400, each: 0, all: false },
  { burst: 60, each: 1, all: false },
  { burst: 400, each: 0, all: true },
  { burst: 60, each: 1, all: true },
  { burst: 1, each: 3, all: true },
];

// A look that keeps pace with a broker is a long one; at these points it has begun.
const CALLS_MAX = 60;

/**
 * The broker's files as a tool has them. Before its `from`th call the broker does `burst` of its own,
 * and before each later one `each`.
 */
class Beside implements FilesToRead {
  calls = 0;
  readonly #busy: Busy;
  readonly #from: number;
  readonly #speed: Speed;

  constructor(busy: Busy, from: number, speed: Speed) {
    this.#busy = busy;
    this.#from = from;
    this.#speed = speed;
  }

  #then(call: (files: MemoryFiles) => void): void {
    const { files } = this.#busy;
    const { burst, each } = this.#speed;
    const nth = this.calls++;
    const steps = nth < this.#from ? 0 : nth === this.#from ? burst : each;
    void this.#busy.go(steps).then(() => {
      call(files);
      files.step(files.pending.length - 1);
    });
  }

  get all(): boolean {
    return this.#speed.all;
  }

  get few(): number {
    return this.#busy.few;
  }

  /** Flips a bit behind everybody's back. */
  flip(name: string, at: number): void {
    this.#busy.files.flip(name, at, 1);
  }

  list(done: Parameters<FilesToRead['list']>[0]): void {
    this.#then((files) => files.list(done));
  }

  open(name: string, _create: boolean, done: Parameters<FilesToRead['open']>[2]): void {
    this.#then((files) => files.open(name, false, done));
  }

  read(...[handle, into, at, done]: Parameters<FilesToRead['read']>): void {
    this.#then((files) => files.read(handle, into, at, done));
  }

  close(handle: number, done: Parameters<FilesToRead['close']>[1]): void {
    this.#then((files) => files.close(handle, done));
  }
}

let start: MemoryFiles;

before(async () => {
  start = await startOfStory();
});

type Look = (beside: Beside) => Promise<void>;

interface Seen {
  calls: number;
  compactions: number;
}

/** Looks while the broker goes on from the `from`th call on, so many calls of its own each time. */
async function lookAt(from: number, speed: Speed, look: Look): Promise<Seen> {
  const busy = await Busy.open(start.clone(), speed.all);
  const beside = new Beside(busy, from, speed);
  await look(beside);
  assert.equal(busy.world.failure, undefined);
  const { count } = busy.world.broker.compaction;
  return { calls: beside.calls, compactions: count };
}

/** The same for every point at which it may begin to go on, or one of so many. */
async function everywhere(look: Look, stride = 1): Promise<void> {
  let compactions = 0;
  for (const speed of SPEEDS) {
    for (let from = 0; from < CALLS_MAX; from += stride) {
      const seen = await lookAt(from, speed, look);
      compactions = Math.max(compactions, seen.compactions);
      if (from >= seen.calls) break;
    }
  }
  assert.ok(compactions > 0, 'nothing was compacted meanwhile');
}

function assertUnharmed(report: VerifyReport): void {
  const { verdict, bad, missing, unreadable, unknownVersion, segments } = report;
  const problems = segments.flatMap((segment) => segment.problems);
  const findings = { bad: bad.filter((range) => range.verdict === 'damaged'), missing, problems };
  assert.deepEqual(findings, { bad: [], missing: [], problems: [] });
  assert.notEqual(verdict, 'damaged');
  assert.ok(!unreadable && !unknownVersion);
}

test('verify: no motion is damage, at any point of it', async () => {
  let moved = 0;
  let unjudged = 0;
  await everywhere(async (beside) => {
    const report = await verifyLog(beside, plain, () => {});
    assertUnharmed(report);
    moved += report.moved.length;
    unjudged += report.unjudged.length;
    // What was counted is a log: without a gap, no segment twice.
    const bases = report.segments.map(({ position }) => Number(position));
    assert.deepEqual(
      bases,
      [...new Set(bases)].sort((a, b) => a - b),
    );
  });
  assert.ok(moved > 0, 'nothing moved');
  assert.equal(unjudged, 0);
});

test('verify: what is damaged is found beside all of that, and nothing else', async () => {
  const names = start.names().filter((name) => baseOf(name) !== undefined);
  // The first messages nobody takes: their segment is neither given back nor, damaged, compacted.
  const name = names[0]!;
  const at = SEGMENT_DATA_AT + 300;
  for (const speed of SPEEDS.filter(({ all }) => !all))
    for (let from = 0; from < 40; from += 3) {
      await lookAt(from, speed, async (beside) => {
        beside.flip(name, at);
        const report = await verifyLog(beside, plain, () => {});
        const damaged = report.bad.filter(({ verdict }) => verdict === 'damaged');
        assert.deepEqual(
          [report.verdict, damaged.map(({ segment }) => segment)],
          ['damaged', [name]],
          `from ${from} at ${JSON.stringify(speed)}`,
        );
      });
    }
});

test('stat: the verdict is the same, and no message is counted twice', async () => {
  await everywhere(async (beside) => {
    const { few: least } = beside;
    const report = await statLog(beside, plain, { top: 3, progress: () => {} });
    assert.deepEqual([report.verdict === 'damaged', report.unreadable], [false, false]);
    assert.ok(report.live.messages <= report.messages);
    const few = report.buckets.top.find(({ bucket }) => bucket === String(FEW));
    // Whoever takes them has not acked them at once.
    if (beside.all) return;
    assert.ok(few !== undefined && few.messages >= least && few.messages <= beside.few);
  }, 4);
});

test('dump: no gap is told where none is, nor that a file cannot be read', async () => {
  let moved = 0;
  await everywhere(async (beside) => {
    const bases: number[] = [];
    const dumped = await dumpLog(beside, plain, {
      write: async (entries) => {
        for (const entry of entries) {
          assert.notEqual(entry.type, 'gap');
          if (entry.type === 'segment') {
            assert.deepEqual(entry.problems, []);
            bases.push(Number(entry.position));
          }
          if (entry.type === 'moved') moved++;
        }
      },
    });
    assert.deepEqual([dumped.unknownVersion, dumped.unreadable], [false, false]);
    assert.ok(bases.length > 1);
  }, 3);
  assert.ok(moved > 0, 'nothing moved');
});

/** Shows zeros in place of some of the first segment, the first `times` times that it is read. */
class Late extends Beside {
  shown = 0;
  last = false;
  readonly #at: number;
  readonly #times: number;

  constructor(busy: Busy, at: number, times: number) {
    super(busy, 0, { burst: 0, each: 0, all: false });
    this.#at = at;
    this.#times = times;
  }

  readonly #handles = new Set<number>();

  override open(name: string, create: boolean, done: Parameters<FilesToRead['open']>[2]): void {
    super.open(name, create, (failure, handle, bytes) => {
      if (baseOf(name) === 0) this.#handles.add(handle);
      done(failure, handle, bytes);
    });
  }

  override read(...[handle, into, at, done]: Parameters<FilesToRead['read']>): void {
    super.read(handle, into, at, (failure, bytes) => {
      const from = this.#at - at;
      if (!this.#handles.has(handle) || from < 0 || from >= bytes) return done(failure, bytes);
      this.last = this.shown++ < this.#times;
      if (this.last) into.fill(0, from, from + 64);
      done(failure, bytes);
    });
  }
}

test('what comes into a file after what is behind it is no damage once it is there', async () => {
  let came = 0;
  for (let times = 0; ; times++) {
    const busy = await Busy.open(start.clone(), false);
    const late = new Late(busy, SEGMENT_DATA_AT + 6000, times);
    const { verdict } = await verifyLog(late, plain, () => {});
    assert.equal(verdict === 'damaged', late.last, `shown ${times} times`);
    if (late.last) break;
    if (times > 0) came++;
  }
  assert.ok(came > 1);
});
