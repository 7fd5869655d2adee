// Every state that a crash can leave of a bounded workload: at each step of the disk, each subset
// of the pages and changes of names that no sync had made durable, and seeded tears of them.
// Whatever it is, a broker recovers, appends, loses power and recovers again.

import assert from 'node:assert/strict';
import { bodiesOf, indexOf, type Message, World, type WorldOptions } from '../log/harness.ts';
import { type Fate, loseAll, MemoryFiles } from '../support/memory-files.ts';
import { Random } from '../support/random.ts';
import { ruledWorkload } from './crash-rules.ts';
import { type Moment, Moments, SUBSETS_MAX, TEARS, type Workload } from './moments.ts';
import { type CaseOptions, type Counts, count, type Part, spread } from './part.ts';

const BUCKETS = 3;
/** States of each workload before the next one begins; the rest of them comes with more budget. */
const TURN = 400;
const WORKLOADS = 8;
const BATCHES = 8;
/** Steps of the disk in one batch, fewer than this. */
const STEPS = 28;
/** Cases of each workload, as many as it can have states; behind them come other workloads. */
const CASES = Math.ceil((BATCHES * STEPS * (SUBSETS_MAX + TEARS)) / TURN) * TURN;

// A pool of frames for one frame would be a megabyte to clear in each state.
const LIMITS = { limits: { framesMax: 0 } };
/** Where everything is published again after the crash, in every third workload. */
const ONCE = 2;
const isOnce = (seed: number) => seed % 3 === 1;
/** Another third are of what rules do to messages (crash-rules.ts). */
const isRuled = (seed: number) => seed % 3 === 2;
/** So many are published before there, to another bucket, that a few more ids leave memory. */
const BEFORE = 56;
const ELSEWHERE = 9;
const ID_BYTES = 4000;
const ONCE_RULES = [`${ONCE} dedup=1h`, `${ELSEWHERE} dedup=1h`];
const rulesOf = (seed: number) => (isOnce(seed) ? { rules: ONCE_RULES, idBytesMax: ID_BYTES } : {});

/** What clients know at one step. */
interface Known {
  /** How many were sent. */
  sent: number;
  acked: ReadonlySet<string>;
  /** Acked by a consumer: they may come back, or not. */
  done: ReadonlySet<string>;
}

/** Where a message stands in the order of publishing. */
interface Place {
  at: number;
  batch: number;
  /**
   * Messages before this place were acked when its batch was sent. What comes between is of another
   * connection: it may still have waited for room, and be stored later.
   */
  behind: number;
}

/** By `bucket:body`. */
type Places = ReadonlyMap<string, Place>;

interface Made extends Workload {
  /** States before each moment. */
  from: number[];
  /** Ids that have left memory at the end. */
  idsOnDisk: number;
  states: number;
}

async function made(seed: number): Promise<Made> {
  const of = isRuled(seed) ? await ruledWorkload(seed, BATCHES, STEPS) : await workload(seed);
  const from: number[] = [];
  let states = 0;
  for (const moment of of.moments) {
    from.push(states);
    states += moment.states;
  }
  const idsOnDisk = 'idsOnDisk' in of ? of.idsOnDisk : 0;
  return { ...(of as Workload), from, idsOnDisk, states };
}

/** A few batches, acks and returns on small segments, and the disk at each step of them. */
async function workload(seed: number): Promise<Workload<Known> & { idsOnDisk: number }> {
  const random = new Random(seed);
  const files = new MemoryFiles();
  const world = await World.open(files, rulesOf(seed));
  const many = Array.from({ length: BEFORE }, (_, i) => ({ bucket: ELSEWHERE, body: `${i}` }));
  if (isOnce(seed)) world.publish(many);
  await world.settle();
  files.auto = false;
  const moments = new Moments<Known>(files);
  const places = new Map<string, Place>();
  const acked = new Set<string>();
  const done = new Set<string>();
  const waiting: { expected: string[]; link: { received: number[] } }[] = [];
  const { link, consumer } = world.consume(1, 3);
  const listen = () => {
    for (const { expected, link: each } of waiting)
      for (const ack of each.received.splice(0)) {
        assert.equal(ack, 1, 'a publish was refused');
        acked.add(expected.shift()!);
      }
    const bodies = bodiesOf(link).filter((body) => body !== '');
    link.received = [];
    if (bodies.length === 0) return;
    const acks = bodies.map(() => random.below(4) > 0);
    acks.forEach((yes, i) => void (yes && done.add(`1:${bodies[i]}`)));
    consumer.receive(Uint8Array.from(acks, Number));
  };
  const note = () => {
    const now = { sent: places.size, acked, done };
    const known = () => ({ ...now, acked: new Set(acked), done: new Set(done) });
    moments.note(knowledge(now), known);
  };
  for (let batch = 0; batch < BATCHES; batch++) {
    const messages: Message[] = Array.from({ length: 1 + random.below(5) }, (_, i) => ({
      bucket: 1 + random.below(BUCKETS),
      body: `${batch}-${i}-`.padEnd(8 + random.below(3000), '.'),
    }));
    const expected = messages.map(({ bucket, body }) => `${bucket}:${body}`);
    const unacked = [...places].find(([message]) => !acked.has(message));
    const behind = unacked?.[1].at ?? places.size;
    for (const message of expected) places.set(message, { at: places.size, batch, behind });
    waiting.push({ expected, link: world.publish(messages) });
    for (let steps = 4 + random.below(STEPS - 4); steps > 0; steps--) {
      world.turn();
      await new Promise((resolve) => setImmediate(resolve));
      if (files.pending.length > 0) files.step(random.below(files.pending.length));
      await new Promise((resolve) => setImmediate(resolve));
      listen();
      note();
    }
    world.broker.advance((batch + 1) * 100);
  }
  files.kill();
  const of = (left: MemoryFiles, known: Known) => judge(left, known, places, seed);
  const idsOnDisk = world.broker.maintenance.windows.ids.countOnDisk;
  return { moments: moments.all, judge: of, idsOnDisk };
}

// What clients know only grows: its sizes tell what it is.
function knowledge({ sent, acked, done }: Known): string {
  return `${sent},${acked.size},${done.size}`;
}

/** What a crash decides in the given state of a moment. */
function fateOf(moment: Moment<unknown>, state: number, seed: number): () => Fate {
  const subsets = moment.states - (moment.doubts > 0 ? TEARS : 0);
  const random = new Random((seed + state * 7919) >>> 0);
  if (state >= subsets) return () => (['keep', 'lose', 'tear'] as const)[random.below(3)]!;
  let asked = 0;
  if (2 ** moment.doubts <= SUBSETS_MAX) return () => ((state >> asked++) & 1 ? 'keep' : 'lose');
  // Too many for all of them: nothing, all, each prefix, and then others.
  if (state === 0) return loseAll;
  if (state <= moment.doubts) return () => (asked++ < state ? 'keep' : 'lose');
  return () => (random.below(2) === 0 ? 'keep' : 'lose');
}

/** Every bucket's messages in the order of delivery, as `bucket:body`. */
async function delivered(files: MemoryFiles, options: WorldOptions): Promise<string[][]> {
  const world = await World.open(files, options);
  const lines: string[][] = [];
  for (const bucket of [1, 2, 3])
    lines.push((await world.drain(bucket)).map((body) => `${bucket}:${body}`));
  assert.equal(world.failure, undefined);
  return lines;
}

function mayPrecede(before: Place, place: Place): boolean {
  if (before.batch === place.batch) return before.at < place.at;
  return place.at >= before.behind;
}

/** A broker starts, publishes and loses power; the next one must deliver what is owed. */
async function judge(files: MemoryFiles, known: Known, order: Places, seed: number): Promise<void> {
  const options = { ...LIMITS, ...rulesOf(seed) };
  const world = await World.open(files, options);
  const again = isOnce(seed) ? sentTo(ONCE, known, order) : [];
  if (again.length > 0) {
    const link = world.publish(again.map((body) => ({ bucket: ONCE, body })));
    await world.settle();
    assert.ok(link.received.every((byte) => byte === 1) && link.received.length === again.length);
  }
  const more = [1, 2, 3].map((bucket) => ({ bucket, body: 'after the crash' }));
  const link = world.publish(more);
  await world.settle();
  assert.deepEqual(link.received, [1, 1, 1], `no acks: ${world.notes.join('; ')}`);
  const lines = await delivered(files.crash(loseAll), options);
  const found = new Set<string>();
  lines.forEach((line, i) => {
    assert.equal(line.pop(), `${i + 1}:after the crash`, 'what was acked after the start is gone');
    if (i + 1 === ONCE && isOnce(seed)) {
      const all = again.map((body) => `${ONCE}:${body}`);
      assert.deepEqual([...line].sort(), all.sort(), 'published again, not stored once');
      for (const message of line) found.add(message);
      return;
    }
    const places = line.map((message) => order.get(message));
    places.forEach((place, at) => {
      assert.ok(place !== undefined && place.at < known.sent, 'delivered, but never sent');
      for (const before of places.slice(0, at))
        assert.ok(mayPrecede(before!, place), 'twice, or out of order');
    });
    for (const message of line) found.add(message);
  });
  for (const message of known.acked)
    if (!known.done.has(message)) assert.ok(found.has(message), `lost: ${message.slice(0, 12)}`);
}

// Bodies that were sent to a bucket.
function sentTo(bucket: number, { sent }: Known, order: Places): string[] {
  const mine = [...order].filter(
    ([message, { at }]) => at < sent && message.startsWith(`${bucket}:`),
  );
  return mine.map(([message]) => message.slice(message.indexOf(':') + 1));
}

export class Crashes implements Part {
  readonly name = 'crash';
  readonly counts: Counts = {};
  readonly skipped: string[] = [];
  readonly cases = Number.POSITIVE_INFINITY;
  #seed = 0;
  #set = 0;
  // By seed of the workload; those of one set, as its cases come by turns.
  readonly #made = new Map<number, Made>();
  readonly #judged = new Map<number, Set<string>>();

  /** Cases go through some workloads by turns, and through all states of each in a seeded order. */
  async run({ seed, index }: CaseOptions): Promise<void> {
    this.#seed = seed;
    const { set, workload: each, at } = this.#placeOf(seed, index);
    if (set !== this.#set) {
      this.#set = set;
      this.#judged.clear();
      this.#made.clear();
    }
    const known = this.#made.get(each);
    const of = known ?? (await made(each));
    if (known === undefined) {
      const { states } = of;
      assert.ok(states <= CASES, `a workload of ${states} states: only ${CASES} would be tried`);
      count(this.counts, isRuled(each) ? 'workloads of rules' : 'workloads');
      if (of.idsOnDisk > 0) count(this.counts, 'workloads with ids on disk');
      this.#made.set(each, of);
    }
    if (at >= of.states) return;
    const state = spread(at, of.states, seed);
    const which = of.from.findLastIndex((from) => from <= state);
    const moment = of.moments[which]!;
    const fate = fateOf(moment, state - of.from[which]!, each);
    const after = moment.files.fork().crash(fate, new Random(state));
    if (state % 2 === 1) indexOf(after).clear();
    const seen = this.#seen(each);
    const print = `${after.fingerprint()} ${moment.print}`;
    if (seen.has(print)) {
      count(this.counts, 'seen before');
      return;
    }
    seen.add(print);
    count(this.counts, 'states');
    await of.judge(after, moment.known).catch((error) => {
      const where = `workload ${each}, step ${which}, state ${state - of.from[which]!}`;
      throw new Error(`${where}: ${error.message}`, { cause: error });
    });
  }

  // Many crashes leave the same: a page may have been on disk already, or be torn in parts that are
  // equal. Such a state is judged once, and counted once.
  #seen(workload: number): Set<string> {
    const seen = this.#judged.get(workload) ?? new Set();
    this.#judged.set(workload, seen);
    return seen;
  }

  #placeOf(seed: number, index: number): { set: number; workload: number; at: number } {
    const set = Math.floor(index / (WORKLOADS * CASES));
    const turn = Math.floor(index / TURN);
    const group = Math.floor(turn / WORKLOADS) % (CASES / TURN);
    const workload = (seed + set * WORKLOADS + (turn % WORKLOADS)) >>> 0;
    return { set, workload, at: group * TURN + (index % TURN) };
  }

  next(index: number): number {
    for (let at = index; ; at += TURN - (at % TURN)) {
      const place = this.#placeOf(this.#seed, at);
      if (place.at < (this.#made.get(place.workload)?.states ?? CASES)) return at;
    }
  }

  async close(): Promise<void> {}
}
