// A world of three nodes and one stream, from one seed: faults for a while, then peace, in which
// everything has to come right. In some worlds the stream forgets its end last of all.

import assert from 'node:assert/strict';
import { DATA_AT } from './batches.ts';
import { Clock } from './clock.ts';
import { OWN_MS, SimNode } from './node.ts';
import { CALM, SimStream } from './stream.ts';
import { Truth } from './truth.ts';

const NODES = 3;
const PRODUCERS = 4;

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
  readonly #numbers = new Array<number>(PRODUCERS).fill(0);
  #isAtPeace = false;
  #isSilent = false;
  #mayStop = false;

  constructor(seed: number) {
    this.clock = new Clock(seed);
    this.truth = new Truth(this.clock, DATA_AT, OWN_MS);
    this.stream = new SimStream(this.clock, (message, sentMs) =>
      this.truth.stored(message, sentMs),
    );
    this.isImpatient = this.clock.chance(0.3);
    this.truth.isPatient = !this.isImpatient;
    if (this.isImpatient) this.clock.count('impatient');
    this.nodes = Array.from({ length: NODES }, (_, i) => new SimNode(this, i + 1));
  }

  stopped(node: number, code: number, why: string): void {
    assert.ok(this.#mayStop && code === 74, `node ${node} stops with ${code}: ${why}`);
    this.clock.count('stopped with 74');
  }

  run(): void {
    const { clock, nodes } = this;
    for (const node of nodes) clock.after(clock.between(0, 500), () => node.start());
    this.#every(5, 40, () => this.#produce());
    this.#every(300, 1500, () => this.#owner()?.set());
    this.#every(1000, 5000, () => this.#owner()?.trim());
    this.#every(100, 1500, () => this.stream.remember());
    this.#every(150, 2500, () => {
      if (!this.#isAtPeace) this.#strike();
    });
    clock.run(clock.between(10_000, 40_000));
    this.#peace();
    this.truth.judge();
    if (clock.chance(0.3)) this.#amnesia();
  }

  #every(least: number, most: number, what: () => void): void {
    const { clock } = this;
    const again = () => {
      what();
      clock.after(clock.between(least, most), again);
    };
    clock.after(clock.between(least, most), again);
  }

  #any(): SimNode {
    return this.nodes[this.clock.random.below(NODES)]!;
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
      serving[this.clock.random.below(serving.length)]!.send([
        producer,
        ++this.#numbers[producer]!,
      ]);
  }

  #strike(): void {
    const { clock, stream } = this;
    const victim = clock.chance(0.5) ? (this.#owner() ?? this.#any()) : this.#any();
    const strikes: [string, () => void][] = [
      ['partition', () => this.#forA(300, 6000, (on) => victim.cut(on))],
      ['pause', () => this.#pause(victim)],
      ['leaderless', () => this.#forA(300, 6000, (on) => stream.lead(!on))],
      ['full stream', () => this.#forA(200, 3000, (on) => stream.fill(on))],
      ['crash', () => this.#crash(victim, 100, 5000)],
      ['slow disk', () => this.#forA(500, 6000, (on) => victim.slow(on))],
      ['hung disk', () => this.#hang(victim)],
      ['resign', () => this.#resign()],
      ['weather', () => this.#weather()],
      ['weather', () => this.#weather()],
    ];
    const [name, strike] = strikes[clock.random.below(strikes.length)]!;
    clock.count(name);
    strike();
  }

  #forA(least: number, most: number, what: (on: boolean) => void): void {
    what(true);
    this.clock.after(this.clock.between(least, most), () => what(false));
  }

  #weather(): void {
    const { clock } = this;
    const some = (most: number) => (clock.chance(0.5) ? clock.between(0, most) : 0);
    this.#forA(500, 5000, (on) => {
      this.stream.weather = on
        ? {
            lostReply: some(0.3),
            lostRequest: some(0.2),
            late: some(0.2),
            stale: some(0.5),
            lostFollowing: some(0.05),
          }
        : CALM;
    });
  }

  #pause(node: SimNode): void {
    this.#forA(200, 5000, (on) => (on ? node.pause() : node.goOn()));
  }

  #crash(node: SimNode, least: number, most: number): void {
    node.crash();
    this.#restart(node, least, most);
  }

  #restart(node: SimNode, least: number, most: number): void {
    this.clock.after(this.clock.between(least, most), () => {
      if (!node.isUp && node.stoppedWith === undefined) node.start();
    });
  }

  #hang(node: SimNode): void {
    node.hang();
    this.clock.after(this.clock.between(2000, 8000), () => {
      if (node.isHung && !this.#isAtPeace) this.#crash(node, 100, 2000);
    });
  }

  #resign(): void {
    const node = this.#owner();
    node?.resign();
    if (node !== undefined) this.#restart(node, 2000, 4000);
  }

  // Everything works again, but for the disk of one node maybe: one owner, and all have the same.
  #peace(): void {
    const { clock, stream, nodes } = this;
    this.#isAtPeace = true;
    this.isImpatient = false;
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
    clock.run(20_000);
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
    clock.run(30);
    const acked = truth.acked.size;
    // Those who have seen nothing of what was lost could go on, rightly as far as they know.
    const end = truth.endAt[stream.last + 1] ?? truth.end;
    if (clock.chance(0.5) && nodes.every((node) => node.end > end))
      for (const node of nodes) {
        clock.count('amnesia, and all start again');
        this.#crash(node, 10, 1000);
      }
    clock.run(20_000);
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
