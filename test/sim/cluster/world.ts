// A world of three nodes and one stream, from one seed: faults for a while, then peace, in which
// everything has to come right. In some worlds the stream forgets its end last of all.

import assert from 'node:assert/strict';
import { itemOf, PRODUCERS } from './batches.ts';
import { Clock } from './clock.ts';
import { OWN_MS, SimNode } from './node.ts';
import { CALM, SimStream } from './stream.ts';
import { Strikes } from './strikes.ts';
import { Truth } from './truth.ts';

const NODES = 3;
/** In peace so much less is asked of it: what has to come right does so as well. */
const CALM_PACE = 20;

export interface Verdict {
  seed: number;
  failure: Error | undefined;
  counts: Record<string, number>;
}

export class World {
  readonly clock: Clock;
  readonly stream: SimStream;
  readonly truth: Truth;
  readonly nodes: SimNode[];
  isImpatient: boolean;
  /** How much longer it is from one thing to the next that clients do. */
  pace = 1;
  /** Of some worlds one at a time. */
  readonly depth: number;
  readonly inFlightBytes: number;
  readonly #numbers = new Array<number>(PRODUCERS).fill(0);
  #isAtPeace = false;
  #isSilent = false;
  #mayStop = false;
  readonly #strikes: Strikes<SimNode>;

  constructor(seed: number) {
    this.clock = new Clock(seed);
    this.truth = new Truth(this.clock, OWN_MS);
    this.stream = new SimStream(this.clock, (message, sentMs) =>
      this.truth.stored(message, sentMs),
    );
    this.isImpatient = this.clock.chance(0.3);
    this.depth = 1 + this.clock.random.below(4);
    this.inFlightBytes = this.clock.chance(0.5) ? 200 : 1500;
    this.truth.isPatient = !this.isImpatient;
    if (this.isImpatient) this.clock.count('impatient');
    this.nodes = Array.from({ length: NODES }, (_, i) => new SimNode(this, i + 1));
    this.#strikes = new Strikes(this.clock, this.stream, this.nodes, () => !this.#isAtPeace);
  }

  stopped(node: number, code: number, why: string): void {
    assert.ok(this.#mayStop && code === 74, `node ${node} stops with ${code}: ${why}`);
    this.clock.count('stopped with 74');
  }

  run(): void {
    const { clock, nodes } = this;
    for (const node of nodes) clock.after(clock.between(0, 500), () => node.start());
    this.#every(
      5,
      40,
      () => this.#produce(),
      () => this.pace,
    );
    this.#every(300, 1500, () => this.#owner()?.tell());
    this.#every(1000, 5000, () => this.#owner()?.trim());
    this.#every(100, 1500, () => this.stream.remember());
    this.#every(150, 2500, () => {
      if (!this.#isAtPeace) this.#strikes.any();
    });
    clock.run(clock.between(10_000, 40_000));
    this.#peace();
    this.truth.judge();
    if (clock.chance(0.3)) this.#amnesia();
  }

  #every(least: number, most: number, what: () => void, pace = () => 1): void {
    const { clock } = this;
    const again = () => {
      what();
      clock.after(clock.between(least, most) * pace(), again);
    };
    clock.after(clock.between(least, most), again);
  }

  #owner(): SimNode | undefined {
    return this.nodes.find((node) => node.isServing);
  }

  // A producer sends to whoever says that it owns, which may be one that does not know better.
  #produce(): void {
    if (this.#isSilent) return;
    const serving = this.nodes.filter((node) => node.isServing);
    if (serving.length === 0) return;
    const producer = this.clock.random.below(PRODUCERS);
    for (let i = this.clock.random.below(4); i >= 0; i--)
      serving[this.clock.random.below(serving.length)]!.send(
        itemOf(producer, ++this.#numbers[producer]!),
      );
  }

  // Everything works again, but for the disk of one node maybe: one owner, and all have the same.
  #peace(): void {
    const { clock, stream, nodes } = this;
    this.#isAtPeace = true;
    this.isImpatient = false;
    this.pace = CALM_PACE;
    clock.run(8000);
    stream.lead(true);
    stream.fill(false);
    stream.weather = CALM;
    const owner = this.#owner();
    const hung = owner !== undefined && clock.chance(0.3) ? owner : undefined;
    for (const node of nodes) {
      node.cut(false);
      node.goOn();
      if (node.isHung) node.crash();
      if (!node.isUp) node.start();
    }
    hung?.hang();
    if (hung !== undefined) clock.count('hung for good');
    clock.run(50_000);
    const acked = clock.counts.acked ?? 0;
    clock.run(3000);
    const states = () => nodes.map((node) => node.says).join(', ');
    assert.ok((clock.counts.acked ?? 0) > acked, `nothing is acked in peace: ${states()}`);
    this.#isSilent = true;
    clock.run(3000);
    const sound = nodes.filter((node) => node !== hung);
    assert.equal(sound.filter((node) => node.isServing).length, 1, `one owner: ${states()}`);
    for (const node of nodes) node.judge();
    for (const node of sound)
      assert.equal(node.end, this.truth.end, `all have the same log: ${states()}`);
  }

  // Numbers that everybody has seen are gone: nobody may go on.
  #amnesia(): void {
    const { clock, stream, nodes, truth } = this;
    this.#isSilent = false;
    clock.run(500);
    const count = 2 + clock.random.below(5);
    if (nodes.some((node) => node.isHung || node.sequence <= stream.last - count)) return;
    clock.count('amnesia');
    this.#mayStop = true;
    stream.forget(count);
    // What counted before is still being written, and acked.
    clock.run(60);
    const acked = truth.acked.size;
    // Those who have seen nothing of what was lost could go on, rightly as far as they know.
    const end = truth.endAt[stream.last + 1] ?? truth.end;
    if (clock.chance(0.5) && nodes.every((node) => node.end > end))
      for (const node of nodes) {
        clock.count('amnesia, and all start again');
        this.#strikes.crash(node, 10, 1000);
      }
    clock.run(50_000);
    const open = nodes.filter((node) => node.stoppedWith !== 74);
    assert.ok(open.length === 0, `node ${open[0]?.number} goes on: ${open[0]?.says}`);
    assert.equal(truth.acked.size, acked, 'something is acked by a stream that went back');
  }
}

export function runWorld(seed: number): Verdict {
  const world = new World(seed);
  let failure: Error | undefined;
  try {
    world.run();
  } catch (error) {
    failure = error as Error;
  }
  return { seed, failure, counts: world.clock.counts };
}
